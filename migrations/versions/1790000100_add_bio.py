"""Add what users say of themselves."""

from alembic import op

revision = "1790000100"
down_revision = "1790000000"
transactional = True


def upgrade() -> None:
    op.run_sql("""
        ALTER TABLE users ADD COLUMN bio text;
    """)


def downgrade() -> None:
    op.run_sql("""
        ALTER TABLE users DROP COLUMN bio;
    """)
