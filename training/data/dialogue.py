"""A counselling dialogue as training knows it: exchanges, the client first, both sides in their own words."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from training.trouble import TrainingTrouble
from worker.engine.port import Exchange


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Exchanges in order; none is empty on either side."""

    exchanges: tuple[Exchange, ...]

    @property
    def opening(self) -> str:
        """The client's first words; dialogues that share them belong on one side of every split."""
        return self.exchanges[0].text

    def __len__(self) -> int:
        return len(self.exchanges)


def open_text(path: Path) -> IO[str]:
    """A text file, gzipped or not, with or without a byte order mark."""
    if path.suffix == ".gz":
        return cast("IO[str]", gzip.open(path, "rt", encoding="utf-8-sig"))
    return path.open(encoding="utf-8-sig")


def write_dialogues(path: Path, dialogues: Iterable[Dialogue]) -> None:
    """One JSON list of [text, reply] pairs a line, gzipped; the same bytes for the same dialogues."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        for dialogue in dialogues:
            file.write((json.dumps(dialogue.exchanges, ensure_ascii=False) + "\n").encode())


def read_dialogues(path: Path) -> list[Dialogue]:
    """What `write_dialogues` wrote. Raises `TrainingTrouble`."""
    try:
        with open_text(path) as lines:
            return [_dialogue(json.loads(line)) for line in lines]
    except (OSError, EOFError, TypeError, ValueError) as error:
        raise TrainingTrouble(f"{path} is not a file of `mindglm train data` ({type(error).__name__}).") from error


def replies(dialogues: Sequence[Dialogue]) -> Iterator[str]:
    """Everything that supporters say."""
    return (exchange.reply for dialogue in dialogues for exchange in dialogue.exchanges)


def _dialogue(pairs: Sequence[Any]) -> Dialogue:
    return Dialogue(tuple(Exchange(str(text), str(reply)) for text, reply in pairs))
