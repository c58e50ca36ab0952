"""Which variants of a picture are made: `resize` makes them, the other functions name them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import env_settings
from picture_kinds import AVATAR, BANNER, Kind

FORMATS: Mapping[str, str] = MappingProxyType(
    {"jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
)
"""Formats by file extension, with their media types."""

SMALLEST, LARGEST = 16, 2048
"""Sides of an avatar's variant, in pixels."""
NARROWEST, WIDEST = 48, 3000
"""Widths of a banner's variant, in pixels."""

_DEFAULT = "512.jpg,128.webp"
_BANNER_DEFAULT = "1500x500.jpg,600x200.webp"


@dataclass(frozen=True)
class Variant:
    """A picture of one of the kinds.

    Attributes
    ----------
    size
        Its width, in pixels.
    format
        A key of `FORMATS`.
    ratio
        How many times as wide as high it is.
    """

    size: int
    format: str
    ratio: int = 1

    @property
    def height(self) -> int:
        """In pixels."""
        return self.size // self.ratio

    def __str__(self) -> str:
        side = self.size if self.ratio == 1 else f"{self.size}x{self.height}"
        return f"{side}.{self.format}"


POINTERS: Mapping[Kind, Variant] = MappingProxyType(
    {AVATAR: Variant(512, "jpg"), BANNER: Variant(1500, "jpg", BANNER.ratio)}
)
"""What the stable picture is, whichever variants are made."""


def by_kind() -> dict[Kind, tuple[Variant, ...]]:
    """Read the settings of all kinds' variants, largest first; errors as of `from_environment`."""
    return {AVATAR: from_environment(), BANNER: banners_from_environment()}


def names_by_kind() -> dict[Kind, tuple[str, ...]]:
    """Return what `by_kind` does, by names such as ``512.jpg``."""
    return {kind: tuple(map(str, variants)) for kind, variants in by_kind().items()}


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
        found = _read("AVATAR_VARIANTS", _DEFAULT, _avatar)
    return _largest_first(found)


def banners_from_environment() -> tuple[Variant, ...]:
    """Read ``BANNER_VARIANTS``, such as ``1500x500.jpg,600x200.webp``, largest first.

    Raises
    ------
    env_settings.SettingsError
        If it is wrong; the message names it.
    """
    return _largest_first(_read("BANNER_VARIANTS", _BANNER_DEFAULT, _banner))


def _read(setting: str, default: str, variant: Callable[[str], Variant]) -> set[Variant]:
    items = [item.strip() for item in env_settings.text(setting, default).split(",")]
    found = {variant(item) for item in items}
    if len(found) != len(items):
        raise env_settings.SettingsError(f"{setting} names a variant twice: {','.join(items)}")
    return found


def _largest_first(variants: Collection[Variant]) -> tuple[Variant, ...]:
    names = list(FORMATS)
    return tuple(sorted(variants, key=lambda each: (-each.size, names.index(each.format))))


def is_old() -> bool:
    """Say whether the environment still has the variables of before version 0.2 alone."""
    return not os.environ.get("AVATAR_VARIANTS", "").strip() and any(
        os.environ.get(name, "").strip() for name in ("AVATAR_SIZES", "AVATAR_FORMATS")
    )


def _avatar(item: str) -> Variant:
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


def _banner(item: str) -> Variant:
    matched = re.fullmatch(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})\.([a-z]+)", item)
    if (
        not matched
        or not NARROWEST <= int(matched[1]) <= WIDEST
        or int(matched[1]) != BANNER.ratio * int(matched[2])
        or matched[3] not in FORMATS
    ):
        raise env_settings.SettingsError(
            f"BANNER_VARIANTS has {item!r}; each item must be a width from {NARROWEST} to {WIDEST},"
            f" x, a third of it as height, a dot and one of {', '.join(FORMATS)}, such"
            " as 1500x500.jpg"
        )
    return Variant(int(matched[1]), matched[3], BANNER.ratio)
