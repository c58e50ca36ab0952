"""Measure from PUT to visible avatar, beside a plain Node.js function that runs sharp.

Both run on the embedded AWS that `make up` started, in turns: the same picture is put into a
bucket, and the avatar's address is asked until it answers. Ours has the queue, the order of uploads
and the variants; the other is what one writes in an afternoon: a function behind the bucket's own
notification that makes one JPEG with sharp, without order or anything else. It measures and
reports; it doesn't pass or fail.

Ours is seen twice: at the variant's address, which the contract tells a front end to ask for and to
show, and at the avatar's stable address, which follows once all variants are there.

    make up && python -m tests.bench.visible
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import json
import statistics
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from console.operations.environments import deployment
from console.operations.environments.deployment import Deployment
from tests.bench.images import CACHE, made
from tests.bench.photographs import photograph
from tests.unit.resize.pictures import encoded

SIZES = {"12 MP": (4000, 3000), "48 MP": (8000, 6000), "1600 x 1200": (1600, 1200),
         "512 x 512": (512, 512)}  # fmt: skip
SECONDS = 60
SETTLE_SECONDS = 0.5
"""For what follows an avatar: the message is deleted, the profile is written."""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
NODE = """
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import sharp from "sharp";

const s3 = new S3Client({ forcePathStyle: true });

export const handler = async (event) => {
  for (const record of event.Records) {
    const key = decodeURIComponent(record.s3.object.key.replaceAll("+", " "));
    const found = await s3.send(new GetObjectCommand({ Bucket: record.s3.bucket.name, Key: key }));
    const avatar = await sharp(await found.Body.transformToByteArray())
      .rotate()
      .resize(512, 512, { fit: "cover" })
      .jpeg({ quality: 80 })
      .toBuffer();
    await s3.send(
      new PutObjectCommand({
        Bucket: process.env.ASSETS,
        Key: `avatars/${key}.jpg`,
        Body: avatar,
        ContentType: "image/jpeg",
      }),
    );
  }
};
"""


@dataclass(frozen=True)
class Pipeline:
    """Where originals are put, and where their avatars come to be."""

    name: str
    uploads: str
    assets: str
    has_variants: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--env", default="local")
    arguments = parser.parse_args()
    here = deployment.load(arguments.env)
    pictures = {
        name: made(f"JPEG {name}", lambda size=size: encoded(photograph(*size), "JPEG", quality=90))
        for name, size in SIZES.items()
    }
    ours = Pipeline("ours", here.uploads_bucket, here.assets_bucket, has_variants=True)
    with ExitStack() as stack:
        node = stack.enter_context(node_function(here))
        print("| picture | node ms | variant ms | ratio | avatar ms | ratio |")
        print("|---|--:|--:|--:|--:|--:|")
        for name, file in pictures.items():
            seen: dict[str, list[tuple[float, float]]] = {ours.name: [], node.name: []}
            for run in range(arguments.runs + 2):
                for pipeline in (ours, node) if run % 2 else (node, ours):
                    elapsed = visible_after(here, pipeline, file.read_bytes())
                    if run > 1:
                        seen[pipeline.name].append(elapsed)
                    time.sleep(SETTLE_SECONDS)
            theirs = statistics.median(avatar for _, avatar in seen[node.name])
            cells = [f"JPEG {name}", f"{theirs:.0f}"]
            for times in zip(*seen[ours.name], strict=True):
                mine = statistics.median(times)
                cells += [f"{mine:.0f}", f"{mine / theirs:.2f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


def visible_after(here: Deployment, pipeline: Pipeline, picture: bytes) -> tuple[float, float]:
    """Return the milliseconds from the answer to the PUT until variant and avatar can be seen."""
    name = f"bench-{uuid.uuid4().hex}"
    version = hashlib.md5(picture, usedforsecurity=False).hexdigest()
    avatar = f"avatars/{name}.jpg"
    keys = [f"variants/{name}/{version}/512.jpg", avatar] if pipeline.has_variants else [avatar]
    urls = [
        urlsplit(
            here.s3.generate_presigned_url("head_object", {"Bucket": pipeline.assets, "Key": key})
        )
        for key in keys
    ]
    looking = http.client.HTTPConnection(urls[0].netloc)
    looking.connect()
    here.s3.put_object(Bucket=pipeline.uploads, Key=name, Body=picture)
    start = time.perf_counter()
    elapsed = []
    for url in urls:
        while True:
            looking.request("HEAD", f"{url.path}?{url.query}")
            answer = looking.getresponse()
            answer.read()
            seconds = time.perf_counter() - start
            if answer.status == 200:
                break
            if seconds > SECONDS:
                sys.exit(f"{pipeline.name} made no avatar within {SECONDS} s: see its log.")
            time.sleep(0.005)  # asking more often would slow what is asked for
        elapsed.append(seconds * 1000)
    looking.close()
    return elapsed[0], elapsed[-1]


@contextmanager
def node_function(here: Deployment) -> Iterator[Pipeline]:
    """Deploy the Node.js function with two buckets of its own, and remove all of it afterwards."""
    name = f"{here.name}-bench-{uuid.uuid4().hex[:6]}"
    node = Pipeline("node", f"{name}-uploads", f"{name}-assets", has_variants=False)
    location: Any = {"LocationConstraint": here.region}
    with ExitStack() as stack:
        for bucket in (node.uploads, node.assets):
            here.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
            stack.callback(_remove_bucket, here, bucket)
        resize = here.functions.get_function_configuration(
            FunctionName=here.function_names["resize"]
        )
        role = here.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        stack.callback(here.iam.delete_role, RoleName=name)
        rights = [
            {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{bucket}/*"}
            for action, bucket in (("s3:GetObject", node.uploads), ("s3:PutObject", node.assets))
        ]
        here.iam.put_role_policy(
            RoleName=name,
            PolicyName="own",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
        )
        stack.callback(here.iam.delete_role_policy, RoleName=name, PolicyName="own")
        function = here.functions.create_function(
            FunctionName=name,
            Runtime="nodejs22.x",
            Role=role["Role"]["Arn"],
            Handler="index.handler",
            Code={"ZipFile": _node_zip()},
            MemorySize=resize["MemorySize"],
            Timeout=30,
            Environment={"Variables": {"ASSETS": node.assets}},
        )
        stack.callback(here.functions.delete_function, FunctionName=name)
        here.functions.get_waiter("function_active_v2").wait(FunctionName=name)
        here.functions.add_permission(
            FunctionName=name,
            StatementId="uploads",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
        )
        here.s3.put_bucket_notification_configuration(
            Bucket=node.uploads,
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [
                    {"LambdaFunctionArn": function["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )
        yield node


def _node_zip() -> bytes:
    packages = CACHE / "node"
    if not (packages / "node_modules").exists():
        packages.mkdir(parents=True, exist_ok=True)
        command = ("npm", "install", "--no-audit", "--no-fund", "--prefix", str(packages))
        subprocess.run((*command, "sharp", "@aws-sdk/client-s3"), check=True)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.mjs", NODE)
        for path in (packages / "node_modules").rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(packages))
    return stream.getvalue()


def _remove_bucket(here: Deployment, bucket: str) -> None:
    for page in here.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            here.s3.delete_object(Bucket=bucket, Key=item["Key"])
    here.s3.delete_bucket(Bucket=bucket)


if __name__ == "__main__":
    main()
