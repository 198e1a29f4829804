"""Checks the configured engine, the model's files, and the memory they need."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.channels.findings import CheckResult, fail, note, ok, warn
from dialogue.errors import Misconfigured
from mindglm.doctor.findings import Patient
from worker.engine.adapters import with_adapter_in_use
from worker.engine.port import ModelUnusable
from worker.engine.selection import EngineChoice, Reason, choose_engine
from worker.model.config_file import is_prefix
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    import torch

    from worker.model.examine import Examined

_GIB: Final = 2**30
_CACHE_SHARE: Final = 1.15
"""Beside the weights, a cache for the conversations and working memory."""

_QUANTIZED_BYTES: Final = {"int8": 1.05, "int4": 0.65}
"""Of a number, with its share of the scales and of what is kept in full."""
_NEEDED: Final = ("torch", "transformers", "safetensors", "tokenizers")


def examine(patient: Patient) -> Iterator[CheckResult]:
    """Loads nothing; fetches nothing."""
    try:
        settings = with_adapter_in_use(patient.worker)
        choice = choose_engine(settings)
    except Misconfigured as error:
        yield fail("engine_setting", error=error)
        return
    if choice.reason is not Reason.SET:
        yield reason_for(choice)
    match choice.engine:
        case "vllm":
            yield from _vllm(settings)
        case "scripted":
            yield warn("engine_scripted")
        case "openai":
            yield from _server(settings)
        case "transformers":
            yield from _own(settings)


def reason_for(choice: EngineChoice) -> CheckResult:
    """Which engine is taken and why."""
    return ok(f"engine_{choice.reason}", gpu_gib=f"{choice.gpu_gib:.0f}")


def _vllm(settings: WorkerSettings) -> Iterator[CheckResult]:
    from worker.vllm.command import find_command
    from worker.vllm.deploy import refuse_what_vllm_has_not

    try:
        refuse_what_vllm_has_not(settings)
    except Misconfigured as error:
        yield fail("engine_setting", error=error)
        return
    yield ok("engine_vllm", command=" ".join(find_command(settings) or ()))
    yield from _own(settings, has_memory=False)


def _server(settings: WorkerSettings) -> Iterator[CheckResult]:
    from worker.engine.choose import build

    try:
        engine = build(settings)
        engine.start()
    except Misconfigured as error:
        yield fail("engine_setting", error=error)
    except ModelUnusable as error:
        yield fail("engine_server", error=error)
    else:
        yield ok("engine_server_ok", model=engine.model_version)
        engine.stop()


def _own(settings: WorkerSettings, *, has_memory: bool = True) -> Iterator[CheckResult]:
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        yield note("engine_not_installed", names=", ".join(missing))
        return
    from worker.model.examine import examine as look_at

    try:
        directory = _directory(settings)
        if directory is None:
            yield warn("model_not_fetched", model=settings.model)
            return
        examined = look_at(directory)
    except ModelUnusable as error:
        yield fail("model_unusable", error=error)
        return
    if settings.adapter and not _is_adapter(Path(settings.adapter).expanduser()):
        yield fail("model_adapter", adapter=settings.adapter)
    yield warn("model_bundled") if settings.model is None else ok("model", directory=directory)
    if has_memory:
        yield from _memory(settings, examined)


def _is_adapter(directory: Path) -> bool:
    return (directory / "adapter_config.json").is_file() or is_prefix(directory)


def _directory(settings: WorkerSettings) -> Path | None:
    """Where the model lies; None for a hub id that was not fetched yet. Raises `ModelUnusable`."""
    from worker.model.find import find_model, is_here

    if not is_here(settings.model, revision=settings.revision, hub=settings.hub):
        return None
    return find_model(settings.model, revision=settings.revision, hub=settings.hub)


def _memory(settings: WorkerSettings, examined: "Examined") -> Iterator[CheckResult]:
    import torch

    from worker.model.hardware import choose_device, choose_dtype
    from worker.model.memory_needed import number_count

    stored = str(examined.config.get("dtype") or examined.config.get("torch_dtype") or "float32")
    try:
        device = choose_device(settings.device)
        dtype = choose_dtype(settings.dtype, device=device, stored=getattr(torch, stored, None))
        free, total = _free(device)
    except (ModelUnusable, RuntimeError, AssertionError, ValueError) as error:
        yield fail("device", device=settings.device, error=type(error).__name__)
        return
    name = settings.quantize or str(dtype).removeprefix("torch.")
    bytes_each = _QUANTIZED_BYTES[settings.quantize] if settings.quantize else dtype.itemsize
    needed = number_count(examined) * bytes_each * _CACHE_SHARE
    values = {
        "device": device,
        "dtype": name,
        "needed": f"{needed / _GIB:.1f}",
        "free": f"{free / _GIB:.1f}",
        "total": f"{total / _GIB:.1f}",
    }
    if needed > total:
        yield fail("memory_too_small", **values)
    elif needed > free:
        yield warn("memory_taken", **values)
    else:
        yield ok("memory", **values)
    if device.type == "cpu" and examined.weight_bytes > _GIB:
        yield warn("device_slow")


def _free(device: "torch.device") -> tuple[int, int]:
    from worker.model.memory_needed import memory_of

    return memory_of(device)
