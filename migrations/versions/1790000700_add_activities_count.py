"""Keep each user's number of activities, so that no read counts them.

A user who was there before has none until the next migration has counted. The trigger changes the
user's row all the same: whoever counts waits for it.
"""

from alembic import op

revision = "1790000700"
down_revision = "1790000600"
transactional = True


def upgrade() -> None:
    op.run_sql("""
        -- In the order of whoever adds an activity, so that neither waits for the other.
        LOCK TABLE activities IN SHARE ROW EXCLUSIVE MODE;
        ALTER TABLE users ADD COLUMN activities_count bigint;
        ALTER TABLE users ALTER COLUMN activities_count SET DEFAULT 0;

        -- As its owner: who adds an activity need not have the right to change the count.
        CREATE FUNCTION count_activities() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                UPDATE public.users SET activities_count = 0 WHERE activities_count <> 0;
                RETURN NULL;
            END IF;
            IF TG_OP <> 'INSERT' THEN
                UPDATE public.users SET activities_count = activities_count - 1
                WHERE uuid = OLD.user_uuid;
            END IF;
            IF TG_OP <> 'DELETE' THEN
                UPDATE public.users SET activities_count = activities_count + 1
                WHERE uuid = NEW.user_uuid;
            END IF;
            RETURN NULL;
        END
        $$;
        REVOKE ALL ON FUNCTION count_activities() FROM PUBLIC;

        CREATE TRIGGER count_activities AFTER INSERT OR DELETE OR UPDATE OF user_uuid
            ON activities FOR EACH ROW EXECUTE FUNCTION count_activities();
        CREATE TRIGGER count_no_activities AFTER TRUNCATE
            ON activities FOR EACH STATEMENT EXECUTE FUNCTION count_activities();

        GRANT SELECT (activities_count) ON users TO profiles;
    """)


def downgrade() -> None:
    op.run_sql("""
        DROP TRIGGER count_no_activities ON activities;
        DROP TRIGGER count_activities ON activities;
        DROP FUNCTION count_activities();
        ALTER TABLE users DROP COLUMN activities_count;
    """)
