"""The channel of a send: all so far were mail."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite adds a column that is never null only with a default.
    op.add_column("sends", sa.Column("channel", sa.String(16), nullable=False, server_default="mail"))


def downgrade() -> None:
    op.drop_column("sends", "channel")
