"""The presigning function's settings, read once when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import avatar_variants
import env_settings
from picture_kinds import Kind
from sigv4 import Credentials

# Amazon's partitions whose S3 is not under amazonaws.com are left out.
_REGION = r"(?!cn-)[a-z]{2}(-gov)?-[a-z]+-[0-9]{1,2}"
_ENDPOINT = r"https?://[0-9a-z.-]+(:[0-9]{1,5})?/?"


@dataclass(frozen=True)
class Settings:
    """Where uploads go, how large they may be, and who signs for them.

    Attributes
    ----------
    bucket_url
        The uploads bucket's address, without a slash at the end.
    max_upload_bytes
        The largest picture a URL is given for.
    variants
        What `resize` makes of each upload of a kind, such as ``512.jpg``.
    """

    bucket_url: str
    region: str
    max_upload_bytes: int
    variants: Mapping[Kind, tuple[str, ...]]
    credentials: Credentials


def from_environment() -> Settings:
    """Read the settings; Lambda itself gives the region and the role's credentials.

    Raises
    ------
    env_settings.SettingsError
        If a variable is missing or wrong; the message names it.
    """
    region = env_settings.text("AWS_REGION", pattern=_REGION)
    return Settings(
        bucket_url=_bucket_url(region),
        region=region,
        max_upload_bytes=env_settings.integer("MAX_UPLOAD_BYTES", 25 * 2**20, 1, 32 * 2**20),
        variants=avatar_variants.names_by_kind(),
        credentials=Credentials.from_environment(),
    )


def _bucket_url(region: str) -> str:
    bucket = env_settings.text("UPLOADS_BUCKET_NAME", pattern=r"[0-9a-z][0-9a-z.-]{1,61}[0-9a-z]")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name, "").strip():
            endpoint = env_settings.text(name, pattern=_ENDPOINT).rstrip("/")
            return f"{endpoint}/{bucket}"
    if "." in bucket:  # the certificate of *.s3.<region> covers one label only
        return f"https://s3.{region}.amazonaws.com/{bucket}"
    return f"https://{bucket}.s3.{region}.amazonaws.com"
