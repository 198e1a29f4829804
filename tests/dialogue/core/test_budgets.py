"""The budget of an address on both databases: two couriers never spend it twice, a message renews it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from dialogue.core import budgets, sending
from dialogue.core.budgeted_claims import Claimed
from dialogue.messages import Address, Allowance
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.tables import SEND_BUDGETS
from tests.bot.outgoing import rationed
from tests.bot.outgoing.rationed import SENDS, owe, write
from tests.builders import CHANNEL, Rooms, message

ME = uuid4()


def claim(rooms: Rooms, limit: int = 9) -> Claimed:
    return rationed.claim(rooms, ME, limit=limit, longest=3)


def send_all(rooms: Rooms) -> list[str]:
    said = []
    while texts := claim(rooms).texts:
        for text in texts:
            said.append(text.text)
            rooms.mark_sent(text, owner=ME)
    return said


def test_the_budget_is_spent_and_renewed(rooms: Rooms) -> None:
    write(rooms)
    for number in range(SENDS):
        owe(rooms, f"{number}号通知")
    assert send_all(rooms) == [f"{number}号通知" for number in range(SENDS - 1)]
    assert [one.state for one in rooms.deliveries()].count(DeliveryState.HELD) == 1
    rooms.clock.tick(5)
    write(rooms)
    assert send_all(rooms) == [f"{SENDS - 1}号通知"]


def test_many_couriers_at_once_never_spend_more_than_there_is(rooms: Rooms) -> None:
    people = [f"人{number}" for number in range(6)]
    for who in people:
        write(rooms, who=who)
        for number in range(SENDS + 2):
            owe(rooms, f"{number}号通知", who=who)
    claimed: list[str] = []

    def work() -> None:
        for _ in range(12):
            for text in claim(rooms).texts:
                claimed.append(text.address.chat_id)
                rooms.mark_sent(text, owner=ME)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert {who: claimed.count(who) for who in people} == dict.fromkeys(people, SENDS - 1)


def test_a_text_without_an_account_leaves_by_the_one_that_was_written_to_last(rooms: Rooms) -> None:
    write(rooms)
    owe(rooms, "通知")
    with rooms.database.begin() as session:
        session.execute(SEND_BUDGETS.update().values(account="north"))
    (text,) = claim(rooms).texts
    assert text.address == Address(channel=CHANNEL, account="north", chat_id="小王")


def test_an_older_message_renews_nothing(rooms: Rooms) -> None:
    write(rooms)
    with rooms.database.read() as session:
        grant = session.scalar(select(SEND_BUDGETS.c.grant_id))
    rooms.clock.tick(-60)
    write(rooms)
    with rooms.database.read() as session:
        assert session.scalar(select(SEND_BUDGETS.c.grant_id)) == grant


@pytest.mark.parametrize(("sent", "left"), [(0, SENDS - 1), (SENDS - 2, 2)])
def test_what_a_click_allows_for_a_minute_replaces_no_more_than_it_gives(rooms: Rooms, sent: int, left: int) -> None:
    write(rooms)
    for number in range(sent):
        owe(rooms, f"{number}号通知")
    assert len(send_all(rooms)) == sent
    rooms.clock.tick(5)
    now = rooms.clock()
    click = Allowance(sends=3, until=now + timedelta(minutes=1))
    rooms.receive(replace(message("点了菜单", who="小王"), sent_at=now, allowance=click))
    for number in range(SENDS):
        owe(rooms, f"又{number}号")
    assert len(send_all(rooms)) == left


@pytest.mark.parametrize(("starts_anew", "said"), [(True, ["第二句"]), (False, [])])
def test_what_is_still_leaving_costs_the_next_allowance_nothing_where_that_starts_anew(
    rooms: Rooms, starts_anew: bool, said: list[str]
) -> None:
    def hear(text: str) -> None:
        allowance = Allowance(sends=1, until=rooms.clock() + timedelta(minutes=1), starts_anew=starts_anew)
        rooms.receive(replace(message(text, who="小王"), sent_at=rooms.clock(), allowance=allowance))

    hear("一")
    owe(rooms, "第一句")
    (leaving,) = claim(rooms).texts
    rooms.clock.tick(5)
    hear("二")
    rooms.mark_sent(leaving, owner=ME)
    owe(rooms, "第二句")
    assert send_all(rooms) == said


def test_a_refusal_by_an_older_grant_leaves_the_new_one_alone(rooms: Rooms) -> None:
    write(rooms)
    owe(rooms, "通知")
    (text,) = claim(rooms).texts
    rooms.clock.tick(5)
    write(rooms)
    with rooms.database.begin() as session:
        assert sending.hold(session, text, owner=ME, now=rooms.clock()) is None
    assert send_all(rooms) == ["通知"]


def test_crisis_words_stand_before_what_waits(rooms: Rooms) -> None:
    write(rooms)
    for number in range(SENDS):
        owe(rooms, f"{number}号通知")
    assert len(send_all(rooms)) == SENDS - 1
    owe(rooms, "危机中", DeliveryKind.CRISIS)
    assert send_all(rooms) == ["危机中"]


@pytest.mark.parametrize("has_colleagues", [True, False])
def test_who_has_colleagues_is_said_by_the_channel_and_not_by_its_account(
    rooms: Rooms, *, has_colleagues: bool
) -> None:
    now, place = rooms.clock(), Address(channel=CHANNEL, account="one", chat_id="小王")
    allowance = Allowance(sends=1, until=now + timedelta(minutes=1), has_colleagues=has_colleagues)
    rooms.receive(replace(message(who="小王"), address=place, sent_at=now, allowance=allowance))
    with rooms.database.read() as session:
        assert budgets.has_colleagues(session, place) is has_colleagues
        assert not budgets.has_colleagues(session, replace(place, chat_id="小李"))
