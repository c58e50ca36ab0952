"""The list of what is held or reported, and what becomes of it, by moto's tables."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from console.operations.avatars import cdn, moderation, takedown
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import rejections, reviews
from console.operations.pipeline.causes import Selection
from console.operations.progress import ignore
from console.operations.uploads import locks
from tests.integration.system import NOWHERE
from tests.unit.console import deployments

PICTURE = hashlib.md5(b"picture", usedforsecurity=False).hexdigest()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        yield deployments.make(tmp_path)


def only(here: Deployment) -> reviews.Review:
    (review,) = reviews.page(here).reviews
    return review


def show(here: Deployment, name: str, version_id: str, version: str = PICTURE) -> None:
    metadata = {
        "version": version,
        "version-id": version_id,
        "source-key": name,
        "uploaded": "2026-01-02T03:04:05+00:00",
    }
    here.s3.put_object(
        Bucket=here.assets_bucket, Key=f"avatars/{name}.jpg", Body=b"x", Metadata=metadata
    )


def test_a_reported_picture_is_taken_down_in_whichever_crop_it_is_shown(here: Deployment) -> None:
    """Who crops it again has not replaced it."""
    deployments.hold(here, "ada", state="reported")
    show(here, "ada", "a later one", f"{PICTURE}-3d090000007a120")
    change = moderation.refuse(NOWHERE, here, only(here), lock=False)
    assert change.destructive
    change.check()
    show(here, "ada", "another", "0" * 32)
    with pytest.raises(StaleChangeError, match="another picture than before"):
        change.check()


def sent(here: Deployment) -> list[dict[str, Any]]:
    answer = here.sqs.receive_message(QueueUrl=here.queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def test_the_list_is_oldest_first_and_goes_on_page_by_page(here: Deployment) -> None:
    for number in (3, 1, 5, 2, 4):
        deployments.hold(here, f"user-{number}", since=1767323000 + number)
    first = reviews.page(here, limit=2)
    second = reviews.page(here, first.after, limit=2)
    last = reviews.page(here, second.after, limit=2)
    found = [*first.reviews, *second.reviews, *last.reviews]
    assert [each.key for each in found] == [f"user-{number}" for number in range(1, 6)]
    assert last.after is None
    assert reviews.summary(here) == reviews.Summary(5, False, 1767323001)


def test_an_empty_list_is_one(here: Deployment) -> None:
    assert reviews.page(here).reviews == ()
    assert reviews.summary(here) == reviews.Summary(0, False, None)


def test_an_environment_without_moderation_says_how_to_turn_it_on(
    here: Deployment, tmp_path: Path
) -> None:
    off = Deployment(**{**vars(here), "reviews_table": ""})
    with pytest.raises(OperationError, match="its setting `moderation` is off") as raised:
        reviews.page(off)
    assert "make apply ENV=local" in raised.value.remedy
    assert reviews.drop(off, "ada") == 0


def test_an_approved_upload_is_sent_again_in_its_place(here: Deployment) -> None:
    version_id = deployments.hold(here, "ada")
    change = moderation.approve(NOWHERE, here, only(here))
    assert list(change.lines()) == [
        f"show ada {version_id} as the avatar ada, unless a later one is"
    ]
    change.check()
    change.execute(ignore)
    (event,) = sent(here)
    (record,) = event["Records"]
    assert record["s3"]["object"] == {"key": "ada", "versionId": version_id, "sequencer": "01"}
    assert "eventTime" not in record, "or it would count as an upload"
    assert reviews.page(here).reviews == ()
    (review,) = reviews.of_avatar(here, "ada")
    assert (review.state, review.waits) == ("approved", False)


def test_a_refused_upload_is_sent_again_to_be_rejected(here: Deployment) -> None:
    version_id = deployments.hold(here, "ada")
    change = moderation.refuse(NOWHERE, here, only(here), lock=False)
    assert list(change.lines()) == [f"reject ada {version_id}: not_allowed"]
    assert not change.destructive
    change.execute(ignore)
    assert len(sent(here)) == 1
    assert reviews.of_avatar(here, "ada")[0].state == "refused"
    assert locks.locked_since(here, "ada") is None


def test_its_sender_may_be_locked_with_it(here: Deployment) -> None:
    deployments.hold(here, "ada")
    change = moderation.refuse(NOWHERE, here, only(here), lock=True)
    assert change.action == "refuse and lock"
    assert "ada may send no pictures (limits)" in change.lines()
    change.execute(ignore)
    assert locks.locked_since(here, "ada")


def test_with_a_banner_its_user_is_locked(here: Deployment) -> None:
    deployments.hold(here, "banners/ada")
    change = moderation.refuse(NOWHERE, here, only(here), lock=True)
    assert "ada may send no pictures (limits)" in change.lines()
    change.execute(ignore)
    assert locks.locked_since(here, "ada")
    assert locks.locked_since(here, "banners/ada") is None


def test_an_operators_file_has_nobody_to_lock(here: Deployment) -> None:
    deployments.hold(here, "data.jpg")
    with pytest.raises(OperationError, match="no user to lock"):
        moderation.refuse(NOWHERE, here, only(here), lock=True)


def test_two_operators_do_not_decide_both(here: Deployment) -> None:
    deployments.hold(here, "ada")
    review = only(here)
    slow = moderation.refuse(NOWHERE, here, review, lock=False)
    slow.check()
    moderation.approve(NOWHERE, here, review).execute(ignore)
    with pytest.raises(StaleChangeError, match="somebody has decided"):
        slow.check()
    with pytest.raises(StaleChangeError, match="somebody has decided"):
        slow.execute(ignore)
    assert reviews.of_avatar(here, "ada")[0].state == "approved"


def test_a_decision_that_was_not_sent_is_completed_and_not_changed(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments.hold(here, "ada")

    def broken(*_: Any, **__: Any) -> None:
        raise OperationError("The queue is away.", "Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(reviews.reconcile, "event", broken)
        with pytest.raises(OperationError, match="away"):
            moderation.approve(NOWHERE, here, only(here)).execute(ignore)
    left = only(here)
    assert left.state == "approved"
    with pytest.raises(StaleChangeError):
        moderation.refuse(NOWHERE, here, left, lock=False).execute(ignore)
    moderation.approve(NOWHERE, here, left).execute(ignore)
    assert len(sent(here)) == 1
    assert reviews.page(here).reviews == ()


def test_a_reported_picture_that_is_allowed_stays_and_is_not_sent_again(here: Deployment) -> None:
    said = (("nudity", "look"), ("other", ""))
    show(here, "ada", deployments.hold(here, "ada", state="reported", reports=said))
    review = only(here)
    assert {(each.reason, each.text) for each in review.reports} == set(said)
    moderation.approve(NOWHERE, here, review).execute(ignore)
    assert sent(here) == []
    assert reviews.page(here).reviews == ()


def test_a_reported_picture_that_is_refused_is_taken_down(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takedown, "_longest_run", lambda _: 0)
    monkeypatch.setattr(cdn, "invalidate", lambda *_: "")
    show(here, "ada", deployments.hold(here, "ada", state="reported"))
    change = moderation.refuse(NOWHERE, here, only(here), lock=False)
    assert change.destructive
    assert "show the default picture at avatars/ada.jpg" in change.lines()
    change.check()
    change.execute(ignore)
    assert here.s3.list_object_versions(Bucket=here.uploads_bucket).get("Versions") is None
    assert "removed" in here.s3.head_object(Bucket="assets", Key="avatars/ada.jpg")["Metadata"]
    assert reviews.of_avatar(here, "ada") == []


def test_of_a_reported_banner_that_is_refused_the_avatar_stays(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takedown, "_longest_run", lambda _: 0)
    monkeypatch.setattr(cdn, "invalidate", lambda *_: "")
    show(here, "ada", deployments.hold(here, "ada", state="approved"))
    show(here, "banners/ada", deployments.hold(here, "banners/ada", state="reported", since=1))
    for key, body in (("avatars/_default.jpg", b"avatar"), ("banners/banner.jpg", b"banner")):
        here.s3.put_object(Bucket=here.assets_bucket, Key=key, Body=body)
    (banner,) = (each for each in reviews.page(here).reviews if each.name == "banners/ada")
    change = moderation.refuse(NOWHERE, here, banner, lock=False)
    assert "show the default picture at avatars/banners/ada.jpg" in change.lines()
    change.check()
    change.execute(ignore)
    left = here.s3.list_object_versions(Bucket=here.uploads_bucket)["Versions"]
    assert [item["Key"] for item in left] == ["ada"]
    for key, removed in (("avatars/ada.jpg", False), ("avatars/banners/ada.jpg", True)):
        shown = here.s3.head_object(Bucket="assets", Key=key)["Metadata"]
        assert ("removed" in shown) == removed
    marked = here.s3.get_object(Bucket="assets", Key="avatars/banners/ada.jpg")["Body"].read()
    assert marked.startswith(b"banner")
    assert reviews.of_avatar(here, "banners/ada") == []
    assert len(reviews.of_avatar(here, "ada")) == 1


def test_a_reported_picture_that_was_replaced_takes_nothing_down(here: Deployment) -> None:
    deployments.hold(here, "ada", state="reported")
    show(here, "ada", "later", "0" * 32)
    review = only(here)
    change = moderation.refuse(NOWHERE, here, review, lock=False)
    assert not change.destructive
    change.execute(ignore)
    assert len(here.s3.list_object_versions(Bucket=here.uploads_bucket)["Versions"]) == 1
    assert reviews.of_avatar(here, "ada")[0].state == "refused"


def test_a_picture_that_is_replaced_while_it_is_judged_is_looked_at_again(
    here: Deployment,
) -> None:
    show(here, "ada", deployments.hold(here, "ada", state="reported"))
    change = moderation.refuse(NOWHERE, here, only(here), lock=False)
    show(here, "ada", "later", "0" * 32)
    with pytest.raises(StaleChangeError, match="another picture than before"):
        change.check()


def test_dropping_leaves_later_uploads(here: Deployment) -> None:
    deployments.hold(here, "ada")
    deployments.hold(here, "ada.png")
    assert reviews.drop(here, "ada", datetime(2026, 1, 1, tzinfo=UTC)) == 0
    assert reviews.drop(here, "ada") == 2
    assert reviews.of_avatar(here, "ada") == []


def test_what_is_held_is_not_among_the_rejected(here: Deployment) -> None:
    deployments.reject(here, "ada.jpg", code="held")
    deployments.reject(here, "grace.jpg")
    everything = Selection(time.time() - 60, time.time() + 1)
    assert [each.key for each in rejections.page(here, everything).uploads] == ["grace.jpg"]


def test_a_list_of_more_than_is_counted_says_at_least(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "_COUNTED", 3)
    for number in range(5):
        deployments.hold(here, f"user-{number}")
    assert reviews.summary(here).more
    assert reviews.summary(here).count == 3


def test_scripts_get_what_operators_see(here: Deployment) -> None:
    deployments.hold(here, "ada", reports=(("hate", "text"),))
    said = reviews.as_json(only(here))
    assert json.loads(json.dumps(said))["reports"] == [{"reason": "hate", "text": "text"}]
    assert said["key"] == "ada"
