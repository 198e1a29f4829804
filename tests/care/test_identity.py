"""Questions about who answers get the true answer; other questions do not."""

import pytest

from care.identity import Question, asked
from care.texts import load


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("你是真人吗", Question.IS_HUMAN),
        ("你到底是不是人啊", Question.IS_HUMAN),
        ("你不是真人吧", Question.IS_HUMAN),
        ("有真人吗", Question.IS_HUMAN),
        ("對面是真人還是機器人", Question.IS_HUMAN),
        ("are you a real person?", Question.IS_HUMAN),
        ("你是AI吗？", Question.IS_PROGRAM),
        ("你是不是机器人", Question.IS_PROGRAM),
        ("你是ChatGPT吧", Question.IS_PROGRAM),
        ("我在和机器人聊天吗", Question.IS_PROGRAM),
        ("are you an AI", Question.IS_PROGRAM),
        ("你是心理咨询师吗", Question.IS_PROFESSIONAL),
        ("你是医生吗", Question.IS_PROFESSIONAL),
        ("你有咨询师证书吗", Question.IS_PROFESSIONAL),
        ("你是谁？", Question.WHO),
        ("我在跟谁聊天", Question.WHO),
        ("转人工", Question.FOR_A_HUMAN),
        ("我想和真人聊", Question.FOR_A_HUMAN),
    ],
)
def test_a_question_about_who_answers_is_recognised(text: str, question: Question) -> None:
    found = asked(text)
    assert found is not None
    assert found.question is question
    assert found.is_whole_message


@pytest.mark.parametrize(
    "text",
    [
        "他是真人吗",
        "我妈妈是医生",
        "我男朋友是程序员",
        "你是我见过最好的人",
        "你是不是觉得我有病",
        "你是好人吗",
        "我是不是不配做人",
        "我在学人工智能",
        "想找人聊天",
        "我的咨询师是真人吗这很重要",
    ],
)
def test_other_sentences_are_left_to_the_conversation(text: str) -> None:
    assert asked(text) is None


def test_a_longer_message_is_answered_and_goes_on_to_the_model() -> None:
    found = asked("你是真人吗？我最近和男朋友分手了，每天晚上都睡不着，不知道该怎么办才好")
    assert found is not None
    assert not found.is_whole_message


@pytest.mark.parametrize("locale", ["zh", "en"])
@pytest.mark.parametrize("question", list(Question))
def test_every_answer_says_that_we_are_a_program(question: Question, locale: str) -> None:
    words = load(locale).sentences[question]
    assert ("程序（AI）" if locale == "zh" else "program (an AI)") in words
