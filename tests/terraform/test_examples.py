"""The examples: each one's settings plan with the root module, each one's module by itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from console.operations.environments.terraform import DIRECTORY

EXAMPLES = sorted(path.parent.name for path in DIRECTORY.glob("examples/*/settings.tfvars"))
WITH_A_MODULE = [name for name in EXAMPLES if (DIRECTORY / "examples" / name / "main.tf").exists()]


def run(
    terraform: tuple[str, dict[str, str]], directory: Path, *arguments: str
) -> Sequence[dict[str, object]]:
    """Run a command of Terraform; return what it says in JSON, or fail with its errors."""
    program, environment = terraform
    done = subprocess.run(
        [program, f"-chdir={directory}", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def passed(lines: Sequence[dict[str, object]]) -> int:
    (summary,) = (line["test_summary"] for line in lines if line.get("type") == "test_summary")
    assert isinstance(summary, dict)
    assert not summary.get("skipped")
    return int(summary["passed"])


def test_every_usual_case_has_an_example_with_a_readme() -> None:
    assert EXAMPLES == ["existing-user-pool", "minimal", "own-domain", "private-database"]
    overview = (DIRECTORY / "examples/README.md").read_text()
    for name in EXAMPLES:
        assert f"]({name}/README.md)" in overview
        assert "settings.tfvars" in (DIRECTORY / "examples" / name / "README.md").read_text()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_settings_plan(name: str, terraform: tuple[str, dict[str, str]]) -> None:
    lines = run(
        terraform, DIRECTORY, "test", "-json", "-test-directory=tests/examples",
        f"-filter=tests/examples/{name}.tftest.hcl",
        f"-var-file=examples/{name}/settings.tfvars",
    )  # fmt: skip
    assert passed(lines) > 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_settings_are_variables(name: str) -> None:
    """Terraform passes over a setting that no variable declares."""
    settings = (DIRECTORY / "examples" / name / "settings.tfvars").read_text()
    declared = re.findall(r'^variable "(\w+)"', (DIRECTORY / "variables.tf").read_text(), re.M)
    named = re.findall(r"^(\w+) *=", settings, re.MULTILINE)
    assert len(named) > 2
    assert not set(named) - set(declared)


@pytest.mark.parametrize("name", WITH_A_MODULE)
def test_the_module_is_valid_and_plans(
    name: str, terraform: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    program, environment = terraform
    copy = tmp_path / name  # `init` writes a lock file beside the module
    shutil.copytree(DIRECTORY / "examples" / name, copy)
    here = program, environment | {"TF_DATA_DIR": str(tmp_path / "data")}
    providers = Path(environment["TF_DATA_DIR"]) / "providers"
    run(here, copy, "init", "-no-color", f"-plugin-dir={providers}")
    run(here, copy, "validate", "-no-color")
    assert passed(run(here, copy, "test", "-json")) > 0
