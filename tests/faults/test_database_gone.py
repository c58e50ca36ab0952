"""Postgres dies while avatars arrive."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import psutil

from console.operations import web
from console.operations.environments import databases, logs
from console.operations.environments.deployment import Deployment
from console.operations.pipeline import stale_profiles
from console.operations.uploads.test_users import SignIn
from tests.faults.ledger import Ledger
from tests.integration.system import System, picture, wait_until


def profile(here: Deployment, handle: str) -> web.Response:
    return web.request("GET", f"{here.api_url}/api/activities/{handle}")


def kill_postgres(directory: Path) -> None:
    pid = int((directory / "state/local/postgres/data/postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    family = [server, *server.children(recursive=True)]
    server.kill()
    psutil.wait_procs(family, timeout=30)


def test_avatars_are_served_without_the_database_and_profiles_follow_later(
    system: System, ledger: Ledger, ada: SignIn, grace: SignIn
) -> None:
    here = ledger.here
    assert profile(here, "ada").status == 200
    began = time.time()
    kill_postgres(system.directory)
    shown = {
        user.sub: ledger.put_as_user(user, picture(n)) for n, user in enumerate((ada, grace), 6000)
    }
    ledger.put_all((f"without-database-{index}.jpg", picture(index)) for index in range(4))
    ledger.settle("SIGKILL of Postgres while avatars arrive")

    answer = profile(here, "ada")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "unavailable")
    status = system.make("status", status=2)
    assert "The database can't be reached: connection" in status
    assert "dead         0" in status  # and yet the rest is shown

    def tries() -> Counter[str]:
        lines = logs.read(here, ["profiles"], began, "avatar not recorded")
        return Counter(line.fields["name"] for line in lines if "make reconcile" in line.text)

    wait_until(lambda: all(tries()[name] == 3 for name in shown), "three lines for each user")

    system.make("up")
    # the messages are gone for good: Lambda gives up after three tries
    assert "profiles named an old avatar, now updated" in system.make("reconcile")
    for handle, user in (("ada", ada), ("grace", grace)):
        address = profile(here, handle).json()["profile"]["avatar_url"]
        assert shown[user.sub].version in address
        assert web.request("GET", address).status == 200
    url = databases.operator_url(here)
    assert stale_profiles.refresh(here, url, lambda event: None, dry_run=True) == 0
