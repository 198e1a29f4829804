"""When "wrong token" is believed."""

from bot.token_refusals import Refusals


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_token_that_was_accepted_before_must_be_refused_for_minutes() -> None:
    clock = Clock()
    refusals = Refusals(patience_seconds=300, clock=clock)
    refusals.accepted()
    for clock.seconds in range(0, 300, 10):
        assert not refusals.refused()
    clock.seconds = 300
    assert refusals.refused()


def test_one_good_answer_in_between_begins_the_count_anew() -> None:
    clock = Clock()
    refusals = Refusals(patience_seconds=300, was_accepted=True, clock=clock)
    for clock.seconds in (0, 100, 200, 290):
        assert not refusals.refused()
    refusals.accepted()
    clock.seconds = 400
    assert not refusals.refused()


def test_a_token_that_was_never_accepted_is_told_after_half_a_minute_but_not_at_once() -> None:
    clock = Clock()
    refusals = Refusals(patience_seconds=300, clock=clock)
    for clock.seconds in (0, 1, 2, 4, 8, 16, 29):
        assert not refusals.refused()
    clock.seconds = 31
    assert refusals.refused()


def test_a_long_pause_with_few_refusals_proves_nothing() -> None:
    clock = Clock()
    refusals = Refusals(patience_seconds=300, clock=clock)
    for clock.seconds in (0, 1000, 2000):
        assert not refusals.refused()
