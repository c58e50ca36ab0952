"""AWS's errors as sentences that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)

from console.operations.environments.clients import forget_clients
from console.operations.errors import OperationError

MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
"""S3's codes for an object or version that is not there."""
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}


@contextlib.contextmanager
def aws_errors(action: str) -> Iterator[None]:
    """Turn what boto3 raises inside into an OperationError that says what to do.

    Parameters
    ----------
    action
        What was being done, to follow "Could not".
    """
    try:
        yield
    except NoCredentialsError as error:
        forget_clients()  # after a sign-in there are some
        raise OperationError(
            f"Could not {action}: there are no AWS credentials.",
            "Sign in (`aws sso login`) or set AWS_PROFILE, then try again.",
        ) from error
    except (CredentialRetrievalError, ProfileNotFound, SSOError, TokenRetrievalError) as error:
        forget_clients()
        raise OperationError(
            f"Could not {action}: {str(error).rstrip('.')}.",
            "Sign in again (`aws sso login`) and check AWS_PROFILE, then try again.",
        ) from error
    except ClientError as error:
        code = str(error.response["Error"].get("Code", ""))
        if code in _EXPIRED:
            forget_clients()  # their credentials are of before the next sign-in
        message = str(error.response["Error"].get("Message", ""))
        said = (message or code).rstrip(".")
        raise OperationError(f"Could not {action}: {said}.", _remedy(code)) from error
    except (
        ConnectionClosedError,
        ConnectTimeoutError,
        EndpointConnectionError,
        ReadTimeoutError,
    ) as error:
        at = urlsplit(str(error.kwargs.get("endpoint_url", "")))
        who = "AWS" if f"{at.hostname}".endswith((".amazonaws.com", "None")) else at.netloc
        raise OperationError(
            f"Could not {action}: {who} does not answer.",
            "Check that AWS can be reached; for ENV=local run `make up`.",
        ) from error
    except BotoCoreError as error:
        raise OperationError(
            f"Could not {action}: {error}.",
            "Check that AWS can be reached; for ENV=local run `make up`.",
        ) from error


@contextlib.contextmanager
def suppressed(codes: Collection[str]) -> Iterator[None]:
    """Pass over AWS's answers with these error codes, as `contextlib.suppress` does."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"].get("Code") not in codes:
            raise


def _remedy(code: str) -> str:
    if code in _EXPIRED:
        return "The credentials have expired: sign in again."
    if code in {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"}:
        return "AWS does not know these credentials: check AWS_PROFILE and sign in again."
    if code in {"AccessDenied", "AccessDeniedException", "403"}:
        return "Ask for that permission, or use a role that has it."
    if code in {"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"}:
        return "AWS asks to slow down: try again in a minute."
    if code.startswith("NoSuch") or "NotFound" in code or code == "404":
        return "Check that it exists: `make outputs` shows what was made, `make env` refreshes it."
    return "Fix what it names, then try again."
