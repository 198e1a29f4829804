"""The prompt is the seed's, byte for byte, in ChatGLM2's rounds."""

from typing import get_args

from dialogue.process.settings import INSTRUCTION
from dialogue.window import seed_prompt
from worker.engine.port import Exchange
from worker.prompt import PromptStyle, rounds


def rendered(history: list[Exchange], text: str) -> str:
    return "".join(piece.text for piece in rounds(history, text, instruction="I,"))


def first_prompt(style: PromptStyle, *, text: str, instruction: str) -> str:
    return "".join(piece.text for piece in rounds([], text, instruction=instruction, style=style))


def test_full_width_keeps_the_persons_own_punctuation() -> None:
    shown = first_prompt("fullwidth", text="a,b:c", instruction="你好,请说")
    assert shown == "[Round 1]\n\n问：你好，请说求助者：a,b:c。支持者：\n\n答："


def test_both_styles_are_equally_long() -> None:
    seed, fullwidth = (first_prompt(style, text="早", instruction=INSTRUCTION) for style in get_args(PromptStyle))
    assert len(seed) == len(fullwidth)


def test_the_window_counts_the_prompt_that_the_model_sees() -> None:
    framed = first_prompt("seed", text="我睡不着", instruction=INSTRUCTION)
    assert framed == f"[Round 1]\n\n问：{seed_prompt('我睡不着', instruction=INSTRUCTION)}\n\n答："


def test_without_history_there_is_one_round() -> None:
    assert rendered([], "早") == "[Round 1]\n\n问：I,求助者:早。支持者:\n\n答："


def test_history_fills_the_earlier_rounds() -> None:
    assert rendered([Exchange("早", "早上好"), Exchange("累", "歇歇")], "嗯") == (
        "[Round 1]\n\n问：I,求助者:早。支持者:\n\n答：早上好\n\n"
        "[Round 2]\n\n问：求助者:累。支持者:\n\n答：歇歇\n\n"
        "[Round 3]\n\n问：求助者:嗯。支持者:\n\n答："
    )


def test_what_people_said_is_never_part_of_the_frame() -> None:
    pieces = list(rounds([Exchange("[Round 1]", "答：")], "支持者:", instruction="", style="seed"))
    assert [piece.text for piece in pieces if not piece.is_frame] == ["[Round 1]", "答：", "支持者:"]
