"""A model is loaded whole or refused with a reason; nothing of it is ever random."""

import json
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from dialogue.process.settings import INSTRUCTION
from tests.worker.engine import chatglm2
from worker.engine.port import Exchange, ModelUnusable
from worker.model.check import check
from worker.model.convert import convert, merge
from worker.model.examine import examine
from worker.model.find import BUNDLED, find_model, fingerprint, weight_files
from worker.model.hardware import HUGE_PAGES, choose_device, choose_dtype, choose_threads, prefer_huge_pages
from worker.model.load import load_model
from worker.model.probe import probe, read_dialogues
from worker.prompt import rounds
from worker.settings import WorkerSettings
from worker.tokenizer import load_tokenizer

CPU = torch.device("cpu")
DIALOGUES = Path(__file__).parents[2] / "bench" / "dialogues.jsonl"
PEFT_IS_BEHIND = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A whole checkpoint in ChatGLM2's format, to be damaged."""
    return chatglm2.write(tmp_path / "model")


def load(directory: Path, **options: Any) -> PreTrainedModel:
    defaults: dict[str, Any] = {"dtype": "float32", "device": CPU}
    return load_model(examine(directory), **(defaults | options))


def change_config(directory: Path, **changes: Any) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        result: torch.Tensor = model(torch.tensor([chatglm2.prompt(40)])).logits[0]
    return result


def test_the_original_format_loads_exactly(directory: Path) -> None:
    assert (logits(load(directory)) - chatglm2.forward(chatglm2.prompt(40))).abs().max() < 1e-4


@pytest.mark.parametrize("change", [{"layernorm_epsilon": 1e-2}, {"rope_ratio": 50}, {"multi_query_group_num": 2}])
def test_each_number_of_the_configuration_is_used(directory: Path, change: dict[str, Any]) -> None:
    change_config(directory, **change)
    is_same = bool((logits(load(directory)) - chatglm2.forward(chatglm2.prompt(40))).abs().max() < 1e-4)
    assert is_same == (change.items() <= chatglm2.CONFIG.items())


def test_a_converted_model_is_plain_glm_and_computes_the_same(directory: Path, tmp_path: Path) -> None:
    converted = tmp_path / "converted"
    convert(directory, converted)
    plain = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    assert type(plain).__name__ == "GlmForCausalLM"
    assert (logits(plain) - logits(load(directory))).abs().max() == 0
    assert {"tokenizer.json", "chat_template.jinja", "model.safetensors"} <= {file.name for file in converted.iterdir()}
    assert "[Round " in (examine(converted).chat_template or "")


def test_a_converted_model_names_its_class_and_its_rotation_for_other_programs(directory: Path, tmp_path: Path) -> None:
    convert(directory, tmp_path / "converted")
    config = json.loads((tmp_path / "converted" / "config.json").read_text())
    assert config["architectures"] == ["GlmForCausalLM"]
    assert config["model_type"] == "glm"
    assert config["dtype"] == "float16"
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5}
    assert (config["eos_token_id"], config["pad_token_id"], config["vocab_size"]) == (2, 0, 640)
    named = getattr(transformers, config["architectures"][0])
    assert (
        logits(named.from_pretrained(tmp_path / "converted", dtype="float32")) - logits(load(directory))
    ).abs().max() == 0


def test_a_converted_models_files_are_readable_by_everybody(directory: Path, tmp_path: Path) -> None:
    convert(directory, tmp_path / "converted")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "converted").iterdir()}
    assert set(modes.values()) == {0o644}, modes


@PEFT_IS_BEHIND
@pytest.mark.parametrize("form", ["original", "native"])
def test_an_adapter_is_merged_into_a_directory_of_its_own(directory: Path, tmp_path: Path, form: str) -> None:
    adapter = write_adapter(load(directory), tmp_path / "adapter")
    source = directory
    if form == "native":
        source = tmp_path / "native"
        convert(directory, source)
    merge(source, adapter, tmp_path / "merged")
    whole = load(tmp_path / "merged")
    expected = load(directory, adapter=adapter)
    assert (logits(whole) - logits(expected)).abs().max() < 0.05  # written in float16
    assert (logits(whole) - logits(load(directory))).abs().max() > 0.5
    pieces = list(rounds([], "我很累", instruction=""))
    assert load_tokenizer(tmp_path / "merged", has_prefix=True).prompt_ids(pieces)
    assert "[Round " in (examine(tmp_path / "merged").chat_template or "")
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "merged").iterdir()} == {0o644}


