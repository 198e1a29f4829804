"""The command line and the environment of a vLLM server, and whether there is one to start."""

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dialogue.errors import Misconfigured
from worker.settings import WorkerSettings
from worker.vllm.gpus import Gpu

SERVED_NAME = "MindGLM"
_MODULE = ("-m", "vllm.entrypoints.openai.api_server")
MAX_LENGTH = 8192
"""Tokens: a window of 600 characters, a message of 4,000 at most, and a reply take half of it."""
_NOT_HANDED_ON = ("MINDGLM_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "NOTIFY_SOCKET", "PROMETHEUS_MULTIPROC_DIR")
"""Our secrets, and what would make another environment's Python read ours."""
_TELLING = ("--enable-log-requests", "--enable-log-outputs")
_OURS = ("--host", "--port", "--uds", "--api-key", "--served-model-name", "--model", "--root-path", "--ssl")


def find_command(settings: WorkerSettings) -> list[str] | None:
    """What starts vLLM, without its arguments; None where it is not installed. Raises `Misconfigured`."""
    if settings.vllm_command is not None:
        return _split(settings.vllm_command, "MINDGLM_VLLM_COMMAND")
    if program := shutil.which("vllm"):
        return [program, "serve"]
    return [sys.executable, *_MODULE] if importlib.util.find_spec("vllm") is not None else None


def extra_arguments(settings: WorkerSettings) -> list[str]:
    """The operator's own. Raises `Misconfigured` for those that are not theirs to set."""
    words = _split(settings.vllm_arguments, "MINDGLM_VLLM_ARGUMENTS")
    for word in words:
        option = word.partition("=")[0].replace("_", "-")
        if option in _TELLING:
            raise Misconfigured(f"MINDGLM_VLLM_ARGUMENTS: {option} would write people's words into a log.")
        if option in _OURS or option.startswith("--ssl"):
            raise Misconfigured(f"MINDGLM_VLLM_ARGUMENTS: {option} is set by the worker; leave it out.")
    return words


def argv(
    command: Sequence[str],
    directory: Path,
    *,
    port: int,
    context: int,
    dtype: str,
    gpus: Sequence[Gpu],
    extra: Sequence[str],
) -> list[str]:
    """`context` in tokens. What the operator adds comes last, where it wins."""
    model = [str(directory)] if command[-1] == "serve" else ["--model", str(directory)]
    parallel = ["--tensor-parallel-size", str(len(gpus))] if len(gpus) > 1 else []
    return [
        *command,
        *model,
        *("--served-model-name", SERVED_NAME),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", str(min(context, MAX_LENGTH))),
        *("--dtype", dtype),
        *parallel,
        *extra,
    ]


def environment(key: str, gpus: Sequence[Gpu]) -> Mapping[str, str]:
    """This process's own without our settings; the key is here because command lines are public."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
    shown = {"CUDA_VISIBLE_DEVICES": ",".join(gpu.name for gpu in gpus)} if gpus else {}
    return {
        **kept,
        **shown,
        "VLLM_API_KEY": key,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _split(words: str, variable: str) -> list[str]:
    try:
        found = shlex.split(words)
    except ValueError as error:
        raise Misconfigured(f"{variable} cannot be split into words: {error}.") from error
    if found and found[0].startswith("~"):
        found[0] = str(Path(found[0]).expanduser())
    if variable.endswith("COMMAND") and not found:
        raise Misconfigured(f"{variable} is empty.")
    return found
