"""Least privilege: without any one grant of any policy, something that somebody needs fails.

`PROOFS` names each action and resource that a live policy allows, with what fails without it;
`PLANNED` those that only other settings have. docs/least-privilege.md shows the same tables.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError

from console.operations import web
from console.operations.avatars import takedown
from console.operations.environments.deployment import CDN_REGION, Deployment
from console.operations.pipeline import reviews
from console.operations.releases.aliases import ALIAS
from console.operations.uploads import outcomes
from console.operations.uploads.test_users import SignIn
from tests.integration.live import call_newest
from tests.integration.policies import (
    Actors,
    DeniedError,
    account,
    denials,
    policies,
    topics_in,
    withdrawn,
)
from tests.integration.system import System, picture, wait_for_version, wait_until
from tests.integration.test_uploads import ask, grant

GOOD, BROKEN, CDN = "least-privilege", "least-privilege-broken", "least-privilege-cdn"


@dataclass(frozen=True)
class Original:
    """An upload that was processed before any grant was withdrawn."""

    key: str
    version: str
    version_id: str


@dataclass(frozen=True)
class Scene:
    """What a probe works with."""

    here: Deployment
    actors: Actors
    ada: SignIn
    good: Original
    broken: Original


Probe = Callable[[Scene], None]


@dataclass(frozen=True)
class Proof:
    """What shows that a grant is needed.

    Attributes
    ----------
    fails
        What a user or operator notices without it.
    how
        `flow`: the flow itself is run. `role`: the call that Lambda makes is made as the role, for
        the emulator's Lambda doesn't ask the role's policy.
        `evaluated`: the live policy is evaluated, for nothing on the emulator asks it.
    probe
        Returns if the call is allowed, raises DeniedError if a grant is missing.
    """

    fails: str
    how: Literal["flow", "role", "evaluated"]
    probe: Probe


# Flows


def uploaded(scene: Scene) -> None:
    """Send a picture as a browser does, and see it become the avatar."""
    here, data = scene.here, picture(90, (64, 64))
    granted = grant(here, scene.ada, data)
    stored = web.request("PUT", granted["url"], granted["headers"], data)
    if stored.status == 403:
        raise DeniedError(stored.body)
    assert stored.status == 200, stored.body
    wait_for_version(here, scene.ada.sub, stored.headers["etag"].strip('"'))


def call(here: Deployment, function: str, event: dict[str, Any]) -> None:
    """Call a function with an event, and wait for its end."""
    answer = here.functions.invoke(
        FunctionName=here.function_names[function], Qualifier=ALIAS, Payload=json.dumps(event)
    )
    if "FunctionError" in answer:
        message = json.loads(answer["Payload"].read())["errorMessage"]
        assert "AccessDenied" in message or "(403)" in message, message
        raise DeniedError(message)


def resize(here: Deployment, key: str, version_id: str | None) -> None:
    """Have an original processed again, by an event that names its version or, if None, none."""
    forget(here, key)
    announce(here, "ObjectCreated:Put", key, version_id)


def announce(
    here: Deployment, event: str, key: str, version_id: str | None, time: str | None = None
) -> None:
    """Call resize with an event of S3."""
    entity = {"key": key} | ({"versionId": version_id} if version_id else {})
    bucket = {"name": here.uploads_bucket}
    record = {"eventName": event, "eventTime": time, "s3": {"bucket": bucket, "object": entity}}
    call(here, "resize", {"Records": [record]})


def forget(here: Deployment, key: str) -> None:
    """Delete what was made of an original, and its mark."""
    made = [item for item in takedown.objects_of(here, key) if item.bucket == here.assets_bucket]
    takedown.delete(here, made, lambda event: None)
    with contextlib.suppress(here.s3.exceptions.NoSuchKey):
        here.s3.delete_object_tagging(Bucket=here.uploads_bucket, Key=key)


def shown(scene: Scene) -> None:
    """Make an avatar of an upload."""
    resize(scene.here, scene.good.key, scene.good.version_id)
    assert outcomes.shown_version(scene.here, scene.good.key) == scene.good.version


def banner_removed(scene: Scene) -> None:
    """Process the removal of a banner, which nobody has."""
    key = f"banners/{GOOD}"
    stored = scene.here.s3.put_object(Bucket=scene.here.uploads_bucket, Key=key, Body=b"x")
    marker = scene.here.s3.delete_object(Bucket=scene.here.uploads_bucket, Key=key)
    assert marker["VersionId"] != stored["VersionId"]
    removal = "ObjectRemoved:DeleteMarkerCreated"
    announce(scene.here, removal, key, marker["VersionId"])
    register = outcomes.register(scene.here, key)
    assert register is not None
    assert "removed" in register["Metadata"]
    scene.here.s3.delete_object(Bucket=scene.here.assets_bucket, Key=outcomes.register_key(key))


def reconciled(scene: Scene) -> None:
    """Make an avatar of an upload that `make reconcile` found."""
    resize(scene.here, scene.good.key, None)
    assert outcomes.shown_version(scene.here, scene.good.key) == scene.good.version


def reprocessed(scene: Scene) -> None:
    """Process a rejected upload again."""
    resize(scene.here, scene.broken.key, scene.broken.version_id)
    announce(scene.here, "ObjectCreated:Reprocess", scene.broken.key, scene.broken.version_id)


def replaced(scene: Scene) -> None:
    """Make an avatar that replaces one, whose images are then to go."""
    announce(scene.here, "ObjectCreated:Put", scene.good.key, scene.good.version_id)


def removed_by_user(scene: Scene) -> None:
    """Remove the avatar as a front end does."""
    here = scene.here
    headers = {"Authorization": f"Bearer {scene.ada.token}"}
    answer = web.request("DELETE", f"{here.api_url}/avatars", headers)
    if answer.status == 503:
        raise DeniedError(answer.body)
    assert answer.status == 202, answer.body


def ask_crop(scene: Scene) -> web.Response:
    """Ask for another crop of the newest picture, as a front end does."""
    here, headers = scene.here, {"Authorization": f"Bearer {scene.ada.token}"}
    body = json.dumps({"crop": [0, 0, 0.5]}).encode()
    answer = web.request("POST", f"{here.api_url}/avatars/crop", headers, body)
    if answer.status == 503:
        raise DeniedError(answer.body)
    return answer


def cropped(scene: Scene) -> None:
    """Crop a picture again."""
    here = scene.here
    here.s3.put_object(Bucket=here.uploads_bucket, Key=scene.ada.sub, Body=picture(91, (64, 64)))
    answer = ask_crop(scene)
    assert answer.status == 202, answer.body


def nothing_cropped(scene: Scene) -> None:
    """Say that there is no picture to crop."""
    scene.here.s3.delete_object(Bucket=scene.here.uploads_bucket, Key=scene.ada.sub)
    answer = ask_crop(scene)
    assert answer.status == 404, answer.body


def not_cropped_when_locked(scene: Scene) -> None:
    """Refuse a locked user another crop."""
    here = scene.here
    item = {"user": {"S": scene.ada.sub}, "locked": {"N": "1"}}
    here.dynamodb.put_item(TableName=here.limits_table, Item=item)
    try:
        answer = ask_crop(scene)
    finally:
        here.dynamodb.delete_item(TableName=here.limits_table, Key={"user": item["user"]})
    if answer.status != 403:
        raise DeniedError("it was cropped, or tried")


def cleaned(scene: Scene) -> None:
    """Delete what an avatar doesn't show, and the record of what it shows."""
    here = scene.here
    body = json.dumps({"name": scene.good.key})
    call(here, "cleanup", {"Records": [{"messageId": "1", "body": body, "attributes": {}}]})