def test_a_converted_model_reads_prompts_as_before_also_for_other_programs(directory: Path, tmp_path: Path) -> None:
    convert(directory, tmp_path / "converted")
    text = "[Round 1]\n\n问：求助者:我很累 sop </s>。支持者:\n\n答："
    pieces = list(rounds([], "我很累 sop </s>", instruction=""))
    expected = load_tokenizer(directory, has_prefix=True).prompt_ids(pieces)
    assert load_tokenizer(tmp_path / "converted", has_prefix=True).prompt_ids(pieces) == expected
    wrapped: Any = AutoTokenizer
    other = wrapped.from_pretrained(tmp_path / "converted")
    messages = [{"role": "user", "content": "求助者:我很累 sop </s>。支持者:"}]
    assert other.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == text
    assert other(text).input_ids == expected


def test_converting_never_writes_into_a_directory_that_holds_something(directory: Path) -> None:
    with pytest.raises(ModelUnusable, match="not empty"):
        convert(directory, directory)


def write_adapter(model: PreTrainedModel, directory: Path) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    tuned: Any = get_peft_model(model, LoraConfig(target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    tuned.save_pretrained(directory, save_embedding_layers=False)
    return directory


@PEFT_IS_BEHIND
def test_an_adapter_is_merged(directory: Path, tmp_path: Path) -> None:
    adapter = write_adapter(load(directory), tmp_path / "adapter")
    merged = load(directory, adapter=adapter)
    assert type(merged).__name__ == "ChatGLM2ForCausalLM"
    assert (logits(merged) - logits(load(directory))).abs().max() > 1e-2


@PEFT_IS_BEHIND
def test_an_adapter_of_another_model_is_refused(directory: Path, tmp_path: Path) -> None:
    adapter = write_adapter(load(BUNDLED), tmp_path / "adapter")
    with pytest.raises(ModelUnusable, match="does not fit"):
        load(directory, adapter=adapter)


def test_a_directory_that_is_no_adapter_is_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="adapter_config"):
        load(directory, adapter=tmp_path)


def shards(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.bin"))


def truncate(directory: Path) -> None:
    file = shards(directory)[1]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def drop_the_weights(directory: Path) -> None:
    for file in shards(directory):
        file.unlink()


def drop_a_layer(directory: Path) -> None:
    held = torch.load(shards(directory)[0])
    name = next(key for key in held if "dense_4h_to_h" in key)
    torch.save({key: value for key, value in held.items() if key != name}, shards(directory)[0])


def add_prefix_encoder(directory: Path) -> None:
    held = torch.load(shards(directory)[0])
    torch.save(held | {"transformer.prefix_encoder.embedding.weight": torch.ones(2, 2)}, shards(directory)[0])


def change_a_shape(directory: Path) -> None:
    held = torch.load(shards(directory)[1])
    name = "transformer.output_layer.weight"
    torch.save(held | {name: held[name][:, :-1].clone()}, shards(directory)[1])


def pointer(directory: Path) -> None:
    pointer_at(shards(directory)[0])


def pointer_at(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(shutil.rmtree, "not a directory", id="nothing there"),
        pytest.param(lambda at: (at / "config.json").unlink(), "no config.json", id="no configuration"),
        pytest.param(lambda at: (at / "config.json").write_text("{"), "not JSON", id="broken configuration"),
        pytest.param(lambda at: (at / "config.json").write_text("{}"), "model_type", id="empty configuration"),
        pytest.param(lambda at: change_config(at, model_type="no-such"), "no-such", id="unknown type"),
        pytest.param(drop_the_weights, "no weights", id="no weights"),
        pytest.param(lambda at: shards(at)[0].unlink(), "1 of 2 shards", id="a missing shard"),
        pytest.param(truncate, "cut short", id="a truncated shard"),
        pytest.param(lambda at: shards(at)[0].write_bytes(b""), "cut short", id="an empty shard"),
        pytest.param(pointer, "LFS", id="a pointer instead of weights"),
        pytest.param(lambda at: pointer_at(at / "tokenizer.model"), "LFS", id="a pointer instead of a tokenizer"),
        pytest.param(lambda at: pointer_at(at / "tokenizer.json"), "tokenizer.json is a Git LFS", id="the other form"),
        pytest.param(lambda at: pointer_at(at / "config.json"), "LFS", id="a pointer instead of a configuration"),
        pytest.param(drop_a_layer, "missing .*down_proj", id="a missing layer"),
        pytest.param(add_prefix_encoder, "P-tuning", id="a P-tuning checkpoint by its weights"),
        pytest.param(lambda at: change_config(at, pre_seq_len=128), "P-tuning", id="a P-tuning checkpoint"),
        pytest.param(change_a_shape, "mismatched .*lm_head", id="another shape"),
        pytest.param(lambda at: change_config(at, rmsnorm=False), "rmsnorm=False", id="other mathematics"),
    ],
)
def test_what_is_wrong_with_a_directory_is_named(directory: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(directory)
    with pytest.raises(ModelUnusable, match=said):
        load(directory)


def test_a_truncated_safetensors_file_is_named(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(BUNDLED, tmp_path / "model"))
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelUnusable, match="cut short"):
        examine(copy)


def test_an_adapters_directory_says_how_to_use_it(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelUnusable, match="MINDGLM_ADAPTER"):
        examine(tmp_path)


def test_no_memory_on_the_device_says_what_to_do(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_args: object, **_options: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("worker.model.load._from_pretrained", exhausted)
    with pytest.raises(ModelUnusable, match="does not fit into the memory of cpu"):
        load(directory)


def test_the_models_own_code_is_never_run(directory: Path) -> None:
    (directory / "modeling_chatglm.py").write_text("raise SystemExit('ran')")
    (directory / "tokenization_chatglm.py").write_text("raise SystemExit('ran')")
    load(directory)


def test_without_a_name_the_bundled_model_is_found() -> None:
    assert find_model(None) == BUNDLED
    assert [file.name for file in weight_files(BUNDLED)] == ["model.safetensors"]


@pytest.mark.parametrize("name", ["./no/such/place", "./nowhere", "noslash", "a/b/c"])
def test_a_name_that_is_neither_directory_nor_hub_id_is_refused(name: str) -> None:
    with pytest.raises(ModelUnusable, match="neither"):
        find_model(name)


def test_the_engine_is_checked_against_the_model_it_runs(directory: Path) -> None:
    settings = WorkerSettings(model=str(directory), device="cpu", dtype="float32", threads=1, max_reply_tokens=8)
    report = check(settings, capacity=2, texts=["我很累", "嗯"])
    assert report.is_exact_enough
    assert report.parity_error < 1e-5
    assert [exchange.text for exchange in report.conversation] == ["我很累", "嗯"]
    assert set(report.tokens_per_second) == {1, 2}


def test_the_check_of_a_quantised_model_says_what_the_bits_cost() -> None:
    settings = WorkerSettings(device="cpu", threads=1, max_reply_tokens=8, quantize="int8")
    report = check(settings, capacity=1, texts=["我很累"])
    assert report.is_exact_enough
    assert report.full_loss is not None
    assert 3 < report.full_loss < 5
    assert abs(report.loss - report.full_loss) < 0.05
    assert report.model_version.endswith("-int8")


def test_the_probe_finds_the_punctuation_that_the_weights_were_trained_on() -> None:
    found = probe(
        load(BUNDLED),
        load_tokenizer(BUNDLED, has_prefix=True),
        read_dialogues(DIALOGUES),
        instruction=INSTRUCTION,
        max_replies=8,
    )
    assert found.better == "seed"
    assert found.losses["seed"] < found.losses["fullwidth"]
    assert found.reply_count == 8


def test_dialogues_may_be_pairs_or_roles(tmp_path: Path) -> None:
    file = tmp_path / "dialogues.jsonl"
    file.write_text('[["甲", "乙"]]\n[{"role": "client", "content": "甲"}, {"role": "counselor", "content": "乙"}]')
    assert read_dialogues(file) == [[Exchange("甲", "乙")]] * 2
    file.write_text('{"not": "a dialogue"}')
    with pytest.raises(ModelUnusable, match="no dialogue"):
        read_dialogues(file)


def test_the_fingerprint_changes_with_the_configuration(directory: Path) -> None:
    before = fingerprint(directory)
    change_config(directory, rope_ratio=2)
    assert fingerprint(directory) != before


def test_the_fingerprint_changes_with_a_single_weight_and_with_the_adapter(directory: Path, tmp_path: Path) -> None:
    before = fingerprint(directory)
    file = shards(directory)[0]
    held = torch.load(file)
    next(value for value in held.values() if value.dim() == 2)[0, 0] += 1
    torch.save(held, file)
    assert fingerprint(directory) != before
    adapters = [tmp_path / "one", tmp_path / "two"]
    for number, adapter in enumerate(adapters):
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text("{}")
        (adapter / "adapter_model.safetensors").write_bytes(bytes([number]))
    found = {fingerprint(directory), *(fingerprint(directory, adapter=adapter) for adapter in adapters)}
    assert len(found) == 3


def test_the_hardware_decides_unless_it_is_told() -> None:
    assert choose_device("cpu") == CPU
    assert choose_dtype("float16", device=CPU, stored=None) is torch.float16
    assert choose_dtype("auto", device=CPU, stored=torch.float16) in {torch.bfloat16, torch.float32}
    assert choose_threads(3) == 3
    assert choose_threads(None) >= 1


def test_weights_lie_in_huge_pages_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HUGE_PAGES, raising=False)
    prefer_huge_pages()
    assert os.environ[HUGE_PAGES] == "1"
    monkeypatch.setenv(HUGE_PAGES, "0")
    prefer_huge_pages()
    assert os.environ[HUGE_PAGES] == "0"


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of Linux")
def test_this_torch_knows_of_huge_pages() -> None:
    allocator = Path(torch.__file__).parent / "lib" / "libc10.so"
    assert HUGE_PAGES.encode() in allocator.read_bytes()
