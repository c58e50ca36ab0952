"""Find originals that were never processed, and put them on the queue.

S3's notifications are delivered at least once, but a queue can be purged, a mapping disabled or
an emulator killed. The uploads bucket is the truth: every version of an original that came after
the one that is shown, and that was not rejected, is queued again. Mostly that is the newest alone;
but a good upload must not be lost because a broken one followed it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import crops, names, outcomes

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef, ObjectVersionTypeDef

    from console.operations.pipeline import inventory

_WORKERS = 16
_SETTLED_SECONDS = 2
_OF_ITS_SENDER = {"not_allowed", "locked", "too_many_uploads"}
"""What no change of the function or its settings makes good."""


@dataclass(frozen=True)
class Keys:
    """A range of keys, as S3 orders them: behind one, up to another with it; empty for no end."""

    after: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        if self.until and self.until <= self.after:
            raise OperationError(
                f"No key comes after {self.after!r} and up to {self.until!r}.",
                "Give AFTER a key that comes before that of UNTIL.",
            )

    def may_have(self, name: str) -> bool:
        """Say whether the key of an original of that name may be in the range."""
        # a key is its name, or begins with it
        begins = name > self.after or self.after.startswith(name)
        return begins and (not self.until or name <= self.until)


@dataclass(frozen=True)
class Findings:
    """What a walk through the uploads bucket found.

    Attributes
    ----------
    queued
        Originals put on the queue, or that would be in a dry run.
    spared
        Of those that are shown, how many an inventory knew, so that S3 wasn't asked.
    last_key
        Where the walk stands: everything up to this key is done.
    """

    shown: int = 0
    rejected: int = 0
    queued: int = 0
    last_key: str = ""
    spared: int = 0

    @property
    def walked(self) -> int:
        """How many originals were looked at."""
        return self.shown + self.rejected + self.queued

    def __str__(self) -> str:
        return f"{self.queued} of {self.walked} queued"


def reconcile(
    deployment: Deployment,
    report: progress.Report,
    *,
    dry_run: bool,
    everything: bool = False,
    keys: Keys = Keys(),
    made: inventory.Made | None = None,
) -> Iterator[Findings]:
    """Walk the uploads bucket page by page, yielding the findings so far after each page.

    Parameters
    ----------
    everything
        Queue what is shown too, as after a change of variants, and a rejected newest version.
    keys
        The originals of these alone: behind where an interrupted walk stood, or a part of them, so
        that several walks share the bucket.
    made
        What an inventory knows: what it shows is not asked for. Of no use to everything.
    """
    findings = Findings()
    with aws_errors("walk through the uploads bucket"), ThreadPoolExecutor(_WORKERS) as pool:
        pages = deployment.s3.get_paginator("list_objects_v2").paginate(
            Bucket=deployment.uploads_bucket, StartAfter=keys.after
        )
        for page in pages:
            found = page.get("Contents", [])
            inside = [item for item in found if not keys.until or item["Key"] <= keys.until]
            named = [(names.name_of(item["Key"]), item) for item in inside]
            walked = [(name, item) for name, item in named if name]
            originals = [item for name, item in walked if not (made and made.shows(name, item))]
            spared = len(walked) - len(originals)
            classified = list(
                pool.map(
                    lambda item: _classify(deployment, item, everything=everything),
                    originals,
                )
            )
            if not dry_run:
                queue(
                    deployment,
                    [
                        (item["Key"], version_id)
                        for item, (_, version_ids) in zip(originals, classified, strict=True)
                        for version_id in version_ids
                    ],
                )
            states = [state for state, _ in classified]
            findings = replace(
                findings,
                shown=findings.shown + spared + states.count("shown"),
                rejected=findings.rejected + states.count("rejected"),
                queued=findings.queued + states.count("missing"),
                last_key=walked[-1][1]["Key"] if walked else findings.last_key,
                spared=findings.spared + spared,
            )
            report(progress.Event("Reconcile", "advanced", findings.last_key, done=findings.walked))
            yield findings
            if len(inside) < len(found):
                return


def _classify(
    deployment: Deployment, original: ObjectTypeDef, *, everything: bool
) -> tuple[str, list[str | None]]:
    """Say whether an original is shown, rejected or missing, and which versions are to be queued.

    None stands for the newest version. Of the versions of one second only the last is queued, and
    an older one only once its second is over: the function could not tell their order. Another
    walk finds what was behind it.
    """
    name = names.name_of(original["Key"])
    register = outcomes.register(deployment, name)
    shown = register["Metadata"] if register else {}
    if _is_settled(original, shown) and not (everything and _is_shown(original, shown)):
        return "shown", []
    missing: list[str | None] = []
    queued_of: datetime | None = None
    pages = deployment.s3.get_paginator("list_object_versions").paginate(
        Bucket=deployment.uploads_bucket, Prefix=original["Key"]
    )
    versions = (version for page in pages for version in page.get("Versions", []))
    for version in versions:  # newest first
        if version["Key"] != original["Key"]:
            break  # longer keys come after it
        version_id = None if version["IsLatest"] else version["VersionId"]
        if _is_settled(version, shown):
            if everything and _is_shown(version, shown):
                missing.append(version_id)
            break
        again = everything and version["IsLatest"]
        # what is held is held again; what was refused to its sender is not tried again
        if not again and _is_rejected(deployment, name, version):
            continue
        if _is_refused(deployment, version):
            continue
        uploaded = version["LastModified"].replace(microsecond=0)
        settled = version["IsLatest"] or time.time() - uploaded.timestamp() >= _SETTLED_SECONDS
        if uploaded != queued_of and settled:
            missing.append(version_id)
            queued_of = uploaded
    return ("missing" if missing else "rejected"), missing


def _is_refused(deployment: Deployment, version: ObjectVersionTypeDef) -> bool:
    tags = deployment.s3.get_object_tagging(
        Bucket=deployment.uploads_bucket, Key=version["Key"], VersionId=version["VersionId"]
    )["TagSet"]
    return any(
        tag["Key"] == outcomes.REJECTION_TAG and tag["Value"] in _OF_ITS_SENDER for tag in tags
    )


def _is_shown(version: ObjectTypeDef | ObjectVersionTypeDef, shown: Mapping[str, str]) -> bool:
    version_id = version.get("VersionId")
    if version_id and "version-id" in shown:
        return shown["version-id"] == version_id
    # Of one second, the same bytes in another crop look the same: a listing names no metadata.
    return (
        crops.etag_of(shown.get("version", "")) == version["ETag"].strip('"')
        and shown.get("uploaded", "") == version["LastModified"].replace(microsecond=0).isoformat()
    )


def _is_rejected(deployment: Deployment, name: str, version: ObjectVersionTypeDef) -> bool:
    made = outcomes.version_of(deployment, version["Key"], version["VersionId"])
    found = outcomes.rejection(deployment, name, made)
    return found is not None and found.code != "held"


def _is_settled(version: ObjectTypeDef | ObjectVersionTypeDef, shown: Mapping[str, str]) -> bool:
    """Say whether the avatar shows this version, or a later one of the name, or was removed since.

    An operator's removal counts as later than all uploads of its second. One by a user is ordered
    with the uploads of its key; the function can tell them apart, by what is newest.
    """
    if "removed" in shown:
        at = outcomes.uploaded_of(shown)
        if names.source_key(shown.get("source-key", "")) == version["Key"]:
            return version["LastModified"] < at
        return version["LastModified"] <= at
    if _is_shown(version, shown):
        return True
    return (
        names.source_key(shown.get("source-key", "")) != version["Key"]
        and shown.get("uploaded", "") > version["LastModified"].isoformat()
    )


def queue(
    deployment: Deployment, originals: Sequence[tuple[str, str | None]], *, again: bool = False
) -> None:
    """Send S3's own event, without a sequencer, for each original.

    Parameters
    ----------
    originals
        Key and version id; None means the newest version.
    again
        Have the function do what `make reprocess` is for.
    """
    for start in range(0, len(originals), 10):
        entries = [
            {
                "Id": str(index),
                "MessageBody": json.dumps(event(deployment, key, version_id, again=again)),
            }
            for index, (key, version_id) in enumerate(originals[start : start + 10])
        ]
        answer = deployment.sqs.send_message_batch(
            QueueUrl=deployment.queue_url,
            Entries=entries,  # type: ignore[arg-type]
        )
        if answer.get("Failed"):
            raise OperationError(
                f"The queue refused {len(answer['Failed'])} messages: "
                f"{answer['Failed'][0].get('Message')}.",
                "Run the command again: what was queued already is processed once only.",
            )


def event(
    deployment: Deployment,
    key: str,
    version_id: str | None,
    sequencer: str | None = None,
    *,
    again: bool = False,
) -> dict[str, object]:
    """Return what S3 sends when an original comes, without a sequencer unless it is known."""
    stored = {"key": quote_plus(key)}
    stored |= {"versionId": version_id} if version_id else {}
    stored |= {"sequencer": sequencer} if sequencer else {}
    return {
        "Records": [
            {
                "eventSource": "avatar-ops:reconcile",
                "eventName": f"ObjectCreated:{'Reprocess' if again else 'Reconcile'}",
                "s3": {"bucket": {"name": deployment.uploads_bucket}, "object": stored},
            }
        ]
    }
