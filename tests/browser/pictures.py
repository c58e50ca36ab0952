"""Compare the avatars with what Chromium paints of the same files.

    python -m tests.browser.pictures --before CHECKOUT

writes the table into docs/image-engine.md; CHECKOUT is another state of this repository.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import FLAGS, executable
from tests.browser.painting import painted
from tests.unit.resize.corpus import Case, averages, cases

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "image-engine.md"
ALIKE = 30.0
"""Least PSNR in dB between two pictures of 64 by 64 averages."""


class Difference(NamedTuple):
    """Files of which we show something else than Chromium, and why."""

    group: str
    names: str
    what: str
    reason: str


DIFFERENCES = (
    Difference(
        "JPEG, without its end",
        r".*, (no|half an) EOI",
        "a JPEG in one scan that lacks nothing but its end marker",
        "all of it is there, and we show it; Chromium leaves the last row of blocks white",
    ),
    Difference(
        "(JPEG|PNG|GIF), without its end",
        r".*(30|50)%.*",
        "less than half of the rows",
        "rejected as `damaged`: more of the avatar would be white than picture",
    ),
    Difference(
        "PNG, without its end",
        "wrong bytes at 90%",
        "pixels that can't be decompressed to their end",
        "we show the rows up to the fault; Chromium drops some more before it",
    ),
    Difference(
        "JPEG, what the standard allows or readers forgive",
        "arithmetic.*",
        "JPEG with arithmetic coding",
        "rejected as `unsupported_format`: no camera or program writes it by itself, and it takes "
        "several times as long, which the limits don't allow for",
    ),
    Difference(
        "JPEG, CMYK",
        "CMYK with a profile",
        "CMYK with an ICC profile",
        "we convert by the profile, which is what the picture's maker saw; Chromium ignores it",
    ),
    Difference(
        "PNG, colour without ICC",
        "gAMA (200000|2147483647)",
        "a gamma of 2 and more",
        "differs in the darkest levels only; no program writes such files",
    ),
    Difference(
        "PNG, checksums and chunks",
        "palette shorter than its indices",
        "PNG that uses colours which its palette doesn't have",
        "no standard says what they are: black with us",
    ),
    Difference(
        "GIF",
        "no palette at all",
        "GIF without any palette",
        "no standard says what its colours are: greys with us, black in Chromium",
    ),
    Difference(
        "WebP, orientation",
        "[2-8]",
        "EXIF orientation in WebP",
        "we turn the picture upright as it says; Chromium doesn't read it there",
    ),
    Difference(
        "AVIF.*",
        "alpha premultiplied",
        "AVIF with premultiplied alpha",
        "we get the colours back that the same picture has with straight alpha; Chromium's are "
        "darker by 3 levels",
    ),
    Difference(
        "Transparent|PNG, colour types and depths",
        r".*white logo|grey, 1 bits, tRNS.*",
        "white on transparency",
        "we put it on dark grey; on Chromium's white canvas nothing would be seen",
    ),
    Difference(
        "Other formats",
        "BMP|ICO",
        "BMP and ICO",
        "rejected as `unsupported_format`: another decoder exposed to anyone's bytes, for files "
        "that no phone makes",
    ),
)


class Outcome(NamedTuple):
    """What came of one file: with Chromium, and with us."""

    case: Case
    is_shown: bool
    is_accepted: bool
    decibels: float

    @property
    def is_alike(self) -> bool:
        """Whether we do what Chromium does, or accept what it can't show."""
        return not self.is_shown or (self.is_accepted and self.decibels >= ALIKE)

    def differences(self) -> list[Difference]:
        """Return the reasons that the list gives for this file."""
        return [
            entry
            for entry in DIFFERENCES
            if re.fullmatch(entry.group, self.case.group)
            and re.fullmatch(entry.names, self.case.name)
        ]


def rendered(files: Iterable[Case]) -> list[NDArray[np.float64] | None]:
    """Return the averages of each file's avatar, or None if it is rejected."""
    from resize.image import AvatarRejected, render_avatar

    made: list[NDArray[np.float64] | None] = []
    for case in files:
        try:
            made.append(averages(render_avatar(case.data)))
        except AvatarRejected:
            made.append(None)
    return made


def rendered_by(checkout: Path, files: Iterable[Case]) -> list[NDArray[np.float64] | None]:
    """Do the same with the engine of another checkout."""
    child = subprocess.run(
        (sys.executable, "-W", "ignore", "-m", __spec__.name, "--render"),
        input="\n".join(base64.b64encode(case.data).decode() for case in files),
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{checkout / 'lambdas'}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [None if cells is None else np.array(cells) for cells in json.loads(child.stdout)]


def compare(
    browser: Browser, files: list[Case], ours: list[NDArray[np.float64] | None]
) -> list[Outcome]:
    """Have Chromium paint each file, and compare."""
    outcomes = []
    paintings = painted(browser, (case.data for case in files))
    for case, painting, avatar in zip(files, paintings, ours, strict=True):
        decibels = 0.0
        if painting and avatar is not None:
            error = float(np.mean((painting.on(255) - avatar) ** 2))
            decibels = float(10 * np.log10(255**2 / max(error, 1e-3)))
        outcomes.append(Outcome(case, painting is not None, avatar is not None, decibels))
    return outcomes


def counted(outcomes: Iterable[Outcome]) -> dict[str, Counter[str]]:
    """Count by group: files, those that Chromium shows, those alike of these, those accepted."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        counter = counts.setdefault(outcome.case.group, Counter())
        counter["files"] += 1
        counter["shown"] += outcome.is_shown
        counter["alike"] += outcome.is_shown and outcome.is_alike
        counter["accepted"] += outcome.is_shown and outcome.is_accepted
    return counts


def row(group: str, now: Counter[str], before: str) -> str:
    """Return a line of the table."""
    return f"| {group} | {now['files']} | {now['shown']} | {before} | {now['alike']} |"


def table(now: Mapping[str, Counter[str]], before: Mapping[str, Counter[str]]) -> str:
    """Return the table, and the list of what differs."""
    lines = [
        "| kind | files | Chromium shows | of these alike before | now |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [row(group, counts, str(before[group]["alike"])) for group, counts in now.items()]
    total = sum(now.values(), Counter())
    lines.append(row("**all**", total, str(sum(before.values(), Counter())["alike"])))
    lines += ["", "What still differs, and why:", ""]
    lines += [f"- **{entry.what}**: {entry.reason}." for entry in DIFFERENCES]
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, default=ROOT)
    parser.add_argument("--render", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.render:
        files = [Case("", "", base64.b64decode(line)) for line in sys.stdin]
        json.dump([None if made is None else made.tolist() for made in rendered(files)], sys.stdout)
        return
    files = list(cases())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[*FLAGS])
        now = compare(browser, files, rendered_by(ROOT, files))
        before = compare(browser, files, rendered_by(options.before, files))
    page = PAGE.read_text(encoding="utf-8")
    start, end = (page.index(mark) for mark in ("<!-- pictures -->", "<!-- /pictures -->"))
    written = table(counted(now), counted(before))
    PAGE.write_text(f"{page[:start]}<!-- pictures -->\n{written}\n{page[end:]}", encoding="utf-8")
    for outcome in now:
        if not outcome.is_alike and len(outcome.differences()) != 1:
            print(f"not explained: {outcome.case.group}, {outcome.case.name}, {outcome[1:]}")


if __name__ == "__main__":
    main()
