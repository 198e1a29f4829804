"""dev.py in a checkout of its own, with a fake uv: what it installs when, what it runs, and what it says."""

import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap import torch, uv
from bootstrap.torch import Build
from bootstrap.uv import PipSettings
from tests import fake_uv

ROOT = Path(__file__).parents[1]
TESTS = "pytest -m not e2e -n auto --dist worksteal"
BARE = {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A copy of what dev.py needs, far from any network, beside an empty home."""

    root: Path
    wheels: Path
    log: Path

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**BARE, "HOME": str(self.root), "PIP_FIND_LINKS": str(self.wheels), "FAKE_LOG": str(self.log)}
        return subprocess.Popen(
            [sys.executable, "dev.py", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**environment, **variables},
        )

    def run(self, *words: str, **variables: str) -> "Outcome":
        process = self.start(*words, **variables)
        out, err = process.communicate()
        return Outcome(status=process.returncode, out=out, err=err)

    def noted(self) -> list[str]:
        """What uv and the tools were asked since the last look, without options."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [_short(line) for line in lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run of dev.py ended."""

    status: int
    out: str
    err: str


def _short(line: str) -> str:
    """For uv only what is installed: a lock or torch."""
    if not line.startswith("uv "):
        return line
    return "uv torch" if "torch==" in line else f"uv {Path(line.rpartition('=')[2]).stem}"


def make_checkout(directory: Path) -> Checkout:
    root, wheels = directory / "checkout", directory / "wheels"
    wheels.mkdir(parents=True)
    shutil.copytree(ROOT / "bootstrap", root / "bootstrap")
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copytree(ROOT / ".ci", root / ".ci")
    shutil.copy(ROOT / "dev.py", root)
    product = root / "mindglm" / "__main__.py"
    product.parent.mkdir()
    product.write_text("import os, sys; print(os.getcwd(), *sys.argv[1:]); sys.exit(7)")
    (root / "requirements" / "uv.txt").write_text(fake_uv.build(wheels, version="0.13.8"))
    return Checkout(root=root, wheels=wheels, log=directory / "noted")


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """Nothing is prepared."""
    return make_checkout(tmp_path)


@pytest.fixture(scope="module")
def _developed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = make_checkout(tmp_path_factory.mktemp("developed"))
    assert checkout.run("test").status == 0
    return checkout


@pytest.fixture
def ready(_developed: Checkout) -> Checkout:
    """Prepared for developers; the test leaves it so."""
    _developed.noted()
    return _developed


# --- Preparing -------------------------------------------------------------------------------------------------------


def test_the_first_chat_prepares_the_runtime_and_then_becomes_the_product(fresh: Checkout) -> None:
    first = fresh.run("chat", "--timings")
    assert first.out == f"{fresh.root} chat --timings\n"
    assert first.status == 7, "the product's own status"
    assert fresh.noted() == ["uv runtime", "uv torch"]


def test_it_says_what_it_downloads_and_how_much_before_it_does(fresh: Checkout) -> None:
    said = fresh.run("chat", FAKE_UV_FAILS_AT="runtime").err
    assert said.index("MB of packages") < said.index("PyTorch") < said.index("fetches uv") < said.index("as told")


def test_a_second_start_installs_nothing_and_says_nothing(ready: Checkout) -> None:
    outcome = ready.run("chat")
    assert (outcome.status, outcome.err) == (7, "")
    assert ready.noted() == []


def test_a_changed_lock_is_installed_but_torch_is_not_fetched_again(fresh: Checkout) -> None:
    fresh.run("up")
    fresh.noted()
    with (fresh.root / "requirements" / "runtime.txt").open("a") as lock:
        lock.write("# one more\n")
    fresh.run("up")
    assert fresh.noted() == ["uv runtime"]


def test_tests_need_the_development_lock_and_bring_the_product_along(fresh: Checkout) -> None:
    fresh.run("test")
    assert fresh.noted() == ["uv dev", "uv torch", TESTS]
    fresh.run("chat")
    assert fresh.noted() == []


def test_an_interrupted_preparation_is_begun_anew(fresh: Checkout) -> None:
    assert fresh.run("chat", FAKE_UV_FAILS_AT="torch==").status == 1
    half_done = fresh.root / ".venv" / "half-done"
    half_done.touch()
    assert fresh.run("chat").status == 7
    assert not half_done.exists()


def test_an_environment_whose_python_is_gone_is_made_anew(fresh: Checkout) -> None:
    fresh.run("chat")
    (fresh.root / ".venv" / "bin" / "python").unlink()
    outcome = fresh.run("chat")
    assert outcome.status == 7
    assert "makes .venv anew" in outcome.err


def test_an_environment_that_somebody_else_made_is_built_upon(fresh: Checkout) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh.root / ".venv"], check=True)
    mine = fresh.root / ".venv" / "mine"
    mine.touch()
    assert fresh.run("chat").status == 7
    assert mine.exists()


