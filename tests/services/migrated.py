"""Databases with this code's schema, copied from one that was migrated before: the migrations outlast most tests."""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from dialogue.storage import schema
from dialogue.storage.database import sqlite_url


def migrate(url: str) -> None:
    """As `schema.upgrade_at`; a SQLite file that does not exist yet is written as a copy."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database is not None and not Path(parsed.database).exists():
        Path(parsed.database).write_bytes(migrated_file())
    else:
        schema.upgrade_at(url)


@cache
def migrated_file() -> bytes:
    """Of SQLite."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "migrated.db"
        schema.upgrade_at(sqlite_url(file))
        return file.read_bytes()
