"""Makes of a run's weights a model's directory, as the worker loads it: `python -m training.bulk.publish --help`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

from training import release
from training.core.shape import Shape, build
from training.vocabulary import END, NEXT_ROUND, PAD
from worker.tokenizer import load_tokenizer


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the directory that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="What `python -m training.bulk.run` wrote.")
    parser.add_argument("tokenizer", type=Path, help="The directory of the tokenizer that the corpus was encoded with.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--head-width", type=int, default=64)
    parser.add_argument("--guidance", type=float, help="The scale of guidance that the worker uses with this model.")
    asked = parser.parse_args(arguments)
    publish(asked.weights, asked.tokenizer, asked.target, head_width=asked.head_width, guidance=asked.guidance)


def publish(weights: Path, tokenizer: Path, target: Path, *, head_width: int, guidance: float | None) -> None:
    """Write `target`; the shape is read off the weights."""
    tensors = torch.load(weights, weights_only=True)
    layer = "model.layers.0."
    rows, width = tensors["model.embed_tokens.weight"].shape
    shape = Shape(
        width=width,
        layers=sum(name.endswith("input_layernorm.weight") for name in tensors),
        heads=tensors[f"{layer}self_attn.q_proj.weight"].shape[0] // head_width,
        groups=tensors[f"{layer}self_attn.k_proj.weight"].shape[0] // head_width,
        head_width=head_width,
        feed_forward=tensors[f"{layer}mlp.down_proj.weight"].shape[1],
    )
    dictionary = load_tokenizer(tokenizer, has_prefix=True)
    model = build(
        shape,
        vocabulary=rows,
        end_ids=[release.id_of(dictionary, END), release.id_of(dictionary, NEXT_ROUND)],
        pad_id=release.id_of(dictionary, PAD),
        seed=0,
    )
    missing = model.load_state_dict(tensors, strict=False)
    if missing.unexpected_keys or set(missing.missing_keys) - {"lm_head.weight"}:
        raise ValueError(f"{weights} does not fit: {missing}")
    if guidance is not None:
        cast("Any", model).generation_config.guidance_scale = guidance
    release.write(model, tokenizer, target)


if __name__ == "__main__":
    main()
