"""What admins see and do: takeovers, alarms, muted alerts, and the indexes of their lists."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS: dict[str, list[sa.Column[Any]]] = {
    "people": [sa.Column("alerts_muted_at", sa.DateTime(timezone=True), nullable=True)],
    "conversations": [
        sa.Column("taken_over_by", sa.String(length=255), nullable=True),
        sa.Column("taken_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("relay_channel", sa.String(length=32), nullable=True),
        sa.Column("relay_chat_id", sa.String(length=255), nullable=True),
        sa.Column("alarmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("alarm_level", sa.Integer(), nullable=True),
    ],
}
_INDEXES: list[tuple[str, str, list[str], str | None]] = [
    ("ix_conversations_opened_at_id", "conversations", ["opened_at", "id"], None),
    ("ix_conversations_channel_opened_at_id", "conversations", ["channel", "opened_at", "id"], None),
    ("ix_conversations_at_risk", "conversations", ["opened_at", "id"], "tier > 0"),
    ("ix_conversations_open_tier", "conversations", ["tier", "opened_at", "id"], "closed_at IS NULL"),
    (
        "ix_conversations_taken_over",
        "conversations",
        ["taken_over_by"],
        "closed_at IS NULL AND taken_over_by IS NOT NULL",
    ),
    ("ix_turns_failed", "turns", ["finished_at"], "state = 'failed'"),
    ("ix_deliveries_failed", "deliveries", ["created_at"], "state = 'failed'"),
    (
        "ix_deliveries_to_admins",
        "deliveries",
        ["channel", "chat_id", "platform_message_id"],
        "kind IN ('alert', 'relay')",
    ),
    ("ix_audit_conversation_id_id", "audit", ["conversation_id", "id"], None),
    ("ix_audit_person_id_id", "audit", ["person_id", "id"], None),
]


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    for name, table, indexed, condition in _INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, indexed, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, _ in reversed(_INDEXES):
        op.drop_index(name, table_name=table)
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
