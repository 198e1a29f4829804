"""The notices that WeCom posts: XML without attributes; a document type is refused, so no entity can grow."""

from dataclasses import dataclass
from xml.parsers.expat import ExpatError, ParserCreate

from bot.channels.wecom.encryption import NotForUs

MAX_DEPTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SomethingCame:
    """There are messages or events of an account; `pull_token` lets us fetch them for ten minutes."""

    account: str
    pull_token: str


@dataclass(frozen=True, slots=True)
class AccountsChanged:
    """Accounts were given to our app, or taken from it."""


@dataclass(frozen=True, slots=True)
class Other:
    """Nothing of ours."""


Notice = SomethingCame | AccountsChanged | Other


def fields(document: bytes) -> dict[str, str]:
    """The text of each element by its name, of several with one name the last; raises `NotForUs`."""
    reader = _Reader()
    try:
        reader.parser.Parse(document, True)
    except (ExpatError, ValueError, LookupError):  # the latter two: an unknown encoding
        raise NotForUs from None
    return reader.found


def read(document: bytes) -> Notice:
    """A decrypted notice; raises `NotForUs`."""
    found = fields(document)
    match found.get("Event"):
        case "kf_msg_or_event" if found.get("OpenKfId"):
            return SomethingCame(account=found["OpenKfId"], pull_token=found.get("Token", ""))
        case "kf_account_auth_change":
            return AccountsChanged()
    return Other()


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
