"""The documentation names everything there is; each failure says what to write where."""

from __future__ import annotations

import ast
import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from authorizer.tokens import Reason
from resize.rejection import REJECTIONS
from tests.unit.docs import generated

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
CONFIGURATION = ROOT / "docs/configuration.md"
CONTRACT = ROOT / "docs/contract.md"
RUNBOOK = ROOT / "docs/runbook.md"
THREATS = ROOT / "docs/threat-model.md"
DIFFERENCES = ROOT / "docs/local-differences.md"
AUDIT = ROOT / "docs/aws-audit.md"


def names_in(page: Path) -> set[str]:
    """Return what stands in code spans: names, and the names before ``=1`` and the like."""
    spans = re.findall(r"`([^`\n]+)`", without_fences(page.read_text()))
    return {name for span in spans for name in (span, span.partition("=")[0])}


def rows_of(page: Path, heading: str) -> dict[str, str]:
    """Return the rest of each table row below a heading by the names in its first cell."""
    (section,) = re.findall(
        rf"^#+ {heading}\n(.*?)(?=^#|\Z)", page.read_text(), re.MULTILINE | re.DOTALL
    )
    rows = re.findall(r"^\| (`.+?) \| (.*) \|$", section, re.MULTILINE)
    return {
        name.partition("=")[0]: rest
        for first, rest in rows
        for name in re.findall(r"`([^`]+)`", first)
    }


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def makefile(pattern: str) -> list[str]:
    return re.findall(pattern, (ROOT / "Makefile").read_text(), re.MULTILINE)


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


# Make


def test_make_help_lists_every_target() -> None:
    targets = {target for line in makefile(r"^\.PHONY: (.+)$") for target in line.split()}
    assert len(targets) > 20
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  ([a-z-]+) ", shown.stdout, re.MULTILINE))
    assert not targets - listed, (
        f"`make help` does not list {sorted(targets - listed)}: put `## what it does` behind them"
    )
    assert not listed - targets, f"add {sorted(listed - targets)} to .PHONY"


def test_every_target_and_no_other_is_documented() -> None:
    targets = set(makefile(r"^([a-z][a-z-]*):.*## "))
    assert len(targets) > 20
    documented = rows_of(CONFIGURATION, "Targets").keys()
    assert documented == targets, (
        f"docs/configuration.md, Targets: add {sorted(targets - documented)}, "
        f"remove {sorted(documented - targets)}"
    )


def test_every_option_of_make_is_documented() -> None:
    (line,) = makefile(r"^OPTIONS := (.+)$")
    options = {*line.split(), *makefile(r"^([A-Z_]+) \?= "), *makefile(r"pytest \$\(([A-Z_]+)\)")}
    assert len(options) > 15
    missing = options - rows_of(CONFIGURATION, "Options").keys()
    assert not missing, f"add a row for {sorted(missing)} to docs/configuration.md, Options"


# Environment variables


def variables_read(tree: ast.Module) -> Iterator[str]:
    """Yield the environment variables that a module reads, as its syntax tree shows them."""
    helpers = dict(functions_reading_a_parameter(tree))
    loops = [
        (node.target.id, node.iter.elts)
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.comprehension)
        and isinstance(node.target, ast.Name)
        and isinstance(node.iter, ast.Tuple)
    ]
    for node in ast.walk(tree):
        keys = [key_read(node)]
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and is_named(node.func.value, "env_settings"):
                keys += node.args[:1]
            if isinstance(node.func, ast.Name) and node.func.id in helpers:
                keys += node.args[helpers[node.func.id] :][:1]
            keys += [word.value for word in node.keywords if word.arg == "envvar"]
        for key in keys:
            looped = [
                items for name, items in loops if isinstance(key, ast.Name) and key.id == name
            ]
            for choice in [key, *itertools.chain(*looped)]:
                if isinstance(choice, ast.Constant) and isinstance(choice.value, str):
                    yield choice.value


