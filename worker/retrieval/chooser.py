"""Chooses a published reply for a conversation, or none where none fits well enough.

The nearest by vectors (retrieval, as Weston et al. 2018 call the first half of "retrieve and refine"), then by words.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from worker.engine.port import Exchange
from worker.retrieval.collection import FILE, Collection, products
from worker.retrieval.encoder import WIDTH, PieceEncoder
from worker.retrieval.fit import WordsSoFar
from worker.retrieval.projection import Projection, conversation
from worker.retrieval.rarity import Rarity

_CONSIDERED = 200
_PROJECTION = "conversation."
_GREETING = re.compile(r"\W*(?:你好|您好|哈喽|嗨|在吗|hi|hello)[呀啊吗]?\W*", re.IGNORECASE)
"""Clients of the collection begin with their trouble; a greeting is the model's."""
_LEAVE = re.compile("谢谢|感谢|再见|晚安|拜拜")


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What each likeness counts for, before words are compared (see `fit.Counts` for those)."""

    message: float = 0.7  # the last message and the one that was answered
    reply: float = 1.5  # the reply and the conversation, by the learnt projection
    place: float = 0.15  # off for an opening that is none, or the other way round
    closing: float = 0.3  # off for a last reply where nobody takes leave, or the other way round
    least: float = 0.5  # a reply that fits less is not given


class Chooser:
    """Reads its files with the first reply that is asked for; thread-safe, one reply at a time."""

    def __init__(self, directory: Path, *, weights: Likeness | None = None) -> None:
        self._directory = directory
        self._weights = weights or Likeness()
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def reply_to(self, history: Sequence[Exchange], text: str) -> str | None:
        """The words of the reply that fits best; None if it does not fit well enough."""
        if _GREETING.fullmatch(text):
            return None
        score, reply = self.ranked(history, text)[0]
        return reply if score >= self._weights.least else None

    def ranked(self, history: Sequence[Exchange], text: str) -> list[tuple[float, str]]:
        """Scores and replies, the best first."""
        with self._lock:
            opened = self._opened = self._opened or _Opened(self._directory)
            near = self._near(opened, history, text)
        so_far = WordsSoFar(history, text, opened.rarity)
        replies = [(score, opened.collection.text(number)) for number, score in near]
        return sorted(((score + so_far.fit(reply), reply) for score, reply in replies), reverse=True)

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
