"""`make reconcile INVENTORY=1` on the running system, by a list in the form that AWS documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from console.operations.environments.deployment import Deployment
from tests import inventories
from tests.integration.system import System, picture, wait_for_version

FOLDER = "by inventory"
# "0" comes next after "/"
RANGE = (f"AFTER={FOLDER}/", f"UNTIL={FOLDER}0")


@contextmanager
def without_events(here: Deployment) -> Iterator[None]:
    """Have nobody told of uploads, as with a mapping that is disabled."""
    bucket = here.uploads_bucket
    events: Any = here.s3.get_bucket_notification_configuration(Bucket=bucket)
    events.pop("ResponseMetadata")
    here.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        here.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=events
        )


def upload(here: Deployment, name: str, seed: int) -> str:
    """Upload an original; return its version."""
    put = here.s3.put_object(
        Bucket=here.uploads_bucket, Key=f"{FOLDER}/{name}.jpg", Body=picture(seed, (64, 64))
    )
    return put["ETag"].strip('"')


def test_an_upload_that_was_lost_is_found_among_those_that_a_list_shows(
    system: System, here: Deployment
) -> None:
    assert "has no inventory" in system.make("reconcile", "INVENTORY=1", status=2)
    names = ["ada", "grace 1+1=2", "Ünal%20"]
    for seed, name in enumerate(names):
        wait_for_version(here, f"{FOLDER}/{name}", upload(here, name, 600 + seed))
    with without_events(here):
        lost = upload(here, "lost", 610)
        replaced = upload(here, "ada", 611)
    taken = datetime.now(UTC) - timedelta(hours=30)
    try:
        inventories.deliver(here.s3, here.assets_bucket, taken)

        def reconcile(*options: str) -> dict[str, Any]:
            said = system.make("reconcile", "INVENTORY=1", "JSON=1", *RANGE, *options)
            return json.loads(said[said.index('{"shown"') :].splitlines()[0])  # type: ignore[no-any-return]

        dry = reconcile("DRY_RUN=1")
        assert (dry["shown"], dry["queued"], dry["spared"]) == (2, 2, 2)
        assert "30 h old" in system.make("reconcile", "INVENTORY=1", "DRY_RUN=1", *RANGE)

        assert reconcile()["queued"] == 2
        wait_for_version(here, f"{FOLDER}/lost", lost)
        wait_for_version(here, f"{FOLDER}/ada", replaced)
        after = reconcile("DRY_RUN=1")
        assert (after["shown"], after["queued"], after["spared"]) == (4, 0, 2)
    finally:
        for key, _ in inventories.listed(here.s3, here.assets_bucket):
            if key.startswith("inventory/"):
                here.s3.delete_object(Bucket=here.assets_bucket, Key=key)
