"""The file, gzip of JSON lines: a header, for each table its columns and rows, a trailer with counts and a checksum.

A value is JSON's own, or an object of one letter: ``{"b": base64}``, ``{"t": ISO 8601}``, ``{"u": UUID in hex}``.
"""

import base64
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from dialogue.errors import DialogueError

FORMAT = "mindglm-backup"
VERSION = 1
_PRIVATE_FILE = 0o600

Line = dict[str, Any]


class BackupUnusable(DialogueError):
    """The backup cannot be read."""


@dataclass
class Writer:
    """Writes lines, and counts and hashes them for the trailer."""

    _file: gzip.GzipFile
    counts: dict[str, int] = field(default_factory=dict)
    _digest: Any = field(default_factory=hashlib.sha256)
    _table: str = ""

    def begin_table(self, name: str, columns: Sequence[str]) -> None:
        self._table = name
        self.counts[name] = 0
        self._write({"table": name, "columns": list(columns)})

    def row(self, values: Sequence[object]) -> None:
        self.counts[self._table] += 1
        self._write([encode(value) for value in values])

    def header(self, **content: object) -> None:
        self._write({"format": FORMAT, "version": VERSION, **content})

    def trailer(self) -> None:
        self._write({"counts": self.counts, "sha256": self._digest.hexdigest()})

    def _write(self, content: object) -> None:
        line = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._digest.update(line)
        self._file.write(line)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Writes a file of mode 0600 atomically."""
    draft = path.with_name(f"{path.name}.partial")
    draft.unlink(missing_ok=True)
    try:
        with open(draft, "xb", opener=_private) as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", compresslevel=6) as packed:
                writer = Writer(packed)
                yield writer
                writer.trailer()
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> Iterator[Any]:
    """Yields the header, tables and rows; raises `BackupUnusable` if the file was changed or cut short."""
    digest = hashlib.sha256()
    is_whole = False
    for number, line in enumerate(_lines(path)):
        content = _parse(line, path)
        if isinstance(content, dict) and "sha256" in content:
            is_whole = content["sha256"] == digest.hexdigest()
            break
        if number == 0:
            _check_header(content, path)
        digest.update(line)
        yield content
    if not is_whole:
        raise BackupUnusable(f"{path} is cut short or was changed: its checksum does not fit.")


def verify(path: Path) -> Line:
    """Read it all; returns the header. Raises `BackupUnusable`."""
    lines = read(path)
    header: Line = next(lines, {})
    for _ in lines:
        pass
    return header


def encode(value: object) -> object:
    """The value in its JSON form."""
    match value:
        case bytes() | memoryview():
            return {"b": base64.b64encode(value).decode("ascii")}
        case datetime():
            aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return {"t": aware.astimezone(UTC).isoformat()}
        case UUID():
            return {"u": value.hex}
        case _:
            return value


_DECODERS: dict[str, Callable[[str], object]] = {"b": base64.b64decode, "t": datetime.fromisoformat, "u": UUID}


def decode(value: object) -> object:
    """The inverse of `encode`."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, content),) = value.items()
        if kind in _DECODERS and isinstance(content, str):
            return _DECODERS[kind](content)
    return value


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE_FILE)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            yield from _unpack(raw, path)
    except OSError as error:
        raise BackupUnusable(f"{path} cannot be read: {error.strerror or error}") from error


def _unpack(raw: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=raw) as packed:
            yield from packed
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BackupUnusable(f"{path} is no backup, or is damaged: {error}") from error


def _parse(line: bytes, path: Path) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise BackupUnusable(f"{path} is no backup, or is damaged.") from error


def _check_header(header: Any, path: Path) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise BackupUnusable(f"{path} is no backup of MindGLM.")
    if header.get("version") != VERSION:
        raise BackupUnusable(f"{path} has format {header.get('version')}; this version reads format {VERSION}.")
