"""Replies drawn from the policy as it is: no temperature, no top-k, so that what is learned from is what was drawn.

The worker's engine draws them: a reply that has ended makes room, and prompts that begin alike are computed once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from transformers import PreTrainedModel

from training.core import attention
from training.data.dialogue import Dialogue
from training.data.encoding import Encoded, Encoder, Part
from training.data.windows import before
from training.trouble import TrainingTrouble
from worker.engine.blocks import BlockPool
from worker.engine.runner import CacheShape, Runner
from worker.engine.runner_input import OutOfMemory, RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.engine.schedule import Chunk, Scheduler, TokenSequence
from worker.engine.sizing import BLOCK_SIZE, free_bytes

AS_IT_IS: Final = Sampling(temperature=1.0, top_p=1.0, top_k=None)
_STEP_TOKENS = 2048


class Drawn(NamedTuple):
    """A prompt with the reply drawn for it."""

    prompt: list[int]
    reply: list[int]
    is_finished: bool

    @property
    def encoded(self) -> Encoded:
        """One window, of which the reply is learned."""
        parts: list[int] = [*[Part.GIVEN] * len(self.prompt), *[Part.REPLY] * len(self.reply)]
        return Encoded([*self.prompt, *self.reply], parts)


def prompts(
    dialogues: Sequence[Dialogue], encoder: Encoder, generator: torch.Generator, *, count: int, length: int
) -> list[list[int]]:
    """`count` prompts that the worker would send, from random places of random dialogues, of at most `length` ids."""
    found: list[list[int]] = []
    while len(found) < count:
        dialogue = dialogues[int(torch.randint(len(dialogues), (), generator=generator))]
        index = int(torch.randint(len(dialogue), (), generator=generator))
        shown = before(dialogue, index, instruction=encoder.instruction)
        ids = encoder.prompt(shown, dialogue.exchanges[index].text)
        if len(ids) <= length:
            found.append(ids)
    return found


def draw(
    model: PreTrainedModel,
    asked: Sequence[Sequence[int]],
    *,
    reply_tokens: int,
    stop_ids: Sequence[int],
    sampling: Sampling = AS_IT_IS,
) -> list[Drawn]:
    """One reply to each prompt, of at most `reply_tokens` ids with its end, by the worker's continuous batching.

    Raises `TrainingTrouble` if the model's logits are no numbers any more, or its kind cannot be batched.
    """
    stops = frozenset(stop_ids)
    sequences = [TokenSequence(tokens=list(ids), max_length=len(ids) + reply_tokens) for ids in asked]
    count = _block_count(model, sequences)
    scheduler = Scheduler(BlockPool(count=count, size=BLOCK_SIZE), max_running=len(asked), max_tokens=_STEP_TOKENS)
    for sequence in sequences:
        scheduler.add(sequence)
    with attention.paged(model):
        sampler = Sampler(sampling, device=model.device)
        runner = Runner(model, sampler=sampler, block_count=count, block_size=BLOCK_SIZE, is_borrowed=True)
        while len(scheduler):
            for sequence, token in _step(scheduler, runner):
                sequence.append(token)
                if token in stops or len(sequence.tokens) >= sequence.max_length:
                    scheduler.remove(sequence)
    replies = [sequence.tokens[len(ids) :] for ids, sequence in zip(asked, sequences, strict=True)]
    return [Drawn(list(ids), reply, reply[-1] in stops) for ids, reply in zip(asked, replies, strict=True)]


def _step(scheduler: Scheduler, runner: Runner) -> list[tuple[TokenSequence, int]]:
    """The sequences that got a token in the next step, with it."""
    chunks = scheduler.schedule()
    try:
        tokens = iter(runner.run([_input(chunk) for chunk in chunks]))
    except NotImplementedError as error:
        raise TrainingTrouble(f"Replies of such a model cannot be drawn in batches: {error}.") from error
    except OutOfMemory as error:
        raise TrainingTrouble("The device has no memory for the replies: lower rollouts or reply_tokens.") from error
    found = []
    for chunk in chunks:
        if chunk.needs_token:
            found.append((chunk.sequence, _usable(next(tokens))))
        scheduler.mark_computed(chunk)
    return found


def _input(chunk: Chunk) -> RunnerInput:
    sequence = chunk.sequence
    return RunnerInput(
        tokens=sequence.tokens[chunk.start : chunk.stop],
        start=chunk.start,
        blocks=sequence.blocks,
        needs_token=chunk.needs_token,
    )


def _usable(token: int | None) -> int:
    if token is None:
        raise TrainingTrouble("The model's logits are no numbers any more: lower the rate.")
    return token


def _block_count(model: PreTrainedModel, sequences: Sequence[TokenSequence]) -> int:
    """Enough for all of them at once; fewer, but enough for the longest, where the memory does not hold that."""
    wanted = [-(-sequence.max_length // BLOCK_SIZE) for sequence in sequences]
    affordable = free_bytes(model.device) // (BLOCK_SIZE * CacheShape.of(model).bytes_per_token(model.dtype))
    return max(*wanted, min(sum(wanted), affordable))
