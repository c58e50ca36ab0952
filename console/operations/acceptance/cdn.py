"""What everybody sees: the CDN's headers on hits, misses and errors, and what it refuses."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from console.operations import web
from console.operations.acceptance.subject import TRACING, Answer, Subject, read_by_page
from console.operations.environments.doctor.buckets import FOREIGN, preflight
from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.finding import Finding, compare

AREA = "CDN"
BANNER = "the banner"
_SECURITY = {
    "content-security-policy": "default-src 'none'",
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Each header with the beginning of its value."""
_S3_HEADER = "x-amz-server-side-encryption"


def checks(subject: Subject) -> Iterator[Check]:
    """Yield the attempts that need no upload."""
    yield Check(AREA, BANNER, partial(_banner, subject))
    yield Check(AREA, "a missing picture", partial(_missing, subject), (BANNER,))
    yield Check(AREA, "a folder that isn't served", partial(_closed, subject), (BANNER,))
    yield Check(AREA, "a query string", partial(_query, subject), (BANNER,))
    yield Check(AREA, "POST to the CDN", partial(_post, subject))
    yield Check(AREA, "plain HTTP", partial(_plain, subject))
    for origin in [*subject.origins, FOREIGN]:
        name = f"preflight of GET from {origin}"
        yield Check(AREA, name, partial(_preflight, subject, name, origin), (BANNER,))
    for bucket in (subject.here.uploads_bucket, subject.here.assets_bucket):
        yield Check("Buckets", f"{bucket} without the CDN", partial(_direct, subject, bucket))


def header_findings(
    subject: Subject, name: str, answer: web.Response, caching: str
) -> Iterator[Finding]:
    """Compare what a picture's headers allow, to a page and to any other."""
    yield compare(
        AREA, f"{name}: caching", caching, answer.headers.get("cache-control"),
        "The object's metadata say so: `make reconcile ALL=1` writes them again.",
    )  # fmt: skip
    yield from _page_findings(subject, name, answer)


def _page_findings(subject: Subject, name: str, answer: web.Response) -> Iterator[Finding]:
    yield compare(
        AREA, f"{name}: for a page", "readable by a page", read_by_page(answer, subject.origin),
        f"The response headers policy: {subject.fix_by_apply}",
    )  # fmt: skip
    missing = [
        header
        for header, value in _SECURITY.items()
        if not answer.headers.get(header, "").startswith(value)
    ]
    if _S3_HEADER in answer.headers:
        missing.append(f"{_S3_HEADER} removed")
    yield compare(
        AREA, f"{name}: for browsers", "security headers",
        f"without {', '.join(missing)}" if missing else "security headers",
        f"The response headers policy: {subject.fix_by_apply}",
    )  # fmt: skip


def _get(subject: Subject, path: str, origin: str | None = None) -> web.Response:
    return web.request(
        "GET", f"{subject.here.assets_url}/{path}", {"Origin": origin or subject.origin}
    )


def _kind(answer: web.Response) -> str:
    return f"{answer.status} {answer.headers.get('content-type', 'without a type')}"


def _banner(subject: Subject) -> Iterator[Finding]:
    answer = _get(subject, "banners/banner.jpg")
    yield compare(
        AREA, BANNER, "200 image/jpeg", _kind(answer),
        "The assets bucket's policy must let the distribution read it: "
        f"`make doctor` compares both. {subject.fix_by_apply}",
    )  # fmt: skip
    if answer.status != 200:
        return
    yield from header_findings(subject, BANNER, answer, "public, max-age=86400")
    foreign = _get(subject, "banners/banner.jpg", FOREIGN)
    yield compare(
        AREA, f"{BANNER}: for {FOREIGN}", "not readable by a page", read_by_page(foreign, FOREIGN),
        subject.fix_by_apply,
    )  # fmt: skip
    # one cache answers both an <img>, which sends no origin, and a script
    web.request("GET", f"{subject.here.assets_url}/banners/banner.jpg")
    after = _get(subject, "banners/banner.jpg")
    yield compare(
        AREA, f"{BANNER}: for a page after an image", "readable by a page",
        read_by_page(after, subject.origin), subject.fix_by_apply,
    )  # fmt: skip
    head = web.request(
        "HEAD", f"{subject.here.assets_url}/banners/banner.jpg", {"Origin": subject.origin}
    )
    yield compare(AREA, f"HEAD of {BANNER}", "200 image/jpeg", _kind(head), subject.fix_by_apply)


def _missing(subject: Subject) -> Iterator[Finding]:
    for folder, name in (
        ("avatars", "a missing avatar"),
        ("variants", "a missing variant"),
        ("rejections", "a missing rejection"),
    ):
        path = f"{folder}/acceptance-{secrets.token_hex(8)}"
        path += {"avatars": ".jpg", "variants": "/0/512.jpg", "rejections": "/0.json"}[folder]
        answer = _get(subject, path)
        yield compare(AREA, name, "404 image/jpeg", _kind(answer), subject.fix_by_apply)
        yield from _page_findings(subject, name, answer)
    yield Answer(
        AREA, "X-Cache of a missing picture", "ok", "", answer.headers.get("x-cache", "none"),
        embedded="Miss from cloudfront",
    )  # fmt: skip
    yield Answer(
        AREA, "Cache-Control of a missing picture", "ok", "",
        answer.headers.get("cache-control", "none"), embedded="public, max-age=5",
    )  # fmt: skip


def _closed(subject: Subject) -> Iterator[Finding]:
    answer = _get(subject, f"acceptance/{secrets.token_hex(8)}.txt")
    yield compare(AREA, "a folder that isn't served", "404 image/jpeg", _kind(answer),
                  subject.fix_by_apply)  # fmt: skip


def _query(subject: Subject) -> Iterator[Finding]:
    answer = _get(subject, f"banners/banner.jpg?{secrets.token_hex(8)}")
    yield compare(AREA, "a query string", "200 image/jpeg", _kind(answer), subject.fix_by_apply)


def _post(subject: Subject) -> Iterator[Finding]:
    answer = web.request("POST", f"{subject.here.assets_url}/banners/banner.jpg", {}, b"x")
    yield compare(AREA, "POST to the CDN", "403", str(answer.status), subject.fix_by_apply)


def _plain(subject: Subject) -> Iterator[Finding]:
    parts = urlsplit(subject.here.assets_url)
    answer = web.request("GET", f"http://{parts.netloc}/banners/banner.jpg")
    target = answer.headers.get("location", "")
    shown = "to https" if target.startswith("https://") else ""
    yield Answer(
        AREA, "plain HTTP", "ok", "", f"{answer.status} {shown}".strip(),
        embedded="200",
    )  # fmt: skip


def _preflight(subject: Subject, name: str, origin: str) -> Iterator[Finding]:
    yield preflight(
        AREA, name, f"{subject.here.assets_url}/banners/banner.jpg", origin, "GET", TRACING,
        subject.fix_by_apply,
    )  # fmt: skip


def _direct(subject: Subject, bucket: str) -> Iterator[Finding]:
    address = f"{subject.here.s3.meta.endpoint_url}/{bucket}"
    for name, url in (
        ("the list", f"{address}?list-type=2"),
        ("an object", f"{address}/avatars/_default.jpg"),
    ):
        answer = web.request("GET", url)
        yield compare(
            "Buckets", f"{name} of {bucket}, unsigned", "403", str(answer.status),
            f"Nobody may read it so: {subject.fix_by_apply}",
        )  # fmt: skip
