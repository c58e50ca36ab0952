"""The same Terraform, twice on one emulator, and what a second plan shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from console.operations import progress, web
from console.operations.environments import databases
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.environments.terraform import Workspace
from console.operations.uploads import outcomes
from tests.integration.system import System, picture, wait_for_version

SECOND = "second"


@pytest.fixture
def second(system: System) -> Iterator[System]:
    """Settings of another environment, as an operator of an account writes them."""
    settings = ROOT / f"terraform/envs/{SECOND}.tfvars"
    settings.write_text(
        """
        project           = "pictures"
        environment       = "second"
        region            = "us-west-2"
        front_end_origins = ["https://second.example"]
        avatar_variants   = { "512" = ["jpg", "avif"], "64" = ["jpg", "avif"] }
        user_pool_deletion_protection = false

        # what differs on an emulator
        deny_insecure_transport = false
        s3_use_path_style       = true
        viewer_protocol_policy  = "allow-all"
        wait_for_cdn            = false
        """
    )
    before = dict(system.environment)
    system.environment |= {
        "AWS_ENDPOINT_URL": f"http://localhost:{system.aws_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    yield system
    system.environment = before
    settings.unlink()


@pytest.mark.long
def test_a_second_environment_lives_beside_the_first(
    second: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = second.deployment()
    assert "make bootstrap" in second.make("plan", env=SECOND, status=2)
    second.make("bootstrap", env=SECOND)
    assert "there already" in second.make("bootstrap", env=SECOND)
    assert "to add, 0 to change, 0 to destroy" in second.make("plan", env=SECOND)
    assert "YES=1" in second.make("apply", env=SECOND, status=2)
    second.make("apply", "YES=1", env=SECOND)

    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, second.environment[name])
    here = second.deployment(SECOND)
    photo = tmp_path / "photo.png"
    photo.write_bytes(picture(3000, image_format="PNG"))
    output = second.make("upload", f"FILE={photo}", env=SECOND)
    for variant in ("512.jpg", "64.jpg", "512.avif", "64.avif"):
        assert variant in output
    assert here.uploads_bucket.startswith("pictures-second-uploads")
    assert json.loads(second.make("outputs", "JSON=1", env=SECOND))["region"] == "us-west-2"
    front_end = (second.directory / f".env.front-end.{SECOND}").read_text()
    assert "REACT_APP_FRONTEND_URL=https://second.example" in front_end
    assert f"REACT_APP_CLIENT_ID={here.user_pool_client_id}" in front_end

    # the first knows nothing of it
    version = first.s3.put_object(
        Bucket=first.uploads_bucket, Key="beside.jpg", Body=picture(3001)
    )["ETag"].strip('"')
    wait_for_version(first, "beside", version)
    assert outcomes.shown_version(here, "beside") is None

    refused = second.make("destroy", "YES=1", env=SECOND, status=2)
    assert "holds objects" in refused
    assert "FORCE=1" in refused
    second.make("destroy", "YES=1", "FORCE=1", env=SECOND)
    assert web.request("GET", f"{first.assets_url}/avatars/beside.jpg").status == 200


# docs/local-differences.md says why; on AWS there is none
KNOWN_DRIFT = {
    "aws_cloudwatch_metric_alarm": {
        "actions_enabled",
        "alarm_actions",
        "alarm_description",
        "dimensions",
        "extended_statistic",
        "metric_query",
        "ok_actions",
        "period",
        "statistic",
        "treat_missing_data",
    }
}


def test_a_second_plan_shows_no_drift_but_the_documented(system: System) -> None:
    workspace = Workspace(system.target())
    with workspace.planned(progress.ignore) as plan:
        changes = json.loads(workspace._run("show", "-json", str(plan.path)))["resource_changes"]
    assert len(changes) > 60
    unknown = [
        f"{change['address']}: {attribute} {before} → {after}"
        for change in changes
        for attribute, before, after in differences(change["change"])
        if attribute not in KNOWN_DRIFT.get(change["type"], set())
    ]
    assert not unknown, "\n".join(unknown)


def test_the_state_holds_no_secret(system: System, here: Deployment) -> None:
    bucket = Workspace(system.target()).state_bucket
    objects = here.s3.list_objects_v2(Bucket=bucket)["Contents"]
    states = [
        here.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
        for item in objects
    ]
    assert any(here.queue_url in state for state in states), "this is the state"
    passwords = [
        urlsplit(url).password
        for url in (
            databases.operator_url(here),
            here.parameters.get_parameter(Name=here.database_url_parameter, WithDecryption=True)[
                "Parameter"
            ]["Value"],
        )
    ]
    assert all(passwords)
    for state in states:
        assert not any(password in state for password in passwords if password)
        assert not re.search(r'"(client_secret|password|secret_string)": *"[^"]', state)


def differences(change: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    before, after = change["before"] or {}, change["after"] or {}
    if change["actions"] == ["no-op"]:
        return []
    return [
        (name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ] or [(str(change["actions"]), None, None)]
