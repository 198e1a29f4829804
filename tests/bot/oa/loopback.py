"""An Official Account on the loopback, from its documentation; nasty by default.

Each push comes with 5 s for the answer, up to three times; some three times at once. What is not taken by then is gone,
and the person reads that the account is out of order. Sending gives no ids back; tokens end early; five messages for
each of a person's within 48 hours, three within a minute for a click, a scan and a follow. Faults can be ordered.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any

from tests.bot.oa import wire
from tests.bot.oa.wire import ACCOUNT, APP_ID, SECRET, Seen
from tests.bot.tencent.api_server import ApiServer, Call, Refusal, Trying
from tests.bot.tencent.post import post

OUT_OF_ORDER = "该公众号暂时无法提供服务，请稍后再试"
_TRIES = 3
_WINDOW_SECONDS = 48 * 3600
_MINUTE = 60
_FIRST_NUMBER = 24_000_000_000_000_001  # beyond 2^53


@dataclass
class Nastiness(Trying):
    """What the server does by itself; `calm()` for what is measured."""

    parallel_every: int = 3  # every third message is pushed three times at once
    repeats: bool = True  # the first answer gets lost, now and then
    mode: str = "safe"  # safe, compatible, plain

    @classmethod
    def calm(cls) -> "Nastiness":
        return cls(parallel_every=0, repeats=False, token_calls=1_000_000_000)


@dataclass
class _Grant:
    sends: int = 0
    left: int = 0
    until: float = 0.0


@dataclass
class _Person:
    follows: bool = True
    refuses: bool = False
    by_message: _Grant = field(default_factory=_Grant)
    by_click: _Grant = field(default_factory=_Grant)
    last_seen_at: float = 0.0
    typing_until: float = 0.0
    seen: list[Seen] = field(default_factory=list)


@dataclass
class _Push:
    """One message on its way; `is_settled` once an answer was taken."""

    person: str
    fields: Mapping[str, str]
    is_settled: bool = False


class OfficialAccount(ApiServer):
    """One account, with its followers."""

    token_call = "stable_token"
    unknown_token = (40001, "invalid credential, access_token is invalid or not latest")
    nastiness: Nastiness

    def __init__(self, *, nastiness: Nastiness | None = None, is_verified: bool = True) -> None:
        super().__init__(secret=SECRET, nastiness=nastiness or Nastiness(), first_number=_FIRST_NUMBER)
        self.is_verified = is_verified
        self.has_menus = True
        self.push_seconds = 5.0
        self.tries = _TRIES
        self.is_in_order = False  # each of a person's messages after the one before, as people write
        self.retry_pause_seconds = 0.05  # after an answer that is none
        self.callback_urls: list[str] = []  # of several processes behind one address, by turns
        self.statuses: list[int] = []
        self.menu: dict[str, Any] | None = None
        self.acknowledged: list[str] = []
        self.lost: list[str] = []  # messages that were not taken in three pushes
        self.on_send: Callable[[str, Seen], None] = lambda _person, _seen: None
        self._people: dict[str, _Person] = defaultdict(_Person)
        self._pushed: dict[str, _Push] = {}
        self._pushes = count(1)
        self._lines: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # --- for tests

    def say(self, person: str, text: str, **fields: str) -> str:
        """A person writes; returns the message's id."""
        return self._message(person, {"MsgType": "text", "Content": text, **fields})

    def choose(self, person: str, number: int) -> str:
        """One of the choices of the last menu: for the platform a click, with an id that says nothing."""
        menu = next(seen for seen in reversed(self.seen(person)) if seen.choices)
        fields = {"MsgType": "text", "Content": menu.choices[number], "bizmsgmenuid": "0"}
        return self._message(person, fields, is_click=True)

    def show(self, person: str, kind: str = "voice", content: bytes = b"#!AMR", **fields: str) -> str:
        """A picture, a voice, a place."""
        media_id = f"theirs-{next(self._numbers)}"
        self._files[media_id] = content
        return self._message(person, {"MsgType": kind, "MediaId": media_id, **fields})

    def follow(self, person: str, *, label: str = "", at: int | None = None) -> str:
        with self._lock:
            self._people[person].follows = True
        return self.event(person, "subscribe", at=at, EventKey=f"qrscene_{label}" if label else "")

    def unfollow(self, person: str) -> str:
        with self._lock:
            self._people[person] = _Person(follows=False, seen=self._people[person].seen)
        return self.event(person, "unsubscribe", pays=False, EventKey="")

    def refuse(self, person: str) -> None:
        """They want no messages from us."""
        self._people[person].refuses = True

    def click(self, person: str, key: str) -> str:
        return self.event(person, "CLICK", EventKey=key)

    def event(self, person: str, kind: str, *, pays: bool = True, at: int | None = None, **fields: str) -> str:
        if pays:
            self._grant(person, is_click=True)
        created = str(at if at is not None else int(self.now()))
        return self._push(
            person,
            {"MsgType": "event", "Event": kind, **fields, "CreateTime": created},
            f"{kind} {next(self._numbers)}",
        )

    def repeat(self, message_id: str) -> None:
        """The same message once more."""
        push = self._pushed[message_id]
        self._soon(_Push(push.person, push.fields), message_id)

    def seen(self, person: str) -> list[Seen]:
        return list(self._people[person].seen)

    def texts(self, person: str) -> list[str]:
        return [seen.text for seen in self.seen(person) if not seen.file]

    # --- pushes

    def _message(self, person: str, fields: dict[str, str], *, is_click: bool = False) -> str:
        message_id = str(next(self._numbers))
        self._grant(person, is_click=is_click)
        created = {"CreateTime": str(int(self.now()))}
        return self._push(person, {**fields, **created, "MsgId": message_id}, message_id)

    def _grant(self, person: str, *, is_click: bool) -> None:
        with self._lock:
            one = self._people[person]
            one.last_seen_at = self.now()
            if is_click:
                one.by_click = _Grant(sends=3, left=3, until=self.now() + _MINUTE)
            else:
                one.by_message = _Grant(sends=5, left=5, until=self.now() + _WINDOW_SECONDS)

    def _push(self, person: str, fields: dict[str, str], message_id: str) -> str:
        common = {"ToUserName": ACCOUNT, "FromUserName": person}
        self._pushed[message_id] = push = _Push(person, {**common, **fields})
        self._soon(push, message_id)
        return message_id

    def _soon(self, push: _Push, message_id: str) -> None:
        if self.callback_url:
            self._loop.call_soon_threadsafe(lambda: self._begin(self._tell(push, message_id)))

    async def _tell(self, push: _Push, message_id: str) -> None:
        if not self.is_in_order:
            await self._push_again_and_again(push, message_id)
            return
        async with self._lines[push.person]:
            await self._push_again_and_again(push, message_id)

    async def _push_again_and_again(self, push: _Push, message_id: str) -> None:
        every = self.nastiness.parallel_every
        number = next(self._pushes)
        if every and number % every == 0:
            answers = await asyncio.gather(*(self._try(push, number + one) for one in range(_TRIES)))
            if any(answers):
                self.acknowledged.append(message_id)
                return
        for attempt in range(self.tries):
            is_taken = await self._try(push, number + attempt)
            if is_taken and self.nastiness.repeats and attempt == 0 and number % 2 and not push.is_settled:
                continue  # as if the answer had got lost
            if is_taken:
                self.acknowledged.append(message_id)
                return
        self.lost.append(message_id)
        self._people[push.person].seen.append(Seen(text=OUT_OF_ORDER))

    async def _try(self, push: _Push, number: int) -> bool:
        """Whether it was taken in time."""
        timestamp, nonce = str(int(self.now())), str(1_372_623_149 + number)
        plain = wire.document(push.fields)
        encrypted = wire.encrypt(plain)
        match self.nastiness.mode:
            case "plain":
                query, body = wire.plain_query(timestamp=timestamp, nonce=nonce), plain
            case "compatible":
                beside = plain.decode().removeprefix("<xml>").removesuffix("</xml>")
                query = wire.query(encrypted, timestamp=timestamp, nonce=nonce, person=push.person)
                body = wire.envelope(encrypted, beside=beside)
            case _:
                query = wire.query(encrypted, timestamp=timestamp, nonce=nonce, person=push.person)
                body = wire.envelope(encrypted)
        began_at = time.monotonic()
        status, content = await post(f"{self._next_url()}?{query}", body, seconds=self.push_seconds)
        self.statuses.append(status)
        if status != HTTPStatus.OK:
            waited = time.monotonic() - began_at
            await asyncio.sleep(min(self.retry_pause_seconds, max(0.0, self.push_seconds - waited)))
            return False
        if content in (b"", b"success"):
            return True
        reply = wire.read_passive(content)
        assert (reply["ToUserName"], reply["FromUserName"]) == (push.person, ACCOUNT)
        assert reply["MsgType"] == "text"
        wire.check_length(reply["Content"])
        if not push.is_settled:
            push.is_settled = True
            self._show(push.person, Seen(text=reply["Content"], is_passive=True))
        return True

    def _next_url(self) -> str:
        if not self.callback_urls:
            return self.callback_url
        self.callback_urls.append(self.callback_urls.pop(0))
        return self.callback_urls[-1]

    # --- the server

    def _served(self) -> Mapping[str, Call]:
        return {
            "message/custom/send": self._send,
            "message/custom/typing": self._type,
            "media/upload": self._upload,
            "media/get": self._download,
            "menu/get": self._tell_menu,
            "menu/create": self._make_menu,
            "getcallbackip": lambda _fields: {"ip_list": ["203.0.113.1"]},
        }

    def _check_credentials(self, fields: dict[str, Any]) -> None:
        if fields.get("grant_type") != "client_credential":
            raise Refusal(40002, "invalid grant_type")
        if fields.get("appid") != APP_ID:
            raise Refusal(40013, "invalid appid")
        if fields.get("secret") != self.secret:
            raise Refusal(40125, "invalid appsecret")

    def _check_rights(self) -> None:
        if not self.is_verified:
            raise Refusal(48001, "api unauthorized")

    def _send(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check_rights()
        person = self._of(fields)
        if person.refuses:
            raise Refusal(48002, "api forbidden for irrelevant user")
        if not person.follows:
            raise Refusal(45015, "response out of time limit or subscription is canceled")
        if fields["msgtype"] == "msgmenu" and not self.has_menus:
            raise Refusal(40200, "invalid account type")
        seen = wire.read_content(fields, self._files)
        grant = self._payer(fields["touser"], person)
        grant.left -= 1
        seen.number, seen.allowed = grant.sends - grant.left, grant.sends
        person.typing_until = 0.0
        self._show(fields["touser"], seen)
        return {}

    def _payer(self, name: str, person: _Person) -> _Grant:
        open_ones = [one for one in (person.by_click, person.by_message) if one.until >= self.now()]
        if not open_ones:
            raise Refusal(45015, "response out of time limit or subscription is canceled")
        for grant in open_ones:
            if grant.left > 0 and name not in self.spent:
                return grant
        raise Refusal(45047, "out of response count limit")

    def _type(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check_rights()
        person = self._of(fields)
        if fields["command"] not in ("Typing", "CancelTyping"):
            raise Refusal(45072, "command field must be in ['Typing', 'CancelTyping']")
        if self.now() - person.last_seen_at > 30:
            raise Refusal(45080, "the person has not spoken for 30 s")
        if person.typing_until > self.now():
            raise Refusal(45081, "already in the typing state")
        person.typing_until = self.now() + 15
        return {}

    def _of(self, fields: dict[str, Any]) -> _Person:
        if fields["touser"] not in self._people:
            raise Refusal(40003, "invalid openid")
        return self._people[fields["touser"]]

    def _upload(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check_rights()
        if fields.get("type") not in ("image", "voice", "video", "thumb"):
            raise Refusal(40004, "invalid media type")
        return super()._upload(fields)

    def _download(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check_rights()
        return super()._download(fields)

    def _tell_menu(self, _fields: dict[str, Any]) -> dict[str, Any]:
        self._check_rights()
        if self.menu is None:
            raise Refusal(46003, "menu no exist")
        return {"menu": self.menu}

    def _make_menu(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check_rights()
        buttons = fields["button"]
        if not 1 <= len(buttons) <= 3:
            raise Refusal(40016, "invalid button count")
        for button in buttons:
            if len(button["name"].encode()) > 16:
                raise Refusal(40018, "invalid button name size")
            for under in button.get("sub_button", ()):
                if len(under["name"].encode()) > 60:
                    raise Refusal(40018, "invalid button name size")
        self.menu = {"button": buttons}
        return {}

    def _show(self, name: str, seen: Seen) -> None:
        self._people[name].seen.append(seen)
        self.on_send(name, seen)
