"""Compare the image engine with sharp and with plain Pillow, on the same pictures.

    python -m tests.bench.images [--quick] [--json FILE] [--plot docs/image-engine.svg]

Each engine runs in a process of its own, one at a time, in turns. sharp is installed by npm into
a folder that git ignores. It measures and reports; it doesn't pass or fail. Linux only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tests.bench.photographs import mosaic, photograph
from tests.unit.resize.pictures import DISPLAY_P3, encoded, exif, rgb_profile

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".local" / "bench"
ENVIRONMENT = os.environ | {
    "PYTHONPATH": f"{ROOT}:{ROOT / 'lambdas'}",
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode"),  # as an installed package has it
}
ENGINES = ("sharp", "engine", "naive")
Image.MAX_IMAGE_PIXELS = None
sys.path.insert(0, str(ROOT / "lambdas"))


# --- pictures ---------------------------------------------------------------------------------


def _inputs() -> dict[str, Callable[[], bytes]]:
    """Return what makes each input, by its name."""
    p3 = rgb_profile(DISPLAY_P3, 2.2)

    def leaves(
        width: int, height: int, kind: str = "JPEG", mode: str = "RGB", **options: Any
    ) -> Any:
        return lambda: encoded(photograph(width, height).convert(mode), kind, **options)

    def tiles(width: int, height: int, **options: Any) -> Any:
        return lambda: encoded(mosaic(width, height), "JPEG", **options)

    def see_through() -> bytes:
        picture = photograph(4000, 3000)
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        return encoded(picture, "PNG")

    return {
        "JPEG 12 MP": leaves(4000, 3000, quality=90),
        "JPEG 12 MP mosaic": tiles(4000, 3000, quality=90),
        "JPEG 12 MP 4:4:4": leaves(4000, 3000, quality=90, subsampling=0),
        "JPEG 12 MP EXIF 6": leaves(4000, 3000, quality=90, exif=exif(6)),
        "JPEG 12 MP Display P3": leaves(4000, 3000, quality=90, icc_profile=p3),
        "JPEG 12 MP progressive": leaves(4000, 3000, quality=90, progressive=True),
        "JPEG 12 MP grey": leaves(4000, 3000, mode="L", quality=90),
        "JPEG 12 MP CMYK": leaves(4000, 3000, mode="CMYK", quality=90),
        "JPEG 24 MP": leaves(6000, 4000, quality=90),
        "JPEG 24 MP mosaic": tiles(6000, 4000, quality=90),
        "JPEG 48 MP": leaves(8000, 6000, quality=90),
        "JPEG 1600 x 1200": leaves(1600, 1200, quality=90),
        "JPEG 1600 x 1200 mosaic": tiles(1600, 1200, quality=90),
        "JPEG 512 x 512": leaves(512, 512, quality=90),
        "PNG 12 MP": leaves(4000, 3000, "PNG"),
        "PNG 12 MP transparent": see_through,
        "WebP 12 MP": leaves(4000, 3000, "WEBP", quality=80, method=2),
        "AVIF 12 MP": leaves(4000, 3000, "AVIF", quality=70, speed=9),
        "GIF 640 x 480": leaves(640, 480, "GIF"),
    }


def made(name: str, make: Callable[[], bytes]) -> Path:
    file = CACHE / "pictures" / name.replace(" ", "-").replace(":", "")
    if not file.exists():
        print(f"making {name} …", file=sys.stderr)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(make())
    return file


def _of_megapixels(megapixels: int) -> Path:
    """Return a 4:3 JPEG of so many megapixels, tiled from one photograph."""

    def make() -> bytes:
        height = math.isqrt(megapixels * 750_000)
        tile = photograph(4000, 3000)
        picture = Image.new("RGB", (height * 4 // 3, height))
        for top in range(0, picture.height, tile.height):
            for left in range(0, picture.width, tile.width):
                picture.paste(tile, (left, top))
        return encoded(picture, "JPEG", quality=90)

    return made(f"growth {megapixels}", make)


# --- engines ----------------------------------------------------------------------------------


def _install_sharp() -> str:
    """Install the newest sharp unless there is one, and return its version."""
    package = CACHE / "node_modules" / "sharp" / "package.json"
    if not package.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(("npm", "install", "--no-audit", "--prefix", CACHE, "sharp"), check=True)
    return str(json.loads(package.read_text())["version"])


class Engine:
    """A process that renders one avatar for each request."""

    def __init__(self, name: str) -> None:
        server = str(Path(__file__).with_name("sharp_server.mjs"))
        python = (sys.executable, "-m", "tests.bench.python_server", name)
        self._process = subprocess.Popen(
            ("node", server, str(CACHE)) if name == "sharp" else python,
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, file: Path, output: Path) -> dict[str, float]:
        """Return ``seconds`` of wall and of ``cpu`` time, and the ``peak`` resident MiB so far."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps({"input": str(file), "output": str(output)}), file=stdin, flush=True)
        answer: dict[str, float] = json.loads(stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def _engines(names: Sequence[str]) -> Iterator[dict[str, Engine]]:
    engines = {name: Engine(name) for name in names}
    try:
        yield engines
    finally:
        for engine in engines.values():
            engine.close()


# --- quality ----------------------------------------------------------------------------------


def psnr(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio of two pictures in dB."""
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def ssim(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the structural similarity of two pictures' luma, in windows of 8 by 8 pixels."""

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        windows: NDArray[np.float64] = total[8:, 8:] - total[:-8, 8:]
        windows -= total[8:, :-8] - total[:-8, :-8]
        return windows / 64

    a, b = (picture @ np.array((0.299, 0.587, 0.114)) for picture in (a, b))
    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    shared = mean(a * b) - mean_a * mean_b
    one, two = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + one) * (2 * shared + two)
    return float(np.mean(similarity / ((mean_a**2 + mean_b**2 + one) * (spread + two))))


def _quality(full: Image.Image, avatar: Path) -> tuple[float, float]:
    """Return PSNR and SSIM against LANCZOS on the full picture, on the avatar's own grid.

    Engines sample a fraction of a pixel apart. So the crop is moved, by steps down to a sixteenth
    of an output pixel, to where the avatar fits best.
    """
    pixels = np.asarray(Image.open(avatar).convert("RGB"), float)
    width, height = full.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2

    def reference(dx: float, dy: float) -> NDArray[np.float64]:
        box = (left + dx, top + dy, left + dx + short, top + dy + short)
        box = (max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height))
        return np.asarray(full.resize((512, 512), Image.Resampling.LANCZOS, box), float)

    at, best = (0.0, 0.0), psnr(reference(0, 0), pixels)
    step = short / 512 / 2
    while step > short / 512 / 20:
        near = [(at[0] + x * step, at[1] + y * step) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        value, place = max((psnr(reference(*place), pixels), place) for place in near)
        if value > best:
            at, best = place, value
        else:
            step /= 2
    return best, ssim(reference(*at), pixels)


def _full(file: Path) -> Image.Image:
    """Decode as the engines show it: upright, in sRGB, on white."""
    from resize.colour import on_white, to_srgb

    picture = Image.open(file)
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("P", "1"):
        upright = upright.convert("RGB")
    return on_white(to_srgb(upright, picture.info.get("icc_profile")))


# --- measurements -----------------------------------------------------------------------------


@dataclass
class Measured:
    """One engine on one input: seconds of each run, MiB, bytes, dB, and similarity."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0.0
    bytes: int = 0
    psnr: float = math.nan
    ssim: float = math.nan

    @property
    def milliseconds(self) -> float:
        """Median of the runs."""
        return statistics.median(self.seconds) * 1000

    def times(self, other: Measured) -> float:
        """Return this time as a multiple of another's."""
        return self.milliseconds / other.milliseconds

    def cpu_times(self, other: Measured) -> float:
        """Return the same for processor time, which a busy machine disturbs less."""
        return statistics.median(self.cpu) / statistics.median(other.cpu)


def compare(file: Path, runs: int, engines: Sequence[str] = ENGINES) -> dict[str, Measured]:
    """Run the engines in turns on one input, after one run each to warm up."""
    results = {name: Measured() for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        outputs = {name: Path(folder, name) for name in engines}
        with _engines(engines) as running:
            for name, engine in running.items():
                results[name].peak = engine(file, outputs[name])["peak"]
            for _ in range(runs):
                for name, engine in running.items():
                    answer = engine(file, outputs[name])
                    results[name].seconds.append(answer["seconds"])
                    results[name].cpu.append(answer["cpu"])
        for name, output in outputs.items():
            results[name].bytes = output.stat().st_size
    return results


def _add_quality(file: Path, results: dict[str, Measured]) -> None:
    full = _full(file)
    with tempfile.TemporaryDirectory() as folder:
        for name, measured in results.items():
            output = Path(folder, name)
            with _engines((name,)) as running:
                running[name](file, output)
            measured.psnr, measured.ssim = _quality(full, output)


def _start_to_first_picture(file: Path, runs: int) -> dict[str, float]:
    """Return the median milliseconds of whole processes that render one avatar."""
    require = f"require('{CACHE}/node_modules/sharp')"
    node = (
        f"const s={require};s.concurrency(1);s(require('fs').readFileSync(process.argv[1]))"
        ".autoOrient().resize(512,512).jpeg({quality:80}).toBuffer()"
    )
    python = (
        "import sys;from resize.image import render_avatar as r;r(open(sys.argv[1],'rb').read())"
    )
    commands = {"sharp": ("node", "-e", node), "engine": (sys.executable, "-c", python)}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run((*command, str(file)), check=True, env=ENVIRONMENT)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) * 1000 for name, values in seconds.items()}


