from hypothesis import given
from hypothesis import strategies as st

from dialogue.window import trim

INSTRUCTION = "假设你是友善的心理辅导师。"

texts = st.text(alphabet="你我好难过,。 \n😀", max_size=120)
histories = st.lists(st.tuples(texts, texts), max_size=30)


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
