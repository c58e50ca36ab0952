"""Send a picture as a user or an operator does, and wait until the CDN serves it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from console import units
from console.operations import progress, web
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import crops, outcomes, refusals, test_users
from console.operations.uploads.names import check_avatar_name, name_of
from console.operations.uploads.refusals import Refusal

CONTENT_TYPES = {
    **dict.fromkeys(
        ("jpg", "jpeg", "jpe", "jfif", "jfi", "jif", "pjpeg", "pjp", "mpo"), "image/jpeg"
    ),
    **dict.fromkeys(("png", "apng"), "image/png"),
    "webp": "image/webp",
    "gif": "image/gif",
    **dict.fromkeys(("avif", "avifs"), "image/avif"),
}
"""By file extension, as the presign function has them."""


@dataclass(frozen=True)
class Variant:
    """One picture that the CDN serves, and its length in bytes."""

    url: str
    size: int


@dataclass(frozen=True)
class UploadResult:
    """A picture that became an avatar.

    Attributes
    ----------
    version
        The upload's ETag, and what stands for its crop: what names its variants.
    url
        The stable address, which always shows the newest upload.
    variants
        The immutable addresses of this very picture.
    """

    name: str
    version: str
    url: str
    variants: tuple[Variant, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def upload_as_user(
    deployment: Deployment, picture: Path, user: str, report: progress.Report, crop: str = ""
) -> UploadResult:
    """Send a picture the way a user's browser does, and wait until the CDN serves it.

    Raises
    ------
    OperationError
        Naming the step that failed and why.
    """
    data, extension = read_picture(picture)
    return send_as_user(
        deployment, data, extension, user, report, crops.parse(crop) if crop else None
    )


def send_as_user(
    deployment: Deployment,
    data: bytes,
    extension: str,
    user: str,
    report: progress.Report,
    crop: list[float] | None = None,
) -> UploadResult:
    """Do the same with bytes.

    Parameters
    ----------
    extension
        The file's, without a dot.
    crop
        Left edge, top and size of what is to be shown, in parts of the upright picture.
    """
    asked = {"extension": extension, "size": len(data)} | ({"crop": crop} if crop else {})
    with progress.timed(report, "Sign in") as detail:
        signed_in = test_users.sign_in(deployment, user)
        detail.append(user)
    with progress.timed(report, "CORS") as detail:
        origin = refusals.check_cors(deployment)
        detail.append(origin)
    with progress.timed(report, "Ask for a URL"):
        answer = web.request(
            "POST",
            refusals.ask_address(deployment),
            {"Authorization": f"Bearer {signed_in.token}", "Content-Type": "application/json"},
            json.dumps(asked).encode(),
        )
        if answer.status != 200:
            raise refusals.explain(deployment, Refusal("ask", answer.status, _text(answer)))
        granted = answer.json()
    with progress.timed(report, "Upload") as detail:
        refusals.require_admitted(granted["url"], "put", origin)
        stored = web.request(granted["method"], granted["url"], granted["headers"], data)
        if stored.status != 200:
            raise refusals.explain(deployment, Refusal("put", stored.status, _text(stored)))
        detail.append(units.size(len(data)))
    version = stored.headers["etag"].strip('"') + granted["version_suffix"]
    return wait_until_served(deployment, signed_in.sub, signed_in.sub, version, report)


def upload_directly(
    deployment: Deployment, picture: Path, key: str | None, report: progress.Report
) -> UploadResult:
    """Put a picture into the uploads bucket as an operator may, and wait until it is served."""
    data, _ = read_picture(picture)
    return send_directly(deployment, data, key or picture.name, report)


def send_directly(
    deployment: Deployment, data: bytes, key: str, report: progress.Report
) -> UploadResult:
    """Do the same with bytes."""
    check_avatar_name(name_of(key))
    extension = key.rpartition(".")[2].lower()
    with progress.timed(report, "Upload") as detail, aws_errors(f"upload {key}"):
        stored = deployment.s3.put_object(
            Bucket=deployment.uploads_bucket,
            Key=key,
            Body=data,
            ContentType=CONTENT_TYPES.get(extension, "application/octet-stream"),
        )
        detail.append(units.size(len(data)))
    return wait_until_served(deployment, name_of(key), key, stored["ETag"].strip('"'), report)


def read_picture(picture: Path) -> tuple[bytes, str]:
    """Return a picture's bytes and its extension."""
    try:
        return picture.read_bytes(), picture.suffix.lstrip(".").lower()
    except OSError as error:
        raise OperationError(
            f"{picture} can't be read: {error.strerror}.", "Give the path of a picture: FILE=…"
        ) from error


def wait_until_served(
    deployment: Deployment, name: str, key: str, version: str, report: progress.Report
) -> UploadResult:
    with progress.timed(report, "Resize"):
        outcomes.wait_for_resize(deployment, name, key, version)
    with aws_errors("list the variants"):
        listed = deployment.s3.list_objects_v2(
            Bucket=deployment.assets_bucket, Prefix=f"variants/{name}/{version}/"
        )
    variants = []
    with progress.timed(report, "Serve") as detail:
        for item in listed["Contents"]:
            url = f"{deployment.assets_url}/{quote(item['Key'])}"
            served = web.request("GET", url)
            if served.status != 200:
                raise OperationError(
                    f"The CDN answered {served.status} for {url}.",
                    "Check the distribution and the assets bucket's policy.",
                )
            variants.append(Variant(url, len(served.body)))
        detail.append(f"{len(variants)} variants")
    url = f"{deployment.assets_url}/avatars/{quote(name)}.jpg"
    return UploadResult(name, version, url, tuple(variants))


def _text(answer: web.Response) -> str:
    return answer.body.decode(errors="replace")
