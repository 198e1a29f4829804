import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from bot.staff.calls import webhook
from bot.staff.calls.escalation import CallWays, Escalation
from care import texts
from dialogue.admin import alerts, audit
from dialogue.admin.cases import escalation, escalation_list, handling, open_cases
from dialogue.admin.office import Actor, Office
from dialogue.errors import Misconfigured
from dialogue.messages import Address
from dialogue.process.settings import DialogueSettings
from dialogue.states import DeliveryKind, Role
from dialogue.tables import CASE_CALLS, Staff, StaffSession
from tests.bot.staff.calls.receivers import MailReceiver, NonsenseReceiver, WebReceiver
from tests.builders import Rooms

LIN = Actor(name="console:lin")
WORDS = "谁也不许看见的话"


@dataclass
class Duty:
    """Escalation in this process, by a list of entries."""

    rooms: Rooms
    office: Office
    settings: dict[str, object] = field(default_factory=dict)

    def escalation(self, entries: str) -> Escalation:
        settings = DialogueSettings(escalation=SecretStr(entries), **self.settings)  # type: ignore[arg-type] # pydantic checks them
        ways = CallWays.of(settings, self.office)
        return Escalation(database=self.rooms.database, office=self.office, ways=ways, clock=self.rooms.clock)

    def alarm(self, *, who: str = "小王") -> UUID:
        heard = self.rooms.heard(WORDS, who=who)
        with self.rooms.database.begin() as session:
            alerts.alarm(session, self.office, heard.conversation_id, tier=3, is_urgent=False, now=self.rooms.clock())
        return heard.conversation_id

    def at_the_console(self, name: str, *, role: Role = Role.COUNSELLOR, hours: int = 12) -> None:
        """They have signed in there; `hours`: for how much longer."""
        now = self.rooms.clock()
        with self.rooms.database.begin() as session:
            staff = Staff(name=name, role=role, locale="zh", created_at=now)
            session.add(staff)
            session.flush()
            times = {"created_at": now, "expires_at": now + timedelta(hours=hours)}
            session.add(StaffSession(digest=name, staff_id=staff.id, secret=b"", **times))

    def called(self) -> list[str | None]:
        with self.rooms.database.read() as session:
            return [entry.reason for entry in reversed(audit.entries(session, action="case_called"))]

    def take(self) -> None:
        with self.rooms.database.begin() as session:
            for case in open_cases.open_cases(session):
                handling.take(session, case.id, by=LIN, now=self.rooms.clock())


@pytest.fixture
def duty(rooms: Rooms) -> Duty:
    office = Office(
        keys=rooms.keys,
        texts=texts.load("zh"),
        admins=(Address(channel="telegram", chat_id="1"),),
        console_url="https://console.example.org",
    )
    return Duty(rooms, office)


@pytest.fixture
def mails() -> Iterator[MailReceiver]:
    with MailReceiver() as receiver:
        yield receiver


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with WebReceiver() as receiver:
        yield receiver


def test_one_after_another_is_called_until_somebody_takes_the_case(
    duty: Duty, mails: MailReceiver, web: WebReceiver
) -> None:
    duty.settings = {"smtp_url": SecretStr(mails.url), "mail_from": "bot@example.org"}
    duty.at_the_console("lin")
    calls = duty.escalation(f"console:lin, telegram:7, mailto:duty@example.org, {web.url}/hook?key=hidden")
    duty.alarm()
    calls.call()
    assert duty.called() == []
    for minute in range(1, 21):
        duty.rooms.clock.tick(60)
        calls.call()
        calls.call()
        assert len(duty.called()) == minute // 5
    assert duty.called() == ["console:lin", "telegram:7", "mailto:duty@example.org", "http://127.0.0.1"]
    told = [delivery for delivery in duty.rooms.deliveries() if delivery.chat_id == "7"]
    assert [delivery.kind for delivery in told] == [DeliveryKind.ALERT]
    (mail,) = mails.taken
    assert "15 分钟无人接手" in mail["Subject"]
    body = mail.get_content()
    assert "https://console.example.org/conversations/" in body
    ((path, _headers, sent),) = web.taken
    assert path == "/hook?key=hidden"
    facts = json.loads(sent)
    assert (facts["type"], facts["data"]["kind"], facts["data"]["level"]) == ("case.unattended", "danger", 3)
    assert WORDS not in body + sent.decode()
    duty.take()
    duty.rooms.clock.tick(3600)
    calls.call()
    assert len(duty.called()) == 4


