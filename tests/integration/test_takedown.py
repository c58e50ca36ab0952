"""An avatar that is taken down stays down, on the running system."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from console.operations import web
from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import reconcile
from console.operations.progress import ignore
from console.operations.uploads import outcomes
from tests.integration.system import NOWHERE, picture, wait_for_version, wait_until
from tests.strict_aws.control import resize_meets
from tests.strict_aws.fault import Fault


def put(here: Deployment, key: str, seed: int) -> str:
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=picture(seed))
    return stored["ETag"].strip('"')


def test_neither_a_worker_in_flight_nor_a_failed_invalidation_keeps_it_up(
    here: Deployment,
) -> None:
    """A worker holds the picture in its hand while it goes, and the CDN refuses at first."""
    reached, marked = threading.Event(), threading.Event()

    def hold_the_variants(method: str, path: str) -> Fault:
        if method == "PUT" and "/variants/people/held/" in path:
            reached.set()
            marked.wait(12)
        return Fault.NONE

    others = put(here, "held.png", 41)
    wait_for_version(here, "held", others)
    with resize_meets(here, hold_the_variants), ThreadPoolExecutor() as pool:
        version = put(here, "people/held.png", 42)
        assert reached.wait(30)
        change = takedown.take_down(NOWHERE, replace(here, distribution_id="E000"), "people/held")
        removal = pool.submit(change.execute, ignore)
        wait_until(
            lambda: (
                not here.s3.list_object_versions(
                    Bucket=here.uploads_bucket, Prefix="people/held.png"
                ).get("Versions")
            ),
            "the original being deleted",
        )
        marked.set()
        variants = {"Bucket": here.assets_bucket, "Prefix": "variants/people/held/"}
        wait_until(lambda: here.s3.list_objects_v2(**variants)["KeyCount"], "the late variants")
        with pytest.raises(OperationError, match="Could not invalidate"):
            removal.result()
    assert takedown.objects_of(here, "people/held") == []
    list(reconcile.reconcile(here, ignore, dry_run=False, everything=True))

    again = takedown.take_down(NOWHERE, here, "people/held")
    assert again.execute(ignore) == "0 objects deleted"
    assert takedown.objects_of(here, "people/held") == []
    variant = f"{here.assets_url}/variants/people/held/{version}/512.jpg"
    assert web.request("GET", variant).status == 404
    assert outcomes.shown_version(here, "people/held") is None
    assert outcomes.shown_version(here, "held") == others  # of another folder

    later = put(here, "people/held.png", 43)
    wait_for_version(here, "people/held", later)
