"""Webhook requests side by side, and a group that gets a new id in between."""

import asyncio
import json
from typing import Any, cast

import pytest
from httpx import AsyncClient

from bot.channels.telegram.move_barrier import EarlierUpdateWaits, MoveBarrier
from bot.channels.telegram.webhook import SECRET_HEADER, Webhook
from tests.bot.telegram.test_polling import FakeHealth, in_group
from tests.patience import until

TO, FROM = {"migrate_to_chat_id": -1005}, {"migrate_from_chat_id": -5}


class Requests:
    """Each is taken when it is told to be; `stored` has them in that order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.barrier = MoveBarrier(lambda: self.now)
        self.begun: list[int] = []
        self.stored: list[int] = []
        self.refused: list[int] = []
        self._may_end: dict[int, asyncio.Future[None]] = {}

    def come(self, update: dict[str, Any]) -> asyncio.Task[None]:
        return asyncio.create_task(self._take(update))

    async def end(self, update_id: int, *, fault: Exception | None = None) -> None:
        await settle()
        future = self._may_end.pop(update_id)
        if fault is None:
            future.set_result(None)
        else:
            future.set_exception(fault)
        await settle()

    async def _take(self, update: dict[str, Any]) -> None:
        update_id = int(update["update_id"])
        try:
            async with self.barrier.passing(update, update_id):
                self.begun.append(update_id)
                self._may_end[update_id] = asyncio.get_running_loop().create_future()
                await self._may_end[update_id]
                self.stored.append(update_id)
        except (OSError, EarlierUpdateWaits):
            self.refused.append(update_id)


async def settle() -> None:
    """Everything that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_comes_from_the_new_id_waits_for_all_that_was_said_under_the_old_one() -> None:
    requests = Requests()
    requests.come(in_group(1, -5, who=7))
    requests.come(in_group(2, -5, who=8))
    await settle()
    requests.come(in_group(3, -1005, who=9, **FROM))
    requests.come(in_group(4, -1005, who=7))
    requests.come(in_group(5, -6, who=7))
    await settle()
    assert requests.begun == [1, 2, 5]
    await requests.end(2)
    assert requests.begun == [1, 2, 5]
    await requests.end(1)
    assert requests.begun == [1, 2, 5, 3]
    await requests.end(3)
    assert requests.begun == [1, 2, 5, 3, 4]
    await requests.end(4)
    await requests.end(5)


async def test_words_that_will_be_repeated_hold_up_the_new_id_until_they_are_stored() -> None:
    requests = Requests()
    requests.come(in_group(1, -5, who=7))
    await requests.end(1, fault=OSError())
    await requests.come(in_group(3, -1005, who=9, **FROM))
    await requests.come(in_group(4, -1005, who=7))
    assert requests.refused == [1, 3, 4]
    requests.come(in_group(1, -5, who=7))
    await requests.end(1)
    for update in (in_group(3, -1005, who=9, **FROM), in_group(4, -1005, who=7)):
        requests.come(update)
        await requests.end(update["update_id"])
    assert requests.stored == [1, 3, 4]


async def test_words_that_are_never_repeated_hold_up_nobody_for_ever() -> None:
    requests = Requests()
    requests.come(in_group(1, -5, who=7))
    await requests.end(1, fault=OSError())
    await requests.come(in_group(3, -1005, who=9, **FROM))
    requests.now += 601
    requests.come(in_group(3, -1005, who=9, **FROM))
    await requests.end(3)
    assert requests.stored == [3]


async def test_after_the_move_members_wait_for_nobody_again() -> None:
    requests = Requests()
    for update in (in_group(1, -5, who=9, **TO), in_group(2, -1005, who=9, **FROM)):
        requests.come(update)
        await requests.end(update["update_id"])
    requests.come(in_group(3, -1005, who=7))
    requests.come(in_group(4, -1005, who=8))
    await settle()
    assert requests.begun == [1, 2, 3, 4]
    await requests.end(3)
    await requests.end(4)


async def test_a_request_that_is_given_up_holds_up_nobody() -> None:
    requests = Requests()
    given_up = requests.come(in_group(1, -5, who=7))
    await settle()
    requests.come(in_group(3, -1005, who=9, **FROM))
    await settle()
    given_up.cancel()
    await settle()
    assert requests.begun == [1]  # it will be repeated
    requests.come(in_group(1, -5, who=7))
    await requests.end(1)
    assert requests.stored == [1]


class SlowIntake:
    """Takes the first words under the old id when it may."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.stored: list[int] = []

    async def take(self, update: dict[str, Any]) -> None:
        if update["update_id"] == 1:
            self.has_begun.set()
            await self.may_go_on.wait()
        self.stored.append(update["update_id"])


class CountingHealth(FakeHealth):
    def __init__(self) -> None:
        super().__init__()
        self.heard_count = 0

    def heard(self) -> None:
        self.heard_count += 1


@pytest.mark.parametrize("moved", [in_group(2, -5, who=9, **TO), in_group(2, -1005, who=9, **FROM)])
async def test_parallel_requests_of_a_group_that_moves_are_stored_in_their_order(moved: dict[str, Any]) -> None:
    intake, health = SlowIntake(), CountingHealth()
    webhook = Webhook(cast("Any", intake), cast("Any", health), secret="s")
    port = webhook.listen("127.0.0.1:0")
    async with AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={SECRET_HEADER: "s"}, trust_env=False
    ) as telegram:

        async def post(update: dict[str, Any]) -> int:
            return (await telegram.post("/", content=json.dumps(update))).status_code

        first = asyncio.create_task(post(in_group(1, -5, who=7)))
        await intake.has_begun.wait()
        others = [asyncio.create_task(post(moved))]
        await until(lambda: health.heard_count == 2)
        others.append(asyncio.create_task(post(in_group(3, -1005, who=7))))
        assert await post(in_group(4, -6, who=7)) == 200
        assert intake.stored == [4]
        intake.may_go_on.set()
        assert [await one for one in (first, *others)] == [200, 200, 200]
    assert intake.stored == [4, 1, 2, 3]
    await webhook.close()
