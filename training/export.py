"""What is trained here, as files for LLaMA-Factory and ms-swift: for many GPUs, for which our own loop does not grow.

Each reply is one example, after exactly what the worker shows before it, in the messages of the model's prompt; the
recipe beside them learns the last reply only. Read off ms-swift 4.6 and LLaMA-Factory 0.9.5.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from dialogue.process.settings import INSTRUCTION
from dialogue.window import seed_prompt
from training.data import corpus
from training.data.compared import read_all
from training.data.dialogue import Dialogue
from training.data.preferences import Preference
from training.data.windows import before
from training.student import is_in_rounds
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange, ModelUnusable
from worker.engine.prompter import build_prompter
from worker.instructions import Instructions
from worker.model.examine import Examined, examine

Tool = Literal["ms-swift", "llama-factory"]

_LENGTH = 1024
"""Tokens; a window of 600 characters with its reply is shorter in every tokenizer that is known here."""

_LLAMA_FACTORY = {"qwen2": "qwen", "qwen3": "qwen3_nothink", "llama": "llama3", "glm4": "glm4", "glm": "glm4"}
"""Its templates by transformers' model type; the others are to be named by hand."""

_THOUGHT = "<think>"
_WORDS, _TOLD = "words", "told"


class Example(NamedTuple):
    """A place where a reply is learned: what the person and we said before, as the model reads it."""

    told: str | None
    history: Sequence[tuple[str, str]]
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """How a model is asked. `told` is its system message; without one the instruction stands before the first words."""

    is_rounds: bool
    instruction: str
    told: str | None = None
    is_thinking: bool = False

    def example(self, history: Sequence[Exchange], text: str) -> Example:
        """The messages before a reply."""
        said = [*(exchange.text for exchange in history), text]
        if self.is_rounds:
            said = [seed_prompt(one, instruction="" if number else self.instruction) for number, one in enumerate(said)]
        elif self.told is None:
            said[0] = f"{self.instruction}\n\n{said[0]}"
        replies = [exchange.reply for exchange in history]
        return Example(self.told, list(zip(said, replies, strict=False)), said[-1])


def export(
    target: Path,
    *,
    model: Path,
    tool: Tool,
    data: Path | None = None,
    compared: Sequence[Path] = (),
    instruction: str = INSTRUCTION,
) -> dict[str, int]:
    """Write files and recipes for `tool` into `target`; returns the examples of each file. Raises `TrainingTrouble`."""
    examined = _examined(model)
    prompting = _prompting(examined, instruction)
    form = _SWIFT if tool == "ms-swift" else _FACTORY
    form.refuse(examined, prompting)
    if data is None and not compared:
        raise TrainingTrouble("Nothing to export: name a corpus (--data) or comparisons (--compared).")
    if target.exists() and any(target.iterdir()):
        raise TrainingTrouble(f"{target} is not empty. Name a new directory.")
    target.mkdir(parents=True, exist_ok=True)
    counts = {}
    if data is not None:
        read = corpus.load(data)
        for name, dialogues in (("sft", read.train), ("held_out", read.held_out)):
            lines = (form.tuned(*one) for one in _replies(dialogues, prompting, instruction))
            counts[name] = _write(target / f"{name}.jsonl", lines)
    if compared:
        pairs = [one for one in read_all(compared, say=lambda _line: None) if one.rejected_after is None]
        lines = (form.compared(prompting.example(one.history, one.text), one) for one in pairs)
        counts["dpo"] = _write(target / "dpo.jsonl", lines)
    form.recipes(target, model, examined, prompting, counts)
    return counts


def _replies(dialogues: Iterable[Dialogue], prompting: Prompting, instruction: str) -> Iterator[tuple[Example, str]]:
    for dialogue in dialogues:
        for index, exchange in enumerate(dialogue.exchanges):
            yield prompting.example(before(dialogue, index, instruction=instruction), exchange.text), exchange.reply


def _examined(model: Path) -> Examined:
    try:
        return examine(model)
    except ModelUnusable as error:
        raise TrainingTrouble(str(error)) from error


def _prompting(examined: Examined, instruction: str) -> Prompting:
    if is_in_rounds(examined):
        return Prompting(is_rounds=True, instruction=instruction)
    try:
        prompter = build_prompter(examined, style="seed", vocabulary_size=2**31, context=_LENGTH)
    except ModelUnusable as error:
        raise TrainingTrouble(str(error)) from error
    written = None if instruction == INSTRUCTION else instruction
    told = Instructions(written=written).of(prompter.version, tier=0)
    before_words, _, behind_words = (piece.text for piece in prompter.render([], _WORDS, _TOLD))
    return Prompting(
        is_rounds=False,
        instruction=told,
        told=None if before_words.endswith(f"{_TOLD}\n\n") else told,
        is_thinking=_THOUGHT in behind_words,
    )


