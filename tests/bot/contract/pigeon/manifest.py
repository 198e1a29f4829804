import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot.channels.channel import Capabilities, Channel, ChannelProcess, Cost, UserIds
from bot.channels.findings import CheckResult
from bot.outgoing.measure import Measure
from tests.bot.contract.pigeon import CHANNEL

if TYPE_CHECKING:
    from bot.channels.runtime import Runtime
    from bot.services import BotServices
    from tests.bot.contract.pigeon.settings import PigeonSettings


def _settings() -> "type[PigeonSettings]":
    from tests.bot.contract.pigeon.settings import PigeonSettings

    return PigeonSettings


def _adapter() -> "Callable[[BotServices, PigeonSettings, Path], Runtime]":
    from tests.bot.contract.pigeon.adapter import open_adapter

    return open_adapter


def _doctor() -> "Callable[[PigeonSettings], Iterator[CheckResult]]":
    from tests.bot.contract.pigeon.doctor import examine

    return examine


MANIFEST = Channel(
    name=CHANNEL,
    package=__package__,
    capabilities=Capabilities(
        ratings=True,
        longest_text=600,
        measure=Measure.UTF8,
        cost=Cost.BUDGET,
        sends_per_message=10,
        sends_within=timedelta(hours=48),
        longest_reply=5000,
    ),
    user_ids=UserIds(pattern=re.compile(r"ring-\d+"), example="ring-7", hint="the number on its ring"),
    process=ChannelProcess(
        summary="Listen and speak by carrier pigeon.",
        example="MINDGLM_PIGEON_LOFT=127.0.0.1:1212 mindglm pigeon",
        metrics_offset=40,
        switches=("pigeon_loft",),
        extra=None,
        libraries=("mindglm-pigeon",),
        settings=_settings,
        adapter=_adapter,
        doctor=_doctor,
    ),
)
