"""A model as vLLM can serve it: the native form, converted once into the home if it is not in it already."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from dialogue.process import home
from dialogue.process.file_lock import try_lock
from worker.engine.port import ModelUnusable
from worker.engine.prompter import Prompter, build_prompter
from worker.model.convert import convert, merge
from worker.model.examine import Examined, examine
from worker.model.find import find_model, version_of
from worker.settings import WorkerSettings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_SECONDS = 1.0
_ROOM = 1.1
_UNNAMED_CONTEXT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Servable:
    """A directory that vLLM reads, and how the model is prompted; `context` in tokens."""

    directory: Path
    prompter: Prompter
    version: str
    weight_bytes: int

    @property
    def context(self) -> int:
        return self.prompter.context


def servable(settings: WorkerSettings, *, max_context: int) -> Servable:
    """The model that the settings name, converted if needed. Raises `ModelUnusable`."""
    examined = examine(find_model(settings.model, revision=settings.revision, hub=settings.hub))
    adapter = Path(settings.adapter).expanduser() if settings.adapter else None
    version = version_of(examined.directory, model=settings.model, adapter=adapter)
    if examined.is_chatglm2 or adapter is not None:
        examined = examine(_native(examined, adapter, home.home(settings) / "models" / version))
    if _recommends_guidance(examined.directory):
        log.warning("guidance_missing", hint="vLLM has no guidance; MINDGLM_ENGINE=transformers has")
    context = int(examined.config.get("max_position_embeddings") or _UNNAMED_CONTEXT)
    prompter = build_prompter(
        examined,
        style=settings.prompt_style,
        vocabulary_size=int(examined.config["vocab_size"]),
        context=min(context, max_context),
    )
    return Servable(
        directory=examined.directory, prompter=prompter, version=version, weight_bytes=examined.weight_bytes
    )


def _native(examined: Examined, adapter: Path | None, target: Path) -> Path:
    """Written beside its place and then renamed, by one process at a time: what stands there is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = try_lock(target.parent / "lock")
    while lock is None:
        time.sleep(_LOOK_SECONDS)
        lock = try_lock(target.parent / "lock")
    with lock:
        if not target.exists():
            _refuse_full_disk(examined, target.parent)
            unfinished = target.with_name(f"{target.name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            log.info("model_converting", target=str(target))
            if adapter is None:
                convert(examined.directory, unfinished)
            else:
                merge(examined.directory, adapter, unfinished)
            unfinished.rename(target)
    return target


def _refuse_full_disk(examined: Examined, place: Path) -> None:
    needed, free = examined.weight_bytes * _ROOM, shutil.disk_usage(place).free
    if needed > free:
        raise ModelUnusable(
            f"vLLM needs {examined.directory} in the native form, which takes {needed / 2**30:.1f} GiB, but {place} "
            f"has {free / 2**30:.1f} GiB free. Make room, or set MINDGLM_HOME to a larger disk."
        )


def _recommends_guidance(directory: Path) -> bool:
    file = directory / "generation_config.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return (found.get("guidance_scale") or 1) > 1
