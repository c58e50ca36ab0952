"""What Chromium paints of a picture."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser

_PAINT = """async (file) => {
  const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
  const picture = new Image();
  const address = URL.createObjectURL(new Blob([bytes], {type: "image/png"}));
  const loaded = await new Promise((resolve) => {
    picture.onload = () => resolve(true);
    picture.onerror = () => resolve(false);
    picture.src = address;
  });
  URL.revokeObjectURL(address);
  const {naturalWidth: width, naturalHeight: height} = picture;
  if (!loaded || !width || !height) return null;
  await picture.decode().catch(() => {});
  const canvas = new OffscreenCanvas(512, 512);
  const context = canvas.getContext("2d", {willReadFrequently: true, colorSpace: "srgb"});
  context.imageSmoothingQuality = "high";
  const short = Math.min(width, height);
  context.drawImage(
    picture, (width - short) / 2, (height - short) / 2, short, short, 0, 0, 512, 512);
  const {data} = context.getImageData(0, 0, 512, 512);
  const sums = new Float32Array(64 * 64 * 4);
  for (let at = 0; at < data.length; at += 4) {
    const pixel = at >> 2;
    const cell = ((pixel >> 12) * 64 + ((pixel & 511) >> 3)) * 4;
    const alpha = data[at + 3];
    for (let channel = 0; channel < 3; channel++)
      sums[cell + channel] += (data[at + channel] * alpha) / 255;
    sums[cell + 3] += alpha;
  }
  let text = "";
  for (const byte of new Uint8Array(sums.buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}"""


class Painting:
    """The centre square of a picture as 64 by 64 cells' averages.

    Attributes
    ----------
    colour : ndarray
        Levels of 255, multiplied by the opacity; shape (64, 64, 3).
    opacity : ndarray
        0 to 1; shape (64, 64, 1).
    """

    def __init__(self, sums: NDArray[np.float32]) -> None:
        cells = sums.reshape(64, 64, 4).astype(float) / 64
        self.colour = cells[..., :3]
        self.opacity = cells[..., 3:] / 255

    def on(self, ground: float) -> NDArray[np.float64]:
        """Return the averages on a grey of this level."""
        return np.asarray(self.colour + ground * (1 - self.opacity))


def painted(browser: Browser, files: Iterable[bytes]) -> Iterator[Painting | None]:
    """Yield what is painted of each file, or None if Chromium shows it as broken."""
    page = browser.new_page()
    page.goto("about:blank")
    for file in files:
        sums = page.evaluate(_PAINT, base64.b64encode(file).decode())
        if sums is None:
            yield None
            continue
        painting = Painting(np.frombuffer(base64.b64decode(sums), np.float32))
        yield painting if painting.opacity.any() else None
    page.close()
