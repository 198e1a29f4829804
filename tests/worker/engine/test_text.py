"""What is shown of an unfinished reply is never taken back, and never shows the prompt's frame."""

import random
from itertools import pairwise

import pytest

from tests.worker.engine.builders import bundled_tokenizer
from worker.engine.text import ReplyText


def shown(*pieces: str) -> list[str]:
    text = ReplyText()
    seen = []
    for piece in pieces:
        text.add(piece)
        seen.append(text.shown())
    return [*seen, text.whole()]


@pytest.mark.parametrize("marker", ["求助者:", "求助者：", "[Round 2]", "\n\n问：", "支持者:", "支持者："])
def test_it_stops_where_the_model_invents_the_next_turn(marker: str) -> None:
    text = ReplyText()
    for character in f"你好。{marker}我很好":
        text.add(character)
    assert text.is_stopped
    assert text.whole() == "你好。"


def test_a_possible_marker_is_held_back_until_it_is_known() -> None:
    assert shown("好。", "求助", "者", "很多") == ["好。", "好。", "好。", "好。求助者很多", "好。求助者很多"]


def test_a_reply_that_ends_in_half_a_marker_is_whole_in_the_end() -> None:
    assert shown("我们求助")[-1] == "我们求助"


def test_an_echoed_role_name_is_dropped() -> None:
    assert shown("支持者", ":", "你好") == ["", "", "你好", "你好"]


def test_the_training_time_is_rewritten_as_chatglm2_does() -> None:
    assert shown(" 现在是[[训练", "时间]]。")[-1] == "现在是2023年。"


def test_outer_space_is_never_shown() -> None:
    assert shown("\n 你", "好 \n", "吗") == ["你", "你好", "你好 \n吗", "你好 \n吗"]


def test_no_half_character_is_ever_shown_and_nothing_is_lost() -> None:
    tokenizer = bundled_tokenizer()
    alphabet = "你好，。😀👨‍👩‍👧𠮷é\n ﷽abc求助者支持[Rou"
    generator = random.Random(3)  # a fixed seed, not a secret
    for _ in range(300):
        written = "".join(generator.choices(alphabet, k=generator.randint(1, 30)))
        decoder, text, seen = tokenizer.decoder(), ReplyText(), [""]
        for id_ in tokenizer.text_ids(written):
            text.add(decoder.push(id_))
            seen.append(text.shown())
        assert not any("\ufffd" in part for part in seen)
        if not text.is_stopped:
            assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
            assert text.whole() == written.strip()
