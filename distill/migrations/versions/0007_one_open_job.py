"""A run has one open job at most. Where two had slipped in, the newest stays: it is the one that everybody looks at."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
_OPEN = sa.text("state IN ('queued', 'claimed')")


def upgrade() -> None:
    op.execute(
        "UPDATE jobs SET state = 'failed', message = 'Another job of this run was queued at the same time.' "
        "WHERE state IN ('queued', 'claimed') AND EXISTS (SELECT 1 FROM jobs AS newer WHERE newer.run_id = jobs.run_id "
        "AND newer.id > jobs.id AND newer.state IN ('queued', 'claimed'))"
    )
    op.create_index("ux_jobs_open", "jobs", ["run_id"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    op.drop_index("ux_jobs_open", "jobs")
