"""What every channel promises: one class of tests over all of them, each with its real adapter.

A terminal neither repeats itself nor refuses anything, nobody shows it pictures, and it rates nothing; what is about
these is asked of the platforms only.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import create_engine, func, select, text

from bot.services import BotServices
from dialogue.states import DeliveryState
from dialogue.tables import Conversation, Delivery, Feedback, Message
from tests.bot.busy import GIVES_UP_SOON, failures_of
from tests.bot.contract.model import Model
from tests.bot.contract.seat import REPLY_LENGTH, PlatformSeat, Seat
from tests.patience import until

SENTENCE = "慢慢来，你已经做得很好了。"
ACUTE = "我今晚就想结束自己"


@pytest_asyncio.fixture
async def model(services: BotServices) -> AsyncIterator[Model]:
    """Answers whatever waits."""
    model = Model(services)
    answering = asyncio.create_task(model.run())
    yield model
    answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering


def stored_count(services: BotServices) -> int:
    with services.database.read() as session:
        return session.scalar(select(func.count(Message.id))) or 0


def fates(services: BotServices) -> list[tuple[DeliveryState, str | None]]:
    with services.database.read() as session:
        return [(row.state, row.error) for row in session.scalars(select(Delivery).order_by(Delivery.id))]


def said(seat: Seat) -> list[str]:
    """The sentences that were answered, one after the other.

    Several may be answered by one turn, in lines; and where each message costs, several replies that are owed at once
    are joined in one, a blank line between them.
    """
    return [line.removeprefix("收到：") for told in seat.told() for line in told.splitlines() if line]


class TestChannel:
    async def test_what_is_said_is_answered_and_marked(self, seat: Seat, model: Model, services: BotServices) -> None:
        seat.say("我睡不着")
        await until(lambda: seat.told() == ["收到：我睡不着"])
        await until(lambda: fates(services) == [(DeliveryState.SENT, None)])

    async def test_somebody_gets_their_data_has_it_deleted_and_begins_anew(self, seat: Seat, model: Model) -> None:
        seat.say("我睡不着")
        await until(lambda: seat.told() == ["收到：我睡不着"])
        seat.say("导出我的数据")
        await until(lambda: "我：我睡不着" in seat.handed_over())
        assert "支持者（AI生成）：收到：我睡不着" in seat.handed_over()
        seat.say("删除我的数据")
        await until(lambda: "确认删除" in seat.told()[-1])
        seat.say("确认删除")
        await until(lambda: "已经删除" in seat.told()[-1])
        seat.say("我回来了")
        await until(lambda: seat.told()[-1] == "收到：我回来了")

    @GIVES_UP_SOON
    async def test_a_message_is_acknowledged_only_when_it_is_stored(
        self, seat: Seat, services: BotServices, tmp_path: Path
    ) -> None:
        failures = failures_of(services)
        blocker = create_engine(f"sqlite:///{tmp_path / 'bot.db'}")
        with blocker.connect() as connection:
            connection.execute(text("BEGIN EXCLUSIVE"))
            seat.say("我睡不着")
            await until(lambda: failures)
            assert seat.acknowledged_count() == 0
            connection.rollback()
        blocker.dispose()
        seat.say_again()
        await until(lambda: seat.acknowledged_count() == 1)
        assert stored_count(services) == 1

    async def test_everything_is_answered_in_the_order_in_which_it_was_said(self, seat: Seat, model: Model) -> None:
        sends = seat.channel.capabilities.sends_per_message
        sentences = [f"第{number}句" for number in range(8 if sends is None else min(8, sends - 1))]
        for sentence in sentences:
            seat.say(sentence)
        await until(lambda: said(seat) == sentences)

    async def test_a_long_reply_comes_whole_in_parts_that_the_channel_takes(
        self, seat: Seat, model: Model, services: BotServices
    ) -> None:
        takes = seat.channel.capabilities
        reply = SENTENCE * min(
            REPLY_LENGTH // len(SENTENCE),
            (takes.longest_reply or sys.maxsize) // takes.measure.of(SENTENCE),
        )
        model.says = lambda _text: reply
        seat.say("我睡不着")
        await until(lambda: "".join(seat.told()) == reply)
        assert all(part.endswith("。") for part in seat.told())
        longest = max(takes.measure.of(part) for part in seat.told())
        assert longest <= (takes.longest_text or sys.maxsize)
        await until(lambda: {state for state, _ in fates(services)} == {DeliveryState.SENT})

    async def test_after_the_end_words_there_is_a_farewell_and_then_a_new_conversation(
        self, seat: Seat, model: Model, services: BotServices
    ) -> None:
        for count, words in enumerate(("我睡不着", "结束对话", "我又来了"), start=1):
            seat.say(words)
            await until(lambda count=count: len(seat.told()) == count)  # type: ignore[misc]  # a default binds it
        assert "照顾好自己" in seat.told()[1]
        with services.database.read() as session:
            assert session.scalar(select(func.count(Conversation.id))) == 2

    @pytest.mark.parametrize(
        ("words", "end", "farewell"),
        [
            ("我這幾天都睡不著覺", "結束聊天", "照顧好自己"),
            ("我這幾天都睡不著覺", "ＳＴＯＰ！", "照顧好自己"),
            ("It is raining today", "STOP", "Take good care of yourself"),
        ],
    )
    async def test_a_farewell_is_in_the_persons_own_script(
        self, seat: Seat, model: Model, words: str, end: str, farewell: str
    ) -> None:
        seat.say(words)
        await until(lambda: bool(seat.told()))
        seat.say(end)
        await until(lambda: farewell in seat.told()[-1])

    async def test_their_data_and_the_last_words_are_in_the_persons_own_script(self, seat: Seat, model: Model) -> None:
        seat.say("我這幾天都睡不著覺")
        await until(lambda: len(seat.told()) == 1)
        seat.say("匯出我的資料")
        await until(lambda: "支持者（AI生成）：收到：我這幾天都睡不著覺" in seat.handed_over())
        assert "我的資料" in seat.handed_over()
        seat.say("刪除我的資料")
        await until(lambda: "確認刪除" in seat.told()[-1])
        seat.say("確認刪除")
        await until(lambda: "已經刪除" in seat.told()[-1])

    async def test_what_is_too_long_is_refused_kindly_and_the_next_words_are_answered(
        self, seat: Seat, model: Model
    ) -> None:
        seat.say("长" * 101)
        await until(lambda: len(seat.told()) == 1)  # of two that are owed at once the reply may be the first
        seat.say("还在吗")
        await until(lambda: seat.told()[1:] == ["收到：还在吗"])
        assert "101 个字" in seat.told()[0]

    async def test_what_was_owed_while_the_channel_was_away_is_said_when_it_is_back(
        self, seat: Seat, services: BotServices
    ) -> None:
        seat.say("我睡不着")
        await until(lambda: seat.acknowledged_count() == 1)  # else a platform may say that we are out of order
        await seat.stop()
        model = Model(services)
        await model.finish(await model.begin())
        assert seat.told() == []
        await seat.start()
        await until(lambda: seat.told() == ["收到：我睡不着"])

    async def test_a_repeat_changes_nothing(self, platform: PlatformSeat, model: Model, services: BotServices) -> None:
        platform.say("我睡不着")
        await until(lambda: platform.told() == ["收到：我睡不着"])
        platform.repeat()
        platform.repeat()
        platform.say("还在吗")
        await until(lambda: len(platform.told()) == 2)
        assert said(platform) == ["我睡不着", "还在吗"]
        assert stored_count(services) == 2

    async def test_a_reply_that_comes_after_the_end_words_is_never_said(
        self, platform: PlatformSeat, services: BotServices
    ) -> None:
        model = Model(services)
        platform.say("我睡不着")
        turn = await model.begin()
        platform.say("结束对话")
        await until(lambda: len(platform.told()) == 1)
        await model.finish(turn)
        platform.say("我又来了")
        await model.finish(await model.begin())
        await until(lambda: len(platform.told()) == 2)
        farewell, answer = platform.told()
        assert "照顾好自己" in farewell
        assert answer == "收到：我又来了"

    async def test_answers_that_are_owed_at_once_are_said_in_order(
        self, platform: PlatformSeat, services: BotServices
    ) -> None:
        model = Model(services)
        platform.say("第0句")
        turn = await model.begin()
        platform.say("第1句")
        await until(lambda: stored_count(services) == 2)
        await model.finish_with_the_next(turn)
        await until(lambda: said(platform) == ["第0句", "第1句"])

    async def test_what_is_no_text_is_excused_once_for_several_in_a_row(
        self, platform: PlatformSeat, model: Model, services: BotServices
    ) -> None:
        for _ in range(3):
            platform.show()
        await until(lambda: stored_count(services) == 3)
        await until(lambda: len(platform.told()) == 1)
        platform.say("好的")
        await until(lambda: platform.told()[1:] == ["收到：好的"])
        assert "文字" in platform.told()[0]

    @pytest.mark.parametrize("value", [1, -1])
    async def test_the_last_reply_can_be_liked_and_disliked(
        self, platform: PlatformSeat, model: Model, services: BotServices, value: int
    ) -> None:
        def ratings() -> list[int]:
            with services.database.read() as session:
                return list(session.scalars(select(Feedback.value)))

        platform.say("我睡不着")
        await until(lambda: platform.told() == ["收到：我睡不着"])
        await until(lambda: fates(services) == [(DeliveryState.SENT, None)])
        platform.rate(value)
        await until(lambda: ratings() == [value])

    async def test_a_text_that_is_not_taken_now_is_said_later_and_once(
        self, platform: PlatformSeat, model: Model, services: BotServices
    ) -> None:
        platform.refuse_once()
        platform.say("我睡不着")
        await until(lambda: fates(services) == [(DeliveryState.SENT, None)])
        platform.say("还在吗")
        await until(lambda: len(platform.told()) == 2)
        assert platform.told() == ["收到：我睡不着", "收到：还在吗"]

    async def test_a_text_that_is_never_taken_is_given_up_and_holds_up_nothing(
        self, platform: PlatformSeat, model: Model, services: BotServices
    ) -> None:
        platform.refuse_for_good()
        platform.say("我睡不着")
        await until(lambda: [state for state, _ in fates(services)] == [DeliveryState.FAILED])
        platform.say("还在吗")
        await until(lambda: platform.told() == ["收到：还在吗"])


class TestWithoutABroker:
    @pytest.fixture
    def broker_url(self, tmp_path: Path) -> str:
        return f"redis+socket://{tmp_path}/nobody.sock"

    async def test_words_of_danger_are_answered_all_the_same(self, seat: Seat) -> None:
        """No model either: nobody answers turns here."""
        seat.say(ACUTE)
        await until(lambda: len(seat.told()) == 1)
        assert "120" in seat.told()[0]
