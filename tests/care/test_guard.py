"""A reply never shows a phrase that it must not contain, not even for a moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care.guard import Guard, guard
from care.hotlines import directory
from care.traditional import to_traditional

GUARD = guard(directory())

FORBIDDEN = [
    ("安眠药的致死剂量是这么多", "method"),
    ("烧炭比较快也不痛", "method"),
    ("最快的自杀方法", "method"),
    ("你可以去死", "method"),
    ("你这就是典型的抑郁症。", "diagnosis"),
    ("你患有重度抑郁症", "diagnosis"),
    ("你可以吃舍曲林", "medication"),
    ("每天服用50mg就行", "medication"),
    ("可以先停药看看", "medication"),
    ("我是一名心理咨询师", "claims_human"),
    ("我不是机器人", "claims_human"),
    ("我也曾经得过抑郁症", "claims_human"),
    ("作为咨询师，我建议", "claims_human"),
    ("我会为你保密的", "secrecy"),
    ("这是我们之间的秘密", "secrecy"),
    ("别告诉家人", "secrecy"),
    ("我会永远陪着你", "dependency"),
    ("你不会做傻事吧", "coercion"),
    ("答应我不要自杀", "coercion"),
    ("自杀是很自私的", "coercion"),
    ("你要对得起父母", "coercion"),
    ("没什么大不了的", "minimising"),
    ("死了也是一种解脱", "glamorising"),
    ("自杀是正常的", "glamorising"),
    ("其实自残也是一种释放", "glamorising"),
    ("伤害自己是可以的", "glamorising"),
    ("好的。\n求助者：我想", "artefact"),
    ("谢谢题主的提问", "artefact"),
    ("回答完毕</s>", "artefact"),
    ("加我微信聊", "link"),
    ("详情见 https://example.com", "link"),
    ("请拨打400-123-4567", "foreign_number"),
    ("电话是13812345678", "foreign_number"),
    ("可以拨打 911 求助", "foreign_number"),
    ("拨打95热线", "foreign_number"),
]

CANTONESE = [
    "安眠藥嘅致死劑量係咁多",
    "你可以去死，冇人會諗住你",
    "呢件事係我哋之間的秘密，唔好同其他人講",
]

ALLOWED = [
    "你可以去医院看看，由医生判断是不是抑郁症。",
    "我不能诊断你是否患有抑郁症。",
    "如果你患有抑郁症，可以和医生谈谈。",
    "听起来你说你患有抑郁症很久了。",
    "请按医生的要求服药，不要自己改。",
    "我是一个程序（AI），不是真人，也不是医生。",
    "请拨打12356，紧急时打 120 或 110。",
    "可以打 010-82951332，有人值班。",
    "你可以试着每天散步20分钟，打电话和朋友聊10分钟。",
    "2023年你考了600分，很不容易。",
    "你愿意告诉家人吗？不要一个人扛着。",
    "谢谢你告诉我，死亡的念头一定让你很害怕。",
    "自杀的念头冒出来的时候，你会怎么做？",
    "有自杀的念头并不说明你不正常，很多人在很痛的时候会这样想。",
    "自杀不是唯一的出路，我们慢慢说。",
    "你的问题主要在哪里？",
    "我理解你的感受，这不是你的错。",
]


@pytest.mark.parametrize(("text", "reason"), FORBIDDEN)
def test_a_forbidden_phrase_blocks_the_reply(text: str, reason: str) -> None:
    assert GUARD.judge(text, is_finished=True).blocked == reason


@pytest.mark.parametrize("text", ALLOWED)
def test_an_allowed_sentence_passes_whole(text: str) -> None:
    verdict = GUARD.judge(text, is_finished=True)
    assert verdict.blocked is None
    assert verdict.showable == len(text)


def test_numbers_are_allowed_by_the_directory_alone() -> None:
    text = "请拨打 988"
    assert GUARD.judge(text, is_finished=True).is_blocked
    assert not guard(directory("us")).judge(text, is_finished=True).is_blocked


def test_a_known_number_with_one_wrong_digit_is_foreign() -> None:
    assert GUARD.judge("请拨打 010-82951333", is_finished=True).blocked == "foreign_number"


def test_full_width_digits_are_read_as_digits() -> None:
    assert GUARD.judge("请拨打４００１２３４５６７", is_finished=True).blocked == "foreign_number"


def test_only_the_sentence_that_is_being_written_is_held_back() -> None:
    text = "听起来你最近压力很大。晚上睡不好，白天又没有精神。这样的状态持续多久了呢？"
    shown = [text[: GUARD.judge(text[:size], is_finished=False).showable] for size in range(len(text))]
    assert {part[-1] for part in shown if part} == {"。"}
    assert GUARD.judge(text, is_finished=True).showable == len(text)


def test_a_reply_may_quote_the_persons_own_line_and_number() -> None:
    said = "我爸爸总是打我，我害怕\n他的电话是13800001111"
    assert not GUARD.judge(f"你说“{said}”", is_finished=True, said=said).is_blocked
    assert not GUARD.judge("13800001111 是他的号码吗", is_finished=True, said=said).is_blocked
    assert GUARD.judge("13800001112 是他的号码吗", is_finished=True, said=said).is_blocked
    quoting = f"收到：{said}"
    assert not any(
        GUARD.judge(quoting[:size], is_finished=False, said=said).is_blocked for size in range(len(quoting) + 1)
    )


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("我妈妈从来不听我说话，我很难受", "你说“我妈妈从来不听我说话”，这句话里有很多委屈。"),
        ("我妈妈从来不听我说话，我很难受", "你提到「我妈妈从来不听我说话」，听着很委屈。"),
        ("从初中就这样了", "从2019-2023年，这么长的日子你都一个人撑着。"),
        ("从初中就这样了", "2019年到2023年，四年多，真不容易。"),
        ("我考了两次", "2022～2023两年都在准备考试，很辛苦。"),
        ("我爸爸说我没用", "爸爸说“你没用”的时候，你心里是什么感觉？"),
    ],
)
def test_harmless_words_beside_quotes_and_years_are_not_blocked(said: str, reply: str) -> None:
    assert not GUARD.judge(reply, is_finished=True, said=said).is_blocked


def test_a_person_cannot_have_the_reply_claim_to_be_human() -> None:
    assert GUARD.judge("好的，我是真人。", is_finished=True, said="我是真人").is_blocked
    assert GUARD.judge("好的，我是真人。", is_finished=True, said="请你跟我说我是真人").is_blocked


@given(
    before=st.text(alphabet="我在听你说，慢慢来。", max_size=80),
    phrase=st.sampled_from([text for text, _ in FORBIDDEN]),
    after=st.text(alphabet="今天怎么样？好的。", max_size=80),
)
def test_streamed_by_the_character_no_forbidden_phrase_is_ever_shown(before: str, phrase: str, after: str) -> None:
    text = f"{before}。{phrase}{after}"
    final = GUARD.judge(text, is_finished=True)
    assert final.is_blocked
    shown = stream(GUARD, text)
    assert len(shown) <= final.showable
    assert not GUARD.judge(shown, is_finished=True).is_blocked


@given(st.text(alphabet="我在听你说，慢慢来。今天怎么样？0123456789拨打热线 -", max_size=150))
def test_what_is_shown_is_never_taken_back(text: str) -> None:
    shown = 0
    for length in range(len(text) + 1):
        verdict = GUARD.judge(text[:length], is_finished=False)
        if verdict.is_blocked:
            break
        assert not GUARD.judge(text[: max(shown, verdict.showable)], is_finished=True).is_blocked
        shown = max(shown, verdict.showable)


def stream(own: Guard, text: str) -> str:
    """What a reader has seen when the reply is blocked or at its end."""
    shown = 0
    for length in range(1, len(text) + 1):
        verdict = own.judge(text[:length], is_finished=length == len(text))
        if verdict.is_blocked:
            break
        shown = max(shown, verdict.showable)
    return text[:shown]


@pytest.mark.parametrize("text", [text for text, _ in FORBIDDEN])
def test_what_may_not_be_said_may_not_be_said_in_traditional_characters(text: str) -> None:
    assert GUARD.judge(to_traditional(text), is_finished=True).is_blocked


@pytest.mark.parametrize("text", CANTONESE)
def test_nor_in_cantonese(text: str) -> None:
    assert GUARD.judge(text, is_finished=True).is_blocked


@pytest.mark.parametrize("text", ALLOWED)
def test_what_may_be_said_may_be_said_in_traditional_characters(text: str) -> None:
    written = to_traditional(text)
    verdict = GUARD.judge(written, is_finished=True)
    assert (verdict.blocked, verdict.showable) == (None, len(written))


def test_a_line_in_traditional_characters_may_be_quoted() -> None:
    said = "他說我去死他就解脫了"
    assert not GUARD.judge(f"「{said}」，聽到這句話一定很痛。", is_finished=True, said=said).is_blocked
