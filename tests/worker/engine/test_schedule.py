"""Blocks are never lost, doubled or written by two, and every sequence gets to its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.blocks import BlockPool
from worker.engine.schedule import Chunk, Scheduler, TokenSequence

SIZE = 4


def sequence(prompt: list[int], *, reply: int = 3) -> TokenSequence:
    return TokenSequence(tokens=list(prompt), max_length=len(prompt) + reply)


def scheduler(*, blocks: int = 32, at_once: int = 4, step_tokens: int = 16) -> tuple[Scheduler, BlockPool]:
    pool = BlockPool(count=blocks, size=SIZE)
    return Scheduler(pool, max_running=at_once, max_tokens=step_tokens), pool


def step(chosen: Scheduler) -> list[Chunk]:
    """Compute the next step; every sequence says 7."""
    slices = chosen.schedule()
    for part in slices:
        needs_token = part.needs_token
        chosen.mark_computed(part)
        if needs_token:
            part.sequence.tokens.append(7)
            if len(part.sequence.tokens) >= part.sequence.max_length:
                chosen.remove(part.sequence)
    return slices


def spans(slices: list[Chunk]) -> list[tuple[int, int]]:
    return [(part.start, part.stop) for part in slices]


def test_a_long_prompt_is_prefilled_in_chunks_beside_decoding() -> None:
    chosen, _ = scheduler(step_tokens=5)
    decoding, long = sequence([1, 2], reply=9), sequence(list(range(10)))
    chosen.add(decoding)
    step(chosen)
    chosen.add(long)
    assert spans(step(chosen)) == [(2, 3), (0, 4)]
    assert spans(step(chosen)) == [(3, 4), (4, 8)]


def test_no_step_is_longer_than_allowed() -> None:
    chosen, _ = scheduler(step_tokens=5)
    for _ in range(4):
        chosen.add(sequence(list(range(9))))
    while len(chosen):
        assert sum(len(part) for part in step(chosen)) <= 5


def test_the_youngest_gives_its_blocks_to_an_older_one() -> None:
    chosen, _ = scheduler(blocks=4)
    old, young = sequence([1] * 7, reply=8), sequence([2] * 3, reply=3)
    chosen.add(old)
    chosen.add(young)
    served = [part.sequence for _ in range(6) for part in step(chosen)]
    assert old in served
    assert chosen.waiting_count == 1
    while len(chosen):
        step(chosen)


def test_a_sequence_is_let_in_only_if_the_running_ones_can_still_grow() -> None:
    chosen, _ = scheduler(blocks=3)
    chosen.add(sequence([1] * 4, reply=4))
    step(chosen)
    chosen.add(sequence([2] * 8))
    step(chosen)
    assert (chosen.running_count, chosen.waiting_count) == (1, 1)


def test_a_prefix_that_was_computed_is_found_again() -> None:
    chosen, _ = scheduler()
    chosen.add(sequence(list(range(9)), reply=1))
    step(chosen)
    chosen.add(sequence([*range(9), 50, 51], reply=1))
    assert spans(step(chosen)) == [(8, 11)]


def test_another_beginning_is_not_taken_for_the_same() -> None:
    chosen, _ = scheduler()
    chosen.add(sequence([1, 2, 3, 4, 5, 6, 7, 8, 9], reply=1))
    step(chosen)
    chosen.add(sequence([9, 2, 3, 4, 5, 6, 7, 8, 9], reply=1))
    assert spans(step(chosen)) == [(0, 9)]


def test_a_shared_block_outlives_the_first_of_its_holders() -> None:
    pool = BlockPool(count=4, size=SIZE)
    block = pool.allocate()
    assert block is not None
    pool.register(block, pool.key(b"", [1, 2, 3, 4]))
    shared, _ = pool.share([1, 2, 3, 4, 5])
    assert shared == [block]
    pool.release([block])
    assert pool.free_count == 3
    pool.release(shared)
    assert pool.free_count == 4


def test_a_forgotten_block_is_not_found_any_more() -> None:
    pool = BlockPool(count=1, size=SIZE)
    block = pool.allocate()
    assert block is not None
    pool.register(block, pool.key(b"", [1, 2, 3, 4]))
    pool.release([block])
    assert pool.allocate() == block
    assert pool.share([1, 2, 3, 4, 5]) == ([], [])


@given(
    prompts=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=12),
    replies=st.lists(st.integers(1, 12), min_size=12, max_size=12),
    leaving=st.lists(st.integers(0, 40), max_size=6),
    blocks=st.integers(11, 40),
    step_tokens=st.integers(4, 40),
    at_once=st.integers(1, 5),
)
def test_every_sequence_ends_and_no_block_is_lost(
    *, prompts: list[list[int]], replies: list[int], leaving: list[int], blocks: int, step_tokens: int, at_once: int
) -> None:
    chosen, pool = scheduler(blocks=blocks, step_tokens=step_tokens, at_once=at_once)
    sequences = [sequence(prompt, reply=reply) for prompt, reply in zip(prompts, replies, strict=False)]
    for each in sequences:
        chosen.add(each)
    gone: set[int] = set()
    for number in range(10_000):
        if number in leaving and number < len(sequences):
            each = sequences[number]
            if len(each.tokens) < each.max_length:
                chosen.remove(each)
                gone.add(number)
        if not len(chosen):
            break
        slices = step(chosen)
        assert slices
        assert len(slices) <= at_once
    assert pool.free_count == blocks
    for number, each in enumerate(sequences):
        assert number in gone or len(each.tokens) == each.max_length


@pytest.mark.parametrize("at_once", [1, 3])
def test_never_more_than_allowed_hold_blocks(at_once: int) -> None:
    chosen, _ = scheduler(at_once=at_once)
    for _ in range(6):
        chosen.add(sequence([1] * 3))
    while len(chosen):
        step(chosen)
        assert chosen.running_count <= at_once
