"""Sends in the order in which they were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sent = sa.text("state = 'sent'")
    op.create_index(
        "ix_sends_sent", "sends", ["ended_at", "send_id"], sqlite_where=is_sent, postgresql_where=is_sent
    )


def downgrade() -> None:
    op.drop_index("ix_sends_sent", "sends")
