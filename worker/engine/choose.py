"""Which engine the settings ask for; heavy libraries are imported only for the one that needs them."""

from worker.engine.batched import Batched
from worker.engine.crew import Machine
from worker.engine.port import Engine
from worker.engine.scripted import Scripted
from worker.settings import WorkerSettings

_SCRIPTED_CAPACITY = 32
_GPU_CAPACITY = 64
_CPU_CAPACITY = 16


def build(settings: WorkerSettings) -> Engine:
    """An engine that is not started yet."""
    if settings.engine == "scripted":
        return _scripted(settings)
    return _batched(settings)


def _batched(settings: WorkerSettings) -> Engine:
    capacity = settings.concurrency or _default_capacity(settings.device)

    def load() -> Machine:
        from worker.engine.assemble import assemble

        return assemble(settings, capacity=capacity)

    return Batched(load, capacity=capacity)


def _default_capacity(device: str) -> int:
    """More at once would make each wait too long for its next token."""
    from worker.model.hardware import choose_device

    return _GPU_CAPACITY if choose_device(device).type == "cuda" else _CPU_CAPACITY


def _scripted(settings: WorkerSettings) -> Engine:
    return Scripted(
        reply=settings.scripted_reply,
        delay_seconds=settings.scripted_delay_seconds,
        tokens_per_second=settings.scripted_tokens_per_second,
        fail_every=settings.scripted_fail_every,
        capacity=settings.concurrency or _SCRIPTED_CAPACITY,
    )
