"""Whether a reply takes up what was said, and what counts as repeating oneself."""

import pytest

from training.evaluation.relevance import Replied, content, is_related, repeated_share, repeats_earlier, shares


@pytest.mark.parametrize(
    ("text", "reply", "related"),
    [
        ("我爸上个月去世了，肺癌", "听到父亲去世，你一定很难过。", True),
        ("我爸上个月去世了，肺癌", "是由性病引起的吗？", False),
        ("我觉得自己在这里", "我在这里听你说。", None),
        ("嗯", "慢慢来。", None),
        ("我失眠", "失，眠", False),
    ],
)
def test_a_related_reply_takes_up_what_the_message_is_about(text: str, reply: str, related: bool | None) -> None:
    assert is_related(text, reply) is related


def test_words_that_stand_anywhere_are_not_what_a_message_is_about() -> None:
    assert content("我觉得现在的生活没有希望，谢谢你") == set()
    assert content("小猫，去世") == {"小猫", "去世"}


def test_repetition_is_counted_in_runs_of_characters() -> None:
    assert repeats_earlier("你可以和他好好谈一谈吗", ["我想，你可以和他好好说"])
    assert not repeats_earlier("你可以，和他好好谈", ["你可以和他好好说"])
    assert repeated_share("我明白你的感受。我明白你的感受。") == 0.5
    assert repeated_share("好") == 0


def test_shares_leave_out_messages_that_are_about_nothing() -> None:
    found = shares([Replied("我失眠", "失眠多久了？", ()), Replied("嗯", "好", ())])
    assert found["related"] == 1
    assert found["repeats_an_earlier_reply"] == 0
