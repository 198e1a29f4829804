"""Records the texts whose sending has begun, outside the database, just before the first byte leaves.

A courier that is killed leaves claimed texts behind. Its journal tells those that may have arrived from those that
cannot have; the latter are sent by its successor at once, with no fear of saying anything twice. Where the journal is
lost (another host, another disk), all of them count as begun.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self
from uuid import UUID, uuid4

import structlog

from dialogue.core import sending
from dialogue.process.file_lock import try_lock
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_DIRECTORY = "journals"
_UUID_BYTES = 16
_NOBODY = UUID(int=0)
_PLACES = 4096
"""Slots of the ring buffer: many more than texts can be in flight."""


def open_journal(home: Path) -> "Journal | Unwritten":
    """A new one, for a courier of this home; on a full disk one that remembers nothing."""
    try:
        return Journal(home / _DIRECTORY, uuid4())
    except OSError as error:
        log.warning("journal_not_kept", error=str(error))
        return Unwritten()


def take_over_from_the_dead(home: Path, database: Database) -> None:
    """A predecessor was killed: what it cannot have sent, or may send again, is due at once."""
    for dead in left_behind(home / _DIRECTORY):
        with dead, database.begin() as session:
            count = sending.take_over(session, dead.owner, begun=dead.begun, now=utc_now())
        log.info("placeholders_taken_over", owner=str(dead.owner), due_again_count=count)


class Journal:
    """The journal of one courier, locked for as long as its process lives."""

    def __init__(self, directory: Path, owner: UUID) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.owner = owner
        self._path = directory / f"{owner}.journal"
        lock = try_lock(self._path)
        if lock is None:
            raise FileExistsError(self._path)
        self._lock: IO[str] = lock
        self._file = os.open(self._path, os.O_RDWR)
        os.write(self._file, bytes(_PLACES * _UUID_BYTES))  # a disk that fills up later stops no text
        self._count = 0

    def begin(self, delivery_id: UUID) -> None:
        """This text is leaving now. A write to the kernel's cache: it survives the process, not the machine."""
        os.pwrite(self._file, delivery_id.bytes, self._count % _PLACES * _UUID_BYTES)
        self._count += 1

    def close(self, *, is_settled: bool) -> None:
        """Everything that was claimed is marked (`is_settled`), or the next courier must look after it."""
        os.close(self._file)
        if is_settled:
            self._path.unlink()
        self._lock.close()


class Unwritten:
    """What its courier held when it died counts as begun, and waits for the end of its lease."""

    def __init__(self) -> None:
        self.owner = uuid4()

    def begin(self, delivery_id: UUID) -> None:
        """Noted nowhere."""

    def close(self, *, is_settled: bool) -> None:
        """Nothing to close."""


class DeadJournal:
    """What a courier left whose process is gone; nobody else reads it until the block is left, then it is deleted."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self._path = path
        self._lock = lock
        self.owner = UUID(path.stem)
        content = path.read_bytes()
        self.begun = {
            UUID(bytes=content[start : start + _UUID_BYTES])
            for start in range(0, len(content) - _UUID_BYTES + 1, _UUID_BYTES)
        } - {_NOBODY}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Kept when the block failed: the next start tries again."""
        if kind is None:
            self._path.unlink()
        self._lock.close()


def left_behind(directory: Path) -> Iterator[DeadJournal]:
    """The journals of dead couriers."""
    for path in sorted(directory.glob("*.journal")):
        lock = try_lock(path)
        if lock is not None:
            yield DeadJournal(path, lock)
