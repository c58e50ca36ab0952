"""Add the version of a user's newest avatar; null shows the default."""

from alembic import op

revision = "1790000200"
down_revision = "1790000100"
transactional = True


def upgrade() -> None:
    op.run_sql("""
        ALTER TABLE users ADD COLUMN avatar_version text;
    """)


def downgrade() -> None:
    op.run_sql("""
        ALTER TABLE users DROP COLUMN avatar_version;
    """)
