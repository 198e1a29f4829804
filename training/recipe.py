"""Everything that decides a run, in one YAML file; the file that was used is kept beside the result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dialogue.process.settings import INSTRUCTION
from training.core.checkpoint import RECIPE
from training.trouble import TrainingTrouble

AnyRecipe = TypeVar("AnyRecipe", bound="Recipe")


class Recipe(BaseModel):
    """What all phases have in common. Rates are peaks of the schedule, lengths in tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: dict[str, str] = Field(default={}, description="What the run was given; written by the commands.")
    seed: int = 20261121
    instruction: str = INSTRUCTION
    hours: float | None = Field(default=None, gt=0, description="Wall-clock budget; the rate falls towards its end.")
    steps: int | None = Field(default=None, ge=1, description="Steps; with hours, whichever ends first.")
    rows: int = Field(default=8, ge=1, description="Packed rows in a batch.")
    length: int = Field(default=512, ge=32, description="Tokens in a row.")
    accumulate: int = Field(default=1, ge=1, description="Batches to a step.")
    rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=20, ge=0, description="Steps.")
    decay: float = Field(default=0.3, ge=0, le=1, description="Part of the run over which the rate falls to nothing.")
    clip: float = Field(default=1.0, gt=0)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="float16, with a scaled loss, is for GPUs that know no bfloat16."
    )
    device: str = "auto"
    threads: int | None = Field(default=None, ge=1)
    compiled: bool = Field(default=False, description="Compile the model first: minutes at the start, then quicker.")
    measured: int = Field(default=64, ge=1, description="Held-out dialogues to measure with during the run.")
    measure_minutes: float = Field(default=15.0, gt=0)
    save_minutes: float = Field(default=4.0, gt=0)
    log_steps: int = Field(default=10, ge=1)
    reports: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = Field(
        default=("tensorboard",), description="Where the numbers go while it runs, beside log.jsonl."
    )


class PretrainRecipe(Recipe):
    """A small model from scratch, or further from published weights."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    groups: int = 2
    head_width: int = 64
    feed_forward: int = 768
    context: int = 1024
    rate: float = Field(default=0.02, gt=0, description="Muon's, for the matrices.")
    plain_rate: float = Field(default=4e-3, gt=0, description="AdamW's, for embeddings, biases and norms.")
    warmup: int = 40
    decay: float = 0.4
    hours: float | None = 1.0
    compiled: bool = False
    client_weight: float = Field(default=1.0, ge=0, le=1, description="What predicting the client's words counts.")


class Lora(BaseModel):
    """Low-rank updates of frozen matrices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] | None = Field(
        default=None, description="Names of modules; null: every matrix of the model's layers."
    )
    base_bits: Literal[4, 16] = Field(
        default=16, description="4 is QLoRA: the frozen matrices in NF4, a quarter of the memory, somewhat slower."
    )


class TuningRecipe(Recipe):
    """A model that exists goes on learning: with LoRA, or whole where `lora` is null."""

    lora: Lora | None = Lora()
    recomputed: bool = Field(default=False, description="Compute activations twice instead of keeping them.")
    rows: int = Field(default=4, ge=1)
    hours: float | None = 1.0


class SftRecipe(TuningRecipe):
    """Supervised fine-tuning on the supporter's words."""

    length: int = Field(default=768, ge=32, description="Tokens in a row; what is longer is cut.")


class RewardRecipe(TuningRecipe):
    """A reward model from comparisons; `rows` are comparisons in a batch."""

    length: int = Field(default=768, ge=32)


class DpoRecipe(TuningRecipe):
    """Direct preference optimisation; `rows` are comparisons in a batch."""

    length: int = Field(default=768, ge=32)
    rate: float = Field(default=5e-6, gt=0)
    beta: float = Field(default=0.1, gt=0, description="How strongly the reference holds the policy back.")


class PpoRecipe(TuningRecipe):
    """Proximal policy optimisation against a reward model; `rows` are replies in a minibatch."""

    length: int = Field(default=768, ge=32)
    rate: float = Field(default=1e-5, gt=0)
    decay: float = 0.0
    warmup: int = 5
    hours: float | None = 1.0
    rollouts: int = Field(default=64, ge=1, description="Replies drawn in one iteration.")
    epochs: int = Field(default=2, ge=1, description="How often the replies of an iteration are learned from.")
    reply_tokens: int = Field(default=128, ge=1)
    clip_range: float = Field(default=0.2, gt=0, description="Epsilon of the clipped objective.")
    value_weight: float = Field(default=0.1, ge=0)
    discount: float = Field(default=1.0, gt=0, le=1, description="Gamma.")
    smoothing: float = Field(default=0.95, ge=0, le=1, description="Lambda of generalised advantage estimation.")
    kl_weight: float = Field(default=0.05, ge=0, description="Beta at the start.")
    kl_target: float | None = Field(
        default=6.0, gt=0, description="Nats per reply that beta is steered to; null keeps beta."
    )
    unfinished_penalty: float = Field(default=1.0, ge=0, description="Taken from a reply that does not end.")


OF_PHASE: Mapping[str, type[TuningRecipe]] = {
    "sft": SftRecipe,
    "reward": RewardRecipe,
    "dpo": DpoRecipe,
    "ppo": PpoRecipe,
}


def read(kind: type[AnyRecipe], file: Path | None, changes: Mapping[str, Any]) -> AnyRecipe:
    """The defaults, changed by a YAML file, changed by what was said on the command line. Raises `TrainingTrouble`."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file else {}
        given = {name: value for name, value in changes.items() if value is not None}
        return kind(**{**(content or {}), **given})
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise TrainingTrouble(f"{file} is not a recipe ({type(error).__name__}).") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise TrainingTrouble(f"The recipe does not fit: {wrong}") from error


def keep(recipe: Recipe, directory: Path) -> None:
    """Write the recipe beside the result."""
    content = yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
    (directory / RECIPE).write_text(content, encoding="utf-8")


def kept(kind: type[AnyRecipe], directory: Path) -> AnyRecipe:
    """The recipe of a run that is to be resumed. Raises `TrainingTrouble`."""
    file = directory / RECIPE
    if not file.is_file():
        raise TrainingTrouble(f"{directory} holds no run to resume ({RECIPE} is not there).")
    return read(kind, file, {})
