"""What an original's key says: whose avatar it makes."""

from __future__ import annotations

from console.operations.errors import OperationError


def name_of(key: str) -> str:
    """Return the name of the avatar that an uploads key makes: no folder, no extension."""
    filename = key.rpartition("/")[2]
    stem, dot, _ = filename.rpartition(".")
    return stem if dot and stem else filename


def check_avatar_name(name: str) -> None:
    """Raise OperationError unless this can be one avatar's name."""
    if not name or "/" in name or name.startswith("_"):
        raise OperationError(
            f"{name!r} is no avatar's name.",
            "Give a name without folder and extension, as in NAME=data for data.jpg.",
        )
