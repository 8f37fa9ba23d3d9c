"""Label review: plans, cards, leases, decisions, and which decision of a reviewer stands."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "review_plans",
        sa.Column("run_id", sa.String(100), primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("closed", sa.String(500), nullable=False),
    )
    op.create_table(
        "review_items",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("row_id", sa.String(200), nullable=False),
        sa.Column("row_index", sa.Integer, nullable=False),
        sa.Column("queue", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("machine_label", sa.Integer, nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.UniqueConstraint("run_id", "round", "row_id"),
    )
    op.create_index("ix_review_items_next", "review_items", ["run_id", "round", "open", "position"])
    op.create_table(
        "review_leases",
        sa.Column("item_id", sa.Integer, sa.ForeignKey("review_items.id"), primary_key=True),
        sa.Column("reviewer", sa.String(200), primary_key=True),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_index("ix_review_leases_reviewer", "review_leases", ["reviewer"])
    op.create_table(
        "review_decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("review_items.id"), nullable=False),
        sa.Column("reviewer", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.Integer),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("note_salt", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.UniqueConstraint("item_id", "reviewer", "role", "revision"),
    )
    op.create_table(
        "review_standing",
        sa.Column("item_id", sa.Integer, sa.ForeignKey("review_items.id"), primary_key=True),
        sa.Column("reviewer", sa.String(200), primary_key=True),
        sa.Column("role", sa.String(16), primary_key=True),
        sa.Column("decision_id", sa.Integer, sa.ForeignKey("review_decisions.id"), nullable=False),
    )
    op.create_index("ix_review_standing_reviewer", "review_standing", ["reviewer", "decision_id"])


def downgrade() -> None:
    for table in ("review_standing", "review_decisions", "review_leases", "review_items", "review_plans"):
        op.drop_table(table)
