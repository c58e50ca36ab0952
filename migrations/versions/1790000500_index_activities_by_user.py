"""Read a user's newest activities in order."""

from alembic import op

revision = "1790000500"
down_revision = "1790000400"
transactional = False


def upgrade() -> None:
    op.run_sql("""
        CREATE INDEX CONCURRENTLY IF NOT EXISTS activities_user_created_at_index
            ON activities (user_uuid, created_at DESC);
    """)


def downgrade() -> None:
    op.run_sql("""
        DROP INDEX CONCURRENTLY IF EXISTS activities_user_created_at_index;
    """)
