from uuid import uuid4

from sqlalchemy import update

from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import PEOPLE
from dialogue.upkeep import key_rotation as rotation
from dialogue.upkeep.key_rotation import BEGINNING, RotatedBatch
from tests.builders import Rooms

ME = uuid4()


def rotate(rooms: Rooms, keys: MasterKeys, *, limit: int = 2) -> list[RotatedBatch]:
    batches, after = [], BEGINNING
    while True:
        with rooms.database.begin() as session:
            batch = rotation.rotate(session, keys, after=after, limit=limit)
        batches.append(batch)
        if batch.last_id is None:
            return batches
        after = batch.last_id


def wrapped_by(rooms: Rooms) -> dict[str, int]:
    with rooms.database.read() as session:
        return dict(rotation.wrapped_by(session))


def test_every_key_is_wrapped_anew_and_texts_stay_readable_throughout(rooms: Rooms) -> None:
    old_secret, new = new_secret(), new_secret()
    old, both, only_new = (MasterKeys.parse(text) for text in (old_secret, f"{new},{old_secret}", new))
    before = Rooms(rooms.database, old)
    for number in range(5):
        before.answered("在吗", f"回答{number}", who=f"人{number}")
    assert wrapped_by(rooms) == {old.current_id: 5}
    with rooms.database.begin() as session:
        first = rotation.rotate(session, both, after=BEGINNING, limit=2)
    assert first.rewrapped == 2
    assert wrapped_by(rooms) == {both.current_id: 2, old.current_id: 3}
    running = Rooms(rooms.database, both)
    assert len(running.due(owner=ME)) == 5  # in the middle of it
    running.heard("新来的", who="人9")
    assert sum(batch.rewrapped for batch in rotate(rooms, both)) == 3  # from the beginning, as after a crash
    assert wrapped_by(rooms) == {both.current_id: 6}
    assert rotate(rooms, both) == [RotatedBatch(rewrapped=0, unreadable=0, last_id=None)]
    after = Rooms(rooms.database, only_new)
    assert after.claim(after.heard("还在吗", who="人0").conversation_id) is not None


def test_a_key_that_none_opens_is_counted_and_left_alone(rooms: Rooms) -> None:
    rooms.heard(who="小李")
    stranger = Rooms(rooms.database)
    stranger.heard(who="小王")
    new = MasterKeys.parse(new_secret())
    both = MasterKeys.parse(f"{new_secret()},{new_secret()}")
    (batch, *_) = rotate(rooms, both, limit=10)
    assert (batch.rewrapped, batch.unreadable) == (0, 2)
    assert new.current_id not in wrapped_by(rooms)
    assert len(wrapped_by(rooms)) == 2


def test_whoever_was_erased_stays_erased(rooms: Rooms) -> None:
    secret = new_secret()
    Rooms(rooms.database, MasterKeys.parse(secret)).heard()
    with rooms.database.begin() as session:
        session.execute(update(PEOPLE).values(data_key=None))
    assert rotate(rooms, MasterKeys.parse(f"{new_secret()},{secret}"))[0].rewrapped == 0
    assert wrapped_by(rooms) == {}
