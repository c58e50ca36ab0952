const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Characters as a person counts them: an emoji of a family is one. */
export function characters(text: string): string[] {
  return Array.from(graphemes.segment(text), ({ segment }) => segment);
}

// Neither an apostrophe within a name, nor Hangul that shows nothing
const BEGINS = /(?![\p{Lm}\u115f\u1160\u3164\uffa0])[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]/u;

/** As the API's `default.initials`, of the first and of the last word that has any; "?" without. */
export function initials(name: string): string {
  const firsts = name
    .split(/\s+/)
    .map((word) => characters(word).find((it) => BEGINS.test(it)))
    .filter((it) => it !== undefined);
  const [first = "?", last] = [firsts[0], firsts.length > 1 ? firsts.at(-1) : undefined];
  return capital(first) + capital(last ?? "");
}

// "ß" has no single capital
function capital(character: string): string {
  const made = character.toUpperCase();
  return characters(made).length > 1 ? character : made;
}

/** The API's `default.hue`: 0 to 359 degrees, the same for the same id (FNV-1a). */
export function hue(id: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % 360;
}
