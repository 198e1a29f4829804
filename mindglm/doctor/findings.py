"""What is examined and by what; findings themselves are the channels' too (`bot.channels.findings`)."""

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
    """One check; what it raises, or that it takes too long, is a finding too."""

    name: str
    examine: Callable[[Patient], Iterator[CheckResult]]
