"""What readers chose about our mail, which kind each campaign is, and how content replies are."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "preferences",
        sa.Column("preference_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("send_id", sa.String(32), nullable=False),
        sa.Column("mails_per_week", sa.Integer()),
        sa.Column("paused_until", sa.DateTime()),
        sa.Column("no_mail_before", sa.DateTime()),
        sa.Column("locale", sa.String(16)),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("preference_id", name="pk_preferences"),
    )
    op.create_index("ix_preferences_customer_id", "preferences", ["customer_id", "preference_id"])
    op.create_table(
        "campaign_kinds",
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_campaign_kinds"),
    )

    op.add_column("replies", sa.Column("sentiment", sa.Float()))


def downgrade() -> None:
    op.drop_column("replies", "sentiment")
    op.drop_table("campaign_kinds")
    op.drop_table("preferences")
