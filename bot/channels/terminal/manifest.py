"""The terminal as a channel; `mindglm chat` runs it, for one person at a time."""

from typing import TYPE_CHECKING

from bot.channels.channel import Capabilities, Channel
from bot.channels.terminal import CHANNEL

if TYPE_CHECKING:
    from dialogue.process.settings import DialogueSettings

MANIFEST: "Channel[DialogueSettings]" = Channel(
    name=CHANNEL, package=__package__, capabilities=Capabilities(files=True)
)
