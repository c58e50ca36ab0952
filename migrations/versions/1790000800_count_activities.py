"""Count the activities of those users who were there before their number was kept.

500 users at a time, each batch committed, so that no row stays locked for long. One statement
sees an activity together with its change or neither, so whatever is added meanwhile cancels out.
"""

from alembic import op

revision = "1790000800"
down_revision = "1790000700"
transactional = False


def upgrade() -> None:
    op.run_sql("""
        DO $$
        BEGIN
            LOOP
                UPDATE users u SET activities_count =
                    (SELECT count(*) FROM activities a WHERE a.user_uuid = u.uuid)
                    - (SELECT coalesce(sum(change), 0) FROM activity_changes c
                       WHERE c.user_uuid = u.uuid)
                WHERE uuid IN (
                    SELECT uuid FROM users WHERE activities_count IS NULL LIMIT 500
                );
                EXIT WHEN NOT FOUND;
                COMMIT;
            END LOOP;
        END
        $$;
    """)


def downgrade() -> None:
    op.run_sql("""
        DO $$ BEGIN END $$;
    """)
