"""Commands that come after a consent show the notice to everybody else."""

import pytest

from bot.incoming.steps import consent_before_commands
from tests.bot.incoming.steps.talk import Talk


@pytest.mark.parametrize("command", ["/start", "/share", "/share yes", "/contact 妈妈"])
def test_a_stranger_is_greeted_by_the_notice(stranger: Talk, command: str) -> None:
    stranger.answered(consent_before_commands.decide, command)
    assert stranger.owed() == [stranger.rules.gate.notice.text]


@pytest.mark.parametrize("command", ["/help", "/privacy", "/export", "/share no", "我睡不着"])
def test_other_commands_and_words_pass(stranger: Talk, command: str) -> None:
    stranger.passed_on(consent_before_commands.decide, command)


def test_who_agreed_passes(talk: Talk) -> None:
    talk.passed_on(consent_before_commands.decide, "/start")
