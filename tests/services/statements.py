"""Keeps the SQL that was compiled for one test's database for the next: compiling takes longer than running it."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_MAX_STATEMENTS = 4000


def share_compiled_statements(patch: pytest.MonkeyPatch) -> None:
    """From now on, for the engines of this process.

    SQLAlchemy keeps compiled statements per engine and looks them up by the engine's own dialect; here one store serves
    all, and dialects of one kind that speak to servers of one version are alike.
    """
    compiled = LRUCache[object, object](_MAX_STATEMENTS)

    def use_shared(engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=compiled)

    patch.setattr(DefaultDialect, "engine_created", use_shared)
    patch.setattr(DefaultDialect, "__eq__", _speak_alike)
    patch.setattr(DefaultDialect, "__hash__", _hash_of_kind)


def _speak_alike(one: DefaultDialect, other: object) -> bool:
    return (
        type(one) is type(other)
        and one.paramstyle == other.paramstyle
        and one.server_version_info == other.server_version_info
    )


def _hash_of_kind(dialect: DefaultDialect) -> int:
    return hash(type(dialect))
