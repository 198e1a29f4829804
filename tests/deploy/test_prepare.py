import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from dialogue.storage.vault import MasterKeys
from tests.deploy.compose import COMPOSE, ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "deploy", tmp_path / "checkout" / "deploy")
    return tmp_path / "checkout"


def prepare(checkout: Path) -> str:
    return subprocess.run(["sh", "deploy/prepare.sh"], cwd=checkout, capture_output=True, text=True, check=True).stdout


def contents(checkout: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in [*(checkout / "secrets").iterdir(), checkout / ".env"]}


def test_it_makes_every_secret_but_those_that_a_platform_gives(checkout: Path) -> None:
    said = prepare(checkout)
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert wanted - contents(checkout).keys() == {"telegram_token", "wecom_secret", "oa_secret"}
    assert "secrets/telegram_token" in said
    assert "secrets/wecom_secret" in said
    assert "secrets/oa_secret" in said


def test_what_it_makes_is_good_for_use(checkout: Path) -> None:
    prepare(checkout)
    made = contents(checkout)
    MasterKeys.parse(made["secret_key"].strip())
    passwords = {
        made[name].strip() for name in ("postgres_password", "redis_password", "wechat_token", "grafana_password")
    }
    assert len(passwords) == 4
    assert all(len(password) == 32 for password in passwords)
    assert re.fullmatch(r"[A-Za-z0-9]{32}", made["wecom_callback_token"])
    assert re.fullmatch(r"[A-Za-z0-9]{43}", made["wecom_aes_key"])
    assert re.fullmatch(r"[A-Za-z0-9]{32}", made["oa_callback_token"])
    assert re.fullmatch(r"[A-Za-z0-9]{43}", made["oa_aes_key"])
    assert "COMPOSE_PROFILES=" in made[".env"]


def test_nobody_else_on_the_host_can_read_them_but_a_container_can(checkout: Path) -> None:
    prepare(checkout)
    assert stat.S_IMODE((checkout / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (checkout / "secrets").iterdir()} == {0o444}


def test_a_second_run_changes_nothing(checkout: Path) -> None:
    prepare(checkout)
    (checkout / ".env").write_text("COMPOSE_PROFILES=wechat\n")
    before = contents(checkout)
    prepare(checkout)
    assert contents(checkout) == before
