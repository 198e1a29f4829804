import html
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from dialogue.admin import audit
from dialogue.admin.cases import open_cases
from dialogue.core import budgets
from dialogue.messages import Address
from dialogue.states import DeliveryState, Role, TurnState
from dialogue.tables import Conversation, Delivery, SendBudget, Turn
from dialogue.telemetry.heartbeat import Identity, beat
from tests.console import demo
from tests.console.conftest import Browser, House

ME = UUID(int=1)
NOW = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)


@pytest.fixture
def ids(house: House) -> list[UUID]:
    """A week's conversations, oldest first."""
    house.clock.now = NOW
    return demo.fill(house.services.database, house.services.keys, now=NOW, count=60)


def listed(browser: Browser, query: str = "") -> list[str]:
    page = browser.get(f"/conversations?{query}").text
    return [part.partition('"')[0] for part in page.split('class="id" href="/conversations/')[1:]]


def next_page(page: str) -> str:
    found = re.search(r'href="(/conversations\?[^"]+)" rel="next"', page)
    return html.unescape(found[1]) if found else ""


def test_pages_go_back_to_the_first_conversation_without_leaving_one_out(house: House, ids: list[UUID]) -> None:
    browser, found, path = house.browser(Role.VIEWER), list[str](), "/conversations?sort=newest"
    while path:
        page = browser.get(path).text
        found += [part.partition('"')[0] for part in page.split('class="id" href="/conversations/')[1:]]
        path = next_page(page)
    assert found == [str(each) for each in reversed(ids)]


def test_filters_by_channel_state_risk_and_days_of_the_readers_time_zone(house: House, ids: list[UUID]) -> None:
    browser = house.browser(Role.VIEWER)
    with house.services.database.read() as session:
        rows = {row.id: row for row in session.scalars(select(Conversation))}
    wechat = listed(browser, "channel=wechat&tier=2")
    assert set(wechat) == {str(row.id) for row in rows.values() if row.channel == "wechat" and row.tier >= 2}
    assert all(rows[UUID(each)].closed_at is None for each in listed(browser, "standing=open"))
    shanghai = timedelta(hours=8)
    day = [row for row in rows.values() if f"{row.opened_at + shanghai:%m-%d}" == "11-18"]
    assert set(listed(browser, "from=2026-11-18&until=2026-11-18")) == {str(row.id) for row in day}
    assert "没有符合条件" in browser.get("/conversations?channel=nowhere").text


def test_any_id_finds_its_conversation(house: House, ids: list[UUID]) -> None:
    browser, wanted = house.browser(Role.COUNSELLOR), ids[7]
    with house.services.database.read() as session:
        turn = session.scalars(select(Turn).where(Turn.conversation_id == wanted)).first()
        delivery = session.scalars(select(Delivery).where(Delivery.conversation_id == wanted)).first()
        row = session.get_one(Conversation, wanted)
    assert turn is not None
    assert delivery is not None
    for text in (wanted, wanted.hex.upper(), str(wanted)[:13], turn.id, delivery.id):
        assert browser.get(f"/conversations?q={text}").headers["location"] == f"/conversations/{wanted}", text
    person = f"/conversations?person={row.person_id}"
    for text in (row.chat_id, f"{row.channel}:{row.chat_id}", row.person_id):
        assert browser.get(f"/conversations?q={text}").headers["location"] == person
    assert listed(browser, person.partition("?")[2]) == [str(wanted)]
    assert "没有找到这个编号" in browser.get("/conversations?q=nothing").text
    assert "没有找到这个编号" in house.browser(Role.VIEWER).get(f"/conversations?q={row.chat_id}").text


