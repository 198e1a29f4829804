"""Danger rises at once, falls slowly, and is asked about again after a silence."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from care.course import CALM_BEFORE_EASING, Assessment, Course, assess
from care.hotlines import directory
from care.screening import Route, Tier, screen
from care.scripts import Says, Voice

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VOICE = Voice(locale="zh", directory=directory())


def talk(
    *texts: str, course: Course | None = None, start: datetime = NOON, step: timedelta = timedelta(minutes=1)
) -> Assessment:
    assessment = Assessment(course=course or Course(), scripts=(), raises_alarm=False)
    for number, text in enumerate(texts):
        assessment = assess(assessment.course, screen(text), start + number * step, VOICE)
    return assessment


def test_small_talk_says_nothing_of_ours() -> None:
    assessment = talk("今天天气不错", "我有点累")
    assert assessment.scripts == ()
    assert assessment.course.tier is Tier.NONE


def test_tier_three_bypasses_the_model_and_calls_the_admins() -> None:
    assessment = talk("我今晚就想结束自己")
    assert assessment.bypasses_model
    assert assessment.raises_alarm
    assert assessment.scripts[0].says is Says.INSTEAD


def test_the_alarm_is_raised_by_danger_and_is_urgent_when_something_is_being_done() -> None:
    first = talk("我今晚就想结束自己")
    second = assess(first.course, screen("明天就去跳楼"), NOON, VOICE)
    third = assess(second.course, screen("我刚刚吞了整瓶安眠药"), NOON, VOICE)
    calm = assess(third.course, screen("嗯"), NOON, VOICE)
    steps = (first, second, third, calm)
    assert [step.raises_alarm for step in steps] == [True, True, True, False]
    assert [step.is_urgent for step in steps] == [False, False, True, False]


def test_calm_words_do_not_lower_a_tier_at_once() -> None:
    assessment = talk("我今晚就想结束自己", "嗯", "好吧", "没事了")
    assert assessment.course.tier is Tier.ACUTE
    assert assessment.bypasses_model
    assert assessment.scripts


def test_every_answer_at_tier_three_differs_from_the_one_before() -> None:
    assessment = talk("我今晚就想结束自己", *["嗯"] * 20)
    said = assessment.course.said
    assert all(one != other for one, other in pairwise(said))


def test_enough_calm_messages_over_enough_time_lower_it_by_one_and_we_say_so() -> None:
    needed = CALM_BEFORE_EASING[Tier.ACUTE]
    assessment = talk("我今晚就想结束自己", *["今天好一点"] * needed.messages, step=needed.time / needed.messages)
    assert assessment.course.tier is Tier.ACTIVE
    assert "easing" in assessment.scripts[0].key
    assert not assessment.bypasses_model


def test_many_calm_messages_in_a_short_time_lower_nothing() -> None:
    assessment = talk("我今晚就想结束自己", *["今天好一点"] * 30, step=timedelta(seconds=1))
    assert assessment.course.tier is Tier.ACUTE


def test_new_risk_begins_the_calm_anew() -> None:
    assessment = talk("最近总是想自杀", *["好"] * 9, "还是想自杀", "好")
    assert assessment.course.calm_messages == 1
    assert assessment.course.tier is Tier.ACTIVE


def test_a_tier_rises_within_the_conversation() -> None:
    tiers = [
        talk(*texts).course.tier for texts in (["好想死"], ["好想死", "想自杀"], ["好想死", "想自杀", "今晚就去跳楼"])
    ]
    assert tiers == [Tier.DISTRESS, Tier.ACTIVE, Tier.ACUTE]


def test_tier_two_speaks_at_once_and_every_few_messages_while_it_lasts() -> None:
    assessments = [talk("最近总是想自杀", *["嗯"] * calm) for calm in range(6)]
    spoken = [bool(assessment.scripts) for assessment in assessments]
    assert spoken == [True, False, False, False, True, False]
    assert assessments[0].scripts[0].says is Says.BEFORE


def test_the_gentle_question_comes_once_in_a_while() -> None:
    assessments = [talk("活着没意思"), talk("活着没意思", "真的活着没意思")]
    assert [len(assessment.scripts) for assessment in assessments] == [1, 0]
    later = assess(assessments[1].course, screen("活着没意思"), NOON + timedelta(hours=13), VOICE)
    assert len(later.scripts) == 1
    assert later.scripts[0].key != assessments[0].scripts[0].key


def test_after_a_silence_somebody_who_was_in_danger_is_asked_again() -> None:
    first = talk("最近总是想自杀")
    back = assess(first.course, screen("在吗"), NOON + timedelta(hours=3), VOICE)
    assert "return" in back.scripts[0].key


def test_a_friend_in_danger_is_never_asked_about_as_the_writer() -> None:
    first = talk("我朋友说想自杀")
    assert first.course.route is Route.THIRD_PARTY
    back = assess(first.course, screen("在吗"), NOON + timedelta(hours=3), VOICE)
    assert all("self" not in script.key for script in back.scripts)


def test_the_writers_own_danger_takes_the_lead_over_a_friends() -> None:
    assessment = talk("我朋友说今晚要跳楼", "其实我也不想活了")
    assert assessment.course.route is Route.SELF
    assert assessment.course.tier is Tier.ACUTE


def test_a_minor_hears_about_trusted_adults_beside_the_crisis_words() -> None:
    assessment = talk("我今年13岁，想自杀")
    assert [script.key.split(".")[0] for script in assessment.scripts] == ["self", "minor"]


def test_an_age_is_remembered() -> None:
    assessment = talk("我今年13岁", "今晚就去跳楼")
    assert assessment.course.age == 13
    assert any(script.key.startswith("minor.2") for script in assessment.scripts)
