"""The authorizer's settings."""

from __future__ import annotations

import pytest

from authorizer.settings import from_environment
from env_settings import SettingsError
from tests.unit.authorizer.pool import CLIENT_ID, ISSUER, POOL_ID, SETTINGS


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "JWKS_URL",
        "CLOCK_TOLERANCE_SECONDS",
        "REQUIRED_GROUP",
        "REQUIRED_SCOPE",
        "OTHER_ISSUERS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER_POOL_ID", POOL_ID)
    monkeypatch.setenv("CLIENT_ID", CLIENT_ID)


def test_a_pool_and_a_client_are_enough() -> None:
    assert from_environment() == SETTINGS


def test_another_address_of_the_keys_leaves_the_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "JWKS_URL", "http://localhost:4566/eu-west-1_TestPool1/.well-known/jwks.json"
    )
    settings = from_environment()
    assert settings.jwks_url.startswith("http://localhost:4566/")
    assert settings.issuers == (ISSUER,)


def test_the_clients_of_web_and_phones_and_a_replicas_issuer_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = f"https://cognito-idp.eu-west-2.amazonaws.com/{POOL_ID}"
    monkeypatch.setenv("CLIENT_ID", "web, ios,android")
    monkeypatch.setenv("OTHER_ISSUERS", other)
    settings = from_environment()
    assert settings.client_ids == ("web", "ios", "android")
    assert settings.issuers == (ISSUER, other)


def test_the_optional_ones_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_TOLERANCE_SECONDS", "5")
    monkeypatch.setenv("REQUIRED_GROUP", "staff")
    monkeypatch.setenv("REQUIRED_SCOPE", "avatars/write")
    settings = from_environment()
    assert settings.clock_tolerance == 5
    assert (settings.required_group, settings.required_scope) == ("staff", "avatars/write")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USER_POOL_ID", ""),
        ("USER_POOL_ID", "TestPool1"),
        ("USER_POOL_ID", "eu-west-1_Test/../Pool"),
        ("CLIENT_ID", ""),
        ("CLIENT_ID", "one,"),
        ("CLIENT_ID", "one,one"),
        ("CLIENT_ID", "one;two"),
        ("OTHER_ISSUERS", "http://cognito-idp.eu-west-2.amazonaws.com/eu-west-1_TestPool1"),
        ("OTHER_ISSUERS", "https://a,"),
        ("JWKS_URL", "http://example.com/jwks.json"),
        ("JWKS_URL", "http://localhost.example.com/jwks.json"),
        ("JWKS_URL", "http://localhost@example.com/jwks.json"),
        ("JWKS_URL", "file:///etc/passwd"),
        ("JWKS_URL", "https://example.com"),
        ("CLOCK_TOLERANCE_SECONDS", "-1"),
        ("CLOCK_TOLERANCE_SECONDS", "3600"),
        ("CLOCK_TOLERANCE_SECONDS", "5s"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        from_environment()
