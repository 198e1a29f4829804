import asyncio
import json
from contextlib import aclosing, suppress
from datetime import timedelta
from uuid import UUID

import pytest
from httpx2 import Response

from console import accounts
from console.board import Board
from dialogue.admin import audit
from dialogue.states import Role
from tests.console.conftest import PASSWORD, Browser, House
from tests.console.test_cases import alarm, only


def told(answer: Response) -> dict[str, object]:
    """The one event that a client gets who asks for no stream."""
    (line,) = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    parsed: dict[str, object] = json.loads(line.removeprefix("data: "))
    return parsed


def idle(house: House, browser: Browser) -> None:
    """So long that the session needs its password again."""
    house.clock.tick(house.services.lifetimes.idle.total_seconds() + 1)
    assert browser.get("/conversations").status_code == 303


def sitting(page: Response) -> str:
    return page.text.partition('name="sitting" value="')[2].partition('"')[0]


def reads(house: House) -> int:
    with house.services.database.read() as session:
        return len(audit.entries(session, action="read"))


def test_the_desk_is_told_figures_and_never_whom_they_are_about(house: House) -> None:
    conversation_id = alarm(house)
    browser = house.browser(Role.VIEWER)
    answer = browser.get("/duty/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert {name: told(answer)[name] for name in ("unattended", "overdue", "level", "locked", "blind")} == {
        "unattended": 1,
        "overdue": 0,
        "level": 3,
        "locked": False,
        "blind": False,
    }
    assert str(conversation_id) not in answer.text
    mark = told(answer)["mark"]
    assert told(browser.get("/duty/events"))["mark"] == mark
    house.browser(Role.COUNSELLOR).post(f"/cases/{only(house).id}/take")
    assert told(browser.get("/duty/events"))["mark"] != mark


def test_who_idled_sees_how_many_wait_and_opens_it_again_with_the_password(house: House) -> None:
    conversation_id = alarm(house)
    browser = house.browser(Role.COUNSELLOR)
    token = browser.token()
    idle(house, browser)
    page = browser.get("/duty")
    assert page.status_code == 200
    assert "1 人无人接手" in page.text
    assert conversation_id.hex[:8] not in page.text.replace("-", "")
    assert told(browser.get("/duty/events"))["locked"] is True
    assert browser.get("/duty/cases").status_code == 303
    assert browser.get(f"/conversations/{conversation_id}/pulse").json() == {"locked": True}
    assert browser.post(f"/conversations/{conversation_id}/transcript", token=token).status_code == 401
    assert browser.post("/unlock", token=token, password="not it").status_code == 401
    assert browser.post("/unlock", token="0" * 64, password=PASSWORD).status_code == 403
    assert browser.post("/unlock", token=token, password=PASSWORD, next="/duty").headers["location"] == "/duty"
    assert told(browser.get("/duty/events"))["locked"] is False
    assert browser.get("/duty/cases").status_code == 200


def test_after_the_longest_session_a_password_is_not_enough(house: House) -> None:
    browser = house.browser(Role.COUNSELLOR)
    token = browser.token()
    house.clock.tick(house.services.lifetimes.whole.total_seconds() + 1)
    assert browser.get("/duty").status_code == 303
    assert browser.post("/unlock", token=token, password=PASSWORD).status_code == 401


@pytest.mark.parametrize("path", ["/duty/events", "/duty/cases", "/conversations/{id}/pulse"])
def test_what_a_page_asks_by_itself_extends_no_session(house: House, path: str) -> None:
    path = path.replace("{id}", str(alarm(house)))
    browser = house.browser(Role.COUNSELLOR)
    for _ in range(4):
        house.clock.tick(house.services.lifetimes.idle.total_seconds() / 3)
        answer = browser.get(path)
        assert "set-cookie" not in answer.headers
    assert browser.get("/conversations").status_code == 303


def test_a_person_who_types_is_there(house: House) -> None:
    browser = house.browser(Role.COUNSELLOR)
    token = browser.token()
    for _ in range(4):
        house.clock.tick(house.services.lifetimes.idle.total_seconds() / 3)
        assert browser.post("/here", token=token).status_code == 204
    assert browser.get("/conversations").status_code == 200


def test_one_sitting_is_one_line_in_the_audit(house: House) -> None:
    conversation_id = alarm(house)
    browser = house.browser(Role.COUNSELLOR)
    where = f"/conversations/{conversation_id}"
    token = sitting(browser.post(f"{where}/transcript"))
    assert reads(house) == 1
    house.rooms.heard("新的一句")
    words = browser.post(f"{where}/words", sitting=token)
    assert "新的一句" in words.text
    assert "<textarea" not in words.text
    assert "set-cookie" not in words.headers
    browser.post(f"{where}/transcript", sitting=token)
    assert reads(house) == 1
    browser.post(f"{where}/transcript")
    assert reads(house) == 2


