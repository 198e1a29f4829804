"""Wherever channels are listed outside of the code, none is missing."""

import re
from typing import Any

import pytest
import yaml

from bootstrap.environment import IMAGES
from bot.channels import registry
from bot.channels.channel import Channel
from bot.channels.oa import callback as oa
from bot.channels.oa.settings import OaSettings
from bot.channels.wecom import callback as wecom
from bot.channels.wecom.settings import WecomSettings
from tests.deploy.compose import COMPOSE, ROOT, SERVICES
from tests.test_house import PROJECT

PROMETHEUS = ROOT / "deploy" / "prometheus"
HOST_PORT = 9464
each_platform = pytest.mark.parametrize("channel", registry.platforms(), ids=lambda channel: channel.name)


def scraped(file: str) -> list[dict[str, Any]]:
    (job,) = yaml.safe_load((PROMETHEUS / file).read_text("utf-8"))["scrape_configs"]
    return [*job.get("static_configs", []), *job.get("dns_sd_configs", [])]


def test_the_ports_of_today_stay_what_they_are() -> None:
    today = {"worker": 0, "telegram": 1, "wechat": 2, "console": 3}
    assert registry.metrics_offsets().items() >= today.items()


@each_platform
def test_compose_runs_it_where_it_is_asked_for_and_asks_how_it_is(channel: Channel[Any]) -> None:
    service = SERVICES[channel.name]
    assert service["profiles"] == [channel.name]
    assert service["command"] == [channel.name]
    assert service["healthcheck"]["test"] == ["CMD", "mindglm", "health", channel.name]
    assert f"{channel.name}:/var/lib/mindglm" in service["volumes"]
    given = {variable.removesuffix("_FILE") for variable in service["environment"]}
    assert given >= {f"MINDGLM_{field.upper()}" for field in registry.process_of(channel).switches}


@each_platform
def test_systemd_runs_it(channel: Channel[Any]) -> None:
    unit = (ROOT / "deploy" / "systemd" / f"mindglm-{channel.name}.service").read_text("utf-8")
    assert f"ExecStart=/opt/mindglm/bin/mindglm {channel.name}\n" in unit
    given = {variable.removesuffix("_FILE") for variable in re.findall(r"(?m)^Environment=(\w+)=", unit)}
    assert given >= {f"MINDGLM_{field.upper()}" for field in registry.process_of(channel).switches}


@pytest.mark.parametrize("name", registry.metrics_offsets())
def test_prometheus_reads_it_at_its_port(name: str) -> None:
    offset = registry.metrics_offsets()[name]
    assert {"targets": [f"127.0.0.1:{HOST_PORT + offset}"], "labels": {"process": name}} in scraped("prometheus.yaml")
    base = int(COMPOSE["x-figures"]["MINDGLM_METRICS_PORT"])
    (found,) = (target for target in scraped("compose.yaml") if name in target["names"])
    assert found["port"] == base + offset


@each_platform
def test_its_port_stands_in_the_operators_book(channel: Channel[Any]) -> None:
    port = HOST_PORT + registry.process_of(channel).metrics_offset
    book = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert len(re.findall(rf"\b{channel.name}\b[^。.;]*?\b{port}\b", book)) == 2, "in both languages"


@each_platform
def test_its_libraries_are_an_extra_that_the_image_of_the_bot_has(channel: Channel[Any]) -> None:
    process = registry.process_of(channel)
    if process.extra is not None:
        wanted = PROJECT["project"]["optional-dependencies"][process.extra]
        assert all(any(line.startswith(library) for line in wanted) for library in process.libraries)
        assert f"--extra={process.extra}" in IMAGES["bot"]


@each_platform
def test_there_is_a_page_about_it_that_the_index_leads_to(channel: Channel[Any]) -> None:
    assert (ROOT / "docs" / f"{channel.name}.md").is_file()
    assert f"{channel.name}.md" in (ROOT / "docs" / "index.md").read_text("utf-8")
    assert f"mindglm {channel.name}" in (ROOT / "README.md").read_text("utf-8")


PUSHED = [
    ("wecom", wecom.PATH, WecomSettings().wecom_listen),
    ("oa", oa.PATH, OaSettings().oa_listen),
]
"""Channels that are called, where, and where they listen."""


@pytest.mark.parametrize(("name", "path", "listens"), PUSHED)
def test_caddy_puts_tls_before_each_callback_and_lets_nothing_else_through(name: str, path: str, listens: str) -> None:
    caddy = (ROOT / "deploy" / "caddy" / "Caddyfile").read_text("utf-8")
    assert f"path {path}\n" in caddy
    assert f"{{$MINDGLM_{name.upper()}_UPSTREAM:{listens}}}" in caddy
    assert "handle {\n\t\trespond 404" in caddy
    assert "output discard" in caddy, "the log would hold signatures and addresses"


@pytest.mark.parametrize("name", [name for name, _, _ in PUSHED])
def test_what_the_page_of_a_callback_adds_to_compose_fits_it(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    added = yaml.safe_load(example)["services"]["caddy"]
    service = SERVICES[name]
    port = service["environment"][f"MINDGLM_{name.upper()}_LISTEN"].rpartition(":")[2]
    assert added["environment"][f"MINDGLM_{name.upper()}_UPSTREAM"] == f"{name}:{port}"
    assert added["profiles"] == service["profiles"]
    assert set(added["networks"]) <= set(service["networks"])
    mounted = added["volumes"][0].split(":")[0]
    assert (ROOT / mounted).is_file()