def test_each_opening_of_a_transcript_is_an_entry_of_the_audit(house: House, ids: list[UUID]) -> None:
    browser = house.browser(Role.COUNSELLOR)
    for count in (1, 2):
        page = browser.post(f"/conversations/{ids[7]}/transcript")
        assert page.status_code == 200
        assert demo.TALK[0][0] in page.text
        assert demo.TALK[0][1] in page.text
        with house.services.database.read() as session:
            assert len(audit.entries(session, actor="console:lin", action="read", conversation_id=ids[7])) == count
    assert house.browser(Role.VIEWER).post(f"/conversations/{ids[7]}/transcript").status_code == 403


def test_a_human_takes_over_says_something_once_and_gives_back(house: House, ids: list[UUID]) -> None:
    browser, place = house.browser(Role.COUNSELLOR), f"/conversations/{ids[-1]}"
    assert browser.post(f"{place}/say", text="你好", once=str(ids[0])).status_code == 409
    assert browser.post(f"{place}/take-over", reason="我来").headers["location"] == f"{place}?notice=take-over"
    assert browser.post(f"{place}/take-over").status_code == 409
    mark = browser.get(f"{place}/pulse").json()["mark"]
    for _ in range(2):
        page = browser.post(f"{place}/say", text="我是<b>林老师</b>", once="01a1fc79-09ca-7000-8000-000000000001")
        assert page.text.count("我是&lt;b&gt;林老师") == 1
    assert browser.get(f"{place}/pulse").json()["mark"] != mark
    for form in ({"text": "", "once": str(ME)}, {"text": "x" * 9999, "once": str(ME)}):
        assert browser.post(f"{place}/say", **form).status_code == 409
    assert browser.post(f"{place}/say", text="没有编号").status_code == 422
    colleague = house.browser(Role.ADMIN)
    assert colleague.post(f"{place}/say", text="我也在", once=str(ME)).status_code == 409
    assert colleague.post(f"{place}/release").status_code == 303
    with house.services.database.read() as session:
        entries = audit.entries(session, conversation_id=ids[-1])
        assert session.get_one(Conversation, ids[-1]).taken_over_by is None
    assert [entry.action for entry in entries if entry.actor == "console:lin"][-1] == "take_over"
    assert "我来" in {entry.reason for entry in entries}


def test_a_chat_is_handed_over_to_a_phone_only_where_the_platform_has_an_app(house: House) -> None:
    browser = house.browser(Role.COUNSELLOR)
    heard = house.rooms.heard("你好")
    place = f"/conversations/{heard.conversation_id}"
    assert f"{place}/phone" not in browser.get(place).text
    assert browser.post(f"{place}/phone").status_code == 409
    with house.services.database.begin() as session:
        conversation = session.get_one(Conversation, heard.conversation_id)
        conversation.account = "kf1"
        session.flush()
        address = Address.of(conversation)
        budgets.free(session, address.channel, [address])  # as where sending is limited
        session.execute(update(SendBudget).values(has_colleagues=True))
    assert f"{place}/phone" in browser.get(place).text
    assert browser.post(f"{place}/phone", reason="电话").headers["location"] == f"{place}?notice=phone"
    assert "两分钟" in browser.get(f"{place}?notice=phone").text
    with house.services.database.read() as session:
        assert [address for address, _ in budgets.wanting_platform_humans(session, address.channel)] == [address]
        (entry,) = audit.entries(session, action="hand_over", conversation_id=heard.conversation_id)
    assert (entry.actor, entry.reason) == ("console:lin", "电话")


def test_reset_close_block_and_unblock(house: House) -> None:
    browser = house.browser(Role.COUNSELLOR)
    first = house.rooms.heard("你好")
    place = f"/conversations/{first.conversation_id}"
    assert browser.post(f"{place}/reset", reason="x" * 256).status_code == 409
    assert browser.post(f"{place}/reset").headers["location"] == f"{place}?notice=reset"
    assert house.rooms.turn(first.turn_id).state is TurnState.DISCARDED
    assert browser.post(f"{place}/reset").status_code == 409
    second = house.rooms.heard("还在吗")
    assert second.conversation_id != first.conversation_id
    assert browser.post(f"/conversations/{second.conversation_id}/close").status_code == 303
    person = house.rooms.conversation(second.conversation_id).person_id
    assert browser.post(f"/people/{person}/block").status_code == 303
    assert "已屏蔽" in browser.get(f"/conversations?person={person}").text
    assert browser.post(f"/people/{person}/unblock").status_code == 303
    for missing in (f"/people/{ME}/block", f"/conversations/{ME}/reset", f"/deliveries/{ME}/resend", "/people/x/block"):
        assert browser.post(missing).status_code == 404


