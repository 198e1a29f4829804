"""LoRA adapters, merged into the model: with the native names, or with those of ChatGLM2's own code.

Most adapters for ChatGLM2 were trained on its own modules. Their names are translated; what was learned for
`query_key_value` is divided: all three projections get the same A, and each its rows of B.
"""

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from worker.engine.port import ModelUnusable
from worker.model.chatglm2 import P_TUNING
from worker.model.config_file import is_prefix
from worker.model.examine import refuse_pointers

if TYPE_CHECKING:
    from peft import PeftModel

_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, ImportError, EOFError)
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_JOINED = "query_key_value"
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
_MODULES = {
    "dense_h_to_4h": ("gate_up_proj",),
    "dense_4h_to_h": ("down_proj",),
    "dense": ("o_proj",),
    _JOINED: _PROJECTIONS,
    "output_layer": ("lm_head",),
    "word_embeddings": ("embed_tokens",),
}
_PATHS = (
    ("transformer.encoder.layers.", "model.layers."),
    ("transformer.embedding.word_embeddings", "model.embed_tokens"),
    ("transformer.output_layer", "lm_head"),
    ("self_attention.", "self_attn."),
    ("mlp.dense_h_to_4h", "mlp.gate_up_proj"),
    ("mlp.dense_4h_to_h", "mlp.down_proj"),
    ("self_attn.dense.", "self_attn.o_proj."),
)
_WHOLE = "lora_A"
"""Of a joined module, what each of its projections gets undivided."""


def merge_adapter(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The model with the adapter's weights added to its own. Raises `ModelUnusable`."""
    refuse_pointers(adapter)
    config = _config(adapter)
    if _is_original(config):
        with tempfile.TemporaryDirectory() as directory:
            return _merge(model, _translated(adapter, config, model, Path(directory)), named=adapter)
    return _merge(model, adapter, named=adapter)


def adapter_files(adapter: Path) -> list[Path]:
    """What makes up the adapter: its configuration and its weights."""
    return [adapter / name for name in ("adapter_config.json", *_WEIGHTS) if (adapter / name).is_file()]


def _merge(model: PreTrainedModel, adapter: Path, *, named: Path) -> PreTrainedModel:
    from peft import PeftModel

    stored = _weights(adapter)
    _refuse_broken_numbers(stored, named)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # they are an error here
            adapted = PeftModel.from_pretrained(model, str(adapter))
        _refuse_partial(adapted, stored, named)
        return cast("PreTrainedModel", adapted.merge_and_unload())
    except _ERRORS as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnusable(f"{named} does not fit the model: {said}") from error


def _refuse_partial(adapted: "PeftModel", stored: Mapping[str, Tensor], named: Path) -> None:
    """PEFT leaves out tensors that it has no place for, and leaves places empty, with a warning at most."""
    from peft import get_peft_model_state_dict

    places = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    given = {name.replace(f".{adapted.active_adapter}.", ".") for name in stored}
    unplaced = sorted(given - places - set(adapted.state_dict()))
    for keys, problem in ((unplaced, "no place in the model"), (sorted(places - given), "no weights")):
        if keys:
            raise ModelUnusable(
                f"{named} does not fit the model: {len(keys)} parts have {problem} (first: {keys[0]}). "
                "Take an adapter that was trained on this model."
            )


def _refuse_broken_numbers(stored: Mapping[str, Tensor], named: Path) -> None:
    broken = next((name for name, tensor in sorted(stored.items()) if not tensor.isfinite().all()), None)
    if broken is not None:
        raise ModelUnusable(f"{named} holds numbers that are none (first in {broken}): its training went wrong.")


def _config(adapter: Path) -> dict[str, Any]:
    file = adapter / "adapter_config.json"
    if is_prefix(adapter):
        raise ModelUnusable(P_TUNING.format(directory=adapter))
    if not file.is_file():
        raise ModelUnusable(f"{adapter} is not a LoRA adapter's directory: it has no adapter_config.json.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise ModelUnusable(f"{file} is not JSON. Fetch it again.") from broken
    if not isinstance(config, dict):
        raise ModelUnusable(f"{file} is not an adapter's configuration.")
    if config.get("peft_type", "LORA") != "LORA":
        raise ModelUnusable(f"{adapter} is a {config['peft_type']} adapter; only LoRA can be merged into the weights.")
    return config


def _is_original(config: Mapping[str, Any]) -> bool:
    targets = config.get("target_modules")
    text = targets if isinstance(targets, str) else " ".join(map(str, targets or ()))
    return any(name in text for name in (_JOINED, "dense", "self_attention", "transformer.encoder"))


def _translated(adapter: Path, config: dict[str, Any], model: PreTrainedModel, target: Path) -> Path:
    """The adapter under native names, written to `target`."""
    from safetensors.torch import save_file

    targets = config["target_modules"]
    if isinstance(targets, str):
        raise ModelUnusable(f"{adapter} names its target_modules by a pattern ({targets}); list them instead.")
    changed = config | {"target_modules": sorted({native for name in targets for native in _native_modules(name)})}
    for field in ("modules_to_save", "exclude_modules"):
        if isinstance(config.get(field), list):
            changed[field] = sorted({native for name in config[field] for native in _native_modules(name)})
    for field in ("rank_pattern", "alpha_pattern"):
        pattern = config.get(field) or {}
        changed[field] = {native: value for name, value in pattern.items() for native in _native_modules(name)}
    tensors = {
        name: part.clone().contiguous()
        for old, tensor in _weights(adapter).items()
        for name, part in _native_tensors(old, tensor, model)
    }
    save_file(tensors, target / _WEIGHTS[0])
    (target / "adapter_config.json").write_text(json.dumps(changed), encoding="utf-8")
    return target


def _native_modules(name: str) -> tuple[str, ...]:
    """From the last part of a module's name: adapters name them bare or with their path."""
    path, _, last = _renamed(name).rpartition(".")
    prefix = f"{path}." if path else ""
    return tuple(prefix + native for native in _MODULES.get(last, (last,)))


def _native_tensors(name: str, tensor: Tensor, model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    renamed = _renamed(name)
    if _JOINED not in renamed:
        yield renamed, tensor
        return
    config: Any = model.config
    rows = [heads * config.head_dim for heads in (config.num_attention_heads, *[config.num_key_value_heads] * 2)]
    is_split = _WHOLE not in renamed and tensor.shape[0] == sum(rows)
    parts = torch.split(tensor, rows) if is_split else (tensor,) * len(rows)
    for projection, part in zip(_PROJECTIONS, parts, strict=True):
        yield renamed.replace(_JOINED, projection), part


def _renamed(name: str) -> str:
    for old, new in _PATHS:
        name = name.replace(old, new)
    return name


def _weights(adapter: Path) -> dict[str, Tensor]:
    for name in _WEIGHTS:
        file = adapter / name
        if file.is_file():
            break
    else:
        raise ModelUnusable(f"{adapter} has no weights ({' or '.join(_WEIGHTS)}). Fetch them.")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        return dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as broken:  # safetensors and pickle raise errors of their own
        raise ModelUnusable(f"{file} is cut short or damaged. Fetch it again.") from broken
