"""Test users: accounts of the user pool that operators may sign in as.

A test user is a member of the pool's group `test-users`. Its password is set again, at random, at
each sign-in, so there is none to keep; nobody else's account is ever touched.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass

from botocore.exceptions import ClientError

from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError

GROUP = "test-users"
_DOMAIN = "test-users.invalid"
_ATTEMPTS = 3


@dataclass(frozen=True)
class SignIn:
    """A signed-in test user; `token` is the access token that the API wants."""

    sub: str
    username: str
    token: str
    expires_at: float
    id_token: str = ""

    def __repr__(self) -> str:
        return f"SignIn(username={self.username!r})"  # the token stays out of logs and tracebacks


def email(name: str) -> str:
    """Return a test user's address, which can't belong to anybody (RFC 2606)."""
    if not name.replace("-", "").isalnum() or not name.isascii():
        raise OperationError(
            f"{name!r} is not a valid name for a test user.",
            "Use letters, digits and hyphens: WHO=ada.",
        )
    return f"{name.lower()}@{_DOMAIN}"


def ensure_test_user(deployment: Deployment, name: str) -> str:
    """Make the test user if there is none; return its `sub`."""
    address = email(name)
    cognito, pool = deployment.cognito, deployment.user_pool_id
    with aws_errors(f"make the test user {name}"):
        try:
            cognito.get_group(UserPoolId=pool, GroupName=GROUP)
        except cognito.exceptions.ResourceNotFoundException as error:
            raise OperationError(
                f"The user pool {pool} has no group {GROUP}.",
                f"Make the group, or leave make_groups of user_pool at true and run `make apply`: "
                f"a test user is known by {GROUP}.",
            ) from error
        with contextlib.suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=address,
                MessageAction="SUPPRESS",
                UserAttributes=[
                    {"Name": "email", "Value": address},
                    {"Name": "email_verified", "Value": "true"},
                ],
            )
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=address, GroupName=GROUP)
        user = cognito.admin_get_user(UserPoolId=pool, Username=address)
    return next(item["Value"] for item in user["UserAttributes"] if item["Name"] == "sub")


def sign_in(deployment: Deployment, name: str) -> SignIn:
    """Sign in as a test user, making it if there is none.

    Raises
    ------
    OperationError
        If Cognito refuses.
    """
    sub = ensure_test_user(deployment, name)
    address = email(name)
    cognito, pool = deployment.cognito, deployment.user_pool_id
    with aws_errors(f"sign in as the test user {name}"):
        for attempt in range(_ATTEMPTS):
            password = f"{secrets.token_urlsafe(24)}aA1!"
            cognito.admin_set_user_password(
                UserPoolId=pool, Username=address, Password=password, Permanent=True
            )
            try:
                answer = cognito.admin_initiate_auth(
                    UserPoolId=pool,
                    ClientId=deployment.user_pool_client_id,
                    AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                    AuthParameters={"USERNAME": address, "PASSWORD": password},
                )
            except ClientError as error:
                # another operator set another password in between
                busy = error.response["Error"]["Code"] == "NotAuthorizedException"
                if not busy or attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        if "ChallengeName" in answer:
            raise OperationError(
                f"Cognito asks the test user {name} for {answer['ChallengeName']}.",
                "Let MFA be optional in that pool, and the client be one without custom sign-in.",
            )
        result = answer["AuthenticationResult"]
        return SignIn(
            sub=sub,
            username=address,
            token=result["AccessToken"],
            expires_at=time.time() + result["ExpiresIn"],
            id_token=result["IdToken"],
        )


def delete(deployment: Deployment, name: str) -> None:
    """Delete the account of a test user, if there is one."""
    cognito = deployment.cognito
    with (
        aws_errors(f"delete the test user {name}"),
        contextlib.suppress(cognito.exceptions.UserNotFoundException),
    ):
        cognito.admin_delete_user(UserPoolId=deployment.user_pool_id, Username=email(name))
