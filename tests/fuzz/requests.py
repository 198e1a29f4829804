"""Requests to the console: what a page would send, and what becomes of it in careless or in hostile hands."""

from collections.abc import Sequence
from urllib.parse import quote_from_bytes
from uuid import UUID

from console.app import PAGES
from console.gate import PageRoute
from console.page_request import FORM_COOKIE, LOCALE_COOKIE
from dialogue.states import Role
from tests.fuzz.console import MARK, PASSWORD, Asked, Console
from tests.fuzz.mutation import Mutator

_LOOKS = tuple(page for page in PAGES if page.method == "GET")
_FORMS = tuple(page for page in PAGES if page.method == "POST")
_FORM_TYPE = "application/x-www-form-urlencoded"

_ASKED_FOR = (
    *("q", "channel", "standing", "tier", "from", "until", "person", "after", "before"),
    *("actor", "action", "conversation", "span", "notice", "next", "lang", "quiet", "settled"),
    *("sort", "case", "assigned", "minor"),
)
_FILLED_IN = (
    *("name", "password", "again", "current", "next", "text", "once", "reason", "back"),
    *("role", "locale", "time_zone", "outcome", "note", "kind", "to", "from", "words", "sitting", "query"),
)
_LIKELY = (
    *("", "telegram", "wechat", "open", "closed", "waiting", "0", "1", "2", "3", "-1", "zh", "en", "viewer", "admin"),
    *("2026-11-01", "2026-11-30", "0001-01-01", "9999-12-31", "20261101", "2026-W47-6", "24:00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-21T03:00:00+00:00", "2026-11-21T03:00:00"),
    *(
        "danger",
        "last",
        "attention",
        "unattended",
        "nobody",
        "spoke",
        "private",
        "handover",
        "lin",
        "case_3",
        "rest_1_2",
    ),
    *("day", "week", "reset", "staff_added", "Asia/Shanghai", "../../etc/passwd", "posixrules", "Factory", "UTC/"),
    *("/", "/conversations?tier=2", "//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example"),
    *("telegram:42", "test:wxid_wang", ":", "chen", "lin@example.org", PASSWORD, "p" * 10, "我睡不着", "é" * 255),
)
_TYPES = (
    *(f"{_FORM_TYPE}; charset=gbk", f"{_FORM_TYPE};", "multipart/form-data; boundary=x", "application/json"),
    *("text/plain", "", _FORM_TYPE.upper()),
)
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-16", "gb18030", "latin-1")


_NOBODYS_TOKEN = "t" * 43

Header = tuple[bytes, bytes]


def look(mutator: Mutator, house: Console) -> Asked:
    """A page that is asked for, with a query."""
    page, role = mutator.chance.choice(_LOOKS), mutator.chance.choice((*Role, *Role, None))
    return Asked(
        method="GET",
        path=_path(mutator, house, page),
        query=_printable(_encoded(mutator, _fields(mutator, house, _ASKED_FOR))),
        headers=_headers(mutator, _cookie(house, role)),
    )


def send(mutator: Mutator, house: Console) -> Asked:
    """A form as its page sends it, whatever was filled in."""
    chance, page = mutator.chance, mutator.chance.choice(_FORMS)
    role = None if page.role is None else chance.choice((Role.ADMIN, Role.ADMIN, *Role))
    fields = [("form_token", _token(house, role)), *_fields(mutator, house, _FILLED_IN)]
    body = _encoded(mutator, chance.sample(fields, len(fields)))
    if chance.random() < 0.02:
        body += b"&reason=" + b"x" * chance.choice((300, 5_000, 66_000))
    kind = _FORM_TYPE if chance.random() < 0.95 else mutator.like(_TYPES)
    headers = (*_headers(mutator, _cookie(house, role)), (b"content-type", _header(kind)))
    return Asked(method="POST", path=_path(mutator, house, page), headers=headers, body=body)


def forge(mutator: Mutator, house: Console) -> Asked:
    """The same from somebody who has not got the form's token, or not the session's cookie."""
    genuine, chance = send(mutator, house), mutator.chance
    role = chance.choice((*Role, None))
    token, cookie = _token(house, role).encode(), _cookie(house, role)
    if chance.random() < 0.5:
        token = _otherwise(mutator, token)
    else:
        cookie = _otherwise(mutator, cookie)
    body = b"form_token=" + (quote_from_bytes(token).encode() if chance.random() < 0.5 else token)
    content_type = (b"content-type", _FORM_TYPE.encode())
    return Asked(method="POST", path=genuine.path, headers=(*_headers(mutator, cookie), content_type), body=body)