def _variants(file: Path, runs: int) -> dict[str, float]:
    """Return the median milliseconds of sets of variants, made from one decode."""
    from avatar_variants import Variant
    from resize.image import render

    data = file.read_bytes()
    sets = {
        "512 jpg": [Variant(512, "jpg")],
        "512 jpg, 128 webp": [Variant(512, "jpg"), Variant(128, "webp")],
        "512 128 jpg webp": [Variant(s, f) for s in (512, 128) for f in ("jpg", "webp")],
        "512 128 jpg webp avif": [
            Variant(s, f) for s in (512, 128) for f in ("jpg", "webp", "avif")
        ],
    }
    seconds: dict[str, list[float]] = {name: [] for name in sets}
    for _ in range(runs + 1):
        for name, variants in sets.items():
            start = time.perf_counter()
            list(render(data, variants))
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) * 1000 for name, values in seconds.items()}


# --- report -----------------------------------------------------------------------------------


def _row(name: str, results: dict[str, Measured]) -> str:
    sharp = results["sharp"]
    cells = [name, f"{sharp.milliseconds:.1f}"]
    cells += [f"{results[e].times(sharp):.2f}" for e in ENGINES[1:]]
    cells += [f"{results[e].cpu_times(sharp):.2f}" for e in ENGINES[1:]]
    cells += [f"{results[e].peak:.0f}" for e in ENGINES]
    cells += [f"{results[e].bytes / 1000:.1f}" for e in ENGINES]
    cells += [f"{results[e].psnr:.2f}" for e in ENGINES]
    cells += [f"{results[e].ssim:.4f}" for e in ENGINES]
    return "| " + " | ".join(cells) + " |"


