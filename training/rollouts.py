"""Replies drawn from the policy as it is: no temperature, no top-k, so that what is learned from is what was drawn."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from training.core import attention
from training.data.dialogue import Dialogue
from training.data.encoding import Encoded, Encoder, Part
from training.data.windows import before


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


@torch.no_grad()
def draw(
    model: PreTrainedModel, asked: Sequence[Sequence[int]], *, reply_tokens: int, stop_ids: Sequence[int], pad_id: int
) -> list[Drawn]:
    """One reply to each prompt, of at most `reply_tokens` ids with its end."""
    whole: Any = model
    longest = max(len(ids) for ids in asked)
    padded = torch.tensor([[pad_id] * (longest - len(ids)) + list(ids) for ids in asked], device=whole.device)
    seen = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in asked], device=whole.device)
    with attention.plain(model):
        found = whole.generate(
            padded,
            attention_mask=seen,
            max_new_tokens=reply_tokens,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            eos_token_id=list(stop_ids),
            pad_token_id=pad_id,
        )[:, longest:].tolist()
    return [_drawn(list(ids), reply, frozenset(stop_ids)) for ids, reply in zip(asked, found, strict=True)]


def _drawn(prompt: list[int], reply: list[int], stop_ids: frozenset[int]) -> Drawn:
    end = next((place for place, id_ in enumerate(reply) if id_ in stop_ids), None)
    return Drawn(prompt, reply if end is None else reply[: end + 1], end is not None)
