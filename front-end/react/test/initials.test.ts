import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { characters, hue, initials } from "../src/initials.js";

// What the API answers, in tests/unit/profiles/test_default_avatar.py
const CASES = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../tests/unit/profiles/initials.json"), "utf8"),
) as [name: string, expected: string][];

describe("initials", () => {
  it.each(CASES)("of %j are %j", (name, expected) => {
    expect(initials(name)).toBe(expected);
  });
});

describe("a colour of one's own", () => {
  it("is the API's", () => {
    // tests/unit/profiles/test_default_avatar.py has the same
    expect(hue("1a654a52-5759-4f0c-8b4a-22d4ca502582")).toBe(186);
    expect(hue("")).toBe(0x811c9dc5 % 360);
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
