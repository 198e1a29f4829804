"""What earlier messages make of the one that is read: they explain it, or say more together."""

import pytest

from care.answers import Asks
from care.detector import Detection, Detector
from care.screening import Context, Route, Screening, Tier, screen


class Alarmed:
    """Reads danger in every text."""

    def read(self, text: str) -> Detection:
        return Detection(tier=3, route="self", chances=(1.0, 1.0, 1.0))


class Calm:
    """Reads danger in none."""

    def read(self, text: str) -> Detection:
        return Detection(tier=0, route="self", chances=(0.0, 0.0, 0.0))


def last_of(*said: str, detector: Detector | None = None, is_minor: bool = False) -> Screening:
    """What is made of the last message after the others of one breath."""
    return screen(said[-1], context=Context(recent=said[:-1], is_minor=is_minor), detector=detector)


def highest_of(*said: str, detector: Detector | None = None) -> Tier:
    """The highest tier on the way."""
    return max(last_of(*said[: number + 1], detector=detector).tier for number in range(len(said)))


@pytest.mark.parametrize(
    "said",
    [
        ("我是急诊护士", "今天送来一个病人", "吃了一大把药没抢救过来"),
        ("我值夜班", "刚送走一个服药的病人", "人没救回来"),
        ("在追那部剧", "女主最后跳下去了"),
        ("下周要动手术了", "医生说麻药打下去就睡着了", "家里人都来陪我"),
        ("下个月搬去深圳", "东西都送人了"),
        ("在准备心理咨询师考试", "危险因素背不下来"),
    ],
)
def test_words_without_a_subject_go_on_with_what_was_told_before(said: tuple[str, ...]) -> None:
    assert last_of(*said, detector=Alarmed()).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("在追那部剧", "我也想跟她一样"),
        ("在追那部剧", "好羡慕女主解脱了"),
        ("他们把我视频发群里了", "我在学校五楼"),
        ("下个月搬去深圳", "其实哪里都一样", "自己一个人走了也好"),
        ("今天天气不错", "吃下去了"),
        ("我是护士", "不想活了"),
    ],
)
def test_what_was_told_before_explains_nothing_that_is_the_writers_own(said: tuple[str, ...]) -> None:
    assert last_of(*said, detector=Alarmed()).tier > Tier.NONE


def test_nothing_is_explained_in_the_middle_of_danger() -> None:
    context = Context(recent=("在追那部剧",), tier=Tier.ACTIVE)
    assert screen("吃下去了", context=context, detector=Alarmed()).tier is Tier.ACUTE


@pytest.mark.parametrize(
    "said",
    [
        ("花浇好了", "钥匙放门垫下面了", "猫粮够吃半个月", "都安排好了"),
        ("密码写在纸上了", "欠同事的钱还清了", "狗送到我姐那了", "没什么遗憾了"),
        ("账号都注销了", "照片删光了", "猫托付给邻居了", "谢谢你听我说这些"),
    ],
)
def test_things_put_in_order_one_by_one_are_a_farewell_together(said: tuple[str, ...]) -> None:
    assert highest_of(*said) is Tier.ACUTE


@pytest.mark.parametrize(
    "said",
    [
        ("后天去旅游", "花浇好了", "钥匙给邻居了", "猫粮够吃半个月", "都安排好了"),
        ("周末大扫除", "照片删了一些", "谢谢你听我说这些"),
        ("花浇好了", "猫粮买了", "晚安"),
    ],
)
def test_a_household_put_in_order_is_none(said: tuple[str, ...]) -> None:
    assert highest_of(*said) is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("补课的老师让我坐他腿上", "他说不能告诉别人"),
        ("教练总叫我一个人留下来", "然后他让我坐到他身上"),
        ("干爹要我亲他", "说这是我们的秘密"),
        ("叔叔给我看那种视频", "还说别告诉妈妈"),
    ],
)
def test_what_grown_ups_ask_of_a_child_is_abuse(said: tuple[str, ...]) -> None:
    found = [last_of(*said[: number + 1], is_minor=True) for number in range(len(said))]
    assert max(screening.tier for screening in found) >= Tier.ACTIVE
    assert Route.ABUSE in {screening.route for screening in found}


