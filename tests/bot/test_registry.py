"""One list of channels, which every other list is made from."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bot.channels import registry

ROOT = Path(__file__).parents[2]

QUIETLY = """
import sys
from bot.channels import registry
print(*[channel.name for channel in registry.channels()])
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"telegram", "wechaty", "grpclib", "torch", "sqlalchemy", "pydantic", "celery", "email"}))
"""


def test_each_channel_is_known_in_the_order_of_its_port_and_the_terminal_last() -> None:
    assert [channel.name for channel in registry.channels()] == ["telegram", "wechat", "wecom", "oa", "console"]
    assert [channel.name for channel in registry.platforms()] == ["telegram", "wechat", "wecom", "oa"]


def test_the_list_can_be_read_without_any_platforms_library() -> None:
    done = subprocess.run([sys.executable, "-c", QUIETLY], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "telegram wechat wecom oa console\n\n", done.stderr


@pytest.mark.parametrize("package", ["dialogue", "console"])
def test_what_knows_no_platform_names_none(package: str) -> None:
    names = [channel.name for channel in registry.platforms()]
    files = [file for file in (ROOT / package).rglob("*") if file.suffix in {".py", ".toml", ".html", ".js", ".sql"}]
    assert files
    named = re.compile(rf"(?<![a-z])(?:{'|'.join(names)})(?![a-z])", re.IGNORECASE)  # "oa" stands in many a word
    assert not [file for file in files if named.search(file.read_text("utf-8"))]


def test_what_switches_a_channel_on_is_said_in_the_variables_of_its_settings() -> None:
    for channel in registry.platforms():
        process = registry.process_of(channel)
        assert set(process.switches) <= process.settings().model_fields.keys()
        assert not process.is_on(process.settings()())
    wechat = registry.named("wechat")
    assert wechat is not None
    assert registry.process_of(wechat).switched_on_by == "MINDGLM_WECHAT_ENDPOINT and MINDGLM_WECHAT_TOKEN"


def test_the_example_of_an_id_is_one() -> None:
    for channel in registry.platforms():
        assert channel.user_ids is not None
        assert channel.user_ids.pattern.fullmatch(channel.user_ids.example)
