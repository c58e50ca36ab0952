"""Change a live schema without fear: the operations behind ``make migrate`` and the console.

Alembic keeps the revisions, their order and the database's version. Around it stand a lock that
one run holds, timeouts with retries, a history with checksums, previews and rehearsals; see
``docs/migrations.md``.
"""

from console.operations.migrations.adoption import Adoption, adopt, adoption
from console.operations.migrations.drift import Difference, DriftError, drift, require_none
from console.operations.migrations.files import DIRECTORY, create
from console.operations.migrations.history import Entry
from console.operations.migrations.listing import Migration, migrations, runs
from console.operations.migrations.logins import ROLE, login_name, profiles_url, set_password
from console.operations.migrations.preview import Preview, preview
from console.operations.migrations.runner import AdoptionNeededError, Run, migrate, rollback
from console.operations.migrations.scratch import Rehearsed, rehearse
from console.operations.migrations.seed import DEMO_USERS, seed
from console.operations.migrations.session import Executed, Limits

__all__ = [
    "DEMO_USERS",
    "DIRECTORY",
    "ROLE",
    "Adoption",
    "AdoptionNeededError",
    "Difference",
    "DriftError",
    "Entry",
    "Executed",
    "Limits",
    "Migration",
    "Preview",
    "Rehearsed",
    "Run",
    "adopt",
    "adoption",
    "create",
    "drift",
    "login_name",
    "migrate",
    "migrations",
    "preview",
    "profiles_url",
    "rehearse",
    "require_none",
    "rollback",
    "runs",
    "seed",
    "set_password",
]