class _Swift:
    """https://swift.readthedocs.io, Custom dataset and Command line parameters."""

    def refuse(self, examined: Examined, prompting: Prompting) -> None:
        """It finds the template of every model that it knows by itself."""

    def tuned(self, example: Example, reply: str) -> dict[str, Any]:
        return {"messages": [*self._messages(example), {"role": "assistant", "content": reply}]}

    def compared(self, example: Example, pair: Preference) -> dict[str, Any]:
        return {**self.tuned(example, pair.chosen), "rejected_response": pair.rejected}

    def recipes(
        self, target: Path, model: Path, _examined: Examined, prompting: Prompting, counts: dict[str, int]
    ) -> None:
        common = {
            "model": str(model),
            "tuner_type": "lora",
            "target_modules": ["all-linear"],
            "lora_rank": 16,
            "lora_alpha": 32,
            "torch_dtype": "bfloat16",
            "max_length": _LENGTH,
            "loss_scale": "last_round",
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 4,
            "warmup_ratio": 0.03,
            "save_steps": 500,
            **({"template": "chatglm2"} if prompting.is_rounds else {}),
            **({"enable_thinking": False} if prompting.is_thinking else {}),
        }
        if "sft" in counts:
            files: dict[str, Any] = {"dataset": "sft.jsonl", "val_dataset": "held_out.jsonl"}
            tuned = {**common, **files, "num_train_epochs": 2, "learning_rate": 1e-4, "output_dir": "sft"}
            _recipe(target / "sft.yaml", "NPROC_PER_NODE=4 swift sft sft.yaml", tuned)
        if "dpo" in counts:
            files = {"rlhf_type": "dpo", "dataset": "dpo.jsonl", "beta": 0.1}
            tuned = {**common, **files, "num_train_epochs": 1, "learning_rate": 5e-6, "output_dir": "dpo"}
            _recipe(target / "dpo.yaml", "NPROC_PER_NODE=4 swift rlhf dpo.yaml", tuned)

    @staticmethod
    def _messages(example: Example) -> Iterator[dict[str, str]]:
        if example.told is not None:
            yield {"role": "system", "content": example.told}
        for said, reply in example.history:
            yield {"role": "user", "content": said}
            yield {"role": "assistant", "content": reply}
        yield {"role": "user", "content": example.said}


class _LlamaFactory:
    """https://github.com/hiyouga/LLaMA-Factory, data/README.md (alpaca) and examples/."""

    def refuse(self, examined: Examined, prompting: Prompting) -> None:
        """Raises `TrainingTrouble` where it has no template for the model, or none is known here."""
        if prompting.is_rounds:
            raise TrainingTrouble(
                "LLaMA-Factory has no template for ChatGLM2's rounds, which this model is prompted in: what it trained "
                "would not be what is served. Take ms-swift (--for ms-swift)."
            )
        if examined.model_type not in _LLAMA_FACTORY:
            raise TrainingTrouble(
                f"Which of LLaMA-Factory's templates is that of a {examined.model_type} is not known here. Take "
                "ms-swift, which finds the template in the model (--for ms-swift)."
            )

    def tuned(self, example: Example, reply: str) -> dict[str, Any]:
        return {**self._asked(example), "output": reply}

    def compared(self, example: Example, pair: Preference) -> dict[str, Any]:
        return {**self._asked(example), "chosen": pair.chosen, "rejected": pair.rejected}

    def recipes(
        self, target: Path, model: Path, examined: Examined, prompting: Prompting, counts: dict[str, int]
    ) -> None:
        columns = {"prompt": "instruction", "system": "system", "history": "history"}
        described = {
            name: {"file_name": f"{name}.jsonl", "columns": {**columns, "response": "output"}}
            if name != "dpo"
            else {
                "file_name": "dpo.jsonl",
                "ranking": True,
                "columns": {**columns, "chosen": "chosen", "rejected": "rejected"},
            }
            for name in counts
        }
        (target / "dataset_info.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
        common = {
            "model_name_or_path": str(model),
            "template": "qwen3" if prompting.is_thinking else _LLAMA_FACTORY[examined.model_type],
            **({"enable_thinking": False} if prompting.is_thinking else {}),
            "finetuning_type": "lora",
            "lora_target": "all",
            "lora_rank": 16,
            "lora_alpha": 32,
            "do_train": True,
            "dataset_dir": ".",
            "cutoff_len": _LENGTH,
            "bf16": True,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 4,
            "lr_scheduler_type": "cosine",
            "warmup_ratio": 0.03,
            "save_steps": 500,
        }
        if "sft" in counts:
            tuned = {"stage": "sft", "dataset": "sft", "eval_dataset": "held_out", "mask_history": True}
            own = {"num_train_epochs": 2, "learning_rate": 1e-4, "output_dir": "sft"}
            _recipe(target / "sft.yaml", "llamafactory-cli train sft.yaml", {**common, **tuned, **own})
        if "dpo" in counts:
            tuned = {"stage": "dpo", "dataset": "dpo", "pref_beta": 0.1}
            own = {"num_train_epochs": 1, "learning_rate": 5e-6, "output_dir": "dpo"}
            _recipe(target / "dpo.yaml", "llamafactory-cli train dpo.yaml", {**common, **tuned, **own})

    @staticmethod
    def _asked(example: Example) -> dict[str, Any]:
        history = [[said, reply] for said, reply in example.history]
        return {"instruction": example.said, "system": example.told or "", "history": history}


_SWIFT, _FACTORY = _Swift(), _LlamaFactory()


def _write(file: Path, lines: Iterable[dict[str, Any]]) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as opened:
        for line in lines:
            opened.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    return count


def _recipe(file: Path, command: str, content: dict[str, Any]) -> None:
    body = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    file.write_text(f"# {command}\n{body}", encoding="utf-8")
