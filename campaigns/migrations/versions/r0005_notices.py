"""Mails that came back, and how far the mailboxes they come to were read."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(8)),
        sa.Column("reason", sa.String(32)),
        sa.Column("status", sa.String(16)),
        sa.Column("diagnostic", sa.Text()),
        sa.Column("send_id", sa.String(32)),
        sa.Column("is_proven", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_notices"),
    )
    op.create_index("ix_notices_send_id", "notices", ["send_id"])
    op.create_table(
        "mailboxes",
        sa.Column("mailbox_id", sa.String(64), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", name="pk_mailboxes"),
    )


def downgrade() -> None:
    op.drop_table("mailboxes")
    op.drop_index("ix_notices_send_id", "notices")
    op.drop_table("notices")
