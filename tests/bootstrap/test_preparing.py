"""dev.py in a checkout of its own, with a fake uv: what it installs when, and what it says."""

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.bootstrap.checkout import ROOT, TESTS, Checkout


def test_the_first_chat_prepares_the_runtime_and_then_becomes_the_product(untouched: Checkout) -> None:
    first = untouched.run("chat", "--timings")
    assert first.out == f"{untouched.root} chat --timings\n"
    assert first.status == 7, "the product's own status"
    assert untouched.noted() == ["uv runtime", "uv torch"]


def test_it_says_what_it_downloads_and_how_much_before_it_does(fresh: Checkout) -> None:
    said = fresh.run("chat", FAKE_UV_FAILS_AT="runtime").err
    assert said.index("MB of packages") < said.index("PyTorch") < said.index("downloading uv") < said.index("as told")


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
    assert "recreating .venv" in outcome.err


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


def test_without_any_index_one_line_says_so(untouched: Checkout) -> None:
    outcome = untouched.run(
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


def test_without_a_command_it_explains_itself(ready: Checkout) -> None:
    outcome = ready.run()
    assert outcome.status == 0
    assert "python3 dev.py chat" in outcome.out


def test_an_older_python_is_told_what_is_needed() -> None:
    program = "import runpy, sys; sys.version_info = (3, 10, 4); runpy.run_path('dev.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "dev.py: Python 3.11 or newer is needed, this is 3.10\n"
