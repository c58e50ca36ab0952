"""The emulator behind what AWS does and it doesn't: what tests start in its place.

The emulator's server loads this file (`EMULATOR_APP`), in the emulator's own process and with its
interpreter. `answers` holds the rules about requests, `inside` those about what services do by
themselves; `faults` breaks single requests for the tests that ask for it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import answers
import faults
import inside
from exchange import Answer, Request
from fault import Fault
from ministack.app import app as emulator

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CONTROL = "/_strict/"

inside.install()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve ASGI: refuse by the rules, or let the emulator answer and correct what it says."""
    if scope["type"] != "http":
        return await emulator(scope, receive, send)
    request = Request(scope)
    if request.path.startswith(CONTROL):
        return await _answer(send, _controlled(request, await _body(receive)))
    answers.as_behind_tls(request)
    fault = await faults.fault_for(request)
    if fault is not Fault.NONE:
        return await faults.cause(fault, _collected(scope), receive, send)
    for rule in answers.BEFORE:
        if refused := rule(request):
            await _body(receive)
            return await _answer(send, refused, request.method)
    started: Message = {}

    async def corrected(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 404:
            started.update(message)
        elif started:
            held, body = dict(started), message.get("body", b"")
            started.clear()
            answer = Answer(held["status"], held["headers"], body)
            for rule in answers.AFTER:
                if other := rule(request, answer):
                    return await _answer(send, other, request.method)
            await send(held)
            await send(message)
        else:
            await send(message)
        return None

    return await emulator(scope, receive, corrected)


def _controlled(request: Request, body: bytes) -> Answer:
    """Do what a test asks of this place itself."""
    asked = json.loads(body or b"{}")
    match request.method, request.path.removeprefix(CONTROL):
        case "PUT", "faults":
            faults.ask(asked["caller"], asked["address"])
        case "DELETE", "faults":
            faults.ask("", "")
        case "PUT", "young":
            answers.young_buckets.add(asked["bucket"])
        case "DELETE", "young":
            answers.young_buckets.clear()
        case _:
            return Answer(404, [], b"")
    return Answer(200, [], b"")


def _collected(scope: dict[str, Any]) -> Callable[[bytes], Awaitable[Answer]]:
    """Return what gives the emulator's whole answer to a request of this body."""

    async def ask(body: bytes) -> Answer:
        answer = Answer(500, [], b"")
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                answer.body += message.get("body", b"")

        await emulator(scope, receive, keep)
        return answer

    return ask


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _answer(send: Send, answer: Answer, method: str = "") -> None:
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [*answer.headers, length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
