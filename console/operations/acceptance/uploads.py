"""A picture's way: to S3, to its last variant, refused, rejected, replaced, and removed."""

from __future__ import annotations

import io
import json
import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from console.operations import progress, web
from console.operations.acceptance.api import CROP, GRANT, REMOVE, ROW
from console.operations.acceptance.cdn import BANNER, header_findings
from console.operations.acceptance.subject import (
    SIGN_IN,
    TRACING,
    Answer,
    Subject,
    function_answers,
    read_by_page,
    reason_for,
)
from console.operations.avatars import cdn, takedown
from console.operations.environments import logs
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.doctor.buckets import FOREIGN, preflight
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters, reconcile
from console.operations.uploads import outcomes, profiles, refusals, samples, send
from console.operations.uploads.refusals import Refusal

AREA = "Uploads"
PUT, ARRIVAL, SERVED = "PUT of a picture", "its avatar in S3", "its variants from the CDN"
REPLACED, REJECTED, REDRIVEN = "a later picture", "a rejection", "redrive of a dead-letter message"
INVALIDATED, REMOVED = "an invalidation", "a removal"
CROPPED = "a picture with a crop"
_CACHED_SECONDS = 7  # the CDN keeps a 404 for 5
_EXPIRY_SECONDS = 1
_TAG_SECONDS = 10
_LOOK = "`make doctor` compares the functions' variants, the bucket's policy and the distribution."
_FORMATS = {"jpg": "JPEG", "webp": "WEBP", "avif": "AVIF"}
_TYPES = {"jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
_NO_PICTURE = b"This is not a picture, and must be refused. "


def checks(subject: Subject) -> Iterator[Check]:
    """Yield the attempts in their order: each needs what comes before."""
    for origin in [*subject.origins, FOREIGN]:
        name = f"preflight of PUT from {origin}"
        yield Check(AREA, name, partial(_preflight, subject, name, origin), (GRANT,))
    for name in ("another type", "another length", "another key", "another crop", "another method"):
        yield Check(AREA, f"PUT with {name}", partial(_refused, subject, name), (GRANT,))
    yield Check(AREA, "PUT after the address has expired", partial(_expired, subject), (SIGN_IN,))
    yield Check(AREA, PUT, partial(_put_picture, subject), (GRANT,))
    for_page = f"{PUT}: for a page"
    yield Check(AREA, for_page, partial(_put_for_page, subject, for_page), (PUT,))
    yield Check(AREA, ARRIVAL, partial(_arrives, subject), (PUT,))
    yield Check(AREA, SERVED, partial(_served, subject), (ARRIVAL, BANNER))
    profile = "the profile after an upload"
    if "profiles" in subject.here.function_names:
        yield Check(AREA, profile, partial(_profile, subject, profile), (ROW, ARRIVAL))
    yield Check(AREA, REPLACED, partial(_replaced, subject), (ARRIVAL, SERVED), (profile,))
    yield Check(AREA, INVALIDATED, partial(_invalidated, subject), (REPLACED,))
    yield Check(AREA, CROPPED, partial(_cropped, subject), (ARRIVAL,), (INVALIDATED,))
    again = "another crop without an upload"
    if "crop" in subject.here.function_names:
        yield Check(AREA, again, partial(_cropped_again, subject, again), (CROPPED,))
    yield Check(AREA, REJECTED, partial(_rejected, subject), (ARRIVAL,), (REPLACED, CROPPED, again))
    served = "a rejection from the CDN"
    yield Check(AREA, served, partial(_rejection_served, subject), (REJECTED, BANNER))
    yield Check(AREA, REDRIVEN, partial(_redriven, subject), (REJECTED,), (served,))
    own = "a user's own removal"
    if "remove" in subject.here.function_names:
        yield Check(
            AREA, own, partial(_removed_by_user, subject, own), (ARRIVAL,), (INVALIDATED, REDRIVEN)
        )
    earlier = (INVALIDATED, REDRIVEN, own)
    yield Check(AREA, REMOVED, partial(_removed, subject), (ARRIVAL,), earlier)
    yield Check(AREA, "the CDN after a removal", partial(_gone, subject), (REMOVED, BANNER))


def _preflight(subject: Subject, name: str, origin: str) -> Iterator[Finding]:
    yield preflight(
        AREA, name, _grant(subject, 10)["url"], origin, "PUT", ["content-type", *TRACING],
        subject.fix_by_apply,
    )  # fmt: skip


def _grant(
    subject: Subject, size: int, extension: str = "jpg", crop: list[float] | None = None
) -> dict[str, Any]:
    """Ask for an address.

    Raises
    ------
    OperationError
        If there is none.
    """
    body = json.dumps({"extension": extension, "size": size, "crop": crop}).encode()
    answer = subject.asks("POST", "/avatars/key_upload", token=subject.token or "", body=body)
    granted = answer.json()
    if answer.status != 200 or not isinstance(granted, dict):
        why, remedy = reason_for(subject, answer, ("authorizer", "presign"))
        raise OperationError(f"The API gave no address: {answer.status}{why}.", remedy)
    return granted


def _refused(subject: Subject, name: str) -> Iterator[Finding]:
    data = b"0123456789"
    granted = _grant(subject, len(data), crop=[0, 0, 0.5] if name == "another crop" else None)
    method, url, headers = "PUT", granted["url"], dict(granted["headers"])
    match name:
        case "another type":
            headers["Content-Type"] = "image/png"
        case "another length":
            data += b"x"
        case "another crop":
            headers["x-amz-meta-crop"] = "0,0,1"
        case "another key":
            url = url.replace(f"/{subject.sub}?", f"/{subject.sub}-other?")
        case _:
            method, data = "DELETE", b""
    answer = web.request(method, url, headers | {"Origin": subject.origin}, data)
    code, _ = refusals.code_and_message(answer.body.decode(errors="replace"))
    remedy = "Only what was signed may be stored: check the presign function."
    if method == "PUT":
        wanted, found = "403 SignatureDoesNotMatch", f"{answer.status} {code}"
        yield compare(AREA, f"PUT with {name}", wanted, found, remedy)
        return
    yield compare(AREA, f"PUT with {name}", "403", str(answer.status), remedy)
    yield Answer(AREA, "the code for another method", "ok", "", code, embedded="AccessDenied")


def _expired(subject: Subject) -> Iterator[Finding]:
    """Send to an address that these credentials signed: the function's own hold for 300 s."""
    s3 = subject.here.s3
    url = s3.generate_presigned_url(
        "put_object",
        Params={"Bucket": subject.here.uploads_bucket, "Key": subject.sub},
        ExpiresIn=_EXPIRY_SECONDS,
    )
    place, query = refusals.bucket_address(subject.here), url.partition("?")[2]
    time.sleep(_EXPIRY_SECONDS + 1)
    answer = web.request("PUT", f"{place.rpartition('/')[0]}/{subject.sub}?{query}", {}, b"late")
    code, _ = refusals.code_and_message(answer.body.decode(errors="replace"))
    yield compare(
        AREA, "PUT after the address has expired", "403 AccessDenied", f"{answer.status} {code}",
        "S3 decides this: check the clock of this machine.",
    )  # fmt: skip


def _put(subject: Subject, data: bytes, extension: str = "jpg") -> web.Response:
    granted = _grant(subject, len(data), extension)
    subject.touched.add("uploads")
    subject.granted = granted
    headers = {**granted["headers"], "Origin": subject.origin}
    stored = web.request(granted["method"], granted["url"], headers, data)
    if stored.status != 200:
        text = stored.body.decode(errors="replace")
        raise refusals.explain(subject.here, Refusal("put", stored.status, text))
    return stored


def _put_picture(subject: Subject) -> Iterator[Finding]:
    subject.stored = _put(subject, samples.generated(secrets.randbits(64)))
    subject.versions["picture"] = subject.stored.headers.get("etag", "").strip('"')
    yield Finding(AREA, PUT, "ok", "200", "200")


def _put_for_page(subject: Subject, name: str) -> Iterator[Finding]:
    shown = subject.stored.headers.get("access-control-expose-headers", "").lower()
    yield compare(
        AREA, name, "readable by a page, with etag and x-amz-version-id",
        f"{read_by_page(subject.stored, subject.origin)}, with "
        + " and ".join(one for one in ("etag", "x-amz-version-id") if one in shown),
        f"The uploads bucket's CORS rule: {subject.fix_by_apply}",
    )  # fmt: skip


def _arrives(subject: Subject) -> Iterator[Finding]:
    sub, started, since = subject.sub, time.monotonic(), time.time()
    try:
        outcomes.wait_for_resize(subject.here, sub, sub, subject.versions["picture"])
    except OperationError as error:
        lines = logs.read(subject.here, ["resize"], since, "message failed", 2)
        own = [line for line in lines if sub in line.text] or lines
        why = sorted({str(line.fields.get("reason", "")) for line in own})
        found = f"{error.message} {'; '.join(why)}".strip()
        yield Finding(AREA, ARRIVAL, "error", "within 90 s", found, error.remedy)
        return
    yield Finding(AREA, ARRIVAL, "ok", "within 90 s", f"after {time.monotonic() - started:.1f} s")


def _served(subject: Subject) -> Iterator[Finding]:
    """Look at each variant, and at the avatar, as a front end does."""
    from PIL import Image

    version, seconds = subject.versions["picture"], 0.0
    for variant in subject.granted["variants"]:
        side, _, extension = variant.partition(".")
        url = f"{subject.here.assets_url}/variants/{subject.sub}/{version}/{variant}"
        answer, seconds = _once_there(url, subject.origin)
        found = f"{answer.status} {answer.headers.get('content-type')}"
        if answer.status == 200:
            picture = Image.open(io.BytesIO(answer.body))
            found += f", {picture.format} {picture.width}x{picture.height}"
        wanted = f"200 {_TYPES[extension]}, {_FORMATS[extension]} {side}x{side}"
        yield compare(
            AREA, f"variant {variant}", wanted, found,
            _LOOK,
        )  # fmt: skip
        if answer.status == 200:
            yield from header_findings(
                subject, f"variant {variant}", answer, "public, max-age=31536000, immutable"
            )
    yield Finding(AREA, SERVED, "ok", "each", f"the last after {seconds:.1f} s")
    again = web.request("GET", url, {"Origin": subject.origin})
    yield Answer(
        AREA, "X-Cache of a variant's second request", "ok", "",
        again.headers.get("x-cache", "none"), embedded="Miss from cloudfront",
    )  # fmt: skip
    yield Answer(
        AREA, "Vary of a variant's second request", "ok", "",
        again.headers.get("vary", "none"), embedded="none",
    )  # fmt: skip
    if again.status == 200:
        yield from header_findings(
            subject, "a variant's second request", again, "public, max-age=31536000, immutable"
        )
    avatar = f"{subject.here.assets_url}/avatars/{subject.sub}.jpg"
    answer, _ = _once_there(avatar, subject.origin)
    yield compare(
        AREA, "the avatar", "200 image/jpeg",
        f"{answer.status} {answer.headers.get('content-type')}",
        _LOOK,
    )  # fmt: skip
    if answer.status == 200:
        yield from header_findings(subject, "the avatar", answer, "public, max-age=60")


def _once_there(url: str, origin: str) -> tuple[web.Response, float]:
    """Ask until it is there, at most as long as the CDN may keep that it wasn't."""
    started = time.monotonic()
    while True:
        answer = web.request("GET", url, {"Origin": origin})
        seconds = time.monotonic() - started
        if answer.status == 200 or seconds > _CACHED_SECONDS:
            return answer, seconds
        time.sleep(0.5)


def _profile(subject: Subject, name: str) -> Iterator[Finding]:
    """Wait until the topic has told the profiles function."""
    if not subject.handle:
        return
    version = subject.versions["picture"]
    deadline = time.monotonic() + profiles.RECORD_SECONDS
    while True:
        answer = subject.asks("GET", f"/api/activities/{quote(subject.handle)}")
        found = (answer.json() or {}).get("profile", {})
        if version in str(found.get("avatar_url")) or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    names = version in str(found.get("avatar_url"))
    yield compare(
        AREA, name, "names the new picture",
        "names the new picture" if names else "names another, or none",
        "Check the topic's subscriptions (`make doctor`) and `make logs FUNCTION=profiles`.",
    )  # fmt: skip
    yield compare(
        AREA, "its avatar_variants", ", ".join(subject.granted["variants"]),
        ", ".join(found.get("avatar_variants", {})), subject.fix_by_apply,
    )  # fmt: skip


def _replaced(subject: Subject) -> Iterator[Finding]:
    """Send another picture through the command's own way."""
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(samples.generated(secrets.randbits(64)))).resize((640, 480)).save(
        stream, "PNG"
    )
    result = send.send_as_user(
        subject.here, stream.getvalue(), "png", subject.user, progress.ignore
    )
    subject.versions["later"] = result.version
    yield Finding(AREA, REPLACED, "ok", "shown", "shown")


