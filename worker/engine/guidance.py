"""Classifier-free guidance (Ho and Salimans 2022; for language models Sanchez et al. 2023, arXiv:2306.17806).

A reply is steered towards what was said last: the logits are moved away from those of the same prompt with the last
message left empty. Twice the computation, so it is meant for small models that would otherwise talk past a person.
"""

from dataclasses import dataclass

_FULL_TOKENS = 24
"""The beginning of a reply decides what it is about; after it strong guidance mostly makes a model repeat itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """`scale` 1 is plain sampling. After the first 24 tokens of a reply a quarter of what exceeds 1 remains."""

    scale: float = 1.0

    @property
    def is_on(self) -> bool:
        """Whether a second, unconditional sequence is needed."""
        return self.scale != 1

    def at(self, reply_tokens: int) -> float:
        """The scale for the token after so many tokens of the reply."""
        return self.scale if reply_tokens < _FULL_TOKENS else (3 + self.scale) / 4
