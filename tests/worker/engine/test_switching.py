"""Several adapters: the choice is kept, replies in progress finish, and nothing that cannot be loaded takes over."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dialogue.errors import Misconfigured
from mindglm.model import app
from tests.fakes import FakeEngine
from tests.patience import wait_until
from tests.worker.engine.builders import request
from worker.engine.adapters import adapters_of, with_adapter_in_use
from worker.engine.choose import build
from worker.engine.port import Engine, EngineAway, ModelUnusable, Progress, Request
from worker.engine.switching import Switching
from worker.settings import WorkerSettings


class Tuned(FakeEngine):
    """Says its adapter's name; `calm` waits in mid-reply for `go_on`."""

    def __init__(self, name: str, go_on: threading.Event, started: list[str]) -> None:
        super().__init__()
        self.model_version = f"tuned+{name}"
        self._name, self._go_on, self._started = name, go_on, started

    def start(self) -> None:
        self._started.append(self._name)
        if self._name == "broken":
            raise ModelUnusable("broken does not fit the model")

    def stop(self) -> None:
        self._started.append(f"-{self._name}")

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        self._replies = [self._name]
        for progress in super().stream(request):
            yield progress
            if self._name == "calm":
                assert self._go_on.wait(30)


class House:
    """A switching engine and what happens to it."""

    def __init__(self) -> None:
        self.chosen, self.go_on, self.events = "calm", threading.Event(), list[str]()
        self.engine = Switching(self._make, chosen=lambda: self.chosen, look_seconds=0.01)

    def _make(self, name: str) -> Engine:
        return Tuned(name, self.go_on, self.events)

    def reply(self) -> str:
        return list(self.engine.stream(request()))[-1].text


def test_a_reply_in_progress_finishes_before_the_adapter_is_changed() -> None:
    house = House()
    house.engine.start()
    with ThreadPoolExecutor(1) as pool:
        stream = house.engine.stream(request())
        next(stream)
        house.chosen = "brief"
        wait_until(lambda: not house.engine.is_ready())
        with pytest.raises(EngineAway):
            next(house.engine.stream(request()))
        assert house.events == ["calm"]
        assert house.engine.model_version == "tuned+calm"  # heartbeats go on
        house.go_on.set()
        assert pool.submit(list, stream).result()[-1].text == "calm"
    wait_until(house.engine.is_ready)
    assert house.events == ["calm", "-calm", "brief"]
    assert (house.reply(), house.engine.model_version) == ("brief", "tuned+brief")
    house.engine.stop()


def test_an_adapter_that_cannot_be_loaded_leaves_the_one_before() -> None:
    house = House()
    house.go_on.set()
    house.engine.start()
    house.chosen = "broken"
    wait_until(lambda: house.events == ["calm", "-calm", "broken", "calm"] and house.engine.is_ready())
    assert house.reply() == "calm"
    house.chosen = "brief"
    wait_until(lambda: house.events[-1] == "brief" and house.engine.is_ready())
    assert house.engine.fatal_error() is None
    house.engine.stop()
    assert house.events.count("broken") == 1


def settings(home: Path, **changes: object) -> WorkerSettings:
    return WorkerSettings(home=home).model_copy(update={"adapters": "calm=/a, brief=/b"} | changes)


def test_the_choice_is_kept_in_the_home(tmp_path: Path) -> None:
    adapters = adapters_of(settings(tmp_path, adapter="calm"))
    assert adapters is not None
    assert adapters.in_use() == "calm"
    adapters.use("brief")
    assert with_adapter_in_use(settings(tmp_path, adapter="calm")).adapter == "/b"
    adapters.use("none")
    assert with_adapter_in_use(settings(tmp_path, adapter="calm")).adapter is None
    with pytest.raises(Misconfigured, match=r"no adapter loud.*calm, brief"):
        adapters.use("loud")
    assert with_adapter_in_use(settings(tmp_path, adapter="/a", adapters=None)).adapter == "/a"


@pytest.mark.parametrize("changes", [{"adapters": "calm"}, {"adapters": "a=/a,a=/b"}, {"adapter": "/a"}], ids=str)
def test_adapters_that_are_not_clear_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(Misconfigured, match="MINDGLM_ADAPTERS"):
        build(settings(tmp_path, **changes))


def test_the_command_shows_and_changes_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["use"]).exit_code == 1
    monkeypatch.setenv("MINDGLM_ADAPTERS", "calm=/a,brief=/b")
    assert "* none" in CliRunner().invoke(app, ["use"]).stdout
    assert "* brief  /b" in CliRunner().invoke(app, ["use", "brief"]).stdout