def test_a_failed_delivery_is_owed_again(house: House, ids: list[UUID]) -> None:
    browser = house.browser(Role.COUNSELLOR)
    with house.services.database.read() as session:
        failed = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.FAILED)).first()
    assert failed is not None
    assert "不知道是否送到" in browser.get("/deliveries").text
    back = f"/conversations/{failed.conversation_id}"
    assert browser.post(f"/deliveries/{failed.id}/resend", back=back).headers["location"] == f"{back}?notice=resend"
    assert browser.post(f"/deliveries/{failed.id}/resend").status_code == 409
    again = browser.post(f"/deliveries/{failed.id}/resend", back="https://evil.example")
    assert "evil" not in again.headers.get("location", "")


def test_failed_deliveries_are_paged_to_the_oldest(any_house: House) -> None:
    any_house.clock.now = NOW
    demo.fill(any_house.services.database, any_house.services.keys, now=NOW, count=30)
    with any_house.services.database.begin() as session:
        session.execute(update(Delivery).values(state=DeliveryState.FAILED))
        expected = list(session.scalars(select(Delivery.id).order_by(Delivery.created_at.desc(), Delivery.id.desc())))
    browser, found, path = any_house.browser(Role.COUNSELLOR), list[str](), "/deliveries"
    while path:
        page = browser.get(path).text
        found += re.findall(r'action="/deliveries/([^/]+)/resend"', page)
        older = re.search(r'href="(/deliveries\?before=[^"]+)" rel="next"', page)
        path = older[1] if older else ""
    assert len(expected) > 50
    assert found == [str(each) for each in expected]


def test_an_erased_persons_words_cannot_be_opened_and_that_is_said(house: House, ids: list[UUID]) -> None:
    from dialogue.tables import PEOPLE

    with house.services.database.begin() as session:
        session.execute(update(PEOPLE).values(data_key=None))
    page = house.browser(Role.COUNSELLOR).post(f"/conversations/{ids[7]}/transcript")
    assert page.status_code == 409
    assert "已按要求删除" in page.text


def test_the_overview_tells_who_waits_and_which_adapter_hears_nothing(house: House) -> None:
    browser = house.browser(Role.VIEWER)
    empty = browser.get("/").text
    assert "没有工作进程" in empty
    assert "没有渠道在运行" in empty
    now = house.clock()
    with house.services.database.begin() as session:
        worker = {"batch": 3, "capacity": 16, "tokens_per_second": 88.0}
        for kind, figures in (("worker", worker), ("telegram", {"last_heard_seconds": 3.0})):
            beat(session, Identity(kind=kind, name=kind, started_at=now), figures, now=now)
    well = browser.get("/").text
    assert "运行正常" in well
    assert "同时处理 3" in well
    assert "<strong>88</strong>" in well
    house.rooms.heard()
    house.clock.tick(61)
    with house.services.database.begin() as session:
        told = {"last_heard_seconds": 300.0}
        beat(session, Identity(kind="wechat", name="wechat", started_at=now), told, now=house.clock())
    late = browser.get("/").text
    assert "有人等了一分钟以上" in late
    assert "有渠道收不到消息" in late
    assert "没有工作进程" in late  # it has been silent for longer than a process may be


