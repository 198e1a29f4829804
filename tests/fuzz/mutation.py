"""Inputs that a stranger could send: real ones, and what becomes of them by small and by mad changes; seeded."""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

_ODD = (
    *("", " ", "\n", "\t", "\x00", "\x1b[31m", "\u200b", "\u200d", "\u202e", "\u2028", "\ufeff", "\ufffc", "\ufffd"),
    *("\ud800", "\udfff", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "e\u0301\u0301\u0301"),
    *("。", "，", "：", "“", "”", "…", "——", "１２０", "一二〇", "Ⅻ", "①", "²", "٣", "𝟙"),
    *(
        "/",
        "/start",
        "/start@",
        "@",
        "/admin",
        "结束对话",
        "求助者:",
        "。支持者:",
        "[Round 1]\n\n问：",
        "</s>",
        "{text}",
    ),
    *(
        "自杀",
        "自殺",
        "zi杀",
        "想死",
        "不想活了",
        "kill myself",
        "suicide",
        "120",
        "12356",
        "010-82951332",
        "+86 13800138000",
    ),
    *("http://", "https://a.b/c?d=1", "a@b.c", "%s", "%00", "{", "}", "{0}", "\\", "'", '"', "<script>", "--", ";"),
    *("0" * 50, "9" * 300, "-1", "1e309", "NaN", "null", "true"),
)
_RANGES = ((0, 0x7F), (0x4E00, 0x9FFF), (0x3000, 0x30FF), (0xD800, 0xDFFF), (0x1F300, 0x1FAFF), (0, 0x10FFFF))
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 1e308, 0.5, "", [], {}, [[]], {"": None}),
)


MAX_LENGTH = 8001
"""Twice the longest message that is taken in: of a longer one, beginning and end are screened."""


class Mutator:
    """Makes inputs out of examples."""

    def __init__(self, seed: int, texts: Sequence[str]) -> None:
        self.chance = random.Random(seed)
        self._texts = texts

    def text(self) -> str:
        """A text of at most `MAX_LENGTH` characters."""
        return self.like(self._texts)

    def like(self, examples: Sequence[str]) -> str:
        """The same, out of other examples."""
        text = self.chance.choice(examples)
        for _ in range(self.chance.choice((0, 1, 1, 2, 3, 8))):
            text = self._change(text)
        return text[:MAX_LENGTH]

    def document(self, example: Any) -> Any:
        """A JSON value like the example, some of its parts changed, gone, doubled or of another type."""
        changed = copy.deepcopy(example)
        for _ in range(self.chance.choice((1, 1, 2, 4, 10))):
            changed = self._change_document(changed)
        return changed

    def bytes_like(self, example: bytes) -> bytes:
        """Some of its bytes changed, gone, or others in between."""
        changed = bytearray(example)
        for _ in range(self.chance.choice((1, 1, 2, 8))):
            place = self.chance.randint(0, len(changed))
            noise = self.chance.choice((b"", b"\x00", b"\xff", b"%", b"&", b"=", b";", b"\xc3\x28", b"\xed\xa0\x80"))
            changed[place : place + self.chance.choice((0, 1, 1, 4))] = noise or self.chance.randbytes(3)
        return bytes(changed)

    def _change(self, text: str) -> str:
        place = self.chance.randint(0, len(text))
        other = self.chance.randint(place, min(len(text), place + 20))
        before, inner, after = text[:place], text[place:other], text[other:]
        changed: tuple[Callable[[], str], ...] = (
            lambda: before + self.chance.choice(_ODD) + inner + after,
            lambda: before + after,
            lambda: before + self._noise() + inner + after,
            lambda: text + self.chance.choice(self._texts),
            lambda: before + inner * self.chance.choice((2, 3, 30)) + after,
            lambda: self.chance.choice(_ODD).join(text[:400]),
            text.swapcase,
        )
        return self.chance.choice(changed)()

    def _noise(self) -> str:
        first, last = self.chance.choice(_RANGES)
        return "".join(chr(self.chance.randint(first, last)) for _ in range(self.chance.randint(1, 12)))

    def _change_document(self, value: Any) -> Any:
        if isinstance(value, dict) and value and self.chance.random() < 0.9:
            return self._change_fields(value)
        if isinstance(value, list) and value and self.chance.random() < 0.9:
            place = self.chance.randrange(len(value))
            return [*value[:place], self._change_document(value[place]), *value[place + 1 :]]
        return self._change_value(value) if self.chance.random() < 0.6 else self.chance.choice(_ODD_VALUES)

    def _change_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._change(value)
        if isinstance(value, int):
            return value + self.chance.choice((-1, 1, 2**40, -(2**40)))
        return self.text()

    def _change_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        name = self.chance.choice(list(fields))
        match self.chance.randrange(5):
            case 0:
                return {other: value for other, value in fields.items() if other != name}
            case 1:
                return {**fields, self.chance.choice(_ODD): self.chance.choice(_ODD_VALUES)}
            case _:
                return {**fields, name: self._change_document(fields[name])}
