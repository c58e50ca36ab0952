"""What the system costs: counts of its own, times one table of prices.

docs/cost.md says where the prices come from and what was measured; `tests/unit/docs/test_cost.py`
holds that page to this table.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from console.operations.environments import arrivals, health
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import CDN_REGION, Deployment

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

# USD in us-east-1: of a million, unless said otherwise
GB_SECOND = 0.0000133334  # of one
CALLS, API, QUEUE, TOPIC = 0.20, 1.00, 0.40, 0.50
PUT, GET, STORED_GB = 5.00, 0.40, 0.023  # GB: of one, a month
BATCH_JOB, BATCH_OBJECTS = 0.25, 1.00  # job: of one
COUNTED, LOOKED_UP = 0.625, 0.125  # DynamoDB: a write, a consistent read
LOGS_IN_GB, LOGS_KEPT_GB = 0.50, 0.03  # of one
CDN_REQUESTS, CDN_GB = 1.00, 0.085  # GB: of one
ALARM, METRIC = 0.10, 0.30  # of one, a month
METRICS = 10
"""Two durations of each outcome; codes of rejections come on top."""

WHOLE_PROCESSOR_MB = 1769
PROCESSOR_MS, WAITS_MS, CAUTION = 58, 60, 1.25
"""Of `resize` with the default variants: its processor, S3's round trips, what isn't known."""
_SMALL_MB, _SMALL_MS = 256, 50
_LOGS_GB = 2.42
_WEEK, _MONTH_DAYS = 7 * 86_400, 30
_GB = 1e9


def billed_ms(processor_ms: float, memory: int = WHOLE_PROCESSOR_MB) -> float:
    """Return for how long `resize` is billed with so much memory in MB."""
    slower = WHOLE_PROCESSOR_MB / min(memory, WHOLE_PROCESSOR_MB)
    return CAUTION * (processor_ms * slower + WAITS_MS)


def calls_usd(memory: int, milliseconds: float) -> float:
    """Return the USD of a million calls of a function, by its memory in MB and its time."""
    return CALLS + memory / 1024 * milliseconds / 1000 * GB_SECOND * 1e6


def upload_items(
    puts: int, processor_ms: float = PROCESSOR_MS, memory: int = WHOLE_PROCESSOR_MB
) -> dict[str, float]:
    """Return the USD of a million uploads, by what they are for.

    Parameters
    ----------
    puts
        Objects that each makes: the original, its variants, the avatar.
    """
    return {
        "API Gateway": API,
        "Lambda, authorizer and presign": 2 * calls_usd(_SMALL_MB, _SMALL_MS),
        "Lambda, resize": calls_usd(memory, billed_ms(processor_ms, memory)),
        "S3, PUT": puts * PUT,
        "S3, GET and HEAD": 2 * GET,
        "SQS": 3 * QUEUE,
        "SNS": TOPIC,
        "DynamoDB": COUNTED + LOOKED_UP / 2,  # not consistently: half a unit
        "CloudWatch Logs": _LOGS_GB * (LOGS_IN_GB + LOGS_KEPT_GB),
    }


def upload_usd(
    puts: int, processor_ms: float = PROCESSOR_MS, memory: int = WHOLE_PROCESSOR_MB
) -> float:
    """Return the USD of a million uploads."""
    return sum(upload_items(puts, processor_ms, memory).values())


@dataclass(frozen=True)
class Usage:
    """What a month has, at the pace of the last week.

    Attributes
    ----------
    uploads
        Pictures that came.
    originals_gb, images_gb
        What both buckets keep.
    views, views_gb
        What the CDN served; None where nobody counts.
    variants, memory
        Of the resize function: variants of an avatar, MB.
    alarms
        Metrics that alarms read.
    """

    uploads: float
    originals_gb: float
    images_gb: float
    views: float | None
    views_gb: float | None
    variants: int
    memory: int
    alarms: int


@dataclass(frozen=True)
class Item:
    """One line of a month's bill."""

    name: str
    quantity: str
    usd: float


