"""The documents that are posted: XML without attributes; a document type is refused, so no entity can grow."""

from xml.parsers.expat import ExpatError, ParserCreate

from bot.channels.tencent.encryption import NotForUs

MAX_DEPTH = 8


def fields(document: bytes) -> dict[str, str]:
    """The text of each element by its name, of several with one name the last; raises `NotForUs`."""
    reader = _Reader()
    try:
        reader.parser.Parse(document, True)
    except (ExpatError, ValueError, LookupError):  # the latter two: an unknown encoding
        raise NotForUs from None
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.parser = ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take
        self._text: list[str] = []
        self._depth = 0

    def _begin(self, _name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotForUs
        self._text = []

    def _take(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self.found[name] = "".join(self._text)
        self._text = []

    def _refuse(self, *_declaration: object) -> None:
        raise NotForUs
