"""Signs that come one by one, each an ordinary thing to say: together they are danger, and their twins are none."""

import pytest

from care.answers import Asks
from care.detector import Detection
from care.screening import Context, Route, Screening, Tier, screen


class Calm:
    """Reads danger in none: what is found here is found by rules."""

    def read(self, text: str) -> Detection:
        return Detection(tier=0, route="self", chances=(0.0, 0.0, 0.0))


def on_the_way(*said: str, is_minor: bool = False) -> list[Screening]:
    """What is made of each message after the others of one breath."""
    return [
        screen(text, context=Context(recent=said[:number], is_minor=is_minor), detector=Calm())
        for number, text in enumerate(said)
    ]


def worst_of(*said: str, is_minor: bool = False) -> Screening:
    return max(on_the_way(*said, is_minor=is_minor), key=lambda found: found.tier)


@pytest.mark.parametrize(
    "said",
    [
        ("枕头底下", "囤了三个星期的", "等室友睡了"),
        ("在鞋盒里放着呢", "凑够了", "别担心我", "凌晨吧"),
        ("藏了好久的", "桌洞里", "熄灯以后"),
        ("医生开的我都没吃，留着", "在枕边", "等我爸妈睡着"),
        ("攒了快半年", "就在床头柜子", "没跟谁说过", "今夜"),
    ],
)
def test_what_was_put_by_without_a_name_and_an_hour(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.ACUTE
    assert worst_of(*said[:2]).tier <= Tier.ACTIVE


@pytest.mark.parametrize(
    "said",
    [
        ("抽屉里攒了两个月的零食", "今晚全吃掉"),
        ("攒了半年的工资", "放在盒子里", "明晚请大家吃饭"),
        ("攒够了", "今晚就去抢那双鞋，放桌上了"),
        ("积分攒了三个月的", "手机就在旁边", "今晚抽卡"),
    ],
)
def test_savings_and_sweets_are_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("我把奶奶的药", "全部", "你别骂我", "现在耳朵一直嗡嗡响"),
        ("瓶子空了", "半小时前", "眼前发黑"),
        ("那一整板胶囊", "不用劝了", "手开始麻了"),
        ("不是感冒药，是我妈降压的那个药", "八点", "站不稳了，好冷"),
    ],
)
def test_medicine_and_what_it_does_to_the_body(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.ACUTE


@pytest.mark.parametrize(
    "said",
    [
        ("我把药都收拾好了", "收拾得头好晕"),
        ("水瓶子空了", "站太久头晕"),
        ("医生开了一大把药", "吃了有点恶心", "说是副作用"),
        ("感冒了", "开的药都按时吃的", "头还是沉"),
        ("我把药箱都整理了一遍", "眼睛看花了"),
    ],
)
def test_medicine_as_it_was_prescribed_is_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("帮我改一封信", "写给我老公的", "对不起，我没能给你一个孩子", "他七点下班", "绳结打好了"),
        ("想给爸妈写几句话", "对不起，不能给你们养老了", "我在仓库", "都系好了"),
        ("写给女儿的信写完了", "她周五才回来", "在阁楼上", "吊好了"),
    ],
)
def test_last_words_and_something_tied(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.ACUTE


@pytest.mark.parametrize(
    "said",
    [
        ("女儿生日，写给她的信写完了", "她放学回来就知道了", "气球也挂好了"),
        ("对不起没给你打电话", "我在洗衣服", "刚挂好了"),
        ("写给老师的信写好了", "教室的彩带也绑好了"),
    ],
)
def test_a_letter_and_a_feast_are_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("给我老婆写了封道歉信", "她到家就会明白的"),
        ("我想写给爸妈几句话", "他们看到自然会懂"),
        ("遗书用不用写日期", "他回来就知道是哪天了"),
    ],
)
def test_a_letter_that_is_to_be_found(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier >= Tier.ACTIVE


@pytest.mark.parametrize(
    "said",
    [
        ("想去看雪山", "买单程的", "东西不用带", "谁都不知道我去"),
        ("看完雪山就不回来了", "工作辞了", "谁也没告诉"),
        ("一个人去湖边", "返程不用订", "什么都不带"),
        ("帮我查张车票", "回程？不用", "行李没收，用不着带", "我自己去"),
    ],
)
def test_a_journey_without_return_or_luggage(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier >= Tier.ACTIVE


@pytest.mark.parametrize(
    "said",
    [
        ("单程票", "一个人去上海上班", "行李不带，寄过去"),
        ("一个人旅游", "返程票还没订", "行李带得少一点"),
        ("工作辞了", "一个人回老家，不回来了", "房子退了"),
        ("自己去海边玩两天", "不带箱子，背个包"),
        ("一个人骑车去西藏", "单程", "行李不带太多"),
    ],
)
def test_a_journey_is_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("叔叔晚上来找我", "他不许我说", "说告诉妈妈就没人信我"),
        ("不敢讲", "他说讲出去爸妈会离婚"),
        ("爷爷说是我们俩的秘密", "告诉奶奶就不给我饭吃"),
        ("我十五岁，不喜欢跟爷爷睡", "他说是我们俩的游戏", "告诉奶奶的话就不给我买书包"),
        ("表哥吓我说告诉别人就把我赶出去",),
    ],
)
def test_a_child_that_must_keep_a_secret_is_in_danger(said: tuple[str, ...]) -> None:
    worst = worst_of(*said, is_minor=True)
    assert worst.tier >= Tier.ACTIVE
    assert worst.route is Route.ABUSE


