"""The polling loop by itself: what it takes in, in which order, when the database comes and goes."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import select

from bot.channels.telegram import bot_api as telegram_line
from bot.channels.telegram import polling
from bot.channels.telegram.bot_api import BotApi
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.polling import Poller
from bot.channels.telegram.raw_fields import Raw, section
from bot.channels.telegram.updates import Account
from bot.health import Deaf, Health
from bot.incoming.faults import CannotParse
from bot.services import BotServices
from dialogue.errors import DatabaseUnavailable, SchemaMismatch, WrongSecretKey
from dialogue.tables import MESSAGES, PEOPLE
from tests.patience import until


def said(update_id: int, who: int, text: str | None = None) -> dict[str, Any]:
    person = {"id": who, "is_bot": False, "first_name": "人"}
    chat = {"id": who, "type": "private", "first_name": "人"}
    words = text or f"第{update_id}句"
    message = {"message_id": update_id, "from": person, "chat": chat, "date": 1_700_000_000, "text": words}
    return {"update_id": update_id, "message": message}


class FakeLine:
    """Has the same updates until a higher offset confirms them, then none; more may come later."""

    def __init__(self, *updates: dict[str, Any]) -> None:
        self._updates = list(updates)
        self.offsets: list[int | None] = []

    def tell(self, update: dict[str, Any]) -> None:
        self._updates.append(update)

    async def raw_updates(self, offset: int | None) -> list[dict[str, Any]]:
        self.offsets.append(offset)
        while not (left := [update for update in self._updates if update["update_id"] >= (offset or 0)]):
            await asyncio.sleep(0.01)
        return left


class FakeIntake:
    """Stores once; its database is away for the first tries of the given updates."""

    def __init__(self, *, away_for: dict[int, int]) -> None:
        self.stored: list[int] = []
        self.kept: list[int] = []
        self._away_for = dict(away_for)

    async def set_aside(self, raw: Raw, error: Exception) -> None:
        self.kept.append(raw["update_id"])

    async def take(self, update: Raw) -> None:
        if self._away_for.get(update["update_id"], 0):
            self._away_for[update["update_id"]] -= 1
            raise DatabaseUnavailable
        if update["update_id"] not in self.stored:
            self.stored.append(update["update_id"])


class Unseen:
    """Nobody looks."""

    def begin(self, turn_id: UUID, place: TelegramChat) -> None:
        """Nothing is shown."""

    def drop(self, turn_ids: Iterable[UUID]) -> None:
        """Nothing was shown."""

    def turn_of_draft(self, draft_id: int) -> UUID | None:
        """There are none."""

    def answer(self, callback_id: str, key: str, language: str | None) -> None:
        """Nobody pressed."""

    def retire(self, place: TelegramChat, notice_id: int | None) -> None:
        """There are no buttons."""

    def show(self, place: TelegramChat, *, told: str | None, language: str | None) -> None:
        """Nobody looks."""


async def _stay(_before: int, _after: int) -> None:
    """Nobody moves."""


class FakeHealth:
    def __init__(self) -> None:
        self.held_back: dict[str, str] = {}

    def heard(self) -> None:
        pass

    def holds_back(self, update: str, reason: str) -> None:
        self.held_back[update] = reason

    def warns(self, key: str, warning: str) -> None:
        self.held_back[key] = warning

    def settles(self, key: str) -> None:
        self.held_back.pop(key, None)

    def lets_go(self, update: str) -> None:
        self.held_back.pop(update, None)


async def poll(line: FakeLine, intake: FakeIntake, *, until: int) -> list[int]:
    stopping = asyncio.Event()
    poller = Poller(cast("BotApi", line), cast("Intake", intake), cast("Health", FakeHealth()), stopping)
    running = asyncio.create_task(poller.run())
    async with asyncio.timeout(10):
        while len(intake.stored) < until:
            await asyncio.sleep(0.01)
    stopping.set()
    await running
    return intake.stored


async def test_what_a_person_said_after_words_that_could_not_be_stored_waits_for_them() -> None:
    """Else the later words, stored at the first try, would stand before them for ever."""
    line = FakeLine(said(1, who=7), said(2, who=7), said(3, who=8), said(4, who=7))
    stored = await poll(line, FakeIntake(away_for={1: 1}), until=4)
    assert [update_id for update_id in stored if update_id != 3] == [1, 2, 4]
    assert stored[0] == 3


async def test_after_an_outage_the_words_of_somebody_in_danger_overtake_all_that_are_not_under_way(
    services: BotServices,
) -> None:
    intake = Intake(
        inbox=services.inbox,
        account=Account(id=4242, username="bot"),
        are_groups_served=False,
        shown=Unseen(),
        buttons=Unseen(),
        menus=Unseen(),
        on_moved=_stay,
    )
    calm = [said(number, who=number) for number in range(1, 100)]
    told = poller(FakeLine(), intake)
    told.begin([*calm, said(100, who=100, text="我今晚就想结束自己")])
    await told.progress(60)
    with services.database.read() as session:
        written = session.execute(select(PEOPLE.c.user_id).join(MESSAGES).order_by(MESSAGES.c.id)).scalars().all()
    assert len(written) == 100
    assert written.index("100") < 50


class LockedIntake(FakeIntake):
    """The first person's conversation is held by a frozen process until `opens`."""

    def __init__(self) -> None:
        super().__init__(away_for={})
        self.opens = asyncio.Event()

    async def take(self, update: Raw) -> None:
        if section(section(update, "message"), "from").get("id") == 7:
            await self.opens.wait()
        await super().take(update)


