"""An operator who follows the runbook: each of its commands works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from tests.integration.system import System, picture, wait_until

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
COMMANDS = list(
    dict.fromkeys(  # each once, in the runbook's order
        line.strip()
        for block in re.findall(r"^ *```sh\n(.*?)^ *```$", RUNBOOK, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    )
)
# What stands in a command for something of the reader's own
PLACEHOLDERS = {"photo.jpg"}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runbook") / "photo.jpg"
    path.write_bytes(picture(4000))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_runbook_works(
    command: str, system: System, here: Deployment, photo: Path
) -> None:
    make, *arguments = shlex.split(command)
    assert make == "make"
    deals_with_messages = arguments[0] in {"redrive", "discard"}
    if deals_with_messages:
        here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody='{"Records": []}')
    for placeholder in PLACEHOLDERS:
        arguments = [argument.replace(placeholder, str(photo)) for argument in arguments]
    output = system.make(*arguments)
    if deals_with_messages:
        assert "1 " in output, "the message was seen"
        kept = "DRY_RUN=1" in arguments
        wait_until(
            lambda: dead_letters.counts(here) == {"waiting": 0, "in_flight": 0, "dead": kept},
            "the message being dealt with",
        )


def test_the_commands_are_those_of_every_alarm() -> None:
    assert len(COMMANDS) > 10
    for command in ("make status", "make redrive", "make discard YES=1", "make reconcile"):
        assert command in COMMANDS
