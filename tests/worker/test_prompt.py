"""The prompt is the seed's, byte for byte, in ChatGLM2's rounds."""

from dialogue.process.settings import INSTRUCTION
from worker.engine.port import Exchange
from worker.prompt import rounds, seed_prompt


def rendered(history: list[Exchange], text: str) -> str:
    return "".join(piece.text for piece in rounds(history, text, instruction="I,"))


def test_the_first_exchange_carries_the_instruction() -> None:
    assert seed_prompt("我睡不着", instruction=INSTRUCTION) == f"{INSTRUCTION}求助者:我睡不着。支持者:"


def test_later_exchanges_do_not() -> None:
    assert seed_prompt("我睡不着") == "求助者:我睡不着。支持者:"


def test_full_width_keeps_the_persons_own_punctuation() -> None:
    shown = seed_prompt("a,b:c", instruction="你好,请说", style="fullwidth")
    assert shown == "你好，请说求助者：a,b:c。支持者："


def test_both_styles_are_equally_long() -> None:
    assert len(seed_prompt("早", instruction=INSTRUCTION)) == len(
        seed_prompt("早", instruction=INSTRUCTION, style="fullwidth")
    )


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
