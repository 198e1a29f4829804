"""compose.yaml without containers: the images' own locks in clean environments, and each service's own command."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bootstrap.uv import PipSettings, environment
from dialogue.storage.vault import new_secret
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.deploy import image
from tests.deploy.compose import ROOT, SERVICES, command, seconds
from tests.deploy.image import Container
from tests.patience import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def uv(*words: str, directory: Path) -> str:
    variables = environment({"PATH": "/usr/bin:/bin", "HOME": str(directory)}, PipSettings.read())
    program = Path(sys.executable).with_name("uv")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, env=variables, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def images_python(directory: Path) -> str:
    """The Python of the image, where this machine has it; else the one that runs the tests."""
    (version,) = re.findall(r"^ARG PYTHON=(\d+\.\d+)", DOCKERFILE, re.MULTILINE)
    for place in Path(sys.executable).resolve().parents[2].glob(f"{version}.*/bin/python{version}"):
        return str(place)
    return sys.executable


def installed(name: str, wheel: Path, directory: Path) -> Path:
    """Step by step what the stage `NAME-environment` of the Dockerfile does."""
    place = directory / name
    python = f"--python={place / 'bin' / 'python'}"
    uv("venv", f"--python={images_python(directory)}", str(place), directory=directory)
    locked = ("--require-hashes", "--no-deps", f"--requirement=requirements/{name}.txt")
    uv("pip", "install", python, *locked, directory=directory)
    uv("pip", "install", python, "--no-deps", str(wheel), directory=directory)
    image.forbid_writing(place)
    return place / "bin"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    directory = tmp_path_factory.mktemp("images")
    wheel = image.build_wheel(directory / "wheel")
    yield {name: installed(name, wheel, directory) for name in ("bot", "worker")}
    image.allow_writing(directory)


class Host:
    """What runs the services of compose.yaml: the same commands and settings, on services of the tests."""

    def __init__(self, directory: Path, images: dict[str, Path], **replaced: str) -> None:
        self._directory = directory
        self._images = images
        self._replaced = replaced
        self._secrets = directory / "secrets"
        self._secrets.mkdir()
        self._running: dict[str, subprocess.Popen[str]] = {}

    def put_secret(self, name: str, value: str) -> None:
        (self._secrets / name).write_text(f"{value}\n")

    def run(self, name: str, *words: str) -> str:
        return self._container(name).run(*(words or command(name)))

    def start(self, name: str) -> None:
        self._running[name] = self._container(name).start(command(name))

    def stop(self, name: str) -> tuple[int, str]:
        """By SIGTERM, within the grace that compose.yaml gives."""
        process = self._running.pop(name)
        process.terminate()
        output, _ = process.communicate(timeout=seconds(SERVICES[name]["stop_grace_period"]))
        return process.returncode, output

    def end(self) -> str:
        return "".join(self.stop(name)[1] for name in list(self._running))

    def _container(self, name: str) -> Container:
        data = self._directory / name
        data.mkdir(exist_ok=True)
        given = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
        for key, value in given.items():
            given[key] = value.replace("/run/secrets", str(self._secrets))
        variables = {"MINDGLM_HOME": str(data), "MINDGLM_LOG_FORMAT": "json", **given, **self._replaced}
        variables["PYTHONPYCACHEPREFIX"] = str(self._directory / "bytecode")  # an image brings its own
        variables = {key: value for key, value in variables.items() if value}
        kind = "bot" if SERVICES[name]["image"].startswith("mindglm-bot") else "worker"
        return Container(bin=self._images[kind], data=data, environment=variables)


def a_free_port() -> int:
    """With room for the ports of the other kinds of process behind it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return min(port, 65_000)


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    server = Telegram().start()
    yield server
    server.stop()


@pytest.fixture
def host(
    tmp_path: Path,
    images: dict[str, Path],
    telegram: Telegram,
    redis_url: str,
    empty_postgres_database: Callable[[], str],
) -> Iterator[Host]:
    database = make_url(empty_postgres_database()).set(password=None).render_as_string()
    made = Host(
        tmp_path,
        images,
        MINDGLM_DATABASE_URL=database,
        MINDGLM_DATABASE_PASSWORD_FILE="" if "@/" in database else str(tmp_path / "secrets" / "postgres_password"),
        MINDGLM_BROKER_URL=redis_url,
        MINDGLM_BROKER_PASSWORD_FILE="",  # the tests' broker has none
        MINDGLM_TELEGRAM_API_URL=telegram.api_url,
        MINDGLM_CONSENT="off",
        MINDGLM_METRICS_PORT=str(a_free_port()),
        MINDGLM_ENGINE="scripted",
    )
    for name in ("postgres_password", "redis_password"):
        made.put_secret(name, "a password of the tests")
    made.put_secret("secret_key", new_secret())
    made.put_secret("telegram_token", TOKEN)
    yield made
    sys.stdout.write(made.end())


def _is_healthy(host: Host, service: str, command: list[str]) -> bool:
    """As Docker asks: again and again."""
    try:
        return '"ready": true' in host.run(service, *command)
    except AssertionError:
        return False


@pytest.mark.parametrize("worker", ["worker", "worker-vllm"])
def test_the_services_of_compose_answer_a_person_and_stop_in_peace(host: Host, telegram: Telegram, worker: str) -> None:
    assert "schema of this version" in host.run("migrate")
    host.start("telegram")
    host.start(worker)
    telegram.write(7, "我睡不着")
    wait_until(lambda: any("收到" in text for text in telegram.texts(7)), 90)
    _, *health = SERVICES["telegram"]["healthcheck"]["test"]
    wait_until(lambda: _is_healthy(host, "telegram", health), 30)  # what it says is some seconds old
    began_at = time.monotonic()
    assert host.stop("telegram")[0] == 0
    assert host.stop(worker)[0] == 0
    assert time.monotonic() - began_at < 30


def test_the_bots_image_has_no_model_library_and_the_workers_has(images: dict[str, Path]) -> None:
    def has(name: str, package: str) -> bool:
        return bool(list(images[name].parent.glob(f"lib/python3.*/site-packages/{package}")))

    assert not has("bot", "transformers")
    assert not has("bot", "torch")
    assert has("worker", "transformers")
    assert has("bot", "wechaty")


def test_the_bots_lock_leaves_no_dependency_out(images: dict[str, Path], tmp_path: Path) -> None:
    uv("pip", "check", f"--python={images['bot'] / 'python'}", directory=tmp_path)


def test_every_command_explains_itself_in_the_bots_image(images: dict[str, Path], tmp_path: Path) -> None:
    container = Container(bin=images["bot"], data=tmp_path, environment={"MINDGLM_HOME": str(tmp_path)})
    overview = container.run("mindglm", "--help")
    for name in re.findall(r"^│ ([a-z]+)\s", overview, re.MULTILINE):
        assert "Usage" in container.run("mindglm", name, "--help")