def locked_out(scene: Scene) -> None:
    """Refuse a locked user an address."""
    here = scene.here
    item = {"user": {"S": scene.ada.sub}, "locked": {"N": "1"}}
    here.dynamodb.put_item(TableName=here.limits_table, Item=item)
    try:
        answer = ask(here, scene.ada.token, {"extension": "jpg", "size": 1000})
    finally:
        here.dynamodb.delete_item(TableName=here.limits_table, Key={"user": item["user"]})
    if answer.status == 200:
        raise DeniedError("an address was given")
    assert answer.status == 403, answer.body


def counted(scene: Scene) -> None:
    """Count a user's upload."""
    here, good = scene.here, scene.good
    announce(here, "ObjectCreated:Put", good.key, good.version_id, "2026-01-31T12:00:00.000Z")
    key: Any = {"TableName": here.limits_table, "Key": {"user": {"S": good.key}}}
    if "Item" not in here.dynamodb.get_item(**key, ConsistentRead=True):
        raise DeniedError("the upload was not counted")
    here.dynamodb.delete_item(**key)


def removal_counted(scene: Scene) -> None:
    """Count a user's removal."""
    here = scene.here
    key: Any = {"user": {"S": f"removals/{scene.ada.sub}"}}
    here.dynamodb.delete_item(TableName=here.limits_table, Key=key)
    removed_by_user(scene)
    found = here.dynamodb.get_item(TableName=here.limits_table, Key=key, ConsistentRead=True)
    if "Item" not in found:
        raise DeniedError("the removal was not counted")


