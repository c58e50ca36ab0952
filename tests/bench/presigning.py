"""Time a fresh process up to its first upload URL, against one that builds a boto3 S3 client.

``python -m tests.bench.presigning [--json]``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 25

PRESIGN = """
from types import SimpleNamespace
from presign.handler import handler
event = {
    "body": '{"extension": "jpg", "size": 12345}',
    "requestContext": {"authorizer": {"lambda": {"sub": "0f8fad5b-d9cb-469f-a165-70867728950e"}}},
}
assert handler(event, SimpleNamespace(aws_request_id="r-1"))["statusCode"] == 200
"""
CLIENT = """
import boto3
from botocore.config import Config
boto3.client("s3", config=Config(signature_version="s3v4"))
"""
ENVIRONMENT = {
    "UPLOADS_BUCKET_NAME": "avatar-uploads",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_SESSION_TOKEN": "example",
    "PYTHONPATH": str(ROOT / "lambdas"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    as_json = parser.parse_args().json
    result = measure()
    if as_json:
        print(json.dumps(result))
    else:
        print(
            f"first URL after {result['presign_ms']:.0f} ms, boto3 client after "
            f"{result['boto3_client_ms']:.0f} ms: {result['ratio']:.2f} times"
        )


def measure() -> dict[str, float]:
    """Return both medians in milliseconds, and the median of the rounds' ratios."""
    rounds = []
    for number in range(-1, ROUNDS):
        if number % 2:
            ours, theirs = run(PRESIGN), run(CLIENT)
        else:
            theirs, ours = run(CLIENT), run(PRESIGN)
        rounds.append((ours, theirs))
    rounds = rounds[1:]  # the first one writes bytecode and fills the file cache
    return {
        "presign_ms": statistics.median(ours for ours, _theirs in rounds),
        "boto3_client_ms": statistics.median(theirs for _ours, theirs in rounds),
        "ratio": statistics.median(ours / theirs for ours, theirs in rounds),
        "rounds": ROUNDS,
    }


def run(program: str) -> float:
    """Run it in a fresh process; return milliseconds."""
    environment = {**os.environ, **ENVIRONMENT}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
