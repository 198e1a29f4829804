"""Writes a model in its native form: safetensors, fast tokenizer, chat template; for vLLM, training, safer starts."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import torch

from worker.engine.port import ModelUnusable
from worker.model.examine import Examined, examine
from worker.model.load import load_model
from worker.model.write import make_readable, write_model
from worker.tokenizer import Tokenizer, load_tokenizer

_TEMPLATE_FILE = "rounds.jinja"
_TOKENIZER_FILES = frozenset(
    {
        "added_tokens.json",
        "chat_template.jinja",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
    }
)
_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<unk>",
    "padding_side": "left",
    "split_special_tokens": True,  # a person's "</s>" is text
    "clean_up_tokenization_spaces": False,
    "model_input_names": ["input_ids", "attention_mask"],
}


def convert(source: Path, target: Path) -> None:
    """Write the ChatGLM2 checkpoint in `source` to `target` as plain GLM, numbers unchanged. Raises `ModelUnusable`."""
    examined = examine(source)
    if not examined.is_chatglm2:
        raise ModelUnusable(f"{source} holds a {examined.model_type} model, which is in its native form already.")
    _write(examined, target)


def merge(source: Path, adapter: Path, target: Path) -> None:
    """Write the model in `source` with the LoRA weights in `adapter` added to its own. Raises `ModelUnusable`."""
    _write(examine(source), target, adapter=adapter)


def _write(examined: Examined, target: Path, *, adapter: Path | None = None) -> None:
    if target.exists() and any(target.iterdir()):
        raise ModelUnusable(f"{target} is not empty. Name a new directory.")
    stored = examined.config.get("torch_dtype") or examined.config.get("dtype")
    model = load_model(
        examined, dtype=stored if isinstance(stored, str) else "float16", device=torch.device("cpu"), adapter=adapter
    )
    write_model(model, target)
    write_tokenizer(examined.directory, target, is_chatglm2=examined.is_chatglm2)
    make_readable(target)


def write_tokenizer(source: Path, target: Path, *, is_chatglm2: bool) -> None:
    """Put the tokenizer in `source` beside the native weights in `target`; ChatGLM2's becomes a fast one."""
    if is_chatglm2:
        _write_tokenizer(load_tokenizer(source, has_prefix=True), target)
        return
    for file in source.iterdir():
        if file.name in _TOKENIZER_FILES:
            shutil.copyfile(file, target / file.name)


def _write_tokenizer(tokenizer: Tokenizer, target: Path) -> None:
    tokenizer.save(target / "tokenizer.json")
    (target / "tokenizer_config.json").write_text(json.dumps(_TOKENIZER_CONFIG, indent=2), encoding="utf-8")
    template = files(__package__).joinpath(_TEMPLATE_FILE).read_text(encoding="utf-8")
    (target / "chat_template.jinja").write_text(template, encoding="utf-8")
