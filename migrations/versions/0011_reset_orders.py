"""An order to end all conversations is kept until it is carried out, whatever happens to the process that does it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reset_orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=255), server_default="", nullable=False),
        sa.Column("chat_id", sa.String(length=255), nullable=False),
        sa.Column("after_id", sa.Uuid(), nullable=False),
        sa.Column("ended_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reset_orders")),
    )


def downgrade() -> None:
    op.drop_table("reset_orders")
