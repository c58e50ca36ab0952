"""Find the caller's own row."""

from alembic import op

revision = "1790000400"
down_revision = "1790000300"
transactional = False


def upgrade() -> None:
    op.run_sql("""
        CREATE INDEX CONCURRENTLY IF NOT EXISTS users_cognito_user_id_index
            ON users (cognito_user_id);
    """)


def downgrade() -> None:
    op.run_sql("""
        DROP INDEX CONCURRENTLY IF EXISTS users_cognito_user_id_index;
    """)
