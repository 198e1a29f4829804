"""How far each account of a channel was read; humans who answer in a platform's own app; texts taken once."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "channel_cursors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("cursor", sa.String(length=255), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notice_count", sa.Integer(), nullable=False),
        sa.Column("pulled_count", sa.Integer(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pull_token", sa.String(length=255), nullable=True),
        sa.Column("pull_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_cursors")),
    )
    op.create_index("uq_channel_cursors_channel_account", "channel_cursors", ["channel", "account"], unique=True)
    op.add_column("send_budgets", sa.Column("platform_holder", sa.String(length=255), nullable=True))
    op.add_column("send_budgets", sa.Column("platform_holder_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("send_budgets", sa.Column("platform_wanted_at", sa.DateTime(timezone=True), nullable=True))
    where = sa.text("platform_wanted_at IS NOT NULL")
    op.create_index("ix_send_budgets_wanted", "send_budgets", ["channel"], sqlite_where=where, postgresql_where=where)
    op.add_column("deliveries", sa.Column("is_repeatable", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("deliveries", "is_repeatable")
    op.drop_index("ix_send_budgets_wanted", table_name="send_budgets")
    op.drop_column("send_budgets", "platform_wanted_at")
    op.drop_column("send_budgets", "platform_holder_at")
    op.drop_column("send_budgets", "platform_holder")
    op.drop_table("channel_cursors")
