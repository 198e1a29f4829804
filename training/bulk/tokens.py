"""A corpus as ids in one file, so that the machine with the GPU needs neither the tokenizer nor the dialogues.

All arrays are flat: `ids` of every text and reply in order, `sizes` (tokens) and `characters` of each of them,
`exchanges` of each dialogue. The prompt's frame stands in `frame_ids` and `frame_sizes`, in the order of `FRAME`.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

PREFIX, END, CLOSE, NEXT_ROUND, OPEN_FIRST = range(5)
"""Pieces of the frame; from `OPEN_FIRST` + 1 on: how the second, third … round opens after `NEXT_ROUND`."""

MAX_ROUNDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of the split, as in the file; `starts` are the places of each text and reply in `ids`."""

    ids: Numbers
    starts: Numbers
    sizes: Numbers
    characters: Numbers
    first: Numbers
    """Of each dialogue, the number of its first exchange; one more at the end."""

    def __len__(self) -> int:
        return len(self.first) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a run learns from and is measured with."""

    train: Side
    held_out: Side
    frame: tuple[Numbers, ...]
    instruction: int
    """Characters."""
    opening: int
    """Characters that the prompt puts around a person's words."""


def write(corpus: Path, tokenizer: Path, target: Path) -> None:
    """Encode a corpus of `mindglm train data` as the worker would. Raises `TrainingTrouble`."""
    from dialogue.process.settings import INSTRUCTION
    from dialogue.window import seed_prompt
    from training import release, vocabulary
    from training.data import corpus as corpora
    from training.data.dialogue import Dialogue
    from worker.engine.port import Exchange
    from worker.prompt import rounds
    from worker.tokenizer import load_tokenizer

    dictionary = load_tokenizer(tokenizer, has_prefix=True)

    def side(dialogues: Sequence[Dialogue]) -> Iterator[tuple[str, Numbers]]:
        texts = [text for dialogue in dialogues for exchange in dialogue.exchanges for text in exchange]
        encoded = [dictionary.text_ids(text) for text in texts]
        yield "ids", np.array([id_ for ids in encoded for id_ in ids], np.uint16)
        yield "sizes", np.array([len(ids) for ids in encoded], np.uint16)
        yield "characters", np.array([len(text) for text in texts], np.uint16)
        yield "exchanges", np.array([len(dialogue) for dialogue in dialogues], np.uint16)

    def frame() -> Iterator[list[int]]:
        yield dictionary.prompt_ids(())
        yield [release.id_of(dictionary, vocabulary.END)]
        pieces = [
            piece.text
            for piece in rounds([Exchange("", "")] * MAX_ROUNDS, "", instruction=INSTRUCTION)
            if piece.is_frame
        ]
        yield dictionary.frame_ids(pieces[1])
        yield [release.id_of(dictionary, vocabulary.NEXT_ROUND)]
        yield dictionary.frame_ids(pieces[0])
        for opening in pieces[2::2]:
            yield dictionary.frame_ids(opening)[1:]

    read = corpora.load(corpus)
    arrays = {f"train_{name}": numbers for name, numbers in side(read.train)}
    arrays |= {f"held_out_{name}": numbers for name, numbers in side(read.held_out)}
    framed = list(frame())
    arrays["frame_ids"] = np.array([id_ for ids in framed for id_ in ids], np.uint16)
    arrays["frame_sizes"] = np.array([len(ids) for ids in framed], np.uint16)
    arrays["lengths"] = np.array([len(INSTRUCTION), len(seed_prompt(""))], np.uint16)
    np.savez_compressed(target, allow_pickle=False, **arrays)


def read(file: Path) -> Tokens:
    """What `write` wrote."""
    arrays = np.load(file)
    sizes = arrays["frame_sizes"].astype(np.int64)
    return Tokens(
        train=_side(arrays, "train"),
        held_out=_side(arrays, "held_out"),
        frame=tuple(np.split(arrays["frame_ids"].astype(np.int64), sizes.cumsum()[:-1])),
        instruction=int(arrays["lengths"][0]),
        opening=int(arrays["lengths"][1]),
    )


def _side(arrays: "np.lib.npyio.NpzFile", name: str) -> Side:
    sizes = arrays[f"{name}_sizes"].astype(np.int64)
    exchanges = arrays[f"{name}_exchanges"].astype(np.int64)
    return Side(
        ids=arrays[f"{name}_ids"],
        starts=sizes.cumsum() - sizes,
        sizes=sizes,
        characters=arrays[f"{name}_characters"].astype(np.int64),
        first=np.concatenate([[0], exchanges.cumsum()]),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="Of `mindglm train data`.")
    parser.add_argument("tokenizer", type=Path, help="Of `mindglm train tokenizer`, or a model's directory.")
    parser.add_argument("target", type=Path, help="A new .npz file.")
    asked = parser.parse_args(arguments)
    write(asked.corpus, asked.tokenizer, asked.target)


if __name__ == "__main__":
    main()
