"""Where models are fetched from: Hugging Face's hub or a mirror of it, and ModelScope."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

HubName = Literal["huggingface", "modelscope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a model; `size` in bytes, `sha256` where the hub knows it."""

    name: str
    size: int
    sha256: str | None


class Hub(Protocol):
    """What is needed of a hub. Its methods raise whatever its client and the network raise."""

    advice: str
    """What to try where it is out of reach."""
    cache_variable: str
    """Moves the cache to another disk."""

    @property
    def cache(self) -> Path:
        """The directory that holds what was fetched."""

    def local(self, model: str, *, revision: str | None, wanted: Sequence[str]) -> Path | None:
        """What was fetched before, if all of it is here."""

    def files(self, model: str, *, revision: str | None) -> list[RemoteFile]:
        """All files of the model."""

    def download(self, model: str, *, revision: str | None, wanted: Sequence[str], unwanted: Sequence[str]) -> Path:
        """Fetch with progress, going on where an earlier try ended."""

    def fetched_bytes(self, model: str) -> int:
        """What is in the cache already, unfinished files included."""


class HuggingFace:
    """https://huggingface.co, or what HF_ENDPOINT names."""

    advice = (
        "where the hub is out of reach (in mainland China, say), name a mirror: HF_ENDPOINT=https://hf-mirror.com, or "
        "try --hub modelscope."
    )
    cache_variable = "HF_HOME"

    @property
    def cache(self) -> Path:
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE)

    def local(self, model: str, *, revision: str | None, wanted: Sequence[str]) -> Path | None:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return Path(snapshot_download(model, revision=revision, local_files_only=True, allow_patterns=list(wanted)))
        except LocalEntryNotFoundError:
            return None

    def files(self, model: str, *, revision: str | None) -> list[RemoteFile]:
        from huggingface_hub import HfApi

        listed = HfApi().model_info(model, revision=revision, files_metadata=True).siblings or []
        return [
            RemoteFile(name=file.rfilename, size=file.size or 0, sha256=file.lfs.sha256 if file.lfs else None)
            for file in listed
        ]

    def download(self, model: str, *, revision: str | None, wanted: Sequence[str], unwanted: Sequence[str]) -> Path:
        from huggingface_hub import snapshot_download

        return Path(
            snapshot_download(model, revision=revision, allow_patterns=list(wanted), ignore_patterns=list(unwanted))
        )

    def fetched_bytes(self, model: str) -> int:
        return _bytes_in(self.cache / f"models--{model.replace('/', '--')}" / "blobs")


class ModelScope:
    """https://modelscope.cn, or what MODELSCOPE_ENDPOINT names. Its client checks the digests of all files."""

    advice = "check MODELSCOPE_ENDPOINT, or try --hub huggingface."
    cache_variable = "MODELSCOPE_CACHE"

    @property
    def cache(self) -> Path:
        from modelscope_hub.config import get_default_config

        return Path(get_default_config().cache_dir)

    def local(self, model: str, *, revision: str | None, wanted: Sequence[str]) -> Path | None:
        from modelscope_hub import HubApi
        from modelscope_hub.errors import HubError

        try:
            found = HubApi().download_repo(
                model, "model", revision=revision, allow_patterns=list(wanted), local_files_only=True
            )
        except (HubError, OSError, ValueError):
            return None
        return Path(found) if (Path(found) / "config.json").is_file() else None

    def files(self, model: str, *, revision: str | None) -> list[RemoteFile]:
        from modelscope_hub import HubApi

        listed = HubApi().list_repo_files(model, "model", revision=revision)
        return [
            RemoteFile(name=file.path, size=file.size, sha256=file.sha256) for file in listed if file.type != "tree"
        ]

    def download(self, model: str, *, revision: str | None, wanted: Sequence[str], unwanted: Sequence[str]) -> Path:
        from modelscope_hub import HubApi

        found = HubApi().download_repo(
            model, "model", revision=revision, allow_patterns=list(wanted), ignore_patterns=list(unwanted)
        )
        return Path(found)

    def fetched_bytes(self, model: str) -> int:
        return sum(_bytes_in(place) for place in self.cache.glob(f"**/{model.replace('/', '--')}"))


HUBS: dict[HubName, Hub] = {"huggingface": HuggingFace(), "modelscope": ModelScope()}


def _bytes_in(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("**/*") if file.is_file() and not file.is_symlink())
