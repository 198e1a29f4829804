"""Who is told what, when; and what counts as consent."""

from datetime import UTC, datetime, timedelta

import pytest

from care.disclosure import Reminder, begins_visit, consents, notice, reminder
from care.hotlines import directory
from care.texts import load

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_notice_says_what_we_are_what_is_kept_and_whom_to_call(locale: str) -> None:
    text = notice(load(locale), directory(), retention_days=30, minimum_age=14).text
    assert all(needed in text for needed in ("AI", "30", "14", "120", "12356"))


def test_the_version_changes_with_the_words() -> None:
    def version(days: int) -> str:
        return notice(load("zh"), directory(), retention_days=days, minimum_age=14).version

    assert version(30) == version(30)
    assert version(30) != version(90)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("同意", True),
        ("我同意。", True),
        ("Agree", True),
        ("不同意", False),
        ("拒绝", False),
        ("no", False),
        ("好的", None),
        ("嗯", None),
        ("我不知道该不该同意", None),
        ("我好难受", None),
    ],
)
def test_only_a_clear_word_is_consent(text: str, meaning: bool | None) -> None:
    assert consents(text) is meaning


def test_two_hours_of_use_bring_a_reminder_and_two_more_the_next() -> None:
    def due(minutes: int, reminded_at: datetime | None = None) -> Reminder | None:
        now = NOON + timedelta(minutes=minutes)
        return reminder(visit_began_at=NOON, reminded_at=reminded_at, heard_at=now - timedelta(minutes=1), now=now)

    assert due(119) is None
    assert due(120) is Reminder.PERIODIC
    assert due(180, reminded_at=NOON + timedelta(minutes=120)) is None
    assert due(240, reminded_at=NOON + timedelta(minutes=120)) is Reminder.PERIODIC


def test_coming_back_after_a_long_pause_brings_the_other_reminder() -> None:
    later = NOON + timedelta(hours=13)
    assert reminder(visit_began_at=later, reminded_at=None, heard_at=NOON, now=later) is Reminder.RETURN


def test_half_an_hour_of_silence_ends_a_visit() -> None:
    assert begins_visit(heard_at=None, now=NOON)
    assert begins_visit(heard_at=NOON, now=NOON + timedelta(minutes=30))
    assert not begins_visit(heard_at=NOON, now=NOON + timedelta(minutes=29))


@pytest.mark.parametrize("key", ["disclosure_too_young", "disclosure_declined"])
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_whoever_is_turned_away_is_told_whom_to_call(key: str, locale: str) -> None:
    words = load(locale).say(key, minimum_age=14, **directory().fillings(locale))
    assert "120" in words
    assert "1235" in words
