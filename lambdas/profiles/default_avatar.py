"""What stands for a user without a picture: initials on a colour of their own."""

from __future__ import annotations

import unicodedata

from profiles import displayed

_JOINERS = "\u200c\u200d"
_VIRAMA = 9  # its combining class


def initials(*names: str) -> str:
    """Return the initials of the first of `names` that has any; "?" if none has.

    They are the first characters, as a person counts them, of the first and of the last word that
    is alphabetic, a digit or a symbol such as an emoji; capital where there is a single capital.
    """
    for name in names:
        firsts = [initial for word in name.split() if (initial := _initial(word))]
        if firsts:
            return "".join(firsts if len(firsts) == 1 else (firsts[0], firsts[-1]))
    return "?"


def hue(sub: str) -> int:
    """Return an angle of 0 to 359 degrees, always the same for this user.

    FNV-1a of 32 bits, which a page computes while it draws (front-end/react/src/initials.ts).
    """
    hashed = 0x811C9DC5
    for byte in sub.encode():
        hashed = (hashed ^ byte) * 0x01000193 & 0xFFFFFFFF
    return hashed % 360


def _initial(word: str) -> str:
    for character in displayed.characters(word):
        category = unicodedata.category(character[0])
        # a modifier letter, as the apostrophe of some names, is none to begin with
        begins = (category[0] in "LN" and category != "Lm") or category == "So"
        if begins and not displayed.is_blank(character):
            return _capital(character)
    return ""


def _capital(character: str) -> str:
    # a consonant alone, without the sign that joins it to the next
    while character[-1] in _JOINERS or unicodedata.combining(character[-1]) == _VIRAMA:
        character = character[:-1]
    # title case: Georgian's capitals are for whole words, and many fonts lack them
    capital = character.title()
    return capital if displayed.length(capital) == 1 else character
