"""A trained model's directory, as the worker loads it: bfloat16 safetensors, tokenizer, chat template."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from training.trouble import TrainingTrouble
from worker.engine.port import ModelUnusable
from worker.model.convert import write_tokenizer
from worker.model.examine import examine
from worker.model.load import load_model
from worker.model.write import make_readable, write_model
from worker.tokenizer import Tokenizer


def write(model: PreTrainedModel, source: Path, target: Path) -> None:
    """Write `model` to `target` with the tokenizer in `source`, in the native form; the model stays as it is."""
    whole: Any = model
    tensors = {name: numbers.detach().to("cpu", torch.bfloat16) for name, numbers in whole.state_dict().items()}
    dtype = whole.config.dtype
    whole.config.dtype = torch.bfloat16
    write_model(model, target, tensors=tensors)
    whole.config.dtype = dtype
    write_tokenizer(source, target, is_chatglm2=not (source / "tokenizer.json").is_file())
    make_readable(target)


def read(directory: Path, *, dtype: torch.dtype, device: torch.device, adapter: Path | None = None) -> PreTrainedModel:
    """A model ready to be trained. Raises `TrainingTrouble`."""
    try:
        name = str(dtype).removeprefix("torch.")
        return load_model(examine(directory), dtype=name, device=device, adapter=adapter)
    except ModelUnusable as error:
        raise TrainingTrouble(str(error)) from error


def id_of(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must be there. Raises `TrainingTrouble`."""
    found = tokenizer.id_of(token)
    if found is None:
        raise TrainingTrouble(f"The tokenizer has no {token!r}; train one with `mindglm train tokenizer`.")
    return found