def looked_up(scene: Scene) -> None:
    """Process an upload again that was refused by an operator."""
    here, good = scene.here, scene.good
    item = {
        "name": {"S": good.key},
        "version": {"S": good.version_id},
        "state": {"S": "refused"},
        "key": {"S": good.key},
        "etag": {"S": good.version},
        "uploaded": {"S": "2026-01-31T12:00:00+00:00"},
    }
    here.dynamodb.put_item(TableName=here.reviews_table, Item=item)
    try:
        resize(here, good.key, good.version_id)
    except AssertionError as error:
        raise DeniedError(str(error)) from error
    finally:
        key = {name: item[name] for name in ("name", "version")}
        here.dynamodb.delete_item(TableName=here.reviews_table, Key=key)
    found = outcomes.rejection(here, good.key, good.version)
    assert found
    assert found.code == "not_allowed"
    forget(here, good.key)


def reported(what: str, scene: Scene) -> None:
    """Report a picture that is shown, or of a user who has none."""
    here = scene.here
    name = scene.good.key if what == "shown" else "nobody"
    if what == "shown" and outcomes.shown_version(here, name) != scene.good.version:
        shown(scene)
    reviews.drop(here, name)
    answer = web.request(
        "POST",
        f"{here.api_url}/avatars/{name}/report",
        {"Authorization": f"Bearer {scene.ada.token}"},
        json.dumps({"reason": "other"}).encode(),
    )
    here.dynamodb.delete_item(TableName=here.limits_table, Key={"user": {"S": scene.ada.sub}})
    if answer.status == 503:
        raise DeniedError(answer.body)
    assert answer.status == 202, answer.body
    assert reviews.drop(here, name) == (what == "shown")


def reports_counted(scene: Scene) -> None:
    """Count a report."""
    here = scene.here
    key = {"user": {"S": scene.ada.sub}}
    here.dynamodb.put_item(TableName=here.limits_table, Item=key | {"locked": {"N": "1"}})
    answer = web.request(
        "POST",
        f"{here.api_url}/avatars/nobody/report",
        {"Authorization": f"Bearer {scene.ada.token}"},
        json.dumps({"reason": "other"}).encode(),
    )
    here.dynamodb.delete_item(TableName=here.limits_table, Key=key)
    if answer.status != 403:
        raise DeniedError("a report was not counted")


def oldest_logged(scene: Scene) -> None:
    """Have the age of the oldest picture logged, as the schedule does."""
    call(scene.here, "report", {"source": "aws.events"})


def rejected(scene: Scene) -> None:
    """Refuse a broken upload, with a reason for its user and a mark for operators."""
    here, broken = scene.here, scene.broken
    resize(here, broken.key, broken.version_id)
    assert outcomes.rejection(here, broken.key, broken.version)
    assert here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key=broken.key)["TagSet"]


def profile_read(scene: Scene) -> None:
    """Read a profile from a function that has just started."""
    name = scene.here.function_names["profiles"]
    timeout = scene.here.functions.get_function_configuration(FunctionName=name)["Timeout"]
    # another version, even of the same, has no process yet that knows the database's URL
    scene.here.functions.update_function_configuration(FunctionName=name, Timeout=timeout)
    call_newest(scene.here.functions, name)
    answer = web.request("GET", f"{scene.here.api_url}/api/activities/ada")
    if answer.status == 503:
        raise DeniedError(answer.body)
    assert answer.status == 200, answer.body


def avatar_recorded(scene: Scene) -> None:
    """Record a new avatar in its user's profile."""
    record = {"s3": {"object": {"key": f"avatars/{scene.ada.sub}.jpg"}}}
    message = json.dumps({"Records": [record]})
    call(scene.here, "profiles", {"Records": [{"Sns": {"Message": message}}]})


def removed_recorded(scene: Scene) -> None:
    """Record in its user's profile that an avatar is gone."""
    forget(scene.here, scene.ada.sub)
    key = outcomes.register_key(scene.ada.sub)  # which may be the mark of a removal
    scene.here.s3.delete_object(Bucket=scene.here.assets_bucket, Key=key)
    avatar_recorded(scene)


def deleted_passed_over(scene: Scene) -> None:
    """Process an upload that was deleted before its turn."""
    resize(scene.here, f"{GOOD}-deleted", scene.good.version_id)


def served(key: str, scene: Scene) -> None:
    """Fetch an image or record from the CDN."""
    here = scene.here
    answer = web.request("GET", f"{here.assets_url}/{key}")
    if answer.status in {403, 404}:
        raise DeniedError(answer.body[:100])
    assert answer.status == 200
    assert answer.body == here.s3.get_object(Bucket=here.assets_bucket, Key=key)["Body"].read()


