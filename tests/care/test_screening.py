"""What is found in people's words, by meaning, and what must not be."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from care.answers import Asks, Learnt
from care.detector import Detection, Detector
from care.normalise import normalise
from care.rules import rulebook
from care.screening import Context, Route, Screening, Tier, screen, screen_safely

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
    "wish_to_be_dead": ("我好像渴望死亡", Tier.DISTRESS, Route.SELF),
    "death_as_relief": ("死了就解脱了吧", Tier.DISTRESS, Route.SELF),
    "not_wanting_to_live": ("我找不到活下去的理由", Tier.DISTRESS, Route.SELF),
    "life_without_meaning": ("活着没意思", Tier.DISTRESS, Route.SELF),
    "wish_to_vanish": ("希望一觉睡过去再也不醒", Tier.DISTRESS, Route.SELF),
    "at_breaking_point": ("我真的撑不下去了", Tier.DISTRESS, Route.SELF),
    "dying_exclaimed": ("我快要死了", Tier.DISTRESS, Route.SELF),
    "armed_against_others": ("我拿着刀要去砍他", Tier.ACUTE, Route.HARM_TO_OTHERS),
    "wants_to_kill": ("我好想杀了他", Tier.ACTIVE, Route.HARM_TO_OTHERS),
    "wishes_death_on_others": ("真希望他们全家都去死", Tier.DISTRESS, Route.HARM_TO_OTHERS),
    "life_threatened": ("我被继父性侵过", Tier.ACTIVE, Route.ABUSE),
    "beaten": ("爸爸喝醉了就打我", Tier.DISTRESS, Route.ABUSE),
    "stands_at_height": ("我站在天台上", Tier.ACUTE, Route.SELF),
    "stands_at_water": ("我在江边，不想回去了", Tier.ACUTE, Route.SELF),
    "swallowed": ("我把药都吃了", Tier.ACUTE, Route.SELF),
    "means_ready": ("药已经买好了", Tier.ACUTE, Route.SELF),
    "time_set": ("过了今晚就解脱了", Tier.ACUTE, Route.SELF),
    "way_asked": ("怎么能死得像意外", Tier.ACUTE, Route.SELF),
    "settles_affairs": ("东西都送人了，猫也托付好了", Tier.ACUTE, Route.SELF),
    "wants_to_die": ("每天醒来都好想死", Tier.ACTIVE, Route.SELF),
    "no_life_wanted": ("真的不想活了", Tier.ACTIVE, Route.SELF),
    "takes_leave": ("对不起，我先走一步", Tier.ACTIVE, Route.SELF),
    "better_without": ("没有我他们会更轻松", Tier.DISTRESS, Route.SELF),
    "fades": ("电量快没了，不想再充", Tier.DISTRESS, Route.SELF),
    "gone_by_then": ("反正明天就没有我了", Tier.ACUTE, Route.SELF),
    "dies_of_hunger": ("不吃不喝，等着自己慢慢死掉", Tier.ACUTE, Route.SELF),
    "swallowed_in_parting": ("就说我对不起她，药吃完了，睡了", Tier.ACUTE, Route.SELF),
    "child_taken_along": ("孩子睡着了，对不起他，跟我走吧", Tier.ACUTE, Route.SELF),
    "decided_on_an_hour": ("想好了，别劝我，今晚十二点", Tier.ACUTE, Route.SELF),
    "blackmailed": ("他说分手就把我的照片发到公司群", Tier.DISTRESS, Route.ABUSE),
    "child_of_others_abused": ("我表妹才13岁，她姨父晚上会进她房间", Tier.DISTRESS, Route.THIRD_PARTY),
    "beaten_badly": ("上次打得我三天没下床", Tier.DISTRESS, Route.ABUSE),
    "asked_of_a_child": ("补课的老师让我坐他腿上", Tier.DISTRESS, Route.ABUSE),
    "other_is_hurt": ("我妈把农药喝了怎么办", Tier.ACUTE, Route.THIRD_PARTY),
    "other_in_emergency": ("我表姐站在楼顶不肯下来", Tier.ACUTE, Route.THIRD_PARTY),
    "other_at_risk": ("我妹妹在阳台上不肯下来", Tier.ACTIVE, Route.THIRD_PARTY),
    "commanding_voices": ("有个声音一直命令我", Tier.DISTRESS, Route.PSYCHOSIS),
    "starves_or_purges": ("每次吃完就去催吐", Tier.DISTRESS, Route.EATING_DISORDER),
    "touched_or_forced": ("继父晚上进我房间", Tier.DISTRESS, Route.ABUSE),
    "all_of_them": ("药我吃了全部", Tier.ACUTE, Route.SELF),
    "does_not_come_back": ("人在楼顶，今天不下去了", Tier.ACUTE, Route.SELF),
    "leaves_the_world_as_a_game": ("不是退坑，是退人间", Tier.ACTIVE, Route.SELF),
    "is_there_after_the_wish": ("想解脱，人在天台", Tier.ACUTE, Route.SELF),
    "to_look_like_an_accident": ("怎样看起来像意外，不像自杀", Tier.ACUTE, Route.SELF),
    "breaks_the_door": ("我躲在厕所，他拿着刀", Tier.ACUTE, Route.ABUSE),
    "together_with_the_child": ("抱着宝宝一起，窗户那里", Tier.ACUTE, Route.SELF),
    "pushed_and_slapped": ("老公推过我几次", Tier.DISTRESS, Route.ABUSE),
    "vomits_what_was_eaten": ("吃多了就偷偷去吐", Tier.DISTRESS, Route.EATING_DISORDER),
    "put_by_for_an_hour": ("枕头底下,攒了三个月的,今晚", Tier.ACUTE, Route.SELF),
    "put_by_within_reach": ("枕头底下,攒了三个月的", Tier.ACTIVE, Route.SELF),
    "told_by_its_effects": ("我把奶奶的药全部,手开始麻了", Tier.ACUTE, Route.SELF),
    "sorry_and_all_is_tied": ("对不起没能陪你们,都系好了", Tier.ACUTE, Route.SELF),
    "to_be_found_with_a_letter": ("写给老公的信,他到家就会明白", Tier.ACTIVE, Route.SELF),
    "travels_without_return": ("一个人去湖边,单程,什么都不带", Tier.ACTIVE, Route.SELF),
    "made_to_keep_a_secret": ("他说讲出去妈妈就不要我了", Tier.DISTRESS, Route.ABUSE),
    "child_was_silenced": ("孩子说教练洗澡时进来,说讲出去会坐牢", Tier.ACTIVE, Route.THIRD_PARTY),
    "waits_with_a_weapon": ("他骂我,刚磨好了,他快出来了", Tier.ACUTE, Route.HARM_TO_OTHERS),
    "keeps_a_weapon_for_somebody": ("他骂我,我买了一把,放在包里", Tier.ACTIVE, Route.HARM_TO_OTHERS),
    "not_for_long": ("他得意不了多久", Tier.DISTRESS, Route.HARM_TO_OTHERS),
    "child_made_quiet": ("宝宝一直哭,我捂着他,现在没声了", Tier.ACUTE, Route.HARM_TO_OTHERS),
    "threatens_others": ("再这样我就和他同归于尽", Tier.ACTIVE, Route.HARM_TO_OTHERS),
}


class Calm:
    """A detector that finds nothing."""

    def read(self, text: str) -> Detection:
        return Detection(tier=0, route="self", chances=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("rule", [rule.name for rule in rulebook().rules])
def test_every_rule_finds_what_it_is_for(rule: str) -> None:
    text, tier, route = EXAMPLES[rule]
    found = screen(text, detector=Calm())
    assert rule in found.reasons
    assert found.tier >= tier
    assert found.route is route


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
        "我没有伤害自己，就是摔了个杯子",
        "我就是嘴上说说，不是真的想死",
        "昨天说不想活了是气话",
        "没自残，切菜切的",
        "“我只想永远地离开”这句歌词写得真好",
        "《自杀俱乐部》好看吗",
        "今晚就走，高铁票都买好了",
        "村里有个大伯喝农药没救过来",
        "论文被毙三次，想死的心都有哈哈",
        "他总想控制我的生活",
        "我会好好活着的",
        "路由器又自杀了，全家断网",
        "永别了，我的假期",
        "喉咙像吞了玻璃，说不出话",
        "拉钩上吊，一百年不许变",
        "万圣节打扮成吊死鬼",
        "死亡搁浅二代出了",
        "某演员自杀的传言，公司已经辟谣",
        "新闻说一家三口烧炭，邻居都不敢相信",
        "今天是预防自杀日，一起关心身边的人",
        "猿啼客散，人自伤心水自流",
        "水一浇就把它浇灭了",
        "时间固定在周五",
        "透过她的眼神，让我相信这是真的",
        "我身边没有人懂足球",
        "医生抢救了两位伤者",
        "晕车吐了，吃了片晕车药",
        "农药过期了怎么处理，果树要打药",
        "你是怎么活过来的，佩服",
        "你想死吗，敢抢我的遥控器",
        "提莫必须死",
        "不能轻易放弃生命",
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


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("室友手机里全是搜自杀方法的记录", Tier.ACTIVE),
        ("永别了，我的孩子", Tier.ACTIVE),
        ("我想和他同归于尽", Tier.ACTIVE),
        ("周围没有人，可是一直有声音骂我", Tier.DISTRESS),
        ("看到明星自杀，我也想自杀", Tier.ACTIVE),
        ("不知道怎么活", Tier.DISTRESS),
        ("我还能活下去吗", Tier.DISTRESS),
        ("吞了刀片，肚子好痛", Tier.ACTIVE),
        ("我必须死才能解脱", Tier.DISTRESS),
        ("我去死吧", Tier.ACTIVE),
        ("死了算了", Tier.DISTRESS),
    ],
)
def test_an_exception_does_not_hide_danger_beside_it(text: str, tier: Tier) -> None:
    assert screen(text).tier >= tier, screen(text).reasons


def test_somebody_elses_past_does_not_fire_nor_wake_the_detector() -> None:
    assert screen("我奶奶以前说过想自杀").tier is Tier.NONE


@pytest.mark.parametrize(("text", "tier"), [("没有自杀的勇气", 2), ("不敢死", 1), ("一直想自杀，但没有做", 2)])
def test_a_missing_courage_is_no_denial(text: str, tier: int) -> None:
    assert screen(text).tier >= tier


@pytest.mark.parametrize(
    "text",
    [
        "想紫砂",
        "不想huo了",
        "我想si",
        "想zs",
        "自 残 了",
        "今晚就想跳lou",
        "好想鼠",
        "想自s",
        "活著好累，想自殺",
        "吞yao了 一整瓶",
        "今晚割wan",
        "xiang死，每天",
        "huo不下去了",
        "撑bu住了",
        "我在lou顶",
        "想结shu生命",
    ],
)
def test_disguised_words_are_found(text: str) -> None:
    assert screen(text).tier >= Tier.DISTRESS


def test_means_together_with_a_time_are_more_than_a_wish() -> None:
    assert screen("活着没意思").tier < screen("想自杀").tier < screen("明天就去跳楼自杀").tier


def test_a_minor_without_risk_gets_the_minors_route() -> None:
    found = screen("我今年13岁，和同学吵架了")
    assert (found.tier, found.route, found.age, found.is_minor) == (Tier.NONE, Route.MINOR, 13, True)


def test_a_minor_in_danger_keeps_the_route_of_the_danger() -> None:
    found = screen("13岁女生，想自杀")
    assert (found.tier, found.route, found.is_minor) == (Tier.ACTIVE, Route.SELF, True)


class Broken:
    """A detector that fails."""

    def read(self, text: str) -> Detection:
        raise RuntimeError(text)


def reads(tier: int, route: str) -> Detector:
    """A detector that finds the same in every text."""

    class Same:
        def read(self, text: str) -> Detection:
            return Detection(tier=tier, route=route, chances=(1.0, 1.0, 1.0))

    return Same()


@pytest.mark.parametrize(
    ("tier", "route"), [(3, "self"), (2, "third_party"), (1, "psychosis"), (1, "eating_disorder"), (2, "abuse")]
)
def test_the_detector_raises_to_any_tier_and_names_a_route(tier: int, route: str) -> None:
    found = screen("今天下雨", detector=reads(tier, route))
    assert (found.tier, found.route, found.reasons) == (Tier(tier), Route(route), ("detector",))


def test_the_detector_never_lowers_what_rules_found() -> None:
    assert screen("我今晚就去跳楼", detector=reads(1, "past")).tier is Tier.ACUTE


def test_a_failing_detector_leaves_the_rules() -> None:
    assert screen("我今晚就去跳楼", detector=Broken()).tier is Tier.ACUTE
    calm = screen("今天下雨", detector=Broken())
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


ASKED = Context(asked=(Asks.PLAN, Asks.TIME, Asks.MEANS, Asks.ALONE), tier=Tier.ACTIVE)


@pytest.mark.parametrize(
    ("text", "tier", "learnt"),
    [
        ("有", Tier.ACTIVE, Learnt.PLAN),
        ("嗯", Tier.ACTIVE, Learnt.PLAN),
        ("今晚", Tier.ACUTE, Learnt.TIME),
        ("就今晚吧", Tier.ACUTE, Learnt.TIME),
        ("药就在手边", Tier.ACUTE, Learnt.AT_HAND),
        ("没有", Tier.NONE, Learnt.NO_THOUGHT),
        ("室友在陪我", Tier.NONE, Learnt.COMPANY),
        ("已经打了120", Tier.NONE, Learnt.CALLED),
        ("药给我姐了", Tier.NONE, Learnt.HANDED_OVER),
        ("我在说游戏", Tier.NONE, Learnt.MISREAD),
        ("别给我发热线了", Tier.NONE, Learnt.REFUSES),
    ],
)
def test_a_short_answer_is_heard_beside_our_question(text: str, tier: Tier, learnt: Learnt) -> None:
    found = screen(text, context=ASKED, detector=Calm())
    assert learnt in found.learnt
    assert found.tier is tier


@pytest.mark.parametrize("text", ["有", "今晚", "嗯"])
def test_the_same_words_mean_nothing_where_nothing_was_asked(text: str) -> None:
    assert screen(text).tier is Tier.NONE


ASKED_SOMETHING_ELSE = Context(asked=(Asks.ALONE,), tier=Tier.ACTIVE, learnt=frozenset({Learnt.PLAN}))


@pytest.mark.parametrize(
    ("text", "learnt"),
    [
        ("等孩子睡了", Learnt.TIME),
        ("周五室友出门以后", Learnt.TIME),
        ("跳的那种", Learnt.METHOD),
        ("东西在衣柜里", Learnt.AT_HAND),
        ("都放在后备箱", Learnt.AT_HAND),
    ],
)
def test_whoever_has_a_plan_may_tell_the_rest_of_it_after_another_question(text: str, learnt: Learnt) -> None:
    found = screen(text, context=ASKED_SOMETHING_ELSE)
    assert learnt in found.learnt
    assert found.tier is Tier.ACUTE


@pytest.mark.parametrize("text", ["没有", "不知道", "我妈在家", "吃的面条", "我先去洗澡"])
def test_what_tells_nothing_of_a_plan_is_no_emergency(text: str) -> None:
    assert screen(text, context=ASKED_SOMETHING_ELSE).tier < Tier.ACUTE


@pytest.mark.parametrize("text", ["我从楼顶跳下去绕后偷家", "残血了，我直接跳河里送人头", "团战打输了，我自杀回城"])
def test_what_happens_in_a_game_is_no_danger(text: str) -> None:
    assert screen(text).tier is Tier.NONE


def test_a_loser_at_a_game_may_be_in_danger() -> None:
    assert screen("我真的不想活了", context=Context(recent=("这把又输了",))).tier >= Tier.ACTIVE
    assert screen("打完排位我就想从楼顶跳下去，活着没意思").tier >= Tier.ACTIVE


def test_a_sentence_that_is_split_over_messages_is_heard_as_one() -> None:
    assert screen("杀", context=Context(recent=("我想", "自"))).tier >= Tier.ACTIVE
    pieces = ("今晚我", "就从楼顶", "跳下去")
    heard = [screen(piece, context=Context(recent=pieces[:number])).tier for number, piece in enumerate(pieces)]
    assert max(heard) is Tier.ACUTE


def test_what_was_said_before_does_not_count_again() -> None:
    assert screen("今天吃了面", context=Context(recent=("我想自杀",))).tier is Tier.NONE


def test_somebody_elses_emergency_is_routed_and_not_deleted() -> None:
    found = screen("我妹妹吃了一整瓶安眠药")
    assert (found.tier, found.route) == (Tier.ACUTE, Route.THIRD_PARTY)


def test_a_past_attempt_is_asked_about_and_is_no_emergency() -> None:
    found = screen("三年前我自杀过一次，现在好多了")
    assert (found.tier, found.is_past) == (Tier.DISTRESS, True)
    assert screen("三年前自杀过，最近又想死").tier >= Tier.ACTIVE


def test_a_child_that_is_beaten_is_in_danger() -> None:
    assert screen("我今年12岁，爸爸天天用皮带抽我").tier is Tier.ACTIVE
    assert screen("爸爸天天用皮带抽我", context=Context(is_minor=True)).tier is Tier.ACTIVE


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("我不想伤害自己，可是我控制不住", Tier.ACTIVE),
        ("17岁女生，被家里逼得想自杀", Tier.ACTIVE),
        ("我最近老是想死", Tier.ACTIVE),
        ("我依家企喺天台", Tier.ACUTE),
        ("想44", Tier.ACTIVE),
        ("我闺蜜割腕了，怎么办", Tier.ACUTE),
    ],
    ids=["denied_but", "an_age_first", "lately", "cantonese", "digits", "somebody_else_now"],
)
def test_what_looks_like_an_exception_is_danger(text: str, tier: Tier) -> None:
    assert screen(text, detector=Calm()).tier >= tier


@pytest.mark.parametrize(
    "place", ["就在天台", "我在学校顶楼", "坐在窗台上", "已经在楼梯上了", "上来了", "站在桥上，风好大"]
)
def test_a_place_that_means_here_and_now_is_acute(place: str) -> None:
    heard = screen(place, context=ASKED)
    assert heard.tier is Tier.ACUTE
    assert Learnt.AT_HAND in heard.learnt


@pytest.mark.parametrize("place", ["在床上", "在家", "在公司", "在教室", "在食堂吃饭"])
def test_a_place_where_everybody_is_says_nothing(place: str) -> None:
    assert screen(place, context=ASKED).tier < Tier.ACUTE


@pytest.mark.parametrize("state", ["发动机开着", "门窗封好了", "够的", "绳子挂好了", "一百片"])
def test_what_stands_ready_is_acute_as_an_answer(state: str) -> None:
    assert screen(state, context=ASKED).tier is Tier.ACUTE


@pytest.mark.parametrize("said", ["嗯经常想", "想过很多次了", "是的，一直在想", "每天都想", "对，想了很久"])
def test_yes_in_more_words_is_still_yes(said: str) -> None:
    assert Learnt.THOUGHT in screen(said, context=Context(asked=(Asks.THOUGHT,))).learnt


@pytest.mark.parametrize(
    "pieces",
    [
        ("不", "想", "活", "了"),
        ("好", "累", "真的", "不", "想", "活", "了"),
        ("你好", "同意", "我", "想", "死"),
        ("今天下了一整天的雨，没有出门", "不想", "活", "了"),
        ("想", "去", "死"),
    ],
)
def test_a_sentence_in_pieces_is_found_wherever_it_begins(pieces: tuple[str, ...]) -> None:
    assert screen(pieces[-1], context=Context(recent=pieces[:-1])).tier >= Tier.ACTIVE


@pytest.mark.parametrize(
    "text", ["高二的时候割过腕，后来没再犯", "前几年我跳过河被人捞上来", "大学时吞过药，洗了胃", "以前有过三次自杀未遂"]
)
def test_a_deed_of_years_ago_is_asked_about_and_is_no_emergency(text: str) -> None:
    assert screen(text, detector=Calm()).tier in {Tier.DISTRESS, Tier.ACTIVE}


@pytest.mark.parametrize(
    "text",
    [
        "以前有过三次自杀未遂，药又买好了",
        "高二的时候割过腕，今晚还想",
        "上个月我自杀过一次，没死成",
        "大学时吞过药，这次药我准备好了",
        "去年割过腕。遗书我已经写好了",
    ],
)
def test_a_deed_of_years_ago_hides_nothing_of_now(text: str) -> None:
    assert screen(text, detector=Calm()).tier >= Tier.ACTIVE
    assert "今晚" in text or screen(text, detector=Calm()).tier is Tier.ACUTE


@pytest.mark.parametrize(
    "text",
    [
        "圆规扎到手指了，要打破伤风吗",
        "蘸火锅的时候烫到手了",
        "120送来一个跳楼的，整个科室忙到半夜",
        "农药残留怎么洗，苹果要泡多久",
        "这号废了，想重开，天赋点错了",
        "再见啦，谢谢你陪我到最后，毕业快乐",
    ],
)
def test_no_rule_takes_accidents_night_shifts_gardens_and_games_for_danger(text: str) -> None:
    assert not rulebook().find(normalise(text))


@pytest.mark.parametrize(
    "text",
    [
        "我想用圆规扎自己的手",
        "拿烟头烫到手了才清醒",
        "我就是急诊送来的那个喝农药的",
        "百草枯兑水怎么喝",
        "刚接到一个要跳楼的同学的电话，怎么办",
        "想重开，这辈子没意思",
        "毕业了我也不想活了",
        "谢谢你陪我到最后，我走了",
    ],
)
def test_the_same_words_said_of_danger_are_found(text: str) -> None:
    assert screen(text).tier >= Tier.ACTIVE
