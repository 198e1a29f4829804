"""What is executed without SQLAlchemy's own execution does what SQLAlchemy would do, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import DateTime, bindparam, event, exists, func, insert, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound, StatementError

from care.age import AgeBand
from dialogue.errors import DatabaseUnavailable
from dialogue.storage.database import Database, connect
from dialogue.storage.ids import new_id
from dialogue.tables import PEOPLE, Person, Utc

MOMENT = datetime(2026, 11, 29, 8, 30, 0, 123456, tzinfo=UTC)
MAKE = insert(PEOPLE)
OF_USER = select(PEOPLE).where(PEOPLE.c.user_id == bindparam("user"))
AGES = update(PEOPLE).where(PEOPLE.c.user_id == bindparam("user")).values(age_band=AgeBand.MINOR)
AGES_TOLD = AGES.returning(PEOPLE.c.age_band, PEOPLE.c.id)
_MINOR = PEOPLE.alias()
SUMMARY = select(func.count(), exists().where(_MINOR.c.age_band == AgeBand.MINOR).label("index")).select_from(PEOPLE)
OF_AGES = select(PEOPLE.c.user_id).where(PEOPLE.c.age_band.in_((AgeBand.CHILD, AgeBand.MINOR)))
LISTED = select(PEOPLE.c.user_id).where(PEOPLE.c.user_id.in_(bindparam("users", expanding=True)))


@pytest.fixture
def database(each_database: str) -> Iterator[Database]:
    opened = connect(each_database, pool_size=1)
    yield opened
    opened.close()


def person(user: str, **known: Any) -> dict[str, Any]:
    return {"id": new_id(), "channel": "test", "user_id": user, "created_at": MOMENT, **known}


def test_rows_are_the_same_the_first_time_and_ever_after(database: Database) -> None:
    away = MOMENT.astimezone(timezone(timedelta(hours=8)))
    wanted = person("小王", data_key=b"\x00\xff", age_band=AgeBand.ADULT, asked_at=away)
    with database.begin() as session:
        session.execute(MAKE, wanted)
        rows = [session.execute(OF_USER, {"user": "小王"}).one() for _ in range(3)]
    assert [row._asdict() for row in rows] == [rows[0]._asdict()] * 3
    row = rows[-1]
    assert (row.id, row.data_key, row.age_band) == (wanted["id"], b"\x00\xff", AgeBand.ADULT)
    assert (row.asked_at, row.asked_at.utcoffset(), row.declined_at) == (MOMENT, timedelta(0), None)


def test_writing_counts_and_returns_as_ever(database: Database) -> None:
    for _ in range(3):
        with database.begin() as session:
            session.execute(MAKE, [person(str(new_id())) for _ in range(2)])
    with database.begin() as session:
        session.execute(MAKE, person("小李"))
        counts = [getattr(session.execute(AGES, {"user": user}), "rowcount", 0) for user in ("小李", "小李", "谁")]
        told = [session.execute(AGES_TOLD, {"user": "小李"}).one() for _ in range(2)]
        sums = [session.execute(SUMMARY).one() for _ in range(2)]
        aged = [session.execute(OF_AGES).all() for _ in range(3)]
        listed = [
            session.scalars(LISTED, {"users": ["小李", "谁", *"一二三四五六七八九十" * 2][:count]}).all()
            for count in (1, 2, 1, 2, 0, 0, 22, 22)
        ]
    assert counts == [1, 1, 0]
    assert told[0] == told[1]
    assert told[1].age_band is AgeBand.MINOR
    assert sums[0] == sums[1] == (7, True)
    assert aged == [[("小李",)]] * 3
    assert listed == [["小李"]] * 4 + [[]] * 2 + [["小李"]] * 2


def test_what_is_not_one_row_is_an_error(database: Database) -> None:
    for _ in range(2):
        with database.read() as session, pytest.raises(NoResultFound):
            session.execute(OF_USER, {"user": "谁"}).one()
    both = select(PEOPLE.c.user_id)
    with database.begin() as session:
        session.execute(MAKE, [person("一"), person("二")])
    for _ in range(2):
        with database.read() as session, pytest.raises(MultipleResultsFound):
            session.execute(both).scalar_one()


def test_a_value_that_is_missing_is_an_error_and_no_default(database: Database) -> None:
    for _ in range(2):
        with database.read() as session:
            session.execute(OF_USER, {"user": "谁"})
    for _ in range(2):
        with database.read() as session, pytest.raises((KeyError, StatementError), match="user"):
            session.execute(OF_USER, {"person": "谁"})


def test_a_forbidden_row_is_told_as_ever_and_nothing_of_its_transaction_stays(database: Database) -> None:
    for _ in range(2):
        with database.begin() as session:
            session.execute(MAKE, person(str(new_id())))
    same = [person("小王", data_key=b"a secret") for _ in range(2)]
    with pytest.raises(IntegrityError) as caught, database.begin() as session:
        session.execute(MAKE, same)
    assert "a secret" not in str(caught.value)
    with database.read() as session:
        assert session.execute(OF_USER, {"user": "小王"}).all() == []


def test_a_savepoint_and_the_orm_see_what_was_executed(database: Database) -> None:
    for name in ("一", "二"):
        with database.begin() as session:
            session.execute(MAKE, person(name))
            with pytest.raises(IntegrityError), session.begin_nested():
                session.execute(MAKE, [person(f"{name}三"), person(name)])
            session.add(Person(**person(f"{name}二")))
    with database.read() as session:
        assert sorted(session.scalars(select(Person.user_id))) == sorted(["一", "一二", "二", "二二"])


def test_who_listens_to_statements_hears_each(database: Database) -> None:
    heard: list[str] = []
    for _ in range(3):
        with database.read() as session:
            session.execute(OF_USER, {"user": "谁"})
    event.listen(database.engine, "before_cursor_execute", lambda *call: heard.append(call[2]))
    for _ in range(3):
        with database.read() as session:
            session.execute(OF_USER, {"user": "谁"})
    assert len(heard) == 3


def test_a_connection_that_was_lost_is_not_used_again(postgres_url: str) -> None:
    database, other = connect(postgres_url, pool_size=1), connect(postgres_url)
    now = select(func.now())
    for _ in range(2):
        with database.read() as session:
            session.execute(now)

    def outlive_it() -> None:
        with database.read() as session:
            process_id = session.scalar(text("SELECT pg_backend_pid()"))
            with other.begin() as killing:
                killing.execute(text("SELECT pg_terminate_backend(:id)"), {"id": process_id})
            session.execute(now)

    with pytest.raises(DatabaseUnavailable):
        outlive_it()
    with database.read() as session:
        assert session.execute(now).one()
    database.close()
    other.close()


@pytest.mark.parametrize(
    "moment",
    [
        None,
        datetime(2026, 11, 29, 8, 5, tzinfo=UTC),
        datetime(2026, 11, 29, 8, 5, 6, 7, tzinfo=timezone(timedelta(hours=8))),
        datetime(33, 1, 2, tzinfo=UTC),
    ],
)
def test_sqlite_keeps_a_moment_as_sqlalchemy_writes_it(moment: datetime | None) -> None:
    dialect = sqlite.dialect()
    ours, theirs = Utc().bind_processor(dialect), DateTime().dialect_impl(dialect).bind_processor(dialect)
    assert ours is not None
    assert theirs is not None
    assert ours(moment) == theirs(moment and moment.astimezone(UTC))
