"""A backup comes back: into either database, whole or not at all, and without what its people have since taken back."""

import gzip
import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from dialogue.backup import archive
from dialogue.backup.archive import BackupUnusable
from dialogue.backup.dump import KEYS, Written, dump, prune
from dialogue.backup.load import RESTORED, NotEmpty, restore
from dialogue.core import people
from dialogue.core.history import past_turns
from dialogue.errors import Erased, SchemaMismatch
from dialogue.states import DeliveryState, TurnState
from dialogue.storage import schema
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.tables import Conversation, Delivery, Message, Person, Turn
from tests.builders import Rooms
from tests.services.migrated import migrate

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
WORDS = "我最近总是睡不好"


@pytest.fixture
def new_database(empty_postgres_database: Callable[[], str], tmp_path: Path) -> Iterator[Callable[[str], Database]]:
    """An empty one of that kind."""
    made: list[Database] = []

    def make(kind: str) -> Database:
        made.append(
            connect(empty_postgres_database() if kind == "postgresql" else sqlite_url(tmp_path / f"{uuid4()}.db"))
        )
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def rooms(request: pytest.FixtureRequest, postgres_database: Callable[[], str], tmp_path: Path) -> Iterator[Rooms]:
    """Two people with a turn each, and a third one whose turn waits."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url = postgres_database()
    else:
        url = sqlite_url(tmp_path / "filled.db")
        migrate(url)
    database = connect(url)
    filled = Rooms(database)
    filled.answered(WORDS, "我在听", who="小王")
    filled.answered("没有什么", "好的", who="小李")
    filled.heard("还在吗", who="小张")
    yield filled
    database.close()


from_either = pytest.mark.parametrize("rooms", ["sqlite", "postgresql"], indirect=True)


def backup(rooms: Rooms, directory: Path) -> Written:
    return dump(rooms.database, directory, now=NOW)


def count(database: Database, table: type[Person | Conversation | Turn | Message | Delivery]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@from_either
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_everything_comes_back_into_either_database(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path, kind: str
) -> None:
    written = backup(rooms, tmp_path / "backups")
    target = new_database(kind)
    restored = restore(target, written.path, now=NOW)
    schema.check(target)
    assert restored.counts == written.counts
    for table in (Person, Conversation, Turn, Message, Delivery):
        assert count(target, table) == count(rooms.database, table) > 0
    back = Rooms(target, keys=rooms.keys)
    with target.begin() as session:
        person = people.locked(session, rooms.keys, channel="test", user_id="小王", now=NOW)
        conversation_id = session.scalars(select(Conversation.id).where(Conversation.person_id == person.id)).one()
        assert [turn.text for turn in past_turns(session, person.key, conversation_id, max_turns=9)] == [WORDS]
        assert session.get_one(Conversation, conversation_id).opened_at == rooms.conversation(conversation_id).opened_at
    assert back.answered("我回来了", "欢迎", who="小王").conversation_id == conversation_id


def test_words_stay_sealed_and_keys_stand_apart(rooms: Rooms, tmp_path: Path) -> None:
    written = backup(rooms, tmp_path)
    content = gzip.decompress(written.path.read_bytes()).decode()
    assert WORDS not in content
    with rooms.database.read() as session:
        wrapped = session.scalars(select(Person.data_key)).all()
    for key in wrapped:
        assert key is not None
        assert str(archive.encode(key)) not in content
    assert written.key_ids == [rooms.keys.current_id]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.gz")} == {0o600}


def test_who_was_erased_since_does_not_come_back(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    old = backup(rooms, tmp_path).path
    with rooms.database.begin() as session:
        person_id = people.locked(session, rooms.keys, channel="test", user_id="小王", now=NOW).id
        people.set_aside(session, person_id, now=NOW)
    dump(rooms.database, tmp_path, now=NOW.replace(hour=5))
    target = new_database("sqlite")
    assert restore(target, old, now=NOW).erased_count == 1
    with target.read() as session:
        with pytest.raises(Erased):
            people.key_of(session, rooms.keys, person_id)
        row = session.get_one(Person, person_id)
        assert row.erased_at is not None
        assert "小王" not in row.user_id


def test_what_was_under_way_is_not_said_again(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    target = new_database("sqlite")
    restored = restore(target, backup(rooms, tmp_path).path, now=NOW)
    assert (restored.turn_count, restored.delivery_count) == (1, 2)
    with target.read() as session:
        states = session.execute(select(Delivery.state, Delivery.error)).all()
        assert {(row.state, row.error) for row in states} == {(DeliveryState.FAILED, RESTORED)}
        assert TurnState.WAITING not in set(session.scalars(select(Turn.state)))
    assert Rooms(target, keys=rooms.keys).due(owner=uuid4()) == []


def test_a_database_that_holds_something_is_left_alone(rooms: Rooms, tmp_path: Path) -> None:
    written = backup(rooms, tmp_path)
    with pytest.raises(NotEmpty):
        restore(rooms.database, written.path, now=NOW)
    assert count(rooms.database, Person) == 3


def test_a_database_that_was_only_migrated_is_empty(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    target = new_database("postgresql")
    schema.upgrade(target)
    restore(target, backup(rooms, tmp_path).path, now=NOW)
    assert count(target, Person) == 3


def damaged(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:60] + bytes([packed[60] ^ 1]) + packed[61:],
        lambda packed: gzip.compress(gzip.decompress(packed).replace(b'"state"', b'"spate"')),
        lambda packed: gzip.compress(b"".join(gzip.decompress(packed).splitlines(keepends=True)[:-1])),
        lambda _: b"not a backup",
        lambda _: gzip.compress(b'{"format": "another"}\n'),
    ],
    ids=["half", "one bit", "changed", "no trailer", "something else", "another format"],
)
def test_what_is_damaged_is_refused_before_anything_is_written(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = damaged(backup(rooms, tmp_path).path, change)
    target = new_database("sqlite")
    with pytest.raises(BackupUnusable):
        restore(target, path, now=NOW)
    with pytest.raises(SchemaMismatch, match="no schema"):
        schema.check(target)


def test_a_backup_without_the_keys_beside_it_is_refused(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    written = backup(rooms, tmp_path)
    (tmp_path / KEYS).unlink()
    with pytest.raises(BackupUnusable, match=KEYS):
        restore(new_database("sqlite"), written.path, now=NOW)


def test_a_backup_of_a_newer_schema_is_refused(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    path = tmp_path / "newer.jsonl.gz"
    backup(rooms, tmp_path)
    with archive.writing(path) as rows:
        rows.header(schema="9999")
    with pytest.raises(SchemaMismatch, match="9999"):
        restore(new_database("sqlite"), path, now=NOW)


def test_an_older_schema_is_restored_and_then_upgraded(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    """What a version of the first schema would have written."""
    backup(rooms, tmp_path)
    person_id = uuid4()
    with archive.writing(tmp_path / "old.jsonl.gz") as rows:
        rows.header(schema="0001")
        rows.begin_table("people", ["id", "channel", "user_id", "created_at"])
        rows.row([person_id, "telegram", "7", NOW])
    target = new_database("sqlite")
    restore(target, tmp_path / "old.jsonl.gz", now=NOW)
    schema.check(target)
    assert count(target, Person) == 1


def test_a_backup_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def break_off() -> None:
        with archive.writing(tmp_path / "backup.gz") as rows:
            rows.header()
            raise BlockingIOError

    with pytest.raises(BlockingIOError):
        break_off()
    assert not list(tmp_path.iterdir())


@from_either
def test_it_sees_one_moment_while_people_go_on_writing(rooms: Rooms, tmp_path: Path) -> None:
    """Each message has its person, whatever came in meanwhile."""
    written = backup(rooms, tmp_path)
    rooms.answered("后来的话", "好", who="小赵")
    lines = [json.loads(line) for line in gzip.decompress(written.path.read_bytes()).splitlines()]
    assert lines[-1]["counts"]["people"] == 3


def test_only_the_newest_backups_are_kept(rooms: Rooms, tmp_path: Path) -> None:
    made = [dump(rooms.database, tmp_path, now=NOW.replace(day=day)).path for day in (1, 2, 3)]
    assert prune(tmp_path, keep=2) == made[:1]
    assert sorted(tmp_path.glob("*.gz")) == sorted([*made[1:], tmp_path / KEYS])


def test_a_reset_conversation_keeps_its_epoch(
    rooms: Rooms, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    with rooms.database.read() as session:
        conversation_id = session.scalars(select(Conversation.id).order_by(Conversation.id)).first()
    assert conversation_id is not None
    rooms.reset(conversation_id)
    target = new_database("sqlite")
    restore(target, backup(rooms, tmp_path).path, now=NOW)
    again = Rooms(target, keys=rooms.keys).heard("又来了", who="小王")
    assert Rooms(target, keys=rooms.keys).conversation(again.conversation_id).epoch == 2
