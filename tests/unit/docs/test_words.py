"""One vocabulary: the field's standard terms, so that a newcomer can look a word up."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# What not to write, as a regular expression, and what to write instead.
TERMS = {
    r"mend(?:ed|s|ing)?": "fix, repair",
    r"deeds?": "operation, action",
    r"anew": "again",
    r"works? (?:\w+ ){0,2}off|worked off": "consumes, drains",
    r"dead letters?": "dead-letter messages, dead-letter queue",
    r"(?<!truncated by )(?:the|each|of|these|those|moves?|a|an|all|one|first|every|no) letters?"
    r"(?! (?:case|that (?:is|are) not base64|that decoders))": "message",
    r"(?:take|takes|taken|taking|took) (?:\w+ )?back": "roll back",
    r"(?:a|its|their|the|each with its) way back": "rollback, reversible",
    r"rings|ringing|(?:an|the|this|that|another|next|whose) alarm rang|"
    r"ring(?:s)? the alarm": "is in ALARM, fires",
    r"none dead": "no dead-letter messages",
    r"flowing": "healthy",
    r"(?:be|is|are) well(?= if|[,.?!;:\"']|$)": "is healthy, succeeds",
    r"(?<!there )(?:is|are|be|was) no (?:\w+ )?(?:port|address|key|value|name|avatar's name|"
    r"environment's name|Python|JSON object|JWS|access token|s3 event|text|picture)":
        "is not a valid …, is not a …",
    r"(?:is|are|was|were|be|been|being) told of|tells of|telling of|tell of|"
    r"\bTellOf\w+|hears? of|heard of": "is notified of, publishes",
    r"told in vain": "undelivered",
    r"verdicts?(?![ _-]function|_)": "result, classification",
    r"strangers?(?:')?": "unauthenticated user, anyone else",
    r"let in|lets (?:\w+ )?in": "authorized, admitted",
    r"(?:the|without the|a) gate": "sign-in, authorization",
    r"\bentrance": "sign-in page",
    r"spend_key|this same click": "rotate_key, idempotency key",
    r"nobody foresaw": "unexpected error",
    r"behind this key": "after this key",
    r"gives? way to": "is replaced by",
    r"lies? (?:beside|in a)": "is stored next to, is in",
    r"hangs? on": "depends on",
}  # fmt: skip

# Names in Python, as they are written, and what they would be called elsewhere.
NAMES = {
    r"Happening": "TimelineEvent",
    r"Arrival": "UploadResult",
    r"Retried": "RetryResult",
    r"Handled": "DeadLetterResult",
    r"Standing": "DatabaseStatus",
    r"Choices": "FilterOptions",
    r"Looked": "CachedValue",
    r"put_back": "fix_by_apply",
    r"left_out": "skipped",
    r"explained\(": "aws_errors, show_errors or exit_on_error, as is meant",
}

# Others' words, data, and the page that quotes what is forbidden
SKIPPED = re.compile(
    r"^requirements/|^lambdas/\w+/requirements|\.(?:png|jpg|svg|zip|avif|heic)$|package-lock\.json$|^LICENSE$|\.lock\.hcl$"
    r"|^tests/unit/docs/test_words\.py$"
)


def texts() -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = [name for name in listed.stdout.split("\0") if name and not SKIPPED.search(name)]
    return {name: (ROOT / name).read_text() for name in names if (ROOT / name).is_file()}


def uses(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, words and what to write instead, of each use; also inside ``snake_case``."""
    text = re.sub(
        r"`(?:[^`\s]+::)?test_\w+`", "", text
    )  # a test's name is changed where the test is
    for term, instead in TERMS.items():
        for match in re.finditer(rf"(?<![A-Za-z-])(?:{term})(?![a-z])", text, re.IGNORECASE):
            yield text.count("\n", 0, match.start()) + 1, match[0], instead


def names_used(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and a better one, of each use in Python."""
    for name, instead in NAMES.items():
        for match in re.finditer(rf"(?<!\w)(?:{name})(?!\w)", text):
            yield text.count("\n", 0, match.start()) + 1, match[0], instead


def found(names: dict[str, str]) -> list[str]:
    return [
        f"{name}:{line}: {words!r}: write {instead}"
        for name, text in names.items()
        for line, words, instead in (
            *uses(text),
            *(names_used(text) if name.endswith(".py") else ()),
        )
    ]


def test_every_text_uses_the_standard_terms() -> None:
    read = texts()
    assert {"README.md", "CONTRIBUTING.md", "docs/runbook.md", "terraform/main.tf"} <= read.keys()
    assert {"Makefile", "console/cli.py", "lambdas/resize/store.py", "local/zips.py"} <= read.keys()
    uses_left = found(read)
    assert not uses_left, "\n".join(uses_left)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mend the cause.", "Mend"),
        ("def test_it_mends_profiles", "mends"),
        ("The alarm rings.", "rings"),
        ("Put the letters back.", "the letters"),
        ("'x' is no port", "is no port"),
        ("taken back", "taken back"),
        ("Sid = TellOfUploads", "TellOfUploads"),
        ("Examine anew", "anew"),
    ],
)
def test_private_words_are_found(text: str, words: str) -> None:
    assert [use[1] for use in uses(text)] == [words]


@pytest.mark.parametrize(
    "text",
    [
        "an amendment, strings and settings, indeed",
        "there is no port to open; base64 truncated by a letter",
        "docs/runbook.md#dead-letters, alarm dead-letters, investigate",
        "held by `tests/x.py::test_an_alarm_rings_alone`",
    ],
)
def test_other_words_are_left_alone(text: str) -> None:
    assert not list(uses(text))


if __name__ == "__main__":  # everything, or what is below the folders given
    below = tuple(sys.argv[1:])
    print("\n".join(found({n: t for n, t in texts().items() if not below or n.startswith(below)})))