def _cropped(subject: Subject) -> Iterator[Finding]:
    """Send a picture of which the left half is red, and choose the right half, which is blue."""
    from PIL import Image

    halves = Image.new("RGB", (400, 200), "red")
    halves.paste("blue", (200, 0, 400, 200))
    stream = io.BytesIO()
    halves.save(stream, "PNG")
    result = send.send_as_user(
        subject.here, stream.getvalue(), "png", subject.user, progress.ignore, [0.5, 0, 1]
    )
    subject.versions["cropped"] = result.version
    yield _colour(subject, CROPPED, result.version, "blue")


def _cropped_again(subject: Subject, name: str) -> Iterator[Finding]:
    body = json.dumps({"crop": [0, 0, 1], "version": subject.versions["cropped"]}).encode()
    answer = subject.asks("POST", CROP, token=subject.token or "", body=body)
    yield function_answers(
        subject, AREA, f"{name}: for a page", "202", answer, "authorizer", "crop"
    )
    if answer.status != 202:
        return
    version = (answer.json() or {}).get("version", "")
    outcomes.wait_for_resize(subject.here, subject.sub, subject.sub, version)
    yield _colour(subject, name, version, "red")


def _colour(subject: Subject, name: str, version: str, wanted: str) -> Finding:
    """Compare what a version's first variant shows in the middle."""
    from PIL import Image

    url = f"{subject.here.assets_url}/variants/{subject.sub}/{version}"
    answer, _ = _once_there(f"{url}/{subject.granted['variants'][0]}", subject.origin)
    found = str(answer.status)
    if answer.status == 200:
        picture = Image.open(io.BytesIO(answer.body)).convert("RGB").resize((1, 1))
        red, _, blue = picture.getpixel((0, 0))  # type: ignore[misc]
        found = "red" if red > blue else "blue"
    return compare(AREA, name, wanted, found, "Deploy the functions again: `make apply`.")


