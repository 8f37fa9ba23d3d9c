"""Reviewers of language models mend answers: what they wrote, under a salt of its own, so that it can be erased while the chain verifies."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("review_decisions", sa.Column("edit", sa.Text, nullable=False, server_default=""))
    op.add_column("review_decisions", sa.Column("edit_salt", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("review_decisions", "edit_salt")
    op.drop_column("review_decisions", "edit")