def test_times_are_those_of_the_readers_zone(house: House, ids: list[UUID]) -> None:
    browser = house.browser(Role.VIEWER)
    with house.services.database.read() as session:
        opened_at = session.get_one(Conversation, ids[-1]).opened_at
    assert f"{opened_at + timedelta(hours=8):%Y-%m-%d %H:%M:%S}" in browser.get("/conversations").text
    assert browser.post("/account/preferences", locale="en", time_zone="Nowhere/Else").status_code == 422
    assert browser.post("/account/preferences", locale="en", time_zone="Asia/Kolkata").status_code == 303
    page = browser.get("/conversations").text
    assert f"{opened_at + timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M:%S}" in page
    assert "Times are shown in Asia/Kolkata" in page


@pytest.mark.parametrize("sort", ["", "attention", "danger", "newest"])
def test_every_order_leaves_no_conversation_out(any_house: House, sort: str) -> None:
    any_house.clock.now = NOW
    made = demo.fill(any_house.services.database, any_house.services.keys, now=NOW, count=120)
    browser, found, path = any_house.browser(Role.VIEWER), list[str](), f"/conversations?sort={sort}"
    while path:
        page = browser.get(path).text
        found += [part.partition('"')[0] for part in page.split('class="id" href="/conversations/')[1:]]
        path = next_page(page)
    assert len(found) == len(set(found))
    assert set(found) == {str(each) for each in made}


def test_whom_nobody_attends_to_comes_first_and_danger_before_the_rest(house: House, ids: list[UUID]) -> None:
    browser = house.browser(Role.VIEWER)
    with house.services.database.read() as session:
        rows = {str(row.id): row for row in session.scalars(select(Conversation))}
        waiting = [str(case.conversation_id) for case in open_cases.open_cases(session)]
    assert waiting
    assert listed(browser)[: len(waiting)] == waiting
    by_danger = [rows[each] for each in listed(browser, "sort=danger")]
    keys = [(row.closed_at is None, row.tier if row.closed_at is None else 0, row.opened_at) for row in by_danger]
    assert keys == sorted(keys, reverse=True)
    assert set(listed(browser, "case=unattended")) == set(waiting)


def test_who_waits_longest_and_who_wrote_last(house: House) -> None:
    for who in ("甲", "乙", "丙"):
        house.rooms.heard(who=who)
        house.clock.tick(60)
    house.rooms.heard("还有", who="甲")
    browser = house.browser(Role.VIEWER)
    with house.services.database.read() as session:
        names = {str(row.id): row.chat_id for row in session.scalars(select(Conversation))}
    assert [names[each] for each in listed(browser, "sort=waiting")] == ["甲", "乙", "丙"]
    assert [names[each] for each in listed(browser, "sort=last")] == ["甲", "丙", "乙"]


def test_filters_combine_and_are_kept_under_a_name(house: House, ids: list[UUID]) -> None:
    lin, admin = house.browser(Role.COUNSELLOR), house.browser(Role.ADMIN)
    assert lin.post(f"/conversations/{ids[-1]}/assign", to="lin").status_code == 303
    assert lin.post(f"/conversations/{ids[-1]}/assign", to="wei").status_code == 422  # a viewer
    assert listed(lin, "assigned=me") == [str(ids[-1])]
    assert listed(admin, "assigned=me") == []
    assert str(ids[-1]) not in listed(lin, "assigned=nobody&standing=open")
    kept = lin.post("/views", name="我的", query="assigned=me&sort=waiting&evil=1")
    assert kept.headers["location"] == "/conversations?assigned=me&sort=waiting"
    page = lin.get("/conversations").text
    assert ">我的</a>" in page
    assert ">我的</a>" not in admin.get("/conversations").text
    (view,) = re.findall(r'action="(/views/[^"]+/delete)"', page)
    admin.post(view)
    assert ">我的</a>" in lin.get("/conversations").text
    lin.post(view)
    assert ">我的</a>" not in lin.get("/conversations").text
    assert lin.post("/views", name=" ", query="").status_code == 422
