"""What a dialogue must be to be trained on; whatever is refused is counted with its reason, nothing is mended silently.

A model repeats what it has read: role labels inside a turn teach it to speak for the client, contact details may be a
person's, talk of being an AI contradicts the instruction, and a one-sided dialogue teaches no answering.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from care.normalise import normalise
from training.data.dialogue import Dialogue
from training.data.formats import Role, Turn, Unread
from worker.engine.port import Exchange


class Refusal(StrEnum):
    """Why a dialogue is not trained on."""

    UNREADABLE = "unreadable"  # another form, or another role than client and supporter
    ONE_SIDED = "one-sided"  # one of the two hardly speaks
    TOO_SHORT = "too short"
    ROLE_LEAK = "role label inside a turn"
    CONTACT = "contact details"
    TALK_OF_AI = "talk of being an AI"
    DUPLICATE = "duplicate"


_LEAST_EXCHANGES = 2
_LEAST_SHARE = 0.05  # of a dialogue's characters
ROLE_LABEL = re.compile(r"(?:求助者|支持者|来访者|咨询师|心理咨询师|用户|助手|Client|Counselor|User|Assistant)\s*[:：]")
_CONTACT = re.compile(
    r"https?://|www\.|[\w.+-]+@[\w-]+\.\w+|(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)\d{3,4}[-－]\d{7,8}(?!\d)|"
    r"(?:微信|QQ|qq|公众号|vx|VX|加我)[号群]?\s*[:：是]?\s*[A-Za-z0-9_-]{5,}"
)
_TALK_OF_AI = re.compile(
    r"(?:作为|我是|身为)(?:一个|一名|一款)?(?:AI|人工智能|语言模型|机器人|聊天机器人|虚拟助手)|ChatGPT|OpenAI"
)
_TURN_RULES = ((ROLE_LABEL, Refusal.ROLE_LEAK), (_CONTACT, Refusal.CONTACT), (_TALK_OF_AI, Refusal.TALK_OF_AI))
_BLANKS = re.compile(r"[ \t\u3000\u00a0]+")
_BREAKS = re.compile(r"\s*\n\s*")


class Cleaning:
    """Takes dialogues one after the other and remembers which it has seen."""

    def __init__(self, *, least_exchanges: int = _LEAST_EXCHANGES) -> None:
        self.refused: Counter[Refusal] = Counter()
        self._least_exchanges = least_exchanges
        self._seen: set[bytes] = set()

    def accepted(self, items: Iterable[Sequence[Turn] | Unread]) -> Iterator[Dialogue]:
        """The dialogues to train on, in order."""
        for turns in items:
            found = Refusal.UNREADABLE if isinstance(turns, Unread) else self._judge(turns)
            if isinstance(found, Refusal):
                self.refused[found] += 1
            else:
                yield found

    def _judge(self, turns: Sequence[Turn]) -> Dialogue | Refusal:
        merged = merge(turns)
        for pattern, refusal in _TURN_RULES:
            if any(pattern.search(turn.text) for turn in merged):
                return refusal
        dialogue = pair(merged)
        if len(dialogue) < self._least_exchanges:
            return Refusal.TOO_SHORT
        if _lesser_share(dialogue) < _LEAST_SHARE:
            return Refusal.ONE_SIDED
        return Refusal.DUPLICATE if self._is_seen(dialogue) else dialogue

    def _is_seen(self, dialogue: Dialogue) -> bool:
        """Whether a client has said all this before, whatever was answered."""
        said = normalise("\n".join(exchange.text for exchange in dialogue.exchanges))
        digest = hashlib.sha256(said.encode()).digest()
        is_seen = digest in self._seen
        self._seen.add(digest)
        return is_seen


def merge(turns: Iterable[Turn]) -> list[Turn]:
    """Turns of one side in a row become one, blanks are single, empty turns go."""
    merged: list[Turn] = []
    for role, raw in turns:
        text = _BREAKS.sub("\n", _BLANKS.sub(" ", raw)).strip()
        if not text:
            continue
        if merged and merged[-1].role is role:
            merged[-1] = Turn(role, f"{merged[-1].text}\n{text}")
        else:
            merged.append(Turn(role, text))
    return merged


def pair(turns: Sequence[Turn]) -> Dialogue:
    """Alternating turns as exchanges; what a supporter says first and a client says last has no partner and goes."""
    start = 1 if turns and turns[0].role is Role.SUPPORTER else 0
    sides = [turn.text for turn in turns[start:]]
    return Dialogue(tuple(Exchange(*both) for both in zip(sides[::2], sides[1::2], strict=False)))


def _lesser_share(dialogue: Dialogue) -> float:
    client = sum(len(exchange.text) for exchange in dialogue.exchanges)
    supporter = sum(len(exchange.reply) for exchange in dialogue.exchanges)
    return min(client, supporter) / (client + supporter)
