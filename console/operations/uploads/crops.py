"""What a user's crop makes of an upload's version; `lambdas/avatar_crop.py` has the same rule."""

from __future__ import annotations

import re
from collections.abc import Mapping

from console.operations.errors import OperationError

METADATA = "crop"
_WHOLE = 1_000_000
_PART = r"(0(?:\.[0-9]{1,6})?|1(?:\.0{1,6})?)"
_SUFFIX = re.compile(r"-[0-9a-f]{15}$")


def version_of(etag: str, metadata: Mapping[str, str]) -> str:
    """Return an upload's version.

    Parameters
    ----------
    etag
        S3's ETag of the original, with or without quotes.
    metadata
        The original's; without a crop in them, the version is the ETag.
    """
    match = re.fullmatch(",".join([_PART] * 3), metadata.get(METADATA, ""))
    x, y, side = (round(float(part) * _WHOLE) for part in match.groups()) if match else (0, 0, 0)
    return etag.strip('"') + (f"-{x << 40 | y << 20 | side:015x}" if side else "")


def etag_of(version: str) -> str:
    """Return the ETag in an upload's version."""
    return _SUFFIX.sub("", version)


def suffix_of(version: str) -> str:
    """Return what an upload's version has behind the ETag."""
    return version.removeprefix(etag_of(version))


def parse(text: str) -> list[float]:
    """Return the crop in a command's ``CROP=x,y,side``.

    Raises
    ------
    OperationError
        If it is not three numbers; the API says what else may be wrong.
    """
    try:
        x, y, side = (float(part) for part in text.split(","))
    except ValueError:
        raise OperationError(
            f"{text!r} is not a crop.",
            "Give left edge, top and size in parts of the upright picture: CROP=0.25,0,0.5",
        ) from None
    return [x, y, side]
