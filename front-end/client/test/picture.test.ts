import { describe, expect, it, vi } from "vitest";
import { acceptedTypes } from "../src/index.js";
import { box, isHeic } from "../src/picture.js";

describe("what is cut out", () => {
  it.each([
    ["landscape, its centre", [4000, 3000], [0.125, 0, 1], [500, 0, 3000, 3000]],
    ["portrait, its top", [3000, 4000], [0, 0, 1], [0, 0, 3000, 3000]],
    ["a part", [1000, 500], [0.25, 0.5, 0.4], [250, 250, 200, 200]],
    ["a box that rounding moved out of the picture", [1001, 1001], [0.9, 0.9, 0.11], [891, 891, 110, 110]],
    ["a box that is larger than the picture", [300, 200], [-0.2, 0.5, 4], [0, 0, 200, 200]],
    ["a dot", [300, 200], [0.5, 0.5, 1e-9], [150, 100, 1, 1]],
  ] as const)("%s", (_name, [width, height], crop, expected) => {
    expect(box(width, height, crop)).toEqual(expected);
  });

  it.each([[NaN, 0, 1], [0, 0, 0], [0, Infinity, 1], [0, 0, -1]] as const)("not of [%d, %d, %d]", (...crop) => {
    expect(() => box(10, 10, crop)).toThrow(RangeError);
  });

  it.each([
    ["all of it without a crop", [4000, 3000], [0, 0, 4000, 3000]],
    ["the middle of a panorama", [10_000, 1000], [4000, 0, 2000, 1000]],
    ["the middle of a long screenshot", [1000, 10_001], [0, 4000, 1000, 2000]],
  ] as const)("%s", (_name, [width, height], expected) => {
    expect(box(width, height)).toEqual(expected);
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
