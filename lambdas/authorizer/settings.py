"""The authorizer's settings, read once when the function starts."""

from __future__ import annotations

from dataclasses import dataclass

import env_settings

# Keys that come over plain HTTP are anyone's on the way; only this machine is no way.
_JWKS_URL = (
    r"(https://[0-9A-Za-z.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?/[0-9A-Za-z._~%/-]+"
)


@dataclass(frozen=True)
class Settings:
    """Whose tokens are accepted.

    Attributes
    ----------
    issuers
        What may stand in a token's ``iss``: the user pool's address first, then its others, such
        as a replica's in another region.
    client_ids
        The app clients whose tokens count.
    jwks_url
        Where the pool's public keys are fetched.
    clock_tolerance
        Seconds by which this clock and the pool's may differ.
    required_group, required_scope
        A Cognito group or an OAuth scope that the token must carry, if set.
    """

    issuers: tuple[str, ...]
    client_ids: tuple[str, ...]
    jwks_url: str
    clock_tolerance: int = 0
    required_group: str | None = None
    required_scope: str | None = None


def from_environment() -> Settings:
    """Read the settings.

    Raises
    ------
    env_settings.SettingsError
        If a variable is missing or wrong; the message names it.
    """
    pool = env_settings.text("USER_POOL_ID", pattern=r"[a-z]{2}(-gov)?-[a-z]+-[0-9]_[0-9A-Za-z]+")
    region = pool.partition("_")[0]
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{pool}"
    return Settings(
        issuers=(issuer, *env_settings.texts("OTHER_ISSUERS", "", r"https://[0-9A-Za-z._~/-]+")),
        client_ids=env_settings.texts("CLIENT_ID", pattern=r"[0-9A-Za-z_+]+"),
        jwks_url=env_settings.text(
            "JWKS_URL",
            f"{issuer}/.well-known/jwks.json",
            pattern=_JWKS_URL,
        ),
        clock_tolerance=env_settings.integer("CLOCK_TOLERANCE_SECONDS", 0, 0, 300),
        required_group=env_settings.text("REQUIRED_GROUP", "") or None,
        required_scope=env_settings.text("REQUIRED_SCOPE", "") or None,
    )
