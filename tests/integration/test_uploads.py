"""A user's picture, from the API to the CDN, on the embedded AWS."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from console.operations import web
from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.system import Webhook, picture, wait_for_version, wait_until


def ask(here: Deployment, token: str | None, body: dict[str, Any]) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return web.request(
        "POST", f"{here.api_url}/avatars/key_upload", headers, json.dumps(body).encode()
    )


def grant(
    here: Deployment, user: SignIn, data: bytes, extension: str = "jpg", **members: Any
) -> dict[str, Any]:
    answer = ask(here, user.token, {"extension": extension, "size": len(data)} | members)
    assert answer.status == 200, answer.body
    granted: dict[str, Any] = answer.json()
    return granted


def send(
    here: Deployment, user: SignIn, data: bytes, extension: str = "jpg", **members: Any
) -> str:
    granted = grant(here, user, data, extension, **members)
    stored = web.request("PUT", granted["url"], granted["headers"], data)
    assert stored.status == 200, stored.body
    return stored.headers["etag"].strip('"')


def opened(url: str) -> tuple[web.Response, Image.Image]:
    answer = web.request("GET", url)
    assert answer.status == 200, answer.body
    picture = Image.open(io.BytesIO(answer.body))
    picture.load()
    return answer, picture


def test_an_upload_arrives_as_avatar_and_variants(here: Deployment, ada: SignIn) -> None:
    with_metadata = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Phone"
    Image.open(io.BytesIO(picture(1, (1600, 1200)))).save(with_metadata, "JPEG", exif=exif)
    version = send(here, ada, with_metadata.getvalue())
    wait_for_version(here, ada.sub, version)

    answer, avatar = opened(f"{here.assets_url}/avatars/{ada.sub}.jpg")
    assert (avatar.format, avatar.size, avatar.mode) == ("JPEG", (512, 512), "RGB")
    assert not avatar.getexif()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "public, max-age=60"

    for size, extension, image_format in ((512, "jpg", "JPEG"), (128, "webp", "WEBP")):
        answer, variant = opened(
            f"{here.assets_url}/variants/{ada.sub}/{version}/{size}.{extension}"
        )
        assert (variant.format, variant.size) == (image_format, (size, size))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_a_later_upload_replaces_the_avatar(here: Deployment, ada: SignIn) -> None:
    wait_for_version(here, ada.sub, send(here, ada, picture(2)))
    before = web.request("GET", f"{here.assets_url}/avatars/{ada.sub}.jpg").body
    wait_for_version(here, ada.sub, send(here, ada, picture(3, image_format="PNG"), "png"))
    assert web.request("GET", f"{here.assets_url}/avatars/{ada.sub}.jpg").body != before


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("not.a.token", 403)], ids=["no token", "wrong token"]
)
def test_without_a_good_token_no_url_is_given(
    here: Deployment, token: str | None, status: int
) -> None:
    assert ask(here, token, {"extension": "jpg", "size": 10}).status == status


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"extension": "exe", "size": 10}, 400, "unsupported_extension"),
        ({"type": "image/heic", "size": 10}, 400, "unsupported_type"),
        ({"extension": "jpg"}, 400, "invalid_request"),
        ({"extension": "jpg", "size": 25 * 2**20 + 1}, 413, "too_large"),
    ],
)
def test_a_bad_request_is_answered_with_its_code(
    here: Deployment, ada: SignIn, body: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(here, ada.token, body)
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)


def test_only_the_signed_request_is_accepted(here: Deployment, ada: SignIn, grace: SignIn) -> None:
    data = picture(4)
    granted = grant(here, ada, data)
    url, headers = granted["url"], granted["headers"]
    assert granted["key"] == ada.sub

    def status(url: str, headers: dict[str, str], data: bytes) -> int:
        return web.request("PUT", url, headers, data).status

    assert status(url, {"Content-Type": "image/png"}, data) == 403
    assert status(url, headers, data + b"x") == 403
    assert status(url, headers, data[:-1]) == 403
    assert status(url.replace(f"/{ada.sub}?", f"/{grace.sub}?"), headers, data) == 403
    assert status(url.replace("X-Amz-Expires=300", "X-Amz-Expires=900"), headers, data) == 403
    assert status(url, headers, data) == 200


def test_an_expired_url_is_refused(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    from presign.sigv4 import Credentials, presign_put

    def presigned(age: timedelta) -> str:
        return presign_put(
            f"{here.access['AWS_ENDPOINT_URL']}/{here.uploads_bucket}",
            "expiring.jpg",
            {"content-type": "image/jpeg", "content-length": "3"},
            region=here.region,
            credentials=Credentials("test", "test", None),
            expires_in=300,
            now=datetime.now(UTC) - age,
        )

    headers = {"Content-Type": "image/jpeg"}
    late = web.request("PUT", presigned(timedelta(seconds=301)), headers, b"abc")
    assert late.status == 403
    assert b"expired" in late.body
    in_time = web.request("PUT", presigned(timedelta(seconds=200)), headers, b"abc")
    assert in_time.status == 200


def preflight(url: str, origin: str, method: str) -> web.Response:
    return web.request(
        "OPTIONS",
        url,
        {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "content-type",
        },
    )


def test_only_front_end_origins_pass_cors(here: Deployment, ada: SignIn) -> None:
    bucket_url = urlsplit(grant(here, ada, b"abc")["url"])._replace(query="").geturl()
    for url, method in ((f"{here.api_url}/avatars/key_upload", "POST"), (bucket_url, "PUT")):
        own = preflight(url, "http://localhost:3000", method)
        assert own.headers.get("access-control-allow-origin") == "http://localhost:3000"
        foreign = preflight(url, "https://evil.example", method)
        assert "access-control-allow-origin" not in foreign.headers


def test_nobody_reads_the_buckets_without_signing(here: Deployment, ada: SignIn) -> None:
    version = send(here, ada, picture(5))
    wait_for_version(here, ada.sub, version)
    endpoint = here.access["AWS_ENDPOINT_URL"]
    for path in (
        f"{here.uploads_bucket}/{ada.sub}",
        f"{here.assets_bucket}/avatars/{ada.sub}.jpg",
        f"{here.uploads_bucket}?list-type=2",
        f"{here.assets_bucket}?list-type=2",
    ):
        assert web.request("GET", f"{endpoint}/{path}").status == 403


def test_the_cdn_serves_nothing_but_its_prefixes(here: Deployment) -> None:
    here.s3.put_object(Bucket=here.assets_bucket, Key="private/secret.txt", Body=b"secret")
    answer = web.request("GET", f"{here.assets_url}/private/secret.txt")
    assert answer.status == 404
    assert b"secret" not in answer.body
    here.s3.delete_object(Bucket=here.assets_bucket, Key="private/secret.txt")


def test_browsers_are_told_to_take_images_for_nothing_else(here: Deployment) -> None:
    answer = web.request("GET", f"{here.assets_url}/avatars/_default.jpg")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert headers["content-security-policy"].endswith("sandbox")


def test_a_missing_avatar_shows_the_default_with_404(here: Deployment) -> None:
    answer = web.request("GET", f"{here.assets_url}/avatars/nobody.jpg")
    assert answer.status == 404
    default = Image.open(io.BytesIO(answer.body))
    assert (default.format, default.size) == ("JPEG", (512, 512))


def test_a_broken_file_is_rejected_where_everybody_can_see_why(
    here: Deployment, grace: SignIn
) -> None:
    good = send(here, grace, picture(6))
    wait_for_version(here, grace.sub, good)
    broken = send(here, grace, b"this is not a picture")
    rejection = wait_until(
        lambda: outcomes.rejection(here, grace.sub, broken), "the rejection's record"
    )
    assert rejection.code
    assert rejection.message.endswith(".")
    # the user's side
    public = web.request("GET", f"{here.assets_url}/rejections/{grace.sub}/{broken}.json")
    assert (public.status, public.json()["code"]) == (200, rejection.code)
    # the operator's side: the original is marked, and the avatar is still the good one
    tags = wait_until(
        lambda: here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key=grace.sub)["TagSet"],
        "the original's mark",
    )
    assert {"Key": "avatar-rejection", "Value": rejection.code} in tags
    assert outcomes.shown_version(here, grace.sub) == good


@pytest.fixture
def webhook(here: Deployment) -> Iterator[Webhook]:
    """A receiver subscribed as `webhook_url` does on AWS (see docs/local-differences.md)."""
    receiver = Webhook()
    sns = clients.client("sns", here.region, tuple(sorted(here.access.items())))
    sns.subscribe(
        TopicArn=here.topic_arn,
        Protocol="http",
        Endpoint=f"http://127.0.0.1:{receiver.port}/avatars",
    )
    wait_until(lambda: receiver.received, "the subscription's confirmation")
    yield receiver
    for subscription in sns.list_subscriptions_by_topic(TopicArn=here.topic_arn)["Subscriptions"]:
        if str(receiver.port) in subscription["Endpoint"]:
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    receiver.close()


def test_the_webhook_is_notified_of_a_new_avatar(
    here: Deployment, webhook: Webhook, ada: SignIn
) -> None:
    version = send(here, ada, picture(7))
    wait_for_version(here, ada.sub, version)

    def told() -> bool:
        messages = [
            json.loads(str(message["Message"]))
            for message in webhook.received
            if message["Type"] == "Notification"
        ]
        return any(
            record["s3"]["object"]["key"] == f"avatars/{ada.sub}.jpg"
            for message in messages
            for record in message.get("Records", [])
        )

    wait_until(told, "the webhook being told")
