"""What people agreed to, how long they have been here, and words that wait for a consent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIMES = (
    "asked_at",
    "declined_at",
    "training_consented_at",
    "visit_began_at",
    "heard_at",
    "reminded_at",
    "labelled_at",
)


def upgrade() -> None:
    op.add_column("people", sa.Column("asked_version", sa.String(length=32), nullable=True))
    for name in _TIMES:
        op.add_column("people", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_messages_expires_at",
        "messages",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_messages_expires_at", table_name="messages")
    op.drop_column("messages", "expires_at")
    for name in reversed(_TIMES):
        op.drop_column("people", name)
    op.drop_column("people", "asked_version")
