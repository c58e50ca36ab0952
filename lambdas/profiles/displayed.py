"""How much of a text a person sees: characters as Unicode's grapheme clusters, and blanks."""

from __future__ import annotations

import unicodedata

# Letters and symbols that draw nothing, whatever their category says: Hangul fillers, Braille
# blank, object replacement, a musical null notehead.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc\U0001d159")
_JOINER = "\u200d"
_MARKS = ("Mn", "Me", "Mc")
# Grapheme_Cluster_Break = Extend or SpacingMark without being marks by category.
_EXTENDING = frozenset("\u200c\uff9e\uff9f\u0e33\u0eb3")

# Embeddings, overrides and isolates, which turn the text around them too.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def length(text: str) -> int:
    """Return how many characters a person counts in `text`; what has no width is none."""
    return len(characters(text))


def characters(text: str) -> list[str]:
    """Return the characters that a person counts in `text`, each with its marks."""
    found: list[str] = []
    flags = 0
    previous = base = ""
    for character in text:
        flag = "\U0001f1e6" <= character <= "\U0001f1ff"
        flags = flags + 1 if flag else 0
        if _extends(character):
            if base:
                found[-1] += character
        elif _no_width(character):
            base = ""  # a mark behind it stands alone
        else:
            joined = previous == _JOINER and _pictorial(base) and _pictorial(character)
            second_of_flag = flag and flags % 2 == 0
            if joined or second_of_flag or _joins_syllable(previous, character):
                found[-1] += character
            else:
                found.append(character)
            base = character
        previous = character
    return found


def is_blank(text: str) -> bool:
    """Whether nothing of `text` can be seen: spaces, fillers, marks without a base, …"""
    return not any(
        not _extends(c)
        and not _no_width(c)
        and not c.isspace()
        and c not in _BLANK
        and unicodedata.category(c) not in ("Co", "Cn", "Zs", "Zl", "Zp")
        for c in text
    )


def turns_text(text: str) -> bool:
    """Whether `text` breaks lines, controls, or turns the direction of what stands beside it."""
    return any(c in _TURNING or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text)


def stacks_marks(text: str, limit: int) -> bool:
    """Whether more than `limit` marks follow one another, so that they run over other text."""
    run = 0
    for character in text:
        run = run + 1 if unicodedata.category(character) in _MARKS else 0
        if run > limit:
            return True
    return False


def _extends(character: str) -> bool:
    return (
        character == _JOINER
        or character in _EXTENDING
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags, as in some flags
        or unicodedata.category(character) in _MARKS
    )


def _no_width(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") or character in "\u115f\u1160"


def _pictorial(character: str) -> bool:
    return character == "\u2194" or (bool(character) and unicodedata.category(character) == "So")


def _joins_syllable(previous: str, character: str) -> bool:
    """Whether a Korean consonant or vowel goes on with the syllable before it."""
    before, now = _syllable(previous), _syllable(character)
    if "\uac00" <= character <= "\ud7a3":  # whole already
        return before == 1
    return 0 < before <= now


def _syllable(character: str) -> int:
    """Return 1 for a leading consonant, 2 for a vowel, 3 for a final one, 0 for anything else."""
    for kind, (first, last) in (
        (1, ("\u1100", "\u115f")),
        (1, ("\ua960", "\ua97c")),
        (2, ("\u1160", "\u11a7")),
        (3, ("\u11a8", "\u11ff")),
        (2, ("\ud7b0", "\ud7c6")),
        (3, ("\ud7cb", "\ud7fb")),
        (2, ("\uac00", "\ud7a3")),
    ):
        if first <= character <= last:
            return kind
    return 0
