"""What a reply may take up of a message: a clause, said back to the person, and whom they name as their own."""

import re

_SHORTEST, _LONGEST = 3, 16
_CLAUSE = re.compile("[\u3400-\u9fff0-9]+")
_END = re.compile("[，。！？；：、“”「」,.!?;:…~～—\\s]+")
_JOINING = re.compile(
    "^(?:可是|可(?!能|以|爱|怜)|但是|但|所以|因为|其实|而且|不过|然后|后来|只是|就是|结果|反正|那|又|也|还(?![是有没])|就(?!是|算)|才)+"
    "(?=[\u3400-\u9fff]{3})"
)
_PARTICLES = re.compile("(?<=[\u3400-\u9fff]{3})(?:[啊呀吧嘛啦呗哦喔哈诶欸]+)$")
_NOT_TO_REPEAT = re.compile(
    "道歉|死|杀|自残|割|跳楼|不活|没命|贱|肥|猪|狗日|滚|傻|笨|废物|废人|没用|垃圾|恶心|有病|变态|婊|妓|操|不配|丑|臭|装逼|"
    "[吗呢么？]|怎么|什么|咋|谁|哪|为何|多少|是不是|会不会|要不要|能不能|有没有|[你您咱]|^(?:我)?(?:觉得|想说|说了)$|"
    "^(?:谢|哈|嗯|哎|唉|呵|好[的吧]|行)|停药|剂量|减药|吃药"
)
"""Ways to die, insults, what is asked or said to us, and medicines: a reply says none of it."""
_FEELING = re.compile("怕|难过|哭|自责|后悔|委屈|生气|不敢|舍不得|孤|压抑|累|心|忍|梦|想")
_YOURS = (
    (re.compile("(?:我们|我)(?:的|家)?(妈|爸)(?![妈爸])"), r"你\1\1"),
    (re.compile("(?<!我)我们"), "你们"),
    (re.compile("我"), "你"),
)
_PERSONS = {
    "爸妈": "爸妈",
    "父母": "父母",
    "妈": "妈妈",
    "母亲": "妈妈",
    "爸": "爸爸",
    "父亲": "爸爸",
    "老头子": "老伴",
    "对象": "对象",
    "娃": "孩子",
    "闺女": "女儿",
    **{
        name: name
        for name in (
            *("老公", "老婆", "丈夫", "妻子", "老伴", "男朋友", "女朋友", "前男友", "前女友", "婆婆", "公公", "岳母"),
            *("爷爷", "奶奶", "外公", "外婆", "姥姥", "姥爷", "弟弟", "妹妹", "哥哥", "姐姐", "儿子", "女儿", "孩子"),
            *("室友", "同事", "领导", "老板", "导师", "班主任", "房东", "护士长", "主管", "同桌"),
        )
    },
}
"""As people name them, and as one names them to those people."""


def clauses(text: str) -> list[str]:
    """The clauses of a message that may be said back, as said to the person: 我妈 is 你妈妈. The last comes first."""
    found = [_PARTICLES.sub("", _JOINING.sub("", one)) for one in _END.split(text)]
    fit = [one for one in found if _SHORTEST <= len(one) <= _LONGEST and _CLAUSE.fullmatch(one)]
    return [_as_yours(one) for one in reversed(fit) if not _NOT_TO_REPEAT.search(one)]


def clause(text: str, about: re.Pattern[str] | None = None) -> str | None:
    """The one that is best said back; with `about` only one in which that is found."""
    yours = clauses(text)
    if about is not None:
        yours = [one for one in yours if about.search(one)]
    return next((one for one in yours if _FEELING.search(one)), yours[0] if yours else None)


def word_for_word(text: str) -> str:
    """A message in quotation marks, cut where it is long."""
    return f"“{text if len(text) <= 2 * _LONGEST else text[: 2 * _LONGEST] + '……'}”"


def person(text: str) -> str | None:
    """Whom the message names as the person's own, as one speaks of them: 我妈 is 妈妈."""
    for said, full in _PERSONS.items():
        if re.search(f"(?:我(?:的|家|们)?|^|[，。, ]|跟|和|被){said}(?!的?(?:女儿|儿子|妈|爸|朋友|家))", text):
            return full
    return None


def _as_yours(said: str) -> str:
    for mine, yours in _YOURS:
        said = mine.sub(yours, said)
    return said
