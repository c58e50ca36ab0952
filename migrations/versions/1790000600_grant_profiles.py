"""Let the profiles function do what it does, and no more.

A role belongs to the server, not to one database: it is made here without a login if it is
missing, and a rollback leaves it.
"""

from alembic import op

revision = "1790000600"
down_revision = "1790000500"
transactional = True


def upgrade() -> None:
    op.run_sql("""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'profiles') THEN
                CREATE ROLE profiles NOLOGIN;
            END IF;
        END
        $$;
        GRANT SELECT (uuid, display_name, handle, cognito_user_id, created_at, bio,
                      avatar_version),
              UPDATE (display_name, bio, avatar_version)
            ON users TO profiles;
        GRANT SELECT ON activities TO profiles;
    """)


def downgrade() -> None:
    op.run_sql("""
        REVOKE SELECT ON activities FROM profiles;
        REVOKE SELECT (uuid, display_name, handle, cognito_user_id, created_at, bio,
                       avatar_version),
               UPDATE (display_name, bio, avatar_version)
            ON users FROM profiles;
    """)
