"""Writes a model in its native form: safetensors, fast tokenizer, chat template; for vLLM, training, safer starts."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from worker.engine.port import ModelUnusable
from worker.model.examine import examine
from worker.model.load import load_model
from worker.tokenizer import Tokenizer, load_tokenizer

_TEMPLATE_FILE = "rounds.jinja"
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
    if target.exists() and any(target.iterdir()):
        raise ModelUnusable(f"{target} is not empty. Name a new directory.")
    tokenizer = load_tokenizer(source, has_prefix=True)
    dtype = examined.config.get("torch_dtype") or "float16"
    model: Any = load_model(examined, dtype=dtype, device=torch.device("cpu"))
    model.config.architectures = ["GlmForCausalLM"]
    target.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(target, save_original_format=False)
    _write_tokenizer(tokenizer, target)


def _write_tokenizer(tokenizer: Tokenizer, target: Path) -> None:
    tokenizer.save(target / "tokenizer.json")
    (target / "tokenizer_config.json").write_text(json.dumps(_TOKENIZER_CONFIG, indent=2), encoding="utf-8")
    template = files(__package__).joinpath(_TEMPLATE_FILE).read_text(encoding="utf-8")
    (target / "chat_template.jinja").write_text(template, encoding="utf-8")
