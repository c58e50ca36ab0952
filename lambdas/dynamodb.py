"""DynamoDB's API for one table, without an AWS library: half a second sooner at a cold start."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import env_settings
import sigv4

_ATTEMPTS = 2
_ENDPOINT = r"https?://[0-9a-z.-]+(:[0-9]{1,5})?/?"


class TableError(Exception):
    """The table could not be asked; the message says why."""


class ConditionFailedError(Exception):
    """The item is not as the condition wants it.

    Attributes
    ----------
    item : dict
        The item as it is, where the request asked for it.
    """

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        super().__init__("the condition failed")


class Table:
    """A table; connections are kept, and calls made one after the other.

    Parameters
    ----------
    endpoint
        Where DynamoDB answers, without a path.
    seconds
        How long connecting, and each wait for an answer, may take.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str,
        endpoint: str,
        credentials: sigv4.Credentials,
        seconds: float = 1.0,
    ) -> None:
        self._name = name
        self._region = region
        self._credentials = credentials
        address = urlsplit(endpoint)
        self._host = address.netloc
        kind = http.client.HTTPSConnection if address.scheme == "https" else None
        self._connection = (kind or http.client.HTTPConnection)(address.netloc, timeout=seconds)
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, name: str, seconds: float) -> Table:
        """Return the table in the function's own region, with its own role."""
        region = env_settings.text("AWS_REGION")
        endpoint = f"https://dynamodb.{region}.amazonaws.com"
        for variable in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"):
            if os.environ.get(variable, "").strip():
                endpoint = env_settings.text(variable, pattern=_ENDPOINT)
                break
        return cls(
            name,
            region=region,
            endpoint=endpoint,
            credentials=sigv4.Credentials.from_environment(),
            seconds=seconds,
        )

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call an operation on the table, such as ``GetItem``, and return its answer.

        What it does may be done twice, where the answer to a first try is lost.

        Raises
        ------
        ConditionFailedError
            If the request's condition does not hold.
        TableError
            If there is no answer, or a refusal.
        """
        body = json.dumps(request | {"TableName": self._name}).encode()
        with self._lock:
            for attempt in range(_ATTEMPTS):
                try:
                    status, answer = self._send(operation, body)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    self._connection.close()  # perhaps it was closed there while it was idle
                    if attempt + 1 == _ATTEMPTS:
                        raise TableError(f"{operation}: {type(error).__name__}: {error}") from error
                else:
                    break
        if status == 200:
            return answer
        kind = str(answer.get("__type", "")).rpartition("#")[2]
        if kind == "ConditionalCheckFailedException":
            raise ConditionFailedError(answer.get("Item", {}))
        raise TableError(f"{operation}: {status} {kind}: {answer.get('message', '')}")

    def _send(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        self._connection.request("POST", "/", body, self._headers(operation, body))
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read() or b"{}")
        return response.status, answer

    def _headers(self, operation: str, body: bytes) -> dict[str, str]:
        time = sigv4.timestamp(datetime.now(UTC))
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "host": self._host,
            "x-amz-date": time,
            "x-amz-target": f"DynamoDB_20120810.{operation}",
        }
        if self._credentials.session_token:
            headers["x-amz-security-token"] = self._credentials.session_token
        names = ";".join(sorted(headers))
        canonical_request = "\n".join(
            [
                "POST",
                "/",
                "",
                *(f"{name}:{headers[name]}" for name in sorted(headers)),
                "",
                names,
                hashlib.sha256(body).hexdigest(),
            ]
        )
        scope = sigv4.scope(time, self._region, "dynamodb")
        signature = sigv4.signature(canonical_request, time, scope, self._credentials)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return headers
