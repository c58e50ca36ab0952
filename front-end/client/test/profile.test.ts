import { describe, expect, it } from "vitest";
import { avatarUrl, avatarVariants } from "../src/index.js";

const of = (...names: string[]) => ({
  avatar_url: "default", avatar_variants: Object.fromEntries(names.map((name) => [name, name])),
});

describe("an avatar's address", () => {
  it.each([
    ["the smallest that fills the place", 64, 1, ["512.jpg", "128.webp"], "128.webp"],
    ["for a screen of twice the density", 96, 2, ["512.jpg", "128.webp"], "512.jpg"],
    ["the largest where none fills it", 600, 2, ["512.jpg", "128.webp"], "512.jpg"],
    ["a WebP rather than a JPEG of the same size", 100, 1, ["128.jpg", "128.webp", "128.avif"], "128.webp"],
    ["an AVIF where there is nothing else", 100, 1, ["128.avif"], "128.avif"],
    ["the default without an avatar", 100, 1, [], "default"],
    ["the default where nothing known is made", 100, 1, ["128.jxl", "wide.jpg"], "default"],
  ] as const)("%s", (_name, size, ratio, names, expected) => {
    expect(avatarUrl(of(...names), size, ratio)).toBe(expected);
  });

  it("is one of each size, the smallest first", () => {
    expect(avatarVariants(of("512.jpg", "64.webp", "128.webp", "512.avif")).map(({ url }) => url)).toEqual([
      "64.webp", "128.webp", "512.jpg",
    ]);
  });
});
