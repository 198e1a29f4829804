"""How long somebody is here: reminders, rests, and the first reply of a day. Simulated minute by minute."""

from datetime import UTC, datetime, timedelta

from care.age import AgeBand
from care.disclosure import Reminder
from care.visit import Attendance, Visit, attend, is_label_due

NOON = datetime(2026, 1, 1, 4, tzinfo=UTC)


def attendances(*minutes: float, band: AgeBand | None = None) -> list[Attendance]:
    """Messages at these minutes after noon."""
    visit, seen = Visit(), []
    for minute in minutes:
        seen.append(attend(visit, band=band, now=NOON + timedelta(minutes=minute)))
        visit = seen[-1].visit
    return seen


def reminders(*minutes: float, band: AgeBand | None = None) -> dict[float, Reminder]:
    seen = zip(minutes, attendances(*minutes, band=band), strict=True)
    return {minute: attendance.reminder for minute, attendance in seen if attendance.reminder}


def test_the_first_message_begins_a_visit_and_reminds_nobody() -> None:
    (first,) = attendances(0)
    assert first.visit == Visit(began_at=NOON, heard_at=NOON)
    assert not first.is_return
    assert first.reminder is None


def test_most_messages_change_nothing_that_would_have_to_be_written() -> None:
    visits = [attendance.visit for attendance in attendances(0, 1, 2, 3, 4, 5, 6)]
    assert len(set(map(repr, visits))) == 2


def test_two_hours_without_a_pause_bring_one_reminder_and_two_more_the_next() -> None:
    due = reminders(*range(0, 260, 3))
    assert list(due.values()) == [Reminder.PERIODIC, Reminder.PERIODIC]
    assert list(due) == [120, 240]


def test_a_pause_begins_a_new_visit_from_which_the_hours_are_counted() -> None:
    assert reminders(*range(0, 100, 5), *range(140, 255, 5)) == {}
    assert attendances(0, 40)[-1].is_return


def test_whoever_comes_back_on_another_day_is_told_again_what_this_is() -> None:
    assert reminders(0, 13 * 60, 13 * 60 + 1) == {13 * 60: Reminder.RETURN}


def test_the_young_are_reminded_every_half_hour_and_rest_after_an_hour() -> None:
    minutes = range(0, 120, 2)
    seen = dict(zip(minutes, attendances(*minutes, band=AgeBand.MINOR), strict=True))
    assert [minute for minute, one in seen.items() if one.reminder] == [30, 106]
    assert [minute for minute, one in seen.items() if one.is_resting] == [60, 62, 64, 66, 68, 70, 72, 74]
    assert seen[76].is_return


def test_the_label_belongs_to_the_first_reply_of_the_clients_day() -> None:
    evening = datetime(2026, 1, 1, 15, 50, tzinfo=UTC)  # 23:50 in Shanghai
    assert is_label_due(Visit(), evening)
    labelled = Visit(labelled_at=evening)
    assert not is_label_due(labelled, evening + timedelta(minutes=5))
    assert is_label_due(labelled, evening + timedelta(minutes=15))
