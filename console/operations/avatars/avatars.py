"""Avatars: send one as a user does, watch it arrive, find it, take it down."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from console.operations import progress, web
from console.operations.environments import logs
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import refusals, test_users
from console.operations.uploads.refusals import Refusal

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

ARRIVAL_SECONDS = 90
_CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
}


@dataclass(frozen=True)
class Rejection:
    """Why an upload was refused for good."""

    code: str
    message: str


@dataclass(frozen=True)
class Variant:
    """One picture that the CDN serves, and its length in bytes."""

    url: str
    size: int


@dataclass(frozen=True)
class Arrival:
    """A picture that became an avatar.

    Attributes
    ----------
    version
        The upload's ETag, which names its variants.
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


@dataclass(frozen=True)
class Version:
    """One version of an original.

    Attributes
    ----------
    version
        The ETag.
    state
        ``shown`` is what the avatar shows now; ``rejected`` can't become one; ``kept`` is another
        that can be shown again.
    rejection
        Why it was rejected.
    """

    key: str
    version_id: str | None
    version: str
    uploaded: datetime
    size: int
    state: Literal["shown", "kept", "rejected"]
    rejection: Rejection | None


def name_of(key: str) -> str:
    """Return the name of the avatar that an uploads key makes: no folder, no extension."""
    filename = key.rpartition("/")[2]
    stem, dot, _ = filename.rpartition(".")
    return stem if dot and stem else filename


def check_avatar_name(name: str) -> None:
    """Raise OperationError unless this can be one avatar's name."""
    if not name or "/" in name or name.startswith("_"):
        raise OperationError(
            f"{name!r} is no avatar's name.",
            "Give a name without folder and extension, as in NAME=data for data.jpg.",
        )


def upload_as_user(
    deployment: Deployment, picture: Path, user: str, report: progress.Report
) -> Arrival:
    """Send a picture the way a user's browser does, and wait until the CDN serves it.

    Raises
    ------
    OperationError
        Naming the step that failed and why.
    """
    data, extension = read(picture)
    return send_as_user(deployment, data, extension, user, report)


def send_as_user(
    deployment: Deployment, data: bytes, extension: str, user: str, report: progress.Report
) -> Arrival:
    """Do the same with bytes; `extension` is the file's, without a dot."""
    with progress.timed(report, "Sign in") as detail:
        signed_in = test_users.sign_in(deployment, user)
        detail.append(user)
    with progress.timed(report, "CORS") as detail:
        detail.append(refusals.check_cors(deployment))
    with progress.timed(report, "Ask for a URL"):
        answer = web.request(
            "POST",
            f"{deployment.api_url}/avatars/key_upload",
            {"Authorization": f"Bearer {signed_in.token}", "Content-Type": "application/json"},
            json.dumps({"extension": extension, "size": len(data)}).encode(),
        )
        if answer.status != 200:
            raise refusals.explain(deployment, Refusal("ask", answer.status, _text(answer)))
        granted = answer.json()
    with progress.timed(report, "Upload") as detail:
        stored = web.request(granted["method"], granted["url"], granted["headers"], data)
        if stored.status != 200:
            raise refusals.explain(deployment, Refusal("put", stored.status, _text(stored)))
        detail.append(f"{len(data):,} bytes")
    version = stored.headers["etag"].strip('"')
    return _arrive(deployment, signed_in.sub, signed_in.sub, version, report)


def upload_directly(
    deployment: Deployment, picture: Path, key: str | None, report: progress.Report
) -> Arrival:
    """Put a picture into the uploads bucket as an operator may, and wait until it is served."""
    data, _ = read(picture)
    return send_directly(deployment, data, key or picture.name, report)


def send_directly(
    deployment: Deployment, data: bytes, key: str, report: progress.Report
) -> Arrival:
    """Do the same with bytes."""
    check_avatar_name(name_of(key))
    extension = key.rpartition(".")[2].lower()
    with progress.timed(report, "Upload") as detail, aws_errors(f"upload {key}"):
        stored = deployment.s3.put_object(
            Bucket=deployment.uploads_bucket,
            Key=key,
            Body=data,
            ContentType=_CONTENT_TYPES.get(extension, "application/octet-stream"),
        )
        detail.append(f"{len(data):,} bytes")
    return _arrive(deployment, name_of(key), key, stored["ETag"].strip('"'), report)


def read(picture: Path) -> tuple[bytes, str]:
    """Return a picture's bytes and its extension."""
    try:
        return picture.read_bytes(), picture.suffix.lstrip(".").lower()
    except OSError as error:
        raise OperationError(
            f"{picture} can't be read: {error.strerror}.", "Give the path of a picture: FILE=…"
        ) from error


def _arrive(
    deployment: Deployment, name: str, key: str, version: str, report: progress.Report
) -> Arrival:
    with progress.timed(report, "Resize"):
        wait_for_resize(deployment, name, key, version)
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
    return Arrival(name, version, url, tuple(variants))