def told(bucket: Literal["uploads_bucket", "assets_bucket"], scene: Scene) -> None:
    """Have S3 tell the queue or topic of the bucket's objects: it tries before it agrees."""
    here, name = scene.here, getattr(scene.here, bucket)
    wanted: Any = here.s3.get_bucket_notification_configuration(Bucket=name)
    del wanted["ResponseMetadata"]
    notify(here, name, wanted)


def notify(here: Deployment, bucket: str, wanted: Any) -> None:
    """Set a bucket's notifications."""
    try:
        here.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=wanted
        )
    except ClientError as error:
        if "Unable to validate" not in str(error):
            raise
        raise DeniedError(str(error)) from error


# Calls made as a role


def assumed(function: str, scene: Scene) -> None:
    """Take the role, as Lambda does to start the function."""
    with denials():
        scene.actors.assume(function)


def lists(function: str, bucket: str, scene: Scene) -> None:
    """List the bucket: S3 says "not found" of a missing object only to who may."""
    with denials():
        scene.actors.client(function, "s3").head_bucket(Bucket=getattr(scene.here, bucket))


def queue_of(here: Deployment, function: str) -> str:
    """Return the URL of the queue that the function consumes."""
    return here.queue_url if function == "resize" else cleanup_queue(here)


def cleanup_queue(here: Deployment) -> str:
    """Return the URL of the queue of avatars that have left images behind."""
    return here.queue_url.removesuffix("uploads") + "cleanup"


def receives(function: str, scene: Scene) -> None:
    """Take messages from the queue, as Lambda's poller does."""
    with denials():
        scene.actors.client(function, "sqs").receive_message(
            QueueUrl=queue_of(scene.here, function), VisibilityTimeout=0
        )


def deletes(function: str, scene: Scene) -> None:
    """Delete a message, as Lambda's poller does after success."""
    sqs = scene.actors.client(function, "sqs")
    with denials(), contextlib.suppress(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=queue_of(scene.here, function), ReceiptHandle="none")


def measures(function: str, scene: Scene) -> None:
    """Look at the queue, as Lambda's poller does to scale."""
    with denials():
        scene.actors.client(function, "sqs").get_queue_attributes(
            QueueUrl=queue_of(scene.here, function), AttributeNames=["ApproximateNumberOfMessages"]
        )


def marks(scene: Scene) -> None:
    """Tag the mark of a removal: S3 asks that of who writes it with a tag."""
    with denials():
        scene.actors.client("resize", "s3").put_object_tagging(
            Bucket=scene.here.assets_bucket,
            Key=f"avatars/{CDN}.jpg",
            Tagging={"TagSet": [{"Key": "avatar-removed", "Value": "true"}]},
        )


def queues_again(scene: Scene) -> None:
    """Send what changes nothing to the queue of uploads."""
    with denials():
        scene.actors.client("cleanup", "sqs").send_message(
            QueueUrl=scene.here.queue_url, MessageBody=NOTHING
        )


def deletes_variant(scene: Scene) -> None:
    """Delete a variant: what the function deletes itself must be older than a test takes."""
    with denials():
        scene.actors.client("cleanup", "s3").delete_object(
            Bucket=scene.here.assets_bucket, Key=f"variants/{CDN}/none"
        )


# Policies evaluated


def logs(function: str, action: str, scene: Scene) -> None:
    """Ask IAM whether the role may do that to a stream of the function's log group."""
    here, name = scene.here, scene.here.function_names[function]
    group = f"arn:aws:logs:{here.region}:{account(here)}:log-group:/aws/lambda/{name}"
    (result,) = here.iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{account(here)}:role/{name}",
        ActionNames=[action],
        ResourceArns=[f"{group}:log-stream:2026/01/31/[4]0123"],
    )["EvaluationResults"]
    if result["EvalDecision"] == "implicitDeny":
        raise DeniedError(action)
    assert result["EvalDecision"] == "allowed"


def callable_by(here: Deployment, function: str, service: str, source: str) -> None:
    """Evaluate whether a function's policy lets a service call it on behalf of `source`."""
    name = here.function_names[function]
    arn = here.functions.get_alias(FunctionName=name, Name=ALIAS)["AliasArn"]
    try:
        answer = here.functions.get_policy(FunctionName=name, Qualifier=ALIAS)
    except here.functions.exceptions.ResourceNotFoundException as error:
        raise DeniedError(f"nobody may call {name}") from error
    policy = json.loads(answer["Policy"])
    if not any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": service}
        and statement["Action"] == "lambda:InvokeFunction"
        and statement["Resource"] == arn
        and fnmatchcase(source, statement["Condition"]["ArnLike"]["AWS:SourceArn"])
        for statement in policy["Statement"]
    ):
        raise DeniedError(f"{service} may not call {name} for {source}")


