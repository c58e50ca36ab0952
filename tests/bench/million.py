"""AWS as the console sees it after a day of a million uploads, and the audit after a year of work.

A server in front of the embedded AWS answers what grows with users, page by page, and passes on all
else; so signing, HTTP and parsing are real. What it answers is computed from a number when it is
asked for: the picture of user 25 is always rejected, and message 7 always failed for the same
cause. Each answer takes `Million.latency` longer, which stands for the way to a region.
"""

from __future__ import annotations

import http.client
import json
import re
import struct
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.parsers import BaseCBORParser

USERS = 1_000_000
"""Each sent one picture in the last day."""
DEAD = 100_000
REJECTED_EVERY = 25
ACTIONS = 365_000
"""Each has two entries in the audit: its start and its end."""
_DAY_MS = 86_400_000
_PAGE = 1000
_EXAMINED = 10_000
"""Lines that one answer of FilterLogEvents looks at; AWS promises no number, only pages."""
_RETURNED = 2500
"""Lines of 400 bytes in an answer of at most 1 MB."""
_CAUSES = ("NoSuchBucket", "AccessDenied", "SlowDown", "InternalError", "KMS.DisabledException")
_CODES = ("damaged", "too-large", "not-an-image", "animated")
_UUID = re.compile(r"([0-9a-f]{8})-0000-4000-8000-0000000(0dead|00000)")
_LIKE = re.compile(r"filter @message like /((?:\\.|[^/\\])+)/")
_UNTIL = re.compile(r"toMillis\(@timestamp\) <= (\d+)")
_LIMIT = re.compile(r"limit (\d+)")

FILL_AUDIT = """
INSERT INTO avatar_ops.audit_entries (at, actor, environment, action, target, key, outcome, detail)
SELECT now() - (%(actions)s - i) * interval '86.4 s' + CASE outcome WHEN 'started'
           THEN interval '0' ELSE interval '3 s' END,
       'operator-' || i %% 40 || '@example.com', %(environment)s, 'action ' || i %% 20,
       lpad(to_hex(i), 8, '0') || '-0000-4000-8000-000000000000', 'key-' || i, outcome, ''
FROM generate_series(1, %(actions)s) AS i,
     LATERAL unnest(ARRAY['started', CASE WHEN i %% 100 = 0 THEN 'failed' ELSE 'done' END])
         AS outcome
WHERE outcome = 'started' OR i %% 50000 > 0
"""
"""A year of a thousand actions a day, of which seven never ended."""


def user(number: int) -> str:
    """Return the id of a user, whose avatar has that name."""
    return f"{number:08x}-0000-4000-8000-000000000000"


