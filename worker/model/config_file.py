"""What a directory's config.json says of a P-tuning prefix, read without any library of models."""

import json
from pathlib import Path


def is_prefix(directory: Path) -> bool:
    """Whether the directory holds a prefix by itself, as ChatGLM2's P-tuning script saves it."""
    return not (directory / "adapter_config.json").is_file() and bool(prefix_length(directory))


def prefix_length(directory: Path) -> int:
    """The virtual tokens that config.json speaks of; 0 without one."""
    file = directory / "config.json"
    if not file.is_file():
        return 0
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return 0
    length = found.get("pre_seq_len") if isinstance(found, dict) else None
    return length if isinstance(length, int) else 0
