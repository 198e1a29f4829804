"""What no published reply may bring along."""

import pytest

from worker.engine.port import Exchange
from worker.retrieval.vetoes import Vetoes

_FITS = "听起来你很难过，愿意多说一点吗？"


@pytest.mark.parametrize(
    "reply",
    [
        "听起来你和婆婆的关系让你很难过。",  # nobody spoke of her
        "这三年你一定很难过。",
        "听起来你很难过，是在高考之后开始的吗？",
        "是的，听起来你很难过。",
        "难过是很正常的。",
        "听起来你很难过，但是要理解他。",
        "听起来你很难过，试着和家人沟通一下。",
        "听起来你很难过，是吗？",
        "为什么你会这样难过呢？",
        "每个人都会难过。",
        "祝你早日不再难过。",
    ],
)
def test_what_was_not_said_is_not_brought_along(reply: str) -> None:
    vetoes = Vetoes([], "我很难过")
    assert vetoes.forbid(reply)
    assert not vetoes.forbid(_FITS)


def test_what_was_said_earlier_may_be_named() -> None:
    reply = "听起来婆婆的话让你很难过。"
    assert Vetoes([], "我很难过").forbid(reply)
    assert not Vetoes([Exchange("婆婆骂我", "嗯")], "我很难过").forbid(reply)


def test_a_number_may_be_taken_up() -> None:
    assert not Vetoes([], "我难过了三年").forbid("三年来你一直很难过。")


def test_to_grief_only_words_for_a_loss_are_given() -> None:
    vetoes = Vetoes([], "我奶奶去世了，我很难过")
    assert vetoes.forbid(_FITS)
    assert not vetoes.forbid("失去奶奶一定让你很难过。")
