"""What every channel with a send budget promises: on a made-up one, with the real way in and out behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest_asyncio
from sqlalchemy import select

from bot.outgoing.claims import WithinBudget
from bot.outgoing.courier import Courier, WaitForPerson
from bot.outgoing.splitting import Measure
from bot.services import BotServices
from dialogue.messages import Allowance, OwedText
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.storage.clock import utc_now
from dialogue.tables import Delivery
from tests.bot.contract.model import Model
from tests.bot.contract.test_channels import ACUTE, SENTENCE
from tests.builders import CHANNEL, message
from tests.patience import until

LONGEST = 2048
SENDS = 5
MORE = "（未完）"


class BudgetedSeat:
    """One person on a platform that takes `SENDS` texts of `LONGEST` bytes for each message of theirs."""

    name = CHANNEL

    def __init__(self, services: BotServices) -> None:
        self._services = services
        self.texts: list[OwedText] = []
        self.left = 0
        self.sends = SENDS
        claims = WithinBudget(
            channel=CHANNEL,
            keys=services.keys,
            longest=LONGEST,
            measure=Measure.UTF8,
            more=MORE,
            alarms=services.crisis_alarms,
        )
        self.courier = Courier(
            database=services.database, keys=services.keys, sender=self, claims=claims, poll_seconds=0.05
        )

    async def send(self, text: OwedText) -> str | None:
        if not self.left:
            raise WaitForPerson
        assert Measure.UTF8.of(text.text) <= LONGEST
        self.left -= 1
        self.texts.append(text)
        return text.id.hex

    async def say(self, text: str) -> None:
        self.left = self.sends
        now = utc_now()
        allowance = Allowance(sends=SENDS, until=now + timedelta(hours=48))
        await self._services.inbox.receive(replace(message(text), sent_at=now, allowance=allowance))
        self.courier.wake()

    def told(self) -> list[str]:
        return [text.text for text in self.texts]


@pytest_asyncio.fixture
async def seat(services: BotServices) -> AsyncIterator[BudgetedSeat]:
    made = BudgetedSeat(services)
    delivering = asyncio.create_task(made.courier.run())
    yield made
    made.courier.stop()
    await delivering


@pytest_asyncio.fixture
async def model(services: BotServices) -> AsyncIterator[Model]:
    answering_model = Model(services)
    answering = asyncio.create_task(answering_model.run())
    yield answering_model
    answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering


def deliveries(services: BotServices) -> list[Delivery]:
    with services.database.read() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


async def test_a_reply_beyond_the_budget_goes_on_when_the_person_writes(
    seat: BudgetedSeat, model: Model, services: BotServices
) -> None:
    whole = SENTENCE * 300
    model.says = lambda text: whole if text == "说说看" else "好"
    await seat.say("说说看")
    await until(lambda: len(seat.texts) == SENDS - 1)
    assert seat.told()[-1].endswith(MORE)
    await until(lambda: any(one.state is DeliveryState.HELD for one in deliveries(services)))
    await seat.say("继续")
    said = {DeliveryState.SENT, DeliveryState.JOINED}
    await until(lambda: {one.state for one in deliveries(services)} <= said)
    assert "".join(seat.told()).replace(f"\n\n{MORE}", "").replace("\n\n好", "").removesuffix("好") == whole


async def test_crisis_words_have_a_place_beside_the_longest_reply(seat: BudgetedSeat, model: Model) -> None:
    model.says = lambda _text: SENTENCE * 300
    await seat.say("说说看")
    await until(lambda: len(seat.texts) == SENDS - 1)
    assert seat.left == 1
    await seat.say(ACUTE)
    await until(lambda: "120" in "".join(seat.told()[SENDS - 1 : SENDS]))


async def test_crisis_words_that_the_platform_does_not_take_are_said_after_the_next_message(
    seat: BudgetedSeat, services: BotServices
) -> None:
    seat.sends = 0
    await seat.say(ACUTE)
    await until(lambda: {one.state for one in deliveries(services)} == {DeliveryState.HELD})
    seat.sends = SENDS
    await seat.say("在吗")
    await until(lambda: any("120" in text for text in seat.told()))


async def test_what_did_not_arrive_is_marked_once(seat: BudgetedSeat, services: BotServices) -> None:
    await seat.say(ACUTE)
    await until(lambda: any(one.state is DeliveryState.SENT for one in deliveries(services)))
    (crisis, *_) = [one for one in deliveries(services) if one.kind is DeliveryKind.CRISIS]
    assert await services.bounces.report(crisis.id, reason="refused_by_person")
    assert not await services.bounces.report(crisis.id, reason="refused_by_person")
    found = next(one for one in deliveries(services) if one.id == crisis.id)
    assert (found.state, found.error) == (DeliveryState.BOUNCED, "refused_by_person")
