"""Stand-ins for the two things that are not ours: the model, and the platforms."""

from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from typing import Any

from worker.engine.port import EngineAway, Finish, Load, Progress, Request


class FakeEngine:
    """Says what it was given to say, and remembers what it was asked; an exception is raised instead."""

    model_version = "fake model"
    prompt_version = "fake prompt"
    capacity = 4
    load = Load(running=0, waiting=0)

    def __init__(self, *replies: str | Exception) -> None:
        self.requests: list[Request] = []
        self.cancelled: list[str] = []
        self._replies = list(replies)
        self.is_away = False

    def fatal_error(self) -> str | None:
        return None

    def is_ready(self) -> bool:
        return not self.is_away

    def start(self) -> None:
        """Nothing to load."""

    def stop(self) -> None:
        """Nothing to release."""

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        self.requests.append(request)
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            self.is_away = isinstance(reply, EngineAway)
            raise reply
        for end in range(1, len(reply) + 1):
            finish = Finish.STOP if end == len(reply) else None
            yield Progress(text=reply[:end], prompt_tokens=5, reply_tokens=end, finish=finish)


class AtOnce(Executor):
    """Runs what it is given in the caller's thread."""

    def submit(self, work: Callable[..., Any], /, *values: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*values, **options))
        return future
