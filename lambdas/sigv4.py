"""AWS Signature Version 4: the key, and the signature of what a request says of itself.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
The tests compare with botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime

import env_settings


@dataclass(frozen=True)
class Credentials:
    """Who signs; the secrets stay out of its text form."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)

    @classmethod
    def from_environment(cls) -> Credentials:
        """Return the role's credentials, which Lambda gives."""
        return cls(
            env_settings.text("AWS_ACCESS_KEY_ID"),
            env_settings.text("AWS_SECRET_ACCESS_KEY"),
            env_settings.text("AWS_SESSION_TOKEN", "") or None,
        )


def timestamp(now: datetime) -> str:
    """Return the time as signatures have it."""
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def scope(time: str, region: str, service: str) -> str:
    """Return what a signature is good for."""
    return f"{time[:8]}/{region}/{service}/aws4_request"


def signature(canonical_request: str, time: str, scope: str, credentials: Credentials) -> str:
    """Return the signature of a canonical request, in hexadecimal digits."""
    digest = hashlib.sha256(canonical_request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}".encode(), "sha256").hex()
