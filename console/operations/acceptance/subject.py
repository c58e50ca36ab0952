"""The environment whose contract is tried, and what the attempts learn from each other."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from console.operations import web
from console.operations.environments import deployment, logs, settings_files
from console.operations.environments.doctor.buckets import FOREIGN
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, compare
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.uploads import refusals

SIGN_IN = "the test user's sign-in"
TRACING = (
    "b3", "baggage", "newrelic", "sentry-trace", "traceparent", "tracestate", "x-amzn-trace-id",
    "x-cloud-trace-context", "x-datadog-origin", "x-datadog-parent-id",
    "x-datadog-sampling-priority", "x-datadog-trace-id", "x-request-id", "x-requested-with",
)  # fmt: skip
"""Headers that tracing and request libraries add to a page's requests by themselves."""
_LOG_SECONDS = 20


@dataclass(frozen=True)
class Answer(Finding):
    """What was answered where the embedded AWS is known to answer otherwise.

    Attributes
    ----------
    embedded
        What the embedded AWS answers there.
    """

    embedded: str = ""


@dataclass(kw_only=True)
class Subject(Examined):
    """An environment, and the test user that the attempts are made as.

    Attributes
    ----------
    user
        The test user's name, of this run alone.
    handle
        The handle of the test user's profile, once there is one.
    versions
        The ETags of the pictures that were sent, by what they are.
    version_ids
        S3's version ids of the same.
    stored
        S3's answer to the first picture.
    message_id
        The dead-letter message's id, while there is one.
    touched
        What else there is to clean up, as it comes to be.
    """

    target: Target
    user: str = field(default_factory=lambda: f"acceptance-{secrets.token_hex(5)}")
    sub: str = ""
    handle: str = ""
    id_token: str = field(default="", repr=False)
    granted: dict[str, Any] = field(default_factory=dict, repr=False)
    versions: dict[str, str] = field(default_factory=dict)
    version_ids: dict[str, str] = field(default_factory=dict)
    stored: web.Response = field(default=web.Response(0, {}, b""), repr=False)
    message_id: str = ""
    touched: set[str] = field(default_factory=set)

    @property
    def emulated(self) -> bool:
        """Whether this is the embedded AWS."""
        return bool(self.here.access.get("AWS_ENDPOINT_URL"))

    @property
    def origins(self) -> list[str]:
        """The front ends' origins, or the first where Terraform can't be asked."""
        if self.state:
            return super().origins
        path = settings_files.front_end_file(self.here.name)
        first = deployment.read_variables(path).get("REACT_APP_FRONTEND_URL", "")
        return [first] if first else []

    @property
    def origin(self) -> str:
        """The origin of the page that the attempts pretend to come from."""
        return self.origins[0] if self.origins else FOREIGN

    @property
    def page_headers(self) -> list[str]:
        """What a page may send to the API, by the environment's settings."""
        own = ["authorization", "content-type"]
        if self.state is None:
            return own
        (api,) = self.managed("aws_apigatewayv2_api")
        allowed = {name.lower() for name in api["cors_configuration"][0]["allow_headers"]}
        return own + [name for name in TRACING if name in allowed]

    def asks(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        origin: str = "",
    ) -> web.Response:
        """Ask the API as a page of the front end does."""
        sent = {"Origin": origin or self.origin, **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return web.request(method, f"{self.here.api_url}{path}", sent, body)


def read_by_page(answer: web.Response, origin: str) -> str:
    """Say whether a browser lets a page of that origin read an answer."""
    if answer.headers.get("access-control-allow-origin") in {origin, "*"}:
        return "readable by a page"
    return "not readable by a page"


def function_answers(
    subject: Subject, area: str, name: str, wanted: str, answer: web.Response, *functions: str
) -> Finding:
    """Compare a function's answer with status and code, such as ``400 invalid_request``.

    Pages must be able to read it, and caches must not keep it.

    Parameters
    ----------
    functions
        Who had a part in it: where another answer came, they are asked why.
    """
    code, _ = refusals.code_and_message(answer.body.decode(errors="replace"))
    found = f"{answer.status} {code}".strip()
    treated = read_by_page(answer, subject.origin)
    if (caching := answer.headers.get("cache-control", "none")) != "no-store":
        treated += f", Cache-Control: {caching}"
    why, remedy = "", subject.fix_by_apply
    if found != wanted:
        why, remedy = reason_for(subject, answer, functions)
    return compare(area, name, f"{wanted}, readable by a page", f"{found}, {treated}{why}", remedy)


def reason_for(
    subject: Subject, answer: web.Response, functions: tuple[str, ...], since: float | None = None
) -> tuple[str, str]:
    """Return why the API answers so, as an addition to the answer, and a remedy.

    Parameters
    ----------
    since
        Look into the functions' logs from then on, in seconds since 1970; None doesn't.
    """
    if answer.status >= 429:
        for function in functions:
            reserved = subject.here.functions.get_function_concurrency(
                FunctionName=subject.here.function_names[function]
            ).get("ReservedConcurrentExecutions")
            if reserved == 0:
                return (
                    f": the function {function} is throttled, its reserved concurrency is 0",
                    f"Give it concurrency again: {subject.fix_by_apply}",
                )
    if answer.status == 403 and (found := _logged(subject, ("authorizer",), "refused", since)):
        return (
            f": the authorizer refused the token ({found})",
            "docs/contract.md says what the reason means; `make doctor` compares settings.",
        )
    if answer.status >= 500 and (found := _logged(subject, functions, "ERROR", since)):
        return f": {found}", f"`make logs FUNCTION={functions[0]}` says more."
    asked = ", ".join(f"`make logs FUNCTION={function}`" for function in functions)
    message = refusals.code_and_message(answer.body.decode(errors="replace"))[1]
    return f": {message}" if message and answer.status >= 400 else "", f"Look there: {asked}."


def _logged(
    subject: Subject, functions: tuple[str, ...], containing: str, since: float | None
) -> str:
    """Return what functions have logged since then; CloudWatch takes lines in late."""
    if since is None:
        return ""
    deadline = time.monotonic() + _LOG_SECONDS
    while time.monotonic() < deadline:
        try:
            lines = logs.read(subject.here, list(functions), since - 1, containing, 2)
        except OperationError:
            return ""
        found = {
            str(line.fields.get("reason") or f"{line.function} logged: {line.fields['message']}")
            for line in lines
            if "message" in line.fields
        }
        if found:
            return ", ".join(sorted(found))
        time.sleep(0.5)
    return ""
