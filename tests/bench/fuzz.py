"""Mutate valid pictures and see that only an avatar or an `AvatarRejected` comes out.

    python -m tests.bench.fuzz [--cases 20000] [--first 0] [--mib 512] [--seconds 10]

Every case runs in a child process whose memory is limited; a case that crashes it, hangs, or
raises anything else is reported by its number, and ``--first N --cases 1`` runs it alone.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHUNK = 500
"""Cases per child process."""


@functools.cache
def valid() -> tuple[bytes, ...]:
    """Return small files of every format and kind that the engine accepts."""
    from PIL import Image

    from tests.bench.photographs import photograph
    from tests.unit.resize import corpus
    from tests.unit.resize import pictures as p

    photo = photograph(90, 70)
    alpha = photo.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(photo.size))
    icc = p.rgb_profile(p.DISPLAY_P3, 2.2)
    frames = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    tagged = {"exif": p.exif(6), "icc_profile": icc, "comment": b"hello"}
    empty = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    then = {"save_all": True, "append_images": [alpha, photo.convert("RGBA")]}
    png, avif = p.encoded(photo, "PNG"), p.encoded(photo, "AVIF", speed=10)
    named = p.png_chunk(b"cICP", bytes((9, 16, 0, 1)))
    gamma = p.png_chunk(b"gAMA", struct.pack(">I", 60000)) + p.png_chunk(b"cHRM", corpus.CHRM_P3)
    files = [
        png[:33] + named + png[33:],
        png[:33] + gamma + png[33:],
        png[: len(png) * 8 // 10],
        p.encoded(photo, "JPEG")[:-2],
        p.encoded(photo, "JPEG", progressive=True)[:-300],
        p.encoded(photo.convert("P"), "GIF")[:-300],
        p.encoded(alpha, "PNG", default_image=True, **frames),
        *(p.encoded(empty, kind, **then) for kind in ("PNG", "GIF", "WEBP", "AVIF")),
        corpus.nclx(avif, 9, 18),
        p.encoded(photo, "JPEG", **tagged),
        p.encoded(photo, "JPEG", progressive=True, subsampling=0),
        p.encoded(photo, "JPEG", restart_marker_blocks=3, optimize=True),
        p.encoded(photo.convert("L"), "JPEG", icc_profile=p.grey_profile(1.4)),
        p.encoded(photo.convert("CMYK"), "JPEG", icc_profile=p.cmyk_profile()),
        p.encoded(photo.resize((1700, 1600)), "JPEG", quality=30),
        *(p.encoded(photo.convert(mode), "PNG", **tagged) for mode in ("1", "L", "P", "RGB")),
        p.encoded(alpha, "PNG", **tagged),
        p.encoded(alpha.convert("LA"), "PNG"),
        p.encoded(photo.convert("L").convert("I;16"), "PNG"),
        p.encoded(photo, "PNG", transparency=(1, 2, 3), **frames),
        p.encoded(photo.convert("P"), "GIF", transparency=3, comment=b"hello"),
        p.encoded(photo, "GIF", **frames),
        p.encoded(photo, "WEBP", **tagged),
        p.encoded(alpha, "WEBP", **tagged),
        p.encoded(alpha, "WEBP", lossless=True),
        p.encoded(photo, "WEBP", **frames),
        p.encoded(photo, "AVIF", speed=10, **tagged),
        p.encoded(alpha, "AVIF", speed=10, subsampling="4:4:4"),
        p.encoded(photo, "AVIF", speed=10, **frames),
    ]
    return tuple(files)


EXTREMES = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 254, 255)
SIZES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x3FFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(number: int) -> bytes:
    """Return case ``number``: the same bytes on every machine with the same Pillow."""
    rng = random.Random(number)
    files = valid()
    data = bytearray(rng.choice(files))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 20))):
        # Headers break more than pixels do.
        at = rng.randrange(min(len(data), rng.choice((40, 300, 1 << 30))) or 1)
        match rng.randrange(9):
            case 0:
                data[at : at + 1] = bytes([rng.choice(EXTREMES)])
            case 1:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                data[at : at + 1] = bytes(
                    [(data[at] if at < len(data) else 0) ^ 1 << rng.randrange(8)]
                )
            case 3:
                order = rng.choice("<>")
                data[at : at + 4] = struct.pack(order + "I", rng.choice(SIZES))
            case 4:
                order = rng.choice("<>")
                data[at : at + 2] = struct.pack(order + "H", rng.choice(SIZES) & 0xFFFF)
            case 5:
                del data[at : at + rng.choice((1, 2, 4, 40))]
            case 6:
                length = rng.choice((1, 4, 64, 512))
                data[at:at] = data[at : at + length] * rng.choice((1, 2, 30))
            case 7:
                other = rng.choice(files)
                start = rng.randrange(len(other))
                data[at : at + rng.choice((0, 16, 200))] = other[start : start + rng.randrange(400)]
            case 8:
                del data[at + 1 :]
    if data.startswith(b"\x89PNG") and rng.random() < 0.8:
        _repair_checksums(data)
    return bytes(data)


def _repair_checksums(data: bytearray) -> None:
    """Make a PNG's checksums right, or nothing behind them would be reached."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4