def api_calls(function: str, route: str, scene: Scene) -> None:
    """Evaluate whether API Gateway may call the function for a route that there is."""
    here = scene.here
    assert route in {item["RouteKey"] for item in here.apis.get_routes(ApiId=api(here))["Items"]}
    source = f"{execution_arn(here)}/$default/{route.replace(' ', '')}"
    callable_by(here, function, "apigateway.amazonaws.com", source)


def schedule_calls(function: str, schedule: str, scene: Scene) -> None:
    """Evaluate whether the schedule may call the function."""
    here = scene.here
    name = here.function_names[function].removesuffix(function)
    rule = f"arn:aws:events:{here.region}:{account(here)}:rule/{name}{schedule}"
    callable_by(here, function, "events.amazonaws.com", rule)


def api_authorizes(scene: Scene) -> None:
    """Evaluate whether API Gateway may call the authorizer."""
    here = scene.here
    (found,) = here.apis.get_authorizers(ApiId=api(here))["Items"]
    source = f"{execution_arn(here)}/authorizers/{found['AuthorizerId']}"
    callable_by(here, "authorizer", "apigateway.amazonaws.com", source)


def topic_calls(scene: Scene) -> None:
    """Evaluate whether the topic may call its subscriber."""
    callable_by(scene.here, "profiles", "sns.amazonaws.com", scene.here.topic_arn)


def alarms_publish(name: str, region: str, scene: Scene) -> None:
    """Evaluate whether an alarm of the environment may publish to the operators' topic."""
    here = scene.here
    prefix = here.topic_arn.split(":")[-1].removesuffix("avatars")
    topic = f"arn:aws:sns:{region}:{account(here)}:{prefix}{name}"
    alarm = f"arn:aws:cloudwatch:{region}:{account(here)}:alarm:{prefix}dead-letters"
    attributes = topics_in(here, region).get_topic_attributes(TopicArn=topic)["Attributes"]
    if not any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        and statement["Action"] == "sns:Publish"
        and statement["Resource"] == topic
        and statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account(here)
        and fnmatchcase(alarm, statement["Condition"]["ArnLike"]["aws:SourceArn"])
        for statement in json.loads(attributes["Policy"])["Statement"]
    ):
        raise DeniedError(f"alarms may not publish to {topic}")


def api(here: Deployment) -> str:
    return here.api_url.split("/")[-2]


def execution_arn(here: Deployment) -> str:
    return f"arn:aws:execute-api:{here.region}:{account(here)}:{api(here)}"


# The table

FUNCTIONS = (
    "authorizer",
    "cleanup",
    "crop",
    "presign",
    "probe",
    "profiles",
    "remove",
    "report",
    "resize",
)
NOTHING = json.dumps({"Event": "s3:TestEvent"})
_AVATAR = Proof("an upload becomes no avatar", "flow", shown)
_CLEANUP = Proof("the images of replaced pictures stay public", "flow", cleaned)
_CROP = Proof("users can't crop their picture again", "flow", cropped)
_REJECTION = Proof("a broken upload ends in the dead-letter queue", "flow", rejected)

