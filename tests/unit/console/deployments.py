"""An environment on moto: its settings file, and the resources that operations touch."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

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
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:123456789012:dead"}
    queue = sqs.create_queue(
        QueueName="queue",
        Attributes={
            "VisibilityTimeout": "180",
            "RedrivePolicy": json.dumps({**redrive, "maxReceiveCount": 3}),
        },
    )["QueueUrl"]
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
    logs = boto3.client("logs", region_name=REGION)
    logs.create_log_group(logGroupName=RESIZE_LOGS)
    logs.create_log_stream(logGroupName=RESIZE_LOGS, logStreamName="stream")
    write_settings(directory, queue, dead)
    here = deployment.load("local")
    for action in ("StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask"):
        instead_of(here.sqs, action, _no_such_action)
    return here


def instead_of(
    client: Any, action: str, answer: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Answer one of AWS's actions in place of moto.

    Parameters
    ----------
    answer
        Returns the answer to the parameters. With an ``Error`` it is raised by the client.
    """

    def reply(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        said = answer(json.loads(params["body"]))
        status = 400 if "Error" in said else 200
        return AWSResponse("", status, {}, None), {"ResponseMetadata": {}, **said}

    events = client.meta.events
    service = client.meta.service_model.service_name
    events.unregister(f"before-call.{service}.{action}", unique_id=action)
    events.register(f"before-call.{service}.{action}", reply, unique_id=action)


def _no_such_action(_asked: dict[str, Any]) -> dict[str, Any]:
    """Say what the embedded AWS says of the actions that it lacks."""
    return {"Error": {"Code": "InvalidAction", "Message": "The action is not valid."}}


def calls(client: Any) -> list[str]:
    """Return the list to which each call of a client from now on is added, by its action."""
    made: list[str] = []
    client.meta.events.register_first(
        f"before-parameter-build.{client.meta.service_model.service_name}",
        lambda model, **_: made.append(model.name),
    )
    return made


def write_log(here: Deployment, line: dict[str, Any], at: float | None = None) -> None:
    """Put a line into the resize function's log."""
    at = at or time.time()
    line = {"time": datetime.fromtimestamp(at, UTC).isoformat(), **line}
    here.logs.put_log_events(
        logGroupName=RESIZE_LOGS,
        logStreamName="stream",
        logEvents=[
            {"timestamp": round(at * 1000), "message": json.dumps(line)},
        ],
    )


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
    said = "upload held" if code == "held" else "upload rejected"
    names = {"key": key, "name": key.rpartition(".")[0], "version": version}
    write_log(here, {"message": said, **names, "version_id": stored["VersionId"], "code": code})
    return version


def bury(here: Deployment, key: str) -> str:
    """Put a message about an upload on the dead-letter queue; return its id."""
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key}}}
    return here.sqs.send_message(
        QueueUrl=here.dead_letter_queue_url, MessageBody=json.dumps({"Records": [record]})
    )["MessageId"]


def fail(here: Deployment, key: str, code: str = "NoSuchBucket", at: float | None = None) -> str:
    """Put a message on the dead-letter queue whose last try the log has; return its id."""
    message_id = bury(here, key)
    reason = f"An error occurred ({code}) when calling the PutObject operation: no."
    line = {
        "message": "message failed",
        "message_id": message_id,
        "key": key,
        "receives": "3",
        "error": "ClientError",
        "reason": reason,
        "stack": f"Traceback\n  File x\nbotocore.exceptions.ClientError: {reason}",
    }
    write_log(here, line, at)
    return message_id


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


def publish(here: Deployment, versions: int) -> None:
    """Make resize with so many published versions, of which the first is live."""
    name = here.function_names["resize"]
    role = boto3.client("iam", region_name=REGION).create_role(
        RoleName=name, AssumeRolePolicyDocument="{}"
    )["Role"]["Arn"]
    functions = here.functions
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="resize.handler.handler",
        Code={"ZipFile": _zip(0)},
        Publish=True,
    )
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for number in range(1, versions):
        functions.update_function_code(FunctionName=name, ZipFile=_zip(number), Publish=True)


def _zip(number: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("resize/handler.py", f"NUMBER = {number}\n")
    return stream.getvalue()