class Million:
    """The server's answers.

    Parameters
    ----------
    emulator
        Host and port of what answers the rest.
    uploads, assets
        Names of the buckets.
    dead_letter_queue
        Its name.
    database_url
        What SSM says of the operators' database.
    latency
        Seconds added to each answer.
    """

    def __init__(
        self,
        emulator: str,
        uploads: str,
        assets: str,
        dead_letter_queue: str,
        database_url: str,
        latency: float,
    ) -> None:
        self.emulator, self.latency = emulator, latency
        self._buckets = {uploads: (self._originals,), assets: (self._made,)}
        self._uploads, self._dead_letter_queue = uploads, dead_letter_queue
        self._start = round(time.time() * 1000) - _DAY_MS + 60_000
        self._received = 0
        self._queries: list[dict[str, Any]] = []
        self._failed = [self._failed_line(number) for number in range(DEAD)]
        self._rejected = [self._line(number) for number in range(0, USERS, REJECTED_EVERY)]
        self._database_url = database_url
        self._json: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            "AmazonSSM.GetParameter": self._parameter,
            "AmazonSQS.GetQueueAttributes": self._attributes,
            "AmazonSQS.ReceiveMessage": self._receive,
            "AmazonSQS.ChangeMessageVisibilityBatch": self._release,
            "AmazonSQS.ListMessageMoveTasks": lambda asked: {"Results": []},
            "Logs_20140328.StartQuery": self._start_query,
            "Logs_20140328.GetQueryResults": self._results,
            "Logs_20140328.StopQuery": lambda asked: {"success": True},
            "Logs_20140328.FilterLogEvents": self._filter,
        }

    def answer(
        self, method: str, path: str, target: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Return status, headers and body; None for what the emulator answers."""
        if path.endswith("/operation/GetMetricData"):
            parser = BaseCBORParser()
            asked_for = parser.parse_data_item(BufferedReader(BytesIO(body)))  # type: ignore[arg-type]
            kind = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
            return 200, kind, _cbor(self._metrics(asked_for))
        if target in self._json:
            said = self._json[target](json.loads(body))
            kind = {"Content-Type": "application/x-amz-json-1.1"}
            return None if said is None else (200, kind, json.dumps(said).encode())
        if target or method not in {"GET", "HEAD"}:
            return None
        url = urlsplit(path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket not in self._buckets:
            return None
        asked = {name: v[0] for name, v in parse_qs(url.query, keep_blank_values=True).items()}
        if not key:
            if "versions" in asked or asked.get("list-type") == "2":
                return 200, {"Content-Type": "application/xml"}, self._list(bucket, asked)
            return None
        return self._object(bucket, key) if set(asked) <= {"versionId", "x-id"} else None

    # CloudWatch

    def _metrics(self, asked: dict[str, Any]) -> dict[str, Any]:
        begin, end = asked["StartTime"].timestamp(), asked["EndTime"].timestamp()
        results = []
        for query in asked["MetricDataQueries"]:
            if "Expression" in query:  # a search: a result for each code
                period = int(query["Expression"].rpartition(",")[2].strip(" )"))
                share = 1 / REJECTED_EVERY / len(_CODES)
                found = [(code, period, share * USERS / 86_400 * period) for code in _CODES]
            else:
                stat = query["MetricStat"]
                found = [(query["Id"], stat["Period"], _of_period(stat))]
            for label, period, value in found:
                times = range(int(begin), int(end), period) if value else ()
                results.append(
                    {
                        "Id": query["Id"],
                        "Label": label,
                        "Timestamps": [datetime.fromtimestamp(at, UTC) for at in times],
                        "Values": [float(value) for _ in times],
                        "StatusCode": "Complete",
                    }
                )
        return {"MetricDataResults": results, "Messages": []}

    # S3

    def _originals(self, place: int) -> str:
        return f"{user(place)}.jpg"

    def _made(self, place: int) -> str:
        """Return a key of the assets bucket: avatars, then rejections, then variants."""
        if place < USERS:
            return f"avatars/{user(place)}.jpg"
        place -= USERS
        if place < USERS // REJECTED_EVERY:
            number = place * REJECTED_EVERY
            return f"rejections/{user(number)}/{_etag(number)}.json"
        number, size = divmod(place - USERS // REJECTED_EVERY, 2)
        return f"variants/{user(number)}/{_etag(number)}/{(256, 64)[size]}.jpg"

    def _keys(self, bucket: str) -> tuple[Callable[[int], str], int]:
        if bucket == self._uploads:
            return self._originals, USERS
        return self._made, USERS + USERS // REJECTED_EVERY + 2 * USERS

    def _list(self, bucket: str, asked: dict[str, str]) -> bytes:
        key_of, count = self._keys(bucket)
        prefix = asked.get("prefix", "")
        after = asked.get("key-marker") or asked.get("continuation-token") or ""
        after = after or asked.get("start-after", "")
        begin = max(prefix, f"{after}\0" if after else "")
        first = bisect_left(range(count), begin, key=key_of)
        most = int(asked.get("max-keys", _PAGE))
        found = []
        for place in range(first, min(count, first + most)):
            if not (key := key_of(place)).startswith(prefix):
                break
            found.append((place, key))
        last = first + len(found)
        more = len(found) == most and last < count and key_of(last).startswith(prefix)
        return self._listing(bucket, "versions" in asked, found, more).encode()

    def _listing(
        self, bucket: str, versions: bool, found: Sequence[tuple[int, str]], more: bool
    ) -> str:
        kind = "ListVersionsResult" if versions else "ListBucketResult"
        item = "Version" if versions else "Contents"
        rows = "".join(
            f"<{item}><Key>{escape(key)}</Key>"
            + (f"<VersionId>v{place}</VersionId><IsLatest>true</IsLatest>" if versions else "")
            + f"<LastModified>{_iso(self._at(_number(key)))}</LastModified>"
            f"<ETag>&quot;{_etag(_number(key))}&quot;</ETag><Size>200000</Size></{item}>"
            for place, key in found
        )
        following = ""
        if more:
            key = escape(found[-1][1])
            following = (
                f"<NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
                if versions
                else f"<NextContinuationToken>{key}</NextContinuationToken>"
            )
        return (
            f'<{kind} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{rows}</{kind}>"
        )

    def _object(self, bucket: str, key: str) -> tuple[int, dict[str, str], bytes] | None:
        key_of, count = self._keys(bucket)
        place = bisect_left(range(count), key, key=key_of)
        if place == count or key_of(place) != key:
            return None
        number = _number(key)
        body = self._record(number) if key.startswith("rejections/") else b"\xff\xd8"
        return (
            200,
            {
                "Last-Modified": formatdate(self._at(number) / 1000, usegmt=True),
                "ETag": f'"{_etag(number)}"',
                "x-amz-version-id": f"v{number}",
                "x-amz-meta-version": _etag(number),
                "x-amz-meta-version-id": f"v{number}",
            },
            body,
        )

    def _record(self, number: int) -> bytes:
        return json.dumps(
            {
                "code": _code(number),
                "message": "The file can't be read.",
                "key": self._originals(number),
                "version_id": f"v{number}",
                "size": 200_000,
                "uploaded": f"{datetime.fromtimestamp(self._at(number) / 1000, UTC).isoformat()}",
            }
        ).encode()

    def _parameter(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        if "/database-url" not in asked["Name"]:
            return None
        found = {"Name": asked["Name"], "Type": "SecureString", "Value": self._database_url}
        return {"Parameter": found | {"Version": 1}}

    # SQS

    def _attributes(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        if not asked["QueueUrl"].endswith(f"/{self._dead_letter_queue}"):
            return None
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(DEAD),
                "ApproximateNumberOfMessagesNotVisible": "0",
                "ApproximateNumberOfMessagesDelayed": "0",
                "VisibilityTimeout": "180",
                "QueueArn": f"arn:aws:sqs:eu-central-1:000000000000:{self._dead_letter_queue}",
            }
        }

    def _receive(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        if not asked["QueueUrl"].endswith(f"/{self._dead_letter_queue}"):
            return None
        most = asked.get("MaxNumberOfMessages", 1)
        first, self._received = self._received, (self._received + most) % DEAD
        found = []
        for number in range(first, min(first + most, DEAD)):
            record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": _failed(number)}}}
            found.append(
                {
                    "MessageId": _message(number),
                    "ReceiptHandle": str(number),
                    "Body": json.dumps({"Records": [record]}),
                    "Attributes": {"SentTimestamp": str(self._failed_at(number))},
                }
            )
        return {"Messages": found}

    def _release(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    # Logs

    def _at(self, number: int) -> int:
        return self._start + number * _DAY_MS // USERS

    def _failed_at(self, number: int) -> int:
        return self._start + number * _DAY_MS // DEAD + 1

    def _line(self, number: int) -> tuple[int, str]:
        at, rejected = self._at(number), number % REJECTED_EVERY == 0
        line = {
            "time": _iso(at),
            "level": "INFO",
            "message": "upload rejected" if rejected else "avatar written",
            "function": "resize",
            "request_id": user(number)[::-1],
            "key": self._originals(number),
            "name": user(number),
            "version": _etag(number),
            "version_id": f"v{number}",
            "ms": 120 + number % 90,
            "since_upload_ms": 700 + number % 1900,
        }
        return at, json.dumps(line | ({"code": _code(number)} if rejected else {}))

    def _failed_line(self, number: int) -> tuple[int, str]:
        reason = f"An error occurred ({_CAUSES[number % 5]}) when calling PutObject: no."
        line = {
            "time": _iso(self._failed_at(number)),
            "level": "ERROR",
            "message": "message failed",
            "function": "resize",
            "key": _failed(number),
            "message_id": _message(number),
            "receives": "3",
            "reason": reason,
            "error": "ClientError",
            "stack": f"Traceback (most recent call last):\n  File x\nClientError: {reason}",
        }
        return self._failed_at(number), json.dumps(line)

    def _start_query(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._queries.append(asked)
        return {"queryId": str(len(self._queries))}

    def _results(self, asked: dict[str, Any]) -> dict[str, Any]:
        query = self._queries[int(asked["queryId"]) - 1]
        text = query["queryString"]
        groups = query.get("logGroupNames") or [query["logGroupName"]]
        until = min([query["endTime"] * 1000, *map(int, _UNTIL.findall(text))])
        window = query["startTime"] * 1000, until
        filters = tuple(match[1].replace(r"\/", "/") for match in _LIKE.finditer(text))
        if not any(group.endswith("resize") for group in groups):
            rows: list[dict[str, str]] = []
        elif "as number" in text and " by value" in text:
            rows = self._counted(filters, *window)
        else:
            limit = _LIMIT.search(text)
            rows = []
            for at, line in self._newest(filters, *window):
                pointer = f"{at} {hash(line)}"
                rows.append({"@timestamp": _spaced(at), "@message": line, "@ptr": pointer})
                if len(rows) == int(limit[1] if limit else 10_000):
                    break
        return {
            "status": "Complete",
            "results": [[{"field": k, "value": v} for k, v in row.items()] for row in rows],
        }

    @lru_cache(maxsize=32)  # noqa: B019 - there is one for the process
    def _counted(self, filters: tuple[str, ...], since: int, until: int) -> list[dict[str, str]]:
        times: dict[str, list[int]] = defaultdict(list)
        for at, line in self._newest(filters, since, until):
            cause = re.search(r"An error occurred \(([^)]+)\)", line)
            times[cause[1] if cause else json.loads(line).get("code", "")].append(at)
        return [
            {
                "value": value,
                "number": str(len(found)),
                "first": str(found[-1]),
                "last": str(found[0]),
            }
            for value, found in sorted(times.items(), key=lambda item: -len(item[1]))
        ]

    def _newest(
        self, filters: tuple[str, ...], since: int, until: int
    ) -> Iterator[tuple[int, str]]:
        """Yield the lines that match, newest first, of the first kind that has any."""
        matches = [re.compile(pattern) for pattern in filters]
        named = _UUID.findall(" ".join(filters).replace("\\", ""))
        if named:
            lines = [
                self._failed_line(int(number, 16))
                if kind == "0dead"
                else self._line(int(number, 16))
                for number, kind in named
            ]
            lines += [
                line
                for number, kind in named
                if kind != "0dead" and int(number, 16) % 10 == 5
                for line in (self._failed_line(int(number, 16) // 10),)
            ]
            source: Iterator[tuple[int, str]] = iter(sorted(lines, reverse=True))
        elif matches and matches[0].search(self._failed[0][1]):
            source = reversed(self._failed)
        elif matches and matches[0].search(self._line(1)[1]):
            source = map(self._line, range(USERS - 1, -1, -1))
        else:
            source = reversed(self._rejected)
        for at, line in source:
            if at < since:
                return
            if at <= until and all(match.search(line) for match in matches):
                yield at, line

    def _filter(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer with what is in the next lines, often nothing, and where to go on."""
        text = asked.get("filterPattern", "").strip('"')
        step = _EXAMINED if text else _RETURNED
        since = max(0, (asked.get("startTime", 0) - self._start) * USERS // _DAY_MS)
        first = int(asked.get("nextToken") or since)
        last = min(first + step, USERS)
        numbers: Sequence[int] = range(first, last)
        named = _UUID.search(text)
        if named:
            number = int(named[1], 16)
            numbers = [number] if first <= number < last and named[2] != "0dead" else []
        of_function = asked["logGroupName"].rpartition("-")[2]
        found = []
        if of_function == "resize":
            found = [self._line(number) for number in numbers]
            found += self._failed[(first + 9) // 10 : (last + 9) // 10]
        elif of_function == "presign":
            found = [
                (at, line.replace("avatar written", "presigned"))
                for at, line in map(self._line, numbers)
            ]
        events = [
            {
                "timestamp": at,
                "message": line,
                "eventId": f"{at}{hash(line)}",
                "logStreamName": "2026/01/02/[1]stream",
            }
            for at, line in sorted(found)
            if text in line
        ]
        return {"events": events[:_RETURNED], **({"nextToken": str(last)} if last < USERS else {})}


def serve(million: Million) -> ThreadingHTTPServer:
    """Return a server of these answers on a free port of 127.0.0.1; the caller runs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(million.latency)
            said = million.answer(
                self.command, self.path, self.headers.get("X-Amz-Target", ""), body
            )
            status, headers, content = said or self._passed_on(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", headers.get("Content-Length", str(len(content))))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(million.emulator, timeout=60)
            headers = {
                k: v for k, v in self.headers.items() if k.lower() not in {"connection", "host"}
            }
            connection.request(self.command, self.path, body, headers)
            found = connection.getresponse()
            content = found.read()
            connection.close()
            dropped = {"connection", "transfer-encoding", "date", "server", "content-length"}
            kept = {k: v for k, v in found.getheaders() if k.lower() not in dropped}
            return found.status, kept, content

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def _of_period(stat: dict[str, Any]) -> float:
    """Return a statistic of each span of time; all are alike."""
    if stat["Stat"] not in {"Sum", "SampleCount"}:
        return 1650.0
    dimensions = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
    shares = {"written": 1 - 1 / REJECTED_EVERY, "rejected": 1 / REJECTED_EVERY}
    share = shares.get(dimensions["outcome"], 0) if "outcome" in dimensions else 1
    return (
        0 if stat["Metric"]["MetricName"] == "Errors" else share * USERS * stat["Period"] / 86_400
    )


def _cbor(value: Any) -> bytes:
    """Encode what CloudWatch answers in CBOR."""
    if isinstance(value, datetime):
        return b"\xc1" + _cbor(value.timestamp())
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(_cbor, value))
    return _head(5, len(value)) + b"".join(_cbor(k) + _cbor(v) for k, v in value.items())


def _head(major: int, length: int) -> bytes:
    return struct.pack(">BI", major << 5 | 26, length)


def _number(key: str) -> int:
    found = _UUID.search(key)
    assert found
    return int(found[1], 16)


def _failed(number: int) -> str:
    return f"{user(number * 10 + 5)}.jpg"


def _message(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-00000000dead"


def _etag(number: int) -> str:
    return f"{number:032x}"


def _code(number: int) -> str:
    return _CODES[number // REJECTED_EVERY % len(_CODES)]


def _iso(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _spaced(milliseconds: int) -> str:
    return _iso(milliseconds)[:-1].replace("T", " ")
