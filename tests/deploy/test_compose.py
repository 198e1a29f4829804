"""compose.yaml keeps what docs/deploy.md and docs/security.md say of it."""

import re
import shlex
import subprocess
import sys
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from bot.channels import registry
from console.settings import ConsoleSettings
from mindglm.commands import app
from tests.deploy.compose import COMPOSE, OURS, PYTHON, ROOT, SERVICES, command, seconds
from worker.settings import WorkerSettings

OF_CHANNELS = [registry.process_of(channel).settings().model_fields for channel in registry.platforms()]
SETTINGS = {
    **dict(chain.from_iterable(fields.items() for fields in OF_CHANNELS)),
    **WorkerSettings.model_fields,
    **ConsoleSettings.model_fields,
}
BIN = Path(sys.executable).parent
each_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


def test_it_fits_the_schema_of_compose() -> None:
    argv = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@each_service
def test_a_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "not root"
    assert not {"privileged", "network_mode", "pid", "cap_add", "devices"} & service.keys()
    assert not [mount for mount in service.get("volumes", []) if "docker.sock" in mount]


@each_service
def test_a_container_has_limits_and_ends_in_peace(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert {"memory", "pids"} <= limits.keys()
    assert "stop_grace_period" in SERVICES[name]
    assert SERVICES[name]["logging"]["options"]["max-size"]


@each_service
def test_nothing_but_the_console_is_published_and_that_on_loopback(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert not ports or (name == "console" and all(port.startswith("127.0.0.1:") for port in ports))


@each_service
def test_each_service_that_stays_is_restarted_and_says_whether_it_is_well(name: str) -> None:
    if SERVICES[name]["restart"].startswith("on-failure"):
        return
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert "healthcheck" in SERVICES[name] or "worker" in name


@each_service
def test_an_image_is_pinned_to_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image.endswith("${MINDGLM_VERSION:-local}") or re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", image)


@each_service
def test_no_secret_stands_in_an_environment(name: str) -> None:
    secret = {f"MINDGLM_{key.upper()}" for key, field in SETTINGS.items() if "SecretStr" in str(field.annotation)}
    given = SERVICES[name].get("environment", {})
    assert not {key for key in given if key in secret - {"MINDGLM_DATABASE_URL", "MINDGLM_BROKER_URL"}}
    assert not [value for value in given.values() if value and re.search(r"://[^/@]*:[^/@]+@", str(value))]
    for key, value in given.items():
        if key.endswith("_FILE"):
            assert Path(value).parent == Path("/run/secrets")
            assert Path(value).name in SERVICES[name]["secrets"]


def test_secrets_are_files_because_read_only_containers_take_no_others() -> None:
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())


@pytest.mark.parametrize("name", PYTHON)
def test_settings_that_compose_gives_are_settings(name: str) -> None:
    known = {f"MINDGLM_{key.upper()}" for key in SETTINGS}
    given = {key.removesuffix("_FILE") for key in SERVICES[name]["environment"] if key.startswith("MINDGLM_")}
    assert given <= known


@pytest.mark.parametrize("name", PYTHON)
def test_a_container_runs_a_command_that_exists(name: str) -> None:
    group: Any = typer.main.get_command(app)
    for words in (command(name), SERVICES[name].get("healthcheck", {}).get("test", ["CMD", "mindglm", "up"])[1:]):
        found = group
        for word in words[1:]:
            if not word.startswith("-") and hasattr(found, "commands"):
                found = found.commands[word]
        options = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", [name for name in PYTHON if name.startswith("worker")])
def test_a_worker_may_finish_the_longest_reply_before_it_is_killed(name: str) -> None:
    shutdown_seconds = float(SERVICES[name]["environment"]["MINDGLM_SHUTDOWN_SECONDS"])
    assert WorkerSettings.model_fields["turn_seconds"].default < shutdown_seconds
    assert seconds(SERVICES[name]["stop_grace_period"]) >= shutdown_seconds + 20, "and release its model"


@each_of_ours
def test_what_needs_the_schema_waits_for_the_migration(name: str) -> None:
    if name not in {"migrate", "gateway"}:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_database_and_broker_are_on_a_network_without_a_way_out() -> None:
    for name in ("postgres", "redis"):
        assert [COMPOSE["networks"][network] for network in SERVICES[name]["networks"]] == [{"internal": True}]


def test_the_clear_text_of_wechat_is_shared_by_adapter_and_gateway_only() -> None:
    assert {name for name, service in SERVICES.items() if "wechat" in service["networks"]} == {"gateway", "wechat"}


def test_only_the_gpu_services_ask_for_a_gpu() -> None:
    asking = {name for name, service in SERVICES.items() if "reservations" in service["deploy"]["resources"]}
    assert asking == {"worker", "vllm"}


def test_redis_keeps_its_file_and_refuses_rather_than_forgets() -> None:
    words = shlex.split(SERVICES["redis"]["command"][2])
    options = dict(pairwise(words))
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert "--requirepass" in options


def test_every_volume_and_secret_is_used_and_declared() -> None:
    mounts = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert {mount for mount in mounts if re.fullmatch("[a-z-]+", mount)} == set(COMPOSE["volumes"])
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == set(COMPOSE["secrets"])
