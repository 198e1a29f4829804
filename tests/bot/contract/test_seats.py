from bot.channels import registry
from tests.bot.contract.conftest import SEATS


def test_no_channel_escapes_the_contract() -> None:
    assert {channel.name for channel in registry.channels()} <= SEATS.keys()
