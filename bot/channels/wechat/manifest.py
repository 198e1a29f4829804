"""WeChat as a channel: a Wechaty puppet service speaks with it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bot.channels.channel import Capabilities, Channel, ChannelProcess, Cost, UserIds
from bot.channels.findings import CheckResult
from bot.channels.wechat import CHANNEL

if TYPE_CHECKING:
    from bot.channels.runtime import Runtime
    from bot.channels.wechat.settings import WechatSettings
    from bot.services import BotServices


def _settings() -> "type[WechatSettings]":
    from bot.channels.wechat.settings import WechatSettings

    return WechatSettings


def _adapter() -> "Callable[[BotServices, WechatSettings, Path], Runtime]":
    from bot.channels.wechat.adapter import open_adapter

    return open_adapter


def _doctor() -> "Callable[[WechatSettings], Iterator[CheckResult]]":
    from bot.channels.wechat.doctor import examine

    return examine


MANIFEST = Channel(
    name=CHANNEL,
    package=__package__,
    capabilities=Capabilities(ratings=True, longest_text=500, cost=Cost.BAN),
    user_ids=UserIds(pattern=re.compile(r"[^\s:/]{1,200}"), example="wxid_abc", hint="one word"),
    process=ChannelProcess(
        summary="Listen and speak on WeChat through a Wechaty puppet service, until SIGTERM or Ctrl-C; "
        "workers run beside it.",
        example="MINDGLM_WECHAT_ENDPOINT=127.0.0.1:8788 MINDGLM_WECHAT_TOKEN=secret mindglm wechat",
        metrics_offset=2,
        switches=("wechat_endpoint", "wechat_token"),
        extra="wechat",
        libraries=("wechaty",),
        settings=_settings,
        adapter=_adapter,
        doctor=_doctor,
    ),
)
