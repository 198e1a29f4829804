import asyncio
import re
import threading
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest

from bot.admission import URGENT
from bot.executors import THREADS_WITHOUT_EXECUTOR, Executors, PriorityExecutor
from dialogue.storage.database import connect

PRODUCT = Path(__file__).parents[2] / "bot"


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


async def test_80_slow_calls_do_not_hold_up_an_urgent_one(gate: threading.Event) -> None:
    executor = PriorityExecutor("test", threads=4, reserved=1)
    slow = [asyncio.create_task(executor.run(lambda: gate.wait(30))) for _ in range(80)]
    await asyncio.sleep(0)
    assert executor.is_full
    assert await executor.run(threading.get_ident, priority=URGENT) != threading.get_ident()
    assert not any(task.done() for task in slow)
    gate.set()
    assert all(await asyncio.gather(*slow))
    executor.close()


async def test_waiting_calls_start_by_priority_then_in_order_of_arrival(gate: threading.Event) -> None:
    executor, went = PriorityExecutor("test", threads=1), list[int]()
    first = asyncio.create_task(executor.run(lambda: gate.wait(30)))
    await asyncio.sleep(0)
    others = [
        asyncio.create_task(executor.run(partial(went.append, number), priority=priority))
        for number, priority in enumerate((0, 1, 3, 0))
    ]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *others)
    assert went == [2, 1, 0, 3]
    executor.close()


async def test_a_cancelled_call_keeps_its_thread_until_it_returns(gate: threading.Event) -> None:
    executor = PriorityExecutor("test", threads=1)
    stuck = asyncio.create_task(executor.run(lambda: gate.wait(30)))
    await asyncio.sleep(0)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    assert executor.is_full
    gate.set()
    assert await executor.run(lambda: "next") == "next"
    executor.close()


async def test_a_call_sees_the_context_of_its_caller() -> None:
    executor, name = PriorityExecutor("test", threads=1), ContextVar("name", default="")
    name.set("小王")
    assert await executor.run(name.get) == "小王"
    executor.close()


def test_every_thread_can_have_a_database_connection(tmp_path: Path) -> None:
    database = connect("postgresql+psycopg://nobody@127.0.0.1/nothing")
    pool = database.engine.pool
    assert Executors().thread_count + THREADS_WITHOUT_EXECUTOR <= pool.size() + pool._max_overflow  # type: ignore[attr-defined]  # of the pool in use
    database.close()


def test_nothing_in_the_bot_uses_the_shared_default_executor() -> None:
    shared = re.compile(r"\bto_thread\b|run_in_executor\(\s*None|set_default_executor")
    assert [path.name for path in PRODUCT.rglob("*.py") if shared.search(path.read_text("utf-8"))] == []
