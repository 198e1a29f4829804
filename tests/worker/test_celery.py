"""``celery -A worker worker`` as an operator starts it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dialogue.process.exit_status import ExitStatus
from dialogue.storage.vault import new_secret
from tests.patience import wait_until
from tests.services import zygote


@dataclass(frozen=True)
class Ended:
    returncode: int
    stderr: str


def celery(**variables: str) -> Ended:
    """All that it says is taken for standard error."""
    log = Path("celery.log").absolute()
    environment = {**os.environ, "MINDGLM_ENGINE": "scripted", **variables}
    process = zygote.start("celery", "-A", "worker", "worker", environment=environment, log=log)
    return Ended(process.wait(90), log.read_text())


def celery_anew(**variables: str) -> subprocess.CompletedProcess[str]:
    """For what is decided by imports."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env={**os.environ, "MINDGLM_ENGINE": "scripted", **variables},
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MINDGLM_ENGINE": "magic"}, "MINDGLM_ENGINE"),
        ({"MINDGLM_SECRET_KEY": "short"}, "MINDGLM_SECRET_KEY"),
        ({"MINDGLM_DATABASE_URL": "mysql://h/d"}, "MINDGLM_DATABASE_URL"),
        ({"MINDGLM_BROKER_URL": "amqp://h"}, "MINDGLM_BROKER_URL"),
        ({"MINDGLM_ENGINE": "transformers", "MINDGLM_MODEL": "/no/model/here"}, "/no/model/here"),
    ],
)
def test_what_is_set_wrong_is_one_line_and_a_status(variables: dict[str, str], words: str) -> None:
    done = celery(**variables)
    assert done.returncode == ExitStatus.CONFIG
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("engine", "library", "extra"), [("transformers", "torch", "local"), ("openai", "httpx", "openai")]
)
def test_a_missing_extra_is_named(tmp_path: Path, engine: str, library: str, extra: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules['{library}'] = None\n")
    paths = f"{tmp_path}:{os.environ['PYTHONPATH']}"
    done = celery_anew(MINDGLM_ENGINE=engine, MINDGLM_OPENAI_BASE_URL="http://127.0.0.1:1/v1", PYTHONPATH=paths)
    assert done.returncode != 0
    assert f"mindglm-bot[{extra}]" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_database_that_is_only_away_is_no_final_end(short_path: Path, redis_url: str) -> None:
    done = celery(
        MINDGLM_DATABASE_URL=f"postgresql+psycopg://postgres@/postgres?host={short_path}",
        MINDGLM_BROKER_URL=redis_url,
        MINDGLM_SECRET_KEY=new_secret(),
    )
    assert done.returncode == os.EX_TEMPFAIL
    assert "The database cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_was_not_migrated_names_the_command(tmp_path: Path, redis_url: str) -> None:
    done = celery(
        MINDGLM_DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}",
        MINDGLM_BROKER_URL=redis_url,
        MINDGLM_SECRET_KEY=new_secret(),
    )
    assert done.returncode != 0
    assert "mindglm migrate" in done.stderr.splitlines()[-1]


def test_it_waits_for_a_broker_that_is_away_and_stops_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {**os.environ, "MINDGLM_ENGINE": "scripted"}
    process = zygote.start("celery", "-A", "worker", "worker", environment=environment, log=log)
    wait_until(lambda: "Cannot connect" in log.read_text(), 60)
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 0
    assert "worker_stopped" in log.read_text()


def test_mindglm_worker_ends_with_the_status_of_celery(tmp_path: Path) -> None:
    """Celery's `worker_main` drops it."""
    breaks = "import worker.celery as c, mindglm.worker as w\nc.home.broker_url = lambda _: 'memory://'\n"
    breaks += "def fail(*_, **__): raise RuntimeError\nc.WorkerService = fail\n"
    code = f"{breaks}raise SystemExit(w.run(concurrency=None, name=None))"
    environment = {**os.environ, "MINDGLM_ENGINE": "scripted", "MINDGLM_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env=environment, timeout=90)
    assert done.returncode == 1, done.stderr
