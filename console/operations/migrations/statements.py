"""SQL text as the statements Postgres sees in it, and ``op.run_sql``, which runs them one by one.

One by one, so that an error, a time and a lock belong to a statement. Alembic's own
``op.execute`` sends the text whole and takes every ``:name`` in it, even in a JSON literal, for a
parameter.
"""

from __future__ import annotations

import re

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection

# Postgres's lexical structure, as far as a semicolon can hide in it. A doubled quote is two
# quoted pieces side by side, which ends at the same place.
_TOKEN = re.compile(
    r"""
      --[^\n]*
    | /\*
    | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'
    | '[^']*'
    | "[^"]*"
    | (?<![\w$])(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag)
    | (?P<word>[^\W\d][\w$]*)
    | [();]
    """,
    re.VERBOSE | re.DOTALL,
)
_CODE = re.compile(r"\S")
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def split(sql: str) -> list[str]:
    """Return the statements of `sql`, in order, without their semicolons and outer space.

    Quotes of every kind, nested comments and ``BEGIN ATOMIC`` bodies are understood. Comments
    before a statement, or with none, are left out.
    """
    statements = []
    start: int | None = None
    position = parentheses = blocks = 0
    words: list[str] = []
    while match := _TOKEN.search(sql, position):
        between = _CODE.search(sql, position, match.start())  # an operator, a number
        if start is None and between:
            start = between.start()
        piece, position = match.group(), match.end()
        if piece == "/*":
            position = _comment_end(sql, position)
            continue
        if piece.startswith("--"):
            continue
        if piece == ";" and not parentheses and not blocks:
            if start is not None:
                statements.append(sql[start : match.start()].rstrip())
            start, words = None, []
            continue
        if start is None:
            start = match.start()
        if piece == "(":
            parentheses += 1
        elif piece == ")":
            parentheses = max(0, parentheses - 1)
        elif match["word"]:
            word = piece.upper()
            if words[:1] == ["CREATE"]:  # only a routine's body is written BEGIN ATOMIC … END
                if word == "ATOMIC" and words[-1] == "BEGIN":
                    blocks = 1
                elif blocks and word == "CASE":
                    blocks += 1
                elif blocks and word == "END":
                    blocks -= 1
            words.append(word)
    if start is None and (rest := _CODE.search(sql, position)):
        start = rest.start()
    if start is not None:
        statements.append(sql[start:].rstrip())
    return statements


def code_only(statement: str) -> str:
    """Return `statement` with its comments and quoted strings blanked, for looking at keywords."""
    return _blanked(statement, strings=True).strip()


def without_comments(text: str) -> str:
    """Return `text` with its comments blanked, dollar-quoted ones within it too; rows stay."""
    return _blanked(text, strings=False)


def _blanked(statement: str, *, strings: bool) -> str:
    parts: list[str] = []
    position = 0
    while match := _TOKEN.search(statement, position):
        parts.append(statement[position : match.start()])
        piece, position = match.group(), match.end()
        if piece == "/*":
            position = _comment_end(statement, position)
            parts.append(" " + "\n" * statement.count("\n", match.start(), position))
        elif piece.startswith("--"):
            parts.append(" ")
        elif match["word"] or piece in "();":
            parts.append(piece)
        elif strings:
            parts.append(" ")
        elif tag := match["tag"]:
            inner = _blanked(piece[len(tag) : -len(tag)], strings=False)
            parts.append(f"{tag}{inner}{tag}")
        else:
            parts.append(piece)
    return "".join([*parts, statement[position:]])


def run_statement(connection: Connection, statement: str) -> None:
    """Send one statement as it stands; no ``%`` or ``:name`` in it is a parameter."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def shorten(statement: str, length: int = 160) -> str:
    """Return `statement` on one line, cut to `length` characters."""
    line = " ".join(statement.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _comment_end(sql: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            return len(sql)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


@Operations.register_operation("run_sql")
class RunSql(MigrateOperation):
    """``op.run_sql(text)``: the statements of `text`, sent to Postgres exactly as written."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    @classmethod
    def run_sql(cls, operations: Operations, sql: str) -> None:
        """Run every statement of `sql`, none of them changed."""
        operations.invoke(cls(sql))


@Operations.implementation_for(RunSql)
def _run_sql(operations: Operations, operation: RunSql) -> None:
    context = operations.migration_context
    for statement in split(operation.sql):
        if context.as_sql:
            context.impl.static_output(f"{statement};\n")
        else:
            run_statement(operations.get_bind(), statement)
