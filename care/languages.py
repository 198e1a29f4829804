"""The language and script of a person: as they write, or as their platform says they read.

Languages are BCP 47 tags: `zh-Hans`, `zh-Hant`, `en`. Texts exist in the locales `zh` and `en`.
"""

import re
from functools import cache
from typing import Final

from care import lexicon
from care.texts import Texts, load
from care.traditional import to_traditional

SIMPLIFIED: Final = "zh-Hans"
TRADITIONAL: Final = "zh-Hant"
ENGLISH: Final = "en"
ALL: Final = (SIMPLIFIED, TRADITIONAL, ENGLISH)

_HAN: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORDS: Final = re.compile(r"[A-Za-z][A-Za-z']*")
_MIN_ENGLISH_WORDS: Final = 3
_IN_BOTH: Final = frozenset("台里后着干几松云斗面系只准卷床群")
"""Written by people who write traditional characters, too, with another meaning or as a short form."""
_ALIKE: Final = frozenset(
    "乘了亡仙仿佛你侄修倦僵克兔兜冒冢冤冬冰凌凡凳出刨刮制劫匆千升博卜即叫吃合吊同向吝吻呆周呼和咒咽哄唇喂喋噪回因困"
    "坑塔夜奔奶奸妒妙姜姻娘婪婿嫩孽它宴家尚局屏峰巨布席幕年幸庵廉弄弦彩往御志念怪恍恤悖悴愈愧憔戚才扎托扛扣扯扼折抵"
    "拐拓拗拼挨挽捆捍捏捶掏插揪搜操效救教旋旗既昆昏春暖暗曲望期朱朵杆杯板柏查柳栗核桌桑梁棋榜榨欲款歌沈沾法泛注淫溪"
    "溯漓漱炮焰煮狸玩球璇留略疏症痴瘤真眷睬睹瞅矩碌碗碰私秋秘移稿窗筒策算糊糕糖糟累繁罐罪翅翻考耽肛肯胄背胡胳胸脆腿"
    "膀膝致舍船花芸苔葬蒂蒙蓑蔑藤蚊蛙蜂蝶融蠢表裙裸褒谷豆趁蹴躬辣迫逾遍邪酬酸阱附雕霸鞋鼓"
)
"""Spelled in several ways but the same in both scripts: OpenCC leaves them; asking it here would load 40 MB."""
_TRADITIONAL_TAGS: Final = ("hant", "tw", "hk", "mo")


def language_of(text: str, *, before: str | None, told: str | None, default: str) -> str:
    """The language to speak to somebody who writes `text`.

    `before` is what they were spoken to in last, `told` the tag that their platform gives, `default` a locale.
    """
    fallback = before or _of_tag(told) or _of_locale(default)
    if _HAN.search(text):
        return _script_of(text) or next(
            (one for one in (before, _of_tag(told)) if one is not None and one != ENGLISH), SIMPLIFIED
        )
    if len(_WORDS.findall(text)) >= _MIN_ENGLISH_WORDS and not text.startswith("/"):
        return ENGLISH
    return fallback


def locale_of(language: str | None, default: str) -> str:
    """The locale whose texts are said in that language."""
    return default if language is None else "en" if _of_tag(language) == ENGLISH else "zh"


def spoken(default: Texts, language: str | None) -> Texts:
    """Our words to somebody of that language; `default` to somebody of none."""
    return default if language is None else _spoken(language, default.locale)


def localized(texts: Texts, language: str | None) -> Texts:
    """The same texts in the language's script."""
    if _of_tag(language) != TRADITIONAL or texts.locale != "zh":
        return texts
    return Texts(texts.locale, {key: to_traditional(sentence) for key, sentence in texts.sentences.items()})


def spelled(text: str, language: str | None) -> str:
    """A text that is filled in, in the language's script."""
    return to_traditional(text) if _of_tag(language) == TRADITIONAL else text


@cache
def _spoken(language: str, default_locale: str) -> Texts:
    return localized(load(locale_of(language, default_locale)), language)


def _of_tag(tag: str | None) -> str | None:
    parts = (tag or "").lower().replace("_", "-").split("-")
    if parts[0] in {"zh", "yue", "cmn"}:
        return TRADITIONAL if parts[0] == "yue" or set(parts) & set(_TRADITIONAL_TAGS) else SIMPLIFIED
    return ENGLISH if parts[0] == "en" else None


def _of_locale(locale: str) -> str:
    return ENGLISH if locale == "en" else SIMPLIFIED


def _script_of(text: str) -> str | None:
    """None where every character is written the same in both, or the two are mixed evenly."""
    simplified, traditional = _only_in()
    counts = sum(character in traditional for character in text) - sum(character in simplified for character in text)
    return None if counts == 0 else TRADITIONAL if counts > 0 else SIMPLIFIED


@cache
def _only_in() -> tuple[frozenset[str], frozenset[str]]:
    """Characters that are written in one of the scripts only."""
    characters = lexicon.load("spelling")["characters"]
    simplified, traditional = set(characters["simplified"]), set(characters["traditional"])
    return frozenset(simplified - traditional - _IN_BOTH - _ALIKE), frozenset(traditional - simplified)
