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

from dialogue.process.settings import INSTRUCTION
from training import four_bits, release
from training.core import attention
from training.data.encoding import Encoder
from training.machine import choose_precision
from training.recipe import Lora, TuningRecipe
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange, ModelUnusable
from worker.engine.prompter import Prompter, build_prompter
from worker.instructions import Instructions
from worker.model.examine import Examined, examine
from worker.model.write import make_readable
from worker.tokenizer import Tokenizer, load_tokenizer

_CPU = torch.device("cpu")

ADAPTER = "adapter"
MODEL = "model"
_ROUNDS_MARK = "[Round "
_LEARNING, _JUDGING = "default", "judging"
"""PEFT's names of the adapters; its own for the first is `default`."""


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
        return sorted(_stop_ids(self.model))

    def save(self, target: Path) -> None:
        """Write the adapter (for MINDGLM_ADAPTER) or the whole model (for MINDGLM_MODEL) below `target`."""
        if self.has_adapter:
            self.outer.save_pretrained(target / ADAPTER, save_embedding_layers=False, selected_adapters=[_LEARNING])
            make_readable(target / ADAPTER)
        else:
            release.write(self.model, self.source, target / MODEL)

    def with_adapter(self, adapter: Path) -> "AnotherAdapter":
        """A second, frozen adapter over the same weights. Raises `TrainingTrouble`."""
        return AnotherAdapter(self, adapter)

    def reference(self) -> "Reference":
        """What the student was before it learned anything."""
        return Reference(self)


class AnotherAdapter:
    """What the student's weights are with another adapter than the one that learns: no second copy of them is held."""

    def __init__(self, student: Student, adapter: Path) -> None:
        self._student = student
        try:
            with _peft_is_behind():
                student.outer.load_adapter(str(adapter), adapter_name=_JUDGING, is_trainable=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise TrainingTrouble(f"{adapter} does not fit the model ({type(error).__name__}).") from error

    @contextmanager
    def model(self) -> Iterator[PreTrainedModel]:
        """The model to compute with, for as long as the context lasts."""
        self._student.outer.set_adapter(_JUDGING)
        try:
            yield self._student.model
        finally:
            self._student.outer.set_adapter(_LEARNING)


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
    has_four_bits = recipe.lora is not None and recipe.lora.base_bits == four_bits.BITS
    model = release.read(source, dtype=dtype, device=_CPU if has_four_bits else device, adapter=adapter)
    model.requires_grad_(requires_grad=recipe.lora is None)
    if has_four_bits:
        four_bits.freeze(model, dtype=dtype, device=device)
    if recipe.recomputed:
        cast("Any", model).activation_checkpointing_enable()
        cast("Any", model).enable_input_require_grads()
    attention.use(model)
    outer = model if recipe.lora is None else _adapted(model, recipe)
    return Student(
        model=model,
        outer=outer,
        encoder=_encoder(examined, model, recipe),
        pad_id=int(cast("Any", model.config).pad_token_id or 0),
        source=examined.directory,
        has_adapter=recipe.lora is not None,
    )


def tokenizer_of(source: Path) -> Tokenizer:
    """The tokenizer of a model that is prompted in rounds. Raises `TrainingTrouble`."""
    examined = _examined(source)
    if not is_in_rounds(examined):
        raise TrainingTrouble(
            f"{source} is not prompted in ChatGLM2's rounds; only such a tokenizer can begin a model."
        )
    return load_tokenizer(source, has_prefix=True)


def is_in_rounds(examined: Examined) -> bool:
    """Whether a model is prompted in ChatGLM2's rounds."""
    return examined.is_chatglm2 or _ROUNDS_MARK in (examined.chat_template or "")


def _encoder(examined: Examined, model: PreTrainedModel, recipe: TuningRecipe) -> Encoder:
    """The worker's prompt for this model, whichever that is."""
    config: Any = model.config
    try:
        prompter = build_prompter(
            examined, style="seed", vocabulary_size=config.vocab_size, context=config.max_position_embeddings
        )
    except ModelUnusable as error:
        raise TrainingTrouble(str(error)) from error
    if is_in_rounds(examined):
        return Encoder(tokenizer=prompter.tokenizer, instruction=recipe.instruction, end_id=_end_id(model))
    written = None if recipe.instruction == INSTRUCTION else recipe.instruction
    told = Instructions(written=written).of(prompter.version, tier=0)
    return Encoder(
        tokenizer=prompter.tokenizer,
        instruction=recipe.instruction,
        end_id=_template_end_id(prompter, model),
        template=lambda history, text: prompter.render(history, text, told),
    )


def _adapted(model: PreTrainedModel, recipe: TuningRecipe) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = recipe.lora
    if lora is None:
        raise ValueError
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_targets(model, lora),
        task_type="CAUSAL_LM",
    )
    with _peft_is_behind():
        return get_peft_model(model, config)


@contextmanager
def _peft_is_behind() -> Iterator[None]:
    """PEFT asks transformers by a name that is going away."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def _targets(model: PreTrainedModel, lora: Lora) -> list[str]:
    """The names of every matrix of the layers, where the recipe names none."""
    if lora.targets is not None:
        return list(lora.targets)
    head = cast("Any", model).get_output_embeddings()
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return sorted({name.rpartition(".")[2] for name, module in linears.items() if module is not head})


def _examined(source: Path) -> Examined:
    try:
        return examine(source)
    except ModelUnusable as error:
        raise TrainingTrouble(str(error)) from error


def _end_id(model: PreTrainedModel) -> int:
    return _stop_ids(model)[0]


def _template_end_id(prompter: Prompter, model: PreTrainedModel) -> int:
    """What a reply ends with: the frame's first id behind an earlier reply if it stops the model, else its end."""
    stops = _stop_ids(model)
    *_, behind, _, _ = prompter.render([Exchange("a", "b")], "c", "")
    first = prompter.tokenizer.frame_ids(behind.text)[:1]
    return first[0] if first and first[0] in stops else stops[0]


def _stop_ids(model: PreTrainedModel) -> list[int]:
    """Every id that ends a reply, as the worker ends it; the configuration's first."""
    configs: tuple[Any, ...] = (model.config, model.generation_config)
    named = [config.eos_token_id for config in configs if config is not None]
    found = [id_ for ids in named if ids is not None for id_ in (ids if isinstance(ids, list) else [ids])]
    if not found:
        raise TrainingTrouble("The model's configuration names no eos_token_id; its replies would not end.")
    return list(dict.fromkeys(found))
