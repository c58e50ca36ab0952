"""The revision files: their order, their SQL, their checksums, and where a statement stands."""

from __future__ import annotations

import ast
import hashlib
import re
import threading
import time
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.config import Config
from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.script import Script, ScriptDirectory

from console.operations.errors import OperationError
from console.operations.migrations.effects import outside_effects
from console.operations.migrations.statements import code_only, shorten, split

DIRECTORY = Path(__file__).parents[3] / "migrations"
ID_LENGTH = 32  # of alembic_version's column

Direction = Literal["up", "down"]

_PARSING = threading.Lock()
_ENDS_TRANSACTION = re.compile(
    r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b", re.I
)
# Outside a transaction: what is made or dropped must not mind to be there, or gone, already.
_RERUNNABLE = re.compile(r"(?!(?:CREATE|DROP)\b)|.*\bIF\s+(?:NOT\s+)?EXISTS\b", re.I | re.S)


@dataclass(frozen=True)
class Statement:
    """One statement of a revision file, and the line it begins on."""

    sql: str
    line: int


class Revision:
    """One revision file.

    Attributes
    ----------
    id, name
        The epoch it is known by, and ``<epoch>_<slug>``.
    source, checksum
        The file's text with ``\\n`` line ends, and its SHA-256.
    transactional
        Whether it runs in a transaction; False for ``CONCURRENTLY``.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.id: str = script.revision
        self.path = Path(script.path)
        self.name = self.path.stem
        self.source = _read(self.path)
        self.checksum = hashlib.sha256(self.source.encode()).hexdigest()
        self.transactional = bool(getattr(script.module, "transactional", True))

    def step(self, directory: ScriptDirectory, direction: Direction) -> RevisionStep:
        """Return Alembic's step that applies this revision or rolls it back."""
        if direction == "up":
            return MigrationStep.upgrade_from_script(directory.revision_map, self.script)
        return MigrationStep.downgrade_from_script(directory.revision_map, self.script)

    def statements(self, direction: Direction) -> list[Statement]:
        """Return the SQL of one direction, statement by statement; no code of the file is run.

        Raises
        ------
        OperationError
            If there is none, it is not written out, or it can't run the way the file says.
        """
        function = "upgrade" if direction == "up" else "downgrade"
        found: list[Statement] = []
        for text, first_line in self._literals(function):
            position = sum(map(len, self.source.splitlines(keepends=True)[: first_line - 1]))
            for sql in split(text):
                # Not found where an escape stands for something else in the file.
                at = self.source.find(sql, position)
                position = max(at, position)
                line = self.source.count("\n", 0, at) + 1 if at >= 0 else first_line
                found.append(Statement(sql, line))
        self._check(found, function)
        return found

    def _literals(self, function: str) -> Iterator[tuple[str, int]]:
        """Yield each text that a function of the file hands to ``op.run_sql``, and its line."""
        for node in _parse(self.source).body:
            if not isinstance(node, ast.FunctionDef) or node.name != function:
                continue
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant()):
                        pass
                    case ast.Expr(
                        value=ast.Call(
                            func=ast.Attribute(value=ast.Name(id="op"), attr="run_sql"),
                            args=[ast.Constant(value=str(text), lineno=line)],
                            keywords=[],
                        )
                    ):
                        yield text, line
                    case _:
                        raise OperationError(
                            f"{self.name}, line {statement.lineno}: {function}() does something"
                            ' else than op.run_sql("…") with its SQL written out.',
                            "Write plain SQL: what can't be read can't be previewed.",
                        )

    def _check(self, statements: list[Statement], function: str) -> None:
        if not statements:
            raise OperationError(
                f"{self.name}: {function}() holds no SQL.", f"Write it in {self.path}."
            )
        if not self.transactional and len(statements) > 1:
            raise OperationError(
                f"{self.name}: {function}() runs outside a transaction and holds"
                f" {len(statements)} statements; a failure would leave it half done.",
                "Give each statement a migration of its own (`make migration NAME=…`).",
            )
        for statement in statements:
            for row, problem in outside_effects(statement.sql):
                raise OperationError(
                    f"{self.name}, line {statement.line + row}: {problem.what}", problem.remedy
                )
            code = code_only(statement.sql)
            if _ENDS_TRANSACTION.match(code):
                raise OperationError(
                    f"{self.name}, line {statement.line}: {shorten(statement.sql)!r} would end the"
                    " transaction that each migration runs in.",
                    "Leave it out.",
                )
            if not self.transactional and not _RERUNNABLE.match(code):
                raise OperationError(
                    f"{self.name}, line {statement.line}: a run can die between this statement and"
                    " the note that it is done, and would then fail when run again.",
                    "Write `IF NOT EXISTS` or `IF EXISTS` in it.",
                )
            if self.transactional and is_concurrent(statement.sql):
                raise OperationError(
                    f"{self.name}, line {statement.line}: CONCURRENTLY can't run in a transaction.",
                    "Write `transactional = False` in the file, with this one statement.",
                )


