"""The batched computation equals an independent reading of ChatGLM2, however prompts are cut, shared or evicted."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import GlmConfig, GlmForCausalLM, PreTrainedModel

from tests.worker.engine import chatglm2
from worker.engine.blocks import BlockPool
from worker.engine.cuda_graphs import packed, split
from worker.engine.runner import CacheShape, Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.engine.schedule import Scheduler, TokenSequence

BLOCK_SIZE = 16
LENGTHS = (1, 3, 17, 64, 200)
REPLY = 32
TOLERANCE = 1e-4


def run(
    model: PreTrainedModel, prompts: list[list[int]], *, blocks: int, step_tokens: int = 512, at_once: int = 8
) -> tuple[list[list[int]], list[Tensor], int]:
    """Greedy replies of 32 tokens, the logits after each prompt, and how often a sequence lost its blocks."""
    pool = BlockPool(count=blocks, size=BLOCK_SIZE)
    runner = Runner(model, sampler=greedy_sampler(), block_count=blocks, block_size=BLOCK_SIZE)
    scheduler = Scheduler(pool, max_running=at_once, max_tokens=step_tokens)
    sequences = [TokenSequence(tokens=list(prompt), max_length=len(prompt) + REPLY) for prompt in prompts]
    firsts: dict[int, Tensor] = {}
    evictions = 0
    for sequence in sequences:
        scheduler.add(sequence)
    while len(scheduler):
        running = scheduler.running_count
        slices = scheduler.schedule()
        evictions += scheduler.running_count < running
        inputs = [
            RunnerInput(
                part.sequence.tokens[part.start : part.stop], part.start, part.sequence.blocks, part.needs_token
            )
            for part in slices
        ]
        rows = iter(runner.logits(inputs))
        for part in slices:
            needs_token = part.needs_token
            scheduler.mark_computed(part)
            if needs_token:
                logits = next(rows)
                firsts.setdefault(id(part.sequence), logits)
                part.sequence.tokens.append(int(logits.argmax()))
                if len(part.sequence.tokens) == part.sequence.max_length:
                    scheduler.remove(part.sequence)
    assert pool.free_count == blocks
    replies = [sequence.tokens[len(prompt) :] for sequence, prompt in zip(sequences, prompts, strict=True)]
    return replies, [firsts[id(sequence)] for sequence in sequences], evictions


def greedy_sampler() -> Sampler:
    return Sampler(Sampling(temperature=1, top_p=1, top_k=1), device=torch.device("cpu"))


@pytest.fixture(scope="module")
def expected() -> dict[int, tuple[list[int], Tensor]]:
    """By length: the reference's reply and its logits after the prompt."""
    prompts = {length: chatglm2.prompt(length) for length in LENGTHS}
    return {
        length: (chatglm2.greedy(prompt, REPLY), chatglm2.forward(prompt)[-1]) for length, prompt in prompts.items()
    }


@pytest.mark.parametrize(
    ("blocks", "step_tokens", "at_once"),
    [
        pytest.param(64, 512, 1, id="one after the other"),
        pytest.param(64, 512, 8, id="together"),
        pytest.param(64, 7, 8, id="prompts in slices of seven"),
        pytest.param(17, 64, 8, id="a starved cache"),
    ],
)
def test_replies_equal_the_reference(
    model: PreTrainedModel,
    expected: dict[int, tuple[list[int], Tensor]],
    blocks: int,
    step_tokens: int,
    at_once: int,
) -> None:
    prompts = [chatglm2.prompt(length) for length in LENGTHS]
    replies, firsts, _ = run(model, prompts, blocks=blocks, step_tokens=step_tokens, at_once=at_once)
    for length, reply, logits in zip(LENGTHS, replies, firsts, strict=True):
        assert reply == expected[length][0]
        assert (logits - expected[length][1]).abs().max() < TOLERANCE


def test_a_starved_cache_takes_blocks_away_and_gives_the_same_replies(
    model: PreTrainedModel, expected: dict[int, tuple[list[int], Tensor]]
) -> None:
    replies, _, evictions = run(model, [chatglm2.prompt(64)] * 2 + [chatglm2.prompt(17)] * 2, blocks=9)
    assert evictions > 0
    assert replies == [expected[64][0]] * 2 + [expected[17][0]] * 2


def test_a_shared_prefix_is_computed_once_and_changes_nothing(
    model: PreTrainedModel, expected: dict[int, tuple[list[int], Tensor]]
) -> None:
    prompts = [chatglm2.prompt(length) for length in (200, 64, 200, 64)]  # each begins with the shorter one
    replies, firsts, _ = run(model, prompts, blocks=64, at_once=1)
    assert replies == [expected[length][0] for length in (200, 64, 200, 64)]
    assert (
        max(
            float((logits - expected[length][1]).abs().max())
            for logits, length in zip(firsts, (200, 64, 200, 64), strict=True)
        )
        < TOLERANCE
    )


