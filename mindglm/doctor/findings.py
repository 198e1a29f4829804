"""Checks and their context; findings are defined in `bot.channels.findings`, because channels make them too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bot.channels.findings import CheckResult
from dialogue.process.settings import DialogueSettings
from worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The settings of this place, as every process and as a worker reads them."""

    bot: DialogueSettings
    worker: WorkerSettings


class Examination(NamedTuple):
    """One check; an exception or a timeout becomes a finding too."""

    name: str
    examine: Callable[[Patient], Iterator[CheckResult]]
