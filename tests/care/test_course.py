"""Danger rises at once, falls slowly, and is asked about again after a silence."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from care.age import AgeBand
from care.course import CALM_BEFORE_EASING, Assessment, Course, assess, context_of
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
        talk(*texts).course.tier
        for texts in (["活着没意思"], ["活着没意思", "想自杀"], ["活着没意思", "想自杀", "今晚就去跳楼"])
    ]
    assert tiers == [Tier.DISTRESS, Tier.ACTIVE, Tier.ACUTE]


def test_tier_two_speaks_at_once_and_every_few_messages_while_it_lasts() -> None:
    assessments = [talk("最近总是想自杀", *["嗯"] * calm) for calm in range(6)]
    spoken = [bool(assessment.scripts) for assessment in assessments]
    assert spoken == [True, False, True, False, True, False]
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


def converse(*texts: str, course: Course | None = None, step: timedelta = timedelta(minutes=1)) -> Assessment:
    """As `talk`, each message heard as an answer to what we said before it."""
    assessment = Assessment(course=course or Course(), scripts=(), raises_alarm=False)
    for number, text in enumerate(texts):
        now = NOON + number * step
        heard = screen(text, context=context_of(assessment.course, now))
        assessment = assess(assessment.course, heard, now, VOICE)
    return assessment


def steps(assessment: Assessment) -> list[str]:
    return [script.key.split(".")[2] for script in assessment.scripts]


def test_answers_to_our_own_questions_raise_the_tier() -> None:
    assert converse("我想自杀", "有", "今晚").course.tier is Tier.ACUTE
    assert converse("活着没什么意思", "想过", "安眠药，攒着呢").course.tier is Tier.ACUTE


def test_a_false_alarm_ends_within_two_messages() -> None:
    first = converse("我今晚就去跳楼", "你误会了，我在说游戏")
    assert steps(first) == ["denied"]
    second = converse("我今晚就去跳楼", "你误会了，我在说游戏", "没有")
    assert steps(second) == ["eased"]
    assert not second.bypasses_model
    assert second.course.tier is Tier.DISTRESS


def test_a_joke_takes_nothing_back_at_once_where_something_is_at_hand() -> None:
    assert converse("药已经买好了", "开玩笑的").course.tier is Tier.ACUTE
    assert converse("药已经买好了", "开玩笑的", "没有").course.tier is Tier.ACTIVE


def test_what_somebody_tells_of_how_things_stand_is_answered() -> None:
    for told, step in (
        ("室友在陪我", "accompanied"),
        ("已经打了120", "help_called"),
        ("药给我姐了", "means_away"),
        ("别给我发热线了", "refuses_numbers"),
    ):
        assert steps(converse("我今晚就想结束自己", told)) == [step]


def test_every_branch_at_tier_three_names_a_number_and_bypasses_the_model() -> None:
    for told in ("室友在陪我", "已经打了120", "药给我姐了", "别给我发热线了", "开玩笑的", "不想说"):
        said = converse("我今晚就想结束自己", told)
        assert said.scripts
        assert all(script.says is Says.INSTEAD for script in said.scripts)


def test_calm_with_somebody_there_eases_at_once() -> None:
    eased = converse("我想自杀", "刚刚打了12356，聊了一个小时", "现在好多了，没有那个想法了，妈妈陪着我")
    assert eased.course.tier is Tier.DISTRESS


def test_a_passive_remark_does_not_keep_somebody_in_danger_for_ever() -> None:
    calm = ["嗯，我吃饭了", "刚才洗了脸", "在听歌", "活着没意思", "天气还行", "晚上吃面", "准备看书"]
    eased = talk("我今晚就想结束自己", *calm, step=timedelta(minutes=12))
    assert eased.course.tier is Tier.ACTIVE


def test_a_minor_in_acute_danger_is_told_of_adults_in_place_of_the_model() -> None:
    heard = assess(Course(), screen("今晚就去跳楼"), NOON, VOICE, band=AgeBand.MINOR)
    assert [script.key.split(".")[0] for script in heard.scripts] == ["self", "minor"]
    assert all(script.says is Says.INSTEAD for script in heard.scripts)


def test_the_emergency_contact_is_offered_once_when_it_has_eased() -> None:
    course = talk("最近总是想自杀").course
    eased = converse("好多了，室友在陪我", course=course)
    assert steps(eased) == ["contact"]
    again = converse("想自杀", "好多了，室友在陪我", course=eased.course)
    assert "contact" not in steps(again)


def test_feeling_better_beside_somebody_does_not_ease_what_was_done_to_the_body() -> None:
    for done in ("我刚刚吞了整瓶安眠药", "我把药都吃了"):
        assessment = talk(done, "我妈在旁边", "好一点了", "嗯")
        assert assessment.course.tier is Tier.ACUTE
        assert assessment.bypasses_model


def test_for_somebody_else_in_danger_we_ask_what_helps_those_who_come() -> None:
    keys = [script.key for script in talk("我表姐站在楼顶不肯下来").scripts]
    assert any("third_party.3" in key for key in keys)
    said = talk("我表姐站在楼顶不肯下来", "我在路上了", "还没到", "她不接电话").course.said
    assert {key.split(".")[2] for key in said} >= {"someone", "taken"}


def test_what_somebody_else_has_swallowed_is_answered_with_first_aid() -> None:
    (script,) = talk("我妹妹吃了一整瓶安眠药怎么办").scripts
    assert "in_progress" in script.key
    assert "120" in script.text
    assert "不要催吐" in script.text


def test_a_child_that_somebody_made_quiet_is_answered_with_first_aid() -> None:
    (script,) = talk("宝宝一直哭，我捂着他，现在没声了").scripts
    assert "harm_to_others.3.in_progress" in script.key
    assert "120" in script.text
    assert "松开手" in script.text


@pytest.mark.parametrize(
    ("alarming", "explained"),
    [
        ("我站在天台边上", "是速降啦，公司团建"),
        ("我站在天台边上", "明天要跳伞，今天先来蹦极呢"),
        ("我决定了，今晚就动手", "哈哈是杀年猪！"),
        ("药都吃完了，整瓶", "从三月开始一天一粒"),
        ("怎么让人从楼上掉下来看着像意外", "编辑说第七章太平了"),
    ],
)
def test_what_is_explained_afterwards_is_asked_once_and_ends(alarming: str, explained: str) -> None:
    first = talk(alarming, explained)
    assert any("denied" in script.key for script in first.scripts)
    assert converse("没有", course=first.course).course.tier <= Tier.DISTRESS


@pytest.mark.parametrize(
    "said", ["医生开的药我都吃了", "教练说我没救了", "编辑把我的稿退了", "跳水池边没有人", "我想去蹦极的地方跳下去"]
)
def test_work_and_sports_explain_nothing_by_themselves(said: str) -> None:
    assert not any("denied" in script.key for script in talk("我站在天台边上", said).scripts)


def test_a_second_explanation_is_no_answer_to_the_plain_question() -> None:
    assert converse("药都吃完了，整瓶", "一天一粒", "医生说这瓶吃完就去复查").course.tier is Tier.ACUTE


def test_once_help_is_called_for_somebody_else_we_wait_with_them() -> None:
    assessment = talk("我妹妹吃了一整瓶安眠药怎么办", "已经打了120", step=timedelta(seconds=30))
    assert assessment.course.route is Route.THIRD_PARTY
    assert "third_party.3.someone" not in str(assessment.course.said)
