"""Where a platform limits sending: the budget is spent by importance, nothing is dropped, nothing is said twice."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from bot.outgoing.bounces import Bounces
from bot.outgoing.crisis_alarms import CrisisAlarms
from dialogue.core import conversations, sending
from dialogue.messages import OwedText
from dialogue.rights.erasure import REPLAY, erase, scrub
from dialogue.states import ClosedBy, DeliveryKind, DeliveryState
from dialogue.tables import DELIVERIES, SEND_BUDGETS, Delivery
from dialogue.telemetry.backlog import backlog
from tests.bot.outgoing.rationed import (
    LONGEST,
    MORE,
    SENDS,
    WINDOW,
    RationedPlatform,
    courier,
    office,
    owe,
    write,
)
from tests.builders import CHANNEL, Rooms

REPLY, NOTICE, HUMAN, CRISIS = DeliveryKind.REPLY, DeliveryKind.NOTICE, DeliveryKind.HUMAN, DeliveryKind.CRISIS


def states(rooms: Rooms) -> list[DeliveryState]:
    return [delivery.state for delivery in rooms.deliveries() if delivery.channel == CHANNEL]


def alerts(rooms: Rooms) -> int:
    return sum(delivery.kind is DeliveryKind.ALERT for delivery in rooms.deliveries())


async def deliver(rooms: Rooms, platform: RationedPlatform) -> list[str]:
    """Until nothing more may be sent."""
    messenger = courier(rooms, platform)
    while await messenger.deliver_due():
        pass
    return platform.said["小王"]


async def test_important_words_go_first_and_the_last_place_is_kept(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms)
    conversation_id = write(rooms, platform).conversation_id
    for number in range(4):  # of conversations of their own: nothing is joined
        owe(rooms, f"通知{number}" * 8)
    owe(rooms, "回复", REPLY, conversation_id=conversation_id)
    owe(rooms, "真人", HUMAN, conversation_id=conversation_id)
    said = await deliver(rooms, platform)
    assert said[:2] == ["真人", "回复"]
    assert len(said) == SENDS - 1
    owe(rooms, "危机", CRISIS, conversation_id=conversation_id)
    assert (await deliver(rooms, platform))[-1] == "危机"
    assert platform.refused == []


async def test_what_is_left_waits_for_the_person_and_is_said_when_they_write(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms)
    write(rooms, platform)
    for number in range(6):
        owe(rooms, f"{number}" * LONGEST)
    said = await deliver(rooms, platform)
    assert len(said) == 4
    assert said[-1].endswith(MORE)
    assert states(rooms).count(DeliveryState.HELD) == 3
    with rooms.database.read() as session:
        found = backlog(session)
    assert found.held[CHANNEL].count == 3
    assert CHANNEL not in found.owed
    rooms.clock.tick(2)
    write(rooms, platform)
    said = await deliver(rooms, platform)
    assert "".join(said).replace(f"\n\n{MORE}", "") == "".join(f"{number}" * LONGEST for number in range(6))
    assert DeliveryState.HELD not in states(rooms)


async def test_what_waits_for_a_person_is_not_looked_at_again_and_again(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms, sends=0)
    write(rooms, platform)
    owe(rooms, "危机", CRISIS)
    messenger = courier(rooms, platform)
    assert await messenger.deliver_due() == 1
    assert [await messenger.deliver_due() for _ in range(3)] == [0, 0, 0]
    assert platform.refused == [CRISIS]


async def test_small_texts_of_one_conversation_are_joined_before_anything_is_split(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms)
    conversation_id = write(rooms, platform).conversation_id
    for text in ("一", "二", "三"):
        owe(rooms, text, CRISIS, conversation_id=conversation_id)
    assert await deliver(rooms, platform) == ["一\n\n二\n\n三"]
    assert states(rooms) == [DeliveryState.SENT, DeliveryState.JOINED, DeliveryState.JOINED]


async def test_crisis_words_that_must_wait_alarm_the_admins(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms, sends=0)
    conversation_id = write(rooms, platform).conversation_id
    owe(rooms, "危机", CRISIS, conversation_id=conversation_id)
    await deliver(rooms, platform)
    assert alerts(rooms) == 1
    platform.sends = SENDS
    write(rooms, platform)
    assert await deliver(rooms, platform) == ["危机"]


async def test_crisis_words_are_tried_although_our_count_says_that_nothing_is_left(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms, sends=SENDS + 1)
    conversation_id = write(rooms, platform).conversation_id
    for number in range(SENDS + 1):
        owe(rooms, f"{number}" * LONGEST, CRISIS, conversation_id=conversation_id)
    assert len(await deliver(rooms, platform)) == SENDS + 1


async def test_a_platform_that_allows_less_than_we_believe_is_believed(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms, sends=2)
    write(rooms, platform)
    for number in range(4):
        owe(rooms, f"{number}" * LONGEST)
    assert len(await deliver(rooms, platform)) == 2
    assert platform.refused == [NOTICE]
    assert states(rooms).count(DeliveryState.FAILED) == 0
    write(rooms, platform)
    assert len(await deliver(rooms, platform)) == 4


async def test_after_the_window_ordinary_words_wait(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms)
    write(rooms, platform)
    rooms.clock.tick(WINDOW.total_seconds())
    owe(rooms, "通知")
    assert await deliver(rooms, platform) == []
    assert platform.refused == []
    assert states(rooms) == [DeliveryState.HELD]


async def test_somebody_who_never_wrote_is_not_written_to(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms)
    owe(rooms, "通知")
    assert await deliver(rooms, platform) == []
    assert states(rooms) == [DeliveryState.HELD]
    write(rooms, platform)
    assert await deliver(rooms, platform) == ["通知"]


async def test_a_message_that_arrives_during_a_refused_send_renews_the_budget(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms, sends=0)
    write(rooms, platform)
    owe(rooms, "通知")
    sent = platform.send

    async def interrupted(text: OwedText) -> str | None:
        if not platform.refused:
            try:
                await sent(text)
            finally:
                platform.sends = SENDS
                await asyncio.to_thread(write, rooms, platform)
        return await sent(text)

    platform.send = interrupted  # type: ignore[method-assign]  # the person is quicker than the mark
    assert await deliver(rooms, platform) == ["通知"]


async def test_what_was_sent_after_the_message_was_written_counts_for_it(rooms: Rooms) -> None:
    """A message is pulled late: the platform has counted since it was written."""
    platform = RationedPlatform(rooms)
    write(rooms, platform)
    for number in range(3):
        owe(rooms, f"{number}" * LONGEST)
    await deliver(rooms, platform)
    with rooms.database.begin() as session:
        past = rooms.clock() - timedelta(seconds=5)
        session.execute(update(SEND_BUDGETS).values(granted_at=past))
        session.execute(update(DELIVERIES).values(sent_at=rooms.clock() + timedelta(seconds=1)))
    write(rooms)  # it was written before those sends
    for number in range(3, 6):
        owe(rooms, f"{number}" * LONGEST)
    await deliver(rooms, platform)
    assert len(platform.said["小王"]) == SENDS - 1
    assert platform.refused == []


async def test_killed_between_sending_and_marking_nothing_is_said_twice_or_paid_twice(rooms: Rooms) -> None:
    platform, dead = RationedPlatform(rooms), uuid4()
    conversation_id = write(rooms, platform).conversation_id
    owe(rooms, "危机", CRISIS, conversation_id=conversation_id)
    (text,) = await claimed(rooms, platform, dead)
    await platform.send(text)
    rooms.clock.tick(61)
    rooms.sweep()
    for number in range(SENDS - 2):
        owe(rooms, f"{number}" * LONGEST)
    said = await deliver(rooms, platform)
    assert said[0] == "危机"
    assert len(said) == SENDS - 1
    assert platform.refused == []


async def test_what_a_dead_courier_had_claimed_and_not_sent_is_not_paid_for(rooms: Rooms) -> None:
    platform, dead = RationedPlatform(rooms), uuid4()
    write(rooms, platform)
    owe(rooms, "通知" * 19)
    await claimed(rooms, platform, dead)
    with rooms.database.begin() as session:
        sending.take_over(session, dead, begun=(), now=rooms.clock())
    for number in range(3):
        owe(rooms, f"{number}" * LONGEST)
    assert len(await deliver(rooms, platform)) == SENDS - 1


async def claimed(rooms: Rooms, platform: RationedPlatform, owner: UUID) -> list[OwedText]:
    messenger = courier(rooms, platform, owner=owner)
    return await messenger._mark_and_claim(9)


async def test_a_reset_takes_held_replies_back(rooms: Rooms) -> None:
    platform = RationedPlatform(rooms, sends=0)
    conversation_id = write(rooms, platform).conversation_id
    owe(rooms, "回复", REPLY, conversation_id=conversation_id)
    await deliver(rooms, platform)
    with rooms.database.begin() as session:
        conversations.reset(session, conversation_id, by=ClosedBy.PERSON, now=rooms.clock())
    assert states(rooms) == [DeliveryState.DISCARDED]


async def test_erasing_a_person_forgets_their_budget(rooms: Rooms) -> None:
    write(rooms)
    with rooms.database.begin() as session:
        person_id = session.scalar(select(SEND_BUDGETS.c.person_id))
        assert person_id is not None
        erase(session, person_id, by=ClosedBy.PERSON, actor="person", farewell_to=None, now=rooms.clock())
    rooms.clock.tick(REPLAY.total_seconds())
    with rooms.database.begin() as session:
        while scrub(session, limit=50, now=rooms.clock()):
            pass
        assert session.execute(select(SEND_BUDGETS)).all() == []


# --- Bounces ---------------------------------------------------------------------------------------------------------


def bounces(rooms: Rooms) -> Bounces:
    return Bounces(database=rooms.database, alarms=CrisisAlarms(office=office(rooms)), clock=rooms.clock)


@pytest.mark.parametrize(("kind", "alert_count"), [(CRISIS, 1), (NOTICE, 0)])
async def test_what_fails_after_it_was_sent_is_bounced_and_alarming_where_it_was_crisis_words(
    rooms: Rooms, kind: DeliveryKind, alert_count: int
) -> None:
    platform = RationedPlatform(rooms)
    conversation_id = write(rooms, platform).conversation_id
    delivery_id = owe(rooms, "危机", kind, conversation_id=conversation_id)
    await deliver(rooms, platform)
    assert await bounces(rooms).report(delivery_id, reason="refused_by_person")
    with rooms.database.read() as session:
        bounced = session.get_one(Delivery, delivery_id)
    assert (bounced.state, bounced.error) == (DeliveryState.BOUNCED, "refused_by_person")
    assert alerts(rooms) == alert_count
    assert not await bounces(rooms).report(delivery_id, reason="refused_by_person")
    assert alerts(rooms) == alert_count


async def test_a_bounce_that_is_quicker_than_our_own_mark_stands(rooms: Rooms) -> None:
    platform, owner = RationedPlatform(rooms), uuid4()
    write(rooms, platform)
    delivery_id = owe(rooms, "通知")
    await claimed(rooms, platform, owner)
    assert await bounces(rooms).report(delivery_id, reason="window_closed")
    with rooms.database.begin() as session:
        sending.mark_sent(session, delivery_id, owner=owner, platform_message_id="1", now=rooms.clock())
    assert states(rooms) == [DeliveryState.BOUNCED]


async def test_what_was_never_sent_cannot_bounce(rooms: Rooms) -> None:
    write(rooms)
    delivery_id = owe(rooms, "通知")
    assert not await bounces(rooms).report(delivery_id, reason="unknown")
    assert not await bounces(rooms).report(uuid4(), reason="unknown")
    assert states(rooms) == [DeliveryState.PENDING]


# --- Whatever happens ------------------------------------------------------------------------------------------------

Step = str | tuple[DeliveryKind, int]

steps = st.lists(
    st.one_of(
        st.just("write"),
        st.just("deliver"),
        st.just("die"),
        st.just("two"),
        st.tuples(st.sampled_from([REPLY, NOTICE, HUMAN, CRISIS]), st.integers(1, 300)),
    ),
    max_size=25,
)


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking through a database takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # emptied below
)
@given(happening=steps)
def test_whatever_happens_nothing_is_lost_doubled_or_sent_beyond_the_budget(
    rooms: Rooms, happening: list[Step]
) -> None:
    with rooms.database.begin() as session:
        session.execute(DELIVERIES.delete())
        session.execute(SEND_BUDGETS.delete())
    platform = RationedPlatform(rooms)
    asyncio.run(_live(rooms, platform, happening))
    assert [kind for kind in platform.refused if kind is not CRISIS] == []
    said = "".join(platform.said["小王"]).replace(f"\n\n{MORE}", "").replace("\n", "")
    for number, step in enumerate(each for each in happening if isinstance(each, tuple)):
        assert said.count(chr(0x4E00 + number)) == step[1]
    assert not set(states(rooms)) & {DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD}


async def _live(rooms: Rooms, platform: RationedPlatform, happening: list[Step]) -> None:
    number = 0
    for step in happening:
        rooms.clock.tick(2)
        match step:
            case "write":
                write(rooms, platform)
            case "deliver":
                await courier(rooms, platform).deliver_due()
            case "two":
                await asyncio.gather(*(courier(rooms, platform).deliver_due() for _ in range(2)))
            case "die":
                dead = uuid4()
                await claimed(rooms, platform, dead)
                with rooms.database.begin() as session:
                    sending.take_over(session, dead, begun=(), now=rooms.clock())
            case (kind, length):
                owe(rooms, chr(0x4E00 + number) * length, kind)
                number += 1
    for _ in range(200):
        rooms.clock.tick(2)
        write(rooms, platform)
        await deliver(rooms, platform)
        if not set(states(rooms)) & {DeliveryState.PENDING, DeliveryState.HELD}:
            break
