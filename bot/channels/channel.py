"""Channel manifests: one `Channel` per platform, importable without the platform's library.

Every list of channels in the project comes from these values (`bot.channels.registry`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from bot.channels.findings import CheckResult
from bot.outgoing.measure import Measure

if TYPE_CHECKING:  # the command line reads manifests, and pays for neither settings nor database
    from bot.channels.runtime import Runtime
    from bot.services import BotServices
    from care.texts import Texts
    from dialogue.messages import Allowance
    from dialogue.process.settings import DialogueSettings

S = TypeVar("S", bound="DialogueSettings")


class Cost(StrEnum):
    """What limits how much may be sent."""

    FREE = "free"
    RATE = "rate"  # a rate: messages per second
    BAN = "ban"  # too many get the account banned
    BUDGET = "budget"  # a number of messages for each message from the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the platform supports, and its limits.

    `longest_text` is the longest single message, in `measure`; None has no limit. Where sending has a budget,
    `sends_per_message` is how many messages one message of a person pays for, `sends_within` for how long, and
    `longest_reply` how long a reply may be, in `measure`, to arrive whole before the person writes again. `takes_once`:
    the platform takes each delivery once, by its id, so that any may be sent again after a crash. `colleagues`: humans
    may answer in the platform's own app.
    """

    edits: bool = False
    drafts: bool = False
    typing: bool = False
    files: bool = False
    ratings: bool = False
    markdown: bool = False  # the sender renders it; elsewhere it is taken out of replies
    longest_text: int | None = None
    measure: Measure = Measure.UTF16
    cost: Cost = Cost.FREE
    sends_per_message: int | None = None
    sends_within: timedelta | None = None
    longest_reply: int | None = None
    takes_once: bool = False
    colleagues: bool = False

    def allowance(self, sent_at: datetime) -> "Allowance | None":
        """What a message written at `sent_at` pays for; None where sending has no budget."""
        if self.cost is not Cost.BUDGET or self.sends_per_message is None or self.sends_within is None:
            return None
        from dialogue.messages import Allowance

        return Allowance(
            sends=self.sends_per_message, until=sent_at + self.sends_within, has_colleagues=self.colleagues
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIds:
    """The form of a user id: `example` is one, `hint` tells the operator, in English, what to write."""

    pattern: re.Pattern[str]
    example: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelWords:
    """A channel's texts in one language: its label, its messages to people, its findings in `mindglm doctor`."""

    label: str
    texts: "Texts"
    findings: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProcess(Generic[S]):
    """The adapter that `mindglm <name>` runs.

    `settings`, `adapter` and `doctor` return what costs an import; `adapter` may raise `ModuleNotFoundError`.
    `metrics_offset` is added to MINDGLM_METRICS_PORT and never changes. `switches` are the fields of `settings` that
    must be set for `mindglm up` to run the channel. `extra` is the extra of the distribution that installs its
    `libraries`.
    """

    summary: str
    example: str
    metrics_offset: int
    switches: tuple[str, ...]
    extra: str | None
    libraries: tuple[str, ...]
    settings: Callable[[], type[S]]
    adapter: Callable[[], Callable[["BotServices", S, Path], "Runtime"]]
    doctor: Callable[[], Callable[[S], Iterator[CheckResult]]]

    @property
    def switched_on_by(self) -> str:
        """The variables that enable the channel, for display."""
        return " and ".join(f"MINDGLM_{field.upper()}" for field in self.switches)

    def is_on(self, settings: S) -> bool:
        return all(getattr(settings, field) is not None for field in self.switches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel(Generic[S]):
    """One platform. `package` holds `locales/zh.toml` and `locales/en.toml`; a terminal has no `process`."""

    name: str
    package: str
    capabilities: Capabilities
    user_ids: UserIds | None = None
    process: ChannelProcess[S] | None = None

    def words(self, locale: str) -> ChannelWords:
        return _words(self.package, locale)


@cache
def _words(package: str, locale: str) -> ChannelWords:
    import tomllib
    from importlib.resources import files

    from care.texts import Texts

    read = tomllib.loads((files(package) / "locales" / f"{locale}.toml").read_text("utf-8"))
    return ChannelWords(
        label=read["label"], texts=Texts(locale, read.get("texts", {})), findings=read.get("findings", {})
    )
