"""Report a picture that is shown (API Gateway, payload 2.0), and say how long reports wait.

Who reports learns nothing: not whether there is such a user, what is shown, or what others
reported. So everything that can be read is answered alike.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import env_settings
import http_api
import json_log
import picture_kinds
from dynamodb import ConditionFailedError, Table, TableError
from limits import Limits
from picture_kinds import Kind

REASONS = ("nudity", "violence", "hate", "harassment", "impersonation", "copyright", "other")
MOST_CHARACTERS = 500
MOST_REPORTERS = 50
"""More add nothing to what operators see, and an item has its bounds."""
_MOST_BODY = 4096
_DAY = 86_400

LOG = json_log.logger("report")
LIMITS = Limits.from_environment(LOG, seconds=1)  # a user waits
_TABLE = Table.from_environment(env_settings.text("REVIEWS_TABLE_NAME"), 2)
_BUCKET = env_settings.text("ASSETS_BUCKET_NAME")
_PER_DAY = env_settings.integer("REPORTS_PER_DAY", 20, 1, 1000)
_DAYS = env_settings.integer("REVIEW_DAYS", 90, 30, 3650)
_s3 = boto3.client(
    "s3",
    config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}),
)


class ReportError(Exception):
    """The request can't be read; the message says what to send instead."""


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any]:
    """Take a report, or, called by its schedule, log how long the oldest item waits."""
    if event.get("source") == "aws.events":
        return _log_oldest()
    reporter = http_api.caller(event)
    if reporter is None:
        LOG.error("no_caller", extra={"fields": {"remedy": "put the authorizer on this route"}})
        return http_api.refusal(401, "unauthorized", "Sign in first.")
    try:
        reported = _reported(event)
        report, version, kind = _read(event)
        reported = kind.folder + reported
    except ReportError as error:
        return http_api.refusal(400, "invalid_request", str(error))
    if LIMITS and (refusal := LIMITS.count_report(reporter, _PER_DAY)):
        LOG.info("refused", extra={"fields": {"key": reporter, "code": refusal.code}})
        if refusal.retry_after is None:
            return http_api.refusal(403, "locked", "This account may not report pictures.")
        sentence = "Too many pictures were reported today. Go on tomorrow."
        answer = http_api.refusal(
            429, "too_many_reports", sentence, retry_after=refusal.retry_after
        )
        answer["headers"]["retry-after"] = str(refusal.retry_after)
        return answer
    try:
        taken = _record(reporter, reported, report, version)
    except (BotoCoreError, ClientError, TableError):
        LOG.exception("not reported", extra={"fields": {"key": reporter}})
        sentence = "The picture could not be reported just now. Try again."
        return http_api.refusal(503, "unavailable", sentence)
    fields = {"key": reporter, "name": reported, "reason": report["reason"], "taken": taken}
    LOG.info("reported", extra={"fields": fields})
    return http_api.answer(202, {})


def _reported(event: dict[str, Any]) -> str:
    sub = unquote(str((event.get("pathParameters") or {}).get("sub")))
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,128}", sub) or sub.startswith("_"):
        raise ReportError("The path names no user: POST /avatars/<sub>/report.")
    return sub


def _read(event: dict[str, Any]) -> tuple[dict[str, str], str, Kind]:
    """Return reason and text, the version that was seen, "" for any, and the picture's kind."""
    body = event.get("body") or ""
    if len(body) > _MOST_BODY:
        raise ReportError(f"The body may have {_MOST_BODY} characters.")
    try:
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body, validate=True).decode()
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ReportError('The body is a JSON object such as {"reason": "nudity"}.')
    if said.get("reason") not in REASONS:
        raise ReportError(f"`reason` is one of {', '.join(REASONS)}.")
    text, version = said.get("text") or "", said.get("version") or ""
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        raise ReportError(f"`text` is a text of at most {MOST_CHARACTERS} characters.")
    if not isinstance(version, str) or len(version) > 128:
        raise ReportError("`version` is the version in the address of the picture.")
    try:
        kind = picture_kinds.from_request(said.get("kind"))
    except ValueError as error:
        raise ReportError(str(error)) from error
    # what can't be shown, or turns a line around, is no part of a reason
    text = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    return {"reason": said["reason"], "text": text}, version, kind


def _record(reporter: str, name: str, report: dict[str, str], version: str) -> bool:
    """Put what is shown on the list, with this report; return whether there was anything to do."""
    shown = _shown(name)
    # the mark of a removal has no version, though that by a user names its delete marker
    if not shown.get("version") or not shown.get("version-id"):
        return False
    if version not in {"", shown["version"]}:
        return False
    # enough to tell one reporter from another, for this picture alone
    who = hashlib.sha256(f"{reporter} {name} {shown['version-id']}".encode()).hexdigest()[:16]
    now = time.time()
    values = {
        "state": {"S": "reported"},
        "key": {"S": name},
        "etag": {"S": shown["version"]},
        "uploaded": {"S": shown["uploaded"]},
        "expires": {"N": str(int(now) + _DAYS * _DAY)},
        "report": {"M": {"at": {"N": str(int(now))}} | {k: {"S": v} for k, v in report.items()}},
    }
    first = {"queue": {"S": "review"}, "since": {"N": str(round(now * 1000))}}
    names = {f"#{each}": each for each in (*values, *first, "reporters")} | {
        "#report": f"report {who}"
    }
    sets = [f"#{each} = :{each}" for each in values]
    sets += [f"#{each} = if_not_exists(#{each}, :{each})" for each in first]
    try:
        _TABLE.call(
            "UpdateItem",
            Key={"name": {"S": name}, "version": {"S": shown["version-id"]}},
            UpdateExpression=f"SET {', '.join(sets)} ADD #reporters :one",
            # what was decided stays decided; nobody counts twice
            ConditionExpression="(attribute_not_exists(#state) OR #state = :state)"
            " AND attribute_not_exists(#report)"
            " AND (attribute_not_exists(#reporters) OR #reporters < :most)",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={
                **{f":{each}": value for each, value in (values | first).items()},
                ":one": {"N": "1"},
                ":most": {"N": str(MOST_REPORTERS)},
            },
        )
    except ConditionFailedError:
        return False
    return True


def _shown(name: str) -> dict[str, str]:
    """Return what the avatar says of the upload that it shows; nothing if there is none."""
    try:
        return _s3.head_object(Bucket=_BUCKET, Key=f"avatars/{name}.jpg")["Metadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return {}
        raise


def _log_oldest() -> dict[str, Any]:
    """Log for how many seconds the oldest item has waited: the alarm's metric."""
    found = _TABLE.call(
        "Query",
        IndexName="waiting",
        KeyConditionExpression="#queue = :queue",
        ExpressionAttributeNames={"#queue": "queue"},
        ExpressionAttributeValues={":queue": {"S": "review"}},
        Limit=1,
    )
    since = [int(item["since"]["N"]) / 1000 for item in found["Items"]]
    waits = round(max(0.0, time.time() - since[0])) if since else 0
    LOG.info("oldest review", extra={"fields": {"seconds": waits}})
    return {"seconds": waits}
