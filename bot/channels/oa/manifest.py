"""An Official Account as a channel."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot.channels.channel import Capabilities, Channel, ChannelProcess, Cost, UserIds
from bot.channels.findings import CheckResult
from bot.channels.oa import CHANNEL
from bot.outgoing.measure import Measure

if TYPE_CHECKING:
    from bot.channels.oa.settings import OaSettings
    from bot.channels.runtime import Runtime
    from bot.services import BotServices


def _settings() -> "type[OaSettings]":
    from bot.channels.oa.settings import OaSettings

    return OaSettings


def _adapter() -> "Callable[[BotServices, OaSettings, Path], Runtime]":
    from bot.channels.oa.adapter import open_adapter

    return open_adapter


def _doctor() -> "Callable[[OaSettings], Iterator[CheckResult]]":
    from bot.channels.oa.doctor import examine

    return examine


MANIFEST = Channel(
    name=CHANNEL,
    package=__package__,
    capabilities=Capabilities(
        typing=True,
        ratings=True,
        longest_text=2048,
        measure=Measure.UTF8,
        cost=Cost.BUDGET,
        sends_per_message=5,
        sends_within=timedelta(hours=48),
        longest_reply=7800,
    ),
    user_ids=UserIds(
        pattern=re.compile(r"[A-Za-z0-9_-]{1,64}"),
        example="oPerson0001AbcDef",
        hint="the openid of a follower (mindglm admin shows it), not a WeChat id",
    ),
    process=ChannelProcess(
        summary="Listen and speak on WeChat as an Official Account, until SIGTERM or Ctrl-C; workers run beside it.",
        example="MINDGLM_OA_APP_ID=wx0123 MINDGLM_OA_SECRET=… MINDGLM_OA_CALLBACK_TOKEN=… "
        "MINDGLM_OA_AES_KEY=… mindglm oa",
        metrics_offset=5,
        switches=("oa_app_id", "oa_secret"),
        extra="oa",
        libraries=("certifi", "tornado", "urllib3"),
        settings=_settings,
        adapter=_adapter,
        doctor=_doctor,
    ),
)
