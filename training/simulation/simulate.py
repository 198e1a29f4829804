"""Holds one conversation for each role card, keeps each as it ends, and counts what was said."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from training.core.loop import Say
from training.evaluation import journal
from training.evaluation.chat_server import Address, ChatServer, Unanswered
from training.evaluation.journal import Journal
from training.simulation import role_cards
from training.simulation.counsellor import Answering, Counsellor, Served, engine_of
from training.simulation.role_cards import RoleCard
from training.simulation.seekers import Actor, Ending, ScriptedSeeker, Seeker
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange
from worker.settings import WorkerSettings

CONVERSATIONS = "conversations.jsonl"
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who talks with whom. Without an `actor` the seekers follow their cards word by word; no `cards` are all."""

    served: Served
    actor: Address | None = None
    cards: Sequence[str] = ()
    max_turns: int = 10
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was said. `told_at` is the index of the exchange that told what the role hides, None if none did.

    `failure`: why the actor could not go on; then the conversation is not counted.
    """

    card: RoleCard
    exchanges: tuple[Exchange, ...]
    ending: Ending | None
    told_at: int | None
    failure: str | None = None


def simulate(plan: Plan, target: Path, *, say: Say, is_resumed: bool = False) -> list[Conversation]:
    """All conversations, those of an earlier run that is resumed among them. Raises `TrainingTrouble`."""
    cards = role_cards.choose(plan.cards)
    engine, settings = engine_of(plan.served, WorkerSettings.read())
    _sow(plan.seed)
    engine.start()
    try:
        counsellor = Counsellor(engine, settings)
        file = target / CONVERSATIONS
        with Journal(file, _configuration(plan, counsellor, settings), is_resumed=is_resumed) as kept:
            wanting = [card for card in cards if card.id not in kept.results]
            with _seeker(plan.actor) as seeker:
                held = partial(hold, counsellor=counsellor, seeker=seeker, max_turns=plan.max_turns)
                _hold_all(wanting, held, kept=kept, say=say)
    finally:
        engine.stop()
    return load(target)[1]


def load(target: Path) -> tuple[dict[str, Any], list[Conversation]]:
    """The configuration and the conversations of a directory, in the order of the cards. Raises `TrainingTrouble`."""
    configuration, results = journal.read(target / CONVERSATIONS)
    known = {card.id: card for card in role_cards.load()}
    return configuration, [_read(known[name], results[name]) for name in known if name in results]


def hold(card: RoleCard, counsellor: Answering, seeker: Seeker, *, max_turns: int) -> Conversation:
    """One conversation. Even to the last line there is a reply."""
    exchanges: list[Exchange] = []
    told_at, ending, failure = None, None, None
    while ending is None:
        try:
            line = seeker.next(card, exchanges)
        except Unanswered as error:
            failure = str(error)
            break
        if line.is_secret and told_at is None:
            told_at = len(exchanges)
        reply = counsellor.reply(exchanges, line.text, request_id=f"{card.id}-{len(exchanges)}")
        exchanges.append(Exchange(line.text, reply))
        ending = line.ending or (Ending.TURNS if len(exchanges) == max_turns else None)
    return Conversation(card=card, exchanges=tuple(exchanges), ending=ending, told_at=told_at, failure=failure)


def _hold_all(cards: Sequence[RoleCard], held: Callable[[RoleCard], Conversation], *, kept: Journal, say: Say) -> None:
    """The first fault of a server ends the run; what has been said until then is kept."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(held, card) for card in cards]
        try:
            for done in as_completed(running):
                conversation = done.result()
                kept.add(conversation.card.id, _written(conversation))
                say(f"{conversation.card.id}: {len(conversation.exchanges)} turns")
        except TrainingTrouble:
            for each in running:
                each.cancel()
            raise


@contextmanager
def _seeker(actor: Address | None) -> Iterator[Seeker]:
    if actor is None:
        yield ScriptedSeeker()
        return
    with ChatServer(actor) as server:
        yield Actor(server)


def _configuration(plan: Plan, counsellor: Counsellor, settings: WorkerSettings) -> dict[str, Any]:
    """What the conversations depend on, besides chance; the number of cards may grow from one run to the next."""
    return {
        "model": counsellor.model_version,
        "prompt": counsellor.prompt_version,
        "instruction": settings.instruction,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "guidance": settings.guidance,
        "max_reply_tokens": settings.max_reply_tokens,
        "seeker": "scripted" if plan.actor is None else plan.actor.model,
        "cards": role_cards.digest(),
        "max_turns": plan.max_turns,
        "seed": plan.seed,
    }


def _written(conversation: Conversation) -> dict[str, Any]:
    return {
        "exchanges": [[exchange.text, exchange.reply] for exchange in conversation.exchanges],
        "ending": conversation.ending,
        "told_at": conversation.told_at,
        "failure": conversation.failure,
    }


def _read(card: RoleCard, result: dict[str, Any]) -> Conversation:
    return Conversation(
        card=card,
        exchanges=tuple(Exchange(*exchange) for exchange in result["exchanges"]),
        ending=None if result["ending"] is None else Ending(result["ending"]),
        told_at=result["told_at"],
        failure=result["failure"],
    )


def _sow(seed: int) -> None:
    """Only our own engine draws from torch; a server draws for itself."""
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.manual_seed(seed)
