"""From what the settings call the model to a directory on this machine."""

import hashlib
import re
from pathlib import Path

from worker.engine.port import ModelUnusable
from worker.model.fetch import fetch_model, is_fetched
from worker.model.hubs import HubName

BUNDLED = Path(__file__).parent.parent / "bundled"
"""The small model that comes with the project: a demonstration, not a counsellor."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_SHA256 = re.compile("[0-9a-f]{64}")
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def find_model(model: str | None, *, revision: str | None = None, hub: HubName = "huggingface") -> Path:
    """The model's directory; a hub id is fetched if it is not here yet. Raises `ModelUnusable`."""
    if model is None:
        return BUNDLED
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory
    if directory.exists() or not _HUB_ID.fullmatch(model):
        raise ModelUnusable(f"{model} is neither a directory nor a hub id such as ZhangCNN/MindGLM.")
    return fetch_model(model, revision=revision, hub=hub)


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights, one format only: safetensors where there are any."""
    for pattern in _WEIGHTS:
        if files := sorted(directory.glob(pattern)):
            return files
    return []


def fingerprint(directory: Path, *, adapter: Path | None = None, replies: Path | None = None) -> str:
    """Twelve characters of a digest of the configuration, the weights and what was added; all contents count."""
    files = [directory / "config.json", *weight_files(directory)]
    if replies is not None:
        files.append(replies)
    if adapter is not None:
        tuned = [file for file in sorted(adapter.iterdir()) if file.name.startswith("adapter_") and file.is_file()]
        files += tuned or [adapter / "config.json", *weight_files(adapter)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {_sha256(file)}\n".encode())
    return digest.hexdigest()[:12]


def version_of(
    directory: Path,
    *,
    model: str | None,
    adapter: Path | None = None,
    quantize: str | None = None,
    replies: Path | None = None,
) -> str:
    """Names the weights: the model's name, the digest of all contents, what was added and how they are stored.

    `replies` is the file of replies that are given in the model's place.
    """
    tuned = f"+{adapter.name}" if adapter is not None else ""
    tuned += "+prewritten" if replies is not None else ""
    stored = f"-{quantize}" if quantize else ""
    digest = fingerprint(directory, adapter=adapter, replies=replies)
    return f"{Path(model or BUNDLED).name}@{digest}{tuned}{stored}"


def _sha256(file: Path) -> str:
    """The hub's cache names a large file by this digest already; reading 12 GB takes some ten seconds."""
    stored = file.resolve().name
    if file.is_symlink() and _SHA256.fullmatch(stored):
        return stored
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def is_here(model: str | None, *, revision: str | None = None, hub: HubName = "huggingface") -> bool:
    """Whether `find_model` would not have to fetch anything."""
    if model is None or Path(model).expanduser().exists() or not _HUB_ID.fullmatch(model):
        return True
    return is_fetched(model, revision=revision, hub=hub)
