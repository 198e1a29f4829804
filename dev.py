#!/usr/bin/env python3
"""From a fresh clone to a running bot or a checked tree, with nothing but Python and pip.

    python3 dev.py chat          talk with the bot in this terminal
    python3 dev.py test [...]    the tests, in parallel; extra arguments go to pytest, which then runs serially
    python3 dev.py check         format, lint, types, imports, tests: what CI runs
    python3 dev.py e2e [...]     the tests that need a browser, node, Debian packages or much time
    python3 dev.py fleet         test against a real vLLM, in a separate environment (3.5 GB)
    python3 dev.py fix           format and apply automatic fixes
    python3 dev.py lock [...]    update requirements/*.txt; extra arguments go to `uv pip compile`, e.g. --upgrade
    python3 dev.py audit         known vulnerabilities of the locked packages (asks the package index)
    python3 dev.py sbom          bills of materials of the images: dist/*.cdx.json, in CycloneDX
    python3 dev.py docs          build the documentation site in site/
    python3 dev.py COMMAND ...   any other command of mindglm: up, worker, doctor, ...

The first run creates .venv and says what it downloads; later runs start at once. pip's configuration is respected, such
as PIP_INDEX_URL for a mirror or PIP_FIND_LINKS for a directory of wheels.
"""

import os
import subprocess
import sys

OLDEST_PYTHON = (3, 11)
if sys.version_info < OLDEST_PYTHON:
    sys.exit("dev.py: Python 3.11 or newer is needed, this is {}.{}".format(*sys.version_info))

# Below the check, because an older Python could not even parse them.
from bootstrap.debian import need_programs  # noqa: E402 - see above
from bootstrap.environment import DEVELOPMENT, RUNTIME, prepare, run_security_tool, write_locks  # noqa: E402 - see above
from bootstrap.fleet import FLEET_PYTHON, prepare_fleet  # noqa: E402 - see above
from bootstrap.places import PYTHON, ROOT, VENV  # noqa: E402 - see above
from bootstrap.trouble import Trouble, say  # noqa: E402 - see above

AT_ONCE = ["--processes", "auto"]
"""Options that run the tests in parallel; tests/conftest.py says how many processes."""

CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports"],
    "tests": ["pytest", "-m", "not e2e", *AT_ONCE],
}
IMAGES = ("bot", "worker", "cuda")
PYTEST_FOUND_NO_TESTS = 5
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit status, unless the command takes this process's place."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(__doc__)
        return 0
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without bytecode each start of a worker takes twice as long
    commands = {
        "test": test,
        "check": check,
        "e2e": e2e,
        "fleet": fleet,
        "fix": fix,
        "lock": lock,
        "audit": audit,
        "sbom": sbom,
        "docs": docs,
    }
    try:
        if arguments[0] in commands:
            return commands[arguments[0]](arguments[1:])
        return mindglm(arguments)
    except Trouble as trouble:
        say(str(trouble))
    except OSError as error:
        say(f"{error.strerror}: {error.filename or ROOT}")
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    return 1


def mindglm(arguments: list[str]) -> int:
    """Run the product's own command line in the current directory."""
    prepare(RUNTIME)
    os.execv(PYTHON, [str(PYTHON), "-m", "mindglm", *arguments])  # noqa: S606 - no shell is wanted


def test(arguments: list[str]) -> int:
    """All tests but the end-to-end ones."""
    return _tool(["pytest", "-m", "not e2e", *(arguments or AT_ONCE)])


def check(_arguments: list[str]) -> int:
    """Run every check up to the first failure; nothing is printed after pytest's own summary."""
    prepare(DEVELOPMENT)
    passed: list[str] = []
    for name, words in CHECKS.items():
        say(f"[{len(passed) + 1}/{len(CHECKS)}] {name}: {' '.join(words)}")
        status = _tool(words)
        if status != 0:
            if name != "tests":
                say(f"{name} failed; passed before: {', '.join(passed) or 'nothing'}")
            return status
        passed.append(name)
    return 0


def e2e(arguments: list[str]) -> int:
    """Run the end-to-end tests. A tree without any is not a failure."""
    need_programs()
    status = _tool(["pytest", "-m", "e2e", *arguments])
    if status != PYTEST_FOUND_NO_TESTS:
        return status
    say("there are no end-to-end tests")
    return 0


def fleet(arguments: list[str]) -> int:
    """The tests with a real vLLM, which CI does not run."""
    os.environ[FLEET_PYTHON] = str(prepare_fleet())
    return _tool(["pytest", "tests/fleet/serving.py", *arguments])


def fix(_arguments: list[str]) -> int:
    """Apply the fixes that the tools can make themselves."""
    return max(
        _tool(["ruff", "check", "--fix", "."]),
        _tool(["ruff", "format", "."]),
        _tool(["python", "-m", "tests.env_example"]),
        _tool(["python", "-m", "tests.settings_table"]),
    )


def lock(arguments: list[str]) -> int:
    """Update requirements/*.txt from pyproject.toml."""
    write_locks(arguments)
    return 0


def audit(_arguments: list[str]) -> int:
    """Look up known vulnerabilities of everything we install; the development lock holds all but torch's GPU parts."""
    locks = [f"--requirement=requirements/{name}.txt" for name in ("dev", "cuda")]
    return max(run_security_tool("pip-audit", "pip-audit", "--disable-pip", "--require-hashes", lock) for lock in locks)


def sbom(_arguments: list[str]) -> int:
    """One file for each image."""
    (ROOT / "dist").mkdir(exist_ok=True)
    written = [f"--output-file=dist/{image}.cdx.json" for image in IMAGES]
    locks = [f"requirements/{image}.txt" for image in IMAGES]
    about = ("--pyproject=pyproject.toml", "--output-format=JSON", "--output-reproducible")
    return max(
        run_security_tool("cyclonedx-bom", "cyclonedx-py", "requirements", lock, *about, output)
        for lock, output in zip(locks, written, strict=True)
    )


def docs(arguments: list[str]) -> int:
    """Build the site; a broken link or an unlisted page is an error. Extra arguments go to mkdocs."""
    return _tool(["mkdocs", "build", "--strict", "--quiet", *arguments])


def _tool(words: list[str]) -> int:
    """Run one of .venv's programs on the checkout; returns its exit status."""
    prepare(DEVELOPMENT)
    return subprocess.run([VENV / "bin" / words[0], *words[1:]], check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
