"""`mindglm telegram`: what is Telegram's own about its process."""

import ctypes
import gc

from bot.channels.telegram import CHANNEL
from bot.channels.telegram.adapter import Adapter
from bot.settings import BotSettings
from dialogue.process import home
from mindglm import adapters

_M_ARENA_MAX = -8  # mallopt(3)


def run(settings: BotSettings) -> int:
    """Returns the exit status; see `adapters.run`."""
    _keep_memory_together()
    return adapters.run(CHANNEL, settings, lambda services: Adapter(services, settings, home=home.home(settings)))


def report(settings: BotSettings) -> int:
    """Returns the exit status; see `adapters.report`."""
    return adapters.report(CHANNEL, settings)


def _keep_memory_together() -> None:
    """glibc gives each thread a heap of its own; with a thread for each transaction that is a waste of megabytes.

    What was imported stays: the garbage collector need not look at it again, and looks at the rest more often.
    """
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
