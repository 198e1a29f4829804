from uuid import UUID

import pytest
from sqlalchemy import update

from dialogue.admin import alerts, audit
from dialogue.admin.cases import open_cases
from dialogue.admin.cases.open_cases import DutyCase
from dialogue.admin.office import Office
from dialogue.states import Role
from dialogue.tables import CASES, CONVERSATIONS
from dialogue.telemetry.heartbeat import Identity, beat
from tests.console.conftest import House


def alarm(house: House, *, who: str = "小王", tier: int = 3) -> UUID:
    conversation_id = house.rooms.heard("谁也不许看见的话", who=who).conversation_id
    office = Office(keys=house.services.keys, texts=house.services.said_to_people)
    with house.services.database.begin() as session:
        session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(tier=tier))
        alerts.alarm(session, office, conversation_id, tier=tier, is_urgent=False, now=house.clock())
    return conversation_id


def only(house: House) -> DutyCase:
    with house.services.database.read() as session:
        (case,) = open_cases.open_cases(session)
    return case


def worker(house: House) -> None:
    me = Identity(kind="worker", name="w", host="h", pid=1, version="1", started_at=house.clock())
    with house.services.database.begin() as session:
        beat(session, me, {}, now=house.clock())


@pytest.mark.parametrize("has_case", [True, False])
def test_the_overview_is_never_green_while_somebody_is_unattended(house: House, has_case: bool) -> None:
    conversation_id = alarm(house)
    if not has_case:  # as an older version left it
        with house.services.database.begin() as session:
            session.execute(CASES.delete())
    browser = house.browser(Role.COUNSELLOR)
    worker(house)
    page = browser.get("/").text
    assert "运行正常" not in page
    assert "1 人无人接手" in page
    assert "pill warn" in page
    house.clock.tick(301)
    worker(house)
    page = browser.get("/").text
    assert "运行正常" not in page
    assert 'class="alarm"' in page
    assert "等得太久" in page
    assert browser.post(f"/conversations/{conversation_id}/take-over").status_code == 303
    worker(house)
    assert 'class="alarm"' not in browser.get("/").text


def test_from_the_desk_to_the_outcome(any_house: House) -> None:
    house = any_house
    conversation_id = alarm(house)
    house.hire("fang", Role.COUNSELLOR)
    lin, fang = house.browser(Role.COUNSELLOR), house.browser()
    fang.sign_in("fang")
    case = only(house)
    desk = lin.get("/duty").text
    assert "无人接手" in desk
    assert "谁也不许看见的话" not in desk
    looked = lin.post(f"/cases/{case.id}/look")
    assert looked.headers["location"] == f"/conversations/{conversation_id}"
    assert "console:lin 看过" in fang.get("/duty").text
    assert lin.post(f"/cases/{case.id}/take").status_code == 303
    assert fang.post(f"/cases/{case.id}/take").status_code == 409
    assert lin.post(f"/cases/{case.id}/hand", to="nobody").status_code == 422
    assert lin.post(f"/cases/{case.id}/hand", to="fang", note="母亲在旁边").status_code == 303
    assert "等 console:fang 查看" in lin.get("/duty").text
    assert fang.post(f"/cases/{case.id}/take").status_code == 303
    assert fang.post(f"/cases/{case.id}/close", outcome="spoke", note="").status_code == 409
    assert fang.post(f"/cases/{case.id}/close", outcome="anything", note="x").status_code == 422
    assert fang.post(f"/cases/{case.id}/close", outcome="spoke", note="已通话").status_code == 303
    assert "现在没有需要人处理的事" in lin.get("/duty").text
    assert "已和本人谈过" in lin.get("/duty/closed").text
    assert "已通话" in lin.get(f"/cases/{case.id}").text
    assert "已通话" not in house.browser(Role.VIEWER).get(f"/cases/{case.id}").text
    told = lin.get(f"/cases/{case.id}").text.partition("<h2>处理过程")[2]
    steps = ("已和本人谈过", "接手个案", "交给 console:fang", "查看个案", "有危险（3 · 危险）")
    assert [told.find(step) for step in steps] == sorted(told.index(step) for step in steps), "the newest first"
    assert "接手个案" not in house.browser(Role.VIEWER).get(f"/cases/{case.id}").text
    with house.services.database.read() as session:
        done = [(one.actor, one.action) for one in reversed(audit.entries(session)) if "case" in one.action]
    assert done == [
        ("screening", "case_opened"),
        ("console:lin", "case_seen"),
        ("console:lin", "case_taken"),
        ("console:lin", "case_handed"),
        ("console:fang", "case_taken"),
        ("console:fang", "case_closed"),
    ]


def test_a_case_tells_of_itself_and_not_of_the_one_before(house: House) -> None:
    lin, told = house.browser(Role.COUNSELLOR), []
    for outcome in ("false_alarm", "spoke"):
        alarm(house)
        case = only(house)
        lin.post(f"/cases/{case.id}/close", outcome=outcome, note="x")
        told.append(lin.get(f"/cases/{case.id}").text.partition("<h2>处理过程")[2])
        house.clock.tick(600)
    assert ["误报" in one for one in told] == [True, False]
    assert ["个案开始" in one for one in told] == [True, True]


def test_reading_the_words_counts_as_a_look(house: House) -> None:
    conversation_id = alarm(house)
    house.browser(Role.COUNSELLOR).post(f"/conversations/{conversation_id}/transcript")
    assert only(house).seen_by == "console:lin"
