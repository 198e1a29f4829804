"""The last words of a person are read with each message: an index finds them among all that they ever said."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_messages_person_id_received_at", "messages", ["person_id", "received_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_messages_person_id_received_at", table_name="messages")
