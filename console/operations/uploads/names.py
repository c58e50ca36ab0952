"""What an original's key says: whose avatar it makes."""

from __future__ import annotations

import base64
from urllib.parse import unquote

from console.operations.errors import OperationError


def name_of(key: str) -> str:
    """Return the name of the avatar that an uploads key makes: the key without its last extension.

    Folders belong to the name, so ``people/ada.png`` is another avatar than ``ada.png``. A folder
    itself makes none: its name is empty. `lambdas/resize/events.py` has the same rule.
    """
    folder, slash, filename = key.rpartition("/")
    stem, dot, _ = filename.rpartition(".")
    base = stem if dot and stem else filename
    return folder + slash + base if base else ""


BANNERS = "banners/"
"""The folder of the keys and names of users' banners; `lambdas/picture_kinds.py` has the same."""


def is_banner(name: str) -> bool:
    """Say whether the key or name is a banner's."""
    return name.startswith(BANNERS)


def of_user(sub: str) -> tuple[str, str]:
    """Return the names of a user's avatar and banner."""
    return sub, BANNERS + sub


def user_of(name: str) -> str:
    """Return whose picture has that key or name, if it is a user's."""
    return name.removeprefix(BANNERS)


def is_reserved(name: str) -> bool:
    """Say whether an avatar may not be called so: the default avatar is ``_default``."""
    return name.startswith("_")


def source_key(encoded: str) -> str:
    """Return the key that an avatar's metadata `source-key` means; long ones are in base64."""
    scheme, colon, rest = encoded.partition(":")  # a colon is percent-encoded in the other form
    if colon and scheme == "base64":
        return base64.b64decode(rest).decode()
    return unquote(encoded)


def check_avatar_name(name: str) -> None:
    """Raise OperationError unless this can be one avatar's name."""
    if not name or name.endswith("/") or is_reserved(name):
        raise OperationError(
            f"{name!r} is not a valid avatar name.",
            "Give the file's key without its extension, as in NAME=data for data.jpg; names that"
            " begin with _ are reserved.",
        )
