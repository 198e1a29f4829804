"""From what the settings call the model to a directory on this machine."""

import hashlib
import re
from pathlib import Path

from worker.engine.port import ModelUnusable

BUNDLED = Path(__file__).parent.parent / "bundled"
"""The small model that comes with the project: a demonstration, not a counsellor."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_WANTED = ["*.json", "*.safetensors", "*.bin", "*.model", "*.jinja", "*.txt"]
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def find_model(model: str | None) -> Path:
    """The model's directory; a hub id is fetched if it is not here yet. Raises `ModelUnusable`."""
    if model is None:
        return BUNDLED
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory
    if directory.exists() or not _HUB_ID.fullmatch(model):
        raise ModelUnusable(f"{model} is neither a directory nor a hub id such as ZhangCNN/MindGLM.")
    return fetch_model(model)


def fetch_model(hub_id: str, *, is_refreshed: bool = False) -> Path:
    """Download a model with progress, going on where an earlier try ended; what is here already is not asked for again.

    The model's own code is never among the files. Raises `ModelUnusable`.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not is_refreshed:
        try:
            return Path(snapshot_download(hub_id, local_files_only=True, allow_patterns=_WANTED))
        except LocalEntryNotFoundError:
            pass
    try:
        files = HfApi().list_repo_files(hub_id)
        duplicates = ["*.bin"] if any(name.endswith(".safetensors") for name in files) else []
        return Path(snapshot_download(hub_id, allow_patterns=_WANTED, ignore_patterns=duplicates))
    except Exception as failure:  # the hub's client lets whatever its transport raises through
        raise ModelUnusable(
            f"{hub_id} could not be fetched ({type(failure).__name__}). Check the name and the network, "
            "or fetch it elsewhere and set MINDGLM_MODEL to the directory."
        ) from failure


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights, one format only: safetensors where there are any."""
    for pattern in _WEIGHTS:
        if files := sorted(directory.glob(pattern)):
            return files
    return []


def fingerprint(directory: Path) -> str:
    """Eight characters that change with the configuration or the weights' files; contents are not read."""
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for file in weight_files(directory):
        digest.update(f"{file.name} {file.stat().st_size}".encode())
    return digest.hexdigest()[:8]


def is_here(model: str | None) -> bool:
    """Whether `find_model` would not have to fetch anything."""
    if model is None or Path(model).expanduser().exists() or not _HUB_ID.fullmatch(model):
        return True
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(model, local_files_only=True, allow_patterns=_WANTED)
    except LocalEntryNotFoundError:
        return False
    return True
