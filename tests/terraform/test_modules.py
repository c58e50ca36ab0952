"""The modules' own tests: every branch, planned with a mocked provider."""

from __future__ import annotations

import json
import subprocess

import pytest

from console.operations.environments.terraform import DIRECTORY

FILES = sorted(path.name for path in DIRECTORY.glob("tests/*.tftest.hcl"))
ROOT = "root.tftest.hcl"
"""The whole, with every module in it; each by itself is left to `make test-long`."""


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=() if file == ROOT else pytest.mark.long) for file in FILES],
)
def test_every_branch_of_every_module_plans_as_it_should(
    file: str, terraform: tuple[str, dict[str, str]]
) -> None:
    program, environment = terraform
    done = subprocess.run(
        [program, f"-chdir={DIRECTORY}", "test", "-json", f"-filter=tests/{file}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    problems = [
        f"{line['@message']}: {line.get('diagnostic', {}).get('detail')} {line.get('@testrun', '')}"
        for line in lines
        if line["@level"] == "error"
    ]
    assert done.returncode == 0, "\n".join(problems)
    summary = next(line["test_summary"] for line in lines if line["type"] == "test_summary")
    assert summary["passed"] > 0
    assert not summary.get("skipped")


def test_every_module_has_a_test() -> None:
    tests = "".join(path.read_text() for path in DIRECTORY.glob("tests/*.hcl"))
    for module in sorted(DIRECTORY.glob("modules/*")):
        assert f"modules/{module.name}" in tests or module.name in tests, module.name
