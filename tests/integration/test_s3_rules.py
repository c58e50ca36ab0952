"""The S3 in memory, on which order is proven, answers as the embedded AWS does."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from console.operations.environments.deployment import Deployment
from tests.unit.order.s3 import S3

NAME = "s3-rules"


def outcome(call: Callable[..., Any], **arguments: Any) -> str:
    """Return the code of S3's error, or what of the answer the functions read."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return f"{status} {error.response['Error']['Code']}"
    body = answer["Body"].read() if "Body" in answer else None
    versioned = "VersionId" in answer
    return f"{answer.get('ETag')} {versioned} {answer.get('Metadata')} {body!r}"


def answers(s3: Any, uploads: str, assets: str) -> list[str]:
    """Return the answers to the calls that the order of uploads rests on."""
    said: list[str] = []

    def put(body: bytes, **condition: str) -> str:
        return outcome(
            s3.put_object,
            Bucket=assets,
            Key=f"avatars/{NAME}.jpg",
            Body=body,
            Metadata={"version": body.decode(), "source-key": "a%20b"},
            **condition,
        )

    pointer = {"Bucket": assets, "Key": f"avatars/{NAME}.jpg"}
    said.append(outcome(s3.head_object, **pointer))
    said.append(put(b"1", IfMatch='"00000000000000000000000000000000"'))
    said.append(put(b"1", IfNoneMatch="*"))
    said.append(put(b"2", IfNoneMatch="*"))
    etag = s3.head_object(**pointer)["ETag"]
    said.append(put(b"2", IfMatch=etag))
    said.append(put(b"3", IfMatch=etag))
    said.append(outcome(s3.head_object, **pointer))
    s3.delete_object(**pointer)
    said.append(put(b"4", IfMatch=etag))
    said.append(outcome(s3.head_object, **pointer))

    s3.delete_object(**pointer)

    original = {"Bucket": uploads, "Key": f"{NAME}/"}  # resize passes folders over
    said.append(outcome(s3.get_object, **original))
    first, second = (s3.put_object(**original, Body=body)["VersionId"] for body in (b"1", b"2"))
    said.append(outcome(s3.get_object, **original))
    said.append(outcome(s3.get_object, **original, VersionId=first))
    assert s3.head_object(**original)["VersionId"] == second
    listing = s3.get_paginator("list_object_versions").paginate(Bucket=uploads, Prefix=f"{NAME}/")
    (page,) = listing
    date = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
    # Whole seconds on AWS; the embedded one lists milliseconds
    assert all(item["LastModified"].replace(microsecond=0) <= date for item in page["Versions"])
    assert [item["VersionId"] for item in page["Versions"]] == [second, first]
    said.append(str([(item["ETag"], item["IsLatest"], item["Size"]) for item in page["Versions"]]))
    tags = {"TagSet": [{"Key": "avatar-rejection", "Value": "damaged"}]}
    s3.put_object_tagging(**original, VersionId=first, Tagging=tags)
    assert s3.head_object(**original)["LastModified"].microsecond == 0
    s3.delete_object(**original, VersionId=second)
    said.append(outcome(s3.get_object, **original))
    gone = {"Quiet": True, "Objects": [{"Key": f"{NAME}/", "VersionId": first}]}
    s3.delete_objects(Bucket=uploads, Delete=gone)
    said.append(outcome(s3.get_object, **original))
    said.append(outcome(s3.get_object, **original, VersionId=first))
    return said


def test_the_s3_in_memory_answers_as_the_embedded_aws(here: Deployment) -> None:
    there = answers(here.s3, here.uploads_bucket, here.assets_bucket)
    assert answers(S3(), "uploads", "assets") == there