PROOFS = {
    "presign/UploadOriginals s3:PutObject": Proof("the browser's PUT is refused", "flow", uploaded),
    "resize/ReadOriginals s3:GetObjectVersion": _AVATAR,
    "resize/ReadOriginals s3:GetObject": Proof(
        "what `make reconcile` finds becomes no avatar", "flow", reconciled
    ),
    "resize/SeeCurrentAvatar s3:GetObject": _AVATAR,
    "resize/SeeDefaultBanner s3:GetObject": Proof(
        "the removal of a banner ends in the dead-letter queue", "flow", banner_removed
    ),
    "resize/WriteImages s3:PutObject avatars/*": _AVATAR,
    "resize/WriteImages s3:PutObject variants/*": _AVATAR,
    "resize/WriteImages s3:PutObject rejections/*": _REJECTION,
    "resize/MarkRejectedOriginals s3:PutObjectVersionTagging": _REJECTION,
    "resize/SeeRejections s3:GetObjectVersionTagging": Proof(
        "`make reprocess` leaves out what is rejected, and its tasks fail", "flow", reprocessed
    ),
    "resize/SeeMissingAvatar s3:ListBucket": Proof(
        "a user's first upload becomes no avatar", "flow", shown
    ),
    "resize/SeeMissingOriginal s3:ListBucket": Proof(
        "an upload that was deleted before its turn ends in the dead-letter queue",
        "flow",
        deleted_passed_over,
    ),
    "resize/ConsumeQueue sqs:ReceiveMessage": Proof(
        "uploads stay on the queue", "role", partial(receives, "resize")
    ),
    "resize/ConsumeQueue sqs:DeleteMessage": Proof(
        "uploads are processed again and again, then dead", "role", partial(deletes, "resize")
    ),
    "resize/ConsumeQueue sqs:GetQueueAttributes": Proof(
        "Lambda refuses the queue as event source", "role", partial(measures, "resize")
    ),
    "presign/LookAtLimits dynamodb:GetItem": Proof(
        "locked users, and who sends too much, are given addresses", "flow", locked_out
    ),
    "resize/CountUploads dynamodb:UpdateItem": Proof(
        "an address that is used again makes pictures without limit", "flow", counted
    ),
    "resize/AnnounceLeftovers sqs:SendMessage": Proof(
        "the images of replaced pictures stay public", "flow", replaced
    ),
    "resize/MarkRemovedAvatars s3:PutObjectTagging": Proof(
        "a user's removal ends in the dead-letter queue", "role", marks
    ),
    "crop/ReadOriginals s3:GetObject": _CROP,
    "crop/WriteOriginals s3:PutObject": _CROP,
    "crop/SeeRefusals s3:GetObjectTagging": _CROP,
    "crop/SeeMissingOriginal s3:ListBucket": Proof(
        "who has sent no picture is told to try again for ever", "flow", nothing_cropped
    ),
    "crop/LookAtLimits dynamodb:GetItem": Proof(
        "locked users, and who sends too much, may have pictures made",
        "flow",
        not_cropped_when_locked,
    ),
    "remove/MarkDeleted s3:DeleteObject": Proof(
        "users can't remove their avatar", "flow", removed_by_user
    ),
    "remove/CountRemovals dynamodb:UpdateItem": Proof(
        "a user may remove the picture as often as requests are answered", "flow", removal_counted
    ),
    "resize/LookAtReviews dynamodb:Query": Proof(
        "what was refused is shown when it is processed again", "flow", looked_up
    ),
    "report/SeeCurrentAvatar s3:GetObject": Proof(
        "users can't report pictures", "flow", partial(reported, "shown")
    ),
    "report/SeeMissingAvatar s3:ListBucket": Proof(
        "who reports learns whether there is a picture", "flow", partial(reported, "nobody")
    ),
    "report/CountReports dynamodb:UpdateItem": Proof(
        "a user reports pictures without limit", "flow", reports_counted
    ),
    "report/TakeReports dynamodb:UpdateItem": Proof(
        "users can't report pictures", "flow", partial(reported, "shown")
    ),
    "report/SeeOldest dynamodb:Query": Proof(
        "no alarm says that pictures wait for too long", "flow", oldest_logged
    ),
    "report callers/CallForRoutePOSTAvatarsSubReport lambda:InvokeFunction": Proof(
        "reporting a picture answers 500",
        "evaluated",
        partial(api_calls, "report", "POST /avatars/{sub}/report"),
    ),
    "report callers/CallBySchedule lambda:InvokeFunction": Proof(
        "no alarm says that pictures wait for too long",
        "evaluated",
        partial(schedule_calls, "report", "oldest-review"),
    ),
    "probe callers/CallBySchedule lambda:InvokeFunction": Proof(
        "no alarm says that the CDN serves nobody's picture",
        "evaluated",
        partial(schedule_calls, "probe", "probe"),
    ),
    "cleanup/SeeCurrentAvatar s3:GetObject": _CLEANUP,
    "cleanup/ListImages s3:ListBucket": _CLEANUP,
    "cleanup/DeleteLeftovers s3:DeleteObject variants/*": Proof(
        "the images of replaced pictures stay public", "role", deletes_variant
    ),
    "cleanup/DeleteLeftovers s3:DeleteObject rejections/*": Proof(
        "the record of a rejection outlives its reason", "flow", cleaned
    ),
    "cleanup/QueueAgain sqs:SendMessage": Proof(
        "images that were deleted while they were sent again stay missing", "role", queues_again
    ),
    "cleanup/ConsumeQueue sqs:ReceiveMessage": Proof(
        "the images of replaced pictures stay public", "role", partial(receives, "cleanup")
    ),
    "cleanup/ConsumeQueue sqs:DeleteMessage": Proof(
        "avatars are cleaned up again and again, then dead", "role", partial(deletes, "cleanup")
    ),
    "cleanup/ConsumeQueue sqs:GetQueueAttributes": Proof(
        "Lambda refuses the queue as event source", "role", partial(measures, "cleanup")
    ),
    "profiles/ReadDatabaseUrl ssm:GetParameter": Proof(
        "profiles answer 503 from the next start on", "flow", profile_read
    ),
    "profiles/SeeCurrentAvatar s3:GetObject": Proof(
        "profiles show the old avatar", "flow", avatar_recorded
    ),
    "profiles/SeeMissingAvatar s3:ListBucket": Proof(
        "profiles show a removed avatar", "flow", removed_recorded
    ),
    "assets bucket/ReadByDistribution s3:GetObject avatars/*": Proof(
        "the CDN serves no avatar", "flow", partial(served, "avatars/_default.jpg")
    ),
    "assets bucket/ReadByDistribution s3:GetObject variants/*": Proof(
        "the CDN serves no variant", "flow", partial(served, f"variants/{CDN}/1.txt")
    ),
    "assets bucket/ReadByDistribution s3:GetObject banners/*": Proof(
        "the CDN serves no banner of all", "flow", partial(served, "banners/banner.jpg")
    ),
    "assets bucket/ReadByDistribution s3:GetObject rejections/*": Proof(
        "users don't learn why a picture was refused",
        "flow",
        partial(served, f"rejections/{CDN}/1.txt"),
    ),
    "uploads queue/SendUploadEvents sqs:SendMessage": Proof(
        "S3 refuses the queue: no upload is processed", "flow", partial(told, "uploads_bucket")
    ),
    "avatars topic/PublishAvatarEvents sns:Publish": Proof(
        "S3 refuses the topic: no subscriber is notified of new avatars",
        "flow",
        partial(told, "assets_bucket"),
    ),
    "authorizer callers/CallAsAuthorizer lambda:InvokeFunction": Proof(
        "signed-in requests answer 500", "evaluated", api_authorizes
    ),
    "presign callers/CallForRoutePOSTAvatarsKeyUpload lambda:InvokeFunction": Proof(
        "asking for an upload address answers 500",
        "evaluated",
        partial(api_calls, "presign", "POST /avatars/key_upload"),
    ),
    "crop callers/CallForRoutePOSTAvatarsCrop lambda:InvokeFunction": Proof(
        "cropping again answers 500", "evaluated", partial(api_calls, "crop", "POST /avatars/crop")
    ),
    "remove callers/CallForRouteDELETEAvatars lambda:InvokeFunction": Proof(
        "removing one's avatar answers 500",
        "evaluated",
        partial(api_calls, "remove", "DELETE /avatars"),
    ),
    "profiles callers/CallForRouteGETApiActivitiesHandle lambda:InvokeFunction": Proof(
        "reading a profile answers 500",
        "evaluated",
        partial(api_calls, "profiles", "GET /api/activities/{handle}"),
    ),
    "profiles callers/CallForRoutePOSTApiProfileUpdate lambda:InvokeFunction": Proof(
        "changing a profile answers 500",
        "evaluated",
        partial(api_calls, "profiles", "POST /api/profile/update"),
    ),
    "profiles callers/CallOnNewAvatar lambda:InvokeFunction": Proof(
        "profiles show the old avatar", "evaluated", topic_calls
    ),
    **{
        f"{topic} topic/PublishAlarms sns:Publish": Proof(
            "no operator is notified of an alarm",
            "evaluated",
            partial(alarms_publish, topic, region),
        )
        for topic, region in (("alarms", "eu-central-1"), ("cdn-alarms", CDN_REGION))
    },
    **{
        f"{function} trust/RunAsFunction sts:AssumeRole": Proof(
            "Lambda can't start the function", "role", partial(assumed, function)
        )
        for function in FUNCTIONS
    },
    **{
        f"{function}/WriteLogs {action}": Proof(
            "`make logs` shows nothing of the function",
            "evaluated",
            partial(logs, function, action),
        )
        for function in FUNCTIONS
        for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    },
}


