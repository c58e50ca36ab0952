"""What stands for a user without a picture; the components hold to the same initials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from profiles import displayed
from profiles.default_avatar import hue, initials

CASES = json.loads(Path(__file__).with_name("initials.json").read_text())


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_initials_are_the_first_characters_of_the_first_and_the_last_word(
    name: str, expected: str
) -> None:
    assert initials(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\u0915\u094d\u0937\u093f\u0924\u093f\u091c", "\u0915"),  # no consonant with a bare virama
        ("\u10d0\u10d3\u10d0", "\u10d0"),  # Georgian capitalises whole words only
        ("\u01c6uro", "\u01c5"),  # one character of two: Dž, not DŽ
    ],
)
def test_initials_are_written_as_their_script_writes_them(name: str, expected: str) -> None:
    assert initials(name) == expected


def test_without_initials_of_the_name_the_handle_has_them() -> None:
    assert initials("", "ada") == "A"
    assert initials("?!", "@ada") == "A"
    assert initials("Grace", "ada") == "G"
    assert initials("", "_-_") == "?"


def test_initials_are_two_characters_at_most_whatever_the_name() -> None:
    for name in ("a b c d", "👩‍👩‍👧" * 30, "x" * 64, "\u1100" * 64, "Z" + "\u0301" * 8 + " y"):
        assert 1 <= displayed.length(initials(name)) <= 2, name


def test_the_hue_is_the_users_own_and_as_the_components_compute_it() -> None:
    # front-end/react/test/initials.test.ts has the same
    assert hue("1a654a52-5759-4f0c-8b4a-22d4ca502582") == 186
    hues = {hue(f"user-{number}") for number in range(2000)}
    assert len(hues) > 350
    assert (min(hues), max(hues)) >= (0, 0)
    assert max(hues) < 360
