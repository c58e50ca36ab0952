"""Find Chromium, or install it (`make test` does so first)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

# Chromium's own housekeeping has no business on a test machine's network
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",  # as the avatars have it
)


def executable() -> str | None:
    """Return the path of a Chromium: the system's, or the one that Playwright has downloaded."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        downloaded = playwright.chromium.executable_path
    return downloaded if os.path.exists(downloaded) else None  # noqa: PTH110


def main() -> None:
    """Install one where there is none: by apt where that is possible, else by Playwright."""
    if executable():
        return
    print("Installing Chromium for the browser tests …", flush=True)
    if shutil.which("apt-get") and os.geteuid() == 0:
        steps = [["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "chromium"]]
    else:
        steps = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(
                f"error: {' '.join(step)} failed: {done.stderr.strip()[-300:]}\n"
                "  → Install Chromium by hand, then run the tests again."
            )


if __name__ == "__main__":
    main()
