"""Pictures and voice are fetched for the human who answers, and for nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import pytest

from bot.incoming import decisions
from bot.incoming.medium_fetcher import Fetch, MediumFetcher, MediumUnavailable
from bot.incoming.situation import NotText
from dialogue.admin import record, takeover
from dialogue.admin.office import Actor
from dialogue.core import media, media_marks
from dialogue.core.media import SeenMedium
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import Address, MediumOffer
from dialogue.process.ending import end_tasks
from dialogue.states import MediumKind, MediumLoss, MediumState
from dialogue.storage.clock import Clock
from tests.bot.incoming.steps.talk import Talk
from tests.builders import CHANNEL, Rooms
from tests.patience import until

VOICE = b"OggS\x00" + b"\x01" * 2_000_000
LIMIT = 3_000_000
OFFER = MediumOffer(kind=MediumKind.VOICE, reference="voice-1", mark="u1")
AT_THE_CONSOLE = Actor(name="console:lin")


@dataclass
class Files:
    """A platform's; faults happen first."""

    faults: list[Exception] = field(default_factory=list)
    content: bytes = VOICE
    asked: list[str] = field(default_factory=list)

    async def fetch(self, reference: str, max_bytes: int) -> bytes:
        assert max_bytes == LIMIT
        self.asked.append(reference)
        if self.faults:
            raise self.faults.pop(0)
        return self.content


@pytest.fixture
def talk(rooms: Rooms) -> Talk:
    talk = Talk(rooms)
    talk.rules = replace(talk.rules, max_medium_bytes=LIMIT)
    talk.agree()
    return talk


@pytest.fixture
def held(talk: Talk) -> UUID:
    """A conversation that somebody at the console has taken over."""
    conversation_id = talk.opened()
    with talk.rooms.database.begin() as session:
        takeover.take_over(session, talk.rules.office, conversation_id, by=AT_THE_CONSOLE, now=talk.clock())
    talk.forget_owed()
    return conversation_id


def show(talk: Talk, *offers: MediumOffer, external_id: str = "shown-1") -> None:
    picture = replace(talk.message("", external_id=external_id), shown_reference="7:1", media=offers or (OFFER,))
    talk.answered(decisions.decide, picture, what=NotText())


def seen(talk: Talk, conversation_id: UUID) -> list[SeenMedium]:
    with talk.rooms.database.begin() as session:
        lines = record.transcript(session, talk.rules.office, conversation_id, by=AT_THE_CONSOLE, now=talk.clock())
    return [line.medium for line in lines if line.medium is not None]


@asynccontextmanager
async def fetching(
    talk: Talk, fetch: Fetch, *, fetch_seconds: float = 60.0, clock: Clock | None = None
) -> AsyncIterator[MediumFetcher]:
    fetcher = MediumFetcher(
        channel=CHANNEL,
        fetch=fetch,
        database=talk.rooms.database,
        office=talk.rules.office,
        max_bytes=LIMIT,
        clock=clock or talk.clock,
        fetch_seconds=fetch_seconds,
    )
    running = asyncio.create_task(fetcher.run())
    try:
        yield fetcher
    finally:
        await end_tasks((running,))


async def settled(talk: Talk, conversation_id: UUID, wake: Callable[[], None]) -> SeenMedium:
    """Once it is; the time that passes meanwhile is that of the back-off."""

    def is_settled() -> bool:
        talk.clock.tick(60)
        wake()
        return seen(talk, conversation_id)[0].state is not MediumState.WANTED

    await until(is_settled)
    return seen(talk, conversation_id)[0]


async def test_a_voice_message_is_there_for_who_answers_at_the_console(talk: Talk, held: UUID) -> None:
    show(talk)
    files = Files()
    async with fetching(talk, files.fetch) as fetcher:
        medium = await settled(talk, held, fetcher.wake)
    assert (medium.state, medium.content_type, medium.size) == (MediumState.KEPT, "audio/ogg", len(VOICE))
    with talk.rooms.database.read() as session:
        assert media.content(session, talk.rooms.keys, medium.id) == VOICE
    assert files.asked == ["voice-1"]
    assert talk.owed() == [talk.words.say("error_not_text_but_shown")]


async def test_whoever_holds_it_on_another_platform_is_sent_what_was_fetched(talk: Talk) -> None:
    conversation_id = talk.taken_over()
    show(talk)
    assert talk.owed(to=talk.admin) == []
    async with fetching(talk, Files().fetch) as fetcher:
        medium = await settled(talk, conversation_id, fetcher.wake)
    assert [media_marks.kept_in(text) for text in talk.owed(to=talk.admin)] == [medium.id]