def versions(deployment: Deployment, name: str) -> list[Version]:
    """Return the originals of an avatar that are kept, the newest first.

    Raises
    ------
    OperationError
        If that is no avatar's name, or S3 can't be asked.
    """
    check_avatar_name(name)
    shown = shown_version(deployment, name)
    found = []
    with aws_errors(f"list the versions of {name}"):
        for prefix in _original_prefixes(deployment, name):
            pages = deployment.s3.get_paginator("list_object_versions").paginate(
                Bucket=deployment.uploads_bucket, Prefix=prefix
            )
            found += [
                item
                for page in pages
                for item in page.get("Versions", [])
                if name_of(item["Key"]) == name
            ]
    lines = []
    for item in sorted(found, key=lambda item: item["LastModified"], reverse=True):
        version = item["ETag"].strip('"')
        refused = None if version == shown else rejection(deployment, name, version)
        state: Literal["shown", "kept", "rejected"] = "rejected" if refused else "kept"
        if version == shown:
            state, shown = "shown", None  # the same picture twice: the newest is shown
        lines.append(
            Version(
                item["Key"],
                _version_id(item["VersionId"]),
                version,
                item["LastModified"],
                item["Size"],
                state,
                refused,
            )
        )
    return lines


@dataclass(frozen=True)
class Happening:
    """One thing that happened to an avatar.

    Attributes
    ----------
    at
        When, in seconds since 1970.
    where
        The function, S3 or CDN.
    version
        Which upload it was about; empty where that is not known.
    seconds
        How long it took.
    """

    at: float
    where: str
    what: str
    version: str = ""
    detail: str = ""
    seconds: float | None = None


def timeline(
    deployment: Deployment, name: str, stored: Sequence[Version], since: float
) -> list[Happening]:
    """Return what happened to an avatar since a time, the newest first, from presign to CDN.

    Parameters
    ----------
    stored
        Its originals.
    """
    lines = logs.read(deployment, sorted(deployment.function_names), since, name)
    found = [
        Happening(
            line.time,
            line.function,
            str(line.fields.get("message", "")),
            str(line.fields.get("version", "")),
            str(line.fields.get("code", "")),
            line.fields["ms"] / 1000 if "ms" in line.fields else None,
        )
        for line in lines
        if line.fields
    ]
    found += [
        Happening(
            item.uploaded.timestamp(), "S3", "original stored", item.version, f"{item.size:,} bytes"
        )
        for item in stored
        if item.uploaded.timestamp() >= since
    ]
    return sorted([*found, served(deployment, name)], key=lambda item: -item.at)


def served(deployment: Deployment, name: str) -> Happening:
    """Ask the CDN for the avatar, as a browser does, and say what it serves now."""
    answer = web.request("GET", f"{deployment.assets_url}/avatars/{quote(name)}.jpg")
    facts = [answer.headers.get("x-cache", ""), f"{len(answer.body):,} bytes"]
    if "age" in answer.headers:
        facts.append(f"cached for {answer.headers['age']} s")
    return Happening(
        time.time(),
        "CDN",
        "avatar served" if answer.status == 200 else f"answers {answer.status}",
        answer.headers.get("x-amz-meta-version", ""),
        ", ".join(fact for fact in facts if fact),
    )


def restore(
    deployment: Deployment, name: str, version: Version, report: progress.Report
) -> Arrival:
    """Make an earlier original the newest again, as if it had been sent now."""
    with progress.timed(report, "Copy") as detail, aws_errors(f"restore {version.key}"):
        source: Any = {"Bucket": deployment.uploads_bucket, "Key": version.key}
        if version.version_id:
            source["VersionId"] = version.version_id
        copied = deployment.s3.copy_object(
            Bucket=deployment.uploads_bucket, Key=version.key, CopySource=source
        )
        detail.append(f"{version.size:,} bytes")
    version_now = copied["CopyObjectResult"]["ETag"].strip('"')
    return _arrive(deployment, name, version.key, version_now, report)


def _original_prefixes(deployment: Deployment, name: str) -> set[str]:
    """Return where originals of that name lie: at the top, and where the shown one came from."""
    source = unquote((shown_metadata(deployment, name) or {}).get("source-key", ""))
    return {name} if source.startswith(name) or not source else {name, source}


