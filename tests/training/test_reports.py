"""A run's numbers reach the services that the recipe names, while it runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.patience import wait_until
from training.core.reports import EVENTS, reports
from training.recipe import Recipe
from training.trouble import TrainingTrouble


def module(name: str, **functions: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(functions)
    return made


class Wandb:
    """What of Weights & Biases is used: https://docs.wandb.ai/ref/python/init and Run.log."""

    def __init__(self) -> None:
        self.logged = list[tuple[int, dict[str, float]]]()
        self.is_finished = False

    def init(self, *, project: str, name: str, dir: str, config: dict[str, Any]) -> "Wandb":  # noqa: A002  # its word
        assert (project, name) == ("mindglm", Path(dir).name)
        assert config["seed"] == Recipe().seed
        return self

    def log(self, data: dict[str, float], *, step: int) -> None:
        if "bad" in data:
            raise ConnectionError
        self.logged.append((step, data))

    def finish(self) -> None:
        self.is_finished = True


class Mlflow:
    """What of MLflow is used: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html."""

    def __init__(self) -> None:
        self.logged = list[tuple[int, dict[str, float]]]()
        self.is_running = False

    def set_experiment(self, name: str) -> None:
        assert name == "mindglm"

    @contextmanager
    def start_run(self, *, run_name: str) -> Iterator[None]:
        assert run_name
        self.is_running = True
        yield
        self.is_running = False

    def log_dict(self, dictionary: dict[str, Any], file: str) -> None:
        assert dictionary["seed"] == Recipe().seed
        assert file == "recipe.json"

    def log_metrics(self, metrics: dict[str, float], *, step: int) -> None:
        assert self.is_running
        self.logged.append((step, metrics))


def test_tensorboard_has_the_numbers_before_the_run_ends(tmp_path: Path) -> None:
    with reports(Recipe(), tmp_path, step=0) as report:
        report(10, {"train/loss": 2.5})
        (events,) = (tmp_path / EVENTS).glob("events.*")
        wait_until(lambda: b"train/loss" in events.read_bytes())


def test_other_services_are_told_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb, mlflow = Wandb(), Mlflow()
    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=wandb.init))
    monkeypatch.setitem(
        sys.modules,
        "mlflow",
        module("mlflow", **{name: getattr(mlflow, name) for name in dir(mlflow) if not name.startswith("_")}),
    )
    with reports(Recipe(reports=("wandb", "mlflow")), tmp_path, step=0) as report:
        report(3, {"bad": 1.0})  # a service that fails does not end the run
        report(4, {"train/loss": 2.0})
    assert wandb.logged == [(4, {"train/loss": 2.0})]
    assert wandb.is_finished
    assert [step for step, _ in mlflow.logged] == [3, 4]
    assert not mlflow.is_running


def test_a_service_that_is_not_installed_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with (
        pytest.raises(TrainingTrouble, match="pip install wandb"),
        reports(Recipe(reports=("wandb",)), tmp_path, step=0),
    ):
        pass


def test_a_service_that_refuses_to_begin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise PermissionError

    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=init))
    with (
        pytest.raises(TrainingTrouble, match="wandb did not begin a run"),
        reports(Recipe(reports=("wandb",)), tmp_path, step=0),
    ):
        pass
