"""Which variants of an avatar are made: `resize` makes them, the other functions name them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import env_settings

FORMATS: Mapping[str, str] = MappingProxyType(
    {"jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
)
"""Formats by file extension, with their media types."""

SMALLEST, LARGEST = 16, 2048
"""Sides of a variant, in pixels."""

_DEFAULT = "512.jpg,128.webp"


@dataclass(frozen=True)
class Variant:
    """A square picture: its side in pixels, and its format, a key of `FORMATS`."""

    size: int
    format: str

    def __str__(self) -> str:
        return f"{self.size}.{self.format}"


def from_environment() -> tuple[Variant, ...]:
    """Read ``AVATAR_VARIANTS``, such as ``512.jpg,128.webp``, largest first.

    Where it isn't set but ``AVATAR_SIZES`` or ``AVATAR_FORMATS`` are, as before version 0.2, they
    are each size in each format, and 512 and ``jpg`` among them.

    Raises
    ------
    env_settings.SettingsError
        If a variable is wrong; the message names it.
    """
    if is_old():
        sizes = env_settings.integers("AVATAR_SIZES", "512,128", SMALLEST, LARGEST)
        formats = env_settings.choices("AVATAR_FORMATS", "jpg,webp", FORMATS)
        found = {
            Variant(size, name)
            for size in (*sizes, 512)
            for name in (*formats, "jpg")
        }  # fmt: skip
    else:
        items = [item.strip() for item in env_settings.text("AVATAR_VARIANTS", _DEFAULT).split(",")]
        found = {_variant(item) for item in items}
        if len(found) != len(items):
            raise env_settings.SettingsError(
                f"AVATAR_VARIANTS names a variant twice: {','.join(items)}"
            )
    names = list(FORMATS)
    return tuple(sorted(found, key=lambda each: (-each.size, names.index(each.format))))


def is_old() -> bool:
    """Say whether the environment still has the variables of before version 0.2 alone."""
    return not os.environ.get("AVATAR_VARIANTS", "").strip() and any(
        os.environ.get(name, "").strip() for name in ("AVATAR_SIZES", "AVATAR_FORMATS")
    )


def _variant(item: str) -> Variant:
    matched = re.fullmatch(r"([0-9]{1,4})\.([a-z]+)", item)
    if (
        not matched
        or not SMALLEST <= int(matched[1]) <= LARGEST
        or matched[1].startswith("0")
        or matched[2] not in FORMATS
    ):
        raise env_settings.SettingsError(
            f"AVATAR_VARIANTS has {item!r}; each item must be a side from {SMALLEST} to {LARGEST}, "
            f"a dot and one of {', '.join(FORMATS)}, such as 512.jpg"
        )
    return Variant(int(matched[1]), matched[2])
