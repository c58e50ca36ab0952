"""Alembic's own command line: offline only.

Changing a database goes through ``console.operations.migrations``, which holds the lock, sets the
timeouts and keeps the history; ``alembic upgrade`` alone would do none of that.
"""

from alembic import context
from alembic.util import CommandError

import console.operations.migrations  # noqa: F401  registers op.run_sql

if not context.is_offline_mode():
    raise CommandError(
        "This database is changed with `make migrate` and `make rollback`, which take the"
        " migration lock and keep the history; `alembic upgrade --sql` prints the SQL."
    )
context.configure(dialect_name="postgresql", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
