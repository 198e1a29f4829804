"""What a person showed is fetched for a human, kept sealed, and goes as their words go."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from care import texts
from dialogue.admin import record, takeover
from dialogue.admin.office import Actor, Office
from dialogue.backup.dump import dump
from dialogue.backup.load import restore
from dialogue.core import media, people
from dialogue.core.media import CHUNK_BYTES, SeenMedium, WantedMedium
from dialogue.messages import InboundMessage, MediumOffer
from dialogue.rights import erasure, export, personal_data
from dialogue.states import ClosedBy, MediumKind, MediumLoss, MediumState
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import KEY_BYTES, MasterKeys
from dialogue.tables import MEDIA, MEDIUM_CHUNKS, Person
from dialogue.upkeep import key_rotation, retention
from tests.builders import CHANNEL, Rooms, message

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (CHUNK_BYTES // 256 + 2)
OFFER = MediumOffer(kind=MediumKind.IMAGE, reference="file-1", mark="u1", name="遗书.png", size=len(PICTURE))
LIMIT = 20_000_000
SECRET = os.urandom(KEY_BYTES)
BY = Actor(name="console:lin")


@pytest.fixture
def rooms(database: Database) -> Rooms:
    return Rooms(database, MasterKeys([SECRET]))


@pytest.fixture
def office(rooms: Rooms) -> Office:
    return Office(keys=rooms.keys, texts=texts.load("zh"), admins=())


@pytest.fixture
def held(rooms: Rooms, office: Office) -> UUID:
    """A conversation that somebody at the console has taken over."""
    conversation_id = rooms.heard("你好").conversation_id
    with rooms.database.begin() as session:
        takeover.take_over(session, office, conversation_id, by=BY, now=rooms.clock())
    return conversation_id


def want(
    rooms: Rooms, conversation_id: UUID, offer: MediumOffer = OFFER, *, shown: InboundMessage | None = None
) -> SeenMedium | None:
    shown = shown or message("", external_id="shown-1")
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=shown.user_id, now=rooms.clock())
        return media.want(session, person, conversation_id, shown, offer, max_bytes=LIMIT, now=rooms.clock())


def claim(rooms: Rooms) -> list[WantedMedium]:
    with rooms.database.begin() as session:
        return media.claim(session, rooms.keys, CHANNEL, limit=2, lease_seconds=180, now=rooms.clock())


def write(rooms: Rooms, wanted: WantedMedium, content: bytes = PICTURE) -> bool:
    for seq, start in enumerate(range(0, len(content), CHUNK_BYTES)):
        with rooms.database.begin() as session:
            if not media.write_chunk(session, wanted, seq, content[start : start + CHUNK_BYTES]):
                return False
    with rooms.database.begin() as session:
        return media.keep(session, wanted, size=len(content), content_type="image/png", now=rooms.clock())


def kept(rooms: Rooms, conversation_id: UUID) -> UUID:
    want(rooms, conversation_id)
    (wanted,) = claim(rooms)
    assert write(rooms, wanted)
    return wanted.id


def content(rooms: Rooms, medium_id: UUID) -> bytes:
    with rooms.database.read() as session:
        return media.content(session, rooms.keys, medium_id)


def rows(database: Database) -> tuple[int, int]:
    with database.read() as session:
        counts = [session.scalar(select(func.count()).select_from(table)) or 0 for table in (MEDIA, MEDIUM_CHUNKS)]
    return counts[0], counts[1]


def test_it_is_wanted_once_fetched_in_pieces_and_comes_out_as_it_came(rooms: Rooms, held: UUID) -> None:
    assert want(rooms, held) is not None
    assert want(rooms, held) is None
    (wanted,) = claim(rooms)
    assert wanted.reference == "file-1"
    assert claim(rooms) == []
    assert content(rooms, wanted.id) == b""
    assert write(rooms, wanted)
    assert content(rooms, wanted.id) == PICTURE
    assert rows(rooms.database) == (1, 2)
    with rooms.database.read() as session:
        assert media.kept_size(session) == (1, len(PICTURE))


def test_nothing_of_it_can_be_read_in_the_database(rooms: Rooms, held: UUID) -> None:
    kept(rooms, held)
    with rooms.database.read() as session:
        (row,) = session.execute(select(MEDIA)).all()
        pieces = session.scalars(select(MEDIUM_CHUNKS.c.content)).all()
    assert row.reference is None
    assert "遗书".encode() not in row.name
    assert all(PICTURE[:64] not in piece and PICTURE[1000:1064] not in piece for piece in pieces)


def test_of_two_who_fetch_it_the_later_one_is_heard(rooms: Rooms, held: UUID) -> None:
    want(rooms, held)
    (slow,) = claim(rooms)
    with rooms.database.begin() as session:
        assert media.write_chunk(session, slow, 0, b"half")
    rooms.clock.tick(181)
    (quick,) = claim(rooms)
    assert not write(rooms, slow)
    assert write(rooms, quick)
    assert content(rooms, quick.id) == PICTURE


def test_what_nobody_waits_for_any_more_is_not_fetched(rooms: Rooms, office: Office, held: UUID) -> None:
    want(rooms, held)
    with rooms.database.begin() as session:
        takeover.release(session, office, held, by=BY, now=rooms.clock())
    assert claim(rooms) == []
    with rooms.database.read() as session:
        assert session.execute(select(MEDIA.c.state, MEDIA.c.loss)).all() == [(MediumState.LOST, MediumLoss.RELEASED)]


@pytest.mark.parametrize(
    ("offer", "loss"),
    [
        (replace(OFFER, size=LIMIT + 1), MediumLoss.TOO_LARGE),
        (replace(OFFER, reference=""), MediumLoss.NO_FILE),
    ],
)
def test_what_cannot_be_fetched_is_lost_from_the_start(
    rooms: Rooms, held: UUID, offer: MediumOffer, loss: MediumLoss
) -> None:
    wanted = want(rooms, held, offer)
    assert wanted is not None
    assert wanted.loss is loss
    assert claim(rooms) == []


def test_a_message_that_is_taken_back_takes_its_picture_along(rooms: Rooms, held: UUID) -> None:
    medium_id = kept(rooms, held)
    shown = message("")
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=shown.user_id, now=rooms.clock())
        media.take_back(session, person, shown, external_id="another")
        assert rows(rooms.database) == (1, 2)
        media.take_back(session, person, shown, external_id="shown-1")
    assert rows(rooms.database) == (0, 0)
    assert content(rooms, medium_id) == b""


def test_its_days_are_those_of_the_words(rooms: Rooms, held: UUID) -> None:
    kept(rooms, held)
    rooms.reset(held)
    month = timedelta(days=30)
    rooms.clock.tick(month.total_seconds() - 1)

    def purge(limit: int) -> int:
        with rooms.database.begin() as session:
            now = rooms.clock()
            return retention.purge(session, closed_until=now - month, limit=limit, now=now).texts

    assert purge(100) == 0
    rooms.clock.tick(1)
    while purge(1):  # in the smallest of steps
        pass
    assert rows(rooms.database) == (0, 0)
    assert rooms.conversation(held).purged_at is not None


def test_it_is_erased_with_its_person(rooms: Rooms, held: UUID) -> None:
    kept(rooms, held)
    with rooms.database.begin() as session:
        person_id = rooms.conversation(held).person_id
        erasure.erase(session, person_id, by=ClosedBy.PERSON, actor="test", farewell_to=None, now=rooms.clock())
    assert rows(rooms.database) == (0, 0)


def test_it_can_be_read_after_the_master_key_was_changed(rooms: Rooms, held: UUID) -> None:
    medium_id = kept(rooms, held)
    new_key = os.urandom(KEY_BYTES)
    both = MasterKeys([new_key, SECRET])
    with rooms.database.begin() as session:
        key_rotation.rotate(session, both, after=key_rotation.BEGINNING, limit=100)
    with rooms.database.read() as session:
        assert media.content(session, MasterKeys([new_key]), medium_id) == PICTURE


def test_a_backup_has_it(rooms: Rooms, held: UUID, tmp_path: Path) -> None:
    medium_id = kept(rooms, held)
    written = dump(rooms.database, tmp_path / "backups", now=rooms.clock())
    assert (written.counts["media"], written.counts["medium_chunks"]) == (1, 2)
    other = connect(sqlite_url(tmp_path / "restored.db"))
    restore(other, written.path, now=rooms.clock())
    with other.read() as session:
        assert media.content(session, rooms.keys, medium_id) == PICTURE
    other.close()


def test_a_transcript_has_it_in_its_place(rooms: Rooms, office: Office, held: UUID) -> None:
    medium_id = kept(rooms, held)
    with rooms.database.begin() as session:
        lines = record.transcript(session, office, held, by=BY, now=rooms.clock())
    (line,) = [line for line in lines if line.medium is not None]
    assert line.medium is not None
    assert line.medium.id == medium_id
    assert record.in_words(line, office.texts) == "（图片《遗书.png》）"


def test_an_export_has_it_where_it_fits_and_says_so_where_it_does_not(rooms: Rooms, office: Office, held: UUID) -> None:
    medium_id = kept(rooms, held)
    with rooms.database.read() as session:
        data = personal_data.gather(session, rooms.keys, rooms.conversation(held).person_id)
    assert [one.id for one in export.media_of(data)] == [medium_id]
    assert export.media_of(data, max_bytes=len(PICTURE)) == []
    with_it = export.files(data, office.texts, contents={medium_id: PICTURE}, now=rooms.clock())
    assert [file.name.rpartition(".")[2] for file in with_it] == ["txt", "json", "zip"]
    assert "遗书.png" in with_it[0].content.decode()
    without = export.files(data, office.texts, now=rooms.clock())
    assert len(without) == 2
    assert "可以向工作人员索取" in without[0].content.decode()


def test_what_cannot_be_read_here_holds_up_nobody_elses_picture(rooms: Rooms, office: Office, held: UUID) -> None:
    """A process that still has the old key, while keys are rotated."""
    other = rooms.heard("你好", who="小李").conversation_id
    with rooms.database.begin() as session:
        takeover.take_over(session, office, other, by=BY, now=rooms.clock())
    want(rooms, held)
    want(rooms, other, shown=message("", external_id="shown-2", who="小李"))
    with rooms.database.begin() as session:
        session.execute(update(Person).where(Person.user_id == "小王").values(data_key=b"of another key" * 4))
    (wanted,) = claim(rooms)
    assert wanted.conversation_id == other
    assert claim(rooms) == []
