import { describe, expect, it } from "vitest";
import { characters, hue, initials } from "../src/initials.js";

describe("initials", () => {
  it.each([
    ["Ada Lovelace", "AL"],
    ["  ada  ", "A"],
    ["Ada King of Lovelace", "AL"],
    ["(Ada) “Countess”", "AC"],
    ["élodie", "É"],
    ["e\u0301lodie", "E\u0301"],
    ["李 小龍", "李小"],
    ["ßeta", "SS"],
    ["👩‍👩‍👧 family", "👩‍👩‍👧F"],
    ["ada 🦄", "A🦄"],
    ["…", "?"],
    ["", "?"],
  ])("of %j are %j", (name, expected) => {
    expect(initials(name)).toBe(expected);
  });
});

describe("a colour of one's own", () => {
  it("stays the same", () => {
    expect(hue("1a654a52-5759-4f0c-8b4a-22d4ca502582")).toBe(hue("1a654a52-5759-4f0c-8b4a-22d4ca502582"));
  });

  it("differs from others'", () => {
    const hues = new Set(Array.from({ length: 200 }, (_, n) => hue(`user-${n}`)));
    expect(hues.size).toBeGreaterThan(120);
    for (const it of hues) expect(it).toBeGreaterThanOrEqual(0);
    expect(Math.max(...hues)).toBeLessThan(360);
  });
});

it("characters are counted as a person does", () => {
  expect(characters("👩‍👩‍👧e\u0301x")).toHaveLength(3);
});
