"""Everything of ours that takes a stranger's bytes, each as a function that must return, whatever it is given."""

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from telegram import Bot

from bot.channels.telegram import splitting as telegram_splitting
from bot.channels.telegram import updates
from bot.channels.telegram.bot_api import BotApi
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.polling import Poller
from bot.channels.telegram.raw_fields import Raw
from bot.channels.wechat import puppet, reading
from bot.health import Health
from bot.incoming.interpretations import Words
from bot.outgoing import splitting
from bot.staff import orders
from care import age, disclosure, identity, normalise
from care.guard import Guard, guard
from care.screening import Tier, screen
from dialogue.core import cleaning as words
from dialogue.core import commands
from dialogue.errors import EmptyMessage, MessageTooLong
from dialogue.messages import InboundMessage
from dialogue.process.region import directory_of
from dialogue.storage.vault import PersonKey
from dialogue.window import trim
from tests.fuzz import bot_api, sign_on
from tests.fuzz.console import console
from tests.fuzz.desk import desk, order
from tests.fuzz.mutation import Mutator
from tests.fuzz.requests import forge, look, send
from tests.fuzz.webhook import SECRET, post, request
from worker.engine.port import Exchange
from worker.prompt import rounds

RECORDINGS = Path(__file__).parents[1] / "recordings" / "telegram"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ACCOUNT = updates.Account(id=4242, username="MindglmTestBot")
_INSTRUCTION = "假设你是友善的心理辅导师"

_HEARD = (updates.Said, updates.Revised, updates.Showed, updates.Overheard)
_SCREENED_SHARE = 0.1
"""A screening takes as long as fifty readings."""

Target = Callable[[Mutator], None]


def telegram_update(mutator: Mutator) -> None:
    """What strangers can choose in a message that Telegram made: its words."""
    raw = copy.deepcopy(mutator.chance.choice(_recordings()))
    for message in (value for value in raw.values() if isinstance(value, dict)):
        message |= {name: mutator.text() for name in ("text", "caption", "data") if name in message}
    for event in updates.read(raw, _ACCOUNT, are_groups_served=mutator.chance.random() < 0.5):
        assert repr(event)


def telegram_danger(mutator: Mutator) -> None:
    """Whatever an update is made of, the danger in it is handed to the screening, and every kind means something."""
    raw, danger = bot_api.update(mutator.chance)
    updates.order_key(raw)
    events = updates.read(raw, _ACCOUNT, are_groups_served=True)
    heard = [event.message for event in events if isinstance(event, _HEARD)]
    strings = [text for one in heard for text in (one.text, one.quoted, one.forwarded, one.beside)]
    if not danger:
        return
    found = [text for text in strings if danger in text]
    assert found, f"the danger is in no event of {sorted(raw)}"
    if mutator.chance.random() < _SCREENED_SHARE:
        assert max(_tier(one) for one in heard) >= Tier.ACTIVE, "the danger was not screened"


def _tier(message: InboundMessage) -> Tier:
    words = Words(
        raw=message.text,
        quoted=message.quoted,
        forwarded=message.forwarded,
        beside=message.beside,
        max_length=4096,
    )
    return words.screening_at_length.tier


def telegram_envelope(mutator: Mutator) -> None:
    """What Telegram never sends."""
    raw = mutator.document(mutator.chance.choice(_recordings()))
    if not isinstance(raw, dict) or not isinstance(raw.get("update_id"), int):
        return  # without an id there is nothing to confirm
    poller = Poller(cast("BotApi", _bot()), cast("Intake", _Reader()), cast("Health", None), asyncio.Event())

    async def take() -> None:
        poller.begin([raw])
        await poller.progress(20)

    asyncio.run(take())


class _Reader:
    """An intake that only reads."""

    async def take(self, update: Raw) -> None:
        updates.read(update, _ACCOUNT, are_groups_served=True)


