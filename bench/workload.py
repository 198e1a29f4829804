"""The workload of the engine benchmarks: random GLMs of several shapes, and real dialogues through the window."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GlmConfig, GlmForCausalLM

from dialogue.process.settings import INSTRUCTION
from dialogue.window import window_of
from worker.engine.port import Exchange, Request
from worker.engine.prompter import Prompter
from worker.model.find import BUNDLED
from worker.prompt import rounds
from worker.tokenizer import load_tokenizer

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "head_dim": 16,
    },
    "173m": {
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "head_dim": 64,
    },
    "6b-slice": {  # 4 of 28 layers, full widths: what a CPU can measure in minutes
        "hidden_size": 4096,
        "intermediate_size": 13696,
        "num_hidden_layers": 4,
        "num_attention_heads": 32,
        "head_dim": 128,
    },
    "6b": {
        "hidden_size": 4096,
        "intermediate_size": 13696,
        "num_hidden_layers": 28,
        "num_attention_heads": 32,
        "head_dim": 128,
    },
}
REPLY_LENGTHS = (10, 25, 40, 60, 80, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A prompt's ids, what they were rendered from, and how many tokens are asked for."""

    ids: list[int]
    request: Request


def random_model(shape: str, *, dtype: torch.dtype, device: torch.device) -> GlmForCausalLM:
    config = GlmConfig(
        **SHAPES[shape],
        vocab_size=65024,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        pad_token_id=0,
        eos_token_id=2,
    )
    torch.set_default_dtype(dtype)
    with device:
        model = GlmForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = None  # lengths are fixed, so that every way has the same work
    model.train(mode=False)
    return model


def bench_prompter(model: GlmForCausalLM) -> Prompter:
    return Prompter(
        tokenizer=load_tokenizer(BUNDLED, has_prefix=True),
        render=lambda history, text, instruction: rounds(history, text, instruction=instruction),
        context=model.config.max_position_embeddings,
        version="bench",
    )


def jobs_for(prompter: Prompter, *, count: int) -> list[Job]:
    lines = (Path(__file__).parent / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    jobs = []
    for number in range(count):
        exchanges = [Exchange(text, reply) for text, reply in json.loads(lines[number % len(lines)])]
        turns = number % (len(exchanges) - 1)
        history = window_of(exchanges[:turns], instruction=INSTRUCTION)
        request = Request(
            id=str(number),
            instruction=INSTRUCTION,
            history=history,
            text=exchanges[turns].text,
            max_tokens=REPLY_LENGTHS[number % len(REPLY_LENGTHS)],
            deadline_seconds=3600,
        )
        jobs.append(Job(ids=prompter.ids(request), request=request))
    return jobs
