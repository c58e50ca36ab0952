"""Render avatars on request, as sharp_server.mjs does: ``python -m …python_server engine|naive``.

It imports nothing but what it measures, so that its memory is the engine's.
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path


def _naive(data: bytes) -> bytes:
    """Do what most tutorials do."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    file = io.BytesIO()
    ImageOps.fit(picture, (512, 512)).save(file, "JPEG", quality=80)
    return file.getvalue()


def main(engine: str) -> None:
    """Answer one JSON line per request until the input ends."""
    if engine == "naive":
        render = _naive
    else:
        from resize.image import render_avatar as render
    for line in sys.stdin:
        request = json.loads(line)
        data = Path(request["input"]).read_bytes()
        start, used = time.perf_counter(), time.process_time()
        rendered = render(data)
        seconds, cpu = time.perf_counter() - start, time.process_time() - used
        Path(request["output"]).write_bytes(rendered)
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
