"""The page on least privilege shows the tests' tables; they name Terraform's statements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.test_forbidden import ATTEMPTS
from tests.integration.test_least_privilege import PLANNED, PROOFS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/least-privilege.md"
TERRAFORM = ROOT / "terraform"

TABLES = {
    "What each grant is for": [
        f"| `{name}` | {proof.fails} | {proof.how} |" for name, proof in PROOFS.items()
    ],
    "Grants that only AWS has": [
        f"| `{name}` | {proof.fails} | `{proof.file}.tftest.hcl`, `{proof.run}` |"
        for name, proof in PLANNED.items()
    ],
    "What no function may do": [
        f"| {what} | `{tried.action}` | {', '.join(sorted(tried.may)) or 'nobody'} |"
        for what, tried in ATTEMPTS.items()
    ],
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_shows_the_tests_table(heading: str) -> None:
    (section,) = re.findall(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    _head, _rule, *rows = re.findall(r"^\|.*\|$", section, re.MULTILINE)
    assert rows == TABLES[heading], "write in docs/least-privilege.md:\n" + "\n".join(
        TABLES[heading]
    )


def test_every_statement_of_terraform_has_a_proof() -> None:
    text = "\n".join(path.read_text() for path in sorted(TERRAFORM.rglob("*.tf")))
    written = {
        *re.findall(r'\bSid\s+= "(\w+)"', text),
        *re.findall(r'\bstatement_id\s+= "(\w+)', text),
        *re.findall(r"(\w+)\s+= \{\n\s+(?:actions|service)\s+= ", text),
    }
    assert len(written) > 15
    proved = {name.partition("/")[2].partition(" ")[0] for name in (*PROOFS, *PLANNED)}
    route = "CallForRoute"  # and the route, which Terraform adds
    assert {sid.partition(route)[1] or sid for sid in proved} == written


@pytest.mark.parametrize("name", PLANNED)
def test_the_named_run_of_terraform_asserts_the_grant(name: str) -> None:
    sid, action = name.partition("/")[2].split()
    text = (TERRAFORM / f"tests/{PLANNED[name].file}.tftest.hcl").read_text()
    (run,) = re.findall(
        rf'^run "{PLANNED[name].run}" \{{\n(.*?)^\}}', text, re.MULTILINE | re.DOTALL
    )
    assert sid in run
    assert f'"{action}"' in run
