"""Read a tfvars file without Terraform: it holds literals only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError

_TOKEN = re.compile(
    r"""
      (?P<blank>[^\S\n]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    | (?P<heredoc><<-?(?P<mark>\w+)\n(?P<lines>.*?)\n?[^\S\n]*(?P=mark)\b)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_][\w-]*)
    | (?P<mark_of>[={}\[\],:\n])
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None}


def read(path: Path) -> dict[str, Any]:
    """Return the values of a tfvars file by name.

    Raises
    ------
    OperationError
        If it can't be read, naming the line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(f"{path.name} can't be read: {error}.", "Write it again.") from error
    return _Parser(path.name, text).body("")


def declared(path: Path = ROOT / "terraform/variables.tf") -> dict[str, frozenset[str]]:
    """Return the root module's variables, with the attributes of those that are objects."""
    blocks = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', path.read_text(), re.MULTILINE | re.DOTALL
    )
    found = {}
    for name, block in blocks:
        shape = re.search(r"^  type += object\(\{\n(.*?)^  \}\)", block, re.MULTILINE | re.DOTALL)
        attributes = re.findall(r"^ {4}(\w+) +=", shape[1], re.MULTILINE) if shape else []
        found[name] = frozenset(attributes)
    return found


class _Parser:
    """A reader of HCL's literals: texts, numbers, booleans, null, lists and objects."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._tokens = list(self._read(text))
        self._at = 0

    def _read(self, text: str) -> Iterator[tuple[str, Any, int]]:
        place, line = 0, 1
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._error(line)
            kind = match.lastgroup or ""
            if match["heredoc"] is not None:
                yield "value", match["lines"], line
            elif match["string"] is not None:
                yield "string", _unquoted(match["string"]), line
            elif match["number"] is not None:
                yield "value", json.loads(match["number"]), line
            elif kind != "blank":
                yield "word" if match["word"] else match[0], match[0], line
            line += match[0].count("\n")
            place = match.end()
        yield "end", None, line

    def _error(self, line: int) -> OperationError:
        return OperationError(
            f"Line {line} of {self._name} is not a setting.",
            'Write name = value: a "text", a number, true, false, null, [a list], { an = object }.',
        )

    def _next(self, *kinds: str) -> Any:
        kind, value, line = self._tokens[self._at]
        if kinds and kind not in kinds:
            raise self._error(line)
        self._at += 1
        return value

    def _kind(self) -> str:
        return self._tokens[self._at][0]

    def _skip(self, *kinds: str) -> None:
        while self._kind() in kinds:
            self._at += 1

    def body(self, end: str) -> dict[str, Any]:
        """Read settings up to the end of the file, or of an object."""
        found: dict[str, Any] = {}
        self._skip("\n")
        while self._kind() != (end or "end"):
            name = self._next("word", "string", "value")
            self._next("=", *([":"] if end else []))
            self._skip("\n")
            found[str(name)] = self._value()
            if self._kind() not in {end or "end", "\n", *([","] if end else [])}:
                raise self._error(self._tokens[self._at][2])
            self._skip("\n", *([","] if end else []))
        self._next()
        return found

    def _value(self) -> Any:
        kind, value, line = self._tokens[self._at]
        self._at += 1
        match kind:
            case "string" | "value":
                return value
            case "word" if value in _WORDS:
                return _WORDS[value]
            case "{":
                return self.body("}")
            case "[":
                items = []
                self._skip("\n")
                while self._kind() != "]":
                    items.append(self._value())
                    self._skip("\n")
                    if self._kind() != "]":
                        self._next(",")
                        self._skip("\n")
                self._next()
                return items
        raise self._error(line)


def _unquoted(text: str) -> str:
    escaped = re.sub(r"\\U([0-9A-Fa-f]{8})", lambda match: chr(int(match[1], 16)), text[1:-1])
    plain = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
    return re.sub(
        r"\\(u[0-9A-Fa-f]{4}|.)",
        lambda match: chr(int(match[1][1:], 16)) if len(match[1]) > 1 else plain.get(match[1], ""),
        escaped,
    )
