"""`mindglm admin` in this process, on a home of its own: what it prints, leaves in the audit, and exits with."""

import json
import os
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import select

from dialogue.admin import audit
from dialogue.core import sending
from dialogue.errors import Ambiguous, NoSuchConversation, NotFailed
from dialogue.states import DeliveryState
from dialogue.tables import Delivery
from tests.builders import Rooms
from tests.mindglm.counter import printed, run
from tests.services import zygote

ME = UUID(int=1)


def test_status_counts_and_says_by_its_exit_code_that_somebody_waits_too_long(rooms: Rooms) -> None:
    assert run("status", "--max-wait", "60").exit_code == 0
    rooms.heard()
    figures = printed("status")
    assert (figures["waiting_count"], figures["open_count"], figures["open_by_tier"]) == (1, 1, {"0": 1})
    assert figures["unattended"] == {"count": 0, "overdue_count": 0, "oldest_at": None}
    assert "turns waiting for an answer" in run("status").output
    assert run("status", "--max-wait", "60").exit_code == 1  # the tests' clock is long past


def test_sessions_are_listed_filtered_and_paged(rooms: Rooms) -> None:
    ids = []
    for who in ("甲", "乙", "丙"):
        ids.append(str(rooms.heard("谁也不许看见的话", who=who).conversation_id))
        rooms.clock.tick(60)
    first = printed("sessions", "--limit", "2")
    assert [one["id"] for one in first["conversations"]] == ids[:0:-1]
    second = printed("sessions", "--limit", "2", "--after", first["next"])
    assert ([one["id"] for one in second["conversations"]], second["next"]) == ([ids[0]], None)
    assert [one["user_id"] for one in printed("sessions", "--person", "test:乙")["conversations"]] == ["乙"]
    assert printed("sessions", "--state", "closed")["conversations"] == []
    assert printed("sessions", "--since", "2099-01-01")["conversations"] == []
    people = run("sessions")
    assert "test:甲" in people.output
    assert "谁也不许看见的话" not in people.output
    assert "No conversation fits" in run("sessions", "--channel", "nowhere").output
    assert run("sessions", "--state", "half-open").exit_code == 2


def test_a_conversation_is_shown_without_its_words_unless_a_reason_is_given(rooms: Rooms) -> None:
    conversation_id = str(rooms.answered("我睡不着", "我在听").conversation_id)
    plain = run("show", conversation_id)
    assert "answered" in plain.output
    assert "我睡不着" not in plain.output
    assert run("show", conversation_id, "--text").exit_code == 2
    assert "我睡不着" in run("show", conversation_id, "--text", "--why", "督导").output
    record = printed("show", conversation_id, "--text", "--why", "督导")
    assert [line["text"] for line in record["transcript"]] == ["我睡不着", "我在听"]
    with rooms.database.read() as session:
        read = audit.entries(session, action="read")
    assert {(entry.actor, entry.reason) for entry in read} == {("cli:operator", "督导")}


def test_what_is_not_there_is_said(rooms: Rooms) -> None:
    assert isinstance(run("show", "0000").exception, NoSuchConversation)
    rooms.heard(who="甲")
    rooms.heard(who="乙")
    assert isinstance(run("show", str(rooms.heard().conversation_id)[:4]).exception, Ambiguous)


def test_resets_ask_first_and_tell_how_many(rooms: Rooms) -> None:
    ids = [str(rooms.heard(who=who).conversation_id) for who in ("甲", "乙", "丙", "丁")]
    asked = run("reset", ids[0])
    assert asked.exit_code == 2
    assert "--yes" in asked.output
    assert printed("reset", ids[0], "--yes", "--why", "测试") == {"reset_count": 1}
    assert printed("reset", "--person", "test:乙", "--yes") == {"reset_count": 1}
    assert printed("reset", "--all", "--yes") == {"reset_count": 2}
    assert printed("sessions", "--state", "open")["conversations"] == []
    assert run("reset", ids[0], "--all", "--yes").exit_code == 2
    lines = printed("audit", "--conversation", ids[0])
    assert [(line["actor"], line["action"], line["reason"]) for line in lines] == [("cli:operator", "reset", "测试")]
    assert "cli:operator" in run("audit").output


