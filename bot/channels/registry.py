"""All channels: every folder of `bot/channels` with a manifest, and those of other installed distributions.

A distribution adds one by an entry point in the group `mindglm.channels` whose value is a `Channel`.
"""

import os
import pkgutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bot.channels
from bot.channels.channel import Channel, ChannelProcess
from dialogue.admin.cases import escalation_list
from dialogue.admin.cases.escalation_list import CallBy
from dialogue.errors import Misconfigured
from dialogue.process import admins
from dialogue.process.admins import AdminAccount
from dialogue.process.ports import CONSOLE_OFFSET, WORKER_OFFSET

if TYPE_CHECKING:
    from dialogue.process.settings import DialogueSettings

LOCALES: Final = ("zh", "en")
GROUP: Final = "mindglm.channels"

AnyChannel = Channel[Any]


@cache
def channels() -> tuple[AnyChannel, ...]:
    """In order of metrics port, the terminal last; raises `Misconfigured` if two channels conflict."""
    found = sorted([*_own(), *_of_others()], key=_place)
    _refuse_twins("the name", [channel.name for channel in found])
    offsets = [process_of(channel).metrics_offset for channel in found if channel.process is not None]
    _refuse_twins("the metrics port", [WORKER_OFFSET, CONSOLE_OFFSET, *offsets])
    return tuple(found)


def platforms() -> tuple[AnyChannel, ...]:
    """Those with an adapter of their own."""
    return tuple(channel for channel in channels() if channel.process is not None)


def named(name: str) -> AnyChannel | None:
    return next((channel for channel in channels() if channel.name == name), None)


def process_of(channel: AnyChannel) -> ChannelProcess[Any]:
    if channel.process is None:
        raise ValueError(channel.name)
    return channel.process


def accounts() -> Mapping[str, AdminAccount]:
    """What an account on each platform looks like, for settings that name people."""
    return {
        channel.name: AdminAccount(channel.user_ids.pattern, channel.user_ids.hint, channel.user_ids.example)
        for channel in channels()
        if channel.user_ids is not None
    }


def check_accounts(settings: "DialogueSettings") -> None:
    """Raises `Misconfigured` if a setting names an unknown channel, or an id of the wrong form for its channel."""
    known = accounts()
    admins.check("MINDGLM_ADMINS", settings.admins, known)
    admins.check("MINDGLM_ALLOW", settings.allow, known)
    for callee in escalation_list.of(settings):
        if callee.by is CallBy.CHAT:
            admins.check_one("MINDGLM_ESCALATION", callee.number, callee.address, known)


def metrics_offsets() -> dict[str, int]:
    """By kind of process, in order of port."""
    of_channels = {channel.name: process_of(channel).metrics_offset for channel in platforms()}
    found = {"worker": WORKER_OFFSET, "console": CONSOLE_OFFSET, **of_channels}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def labels() -> dict[str, dict[str, str]]:
    """Channel labels by locale and name."""
    return {locale: {channel.name: channel.words(locale).label for channel in channels()} for locale in LOCALES}


def _refuse_twins(what: str, values: Sequence[object]) -> None:
    twins = [value for value, count in Counter(values).items() if count > 1]
    if twins:
        raise Misconfigured(f"Two channels claim {what} {twins[0]}.")


def _place(channel: AnyChannel) -> tuple[bool, int, str]:
    return (
        channel.process is None,
        channel.process.metrics_offset if channel.process is not None else 0,
        channel.name,
    )


def _own() -> Iterator[AnyChannel]:
    for folder in pkgutil.iter_modules(bot.channels.__path__):
        manifest = f"{bot.channels.__name__}.{folder.name}.manifest"
        if folder.ispkg and find_spec(manifest) is not None:
            yield import_module(manifest).MANIFEST


def _of_others() -> Iterator[AnyChannel]:
    if not _is_brought():
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        try:
            channel = point.load()
        except (ImportError, AttributeError) as error:
            raise Misconfigured(f"The channel {point.name} ({point.value}) cannot be loaded: {error}.") from error
        if not isinstance(channel, Channel):
            raise Misconfigured(f"The channel {point.name} ({point.value}) is not a Channel.")
        yield channel


def _is_brought() -> bool:
    """Whether any distribution has such an entry point: reading these files takes a tenth of `importlib.metadata`."""
    return any(f"[{GROUP}]" in file.read_text("utf-8") for place in sys.path for file in _entry_points(place))


def _entry_points(place: str) -> Iterator[Path]:
    try:
        with os.scandir(place or ".") as entries:
            folders = [entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))]
    except OSError:  # an archive, or nothing
        return
    for folder in folders:
        file = Path(folder) / "entry_points.txt"
        if file.is_file():
            yield file