@pytest.mark.parametrize(
    "said",
    [
        ("考砸了不敢说", "说了我妈会气死"),
        ("给爸爸准备生日惊喜", "不能说，说了他会高兴死"),
        ("早恋的事不能告诉老师", "说了我妈会打死我"),
    ],
)
def test_a_secret_of_ones_own_is_no_abuse(said: tuple[str, ...]) -> None:
    assert worst_of(*said, is_minor=True).route is not Route.ABUSE


@pytest.mark.parametrize(
    "said",
    [
        ("我带的一个学生才八岁", "她说教练洗澡的时候进来", "还说讲出去妈妈就不要她了"),
        ("班上的小朋友画了一张床", "她说是爸爸，还说不能讲，讲了爸爸就不要她"),
        ("侄女住我家", "睡觉一碰就哭说不要", "她说不能告诉别人，说了爸爸会被抓走"),
        ("邻居小女孩七岁", "她说爷爷跟她玩游戏，是秘密", "捂着我的嘴"),
    ],
)
def test_another_child_that_was_silenced_calls_the_admins(said: tuple[str, ...]) -> None:
    worst = worst_of(*said)
    assert worst.tier >= Tier.ACTIVE
    assert worst.route is Route.THIRD_PARTY


@pytest.mark.parametrize(
    "said",
    [
        ("女儿六岁", "洗澡的时候哭，说水太烫"),
        ("侄子五岁", "捂我嘴不让我唱歌", "哈哈"),
        ("儿子怕打针", "捂住我的嘴不让我说"),
    ],
)
def test_a_child_that_cries_in_the_bath_is_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        (("欠我的工资拖了一年", "五金店买了个榔头", "我在他家楼下等着"), Tier.ACUTE),
        (("他害得我被开除", "带了把刀", "他得意不了多久"), Tier.ACUTE),
        (("她出轨了还羞辱我", "汽油买到了", "还有半小时她下班"), Tier.ACUTE),
        (("室友把我的书扔了", "买了把折叠的", "看他还敢不敢"), Tier.ACTIVE),
        (("离婚判了，孩子归她", "后备箱两桶", "我在她小区门口等着"), Tier.ACUTE),
        (("车间主任又骂我", "昨天买了一把", "藏在工位下面"), Tier.ACTIVE),
        (("他们一直欺负我", "我借了把刀", "等他们再动手"), Tier.ACTIVE),
        (("他看不起我，忍够了", "刚磨好了", "谁再惹我一次试试"), Tier.ACTIVE),
    ],
)
def test_a_wrong_suffered_and_a_weapon(said: tuple[str, ...], tier: Tier) -> None:
    worst = worst_of(*said)
    assert worst.tier is tier
    assert worst.route is Route.HARM_TO_OTHERS


@pytest.mark.parametrize(
    "said",
    [
        ("婆婆又骂我", "买了一把菜刀切肉都不行", "说放抽屉里占地方"),
        ("老板骂我", "下班路上买了一把葱", "放包里了"),
        ("他看不起我的手艺", "我去五金店买了锤子做家具", "等他下次来看"),
        ("离婚判了，孩子归她", "后备箱两桶花生油给孩子", "我在小区门口等着"),
        ("被裁了", "买了一把吉他", "放宿舍里天天弹"),
    ],
)
def test_a_wrong_suffered_and_a_purchase_are_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


@pytest.mark.parametrize(
    "said",
    [
        ("女儿哭了一整夜", "我拿枕头按在她脸上", "现在没声了"),
        ("宝宝怎么都哄不好", "我使劲摇了他", "他不动了"),
        ("月子里娃一直哭", "安静了", "我还捂着他"),
    ],
)
def test_a_child_that_was_made_quiet_by_force(said: tuple[str, ...]) -> None:
    worst = worst_of(*said)
    assert worst.tier is Tier.ACUTE
    assert worst.route is Route.HARM_TO_OTHERS


@pytest.mark.parametrize(
    "said",
    [
        ("宝宝突然不哭了", "因为我抱着他"),
        ("女儿哭了一整夜", "我捂着耳朵睡的", "现在安静了"),
        ("娃一直哭", "摇了摇摇篮就不哭了"),
        ("孩子不闹了", "他捂着被子在玩"),
    ],
)
def test_a_child_that_was_soothed_is_none(said: tuple[str, ...]) -> None:
    assert worst_of(*said).tier is Tier.NONE


def test_a_question_among_the_pieces_does_not_part_them() -> None:
    assert worst_of("单程票有吗？", "一个人去。", "行李？不带！").tier >= Tier.ACTIVE


def test_an_hour_after_what_was_put_by_is_an_answer() -> None:
    context = Context(recent=("抽屉里，攒了两个月的",), asked=(Asks.PLAN, Asks.TIME), tier=Tier.ACTIVE)
    assert screen("今晚", context=context, detector=Calm()).tier is Tier.ACUTE
