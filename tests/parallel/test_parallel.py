"""What `pytest --processes` promises, by a run of its own over a few tests."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.parallel import slow_files
from tests.parallel.stretches import Stretches

ROOT = Path(__file__).parents[2]


def run(directory: Path, tests: str, *options: str) -> str:
    """What pytest prints of a module with these tests, run by two processes."""
    (directory / "test_it.py").write_text("import os, time, pytest, warnings\n" + dedent(tests))
    (directory / "conftest.py").write_text(
        dedent("""
            from tests.parallel.plugin import Parallel

            def pytest_configure(config):
                config.pluginmanager.register(Parallel(2, lambda number: None))
        """)
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(directory), *options]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return f"{done.stdout}\n{done.stderr}\nstatus {done.returncode}"


def test_each_test_is_run_once_and_reported_by_its_outcome(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        @pytest.mark.parametrize("number", range(8))
        def test_it(number):
            with open("ran", "a") as file:
                file.write(f"{number} {os.getpid()}\\n")
            print("said by", number)
            if number == 3:
                warnings.warn("a warning")
            assert number != 5

        def test_a_fixture_that_fails(missing): pass

        @pytest.mark.skip(reason="for now")
        def test_skipped(): pass
        """,
    )
    assert "1 failed, 7 passed, 1 skipped, 1 warning, 1 error" in said
    assert "FAILED test_it.py::test_it[5] - assert 5 != 5" in said
    assert said.count("\nsaid by") == 1, "only what the failed one said"
    assert "a warning" in said
    assert "fixture 'missing' not found" in said
    assert said.endswith("status 1")
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(number for number, _ in ran) == [str(number) for number in range(8)]
    assert len({process for _, process in ran}) == 2


def test_a_process_that_dies_fails_its_test_and_another_goes_on(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        @pytest.mark.parametrize("number", range(8))
        def test_it(number):
            if number == 1:
                os.kill(os.getpid(), 9)
        """,
    )
    assert "1 failed, 7 passed" in said
    assert "The process that ran this test ended with -9" in said


def test_a_fixture_of_the_module_ends_after_its_last_test_in_each_process(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        @pytest.fixture(scope="session")
        def it():
            yield
            with open("ended", "a") as file:
                file.write("ended\\n")

        @pytest.mark.parametrize("number", range(4))
        def test_it(number, it): time.sleep(0.01)
        """,
    )
    assert "4 passed" in said
    assert (tmp_path / "ended").read_text() == "ended\n" * 2


def test_x_ends_all_processes_after_the_first_failure(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        @pytest.mark.parametrize("number", range(200))
        def test_it(number):
            assert number != 1
            time.sleep(0.01)
        """,
        "-x",
    )
    assert "1 failed" in said
    assert "200" not in said.splitlines()[-3]
    assert said.endswith("status 1")


def test_it_refuses_to_fork_while_other_threads_run_and_names_them(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        import threading
        threading.Thread(target=time.sleep, args=(60,), name="left running", daemon=True).start()

        def test_it(): pass
        """,
    )
    assert "1 threads were started while tests were collected (left running)" in said
    assert said.endswith("status 4")


def test_it_tells_for_how_long_processes_waited_for_the_last_test(
    tmp_path: Path,
) -> None:
    said = run(
        tmp_path,
        """
        from tests.parallel import plugin
        plugin._LONG_TAIL_SECONDS = 0.2

        @pytest.mark.parametrize("number", range(8))
        def test_it(number): time.sleep(number == 7)
        """,
    )
    assert "8 passed" in said
    assert (
        "For the last 1 seconds not all processes had tests to run; the slowest then was test_it.py::test_it[7]" in said
    )


def stretches(process_count: int, *files: tuple[str, int], **seconds: float) -> Stretches:
    """`files` with how many tests each of them has."""
    return Stretches([file for file, count in files for _ in range(count)], process_count, seconds)


@pytest.mark.parametrize("process_count", [1, 2, 3, 7])
def test_every_test_is_handed_out_once_whoever_is_quick(process_count: int) -> None:
    of_all = stretches(process_count, ("a", 3), ("b", 9), ("c", 1), ("d", 7), b=30, d=2)
    taken = []
    for turn in range(60):
        process = 0 if turn % 3 else turn % process_count  # the first is quicker than all others
        test = of_all.take(process)
        if test is not None:
            taken.append(test)
    assert sorted(taken) == list(range(20))


def test_a_process_takes_neighbours_and_then_half_of_what_takes_longest() -> None:
    of_all = stretches(2, ("a", 3), ("b", 3), ("c", 3), ("d", 3))
    assert [of_all.take(0) for _ in range(9)] == [0, 1, 2, 3, 4, 5, 9, 10, 11]
    assert [of_all.take(1) for _ in range(4)] == [6, 7, 8, None]


def test_stretches_are_as_long_as_each_other_by_the_seconds_that_are_known() -> None:
    of_all = stretches(2, ("a", 2), ("b", 1), ("c", 1), ("d", 1), a=30, b=10, c=10, d=10)
    assert [of_all.take(0) for _ in range(2)] == [0, 1]
    assert [of_all.take(1) for _ in range(3)] == [2, 3, 4]


def test_the_slowest_files_of_a_stretch_come_first() -> None:
    of_all = stretches(1, ("a", 1), ("b", 2), ("c", 1), ("d", 1), b=5, d=20)
    assert [of_all.take(0) for _ in range(6)] == [4, 1, 2, 0, 3, None]


def test_what_was_put_back_is_handed_out_next() -> None:
    of_all = stretches(2, ("a", 4))
    assert of_all.take(0) == 2
    of_all.put_back(2)
    assert of_all.take(0) == 2


def test_what_was_learnt_is_read_as_it_was_written(tmp_path: Path) -> None:
    slow_files.write({"tests/b.py": 12.4, "tests/a.py": 2.0, "tests/quick.py": 1.9}, tmp_path / "list")
    assert slow_files.read(tmp_path / "list") == {"tests/a.py": 2, "tests/b.py": 12}


def test_every_file_that_is_known_as_slow_is_there() -> None:
    assert [name for name in slow_files.read() if not (ROOT / name).exists()] == [], "--learn-slow-files renews it"
