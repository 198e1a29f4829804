"""The chart, rendered by Helm's own library and checked against Kubernetes' schemas; no cluster has seen it."""

import re
from itertools import product
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bot.channels import registry
from mindglm.doctor.variables import known
from tests.deploy.compose import ROOT

DIRECTORY = ROOT / "deploy" / "helm" / "mindglm"
REQUIRED = {
    "database": {"url": "postgresql+psycopg://mindglm@postgres/mindglm"},
    "broker": {"url": "redis://redis:6379/0"},
}
EVERYTHING = REQUIRED | {
    "telegram": {"enabled": True},
    "wechat": {"enabled": True},
    "wecom": {"enabled": True, "corpId": "ww1"},
    "oa": {"enabled": True, "appId": "wx1"},
    "console": {"url": "https://console.example.org", "proxies": "10.0.0.7"},
    "settings": {"MINDGLM_LOCALE": "zh", "MINDGLM_RETENTION_DAYS": 7},
    "image": {"registry": "registry.example.org/", "pullSecrets": [{"name": "pull"}]},
    "worker": {"replicas": 2, "models": {"storageClass": "shared"}},
}
NOTHING = REQUIRED | {"console": {"enabled": False}, "backup": {"enabled": False}}

pytestmark = pytest.mark.e2e


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    from helm_python import Chart  # here: its import starts threads, and the tests are forks

    with Chart.load(DIRECTORY) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="bot", namespace="care")
    return [one for text in files.values() for one in yaml.safe_load_all(text) if one]


def pods(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for one in manifests:
        spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one.get("spec", {})
        if "template" in spec:
            found[one["metadata"]["labels"]["app.kubernetes.io/component"]] = spec["template"]["spec"]
    return found


@pytest.mark.parametrize(("values", "version"), list(product([REQUIRED, EVERYTHING, NOTHING], ["1.29", "latest"])))
def test_kubernetes_would_take_every_manifest(values: dict[str, Any], version: str) -> None:
    wanted = kubernetes_validate.latest_version() if version == "latest" else version
    manifests = rendered(values)
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))
    for one in manifests:
        kubernetes_validate.validate(one, wanted, strict=True)


def test_every_process_runs_and_is_shut_as_in_compose() -> None:
    found = pods(rendered(EVERYTHING))
    assert set(found) == {*(channel.name for channel in registry.platforms()), "worker", "console", "backup", "migrate"}
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert not pod["automountServiceAccountToken"], name
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"], name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            offered = {volume["name"] for volume in pod["volumes"]} | {"home", "spool"}
            assert mounted <= offered, name


def test_what_it_sets_are_settings_and_secrets_are_files() -> None:
    settings = {
        variable["name"]: variable["value"]
        for pod in pods(rendered(EVERYTHING)).values()
        for container in pod["containers"]
        for variable in container["env"]
    }
    ours = {name for name in settings if not name.startswith("MINDGLM_GATEWAY_")}
    assert ours <= known()
    files = {name: value for name, value in settings.items() if name.endswith("_FILE")}
    assert all(value.startswith("/run/secrets/mindglm/") for value in files.values())


def test_metrics_are_where_the_processes_answer() -> None:
    found = pods(rendered(EVERYTHING))
    for name, offset in registry.metrics_offsets().items():
        (port,) = (each for each in found[name]["containers"][0]["ports"] if each["name"] == "metrics")
        assert port["containerPort"] == 9100 + offset, name


@pytest.mark.parametrize(
    "wrong",
    [
        {"database": {"url": "sqlite:///x.db"}},
        {"broker": {"url": ""}},
        {"settings": {"LOCALE": "zh"}},
        {"console": {"url": "http://console"}},
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    from helm_python import HelmError

    with pytest.raises(HelmError):
        rendered({**REQUIRED, **wrong})


def test_the_book_names_what_must_be_given() -> None:
    book = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    command = re.search(r"helm install .*?\n```", book, re.DOTALL)
    assert command is not None
    assert "database.url" in command[0]
    assert "broker.url" in command[0]
