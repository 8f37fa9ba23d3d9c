"""The job queue.

Another table: a new file here with ``down_revision = "0001"``. Several such branches may stand side by side; all heads are applied.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("claimed_at", sa.String(32)),
        sa.Column("claimed_pid", sa.Integer),
        sa.Column("claimed_started", sa.Float(53)),
        sa.Column("claimed_host", sa.String(255)),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("message", sa.String, nullable=False),
    )
    op.create_index("ix_jobs_run_id", "jobs", ["run_id"])
    op.create_index("ix_jobs_state", "jobs", ["state"])
