"""Our own words for people who write traditional characters."""

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from string import Formatter

import pytest

from care import hotlines
from care.traditional import to_traditional

_MISTAKES = "唸頭|微松|天后|回復|賬|甚麽|門開啟|程序|信息|短信"


@pytest.mark.parametrize(
    ("simplified", "traditional"),
    [
        ("我是程序（AI），没法替你打电话", "我是程式（AI），沒法替你打電話"),
        ("现在念头比刚才轻一点了吗？", "現在念頭比剛才輕一點了嗎？"),
        ("我们可以先让它停在念头里", "我們可以先讓它停在念頭裡"),
        ("请把门打开，待在有人的地方", "請把門打開，待在有人的地方"),
        ("身体稍微松一点，我松了口气", "身體稍微鬆一點，我鬆了口氣"),
        ("对话结束 {retention_days} 天后删除", "對話結束 {retention_days} 天後刪除"),
        ("同意请回复“同意”，写‘好’也行", "同意請回覆「同意」，寫『好』也行"),
        ("又看到你的消息了，联系上了吗？", "又看到你的訊息了，聯絡上了嗎？"),
        ("头发、理发；后来、皇后；面条、里面", "頭髮、理髮；後來、皇后；麵條、裡面"),
        ("干净、干什么、饼干、能干", "乾淨、幹什麼、餅乾、能幹"),
        ("只有一只猫，几只？", "只有一隻貓，幾隻？"),
        (
            "这不是你的错。{emergency} 和 {first_helpline} 都可以打。",
            "這不是你的錯。{emergency} 和 {first_helpline} 都可以打。",
        ),
        ("發生了什麼，讓這一切變得這麼重？", "發生了什麼，讓這一切變得這麼重？"),
        ("call 988 or 12356 now, /help", "call 988 or 12356 now, /help"),
        ("", ""),
    ],
)
def test_our_words_read_as_they_are_written_in_traditional(simplified: str, traditional: str) -> None:
    assert to_traditional(simplified) == traditional


def test_no_text_of_ours_holds_a_known_mistake() -> None:
    for text in _our_texts():
        converted = to_traditional(text)
        assert not re.search(_MISTAKES, converted), converted


def test_names_that_are_filled_in_are_left_alone() -> None:
    for text in _our_texts():
        assert _names(to_traditional(text)) == _names(text)


def test_the_numbers_stay_the_same_in_every_region() -> None:
    for region in hotlines.regions():
        for spoken in hotlines.directory(region).fillings("zh").values():
            assert re.findall(r"\d+", to_traditional(spoken)) == re.findall(r"\d+", spoken)


def _our_texts() -> Iterator[str]:
    scripts = tomllib.loads((files("care.scripts") / "zh.toml").read_text("utf-8"))
    yield from (variant for entry in scripts["script"] for variant in entry["variants"])
    yield from tomllib.loads((files("care") / "locales" / "zh.toml").read_text("utf-8")).values()


def _names(text: str) -> list[str | None]:
    return [name for _, name, _, _ in Formatter().parse(text)]
