"""Fields of a request that only some OpenAI-compatible servers know: left out once a server refuses them."""

import re

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_NEWEST = ("stream_options", "top_k")
_OPTIONAL = (*_NEWEST, "stop", "top_p", "temperature")
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
)


class OptionalFields:
    """What one server does not take; learnt from its refusals, kept until the process ends."""

    def __init__(self) -> None:
        self._left_out: set[str] = set()
        self._renamed: set[str] = set()
        self._is_bare = False

    def of(self, body: dict[str, object]) -> dict[str, object]:
        """The body without what this server refused."""
        kept = {name: value for name, value in body.items() if name not in self._left_out}
        return {_OTHER_NAMES[name] if name in self._renamed else name: value for name, value in kept.items()}

    def take_back(self, status: int, said: str) -> bool:
        """Whether there is something to leave out after a refusal with this status and these words (lower case)."""
        if status not in _REFUSALS:
            return False
        is_unknown = any(word in said for word in _UNKNOWN)
        named = {name for name in _OPTIONAL if (is_unknown or name in _NEWEST) and re.search(rf"\b{name}\b", said)}
        named -= self._left_out
        renamed = {name for name, other in _OTHER_NAMES.items() if other in said} - self._renamed
        if not named and not renamed and is_unknown and not self._is_bare:
            named, self._is_bare = set(_NEWEST) - self._left_out, True  # it does not say which
        if not named and not renamed:
            return False
        self._left_out |= named
        self._renamed |= renamed
        log.info("optional_fields_left_out", fields=sorted(named | renamed))
        return True
