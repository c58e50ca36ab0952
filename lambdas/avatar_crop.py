"""Which part of a picture its user chose: from the request, by way of S3's metadata, to a box.

Positions are whole millionths, so that one crop has one spelling, and one version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

METADATA = "crop"
"""The name in an original's metadata; S3's header is ``x-amz-meta-crop``."""

_WHOLE = 1_000_000
_PART = r"(0(?:\.[0-9]{1,6})?|1(?:\.0{1,6})?)"

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in whole pixels."""


@dataclass(frozen=True)
class Crop:
    """A box in parts of the upright picture, in millionths.

    Attributes
    ----------
    x, y
        The box's left edge in parts of the picture's width, and its top in parts of its height.
    side
        The box's size: 1,000,000 is the largest box of its shape that the picture has room for.
    """

    x: int
    y: int
    side: int

    def __str__(self) -> str:
        parts = (self.x, self.y, self.side)
        return ",".join(f"{part / _WHOLE:.6f}".rstrip("0").rstrip(".") for part in parts)

    @classmethod
    def from_request(cls, value: object) -> Crop:
        """Return what a request's ``[x, y, side]`` means.

        Raises
        ------
        ValueError
            If it is not three numbers from 0 to 1; the message says what is wanted.
        """
        if not isinstance(value, list) or len(value) != 3 or not all(map(_is_part, value)):
            raise ValueError(
                "crop must be [x, y, side], three numbers from 0 to 1: the left edge in parts of"
                " the upright picture's width, the top in parts of its height, and the size in"
                " parts of the largest that fits."
            )
        x, y, side = (round(part * _WHOLE) for part in value)
        if side == 0:
            raise ValueError("crop's third number, the size, must be above 0.")
        return cls(x, y, side)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Crop | None:
        """Return the crop in an original's metadata; None where there is none, or it is none."""
        match = re.fullmatch(",".join([_PART] * 3), metadata.get(METADATA, ""))
        if match is None:
            return None
        x, y, side = (round(float(part) * _WHOLE) for part in match.groups())
        return cls(x, y, side) if side else None

    @classmethod
    def from_version(cls, version: str) -> Crop | None:
        """Return the crop that a version names; None where it names none."""
        match = re.search("-([0-9a-f]{15})$", version)
        if match is None:
            return None
        parts, low = int(match[1], 16), 2**20 - 1
        return cls(parts >> 40, parts >> 20 & low, parts & low)

    @property
    def parts(self) -> list[float]:
        """It, as a request has it."""
        return [part / _WHOLE for part in (self.x, self.y, self.side)]

    @property
    def suffix(self) -> str:
        """What tells this crop's version from the others of the same bytes."""
        return f"-{self.x << 40 | self.y << 20 | self.side:015x}"

    def box(self, width: int, height: int, ratio: int = 1) -> Box:
        """Return its place in an upright picture, moved inside it where it juts out.

        Parameters
        ----------
        ratio
            How many times as wide as high the box is.
        """
        part = self.side / _WHOLE
        across = max(1, round(min(width, height * ratio) * part))
        down = max(1, round(min(width / ratio, height) * part))
        left = min(round(width * self.x / _WHOLE), width - across)
        top = min(round(height * self.y / _WHOLE), height - down)
        return left, top, left + across, top + down


def version_of(etag: str, crop: Crop | None) -> str:
    """Return an upload's version: what its variants are called.

    Parameters
    ----------
    etag
        S3's ETag of the original, with or without quotes.
    """
    return etag.strip('"') + (crop.suffix if crop else "")


def etag_of(version: str) -> str:
    """Return the ETag in an upload's version, which its crops have in common."""
    return re.sub("-[0-9a-f]{15}$", "", version)


def _is_part(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]  # nor True
