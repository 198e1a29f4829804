"""Trains within a budget of seconds and writes the weights; `python -m training.bulk.run --help`.

Nothing here is resumed: a run is minutes long. The newest weights are written as it goes.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.bulk import contrast, tokens
from training.bulk.model import Batch, Glm, Layout, Size, dense, settle
from training.bulk.muon import Optimiser
from training.bulk.rows import Filler, Form, Rows, Supply, served

_MEASURE_SECONDS = 40.0
_TOLERANCE = 0.02  # nats; dropout draws other places when it is compiled

BEST = "model.pt"
"""The weights with the lowest held-out loss so far."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the arguments say."""
    asked = _parser().parse_args(arguments)
    Run(asked).all()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokens", type=Path, help="What `python -m training.bulk.tokens` wrote.")
    parser.add_argument("target", type=Path, help="A directory for weights and log.")
    parser.add_argument("--seconds", type=float, default=360.0, help="Of training, the compilation not counted.")
    parser.add_argument("--contrast-seconds", type=float, default=0.0, help="Of learning from relevance afterwards.")
    parser.add_argument("--begin", type=Path, help="Weights of an earlier run to begin with.")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=0.02, help="Muon's.")
    parser.add_argument("--plain-rate", type=float, default=0.004, help="AdamW's.")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--warmup", type=int, default=100, help="Steps.")
    parser.add_argument("--decay", type=float, default=0.75, help="Part of the run over which the rates fall.")
    parser.add_argument("--client-weight", type=float, default=0.5)
    parser.add_argument("--blind", type=float, default=0.12, help="Windows whose last words are left out.")
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--measured", type=int, default=500, help="Held-out dialogues.")
    parser.add_argument("--eager", action="store_true", help="Do not compile.")
    for name, kind in Size.__annotations__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Size(), name))
    return parser


