"""What people answer to our mails."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replies",
        sa.Column("reply_id", sa.String(16), nullable=False),
        sa.Column("intent", sa.String(16), nullable=False),
        sa.Column("topic", sa.String(16)),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("send_id", sa.String(32), nullable=False),
        sa.Column("is_proven", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.Column("closed_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("reply_id", name="pk_replies"),
    )
    op.create_index("ix_replies_send_id", "replies", ["send_id"])


def downgrade() -> None:
    # A hold is lifted by hand, and where nobody can, it is what it was meant for: no mail.
    op.execute("update suppressions set reason = 'complained' where reason = 'held'")
    op.drop_index("ix_replies_send_id", "replies")
    op.drop_table("replies")
