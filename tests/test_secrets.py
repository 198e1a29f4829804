"""No file of the project holds a secret; what looks like one is made up, and says so by its place or its words."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KINDS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "Telegram token": r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b",
    "AWS key": r"\bAKIA[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{50,}",
    "hub token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "API key": r"\bsk-[A-Za-z0-9_-]{20,}\b",
    "package index token": r"\bpypi-[A-Za-z0-9_-]{50,}\b",
    "master key": r"(?:SECRET_KEY|secret_key)\W{1,5}[A-Za-z0-9+/]{43}=",
    "URL with a password": r"\b[a-z+]{4,}://[a-z_]+:(?!password@|secret@|geheim@|one@|p%40|p@|\{)[^\s:@/\"'<{*]{6,}@",
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.",
}
MAX_BYTES = 5_000_000


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file() and path.stat().st_size < MAX_BYTES]


def found_in(text: str) -> list[str]:
    return [kind for kind, pattern in KINDS.items() if re.search(pattern, text)]


def test_no_file_holds_a_secret() -> None:
    assert not [
        f"{path.relative_to(ROOT)}: {kind}"
        for path in files()
        if path != Path(__file__)
        for kind in found_in(path.read_bytes().decode("utf-8", "ignore"))
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("token = '123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0'", "Telegram token"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS key"),
        (f"ghp_{'a1' * 18}", "GitHub token"),
        (f"hf_{'aB' * 17}", "hub token"),
        (f"MINDGLM_SECRET_KEY={'A' * 43}=", "master key"),
        ("postgresql+psycopg://bot:hunter23@db/mindglm", "URL with a password"),
    ],
)
def test_it_would_be_found(text: str, kind: str) -> None:
    assert kind in found_in(text)


def test_files_that_hold_secrets_are_not_tracked() -> None:
    names = {path.name for path in files()}
    assert not names & {".env", "secret.key", "secret_key", "telegram_token", "id_rsa"}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.env", "/secrets/", "/backups/"} <= set(ignored)
