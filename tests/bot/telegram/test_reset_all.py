"""A reset of all whose process is stopped on the way is finished by the next one."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import func, insert, select

from dialogue.admin import reset_all
from dialogue.admin.office import Actor
from dialogue.core import people
from dialogue.messages import Address
from dialogue.storage.clock import utc_now
from dialogue.storage.ids import new_id
from dialogue.tables import CONVERSATIONS, PEOPLE, RESET_ORDERS
from dialogue.telemetry.heartbeat import present
from tests.bot.telegram.clinic import Clinic
from tests.patience import wait_until

ADMIN = 9001
BATCHES = 3


def test_a_stopped_process_leaves_the_rest_to_the_next_one(
    open_clinic: Callable[..., Clinic], postgres_database: Callable[[], str]
) -> None:
    clinic = open_clinic(MINDGLM_ADMINS=f"telegram:{ADMIN}", MINDGLM_DATABASE_URL=postgres_database())
    first, second = known(clinic, "7001"), known(clinic, "7002")
    begin_conversations(clinic, first, reset_all.BATCH)
    begin_conversations(clinic, second, (BATCHES - 1) * reset_all.BATCH)
    with clinic.database.begin() as session:
        boss = Address(channel="telegram", chat_id=str(ADMIN))
        reset_all.order(session, by=Actor(name=f"telegram:{ADMIN}"), tell=boss, reason=None, now=utc_now())

    with clinic.database.begin() as session:
        session.execute(select(PEOPLE.c.id).where(PEOPLE.c.id == second).with_for_update())
        adapter = clinic.start_adapter()
        wait_until(lambda: ended(clinic) == reset_all.BATCH, 30)
        adapter.wait_ready()
        wait_until(lambda: is_present(clinic))
        adapter.process.terminate()
        wait_until(lambda: not is_present(clinic))  # nearly the last thing it does; the batch in progress waits still
    assert adapter.wait() == 0
    assert reset_all.BATCH <= ended(clinic) < BATCHES * reset_all.BATCH
    assert clinic.telegram.texts(ADMIN) == []

    clinic.start_adapter()
    (told,) = clinic.wait_for(ADMIN, 1)
    assert str(BATCHES * reset_all.BATCH) in told
    with clinic.database.read() as session:
        assert session.scalar(select(RESET_ORDERS.c.id)) is None
        assert session.scalar(select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.closed_at.is_(None)).limit(1)) is None


def known(clinic: Clinic, user_id: str) -> UUID:
    with clinic.database.begin() as session:
        return people.locked(session, clinic.keys, channel="telegram", user_id=user_id, now=utc_now()).id


def begin_conversations(clinic: Clinic, person_id: UUID, count: int) -> None:
    now = utc_now()
    rows = [
        {
            "id": new_id(),
            "person_id": person_id,
            "channel": "telegram",
            "account": "",
            "chat_id": f"{person_id}:{number}",
            "epoch": 1,
            "tier": 0,
            "opened_at": now,
        }
        for number in range(count)
    ]
    with clinic.database.begin() as session:
        session.execute(insert(CONVERSATIONS), rows)


def is_present(clinic: Clinic) -> bool:
    with clinic.database.read() as session:
        return bool(present(session))


def ended(clinic: Clinic) -> int:
    with clinic.database.read() as session:
        return session.scalar(select(func.count()).where(CONVERSATIONS.c.closed_at.is_not(None))) or 0
