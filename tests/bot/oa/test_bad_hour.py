"""Whatever is killed, each message that WeChat could deliver is answered once and in order."""

import pytest

from tests.bot.oa import rehearsal


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_a_bad_hour_in_small(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The whole one is `python -m tests.bot.oa.rehearsal`."""
    home = tmp_path_factory.mktemp("o")
    home.chmod(0o755)
    verdict = rehearsal.run(people=20, words=3, kills=3, seed=1, home=home)
    assert verdict.is_good, verdict
