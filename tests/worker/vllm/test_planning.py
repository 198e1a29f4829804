"""Which engine is taken, on which GPUs, with which command line."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dialogue.errors import Misconfigured
from tests.worker.engine import chatglm2
from worker.engine.choose import build
from worker.engine.port import ModelUnusable
from worker.engine.selection import Reason, choose_engine
from worker.settings import WorkerSettings
from worker.vllm import command, gpus
from worker.vllm.gpus import Gpu, lay_out, visible_gpus
from worker.vllm.route import in_order

GIB = 2**30


def cards(*gib: float) -> list[Gpu]:
    return [Gpu(name=str(number), total_bytes=int(size * GIB)) for number, size in enumerate(gib)]


@pytest.mark.parametrize(
    ("changes", "found", "engine", "reason"),
    [
        ({}, cards(80), "transformers", Reason.BUNDLED),
        ({"model": "a/b"}, cards(23.6), "vllm", Reason.FITS),
        ({"model": "a/b"}, cards(16, 80), "vllm", Reason.FITS),
        ({"model": "a/b"}, cards(16), "transformers", Reason.SMALL_GPU),
        ({"model": "a/b"}, [], "transformers", Reason.NO_GPU),
        ({"model": "a/b", "quantize": "int8"}, cards(80), "transformers", Reason.QUANTIZED),
        ({"model": "a/b", "guidance": 2}, cards(80), "transformers", Reason.GUIDED),
        ({"model": "a/b", "guidance": 1}, cards(80), "vllm", Reason.FITS),
        ({"model": "a/b", "device": "cuda:1"}, cards(80), "transformers", Reason.DEVICE),
        ({"model": "a/b", "device": "cpu"}, cards(80), "transformers", Reason.DEVICE),
        ({"model": "a/b", "engine": "transformers"}, cards(80), "transformers", Reason.SET),
        ({"engine": "vllm"}, [], "vllm", Reason.SET),
    ],
)
def test_vllm_is_taken_where_it_is_installed_and_the_gpu_is_large_enough(
    changes: dict[str, object], found: list[Gpu], engine: str, reason: Reason
) -> None:
    settings = WorkerSettings(vllm_command="vllm serve", _env_file=None, **changes)  # type: ignore[call-arg, arg-type]  # pydantic's
    choice = choose_engine(settings, find_gpus=lambda: found)
    assert (choice.engine, choice.reason) == (engine, reason)


def test_a_prefix_stays_with_our_own_engine(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"pre_seq_len": 128}')
    for changes in ({"model": str(tmp_path)}, {"model": "a/b", "adapter": str(tmp_path)}):
        settings = WorkerSettings(vllm_command="vllm serve").model_copy(update=changes)
        assert choose_engine(settings, find_gpus=lambda: cards(80)).reason is Reason.PREFIX


def test_our_own_engine_is_taken_where_vllm_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    choice = choose_engine(WorkerSettings(model="a/b"), find_gpus=lambda: cards(80))
    assert (choice.engine, choice.reason) == ("transformers", Reason.NO_VLLM)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantize": "int8"}, "--quantization"),
        ({"guidance": 3}, "MINDGLM_ENGINE=transformers"),
        ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES"),
        ({"vllm_command": None}, "not installed"),
        ({"vllm_command": "'open"}, "MINDGLM_VLLM_COMMAND"),
        ({"vllm_arguments": "--port 80"}, "--port is set by the worker"),
        ({"vllm_arguments": "--api_key=x"}, "--api-key is set by the worker"),
        ({"vllm_arguments": "--enable-log-requests"}, "people's words"),
    ],
    ids=str,
)
def test_what_the_managed_server_cannot_have_is_refused(
    changes: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    settings = WorkerSettings(engine="vllm", vllm_command="vllm serve").model_copy(update=changes)
    with pytest.raises(Misconfigured, match=said):
        build(settings)


@pytest.mark.parametrize(
    ("found", "weights", "per_server", "servers", "names"),
    [
        ([], 12, None, None, [[]]),
        ([], 12, None, 2, [[], []]),
        (cards(24), 12, None, None, [["0"]]),
        (cards(24, 24), 12, None, None, [["0"], ["1"]]),
        (cards(24, 24), 30, None, None, [["0", "1"]]),
        (cards(24, 24, 24, 24), 30, None, None, [["0", "1"], ["2", "3"]]),
        (cards(24, 24, 24), 30, None, None, [["0", "1"]]),
        (cards(24, 24, 24, 24), 12, 4, None, [["0", "1", "2", "3"]]),
        (cards(24, 24), 12, None, 1, [["0"]]),
    ],
)
def test_servers_are_laid_over_the_gpus(
    found: list[Gpu], weights: int, per_server: int | None, servers: int | None, names: list[list[str]]
) -> None:
    layout = lay_out(found, weight_bytes=weights * GIB, per_server=per_server, servers=servers)
    assert [[gpu.name for gpu in group] for group in layout.groups] == names


@pytest.mark.parametrize(("found", "per_server", "servers"), [(cards(24), 2, None), (cards(24), 1, 2), ([], 2, None)])
def test_more_gpus_than_there_are_is_refused(found: Sequence[Gpu], per_server: int, servers: int | None) -> None:
    with pytest.raises(ModelUnusable, match="MINDGLM_VLLM_GPUS_PER_SERVER"):
        lay_out(found, weight_bytes=1, per_server=per_server, servers=servers)


@pytest.mark.parametrize(
    ("visible", "names"),
    [(None, ["0", "1"]), ("1", ["1"]), ("1,0", ["1", "0"]), ("GPU-b", ["GPU-b"]), ("", []), ("0,7,1", ["0"])],
)
def test_the_gpus_are_those_that_cuda_sees(
    visible: str | None, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aaaa, 24564'\necho '1, GPU-bbbb, 81559'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.name for gpu in visible_gpus()] == names


def test_a_machine_without_the_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert gpus.visible_gpus() == []


def test_the_command_line_is_the_one_that_vllm_documents() -> None:
    words = command.argv(
        ["/opt/vllm", "serve"],
        Path("/m"),
        port=8123,
        context=512,
        dtype="auto",
        gpus=cards(24, 24),
        extra=["--gpu-memory-utilization", "0.8"],
    )
    assert " ".join(words) == (
        "/opt/vllm serve /m --served-model-name MindGLM --host 127.0.0.1 --port 8123 --max-model-len 512 --dtype auto "
        "--tensor-parallel-size 2 --gpu-memory-utilization 0.8"
    )
    plain = command.argv(["python"], Path("/m"), port=1, context=9, dtype="auto", gpus=cards(24), extra=())
    assert plain[1:3] == ["--model", "/m"]
    assert "--tensor-parallel-size" not in plain
    assert command.environment("k", cards(24, 24))["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_conversations_are_spread_evenly_and_few_move_when_a_server_goes() -> None:
    class One:
        key, port = "", 1

        def __init__(self, name: str) -> None:
            self.name = name

    three = [One(f"vllm-{number}") for number in range(3)]
    names = [f"conversation {number}" for number in range(300)]
    homes = {name: in_order(three, name)[0] for name in names}
    assert all(80 < list(homes.values()).count(one) < 120 for one in three)
    assert all(in_order(three[:2], name)[0] is homes[name] for name in names if homes[name] is not three[2])


def test_a_checkpoint_in_the_original_form_is_converted_once(tmp_path: Path) -> None:
    from worker.vllm.model import servable

    settings = WorkerSettings(model=str(chatglm2.write(tmp_path / "tiny")), home=tmp_path / "home", engine="vllm")
    first = servable(settings, max_context=64)
    assert first.directory.parent == tmp_path / "home" / "models"
    assert first.version.startswith("tiny@")
    assert first.prompter.version == "rounds-seed"
    assert first.context == 64
    (first.directory / "mark").touch()
    assert servable(settings, max_context=64).directory == first.directory
    assert (first.directory / "mark").exists()


def test_a_disk_that_is_too_small_is_told_before_converting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from worker.vllm.model import servable

    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("usage", (), {"free": 1000})())
    settings = WorkerSettings(model=str(chatglm2.write(tmp_path / "tiny")), home=tmp_path / "home", engine="vllm")
    with pytest.raises(ModelUnusable, match=r"free\. Make room"):
        servable(settings, max_context=64)
    assert [file.name for file in (tmp_path / "home" / "models").iterdir()] == ["lock"]