@dataclass
class Result:
    """What came of some cases.

    Attributes
    ----------
    outcomes : Counter
        How often each code of a rejection, or ``avatar``.
    faults : dict
        What went wrong, by case.
    slowest : tuple
        Seconds, and the case that took them.
    peak : float
        Resident MiB of the largest process.
    """

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: dict[int, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, 0)
    peak: float = 0.0


def _run_here(first: int, cases: int, seconds: int, progress: Path) -> Result:
    """Run cases in this process, writing each one's number before it starts."""
    from avatar_variants import Variant
    from resize.image import AvatarRejected, render

    result = Result()
    with progress.open("r+b", buffering=0) as file:
        for number in range(first, first + cases):
            os.pwrite(file.fileno(), b"%012d" % number, 0)
            data = mutated(number)
            formats = ("jpg", "webp") if number % 10 == 0 else ("jpg",)
            signal.alarm(seconds)  # ends the process, whatever C code it is in
            start = time.perf_counter()
            try:
                files = [file for _, file in render(data, [Variant(512, name) for name in formats])]
                result.outcomes["avatar" if all(files) else "nothing"] += 1
            except AvatarRejected as rejection:
                result.outcomes[rejection.code] += 1
            except BaseException as error:
                result.faults[number] = repr(error)
            result.slowest = max(result.slowest, (time.perf_counter() - start, number))
            signal.alarm(0)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's
    result.peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return result


def run(first: int, cases: int, *, mib: int = 512, seconds: int = 10) -> Result:
    """Run cases in child processes that may take ``mib`` of memory on top of what is imported."""
    total = Result()
    end = first + cases
    while first < end:
        count = min(CHUNK, end - first)
        with tempfile.NamedTemporaryFile() as progress:
            progress.write(b"%012d" % first)
            progress.flush()
            worker = [f"--worker={progress.name}", f"--first={first}", f"--cases={count}"]
            worker += [f"--mib={mib}", f"--seconds={seconds}"]
            child = subprocess.run(
                (sys.executable, "-m", "tests.bench.fuzz", *worker),
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'lambdas'}"},
                capture_output=True,
                text=True,
                check=False,
            )
            if child.returncode:
                broken = int(Path(progress.name).read_bytes())
                why = "hangs" if child.returncode == -signal.SIGALRM else "crashes"
                total.faults[broken] = f"{why} ({child.returncode}): {child.stderr[-300:]}"
                first = broken + 1
                continue
        part = json.loads(child.stdout)
        total.outcomes.update(part["outcomes"])
        total.faults |= {int(number): fault for number, fault in part["faults"].items()}
        total.slowest = max(total.slowest, tuple(part["slowest"]))
        total.peak = max(total.peak, part["peak"])
        first += count
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit code is 1 if there was any fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        from resize import image  # noqa: F401 - mapped before the limit is set

        valid()
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = mapped + options.mib * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        part = _run_here(options.first, options.cases, options.seconds, options.worker)
        print(json.dumps(vars(part)))
        return 0
    start = time.monotonic()
    result = run(options.first, options.cases, mib=options.mib, seconds=options.seconds)
    print(f"{options.cases} cases in {time.monotonic() - start:.0f} s")
    for code, count in result.outcomes.most_common():
        print(f"{count:7}  {code}")
    seconds, number = result.slowest
    print(f"slowest {seconds:.2f} s (case {number}), largest process {result.peak:.0f} MiB")
    for number, fault in result.faults.items():
        print(f"case {number}: {fault}")
    print(f"{len(result.faults)} faults")
    return 1 if result.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
