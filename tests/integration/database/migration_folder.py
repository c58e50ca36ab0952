"""A folder of migrations that a test writes itself, and what a run left in a database."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from console.operations import migrations
from console.operations.environments.deployment import ROOT

COUNT = len(list((ROOT / "migrations/versions").glob("*.py")))
"""How many the product has."""

FORM = '''"""{slug}."""

from alembic import op

revision = "{revision}"
down_revision = {down_revision!r}
transactional = {transactional}


def upgrade() -> None:
    op.run_sql(r"""
{up}
    """)


def downgrade() -> None:
    op.run_sql(r"""
{down}
    """)
'''


class Folder:
    """Revision files 1, 2, 3 …, each after the one before unless told otherwise."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.last: str | None = None
        shutil.copy(migrations.DIRECTORY / "alembic.ini", directory)
        shutil.copy(migrations.DIRECTORY / "script.py.mako", directory)
        (directory / "versions").mkdir()

    def add(
        self,
        slug: str,
        up: str,
        down: str = "SELECT 1;",
        *,
        transactional: bool = True,
        revision: str | None = None,
        after: str | None = "",
    ) -> Path:
        """Write a file; `after` is its ``down_revision``, the last file's if left out."""
        revision = revision or str(int(self.last or 0) + 1)
        path = self.directory / "versions" / f"{revision}_{slug}.py"
        path.write_text(
            FORM.format(
                slug=slug,
                revision=revision,
                down_revision=self.last if after == "" else after,
                transactional=transactional,
                up=up,
                down=down,
            )
        )
        self.last = revision
        return path


def tables(url: str) -> set[str]:
    """Return the names of the tables in ``public``, the migrations' own left out."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' AND relname NOT IN ('alembic_version', 'migration_history')"
        )
        return {row[0] for row in rows}


def outcomes(url: str) -> list[tuple[str, str, str]]:
    """Return the history as (revision, direction, outcome), oldest first."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT revision, direction, outcome FROM migration_history ORDER BY id"
        ).fetchall()
