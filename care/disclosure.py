"""What people are told about whom they talk to, when, and what their answer means.

The version of a notice is drawn from its words: change a word, and everybody is asked again.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from care.age import ADULT, YOUNGEST_SERVED, YOUNGEST_WRITER, AgeBand, band_of, written_number
from care.hotlines import Directory
from care.normalise import normalise
from care.texts import Texts

CONTINUOUS_USE: Final = timedelta(
    hours=2
)  # 人工智能拟人化互动服务管理暂行办法, draft of December 2025; SB 243 asks for 3 h
LONG_PAUSE: Final = timedelta(hours=12)  # coming back after it counts as a new visit
SHORT_PAUSE: Final = timedelta(minutes=30)  # a pause as long as this ends continuous use

# the notice quotes the words, and so do people; a question mark makes a question of them, other signs the opposite
_NOT_AROUND: Final = r"\w?👎🚫❌❎✖✗✘⛔🙅"
_SURROUNDINGS: Final = re.compile(rf"^(?:[^{_NOT_AROUND}]|_)+|(?:[^{_NOT_AROUND}]|_)+$")
_BETWEEN: Final = r"[\s,。.;、+(]*(?:and\s+)?"
_SOFTENED: Final = "[啊呀吧哦呢嗯的了]?"
_DECLINES: Final = re.compile(
    rf"(?:我)?(?:不同意|不愿意|不接受|拒绝|不){_SOFTENED}(?:[,\s]*谢谢[你您]?)?"
    r"|(?:no[,. ]+)?(?:i )?(?:decline|disagree|refuse|(?:do not|don['’]t) (?:agree|consent|accept))"
    r"|no(?:[,. ]+thank(?:s| you))?"
)
_YES: Final = (
    rf"(?:(?:我)?(?:已阅读并|已阅读,?)?同意{_SOFTENED}(?:以上(?:全部)?内容|以上说明)?"
    r"|(?:yes[,. ]+)?(?:i )?(?:do )?(?:agree|consent))"
)
# no separate consent, whatever is meant by it
_VAGUE_YES: Final = re.compile(
    r"我?(?:好|好的|好吧|嗯+|可以|行|没问题|是|是的|对|知道了|愿意|接受)|ok|okay|yes|sure|.{0,3}同意.{0,5}"
)
_CHILD: Final = r"(?P<child>(?:未|不|没)满14周?岁?|under 14)"
_GROWN: Final = (
    r"(?P<grown>已?经?(?:年)?满(?:18|十八)周?岁?了?|已?经?成年(?:人|了)?"
    r"|(?:over|above) 18|18 (?:or|and) (?:over|older|above)|(?:an )?adult)"
)
_YEARS: Final = r"(?P<years>\d{1,2}|[二三四五六七八九]?十[一二三四五六七八九]?)(?:\s*周?岁|\s*years? old)?(?:了)?"
_AGE: Final = rf"(?:我|今年|现在|是|i am|i'm|aged?|\s)*(?:{_CHILD}|{_GROWN}|{_YEARS})"
_ANSWERS: Final = (
    re.compile(rf"(?P<yes>{_YES})(?:{_BETWEEN}{_AGE})?"),
    re.compile(rf"{_AGE}{_BETWEEN}(?P<yes>{_YES})"),
    re.compile(_AGE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The first notice, and the version that is kept with a consent to it."""

    version: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody answered to the notice: yes, no or neither, and their age where they told it."""

    agrees: bool | None = None
    band: AgeBand | None = None


class Reminder(StrEnum):
    """Which reminder is due. The values are keys of the locale's texts."""

    PERIODIC = "disclosure_periodic"
    RETURN = "disclosure_return"


def notice(texts: Texts, directory: Directory, *, retention_days: int, has_guardian_consent: bool = False) -> Notice:
    """What somebody reads before anything of theirs is kept.

    `has_guardian_consent`: the operator has it of everybody under 14 who writes.
    """
    filled = {
        "retention_days": retention_days,
        "minimum_age": YOUNGEST_SERVED,
        "adult_age": ADULT,
        **directory.fillings(texts.locale),
    }
    children = "disclosure_children_with_guardian" if has_guardian_consent else "disclosure_children"
    keys = ("disclosure_first", children, "disclosure_how")
    words = "\n".join(texts.say(key, **filled) for key in keys)
    return Notice(version=hashlib.sha256(words.encode()).hexdigest()[:12], text=words)


def answer(text: str) -> Answer | None:
    """What a message answers to the notice; None where it is other talk, which is never consent."""
    plain = _SURROUNDINGS.sub("", normalise(text))
    if _DECLINES.fullmatch(plain):
        return Answer(agrees=False)
    for pattern in _ANSWERS:
        if found := pattern.fullmatch(plain):
            told = found.groupdict()
            band, agrees = _band(told), bool(told.get("yes"))
            return Answer(agrees=agrees or None, band=band) if agrees or band else None
    return None


def sounds_like_yes(text: str) -> bool:
    """What is meant as a yes but is too vague to be a consent: it must not meet with silence."""
    return _VAGUE_YES.fullmatch(_SURROUNDINGS.sub("", normalise(text)).rstrip("?")) is not None


def _band(told: dict[str, str | None]) -> AgeBand | None:
    if told.get("child"):
        return AgeBand.CHILD
    if told.get("grown"):
        return AgeBand.ADULT
    written = told.get("years")
    years = written_number(written) if written else 0
    return band_of(years) if years >= YOUNGEST_WRITER else None


def reminder(
    *, visit_began_at: datetime, reminded_at: datetime | None, heard_at: datetime | None, now: datetime
) -> Reminder | None:
    """The reminder due with a message that arrives now; `heard_at` is the message before it."""
    if heard_at is not None and now - heard_at >= LONG_PAUSE:
        return Reminder.RETURN
    since = max(visit_began_at, reminded_at) if reminded_at else visit_began_at
    return Reminder.PERIODIC if now - since >= CONTINUOUS_USE else None


def begins_visit(*, heard_at: datetime | None, now: datetime) -> bool:
    """Whether a message that arrives now begins a new visit, from which continuous use is counted."""
    return heard_at is None or now - heard_at >= SHORT_PAUSE
