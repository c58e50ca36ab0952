"""Strict base64url and JSON: one text for each value, so nothing can be read in two ways."""

from __future__ import annotations

import binascii
import json
from typing import Any, NoReturn

# The characters of the other alphabet, and padding, become one that is in neither.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")


def decode_base64url(text: str) -> bytes:
    """Decode base64url as RFC 7515 writes it: no padding, no other characters, no spare bits.

    Raises
    ------
    ValueError
        If `text` is anything but the one encoding of the bytes it decodes to.
    """
    encoded = text.encode("ascii").translate(_TO_BASE64) + b"=" * (-len(text) % 4)
    decoded = binascii.a2b_base64(encoded)
    # The decoder skips what it doesn't know and ignores spare bits; encoding again shows both.
    if binascii.b2a_base64(decoded, newline=False) != encoded:
        raise ValueError("not base64url in its one canonical form")
    return decoded


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse a UTF-8 JSON object.

    Raises
    ------
    ValueError
        If it isn't one, names a member twice, holds ``NaN`` or ``Infinity``, or nests too deep.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