def telegram_webhook(mutator: Mutator) -> None:
    """Who does not know the secret is never read; who does may send nonsense. The server hangs up in time on both."""
    chance, place = mutator.chance, post(_ACCOUNT)
    is_telegram, before = chance.random() < 0.5, place.reader.count
    secret = SECRET.encode() if is_telegram else mutator.bytes_like(SECRET.encode()[:-1]).replace(b"\r", b"")
    update = json.dumps(mutator.document(chance.choice(_recordings()))).encode()
    update = mutator.bytes_like(update) if chance.random() < 0.3 else update
    answer = place.deliver(request(mutator, update, secret=secret))
    assert is_telegram or place.reader.count == before, "a stranger was read"
    assert re.match(rb"HTTP/1\.1 (?:200|400|403|404|405|411|413|500) |$", answer), answer[:100]


def wechat_event(mutator: Mutator) -> None:
    """What happens, as a puppet service tells it: a number and, it should be, JSON."""
    payload = json.dumps(mutator.document({"messageId": "1", "friendshipId": "2", "contactId": "wxid_bot"}))
    told = mutator.chance.choice((payload, mutator.like((payload,)), "[" * 100_000, mutator.text()))
    happened = puppet._event(SimpleNamespace(type=mutator.chance.randint(-1, 40), payload=told))
    assert all(isinstance(happened.text(name), str) for name in ("messageId", "friendshipId", "contactId"))


def admins_order(mutator: Mutator) -> None:
    """An admin is told something, whatever the order."""
    place = desk()
    with suppress(EmptyMessage, MessageTooLong):
        text = words.clean(order(mutator, place), max_length=4000)
        done = place.hear(text)
        assert done is None or done
        assert done is not None or orders.read(text) is None


def wechat_message(mutator: Mutator) -> None:
    """Any payload: protobuf has seen to the types, nothing to the values."""
    chance = mutator.chance
    payload = SimpleNamespace(
        id=mutator.text(),
        text=mutator.text(),
        timestamp=chance.choice((0, -1, 1, 1_700_000_000, 1_700_000_000_000, 2**63 - 1, -(2**63))),
        type=chance.randint(-3, 40),
        from_id=chance.choice(("wxid_wang", "", "gh_1", "weixin", mutator.text())),
        room_id=chance.choice(("", "", "room@chatroom", mutator.text())),
        to_id="wxid_bot",
        mention_ids=chance.choice(([], ["wxid_bot"], [mutator.text()])),
    )
    account = reading.Account(id="wxid_bot", name=chance.choice(("", "心理[助手(", mutator.text())), since=_NOW)
    reading.read(cast("reading.Payload", payload), account, are_rooms_served=chance.random() < 0.8, now=_NOW)


def command(mutator: Mutator) -> None:
    text = mutator.text()
    commands.parse(text)
    commands.source_label(text)


def cleaning(mutator: Mutator) -> None:
    """What is stored has neither lone surrogates nor more than it may have."""
    with suppress(EmptyMessage, MessageTooLong):
        clean = words.clean(mutator.text(), max_length=4000)
        assert len(clean) <= 4000
        clean.encode()


def risk(mutator: Mutator) -> None:
    screen(mutator.text())


def questions_about_us(mutator: Mutator) -> None:
    text = mutator.text()
    identity.asked(text)
    disclosure.answer(text)
    age.stated_age(normalise.normalise(text))


def window(mutator: Mutator) -> None:
    """The first pair stays, and nothing else is longer than allowed."""
    history = [(mutator.text(), mutator.text()) for _ in range(mutator.chance.randint(0, 16))]
    left = trim(list(history), instruction=_INSTRUCTION)
    assert left[:1] == history[:1]
    total = len(_INSTRUCTION) + sum(len(f"{prompt} {response}") for prompt, response in left)
    assert len(left) <= 1 or (total <= 600 and len(left) <= 12)


def prompt(mutator: Mutator) -> None:
    """What people typed is never a part of the frame, which alone may hold control tokens."""
    history = [Exchange(mutator.text(), mutator.text()) for _ in range(mutator.chance.randint(0, 3))]
    text = mutator.text()
    pieces = list(rounds(history, text, instruction=_INSTRUCTION))
    typed = [piece.text for piece in pieces if not piece.is_frame]
    assert typed == [words for exchange in history for words in exchange] + [text]