def _otherwise(mutator: Mutator, secret: bytes) -> bytes:
    """Anything that does not hold it: with `;` or `&` behind it, it would still be the genuine one."""
    other = mutator.bytes_like(secret).translate(None, b"\r\n\x00")
    return other if secret not in other else b""


def _path(mutator: Mutator, house: Console, page: PageRoute) -> str:
    """Mostly of something that is there."""
    kind = page.path.split("/")[1]
    known = (
        house.ids.get(kind) or house.ids.get(f"{kind} {mutator.chance.choice(list(Role))}", UUID(int=0))
        if "{id}" in page.path
        else ""
    )
    chosen = str(known) if mutator.chance.random() < 0.8 else mutator.like((str(known), "..", "nobody"))
    return page.path.replace("{id}", chosen).replace("{token}", mutator.like((_NOBODYS_TOKEN, MARK)))


def _fields(mutator: Mutator, house: Console, names: Sequence[str]) -> list[tuple[str, str]]:
    """Some of the names, with likely values, mad ones, and ids of all kinds; some twice."""
    chance = mutator.chance
    ids = [str(each) for each in house.ids.values()]
    likely = (*_LIKELY, *ids, *(each[:8] for each in ids), f"2026-11-21T03:00:00+00:00_{ids[0]}")
    chosen = chance.choices(names, k=chance.choice((1, 2, 4, 9)))
    return [(name, _value(mutator, likely)) for name in chosen]


def _value(mutator: Mutator, likely: Sequence[str]) -> str:
    match mutator.chance.randrange(6):
        case 0:
            return mutator.text()
        case 1:
            return f"{mutator.chance.choice(likely)}{MARK}"
        case 2:
            return mutator.like(likely)
        case _:
            return mutator.chance.choice(likely)


def _encoded(mutator: Mutator, fields: Sequence[tuple[str, str]]) -> bytes:
    """As a browser does it; now and then in another encoding, or broken on the way."""
    encoding = mutator.chance.choice(_ENCODINGS)
    whole = "&".join(f"{name}={_quoted(value, encoding)}" for name, value in fields).encode()
    return mutator.bytes_like(whole) if mutator.chance.random() < 0.1 else whole


def _printable(query: bytes) -> bytes:
    """The server refuses other bytes in a request's first line."""
    return b"".join(bytes([byte]) if 0x20 < byte < 0x7F else b"%%%02X" % byte for byte in query)


def _quoted(text: str, encoding: str) -> str:
    errors = "surrogatepass" if encoding.startswith("utf") else "replace"
    return quote_from_bytes(text.encode(encoding, errors))


def _headers(mutator: Mutator, cookie: bytes) -> tuple[Header, ...]:
    chance = mutator.chance
    headers = [(b"host", b"127.0.0.1:8090")] if chance.random() < 0.99 else [(b"host", _header(mutator.text()))]
    if chance.random() < 0.1:
        cookie += b"; " + mutator.bytes_like(LOCALE_COOKIE.encode() + b'=en; "=\\"; $Path=/; a')
    if chance.random() < 0.1:
        name = chance.choice((b"accept-language", b"origin", b"sec-fetch-site", b"x-forwarded-for", b"referer"))
        headers.append((name, _header(mutator.like(("zh-CN,en;q=0.8", "http://127.0.0.1:8090", "http://[", "null")))))
    return (*headers, (b"cookie", _header(cookie.decode("latin-1"))))


def _header(text: str) -> bytes:
    """What a server lets through: any byte but the ends of lines and NUL."""
    return b"".join(text.encode("utf-8", "surrogatepass").translate(None, b"\r\n\x00").splitlines())[:4000]


def _cookie(house: Console, role: Role | None) -> bytes:
    return (house.cookie(role) if role is not None else f"{FORM_COOKIE}={_NOBODYS_TOKEN}").encode()


def _token(house: Console, role: Role | None) -> str:
    return house.members[role].form_token() if role is not None else _NOBODYS_TOKEN
