"""The task of pretraining and of supervised fine-tuning: predict the next id of dialogues."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from training.core.language import Language
from training.data import stream
from training.data.corpus import Corpus
from training.data.dialogue import Dialogue
from training.data.encoding import Encoder, Part
from training.data.packing import Batch, pack
from training.data.stream import Arrange, Cut, Position
from training.recipe import Recipe


class Reading:
    """Batches of a corpus for the loop, and what the model makes of the held-out part."""

    def __init__(
        self,
        language: Language,
        encoder: Encoder,
        data: Corpus,
        recipe: Recipe,
        *,
        cut: Cut,
        pad_id: int,
        arrange: Arrange = pack,
    ) -> None:
        self._language = language
        self._measured = data.held_out[: recipe.measured]
        self._places = {"rows": recipe.rows, "length": recipe.length, "pad_id": pad_id}
        self._encoder, self._cut = encoder, cut
        self._batches = stream.batches(data.train, encoder, cut, seed=recipe.seed, arrange=arrange, **self._places)

    def batches(self, position: tuple[int, ...]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        return self._batches(Position(*position))

    def loss(self, batch: Batch) -> tuple[Tensor, float]:
        return self._language.loss(batch)

    def size(self, batch: Batch) -> int:
        return int((batch.windows >= 0).sum())

    def measure(self) -> dict[str, float]:
        held_out = stream.in_order(self._measured, self._encoder, self._cut, **self._places)
        return per_character(self._language, self._measured, held_out)

    def told(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """It has learned nothing of its own."""


def per_character(language: Language, dialogues: Sequence[Dialogue], batches: Iterator[Batch]) -> dict[str, float]:
    """Losses in nats per character, whatever the tokenizer: of supporters' words with their ends, of both sides' words.

    The second is left out where the client's words are not predicted.
    """
    totals = dict.fromkeys((Part.CLIENT, Part.REPLY), 0.0)
    for batch in batches:
        for part, loss in language.losses_by_part(batch).items():
            totals[part] += loss
    replied = sum(len(exchange.reply) for dialogue in dialogues for exchange in dialogue.exchanges)
    said = sum(len(exchange.text) for dialogue in dialogues for exchange in dialogue.exchanges)
    found = {"supporter": totals[Part.REPLY] / max(1, replied)}
    if totals[Part.CLIENT]:
        found["all"] = sum(totals.values()) / max(1, replied + said)
    return found
