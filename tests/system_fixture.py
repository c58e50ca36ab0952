"""The running system that tests share, and its test users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from console.operations.uploads import test_users
from console.operations.uploads.test_users import SignIn
from tests.integration.system import System, started


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """A running system of the tests' own, shared by all of them."""
    with started() as running:
        yield running


@pytest.fixture
def here(system: System) -> Iterator[Deployment]:
    """The running system; a dead-letter message that a test leaves is none of the next test's."""
    deployment = system.deployment()
    yield deployment
    if dead_letters.counts(deployment)["dead"]:
        deployment.sqs.purge_queue(QueueUrl=deployment.dead_letter_queue_url)


@pytest.fixture(scope="session")
def ada(system: System) -> SignIn:
    return test_users.sign_in(system.deployment(), "ada")


@pytest.fixture(scope="session")
def grace(system: System) -> SignIn:
    return test_users.sign_in(system.deployment(), "grace")
