"""Which build of torch is installed."""

import os
import sys
from pathlib import Path

import pytest

from bootstrap import torch
from bootstrap.torch import Build
from bootstrap.uv import PipSettings
from tests.bootstrap.checkout import Checkout

TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
WHEEL = f"torch-{torch.VERSION}+cpu-{TAG}-{TAG}-manylinux_2_28_{os.uname().machine}.whl"


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch, "_has_nvidia_gpu", lambda: False)
    return monkeypatch


def choose(*wheel_directories: Path) -> Build:
    return torch.choose(PipSettings(wheel_directories=[str(directory) for directory in wheel_directories]))


def test_without_a_gpu_the_cpu_build_is_taken(linux: pytest.MonkeyPatch) -> None:
    assert choose().options == ["--torch-backend=cpu"]


def test_with_a_gpu_the_cuda_build_is_taken_even_where_a_cpu_wheel_lies(
    linux: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / WHEEL).touch()
    linux.setattr(torch, "_has_nvidia_gpu", lambda: True)
    assert choose(tmp_path).options == ["--torch-backend=auto"]


def test_a_wheel_that_lies_at_hand_is_taken(linux: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(bytes(3_000_000))
    assert (choose(tmp_path).options, choose(tmp_path).download_mb) == ((), 3)


@pytest.mark.parametrize(
    "name", [WHEEL.replace("-cp3", "-cp2"), WHEEL.replace(os.uname().machine, "sparc"), "torch-1.0.whl"]
)
def test_a_wheel_for_another_machine_is_not(linux: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert choose(tmp_path).options == ["--torch-backend=cpu"]


def test_on_a_mac_there_is_only_one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert choose().options == ()


def test_where_the_cpu_build_cannot_be_had_the_larger_one_is(fresh: Checkout) -> None:
    outcome = fresh.run("chat", FAKE_UV_FAILS_AT="torch-backend")
    assert outcome.status == 7
    assert "could not get" in outcome.err
