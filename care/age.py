"""The age that a writer states about themselves, for the rules that protect minors. An estimate for a school year."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

ADULT: Final = 18
YOUNGEST_SERVED: Final = 14  # 个人信息保护法 art. 31: below it a guardian consents
YOUNGEST_WRITER: Final = 6  # below that, people tell of their childhood

_LEAD: Final = (
    r"(?:^|[,。!?\s]|我|本人)(?:今年|现在|才|刚刚?|刚满|快|已经|是个?|是一名|是一位|是一个|一个|一名|也|,|\s){0,6}+"
)
_NOT_NOW: Final = r"(?!的?(?:孩|小|儿|女儿|闺|弟|妹|男孩|女孩)|那|时|的时|左右的?时|以前|之前|前|被|就|开始|半?起)"
_YEARS: Final = re.compile(
    _LEAD + r"(\d{1,2}|十[一二三四五六七八九]?)(?:周?岁" + _NOT_NOW + r"|(?=,?[女男](?:[,。\s生]|$)))"
)
_SCHOOL: Final = re.compile(
    _LEAD + r"(?:在|上|读|的){0,3}(小学|[一二三四五六]年级|初[一二三]|初中|高[一二三]|高中)"
    r"(?:(?:在读)?(?:学生|女生|男生|生)|的学生|了|在读|(?=[,。!?\s]|$))(?!的?(?:时候|那年))"
)
_SCHOOL_AGES: Final = {"小学": 10, "初中": 14, "高中": 16, "初一": 13, "初二": 14, "初三": 15, "高一": 16, "高二": 17}
_NUMERALS: Final = "一二三四五六七八九"


class AgeBand(StrEnum):
    """How somebody of that age is served."""

    CHILD = "child"  # under 14: resources only, unless a guardian consented
    MINOR = "minor"  # 14 to 17: shorter, with reminders, without memory
    ADULT = "adult"


def band_of(age: int) -> AgeBand:
    """The band of an age in years."""
    if age < YOUNGEST_SERVED:
        return AgeBand.CHILD
    return AgeBand.MINOR if age < ADULT else AgeBand.ADULT


def youngest(bands: Iterable[AgeBand | None]) -> AgeBand | None:
    """The most protective of what is known."""
    order = list(AgeBand)
    return min((band for band in bands if band is not None), key=order.index, default=None)


def stated_age(plain: str) -> int | None:
    """The writer's own age in years in a normalised text, or None where none is stated."""
    if found := _YEARS.search(plain):
        age = written_number(found.group(1))
        return age if age >= YOUNGEST_WRITER else None
    if found := _SCHOOL.search(plain):
        return _school_age(found.group(1))
    return None


def written_number(written: str) -> int:
    """A number from ten to ninety-nine in Chinese numerals, or any in digits."""
    if written.isdigit():
        return int(written)
    tens, _, ones = written.partition("十")
    return 10 * (_NUMERALS.index(tens) + 1 if tens else 1) + (_NUMERALS.index(ones) + 1 if ones else 0)


def _school_age(year: str) -> int:
    if year.endswith("年级"):
        return 7 + _NUMERALS.index(year[0])
    return _SCHOOL_AGES.get(year, ADULT - 1)
