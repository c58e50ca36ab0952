"""The CDN page, with and without what it needs."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from console import session
from console.operations.avatars import cdn
from console.operations.environments import deployment
from console.operations.errors import OperationError
from tests.integration.system import wait_until
from tests.unit.console.pages.conftest import Show, text


@pytest.fixture
def distribution(settings: Path) -> str:
    """A distribution and a bucket with one avatar."""
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="assets")
    s3.put_object(Bucket="assets", Key="avatars/ada.jpg", Body=b"")
    made = boto3.client("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": "test",
            "Comment": "",
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "assets",
                        "DomainName": "assets.s3.amazonaws.com",
                        "S3OriginConfig": {"OriginAccessIdentity": ""},
                    }
                ],
            },
            "DefaultCacheBehavior": {
                "TargetOriginId": "assets",
                "ViewerProtocolPolicy": "https-only",
            },
        }
    )["Distribution"]["Id"]
    settings.write_text(settings.read_text().replace("E123", made))
    return made


def test_an_avatar_is_shown_with_what_it_matches_and_costs_before_it_is_dropped(
    show: Show, distribution: str
) -> None:
    app = show("cdn")
    assert "Type an avatar's name" in text(app)
    app.text_input(key="cdn name").set_value("ada").run()
    rows = app.dataframe[0].value
    assert list(rows["Path"]) == ["/avatars/ada.jpg", "/variants/ada/*", "/rejections/ada/*"]
    assert rows["Such as"][0] == "avatars/ada.jpg"
    assert rows["Objects"][1] == "none"
    assert "**free**" in text(app)
    assert session.jobs().of("cdn") == []


def test_one_click_invalidates_once(
    show: Show, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[list[str], str | None]] = []

    def invalidate(_here: object, paths: list[str], _report: object, reference: str) -> str:
        done.append((paths, reference))
        return "I1"

    monkeypatch.setattr(cdn, "invalidate", invalidate)  # moto never completes one
    app = show("cdn")
    app.text_input(key="cdn name").set_value("ada").run()
    button = next(item for item in app.button if item.label.startswith("Invalidate"))
    button.click().run()
    (job,) = session.jobs().of("cdn")
    wait_until(lambda: job.ended, "the invalidation")
    button.click().run()  # the second of a double click
    assert session.jobs().of("cdn") == [job]
    assert [paths for paths, _ in done] == [cdn.paths_of("ada")]
    assert "CloudFront has dropped them" in text(app)


def test_a_wrong_path_is_explained_and_advice_can_be_taken(show: Show, distribution: str) -> None:
    app = show("cdn")
    app.session_state["cdn what"] = "Paths"
    app.run()
    app.text_area(key="cdn paths").set_value("avatars/ada.jpg").run()
    assert "Use /avatars/ada.jpg" in text(app)
    app.text_area(key="cdn paths").set_value("/avatars/a.jpg /avatars/b.jpg /avatars/c.jpg").run()
    assert "saves 2 paths" in text(app)
    app.button(key="use /avatars/*").click().run()
    assert app.text_area(key="cdn paths").value == "/avatars/*"
    assert list(app.dataframe[0].value["Path"]) == ["/avatars/*"]


def test_what_may_be_everything_wants_the_environments_name_typed(
    show: Show, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks(paths: str) -> bool:
        app.text_area(key="cdn paths").set_value(paths).run()
        typed = [field for field in app.text_input if field.label.startswith("Type **local**")]
        button = next(item for item in app.button if item.label.startswith("Invalidate"))
        assert button.disabled == bool(typed)
        return bool(typed)

    app = show("cdn")
    app.session_state["cdn what"] = "Paths"
    app.run()
    assert not asks("/avatars/*")
    assert asks("/*")
    several = " ".join(f"/banners/{number}.jpg" for number in range(10))
    assert not asks(f"{several} /banners/10.jpg")
    assert asks(f"{several} /avatars/*"), "it is not looked up"

    def denied(_here: object, path: str) -> cdn.Match:
        raise OperationError(f"Could not look what {path} matches.", "Ask for that permission.")

    monkeypatch.setattr(cdn, "match", denied)
    assert asks("/banners/*")
    assert not asks("/banners/a.jpg")


def test_a_viewer_sees_all_and_can_click_nothing(show: Show, distribution: str) -> None:
    app = show("cdn", group="viewers")
    app.text_input(key="cdn name").set_value("ada").run()
    button = next(item for item in app.button if item.label.startswith("Invalidate"))
    assert button.disabled
    assert "change nothing" in button.help


def test_a_denied_permission_leaves_the_rest_of_the_page(show: Show, settings: Path) -> None:
    cloudfront = deployment.load("local").cloudfront
    with Stubber(cloudfront) as stub:
        for _ in ("the overview, which comes first", "this page"):
            stub.add_client_error("list_invalidations", "AccessDenied", "not authorized")
        app = show("cdn")
    assert "Ask for that permission" in text(app)
    app.text_input(key="cdn name").set_value("ada").run()
    assert "Could not look what /avatars/ada.jpg matches" in text(app)
    assert "What to do" in text(app)
    assert any(item.label.startswith("Invalidate") for item in app.button)
    assert not app.exception


def test_without_an_environment_the_page_says_how_to_make_one(show: Show, settings: Path) -> None:
    settings.unlink()
    app = show("cdn")
    assert "make up" in text(app)
    assert not app.exception


def test_without_credentials_it_says_to_sign_in(
    show: Show, settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    app = show("cdn")
    assert "aws sso login" in text(app)
    assert not app.exception
