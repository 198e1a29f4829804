"""WeCom on the loopback: customer service with the semantics that an adapter can trip over; nasty by default.

Notices are repeated, and every second one is lost; pages hold two messages, with an empty one between, and the last
message of a page comes again on the next; events have no id; tokens end early. Five messages within 48 hours for each
of a person's, each id once, nothing while a colleague has the session. Faults can be ordered.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any

from tests.bot.tencent.api_server import ApiServer, Call, Refusal, Trying
from tests.bot.tencent.post import post
from tests.bot.wecom import wire
from tests.bot.wecom.wire import ACCOUNT, CORP_ID, SECRET, Sent

OURS, QUEUED, WITH_COLLEAGUE, ENDED = 1, 2, 3, 4
_BUDGET = 5
_WINDOW_SECONDS = 48 * 3600
_KEPT_SECONDS = 3 * 24 * 3600
_PULL_TOKEN_SECONDS = 600
_ENTRY_SECONDS = 20
_TRIES = 3
_ANSWER_SECONDS = 5.0


@dataclass
class Nastiness(Trying):
    """What the server does by itself; `calm()` for what is measured."""

    lost_notice_every: int = 2
    repeats_notices: bool = True
    page_size: int = 2
    has_empty_pages: bool = True
    overlaps_pages: bool = True
    begins_session_by_sending: bool = True

    @classmethod
    def calm(cls) -> "Nastiness":
        return cls(
            lost_notice_every=0,
            repeats_notices=False,
            page_size=1000,
            has_empty_pages=False,
            overlaps_pages=False,
            token_calls=1_000_000_000,
        )


@dataclass
class _Session:
    state: int = 0
    servicer: str = ""
    last_wrote_at: float | None = None
    sent_count: int = 0
    sent: list[Sent] = field(default_factory=list)


class WeCom(ApiServer):
    """Customer service."""

    token_call = "gettoken"
    unknown_token = (40014, "invalid access_token")
    path = "/cgi-bin"
    nastiness: Nastiness

    def __init__(self, *, nastiness: Nastiness | None = None, accounts: tuple[str, ...] = (ACCOUNT,)) -> None:
        super().__init__(secret=SECRET, nastiness=nastiness or Nastiness())
        self.accounts = {account: f"账号{number}" for number, account in enumerate(accounts)}
        self.duplicate = (95099, "duplicate")  # documented nowhere
        self.on_duty: set[str] = set()
        self.notice_statuses: list[int] = []
        self.bounce_types: list[int] = []
        self.on_send: Callable[[str, Sent], None] = lambda _person, _sent: None
        self.pulled_at: dict[str, float] = {}
        self._sessions: dict[tuple[str, str], _Session] = defaultdict(_Session)
        self._feed: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._message_ids: dict[str, set[str]] = defaultdict(set)
        self._codes: dict[str, tuple[str, str, float]] = {}
        self._pull_tokens: dict[str, float] = {}
        self._notice_numbers = count(1)
        self._is_empty_next: dict[str, bool] = defaultdict(bool)

    # --- for tests

    def say(self, person: str, text: str, *, account: str = ACCOUNT, menu_id: str = "", **fields: Any) -> str:
        """A person writes, or chooses in a menu; returns the message's id."""
        content = {"content": text, **({"menu_id": menu_id} if menu_id else {})}
        return self._of_person(person, account, msgtype="text", text=content, **fields)

    def show(self, person: str, *, account: str = ACCOUNT, kind: str = "voice", content: bytes = b"#!AMR") -> str:
        media_id = f"theirs-{next(self._numbers)}"
        self._files[media_id] = content
        shown: dict[str, Any] = {kind: {"media_id": media_id}}
        return self._of_person(person, account, msgtype=kind, **shown)

    def choose(self, person: str, number: int, *, account: str = ACCOUNT) -> str:
        """One of the choices of the last menu."""
        menu = next(sent for sent in reversed(self.seen(person, account=account)) if sent.choices)
        return self.say(person, "选择", account=account, menu_id=menu.choices[number])

    def enter(self, person: str, *, account: str = ACCOUNT, scene: str = "poster", has_code: bool = True) -> str:
        """A person opens the chat; returns the code of the welcome."""
        code = f"wc-{next(self._numbers)}" if has_code else ""
        if code:
            self._codes[code] = (account, person, self.now() + _ENTRY_SECONDS)
        more = {"welcome_code": code} if code else {}
        self.event(account, "enter_session", external_userid=person, scene=scene, **more)
        return code

    def recall(self, person: str, message_id: str, *, account: str = ACCOUNT) -> None:
        self.event(account, "user_recall_msg", external_userid=person, recall_msgid=message_id)

    def set_duty(self, servicer: str, *, is_on_duty: bool, account: str = ACCOUNT) -> None:
        (self.on_duty.add if is_on_duty else self.on_duty.discard)(servicer)
        self.event(account, "servicer_status_change", servicer_userid=servicer, status=1 if is_on_duty else 2)

    def grab(self, person: str, servicer: str, *, account: str = ACCOUNT, tells: bool = True) -> None:
        """A colleague takes the session, as one on duty does who was not asked."""
        with self._lock:
            session = self._sessions[account, person]
            session.state, session.servicer = WITH_COLLEAGUE, servicer
        if tells:
            self._session_event(account, person, 1, new_servicer_userid=servicer)

    def servicer_says(self, person: str, servicer: str, text: str, *, account: str = ACCOUNT) -> None:
        self.push(
            account,
            {
                "msgid": f"sm-{next(self._numbers)}",
                "open_kfid": account,
                "external_userid": person,
                "origin": 5,
                "servicer_userid": servicer,
                "msgtype": "text",
                "text": {"content": text},
            },
        )

    def end(self, person: str, *, account: str = ACCOUNT) -> None:
        """The colleague ends the session."""
        with self._lock:
            session = self._sessions[account, person]
            servicer, session.servicer, session.state = session.servicer, "", ENDED
        self._session_event(account, person, 3, old_servicer_userid=servicer)

    def bounce(self, message_id: str, person: str, fail_type: int, *, account: str = ACCOUNT) -> None:
        self.event(account, "msg_send_fail", external_userid=person, fail_msgid=message_id, fail_type=fail_type)

    def event(self, account: str, kind: str, **fields: Any) -> None:
        """Without an id, and with nothing at the top level."""
        self.push(
            account, {"origin": 4, "msgtype": "event", "event": {"event_type": kind, "open_kfid": account, **fields}}
        )

    def push(self, account: str, item: dict[str, Any], *, is_noticed: bool = True) -> None:
        with self._lock:
            self._feed[account].append({"send_time": int(self.now()), **item})
        if is_noticed:
            self.notify(account)

    def repeat(self, message_id: str, *, account: str = ACCOUNT) -> None:
        """The same message once more."""
        self.push(account, next(item for item in self._feed[account] if item.get("msgid") == message_id))

    def notify(self, account: str = ACCOUNT, *, is_sure: bool = False) -> None:
        """Post a notice, unless it is lost."""
        every = self.nastiness.lost_notice_every
        if not self.callback_url or (every and not is_sure and next(self._notice_numbers) % every == 0):
            return
        self._loop.call_soon_threadsafe(lambda: self._begin(self._post(account)))

    def seen(self, person: str, *, account: str = ACCOUNT) -> list[Sent]:
        return list(self._sessions[account, person].sent)

    def texts(self, person: str, *, account: str = ACCOUNT) -> list[str]:
        return [sent.text for sent in self.seen(person, account=account) if not sent.file]

    def state(self, person: str, *, account: str = ACCOUNT) -> int:
        return self._sessions[account, person].state

    # --- the server

    def _of_person(self, person: str, account: str, *, is_noticed: bool = True, **content: Any) -> str:
        message_id = f"fm-{next(self._numbers)}-" + "x" * 30
        with self._lock:
            session = self._sessions[account, person]
            if session.state == ENDED:
                session.state = 0
            session.last_wrote_at = self.now()
            session.sent_count = 0
            item = {"msgid": message_id, "open_kfid": account, "external_userid": person, "origin": 3, **content}
            self.push(account, item, is_noticed=is_noticed)
        return message_id

    def _session_event(self, account: str, person: str, change: int, **fields: Any) -> None:
        self.event(account, "session_status_change", external_userid=person, change_type=change, **fields)

    async def _post(self, account: str) -> None:
        pull_token = f"ENC{next(self._numbers)}"
        self._pull_tokens[pull_token] = self.now() + _PULL_TOKEN_SECONDS
        encrypted = wire.encrypt(wire.notice(account, pull_token, at=int(self.now())))
        url = f"{self.callback_url}?{wire.query(encrypted)}"
        for attempt in range(_TRIES):
            status, _ = await post(url, wire.envelope(encrypted), seconds=_ANSWER_SECONDS)
            if not status:
                await asyncio.sleep(0.3)
            self.notice_statuses.append(status)
            if status == HTTPStatus.OK and not (self.nastiness.repeats_notices and attempt == 0):
                return

    def _served(self) -> Mapping[str, Call]:
        return {
            "kf/account/list": self._list_accounts,
            "kf/sync_msg": self._page,
            "kf/send_msg": self._send,
            "kf/send_msg_on_event": self._send_on_event,
            "kf/service_state/get": self._state_of,
            "kf/service_state/trans": self._transfer,
            "kf/servicer/list": self._list_servicers,
            "media/upload": self._upload,
            "media/get": self._download,
        }

    def _check_credentials(self, fields: dict[str, Any]) -> None:
        if fields.get("corpid") != CORP_ID:
            raise Refusal(40013, "invalid corpid")
        if fields.get("corpsecret") != self.secret:
            raise Refusal(40001, "invalid credential")

    def _list_accounts(self, fields: dict[str, Any]) -> dict[str, Any]:
        listed = [{"open_kfid": account, "name": name} for account, name in self.accounts.items()]
        return {"account_list": listed[fields["offset"] : fields["offset"] + fields["limit"]]}

    def _list_servicers(self, _fields: dict[str, Any]) -> dict[str, Any]:
        return {"servicer_list": [{"userid": who, "status": 0} for who in sorted(self.on_duty)]}

    def _state_of(self, fields: dict[str, Any]) -> dict[str, Any]:
        session = self._session(fields)
        return {"service_state": session.state, "servicer_userid": session.servicer}

    def _page(self, fields: dict[str, Any]) -> dict[str, Any]:
        account, token = fields["open_kfid"], fields.get("token")
        if account not in self.accounts:
            raise Refusal(95000, "invalid open_kfid")
        if token is not None and self._pull_tokens.get(token, 0) < self.now():
            raise Refusal(95007, "invalid msgtoken")
        self.pulled_at[account] = self.now()
        feed = self._feed[account]
        begin = int(fields.get("cursor", "c-0").removeprefix("c-"))
        while begin < len(feed) and feed[begin]["send_time"] < self.now() - _KEPT_SECONDS:
            begin += 1
        end = min(begin + min(fields.get("limit", 1000), self.nastiness.page_size), len(feed))
        if begin < len(feed) and self.nastiness.has_empty_pages:
            self._is_empty_next[account] = not self._is_empty_next[account]
            if self._is_empty_next[account]:
                return {"next_cursor": f"c-{begin}", "has_more": 1, "msg_list": []}
        overlap = 1 if self.nastiness.overlaps_pages and begin else 0
        return {
            "next_cursor": f"c-{end}",
            "has_more": int(end < len(feed)),
            "msg_list": feed[begin - overlap : end] if begin < end else [],
        }

    def _session(self, fields: dict[str, Any]) -> _Session:
        if fields["open_kfid"] not in self.accounts:
            raise Refusal(95000, "invalid open_kfid")
        return self._sessions[fields["open_kfid"], fields["external_userid"]]

    def _send(self, fields: dict[str, Any]) -> dict[str, Any]:
        account, person = fields["open_kfid"], fields["touser"]
        if account not in self.accounts:
            raise Refusal(95000, "invalid open_kfid")
        session = self._sessions[account, person]
        if session.state not in (0, OURS):
            raise Refusal(95018, "invalid session status")
        sent = self._checked(account, fields)
        if session.last_wrote_at is None or self.now() - session.last_wrote_at > _WINDOW_SECONDS:
            raise Refusal(95002, "out of the window")
        if session.sent_count >= _BUDGET or person in self.spent:
            raise Refusal(95001, "exceed the limit")
        session.sent_count += 1
        sent.number = session.sent_count
        if self.nastiness.begins_session_by_sending:
            session.state = OURS
        return self._deliver(account, person, sent)

    def _send_on_event(self, fields: dict[str, Any]) -> dict[str, Any]:
        account, person, until = self._codes.get(fields["code"], ("", "", 0.0))
        if until < self.now():
            raise Refusal(95019, "invalid code")
        if fields["msgtype"] not in ("text", "msgmenu"):
            raise Refusal(40008, "invalid msgtype")
        sent = self._checked(account, fields)
        del self._codes[fields["code"]]
        return self._deliver(account, person, sent)

    def _checked(self, account: str, fields: dict[str, Any]) -> Sent:
        wire.check_message_id(fields["msgid"])
        if fields["msgid"] in self._message_ids[account]:
            raise Refusal(*self.duplicate)
        return wire.read_content(fields, self._files)

    def _deliver(self, account: str, person: str, sent: Sent) -> dict[str, Any]:
        self._message_ids[account].add(sent.message_id)
        session = self._sessions[account, person]
        sent.state = session.state
        if self.bounce_types:
            self.bounce(sent.message_id, person, self.bounce_types.pop(0), account=account)
        else:
            session.sent.append(sent)
            self.on_send(person, sent)
        return {"msgid": sent.message_id}

    def _transfer(self, fields: dict[str, Any]) -> dict[str, Any]:
        session = self._session(fields)
        if session.state in (WITH_COLLEAGUE, ENDED):
            raise Refusal(95016, "invalid change")
        if fields["service_state"] == WITH_COLLEAGUE and fields["servicer_userid"] not in self.on_duty:
            raise Refusal(95014, "servicer is not on duty")
        session.state, session.servicer = fields["service_state"], fields.get("servicer_userid", "")
        return {"msg_code": f"code-{next(self._numbers)}"}
