"""Results as they come: one line each, on the disk before the next is begun, so that a stop costs one item."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from training.trouble import TrainingTrouble

_KEY = "key"


class Journal:
    """A JSONL file of results by key. Its first line is the configuration that all of them were made with.

    Raises `TrainingTrouble` where results would be overwritten or mixed with those of another configuration.
    """

    def __init__(self, file: Path, configuration: Mapping[str, Any], *, is_resumed: bool) -> None:
        self._configuration = json.loads(json.dumps(configuration))
        self.results: dict[str, dict[str, Any]] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size:
            if not is_resumed:
                raise TrainingTrouble(f"{file} holds results already: --resume goes on with them.")
            self._read(file)
        self._handle = file.open("ab", buffering=0)
        if not file.stat().st_size:
            self._write({"configuration": self._configuration})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()

    def add(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result; it is on the disk when this returns."""
        self.results[key] = dict(result)
        self._write({_KEY: key, **result})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._handle.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
        os.fsync(self._handle.fileno())

    def _read(self, file: Path) -> None:
        found, results, whole = _lines(file)
        if found is None:
            file.write_bytes(b"")
            return
        differing = sorted(
            name
            for name in found.keys() | self._configuration.keys()
            if found.get(name) != self._configuration.get(name)
        )
        if differing:
            raise TrainingTrouble(f"{file} is of another configuration ({', '.join(differing)}): take a new directory.")
        os.truncate(file, whole)
        self.results = results


def read(file: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The configuration, and the results by key. Raises `TrainingTrouble`."""
    try:
        configuration, results, _ = _lines(file)
    except OSError as error:
        raise TrainingTrouble(f"{file} cannot be read ({type(error).__name__}).") from error
    if configuration is None:
        raise TrainingTrouble(f"{file} holds no results.")
    return configuration, results


def _lines(file: Path) -> tuple[dict[str, Any] | None, dict[str, dict[str, Any]], int]:
    """The configuration, the results and how many bytes of the file are whole lines.

    A last line without its end was being written when the run was killed.
    """
    raw = file.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if not whole:
        return None, {}, 0
    try:
        first, *rest = [json.loads(line) for line in raw[:whole].splitlines()]
        return first["configuration"], {line.pop(_KEY): line for line in rest}, whole
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingTrouble(f"{file} is no file of results.") from error
