"""Invalidations: their paths, their price, and what was invalidated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from console.operations.avatars import cdn
from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.progress import ignore

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients.forget_clients()
    cdn._known_paths.clear()
    with mock_aws():
        yield Deployment(
            name="test",
            region="eu-central-1",
            api_url="",
            assets_url="",
            uploads_bucket="uploads",
            assets_bucket="assets",
            distribution_id="E123",
            user_pool_id="",
            user_pool_client_id="",
            queue_url="",
            dead_letter_queue_url="",
            topic_arn="",
            function_names={},
            access={},
        )
    clients.forget_clients()


def listed(ages: dict[str, timedelta], *, marker: str | None = None) -> dict[str, object]:
    page: dict[str, object] = {
        "Marker": "",
        "MaxItems": 100,
        "IsTruncated": marker is not None,
        "Quantity": len(ages),
        "Items": [
            {"Id": name, "CreateTime": NOW - age, "Status": "Completed"}
            for name, age in ages.items()
        ],
    }
    return {"InvalidationList": page | ({"NextMarker": marker} if marker else {})}


def invalidation(name: str, *paths: str) -> dict[str, object]:
    return {
        "Invalidation": {
            "Id": name,
            "Status": "Completed",
            "CreateTime": NOW,
            "InvalidationBatch": {
                "Paths": {"Quantity": len(paths), "Items": list(paths)},
                "CallerReference": name,
            },
        }
    }


def test_the_months_paths_are_counted_over_pages_and_the_listing_ends_with_the_month(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdn, "_WORKERS", 1)  # the stub answers in one order
    day = timedelta(days=1)
    with Stubber(here.cloudfront) as stub:
        # newest first, as CloudFront lists them; a third page is never asked for
        stub.add_response("list_invalidations", listed({"new": day}, marker="next"))
        stub.add_response(
            "list_invalidations", listed({"older": 2 * day, "february": 15 * day}, marker="more")
        )
        stub.add_response("get_invalidation", invalidation("new", "/a", "/b/*"))
        stub.add_response("get_invalidation", invalidation("older", "/c"))
        stub.add_response("get_invalidation", invalidation("february", "/d", "/e"))
        found = cdn.history(here, NOW)
        stub.assert_no_pending_responses()
        assert [item.id for item in found.invalidations] == ["new", "older", "february"]
        assert found.invalidations[0].paths == ("/a", "/b/*")
        assert (found.paths_this_month, found.uncounted) == (3, 0)
        # a second look asks for no invalidation again
        stub.add_response("list_invalidations", listed({"new": day, "february": 15 * day}))
        assert cdn.history(here, NOW).paths_this_month == 2


def test_a_busy_month_is_counted_in_several_looks(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdn, "_WORKERS", 1)
    monkeypatch.setattr(cdn, "_ASKED_AT_ONCE", 1)
    page = listed({"one": timedelta(hours=1), "two": timedelta(hours=2)})
    with Stubber(here.cloudfront) as stub:
        stub.add_response("list_invalidations", page)
        stub.add_response("get_invalidation", invalidation("one", "/a"))
        found = cdn.history(here, NOW)
        assert (found.paths_this_month, found.uncounted) == (1, 1)
        assert found.invalidations[1].paths is None
        stub.add_response("list_invalidations", page)
        stub.add_response("get_invalidation", invalidation("two", "/b", "/c"))
        found = cdn.history(here, NOW)
        assert (found.paths_this_month, found.uncounted) == (3, 0)


@pytest.mark.parametrize(
    ("used", "paths", "usd"),
    [(0, 1000, 0), (999, 1, 0), (999, 3, 0.01), (1000, 1, 0.005), (5000, 200, 1)],
)
def test_a_path_costs_only_beyond_the_thousand_free_ones(used: int, paths: int, usd: float) -> None:
    assert cdn.cost(used, paths) == pytest.approx(usd)


def test_several_paths_of_one_folder_are_better_one_wildcard() -> None:
    paths = ["/avatars/a.jpg", "/avatars/b.jpg", "/banners/banner.jpg", "/avatars/c.jpg"]
    (advice,) = cdn.advise(paths)
    assert (advice.wildcard, advice.already_there) == ("/avatars/*", False)
    assert cdn.follow(advice, paths) == ["/banners/banner.jpg", "/avatars/*"]
    assert cdn.advise(paths[:2]) == []
    # never everything at once
    assert cdn.advise(["/a", "/b", "/c", "/d"]) == []


def test_variants_of_several_avatars_are_better_one_wildcard_above_them() -> None:
    (advice,) = cdn.advise(["/variants/a/*", "/variants/b/*", "/variants/c/*"])
    assert advice.wildcard == "/variants/*"


def test_what_a_wildcard_covers_is_named() -> None:
    paths = ["/variants/ada/*", "/variants/ada/1/512.jpg", "/avatars/ada.jpg"]
    (advice,) = cdn.advise(paths)
    assert (advice.instead_of, advice.already_there) == (("/variants/ada/1/512.jpg",), True)
    assert cdn.follow(advice, paths) == ["/variants/ada/*", "/avatars/ada.jpg"]


def test_a_path_shows_what_it_matches(here: Deployment) -> None:
    s3 = boto3.client("s3", region_name="eu-central-1")
    s3.create_bucket(
        Bucket="assets", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    for key in ("avatars/café.jpg", "avatars/caffè.jpg", "avatars/café.jpg.bak"):
        s3.put_object(Bucket="assets", Key=key, Body=b"")
    exact = cdn.match(here, cdn.paths_of("café")[0])
    assert exact.keys == ("avatars/café.jpg",)
    assert cdn.match(here, "/avatars/caf").keys == ()
    assert len(cdn.match(here, "/avatars/caf*").keys) == 3
    assert not cdn.match(here, "/*").more


def test_a_wildcard_over_more_than_a_page_says_that_there_is_more(here: Deployment) -> None:
    keys = [{"Key": f"avatars/{number}.jpg"} for number in range(1000)]
    with Stubber(here.s3) as stub:
        stub.add_response("list_objects_v2", {"Contents": keys, "IsTruncated": True})
        found = cdn.match(here, "/avatars/*")
    assert (len(found.keys), found.more) == (1000, True)


def test_more_wildcards_than_cloudfront_takes_are_refused() -> None:
    with pytest.raises(OperationError, match="16 wildcards are too many"):
        cdn.checked_paths(" ".join(f"/{number}/*" for number in range(16)))
    assert len(cdn.checked_paths(" ".join(f"/{number}/*" for number in range(15)))) == 15


def test_the_same_click_reaches_cloudfront_with_the_same_reference(here: Deployment) -> None:
    with Stubber(here.cloudfront) as stub:
        stub.add_response(
            "create_invalidation",
            invalidation("I1", "/a"),
            {
                "DistributionId": "E123",
                "InvalidationBatch": {
                    "Paths": {"Quantity": 1, "Items": ["/a"]},
                    "CallerReference": "click-1",
                },
            },
        )
        assert cdn.invalidate(here, ["/a"], ignore, reference="click-1") == "I1"
