"""Taking an avatar down on moto: what is listed, kept, refused and repeated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from console.operations.avatars import cdn, takedown
from console.operations.changes import Change, StaleChangeError
from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.progress import ignore
from console.operations.uploads import outcomes
from tests.unit.console import deployments

TARGET = Target("local", "123456789012", "eu-central-1", None, Path())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    monkeypatch.setattr(takedown, "_longest_run", lambda _: 0)
    with mock_aws():
        here = deployments.make(tmp_path)
        here.s3.put_object(Bucket="assets", Key="avatars/_default.jpg", Body=b"default")
        yield here
    clients.forget_clients()


@pytest.fixture
def invalidated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    paths: list[str] = []
    monkeypatch.setattr(cdn, "invalidate", lambda _here, more, _report: paths.extend(more))
    return paths


def upload(here: Deployment, key: str, body: bytes = b"original") -> str:
    """Upload an original, have variants and avatar made of it, and return its version."""
    stored = here.s3.put_object(Bucket="uploads", Key=key, Body=body)
    version = stored["ETag"].strip('"')
    name = Path(key).with_suffix("").as_posix()
    here.s3.put_object(Bucket="assets", Key=f"variants/{name}/{version}/512.jpg", Body=b"jpeg")
    here.s3.put_object(
        Bucket="assets", Key=f"avatars/{name}.jpg", Metadata={"version": version}, Body=b"jpeg"
    )
    return version


def change(here: Deployment, name: str = "ada") -> Change:
    return takedown.take_down(TARGET, here, name)


def keys(here: Deployment, name: str = "ada") -> set[str]:
    return {f"{item.bucket}/{item.key}" for item in takedown.objects_of(here, name)}


def test_everything_of_the_avatar_is_listed_and_nothing_of_another(here: Deployment) -> None:
    version = upload(here, "ada.png")
    for key in ("ada", "ada.jpg"):
        here.s3.put_object(Bucket="uploads", Key=key, Body=b"another")
    here.s3.delete_object(Bucket="uploads", Key="ada.jpg")
    rejected = deployments.reject(here, "ada.gif")
    others = ["people/ada.png", "adamant.png", "ada-2.png", "ada/lovelace.png", "Ada.png"]
    for key in (*others, "ada.tar.gz"):
        upload(here, key)
    assert keys(here) == {
        *(f"uploads/ada{extension}" for extension in ("", ".jpg", ".png", ".gif")),
        f"assets/variants/ada/{version}/512.jpg",
        f"assets/rejections/ada/{rejected}.json",
        "assets/avatars/ada.jpg",
    }
    # the deleted one in both its versions
    assert len(takedown.objects_of(here, "ada")) == 8


def test_nothing_but_that_is_deleted(here: Deployment, invalidated: list[str]) -> None:
    upload(here, "ada.png")
    upload(here, "people/ada.png")
    before = keys(here, "people/ada")
    shown = change(here)
    lines = list(shown.lines())
    assert len([line for line in lines if line.startswith("delete ")]) == 3
    assert shown.execute(ignore) == "2 objects deleted"
    assert keys(here) == set()
    assert keys(here, "people/ada") == before
    assert outcomes.shown_version(here, "people/ada")
    assert lines[-1] == f"invalidate {' '.join(invalidated)}"


def test_a_taken_down_avatar_shows_the_default_and_says_when_it_went(
    here: Deployment, invalidated: list[str]
) -> None:
    upload(here, "ada.png")
    change(here).execute(ignore)
    found = here.s3.get_object(Bucket="assets", Key="avatars/ada.jpg")
    assert found["Body"].read().startswith(b"default")
    assert found["Metadata"].keys() == {"removed", "uploaded"}
    removed = datetime.fromisoformat(found["Metadata"]["removed"])
    assert datetime.now(UTC) - removed < timedelta(minutes=1)
    tags = here.s3.get_object_tagging(Bucket="assets", Key="avatars/ada.jpg")["TagSet"]
    assert tags == [{"Key": "avatar-removed", "Value": "true"}]
    assert outcomes.shown_version(here, "ada") is None
    assert invalidated


def test_a_picture_that_came_after_the_listing_is_shown_before_it_goes(
    here: Deployment, invalidated: list[str]
) -> None:
    upload(here, "ada.png", b"first")
    shown = change(here)
    second = upload(here, "ada.png", b"second")
    for refuses in (shown.check, lambda: shown.execute(ignore)):
        with pytest.raises(StaleChangeError, match=r"came at .* that was not listed"):
            refuses()
    assert outcomes.shown_version(here, "ada") == second
    assert len(keys(here)) == 4
    assert not invalidated
    change(here).execute(ignore)
    assert keys(here) == set()


def test_a_picture_that_comes_after_the_removal_stays(
    here: Deployment, invalidated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(here, "ada.png", b"first")
    write = takedown._write_mark

    def and_then(*arguments: Any) -> None:
        write(*arguments)
        later = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=2)
        monkeypatch.setattr("moto.s3.models.utcnow", lambda: later)
        upload(here, "ada.png", b"second")

    monkeypatch.setattr(takedown, "_write_mark", and_then)
    change(here).execute(ignore)
    assert {key.rpartition("/")[2] for key in keys(here)} == {"ada.png", "512.jpg", "ada.jpg"}
    assert len(takedown.objects_of(here, "ada")) == 3


def test_after_a_failed_invalidation_all_is_deleted_and_the_same_again_ends_it(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(here, "ada.png")
    calls = []
    denied = True

    def refuse(_here: Deployment, paths: list[str], _report: object) -> str:
        calls.append(paths)
        if denied:
            raise OperationError("Could not invalidate: AccessDenied.", "Get the right.")
        return "I1"

    monkeypatch.setattr(cdn, "invalidate", refuse)
    with pytest.raises(OperationError, match="AccessDenied"):
        change(here).execute(ignore)
    assert keys(here) == set()
    denied = False
    assert change(here).execute(ignore) == "0 objects deleted"
    assert calls[-1] == ["/avatars/ada.jpg", "/variants/ada/*", "/rejections/ada/*"]


def test_what_is_nowhere_stored_can_be_dropped_from_the_caches(
    here: Deployment, invalidated: list[str]
) -> None:
    here.s3.delete_object(Bucket="assets", Key="avatars/_default.jpg")
    assert change(here, "people/ghost").execute(ignore) == "0 objects deleted"
    assert invalidated[0] == "/avatars/people/ghost.jpg"


@pytest.mark.parametrize("name", ["", "_default", "people/"])
def test_what_is_not_an_avatars_name_is_refused(here: Deployment, name: str) -> None:
    with pytest.raises(OperationError, match="not a valid avatar name"):
        change(here, name)


def test_an_invalidation_waits_for_those_in_progress(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(cdn.time, "sleep", waits.append)

    class CloudFront:
        def create_invalidation(self, **_: Any) -> dict[str, Any]:
            if len(waits) < 3:
                error: Any = {"Error": {"Code": "TooManyInvalidationsInProgress", "Message": "15"}}
                raise ClientError(error, "CreateInvalidation")
            return {"Invalidation": {"Id": "I1", "Status": "Completed"}}

    monkeypatch.setattr(Deployment, "cloudfront", CloudFront())
    assert cdn.invalidate(here, cdn.paths_of("ada"), ignore) == "I1"
    assert len(waits) == 3


def test_a_removal_is_a_change(here: Deployment) -> None:
    shown = cast("Any", change(here))
    assert (shown.action, shown.subject, shown.destructive) == ("clear", "ada", True)
    assert shown.target is TARGET
