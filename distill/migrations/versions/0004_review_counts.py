"""An index from which a queue's cards are counted without reading them: it is done after every decision."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_review_items_counts", "review_items", ["run_id", "round", "queue", "done", "open"])


def downgrade() -> None:
    op.drop_index("ix_review_items_counts", table_name="review_items")
