"""Who plays the seeker: rules, so that two models meet the same person, or a model behind a server."""

import re
from collections.abc import Sequence
from enum import StrEnum
from importlib.resources import files
from typing import NamedTuple, Protocol

from training.data.degradations import sentences
from training.evaluation.chat_server import ChatServer
from training.evaluation.habits import habits
from training.evaluation.relevance import is_related
from training.simulation.role_cards import RoleCard
from worker.engine.port import Exchange
from worker.reply_cleaner import clean

_ASKS = re.compile(r"[？?]|说说|讲讲|聊聊|谈谈|告诉我")
_TOLD, _PARTED, _LEFT = "【说出】", "【道别】", "【离开】"
_MARK = re.compile(r"【[^】]{0,4}】")
_LONGEST = 400  # characters of an actor's line
_TEMPERATURE = 0.7


class Ending(StrEnum):
    """Why a conversation ended."""

    FAREWELL = "farewell"  # they had said what they came with
    LEFT = "left"  # they were not heard
    TURNS = "turns"  # the limit


class Line(NamedTuple):
    """What the seeker says; with an `ending` it is the last thing. `is_secret`: it tells what the role hides."""

    text: str
    is_secret: bool = False
    ending: Ending | None = None


class Seeker(Protocol):
    """Plays a role."""

    def next(self, card: RoleCard, exchanges: Sequence[Exchange]) -> Line:
        """The next line after these exchanges. Raises `Unanswered` where an actor has none."""


class ScriptedSeeker:
    """Follows the card word by word; what is said next depends on the last replies alone, never on chance."""

    def next(self, card: RoleCard, exchanges: Sequence[Exchange]) -> Line:
        """Leaves when not heard, answers what is asked, tells what is hidden when asked or heard, then goes on."""
        if not exchanges:
            return Line(card.opening, is_secret=card.secret.says == card.opening)
        said = {exchange.text for exchange in exchanges}
        heard = [is_heard(exchange) for exchange in exchanges]
        if len(heard) >= card.patience and not any(heard[-card.patience :]):
            return Line(card.parting, ending=Ending.LEFT)
        asked = "".join(part for part in sentences(exchanges[-1].reply) if _ASKS.search(part))
        if card.secret.says not in said:
            is_trusted = len(heard) >= card.trust and all(heard[-card.trust :])
            if is_trusted or any(cue in asked for cue in card.secret.cues):
                return Line(card.secret.says, is_secret=True)
        for answer in card.answers:
            if answer.says not in said and any(cue in asked for cue in answer.cues):
                return Line(answer.says)
        untold = next((text for text in card.tells if text not in said), None)
        return Line(card.farewell, ending=Ending.FAREWELL) if untold is None else Line(untold)


class Actor:
    """A model that was given the card. It begins as the card says, so that all counsellors hear the same opening."""

    def __init__(self, server: ChatServer) -> None:
        self._server = server

    def next(self, card: RoleCard, exchanges: Sequence[Exchange]) -> Line:
        """Its marks say when it told what the role hides, and when it goes; they are no part of the line."""
        if not exchanges:
            return Line(card.opening)
        messages = [{"role": "system", "content": briefing(card)}]
        for exchange in exchanges:
            messages += [
                {"role": "assistant", "content": exchange.text},
                {"role": "user", "content": exchange.reply or "（沉默）"},
            ]
        raw = self._server.say(messages, temperature=_TEMPERATURE)
        ending = Ending.LEFT if _LEFT in raw else Ending.FAREWELL if _PARTED in raw else None
        text = clean(_MARK.sub("", raw), is_finished=True).text.strip('“”"')[:_LONGEST]
        if not text:
            text, ending = card.farewell, ending or Ending.FAREWELL
        return Line(text, is_secret=_TOLD in raw, ending=ending)


def is_heard(exchange: Exchange) -> bool:
    """Whether a reply takes up what was said or asks on, and neither lectures by list nor speaks for both sides."""
    shown = habits(exchange.reply)
    if {"empty", "role_leak", "advice_list"} & set(shown):
        return False
    return is_related(exchange.text, exchange.reply) is not False or bool(_ASKS.search(exchange.reply))


def briefing(card: RoleCard) -> str:
    """What the actor is told."""
    template = (files("training.simulation") / "actor.txt").read_text("utf-8")
    for name in ("person", "situation", "temper", "hides", "leaves"):
        template = template.replace(f"{{{name}}}", getattr(card, name))
    return template
