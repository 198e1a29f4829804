"""Which language and script somebody is spoken to in."""

import pytest

from care import languages, lexicon, texts
from care.languages import ENGLISH, SIMPLIFIED, TRADITIONAL, language_of, locale_of, localized
from care.traditional import to_traditional


@pytest.mark.parametrize(
    ("text", "before", "told", "expected"),
    [
        ("我很难过", None, "en", SIMPLIFIED),
        ("我很難過", None, "zh-hans", TRADITIONAL),
        ("我很難過", SIMPLIFIED, None, TRADITIONAL),
        ("你好", None, "zh-hant", TRADITIONAL),
        ("你好", None, "zh-TW", TRADITIONAL),
        ("你好", None, "en", SIMPLIFIED),
        ("你好", TRADITIONAL, "zh-hans", TRADITIONAL),
        ("I cannot sleep", None, None, ENGLISH),
        ("I cannot sleep", SIMPLIFIED, "zh-hans", ENGLISH),
        ("ok", SIMPLIFIED, "en", SIMPLIFIED),
        ("/start", None, "en-GB", ENGLISH),
        ("/start", None, "zh-hk", TRADITIONAL),
        ("/start", None, "de", SIMPLIFIED),
        ("", None, None, SIMPLIFIED),
        ("👍", None, "yue", TRADITIONAL),
    ],
)
def test_as_they_write_or_as_their_platform_says(
    text: str, before: str | None, told: str | None, expected: str
) -> None:
    assert language_of(text, before=before, told=told, default="zh") == expected


def test_an_english_deployment_speaks_english_to_somebody_unknown() -> None:
    assert language_of("/start", before=None, told=None, default="en") == ENGLISH


def test_texts_are_said_in_the_script() -> None:
    zh = texts.load("zh")
    key = next(key for key, sentence in zh.sentences.items() if "对" in sentence and "{" not in sentence)
    assert localized(zh, TRADITIONAL).say(key) != zh.say(key)
    assert localized(zh, SIMPLIFIED) == zh
    assert (locale_of(TRADITIONAL, "en"), locale_of(ENGLISH, "zh"), locale_of(None, "en")) == ("zh", "en", "en")


def test_characters_that_are_the_same_in_both_scripts_are_those_that_opencc_leaves() -> None:
    characters = lexicon.load("spelling")["characters"]
    asked = {*characters["simplified"]} - {*characters["traditional"]} - languages._IN_BOTH
    assert {one for one in asked if to_traditional(one) == one} == languages._ALIKE & asked