@pytest.mark.parametrize("said", ["反正明天就没我了", "过了今晚世上就没有我这个人了", "天亮以后你们就见不到我了"])
def test_a_time_after_which_somebody_is_gone_is_acute(said: str) -> None:
    assert screen(said).tier is Tier.ACUTE


@pytest.mark.parametrize("said", ["明天就没我的课了", "明天就没我什么事了，交接完了", "下周群里就没有我了，换班了"])
def test_a_time_after_which_something_else_is_gone_is_none(said: str) -> None:
    assert screen(said, detector=Calm()).tier is Tier.NONE


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        (("人多久不吃饭才会没感觉", "五天没吃了", "就这样慢慢没了也挺好"), Tier.ACUTE),
        (("不吃不喝第三天", "等着自己慢慢死掉"), Tier.ACUTE),
        (("减肥第三天没吃晚饭", "饿得慌"), Tier.NONE),
    ],
)
def test_starving_to_be_gone_is_a_way_of_dying(said: tuple[str, ...], tier: Tier) -> None:
    assert highest_of(*said) is tier


@pytest.mark.parametrize("said", ["现在想砍人了哈哈", "甲方又改需求，想刀人hhh", "室友打呼噜，想杀人的心都有了哈哈哈"])
def test_wanting_to_kill_with_a_laugh_is_a_way_of_speaking(said: str) -> None:
    assert screen(said).tier is Tier.NONE


def test_wanting_to_kill_somebody_without_a_laugh_is_heard() -> None:
    assert screen("我现在真想砍了他").tier >= Tier.ACTIVE


@pytest.mark.parametrize("said", ["自杀的危险因素有哪些", "自杀风险评估的步骤", "自伤和自杀的流行病学特点"])
def test_a_question_of_an_examination_is_none(said: str) -> None:
    assert screen(said).tier is Tier.NONE


def test_a_high_place_told_before_and_nobody_there_is_acute() -> None:
    context = Context(recent=("我在学校五楼",), tier=Tier.ACTIVE, asked=(Asks.ALONE, Asks.PLAN))
    for answer in ("没人会来的", "就我一个人", "没人知道我在这"):
        assert screen(answer, context=context).tier is Tier.ACUTE


def test_nobody_there_on_the_ground_is_no_emergency_by_itself() -> None:
    context = Context(recent=("我在宿舍",), tier=Tier.ACTIVE, asked=(Asks.ALONE, Asks.PLAN))
    assert screen("就我一个人", context=context, detector=Calm()).tier < Tier.ACUTE


@pytest.mark.parametrize(
    "said",
    [
        ("工作交接完了", "给女儿存了学费", "密码告诉我姐了", "这样就可以了"),
        ("我把孩子哄睡了", "对不起他", "跟我走吧", "不能让他一个人留下"),
        ("我妈要是找你", "就说我对不起她", "药吃完了", "睡了"),
        ("想好了", "别问我为什么", "十二点", "就在家里"),
    ],
)
def test_what_is_said_in_pieces_is_acute_together(said: tuple[str, ...]) -> None:
    assert highest_of(*said) is Tier.ACUTE


@pytest.mark.parametrize(
    "said",
    [
        "我真想把电脑砸了",
        "老公打呼噜，想把他踢下床",
        "外婆的葬礼办完了",
        "家里刀不快了",
        "我好想她",
        "真的很想奶奶",
        "奶奶的后事都处理完了，家里好空",
    ],
)
def test_anger_at_things_and_a_funeral_are_no_danger(said: str) -> None:
    assert screen(said).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("他拿我的视频威胁我", "我不敢分手"),
        ("不给钱就把照片发给我爸妈", "我怎么办"),
        ("我妹妹说继父晚上摸她", "她求我别说"),
    ],
)
def test_blackmail_and_abuse_of_another_child_are_heard(said: tuple[str, ...]) -> None:
    assert highest_of(*said) >= Tier.DISTRESS


