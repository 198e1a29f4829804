"""P-tuning v2: what the engine computes behind a prefix is what the published architecture does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.worker.engine import chatglm2
from tests.worker.engine.builders import last, request
from worker.engine.assemble import assemble
from worker.engine.batched import Batched
from worker.engine.port import ModelUnusable
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.model.convert import convert
from worker.settings import WorkerSettings
from worker.vllm.model import servable

LENGTH = 32
SHAPE = (LENGTH, 2, 2, 2, 8)
"""Virtual tokens, layers, keys and values, groups, width."""


def random(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def encoder(*, is_projected: bool) -> tuple[dict[str, Tensor], Tensor]:
    """The weights under their publisher's names, and the keys and values that they stand for."""
    size = 2 * 2 * 2 * 8
    table = random(LENGTH, size, seed=1)
    named = {"transformer.prefix_encoder.embedding.weight": table}
    if not is_projected:
        return named, table.view(SHAPE)
    first, second = random(32, size, seed=2, scale=0.2), random(size, 32, seed=3, scale=0.5)
    biases = random(32, seed=4), random(size, seed=5)
    for number, weight, bias in ((0, first, biases[0]), (2, second, biases[1])):
        named[f"transformer.prefix_encoder.trans.{number}.weight"] = weight
        named[f"transformer.prefix_encoder.trans.{number}.bias"] = bias
    return named, ((table @ first.T + biases[0]).tanh() @ second.T + biases[1]).view(SHAPE)


def write_prefix(directory: Path, *, is_projected: bool = False, length: int = LENGTH) -> Path:
    """As ChatGLM2's P-tuning script saves it: the prefix alone, beside the whole configuration."""
    directory.mkdir()
    torch.save(encoder(is_projected=is_projected)[0], directory / "pytorch_model.bin")
    config = chatglm2.CONFIG | {"pre_seq_len": length, "prefix_projection": is_projected}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def settings(model: Path, **changes: object) -> WorkerSettings:
    values = {
        "model": str(model),
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "top_k": 1,
        "engine": "transformers",
    }
    return WorkerSettings(**(values | changes))  # type: ignore[arg-type]  # one builder for all fields


def behind(runner: Runner, ids: list[int]) -> Tensor:
    """The logits after `ids`, in two chunks and a single token, in blocks behind the pinned ones."""
    blocks = [0, 1, 9, 7, 5, 3]
    for start, stop in ((0, 20), (20, len(ids) - 1), (len(ids) - 1, len(ids))):
        found = runner.logits([RunnerInput(ids[start:stop], LENGTH + start, blocks, needs_token=True)])
    return found[0]


@pytest.mark.parametrize("is_projected", [False, True], ids=["table", "projected"])
@pytest.mark.parametrize("form", ["original", "converted", "together"])
def test_the_prefix_is_read_before_every_sequence(tmp_path: Path, is_projected: bool, form: str) -> None:
    model = chatglm2.write(tmp_path / "model")
    prefix = write_prefix(tmp_path / "prefix", is_projected=is_projected)
    changes: dict[str, object] = {"adapter": str(prefix)}
    if form == "converted":
        convert(model, tmp_path / "native")
        model = tmp_path / "native"
    if form == "together":
        (prefix / "pytorch_model.bin").rename(model / "pytorch_model-prefix.bin")
        (prefix / "config.json").rename(model / "config.json")
        changes = {}
    loaded = assemble(settings(model, **changes), capacity=2)
    ids = chatglm2.prompt(45)
    states = encoder(is_projected=is_projected)[1]
    expected = chatglm2.forward(ids, prefix=states)[-1]
    assert isinstance(loaded.runner, Runner)
    assert (behind(loaded.runner, ids) - expected).abs().max() < 1e-3
    assert (expected - chatglm2.forward(ids)[-1]).abs().max() > 1e-1
    loaded.runner.reset()
    assert (behind(loaded.runner, ids) - expected).abs().max() < 1e-3


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Batched]:
    chosen = settings(chatglm2.write(tmp_path / "model"), adapter=str(write_prefix(tmp_path / "prefix")))
    built = Batched(lambda: assemble(chosen, capacity=3), capacity=3)
    built.start()
    yield built
    built.stop()


def test_replies_are_those_of_the_tuned_model(engine: Batched) -> None:
    model = engine._started()
    ids = model.prompter.ids(request("我很累"))
    assert isinstance(model.runner, Runner)
    suppressed, written = model.runner._sampler._suppressed, list(ids)
    for _ in range(12):
        row = chatglm2.forward(written, prefix=encoder(is_projected=False)[1])[-1]
        written.append(int(row.index_fill(0, suppressed, float("-inf")).argmax()))
    decoder = model.prompter.tokenizer.decoder()
    expected = "".join(decoder.push(id_) for id_ in written[len(ids) :])
    for _ in range(3):  # again from the shared beginning
        reply = last(engine, request("我很累", max_tokens=12))
        assert len(reply.text) > 3
        assert expected.strip().startswith(reply.text.rstrip("\ufffd"))
        assert reply.prompt_tokens == len(ids)
        assert reply.reply_tokens <= 12
    assert engine.load.held_blocks == LENGTH // 16


def test_the_tuned_model_has_a_version_of_its_own(engine: Batched) -> None:
    assert engine.model_version.endswith("+prefix")


def test_a_prefix_without_its_model_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="MINDGLM_MODEL to the model and MINDGLM_ADAPTER"):
        assemble(settings(write_prefix(tmp_path / "prefix")), capacity=1)


def test_a_prefix_that_does_not_fill_its_blocks_is_refused(tmp_path: Path) -> None:
    model, prefix = chatglm2.write(tmp_path / "model"), write_prefix(tmp_path / "prefix")
    held = encoder(is_projected=False)[0]
    torch.save({name: tensor[:20] for name, tensor in held.items()}, prefix / "pytorch_model.bin")
    with pytest.raises(ModelUnusable, match="multiple of 16"):
        assemble(settings(model, adapter=str(prefix)), capacity=1)


def test_a_prefix_of_another_model_is_refused(tmp_path: Path) -> None:
    model, prefix = chatglm2.write(tmp_path / "model"), write_prefix(tmp_path / "prefix")
    torch.save({"transformer.prefix_encoder.embedding.weight": torch.zeros(32, 10)}, prefix / "pytorch_model.bin")
    with pytest.raises(ModelUnusable, match="another shape"):
        assemble(settings(model, adapter=str(prefix)), capacity=1)


def test_vllm_is_not_given_half_of_a_model(tmp_path: Path) -> None:
    model, prefix = chatglm2.write(tmp_path / "model"), write_prefix(tmp_path / "prefix")
    chosen = settings(model, adapter=str(prefix), engine="vllm", home=tmp_path / "home")
    with pytest.raises(ModelUnusable, match=r"P-tuning prefix.*MINDGLM_ENGINE=transformers"):
        servable(chosen, max_context=64)
