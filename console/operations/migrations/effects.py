"""What a migration may not change: the session that all migrations share, and the whole server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from console.operations.migrations.statements import code_only, without_comments


@dataclass(frozen=True)
class Problem:
    """What is wrong with a statement, and what to write instead."""

    what: str
    remedy: str


_SESSION = "changes the session, in which the history and all later migrations are written"
_SERVER = "changes the whole server, with all its databases"

_SET_VALUES = (
    r"search_path|role|session_authorization|session\s+authorization|client_encoding|names"
    r"|standard_conforming_strings|default_transaction_\w+|session_replication_role"
    r"|transaction|session\s+characteristics|schema"
)
# (statement, which begins so, ends with this)
_STATEMENTS: tuple[tuple[str, str, str], ...] = (
    (rf"SET\s+(?:SESSION\s+|LOCAL\s+)?(?:{_SET_VALUES})\b", _SESSION, "schema"),
    (rf"RESET\s+(?:ALL|{_SET_VALUES})\b", _SESSION, "schema"),
    (r"(?:DISCARD|LISTEN|UNLISTEN|PREPARE|DEALLOCATE|LOAD)\b", _SESSION, "out"),
    (
        r"(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP)\b",
        _SERVER,
        "role",
    ),
    (
        r"(?:CREATE|ALTER|DROP)\s+(?:TABLESPACE|DATABASE|SUBSCRIPTION)\b|ALTER\s+SYSTEM\b"
        r"|CHECKPOINT\b|(?:COMMENT|SECURITY\s+LABEL\b.*)\s+ON\s+(?:ROLE|DATABASE|TABLESPACE)\b"
        r"|(?:DROP|REASSIGN)\s+OWNED\b",
        _SERVER,
        "admin",
    ),
    (r"(?:GRANT|REVOKE)\b(?!.*\bON\b)", _SERVER, "role"),
    (r"(?:GRANT|REVOKE)\b.*\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b", _SERVER, "admin"),
    (r"COPY\b.*\bPROGRAM\b", "runs a program on the server", "out"),
)
_CALLS: tuple[tuple[str, str, str], ...] = (
    (r"\bset_config\s*\(", _SESSION, "schema"),
    (r"\bpg_advisory_unlock\w*\s*\(", "may give up the migration lock", "out"),
    (
        r"\b(?:pg_reload_conf|pg_rotate_logfile|pg_terminate_backend|pg_cancel_backend"
        r"|pg_promote|pg_switch_wal|pg_\w*replication_slot\w*|pg_file_\w+|lo_export)\s*\(",
        _SERVER,
        "admin",
    ),
    (r"\bdblink\w*\s*\(", "reaches another database", "out"),
)
_REMEDIES = {
    "schema": "Leave it out, and write the schema into the names (app.users).",
    "out": "Leave it out.",
    "admin": "Leave it out; let whoever runs the server do it, once.",
    "role": "Roles belong to the server: let its administrator make them. A role that grants need"
    " may be made where it is missing, without a login, as 1790000600_grant_profiles.py does.",
}
# Where a statement may begin inside a block of plpgsql, also one that is put together as text.
_BEGIN = r"(?:^|;|\b(?:BEGIN|THEN|ELSE|LOOP)\b|')\s*"
_FLAGS = re.IGNORECASE | re.DOTALL
_DO = re.compile(r"DO\b", re.IGNORECASE)
# A role that only grants need, made where it is missing, hurts nobody.
_GROUP = re.compile(r"CREATE\s+ROLE\s+[\w\"%$]+\s+(?:WITH\s+)?NOLOGIN\s*(?:;|'|$)", _FLAGS)


def outside_effects(statement: str) -> Iterator[tuple[int, Problem]]:
    """Yield what `statement` would change beyond this database's schema and rows.

    Yields
    ------
    tuple
        The row in the statement, from 0, and the problem.
    """
    code = code_only(statement)
    for pattern, what, remedy in _STATEMENTS:
        if match := re.match(pattern, code, _FLAGS):
            yield 0, _problem(match[0], what, remedy)
    in_block = bool(_DO.match(code))
    # Blocks keep their text, in which a statement may be put together; only comments are blank.
    text = without_comments(statement) if in_block else code
    for pattern, what, remedy in _CALLS:
        if match := re.search(pattern, text, _FLAGS):
            yield text.count("\n", 0, match.start()), _problem(match[0].rstrip("( "), what, remedy)
    if not in_block:
        return
    body = re.sub(r"^[^$']*(?:\$\w*\$|')", lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for pattern, what, remedy in _STATEMENTS:
        # up to the statement's end, not the block's
        inner = pattern.replace(".*", r"[^;]*")
        for match in re.finditer(rf"{_BEGIN}(?P<it>{inner})", body, _FLAGS):
            if not _GROUP.match(body, match.start("it")):
                yield body.count("\n", 0, match.start("it")), _problem(match["it"], what, remedy)


def _problem(found: str, what: str, remedy: str) -> Problem:
    return Problem(f"{' '.join(found.split())[:80]} {what}.", _REMEDIES[remedy])
