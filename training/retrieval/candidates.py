"""Which replies of a corpus can be said to somebody else: short, safe, without what held for their dialogue alone."""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from care.guard import Guard
from training.data.dialogue import Dialogue

LEAST, MOST, ENOUGH = 8, 72, 44
"""Characters of a reply; no sentence is added to one that has enough."""
_MOST_SAID = 160
_MOST_COMPLIANT = 4000
_SEED = 5
_RUN = 5
_WORN = 12
"""A run of characters that stood in so many replies is a set phrase."""
_COPIED, _MOSTLY_KNOWN, _MOSTLY_WORN = 0.95, 0.8, 0.25
"""Shares of a reply's runs that stood in others before."""

_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?\n]+|[^。！？!?\n]+$")
_GREETING = re.compile(r"^(?:您好|你好|亲爱的|嗨|题主|楼主|朋友)(?:题主|楼主|朋友|呀|啊)?[，,！!。~ 、]+")
_PARTICULAR = re.compile(
    r"[0-9A-Za-z《》“”\"‘’「」【】…·#*：:；]|客户|咨询师|题主|楼主|答主|求助者|来访|来询|帖|提问|你的描述|你的问题是|文字|评论|祝好|世界和我|"
    r"第一|第二|首先|其次|以下|如下|一、|平台|关注|留言|私信|点赞|热线|作者|心理学家|研究|理论|有人说|一位|有一个|有个朋友|上述|我国|疫情|"
    r"说到这里|小编|叔|阿姨|同为|作为一"
)
"""Figures, quotations, titles, what is said to a reader of a forum, what speaks of others."""
_OF_ONESELF = re.compile(
    r"我(?!理解|能|明白|想|很|会|们|可以|相信|听|建议|感|在这|在听|非常|知道|了解|看|希望|觉得|猜|注意|同意|认为|为你|愿|也能|也很|完全|十分|真|好奇|"
    r"支持|陪|不太|不确|都|深|也理解|也相信|也为|对你|可能|体会|有些|有点|是说|的意思|的建议|的理解|来|和你|跟你|帮|给你|尊重|替你|懂|并不|刚|就在|"
    r"一直|随时|推荐|赞|欣赏|佩服|衷心|由衷|祝|心疼|发现你|这里|还想|比较|先)"
)
"""A supporter who tells of themselves."""
_OF_A_POST = re.compile(
    r"^(?:最后|来，|起初|另外|看看，|啊！|根据所述|老师好|第[一二三四五六])|题目|的问题|的疑问|的叙述|描述|感谢信任|你的信任|您|北京|上海|南宁|学医|杀|还给你"
)
"""What answers a post with a title, or is in the middle of a longer text."""
_RISKY = re.compile(r"忍一忍|忍耐|没有暴力|暴力倾向|药(?!.*(?:医生|医嘱|医院))|(?<!不)打得好|报复")
"""What may be wrong advice to somebody else: on medicine without a doctor, on bearing with violence."""
_RULES = (_PARTICULAR, _OF_ONESELF, _OF_A_POST, _RISKY)
_COMPLIANT = re.compile(r"谢谢|感谢|我会(?:试|尽|努力|好好|尝试|去|按|加油|考虑|记住)|好的，|你说得对|明白了")
"""Half of what clients say in the corpus, and little of what people say to a program."""
_HAN = re.compile("[\u4e00-\u9fff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A reply's beginning and where it stood; `dialogue` counts in the corpus, `place` and `left` in exchanges."""

    dialogue: int
    place: int
    left: int
    text: str


def chosen(dialogues: Sequence[Dialogue], *, checked: Guard, most: int) -> list[Candidate]:
    """At most so many, in the corpus's order; without near copies and without what the guard stops in any case."""
    found = list(_candidates(dialogues))
    random.Random(_SEED).shuffle(found)  # noqa: S311 - no secret
    kept: list[Candidate] = []
    for candidate in _varied(found, dialogues):
        if not checked.judge(candidate.text, is_finished=True, is_strict=True).is_blocked:
            kept.append(candidate)
        if len(kept) == most:
            break
    return sorted(kept, key=lambda one: (one.dialogue, one.place))


def beginning(reply: str) -> str:
    """Its first sentences without a greeting, until there is enough."""
    kept = ""
    for sentence in _SENTENCE.findall(_GREETING.sub("", reply.strip())):
        if kept and (len(kept) + len(sentence) > MOST or len(kept) >= ENOUGH):
            break
        kept += sentence
    return kept.strip()


def is_for_others(text: str) -> bool:
    """Whether it holds nothing of its own dialogue, its speaker or its forum, as far as rules can see."""
    is_whole = LEAST <= len(text) <= MOST and text[-1] in "。！？!?"
    return is_whole and not any(rule.search(text) for rule in _RULES)


def _candidates(dialogues: Sequence[Dialogue]) -> Iterator[Candidate]:
    for number, dialogue in enumerate(dialogues):
        for place, exchange in enumerate(dialogue.exchanges):
            text = beginning(exchange.reply)
            if len(exchange.text) <= _MOST_SAID and is_for_others(text):
                yield Candidate(dialogue=number, place=place, left=len(dialogue) - 1 - place, text=text)


def _varied(candidates: Iterable[Candidate], dialogues: Sequence[Dialogue]) -> Iterator[Candidate]:
    seen: Counter[str] = Counter()
    compliant = 0
    for candidate in candidates:
        is_compliant = bool(_COMPLIANT.search(dialogues[candidate.dialogue].exchanges[candidate.place].text))
        compliant += is_compliant
        runs = _runs(candidate.text)
        if not runs or (is_compliant and compliant > _MOST_COMPLIANT):
            continue
        known = sum(seen[run] > 0 for run in runs) / len(runs)
        worn = sum(seen[run] >= _WORN for run in runs) / len(runs)
        if known > _COPIED or (known > _MOSTLY_KNOWN and worn > _MOSTLY_WORN):
            continue
        seen.update(runs)
        yield candidate


def _runs(text: str) -> set[str]:
    return {part[start : start + _RUN] for part in _HAN.findall(text) for start in range(len(part) - _RUN + 1)}
