"""Telegram as a channel."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bot.channels.channel import Capabilities, Channel, ChannelProcess, Cost, UserIds
from bot.channels.findings import CheckResult
from bot.channels.telegram import CHANNEL

if TYPE_CHECKING:
    from bot.channels.runtime import Runtime
    from bot.channels.telegram.settings import TelegramSettings
    from bot.services import BotServices


def _settings() -> "type[TelegramSettings]":
    from bot.channels.telegram.settings import TelegramSettings

    return TelegramSettings


def _adapter() -> "Callable[[BotServices, TelegramSettings, Path], Runtime]":
    from bot.channels.telegram.adapter import open_adapter

    return open_adapter


def _doctor() -> "Callable[[TelegramSettings], Iterator[CheckResult]]":
    from bot.channels.telegram.doctor import examine

    return examine


MANIFEST = Channel(
    name=CHANNEL,
    package=__package__,
    capabilities=Capabilities(
        edits=True, drafts=True, typing=True, files=True, ratings=True, markdown=True, longest_text=4096, cost=Cost.RATE
    ),
    user_ids=UserIds(
        pattern=re.compile(r"[1-9]\d{0,19}"),
        example="123456789",
        hint="a number, not a @name (the bot @userinfobot tells it)",
    ),
    process=ChannelProcess(
        summary="Listen and speak on Telegram, until SIGTERM or Ctrl-C; workers run beside it.",
        example="MINDGLM_TELEGRAM_TOKEN=123:abc mindglm telegram",
        metrics_offset=1,
        switches=("telegram_token",),
        extra="telegram",
        libraries=("python-telegram-bot",),
        settings=_settings,
        adapter=_adapter,
        doctor=_doctor,
    ),
)