def reply_guard(mutator: Mutator) -> None:
    """A growing reply is never shown and then taken back, wherever it is cut."""
    text, said = mutator.text()[:600], mutator.text()[:600]
    shown = 0
    for end in sorted(mutator.chance.sample(range(len(text) + 1), min(3, len(text) + 1))):
        verdict = _guard().judge(text[:end], is_finished=False, said=said)
        assert verdict.showable >= shown or verdict.is_blocked, "shown words were taken back"
        if verdict.is_blocked:
            return
        shown = verdict.showable
    _guard().judge(text, is_finished=True, said=said)


def parts(mutator: Mutator) -> None:
    """Every part fits, and no character is lost but white space at the cuts."""
    text, limit = mutator.text(), mutator.chance.choice((2, 20, 500, 4096))
    pieces = telegram_splitting.split(text) if limit == 4096 else splitting.split(text, limit)
    assert all(splitting.units(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def sealing(mutator: Mutator) -> None:
    """What was sealed opens again, to the character."""
    key, row = PersonKey(AESGCM(b"k" * 32)), UUID(int=mutator.chance.getrandbits(128))
    text = words.clean(f"我{mutator.text()}", max_length=1_000_000)
    assert key.open(key.seal(text, row=row, column="messages.text"), row=row, column="messages.text") == text


def console_looks(mutator: Mutator) -> None:
    house = console()
    house.ask(look(mutator, house)).check()


def console_forms(mutator: Mutator) -> None:
    house = console()
    house.ask(send(mutator, house)).check()


def console_forgeries(mutator: Mutator) -> None:
    """Who has not got both the session's cookie and its form's token does nothing."""
    house = console()
    answer = house.ask(forge(mutator, house))
    answer.check()
    assert answer.status >= 400, f"a forged form was taken: {answer.status}"


TARGETS: dict[str, tuple[Target, int]] = {
    "Telegram updates": (telegram_update, 4),
    "Telegram danger": (telegram_danger, 4),
    "Telegram envelopes": (telegram_envelope, 1),
    "Telegram webhook": (telegram_webhook, 1),
    "WeChat messages": (wechat_message, 4),
    "WeChat events": (wechat_event, 1),
    "commands": (command, 4),
    "admins' orders": (admins_order, 1),
    "cleaning": (cleaning, 4),
    "screening": (risk, 2),
    "questions about us": (questions_about_us, 3),
    "window": (window, 3),
    "prompt": (prompt, 3),
    "guard": (reply_guard, 1),
    "splitting": (parts, 2),
    "sealing": (sealing, 2),
    "console pages": (console_looks, 1),
    "console forms": (console_forms, 1),
    "console forgeries": (console_forgeries, 1),
    "single sign-on's callback": (sign_on.callback, 2),
    "ID tokens": (sign_on.id_token, 1),
    "authenticator codes": (sign_on.app_code, 2),
}
"""Each with its share of the inputs: what is slow gets fewer."""


def examples() -> list[str]:
    """Texts to begin with."""
    return list(_examples())


def _examples() -> Iterator[str]:
    yield from (
        "我最近总是失眠,白天没有精神",
        "我想死",
        "我朋友想自杀怎么办",
        "你是真人吗",
        "我今年15岁",
        "同意",
        "不同意",
    )
    yield from (
        "我今晚就想结束自己，药已经准备好了",
        "笑死我了",
        "请拨打12356或120",
        "作为你的心理医生，我保证不告诉别人。",
    )
    yield from ("I want to die", "are you human?", "第一段。\n\n第二段！第三句？" * 20, "字" * 5000, "a b " * 900)
    for recording in _recordings():
        yield json.dumps(recording, ensure_ascii=False)[:500]


@cache
def _recordings() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(file.read_text("utf-8")) for file in sorted(RECORDINGS.glob("*.json")))


@cache
def _bot() -> Bot:
    return Bot("4242:a-token-of-the-tests")


@cache
def _guard() -> Guard:
    return guard(directory_of("cn"))
