"""The model that a phase trains: whole, or with LoRA on top of frozen weights (Hu et al. 2021) by PEFT."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from training import release
from training.core import attention
from training.data.encoding import Encoder
from training.machine import choose_precision
from training.recipe import TuningRecipe
from training.trouble import TrainingTrouble
from worker.engine.port import ModelUnusable
from worker.model.examine import Examined, examine
from worker.model.write import make_readable
from worker.tokenizer import Tokenizer, load_tokenizer

ADAPTER = "adapter"
MODEL = "model"
_ROUNDS_MARK = "[Round "


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A model with its tokenizer and prompt. `source` is the directory whose weights it began from.

    `outer` is what is saved: PEFT's wrapper around `model`, or `model` itself.
    """

    model: PreTrainedModel
    outer: Any
    encoder: Encoder
    pad_id: int
    source: Path
    has_adapter: bool

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What learns."""
        return {name: weights for name, weights in self.outer.named_parameters() if weights.requires_grad}

    @property
    def stop_ids(self) -> list[int]:
        """Every id that ends a reply, as the worker ends it."""
        configs: tuple[Any, ...] = (self.model.config, self.model.generation_config)
        named = [config.eos_token_id for config in configs if config is not None]
        return sorted({id_ for ids in named if ids is not None for id_ in (ids if isinstance(ids, list) else [ids])})

    def save(self, target: Path) -> None:
        """Write the adapter (for MINDGLM_ADAPTER) or the whole model (for MINDGLM_MODEL) below `target`."""
        if self.has_adapter:
            self.outer.save_pretrained(target / ADAPTER, save_embedding_layers=False)
            make_readable(target / ADAPTER)
        else:
            release.write(self.model, self.source, target / MODEL)

    def reference(self) -> "Reference":
        """What the student was before it learned anything."""
        return Reference(self)


class Reference:
    """The student's beginning: its adapter switched off where it has one, a frozen copy where it has none."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self._copy = None if student.has_adapter else copy.deepcopy(student.model).requires_grad_(requires_grad=False)

    @contextmanager
    def model(self) -> Iterator[PreTrainedModel]:
        """The model to compute with, for as long as the context lasts."""
        if self._copy is not None:
            yield self._copy
            return
        with self._student.outer.disable_adapter():
            yield self._student.model


def load(source: Path, recipe: TuningRecipe, *, device: torch.device, adapter: Path | None = None) -> Student:
    """The model in `source` as the recipe wants it trained, with `adapter` merged first. Raises `TrainingTrouble`."""
    examined = _examined(source)
    dtype = choose_precision(recipe, device)
    model = release.read(source, dtype=dtype, device=device, adapter=adapter)
    model.requires_grad_(requires_grad=recipe.lora is None)
    if recipe.recomputed:
        cast("Any", model).activation_checkpointing_enable()
        cast("Any", model).enable_input_require_grads()
    attention.use(model)
    outer = model if recipe.lora is None else _adapted(model, recipe)
    tokenizer = load_tokenizer(source, has_prefix=True)
    return Student(
        model=model,
        outer=outer,
        encoder=Encoder(tokenizer=tokenizer, instruction=recipe.instruction, end_id=_end_id(model)),
        pad_id=int(cast("Any", model.config).pad_token_id or 0),
        source=examined.directory,
        has_adapter=recipe.lora is not None,
    )


def tokenizer_of(source: Path) -> Tokenizer:
    """The tokenizer of a model that is prompted in rounds."""
    _examined(source)
    return load_tokenizer(source, has_prefix=True)


def _adapted(model: PreTrainedModel, recipe: TuningRecipe) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = recipe.lora
    if lora is None:
        raise ValueError
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():  # PEFT asks transformers by a name that is going away
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        return get_peft_model(model, config)


def _examined(source: Path) -> Examined:
    try:
        examined = examine(source)
    except ModelUnusable as error:
        raise TrainingTrouble(str(error)) from error
    if not (examined.is_chatglm2 or _ROUNDS_MARK in (examined.chat_template or "")):
        raise TrainingTrouble(f"{source} is not prompted in ChatGLM2's rounds; only such models are trained here.")
    return examined


def _end_id(model: PreTrainedModel) -> int:
    ends = cast("Any", model.config).eos_token_id
    return int(ends[0] if isinstance(ends, list) else ends)
