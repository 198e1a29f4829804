import threading
from queue import Queue
from uuid import UUID

from tests.builders import Rooms
from worker.fallback_poll import FallbackPoller


def test_as_many_are_taken_as_there_are_free_slots(rooms: Rooms) -> None:
    waiting = [rooms.heard(who=f"人{number}").conversation_id for number in range(3)]
    rooms.clock.tick(2)
    taken: Queue[UUID] = Queue()
    free = [2]
    poller = FallbackPoller(
        database=rooms.database,
        answer=taken.put,
        free_slots=lambda: free[0],
        max_threads=1,
        max_attempts=3,
        clock=rooms.clock,
    )
    assert poller.poll() == 2
    assert [taken.get(timeout=10), taken.get(timeout=10)] == waiting[:2]
    free[0] = 0
    assert poller.poll() == 0
    poller.start()
    poller.stop()
    assert taken.empty()


def test_a_failing_turn_does_not_stop_the_polling(rooms: Rooms) -> None:
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

    poller = FallbackPoller(
        database=rooms.database,
        answer=answer,
        free_slots=lambda: 4,
        max_threads=1,
        max_attempts=3,
        period_seconds=0.01,
        clock=rooms.clock,
    )
    poller.start()
    assert both.wait(10)
    poller.stop()