def wait_for_resize(deployment: Deployment, name: str, key: str, version: str) -> None:
    """Wait until the stable avatar shows that upload.

    Raises
    ------
    OperationError
        With the rejection's code and sentence, if a later upload of the key is shown instead, or
        if nothing comes within `ARRIVAL_SECONDS`.
    """
    deadline = time.monotonic() + ARRIVAL_SECONDS
    seen = None
    while (shown := shown_version(deployment, name)) != version:
        if shown != seen and shown == newest_version(deployment, key):
            raise OperationError(
                f"A later picture of {name} came first and is shown instead.",
                "Nothing is lost: the page Test avatars finds this one, and shows it again.",
            )
        seen = shown
        refused = rejection(deployment, name, version)
        if refused:
            raise OperationError(
                f"The picture was rejected ({refused.code}): {refused.message}",
                "Send another picture; the avatar that was there is kept.",
            )
        if time.monotonic() > deadline:
            raise OperationError(
                f"No avatar arrived within {ARRIVAL_SECONDS} s; the upload itself is safe.",
                "See `make status` for dead letters and `make logs FUNCTION=resize` for the cause.",
            )
        time.sleep(0.1)


def shown_version(deployment: Deployment, name: str) -> str | None:
    """Return the version that the stable avatar shows, or None if there is no avatar."""
    shown = shown_metadata(deployment, name)
    return None if shown is None else shown.get("version", "")


def shown_metadata(deployment: Deployment, name: str) -> dict[str, str] | None:
    """Return what the stable avatar says of the upload that it shows; None if there is none."""
    with aws_errors(f"look at the avatar {name}"):
        found = _head(deployment, deployment.assets_bucket, f"avatars/{name}.jpg")
    return found["Metadata"] if found else None


def newest_version(deployment: Deployment, key: str) -> str | None:
    """Return the version of the newest original under a key, or None if there is none."""
    with aws_errors(f"look at the original {key}"):
        found = _head(deployment, deployment.uploads_bucket, key)
    return found["ETag"].strip('"') if found else None


def _head(deployment: Deployment, bucket: str, key: str) -> HeadObjectOutputTypeDef | None:
    try:
        return deployment.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return None
        raise


def rejection(deployment: Deployment, name: str, version: str) -> Rejection | None:
    """Return why that upload was rejected, or None if it wasn't."""
    with aws_errors(f"look for a rejection of {name}"):
        try:
            found = deployment.s3.get_object(
                Bucket=deployment.assets_bucket, Key=f"rejections/{name}/{version}.json"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                return None
            raise
    record = json.loads(found["Body"].read())
    return Rejection(record["code"], record["message"])


@dataclass(frozen=True)
class StoredObject:
    """One object, or one version of one, that belongs to an avatar."""

    bucket: str
    key: str
    version_id: str | None
    size: int


def objects_of(deployment: Deployment, name: str) -> list[StoredObject]:
    """List everything stored of an avatar: originals in all versions, avatar, variants."""
    check_avatar_name(name)
    with aws_errors(f"list what is stored of {name}"):
        originals = [
            item
            for prefix in _original_prefixes(deployment, name)
            for item in _versions(deployment.s3, deployment.uploads_bucket, prefix)
            if name_of(item.key) == name
        ]
        served = [
            item
            for prefix in (f"avatars/{name}.jpg", f"variants/{name}/", f"rejections/{name}/")
            for item in _versions(deployment.s3, deployment.assets_bucket, prefix)
            if prefix.endswith("/") or item.key == prefix
        ]
    return originals + served


def remove(deployment: Deployment, objects: list[StoredObject], report: progress.Report) -> None:
    """Delete objects for good, originals first so that nothing makes the avatar again."""
    with aws_errors("delete the avatar"):
        for bucket in (deployment.uploads_bucket, deployment.assets_bucket):
            chosen = [item for item in objects if item.bucket == bucket]
            for start in range(0, len(chosen), 1000):
                part = chosen[start : start + 1000]
                report(
                    progress.Event(
                        "Delete", "advanced", bucket, done=start + len(part), total=len(chosen)
                    )
                )
                answer = deployment.s3.delete_objects(
                    Bucket=bucket,
                    Delete={
                        "Quiet": True,
                        "Objects": [
                            {"Key": item.key, "VersionId": item.version_id}
                            if item.version_id
                            else {"Key": item.key}
                            for item in part
                        ],
                    },
                )
                if answer.get("Errors"):
                    first = answer["Errors"][0]
                    raise OperationError(
                        f"{len(answer['Errors'])} objects could not be deleted, the first "
                        f"{first.get('Key')}: {first.get('Message')}.",
                        "Mend what it names, then run the same command again.",
                    )


def _versions(s3: S3Client, bucket: str, prefix: str) -> Iterator[StoredObject]:
    """Yield every version below a prefix, delete markers too."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for version in page.get("Versions", []):
            yield StoredObject(
                bucket, version["Key"], _version_id(version["VersionId"]), version["Size"]
            )
        for marker in page.get("DeleteMarkers", []):
            yield StoredObject(bucket, marker["Key"], _version_id(marker["VersionId"]), 0)


def _version_id(version_id: str) -> str | None:
    return None if version_id == "null" else version_id


def _text(answer: web.Response) -> str:
    return answer.body.decode(errors="replace")
