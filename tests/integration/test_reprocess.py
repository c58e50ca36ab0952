"""Everything processed again on the running system, the command killed and run again."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from console.operations.environments.deployment import ROOT, Deployment
from console.operations.pipeline import dead_letters, reprocess
from tests.integration.live import configured
from tests.integration.system import System, wait_until

FOLDER = "again"
LISTED = 1000
"""Originals of one of S3's listings, after which the command keeps where it stands."""
SECONDS = 1200


def found(here: Deployment, bucket: str, prefix: str) -> Iterator[str]:
    for page in here.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []))


def shown(here: Deployment) -> int:
    return len(list(found(here, here.assets_bucket, f"avatars/{FOLDER}/")))


def is_dry(here: Deployment) -> bool:
    counts = dead_letters.counts(here)
    return not counts["waiting"] and not counts["in_flight"]


@pytest.fixture(params=[20, pytest.param(10_000, marks=pytest.mark.long)])
def originals(request: pytest.FixtureRequest, here: Deployment) -> Iterator[int]:
    """Yield how many are shown."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(stream, "PNG")
    put = {"Bucket": here.uploads_bucket, "Body": stream.getvalue()}
    with ThreadPoolExecutor(8) as pool:
        keys = [f"{FOLDER}/{number:05}.png" for number in range(request.param)]
        list(pool.map(lambda key: here.s3.put_object(Key=key, **put), keys))
    wait_until(lambda: shown(here) == request.param, "all shown", SECONDS)
    wait_until(lambda: is_dry(here), "an empty queue", SECONDS)
    yield request.param
    versions: Any = here.s3.get_paginator("list_object_versions")
    for bucket, folder in (
        (here.uploads_bucket, f"{FOLDER}/"),
        (here.assets_bucket, f"avatars/{FOLDER}/"),
        (here.assets_bucket, f"variants/{FOLDER}/"),
    ):
        for page in versions.paginate(Bucket=bucket, Prefix=folder):
            gone = [
                {"Key": item["Key"], "VersionId": item["VersionId"]}
                for item in page.get("Versions", [])
            ]
            here.s3.delete_objects(Bucket=bucket, Delete={"Objects": gone})  # type: ignore[typeddict-item]


@pytest.mark.timeout(2 * SECONDS)
def test_all_that_is_shown_is_made_again_though_the_command_is_killed(
    system: System, here: Deployment, originals: int
) -> None:
    dead = dead_letters.counts(here)["dead"]
    before = here.functions.get_function_configuration(FunctionName=here.function_names["resize"])
    variables = before["Environment"]["Variables"] | {"AVATAR_VARIANTS": "512.jpg,32.webp"}
    with configured(here, "resize", Environment={"Variables": variables}):
        if originals > LISTED:
            _kill_in_the_middle(system)
        began = time.monotonic()
        said = system.make("reprocess", "YES=1", seconds=SECONDS)
        assert ("goes on after" in said) == (originals > LISTED)
        queued = time.monotonic() - began
        wait_until(lambda: is_dry(here), "an empty queue", SECONDS)
        took = time.monotonic() - began
    print(f"\n{originals} queued after {queued:.1f} s, made again after {took:.1f} s")
    made = list(found(here, here.assets_bucket, f"variants/{FOLDER}/"))
    assert sum(key.endswith("/32.webp") for key in made) == originals
    assert shown(here) == originals
    assert dead_letters.counts(here)["dead"] == dead


def _kill_in_the_middle(system: System) -> None:
    marker = system.directory / "state" / "local" / reprocess.MARKER
    running = subprocess.Popen(
        ["make", "reprocess", "YES=1", "ENV=local"],
        cwd=ROOT,
        env=system.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(marker.exists, "the first page queued")
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    kept = json.loads(marker.read_text())
    assert 0 < kept["queued"] < 10_000
