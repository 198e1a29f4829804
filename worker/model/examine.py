"""Looks at a model's directory before anything is loaded, so that each defect is named with what to do about it."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.engine.port import ModelUnusable
from worker.model.find import weight_files

_CHATGLM2 = "chatglm"
_CHATGLM3_ROLE = "<|user|>"
_POINTER = b"version https://git-lfs"
_MAX_POINTER_BYTES = 1024
"""A pointer has three short lines (https://github.com/git-lfs/git-lfs, docs/spec.md)."""
_ZIP = b"PK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A directory that looks whole."""

    directory: Path
    config: dict[str, Any]
    chat_template: str | None
    weight_bytes: int

    @property
    def model_type(self) -> str:
        """What transformers calls the architecture."""
        return str(self.config["model_type"])

    @property
    def is_chatglm2(self) -> bool:
        """Whether it is in ChatGLM2's original form."""
        return self.model_type == _CHATGLM2


def examine(directory: Path) -> Examined:
    """Check that the directory holds a whole model. Raises `ModelUnusable`."""
    refuse_pointers(directory)
    config = _config(directory)
    if config["model_type"] == _CHATGLM2:
        _refuse_chatglm3(directory, config)
    files = weight_files(directory)
    if not files:
        raise ModelUnusable(f"{directory} has no weights (*.safetensors or pytorch_model*.bin). Fetch them.")
    _check_index(directory)
    for file in files:
        _check_weights(file)
    return Examined(
        directory=directory,
        config=config,
        chat_template=_chat_template(directory),
        weight_bytes=sum(file.stat().st_size for file in files),
    )


def refuse_pointers(directory: Path) -> None:
    """Raises `ModelUnusable` if a file of the model was never fetched: Git left a pointer in its place."""
    for file in sorted(directory.glob("*")):
        if file.is_file() and file.stat().st_size < _MAX_POINTER_BYTES and file.read_bytes().startswith(_POINTER):
            what = "weights" if file in weight_files(directory) else "file itself"
            raise ModelUnusable(f"{file} is a Git LFS pointer, not the {what}. Run `git lfs pull`, or fetch the model.")


def _config(directory: Path) -> dict[str, Any]:
    if not directory.is_dir():
        raise ModelUnusable(f"{directory} is not a directory.")
    file = directory / "config.json"
    if not file.is_file():
        hint = (
            " It holds a LoRA adapter: set MINDGLM_ADAPTER to it."
            if (directory / "adapter_config.json").is_file()
            else ""
        )
        raise ModelUnusable(f"{directory} is not a model's directory: it has no config.json.{hint}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise ModelUnusable(f"{file} is not JSON. Fetch it again.") from broken
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelUnusable(f"{file} names no model_type; it is not a transformers model's.")
    return config


def _refuse_chatglm3(directory: Path, config: dict[str, Any]) -> None:
    """Its weights fit ChatGLM2's classes, but it was trained on another prompt and rotates by another rule."""
    named = str(config.get("_name_or_path", "")).lower()
    said = [directory / name for name in ("tokenization_chatglm.py", "tokenizer_config.json", "tokenizer.json")]
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in said if file.is_file())
    if "chatglm3" in named or any(_CHATGLM3_ROLE in text or "chatglm3" in text.lower() for text in texts):
        raise ModelUnusable(
            f"{directory} holds ChatGLM3, or GLM-4 in its older form, which this engine cannot prompt. Serve it with "
            "vLLM and set MINDGLM_ENGINE=openai and MINDGLM_OPENAI_PROMPT=chat, or take a ChatGLM2 model, or GLM-4's "
            "newer form (its name ends in -hf)."
        )


def _chat_template(directory: Path) -> str | None:
    file = directory / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    settings = directory / "tokenizer_config.json"
    template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.is_file() else None
    return template if isinstance(template, str) else None


def _check_index(directory: Path) -> None:
    for index in directory.glob("*.index.json"):
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        missing = sorted(name for name in named if not (directory / name).is_file())
        is_other_format = len(missing) == len(named) and weight_files(directory)[0].suffix not in missing[0]
        if missing and not is_other_format:
            raise ModelUnusable(
                f"{directory} lacks {missing[0]} ({len(missing)} of {len(named)} shards). Fetch the model again."
            )


def _check_weights(file: Path) -> None:
    with file.open("rb") as opened:
        start = opened.read(len(_POINTER))
    whole = _is_whole_safetensors(file) if file.suffix == ".safetensors" else _is_whole_pickle(file, start)
    if not whole:
        raise ModelUnusable(f"{file} is cut short or damaged ({file.stat().st_size} bytes). Fetch it again.")


def _is_whole_pickle(file: Path, start: bytes) -> bool:
    """Only the zip form can be checked without reading it; the older form shows its defects on loading."""
    return len(start) > 0 and (not start.startswith(_ZIP) or zipfile.is_zipfile(file))


def _is_whole_safetensors(file: Path) -> bool:
    """The header's last offset is the end of the file (https://github.com/huggingface/safetensors, "Format")."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length + 8 > file.stat().st_size:
            return False
        try:
            header = json.loads(opened.read(length))
        except ValueError:
            return False
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0) == file.stat().st_size
