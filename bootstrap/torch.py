"""Chooses the PyTorch build for this machine. The locks leave it open: a CPU or a CUDA build will do."""

import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bootstrap.places import VENV
from bootstrap.trouble import Trouble, need_room, say
from bootstrap.uv import PipSettings, Uv

VERSION = "2.13.0"


class Build(NamedTuple):
    """One build of PyTorch: its name in messages, its size, and pip options."""

    words: str
    download_mb: int
    disk_mb: int
    options: Sequence[str] = ()


_MAC = Build("PyTorch", download_mb=90, disk_mb=400)
_CPU = Build("the CPU build of PyTorch", download_mb=190, disk_mb=800, options=["--torch-backend=cpu"])
_CUDA = Build("the CUDA build of PyTorch", download_mb=2700, disk_mb=6000, options=["--torch-backend=auto"])
_WITH_CUDA_PARTS = _CUDA._replace(words="PyTorch with its CUDA parts", options=())


def is_installed() -> bool:
    """Whether .venv has this version, whatever the build."""
    return any(VENV.glob(f"lib/python3.*/site-packages/torch-{VERSION}*.dist-info"))


def choose(pip_settings: PipSettings) -> Build:
    """The build for this machine: the CUDA build if there is an NVIDIA GPU, else the smallest one."""
    if sys.platform == "darwin":
        return _MAC
    if _has_nvidia_gpu():
        return _CUDA
    return _from_directory(pip_settings) or _CPU


def install(uv: Uv, build: Build) -> None:
    """Install it; falls back to the larger build on the package index if PyTorch's own server cannot be reached."""
    requirement = f"torch=={VERSION}"
    try:
        uv.install(requirement, *build.options)
    except Trouble:
        if not build.options:
            raise
        say(f"could not get {build.words}; using {_WITH_CUDA_PARTS.words}, about {_WITH_CUDA_PARTS.download_mb} MB")
        need_room(_WITH_CUDA_PARTS.disk_mb)
        uv.install(requirement)


def _from_directory(pip_settings: PipSettings) -> Build | None:
    """A wheel for this Python and machine in one of pip's `find-links` directories."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    for directory in pip_settings.wheel_directories:
        for wheel in Path(directory).glob(f"torch-{VERSION}*-{tag}-{tag}-*{platform.machine()}.whl"):
            megabytes = wheel.stat().st_size // 1_000_000
            return Build(f"PyTorch from {directory}", download_mb=megabytes, disk_mb=4 * megabytes)
    return None


def _has_nvidia_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