@dataclass(frozen=True)
class PlannedProof:
    """What holds a grant that the local settings don't have: a run of a Terraform test."""

    fails: str
    file: str
    run: str


NETWORK_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)

PLANNED = {
    **{
        f"profiles/{sid} {action}": PlannedProof(fails, "function", "runs_in_a_network")
        for sid, fails in (
            ("AttachToNetwork", "Lambda can't attach the function to the database's network"),
            ("KeepNetworkFromCode", "the function's code may do that to the account's network"),
        )
        for action in NETWORK_ACTIONS
    },
    "profiles/DecryptDatabaseUrl kms:Decrypt": PlannedProof(
        "profiles answer 503 where the parameter has a key of its own",
        "root",
        "gives_each_role_what_it_needs",
    ),
    **{
        f"reprocess/{grant}": PlannedProof(fails, "reprocess", "gives_a_job_what_it_needs")
        for grant, fails in (
            ("CallResize lambda:InvokeFunction", "each task of `make reprocess` fails"),
            ("ListOriginals s3:PutInventoryConfiguration", "S3 can't list what to process again"),
            ("WriteReports s3:PutObject", "the job fails when its report is written"),
        )
    },
    **{
        name: PlannedProof(fails, "root", run)
        for name, fails, run in (
            (
                "resize/HoldUploads dynamodb:UpdateItem",
                "what is to be held ends in the dead-letter queue",
                "holds_every_upload",
            ),
            (
                "resize/AskVerdictFunction lambda:InvokeFunction",
                "each upload is held",
                "asks_a_function_what_to_hold",
            ),
            (
                "rekognition/DetectLabels rekognition:DetectModerationLabels",
                "each upload is held",
                "asks_rekognition_what_to_hold",
            ),
        )
    },
    "webhook queue/KeepUndelivered sqs:SendMessage": PlannedProof(
        "a notification that the webhook did not take is lost",
        "image_pipeline",
        "tells_functions_and_the_webhook",
    ),
    "assets bucket/WriteInventories s3:PutObject": PlannedProof(
        "S3 delivers no inventory", "bucket", "lists_its_objects_each_day"
    ),
    **{
        f"{bucket} bucket/RefusePlainHttp s3:*": PlannedProof(
            "a picture may be sent and read in the clear", "bucket", "is_private_and_encrypted"
        )
        for bucket in ("uploads", "assets")
    },
}