class Files:
    """All revision files of a folder, as one line from the first to the head.

    Raises
    ------
    OperationError
        If a file is broken, two have the same revision, or the line branches.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory
        self.config = Config(directory / "alembic.ini")
        try:
            _check_revisions(directory / "versions")
            self.script = ScriptDirectory.from_config(self.config)
            heads = self.script.get_heads()
            walked = list(self.script.walk_revisions())
        except OperationError:
            raise
        except SyntaxError as error:
            raise OperationError(
                f"{Path(error.filename or '').name}, line {error.lineno}: {error.msg}.",
                "Correct the file.",
            ) from error
        except Exception as error:
            raise OperationError(
                f"The files of {directory / 'versions'} can't be read: {_plain(error)}.",
                "Correct the file named here.",
            ) from error
        merges = [script for script in walked if isinstance(script.down_revision, tuple)]
        if len(heads) > 1 or merges:
            ends = [Path(self._get(head).path).name for head in heads]
            raise OperationError(
                f"The migrations branch: {' and '.join(sorted(ends))} follow the same revision."
                if not merges
                else f"{Path(merges[0].path).name} merges branches; migrations are one line.",
                "Set `down_revision` of the newer one to the older one's revision.",
            )
        self.line = [self._load(script) for script in reversed(walked)]
        self.by_id = {revision.id: revision for revision in self.line}

    def find(self, wanted: str) -> Revision | None:
        """Return the revision of an id, a name, a slug or an unmistakable beginning of one.

        ``head`` is the last one; None stands for ``base``, before the first.
        """
        if wanted == "base":
            return None
        if wanted == "head" and self.line:
            return self.line[-1]
        for matches in (
            [r for r in self.line if wanted in (r.id, r.name, r.name.partition("_")[2])],
            [r for r in self.line if r.name.startswith(wanted)],
            [r for r in self.line if r.name.partition("_")[2].startswith(wanted)],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                names = ", ".join(revision.name for revision in matches)
                raise OperationError(f"{wanted!r} could be {names}.", "Give its whole name.")
        raise OperationError(
            f"There is no migration {wanted!r}.", "`make migrations` lists them; or use head, base."
        )

    def position(self, revision: Revision | None) -> int:
        """Return how many revisions lead up to and with `revision`; 0 for ``base``."""
        return 0 if revision is None else self.line.index(revision) + 1

    def _get(self, revision: str) -> Script:
        script = self.script.get_revision(revision)
        assert script is not None  # noqa: S101  it was listed a moment ago
        return script

    def _load(self, script: Script) -> Revision:
        for function in ("upgrade", "downgrade"):
            if not callable(getattr(script.module, function, None)):
                raise OperationError(
                    f"{Path(script.path).name} has no {function}().",
                    "Write it; `make migration NAME=…` shows the form.",
                )
        return Revision(script)


def create(name: str, directory: Path = DIRECTORY) -> Path:
    """Write a new revision file after the last one, named ``<epoch>_<slug>.py``.

    Parameters
    ----------
    name
        What it does, such as ``add_bio_column``: ASCII letters, digits, spaces, ``_`` and ``-``.

    Raises
    ------
    OperationError
        If the name has other characters, or is taken.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,59}", name):
        raise OperationError(
            f"{name!r} is not a valid name for a migration.",
            "Use up to 60 letters, digits and underscores, such as add_bio_column.",
        )
    words = re.findall(r"[a-z0-9]+", name.lower())
    slug = "_".join(words)
    files = Files(directory)
    if any(revision.name.partition("_")[2] == slug for revision in files.line):
        raise OperationError(f"There is already a migration {slug!r}.", "Choose another name.")
    last = max((int(r.id) for r in files.line if r.id.isdecimal()), default=0)
    epoch = max(int(time.time()), last + 1)  # two made within one second keep their order
    files.script.messaging_opts = {"quiet": True}
    script = files.script.generate_revision(str(epoch), " ".join(words).capitalize())
    assert script is not None  # noqa: S101  Alembic answers None only for a sourceless file
    return Path(script.path)


