"""Fetching models: from Hugging Face's client as it is called, and from a ModelScope of the test's own."""

import hashlib
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import huggingface_hub
import psutil
import pytest
from typer.testing import CliRunner

from mindglm.model import app
from tests.services.http_server import running
from tests.worker.engine import chatglm2
from worker.engine.port import ModelUnusable
from worker.model.fetch import fetch_model, is_fetched
from worker.model.find import find_model
from worker.model.hubs import HUBS, RemoteFile


def listing(size: int, *, digest: str | None = None) -> SimpleNamespace:
    """What the hub says of a model with both forms of its weights."""
    names = ["config.json", "modeling_chatglm.py", "model.safetensors", "pytorch_model.bin"]
    lfs = SimpleNamespace(sha256=digest) if digest else None
    return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name, size=size, lfs=lfs) for name in names])


def says(monkeypatch: pytest.MonkeyPatch, listed: SimpleNamespace) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda _self, _model, **_options: listed)


def test_fetching_takes_one_format_of_the_weights_and_never_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def download(model: str, **options: Any) -> str:
        asked.update(options)
        return f"/cache/{model}"

    says(monkeypatch, listing(100))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert fetch_model("some/model", revision="v1", is_refreshed=True) == Path("/cache/some/model")
    assert asked["revision"] == "v1"
    assert asked["ignore_patterns"] == ["*.bin"]
    assert not any(fnmatch("modeling_chatglm.py", pattern) for pattern in asked["allow_patterns"])


def test_a_model_that_cannot_be_fetched_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(ModelUnusable, match=r"could not be fetched.*HF_ENDPOINT.*modelscope"):
        fetch_model("some/model", is_refreshed=True)


def test_a_model_that_does_not_fit_on_the_disk_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, listing(10**18))
    with pytest.raises(ModelUnusable, match=r"GiB free.*HF_HOME"):
        fetch_model("some/model", is_refreshed=True)


def test_a_damaged_file_is_removed_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"whole")
    says(monkeypatch, listing(5, digest=hashlib.sha256(b"whole").hexdigest()))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda _model, **_options: str(tmp_path))
    assert fetch_model("some/model", is_refreshed=True) == tmp_path
    (tmp_path / "model.safetensors").write_bytes(b"torn!")
    with pytest.raises(ModelUnusable, match=r"model\.safetensors was damaged.*Try again"):
        fetch_model("some/model", is_refreshed=True)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_what_is_fetched_and_what_it_needs_is_said_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    says(monkeypatch, listing(3 * 2**30))
    monkeypatch.setattr("shutil.disk_usage", lambda _place: SimpleNamespace(free=2**40))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda _model, **_options: str(tmp_path))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2 * 2**30))
    fetch_model("some/model", is_refreshed=True, tell=said.append)
    (line,) = said
    assert line.startswith("some/model: 6.0 GiB in 2 files; this machine's main memory (2.0 GiB) is too small")


