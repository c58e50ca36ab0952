"""What is said of an upload on its way, and what happened to an avatar."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from console.operations import progress, web
from console.operations.avatars import timeline, versions
from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import outcomes, refusals, send, test_users


def shown(here: Deployment, name: str, version: str) -> None:
    here.s3.put_object(
        Bucket=here.assets_bucket, Key=f"avatars/{name}.jpg", Metadata={"version": version}
    )


def stored(here: Deployment, key: str, body: bytes) -> str:
    answer = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=body)
    return answer["ETag"].strip('"')


def test_a_picture_that_a_later_one_overtook_is_not_waited_for(here: Deployment) -> None:
    first, second = stored(here, "ada", b"first"), stored(here, "ada", b"second")
    shown(here, "ada", second)
    with pytest.raises(OperationError, match="A later picture of ada came first"):
        outcomes.wait_for_resize(here, "ada", "ada", first)


def test_a_picture_that_is_held_is_said_to_be(here: Deployment) -> None:
    version = stored(here, "ada", b"held")
    record = json.dumps({"code": "held", "message": "It is looked at."}).encode()
    here.s3.put_object(Bucket=here.assets_bucket, Key=f"rejections/ada/{version}.json", Body=record)
    with pytest.raises(OperationError, match="is held until an operator") as raised:
        outcomes.wait_for_resize(here, "ada", "ada", version)
    assert "make approve KEY=ada" in raised.value.remedy


def test_the_avatar_from_before_is_no_later_picture(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown(here, "ada", stored(here, "ada", b"before"))
    version = stored(here, "ada", b"now")
    monkeypatch.setattr(outcomes, "ARRIVAL_SECONDS", 0)
    with pytest.raises(OperationError, match="No avatar arrived"):
        outcomes.wait_for_resize(here, "ada", "ada", version)


def test_a_bucket_without_a_cors_rule_admits_no_browser(here: Deployment) -> None:
    with pytest.raises(OperationError, match="no rule, so no browser"):
        refusals.check_cors(here)


GRANTED = "https://up.s3.eu-central-1.amazonaws.com/ada?X-Amz-Signature=1"


@pytest.mark.parametrize(
    ("refusing", "place"), [("POST", "the API"), ("PUT", "the uploads bucket")]
)
def test_whoever_does_not_admit_the_front_end_is_named(
    here: Deployment, monkeypatch: pytest.MonkeyPatch, refusing: str, place: str
) -> None:
    """The bucket is asked at the very address that was granted, as a browser does."""
    rule = {"AllowedOrigins": ["https://app.example.com"], "AllowedMethods": ["PUT"]}
    here.s3.put_bucket_cors(
        Bucket=here.uploads_bucket,
        CORSConfiguration={"CORSRules": [rule]},  # type: ignore[list-item]
    )

    def asked(method: str, url: str, headers: dict[str, str]) -> web.Response:
        if method == "POST":
            granted = {"method": "PUT", "url": GRANTED, "headers": {}, "key": "ada"}
            return web.Response(200, {}, json.dumps(granted).encode())
        assert method == "OPTIONS"
        asking = headers["Access-Control-Request-Method"] == "POST"
        assert url == (refusals.ask_address(here) if asking else GRANTED)
        refused = headers["Access-Control-Request-Method"] == refusing
        admitted = {} if refused else {"access-control-allow-origin": headers["Origin"]}
        return web.Response(200, admitted, b"")

    def request(method: str, url: str, headers: dict[str, str], *_: bytes) -> web.Response:
        return asked(method, url, headers)

    monkeypatch.setattr(web, "request", request)
    monkeypatch.setattr(
        test_users, "sign_in", lambda *_: test_users.SignIn("ada", "ada", "token", 0)
    )
    with pytest.raises(OperationError, match=rf"{place} does not admit pages from https://app"):
        send.send_as_user(here, b"x", "jpg", "ada", progress.ignore)


@pytest.mark.parametrize("region", ["eu-central-1", "me-central-1", "us-west-2", "mx-central-1"])
def test_the_bucket_is_asked_at_its_regions_host(here: Deployment, region: str) -> None:
    elsewhere = replace(here, region=region, access={})
    assert refusals.bucket_address(elsewhere).startswith(f"https://s3.{region}.amazonaws.com/")


def test_a_direct_sending_names_the_step_that_broke(here: Deployment) -> None:
    events: list[progress.Event] = []
    here.s3.delete_bucket(Bucket=here.uploads_bucket)
    with pytest.raises(OperationError, match=r"Could not upload data\.jpg"):
        send.send_directly(here, b"x", "data.jpg", events.append)
    assert [(event.step, event.state) for event in events] == [
        ("Upload", "started"),
        ("Upload", "failed"),
    ]


def test_a_timeline_goes_from_the_newest_back_to_the_presigning(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        logs.Line(10.0, "presign", "", {"message": "presigned", "sub": "ada"}),
        logs.Line(11.5, "resize", "", {"message": "avatar written", "version": "v1", "ms": 120}),
        logs.Line(11.6, "resize", "REPORT of the platform", {}),
    ]
    monkeypatch.setattr(logs, "newest", lambda *_: said)
    served = web.Response(200, {"x-cache": "Hit from cloudfront", "age": "7"}, b"12345")
    monkeypatch.setattr(web, "request", lambda *_: served)
    original = versions.Version(
        "ada", None, "v1", datetime.fromtimestamp(11, UTC), 9, "shown", None
    )
    found = timeline.timeline(here, "ada", [original], 0)
    assert [(item.where, item.what) for item in found] == [
        ("CDN", "avatar served"),
        ("resize", "avatar written"),
        ("S3", "original stored"),
        ("presign", "presigned"),
    ]
    assert found[0].detail == "Hit from cloudfront, 5 B, cached for 7 s"
    assert found[1].seconds == 0.12