def functions_reading_a_parameter(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield functions that read the variable which a parameter names, and its position."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            parameters = [argument.arg for argument in function.args.args]
            for node in ast.walk(function):
                key = key_read(node)
                if isinstance(key, ast.Name) and key.id in parameters:
                    yield function.name, parameters.index(key.id)


def key_read(node: ast.AST) -> ast.expr | None:
    """Return the key of ``os.environ.get(key)``, ``os.environ[key]`` and their like."""
    if isinstance(node, ast.Subscript) and is_environment(node.value):
        return node.slice
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        method, owner = node.func.attr, node.func.value
        if method in {"get", "pop"} and is_environment(owner):
            return node.args[0]
        if method == "getenv" and is_named(owner, "os"):
            return node.args[0]
    return None


def is_environment(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in {"environ", "environment", "_environment"}


def is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def test_the_scan_finds_each_way_of_reading_a_variable() -> None:
    tree = ast.parse(
        """
import os
import env_settings
def port(name, default): return os.environ.get(name) or default
a = os.environ["A_A"], os.getenv("B_B"), port("C_C", 1), env_settings.text("D_D")
for name in ("E_E", "F_F"):
    if os.environ.get(name): pass
option(envvar="G_G")
self._environment.pop("H_H", None)
found = {name: os.environ[name] for name in ("I_I",)}
not_one = somewhere.get("X_X")
"""
    )
    assert {name[0] for name in variables_read(tree)} == set("ABCDEFGHI")


@pytest.mark.parametrize(
    ("folders", "pages", "least"),
    [
        (("local", "console"), (CONFIGURATION,), 15),
        (("lambdas",), (CONTRACT,), 12),
    ],
)
def test_every_environment_variable_is_documented(
    folders: tuple[str, ...], pages: tuple[Path, ...], least: int
) -> None:
    read = {
        name: path
        for path, tree in sources(*folders)
        for name in variables_read(tree)
        if name.isupper()
    }
    assert len(read) >= least, f"the scan finds only {sorted(read)}: repair it"
    documented = {name for page in pages for name in names_in(page)}
    missing = {name: path for name, path in read.items() if name not in documented}
    assert not missing, (
        f"add a row for {missing} to {' or '.join(str(page.relative_to(ROOT)) for page in pages)}"
    )


def test_the_settings_files_are_documented() -> None:
    (tree,) = (
        tree
        for path, tree in sources("console")
        if path.endswith("operations/environments/settings_files.py")
    )
    constants = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    written = {*constants["FRONT_END"], *(name.upper() for name in constants["CONSOLE"])}
    assert len(written) > 15
    missing = written - names_in(CONFIGURATION)
    assert not missing, f"name {sorted(missing)} in docs/configuration.md, .env.<ENV>"


# Terraform


@pytest.mark.parametrize("page", generated.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_as_the_code_has_them(page: Path) -> None:
    assert page.read_text() == generated.generated(page), (
        "run `.venv/bin/python -m tests.unit.docs.generated`"
    )


@pytest.mark.parametrize(
    "module",
    [ROOT / "terraform", *sorted(ROOT.glob("terraform/modules/*"))],
    ids=lambda module: module.name,
)
def test_a_modules_readme_tells_its_inputs_and_outputs(module: Path) -> None:
    readme = module / "README.md"
    assert readme.exists(), f"add {readme.relative_to(ROOT)} with the blocks of another module's"
    made = {kind for _begin, kind in generated.BLOCK.findall(readme.read_text())}
    assert made == {"inputs", "outputs"}
    for kind in ("variable", "output"):
        found = generated.blocks(module, kind)
        written = re.findall(rf"^{kind} ", (module / f"{kind}s.tf").read_text(), re.MULTILINE)
        assert len(found) == len(written) > 0
        undescribed = [name for name, block in found.items() if not block.get("description")]
        assert not undescribed, f"describe {undescribed}"


def test_an_expression_of_several_lines_is_one_line_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text("""\
variable "zone" {
  description = "Zone of <name>, \\"a|b\\"."
  type = map(object({
    id     = string
    region = optional(string, "here")
  }))
  default = {}

  validation {
    condition     = length(var.zone) > 0
    error_message = "Give one."
  }
}
""")
    row = generated.inputs_table(tmp_path).splitlines()[-1]
    assert row == (
        '| `zone` | Zone of \\<name>, "a\\|b". '
        '| `map(object({ id = string, region = optional(string, "here") }))` | `{}` |'
    )


# Contract


def error_codes() -> set[str]:
    """Return the code of each ``SomeError(status, code, message)`` in the functions."""
    codes: set[str] = set()
    for _path, tree in sources("lambdas"):
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for code in codes_raised_in(function):
                if isinstance(code, ast.JoinedStr):
                    codes |= filled_in(code, function, calls)
                else:
                    assert isinstance(code, ast.Constant), ast.unparse(code)
                    codes.add(str(code.value))
    return codes


def codes_raised_in(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and len(node.args) > 2:
            status, code = node.args[:2]
            if isinstance(status, ast.Constant) and status.value in range(400, 600):
                yield code


def filled_in(code: ast.JoinedStr, function: ast.FunctionDef, calls: list[ast.Call]) -> set[str]:
    """Return what becomes of ``f"{field}_invalid"`` with what the function is called with."""
    field, suffix = code.values
    assert isinstance(field, ast.FormattedValue), ast.unparse(code)
    assert isinstance(field.value, ast.Name), ast.unparse(code)
    assert isinstance(suffix, ast.Constant), ast.unparse(code)
    position = [argument.arg for argument in function.args.args].index(field.value.id)
    return {
        f"{ast.literal_eval(call.args[position])!s}{suffix.value!s}"
        for call in calls
        if is_named(call.func, function.name)
    }


def test_every_error_code_is_in_the_contract() -> None:
    codes = error_codes()
    assert {"invalid_request", "too_large", "unsupported_extension"} <= codes
    documented = {
        code
        for cell in re.findall(r"^\| \d{3} \| (.*?) \|", CONTRACT.read_text(), re.MULTILINE)
        for code in re.findall(r"`(\w+)`", cell)
    }
    missing = codes - documented
    assert not missing, f"add status, code and cause of {sorted(missing)} to docs/contract.md"


def test_every_rejection_is_in_the_contract_with_its_sentence() -> None:
    assert len(REJECTIONS) > 5
    text = CONTRACT.read_text()
    for code, sentence in REJECTIONS.items():
        row = f"| `{code}` | {sentence} |"
        assert row in text, f"write in docs/contract.md, Rejections: {row}"


def test_every_refusal_of_a_token_is_in_the_contract() -> None:
    assert len(Reason) > 20
    reasons = {reason.value for reason in Reason}
    documented = rows_of(CONTRACT, "Why a token is refused").keys()
    assert documented == reasons, (
        f"docs/contract.md, Why a token is refused: add {sorted(reasons - documented)}, "
        f"remove {sorted(documented - reasons)}"
    )


# Local differences


def test_the_documented_drift_is_what_the_test_of_a_second_plan_tolerates() -> None:
    (block,) = re.findall(r"^```json drift\n(.*?)^```$", DIFFERENCES.read_text(), re.M | re.S)
    documented = {kind: set(names) for kind, names in json.loads(block).items()}
    assert documented
    configuration = "".join(path.read_text() for path in (ROOT / "terraform").rglob("*.tf"))
    for kind in documented:
        assert f'resource "{kind}"' in configuration, f"there is no {kind}: remove its drift"
    source = (ROOT / "tests/integration/test_infrastructure.py").read_text()
    literal = re.search(r"^KNOWN_DRIFT = (\{.*?^\})", source, re.M | re.S)
    if literal:
        tolerated = ast.literal_eval(literal[1])
        assert tolerated == documented, "docs/local-differences.md, Drift: make it the same"
    else:
        assert "local-differences.md" in source, "the test must read the list of the documentation"


# Runbook


def test_every_alarm_and_nothing_else_has_its_section_in_the_runbook() -> None:
    text = "".join(path.read_text() for path in (ROOT / "terraform/modules").rglob("*.tf"))
    alarms = {
        *re.findall(r'alarm_name += "\$\{var\.name\}-([\w-]+)"', text),
        *(f"function-{name}" for name in re.findall(r'"\$\{key\}-(\w+)" =>', text)),
    }
    assert len(alarms) > 7
    runbook = RUNBOOK.read_text()
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL))
    assert sections.keys() == alarms, (
        f"docs/runbook.md: add a section for {sorted(alarms - sections.keys())}, "
        f"remove {sorted(sections.keys() - alarms)}"
    )
    for name, section in sections.items():
        for part in ("**Fires** when", "**Means.**", "**Look.**", "**Do.**"):
            assert part in section.replace("with the first", "when"), f"{name} has no {part}"
        assert text.count(f"See docs/runbook.md#{name}.") == 1, (
            f"let the description of {name} end with: See docs/runbook.md#{name}."
        )
        assert f"](#{name})" in runbook, f"link {name} at the top of docs/runbook.md"


def test_the_runbook_knows_every_function_and_no_page_that_is_not_there() -> None:
    runbook = RUNBOOK.read_text()
    for function in sorted(path.parent.name for path in ROOT.glob("lambdas/*/handler.py")):
        assert runbook.count(f"*{function}*") >= 3, f"docs/runbook.md: what if it is {function}?"
    addresses = re.findall(r"`(/[a-z-]*)(?:\?[^`]*)?`", without_fences(runbook))
    assert len(addresses) > 4
    for address in addresses:
        page = address[1:].replace("-", "_") or "overview"
        assert (ROOT / f"console/pages/{page}.py").exists(), f"the console has no {address}"


def test_the_runbook_has_no_command_that_the_tests_do_not_run() -> None:
    runbook = RUNBOOK.read_text()
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", runbook, re.MULTILINE | re.DOTALL)
    assert {language for language, _block in blocks} == {"sh"}
    run = {line.strip() for _language, block in blocks for line in block.splitlines()}
    beside = re.findall(
        r"`(make [^`]+)`", re.sub(r"^ *```.*?^ *```$", "", runbook, flags=re.M | re.S)
    )
    assert not set(beside) - run, "tests/integration/test_alarms_runbook.py runs what is in fences"


# Threats


def test_every_test_that_holds_a_threat_exists() -> None:
    page = without_fences(THREATS.read_text())
    threats = re.findall(r"^\| (?!threat |boundary |-)[^|]+\|[^|]+\|([^|]+)\|$", page, re.MULTILINE)
    held = [re.findall(r"`([^`]+)::(\w+)`", cell) for cell in threats]
    assert sum(bool(tests) for tests in held) > 25
    for file, name in itertools.chain(*held):
        assert_test_exists(THREATS, file, name)


def assert_test_exists(page: Path, file: str, name: str) -> None:
    path = ROOT / file
    assert path.exists(), f"{page.name} names {file}, which is not there"
    written = rf'^run "{name}"' if path.suffix == ".hcl" else rf"^ *def {name}\("
    assert re.search(written, path.read_text(), re.MULTILINE), f"{file} has no {name}"


def test_every_threat_is_held_by_a_test() -> None:
    page = THREATS.read_text()
    section = page[page.index("\n## Threats") : page.index("\n## Accepted")]
    rows = [
        row for row in section.splitlines() if row.startswith("| ") and "| held by |" not in row
    ]
    assert len(rows) > 25
    for row in rows:
        assert "::" in row.rpartition(" | ")[2], f"no test holds: {row}"


# Audit


def test_every_finding_of_the_audit_is_held_by_a_test_or_says_what_is_missing() -> None:
    found = re.findall(
        r"^\| (\d+) \| [^|]+ \| (fixed|in part|open) \| ([^|]*)\|([^|]*)\|$",
        AUDIT.read_text(),
        re.MULTILINE,
    )
    assert [int(number) for number, *_ in found] == list(range(1, 34))
    for number, state, how, tests in found:
        named = re.findall(r"`([^`]+)::(\w+)`", tests)
        assert named if state == "fixed" else how.strip(), f"finding {number}"
        for file, name in named:
            assert_test_exists(AUDIT, file, name)


# Links


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", without_fences(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_leads_somewhere() -> None:
    checked = 0
    for page in pages():
        text = without_fences(page.read_text())
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = unquote(target).partition("#")
            linked = (page.parent / file) if file else page
            where = f"{page.relative_to(ROOT)} links to {target}"
            assert linked.exists(), f"{where}, which is not there"
            if anchor:
                assert anchor in anchors(linked), f"{where}: no heading there has that anchor"
            checked += 1
    assert checked > 15


def test_decisions_are_numbered_once_and_in_their_form() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert len(decisions) > 8
    numbers = [path.name[:4] for path in decisions]
    assert len(set(numbers)) == len(numbers), f"two decisions share a number: {numbers}"
    for path in decisions:
        text = path.read_text()
        parts = ("**Context.**", "**Options.**", "**Decision.**", "**Consequence.**")
        places = [text.find(f"\n{part}") for part in parts]
        assert -1 not in places, f"{path.name} has no {parts[places.index(-1)]}"
        assert places == sorted(places), f"{path.name}: the order is {', '.join(parts)}"
        assert text.startswith(f"# {path.name[:4]} "), f"{path.name}: begin with its number"


@pytest.mark.skipif(not README.exists(), reason="there is no README.md yet")
def test_every_path_in_the_readmes_tree_exists() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (tree,) = (block for block in blocks if re.search(r"^\W*terraform/", block, re.MULTILINE))
    parents: list[tuple[int, Path]] = [(-1, ROOT)]
    checked = 0
    for line in tree.splitlines():
        entry = re.match(r"([\s│├└─]*)(\S+)(.*)", line)
        if not entry:
            continue
        indent, path, rest = len(entry[1]), entry[2], entry[3]
        while parents[-1][0] >= indent:
            parents.pop()
        place = parents[-1][1] / path
        assert place.exists(), f"README.md's tree names {path}, which is not there"
        # What a folder holds is named behind it: "lambdas/   authorizer/ presign/ …"
        for inner in re.findall(r"(?<![\w/])([\w.-]+/)(?=[\s,;.]|$)", rest):
            assert (place / inner).exists() or (ROOT / inner).exists(), (
                f"README.md's tree names {inner} in {path}, which is not there"
            )
            checked += 1
        parents.append((indent, place))
        checked += 1
    assert checked > 6
