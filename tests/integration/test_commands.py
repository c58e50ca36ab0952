"""What operators type, on the embedded AWS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.operations import web
from console.operations.audit.audit import Audit
from console.operations.avatars import takedown
from console.operations.environments.deployment import Deployment
from console.operations.uploads import outcomes
from tests.integration.system import System, picture, wait_for_version, wait_until


def test_upload_prints_each_step_and_the_addresses(system: System, tmp_path: Path) -> None:
    photo = tmp_path / "it's a photo.jpg"
    photo.write_bytes(picture(11))
    output = system.make("upload", f"FILE={photo}", "WHO=alan")
    steps = ["Sign in", "CORS", "Ask for a URL", "Upload", "Resize", "Serve"]
    places = [output.index(f"✓ {step}") for step in steps]
    assert places == sorted(places)
    address = next(
        line for line in output.splitlines() if line.endswith(".jpg") and "/avatars/" in line
    )
    assert web.request("GET", address.strip()).status == 200
    assert "\x1b[" not in output


def test_upload_names_what_is_wrong_with_the_picture(system: System, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing of a picture")
    output = system.make("upload", f"FILE={broken}", status=2)
    assert "✗ Resize" in output
    assert "rejected" in output
    assert "can't be read" in system.make("upload", f"FILE={tmp_path}/missing.jpg", status=2)
    assert "FILE=" in system.make("upload", status=2)


def test_a_direct_upload_is_named_after_its_file(
    system: System, here: Deployment, tmp_path: Path
) -> None:
    photo = tmp_path / "données spéciales+1.jpg"
    photo.write_bytes(picture(12))
    output = system.make("upload", f"FILE={photo}", "DIRECT=1")
    assert outcomes.shown_version(here, "données spéciales+1")
    assert "variants" in output


def test_clear_removes_everything_after_listing_it(
    system: System, here: Deployment, tmp_path: Path
) -> None:
    for seed, name in ((13, "gone.jpg"), (14, "gone.jpg"), (15, "gone-not.jpg")):
        photo = tmp_path / name
        photo.write_bytes(picture(seed))
        system.make("upload", f"FILE={photo}", "DIRECT=1")
    # nobody confirms: listed, and left alone
    refused = system.make("clear", "NAME=gone", status=2)
    assert "gone.jpg" in refused
    assert "YES=1" in refused
    assert outcomes.shown_version(here, "gone")

    output = system.make("clear", "NAME=gone", "YES=1")
    # two originals, two versions of two variants; the avatar is replaced
    assert "6 objects deleted" in output
    assert takedown.objects_of(here, "gone") == []
    default = web.request("GET", f"{here.assets_url}/avatars/_default.jpg").body
    served = web.request("GET", f"{here.assets_url}/avatars/gone.jpg")
    assert served.body.startswith(default)
    assert served.headers["x-amz-meta-removed"]
    assert outcomes.shown_version(here, "gone-not")


def test_an_action_is_recorded_under_the_aws_caller_whoever_user_says_it_is(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("LOGNAME", "USER"):
        monkeypatch.setitem(system.environment, name, "mallory")
    system.make("invalidate", "PATHS=/avatars/mallory.jpg")
    record = Audit("local", system.target().database_url, tmp_path / "none")
    (found,) = (a for a in record.actions() if a.target == "/avatars/mallory.jpg")
    assert found.actor == "arn:aws:iam::000000000000:root"


def test_invalidate_checks_paths_and_waits(system: System) -> None:
    assert "✓ Invalidate" in system.make("invalidate", "PATHS=/avatars/* /banners/banner.jpg")
    assert "leading slash" in system.make("invalidate", "PATHS=avatars/*", status=2)
    assert "PATHS=" in system.make("invalidate", status=2)


def test_reconcile_finds_what_was_never_processed(system: System, here: Deployment) -> None:
    def missing() -> int:
        return int(json.loads(system.make("reconcile", "DRY_RUN=1", "JSON=1"))["queued"])

    system.make("reconcile")  # what other tests left behind
    wait_until(lambda: missing() == 0, "everything being processed")
    # events stop, as they would with a disabled mapping
    events = here.s3.get_bucket_notification_configuration(Bucket=here.uploads_bucket)
    events.pop("ResponseMetadata")  # type: ignore[misc]
    here.s3.put_bucket_notification_configuration(
        Bucket=here.uploads_bucket, NotificationConfiguration={}
    )
    try:
        etag = here.s3.put_object(
            Bucket=here.uploads_bucket, Key="lost letters+1.jpg", Body=picture(16)
        )["ETag"].strip('"')
    finally:
        here.s3.put_bucket_notification_configuration(
            Bucket=here.uploads_bucket, NotificationConfiguration=events
        )
    dry = json.loads(system.make("reconcile", "DRY_RUN=1", "JSON=1"))
    assert dry["queued"] == 1
    assert outcomes.shown_version(here, "lost letters+1") is None

    assert "1 put on the queue" in system.make("reconcile")
    wait_for_version(here, "lost letters+1", etag)
    assert json.loads(system.make("reconcile", "DRY_RUN=1", "JSON=1"))["queued"] == 0
    # after a change of sizes every original is queued, which wants to be confirmed
    assert "YES=1" in system.make("reconcile", "ALL=1", status=2)


def test_dead_letters_are_shown_and_redriven(system: System, here: Deployment) -> None:
    here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=json.dumps(event(here)))
    etag = here.s3.put_object(Bucket=here.uploads_bucket, Key="redriven.jpg", Body=picture(17))[
        "ETag"
    ].strip('"')
    status = json.loads(system.make("status", "JSON=1"))
    assert status["dead"] == 1
    assert "redriven.jpg" in system.make("redrive", "DRY_RUN=1")
    assert "put back on the queue" in system.make("redrive")
    wait_for_version(here, "redriven", etag)
    wait_until(
        lambda: json.loads(system.make("status", "JSON=1"))["dead"] == 0,
        "an empty dead-letter queue",
    )


def event(here: Deployment) -> dict[str, object]:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": here.uploads_bucket},
                    "object": {"key": "redriven.jpg"},
                },
            }
        ]
    }


def test_a_message_that_is_no_event_ends_in_the_dead_letters(
    system: System, here: Deployment
) -> None:
    # three receives, as far apart as the queue's visibility timeout: shortened for the test
    before = here.sqs.get_queue_attributes(
        QueueUrl=here.queue_url, AttributeNames=["VisibilityTimeout"]
    )["Attributes"]["VisibilityTimeout"]
    assert int(before) >= 60
    here.sqs.set_queue_attributes(QueueUrl=here.queue_url, Attributes={"VisibilityTimeout": "1"})
    here.sqs.send_message(QueueUrl=here.queue_url, MessageBody="no event")
    try:
        wait_until(
            lambda: json.loads(system.make("status", "JSON=1"))["dead"] == 1,
            "the dead-letter message",
        )
    finally:
        here.sqs.set_queue_attributes(
            QueueUrl=here.queue_url, Attributes={"VisibilityTimeout": before}
        )
        here.sqs.purge_queue(QueueUrl=here.dead_letter_queue_url)
    assert "message failed" in system.make("logs", "FUNCTION=resize", "SINCE=5m")


def test_logs_show_one_function_and_carry_the_request_id(
    system: System, here: Deployment, tmp_path: Path
) -> None:
    photo = tmp_path / "logged.jpg"
    photo.write_bytes(picture(18))
    system.make("upload", f"FILE={photo}", "DIRECT=1")
    lines = [
        json.loads(line)
        for line in system.make("logs", "FUNCTION=resize", "SINCE=5m", "JSON=1").splitlines()
    ]
    written = [line for line in lines if line.get("name") == "logged"]
    assert written[0]["message"] == "avatar written"
    assert written[0]["request_id"]
    assert "There is no function" in system.make("logs", "FUNCTION=nothing", status=2)
    assert "not a valid duration" in system.make("logs", "SINCE=soon", status=2)
