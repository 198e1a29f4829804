"""What OpenAI-compatible servers stream, as they are: server-sent events, leniently read.

Lines end where the standard says (CR, LF, CRLF) and nowhere else: U+2028 and U+0085 are text. A byte order mark,
missing blank lines, a missing content type, a last event without an end, and a server that does not stream at all are
taken as they come.
"""

import codecs
import json
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, NamedTuple

from worker.engine.port import EngineFailed, Finish

_DATA = "data:"
_ERROR_EVENT = re.compile(r"event: ?error\b")
_DONE = "[DONE]"
_LINE_END = re.compile(r"\r\n|\n|\r")
_BROKEN_OFF = re.compile(r"error|abort|cancel|timeout|insufficient|overload|unavailable|preempt|rate_limit")
_FILTERED = re.compile(
    r"filter|sensitiv|safety|block|censor|refusal|prohibited|moderat|recitation|spii|guardrail|inspection"
)
_TOO_LONG = re.compile(r"length|max|limit|context|incomplete|repetition")
"""Why a reply ended: each server has names of its own, made of few words. A loop that the server cut is no end."""
_ERROR_STATUSES = range(400, 600)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_FIRST_HALF = re.compile(r"[\ud800-\udbff]")


class ReportedError(EngineFailed):
    """The server reports an error where a reply was to come; `status` is 0 where it names none.

    `said` may hold a person's words.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__("the server reported an error")
        self.status = status
        self.said = said


class StreamEvent(NamedTuple):
    """One event of the stream."""

    text: str
    finish: Finish | None = None
    prompt_tokens: int | None = None
    reply_tokens: int | None = None


async def parts(chunks: AsyncIterable[bytes]) -> AsyncIterator[StreamEvent]:
    """The events up to ``[DONE]`` or the end; the former ends a reply also where no event told so.

    Raises `EngineFailed` for what is no such stream, `ReportedError`.
    """
    pending, half = "", ""
    has_text = is_error = False
    async for line in _lines(chunks):
        is_error = is_error or _ERROR_EVENT.match(line) is not None
        payload = _payload(line, is_inside=bool(pending))
        if payload is None:
            continue
        if payload.upper() == _DONE:
            if pending:
                break
            yield StreamEvent("", Finish.STOP)
            return
        if not pending and not payload.startswith("{"):
            if is_error and payload:
                raise ReportedError(0, payload)
            continue  # a sign of life in words of the server's own
        pending += payload
        event = _parsed(pending)
        if event is not None:
            pending = ""
            if is_error and event:
                event = {"error": event, **event}
            read = _stream_event(event, has_text=has_text)
            has_text = has_text or bool(read.text)
            text, half = _whole(half + read.text)
            yield read._replace(text=text)
    if pending:
        raise EngineFailed("the server's stream cannot be read")


def _payload(line: str, *, is_inside: bool) -> str | None:
    """Also of a document over several lines, and of no stream at all."""
    if line.startswith(_DATA):
        return line.removeprefix(_DATA).strip()
    return line if is_inside or line.startswith("{") else None


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    rest = ""
    async for chunk in chunks:
        *whole, rest = _LINE_END.split(rest + decoder.decode(chunk))
        for line in whole:
            yield line.removeprefix("\ufeff")
    if rest:
        yield rest.removeprefix("\ufeff")


def _parsed(text: str) -> dict[str, Any] | None:
    """None while the document is not complete."""
    if not text.strip():
        return {}
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if isinstance(event, dict) else {}


def _stream_event(event: dict[str, Any], *, has_text: bool) -> StreamEvent:
    """`has_text`: some came before, so that a whole message beside the last of it only says it again."""
    if error := event.get("error") or _error_of_another_shape(event):
        raise ReportedError(_status(error) or _status(event), json.dumps(error, ensure_ascii=False))
    choice = _first_choice(event.get("choices"))
    said = _object(choice.get("delta")) or ({} if has_text else _object(choice.get("message")))
    usage = _object(event.get("usage"))
    return StreamEvent(
        _text(choice.get("text")) or _text(said.get("content")),
        Finish.FILTERED if said.get("refusal") else _finish(choice.get("finish_reason")),
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _error_of_another_shape(event: dict[str, Any]) -> object:
    """Some servers report an error in fields of their own, with nothing that belongs to a reply beside them."""
    if event.get("choices") or event.get("usage"):
        return None
    answer = _object(event.get("base_resp"))
    is_refused = answer.get("status_code") not in {None, 0, "0"}
    is_coded = str(event.get("code") or 0) not in {"0", "200"} and any(name in event for name in ("message", "msg"))
    is_named = event.get("object") == "error" or any(event.get(name) for name in ("errors", "detail"))
    return event if is_refused or is_coded or is_named else None


def _status(error: object) -> int:
    found = [_object(error).get(name) for name in ("code", "status", "status_code")]
    return next((int(str(one)) for one in found if str(one).isdecimal() and int(str(one)) in _ERROR_STATUSES), 0)


def _first_choice(choices: object) -> dict[str, Any]:
    """Only one was asked for, and another would be mixed into it."""
    given = choices if isinstance(choices, list) else [choices]
    return next((one for one in given if isinstance(one, dict) and str(one.get("index") or 0) == "0"), {})


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _whole(text: str) -> tuple[str, str]:
    """Without the first half of a character whose second half is still to come; also that half."""
    if not _SURROGATE.search(text):
        return text, ""
    half = text[-1] if _FIRST_HALF.fullmatch(text[-1]) else ""
    pairs = text.removesuffix(half).encode("utf-16-le", "surrogatepass")
    return pairs.decode("utf-16-le", "replace"), half


def _text(content: object) -> str:
    """Some servers send a list of parts; what they send as reasoning, there or elsewhere, is not read."""
    if isinstance(content, list):
        return "".join(map(_text, content))
    if isinstance(content, dict):
        return "" if _is_thought(content) else _text(content.get("text") or content.get("value"))
    return content if isinstance(content, str) else ""


def _is_thought(part: dict[str, Any]) -> bool:
    return any(word in str(part.get("type")).lower() for word in ("think", "reason"))


def _finish(reason: object) -> Finish | None:
    word = str(reason or "").lower()
    if word in {"", "null", "none"}:  # the reply goes on
        return None
    if _FILTERED.search(word):
        return Finish.FILTERED
    if _BROKEN_OFF.search(word):
        raise EngineFailed("the server broke off")
    return Finish.LENGTH if _TOO_LONG.search(word) else Finish.STOP
