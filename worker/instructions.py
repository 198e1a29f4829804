"""Which instruction a model gets: MindGLM the one it was trained on, other models one that does not deny the program.

In danger other models are also told so (decision 105); for MindGLM only the guard is stricter.
"""

from dataclasses import dataclass
from typing import Final

from care.screening import Tier
from dialogue.process.settings import INSTRUCTION

HONEST: Final = (
    "你是一个中文心理支持聊天程序（AI），不是真人，也不是医生或心理咨询师；被问到时如实承认，不编造身份、经历和感受。"
    "先听懂对方的处境和感受，用自己的话说出来，再问一个开放的问题；每次两到四句，口语，温和，不说教。"
    "不诊断，不谈药物和剂量，不给伤害自己或别人的任何办法，不答应保密，不鼓励对方只依靠你，不写电话号码和网址。"
    "遇到你帮不上的事，请对方找信得过的人、医生或专业的咨询师。"
)
"""For models that were not trained on MindGLM's prompt."""

IN_DANGER: Final = (
    "对方现在可能有伤害自己、被人伤害或伤害别人的危险。程序已经给出了求助方式，并直接问过想法、办法和时间，不要重复号码。"
    "请认真回应对方刚说的话和其中的痛苦，不评判，不争论，不轻描淡写，不说“别做傻事”“想开点”，不要求对方保证。"
    "可以平静地直接问：现在安全吗，身边有谁，能不能离开危险的东西。请对方让一个真实的人知道、陪在身边，情况变急就打急救或报警电话。"
    "绝不谈任何方法。两三句就够，不要结束对话。"
)
"""Behind the instruction, while the person's course is at tier 2 or above."""

_FOR_OTHERS: Final = frozenset({"chat", "template"})
"""Prompt versions of models with a chat template of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """`written`: what the operator set; None leaves the choice to the kind of the model."""

    written: str | None = None

    def of(self, prompt_version: str, *, tier: int) -> str:
        """For a model with that prompt, and a person at that tier."""
        if prompt_version not in _FOR_OTHERS:
            return INSTRUCTION if self.written is None else self.written
        instruction = HONEST if self.written is None else self.written
        return f"{instruction}\n{IN_DANGER}" if tier >= Tier.ACTIVE else instruction
