"""Find a profile by its handle."""

from alembic import op

revision = "1790000300"
down_revision = "1790000200"
transactional = False


def upgrade() -> None:
    op.run_sql("""
        CREATE INDEX CONCURRENTLY IF NOT EXISTS users_handle_index ON users (handle);
    """)


def downgrade() -> None:
    op.run_sql("""
        DROP INDEX CONCURRENTLY IF EXISTS users_handle_index;
    """)
