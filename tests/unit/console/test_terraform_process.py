"""A real Terraform, a real terminal, and an operator who presses Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from console.operations.environments import terraform_process, terraform_program
from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError
from tests.terminal import INTERRUPT, Terminal

# Nothing but Terraform itself is needed: `terraform_data` is built in
SLOW = """
resource "terraform_data" "first" {
  provisioner "local-exec" {
    # It is told to end as well, and takes a second for it
    command = "trap 'sleep 1; exit 1' INT; while :; do sleep 0.1; done"
  }
}
resource "terraform_data" "second" {
  input = terraform_data.first.id
}
"""
RUN = """
import os, sys
from console.operations.environments import terraform_process, terraform_program
command = ["terraform", "apply", "-json", "-auto-approve"]
try:
    ended = terraform_process.run(command, os.environ, lambda line: print(line, end="", flush=True))
except terraform_process.TerraformInterruptedError as error:
    sys.exit(f"said: {error}")
print("status", ended.status)
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return terraform_program.quiet_environment() | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def slow(tmp_path: Path, environment: dict[str, str]) -> Path:
    (tmp_path / "main.tf").write_text(SLOW)
    ended = terraform_process.run(
        [terraform_program.find().path, f"-chdir={tmp_path}", "init"], environment
    )
    assert ended.status == 0, ended.errors
    return tmp_path


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_reaches_terraform_once_and_what_it_did_is_recorded(
    slow: Path, environment: dict[str, str], times: int
) -> None:
    terminal = Terminal([sys.executable, "-c", RUN], environment, slow)
    terminal.expect("Creating...")
    terminal.expect("Provisioning with 'local-exec'")
    terminal.type(INTERRUPT)
    terminal.expect("Terraform was told once")
    for _ in range(times - 1):
        terminal.type(INTERRUPT)
    if times > 1:
        terminal.expect("It is not told again")
    status, shown = terminal.end()
    assert status == 1
    assert "said: terraform apply was interrupted" in shown
    assert "Two interrupts" not in shown
    assert not (slow / ".terraform.tfstate.lock.info").exists()
    state = json.loads((slow / "terraform.tfstate").read_text())
    assert [resource["name"] for resource in state["resources"]] == ["first"]


def test_closing_the_terminal_lets_terraform_save_its_state(
    slow: Path, environment: dict[str, str]
) -> None:
    terminal = Terminal([sys.executable, "-c", RUN], environment, slow)
    terminal.expect("Provisioning with 'local-exec'")
    terminal.process.send_signal(signal.SIGHUP)
    status, _ = terminal.end()
    assert status == 1
    assert not (slow / ".terraform.tfstate.lock.info").exists()
    assert json.loads((slow / "terraform.tfstate").read_text())["resources"]


def test_a_failure_without_a_word_is_a_failure() -> None:
    ended = terraform_process.run(["sh", "-c", "exit 3"], {"PATH": os.environ["PATH"]})
    assert ended.status == 3
    error = terraform_process.failed("apply", ended.errors, ended.status)
    assert "status 3" in error.message


def test_a_killed_terraform_is_named_so() -> None:
    with pytest.raises(OperationError, match="killed"):
        terraform_process.run(["sh", "-c", "kill -9 $$"], {"PATH": os.environ["PATH"]})