def _report(
    table: dict[str, dict[str, Measured]],
    growth: dict[int, dict[str, Measured]],
    start: dict[str, float],
    variants: dict[str, float],
) -> None:
    triple = " sharp | engine | naive |"
    print(
        "\n| input | sharp ms | engine x | naive x | engine cpu x | naive cpu x |"
        f" MiB{triple} kB{triple} dB{triple} SSIM{triple}"
    )
    print("|---|" + "--:|" * 17)
    for name, results in table.items():
        print(_row(name, results))
    for metric in ("psnr", "ssim"):
        means = [
            statistics.mean(getattr(results[e], metric) for results in table.values())
            for e in ENGINES
        ]
        print(
            f"mean {metric}: "
            + ", ".join(f"{e} {m:.4f}" for e, m in zip(ENGINES, means, strict=True))
        )
    print("\n| MP | sharp ms | engine ms | sharp MiB | engine MiB |\n|--:|--:|--:|--:|--:|")
    for megapixels, results in growth.items():
        times = " | ".join(f"{results[e].milliseconds:.0f}" for e in ("sharp", "engine"))
        peaks = " | ".join(f"{results[e].peak:.0f}" for e in ("sharp", "engine"))
        print(f"| {megapixels} | {times} | {peaks} |")
    print("\nfresh process to first picture:", {k: f"{v:.0f} ms" for k, v in start.items()})
    alone = variants["512 jpg"]
    print("one decode:", {k: f"{v:.1f} ms ({v / alone:.2f}x)" for k, v in variants.items()})


