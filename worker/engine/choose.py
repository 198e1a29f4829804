"""Which engine the settings ask for; heavy libraries are imported only for the one that needs them."""

from dialogue.errors import Misconfigured
from worker.engine.port import Engine
from worker.engine.scripted import Scripted
from worker.settings import WorkerSettings

_SCRIPTED_CAPACITY = 32


def build(settings: WorkerSettings) -> Engine:
    """An engine that is not started yet. Raises `Misconfigured`."""
    if settings.engine == "scripted":
        return _scripted(settings)
    raise Misconfigured(f"MINDGLM_ENGINE={settings.engine} is not built yet.")


def _scripted(settings: WorkerSettings) -> Engine:
    return Scripted(
        reply=settings.scripted_reply,
        delay_seconds=settings.scripted_delay_seconds,
        tokens_per_second=settings.scripted_tokens_per_second,
        fail_every=settings.scripted_fail_every,
        capacity=settings.concurrency or _SCRIPTED_CAPACITY,
    )
