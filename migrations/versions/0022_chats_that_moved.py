"""The moves of groups are kept, so that words that are heard of late follow them; who has colleagues is a column."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chat_moves",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("chat_id", sa.String(length=255), nullable=False),
        sa.Column("new_chat_id", sa.String(length=255), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_moves")),
    )
    op.create_index("uq_chat_moves_channel_chat_id", "chat_moves", ["channel", "chat_id"], unique=True)
    op.add_column("send_budgets", sa.Column("has_colleagues", sa.Boolean(), server_default=sa.false(), nullable=False))
    # until now only the platform that has colleagues named its accounts
    op.execute("UPDATE send_budgets SET has_colleagues = TRUE WHERE account <> ''")


def downgrade() -> None:
    op.drop_column("send_budgets", "has_colleagues")
    op.drop_index("uq_chat_moves_channel_chat_id", table_name="chat_moves")
    op.drop_table("chat_moves")
