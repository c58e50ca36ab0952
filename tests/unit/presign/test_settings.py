"""The presigning function's settings."""

from __future__ import annotations

import pytest

from env_settings import SettingsError
from presign.settings import from_environment


def test_the_bucket_and_what_lambda_sets_are_enough(environment: pytest.MonkeyPatch) -> None:
    settings = from_environment()
    assert settings.bucket_url == "https://avatar-uploads.s3.eu-west-1.amazonaws.com"
    assert settings.max_upload_bytes == 25 * 2**20


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"AWS_ENDPOINT_URL": "http://localhost:4566"}, "http://localhost:4566/avatar-uploads"),
        ({"AWS_ENDPOINT_URL": "http://localhost:4566/"}, "http://localhost:4566/avatar-uploads"),
        (
            {"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_S3": "https://s3.example.com"},
            "https://s3.example.com/avatar-uploads",
        ),
        (
            {"UPLOADS_BUCKET_NAME": "uploads.example.com"},
            "https://s3.eu-west-1.amazonaws.com/uploads.example.com",
        ),
    ],
)
def test_the_buckets_address_follows_endpoint_and_name(
    variables: dict[str, str], url: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert from_environment().bucket_url == url


def test_works_without_a_session_token(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("AWS_SESSION_TOKEN")
    assert from_environment().credentials.session_token is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPLOADS_BUCKET_NAME", ""),
        ("UPLOADS_BUCKET_NAME", "Avatar_Uploads"),
        ("UPLOADS_BUCKET_NAME", "ab"),
        ("AWS_REGION", ""),
        ("AWS_REGION", "cn-north-1"),
        ("AWS_REGION", "us-iso-east-1"),
        ("AWS_REGION", "europe"),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("AWS_ENDPOINT_URL", "http://localhost:4566/path"),
        ("AWS_ENDPOINT_URL_S3", "ftp://localhost"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("MAX_UPLOAD_BYTES", "10MB"),
        ("MAX_UPLOAD_BYTES", "33554433"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} "):
        from_environment()
