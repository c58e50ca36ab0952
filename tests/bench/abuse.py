"""Let one token ask, upload, replay and remove as fast as it can, and see who notices.

Against the system that `make up` started: each kind of abuse lasts a minute, with the limits and
with limits that nobody reaches, while another user sends a picture and looks at it every two
seconds. It measures and reports; it doesn't pass or fail.

    make up && python -m tests.bench.abuse
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from console.operations import web
from console.operations.environments import deployment
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import test_users
from console.operations.uploads.test_users import SignIn
from tests.integration.live import configured
from tests.integration.system import picture

THREADS = 8
EVERY_SECONDS = 2
DRAINED_SECONDS = 600
FUNCTIONS = ("authorizer", "presign", "remove", "resize", "cleanup")
CALLED_BY = {"presign": "POST", "remove": "DELETE"}
NO_LIMITS = {"UPLOADS_PER_10_MINUTES": "10000", "UPLOADS_PER_DAY": "10000"}
USD_PER_MILLION = {
    # docs/cost.md: API, function, log; and what it asks the table
    "POST": 1.00 + 0.37 + 0.50 + 0.06,
    "DELETE": 1.00 + 0.37 + 0.50 + 0.63,
    # put by the sender: S3, the queue, original and avatar read, counted
    "PUT": 5.00 + 1.20 + 0.80 + 0.63,
    # a marker that S3 announces: the queue, the mark, its notification
    "avatar removed": 1.20 + 1.00 + 5.00 + 0.50,
    "rendered": 3.60 + 15.00 + 0.50,
    "upload rejected": 0.30 + 10.00,
    "upload refused": 0.30 + 0.63,
    "cleanup": 7.13,
}
RENDERED = ("avatar written", "upload superseded")


@dataclass
class Seen:
    """What one phase came to; times in seconds."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    asked: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    viewed: list[float] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True)
class Client:
    """A user with a token, who sends a picture that is another each time."""

    here: Deployment
    user: SignIn
    seen: Seen
    data: bytes = picture(7)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> web.Response:
        """Ask the API with the token."""
        headers = {"Authorization": f"Bearer {self.user.token}", "Content-Type": "application/json"}
        return web.request(
            method, f"{self.here.api_url}{path}", headers, json.dumps(body or {}).encode()
        )

    def ask(self) -> web.Response:
        """Ask for an address."""
        size = len(self.data) + 16
        answer = self.call("POST", "/avatars/key_upload", {"extension": "jpg", "size": size})
        self.seen.answers["POST", answer.status] += 1
        return answer

    def put(self, granted: dict[str, Any]) -> web.Response:
        """Send a picture to an address."""
        data = self.data + f"{time.time_ns():016x}"[-16:].encode()
        answer = web.request("PUT", granted["url"], granted["headers"], data)
        self.seen.answers["PUT", answer.status] += 1
        return answer


def uploads(client: Client) -> None:
    """Ask for an address, use it, and so on."""
    answer = client.ask()
    if answer.status == 200:
        client.put(answer.json())


def replays(client: Client, granted: dict[str, Any]) -> None:
    """Use one address."""
    client.put(granted)


def removes(client: Client) -> None:
    """Remove the avatar."""
    answer = client.call("DELETE", "/avatars")
    client.seen.answers["DELETE", answer.status] += 1


def bystander(client: Client, until: float) -> None:
    """Send a picture, see it shown, look at it as others do, and rest."""
    here = client.here
    while time.monotonic() < until:
        begun = time.monotonic()
        forget(here, client.user)
        try:
            start = time.monotonic()
            answer = client.ask()
            client.seen.asked.append(time.monotonic() - start)
            stored = client.put(answer.json())
            version = stored.headers["etag"].strip('"')
            start = time.monotonic()
            path = f"variants/{client.user.sub}/{version}/512.jpg"
            while web.request("GET", f"{here.assets_url}/{path}").status != 200:
                if time.monotonic() - start > DRAINED_SECONDS:
                    raise TimeoutError
                time.sleep(0.02)
            client.seen.shown.append(time.monotonic() - start)
            start = time.monotonic()
            web.request("GET", f"{here.assets_url}/avatars/{client.user.sub}.jpg")
            client.seen.viewed.append(time.monotonic() - start)
        except (OperationError, TimeoutError, KeyError, TypeError):
            client.seen.failed += 1
        time.sleep(max(0.0, begun + EVERY_SECONDS - time.monotonic()))


def forget(here: Deployment, user: SignIn) -> None:
    """Let a user begin again."""
    for item in (user.sub, f"removals/{user.sub}"):
        here.dynamodb.delete_item(TableName=here.limits_table, Key={"user": {"S": item}})