class Scope(ThreadingHTTPServer):
    """Speaks the part of ModelScope's API that a download needs; `breaks_at`: bytes after which a line breaks once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.breaks_at: int | None = None
        self.ranges: list[str] = []
        super().__init__(("127.0.0.1", 0), ScopeHandler)


class ScopeHandler(BaseHTTPRequestHandler):
    """GET /api/v1/models/OWNER/NAME/repo/files, and /repo?FilePath=… with ranges."""

    server: Scope

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/api/v1/models/some/model/repo/files":
            self._answer({"Files": [self._described(file) for file in sorted(self.server.directory.iterdir())]})
        elif asked.path == "/api/v1/models/some/model/repo":
            self._send(self.server.directory / parse_qs(asked.query)["FilePath"][0])
        elif asked.path == "/api/v1/models/some/model":
            self._answer({"Name": "model"})
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def _described(self, file: Path) -> dict[str, object]:
        data = file.read_bytes()
        return {
            "Path": file.name,
            "Name": file.name,
            "Type": "blob",
            "Size": len(data),
            "Sha256": hashlib.sha256(data).hexdigest(),
        }

    def _answer(self, data: object) -> None:
        body = json.dumps({"Code": 200, "Success": True, "Data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, file: Path) -> None:
        data = file.read_bytes()
        wanted = self.headers.get("Range", "bytes=0-")
        start, _, stop = wanted.removeprefix("bytes=").partition("-")
        part = data[int(start) : int(stop) + 1 if stop else None]
        if file.name.startswith("pytorch_model-00001"):
            self.server.ranges.append(wanted)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}")
        self.end_headers()
        if self.server.breaks_at is not None and file.name.startswith("pytorch_model-00001"):
            part, self.server.breaks_at = part[: self.server.breaks_at], None
            self.close_connection = True
        self.wfile.write(part)


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scope]:
    from modelscope_hub.config import HubConfig, set_default_config

    published = chatglm2.write(tmp_path / "published")
    (published / "modeling_chatglm.py").write_text("raise SystemExit('ran')")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    with Scope(published) as server, running(server) as url:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", url)
        set_default_config(HubConfig())
        yield server
    set_default_config(None)


def test_a_model_is_fetched_from_modelscope(scope: Scope) -> None:
    assert not is_fetched("some/model", revision=None, hub="modelscope")
    directory = fetch_model("some/model", hub="modelscope")
    assert {file.name for file in directory.iterdir() if not file.name.startswith(".")} == {
        file.name for file in scope.directory.iterdir() if file.suffix != ".py"
    }
    assert is_fetched("some/model", revision=None, hub="modelscope")
    assert find_model("some/model", hub="modelscope") == directory
    assert HUBS["modelscope"].fetched_bytes("some/model") > 10_000


def test_a_fetch_from_modelscope_that_broke_goes_on(scope: Scope) -> None:
    scope.breaks_at = 5000
    directory = fetch_model("some/model", hub="modelscope", is_refreshed=True)
    name = "pytorch_model-00001-of-00002.bin"
    assert (directory / name).read_bytes() == (scope.directory / name).read_bytes()
    assert scope.ranges[-1].startswith("bytes=5000-"), scope.ranges


def test_a_modelscope_that_is_away_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> list[RemoteFile]:
        raise ConnectionError

    monkeypatch.setattr(type(HUBS["modelscope"]), "files", fail)
    with pytest.raises(ModelUnusable, match="MODELSCOPE_ENDPOINT"):
        fetch_model("some/model", hub="modelscope", is_refreshed=True)


def test_the_command_takes_the_hub(scope: Scope) -> None:
    done = CliRunner().invoke(app, ["fetch", "some/model", "--hub", "modelscope"])
    assert done.exit_code == 0, done.output
    assert "some/model: 0.0 GiB in" in done.stderr
    assert Path(done.stdout.splitlines()[-1]).is_dir()


def test_recommended_models_are_listed_with_their_scores_once_somebody_ran_the_evaluation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    plain = CliRunner().invoke(app, ["fetch", "--recommended"])
    assert plain.exit_code == 0, plain.output
    assert plain.output.count("not yet run") == 3
    assert "Qwen/Qwen3-0.6B" in plain.output
    assert "Apache-2.0" in plain.output
    assert "1.1 GiB" in plain.output
    share = {"value": 0.44, "low": 0.4, "high": 0.5, "items": 40}
    results = {"related": share, "left_unheard": share, "danger_taken_up": share}
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "conversations.jsonl").write_text('{"configuration": {"model": "Qwen3-1.7B@0123456789ab"}}\n')
    scored = CliRunner().invoke(app, ["fetch", "--recommended", "--scored", str(tmp_path)])
    assert scored.output.count("not yet run") == 2
    assert "related replies 44% (40% – 50%)" in scored.output
    (tmp_path / "conversations.jsonl").write_text('{"configuration": {"model": "openai:Qwen/Qwen3-0.6B"}}\n')
    served = CliRunner().invoke(app, ["fetch", "--recommended", "--scored", str(tmp_path)])
    assert served.output.count("not yet run") == 2
    missing = CliRunner().invoke(app, ["fetch", "--recommended", "--scored", str(tmp_path / "nowhere")])
    assert missing.exit_code == 1
    assert missing.stderr == "mindglm: A directory of results cannot be read (FileNotFoundError).\n"


def test_a_recommended_model_is_fetched_by_its_short_name(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    says(monkeypatch, listing(100))

    def download(model: str, **_options: object) -> str:
        fetched.append(model)
        return f"/cache/{model}"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for name in ("qwen3-4b", "Qwen3-0.6B", "other/model"):
        assert CliRunner().invoke(app, ["fetch", name]).exit_code == 0
    assert fetched == ["Qwen/Qwen3-4B-Instruct-2507", "Qwen/Qwen3-0.6B", "other/model"]
