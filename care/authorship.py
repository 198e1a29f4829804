"""A person says that words which they passed on or quoted, and which seemed somebody else's, are their own."""

import re

from care.normalise import normalise

_MAX_LENGTH = 60
"""Characters: in a long text such words are part of a story."""

_WROTE = r"(?:写|说|发|打|记|编辑)(?:下来?|出来?|过)?的"
_CLAIM = re.compile(
    rf"(?:是|就|都|全)我(?:自己|本人|亲手|昨晚|昨天|刚才|刚刚|今天|前几天)?{_WROTE}|(?:^|[，,。！!\s])我(?:自己|本人|亲手){_WROTE}"
    r"|(?:这|那|上面|刚才|刚刚|前面|里面|说|写|讲|指)[^，。！？!?\n]{0,8}(?:就是|其实是|都是|是)我(?:自己|本人)?(?:$|[，,。！!~～\s啊呀呢了])"
    r"|(?:^|[，,。！!\s])(?:其实)?(?:那|这|就|那就|这就|那个人|这个人)?就?是我(?:自己|本人)?[。！!~～\s啊呀呢]*$"
    r"|是我(?:自己)?的(?:话|日记|心里话|文字|遗书|信|帖子|账号|小号|朋友圈|经历|故事|事)"
    r"|我就是(?:那个|这个|写|发|说)|(?:写|说|发)(?:这|那)[^，。！？\n]{0,8}的?人?(?:就)?是我"
    r"|(?:这|那|说的|写的)(?:就|也|正|其实)?是我(?:现在|此刻|最近|真实|心里)?的(?:心情|感受|感觉|想法|心声|状态|写照)"
    r"|(?:^|[，,。！!\s])我也(?:是(?:这样|这么)?(?:想|觉得)?的?|(?:这样|这么)(?:想|觉得)的?|一样)[。！!~～\s啊呀呢]*$"
    r"|\b(?:this|that|it)(?:'s| is) (?:exactly |just |also )?(?:how i feel|about me)\b"
    r"|(?:^|[,.!\n]\s*)(?:me too|same here|i feel (?:exactly )?the same(?: way)?)[.!\s]*$"
    r"|\bi (?:actually )?(?:wrote|said|posted|sent|typed) (?:this|that|it|these|those|them)\b"
    r"|\b(?:this|that|it)(?:'s| is| was)(?: actually| really)? (?:me|mine)\b|\bthat one is (?:me|mine)\b"
    r"|\b(?:these|those|they)(?:'re| are| were)(?: actually| really)? (?:mine|my (?:own )?words)\b"
    r"|\b(?:this|that|it)(?:'s| is| was) my (?:own )?(?:words?|diary|note|letter|post|story|message|text)\b"
    r"|\bi(?:'m| am) (?:the one who|the person|that person)\b|\bi wrote .{0,20}\bmyself\b|\bmy own words\b",
    re.IGNORECASE,
)
_OTHERS = (
    "妈|爸|姐|哥|弟|妹|朋友|同学|同事|老公|老婆|男友|女友|男朋友|女朋友|孩子|儿子|女儿|家|室友|老师|亲戚|对象|前任|网友"
)
_DENIAL = re.compile(
    rf"(?:不|没|并非|才不)(?:都|全|完全)?是我|是我(?:的)?(?:{_OTHERS})|是我[^，,。！!\n]{{0,12}}[吗么嘛?]"
    r"|\b(?:isn't|wasn't|aren't|weren't|not) (?:me|mine|my)\b|\b(?:didn't|did not) (?:write|say|post|send)\b",
    re.IGNORECASE,
)


def is_claimed(text: str) -> bool:
    """Whether the text says so: 这是我写的, that's me."""
    plain = normalise(text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if len(plain) > _MAX_LENGTH or _DENIAL.search(plain) is not None:
        return False
    return _CLAIM.search(plain) is not None
