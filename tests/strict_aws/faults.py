"""Requests that fail: answered with an error, slowly, or not at all, as a test chooses."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

from exchange import Answer, Request
from fault import Fault

SLOW_SECONDS = 1
_ERROR = "<Error><Code>{}</Code><Message>injected</Message></Error>"


_caller = _address = ""


def ask(caller: str, address: str) -> None:
    """Ask at that address what happens to each request to S3 of such callers; "" ends it."""
    global _caller, _address
    _caller, _address = caller, address


async def fault_for(request: Request) -> Fault:
    """Return what is to happen to a request."""
    if not _caller or request.service != "s3" or _caller not in request.caller:
        return Fault.NONE
    path = "/" + "/".join(request.s3_object)
    if query := request.scope["query_string"].decode():
        path += f"?{query}"
    body = json.dumps([request.method, path]).encode()

    def asked() -> str:
        with urllib.request.urlopen(_address, body, timeout=60) as answer:
            return str(answer.read().decode())

    return Fault[await asyncio.to_thread(asked)]


async def cause(
    fault: Fault,
    emulator: Callable[[bytes], Awaitable[Answer]],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Any,
) -> None:
    """Answer, or don't, as the fault says."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if fault is Fault.CUT:
        return await _cut(send)
    if fault in {Fault.FORBIDDEN, Fault.INTERNAL_ERROR, Fault.SLOW_DOWN}:
        status, code = fault.value.split()
        answer = Answer(int(status), [], _ERROR.format(code).encode())
    else:
        if fault is Fault.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        answer = await emulator(body)
    if fault is Fault.ANSWER_LOST:
        return await _cut(send)
    headers = answer.headers
    if not any(name.lower() == b"content-length" for name, _ in headers):
        headers = [*headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if fault is Fault.HALF:
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        return await _cut(send)
    await send({"type": "http.response.body", "body": answer.body})
    return None


async def _cut(send: Any) -> None:
    """Close the connection, which ASGI has no word for: it is asked of the server's stream."""
    from hypercorn.protocol.events import StreamClosed

    stream = send.__self__
    await stream.send(StreamClosed(stream_id=stream.stream_id))
