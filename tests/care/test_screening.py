"""What is found in people's words, by meaning, and what must not be."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from care.rules import rulebook
from care.screening import Route, Screening, Tier, screen, screen_safely

EXAMPLES = {
    "method_with_lethality": ("这种药吃多少片会致死", Tier.ACUTE, Route.SELF),
    "method_sought": ("有没有不痛苦的死法", Tier.ACUTE, Route.SELF),
    "means_gathered": ("我已经攒了一大瓶安眠药", Tier.ACUTE, Route.SELF),
    "means_asked_about": ("烧炭要多久才行", Tier.ACTIVE, Route.SELF),
    "about_to_act": ("我今晚就想结束自己", Tier.ACUTE, Route.SELF),
    "decided": ("我决定去死了", Tier.ACUTE, Route.SELF),
    "at_the_edge": ("我正站在天台边上想跳", Tier.ACUTE, Route.SELF),
    "in_progress": ("我刚刚吞了整瓶安眠药", Tier.ACUTE, Route.SELF),
    "goodbye": ("遗书我已经写好了", Tier.ACUTE, Route.SELF),
    "attempt": ("上个月自杀过一次，没死成", Tier.ACUTE, Route.SELF),
    "death_pact": ("有没有人愿意和我一起自杀", Tier.ACUTE, Route.SELF),
    "takes_others_along": ("我想带着孩子一起跳楼", Tier.ACUTE, Route.SELF),
    "suicide_named": ("最近总是想自杀", Tier.ACTIVE, Route.SELF),
    "going_to_die": ("不如我去死好了", Tier.ACTIVE, Route.SELF),
    "self_injury": ("难受的时候会拿小刀划自己", Tier.ACTIVE, Route.SELF),
    "self_injury_wish": ("一生气就忍不住想伤害自己", Tier.ACTIVE, Route.SELF),
    "urge_to_jump": ("每次看到高楼就想跳", Tier.ACTIVE, Route.SELF),
    "leaving_world": ("好想离开这个世界", Tier.ACTIVE, Route.SELF),
    "english": ("I want to kill myself", Tier.ACTIVE, Route.SELF),
    "wish_to_be_dead": ("每天醒来都好想死", Tier.DISTRESS, Route.SELF),
    "death_as_relief": ("死了就解脱了吧", Tier.DISTRESS, Route.SELF),
    "not_wanting_to_live": ("真的不想活了", Tier.DISTRESS, Route.SELF),
    "life_without_meaning": ("活着没意思", Tier.DISTRESS, Route.SELF),
    "wish_to_vanish": ("希望一觉睡过去再也不醒", Tier.DISTRESS, Route.SELF),
    "at_breaking_point": ("我真的撑不下去了", Tier.DISTRESS, Route.SELF),
    "dying_exclaimed": ("我快要死了", Tier.DISTRESS, Route.SELF),
    "armed_against_others": ("我拿着刀要去砍他", Tier.ACUTE, Route.HARM_TO_OTHERS),
    "wants_to_kill": ("我好想杀了他", Tier.ACTIVE, Route.HARM_TO_OTHERS),
    "wishes_death_on_others": ("真希望他们全家都去死", Tier.DISTRESS, Route.HARM_TO_OTHERS),
    "life_threatened": ("我被继父性侵过", Tier.ACTIVE, Route.ABUSE),
    "beaten": ("爸爸喝醉了就打我", Tier.DISTRESS, Route.ABUSE),
}


@pytest.mark.parametrize("rule", [rule.name for rule in rulebook().rules])
def test_every_rule_finds_what_it_is_for(rule: str) -> None:
    text, tier, route = EXAMPLES[rule]
    found = screen(text)
    assert rule in found.reasons
    assert (found.tier, found.route) == (tier, route)


@pytest.mark.parametrize(
    "text",
    [
        "笑死我了哈哈",
        "今天加班累死了",
        "饿死了先去吃饭",
        "尬死了，大型社死现场",
        "可爱死了",
        "想死你啦快回来",
        "这道题难死了",
        "死线快到了还没写完",
        "他死活不同意我们结婚",
        "我陷入了死循环",
        "周末去玩剧本杀",
        "那家店跳楼价大甩卖",
        "死记硬背没有用",
        "他是我的死党",
        "新闻里说有个学生跳楼身亡",
        "我们在做青少年自杀预防的问卷",
        "昨晚看的电影主角最后自杀了",
        "很怕死，体检前睡不着",
        "总担心自己会猝死",
        "外公去年去世了，很想他",
        "我家的猫走了，哭了好几天",
        "手机没电死机了",
        "我会规划自己的时间",
        "给自己打气",
        "医生让我每晚吃半片安眠药",
        "买了套新的水果刀切水果",
        "周末爬山站在山顶吹风",
        "从来没想过自杀",
        "我不想死，我想好好活着",
        "谢谢你，我先走了，明天聊",
        "没有奶茶我活不下去",
        "我想换个城市生活",
    ],
)
def test_ordinary_words_do_not_fire(text: str) -> None:
    assert screen(text).tier is Tier.NONE, screen(text).reasons


@pytest.mark.parametrize("text", ["我朋友说想自杀，我该怎么办", "我的女朋友最近总在自残", "孩子说自己不想活了"])
def test_somebody_else_in_danger_has_a_route_of_their_own(text: str) -> None:
    assert screen(text).tier >= Tier.DISTRESS
    assert screen(text).route is Route.THIRD_PARTY


@pytest.mark.parametrize(
    "text",
    [
        "妈妈骂我，我想自杀",
        "被老师逼得想自杀",
        "男朋友和我分手了，我不想活了",
        "被舍友排挤，想死",
        "家里都不管我，自残了",
    ],
)
def test_danger_that_others_caused_is_still_the_writers_own(text: str) -> None:
    assert screen(text).tier >= Tier.DISTRESS
    assert screen(text).route is Route.SELF


def test_an_own_wish_is_heard_beside_a_friends_attempt() -> None:
    found = screen("我朋友以前自杀过。现在我也想自杀")
    assert (found.tier, found.route) == (Tier.ACTIVE, Route.SELF)


def test_somebody_elses_past_does_not_fire_nor_wake_the_classifier() -> None:
    assert screen("我奶奶以前说过想自杀").tier is Tier.NONE


@pytest.mark.parametrize(("text", "tier"), [("没有自杀的勇气", 2), ("不敢死", 1), ("一直想自杀，但没有做", 2)])
def test_a_missing_courage_is_no_denial(text: str, tier: int) -> None:
    assert screen(text).tier >= tier


@pytest.mark.parametrize(
    "text",
    ["想紫砂", "不想huo了", "我想si", "想zs", "自 残 了", "今晚就想跳lou", "好想鼠", "想自s", "活著好累，想自殺"],
)
def test_disguised_words_are_found(text: str) -> None:
    assert screen(text).tier >= Tier.DISTRESS


def test_means_together_with_a_time_are_more_than_a_wish() -> None:
    assert screen("想死").tier < screen("想自杀").tier < screen("明天就去跳楼自杀").tier


def test_a_minor_without_risk_gets_the_minors_route() -> None:
    found = screen("我今年13岁，和同学吵架了")
    assert (found.tier, found.route, found.age, found.is_minor) == (Tier.NONE, Route.MINOR, 13, True)


def test_a_minor_in_danger_keeps_the_route_of_the_danger() -> None:
    found = screen("13岁女生，想自杀")
    assert (found.tier, found.route, found.is_minor) == (Tier.ACTIVE, Route.SELF, True)


class Suspicious:
    """A classifier that finds risk everywhere."""

    threshold = 0.5

    def probability(self, text: str) -> float:
        return 1.0


class Broken:
    """A classifier that fails."""

    threshold = 0.5

    def probability(self, text: str) -> float:
        raise RuntimeError(text)


def test_the_classifier_alone_raises_to_tier_one_and_never_above() -> None:
    found = screen("今天下雨", classifier=Suspicious())
    assert (found.tier, found.route, found.reasons) == (Tier.DISTRESS, Route.SELF, ("classifier",))


def test_a_failing_classifier_leaves_the_rules() -> None:
    assert screen("我今晚就去跳楼", classifier=Broken()).tier is Tier.ACUTE
    calm = screen("今天下雨", classifier=Broken())
    assert (calm.tier, calm.failures) == (Tier.NONE, ("RuntimeError",))


def test_a_failing_screen_counts_as_distress_and_names_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> str:
        raise ValueError(text)

    monkeypatch.setattr("care.screening.normalise", fail)
    found = screen_safely("秘密")
    assert (found.tier, found.route, found.failures) == (Tier.DISTRESS, Route.SELF, ("ValueError",))
    assert "秘密" not in repr(found)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120) | st.text(alphabet="我想死自杀不活了跳楼割腕药今晚就去的,。 他妈朋友", max_size=60))
def test_no_text_breaks_the_screening(text: str) -> None:
    found = screen_safely(text)
    assert isinstance(found, Screening)
    assert found.failures == ()


@pytest.mark.parametrize(
    "text", ["想" * 2000, "我" * 2000, "死了" * 1000, "站在" * 1000, "的的确确一直很想要就这样" * 160, "吃了" * 1000]
)
def test_no_text_makes_the_rules_run_away(text: str) -> None:
    began = time.process_time()
    screen(text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "药我都藏在枕头下面今晚就吃",
        "我把药都攒够了",
        "药放在枕头下面，今晚全部吃下去",
        "药已经买好，今晚就结束",
        "我撑不住了，今晚就了断",
    ],
)
def test_medicine_that_was_hidden_or_hoarded_is_a_plan(text: str) -> None:
    assert screen(text).tier is Tier.ACUTE


@pytest.mark.parametrize(
    "text",
    [
        "医生开的药我今晚就吃",
        "感冒药我放在桌上今晚就吃",
        "我把药藏在孩子够不到的地方",
        "这周的药全部吃完了",
        "药我都吃完了要去复诊",
    ],
)
def test_medicine_that_is_taken_as_it_should_be_is_none(text: str) -> None:
    assert screen(text).tier is Tier.NONE