@pytest.mark.parametrize("said", ["机票买好了", "饭都准备好了", "车票也买好了"])
def test_a_ticket_or_a_meal_is_no_means_at_hand(said: str) -> None:
    found = screen(said, context=Context(asked=(Asks.MEANS, Asks.PLAN), tier=Tier.ACTIVE), detector=Calm())
    assert found.tier < Tier.ACUTE


def test_what_was_bought_is_at_hand_where_means_were_asked_about() -> None:
    context = Context(asked=(Asks.MEANS, Asks.PLAN), tier=Tier.ACTIVE)
    assert screen("都买好了", context=context, detector=Calm()).tier is Tier.ACUTE


IN_PIECES = [
    (("药", "吞了", "一整瓶"), Tier.ACUTE),
    (("今天很安静", "一个人在楼顶", "不打算下去了"), Tier.ACUTE),
    (("骗你们的，我在崖边", "就差一步"), Tier.ACUTE),
    (("最近打得不好", "下线了", "不是退坑，是退人间"), Tier.ACTIVE),
    (("不是退坑，是退人间", "都安排完了", "人在天台"), Tier.ACUTE),
    (("不想活了", "在车库里", "引擎开着"), Tier.ACUTE),
    (("欠了十几万", "保单的受益人是我妈", "怎么做才像意外"), Tier.ACUTE),
    (("怎么死才像意外，不像自杀",), Tier.ACUTE),
    (("我和弟弟反锁在屋里", "继父拿着刀", "开始砸门"), Tier.ACUTE),
    (("她终于不哭了", "有想过", "抱着她一起跳"), Tier.ACUTE),
    (("男友喝多了", "甩了我一个耳光", "是我说话太冲了吧"), Tier.DISTRESS),
    (("今天又没忍住", "吃完就躲起来吐", "两年了"), Tier.DISTRESS),
    (("食多咗", "又去嘔"), Tier.DISTRESS),
]
ORDINARY_TWINS = [
    ("药", "吃了", "感冒好多了"),
    ("今天风好大", "在楼顶", "收完衣服就下去了"),
    ("爬山真累", "到山上了", "就差一步登顶"),
    ("最近打得不好", "退坑了", "号卖给朋友"),
    ("车在车库里", "引擎开着热车", "等你下来"),
    ("摔了一跤", "保险的人问", "算意外吗"),
    ("姑父猝死", "保险公司说", "不算意外"),
    ("买了保险", "怎么才算意外"),
    ("今天在海边玩", "浪好大", "不想回去了"),
    ("在山上", "信号不好", "今天不下来了"),
    ("实习最后一天", "在天台", "和大家合影"),
    ("钥匙忘带了", "和弟弟在门外", "正在砸门"),
    ("她终于不哭了", "抱着她一起睡", "窗户开着"),
    ("周末去公园", "老公推我荡秋千", "真好"),
    ("吃多了", "去散步", "回来睡觉"),
    ("肠胃炎", "吃完就吐", "在输液"),
    ("作业多到想去世", "写到一点"),
    ("代码多得我想死", "今天又加班"),
]


@pytest.mark.parametrize(("said", "tier"), IN_PIECES)
def test_what_is_said_in_pieces_is_heard_whole(said: tuple[str, ...], tier: Tier) -> None:
    assert highest_of(*said) >= tier


@pytest.mark.parametrize("said", ORDINARY_TWINS)
def test_by_the_rules_the_same_words_in_an_ordinary_life_are_none(said: tuple[str, ...]) -> None:
    assert highest_of(*said, detector=Calm()) is Tier.NONE
