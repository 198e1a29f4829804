"""Writes a loaded model's directory so that every other tool can read it: transformers, vLLM, the next user."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GlmConfig, GlmForCausalLM, PreTrainedModel

_READABLE = 0o644


def write_model(model: PreTrainedModel, target: Path, *, tensors: dict[str, Tensor] | None = None) -> None:
    """Save `model`, or `tensors` in its place, to `target` in the library's own form, readable by everybody.

    A GLM is saved by `GlmForCausalLM` itself: `save_pretrained` names the class that it runs in, and readers that load
    the directory know transformers' classes only.
    """
    target.mkdir(parents=True, exist_ok=True)
    library: Any = model
    if isinstance(model, GlmForCausalLM):
        library = _plain_glm(model, tensors if tensors is not None else dict(model.state_dict()))
        tensors = None
    library.save_pretrained(target, state_dict=tensors, save_original_format=False)
    make_readable(target)


def make_readable(directory: Path) -> None:
    """Mode 0644 for the directory's files; safetensors writes them for their owner alone."""
    for file in directory.iterdir():
        if file.is_file():
            file.chmod(_READABLE)


def _plain_glm(model: GlmForCausalLM, tensors: dict[str, Tensor]) -> GlmForCausalLM:
    """A GLM without weights of its own, to save these ones."""
    config: Any = model.config
    plain_config = GlmConfig.from_dict(config.to_dict())
    plain_config.dtype = next(iter(tensors.values())).dtype
    with torch.device("meta"):
        plain = GlmForCausalLM(plain_config)
    plain.load_state_dict(tensors, assign=True)
    plain.tie_weights()
    plain.generation_config = model.generation_config
    return plain