def _plot(
    table: dict[str, dict[str, Measured]], growth: dict[int, dict[str, Measured]], file: Path
) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "image-engine"
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(
        1, 3, figsize=(13, 6), width_ratios=(2.2, 1, 1), layout="constrained"
    )
    names = list(table)[::-1]
    for offset, engine, colour in ((0.2, "engine", "#2563eb"), (-0.2, "naive", "#cbd5e1")):
        ratios = [table[name][engine].times(table[name]["sharp"]) for name in names]
        places = [index + offset for index in range(len(names))]
        bars = left.barh(places, ratios, 0.4, color=colour, label=engine)
        left.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3, fontsize=7)
    left.axvline(1, color="#111827", linewidth=1, label="sharp")
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.set_xlabel("time, x sharp (less is faster)")
    left.legend(loc="lower right")
    for axis, attribute, label in (
        (middle, "milliseconds", "ms"),
        (right, "peak", "MiB, fresh process"),
    ):
        for engine, colour in (("sharp", "#111827"), ("engine", "#2563eb")):
            values = [getattr(results[engine], attribute) for results in growth.values()]
            axis.plot(list(growth), values, marker="o", color=colour, label=engine)
        axis.set_xlabel("baseline JPEG, megapixels")
        axis.set_ylabel(label)
        axis.set_ylim(0)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(file, metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few runs, no quality, no growth")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    parser.add_argument("--plot", type=Path, help="draw the plot into this file")
    options = parser.parse_args(arguments)
    runs = 5 if options.quick else 15
    print(f"sharp {_install_sharp()}, Pillow {PIL.__version__}, Python {sys.version.split()[0]}")
    table = {}
    for name, make in _inputs().items():
        file = made(name, make)
        table[name] = compare(file, runs)
        if not options.quick:
            _add_quality(file, table[name])
        print(_row(name, table[name]), file=sys.stderr, flush=True)
    sizes = (1, 12, 48) if options.quick else (1, 2, 4, 8, 12, 24, 36, 48, 72, 100)
    growth = {size: compare(_of_megapixels(size), runs, ENGINES[:2]) for size in sizes}
    photo = made("JPEG 12 MP", _inputs()["JPEG 12 MP"])
    start, variants = _start_to_first_picture(photo, runs), _variants(photo, runs)
    _report(table, growth, start, variants)
    if options.plot:
        _plot(table, growth, options.plot)
    if options.json:
        measured = {
            "inputs": {n: {e: vars(m) for e, m in r.items()} for n, r in table.items()},
            "growth": {n: {e: vars(m) for e, m in r.items()} for n, r in growth.items()},
            "fresh_process_ms": start,
            "variants_ms": variants,
        }
        options.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
