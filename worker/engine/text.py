"""Which part of an unfinished reply may be shown: nothing of the prompt's frame, nothing taken back later."""

import re

_STOPS = ("[Round ", "\n\n问：", "\n\n答：", "求助者:", "求助者：", "支持者:", "支持者：")
_ECHO = re.compile(r"\s*支持者[:：]")
_REWRITES = (("[[训练时间]]", "2023年"),)  # ChatGLM2's own process_response
_MARKERS = (*_STOPS, *(old for old, _ in _REWRITES))


class ReplyText:
    """The text of one reply, piece by piece.

    It stops where the model begins to write the next turn. A role name at the start is dropped.
    """

    def __init__(self) -> None:
        self._raw = ""
        self.is_stopped = False

    def add(self, piece: str) -> None:
        """Append decoded text; ignored once the reply has stopped."""
        if self.is_stopped or not piece:
            return
        self._raw += piece
        if echo := _ECHO.match(self._raw):
            self._raw = self._raw[echo.end() :]
        stops = [position for marker in _STOPS if (position := self._raw.find(marker)) >= 0]
        if stops:
            self.is_stopped = True
            self._raw = self._raw[: min(stops)]

    def shown(self) -> str:
        """The text so far, without a tail that may be the beginning of a marker."""
        return _processed(self._raw[: len(self._raw) - self._held_back()])

    def whole(self) -> str:
        """The finished text."""
        return _processed(self._raw)

    def _held_back(self) -> int:
        return max(
            (length for marker in _MARKERS for length in range(1, len(marker)) if self._raw.endswith(marker[:length])),
            default=0,
        )


def _processed(text: str) -> str:
    for old, new in _REWRITES:
        text = text.replace(old, new)
    return text.strip()
