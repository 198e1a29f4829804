"""The hours of duty, as an operator writes them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dialogue.errors import Misconfigured
from dialogue.process.duty_hours import DutyHours
from dialogue.process.settings import DialogueSettings

MONDAY = 23  # of November 2026


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """In China's time."""
    return datetime(2026, 11, day, hour, minute, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


def parsed(written: str) -> DutyHours:
    hours = DutyHours.parse(written)
    assert hours is not None
    return hours


@pytest.mark.parametrize(
    ("written", "on_duty", "off_duty"),
    [
        ("09:00-21:30", [at(23, 9), at(28, 21, 29)], [at(23, 8, 59), at(23, 21, 30)]),
        ("9:00 - 17:00", [at(23, 9)], [at(23, 17)]),
        ("22:00-06:00", [at(23, 23), at(24, 5, 59)], [at(23, 21), at(23, 6)]),
        ("Mon-Fri 09:00-17:00", [at(MONDAY, 10), at(27, 10)], [at(28, 10), at(29, 10)]),
        ("Fri 22:00-06:00", [at(27, 23), at(28, 5)], [at(26, 23), at(27, 5), at(28, 23)]),
        (
            "Mon-Fri 09:00-12:00, mon-fri 14:00-18:00, Sat 10:00-16:00",
            [at(23, 11), at(23, 15), at(28, 10)],
            [at(23, 13), at(29, 11)],
        ),
        ("Sat-Mon 09:00-10:00", [at(28, 9), at(29, 9), at(30, 9)], [at(24, 9)]),
        ("00:00-24:00", [at(23, 0), at(23, 23, 59)], []),
    ],
)
def test_somebody_is_on_duty_in_the_hours_and_not_beside_them(
    written: str, on_duty: list[datetime], off_duty: list[datetime]
) -> None:
    hours = parsed(written)
    assert all(hours.hold(moment) for moment in on_duty)
    assert not any(hours.hold(moment) for moment in off_duty)


def test_they_are_in_the_operators_zone() -> None:
    hours = DutyHours.parse("09:00-10:00", zone=ZoneInfo("Europe/Berlin"))
    assert hours is not None
    assert hours.hold(datetime(2026, 11, 23, 8, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("written", "zh", "en"),
    [
        ("09:00-21:30", "每天 09:00–21:30", "every day 09:00–21:30"),
        (
            "Mon-Fri 09:00-17:00, Sat 10:00-12:00",
            "周一至周五 09:00–17:00，周六 10:00–12:00",
            "Mon–Fri 09:00–17:00, Sat 10:00–12:00",
        ),
        ("Sat-Sun 09:00-17:00", "周六、周日 09:00–17:00", "Sat, Sun 09:00–17:00"),
    ],
)
def test_people_are_told_them_in_their_language(written: str, zh: str, en: str) -> None:
    assert (parsed(written).spoken("zh"), parsed(written).spoken("en")) == (zh, en)


def test_none_are_written() -> None:
    assert DutyHours.parse("  ") is None


@pytest.mark.parametrize(
    "wrong", ["9-17", "09:00", "25:00-26:00", "Mo-Fr 09:00-17:00", "Xyz 09:00-17:00", "09:00-21:00; 22:00"]
)
def test_what_is_no_list_of_hours_is_a_sentence_at_the_start(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_DUTY_HOURS", wrong)
    with pytest.raises(Misconfigured, match=r"MINDGLM_DUTY_HOURS: .*entry 1 must") as refused:
        DialogueSettings.read()
    assert f"'{wrong}'" not in str(refused.value)
