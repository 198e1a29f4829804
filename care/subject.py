"""Who a risk phrase is about: the person who writes, or somebody else.

When in doubt it is the person who writes: taking somebody's own danger for a friend's is the worse mistake.
"""

import re
from enum import StrEnum
from typing import Final


class Subject(StrEnum):
    """Whose life a finding is about."""

    SELF = "self"  # the person who writes
    OTHER = "other"  # somebody else, in danger now
    OTHER_PAST = "other_past"  # somebody else, over and done, or only talked about


_KIN: Final = (
    "爸爸|妈妈|爸妈|父母|父亲|母亲|爷爷|奶奶|外公|外婆|姥姥|姥爷|老公|老婆|丈夫|妻子|爱人|男友|女友|男朋友|女朋友|前任|前夫|前妻|对象|"
    "朋友|闺蜜|死党|同学|同桌|同事|室友|舍友|学妹|学弟|学姐|学长|师兄|师姐|孩子|小孩|娃|儿子|女儿|闺女|姑娘|弟弟|妹妹|哥哥|姐姐|"
    "兄弟|表妹|表弟|表姐|表哥|堂妹|堂弟|堂姐|堂哥|亲戚|家长|学生|老师|班主任|邻居|网友|来访者|来访|患者|病人|明星|婆婆|公公|岳父|岳母|"
    "舅舅|姑姑|叔叔|阿姨|儿媳|领导|老板|婶婶|婶子|伯伯|伯父|大伯|大爷|大妈|大叔|嫂子|姨妈|姑父|舅妈|侄子|外甥|老乡|男孩|女孩|小朋友|小暖男|爸|妈|哥|姐|弟|妹"
)
_OTHERS: Final = re.compile(
    rf"(?<![被跟和与对让给把向因])(?:我|俺|咱)?(?:们)?(?:家)?的?(?:一个|有个|有一个|那个|这个|好|亲|前|大|小|女|男)*(?:{_KIN})们?"
    r"|(?<![被跟和与对让给把向其杀了])[他她]们?|有人|某人|别人|人们|人家|对方|\ba(?=[特很几])"
    r"|(?:\d{1,3}|[一二三四五六七八九十]{1,3})岁(?:的)?(?:女孩|男孩|小孩|孩子|儿子|女儿)"
)
_SELF: Final = re.compile(r"我(?!们?家?的?(?:一个|有个|那个|好|亲|前|大|小|女|男)*(?:" + _KIN + r"))|本人|俺|自己|咱")
_ADDRESSED: Final = re.compile(r"你(?!们?(?:帮|救|说我|觉得我|告诉我|教我|好))")
_DRIVEN: Final = re.compile(r"(?:逼|害|气|弄|搞|骂|打|折磨|吵|烦|压|伤|刺激)(?:得|的|到)")
_HEAD: Final = re.compile(r"^.*?[死杀残伤割跳活]|^.{0,3}")  # of a phrase: what stands after it is no subject
_OVER: Final = re.compile(
    r"去世|身亡|离世|没(?:救|抢救)过来|没救回来|自杀了|跳楼了|以前|曾经|小时候|那年|年前|当年|电影|小说|新闻|报道|歌|角色|"
    r"男主|女主|论文|研究|咨询师|来访者"
)
_TOPIC: Final = re.compile(rf"^(?:我|俺)?的?(?:一个|有个|那个|好|亲)*(?:{_KIN})(?:因为[^,]*|患有[^,]*|有[^,]*病)?$")


def subject_of(sentence: str, match: re.Match[str]) -> Subject:
    """Judge by the nearest subject before the phrase in its clause, then by a topic named in an earlier clause."""
    clauses = re.split(r"[,\s:]", sentence[: match.start()])
    nearest = _nearest(clauses[-1] + _head(match.group()))
    if nearest is None and any(_TOPIC.match(clause) for clause in clauses[:-1]) and "我想" not in sentence:
        nearest = Subject.OTHER
    if nearest is not Subject.OTHER:
        return Subject.SELF
    return Subject.OTHER_PAST if _OVER.search(sentence) else Subject.OTHER


def _head(phrase: str) -> str:
    found = _HEAD.search(phrase)
    return found.group() if found else ""


def _nearest(clause: str) -> Subject | None:
    others = [found.start() for pattern in (_OTHERS, _ADDRESSED) for found in pattern.finditer(clause)]
    own = [found for found in _SELF.finditer(clause) if not (found.group() == "自己" and others)]
    if not others and not own:
        return None
    if _DRIVEN.search(clause):
        return Subject.SELF  # 老师逼得想自杀: others do it, the writer suffers it
    if not own:
        return Subject.OTHER
    return Subject.SELF if max(found.start() for found in own) > max(others, default=-1) else Subject.OTHER
