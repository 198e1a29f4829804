"""Fetches a model: size, disk and memory are looked at first, an interrupted try goes on, digests are checked."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import psutil

from worker.engine.port import ModelUnusable
from worker.model.hubs import HUBS, Hub, HubName, RemoteFile

_WANTED = ("*.json", "*.safetensors", "*.bin", "*.model", "*.jinja", "*.txt")
"""Never the model's own code."""
_WEIGHTS = ("*.safetensors", "*.bin")
_GIB = 2**30


def fetch_model(
    model: str,
    *,
    revision: str | None = None,
    hub: HubName = "huggingface",
    is_refreshed: bool = False,
    tell: Callable[[str], None] = lambda _line: None,
) -> Path:
    """The directory of a model of that hub; what is here already is not asked for again unless `is_refreshed`.

    Raises `ModelUnusable`.
    """
    place = HUBS[hub]
    try:
        if not is_refreshed and (found := place.local(model, revision=revision, wanted=_WANTED)) is not None:
            return found
        files = place.files(model, revision=revision)
        unwanted = _duplicates(files)
        chosen = [file for file in files if _matches(file.name, _WANTED) and not _matches(file.name, unwanted)]
        _refuse_full_disk(model, place, chosen)
        tell(_announcement(model, chosen))
        directory = place.download(model, revision=revision, wanted=_WANTED, unwanted=unwanted)
        _refuse_damaged(directory, chosen)
    except ModelUnusable:
        raise
    except ModuleNotFoundError as missing:
        raise ModelUnusable(f"{missing.name} is not installed: pip install 'mindglm-bot[{hub}]'") from missing
    except Exception as failure:  # the hubs' clients let whatever their transport raises through
        raise ModelUnusable(
            f"{model} could not be fetched ({type(failure).__name__}). Check the name and the network; {place.advice} "
            "Or fetch it elsewhere and set MINDGLM_MODEL to the directory."
        ) from failure
    return directory


def is_fetched(model: str, *, revision: str | None, hub: HubName) -> bool:
    """Whether `fetch_model` would not ask the hub."""
    try:
        return HUBS[hub].local(model, revision=revision, wanted=_WANTED) is not None
    except ModuleNotFoundError:
        return False


def _duplicates(files: Sequence[RemoteFile]) -> list[str]:
    return ["*.bin"] if any(file.name.endswith(".safetensors") for file in files) else []


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _announcement(model: str, files: Sequence[RemoteFile]) -> str:
    """Of the memory it only speaks: the model may be meant for another machine."""
    size = sum(file.size for file in files)
    weights = sum(file.size for file in files if _matches(file.name, _WEIGHTS))
    said = f"{model}: {size / _GIB:.1f} GiB in {len(files)} files"
    memory = psutil.virtual_memory().total
    if weights > memory:
        said += f"; this machine's main memory ({memory / _GIB:.1f} GiB) is too small to load it on the CPU"
    return said


def _refuse_full_disk(model: str, hub: Hub, files: Sequence[RemoteFile]) -> None:
    needed = sum(file.size for file in files)
    place = next(parent for parent in (hub.cache, *hub.cache.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if needed - hub.fetched_bytes(model) > free:
        raise ModelUnusable(
            f"{model} takes {needed / _GIB:.1f} GiB, but {place} has {free / _GIB:.1f} GiB free. "
            f"Make room, or set {hub.cache_variable} to a larger disk."
        )


def _refuse_damaged(directory: Path, files: Sequence[RemoteFile]) -> None:
    """A damaged file is removed, so that the next try fetches it."""
    for file in files:
        if file.sha256 is None:
            continue
        path = directory / file.name
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != file.sha256:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise ModelUnusable(f"{path} was damaged on its way (another SHA-256) and is removed. Try again.")
