"""Say by Amazon Rekognition whether an upload is to be held: a verdict function for `resize`.

It is given the picture as it would be shown, a JPEG of 512 by 512 pixels: far within what
DetectModerationLabels takes (JPEG or PNG, at most 5 MB as bytes, at least 50 pixels a side). So it
decodes nothing and needs no right to a bucket.
"""

from __future__ import annotations

import base64
from typing import Any

import boto3
from botocore.config import Config

import env_settings
import json_log

MOST_BYTES = 5 * 2**20

LOG = json_log.logger("rekognition")
_LABELS = frozenset(
    env_settings.texts(
        "HOLD_LABELS",
        "Explicit,Non-Explicit Nudity of Intimate parts and Kissing,Violence,Visually Disturbing,"
        "Rude Gestures,Hate Symbols",
    )
)
_CONFIDENCE = env_settings.integer("HOLD_CONFIDENCE", 60, 1, 100)
_rekognition = boto3.client(
    "rekognition",
    config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 2}),
)


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any]:
    """Answer ``{"hold": bool, "score": float}``; the score is the surest label's, 0 to 1.

    Raises
    ------
    ValueError
        If the event has no picture that Rekognition takes.
    """
    picture = base64.b64decode(event.get("picture") or "", validate=True)
    if not 0 < len(picture) <= MOST_BYTES:
        raise ValueError(f"the picture has {len(picture)} bytes; it must have 1 to {MOST_BYTES}")
    found = _rekognition.detect_moderation_labels(
        Image={"Bytes": picture}, MinConfidence=_CONFIDENCE
    )
    # labels of all levels are listed, each top-level one that a lower one belongs to among them
    labels = {
        label["Name"]: label["Confidence"]
        for label in found["ModerationLabels"]
        if label["Name"] in _LABELS
    }
    score = max(labels.values(), default=0.0) / 100
    fields = {"key": event.get("key"), "version_id": event.get("version_id"), "labels": labels}
    LOG.info("judged", extra={"fields": fields})
    return {"hold": bool(labels), "score": score}
