"""Add which upload a user's banner shows, and its BlurHash; null if there is none."""

from alembic import op

revision = "1790001000"
down_revision = "1790000900"
transactional = True


def upgrade() -> None:
    op.run_sql("""
        ALTER TABLE users ADD COLUMN banner_version text, ADD COLUMN banner_placeholder text;
        GRANT SELECT (banner_version, banner_placeholder),
              UPDATE (banner_version, banner_placeholder)
            ON users TO profiles;
    """)


def downgrade() -> None:
    op.run_sql("""
        ALTER TABLE users DROP COLUMN banner_version, DROP COLUMN banner_placeholder;
    """)
