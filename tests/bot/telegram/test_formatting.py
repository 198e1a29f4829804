"""How a reply looks, and when it names what it answers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from telegram.error import BadRequest

from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.formatting import Entities, send_formatted
from bot.channels.telegram.sender import TelegramSender
from dialogue.messages import Address, OwedText
from dialogue.states import DeliveryKind
from dialogue.storage.clock import utc_now
from dialogue.storage.ids import first_id_at, new_id
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.patience import wait_until

HERE = Address(channel="telegram", chat_id="7")


def owed(text: str, *, kind: DeliveryKind = DeliveryKind.REPLY, turn_id: UUID | None = None) -> OwedText:
    return OwedText(id=new_id(), address=HERE, kind=kind, text=text, turn_id=turn_id, part=0, attempt=1)


class Api:
    """Takes texts; refuses the first ones with what it was given."""

    def __init__(self, *refusals: str) -> None:
        self.sent: list[tuple[str, list[str]]] = []
        self._refusals = list(refusals)

    async def send(self, words: str, entities: Entities | None) -> int:
        self.sent.append((words, [entity["type"] for entity in entities or ()]))
        if self._refusals:
            raise BadRequest(self._refusals.pop(0))
        return len(self.sent)


async def test_markdown_becomes_entities_and_plain_words_where_they_are_refused() -> None:
    api = Api()
    assert await send_formatted(owed("### 建议\n\n**深呼吸**，慢慢来。"), api.send) == 1
    assert api.sent == [("建议\n\n深呼吸，慢慢来。", ["bold", "bold"])]
    api = Api("Can't parse entities: something")
    assert await send_formatted(owed("**深呼吸**"), api.send) == 2
    assert api.sent == [("深呼吸", ["bold"]), ("深呼吸", [])]


async def test_other_refusals_and_other_texts_are_left_as_they_are() -> None:
    with pytest.raises(BadRequest, match="chat not found"):
        await send_formatted(owed("**深呼吸**"), Api("chat not found").send)
    api = Api()
    await send_formatted(owed("**12356**", kind=DeliveryKind.CRISIS), api.send)
    assert api.sent == [("**12356**", [])]


async def test_minutes_after_the_question_an_answer_quotes_it() -> None:
    async def question(_turn_id: UUID, _chat_id: int) -> int:
        return 41

    unused = cast("Any", None)
    sender = TelegramSender(
        bot=unused,
        limiter=unused,
        paces=unused,
        shown=unused,
        begin=unused,
        reply_to=question,
        on_gone=unused,
        on_moved=unused,
        language_of=unused,
        texts_in=unused,
        has_ratings=False,
        texts=unused,
    )
    place = TelegramChat.at(HERE)
    late = owed("我在", turn_id=first_id_at(utc_now() - timedelta(minutes=4)))
    quoted = await sender._reply_parameters(place, late)
    assert quoted is not None
    assert quoted["message_id"] == 41
    assert await sender._reply_parameters(place, owed("我在", turn_id=new_id())) is None


def test_neither_thoughts_nor_markup_are_ever_seen_on_the_way_to_the_person(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    reply = "<think>我要安慰他</think>### 建议\n\n**深呼吸**，慢慢来。\n### Human: 好的"
    open_clinic(MINDGLM_SCRIPTED_REPLY=reply, MINDGLM_SCRIPTED_DELAY_SECONDS="2").open()
    telegram.write(7, "我很难过")
    wait_until(lambda: telegram.texts(7) == ["建议\n\n深呼吸，慢慢来。"], 30)
    seen = "".join([*telegram.drafts[7], *telegram.texts(7)])
    assert not any(words in seen for words in ("think", "安慰", "**", "#", "Human"))
