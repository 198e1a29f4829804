"""Any server that speaks OpenAI's chat completions, as a judge or as an actor."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from dialogue.process.proxies import is_loopback
from training.trouble import TrainingTrouble
from worker.reply_cleaner import without_thoughts

Read = TypeVar("Read")
Message = Mapping[str, str]

_SECONDS = 180.0
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_ABOUT_THE_ITEM = frozenset({400, 413, 422})
_OBJECT = re.compile(r"\{[^{}]*\}")


class Unanswered(Exception):
    """The server did not give an answer of the form that was asked for; says why, without anybody's words."""


class _Passing(Exception):  # never leaves this file
    """The server is busy or ill, or not reached."""


class Address(NamedTuple):
    """A server and its name of the model; `key` is sent as a bearer token."""

    url: str
    model: str
    key: str | None = None


class ChatServer:
    """Asks one server. Its own faults raise `TrainingTrouble` after `tries`, those of one answer `Unanswered`."""

    def __init__(self, address: Address, *, tries: int = 5, longest_pause_seconds: float = 20.0) -> None:
        self._address = address
        self._tries = tries
        self._pause = wait_exponential(multiplier=longest_pause_seconds / 2**tries, max=longest_pause_seconds)
        self._client = httpx.Client(
            base_url=f"{address.url.rstrip('/')}/",
            headers={"Authorization": f"Bearer {address.key}"} if address.key else {},
            timeout=_SECONDS,
            trust_env=not is_loopback(httpx.URL(address.url).host),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def say(self, messages: Sequence[Message], *, temperature: float = 0.0) -> str:
        """One reply, without the model's thoughts."""
        asking = Retrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(self._tries),
            wait=self._pause,
            reraise=True,
        )
        try:
            raw = asking(self._ask, {"model": self._address.model, "temperature": temperature, "messages": messages})
        except _Passing as error:
            raise TrainingTrouble(f"{self._address.url} does not answer ({error}). --resume goes on later.") from error
        text = without_thoughts(raw).encode(errors="replace").decode()  # half characters
        if not text:
            raise Unanswered("empty")
        return text

    def read(self, question: str, form: Callable[[dict[str, Any]], Read], *, tries: int = 3) -> Read:
        """What `form` makes of the JSON object that was asked for; it raises `ValueError` for a wrong one.

        Asked again at a higher temperature, for at the lowest the answer would be the same.
        """
        why = Unanswered("no object")
        for number in range(tries):
            try:
                return _in_form(self.say([{"role": "user", "content": question}], temperature=0.3 * number), form)
            except Unanswered as error:
                why = error
        raise why

    def _ask(self, body: Mapping[str, Any]) -> str:
        try:
            response = self._client.post("chat/completions", json=body)
        except httpx.TransportError as error:
            raise _Passing(type(error).__name__) from error
        if response.status_code in _PASSING:
            raise _Passing(f"status {response.status_code}")
        if response.status_code in _ABOUT_THE_ITEM:
            raise Unanswered(f"status {response.status_code}")
        if response.is_error:
            raise TrainingTrouble(f"{self._address.url} refuses (status {response.status_code}).")
        try:
            return str(response.json()["choices"][0]["message"]["content"] or "")
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise Unanswered("no chat completion") from error


def _in_form(answer: str, form: Callable[[dict[str, Any]], Read]) -> Read:
    """The last object that fits: what stands before it may be thought aloud, or the example of the question."""
    for found in reversed(_OBJECT.findall(answer)):
        try:
            return form(json.loads(found))
        except (ValueError, KeyError, TypeError):
            continue
    raise Unanswered("no object of the form")
