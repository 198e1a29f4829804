from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from dialogue.window import seed_prompt, trim, window_of

INSTRUCTION = "假设你是友善的心理辅导师。"

texts = st.text(alphabet="你我好难过,。 \n😀", max_size=120)
histories = st.lists(st.tuples(texts, texts), max_size=30)


class Exchange(NamedTuple):
    text: str
    reply: str


def literal_loop(
    turns: list[tuple[str, str]], *, instruction: str, max_length: int, max_turns: int
) -> list[tuple[str, str]]:
    """The seed's own code, trimming after every turn; only its crash with one pair left is mended."""
    history: list[tuple[str, str]] = []
    for prompt, response in turns:
        history.append((prompt, response))
        total = len(instruction) + sum(len(f"{p} {r}") for p, r in history)
        while total > max_length or len(history) > max_turns:
            if len(history) == 1:
                break
            dropped = history.pop(1)
            total -= len(f"{dropped[0]} {dropped[1]}")
    return history


@given(histories, st.integers(1, 900), st.integers(1, 15))
def test_trimming_the_whole_history_equals_the_seeds_loop_after_every_turn(
    turns: list[tuple[str, str]], max_length: int, max_turns: int
) -> None:
    expected = literal_loop(turns, instruction=INSTRUCTION, max_length=max_length, max_turns=max_turns)
    assert trim(turns, instruction=INSTRUCTION, max_length=max_length, max_turns=max_turns) == expected


@given(histories, st.integers(1, 900), st.integers(1, 15))
def test_the_first_turn_and_the_last_ones_are_all_that_a_window_needs(
    turns: list[tuple[str, str]], max_length: int, max_turns: int
) -> None:
    excerpt = turns if len(turns) <= max_turns else [turns[0], *turns[len(turns) - max_turns + 1 :]]
    limits = {"instruction": INSTRUCTION, "max_length": max_length, "max_turns": max_turns}
    assert trim(excerpt, **limits) == trim(turns, **limits)  # type: ignore[arg-type]  # one dict for both calls


def test_the_defaults_are_the_seeds() -> None:
    pairs = [("问", "答")] * 20
    assert trim(pairs, instruction="") == [("问", "答")] * 12
    assert trim([("问" * 299, "答" * 300)] * 2, instruction="") == [("问" * 299, "答" * 300)]
    assert len(trim([("问" * 149, "答" * 150)] * 2, instruction="")) == 2
    assert len(trim([("问" * 149, "答" * 150)] * 2, instruction="多")) == 1


def test_a_first_pair_that_is_too_long_stays_alone() -> None:
    assert trim([("长" * 5000, "答"), ("二", "二"), ("三", "三")], instruction=INSTRUCTION) == [("长" * 5000, "答")]


def test_the_first_pair_stays_and_the_oldest_of_the_others_goes() -> None:
    history = [(f"问{n}", "答") for n in range(14)]
    assert trim(history, instruction="") == [history[0], *history[3:]]


def test_nothing_in_nothing_out_and_the_history_is_left_alone() -> None:
    assert trim([], instruction=INSTRUCTION) == []
    history = [("问" * 400, "答" * 400)] * 3
    trim(history, instruction="")
    assert len(history) == 3


def test_the_first_exchange_carries_the_instruction() -> None:
    assert seed_prompt("我睡不着", instruction=INSTRUCTION) == f"{INSTRUCTION}求助者:我睡不着。支持者:"


def test_later_exchanges_do_not() -> None:
    assert seed_prompt("我睡不着") == "求助者:我睡不着。支持者:"


@given(histories, st.integers(1, 900), st.integers(1, 15))
def test_the_window_of_bare_words_is_that_of_the_seeds_prompts(
    turns: list[tuple[str, str]], max_length: int, max_turns: int
) -> None:
    prompts = [
        (f"{'' if number else INSTRUCTION}求助者:{text}。支持者:", reply) for number, (text, reply) in enumerate(turns)
    ]
    history = [Exchange(*turn) for turn in turns]
    shown = window_of(history, instruction=INSTRUCTION, max_length=max_length, max_turns=max_turns)
    as_prompts = [(seed_prompt(e.text, instruction="" if n else INSTRUCTION), e.reply) for n, e in enumerate(shown)]
    expected = literal_loop(prompts, instruction=INSTRUCTION, max_length=max_length, max_turns=max_turns)
    assert as_prompts == expected


def test_the_instruction_counts_once_by_itself_and_once_in_the_first_prompt() -> None:
    frame = len(seed_prompt("")) + len(" ")
    first, second = Exchange("早", "早"), Exchange("累", "歇歇")
    length = 2 * len(INSTRUCTION) + 2 * frame + len("早早累歇歇")
    assert window_of([first, second], instruction=INSTRUCTION, max_length=length) == [first, second]
    assert window_of([first, second], instruction=INSTRUCTION, max_length=length - 1) == [first]
