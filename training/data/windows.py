"""Dialogues cut as the worker will show them: our window, our prompt, so that what is trained is what is served."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dialogue.window import window_of
from training.data.dialogue import Dialogue
from worker.engine.port import Exchange


class Window(NamedTuple):
    """Exchanges side by side in one prompt; only the replies from index `first` on are to be learned."""

    exchanges: tuple[Exchange, ...]
    first: int


class _Numbered(NamedTuple):
    """An exchange with its index in the dialogue."""

    text: str
    reply: str
    index_in_dialogue: int


def served(dialogue: Dialogue, *, instruction: str) -> Iterator[Window]:
    """Every reply exactly once, after exactly the exchanges that the worker would show before it."""
    exchanges = dialogue.exchanges
    group: tuple[int, ...] = ()
    learned = 0
    for index in range(len(exchanges)):
        shown = _shown(exchanges[:index], instruction)
        if learned and shown != group:
            yield _window(exchanges, group, learned)
            learned = 0
        group, learned = (*shown, index), learned + 1
    yield _window(exchanges, group, learned)


def strides(dialogue: Dialogue, *, instruction: str) -> Iterator[Window]:
    """Every reply exactly once at little cost: the first exchange, then as many later ones as the window holds.

    Only the first exchange is repeated. A reply sees at most what the worker would show, often less: for pretraining.
    """
    exchanges = dialogue.exchanges
    held, first = [exchanges[0]], 0
    for exchange in exchanges[1:]:
        if len(_shown(held, instruction)) == len(held):
            held.append(exchange)
            continue
        yield Window(tuple(held), first)
        held, first = [exchanges[0], exchange], 1
    yield Window(tuple(held), first)


def single(dialogue: Dialogue, *, instruction: str) -> Iterator[Window]:
    """Every reply in a window of its own: for models whose replies end differently at the end than in the middle."""
    for index, exchange in enumerate(dialogue.exchanges):
        shown = before(dialogue, index, instruction=instruction)
        yield Window((*shown, exchange), len(shown))


def before(dialogue: Dialogue, index: int, *, instruction: str) -> list[Exchange]:
    """What the worker shows of the dialogue before its exchange number `index`."""
    return [dialogue.exchanges[shown] for shown in _shown(dialogue.exchanges[:index], instruction)]


def _shown(history: Sequence[Exchange], instruction: str) -> tuple[int, ...]:
    numbered = [_Numbered(past.text, past.reply, index) for index, past in enumerate(history)]
    return tuple(shown.index_in_dialogue for shown in window_of(numbered, instruction=instruction))


def _window(exchanges: Sequence[Exchange], shown: Sequence[int], learned: int) -> Window:
    return Window(tuple(exchanges[index] for index in shown), len(shown) - learned)