def _invalidated(subject: Subject) -> Iterator[Finding]:
    here, started = subject.here, time.monotonic()
    key = outcomes.register_key(subject.sub)
    cdn.invalidate(here, [f"/{key}"], progress.ignore)
    yield Answer(
        AREA, INVALIDATED, "ok", "", f"complete after {time.monotonic() - started:.0f} s",
        embedded="complete at once",
    )  # fmt: skip
    with aws_errors("read the avatar"):
        stored = here.s3.get_object(Bucket=here.assets_bucket, Key=key)["Body"].read()
    served = web.request("GET", f"{here.assets_url}/{key}", {"Origin": subject.origin})
    yield compare(
        AREA, "the avatar after an invalidation", "the later picture",
        "the later picture" if served.body == stored else f"another ({served.status})",
        "The CDN shows what S3 no longer has: look at the distribution's cache behaviour.",
    )  # fmt: skip


def _rejected(subject: Subject) -> Iterator[Finding]:
    here, sub = subject.here, subject.sub
    before = outcomes.shown_version(here, sub)
    stored = _put(subject, _NO_PICTURE + secrets.token_hex(8).encode())
    subject.versions["rejected"] = stored.headers["etag"].strip('"')
    code = _wait_for_rejection(subject)
    yield compare(
        AREA, REJECTED, "rejected: unsupported_format", f"rejected: {code}",
        "`make logs FUNCTION=resize` says why.",
    )  # fmt: skip
    with aws_errors("look at the original"):
        newest = here.s3.head_object(Bucket=here.uploads_bucket, Key=sub)
    subject.version_ids["rejected"] = newest["VersionId"]
    yield compare(
        AREA, "the original's tag", "avatar-rejection=unsupported_format", _tags(subject),
        "The resize function's role must tag originals: `make doctor`.",
    )  # fmt: skip
    yield compare(
        AREA, "the avatar after a rejection", "as before",
        "as before" if outcomes.shown_version(here, sub) == before else "another",
        "`make logs FUNCTION=resize` says why.",
    )  # fmt: skip


