"""What importing each library costs a process that runs for months: memory of its own, by package.

    python -m bench.footprint adapter          # Telegram's, until it would open the database
    python -m bench.footprint worker --single  # module by module

Measured in the order of the imports: what two libraries share is counted for the first of them.
"""

import argparse
import gc
import importlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_SHOWN = 40
_KIBIBYTES = 1024
_LOAD = "_load_unlocked"
"""Python's own function through which every import comes; it has no public name."""


def import_adapter() -> None:
    """As `mindglm telegram` does."""
    from mindglm import docstrings, lean

    with docstrings.left_out(), lean.services():
        from bot.channels import registry
        from mindglm import adapter_process

        (channel,) = (each for each in registry.platforms() if each.name == "telegram")
        adapter_process.load(channel)


def import_worker() -> None:
    """As `mindglm worker` does."""
    from mindglm import docstrings, lean

    with docstrings.left_out(), lean.services():
        importlib.import_module("mindglm.worker")


PROCESSES: Mapping[str, Callable[[], None]] = {"adapter": import_adapter, "worker": import_worker}


def costs(imports: Callable[[], object]) -> dict[str, float]:
    """MiB of anonymous memory that each module took which `imports` loads, without those that it imports itself."""
    taken: Counter[str] = Counter()
    with _watched(taken):
        imports()
    return {name: kibibytes / _KIBIBYTES for name, kibibytes in taken.items()}


@contextmanager
def _watched(taken: Counter[str]) -> Iterator[None]:
    bootstrap: Any = sys.modules["_frozen_importlib"]
    load: Callable[[ModuleSpec], ModuleType] = getattr(bootstrap, _LOAD)
    inner: list[int] = []

    def watch(spec: ModuleSpec) -> ModuleType:
        before = _anonymous()
        inner.append(0)
        try:
            return load(spec)
        finally:
            whole = _anonymous() - before
            taken[spec.name] += whole - inner.pop()
            if inner:
                inner[-1] += whole

    setattr(bootstrap, _LOAD, watch)
    try:
        yield
    finally:
        setattr(bootstrap, _LOAD, load)


def _anonymous() -> int:
    """KiB of this process that are not a file's."""
    return _rollup()["Anonymous"]


def _rollup() -> dict[str, int]:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    return {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("process", choices=list(PROCESSES))
    parser.add_argument("--single", action="store_true", help="by module instead of by package")
    arguments = parser.parse_args()
    single = costs(PROCESSES[arguments.process])
    gc.collect()
    whole = _rollup()
    grouped: dict[str, float] = defaultdict(float)
    for name, mebibytes in single.items():
        grouped[name if arguments.single else name.partition(".")[0]] += mebibytes
    for name, mebibytes in sorted(grouped.items(), key=lambda one: -one[1])[:_SHOWN]:
        sys.stdout.write(f"{mebibytes:7.2f} MiB  {name}\n")
    figures = ", ".join(f"{name} {whole[name] / _KIBIBYTES:.1f}" for name in ("Rss", "Pss", "Anonymous"))
    sys.stdout.write(f"{len(sys.modules)} modules; the process in MiB: {figures}\n")


if __name__ == "__main__":
    main()
