"""Chooses a published reply for a conversation, or none where none fits well enough.

The nearest by vectors (retrieval, as Weston et al. 2018 call the first half of "retrieve and refine"), then by words.
"""

import itertools
import re
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open

from care.languages import language_of, spelled
from care.normalise import simplified
from worker.engine.port import Exchange
from worker.retrieval.collection import FILE, Collection, products
from worker.retrieval.encoder import WIDTH, PieceEncoder
from worker.retrieval.fit import WordsSoFar
from worker.retrieval.general import GeneralReplies, has_its_own
from worker.retrieval.projection import Projection, conversation
from worker.retrieval.rarity import Rarity
from worker.retrieval.vetoes import Vetoes

_CONSIDERED = 200
_PROJECTION = "conversation."
_LEAVE = re.compile("谢谢|感谢|再见|晚安|拜拜")


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What each likeness counts for, before words are compared (see `fit.Counts` for those)."""

    message: float = 0.7  # the last message and the one that was answered
    reply: float = 1.5  # the reply and the conversation, by the learnt projection
    place: float = 0.15  # off for an opening that is none, or the other way round
    closing: float = 0.3  # off for a last reply where nobody takes leave, or the other way round
    least: float = 1.25  # a reply that fits less is not given
    least_taken_up: float = 0.15  # nor one that takes up less of the last message's words


class Candidate(NamedTuple):
    """A published reply and how well it fits."""

    score: float
    taken_up: float  # of the last message's telling words, 0 to 1
    reply: str


class Chooser:
    """Reads its files with the first reply that is asked for; thread-safe, one reply at a time.

    `seed` varies the general words.
    """

    def __init__(self, directory: Path, *, weights: Likeness | None = None, seed: int = 0) -> None:
        self._directory = directory
        self._weights = weights or Likeness()
        self._general = GeneralReplies(seed)
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def reply_to(self, history: Sequence[Exchange], text: str, *, avoided: Container[str] = ()) -> str:
        """A reply that is not among `avoided`, in the script of `text`."""
        language = language_of(text, before=None, told=None, default="zh")
        plain = [Exchange(simplified(past.text), simplified(past.reply)) for past in history]
        said = simplified(text)
        replies = itertools.chain(self._convincing(plain, said), self._general.possible(plain, said))
        spelt = (spelled(reply, language) for reply in replies)
        return next((reply for reply in spelt if reply not in avoided), spelled(self._general.last_resort, language))

    def _convincing(self, history: Sequence[Exchange], text: str) -> Iterator[str]:
        """Published replies, the best first."""
        if has_its_own(history, text):
            return
        weights = self._weights
        vetoes = Vetoes(history, text)
        for candidate in self.ranked(history, text):
            if candidate.score < weights.least:
                return
            if candidate.taken_up >= weights.least_taken_up and not vetoes.forbid(candidate.reply):
                yield candidate.reply

    def ranked(self, history: Sequence[Exchange], text: str) -> list[Candidate]:
        """The best first."""
        with self._lock:
            opened = self._opened = self._opened or _Opened(self._directory)
            near = self._near(opened, history, text)
        so_far = WordsSoFar(history, text, opened.rarity)
        replies = ((score, opened.collection.text(number)) for number, score in near)
        found = [Candidate(score + so_far.fit(reply), so_far.takes_up(reply), reply) for score, reply in replies]
        return sorted(found, reverse=True)

    def _near(self, opened: "_Opened", history: Sequence[Exchange], text: str) -> list[tuple[int, float]]:
        said = opened.encoder.encode([*(past.text for past in history), text])
        with torch.inference_mode():
            wanted = opened.projection(conversation(said))
        collection, weights = opened.collection, self._weights
        scores = weights.message * products(collection.messages, said[-1])
        scores += weights.reply * products(collection.replies, wanted)
        scores -= weights.place * ((collection.places == 0) != (not history))
        takes_leave = _LEAVE.search(text) is not None
        scores -= weights.closing * ((collection.left == 0) != takes_leave)
        best = scores.topk(min(_CONSIDERED, len(collection)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


class _Opened:
    """What is read from the model's directory."""

    def __init__(self, directory: Path) -> None:
        self.encoder = PieceEncoder(directory)
        with safe_open(directory / FILE, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is no mapping
        self.collection = Collection(**{name: tensors[name] for name in Collection.__slots__})
        self.projection = Projection(2 * WIDTH).eval()
        self.projection.load_state_dict(
            {name.removeprefix(_PROJECTION): tensors[name].float() for name in tensors if name.startswith(_PROJECTION)}
        )
        self.rarity = Rarity(tensors["rarity"])
