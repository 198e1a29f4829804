"""A model that cannot fit is refused before anything is loaded."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from tests.worker.engine import chatglm2
from worker.engine.port import ModelUnusable
from worker.model import load, memory_needed
from worker.model.examine import examine
from worker.model.find import BUNDLED
from worker.model.memory_needed import memory_of, needed_bytes, number_count

CPU = torch.device("cpu")


def test_the_numbers_of_the_weights_are_counted_in_both_formats(tmp_path: Path) -> None:
    bundled = load.load_model(examine(BUNDLED), dtype="float32", device=CPU)
    assert number_count(examine(BUNDLED)) == sum(one.numel() for one in bundled.parameters())
    exact = sum(tensor.numel() for tensor in chatglm2.weights().values())
    pickled = examine(chatglm2.write(tmp_path / "model"))
    assert exact <= number_count(pickled) < exact * 1.4  # a tiny checkpoint is a good part frame
    assert needed_bytes(pickled, torch.float32) == 2 * needed_bytes(pickled, torch.float16)


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_needed, "memory_of", lambda _device: (2**20, 2**40))
    with pytest.raises(ModelUnusable, match=r"does not fit.*cpu.*0\.1 GiB as float32.*MINDGLM_QUANTIZE") as refused:
        load.load_model(examine(BUNDLED), dtype="float32", device=CPU)
    assert "\n" not in str(refused.value)


def test_the_limit_of_a_container_is_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 200\nactive_file 100\n")
    monkeypatch.setattr(memory_needed, "_CGROUPS", ((tmp_path / "memory.max", tmp_path / "memory.current"),))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5000, total=9000))
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))
    assert memory_of(CPU) == (600, 1000)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_of(CPU) == (5000, 9000)
