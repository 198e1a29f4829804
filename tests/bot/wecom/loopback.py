"""WeCom on the loopback: customer service with the semantics that an adapter can trip over; nasty by default.

Notices are repeated, and every second one is lost; pages hold two messages, with an empty one between, and the last
message of a page comes again on the next; events have no id; tokens end early. Five messages within 48 hours for each
of a person's, each id once, nothing while a colleague has the session. Faults can be ordered.
"""

import asyncio
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any, TypeVar

from tests.bot.telegram.http import Answer, Dropped, serve
from tests.bot.tencent.post import post
from tests.bot.wecom import wire
from tests.bot.wecom.wire import ACCOUNT, CORP_ID, SECRET, Refusal, Sent

T = TypeVar("T")

OURS, QUEUED, WITH_COLLEAGUE, ENDED = 1, 2, 3, 4
_BUDGET = 5
_WINDOW_SECONDS = 48 * 3600
_KEPT_SECONDS = 3 * 24 * 3600
_PULL_TOKEN_SECONDS = 600
_ENTRY_SECONDS = 20
_TRIES = 3
_ANSWER_SECONDS = 5.0


@dataclass
class Nastiness:
    """What the server does by itself; `calm()` for what is measured."""

    lost_notice_every: int = 2
    repeats_notices: bool = True
    page_size: int = 2
    has_empty_pages: bool = True
    overlaps_pages: bool = True
    token_calls: int = 50  # after which a token ends early
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


@dataclass
class _Fault:
    call: str
    kind: int | str  # an errcode, "status", "drop_before", "drop_after"
    left: int
    message: str


class WeCom:
    """Runs in a thread of its own; everything public may be called from the test's thread."""

    def __init__(self, *, nastiness: Nastiness | None = None, accounts: tuple[str, ...] = (ACCOUNT,)) -> None:
        self.nastiness = nastiness or Nastiness()
        self.accounts = {account: f"账号{number}" for number, account in enumerate(accounts)}
        self.callback_url = ""
        self.api_url = ""
        self.duplicate = (95099, "duplicate")  # documented nowhere
        self.secret = SECRET
        self.plus_seconds = 0.0
        self.delay_seconds = 0.0
        self.on_duty: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self.notice_statuses: list[int] = []
        self.tokens_made = 0
        self.bounce_types: list[int] = []
        self.spent: set[str] = set()  # people for whom nothing is taken, whatever they write
        self.on_send: Callable[[str, Sent], None] = lambda _person, _sent: None
        self.pulled_at: dict[str, float] = {}
        self._sessions: dict[tuple[str, str], _Session] = defaultdict(_Session)
        self._feed: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._message_ids: dict[str, set[str]] = defaultdict(set)
        self._files: dict[str, bytes] = {}
        self._codes: dict[str, tuple[str, str, float]] = {}
        self._pull_tokens: dict[str, float] = {}
        self._access_token = ""
        self._token_calls = 0
        self._faults: list[_Fault] = []
        self._numbers = count(1)
        self._notice_numbers = count(1)
        self._is_empty_next: dict[str, bool] = defaultdict(bool)
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._posts: set[asyncio.Task[None]] = set()

    # --- for tests

    def start(self) -> "WeCom":
        self._thread.start()
        self._server = self._run(serve(self._serve))
        self.api_url = f"http://127.0.0.1:{self._server.port}/cgi-bin"
        return self

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def now(self) -> float:
        return time.time() + self.plus_seconds

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
        self._loop.call_soon_threadsafe(self._post_soon, account)

    def fault(self, call: str, kind: int | str, *, times: int = 1, message: str = "refused") -> None:
        """`kind`: an errcode, "status" (HTTP 500), "drop_before" or "drop_after" it was served."""
        self._faults.append(_Fault(call, kind, times, message))

    def forgive(self) -> None:
        self._faults = []

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

    def _post_soon(self, account: str) -> None:
        task = self._loop.create_task(self._post(account))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

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

    async def _serve(self, path: str, fields: dict[str, Any]) -> Answer:
        call = path.removeprefix("/cgi-bin/")
        self.calls[call] += 1
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        fault = self._next_fault(call)
        if fault is not None and fault.kind == "drop_before":
            raise Dropped
        if fault is not None and fault.kind == "status":
            return Answer(500, b"oops", "text/html")
        try:
            with self._lock:
                answer = self._answer(call, fields, fault)
        except Refusal as refusal:
            self.refusals[refusal.code] += 1
            answer = {"errcode": refusal.code, "errmsg": refusal.message}
        if fault is not None and fault.kind == "drop_after":
            raise Dropped
        if "file" in answer:
            return Answer(200, answer["file"], 'image/jpeg\r\nContent-disposition: attachment; filename="x.jpg"')
        return Answer(200, json.dumps({"errcode": 0, "errmsg": "ok", **answer}).encode())

    def _next_fault(self, call: str) -> _Fault | None:
        for fault in self._faults:
            if fault.call == call and fault.left:
                fault.left -= 1
                return fault
        return None

    def _answer(self, call: str, fields: dict[str, Any], fault: _Fault | None) -> dict[str, Any]:
        if fault is not None and isinstance(fault.kind, int):
            raise Refusal(fault.kind, fault.message)
        if call == "gettoken":
            return self._make_token(fields)
        self._check_token(fields.pop("access_token", ""))
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
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
        if call not in answers:
            raise Refusal(40066, "invalid url")
        return answers[call](fields)

    def _list_accounts(self, fields: dict[str, Any]) -> dict[str, Any]:
        listed = [{"open_kfid": account, "name": name} for account, name in self.accounts.items()]
        return {"account_list": listed[fields["offset"] : fields["offset"] + fields["limit"]]}

    def _list_servicers(self, _fields: dict[str, Any]) -> dict[str, Any]:
        return {"servicer_list": [{"userid": who, "status": 0} for who in sorted(self.on_duty)]}

    def _state_of(self, fields: dict[str, Any]) -> dict[str, Any]:
        session = self._session(fields)
        return {"service_state": session.state, "servicer_userid": session.servicer}

    def _upload(self, fields: dict[str, Any]) -> dict[str, Any]:
        media_id = f"media-{next(self._numbers)}"
        self._files[media_id] = fields["media"]
        return {"media_id": media_id}

    def _download(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["media_id"] not in self._files:
            raise Refusal(40007, "invalid media_id")
        return {"file": self._files[fields["media_id"]]}

    def _make_token(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("corpid") != CORP_ID:
            raise Refusal(40013, "invalid corpid")
        if fields.get("corpsecret") != self.secret:
            raise Refusal(40001, "invalid credential")
        if not self._access_token:
            self.tokens_made += 1
            self._access_token, self._token_calls = f"access-token-{self.tokens_made}-that-no-log-may-show", 0
        return {"access_token": self._access_token, "expires_in": 7200}

    def _check_token(self, token: str) -> None:
        self._token_calls += 1
        if not token or token != self._access_token:
            raise Refusal(40014, "invalid access_token")
        if self._token_calls > self.nastiness.token_calls:
            self._access_token = ""
            raise Refusal(42001, "access_token expired")

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

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _end(self) -> None:
        await self._server.close()
        for task in list(self._posts):
            task.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)
