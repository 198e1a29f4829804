"""What other tools are given becomes, by their own published templates, the prompt that the worker sends."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import Qwen2Config, Qwen2ForCausalLM
from typer.testing import CliRunner

from dialogue.process.settings import INSTRUCTION
from mindglm.train import app
from tests.worker.engine import chatglm2
from tests.worker.test_model_template import SIZES, write_tokenizer
from training.data import corpus
from training.data.dialogue import Dialogue, write_dialogues
from training.data.preferences import Preference, write_preferences
from training.export import export
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange
from worker.engine.prompter import build_prompter
from worker.instructions import HONEST
from worker.model.examine import examine
from worker.prompt import rounds

TOLD = Dialogue((Exchange("我很累", "怎么了？"), Exchange("工作多", "多久了？"), Exchange("一年", "辛苦了")))
CHATML = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
WITHOUT_SYSTEM = CHATML.replace(
    "{%- for", "{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('no') }}{%- endif -%}{%- for", 1
)


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A corpus of one dialogue on each side."""
    directory = tmp_path / "corpus"
    directory.mkdir()
    for name in (corpus.TRAIN, corpus.HELD_OUT):
        write_dialogues(directory / name, [TOLD])
    return directory


def chat_model(directory: Path, template: str = CHATML) -> Path:
    """A tiny random Qwen2 with a published form of template."""
    directory.mkdir()
    size = write_tokenizer(directory)
    file = directory / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": template}))
    torch.manual_seed(1)
    model: Any = Qwen2ForCausalLM(Qwen2Config(**SIZES, vocab_size=size, eos_token_id=size - 1))
    model.save_pretrained(directory)
    return directory


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def by_swift(messages: Sequence[dict[str, str]]) -> str:
    """ms-swift's template `chatglm2`: rounds counted from 1, apart by an empty line."""
    *asked, last = messages
    assert last["role"] == "assistant"
    said = [one["content"] for one in asked]
    whole = [
        f"[Round {number // 2 + 1}]\n\n问：{text}\n\n答：" if number % 2 == 0 else text
        for number, text in enumerate(said)
    ]
    return "".join(f"{text}\n\n" if number % 2 else text for number, text in enumerate(whole))


def served(model: Path, index: int) -> str:
    """The worker's prompt for the reply number `index`."""
    history, text = TOLD.exchanges[:index], TOLD.exchanges[index].text
    prompter = build_prompter(examine(model), style="seed", vocabulary_size=2**31, context=4096)
    return "".join(piece.text for piece in prompter.render(history, text, HONEST))


def test_mindglm_is_exported_in_the_seeds_rounds(tmp_path: Path, told: Path) -> None:
    target = tmp_path / "out"
    counts = export(target, model=chatglm2.write(tmp_path / "model"), tool="ms-swift", data=told)
    assert counts == {"sft": 3, "held_out": 3}
    for index, line in enumerate(lines(target / "sft.jsonl")):
        history, (text, reply) = TOLD.exchanges[:index], TOLD.exchanges[index]
        pieces = rounds(history, text, instruction=INSTRUCTION)
        assert by_swift(line["messages"]) == "".join(piece.text for piece in pieces)
        assert line["messages"][-1]["content"] == reply
    recipe = yaml.safe_load((target / "sft.yaml").read_text())
    assert (recipe["template"], recipe["loss_scale"]) == ("chatglm2", "last_round")


def test_a_chat_model_is_exported_with_the_instruction_that_it_is_served_with(tmp_path: Path, told: Path) -> None:
    model, target = chat_model(tmp_path / "model"), tmp_path / "out"
    export(target, model=model, tool="llama-factory", data=told)
    turn = "<|im_start|>{}\n{}<|im_end|>\n"  # its template `qwen`
    for index, line in enumerate(lines(target / "sft.jsonl")):
        history = "".join(
            turn.format("user", said) + turn.format("assistant", reply) for said, reply in line["history"]
        )
        asked = turn.format("system", line["system"]) + history + turn.format("user", line["instruction"])
        assert f"{asked}<|im_start|>assistant\n" == served(model, index)
        assert line["output"] == TOLD.exchanges[index].reply
    recipe = yaml.safe_load((target / "sft.yaml").read_text())
    assert (recipe["template"], recipe["mask_history"]) == ("qwen", True)
    described = json.loads((target / "dataset_info.json").read_text())
    assert set(described) == {"sft", "held_out"}
    assert set(described["sft"]["columns"].values()) <= set(lines(target / "sft.jsonl")[0])


def test_a_template_without_system_messages_has_the_instruction_before_the_first_words(
    tmp_path: Path, told: Path
) -> None:
    export(tmp_path / "out", model=chat_model(tmp_path / "model", WITHOUT_SYSTEM), tool="ms-swift", data=told)
    messages = lines(tmp_path / "out" / "sft.jsonl")[1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[0]["content"] == f"{HONEST}\n\n我很累"
    assert messages[2]["content"] == "工作多"


@pytest.mark.parametrize(
    ("tool", "chosen", "rejected"),
    [("ms-swift", "messages", "rejected_response"), ("llama-factory", "chosen", "rejected")],
)
def test_comparisons_go_along(tmp_path: Path, tool: Any, chosen: str, rejected: str) -> None:
    pair = Preference(history=(), text="睡不着", chosen="多久了？", rejected="哦", origin="test")
    write_preferences(tmp_path / "c.jsonl.gz", [pair])
    counts = export(
        tmp_path / "out", model=chat_model(tmp_path / "model"), tool=tool, compared=[tmp_path / "c.jsonl.gz"]
    )
    assert counts == {"dpo": 1}
    (line,) = lines(tmp_path / "out" / "dpo.jsonl")
    assert "多久了？" in str(line[chosen])
    assert line[rejected] == "哦"
    assert (tmp_path / "out" / "dpo.yaml").is_file()


def test_llama_factory_is_not_given_what_it_has_no_template_for(tmp_path: Path, told: Path) -> None:
    with pytest.raises(TrainingTrouble, match="--for ms-swift"):
        export(tmp_path / "out", model=chatglm2.write(tmp_path / "model"), tool="llama-factory", data=told)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote(tmp_path: Path, told: Path) -> None:
    words = ["export", str(tmp_path / "out"), "--for", "ms-swift", "--model", str(chat_model(tmp_path / "model"))]
    nothing = CliRunner().invoke(app, words)
    assert nothing.exit_code != 0
    assert "--data" in nothing.output
    done = CliRunner().invoke(app, [*words, "--data", str(told)])
    assert done.exit_code == 0, done.output
    assert "3 examples" in done.output
