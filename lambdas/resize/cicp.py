"""Colour spaces that a file names by numbers instead of embedding an ICC profile.

What is named becomes an ICC profile of a few hundred bytes, so that all colour goes one way.
HDR has no such profile: it becomes a table from its levels to those of sRGB.

Sources: ITU-T H.273 (the numbers), ICC.1:2022, PNG third edition, ITU-R BT.2100 and BT.2408.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Sequence
from math import exp

Matrix = tuple[tuple[float, ...], ...]

SRGB = 13
"""The transfer function, which unknown ones are taken for."""

PQ, HLG = 16, 18

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
_DCI = (0.314, 0.351)
_E = (1 / 3, 1 / 3)

Chromaticities = tuple[tuple[float, float], ...]
"""x and y of white, red, green and blue."""

_BT709 = (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_BT2020 = (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_PRIMARIES: dict[int, Chromaticities] = {
    4: (_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: (_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: _BT2020,
    10: (_E, (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)),
    11: (_DCI, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: (_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
"""Those that differ from sRGB's; others are taken for it, as browsers do."""

# ICC parametric curves: type, then g, a, b, c, d of (a x + b) ** g above d, c x below
_SRGB_CURVE = (3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 11, 14, 15), (0, 2.4)),  # as screens show BT.709 (BT.1886)
    4: (0, 2.2),
    5: (0, 2.8),
    7: (3, 1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913),
    8: (0, 1.0),
    17: (1, 2.6, (52.37 / 48) ** (1 / 2.6), 0.0),
}


def named_profile(primaries: int, transfer: int, *, is_grey: bool) -> bytes | None:
    """Return the ICC profile of a colour space by its H.273 numbers, or None for sRGB's."""
    curve = _CURVES.get(transfer, _SRGB_CURVE)
    space = _PRIMARIES.get(primaries, _BT709)
    if curve is _SRGB_CURVE and (is_grey or space is _BT709):
        return None
    return _profile(curve, None if is_grey else space)


def gamma_profile(gamma: float, space: Chromaticities | None, *, is_grey: bool) -> bytes | None:
    """Return the ICC profile for a PNG's gAMA and cHRM, or None if they mean sRGB or nothing.

    Parameters
    ----------
    gamma : float
        As in the file: 0.45455 for a picture that was made for a screen.
    space : Chromaticities or None
        Without one, sRGB's are meant.
    """
    curve: tuple[float, ...] = (0, min(1 / gamma, 30_000.0))
    try:
        return _profile(curve, None if is_grey else space or _BT709)
    except (ArithmeticError, struct.error):  # no colour space
        return None


def _profile(curve: Sequence[float], space: Chromaticities | None) -> bytes:
    """Return a matrix profile, or a grey one if there is no space."""
    kind, *parameters = curve
    curve_tag = b"para" + struct.pack(">IHH", 0, int(kind), 0)
    curve_tag += b"".join(struct.pack(">i", round(value * 65536)) for value in parameters)
    tags = {b"wtpt": _xyz_tag((0.9642, 1.0, 0.8249))}
    if space is None:
        tags[b"kTRC"] = curve_tag
    else:
        columns = zip(*_to_d50(space), strict=True)
        for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
            tags[name + b"XYZ"] = _xyz_tag(column)
            tags[name + b"TRC"] = curve_tag
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04300000, b"mntr",
                       b"GRAY" if space is None else b"RGB ", b"XYZ ")  # fmt: skip
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz_tag(xyz: Sequence[float]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(value * 65536) for value in xyz))


