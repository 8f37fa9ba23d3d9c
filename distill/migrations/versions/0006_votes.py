"""Which of two answers people prefer: appended, never edited; a change of mind is a further revision."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "preference_votes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("row_id", sa.String(200), nullable=False),
        sa.Column("arm", sa.String(120), nullable=False),
        sa.Column("versus", sa.String(120), nullable=False),
        sa.Column("first", sa.String(120), nullable=False),
        sa.Column("voter", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.UniqueConstraint("run_id", "row_id", "arm", "versus", "voter", "revision"),
    )


def downgrade() -> None:
    op.drop_table("preference_votes")
