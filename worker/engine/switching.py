"""Changes the adapter while the worker runs: open replies finish, the model is loaded anew, turns wait meanwhile."""

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import structlog

from dialogue.errors import DialogueError
from dialogue.telemetry.periodic import Periodic
from worker.engine.port import Engine, EngineAway, Load, ModelUnusable, Progress, Request, ServesElsewhere

if TYPE_CHECKING:
    from prometheus_client import Metric

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_SECONDS = 2.0
_STOP_SECONDS = 600.0


class Switching:
    """An engine that is made anew with another adapter whenever `chosen` names another one."""

    def __init__(
        self, make: Callable[[str], Engine], *, chosen: Callable[[], str], look_seconds: float = _LOOK_SECONDS
    ) -> None:
        self._make = make
        self._chosen = chosen
        self._name = chosen()
        self._refused: str | None = None
        self._engine = make(self._name)
        self._changed = threading.Condition()
        self._open = 0
        self._is_switching = False
        self._broken: str | None = None
        self._versions = "", ""
        self._loop = Periodic("adapter_switch", self.look, period_seconds=look_seconds, stop_seconds=_STOP_SECONDS)

    @property
    def model_version(self) -> str:
        """Names the weights in use, the adapter's included; during a switch those before it."""
        return self._versions[0]

    @property
    def prompt_version(self) -> str:
        """Names the prompt format."""
        return self._versions[1]

    @property
    def capacity(self) -> int:
        """The same for every adapter."""
        return self._engine.capacity

    @property
    def load(self) -> Load:
        """Of the engine in use."""
        return self._engine.load

    def fatal_error(self) -> str | None:
        """Of the engine in use, which is meant to end during a switch; or that neither adapter can be loaded."""
        return self._broken or (None if self._is_switching else self._engine.fatal_error())

    def is_ready(self) -> bool:
        """False during a switch."""
        return not self._is_switching and self._engine.is_ready()

    def start(self) -> None:
        """Load the model with the adapter in use. Raises `ModelUnusable`."""
        self._engine.start()
        self._versions = self._engine.model_version, self._engine.prompt_version
        self._loop.start()

    def stop(self) -> None:
        """After a switch in progress."""
        with self._changed:
            self._is_switching = True
            self._changed.notify_all()
        self._loop.stop()
        self._engine.stop()

    def cancel(self, request_id: str) -> None:
        """As the port says."""
        self._engine.cancel(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """As the port says. Raises also `EngineAway`."""
        with self._changed:
            if self._is_switching:
                raise EngineAway("the adapter is being changed")
            self._open += 1
        try:
            with closing(self._engine.stream(request)) as replying:
                yield from replying
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def metric_families(self) -> "Iterable[Metric]":
        """Of the engine in use, where it has any."""
        return self._engine.metric_families() if isinstance(self._engine, ServesElsewhere) else ()

    def look(self) -> None:
        """Change the adapter if another one was chosen."""
        wanted = self._chosen()
        if wanted in {self._name, self._refused}:
            return
        with self._changed:
            if self._is_switching:  # the worker is stopping
                return
            self._is_switching = True
            self._changed.wait_for(lambda: not self._open)
        try:
            self._switch(wanted)
        finally:
            self._is_switching = False

    def _switch(self, wanted: str) -> None:
        log.info("adapter_changing", adapter=wanted)
        self._engine.stop()
        try:
            self._engine = self._started(wanted)
        except (ModelUnusable, DialogueError) as error:
            log.error("adapter_refused", adapter=wanted, error=str(error))  # noqa: TRY400 - the message says all
            self._refused = wanted
            self._restore()
        else:
            self._name, self._refused = wanted, None
            log.info("adapter_changed", adapter=wanted, model=self.model_version)

    def _restore(self) -> None:
        try:
            self._engine = self._started(self._name)
        except (ModelUnusable, DialogueError) as error:
            self._broken = str(error)

    def _started(self, name: str) -> Engine:
        engine = self._make(name)
        engine.start()
        self._versions = engine.model_version, engine.prompt_version
        return engine
