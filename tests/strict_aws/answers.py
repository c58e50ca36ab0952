"""What AWS answers where the emulator is kinder, a function for each rule.

A rule of `BEFORE` refuses a request instead of the emulator; one of `AFTER` corrects a 404.
"""

from __future__ import annotations

from exchange import Answer, Request
from ministack.core import iam_evaluator
from ministack.services import s3

GLOBAL_HOST = "s3.amazonaws.com"
# https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html: all others must be
# enabled, or are younger than March 20, 2019
OLD_REGIONS = {
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-central-1",
    "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
}  # fmt: skip

young_buckets: set[str] = set()
"""Buckets whose versioning was just enabled, as a test says."""
_found: set[tuple[str, str, str]] = set()


def as_behind_tls(request: Request) -> None:
    """Let a request to a name of AWS's be one over TLS, which it is: tests/strict_aws/names.py.

    The emulator knows its APIs by another name.
    """
    if not request.host.endswith((".amazonaws.com", ".cloudfront.net")):
        return
    headers = dict(request.scope["headers"])
    headers[b"x-forwarded-proto"] = b"https"
    label, _, service = request.host.partition(".")
    if service.startswith("execute-api."):
        headers[b"host"] = f"{label}.execute-api.localhost".encode()
    request.scope["headers"] = list(headers.items())


def global_s3_host(request: Request) -> Answer | None:
    """Redirect from S3's global host, or refuse, but for buckets in us-east-1.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html: until DNS knows the
    bucket "Amazon S3 then redirects it with an HTTP 307 Temporary Redirect"; for regions "launched
    after March 20, 2019 […] It returns an HTTP 400 Bad Request error instead". In tests each bucket
    is young.
    """
    if request.host != GLOBAL_HOST and not request.host.endswith("." + GLOBAL_HOST):
        return None
    bucket, _ = request.s3_object
    # a bucket that is not there is us-east-1's to miss
    region = s3._notification_bucket_region(bucket) if bucket in s3._buckets else "us-east-1"
    if region == "us-east-1":
        return None
    if region in OLD_REGIONS:
        there = f"https://{bucket}.s3.{region}.amazonaws.com{request.path}"
        body = _error("TemporaryRedirect", "Please re-send this request to the endpoint.")
        return Answer(307, [(b"location", there.encode())], body)
    return Answer(400, [], _error("IllegalLocationConstraintException", "Use the region's host."))


def young_versioning(request: Request) -> Answer | None:
    """Don't find a new version when it is first read, in a bucket that a test calls young.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html: within 15
    minutes, "GET requests for objects created or updated after enabling versioning may result in
    HTTP 404 NoSuchKey".
    """
    if request.method != "GET" or request.service != "s3":
        return None
    bucket, key = request.s3_object
    read = (bucket, key, request.query.get("versionId", [""])[0])
    if bucket not in young_buckets or not key or read in _found:
        return None
    _found.add(read)
    return Answer(404, [], _error("NoSuchKey", "The specified key does not exist."))


def forbidden_instead_of_missing(request: Request, answer: Answer) -> Answer | None:
    """Reveal that an object is missing only to those who may list the bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, and GetObject likewise: "If
    you don't have the s3:ListBucket permission, Amazon S3 returns an HTTP status code 403".
    """
    if request.method not in {"GET", "HEAD"} or request.service != "s3":
        return None
    bucket, key = request.s3_object
    if not key or b"NoSuchBucket" in answer.body:
        return None
    denied = iam_evaluator.enforce(
        request.access_key,
        "s3:ListBucket",
        "s3",
        request.region,
        resource_arn=f"arn:aws:s3:::{bucket}",
        service_context={"s3:prefix": key},
    )
    if denied is None:
        return None
    return Answer(403, [], _error("AccessDenied", "Access Denied"))


BEFORE = (global_s3_host, young_versioning)
AFTER = (forbidden_instead_of_missing,)


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
