"""Keep each user's number of activities, so that no read counts them.

It is what the user had before (`activities_count`, unknown until the next migration has counted),
plus the changes since. Those are added up in rows that a transaction takes only if no other has
them: adding activities never waits, in whatever order, and so can't deadlock.
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

        -- A few rows for each user, by how many transactions were ever busy with them at once.
        CREATE TABLE activity_changes (
            user_uuid uuid NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY,
            change bigint NOT NULL,
            PRIMARY KEY (user_uuid, id)
        );

        CREATE FUNCTION add_activity_change(of_user uuid, number bigint) RETURNS void
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            UPDATE public.activity_changes SET change = change + number
            WHERE user_uuid = of_user AND id = (
                SELECT id FROM public.activity_changes WHERE user_uuid = of_user
                LIMIT 1 FOR UPDATE SKIP LOCKED
            );
            IF NOT FOUND THEN
                INSERT INTO public.activity_changes (user_uuid, change) VALUES (of_user, number);
            END IF;
        END
        $$;
        REVOKE ALL ON FUNCTION add_activity_change(uuid, bigint) FROM PUBLIC;

        -- As its owner: who adds an activity need not have the right to change the count.
        CREATE FUNCTION count_activities() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                PERFORM public.add_activity_change(user_uuid, count(*))
                FROM added GROUP BY user_uuid;
            ELSIF TG_OP = 'DELETE' THEN
                PERFORM public.add_activity_change(user_uuid, -count(*))
                FROM removed GROUP BY user_uuid;
            ELSIF TG_OP = 'UPDATE' THEN
                PERFORM public.add_activity_change(OLD.user_uuid, -1);
                PERFORM public.add_activity_change(NEW.user_uuid, 1);
            ELSE
                DELETE FROM public.activity_changes;
                UPDATE public.users SET activities_count = 0 WHERE activities_count <> 0;
            END IF;
            RETURN NULL;
        END
        $$;
        REVOKE ALL ON FUNCTION count_activities() FROM PUBLIC;

        CREATE TRIGGER count_added_activities AFTER INSERT ON activities
            REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION count_activities();
        CREATE TRIGGER count_removed_activities AFTER DELETE ON activities
            REFERENCING OLD TABLE AS removed
            FOR EACH STATEMENT EXECUTE FUNCTION count_activities();
        CREATE TRIGGER count_moved_activities AFTER UPDATE OF user_uuid ON activities
            FOR EACH ROW WHEN (OLD.user_uuid <> NEW.user_uuid)
            EXECUTE FUNCTION count_activities();
        CREATE TRIGGER count_no_activities AFTER TRUNCATE ON activities
            FOR EACH STATEMENT EXECUTE FUNCTION count_activities();

        GRANT SELECT (activities_count) ON users TO profiles;
        GRANT SELECT ON activity_changes TO profiles;
    """)


def downgrade() -> None:
    op.run_sql("""
        DROP TRIGGER count_no_activities ON activities;
        DROP TRIGGER count_moved_activities ON activities;
        DROP TRIGGER count_removed_activities ON activities;
        DROP TRIGGER count_added_activities ON activities;
        DROP FUNCTION count_activities();
        DROP FUNCTION add_activity_change(uuid, bigint);
        DROP TABLE activity_changes;
        ALTER TABLE users DROP COLUMN activities_count;
    """)