def test_closing_and_blocking_and_unblocking(rooms: Rooms) -> None:
    conversation_id = str(rooms.heard().conversation_id)
    assert printed("close", conversation_id, "--yes") == {"conversation_id": conversation_id}
    assert printed("block", "test:小王", "--yes", "--why", "广告")["person_id"]
    assert "(blocked)" in run("show", conversation_id).output
    assert run("unblock", conversation_id).exit_code == 0
    assert "(blocked)" not in run("show", conversation_id).output
    assert [line["action"] for line in printed("audit")] == ["unblock", "block", "close"]
    assert "No matching entries" in run("audit", "--action", "export").output
    for shown in ("屏蔽", "Blocked", "cli:operator"):
        option = "--actor" if ":" in shown else "--action"
        assert "block" in {line["action"] for line in printed("audit", option, shown)}, shown
    for option in ("--action", "--actor"):
        assert run("audit", option, "nosuch").exit_code == 2, "an empty list would mislead"


def test_a_failed_delivery_is_sent_again(rooms: Rooms) -> None:
    rooms.answered("你好", "我在听")
    (owed,) = rooms.due(owner=ME)
    assert isinstance(run("resend", str(owed.id)).exception, NotFailed)
    with rooms.database.begin() as session:
        sending.mark_failed(session, owed.id, owner=ME, error="forbidden")
    assert run("resend", str(owed.id)).exit_code == 0
    assert rooms.deliveries()[0].state is DeliveryState.PENDING
    assert run("resend", "019a").exit_code == 2


def test_what_others_wrote_cannot_colour_the_terminal(rooms: Rooms) -> None:
    rooms.heard("\x1b[31m[red]红[/red]", who="\x1b]0;x\x07[bold]甲")
    shown = run("sessions").output
    assert "\x1b" not in shown
    assert "[bold]甲" in shown


def test_without_a_broker_it_works_and_stdout_holds_nothing_but_the_answer(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINDGLM_BROKER_URL")
    monkeypatch.setenv("MINDGLM_LOG_LEVEL", "DEBUG")
    conversation_id = str(rooms.heard().conversation_id)
    reset = partial(zygote.run, "mindglm", "admin", "reset", conversation_id, "--yes", "--json")
    done = reset(environment=dict(os.environ))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"reset_count": 1})
    again = reset(environment=dict(os.environ))
    assert (again.returncode, again.stdout) == (1, "")
    assert "has ended already" in again.stderr


def test_a_test_alarm_is_sent_to_every_admin_and_its_fate_is_told(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("alert", "--test").exit_code == 2  # nobody is named
    monkeypatch.setenv("MINDGLM_ADMINS", "telegram:1,telegram:2")
    assert run("alert").exit_code == 2
    told = run("alert", "--test", "--wait", "0", "--json")
    assert told.exit_code == 1  # no adapter runs here
    assert {fate["state"] for fate in json.loads(told.stdout)["admins"].values()} == {"pending"}
    with rooms.database.read() as session:
        assert session.scalars(select(Delivery.chat_id).order_by(Delivery.chat_id)).all() == ["1", "2"]


def test_times_are_told_in_the_operators_zone_and_in_utc_to_machines(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.heard()
    monkeypatch.setenv("MINDGLM_CONSOLE_TIME_ZONE", "Asia/Shanghai")
    assert "11:00:00 CST" in run("sessions").output
    monkeypatch.setenv("MINDGLM_CONSOLE_TIME_ZONE", "Europe/Berlin")
    assert "04:00:00 CET" in run("sessions").output
    assert printed("sessions")["conversations"][0]["opened_at"].startswith("2026-11-21T03:00:00")
