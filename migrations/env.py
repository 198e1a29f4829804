"""How Alembic reaches the database: on the connection it is handed, or by the settings when run by its own command."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, Enum

from dialogue.process.home import database_url
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import connect
from dialogue.tables import Table, Utc


def render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Revisions name plain types: they must run long after our own have changed."""
    if kind == "type" and isinstance(item, Utc):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=render,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_by_settings() -> None:
    database = connect(database_url(DialogueSettings()))
    with database.engine.begin() as connection:
        run(connection)
    database.close()


given = context.config.attributes.get("connection")
if given is None:
    run_by_settings()
else:
    run(given)