def _tags(subject: Subject) -> str:
    """Return the tags of the newest original; they are written after the record."""
    here, deadline = subject.here, time.monotonic() + _TAG_SECONDS
    while True:
        with aws_errors("read the original's tags"):
            found = here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key=subject.sub)
        if found["TagSet"] or time.monotonic() > deadline:
            return ", ".join(f"{tag['Key']}={tag['Value']}" for tag in found["TagSet"])
        time.sleep(0.2)


def _rejection_served(subject: Subject) -> Iterator[Finding]:
    version = subject.versions["rejected"]
    url = f"{subject.here.assets_url}/rejections/{subject.sub}/{version}.json"
    answer, _ = _once_there(url, subject.origin)
    record = answer.json() or {}
    sentence = "a sentence" if record.get("message") else "no sentence"
    yield compare(
        AREA, "a rejection from the CDN", "200 unsupported_format with a sentence",
        f"{answer.status} {record.get('code')} with {sentence}",
        _LOOK,
    )  # fmt: skip
    yield from header_findings(subject, "a rejection", answer, "public, max-age=60")


def _wait_for_rejection(subject: Subject) -> str:
    """Wait for the record of the rejected upload; return its code."""
    deadline = time.monotonic() + outcomes.ARRIVAL_SECONDS
    version = subject.versions["rejected"]
    while not (found := outcomes.rejection(subject.here, subject.sub, version)):
        if time.monotonic() > deadline:
            raise OperationError(
                f"No rejection was written within {outcomes.ARRIVAL_SECONDS} s.",
                "`make status` counts dead-letter messages, `make logs FUNCTION=resize` says why.",
            )
        time.sleep(0.2)
    return found.code


