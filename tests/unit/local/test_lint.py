"""What `make lint` looks at, and what is kept from its eyes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from local import lint

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for folder in ("console", "lambdas", "local", "migrations")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def test_lint_looks_for_secrets_and_known_weaknesses() -> None:
    source = Path(lint.__file__).read_text()
    for tool in ("bandit", "checkov", "detect-secrets-hook", "ruff", "mypy", "lint-imports"):
        assert tool in source, f"make lint no longer runs {tool}"


def test_every_skipped_check_has_its_reason() -> None:
    skips = {
        f"{path.relative_to(ROOT)}: {line.strip()}": reason
        for path in sorted((ROOT / "terraform").rglob("*.tf"))
        for line, reason in re.findall(
            r"^(.*checkov:skip=\w+(.*))$", path.read_text(), re.MULTILINE
        )
    }
    assert len(skips) > 10
    for skip, reason in skips.items():
        assert re.match(r":[A-Z].{14,}", reason), f"say why: {skip}"


def test_no_package_is_installed_without_its_hash() -> None:
    installs = {
        f"{path.relative_to(ROOT)}:{call.lineno}": words(call)
        for path in SOURCES
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and words(call) >= {"pip", "install"}
    }
    assert len(installs) > 4, f"the scan finds only {sorted(installs)}: repair it"
    for place, given in installs.items():
        assert "--require-hashes" in given, f"{place} installs without --require-hashes"


def test_every_requirement_is_pinned_and_hashed() -> None:
    files = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("lambdas/*/requirements.txt")]
    assert len(files) > 6
    for path in files:
        lines = path.read_text().replace("\\\n", " ").splitlines()
        for line in (line.strip() for line in lines):
            if line and not line.startswith("#"):
                assert re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), (
                    f"{path.relative_to(ROOT)}: {line[:60]}"
                )


def words(call: ast.Call) -> set[str]:
    """Return the texts that a call is given, in lists too."""
    return {
        node.value
        for argument in call.args
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
