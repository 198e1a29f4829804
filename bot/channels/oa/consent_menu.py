"""The question for consent with its answers to choose from. A choice comes back as the words of the item."""

from collections.abc import Callable
from typing import Any

from care.age import AgeBand
from care.disclosure import Answer
from care.texts import Texts

_ANSWERS = {
    "adult": Answer(agrees=True, band=AgeBand.ADULT),
    "minor": Answer(agrees=True, band=AgeBand.MINOR),
    "child": Answer(band=AgeBand.CHILD),
    "decline": Answer(agrees=False),
}


class ConsentMenu:
    """Made in one language, and understood in all: the words that come back say what was chosen.

    `others` are asked for one after the other where nothing before matches: the last may be costly.
    """

    def __init__(self, texts: Texts, *others: Callable[[], Texts]) -> None:
        self._texts = texts
        self._others = others

    def made(self, question: str) -> dict[str, Any]:
        """The object `msgmenu` of a message."""
        items = [{"id": str(number), "content": _words(self._texts, name)} for number, name in enumerate(_ANSWERS, 1)]
        return {"head_content": question, "list": items, "tail_content": ""}

    def answer(self, words: str) -> Answer | None:
        """What was chosen, if those are the words of an item."""
        said = words.strip()
        for texts_of in (lambda: self._texts, *self._others):
            texts = texts_of()
            for name, answer in _ANSWERS.items():
                if _words(texts, name) == said:
                    return answer
        return None


def _words(texts: Texts, name: str) -> str:
    return texts.say(f"disclosure_button_{name}")
