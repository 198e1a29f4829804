"""Where a run's numbers go while it runs, beside its own log: TensorBoard's event files, Weights & Biases, MLflow."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from training.recipe import Recipe
from training.trouble import TrainingTrouble

EVENTS = "tensorboard"
_PROJECT = "mindglm"
_FLUSH_SECONDS = 1

Report = Callable[[int, Mapping[str, float]], None]
"""A step, and the numbers that belong to it."""


@contextmanager
def reports(recipe: Recipe, directory: Path, *, step: int) -> Iterator[Report]:
    """One function that tells all services of the recipe; `step` is where the run begins or goes on.

    Raises `TrainingTrouble` where one is not installed or does not let the run begin. Later faults of a service do not
    end a run: the numbers are in its log.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(_SERVICES[name](recipe, directory, step)) for name in recipe.reports]
        yield partial(_tell_all, opened)


def _tell_all(opened: Sequence[Report], step: int, numbers: Mapping[str, float]) -> None:
    for tell in opened:
        with contextlib.suppress(Exception):
            tell(step, numbers)


@contextmanager
def _tensorboard(_recipe: Recipe, directory: Path, step: int) -> Iterator[Report]:
    from tensorboardX import SummaryWriter

    def tell(at: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            events.add_scalar(name, value, at)

    with SummaryWriter(logdir=str(directory / EVENTS), purge_step=step or None, flush_secs=_FLUSH_SECONDS) as events:
        yield tell


@contextmanager
def _wandb(recipe: Recipe, directory: Path, _step: int) -> Iterator[Report]:
    wandb = _imported("wandb")
    try:
        run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=directory.name,
            dir=str(directory),
            config=recipe.model_dump(mode="json"),
        )
    except Exception as error:  # noqa: BLE001  # its errors share no class
        _refused("wandb", error)
    try:
        yield lambda at, numbers: run.log(dict(numbers), step=at)
    finally:
        run.finish()


@contextmanager
def _mlflow(recipe: Recipe, directory: Path, _step: int) -> Iterator[Report]:
    mlflow = _imported("mlflow")
    try:
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT))
        run: Any = mlflow.start_run(run_name=directory.name)
        mlflow.log_dict(recipe.model_dump(mode="json"), "recipe.json")
    except Exception as error:  # noqa: BLE001  # its errors share no class
        _refused("mlflow", error)
    with run:
        yield lambda at, numbers: mlflow.log_metrics(dict(numbers), step=at)


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise TrainingTrouble(f"The recipe reports to {name}, which is not installed: pip install {name}") from error


def _refused(name: str, error: Exception) -> NoReturn:
    raise TrainingTrouble(f"{name} did not begin a run ({type(error).__name__}); take it from `reports`.") from error


_SERVICES: Mapping[str, Callable[[Recipe, Path, int], Any]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
