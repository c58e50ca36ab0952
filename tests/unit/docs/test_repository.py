"""What a newcomer's trust rests on: workflows, forms, versions, and the files they name."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHANGELOG = ROOT / "CHANGELOG.md"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def released() -> list[tuple[str, str]]:
    """Return version and date of each release in the changelog, newest first."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)$", CHANGELOG.read_text(), re.MULTILINE)


# Workflows


def test_ci_runs_what_a_developer_runs() -> None:
    runs = [step["run"] for step in steps(ROOT / ".github/workflows/ci.yml") if "run" in step]
    assert runs == [".ci/run", "make lint", "make test-front-end"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100, ".ci/run must be executable"
    assert "make test" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_targets_that_exist(workflow: Path) -> None:
    called = {
        target
        for step in steps(workflow)
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
    }
    assert not called - targets(), f"the Makefile has no {sorted(called - targets())}"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_runs_pinned_actions(workflow: Path) -> None:
    text = workflow.read_text()
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    assert "pull_request_target" not in text
    actions = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert actions
    for action in actions:
        assert re.search(rf"uses: {action} # v\d+\.\d+\.\d+$", text, re.MULTILINE), action
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), f"pin {action} by its commit"


def test_workflows_and_container_have_the_versions_that_are_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    required = re.search(
        r'required_version = ">= ([\d.]+)"', (ROOT / "terraform/versions.tf").read_text()
    )
    assert required
    configured = [step["with"] for path in WORKFLOWS for step in steps(path) if "with" in step]
    pythons = {with_["python-version"] for with_ in configured if "python-version" in with_}
    assert oldest in pythons, "the oldest Python that pyproject.toml admits is never tried"
    terraforms = {
        with_["terraform_version"] for with_ in configured if "terraform_version" in with_
    }
    assert terraforms == {f"~> {required[1]}.0"}
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    versions = {name: value["version"] for name, value in container["features"].items()}
    assert versions["ghcr.io/devcontainers/features/terraform:1"] == required[1]
    assert any("/node:" in name for name in versions), "`make bench` needs Node.js"
    assert re.search(r"python:1-3\.\d+-", container["image"])
    created = re.findall(r"make (\S+)", container["postCreateCommand"])
    assert created == [".venv/development"]


# Forms and bots


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_one_that_github_shows(form: Path) -> None:
    content = yaml.safe_load(form.read_text())
    if form.name == "config.yml":
        assert content == {"blank_issues_enabled": False}
        return
    assert content["name"]
    assert content["description"]
    ids = [field["id"] for field in content["body"]]
    assert len(set(ids)) == len(ids)
    for field in content["body"]:
        assert field["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]
    text = form.read_text()
    assert not set(re.findall(r"\bmake ([a-z-]+)", text)) - targets()


def test_renovate_leaves_compiled_requirements_to_make_lock() -> None:
    renovate = json.loads((ROOT / "renovate.json").read_text())
    patterns = [
        re.compile(pattern.strip("/"))
        for pattern in renovate["pip_requirements"]["managerFilePatterns"]
    ]
    files = [
        path.relative_to(ROOT).as_posix()
        for pattern in ("requirements/*", "lambdas/*/requirements.*")
        for path in ROOT.glob(pattern)
    ]
    watched = {file for file in files if any(pattern.search(file) for pattern in patterns)}
    assert watched == {file for file in files if file.endswith(".in")}
    assert "lock" in targets()


# Versions


def test_the_newest_release_is_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert released()[0][0] == version, "CHANGELOG.md and pyproject.toml name different releases"


def test_the_changelog_is_in_its_form() -> None:
    text = CHANGELOG.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert len(headings) == len(released()) + 1, "a release's heading is: [X.Y.Z] - YYYY-MM-DD"
    versions = [tuple(map(int, version.split("."))) for version, _date in released()]
    assert versions == sorted(versions, reverse=True)
    dates = [date for _version, date in released()]
    assert dates == sorted(dates, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds
    for version, _date in released():
        assert re.search(rf"^\[{re.escape(version)}\]: ", text, re.MULTILINE), f"link {version}"


# Pages


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/upgrading.md", "CONTRIBUTING.md"])
def test_a_page_names_only_targets_that_exist(page: str) -> None:
    lines = re.findall(r"(?:`|^ *)make ([a-z][^`\n]*)", (ROOT / page).read_text(), re.MULTILINE)
    called = {word for line in lines for word in line.split() if re.fullmatch(r"[a-z-]+", word)}
    assert called
    assert not called - targets(), f"{page}: the Makefile has no {sorted(called - targets())}"


def test_webhook_receivers_read_the_fields_that_sns_signs() -> None:
    contract = (ROOT / "docs/contract.md").read_text()
    signed = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    assert ", ".join(f"`{name}`" for name in signed) in contract
    envelope = contract[contract.index('"Type": "Notification"') :].partition("```")[0]
    assert all(f'"{name}": ' in envelope for name in signed)
