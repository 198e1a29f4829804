import threading
from queue import Queue
from uuid import UUID

from tests.builders import Rooms
from worker.fallback_poll import FallbackPoller


def test_as_many_are_taken_as_there_are_free_places(rooms: Rooms) -> None:
    waiting = [rooms.heard(who=f"人{number}").conversation_id for number in range(3)]
    rooms.clock.tick(2)
    taken: Queue[UUID] = Queue()
    free = [2]
    ears = FallbackPoller(
        database=rooms.database,
        answer=taken.put,
        free_places=lambda: free[0],
        max_threads=1,
        max_attempts=3,
        clock=rooms.clock,
    )
    assert ears.look() == 2
    assert [taken.get(timeout=10), taken.get(timeout=10)] == waiting[:2]
    free[0] = 0
    assert ears.look() == 0
    ears.start()
    ears.stop()
    assert taken.empty()


def test_one_that_cannot_be_answered_does_not_stop_the_looking(rooms: Rooms) -> None:
    for number in range(2):
        rooms.heard(who=f"人{number}")
    rooms.clock.tick(2)
    met: list[UUID] = []
    both = threading.Event()

    def answer(conversation_id: UUID) -> None:
        met.append(conversation_id)
        if len(met) == 2:
            both.set()
        raise RuntimeError("秘密")

    ears = FallbackPoller(
        database=rooms.database,
        answer=answer,
        free_places=lambda: 4,
        max_threads=1,
        max_attempts=3,
        period_seconds=0.01,
        clock=rooms.clock,
    )
    ears.start()
    assert both.wait(10)
    ears.stop()
