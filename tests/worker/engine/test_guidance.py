"""Guided replies: two sequences that share every token, sampled from logits moved away from the blind prompt's."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from tests.worker.engine import chatglm2
from tests.worker.engine.builders import FakeRunner, Gate, asking, bundled_tokenizer, last, request, running
from worker.engine.assemble import assemble
from worker.engine.blocks import BlockPool
from worker.engine.guidance import Guidance
from worker.engine.port import Cancelled, Exchange, Finish
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling, guide
from worker.engine.schedule import Chunk, Scheduler, TokenSequence
from worker.model.find import BUNDLED
from worker.settings import WorkerSettings

WORDS = bundled_tokenizer().text_ids("我在这里听你说")
SCALE = 2.5


def pair(prompt: list[int], blind: list[int], *, reply: int) -> TokenSequence:
    length = len(prompt) + reply
    return TokenSequence(
        tokens=list(prompt),
        max_length=length,
        unconditional=TokenSequence(tokens=list(blind), max_length=length),
    )


def test_a_pair_becomes_one_row_and_other_rows_stay() -> None:
    logits = torch.tensor([[1.0, 2.0], [3.0, 5.0], [1.0, 1.0], [7.0, 0.0]])
    assert guide(logits, [None, 2.0, None, None]).tolist() == [[1.0, 2.0], [5.0, 9.0], [7.0, 0.0]]
    assert guide(logits, [None] * 4) is logits


def test_guidance_is_strongest_at_the_beginning_of_a_reply() -> None:
    assert Guidance(scale=3).at(0) == 3
    assert Guidance(scale=3).at(100) == 1.5
    assert not Guidance().is_on


@pytest.mark.parametrize("step_tokens", [9, 512])
def test_guided_replies_equal_the_formula(model: PreTrainedModel, step_tokens: int) -> None:
    prompts = [(chatglm2.prompt(40), chatglm2.prompt(17)), (chatglm2.prompt(17), chatglm2.prompt(3))]
    sequences = [pair(prompt, blind, reply=8) for prompt, blind in prompts]
    scheduler = Scheduler(BlockPool(count=32, size=16), max_running=4, max_tokens=step_tokens)
    sampler = Sampler(Sampling(temperature=1, top_p=1, top_k=1), device=torch.device("cpu"))
    runner = Runner(model, sampler=sampler, block_count=32, block_size=16)
    for sequence in sequences:
        scheduler.add(sequence)
    while len(scheduler):
        chunks = scheduler.schedule()
        tokens = iter(runner.run([_input(chunk) for chunk in chunks]))
        for chunk in chunks:
            scheduler.mark_computed(chunk)
        for sequence in [chunk.sequence for chunk in chunks if chunk.needs_token and chunk.sequence in sequences]:
            token = next(tokens)
            assert token is not None
            sequence.append(token)
            if len(sequence.tokens) == sequence.max_length:
                scheduler.remove(sequence)
    for (prompt, blind), sequence in zip(prompts, sequences, strict=True):
        assert sequence.tokens[len(prompt) :] == _greedy(prompt, blind, 8)


@given(
    prompts=st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=30),
            st.none() | st.lists(st.integers(0, 2), min_size=1, max_size=20),
        ),
        min_size=1,
        max_size=10,
    ),
    reply=st.integers(1, 12),
    blocks=st.integers(22, 60),
    step_tokens=st.integers(4, 40),
    at_once=st.integers(1, 5),
)
def test_guided_and_plain_sequences_all_end_and_no_block_is_lost(
    *,
    prompts: list[tuple[list[int], list[int] | None]],
    reply: int,
    blocks: int,
    step_tokens: int,
    at_once: int,
) -> None:
    pool = BlockPool(count=blocks, size=4)
    scheduler = Scheduler(pool, max_running=at_once, max_tokens=step_tokens)
    sequences = [
        TokenSequence(tokens=list(prompt), max_length=len(prompt) + reply)
        if blind is None
        else pair(prompt, blind, reply=reply)
        for prompt, blind in prompts
    ]
    for sequence in sequences:
        scheduler.add(sequence)
    for _ in range(5_000):
        if not len(scheduler):
            break
        chunks = scheduler.schedule()
        assert chunks
        asking_now = [chunk.sequence for chunk in chunks if chunk.needs_token]
        for chunk in chunks:
            scheduler.mark_computed(chunk)
        for sequence in [one for one in asking_now if one in sequences]:
            if sequence.unconditional is not None:  # its twin stands right behind it
                assert asking_now[asking_now.index(sequence) + 1] is sequence.unconditional
            sequence.append(7)
            if len(sequence.tokens) >= sequence.max_length:
                scheduler.remove(sequence)
    assert not len(scheduler)
    assert pool.free_count == blocks


def test_a_guided_engine_streams_whole_replies_for_many_at_once() -> None:
    history = [Exchange("累", "嗯")] * 3
    with running(FakeRunner(WORDS), guidance=2.0) as engine, ThreadPoolExecutor(8) as pool:
        ends = list(
            pool.map(
                lambda number: last(engine, request("我很难过" * number, id=str(number), history=history)), range(8)
            )
        )
    assert [end.reply_tokens for end in ends] == [20] * 8
    assert {end.finish for end in ends} == {Finish.LENGTH}


def test_a_guided_request_survives_a_failed_step_and_can_be_cancelled() -> None:
    broken = iter([RuntimeError("once")])

    def fail_once(_inputs: object) -> None:
        for error in broken:
            raise error

    gate = Gate()
    with running(FakeRunner(WORDS, before=fail_once), guidance=2.0) as engine:
        assert last(engine, request()).reply_tokens == 20
    with running(FakeRunner(WORDS, before=gate), guidance=2.0) as engine, asking(engine, id="a") as asked:
        assert gate.reached.wait(5)
        engine.cancel("a")
        gate.opened.set()
        with pytest.raises(Cancelled):
            asked.result(5)


@pytest.mark.parametrize(("setting", "recommended", "scale"), [(None, 1.7, 1.7), (1.0, 1.7, 1.0), (None, None, 1.0)])
def test_the_setting_wins_over_what_the_model_recommends(
    tmp_path: Path, setting: float | None, recommended: float | None, scale: float
) -> None:
    directory = shutil.copytree(BUNDLED, tmp_path / "model")
    file = directory / "generation_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.pop("guidance_scale", None)
    file.write_text(json.dumps(config | ({"guidance_scale": recommended} if recommended else {})), encoding="utf-8")
    settings = WorkerSettings.read().model_copy(update={"model": str(directory), "guidance": setting, "threads": 1})
    assert assemble(settings, capacity=1).guidance.scale == scale


def _input(chunk: Chunk) -> RunnerInput:
    sequence = chunk.sequence
    is_guided = chunk.needs_token and sequence.unconditional is not None
    return RunnerInput(
        sequence.tokens[chunk.start : chunk.stop],
        chunk.start,
        sequence.blocks,
        chunk.needs_token,
        SCALE if is_guided else None,
    )


def _greedy(prompt: list[int], blind: list[int], count: int) -> list[int]:
    reply: list[int] = []
    for _ in range(count):
        guided, plain = (_last(ids + reply) for ids in (prompt, blind))
        reply.append(int((plain + SCALE * (guided - plain)).argmax()))
    return reply


def _last(ids: list[int]) -> Tensor:
    return chatglm2.forward(ids)[-1]
