"""What a published reply to somebody else must not bring along, however alike the conversations are."""

import re
from collections.abc import Sequence

from worker.engine.port import Exchange
from worker.retrieval.general import is_about
from worker.retrieval.named import allowed, named

_AGREES = re.compile(
    "^(?:那[^么]|这个|是的|是啊|是呀|对的?[，,]|对啊|没错|当然|可以的|好的|嗯[，,]|嗯嗯|不是|不会|不用|非常好|很好|太好|很棒|确实|其实|也许|有时|可能|这也许|"
    "因为|所以|如果|但是|而且|那样的话|并不|不要|不过|一方面|选择|每个人)"
)
"""Answers, and goes on with, what nobody here asked or began."""
_SOOTHES_AWAY = re.compile(
    "正常|常见|自然的|别太|不要太|不必|没什么大不了|常有的事|不代表|为了你好|出于对你|理解(?:他|她|他们|你的?父母|对方|老公|老公的)|"
    "包容|接受他|接受她|原谅|站在(?:他|她|对方)|换位|体谅|为你着想|忍一忍|多忍"
)
"""Plays it down, or takes the other's side."""
_ADVISES = re.compile(
    "试着|尝试|可以(?:先|和|跟|与|把|告诉|去|找|考虑|选择)|建议|应该|需要(?:先|去|学|明白|记住|勇敢|寻找|找)|要学会|学着|不妨|最好|"
    "要(?:相信|明白|记住|给|理智|努力|冷静)|加油|祝你|多[和跟与]|不要"
)
_PRAISES = re.compile("明智|处理得|好主意|恭喜|不错|希望你们|幸福|很棒|太好了")
_NUMBER = re.compile("[0-9０-９]+|[一二两三四五六七八九十百半几]+(?:个?多?(?:年|岁|月|周|星期|天|次|小时|遍|万|千))")
_ASKS = re.compile("[?？]|怎么|如何|办法|怎样")
_REFLECTS = re.compile(
    "听起来|听到|听得出|听你|看得出|感受到|你感到|让你(?:感到|觉得|很|非常|有些)|理解你|了解你的(?:感受|困扰|心情|担|顾)|明白你的|困扰|不容易|"
    "难受|难过|痛苦|委屈|压力|心情|感受|影响|折磨|害怕|担心"
)
"""Speaks of the person and not of how things are in general."""
_LEADS = re.compile(
    "(?:对吗|是吗|是吧|对吧|对不对|是不是)[?？]|我们(?:不能|要|可以|应该|都|需要)|况且|投射|装病|毕竟|意味着|说明|因此|这是因为|遇到这样的|"
    "这种情况下|并不可怕|(?:会|能)(?:理解|支持|听取|明白)|相信(?:他|她)|但你也|所以才|不同的角度|导致|不可能|对于这|每个|人们|是否有|有没有(?:准备|和|跟|试)|你要|你是不是|希望你|遭受"
)
"""Puts words into a mouth, explains, or speaks of people in general."""
_PRESUMES = re.compile(
    "为什么(?:你)?(?:不|会|要|觉得|想)|你为(?:什么|何)|你(?:已经|曾经|之前|刚才|刚刚|提到|说过|描述|其实|只是|并不|没有|不够|太过|不傻)"
)


class Vetoes:
    """Reads what was said once for all candidates."""

    def __init__(self, history: Sequence[Exchange], text: str) -> None:
        said = "。".join([*(past.text for past in history), text])
        self._said = said
        self._allowed = allowed(said)
        self._asks = _ASKS.search(text) is not None
        self._is_loss = is_about("loss", history, text)

    def forbid(self, reply: str) -> bool:
        """Whether it says what was not said, or what should not be said."""
        return bool(
            named(reply) - self._allowed
            or any(number not in self._said for number in _NUMBER.findall(reply))
            or _AGREES.search(reply)
            or _SOOTHES_AWAY.search(reply)
            or _PRAISES.search(reply)
            or _PRESUMES.search(reply)
            or not _REFLECTS.search(reply)
            or _LEADS.search(reply)
            or (not self._asks and _ADVISES.search(reply))
            or (self._is_loss and not _OF_LOSS.search(reply))
        )


_OF_LOSS = re.compile("离开|去世|离世|失去|怀念|思念|想念|遗憾|告别|不舍")
