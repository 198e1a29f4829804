"""WeCom's customer service as a channel."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot.channels.channel import Capabilities, Channel, ChannelProcess, Cost, UserIds
from bot.channels.findings import CheckResult
from bot.channels.wecom import CHANNEL
from bot.outgoing.measure import Measure

if TYPE_CHECKING:
    from bot.channels.runtime import Runtime
    from bot.channels.wecom.settings import WecomSettings
    from bot.services import BotServices


def _settings() -> "type[WecomSettings]":
    from bot.channels.wecom.settings import WecomSettings

    return WecomSettings


def _adapter() -> "Callable[[BotServices, WecomSettings, Path], Runtime]":
    from bot.channels.wecom.adapter import open_adapter

    return open_adapter


def _doctor() -> "Callable[[WecomSettings], Iterator[CheckResult]]":
    from bot.channels.wecom.doctor import examine

    return examine


MANIFEST = Channel(
    name=CHANNEL,
    package=__package__,
    capabilities=Capabilities(
        files=True,
        ratings=True,
        longest_text=2048,
        measure=Measure.UTF8,
        cost=Cost.BUDGET,
        sends_per_message=5,
        sends_within=timedelta(hours=48),
        longest_reply=7800,
        takes_once=True,
        colleagues=True,
    ),
    user_ids=UserIds(
        pattern=re.compile(r"[A-Za-z0-9_-]{1,64}"),
        example="wmAJ2GCAAAabcdef",
        hint="the external_userid of a WeChat user (mindglm admin shows it), not a WeChat id",
    ),
    process=ChannelProcess(
        summary="Listen and speak on WeChat through WeCom's customer service, until SIGTERM or Ctrl-C; "
        "workers run beside it.",
        example="MINDGLM_WECOM_CORP_ID=ww0123 MINDGLM_WECOM_SECRET=… MINDGLM_WECOM_CALLBACK_TOKEN=… "
        "MINDGLM_WECOM_AES_KEY=… mindglm wecom",
        metrics_offset=4,
        switches=("wecom_corp_id", "wecom_secret"),
        extra="wecom",
        libraries=("certifi", "tornado", "urllib3"),
        settings=_settings,
        adapter=_adapter,
        doctor=_doctor,
    ),
)
