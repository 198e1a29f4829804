"""Nothing that others do holds up the words for somebody in danger: not their files, not their slow messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from dialogue.core import intake, people
from dialogue.messages import Address, InboundMessage
from dialogue.storage.clock import utc_now
from dialogue.storage.database import be_patient
from dialogue.tables import PEOPLE
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.patience import wait_until

TALKATIVE, IN_DANGER = 7000, 7001
OTHERS = range(7100, 7180)
DANGER = "我今晚就想结束自己"
_SAID_BYTES = 5_000_000
"""Twice in an export: readable, and as JSON."""


@pytest.fixture
def clinic(
    telegram: Telegram, tmp_path: Path, redis_url: str, postgres_database: Callable[[], str]
) -> Iterator[Clinic]:
    opened = Clinic(tmp_path / "clinic", telegram, broker_url=redis_url, MINDGLM_DATABASE_URL=postgres_database())
    yield opened
    telegram.uploads.release()
    opened.close()


def test_an_export_and_80_slow_messages_do_not_hold_up_crisis_words(clinic: Clinic, telegram: Telegram) -> None:
    has_said(clinic, TALKATIVE, _SAID_BYTES)
    telegram.hold_uploads()
    clinic.start_adapter().wait_ready()
    fetched: set[int] = set()
    telegram.on_fetched = fetched.update
    for who in OTHERS:
        telegram.write(who, "在吗")
    wait_until(lambda: clinic.stored() >= len(OTHERS), 30)
    telegram.write(TALKATIVE, "/export")
    wait_until(lambda: telegram.uploads.begun_count, 30)
    with locked(clinic, OTHERS):
        for who in OTHERS:
            telegram.write(who, "还在吗")
        newest = telegram.last_update["update_id"]
        wait_until(lambda: newest in fetched, 10)
        telegram.write(IN_DANGER, DANGER)
        wait_until(lambda: telegram.sent[IN_DANGER], 2)
    assert telegram.texts(TALKATIVE) == []
    telegram.uploads.release()
    wait_until(lambda: len(telegram.sent[TALKATIVE]) == 2, 30)
    files = [sent.file or b"" for sent in telegram.sent[TALKATIVE]]
    assert sum(map(len, files)) > 2 * _SAID_BYTES


def has_said(clinic: Clinic, who: int, size: int) -> None:
    """So many bytes, in messages of 30 kB."""
    now, words = utc_now(), "话" * 10_000
    with clinic.database.begin() as session:
        person = people.locked(session, clinic.keys, channel="telegram", user_id=str(who), now=now)
        for number in range(size // 30_000 + 1):
            message = InboundMessage(
                address=Address(channel="telegram", chat_id=str(who)),
                account="4242",
                user_id=str(who),
                external_id=f"earlier:{who}:{number}",
                text=words,
                sent_at=now,
                is_private=True,
            )
            intake.store(session, person, message, text=words, now=now)


@contextmanager
def locked(clinic: Clinic, people_of: range) -> Iterator[None]:
    """As by a worker that is frozen in the middle of a transaction: each message of theirs waits for a second."""
    with clinic.database.begin() as session:
        be_patient(session.connection())
        user_ids = [str(who) for who in people_of]
        locked = session.execute(select(PEOPLE.c.id).where(PEOPLE.c.user_id.in_(user_ids)).with_for_update()).all()
        assert len(locked) == len(user_ids)
        yield
