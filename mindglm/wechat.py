"""`mindglm wechat`: what is WeChat's own about its process."""

from bot.channels.wechat import CHANNEL
from bot.services import BotServices
from bot.settings import BotSettings
from dialogue.errors import Misconfigured
from dialogue.process import home
from mindglm import adapters


def run(settings: BotSettings) -> int:
    """Returns the exit status; see `adapters.run`."""

    def make(services: BotServices) -> adapters.Adapter:
        try:
            from bot.channels.wechat.adapter import Adapter
        except ModuleNotFoundError as error:
            raise Misconfigured(
                f"WeChat needs the extra `wechat` ({error.name} is missing): pip install 'mindglm-bot[wechat]'"
            ) from error
        return Adapter(services, settings, home=home.home(settings))

    return adapters.run(CHANNEL, settings, make)


def report(settings: BotSettings) -> int:
    """Returns the exit status; see `adapters.report`."""
    return adapters.report(CHANNEL, settings)