async def test_in_a_group_nobody_waits_for_another_member() -> None:
    group = {"id": -100, "type": "supergroup", "title": "组"}
    held, danger = said(1, who=7), said(2, who=8, text="我今晚就想结束自己")
    held["message"]["chat"] = danger["message"]["chat"] = group
    intake = LockedIntake()
    told = Poller(
        cast("BotApi", FakeLine()), cast("Intake", intake), cast("Health", FakeHealth()), stopping=asyncio.Event()
    )
    told.begin([held, danger])
    await until(lambda: intake.stored == [2])
    intake.opens.set()
    await until(lambda: intake.stored == [2, 1])
    await told.progress(10)


async def test_a_conversation_that_is_held_holds_up_nobody_else_and_nothing_of_it_is_confirmed() -> None:
    line, intake = FakeLine(said(1, who=7), said(2, who=8)), LockedIntake()
    stopping = asyncio.Event()
    poller = Poller(cast("BotApi", line), cast("Intake", intake), cast("Health", FakeHealth()), stopping)
    running = asyncio.create_task(poller.run())
    async with asyncio.timeout(10):
        while intake.stored != [2]:
            await asyncio.sleep(0.01)
        line.tell(said(3, who=9, text="我今晚就想结束自己"))
        line.tell(said(4, who=7))
        while intake.stored != [2, 3]:
            await asyncio.sleep(0.01)
        assert set(line.offsets) == {None}
        intake.opens.set()
        while line.offsets[-1] != 5:
            await asyncio.sleep(0.01)
    assert intake.stored == [2, 3, 1, 4]
    stopping.set()
    await running


async def test_an_update_of_no_known_shape_is_handed_on_like_the_others() -> None:
    line = FakeLine(said(1, who=7), {"update_id": 2, "message": {"chat": "nonsense"}}, said(3, who=7))
    assert sorted(await poll(line, FakeIntake(away_for={}), until=3)) == [1, 2, 3]


async def test_an_update_that_cannot_be_parsed_is_kept_for_staff_and_the_others_go_on() -> None:
    line, intake = FakeLine(said(1, who=7), said(2, who=8)), BrokenIntake(CannotParse("KeyError"))
    assert await poll(line, intake, until=1) == [2]
    assert (intake.kept, intake.attempts) == ([1], 1)


class BrokenIntake(FakeIntake):
    """Fails with `error` for one person until it is mended."""

    def __init__(self, error: Exception) -> None:
        super().__init__(away_for={})
        self.error: Exception | None = error
        self.attempts = 0

    async def take(self, update: Raw) -> None:
        if update["message"]["from"]["id"] == 7 and self.error is not None:
            self.attempts += 1
            raise self.error
        await super().take(update)


