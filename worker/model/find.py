"""From what the settings call the model to a directory on this machine."""

import hashlib
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

from worker.engine.port import ModelUnusable

BUNDLED = Path(__file__).parent.parent / "bundled"
"""The small model that comes with the project: a demonstration, not a counsellor."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_SHA256 = re.compile("[0-9a-f]{64}")
_WANTED = ["*.json", "*.safetensors", "*.bin", "*.model", "*.jinja", "*.txt"]
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def find_model(model: str | None, *, revision: str | None = None) -> Path:
    """The model's directory; a hub id is fetched if it is not here yet. Raises `ModelUnusable`."""
    if model is None:
        return BUNDLED
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory
    if directory.exists() or not _HUB_ID.fullmatch(model):
        raise ModelUnusable(f"{model} is neither a directory nor a hub id such as ZhangCNN/MindGLM.")
    return fetch_model(model, revision=revision)


def fetch_model(hub_id: str, *, revision: str | None = None, is_refreshed: bool = False) -> Path:
    """Download a model with progress, going on where an earlier try ended; what is here already is not asked for again.

    The model's own code is never among the files. Raises `ModelUnusable`.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not is_refreshed:
        try:
            return Path(snapshot_download(hub_id, revision=revision, local_files_only=True, allow_patterns=_WANTED))
        except LocalEntryNotFoundError:
            pass
    try:
        listed = HfApi().model_info(hub_id, revision=revision, files_metadata=True).siblings or []
        sizes = {file.rfilename: file.size or 0 for file in listed}
        duplicates = ["*.bin"] if any(name.endswith(".safetensors") for name in sizes) else []
        _refuse_full_disk(hub_id, sizes, duplicates)
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=_WANTED, ignore_patterns=duplicates))
    except ModelUnusable:
        raise
    except Exception as failure:  # the hub's client lets whatever its transport raises through
        raise ModelUnusable(
            f"{hub_id} could not be fetched ({type(failure).__name__}). Check the name and the network; where the hub "
            "is out of reach (in mainland China, say), name a mirror: HF_ENDPOINT=https://hf-mirror.com. "
            "Or fetch it elsewhere and set MINDGLM_MODEL to the directory."
        ) from failure


def _refuse_full_disk(hub_id: str, sizes: dict[str, int], duplicates: list[str]) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    def matches(name: str, patterns: list[str]) -> bool:
        return any(fnmatch(name, pattern) for pattern in patterns)

    needed = sum(size for name, size in sizes.items() if matches(name, _WANTED) and not matches(name, duplicates))
    cache = Path(HF_HUB_CACHE)
    present = sum(file.stat().st_size for file in (cache / f"models--{hub_id.replace('/', '--')}" / "blobs").glob("*"))
    place = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if needed - present > free:
        raise ModelUnusable(
            f"{hub_id} takes {needed / 2**30:.1f} GiB, but {place} has {free / 2**30:.1f} GiB free. "
            "Make room, or set HF_HOME to a larger disk."
        )


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights, one format only: safetensors where there are any."""
    for pattern in _WEIGHTS:
        if files := sorted(directory.glob(pattern)):
            return files
    return []


def fingerprint(directory: Path, *, adapter: Path | None = None) -> str:
    """Twelve characters of a digest of the configuration, the weights and the adapter's; all contents count."""
    files = [directory / "config.json", *weight_files(directory)]
    if adapter is not None:
        files += [file for file in sorted(adapter.iterdir()) if file.name.startswith("adapter_") and file.is_file()]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {_sha256(file)}\n".encode())
    return digest.hexdigest()[:12]


def version_of(directory: Path, *, model: str | None, adapter: Path | None = None, quantize: str | None = None) -> str:
    """Names the weights: the model's name, the digest of all contents, what was added and how they are stored."""
    tuned = f"+{adapter.name}" if adapter is not None else ""
    stored = f"-{quantize}" if quantize else ""
    return f"{Path(model or BUNDLED).name}@{fingerprint(directory, adapter=adapter)}{tuned}{stored}"


def _sha256(file: Path) -> str:
    """The hub's cache names a large file by this digest already; reading 12 GB takes some ten seconds."""
    stored = file.resolve().name
    if file.is_symlink() and _SHA256.fullmatch(stored):
        return stored
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