def usage(deployment: Deployment) -> Usage:
    """Count what a month's bill depends on.

    Raises
    ------
    OperationError
        If AWS does not answer.
    """
    local = bool(deployment.access.get("AWS_ENDPOINT_URL"))
    month = _MONTH_DAYS * 86_400 / _WEEK
    with aws_errors("look at the resize function"):
        resize = deployment.functions.get_function_configuration(
            FunctionName=deployment.function_names["resize"]
        )
    made = resize.get("Environment", {}).get("Variables", {}).get("AVATAR_VARIANTS", "")
    size = _listed_gb if local else _measured_gb
    views, served = (None, None) if local else _served(deployment)
    return Usage(
        uploads=arrivals.within(deployment, _WEEK).uploads * month,
        originals_gb=size(deployment, deployment.uploads_bucket),
        images_gb=size(deployment, deployment.assets_bucket),
        views=None if views is None else views * month,
        views_gb=None if served is None else served * month / _GB,
        variants=len(made.split(",")),
        memory=resize["MemorySize"],
        alarms=health.metrics_read(deployment),
    )


def month(used: Usage) -> list[Item]:
    """Return a month's bill, the largest item first."""
    millions = used.uploads / 1e6
    pace = f"{used.uploads:,.0f} uploads"
    items = [
        Item(name, pace, usd * millions)
        for name, usd in upload_items(used.variants + 2, memory=used.memory).items()
    ]
    items += [
        Item("S3, originals", _gb(used.originals_gb), used.originals_gb * STORED_GB),
        Item("S3, avatars and variants", _gb(used.images_gb), used.images_gb * STORED_GB),
        Item("CloudWatch, alarms", f"{used.alarms} metrics", used.alarms * ALARM),
        Item("CloudWatch, metrics of uploads", f"{METRICS} or more", METRICS * METRIC),
    ]
    if used.views is not None and used.views_gb is not None:
        items += [
            Item("CloudFront, requests", f"{used.views:,.0f}", used.views / 1e6 * CDN_REQUESTS),
            Item("CloudFront, data", _gb(used.views_gb), used.views_gb * CDN_GB),
        ]
    return sorted(items, key=lambda item: -item.usd)


def savings(used: Usage) -> Mapping[str, float]:
    """Return what a month would save, in USD, by what would be changed."""
    millions = used.uploads / 1e6
    found = {}
    if used.variants > 1:
        found["one variant fewer (`avatar_variants`)"] = PUT * millions
    if used.memory > WHOLE_PROCESSOR_MB:
        less = calls_usd(used.memory, billed_ms(PROCESSOR_MS, used.memory)) - calls_usd(
            WHOLE_PROCESSOR_MB, billed_ms(PROCESSOR_MS)
        )
        found[f"`resize` with {WHOLE_PROCESSOR_MB:,} MB (`resize.memory_size`)"] = less * millions
    found["originals a quarter as large (pages that scale before they send)"] = (
        used.originals_gb * STORED_GB * 3 / 4
    )
    return found


def _gb(amount: float) -> str:
    return f"{amount:,.0f} GB" if amount >= 10 else f"{amount:.2f} GB"


def _listed_gb(deployment: Deployment, bucket: str) -> float:
    with aws_errors("list what is kept"):
        pages = deployment.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        return sum(item["Size"] for page in pages for item in page.get("Versions", [])) / _GB


def _measured_gb(deployment: Deployment, bucket: str) -> float:
    search = (
        'SEARCH(\'{AWS/S3,BucketName,StorageType} MetricName="BucketSizeBytes" '
        f"BucketName=\"{bucket}\"', 'Average', 86400)"
    )
    # S3 measures once a day, some hours late
    found = _metrics(deployment.cloudwatch, [{"Id": "kept", "Expression": search}], 3 * 86_400)
    return sum(values[0] for _, values in found if values) / _GB


def _served(deployment: Deployment) -> tuple[float, float]:
    queries: list[Any] = [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/CloudFront",
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "DistributionId", "Value": deployment.distribution_id},
                        {"Name": "Region", "Value": "Global"},
                    ],
                },
                "Period": 86_400,
                "Stat": "Sum",
            },
        }
        for key, metric in (("requests", "Requests"), ("bytes", "BytesDownloaded"))
    ]
    sums = {"requests": 0.0, "bytes": 0.0}
    for key, values in _metrics(deployment.cloudwatch_in(CDN_REGION), queries, _WEEK):
        sums[key] += sum(values)
    return sums["requests"], sums["bytes"]


def _metrics(
    client: CloudWatchClient, queries: list[MetricDataQueryTypeDef], seconds: int
) -> list[tuple[str, list[float]]]:
    """Return what each series has, newest first."""
    now = int(time.time())
    with aws_errors("ask for metrics of the bill"):
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(now - seconds, UTC),
            EndTime=datetime.fromtimestamp(now, UTC),
        )
        return [
            (result["Id"], result["Values"])
            for page in pages
            for result in page["MetricDataResults"]
        ]