@contextmanager
def without_limits(here: Deployment) -> Iterator[None]:
    """Give the functions limits that nobody reaches."""
    with ExitStack() as stack:
        for function in ("presign", "remove", "resize"):
            settings = here.functions.get_function_configuration(
                FunctionName=here.function_names[function]
            )["Environment"]
            variables = settings["Variables"] | NO_LIMITS
            stack.enter_context(configured(here, function, Environment={"Variables": variables}))
        yield


def drained(here: Deployment) -> None:
    """Wait until the queue is empty, and what was announced is cleaned up."""
    deadline = time.monotonic() + DRAINED_SECONDS
    urls = (here.queue_url, here.queue_url.removesuffix("uploads") + "cleanup")
    names: Any = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    while time.monotonic() < deadline:
        waiting = 0
        for url in urls:
            answer = here.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
            waiting += sum(map(int, answer["Attributes"].values()))
        if not waiting:
            return
        time.sleep(1)


def logged(here: Deployment, user: SignIn, since: float) -> tuple[Counter[str], Counter[str]]:
    """Return how often each function was called, and what `resize` said of a user's uploads."""
    calls: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for name in FUNCTIONS:
        pages = here.logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{here.function_names[name]}", startTime=int(since * 1000)
        )
        for event in (event for page in pages for event in page["events"]):
            calls[name] += event["message"].startswith("REPORT")
            with contextlib.suppress(ValueError, AttributeError):
                line = json.loads(event["message"])
                if name == "resize" and line.get("key") == user.sub:
                    said[line["message"]] += 1
                if name == "cleanup" and line.get("name") == user.sub:
                    said["cleanup"] += 1
    return calls, said


def phase(
    here: Deployment,
    abuser: SignIn,
    other: SignIn,
    seconds: float,
    make: Callable[[Client], Callable[[], None]] | None,
) -> list[str]:
    """Run a kind of abuse, and return a row."""
    forget(here, abuser)
    seen, others = Seen(), Seen()
    client = Client(here, abuser, seen)
    act = make(client) if make else None
    since, until = time.time(), time.monotonic() + seconds

    def loop() -> None:
        while act and time.monotonic() < until:
            with contextlib.suppress(OperationError):
                act()

    threads = [threading.Thread(target=loop) for _ in range(THREADS)]
    threads.append(threading.Thread(target=bystander, args=(Client(here, other, others), until)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drained(here)
    time.sleep(3)  # for the last lines of the log
    calls, said = logged(here, abuser, since)
    for name, method in CALLED_BY.items():  # the emulator's log keeps 10,000 lines
        calls[name] = sum(n for (by, _), n in seen.answers.items() if by == method)
    rendered = sum(said[message] for message in RENDERED)
    usd = rendered * USD_PER_MILLION["rendered"] + sum(
        count * USD_PER_MILLION.get(what, 0.0)
        for what, count in [
            *said.items(),
            *((method, n) for (method, _), n in seen.answers.items()),
        ]
    )
    answers = ", ".join(f"{m} {s}: {n}" for (m, s), n in sorted(seen.answers.items()))
    return [
        answers or "-",
        str(rendered),
        str(said["upload rejected"]),
        str(said["upload refused"]),
        str(said["avatar removed"]),
        " ".join(str(calls[name]) for name in FUNCTIONS),
        f"{usd / 1e6:.6f}",
        *(middle(times) for times in (others.asked, others.shown, others.viewed)),
        str(others.failed),
    ]


def middle(times: list[float]) -> str:
    """Return the median and the slowest, in ms, of how many."""
    if not times:
        return "-"
    return f"{statistics.median(times) * 1000:.0f}, {max(times) * 1000:.0f} ({len(times)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--env", default="local")
    arguments = parser.parse_args()
    here = deployment.load(arguments.env)
    abuser, other = (test_users.sign_in(here, name) for name in ("grace", "ada"))
    run = partial(phase, here, abuser, other, arguments.seconds)

    def replaying(client: Client) -> Callable[[], None]:
        return partial(replays, client, client.ask().json())

    kinds: dict[str, Callable[[Client], Callable[[], None]] | None] = {
        "nobody": None,
        "asks and uploads": lambda client: partial(uploads, client),
        "one address again and again": replaying,
        "removes": lambda client: partial(removes, client),
    }
    print(
        "| abuse | limits | answers | rendered | rejected | refused | removed |"
        f" calls of {', '.join(FUNCTIONS)} | USD | others: address, ms | avatar, ms | view, ms |"
        " failed |"
    )
    print("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, make in kinds.items():
        print(f"| {name} | yes | {' | '.join(run(make))} |", flush=True)
    with without_limits(here):
        for name, make in kinds.items():
            if make:
                print(f"| {name} | no | {' | '.join(run(make))} |", flush=True)


if __name__ == "__main__":
    main()
