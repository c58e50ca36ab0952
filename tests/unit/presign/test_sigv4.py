"""The signature is the one that botocore's own client makes."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import botocore.session
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presign.sigv4 import Credentials, presign_put

# The host of a bucket, and the endpoint that makes botocore use it; {} stands for the region.
PLACES = {
    "https://avatar-uploads.s3.{}.amazonaws.com": ("avatar-uploads", None),
    "https://s3.{}.amazonaws.com/uploads.example.com": ("uploads.example.com", None),
    "http://localhost:4566/avatar-uploads": ("avatar-uploads", "http://localhost:4566"),
    "http://127.0.0.1:80/avatar-uploads": ("avatar-uploads", "http://127.0.0.1:80"),
    "https://s3.example.com:443/avatar-uploads": ("avatar-uploads", "https://s3.example.com:443"),
    "https://s3.example.com:1443/avatar-uploads": ("avatar-uploads", "https://s3.example.com:1443"),
}
REGIONS = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "us-gov-west-1",
    "ap-southeast-7",
    "il-central-1",
    "mx-central-1",
]
SESSION: Any = botocore.session.Session()
SESSION.set_credentials("set", "for each example")
SECRETS = st.text("ABCdef0189/+=", min_size=1, max_size=60)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.uuids().map(
    str
)


@functools.cache
def botocore_client(endpoint: str | None, region: str) -> Any:
    # Without the second setting its URLs of us-east-1 go to the global endpoint.
    s3: Any = {
        "addressing_style": "path" if endpoint else "virtual",
        "us_east_1_regional_endpoint": "regional",
    }
    config = Config(signature_version="s3v4", s3=s3)
    return SESSION.create_client("s3", region_name=region, endpoint_url=endpoint, config=config)


def botocore_url(
    place: str, key: str, headers: dict[str, str], region: str, signer: Credentials, expiry: int
) -> str:
    bucket, endpoint = PLACES[place]
    client = botocore_client(endpoint, region)
    credentials = SESSION.get_credentials()  # the one object that all clients sign with
    credentials.access_key = signer.access_key
    credentials.secret_key = signer.secret_key
    credentials.token = signer.session_token
    parameters = {
        "Bucket": bucket,
        "Key": key,
        "ContentType": headers["content-type"],
        "ContentLength": int(headers["content-length"]),
    }
    url: str = client.generate_presigned_url("put_object", parameters, expiry)
    return url


def parts(url: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Return all that the URL says; the order of its parameters says nothing."""
    address = urlsplit(url)
    query = parse_qsl(address.query, strict_parsing=True)
    return address.scheme, address.netloc, address.path, sorted(query)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    place=st.sampled_from(list(PLACES)),
    key=KEYS,
    content_type=st.sampled_from(["image/jpeg", "image/png", "image/avif"]),
    size=st.integers(1, 5 * 2**30),
    region=st.sampled_from(REGIONS),
    credentials=st.builds(
        Credentials,
        st.text("ABCXYZ0189", min_size=16, max_size=20),
        SECRETS,
        st.none() | SECRETS,
    ),
    expiry=st.integers(1, 604_800),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001
)
def test_equals_the_url_of_botocores_client(
    place: str,
    key: str,
    content_type: str,
    size: int,
    region: str,
    credentials: Credentials,
    expiry: int,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    headers = {"content-type": content_type, "content-length": str(size)}
    ours = presign_put(
        place.format(region),
        key,
        headers,
        region=region,
        credentials=credentials,
        expires_in=expiry,
        now=now.replace(tzinfo=UTC),
    )
    assert parts(ours) == parts(botocore_url(place, key, headers, region, credentials, expiry))


def test_credentials_do_not_show_their_secrets() -> None:
    assert "hidden" not in repr(Credentials("AKIAEXAMPLE", "hidden", "hidden too"))
