"""When a person said what a reply wants."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replies", sa.Column("judged_at", sa.DateTime()))


def downgrade() -> None:
    op.drop_column("replies", "judged_at")
