import { beforeEach, describe, expect, it, vi } from "vitest";
import { acceptedTypes, type Crop, preparePicture } from "../src/index.js";
import { isHeic, partsOf, sentBox } from "../src/picture.js";

describe("what is sent", () => {
  it.each([
    ["all of it without a crop", [4000, 3000], undefined, [0, 0, 4000, 3000]],
    ["the middle of a panorama", [10_000, 1000], undefined, [4000, 0, 2000, 1000]],
    ["the middle of a long screenshot", [1000, 10_001], undefined, [0, 4000, 1000, 2000]],
    ["all of it around a large crop", [4000, 3000], [0.2, 0.1, 0.5], [0, 0, 4000, 3000]],
    ["the surroundings of a small crop", [4000, 3000], [0.5, 0.5, 0.1], [1550, 1050, 1200, 1200]],
    ["at an edge no less", [4000, 3000], [1, 1, 0.1], [2800, 1800, 1200, 1200]],
    ["of a panorama what is around the crop", [10_000, 1000], [0.8, 0, 1], [6000, 0, 4000, 1000]],
    ["of a dot", [300, 200], [0.5, 0.5, 1e-9], [148, 98, 4, 4]],
  ] as const)("is %s", (_name, [width, height], crop, expected) => {
    expect(sentBox(width, height, crop)).toEqual(expected);
  });

  it.each([
    ["twice its height without a crop", [3000, 4000], undefined, [0, 1000, 3000, 2000]],
    ["all of a landscape", [3000, 1900], undefined, [0, 0, 3000, 1900]],
    ["the middle of what is wider", [10_000, 1000], undefined, [2000, 0, 6000, 1000]],
    ["four times as high as the crop", [3000, 8000], [0, 0.25, 1], [0, 500, 3000, 4000]],
    ["the surroundings of a small crop", [6000, 4000], [0.5, 0.5, 0.1], [2100, 1700, 2400, 800]],
  ] as const)("of a banner is %s", (_name, [width, height], crop, expected) => {
    expect(sentBox(width, height, crop, 3)).toEqual(expected);
  });

  it.each([1, 3])("has the crop of ratio %d where it was in the picture", (ratio) => {
    for (let seed = 1; seed < 500; seed++) {
      const [width, height] = [1 + ((seed * 7919) % 5000), 1 + ((seed * 104_729) % 3000)];
      const crop: Crop = [((seed * 31) % 100) / 100, ((seed * 57) % 100) / 100, (1 + ((seed * 13) % 99)) / 100];
      const sent = sentBox(width, height, crop, ratio);
      const inSent = partsOf(sent, width, height, crop, ratio);
      const wanted = pixels(width, height, crop, ratio);
      const [left, top, across, down] = pixels(sent[2], sent[3], inSent, ratio);
      const said = `${crop} of ${width} x ${height}`;
      expect([left + sent[0], across], said).toEqual([wanted[0], wanted[2]]);
      // A height is the width's third, rounded; at an edge that moves the top
      expect(Math.abs(top + sent[1] - wanted[1]), said).toBeLessThan(ratio);
      expect(Math.abs(down - wanted[3]), said).toBeLessThan(ratio);
    }
  });
});

/** Left, top, width and height in pixels, as the API's contract has them, of a crop in millionths. */
function pixels(width: number, height: number, crop: Crop, ratio: number): [number, number, number, number] {
  const [x, y, s] = crop.map((part) => Math.round(part * 1e6) / 1e6) as [number, number, number];
  const across = Math.max(1, Math.round(Math.min(width, height * ratio) * s));
  const down = Math.max(1, Math.round(Math.min(width / ratio, height) * s));
  return [Math.min(Math.round(width * x), width - across), Math.min(Math.round(height * y), height - down), across, down];
}

describe("a crop", () => {
  const file = new Blob(["no picture"]);
  beforeEach(() => {
    // happy-dom opens no picture
    vi.stubGlobal("Image", class { naturalWidth = 0; onerror = () => {}; set src(_: string) { queueMicrotask(this.onerror); } });
  });

  it("is sent with a file that the browser can't show", async () => {
    expect(await preparePicture(file, { crop: [0.25, 0, 0.5] })).toEqual({ picture: file, crop: [0.25, 0, 0.5] });
    expect(await preparePicture(file)).toEqual({ picture: file, crop: undefined });
  });

  it("is moved to what the API takes", async () => {
    expect((await preparePicture(file, { crop: [-1e-17, 0.5, 1.0004] })).crop).toEqual([0, 0.5, 1]);
  });

  it.each([[NaN, 0, 1], [0, 0, 0], [0, Infinity, 1], [0, 0, -1]] as const)("is not [%d, %d, %d]", async (...crop) => {
    await expect(preparePicture(file, { crop })).rejects.toThrow(RangeError);
  });
});

describe("a HEIC is known by its bytes", () => {
  const box = (brand: string, others = "") => new Blob(["\0\0\0\x18", "ftyp", brand, "\0\0\0\0", others]);
  it.each(["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"])("of brand %s", async (brand) => {
    expect(await isHeic(box(brand, "mif1heic"))).toBe(true);
  });
  it.each([
    ["an AVIF", box("avif", "mif1miaf")],
    ["an AVIF of brand mif1", box("mif1", "avifmiaf")],
    ["a video", box("isom", "mp42")],
    ["a JPEG", new Blob([new Uint8Array([255, 216, 255, 224])])],
    ["nothing", new Blob([])],
  ])("and %s is none", async (_name, file) => {
    expect(await isHeic(file)).toBe(false);
  });
});

describe("the file dialog", () => {
  it("of Safari hands over a JPEG: HEIC isn't named, and JPEG is the first", () => {
    vi.spyOn(navigator, "vendor", "get").mockReturnValue("Apple Computer, Inc.");
    expect(acceptedTypes()).toMatch(/^image\/jpeg,/);
    expect(acceptedTypes()).not.toMatch(/hei/);
  });

  it("of others lets a HEIC be chosen", () => {
    vi.spyOn(navigator, "vendor", "get").mockReturnValue("Google Inc.");
    expect(acceptedTypes()).toMatch(/^image\/jpeg,.*image\/heic.*\.heic/);
  });
});