def test_generate_on_a_left_padded_batch_equals_the_reference(
    model: PreTrainedModel, expected: dict[int, tuple[list[int], Tensor]]
) -> None:
    lengths = (3, 17, 64)
    padded = torch.tensor([[0] * (64 - length) + chatglm2.prompt(length) for length in lengths])
    mask = torch.tensor([[0] * (64 - length) + [1] * length for length in lengths])
    written = model.generate(  # type: ignore[operator]  # transformers' mixin
        padded, attention_mask=mask, do_sample=False, max_new_tokens=REPLY, min_new_tokens=REPLY, eos_token_id=None
    )
    assert written[:, 64:].tolist() == [expected[length][0] for length in lengths]


def test_a_row_without_numbers_is_reported_and_the_others_are_drawn() -> None:
    drawn = greedy_sampler().sample(torch.tensor([[0.0, 3.0], [float("nan"), 1.0], [2.0, 1.0]]))
    assert drawn == [1, None, 0]


def test_the_cache_of_mindglm_takes_28_672_bytes_for_a_token() -> None:
    assert CacheShape(layers=28, heads=2, width=128).bytes_per_token(torch.float16) == 28_672


def test_a_padded_decode_step_gives_the_same_logits_as_the_step_itself(model: PreTrainedModel) -> None:
    runner = Runner(model, sampler=greedy_sampler(), block_count=32, block_size=BLOCK_SIZE)
    prompts = [chatglm2.prompt(length) for length in (40, 3, 17)]
    blocks = [list(range(number * 8, number * 8 + 8)) for number in range(3)]
    for ids, own in zip(prompts, blocks, strict=True):
        runner.logits([RunnerInput(ids, 0, own, needs_token=True)])
    sequences = [(5, len(ids), own) for ids, own in zip(prompts, blocks, strict=True)]
    expected = runner.logits([RunnerInput([id_], start, own, needs_token=True) for id_, start, own in sequences])
    numbers = torch.tensor(packed(sequences, size=4, width=6, padding=runner.block_count))
    with torch.inference_mode():
        found = runner.decode(*split(numbers, 4))
    assert found.shape[0] == 4
    assert (found[:3] - expected).abs().max() < 1e-5


class CountedOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Counts operations that compute; views cost no launch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.count += not (func.is_view or func.overloadpacket in _VIEWS)
        return result


_VIEWS = {torch.ops.aten.unflatten, torch.ops.aten.flatten, torch.ops.aten.reshape, torch.ops.aten.chunk}


@pytest.mark.parametrize("sequences", [1, 16])
def test_a_decode_step_of_mindglms_depth_takes_few_operations(sequences: int) -> None:
    config = GlmConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=28,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        attention_bias=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    runner = Runner(GlmForCausalLM(config), sampler=greedy_sampler(), block_count=16, block_size=BLOCK_SIZE)
    ids = torch.zeros(sequences, dtype=torch.long)
    table = torch.zeros(sequences, 2, dtype=torch.long)
    with torch.inference_mode(), CountedOperations() as counted:
        runner.decode(ids, ids + 20, table)
    assert counted.count <= 450


_WAITING = {
    torch.ops.aten._local_scalar_dense,  # .item(), bool(), int()
    torch.ops.aten.nonzero,
    torch.ops.aten.masked_select,
    torch.ops.aten.equal,
    torch.ops.aten.is_nonzero,
    torch.ops.aten.multinomial,  # checks its weights
}
"""Operations whose result the host must know before it can go on."""


class WaitsForTheDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Remembers the operations that make the host wait; the copy of the ids at a step's end is not dispatched."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in _WAITING:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_host_waits_for_nothing_within_a_step(model: PreTrainedModel) -> None:
    drawing = Sampling(temperature=0.8, top_p=0.8, top_k=50, suppressed_ids=frozenset({1}))
    sampler = Sampler(drawing, device=model.device)
    runner = Runner(model, sampler=sampler, block_count=32, block_size=BLOCK_SIZE)
    prompts = [RunnerInput(chatglm2.prompt(20), 0, [number, number + 8], needs_token=True) for number in (0, 1)]
    decoding = [RunnerInput([5], 20, [number, number + 8], needs_token=True) for number in (0, 1)]
    with torch.inference_mode(), WaitsForTheDevice() as waits:
        runner.sample(prompts)
        runner.sample(decoding)
    assert waits.found == []
