"""Add what stands for a user's avatar while it loads, its BlurHash; null if there is none."""

from alembic import op

revision = "1790000900"
down_revision = "1790000800"
transactional = True


def upgrade() -> None:
    op.run_sql("""
        ALTER TABLE users ADD COLUMN avatar_placeholder text;
        GRANT SELECT (avatar_placeholder), UPDATE (avatar_placeholder) ON users TO profiles;
    """)


def downgrade() -> None:
    op.run_sql("""
        ALTER TABLE users DROP COLUMN avatar_placeholder;
    """)
