"""Find users whose row says something else than their pictures show, and have it updated.

Lambda tries a message of the topic three times within minutes and then drops it, so a database
that is away for longer leaves rows behind. What the pictures show is the truth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

from sqlalchemy.exc import DBAPIError

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.migrations import session
from console.operations.releases import aliases
from console.operations.uploads import names, outcomes

_PAGE = 1000
_WORKERS = 16
_NAMES_PER_CALL = 50  # well within the function's timeout
_VERSION = re.compile(r"[0-9a-f]{32}(-[0-9]+)?(-[0-9a-f]{15})?")
_PLACEHOLDER = re.compile(r"L[0-9A-Za-z#$%*+,.:;=?@[\]^_{|}~-]{27}")

Shown = tuple[str | None, str | None]
"""A picture's version and its placeholder."""
_Row = tuple[str, Shown]
"""The name of an avatar or banner, and what is recorded of it."""


def refresh(deployment: Deployment, url: str, report: progress.Report, *, dry_run: bool) -> int:
    """Have the profile function look again at each picture that its user's row does not name.

    Parameters
    ----------
    url
        The operators' database URL.

    Returns
    -------
    int
        Of how many pictures the rows were behind.

    Raises
    ------
    OperationError
        If the database can't be read, or the function fails.
    """
    walked = behind = 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        for page in _rows(url):
            shown = pool.map(lambda row: _shown(deployment, row[0]), page)
            stale = [row[0] for row, now in zip(page, shown, strict=True) if row[1] != now]
            if not dry_run:
                for start in range(0, len(stale), _NAMES_PER_CALL):
                    _look_again(deployment, stale[start : start + _NAMES_PER_CALL])
            walked, behind = walked + len(page) // 2, behind + len(stale)
            report(progress.Event("Profiles", "advanced", page[-1][0], done=walked))
    return behind


def _rows(url: str) -> Iterator[list[_Row]]:
    """Yield each user's avatar and banner, a page at a time."""
    after = ""
    with session.connect(url, purpose="reconcile") as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")  # holds no lock between pages
        while True:
            try:
                page = connection.exec_driver_sql(
                    "SELECT DISTINCT cognito_user_id, avatar_version, avatar_placeholder,"
                    " banner_version, banner_placeholder FROM users"
                    " WHERE cognito_user_id > %s ORDER BY cognito_user_id LIMIT %s",
                    (after, _PAGE),
                ).all()
            except DBAPIError as error:
                raise OperationError(
                    f"The users can't be read: {str(error.orig).splitlines()[0]}.",
                    "`make migrations` shows whether the schema is up to date.",
                ) from error
            if not page:
                return
            yield [
                pair
                for row in page
                for pair in zip(
                    names.of_user(row[0]), (tuple(row[1:3]), tuple(row[3:5])), strict=True
                )
            ]
            after = page[-1][0]


def _shown(deployment: Deployment, name: str) -> Shown:
    """Return what the row should say, by the function's own rule."""
    register = outcomes.register(deployment, name)
    metadata = register["Metadata"] if register else {}
    version, placeholder = metadata.get("version", ""), metadata.get("placeholder", "")
    if not _VERSION.fullmatch(version):
        return None, None
    return version, placeholder if _PLACEHOLDER.fullmatch(placeholder) else None


def _look_again(deployment: Deployment, stale: Sequence[str]) -> None:
    """Call the function as the topic does; the webhook was notified of these avatars already."""
    event = {
        "Records": [{"s3": {"object": {"key": quote_plus(f"avatars/{n}.jpg")}}} for n in stale]
    }
    with aws_errors("call the profile function"):
        answer = deployment.functions.invoke(
            FunctionName=deployment.function_names["profiles"],
            Qualifier=aliases.ALIAS,
            Payload=json.dumps({"Records": [{"Sns": {"Message": json.dumps(event)}}]}),
        )
    if answer.get("FunctionError"):
        raise OperationError(
            f"The profile function failed: {answer['Payload'].read().decode()[:300]}",
            "`make logs FUNCTION=profiles` says why; fix it, then run `make reconcile` again.",
        )
