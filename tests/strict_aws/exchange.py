"""A request to the emulator and an answer, as the rules see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from ministack.app import _extract_s3_vhost_bucket
from ministack.core import iam_evaluator
from ministack.core.router import extract_access_key_id, extract_region

Headers = list[tuple[bytes, bytes]]


@dataclass
class Answer:
    """An answer to one request."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""


class Request:
    """What a rule may know of a request, and change before the emulator sees it."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by names in lower case."""
        return {name.decode().lower(): value.decode() for name, value in self.scope["headers"]}

    @property
    def host(self) -> str:
        """The host's name, without a port."""
        return self.headers.get("host", "").partition(":")[0].lower()

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The query's parameters."""
        return parse_qs(self.scope["query_string"].decode(), keep_blank_values=True)

    @property
    def access_key(self) -> str:
        """The key that signed it; empty for an anonymous one."""
        return extract_access_key_id(self.headers, self.query) or ""

    @property
    def region(self) -> str:
        """The region that it is signed for."""
        return str(extract_region(self.headers, self.query))

    @property
    def caller(self) -> str:
        """The ARN of whoever signed it."""
        return str(iam_evaluator.request_caller_arn(self.headers, self.query))

    @property
    def service(self) -> str:
        """The service that it is signed for; empty for an anonymous one."""
        (credential,) = self.query.get("X-Amz-Credential", [""])[:1]
        authorization = self.headers.get("authorization", "")
        if "Credential=" in authorization:
            credential = authorization.partition("Credential=")[2].partition(",")[0]
        parts = credential.split("/")
        return parts[3] if len(parts) == 5 else ""

    @property
    def s3_object(self) -> tuple[str, str]:
        """The bucket and the key, whether the bucket stands in the host's name or in the path."""
        if bucket := _extract_s3_vhost_bucket(self.host):
            return str(bucket), self.path.lstrip("/")
        bucket, _, key = self.path.lstrip("/").partition("/")
        return bucket, key
