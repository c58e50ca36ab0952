"""Count the activities of those users who were there before their number was kept.

500 users at a time, each batch committed, so that no row stays locked for long. The rows are
locked by a statement of their own: only the one that follows sees all that was added before.
"""

from alembic import op

revision = "1790000800"
down_revision = "1790000700"
transactional = False


def upgrade() -> None:
    op.run_sql("""
        DO $$
        DECLARE batch uuid[];
        BEGIN
            LOOP
                SELECT array_agg(uuid) INTO batch FROM (
                    SELECT uuid FROM users WHERE activities_count IS NULL
                    LIMIT 500 FOR UPDATE
                ) uncounted;
                EXIT WHEN batch IS NULL;
                UPDATE users u SET activities_count =
                    (SELECT count(*) FROM activities a WHERE a.user_uuid = u.uuid)
                WHERE uuid = ANY (batch);
                COMMIT;
            END LOOP;
        END
        $$;
    """)


def downgrade() -> None:
    op.run_sql("""
        DO $$ BEGIN END $$;
    """)