@pytest.mark.parametrize("error", [WrongSecretKey(), SchemaMismatch(), DatabaseUnavailable(), OSError(), MemoryError()])
async def test_a_fault_of_the_environment_costs_nobody_their_words(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried, and although others are stored meanwhile."""
    monkeypatch.setattr(polling, "wait_seconds", lambda *_: 0.001)
    line, intake, health = FakeLine(said(1, who=7), said(2, who=8)), BrokenIntake(error), FakeHealth()
    stopping = asyncio.Event()
    running = asyncio.create_task(
        Poller(cast("BotApi", line), cast("Intake", intake), cast("Health", health), stopping).run()
    )
    await until(lambda: intake.attempts > 20 and intake.stored == [2])
    assert (intake.kept, set(line.offsets), list(health.held_back)) == ([], {None}, ["1"])
    intake.error = None
    await until(lambda: intake.stored == [2, 1])
    await until(lambda: line.offsets[-1] == 3)
    assert health.held_back == {}
    stopping.set()
    await running


async def test_what_fails_alone_while_others_are_stored_is_kept_for_staff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "wait_seconds", lambda *_: 0.001)
    line, intake = FakeLine(said(1, who=7)), BrokenIntake(ZeroDivisionError())
    stopping = asyncio.Event()
    running = asyncio.create_task(
        Poller(cast("BotApi", line), cast("Intake", intake), cast("Health", FakeHealth()), stopping).run()
    )
    await until(lambda: intake.attempts > 20)
    assert intake.kept == []  # nobody else wrote: everything may be broken
    line.tell(said(2, who=8))
    await until(lambda: intake.kept == [1])
    stopping.set()
    await running


def in_group(update_id: int, chat_id: int, *, who: int, **content: Any) -> dict[str, Any]:
    message = {"message_id": update_id, "date": 1, "chat": {"id": chat_id, "type": "group"}, "from": {"id": who}}
    return {"update_id": update_id, "message": message | (content or {"text": "你好"})}


async def test_a_group_with_a_new_id_waits_for_what_everybody_said_under_the_old_one() -> None:
    line = FakeLine(
        in_group(1, -5, who=7),
        in_group(2, -5, who=8),
        in_group(3, -5, who=9, migrate_to_chat_id=-1005),
        in_group(4, -1005, who=9, migrate_from_chat_id=-5),
        in_group(5, -1005, who=7),
        in_group(6, -1005, who=8),
        in_group(7, -6, who=8),
    )
    stored = await poll(line, FakeIntake(away_for={1: 2, 2: 1}), until=7)
    assert stored[0] == 7
    assert stored[3:] == [3, 4, 5, 6]


async def test_after_a_move_the_members_of_the_group_wait_for_nobody_again() -> None:
    line = FakeLine(in_group(1, -5, who=9, migrate_to_chat_id=-1005), in_group(2, -1005, who=7))
    intake = FakeIntake(away_for={3: 2})
    stopping = asyncio.Event()
    poller = Poller(cast("BotApi", line), cast("Intake", intake), cast("Health", FakeHealth()), stopping)
    running = asyncio.create_task(poller.run())
    await until(lambda: intake.stored == [1, 2])
    line.tell(in_group(3, -1005, who=7))
    line.tell(in_group(4, -1005, who=8))
    await until(lambda: len(intake.stored) == 4)
    assert intake.stored[2:] == [4, 3]
    stopping.set()
    await running


class HangingLine(FakeLine):
    """Its first poll never ends."""

    is_first = True

    async def raw_updates(self, offset: int | None) -> list[dict[str, Any]]:
        if self.is_first:
            self.is_first = False
            await asyncio.sleep(3600)
        return await super().raw_updates(offset)


async def test_a_poll_that_never_ends_is_given_up_and_the_next_one_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_STUCK_SECONDS", 0.05)
    assert await poll(HangingLine(said(1, who=7)), FakeIntake(away_for={}), until=1) == [1]


class BrokenLine:
    async def raw_updates(self, offset: int | None) -> list[dict[str, Any]]:
        raise ZeroDivisionError


class HangingIntake(FakeIntake):
    async def take(self, update: Raw) -> None:
        await asyncio.sleep(3600)


def poller(line: object, intake: object) -> Poller:
    return Poller(cast("BotApi", line), cast("Intake", intake), cast("Health", FakeHealth()), asyncio.Event())


async def test_polling_that_breaks_again_and_again_ends_so_that_a_new_process_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telegram_line, "_MAX_BACK_OFF_SECONDS", 0.001)
    async with asyncio.timeout(10):
        with pytest.raises(Deaf, match="keeps failing"):
            await poller(BrokenLine(), FakeIntake(away_for={})).run()


async def test_words_that_can_never_be_taken_in_end_the_process_even_if_something_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[tuple[float, tuple[int, ...]]] = []
    monkeypatch.setattr(polling, "_TAKE_SECONDS", 0.05)
    monkeypatch.setattr("threading.Timer", FakeTimer(ended))
    with pytest.raises(Deaf, match="taken in"):
        await poller(FakeLine(said(1, who=7)), HangingIntake(away_for={})).run()
    assert ended == [(30.0, (1,))]


class FakeTimer:
    """Writes down when it would ring, and with what."""

    daemon = False

    def __init__(self, ended: list[tuple[float, tuple[int, ...]]]) -> None:
        self._ended = ended

    def __call__(self, seconds: float, _end: object, arguments: tuple[int, ...]) -> "FakeTimer":
        self._ended.append((seconds, arguments))
        return self

    def start(self) -> None:
        """Nothing rings."""
