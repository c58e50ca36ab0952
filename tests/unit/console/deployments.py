"""An environment on moto: its settings file, and the resources that operations touch."""

from __future__ import annotations

import json
from pathlib import Path

import boto3

from console.operations.environments import clients, deployment
from console.operations.environments.deployment import Deployment

REGION = "eu-central-1"
RESIZE_LOGS = "/aws/lambda/resize"


def make(directory: Path) -> Deployment:
    """Make the buckets, queues and log group, and write ``.env.local`` into the folder."""
    clients.forget_clients()
    s3 = boto3.client("s3", region_name=REGION)
    location = {"LocationConstraint": REGION}
    for bucket in ("uploads", "assets"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)  # type: ignore[arg-type]
    s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    s3.create_bucket(
        Bucket="legal-holds",
        CreateBucketConfiguration=location,  # type: ignore[arg-type]
        ObjectLockEnabledForBucket=True,
    )
    sqs = boto3.client("sqs", region_name=REGION)
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("queue", "dead")}
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="limits",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "user", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "user", "KeyType": "HASH"}],
    )
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="reviews",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "name", "AttributeType": "S"},
            {"AttributeName": "version", "AttributeType": "S"},
            {"AttributeName": "queue", "AttributeType": "S"},
            {"AttributeName": "since", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "name", "KeyType": "HASH"},
            {"AttributeName": "version", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "waiting",
                "KeySchema": [
                    {"AttributeName": "queue", "KeyType": "HASH"},
                    {"AttributeName": "since", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    boto3.client("logs", region_name=REGION).create_log_group(logGroupName=RESIZE_LOGS)
    write_settings(directory, queues["queue"], queues["dead"])
    return deployment.load("local")


def write_settings(directory: Path, queue_url: str, dead_letter_queue_url: str) -> None:
    """Write ``.env.local``."""
    settings = {
        "REGION": REGION,
        "API_URL": "http://127.0.0.1:9",
        "ASSETS_URL": "http://127.0.0.1:9",
        "UPLOADS_BUCKET": "uploads",
        "ASSETS_BUCKET": "assets",
        "DISTRIBUTION_ID": "E1",
        "USER_POOL_ID": "eu-central-1_1",
        "USER_POOL_CLIENT_ID": "client",
        "QUEUE_URL": queue_url,
        "DEAD_LETTER_QUEUE_URL": dead_letter_queue_url,
        "TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:topic",
        "LIMITS_TABLE": "limits",
        "REVIEWS_TABLE": "reviews",
        "LEGAL_HOLDS_BUCKET": "legal-holds",
        "FUNCTION_NAMES": json.dumps({"resize": "resize"}),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    (directory / ".env.local").write_text("\n".join(lines))


def reject(here: Deployment, key: str, code: str = "damaged", body: bytes = b"no picture") -> str:
    """Upload a file and record its rejection as the resize function does; return its version."""
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=body)
    version = stored["ETag"].strip('"')
    here.s3.put_object(
        Bucket=here.assets_bucket,
        Key=f"rejections/{key.rpartition('.')[0]}/{version}.json",
        Body=json.dumps(
            {
                "code": code,
                "message": "The file is damaged.",
                "key": key,
                "version_id": stored["VersionId"],
                "size": len(body),
                "uploaded": "2026-01-02T03:04:05+00:00",
            }
        ).encode(),
    )
    here.s3.put_object_tagging(
        Bucket=here.uploads_bucket,
        Key=key,
        Tagging={"TagSet": [{"Key": "avatar-rejection", "Value": code}]},
    )
    return version


def bury(here: Deployment, key: str) -> str:
    """Put a message about an upload on the dead-letter queue; return its id."""
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key}}}
    return here.sqs.send_message(
        QueueUrl=here.dead_letter_queue_url, MessageBody=json.dumps({"Records": [record]})
    )["MessageId"]


def lock(here: Deployment, user: str) -> None:
    """Lock a user out of sending pictures."""
    here.dynamodb.put_item(
        TableName="limits", Item={"user": {"S": user}, "locked": {"N": "1767323045"}}
    )


def hold(
    here: Deployment,
    key: str,
    body: bytes = b"picture",
    since: float = 1767323045,
    state: str = "held",
    reports: tuple[tuple[str, str], ...] = (),
) -> str:
    """Upload a file and hold it as the resize function does; return its version id."""
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=body)
    here.dynamodb.put_item(
        TableName=here.reviews_table,
        Item={
            "name": {"S": key.rpartition(".")[0] or key},
            "version": {"S": stored["VersionId"]},
            "state": {"S": state},
            "queue": {"S": "review"},
            "since": {"N": str(round(since * 1000))},
            "key": {"S": key},
            "etag": {"S": stored["ETag"].strip('"')},
            "uploaded": {"S": "2026-01-02T03:04:05+00:00"},
            "sequencer": {"S": "01"},
            "expires": {"N": "1999999999"},
            **{
                f"report {number}": {
                    "M": {
                        "reason": {"S": reason},
                        "text": {"S": text},
                        "at": {"N": str(int(since))},
                    }
                }
                for number, (reason, text) in enumerate(reports)
            },
        },
    )
    return stored["VersionId"]


def waiting(here: Deployment, url: str) -> int:
    """Return how many messages are in a queue."""
    found = here.sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])
