"""The existing schema."""

from alembic import op

revision = "1790000000"
down_revision = None
transactional = True


def upgrade() -> None:
    op.run_sql("""
        CREATE TABLE users (
            uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            display_name text NOT NULL,
            handle text NOT NULL,
            email text NOT NULL,
            cognito_user_id text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT current_timestamp
        );

        CREATE TABLE activities (
            uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            user_uuid uuid NOT NULL REFERENCES users (uuid),
            message text NOT NULL,
            replies_count integer NOT NULL DEFAULT 0,
            reposts_count integer NOT NULL DEFAULT 0,
            likes_count integer NOT NULL DEFAULT 0,
            reply_to_activity_uuid uuid,
            expires_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT current_timestamp
        );
    """)


def downgrade() -> None:
    op.run_sql("""
        DROP TABLE activities;
        DROP TABLE users;
    """)