def test_two_at_once_prepare_it_once(fresh: Checkout) -> None:
    runs = [fresh.start("chat") for _ in range(2)]
    ends = [(run.communicate(), run.returncode) for run in runs]
    assert [status for _, status in ends] == [7, 7]
    assert fresh.noted() == ["uv runtime", "uv torch"]


def test_without_any_index_one_line_says_so(fresh: Checkout) -> None:
    outcome = fresh.run(
        "chat", PIP_FIND_LINKS="", PIP_NO_INDEX="", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0"
    )
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].startswith("dev.py: the package index cannot be reached")
    assert "Traceback" not in outcome.err


def test_a_checkout_that_cannot_be_written_gets_one_line(fresh: Checkout) -> None:
    (fresh.root / ".venv").write_text("in the way")
    outcome = fresh.run("chat")
    assert outcome.status == 1
    assert "Traceback" not in outcome.err


def test_the_product_runs_where_its_caller_stands_and_finds_its_packages(ready: Checkout, tmp_path: Path) -> None:
    program = (
        "import os, runpy, sys; sys.argv = ['dev.py', 'up']; runpy.run_path(os.environ['DEV'], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"DEV": str(ready.root / "dev.py"), "PYTHONPATH": str(ready.root)},
    )
    assert done.stdout == f"{tmp_path} up\n", done.stderr


def test_preparing_again_costs_next_to_nothing(ready: Checkout) -> None:
    program = """
        import time
        started_at = time.process_time()
        from bootstrap.environment import RUNTIME, prepare
        prepare(RUNTIME)
        print(time.process_time() - started_at)
    """
    costs = [
        float(
            subprocess.check_output([sys.executable, "-c", textwrap.dedent(program)], cwd=ready.root, text=True, env={})
        )
        for _ in range(3)
    ]
    assert min(costs) < 0.1


# --- Commands --------------------------------------------------------------------------------------------------------


def test_check_runs_everything_in_order_and_ends_with_what_pytest_says(ready: Checkout) -> None:
    outcome = ready.run("check")
    assert outcome.status == 0
    assert ready.noted() == ["ruff format --check .", "ruff check .", "mypy", "lint-imports", TESTS]
    assert outcome.err.splitlines()[-1] == f"dev.py: [5/5] tests: {TESTS}"


def test_check_stops_at_the_first_failure_and_names_it(ready: Checkout) -> None:
    outcome = ready.run("check", FAKE_MYPY="2")
    assert outcome.status == 2
    assert ready.noted()[-1] == "mypy"
    assert outcome.err.splitlines()[-1] == "dev.py: types failed; passed before: format, lint"


def test_check_leaves_the_last_word_to_a_failing_pytest(ready: Checkout) -> None:
    outcome = ready.run("check", FAKE_PYTEST="1")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == f"dev.py: [5/5] tests: {TESTS}"


def test_further_words_go_to_pytest(ready: Checkout) -> None:
    ready.run("test", "-k", "window")
    assert ready.noted() == ["pytest -m not e2e -k window"]


@pytest.mark.parametrize(("status", "seen"), [(0, 0), (1, 1), (5, 0)])
def test_no_end_to_end_tests_yet_is_no_failure(ready: Checkout, status: int, seen: int) -> None:
    assert ready.run("e2e", FAKE_PYTEST=str(status), PATH=_with_programs(ready)).status == seen
    assert ready.noted() == ["pytest -m e2e"]


def test_the_end_to_end_tests_bring_the_programs_that_they_need(ready: Checkout, tmp_path: Path) -> None:
    path = _programs(tmp_path / "few", "env", "bash", "id")
    outcome = ready.run("e2e", PATH=str(path))
    assert outcome.status == 1
    assert "apt-get install chromium fonts-noto-cjk nodejs npm" in outcome.err
    if os.geteuid() != 0:
        return
    (path / "apt-get").write_text('#!/usr/bin/env bash\necho "apt-get $*" >> "$FAKE_LOG"\nexit ${FAKE_APT:-0}\n')
    (path / "apt-get").chmod(0o755)
    assert ready.run("e2e", PATH=str(path)).status == 0
    install = "apt-get install -q -y --no-install-recommends chromium fonts-noto-cjk nodejs npm"
    assert ready.noted() == ["apt-get update -q", install, "pytest -m e2e"]
    assert "apt-get update failed: no reason given" in ready.run("e2e", PATH=str(path), FAKE_APT="100").err


