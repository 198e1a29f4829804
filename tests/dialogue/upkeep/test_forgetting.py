"""Erased means erased: before somebody reads that they are deleted, their key is in no file."""

import base64
import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dialogue.backup.dump import KEYS, dump
from dialogue.errors import DatabaseUnavailable
from dialogue.rights import erasure
from dialogue.states import ClosedBy
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.tables import Person
from dialogue.upkeep.forgetting import Forgetting
from tests.builders import Rooms
from tests.services.migrated import migrate


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def rooms(home: Path) -> Iterator[Rooms]:
    url = sqlite_url(home / "mindglm.db")
    migrate(url)
    database = connect(url)
    yield Rooms(database)
    database.close()


def key_of(database: Database, who: str) -> bytes:
    with database.read() as session:
        key = session.scalar(select(Person.data_key).where(Person.user_id == who))
    assert key is not None
    return bytes(key)


def erase(rooms: Rooms, who: str) -> None:
    with rooms.database.begin() as session:
        person_id = session.scalar(select(Person.id).where(Person.user_id == who))
        assert person_id is not None
        erasure.erase(session, person_id, by=ClosedBy.PERSON, actor="person", farewell_to=None, now=utc_now())


def all_bytes(directory: Path) -> bytes:
    """Of every file below, packed ones unpacked."""
    contents = [file.read_bytes() for file in directory.rglob("*") if file.is_file()]
    return b"".join(gzip.decompress(one) if one.startswith(b"\x1f\x8b") else one for one in contents)


def is_anywhere(key: bytes, home: Path) -> bool:
    searched = all_bytes(home)
    return key[5:] in searched or base64.b64encode(key) in searched


def test_an_erased_key_is_in_no_file_of_the_home(rooms: Rooms, home: Path) -> None:
    for who in ("小王", "小李"):
        rooms.answered("我很难过", "我在听", who=who)
    erased, kept = key_of(rooms.database, "小王"), key_of(rooms.database, "小李")
    dump(rooms.database, home / "backups", now=utc_now())
    erase(rooms, "小王")
    assert is_anywhere(erased, home)
    assert Forgetting(database=rooms.database, backups=home / "backups").forget()
    assert not is_anywhere(erased, home)
    assert is_anywhere(kept, home)


def test_a_backup_that_was_being_written_does_not_bring_a_key_back(
    rooms: Rooms, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.answered("我很难过", "我在听", who="小王")
    rooms.answered("在吗", "在", who="小李")
    erased = key_of(rooms.database, "小王")
    written_table = dump.__globals__["_write_table"]

    def erase_meanwhile(*args: object, **options: object) -> None:
        written_table(*args, **options)
        monkeypatch.undo()
        erase(rooms, "小王")

    monkeypatch.setitem(dump.__globals__, "_write_table", erase_meanwhile)
    dump(rooms.database, home / "backups", now=utc_now())
    assert Forgetting(database=rooms.database, backups=home / "backups").forget()
    assert not is_anywhere(erased, home)


def test_what_a_killed_backup_left_goes_too(rooms: Rooms, home: Path) -> None:
    rooms.answered("我很难过", "我在听", who="小王")
    (home / "backups").mkdir()
    (home / "backups" / f"{KEYS}.partial").write_bytes(key_of(rooms.database, "小王"))
    erased = key_of(rooms.database, "小王")
    erase(rooms, "小王")
    assert Forgetting(database=rooms.database, backups=home / "backups").forget()
    assert not is_anywhere(erased, home)


def test_while_a_reader_keeps_old_pages_nobody_is_told(rooms: Rooms, home: Path) -> None:
    rooms.answered("我很难过", "我在听", who="小王")
    erased = key_of(rooms.database, "小王")
    forgetting = Forgetting(database=rooms.database)
    with rooms.database.read() as session:
        session.scalar(select(Person.id).limit(1))
        erase(rooms, "小王")
        with pytest.raises(DatabaseUnavailable):
            forgetting.forget()
    forgetting.keep()  # the housekeeper catches up
    assert not is_anywhere(erased, home)


def test_backups_that_cannot_be_written_are_no_promise(rooms: Rooms, home: Path) -> None:
    rooms.answered("我很难过", "我在听", who="小王")
    dump(rooms.database, home / "backups", now=utc_now())
    (home / "backups" / "keys.lock").unlink()
    (home / "backups" / "keys.lock").mkdir()  # nobody, root included, can open it for writing
    erase(rooms, "小王")
    assert not Forgetting(database=rooms.database, backups=home / "backups").forget()


def test_on_postgresql_housekeeping_vacuums_once_after_an_erasure(
    postgres_database: Callable[[], str],
) -> None:
    database = connect(postgres_database())
    rooms = Rooms(database)
    rooms.answered("我很难过", "我在听", who="小王")
    forgetting = Forgetting(database=database, clock=lambda: utc_now() - timedelta(days=3))
    erase(rooms, "小王")
    assert not forgetting.forget()  # WAL and copies are bounded by days
    forgetting.keep()
    assert not forgetting._is_anybody_left()
    database.close()