def _to_xyz(space: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to XYZ, white having Y 1."""
    (white_x, white_y), *colours = space
    unscaled = tuple(zip(*((x, y, 1 - x - y) for x, y in colours), strict=True))
    white = (white_x / white_y, 1.0, (1 - white_x - white_y) / white_y)
    scales = [sum(a * b for a, b in zip(row, white, strict=True)) for row in _inverse(unscaled)]
    return tuple((row[0] * scales[0], row[1] * scales[1], row[2] * scales[2]) for row in unscaled)


_BRADFORD: Matrix = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)


def _to_d50(space: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to XYZ, adapted to ICC's white."""
    matrix = _to_xyz(space)
    white = [sum(row) for row in matrix]
    seen, wanted = (
        [sum(a * b for a, b in zip(row, xyz, strict=True)) for row in _BRADFORD]
        for xyz in (white, (0.9642, 1.0, 0.8249))
    )
    gains = [want / see for want, see in zip(wanted, seen, strict=True)]
    adapted = tuple(
        (row[0] * gain, row[1] * gain, row[2] * gain)
        for row, gain in zip(_BRADFORD, gains, strict=True)
    )
    return _product(_inverse(_BRADFORD), _product(adapted, matrix))


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(zip(*right, strict=True))
    return tuple(
        tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns)
        for row in left
    )


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * adjugate[0][0] + b * adjugate[1][0] + c * adjugate[2][0]
    return tuple(tuple(value / determinant for value in row) for row in adjugate)


# --- HDR --------------------------------------------------------------------------------------

HDR_NODES = 25
"""Levels of each channel in the table; between them, colours are interpolated."""

_WHITE, _PEAK = 203.0, 1000.0
"""Light of paper white and of the brightest highlight shown, in cd/m² (BT.2408)."""

_TONES = ((0.0, 0.0), (1.0, 0.5), (1.2475, 0.5906), (1.6765, 0.6939), (2.2465, 0.7835),
          (3.0037, 0.8632), (4.0098, 0.9473), (_PEAK / _WHITE, 1.0))  # fmt: skip
"""How much light is shown of how much (as multiples of white), measured on Chromium's canvas:
half of it up to white, so that there is room for the highlights."""


@functools.lru_cache(maxsize=2)
def hdr_table(primaries: int, transfer: int) -> list[float]:
    """Return the colours of sRGB, 0 to 1, for each of `HDR_NODES`³ colours; red varies fastest."""
    to_bt2020 = _product(_inverse(_to_xyz(_BT2020)), _to_xyz(_PRIMARIES.get(primaries, _BT709)))
    to_srgb = _product(_inverse(_to_xyz(_BT709)), _to_xyz(_BT2020))
    decode = _pq if transfer == PQ else _hlg
    levels = [decode(node / (HDR_NODES - 1)) for node in range(HDR_NODES)]
    table: list[float] = []
    for blue in levels:
        for green in levels:
            for red in levels:
                r, g, b = (x * red + y * green + z * blue for x, y, z in to_bt2020)
                if transfer == HLG:  # scene light to that of a screen
                    luminance = max(0.2627 * r + 0.6780 * g + 0.0593 * b, 0.0)
                    gain = luminance**0.2 * _PEAK / _WHITE
                    r, g, b = r * gain, g * gain, b * gain
                brightest = max(r, g, b)
                gain = _shown(brightest) / brightest if brightest > 0 else 0.0
                for x, y, z in to_srgb:
                    table.append(_srgb((x * r + y * g + z * b) * gain))
    return table


def _shown(light: float) -> float:
    for (low, shown_low), (high, shown_high) in itertools.pairwise(_TONES):
        if light < high:
            return shown_low + (shown_high - shown_low) * (light - low) / (high - low)
    return 1.0


def _pq(level: float) -> float:
    """Return the light of a level in BT.2100's PQ, as a multiple of white."""
    root = level ** (1 / 78.84375)
    linear = max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
    return float(linear ** (1 / 0.1593017578125)) * 10_000 / _WHITE


def _hlg(level: float) -> float:
    """Return the light in the scene of a level in BT.2100's HLG, 0 to 1."""
    if level <= 0.5:
        return level * level / 3
    return (exp((level - 0.55991073) / 0.17883277) + 0.28466892) / 12


def _srgb(linear: float) -> float:
    linear = min(max(linear, 0.0), 1.0)
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * float(linear ** (1 / 2.4)) - 0.055
