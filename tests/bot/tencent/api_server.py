"""What the platforms of Tencent that are rebuilt here share: tokens, files, error codes and ordered faults."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Self, TypeVar

from tests.bot.telegram.http import Answer, Dropped, serve

T = TypeVar("T")
Call = Callable[[dict[str, Any]], dict[str, Any]]


class Refusal(Exception):
    """An error code in place of an answer."""

    def __init__(self, code: int, message: str = "refused") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass
class Trying:
    """How a platform tries whoever talks with it."""

    token_calls: int = 50  # after which a token ends early


@dataclass
class _Fault:
    call: str
    kind: int | str  # an errcode, "status", "drop_before", "drop_after"
    left: int
    message: str


class ApiServer:
    """Runs in a thread of its own; everything public may be called from the test's thread."""

    token_call: str
    """Gives a token for a secret."""
    unknown_token: tuple[int, str]
    """What a call with a token that there is not is told."""
    path = ""
    """Of the API below its address."""

    def __init__(self, *, secret: str, nastiness: Trying, first_number: int = 1) -> None:
        self.nastiness = nastiness
        self.callback_url = ""
        self.api_url = ""
        self.secret = secret
        self.plus_seconds = 0.0
        self.delay_seconds = 0.0
        self.calls: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self.bodies: list[bytes] = []
        self.tokens_made = 0
        self.spent: set[str] = set()  # people for whom nothing is taken, whatever they write
        self._files: dict[str, bytes] = {}
        self._access_token = ""
        self._token_calls = 0
        self._faults: list[_Fault] = []
        self._numbers = count(first_number)
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        self._thread.start()
        self._server = self._run(serve(self._serve, read_body=self._read_body))
        self.api_url = f"http://127.0.0.1:{self._server.port}{self.path}"
        return self

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def now(self) -> float:
        return time.time() + self.plus_seconds

    def fault(self, call: str, kind: int | str, *, times: int = 1, message: str = "refused") -> None:
        """`kind`: an errcode, "status" (HTTP 500), "drop_before" or "drop_after" it was served."""
        self._faults.append(_Fault(call, kind, times, message))

    def forgive(self) -> None:
        self._faults = []

    def _served(self) -> Mapping[str, Call]:
        """By path, what is called with a token."""
        raise NotImplementedError

    def _check_credentials(self, fields: dict[str, Any]) -> None:
        """Raises `Refusal`."""
        raise NotImplementedError

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """On the server's own thread, until the server ends."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_body(self, reader: asyncio.StreamReader, length: int) -> bytes:
        body = await reader.readexactly(length)
        self.bodies.append(body)
        return body

    async def _serve(self, path: str, fields: dict[str, Any]) -> Answer:
        call = path.removeprefix("/cgi-bin/")
        self.calls[call] += 1
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        fault = self._next_fault(call)
        if fault is not None and fault.kind == "drop_before":
            raise Dropped
        if fault is not None and fault.kind == "status":
            return Answer(500, b"oops", "text/html")
        try:
            with self._lock:
                answer = self._answer(call, fields, fault)
        except Refusal as refusal:
            self.refusals[refusal.code] += 1
            answer = {"errcode": refusal.code, "errmsg": refusal.message}
        if fault is not None and fault.kind == "drop_after":
            raise Dropped
        if "file" in answer:
            return Answer(200, answer["file"], 'image/jpeg\r\nContent-disposition: attachment; filename="x.jpg"')
        return Answer(200, json.dumps({"errcode": 0, "errmsg": "ok", **answer}).encode())

    def _next_fault(self, call: str) -> _Fault | None:
        for fault in self._faults:
            if fault.call == call and fault.left:
                fault.left -= 1
                return fault
        return None

    def _answer(self, call: str, fields: dict[str, Any], fault: _Fault | None) -> dict[str, Any]:
        if fault is not None and isinstance(fault.kind, int):
            raise Refusal(fault.kind, fault.message)
        if call == self.token_call:
            return self._make_token(fields)
        self._check_token(fields.pop("access_token", ""))
        served = self._served()
        if call not in served:
            raise Refusal(40066, "invalid url")
        return served[call](fields)

    def _make_token(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check_credentials(fields)
        if not self._access_token:
            self.tokens_made += 1
            self._access_token, self._token_calls = f"access-token-{self.tokens_made}-that-no-log-may-show", 0
        return {"access_token": self._access_token, "expires_in": 7200}

    def _check_token(self, token: str) -> None:
        self._token_calls += 1
        if not token or token != self._access_token:
            raise Refusal(*self.unknown_token)
        if self._token_calls > self.nastiness.token_calls:
            self._access_token = ""
            raise Refusal(42001, "access_token expired")

    def _upload(self, fields: dict[str, Any]) -> dict[str, Any]:
        media_id = f"media-{next(self._numbers)}"
        self._files[media_id] = fields["media"]
        return {"media_id": media_id}

    def _download(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["media_id"] not in self._files:
            raise Refusal(40007, "invalid media_id")
        return {"file": self._files[fields["media_id"]]}

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _end(self) -> None:
        await self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
