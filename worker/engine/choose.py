"""Builds the engine that the settings name; heavy libraries are imported only for the one that needs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from dialogue.errors import Misconfigured
from worker.engine.adapters import adapters_of
from worker.engine.port import Engine, ModelUnusable
from worker.engine.scripted import Scripted
from worker.engine.selection import choose_engine
from worker.engine.switching import Switching
from worker.settings import WorkerSettings

_SCRIPTED_CAPACITY = 32
_SERVER_CAPACITY = 64
_GPU_CAPACITY = 64
_CPU_CAPACITY = 16


def build(settings: WorkerSettings) -> Engine:
    """An engine that is not started yet. Raises `Misconfigured`."""
    adapters = adapters_of(settings)
    if adapters is None:
        return _build(settings)
    return Switching(lambda name: _build(adapters.applied(settings, name)), chosen=adapters.in_use)


def _build(settings: WorkerSettings) -> Engine:
    engine = choose_engine(settings).engine
    if engine == "scripted":
        return _scripted(settings)
    if engine == "openai":
        with _installed("openai"):
            return _openai(settings)
    if engine == "vllm":
        with _installed("openai"):
            return _vllm(settings)
    with _installed("local"):
        return _batched(settings)


@contextmanager
def _installed(extra: str) -> Iterator[None]:
    """Turn a missing library into an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error.name} is not installed: pip install 'mindglm-bot[{extra}]'") from error


def _batched(settings: WorkerSettings) -> Engine:
    from worker.engine.batched import Batched
    from worker.engine.step_loop import LoadedModel

    capacity = settings.concurrency or _default_capacity(settings.device)

    def load() -> LoadedModel:
        with _installed("local"):
            from worker.engine.assemble import assemble

        return assemble(settings, capacity=capacity)

    return Batched(load, capacity=capacity)


def _openai(settings: WorkerSettings) -> Engine:
    from worker.engine.completions import Server
    from worker.engine.openai import OpenAI

    if settings.openai_base_url is None:
        raise Misconfigured("MINDGLM_ENGINE=openai needs MINDGLM_OPENAI_BASE_URL, e.g. http://127.0.0.1:8000/v1.")
    server = Server(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
        proxy=settings.openai_proxy,
        model=settings.openai_model,
        form=settings.openai_prompt,
        style=settings.prompt_style,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
    )
    return OpenAI(server, capacity=settings.concurrency or _SERVER_CAPACITY)


def _vllm(settings: WorkerSettings) -> Engine:
    from worker.vllm.deploy import deploy, refuse_what_vllm_has_not
    from worker.vllm.engine import Deployment, Vllm
    from worker.vllm.replica import Patience

    refuse_what_vllm_has_not(settings)

    def plan() -> Deployment:
        with _installed("local"):
            return deploy(settings)

    capacity = settings.concurrency or _SERVER_CAPACITY * _server_count(settings)
    return Vllm(plan, capacity=capacity, patience=Patience(start=settings.vllm_start_seconds))


def _server_count(settings: WorkerSettings) -> int:
    """At most; how many GPUs the model needs is known only once it is here."""
    from worker.vllm.gpus import visible_gpus

    if settings.vllm_servers is not None:
        return settings.vllm_servers
    gpu_count = 0 if settings.device == "cpu" else len(visible_gpus())
    return max(1, gpu_count // (settings.vllm_gpus_per_server or 1))


def _default_capacity(device: str) -> int:
    """With more at once each reply would wait too long for its next token."""
    from worker.model.hardware import choose_device

    try:
        return _GPU_CAPACITY if choose_device(device).type == "cuda" else _CPU_CAPACITY
    except ModelUnusable as error:
        raise Misconfigured(str(error)) from error


def _scripted(settings: WorkerSettings) -> Engine:
    return Scripted(
        reply=settings.scripted_reply,
        delay_seconds=settings.scripted_delay_seconds,
        tokens_per_second=settings.scripted_tokens_per_second,
        fail_every=settings.scripted_fail_every,
        break_after=settings.scripted_break_after,
        capacity=settings.concurrency or _SCRIPTED_CAPACITY,
    )
