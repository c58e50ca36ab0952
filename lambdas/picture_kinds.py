"""The kinds of pictures that a user has, told apart by the folder of their keys and names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of picture.

    Attributes
    ----------
    name
        As requests name it.
    folder
        What stands before the user's ``sub`` in its key.
    ratio
        How many times as wide as high it is.
    """

    name: str
    folder: str
    ratio: int


AVATAR = Kind("avatar", "", 1)
BANNER = Kind("banner", "banners/", 3)
KINDS = (AVATAR, BANNER)
_BY_NAME = {kind.name: kind for kind in KINDS}


def of(name: str) -> Kind:
    """Return the kind of the picture that has this key or name."""
    return BANNER if name.startswith(BANNER.folder) else AVATAR


def from_request(value: object) -> Kind:
    """Return the kind that a request names; an avatar where it names none.

    Raises
    ------
    ValueError
        If there is no such kind; the message says which there are.
    """
    kind = _BY_NAME.get(value) if isinstance(value, str) else None
    if value is not None and kind is None:
        raise ValueError(f"kind must be one of {', '.join(_BY_NAME)}.")
    return kind or AVATAR