@pytest.fixture(scope="module")
def scene(system: System, ada: SignIn) -> Iterator[Scene]:
    here = system.deployment()

    def original(key: str, data: bytes) -> Original:
        stored = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=data)
        return Original(key, stored["ETag"].strip('"'), stored["VersionId"])

    good = original(GOOD, picture(91, (64, 64)))
    broken = original(BROKEN, b"this is not a picture")
    for folder in ("variants", "rejections"):
        here.s3.put_object(
            Bucket=here.assets_bucket, Key=f"{folder}/{CDN}/1.txt", Body=folder.encode()
        )
    # what comes of S3's own messages must not meet a withdrawn grant
    wait_for_version(here, good.key, good.version)
    wait_until(
        lambda: here.s3.get_object_tagging(Bucket=here.uploads_bucket, Key=broken.key)["TagSet"],
        "the broken original's mark",
    )
    mark = {"Bucket": here.assets_bucket, "Key": f"avatars/{CDN}.jpg"}
    here.s3.put_object(**mark)
    yield Scene(here, Actors(here), ada, good, broken)
    here.s3.delete_object(**mark)
    for name in (GOOD, BROKEN):
        takedown.delete(here, takedown.objects_of(here, name), lambda event: None)
    for folder in ("variants", "rejections"):
        here.s3.delete_object(Bucket=here.assets_bucket, Key=f"{folder}/{CDN}/1.txt")


@pytest.mark.parametrize("grant_name", PROOFS)
def test_without_it_something_fails(here: Deployment, scene: Scene, grant_name: str) -> None:
    probe = PROOFS[grant_name].probe

    def fails() -> bool:
        try:
            probe(scene)
        except DeniedError:
            return True
        return False

    with withdrawn(here, grant_name):
        wait_until(fails, f"a failure without {grant_name}", seconds=10)
    wait_until(lambda: not fails(), f"success with {grant_name} again", seconds=10)


def test_the_table_names_every_grant_and_no_other(here: Deployment) -> None:
    live = [name for policy in policies(here) for name in policy.grants()]
    assert len(live) == len(set(live))
    assert set(live) - set(PROOFS) == set(), "prove that they are needed, or cut them"
    assert set(PROOFS) - set(live) == set(), "there is no such statement any more"


def test_a_bucket_that_refuses_plain_http_refuses_it(here: Deployment, scene: Scene) -> None:
    """RefusePlainHttp, as terraform/tests/bucket.tftest.hcl holds it, on a bucket of its own."""
    bucket = f"{GOOD}-{account(here)}"
    arn = f"arn:aws:s3:::{bucket}"
    reader = f"arn:aws:iam::{account(here)}:role/{here.function_names['presign']}"
    allow = {
        "Sid": "Read",
        "Effect": "Allow",
        "Principal": {"AWS": reader},
        "Action": "s3:GetObject",
        "Resource": f"{arn}/*",
    }
    refuse = {
        "Sid": "RefusePlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

    def read(*statements: dict[str, Any]) -> None:
        policy = {"Version": "2012-10-17", "Statement": statements}
        here.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        with denials():
            scene.actors.client("presign", "s3").get_object(Bucket=bucket, Key="x")

    here.s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    try:
        here.s3.put_object(Bucket=bucket, Key="x", Body=b"x")
        read(allow)
        with pytest.raises(DeniedError):
            read(allow, refuse)
    finally:
        here.s3.delete_object(Bucket=bucket, Key="x")
        here.s3.delete_bucket(Bucket=bucket)