def test_a_sitting_is_worth_nothing_elsewhere(house: House) -> None:
    conversation_id, other = alarm(house), alarm(house, who="别人")
    house.hire("fang", Role.COUNSELLOR)
    lin, fang = house.browser(Role.COUNSELLOR), house.browser()
    fang.sign_in("fang")
    token = sitting(lin.post(f"/conversations/{conversation_id}/transcript"))
    assert fang.post(f"/conversations/{conversation_id}/words", sitting=token).status_code == 403
    assert lin.post(f"/conversations/{other}/words", sitting=token).status_code == 403
    for broken in ("", "x", token + "0", f"{int(token.partition('.')[0]) + 1}.{token.partition('.')[2]}"):
        assert lin.post(f"/conversations/{conversation_id}/words", sitting=broken).status_code == 403
    house.clock.now += timedelta(hours=5)
    assert fang.sign_in("fang").status_code == 303
    assert lin.sign_in("lin").status_code == 303
    assert lin.post(f"/conversations/{conversation_id}/words", sitting=token).status_code == 403


def test_a_refused_answer_is_not_lost(house: House) -> None:
    conversation_id = alarm(house)
    browser = house.browser(Role.COUNSELLOR)
    browser.post(f"/conversations/{conversation_id}/take-over")
    token = sitting(browser.post(f"/conversations/{conversation_id}/transcript"))
    house.rooms.reset(conversation_id)
    answer = browser.post(
        f"/conversations/{conversation_id}/say", text="我写了很久的话", once=str(UUID(int=7)), sitting=token
    )
    assert answer.status_code == 409
    assert "我写了很久的话" in answer.text
    assert "没有发出" in answer.text


def test_whoever_holds_a_takeover_is_asked_before_a_colleague_ends_it(any_house: House) -> None:
    house = any_house
    where = f"/conversations/{alarm(house)}"
    house.hire("fang", Role.COUNSELLOR)
    lin, fang = house.browser(Role.COUNSELLOR), house.browser()
    fang.sign_in("fang")
    lin.post(f"{where}/take-over")
    assert "release-asked" in fang.post(f"{where}/release").headers["location"]
    assert lin.get(f"{where}/pulse").json()["asks"] == "console:fang"
    assert fang.post(f"{where}/keep").status_code == 409
    assert lin.post(f"{where}/keep").status_code == 303
    assert lin.get(f"{where}/pulse").json()["asks"] is None
    assert "release-asked" in fang.post(f"{where}/release").headers["location"]
    house.clock.tick(119)
    assert "release-asked" in fang.post(f"{where}/release").headers["location"]
    house.clock.tick(2)
    assert fang.post(f"{where}/release").headers["location"].endswith("notice=release")
    with house.services.database.read() as session:
        done = [(one.actor, one.action) for one in reversed(audit.entries(session)) if "case" not in one.action]
    asked, kept, released = ("console:fang", "ask_release"), ("console:lin", "keep"), ("console:fang", "release")
    assert [one for one in done if one in (asked, kept, released)] == [asked, kept, asked, released]


async def test_twenty_desks_see_a_crisis_and_one_reader_serves_them(house: House) -> None:
    board = Board(house.services.database, minutes=5, clock=house.clock)
    seen = [0] * 20

    async def watch(number: int) -> None:
        async for snapshot in board.follow():
            seen[number] = snapshot.unattended.count
            if seen[number]:
                return

    watching = [asyncio.create_task(watch(number)) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(alarm, house)
    await asyncio.wait_for(asyncio.gather(*watching), 30)
    assert seen == [1] * 20
    assert board._reading is None  # nobody follows: nobody reads


async def test_a_reader_that_swallows_its_cancellation_ends_also_when_somebody_follows_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: set[asyncio.Task[object]] = set()
    is_first = True

    async def sleep(seconds: float) -> None:
        nonlocal is_first
        task = asyncio.current_task()
        assert task is not None
        readers.add(task)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait() if is_first else await real_sleep(seconds)
        is_first = False

    real_sleep = asyncio.sleep
    board = Board(house.services.database, minutes=5, clock=house.clock)
    monkeypatch.setattr("console.board.asyncio.sleep", sleep)
    async with aclosing(board.follow()) as first:
        await anext(first)
        while not readers:
            await real_sleep(0.001)
    async with aclosing(board.follow()) as second:
        await anext(second)
        while len(readers) < 2:
            await real_sleep(0.001)
        assert sum(not task.done() for task in readers) == 1
    await asyncio.wait(readers)


async def test_desks_are_let_go_when_the_process_ends(house: House) -> None:
    board = Board(house.services.database, minutes=5, clock=house.clock)
    seen = []

    async def watch() -> None:
        async for snapshot in board.follow():
            seen.append(snapshot)
            board.end()

    await asyncio.wait_for(watch(), 30)
    assert len(seen) == 1


def test_an_overview_that_refreshes_itself_becomes_the_locked_desk(house: House) -> None:
    alarm(house)
    browser = house.browser(Role.VIEWER)
    idle(house, browser)
    assert browser.get("/?quiet=1").headers["location"] == "/duty"
    assert "1 人无人接手" in browser.get("/duty").text
    assert house.browser().get("/?quiet=1").headers["location"] == "/duty"
    assert house.browser().get("/duty?quiet=1").headers["location"].startswith("/sign-in")


def test_whoever_is_disabled_attends_to_nobody(house: House) -> None:
    alarm(house)
    lin, admin = house.browser(Role.COUNSELLOR), house.browser(Role.ADMIN)
    lin.post(f"/cases/{only(house).id}/take")
    with house.services.database.read() as session:
        member = accounts.by_name(session, "lin")
    assert member is not None
    assert admin.post(f"/staff/{member.id}/disable").status_code == 303
    assert only(house).taken_by is None
    assert only(house).waits_since is not None
