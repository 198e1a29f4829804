"""Loads the weights onto native classes, strictly: a layer that the checkpoint does not fill is an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from worker.engine.port import ModelUnusable
from worker.model import chatglm2
from worker.model.adapter import merge_adapter
from worker.model.config_file import is_prefix
from worker.model.examine import Examined
from worker.model.hardware import choose_dtype
from worker.model.memory_needed import refuse_too_large
from worker.model.quantized_original import read_full_precision

_MAX_NAMED = 4
_LOADING_ERRORS = (OSError, RuntimeError, ValueError, KeyError, ImportError, EOFError)


def load_model(
    examined: Examined,
    *,
    dtype: str = "auto",
    device: torch.device,
    adapter: Path | None = None,
    leaves_prefix: bool = False,
) -> PreTrainedModel:
    """The model in evaluation mode on `device`, with `adapter` (LoRA) merged into it.

    `dtype` is a name of torch's, or "auto". `leaves_prefix`: a P-tuning prefix is the caller's business, else it is
    refused. The model's own code is never run. Raises `ModelUnusable`.
    """
    if leaves_prefix:
        examined = replace(examined, config={**examined.config, "pre_seq_len": None})
    chosen = choose_dtype(dtype, device=device, stored=_stored_dtype(examined))
    refuse_too_large(examined, dtype=chosen, device=device)
    try:
        with _quiet():
            bits = examined.config.get("quantization_bit") if examined.is_chatglm2 else None
            if bits:
                model, info = _from_quantized(examined, bits=bits, dtype=chosen, device=device)
            else:
                model, info = _from_pretrained(examined, dtype=chosen, device=device)
    except torch.OutOfMemoryError as error:
        raise _too_large(examined, device) from error
    except _LOADING_ERRORS as error:
        raise ModelUnusable(f"{examined.directory} cannot be loaded: {_first_line(error)}") from error
    if leaves_prefix:
        info["unexpected_keys"] = [key for key in info["unexpected_keys"] if "prefix_encoder." not in str(key)]
    _refuse_incomplete(examined.directory, info)
    if adapter is not None:
        model = merge_adapter(model, adapter)
    model.train(mode=False)
    return model


def _from_pretrained(
    examined: Examined, *, dtype: torch.dtype, device: torch.device
) -> tuple[PreTrainedModel, dict[str, Any]]:
    options: dict[str, Any] = {
        "dtype": dtype,
        "local_files_only": True,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,  # so that they are named below
    }
    if device.type != "cpu":
        options["device_map"] = {"": device}
    if examined.is_chatglm2:
        chatglm2.register_conversion()
        options["config"] = chatglm2.native_config(examined.config)
        make: Any = chatglm2.ChatGLM2ForCausalLM
    else:
        make = AutoModelForCausalLM
        options["trust_remote_code"] = False
    return cast("tuple[PreTrainedModel, dict[str, Any]]", make.from_pretrained(examined.directory, **options))


def _from_quantized(
    examined: Examined, *, bits: int, dtype: torch.dtype, device: torch.device
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """An original int4 or int8 checkpoint in `dtype`: the same class, filled from the dequantised tensors."""
    config = chatglm2.native_config(examined.config)
    config.dtype = dtype
    tensors = read_full_precision(examined.directory, bits=bits, dtype=dtype)
    make: Any = chatglm2.ChatGLM2ForCausalLM
    library: Any = make(config)  # on the CPU, whose rotary buffers are right
    found = library.load_state_dict(dict(chatglm2.native_tensors(tensors, config)), strict=False, assign=True)
    info = {"missing_keys": found.missing_keys, "unexpected_keys": found.unexpected_keys, "mismatched_keys": []}
    return cast("PreTrainedModel", library.to(device)), info


def _stored_dtype(examined: Examined) -> torch.dtype | None:
    name = examined.config.get("dtype") or examined.config.get("torch_dtype")
    found = getattr(torch, name, None) if isinstance(name, str) else None
    return found if isinstance(found, torch.dtype) else None


def _refuse_incomplete(directory: Path, info: dict[str, Any]) -> None:
    for problem in ("missing", "unexpected", "mismatched"):
        keys = sorted(str(key) for key in info[f"{problem}_keys"])
        if not keys:
            continue
        if problem == "missing" and is_prefix(directory):
            raise ModelUnusable(
                f"{directory} holds a P-tuning prefix alone, without its model: set MINDGLM_MODEL to the model and "
                "MINDGLM_ADAPTER to this directory."
            )
        named = ", ".join(keys[:_MAX_NAMED]) + (" …" if len(keys) > _MAX_NAMED else "")
        if any("prefix_encoder" in key for key in keys):
            raise ModelUnusable(chatglm2.P_TUNING.format(directory=directory))
        raise ModelUnusable(
            f"The weights in {directory} do not fit its config.json: {len(keys)} {problem} ({named}). "
            "Take a whole checkpoint of one model."
        )


def _too_large(examined: Examined, device: torch.device) -> ModelUnusable:
    needed = examined.weight_bytes / 2**30
    return ModelUnusable(
        f"{examined.directory} does not fit into the memory of {device}: its weights alone take {needed:.1f} GiB. "
        "Free the device, set MINDGLM_DTYPE to a smaller type, or serve the model elsewhere with MINDGLM_ENGINE=openai."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and its warnings about keys, which are errors here."""
    library: Any = logging
    verbosity = library.get_verbosity()
    had_bar = library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    try:
        yield
    finally:
        library.set_verbosity(verbosity)
        if had_bar:
            library.enable_progress_bar()
