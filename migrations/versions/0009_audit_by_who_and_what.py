"""The audit is read by who did something, and by what was done: both may be rare among millions of lines."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_actor_id", "audit", ["actor", "id"], unique=False)
    op.create_index("ix_audit_action_id", "audit", ["action", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_audit_action_id", table_name="audit")
    op.drop_index("ix_audit_actor_id", table_name="audit")
