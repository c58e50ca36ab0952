"""The audit's own tables, in versioned steps beside the application's migrations.

They live in a schema of their own: a rollback of the application's migrations must not take the
audit along, and the audit must work before the first of them. The tables belong to a role without
a login, so that the role that writes entries can neither change them nor switch the trigger off.
When an account is erased, a function of that role puts a pseudonym in the place of its name.
"""

from __future__ import annotations

import contextlib

import psycopg

OWNER = "avatar_ops_audit"
_LOCK = 0x6175646974  # "audit"

# Each step runs once, in order; an applied step never changes
_STEPS = (
    """
    CREATE TABLE IF NOT EXISTS avatar_ops.audit_entries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        environment text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        key text NOT NULL,
        outcome text NOT NULL CHECK (outcome IN ('started', 'done', 'failed')),
        detail text NOT NULL,
        UNIQUE (key, outcome)
    );
    CREATE OR REPLACE FUNCTION avatar_ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
    END
    $$;
    CREATE OR REPLACE TRIGGER append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON avatar_ops.audit_entries
        EXECUTE FUNCTION avatar_ops.refuse_change();
    """,
    """
    ALTER TABLE avatar_ops.audit_entries
        ADD COLUMN process text NOT NULL DEFAULT '',
        DROP CONSTRAINT audit_entries_outcome_check,
        ADD CONSTRAINT audit_entries_outcome_check
            CHECK (outcome IN ('started', 'done', 'failed', 'interrupted'));
    CREATE INDEX audit_entries_started ON avatar_ops.audit_entries (environment, at DESC)
        WHERE outcome = 'started';
    """,
    r"""
    CREATE OR REPLACE FUNCTION avatar_ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND current_setting('avatar_ops.pseudonymising', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
    END
    $$;
    -- All that it can do to an entry is to put a pseudonym, which follows from the id, in the place
    -- of that id and of its handles. Who did what, when and how it ended stays.
    CREATE FUNCTION avatar_ops.pseudonymise(of_environment text, sub text, handles text[])
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        pseudonym text := 'erased-' || left(encode(sha256(convert_to(sub, 'UTF8')), 'hex'), 16);
        pattern text := '(?<![\w-])' || sub || '(?![\w-])';
        handle text;
        changed bigint;
    BEGIN
        IF sub !~ '^[0-9A-Za-z_-]{16,128}$' THEN
            RAISE EXCEPTION '% is not a user''s id', sub USING ERRCODE = 'invalid_parameter_value';
        END IF;
        FOREACH handle IN ARRAY handles LOOP
            pattern := pattern || '|(?<![\w-])@'
                || regexp_replace(handle, '([^[:alnum:]])', '\\\1', 'g') || '(?![\w-]|\.\w)';
        END LOOP;
        -- not a SET of the function: a setting of our own takes a superuser there
        PERFORM set_config('avatar_ops.pseudonymising', 'on', true);
        UPDATE avatar_ops.audit_entries
        SET target = regexp_replace(target, pattern, pseudonym, 'g'),
            detail = regexp_replace(detail, pattern, pseudonym, 'g')
        WHERE environment = of_environment AND (target ~ pattern OR detail ~ pattern);
        GET DIAGNOSTICS changed = ROW_COUNT;
        PERFORM set_config('avatar_ops.pseudonymising', 'off', true);
        RETURN changed;
    END
    $$;
    REVOKE ALL ON FUNCTION avatar_ops.pseudonymise(text, text, text[]) FROM PUBLIC;
    """,
    # What is looked for is found without reading the actions of years: whose, of which kind, which
    # failed, and which have no end.
    """
    CREATE INDEX audit_entries_by_actor ON avatar_ops.audit_entries (environment, actor, at DESC)
        WHERE outcome = 'started';
    CREATE INDEX audit_entries_by_action ON avatar_ops.audit_entries (environment, action, at DESC)
        WHERE outcome = 'started';
    CREATE INDEX audit_entries_not_done ON avatar_ops.audit_entries (environment, outcome)
        WHERE outcome IN ('failed', 'interrupted');
    CREATE TABLE avatar_ops.audit_running (key text PRIMARY KEY);
    CREATE FUNCTION avatar_ops.note_running() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF NEW.outcome <> 'started' THEN
            DELETE FROM avatar_ops.audit_running WHERE key = NEW.key;
        ELSIF NOT EXISTS (SELECT 1 FROM avatar_ops.audit_entries
                          WHERE key = NEW.key AND outcome <> 'started') THEN
            INSERT INTO avatar_ops.audit_running VALUES (NEW.key) ON CONFLICT DO NOTHING;
        END IF;
        RETURN NULL;
    END
    $$;
    REVOKE ALL ON FUNCTION avatar_ops.note_running() FROM PUBLIC;
    CREATE TRIGGER note_running AFTER INSERT ON avatar_ops.audit_entries
        FOR EACH ROW EXECUTE FUNCTION avatar_ops.note_running();
    INSERT INTO avatar_ops.audit_running
    SELECT key FROM avatar_ops.audit_entries s
    WHERE outcome = 'started' AND NOT EXISTS (
        SELECT 1 FROM avatar_ops.audit_entries WHERE key = s.key AND outcome <> 'started');
    """,
    # How far it is, by the process that acts; all of it goes with the row
    """
    ALTER TABLE avatar_ops.audit_running
        ADD COLUMN seen timestamptz,
        ADD COLUMN steps jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN stopped_by text NOT NULL DEFAULT '';
    """,
)
_INDEXED = 4
"""The step from which on little is read to find what is looked for."""
_LIVE = 5
"""The step from which on it is known how far what runs is."""
_HAND_OVER = """
    ALTER SCHEMA avatar_ops OWNER TO avatar_ops_audit;
    ALTER TABLE avatar_ops.audit_entries OWNER TO avatar_ops_audit;
    ALTER TABLE avatar_ops.audit_steps OWNER TO avatar_ops_audit;
    ALTER FUNCTION avatar_ops.refuse_change() OWNER TO avatar_ops_audit;
    ALTER FUNCTION avatar_ops.pseudonymise(text, text, text[]) OWNER TO avatar_ops_audit;
    GRANT USAGE ON SCHEMA avatar_ops TO CURRENT_USER;
    GRANT SELECT, INSERT ON avatar_ops.audit_entries TO CURRENT_USER;
    GRANT SELECT ON avatar_ops.audit_steps TO CURRENT_USER;
    GRANT EXECUTE ON FUNCTION avatar_ops.pseudonymise(text, text, text[]) TO CURRENT_USER;
    ALTER TABLE avatar_ops.audit_running OWNER TO avatar_ops_audit;
    ALTER FUNCTION avatar_ops.note_running() OWNER TO avatar_ops_audit;
    GRANT SELECT, UPDATE (seen, steps, stopped_by) ON avatar_ops.audit_running TO CURRENT_USER;
    REVOKE avatar_ops_audit FROM CURRENT_USER;
"""


