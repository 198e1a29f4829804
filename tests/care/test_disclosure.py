"""Who is told what, when; and what counts as consent."""

from datetime import UTC, datetime, timedelta

import pytest

from care.age import AgeBand
from care.disclosure import Answer, Reminder, answer, begins_visit, notice, reminder, sounds_like_yes
from care.hotlines import directory
from care.texts import load

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_notice_says_what_we_are_what_is_kept_and_whom_to_call(locale: str) -> None:
    text = notice(load(locale), directory(), retention_days=30).text
    assert all(needed in text for needed in ("AI", "30", "14", "120", "12356"))


def test_the_version_changes_with_the_words() -> None:
    def version(days: int) -> str:
        return notice(load("zh"), directory(), retention_days=days).version

    assert version(30) == version(30)
    assert version(30) != version(90)


def test_an_operator_with_the_guardians_consent_turns_no_child_away() -> None:
    text = notice(load("zh"), directory(), retention_days=30, has_guardian_consent=True).text
    assert "监护人" in text
    assert "不能陪你聊" not in text


@pytest.mark.parametrize(
    ("text", "agrees", "band"),
    [
        ("同意", True, None),
        ("我同意。", True, None),
        ("Agree", True, None),
        ("同意 16", True, AgeBand.MINOR),
        ("同意，我16岁", True, AgeBand.MINOR),
        ("我16岁，同意", True, AgeBand.MINOR),
        ("agree 16", True, AgeBand.MINOR),
        ("同意 30", True, AgeBand.ADULT),
        ("同意，已满18岁", True, AgeBand.ADULT),
        ("同意 12", True, AgeBand.CHILD),
        ("同意 14", True, AgeBand.MINOR),
        ("同意 44", True, AgeBand.ADULT),
        ("我同意，十五岁", True, AgeBand.MINOR),
        ("“同意”", True, None),
        ("「同意 16」", True, AgeBand.MINOR),
        ("同意吧", True, None),
        ("同意~", True, None),
        ("已阅读并同意", True, None),
        ("我同意以上内容。", True, None),
        ("我同意 17 岁", True, AgeBand.MINOR),
        ("我同意,我满18岁了", True, AgeBand.ADULT),
        ("16", None, AgeBand.MINOR),
        ("我今年十三岁", None, AgeBand.CHILD),
        ("不满14岁", None, AgeBand.CHILD),
        ("成年了", None, AgeBand.ADULT),
        ("不同意", False, None),
        ("不同意！", False, None),
        ("拒绝", False, None),
        ("no", False, None),
        ("同意🙏", True, None),
        ("Yes, I agree!", True, None),
        ("I do agree 👍", True, None),
        ("I consent.", True, None),
        ("I agree and I am 25", True, AgeBand.ADULT),
        ("我同意，我今年二十五歲", True, AgeBand.ADULT),
        ("同意，三十歲", True, AgeBand.ADULT),
        ("已滿十八歲", None, AgeBand.ADULT),
        ("agree, 18 or over", True, AgeBand.ADULT),
        ("I'm an adult", None, AgeBand.ADULT),
        ("I don't agree", False, None),
        ("I don’t agree.", False, None),
        ("No, I do not agree", False, None),
        ("No thanks 🙏", False, None),
        ("I refuse", False, None),
        ("不同意，謝謝", False, None),
    ],
)
def test_a_clear_word_is_an_answer_and_may_tell_the_age(text: str, agrees: bool | None, band: AgeBand | None) -> None:
    assert answer(text) == Answer(agrees=agrees, band=band)


@pytest.mark.parametrize(
    "text",
    [
        "好的",
        "嗯",
        "我不知道该不该同意",
        "我好难受",
        "他不同意",
        "同意他的说法",
        "我14岁那年",
        "120",
        "110",
        "1",
        "同意不了",
        "不太同意",
        "同意？",
        "agree?",
        "同意👎",
        "agree ❌",
        "👍",
        "I don't know if I agree",
        "they do not agree with me",
        "no one listens",
    ],
)
def test_other_talk_is_never_consent(text: str) -> None:
    assert answer(text) is None


@pytest.mark.parametrize("text", ["好的", "嗯嗯", "我愿意", "yes", "同意，未成年", "同意不了", "我可以。"])
def test_what_sounds_like_a_yes_is_asked_about_and_not_passed_over(text: str) -> None:
    assert answer(text) is None
    assert sounds_like_yes(text)


def test_words_of_their_own_do_not_sound_like_a_yes() -> None:
    assert not any(
        map(sounds_like_yes, ["我睡不着", "好难受", "我不知道该怎么办", "他们都不同意我和他在一起，我该怎么办"])
    )


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