def is_concurrent(statement: str) -> bool:
    """Whether the statement waits for others without standing in anybody's way."""
    code = code_only(statement)
    return bool(
        re.match(r"(?:CREATE|DROP|REINDEX|ALTER\s+TABLE)\b", code, re.I)
        and re.search(r"\bCONCURRENTLY\b", code, re.I)
    )


def _read(path: Path) -> str:
    """Return a file's text, however an editor has encoded it and ended its lines.

    Raises
    ------
    SyntaxError
        If it is not in the encoding that it names, UTF-8 without one.
    """
    with path.open("rb") as file:
        try:
            encoding, _ = tokenize.detect_encoding(file.readline)
        except SyntaxError:
            raise SyntaxError(
                "its encoding is not known; save it as UTF-8", (str(path), 1, None, None)
            ) from None
    try:
        text = path.read_text(encoding)  # any line end is read as "\n"
    except UnicodeDecodeError as error:
        before = path.read_bytes()[: error.start]
        place = (str(path), before.count(b"\n") + 1, None, None)
        raise SyntaxError(f"it is not {encoding}; save it as UTF-8", place) from None
    if "\0" in text:
        raise SyntaxError("it holds NUL; save it as UTF-8", (str(path), 1, None, None))
    return text


def _parse(source: str) -> ast.Module:
    # Python below 3.11.8 fails now and then where threads parse at once (its issue 106905)
    with _PARSING:
        return ast.parse(source)


def _check_revisions(directory: Path) -> None:
    """Check what Alembic only warns of, through warnings that threads can't share.

    Raises
    ------
    OperationError
        If two files have one revision, one follows none that is there, or its id is too long.
    SyntaxError
        If a file is not valid Python.
    """
    found: dict[str, Path] = {}
    follows: list[tuple[Path, str]] = []
    for path in sorted(directory.glob("*.py")):
        try:
            tree = _parse(_read(path))
        except SyntaxError as error:
            error.filename = str(path)
            raise
        values = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            and isinstance(node.value, ast.Constant)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        revision, before = values.get("revision"), values.get("down_revision")
        if not isinstance(revision, str):
            continue  # Alembic says what is missing
        if len(revision) > ID_LENGTH:
            raise OperationError(
                f"{path.name}: the revision {revision!r} has {len(revision)} characters, and"
                f" alembic_version holds {ID_LENGTH}.",
                "Shorten it; a file that follows it names it in `down_revision`.",
            )
        if revision in found:
            raise OperationError(
                f"{found[revision].name} and {path.name} have the same revision {revision!r};"
                " it must be present only once.",
                "Give one of them another `revision`.",
            )
        found[revision] = path
        if isinstance(before, str):
            follows.append((path, before))
    for path, before in follows:
        if before not in found:
            raise OperationError(
                f"{path.name} follows the revision {before!r}, which no file has.",
                "Correct its `down_revision`, or update the checkout.",
            )


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
