"""What it means when the API or S3 refuses an upload, a browser's or our own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import ClientError

from console.operations import web
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError

Step = Literal["ask", "put"]


@dataclass(frozen=True)
class Refusal:
    """What went wrong on the way of an upload.

    Attributes
    ----------
    step
        ``ask`` for the URL, or ``put`` the picture.
    status
        The answer's status, 0 if a browser let the page see none.
    text
        The answer's body.
    origin
        The page's own origin; empty where no page sent it.
    """

    step: Step
    status: int
    text: str
    origin: str = ""


def explain(deployment: Deployment, failure: Refusal) -> OperationError:
    """Return what a refusal means, asking the server where a browser can't see."""
    place = _place(failure.step)
    if failure.status == 0:
        return _explain_silence(deployment, failure, place)
    code, message = code_and_message(failure.text)
    said = f"{_capital(place)} refused ({failure.status} {code}): {message}".rstrip(": ")
    return OperationError(f"{said.rstrip('.')}.", _remedy(failure, code))


def _explain_silence(deployment: Deployment, failure: Refusal, place: str) -> OperationError:
    """Tell a missing CORS rule from a server that is away: browsers show neither."""
    try:
        address = ask_address(deployment) if failure.step == "ask" else bucket_address(deployment)
        admitted = is_admitted(address, failure.step, failure.origin)
    except OperationError as error:
        return OperationError(f"{_capital(place)} can't be reached. {error.message}", error.remedy)
    if not admitted:
        return not_admitted(failure.step, failure.origin)
    if failure.step == "ask":  # API Gateway's own refusals carry no CORS headers
        return OperationError(
            "The API refused, or the connection to it broke off: a page is told neither.",
            "Sign in again. If it stays, `make logs FUNCTION=authorizer` has the reason of a "
            "refusal.",
        )
    return OperationError(
        f"The connection to {place} broke off.", "Try again; the avatar is unchanged."
    )


def ask_address(deployment: Deployment) -> str:
    """Return the address that gives upload addresses."""
    return f"{deployment.api_url}/avatars/key_upload"


def bucket_address(deployment: Deployment) -> str:
    """Return an address in the uploads bucket, at S3's host of the region.

    The global host, which boto3's presigned URLs have, redirects from a young bucket and answers
    400 in regions that are younger than 2019.

    References
    ----------
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    return f"{deployment.s3.meta.endpoint_url}/{deployment.uploads_bucket}/preflight"


def is_admitted(address: str, step: Step, origin: str) -> bool:
    """Ask as a browser does first: may a page of that origin take this step?"""
    asking = step == "ask"
    answer = web.request(
        "OPTIONS",
        address,
        {
            "Origin": origin,
            "Access-Control-Request-Method": "POST" if asking else "PUT",
            "Access-Control-Request-Headers": "content-type" + (",authorization" if asking else ""),
        },
    )
    return answer.headers.get("access-control-allow-origin") in {origin, "*"}


def check_cors(deployment: Deployment) -> str:
    """Ask the API whether a front end's page may ask for upload addresses.

    Returns
    -------
    str
        The origin asked for: the first one that the bucket's rule names.

    Raises
    ------
    OperationError
        If it may not, or the bucket has no rule.
    """
    with aws_errors("read the uploads bucket's CORS rule"):
        try:
            rules = deployment.s3.get_bucket_cors(Bucket=deployment.uploads_bucket)["CORSRules"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchCORSConfiguration":
                raise
            raise OperationError(
                "CORS: the uploads bucket has no rule, so no browser may send it a picture.",
                "Put it back: `make apply`.",
            ) from error
    origin = rules[0]["AllowedOrigins"][0].replace("*", "any")
    require_admitted(ask_address(deployment), "ask", origin)
    return origin


def require_admitted(address: str, step: Step, origin: str) -> None:
    """Raise OperationError unless a page of that origin may take this step at that address."""
    if not is_admitted(address, step, origin):
        raise not_admitted(step, origin)


def not_admitted(step: Step, origin: str) -> OperationError:
    """Return the error of a page that may not take this step."""
    return OperationError(
        f"CORS: {_place(step)} does not admit pages from {origin}.",
        "Open the console at an address that front_end_origins in the environment's tfvars "
        "names, or add this one there and run `make apply`.",
    )


def _place(step: Step) -> str:
    return "the API" if step == "ask" else "the uploads bucket"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _remedy(failure: Refusal, code: str) -> str:
    match failure.step, failure.status, code:
        case "ask", 401 | 403, _:
            return "The sign-in has ended or was withdrawn: sign in again."
        case "ask", 400, "unsupported_extension":
            return "Choose a JPEG, PNG, WebP, GIF or AVIF with its usual ending."
        case _, 413, _:
            return "Choose a smaller picture."
        case "ask", 400, _:
            return "Correct what it names, then send it again."
        case "put", _, "SignatureDoesNotMatch":
            return (
                "Content type and length are signed: the browser must send exactly what it asked "
                "for. Try again; if it stays, look at the presign function's log."
            )
        case "put", 400, _ if "auth mechanism" in failure.text:
            return (
                "The URL is the permission: send it without an Authorization header, which a "
                "request library may add by itself."
            )
        case "put", _, "ExpiredToken":
            return "The URL was signed with credentials that have ended: ask for a new one."
        case "put", 403, _:
            return (
                "The URL may have expired (it holds five minutes): try again. If it stays, check "
                "the presign function's role and the bucket's policy on the page Environment."
            )
        case _, 429 | 503, _:
            return "It asks to slow down: try again in a moment."
    return "Look at the functions' logs: `make logs`."


def code_and_message(text: str) -> tuple[str, str]:
    """Return the code and message of an error, in the API's JSON or S3's XML."""
    try:
        found = json.loads(text)
    except ValueError:
        code, message = (re.search(rf"<{tag}>([^<]*)<", text) for tag in ("Code", "Message"))
        return (code[1] if code else ""), (message[1] if message else text[:200].strip())
    error = found.get("error", found) if isinstance(found, dict) else {}
    error = error if isinstance(error, dict) else {"message": error}
    return str(error.get("code", "")), str(error.get("message", ""))