def _with_programs(checkout: Checkout) -> str:
    """The machine's own path, before it a place where whatever the end-to-end tests need seems to be."""
    directory = checkout.root / "programs"
    directory.mkdir(exist_ok=True)
    for name in ("chromium", "node", "npm"):
        (directory / name).touch(mode=0o755)
    return f"{directory}:{BARE['PATH']}"


def _programs(directory: Path, *names: str) -> Path:
    """A place with these programs only."""
    directory.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    return directory


@pytest.mark.parametrize("variables", [{"FAKE_RUFF": "1"}, {"FAKE_PYTEST": "1"}], ids=["lint", "tests"])
def test_ci_fails_when_anything_fails(ready: Checkout, variables: dict[str, str]) -> None:
    assert _ci(ready, variables) != 0


def test_ci_checks_and_then_runs_the_end_to_end_tests(ready: Checkout) -> None:
    assert _ci(ready, {}) == 0
    assert ready.noted()[-2:] == [TESTS, "pytest -m e2e"]


def _ci(checkout: Checkout, variables: dict[str, str]) -> int:
    path = f"{Path(sys.executable).parent}:{_with_programs(checkout)}"
    environment = {**BARE, "PATH": path, "CI": "true", "FAKE_LOG": str(checkout.log), **variables}
    return subprocess.run(
        ["bash", ".ci/run"], check=False, capture_output=True, cwd=checkout.root, env=environment
    ).returncode


def test_without_a_command_it_explains_itself(ready: Checkout) -> None:
    outcome = ready.run()
    assert outcome.status == 0
    assert "python3 dev.py chat" in outcome.out


def test_an_older_python_is_told_what_is_needed() -> None:
    program = "import runpy, sys; sys.version_info = (3, 10, 4); runpy.run_path('dev.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "dev.py: Python 3.11 or newer is needed, this is 3.10\n"


# --- Pieces ----------------------------------------------------------------------------------------------------------


def test_pips_variables_come_before_its_files_and_missing_directories_are_left_out(tmp_path: Path) -> None:
    listing = f"global.index-url='file'\n:env:.index-url='variable'\nglobal.find-links='{tmp_path} /missing'\n"
    assert PipSettings.parse(listing) == PipSettings("variable", None, [str(tmp_path)])


def test_pip_with_nothing_configured_says_nothing() -> None:
    assert PipSettings.parse("") == PipSettings(None, None, [])


def test_uv_sees_the_systems_certificates_and_pips_places() -> None:
    settings = PipSettings("mirror", "bundle", ["/one", "/two"])
    assert uv.environment({"HOME": "/h"}, settings) == {
        "HOME": "/h",
        "UV_SYSTEM_CERTS": "1",
        "UV_DEFAULT_INDEX": "mirror",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "bundle",
    }


def test_what_is_set_for_uv_itself_wins() -> None:
    own = {"UV_DEFAULT_INDEX": "own", "UV_FIND_LINKS": "own", "UV_SYSTEM_CERTS": "0", "SSL_CERT_FILE": "own"}
    assert uv.environment(own, PipSettings("mirror", "bundle", ["/one"])) == own


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("[Errno -3] Temporary failure in name resolution'))': /simple/uv/", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "not trusted"),
        ("ERROR: something\nERROR: quite new\n", "pip failed: ERROR: quite new"),
        ("", "it gave no reason"),
    ],
)
def test_what_stopped_pip_is_said_in_one_line(output: str, words: str) -> None:
    line = uv.explain(output)
    assert words in line
    assert "\n" not in line


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
    assert "cannot be had" in outcome.err


def test_the_bill_of_materials_has_a_file_for_each_image(ready: Checkout) -> None:
    assert ready.run("sbom").status == 0
    asked = ready.log.read_text().splitlines()
    assert [line.split("requirements/")[-1].split()[0] for line in asked] == ["bot.txt", "worker.txt", "cuda.txt"]
    assert all(" tool run " in line and "security.txt" in line for line in asked)


def test_an_audit_looks_at_every_lock_and_fails_when_it_finds_something(ready: Checkout) -> None:
    assert ready.run("audit", FAKE_UV_FAILS_AT="cuda.txt").status == 1
    assert "dev.txt" in ready.log.read_text()
