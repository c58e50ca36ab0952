from __future__ import annotations

from collections.abc import Sequence

from avatar_variants import Variant
from resize.image import render


def render_variants(
    data: bytes, sizes: Sequence[int], formats: Sequence[str]
) -> dict[tuple[int, str], bytes]:
    """Render every size in every format."""
    variants = [Variant(size, name) for size in sizes for name in formats]
    return {(variant.size, variant.format): file for variant, file in render(data, variants)}
