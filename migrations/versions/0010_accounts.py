"""An address has an account: where a channel has several, one person may have a chat with each of them.

Rows from before have none, which is also how a channel with a single account writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = sa.text("closed_at IS NULL")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("account", sa.String(length=255), server_default="", nullable=False))
    op.add_column("conversations", sa.Column("relay_account", sa.String(length=255), nullable=True))
    op.add_column("deliveries", sa.Column("account", sa.String(length=255), server_default="", nullable=False))
    op.drop_index("uq_conversations_open", table_name="conversations")
    _create_open_index("channel", "chat_id", "account")


def downgrade() -> None:
    op.drop_index("uq_conversations_open", table_name="conversations")
    _create_open_index("channel", "chat_id")
    op.drop_column("deliveries", "account")
    op.drop_column("conversations", "relay_account")
    op.drop_column("conversations", "account")


def _create_open_index(*columns: str) -> None:
    op.create_index(
        "uq_conversations_open",
        "conversations",
        list(columns),
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
