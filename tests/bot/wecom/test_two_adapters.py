"""Two adapters on one account: no message twice, none lost, whichever of them ends. With kill -9: `rehearsal.py`."""

from pathlib import Path

import pytest

from bot.services import BotServices
from tests.bot.contract.model import Model
from tests.bot.wecom import rehearsal
from tests.bot.wecom.clinic import Clinic
from tests.bot.wecom.loopback import WeCom
from tests.patience import until

PEOPLE = [f"wm{number:02}" for number in range(20)]


async def test_everybody_is_answered_once_and_in_order_by_either(
    services: BotServices, wecom: WeCom, model: Model, tmp_path: Path
) -> None:
    first, second = (Clinic(services, wecom, tmp_path / name) for name in ("first", "second"))
    await first.opens()
    await second.opens()
    for round_number in range(3):
        for person in PEOPLE:
            wecom.say(person, f"第{round_number}句")
        if round_number == 0:
            await first.close()
        if round_number == 1:
            await first.opens()
            await second.close()
    expected = [f"收到：第{number}句" for number in range(3)]

    def lines(person: str) -> list[str]:
        told = [line.removeprefix("收到：") for text in wecom.texts(person) for line in text.split("\n") if line]
        return [f"收到：{line}" for line in told]

    await until(lambda: all(lines(person) == expected for person in PEOPLE), seconds=30)
    assert first.stored() == 60
    await first.close()


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_a_bad_hour_in_small(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The whole one is `python -m tests.bot.wecom.rehearsal`."""
    home = tmp_path_factory.mktemp("w")
    home.chmod(0o755)
    verdict = rehearsal.run(people=20, words=3, kills=4, seed=1, home=home)
    assert verdict.is_good, verdict
