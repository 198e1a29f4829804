"""What a general reply may take up of a message: a clause word for word, or somebody of the person's own."""

import re

_SHORTEST, _LONGEST = 4, 15
_CLAUSE = re.compile("[\u3400-\u9fff]+")
_END = re.compile("[，。！？；：、,.!?;:…~\\s]+")
_JOINING = re.compile(
    "^(?:可是|可(?!能|以|爱|怜)|但是|但|所以|因为|其实|而且|不过|然后|只是|又|也|还|就(?!是)|才)+(?=[\u3400-\u9fff]{4})"
)
_NOT_TO_REPEAT = re.compile(
    "^是|^我(?:的)?(?:儿子|女儿|孩子|老公|老婆|妻子|丈夫|男朋友|女朋友)|道歉|离开|死|杀|自残|割|跳楼|不活|没命|贱|肥|猪|狗日|滚|傻|笨|废物|废人|没用|垃圾|恶心|有病|变态|婊|妓|操|[吗呢么？]|怎么|什么|你"
)
"""What sounds as if we had a family, or were sorry; ways to die, insults, and what is asked or said to us."""
_FEELING = re.compile("怕|难过|哭|自责|后悔|委屈|生气|不敢|舍不得|孤|压抑|累|想|觉得|感觉|心")
_PERSONS = {
    "爸妈": "爸妈",
    "父母": "父母",
    "妈": "妈妈",
    "母亲": "妈妈",
    "爸": "爸爸",
    "父亲": "爸爸",
    **{
        name: name
        for name in (
            *(
                "老公",
                "老婆",
                "丈夫",
                "妻子",
                "男朋友",
                "女朋友",
                "婆婆",
                "公公",
                "岳母",
                "弟弟",
                "妹妹",
                "哥哥",
                "姐姐",
            ),
            *("室友", "同事", "领导", "老板", "导师", "班主任", "房东"),
        )
    },
}
"""As people name them, and as one names them to those people."""


def clause(text: str, about: re.Pattern[str] | None = None) -> str | None:
    """The clause of a message that is best repeated to the person; None where none should be.

    With `about` only one in which that is found.
    """
    found = [_JOINING.sub("", one) for one in _END.split(text)]
    fit = [one for one in found if _SHORTEST <= len(one) <= _LONGEST and _CLAUSE.fullmatch(one)]
    fit = [one for one in fit if not _NOT_TO_REPEAT.search(one)]
    if about is not None:
        fit = [one for one in fit if about.search(one)]
    feeling = [one for one in fit if _FEELING.search(one)]
    best = feeling or fit
    return best[-1] if best else None


def person(text: str) -> str | None:
    """Whom the message names as the person's own, as one speaks of them: 我妈 is 妈妈."""
    for said, full in _PERSONS.items():
        if re.search(f"(?:我(?:的|家)?|^|[，。,]){said}(?!的?(?:女儿|儿子|妈|爸|朋友|家))", text):
            return full
    return None
