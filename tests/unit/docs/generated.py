"""Tables in the documentation that are made from the code, so that each fact stands once.

A page holds ``<!-- begin NAME -->`` and ``<!-- end -->``. What is between them is written by
``.venv/bin/python -m tests.unit.docs.generated``, and a test fails while it differs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).parents[3]
TERRAFORM = ROOT / "terraform"
BLOCK = re.compile(r"(<!-- begin ([\w-]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def blocks(module: Path, kind: str) -> dict[str, dict[str, str]]:
    """Return the attributes of each ``variable`` or ``output`` of a module, as written.

    They are read by indentation, which ``terraform fmt`` gives and ``make lint`` demands.
    """
    text = (module / f"{kind}s.tf").read_text()
    found = {}
    for name, body in re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', text, re.M | re.S):
        attributes: dict[str, str] = {}
        key = ""
        for line in body.splitlines():
            if attribute := re.match(r"  (\w+) += (.*)", line):
                key = attribute[1]
                attributes[key] = attribute[2]
            elif re.match(r"  \w", line):
                key = ""  # a nested block, such as a validation
            elif key:
                attributes[key] += "\n" + line.removeprefix("  ")
        found[name] = {key: value.strip() for key, value in attributes.items()}
    return found


def inputs_table(module: Path) -> str:
    rows = [
        (
            f"`{name}`",
            _sentence(variable["description"]),
            _code(variable["type"]),
            _code(variable["default"]) if "default" in variable else "required",
        )
        for name, variable in blocks(module, "variable").items()
    ]
    return _table(("input", "what", "type", "default"), rows)


def outputs_table(module: Path) -> str:
    rows = [
        (f"`{name}`", _sentence(output["description"]))
        for name, output in blocks(module, "output").items()
    ]
    return _table(("output", "what"), rows)


def rejections_table(_page: Path) -> str:
    sys.path.insert(0, str(ROOT / "lambdas"))
    from resize.rejection import REJECTIONS

    rows = [(f"`{code}`", sentence) for code, sentence in REJECTIONS.items()]
    return _table(("code", "sentence"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _sentence(written: str) -> str:
    text = written.strip('"').replace('\\"', '"').replace("|", "\\|")
    return text.replace("<", "\\<")  # GitHub would hide <name> as HTML


def _code(written: str) -> str:
    """Show an expression in one line: GitHub's tables hold no more."""
    line = re.sub(r"\n *", " ", re.sub(r",?\n *(?=[\])}]+)", " ", written))
    line = re.sub(r"([\[(]) ", r"\1", re.sub(r" ([\])])", r"\1", re.sub(r" +", " ", line)))
    line = re.sub(r"(?<=[\w)\]}]) (?=\w+ = )", ", ", line)
    return f"`{line.replace('|', chr(92) + '|')}`"


TABLES: dict[str, Callable[[Path], str]] = {
    "inputs": inputs_table,
    "outputs": outputs_table,
    "rejections": rejections_table,
}


def generated(page: Path) -> str:
    """Return the page's text with its blocks as the code has them now."""
    return BLOCK.sub(lambda block: block[1] + TABLES[block[2]](page.parent), page.read_text())


def pages() -> list[Path]:
    """Return the pages with such blocks."""
    found = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("terraform/**/*.md")]
    return sorted(page for page in found if BLOCK.search(page.read_text()))


if __name__ == "__main__":
    for page in pages():
        page.write_text(generated(page))
