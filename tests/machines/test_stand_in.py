"""The stand-in for Terraform: the program's arguments, streams, exit status and signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from console.operations.environments import terraform_program
from console.operations.errors import OperationError

CONFIGURATION = """
variable "seconds" { default = 0 }
resource "terraform_data" "slow" {
  input = "é"
  provisioner "local-exec" { command = "sleep ${var.seconds}" }
}
module "inner" { source = "./inner" }
output "said" { value = terraform_data.slow.output }
"""
TEST = """
run "says" {
  command = plan
  assert {
    condition     = terraform_data.slow.input == "%s"
    error_message = "it says something else"
  }
}
"""


@pytest.fixture(scope="module")
def stand_in() -> str:
    try:
        return terraform_program._stand_in().path
    except OperationError as error:
        if error.message == "is not made for this system":
            pytest.skip("the package has no build for this system")
        raise


class Project:
    """A folder with a configuration, its data folder beside it, and the program to run on it."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program = program
        self.directory = directory / "a folder"
        self.directory.mkdir()
        (self.directory / "main.tf").write_text(CONFIGURATION)
        (self.directory / "inner").mkdir()
        (self.directory / "inner" / "main.tf").touch()
        self.environment = terraform_program.quiet_environment() | {
            "TF_DATA_DIR": str(directory / "data")
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, f"-chdir={self.directory}", *arguments],
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        process = self.start(*arguments)
        said = process.communicate(timeout=60)
        assert process.returncode == status, said
        return said


@pytest.fixture
def project(stand_in: str, tmp_path: Path) -> Project:
    made = Project(stand_in, tmp_path)
    made.run("init", "-no-color")
    assert (tmp_path / "data").is_dir()
    assert not (made.directory / ".terraform").exists()
    return made


def test_it_plans_applies_and_shows_as_the_program_does(project: Project) -> None:
    version = json.loads(project.run("version", "-json")[0])["terraform_version"]
    assert tuple(map(int, version.split(".")[:2])) >= terraform_program.MINIMUM
    out, _ = project.run("plan", "-json", "-detailed-exitcode", "-out=p", status=2)
    assert {json.loads(line)["type"] for line in out.splitlines()} >= {
        "version", "planned_change", "change_summary",
    }  # fmt: skip
    assert json.loads(project.run("show", "-json", "p")[0])["resource_changes"]
    out, _ = project.run("apply", "-json", "p")
    assert '"type":"apply_complete"' in out
    assert json.loads(project.run("output", "-json")[0])["said"]["value"] == "é"
    project.run("plan", "-detailed-exitcode")
    assert json.loads(project.run("validate", "-json")[0])["valid"]
    project.run("destroy", "-auto-approve")


def test_what_fails_fails_and_says_so_on_the_stream_for_it(project: Project) -> None:
    (project.directory / "wrong.tf").write_text('output "x" { value = nothing.here }\n')
    out, err = project.run("plan", "-no-color", status=1)
    assert "Reference to undeclared resource" in err
    assert "Reference to" not in out
    (project.directory / "wrong.tf").write_text('output   "x" { value = 1 }\n')
    project.run("fmt", "-check", status=3)
    project.run("no-such-command", status=1)
    _, err = project.run("force-unlock", "-force", "no-lock", status=1)
    assert "unlock" in err


def test_it_tests_modules(project: Project) -> None:
    file = project.directory / "says.tftest.hcl"
    file.write_text(TEST % "é")
    assert "1 passed, 0 failed" in project.run("test", "-no-color")[0]
    file.write_text(TEST % "e")
    assert "0 passed, 1 failed" in project.run("test", "-no-color", status=1)[0]


def test_its_lines_come_while_it_works_and_one_interrupt_stops_it_in_order(
    project: Project,
) -> None:
    process = project.start("apply", "-auto-approve", "-json", "-var=seconds=2")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["type"] == "apply_start":
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(60) == 1
    assert re.search("Interrupt received|interrupt", rest)
    # what was made while it stopped is in the state, and the lock is gone
    assert json.loads((project.directory / "terraform.tfstate").read_text())["resources"]
    assert not list(project.directory.glob(".terraform.tfstate.lock.info"))
    process.communicate()


@pytest.mark.parametrize("version", ["1.5.7", "1.10.9", "nonsense"])
def test_a_terraform_that_is_too_old_is_stood_in_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program = tmp_path / "terraform"
    program.write_text(f'#!/bin/sh\necho \'{{"terraform_version": "{version}"}}\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    other = terraform_program.Program("stand-in", "1.15.5")
    monkeypatch.setattr(terraform_program, "_stand_in", lambda: other)
    assert terraform_program.find() == other
    program.write_text('#!/bin/sh\necho \'{"terraform_version": "1.11.0"}\'\n')
    terraform_program._find.cache_clear()
    assert terraform_program.find().path == str(program)
    terraform_program._find.cache_clear()


@pytest.mark.parametrize(
    ("tool", "command"),
    [("brew", "brew install hashicorp/tap/terraform"), ("pacman", "sudo pacman -S terraform")],
)
def test_without_either_the_sentence_is_this_systems_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, command: str
) -> None:
    def nothing() -> terraform_program.Program:
        raise OperationError("is not made for this system", "")

    (tmp_path / tool).write_text("")
    (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(terraform_program, "_stand_in", nothing)
    with pytest.raises(OperationError, match="Terraform is not installed, and its stand-in") as no:
        terraform_program.find()
    assert no.value.remedy == f"Install Terraform 1.11 or newer: {command}"
    terraform_program._find.cache_clear()


@pytest.mark.parametrize("kind", ["missing", "folder", "closed"])
def test_a_configuration_file_that_cant_be_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "parent/terraformrc"
    file.parent.mkdir()
    if kind == "folder":
        file.mkdir()
    if kind == "closed":
        file.write_text("")
        monkeypatch.setattr("os.path.isfile", lambda _: False)  # so it is where root may not enter
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(file))
    assert "TF_CLI_CONFIG_FILE" not in terraform_program.quiet_environment()


def test_a_configuration_file_is_named_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "terraformrc").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "terraformrc")
    named = terraform_program.quiet_environment()["TF_CLI_CONFIG_FILE"]
    assert named == os.path.realpath(tmp_path / "terraformrc")
