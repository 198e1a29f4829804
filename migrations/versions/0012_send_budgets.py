"""What a platform lets us send to a chat until its person writes again, and texts that failed after they were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_deliveries_grant_id", ["grant_id"], "grant_id IS NOT NULL"),
    ("ix_deliveries_held", ["channel", "chat_id"], "state = 'held'"),
    ("ix_deliveries_undelivered", ["created_at"], "state IN ('failed', 'bounced')"),
)


def upgrade() -> None:
    op.create_table(
        "send_budgets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("chat_id", sa.String(length=255), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_send_budgets_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_budgets")),
    )
    op.create_index(
        "uq_send_budgets_channel_chat_id_account", "send_budgets", ["channel", "chat_id", "account"], unique=True
    )
    op.create_index("ix_send_budgets_person_id", "send_budgets", ["person_id"])
    op.add_column("deliveries", sa.Column("grant_id", sa.Uuid(), nullable=True))
    for name, columns, condition in _INDEXES:
        where = sa.text(condition)
        op.create_index(name, "deliveries", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, _, _ in reversed(_INDEXES):
        op.drop_index(name, table_name="deliveries")
    op.drop_column("deliveries", "grant_id")
    op.drop_table("send_budgets")