class Run:
    """One run; `all` is the order of things."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._began = time.monotonic()
        asked.target.mkdir(parents=True, exist_ok=True)
        self._log = (asked.target / "log.jsonl").open("a", encoding="utf-8")
        self._tokens = tokens.read(asked.tokens)
        self._form = Form(asked.rows, asked.length, asked.client_weight, asked.blind)
        self._supply = Supply(self._tokens, self._form, seed=asked.seed, processes=asked.processes)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._size = Size(**{name: getattr(asked, name) for name in Size.__annotations__})
        self._held_out = list(self._held_out_rows())

    def all(self) -> None:
        """Train, measure, learn from relevance, measure."""
        asked = self._asked
        torch.set_float32_matmul_precision("high")
        torch.manual_seed(asked.seed)
        self._say(shape=asdict(self._size), device=str(self._device), read_seconds=time.monotonic() - self._began)
        model = Glm(self._size, dense).to(self._device)
        self._say(parameters=sum(weights.numel() for weights in model.parameters()))
        if asked.begin is not None:
            model.load_state_dict(torch.load(asked.begin, map_location=self._device))
        if asked.seconds:
            self._train(model)
            model.load_state_dict(torch.load(asked.target / BEST, map_location=self._device))
        if asked.contrast_seconds:
            contrast.learn(
                self, model, self._tokens, seconds=asked.contrast_seconds, rows=asked.rows, length=asked.length
            )
            self.measure(model)
            save(model, asked.target / "contrast.pt")
        self._supply.stop()
        self._log.close()

    def _train(self, model: Glm) -> None:
        asked = self._asked
        wanted = self._tried(model)  # dense attention, not compiled
        computed = settle(
            model,
            lambda tried: self._compare(tried, wanted),
            lambda line: self._say(note=line),
            is_compiled=not asked.eager,
        )
        model.zero_grad()
        optimiser = Optimiser(
            dict(model.named_parameters()), rate=asked.rate, plain_rate=asked.plain_rate, decay=asked.weight_decay
        )
        began, measured, best = time.monotonic(), 0.0, math.inf
        for step, (epoch, rows) in enumerate(self._supply):
            seconds = time.monotonic() - began
            progress = seconds / asked.seconds
            if step < _COMPILING:
                began, seconds, progress = time.monotonic(), 0.0, 0.0  # what is compiled does not count
            if progress >= 1:
                break
            ids, weights, layout = self._batch(rows)
            losses = computed(ids, ids.roll(-1, 1), layout)
            loss = (losses * weights.roll(-1, 1)).sum() / weights.sum()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            factor = min(1.0, (step + 1) / asked.warmup) * min(1.0, (1 - progress) / asked.decay)
            length = optimiser.step(factor)
            if step % 25 == 0 or step < _COMPILING:
                self._say(
                    step=step,
                    epoch=epoch,
                    tokens=(step + 1) * rows.ids.size,
                    seconds=seconds,
                    loss=float(loss.detach()),
                    length=float(length),
                    factor=factor,
                )
                if not math.isfinite(float(loss.detach())):
                    raise SystemExit("the loss is no number any more")
            if seconds - measured > _MEASURE_SECONDS:
                measured = seconds
                best = self._keep_best(model, best)
        self._keep_best(model, best)

    def _keep_best(self, model: Glm, best: float) -> float:
        found = self.measure(model)
        if found < best:
            save(model, self._asked.target / BEST)
        return min(found, best)

    def _tried(self, computed: Callable[..., Tensor]) -> float:
        """The loss of fresh weights on a batch, after a step back."""
        ids, weights, layout = self._batch(self._held_out[0])
        torch.manual_seed(self._asked.seed)
        loss = (computed(ids, ids.roll(-1, 1), layout) * weights.roll(-1, 1)).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return float(loss.detach())

    def _compare(self, computed: Callable[..., Tensor], wanted: float) -> None:
        found = self._tried(computed)
        if not abs(found - wanted) < _TOLERANCE:
            raise ValueError(f"the loss is {found}, not {wanted}")

    @torch.no_grad()
    def measure(self, model: Glm) -> float:
        """Nats per character of the held-out supporters' words, their ends included, as `mindglm train eval` has it."""
        model.train(mode=False)
        total = 0.0
        for rows in self._held_out:
            ids, weights, layout = self._batch(rows)
            losses = model(ids, ids.roll(-1, 1), layout)
            total += float((losses * (weights.roll(-1, 1) == 1.0)).sum())
        model.train()
        side = self._tokens.held_out
        characters = side.characters[: 2 * int(side.first[self._measured()])].reshape(-1, 2)[:, 1].sum()
        found = total / float(characters)
        self._say(held_out=found)
        return found

    def _measured(self) -> int:
        asked: int = self._asked.measured
        return min(asked, len(self._tokens.held_out))

    def _held_out_rows(self) -> Iterator[Rows]:
        told = self._tokens
        windows = [
            window
            for dialogue in range(self._measured())
            for window in served(told.held_out, dialogue, instruction=told.instruction, opening=told.opening)
        ]
        yield from Filler(told, told.held_out, self._form._replace(client_weight=0.5)).rows(windows)

    def _batch(self, rows: Rows) -> Batch:
        return batch(rows, self._device)

    def _say(self, **entry: object) -> None:
        rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in entry.items()}
        line = json.dumps({"at": round(time.monotonic() - self._began, 1), **rounded})
        print(line, flush=True)  # noqa: T201  # a command's output
        self._log.write(line + "\n")
        self._log.flush()

    say = _say


_COMPILING = 3
"""Steps that may take long."""

_MAX_WINDOWS = 12
"""In a row, on average: the bounds of all have one length, so that nothing is compiled anew."""


def batch(rows: Rows, device: torch.device) -> Batch:
    """Rows on the device."""
    ends = np.concatenate([[0], rows.sizes.cumsum()])
    room = rows.ids.shape[0] * _MAX_WINDOWS
    while room < len(ends):
        room *= 2
    bounds = np.full(room, ends[-1], np.int32)
    bounds[: len(ends)] = ends

    def moved(numbers: np.ndarray, kind: torch.dtype) -> Tensor:
        return torch.from_numpy(numbers).to(device, non_blocking=True).to(kind)

    layout = Layout(
        windows=moved(rows.windows, torch.int16),
        places=moved(rows.places, torch.int32),
        bounds=moved(bounds, torch.int32),
        longest=rows.ids.shape[1],
    )
    return Batch(moved(rows.ids, torch.long), moved(rows.weights, torch.float32), layout)


def save(model: Glm, file: Path) -> None:
    """The weights in bfloat16, under transformers' names."""
    partial = file.with_suffix(".partial")
    torch.save(
        {name: weights.detach().to("cpu", torch.bfloat16) for name, weights in model.state_dict().items()}, partial
    )
    partial.replace(file)


if __name__ == "__main__":
    main()