async def test_nothing_is_fetched_that_no_human_waits_for(talk: Talk, held: UUID) -> None:
    del held
    with talk.rooms.database.begin() as session:
        takeover.release(session, talk.rules.office, talk.opened(), by=AT_THE_CONSOLE, now=talk.clock())
    talk.forget_owed()
    show(talk)
    assert seen(talk, talk.opened()) == []
    assert talk.owed() == [talk.words.say("error_not_text")]


async def test_what_the_platform_shows_to_the_admin_itself_is_not_fetched(talk: Talk) -> None:
    talk.admin = Address(channel=CHANNEL, chat_id="9")
    conversation_id = talk.taken_over()
    show(talk)
    assert seen(talk, conversation_id) == []


async def test_a_server_that_is_ill_is_asked_again(talk: Talk, held: UUID) -> None:
    show(talk)
    files = Files(faults=[OSError(), ValueError("odd"), TimeoutError()])
    async with fetching(talk, files.fetch) as fetcher:
        assert (await settled(talk, held, fetcher.wake)).state is MediumState.KEPT
    assert len(files.asked) == 4


@pytest.mark.parametrize(
    ("files", "loss"),
    [
        (Files(faults=[MediumUnavailable(MediumLoss.GONE)]), MediumLoss.GONE),
        (Files(faults=[MediumUnavailable(MediumLoss.REFUSED)]), MediumLoss.REFUSED),
        (Files(faults=[OSError()] * 99), MediumLoss.FAILED),
        (Files(content=b"x" * (LIMIT + 1)), MediumLoss.TOO_LARGE),
        (Files(content=b""), MediumLoss.GONE),
    ],
)
async def test_what_cannot_be_fetched_is_told_to_both_with_the_reason(
    talk: Talk, files: Files, loss: MediumLoss
) -> None:
    conversation_id = talk.taken_over()
    show(talk)
    async with fetching(talk, files.fetch) as fetcher:
        assert (await settled(talk, conversation_id, fetcher.wake)).loss is loss
    assert talk.words.say(f"medium_lost_{loss}") in talk.owed(to=talk.admin)[0]
    assert talk.owed() == [talk.words.say("error_not_text_but_shown"), talk.words.say("error_medium_not_seen")]


async def test_what_is_known_to_be_too_large_is_said_at_once(talk: Talk) -> None:
    conversation_id = talk.taken_over()
    show(talk, replace(OFFER, size=LIMIT + 1))
    assert talk.words.say("medium_lost_too_large") in talk.owed(to=talk.admin)[0]
    assert talk.owed() == [talk.words.say("error_not_text")]
    assert seen(talk, conversation_id)[0].loss is MediumLoss.TOO_LARGE


async def test_a_place_on_the_map_is_said_to_have_come(talk: Talk) -> None:
    talk.taken_over()
    talk.answered(decisions.decide, replace(talk.message("", external_id="place"), media=()), what=NotText())
    assert talk.words.say("medium_lost_no_file") in talk.owed(to=talk.admin)[0]


async def test_each_picture_of_an_album_is_fetched_once(talk: Talk, held: UUID) -> None:
    for mark in ("u1", "u2", "u2", "u3"):
        show(talk, replace(OFFER, reference=f"file-{mark}", mark=mark), external_id="album")
    files = Files()
    async with fetching(talk, files.fetch) as fetcher:
        fetcher.wake()
        await until(lambda: all(one.state is MediumState.KEPT for one in seen(talk, held)))
    assert sorted(files.asked) == ["file-u1", "file-u2", "file-u3"]
    assert len(talk.owed()) == 1


async def test_a_fault_around_it_ends_neither_the_fetcher_nor_another_picture(talk: Talk, held: UUID) -> None:
    for number in range(2):
        show(talk, replace(OFFER, reference=f"file-{number}", mark=str(number)), external_id=str(number))
    files, faults = Files(), [DatabaseUnavailable("away"), ValueError("odd")]

    def now() -> datetime:
        if files.asked and faults:
            raise faults.pop()
        return talk.clock()

    def are_kept() -> bool:
        talk.clock.tick(200)  # the lease of a failed attempt
        fetcher.wake()
        return all(one.state is MediumState.KEPT for one in seen(talk, held))

    async with fetching(talk, files.fetch, clock=now) as fetcher:
        await until(are_kept)


async def test_one_that_takes_for_ever_holds_up_no_other_for_ever(talk: Talk, held: UUID) -> None:
    for number in range(3):
        show(talk, replace(OFFER, reference=f"file-{number}", mark=str(number)), external_id=str(number))
    files = Files()

    async def fetch(reference: str, max_bytes: int) -> bytes:
        if reference == "file-0":
            await asyncio.Event().wait()
        return await files.fetch(reference, max_bytes)

    async with fetching(talk, fetch, fetch_seconds=0.05) as fetcher:
        fetcher.wake()
        await until(lambda: len(files.asked) == 2)
