import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.telegram.splitting import split, units

utf16 = st.text(alphabet=st.sampled_from("我你。，！？\n a1😀👍🏽\u200d👩é.:/?+-（)"), max_size=400)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(st.text())
def test_length_is_counted_as_telegram_counts(text: str) -> None:
    assert units(text) == utf16_units(text)


@given(utf16, st.integers(10, 100))
def test_nothing_is_lost_and_no_part_is_too_long(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(utf16_units(part) <= limit for part in parts)
    assert re.sub(r"\s", "", "".join(parts)) == re.sub(r"\s", "", text)
    assert all(part.strip() for part in parts) or not text.strip()


def test_a_short_text_stays_as_it_is() -> None:
    assert split("  你好\n\n ") == ["  你好\n\n "]
    assert split("😀" * 2048) == ["😀" * 2048]


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("第一段。还有。\n\n第二段。", 12, ["第一段。还有。", "第二段。"]),
        ("第一句话。第二句话！第三句", 12, ["第一句话。第二句话！", "第三句"]),
        ("没有句号，只有逗号，一直说", 8, ["没有句号，", "只有逗号，一直说"]),
        ("他说：“走吧。”我们走了", 9, ["他说：“走吧。”", "我们走了"]),
        ("some english words here", 14, ["some english", "words here"]),
    ],
)
def test_it_cuts_at_the_best_place(text: str, limit: int, parts: list[str]) -> None:
    assert split(text, limit) == parts


@pytest.mark.parametrize(
    "precious",
    [
        "12356",
        "010-82951332",
        "+86 400 161 9995",
        "https://example.org/a?c=d&e=f",
        "help@example.org",
        "👨‍👩‍👧‍👦",
        "👍🏽",
    ],
)
def test_numbers_links_addresses_and_joined_emoji_stay_whole(precious: str) -> None:
    for before in range(60):
        parts = split("我" * before + precious + "你" * 60, 40)
        assert any(precious in part for part in parts), (before, parts)


def test_something_longer_than_a_message_is_cut_nevertheless() -> None:
    assert split("1" * 100, 40) == ["1" * 40, "1" * 40, "1" * 20]


def test_a_very_long_text_takes_no_time() -> None:
    began_at = time.process_time()
    assert len(split("a1" * 50_000)) == 25
    assert len(split("我，" * 50_000)) == 25
    assert time.process_time() - began_at < 2