def ensure(connection: psycopg.Connection) -> None:
    """Take the steps that this database lacks, in the connection's transaction.

    A role that may not create roles keeps the tables itself; the trigger still refuses changes.
    """
    if _taken(connection) >= len(_STEPS):
        return
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    taken = _taken(connection)
    if taken >= len(_STEPS):
        return
    # what there is of years is indexed; meanwhile other consoles' entries wait in their folders
    connection.execute("SET LOCAL statement_timeout = '5min'")
    may_hand_over = False
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        _become_member(connection)
        may_hand_over = True
    connection.execute(
        "CREATE SCHEMA IF NOT EXISTS avatar_ops;"
        "CREATE TABLE IF NOT EXISTS avatar_ops.audit_steps"
        " (step integer PRIMARY KEY, taken_at timestamptz NOT NULL DEFAULT now())"
    )
    for number, step in enumerate(_STEPS[taken:], taken + 1):
        connection.execute(step)
        connection.execute("INSERT INTO avatar_ops.audit_steps (step) VALUES (%s)", (number,))
    if may_hand_over:
        connection.execute(_HAND_OVER)


def is_indexed(connection: psycopg.Connection) -> bool:
    """Say whether what runs is kept in a table, and the rest has its indexes.

    A database that nobody has recorded in since an upgrade lacks them.
    """
    return _taken(connection) >= _INDEXED


def is_live(connection: psycopg.Connection) -> bool:
    """Say whether it is known how far what runs is."""
    return _taken(connection) >= _LIVE


def _taken(connection: psycopg.Connection) -> int:
    found = connection.execute("SELECT to_regclass('avatar_ops.audit_steps')").fetchone()
    if found == (None,):
        return 0
    newest = connection.execute("SELECT coalesce(max(step), 0) FROM avatar_ops.audit_steps")
    return int((newest.fetchone() or (0,))[0])


def _become_member(connection: psycopg.Connection) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone()
    if not known:
        connection.execute("CREATE ROLE avatar_ops_audit NOLOGIN")
    connection.execute("GRANT avatar_ops_audit TO CURRENT_USER")
