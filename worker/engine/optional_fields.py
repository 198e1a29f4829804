"""What only some OpenAI-compatible servers take in a request: left out, or said otherwise, once a server refuses it."""

import re
from typing import Any

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_NEWEST = ("stream_options", "top_k")
_OPTIONAL = (*_NEWEST, "stop", "top_p", "temperature")
_NO_STREAM = re.compile(
    r"\bstream(?:ing)?\b[^.]{0,40}(?:\bnot |un)(?:yet )?(?:support|available|enabled|implemented)"
    r"|(?:\bnot |n't |un)support\w*[^.]{0,40}\bstream(?:ing)?\b|不支持流式"
)
_NO_SYSTEM = re.compile(
    r"\b(?:system|developer)\b[\s'\"]*(?:role|message|prompt|instruction)|role[\s'\":]*system|roles must alternate"
)
"""Templates of some models have no place for an instruction, or want the person to speak first."""
_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
_REFUSALS = frozenset({400, 404, 415, 422, 501})
_UNKNOWN = (
    "unsupported",
    "unrecognized",
    "unknown",
    "not permitted",
    "extra",
    "not supported",
    "unexpected",
    "invalid",
    "not allowed",
    "not enabled",
    "不支持",
    "不合法",
    "无效",
    "未知",
)


class OptionalFields:
    """What one server does not take; learnt from its refusals, kept until the process ends."""

    def __init__(self) -> None:
        self._left_out: set[str] = set()
        self._renamed: set[str] = set()
        self._is_bare = False
        self._has_no_system = False

    def of(self, body: dict[str, object]) -> dict[str, object]:
        """The body without what this server refused."""
        kept = {name: value for name, value in body.items() if name not in self._left_out}
        if self._has_no_system and isinstance(messages := kept.get("messages"), list):
            kept["messages"] = _without_system(messages)
        return {_OTHER_NAMES[name] if name in self._renamed else name: value for name, value in kept.items()}

    def take_back(self, status: int, said: str) -> bool:
        """Whether there is something to leave out after a refusal with this status and these words (lower case)."""
        if status not in _REFUSALS:
            return False
        is_unknown = any(word in said for word in _UNKNOWN)
        named = {name for name in _OPTIONAL if (is_unknown or name in _NEWEST) and re.search(rf"\b{name}\b", said)}
        named -= self._left_out
        if "stream" not in self._left_out and not named and _NO_STREAM.search(said):
            named = {"stream", "stream_options"}
        renamed = {name for name, other in _OTHER_NAMES.items() if other in said} - self._renamed
        if not (named or renamed or self._has_no_system) and _NO_SYSTEM.search(said):
            self._has_no_system = True
            log.info("optional_fields_left_out", fields=["system"])
            return True
        if not named and not renamed and is_unknown and not self._is_bare:
            named, self._is_bare = set(_NEWEST) - self._left_out, True  # it does not say which
        if not named and not renamed:
            return False
        self._left_out |= named
        self._renamed |= renamed
        log.info("optional_fields_left_out", fields=sorted(named | renamed))
        return True


def _without_system(messages: list[Any]) -> list[Any]:
    """What the model is told goes before the person's first words."""
    told, *said = messages
    if not said or told["role"] != "system":
        return messages
    return [{**said[0], "content": f"{told['content']}\n\n{said[0]['content']}"}, *said[1:]]