def _redriven(subject: Subject) -> Iterator[Finding]:
    """Delete what was made of an upload, and let a dead-letter message of it make it again."""
    here, sub = subject.here, subject.sub
    body = json.dumps(reconcile.event(here, sub, subject.version_ids["rejected"]))
    with aws_errors("send a dead-letter message"):
        here.s3.delete_object(
            Bucket=here.assets_bucket,
            Key=f"rejections/{sub}/{subject.versions['rejected']}.json",
        )
        sent = here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=body)
    subject.message_id = sent["MessageId"]
    redrive = dead_letters.Redrive(subject.target, here, own_message(subject))
    outcome = redrive.execute(progress.ignore)
    subject.message_id = ""
    yield compare(
        AREA, REDRIVEN, "1 message put back on the queue.", outcome,
        "`make redrive` says more; the deployer's or operator's rights on both queues count.",
    )  # fmt: skip
    started = time.monotonic()
    _wait_for_rejection(subject)
    yield Finding(
        AREA, "what it announced, processed again", "ok", "within 90 s",
        f"after {time.monotonic() - started:.1f} s",
    )  # fmt: skip


def own_message(subject: Subject) -> dead_letters.Sample:
    """Return the sample that is this run's message alone."""
    message = dead_letters.DeadLetter(subject.message_id, "", (subject.sub,), time.time(), "")
    return dead_letters.Sample((message,), 1, time.time())


def _removed_by_user(subject: Subject, name: str) -> Iterator[Finding]:
    answer = subject.asks("DELETE", REMOVE, token=subject.token or "")
    yield function_answers(subject, AREA, name, "202", answer, "authorizer", "remove")
    if answer.status != 202:
        return
    key = (answer.json() or {}).get("key")
    yield compare(AREA, f"{name}: key", subject.sub, key, subject.fix_by_apply)
    deadline = time.monotonic() + outcomes.ARRIVAL_SECONDS
    while outcomes.shown_version(subject.here, subject.sub) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = outcomes.shown_version(subject.here, subject.sub)
    yield compare(
        AREA, f"{name}: the avatar in S3", "the default picture",
        "still a picture" if left else "the default picture",
        "`make logs FUNCTION=resize` says why.",
    )  # fmt: skip


def _removed(subject: Subject) -> Iterator[Finding]:
    here, sub = subject.here, subject.sub
    outcome = takedown.take_down(subject.target, here, sub).execute(progress.ignore)
    yield Finding(AREA, REMOVED, "ok", "everything", outcome)
    left = [str(item) for item in takedown.objects_of(here, sub)]
    if (register := outcomes.register(here, sub)) is None or "removed" not in register["Metadata"]:
        left.append("no removal mark")
    yield compare(
        AREA, "what S3 keeps of it", "the removal mark", ", ".join(left) or "the removal mark",
        f"Run `make clear NAME={sub}`.",
    )  # fmt: skip


def _gone(subject: Subject) -> Iterator[Finding]:
    sub, assets = subject.sub, subject.here.assets_url
    variant = f"{subject.versions['picture']}/{subject.granted['variants'][0]}"
    default = web.request("GET", f"{assets}/{outcomes.register_key('_default')}").body
    for name, path, status in (
        ("the avatar after a removal", f"avatars/{sub}.jpg", 200),
        ("a variant after a removal", f"variants/{sub}/{variant}", 404),
    ):
        answer = web.request("GET", f"{assets}/{path}", {"Origin": subject.origin})
        shown = "the default" if answer.body.startswith(default) else "another"
        yield compare(
            AREA, name, f"{status} the default picture", f"{answer.status} {shown} picture",
            f"Run `make clear NAME={sub}`, which drops the CDN's copies again.",
        )  # fmt: skip