def test_repeats_become_rarer_and_do_not_end(duty: Duty) -> None:
    calls = duty.escalation("telegram:7")
    duty.alarm()
    moments: list[int] = []
    for minute in range(1, 241):
        duty.rooms.clock.tick(60)
        calls.call()
        if len(duty.called()) > len(moments):
            moments.append(minute)
    assert moments == [5, 15, 35, 75, 135, 195]


def test_without_a_list_the_admins_are_told_again(duty: Duty) -> None:
    duty.alarm()
    duty.rooms.clock.tick(301)
    duty.escalation("").call()
    assert duty.called() == ["telegram:1"]


def test_whoever_muted_alerts_is_passed_over(duty: Duty) -> None:
    duty.alarm()
    with duty.rooms.database.begin() as session:
        admin = Address(channel="telegram", chat_id="1")
        alerts.mute(session, admin, by=Actor.at(admin), now=duty.rooms.clock())
    duty.rooms.clock.tick(301)
    duty.escalation("telegram:1, telegram:7").call()
    assert duty.called() == ["telegram:7"]


def test_a_signature_that_the_receiver_can_check(duty: Duty, web: WebReceiver) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    duty.settings = {"webhook_secret": SecretStr(secret)}
    calls = duty.escalation(web.url)
    duty.alarm()
    duty.rooms.clock.tick(301)
    calls.call()
    ((_, headers, body),) = web.taken
    expected = webhook.signature(webhook.key(secret), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected["webhook-signature"]


def test_signed_as_the_specification_shows() -> None:
    """The example of https://github.com/standard-webhooks: its libraries sign the same to the same."""
    key = webhook.key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(("form", "field"), [("wecom", "text"), ("feishu", "content")])
def test_group_robots_get_the_form_that_they_take(duty: Duty, web: WebReceiver, form: str, field: str) -> None:
    calls = duty.escalation(f"{form}+{web.url}/robot#secret")
    duty.alarm()
    duty.rooms.clock.tick(301)
    calls.call()
    ((_, _, sent),) = web.taken
    assert "无人接手" in str(json.loads(sent)[field])
    assert ("sign" in json.loads(sent)) == (form == "feishu")


def test_a_call_that_fails_is_repeated_and_then_the_next_is_called(duty: Duty, web: WebReceiver) -> None:
    web.status = 500
    calls = duty.escalation(f"{web.url}/broken, telegram:7")
    duty.alarm()
    duty.rooms.clock.tick(301)
    for _ in range(40):
        calls.call()
        duty.rooms.clock.tick(30)
    assert len(web.taken) >= 5
    assert "telegram:7" in duty.called()
    with duty.rooms.database.read() as session:
        errors = {row.error for row in session.execute(CASE_CALLS.select())}
    assert errors == {"http_500"}


@pytest.mark.parametrize("says", [b"no http at all\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b""])
def test_a_pager_that_speaks_nonsense_holds_up_nobody_elses_call(duty: Duty, web: WebReceiver, says: bytes) -> None:
    with NonsenseReceiver(says) as nonsense:
        calls = duty.escalation(f"{nonsense.url}/a, {web.url}/b")
        first = duty.alarm(who="甲")
        duty.rooms.clock.tick(301)
        calls.call()
        assert duty.called() == ["http://127.0.0.1"], first
        for _ in range(10):
            duty.rooms.clock.tick(30)
            calls.call()
    with duty.rooms.database.read() as session:
        rows = {row.rung: row for row in session.execute(CASE_CALLS.select())}
    assert rows[0].state in {"pending", "failed"}
    assert rows[0].error
    assert len(web.taken) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a b", "http://127.0.0.1:1/值班", "http://127.0.0.1:1/\x01"])
def test_an_address_that_cannot_be_asked_is_a_call_that_failed(duty: Duty, url: str) -> None:
    calls = duty.escalation(url)
    duty.alarm()
    duty.rooms.clock.tick(301)
    calls.call()
    with duty.rooms.database.read() as session:
        (row,) = session.execute(CASE_CALLS.select()).all()
    assert (row.state, bool(row.error)) == ("pending", True)


def test_a_password_that_smtp_cannot_say_is_a_call_that_failed(duty: Duty, mails: MailReceiver) -> None:
    duty.settings = {"smtp_url": SecretStr(mails.url.replace("//", "//bot:密码@")), "mail_from": "bot@example.org"}
    calls = duty.escalation("mailto:duty@example.org")
    duty.alarm()
    duty.rooms.clock.tick(301)
    calls.call()
    with duty.rooms.database.read() as session:
        (row,) = session.execute(CASE_CALLS.select()).all()
    assert (row.state, bool(row.error)) == ("pending", True)


def test_who_is_not_at_the_console_is_passed_over(duty: Duty) -> None:
    duty.at_the_console("lin")
    duty.at_the_console("wei", role=Role.VIEWER)
    duty.at_the_console("fang", hours=-1)
    calls = duty.escalation("console:nobody, console:wei, console:fang, console:Lin, telegram:7")
    duty.alarm()
    for _ in range(2):
        duty.rooms.clock.tick(301)
        calls.call()
    assert duty.called() == ["console:lin", "telegram:7"]


def test_a_robot_that_refuses_with_status_200_has_refused(duty: Duty, web: WebReceiver) -> None:
    web.answer = b'{"errcode": 93000, "errmsg": "invalid webhook url"}'
    calls = duty.escalation(f"wecom+{web.url}")
    duty.alarm()
    duty.rooms.clock.tick(301)
    calls.call()
    with duty.rooms.database.read() as session:
        (row,) = session.execute(CASE_CALLS.select()).all()
    assert (row.state, row.error) == ("pending", "code_93000")


def test_a_process_that_died_while_it_called_is_followed_by_another(duty: Duty, web: WebReceiver) -> None:
    second = duty.escalation(web.url)
    duty.alarm()
    duty.rooms.clock.tick(301)
    callees = escalation_list.parse(web.url)
    with duty.rooms.database.begin() as session:  # and then it died
        escalation.call_due(session, duty.office, callees, now=duty.rooms.clock())
        assert escalation.claim_calls(session, duty.office, owner=uuid4(), now=duty.rooms.clock())
    second.call()
    assert web.taken == []
    duty.rooms.clock.tick(61)
    second.call()
    assert len(web.taken) == 1
    assert duty.called() == ["http://127.0.0.1"]


def test_several_processes_call_once(duty: Duty, web: WebReceiver) -> None:
    several = [duty.escalation(web.url) for _ in range(3)]
    duty.alarm()
    duty.rooms.clock.tick(301)
    for each in several:
        each.call()
    assert len(web.taken) == 1


@pytest.mark.parametrize(
    "entries",
    ["telegram", "mailto:nobody", "http://pager.example.org/x", "pager+https://pager.example.org", "mailto:a@b.org"],
)
def test_a_list_that_cannot_work_is_refused_without_showing_it(duty: Duty, entries: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        duty.escalation(entries)
    assert "MINDGLM_ESCALATION" in str(refused.value)
    assert "pager.example.org" not in str(refused.value)
