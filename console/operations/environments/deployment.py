"""One deployed environment: what Terraform made, and how to reach it.

``make env`` writes ``.env.<ENV>`` from Terraform's outputs; everything here reads that file, so
that no operation needs Terraform at hand.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from console.operations.environments.clients import client
from console.operations.errors import OperationError

if TYPE_CHECKING:
    from mypy_boto3_acm.client import ACMClient
    from mypy_boto3_cloudfront.client import CloudFrontClient
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_logs.client import CloudWatchLogsClient
    from mypy_boto3_route53.client import Route53Client
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sns.client import SNSClient
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_ssm.client import SSMClient

ROOT = Path(__file__).resolve().parents[3]
ACCESS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
CDN_REGION = "us-east-1"
"""Where CloudFront has its metrics, alarms and certificates."""


_T = TypeVar("_T")


class _Client(Generic[_T]):
    """An attribute that is the boto3 client of a service, in the deployment's region."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __get__(self, deployment: Deployment | None, _owner: object = None) -> _T:
        # of the class, not of a deployment, it is itself, as properties are
        return cast("_T", deployment.client(self._service) if deployment else self)


@dataclass(frozen=True)
class Deployment:
    """What ``.env.<ENV>`` says of an environment.

    Attributes
    ----------
    name
        The environment's name, `ENV`.
    access
        The emulator's address and credentials where the file holds them; on AWS it is empty,
        and boto3 finds the operator's own credentials.
    function_names
        The deployed name of each function, by its folder in ``lambdas/``.
    database_url_parameter
        The SSM parameter with the profile function's database URL; empty without a database.
    limits_table
        The DynamoDB table of limits and locks.
    reviews_table
        The one of pictures that were held or reported; empty where moderation is off.
    legal_holds_bucket
        The bucket of what the law says must be kept.
    reprocess_role_arn
        The role with which S3 Batch Operations calls `resize`; empty where the queue serves.
    """

    name: str
    region: str
    api_url: str
    assets_url: str
    uploads_bucket: str
    assets_bucket: str
    distribution_id: str
    user_pool_id: str
    user_pool_client_id: str
    queue_url: str
    dead_letter_queue_url: str
    topic_arn: str
    function_names: Mapping[str, str]
    access: Mapping[str, str]
    database_url_parameter: str = ""
    limits_table: str = ""
    reviews_table: str = ""
    legal_holds_bucket: str = ""
    reprocess_role_arn: str = ""

    s3: ClassVar[_Client[S3Client]] = _Client("s3")
    sqs: ClassVar[_Client[SQSClient]] = _Client("sqs")
    sns: ClassVar[_Client[SNSClient]] = _Client("sns")
    functions: ClassVar[_Client[LambdaClient]] = _Client("lambda")
    logs: ClassVar[_Client[CloudWatchLogsClient]] = _Client("logs")
    cloudfront: ClassVar[_Client[CloudFrontClient]] = _Client("cloudfront")
    cloudwatch: ClassVar[_Client[CloudWatchClient]] = _Client("cloudwatch")
    parameters: ClassVar[_Client[SSMClient]] = _Client("ssm")
    iam: ClassVar[_Client[IAMClient]] = _Client("iam")
    route53: ClassVar[_Client[Route53Client]] = _Client("route53")
    apis: ClassVar[_Client[Any]] = _Client("apigatewayv2")  # types of HTTP APIs are not installed
    s3control: ClassVar[_Client[Any]] = _Client("s3control")  # nor are these
    dynamodb: ClassVar[_Client[Any]] = _Client("dynamodb")  # nor are DynamoDB's

    @property
    def user_pool_region(self) -> str:
        """The region of the user pool, which may be another than the environment's."""
        return self.user_pool_id.partition("_")[0]

    @property
    def cognito(self) -> CognitoIdentityProviderClient:
        """The client of the user pool's region."""
        return self.client("cognito-idp", self.user_pool_region)  # type: ignore[no-any-return]

    def cloudwatch_in(self, region: str) -> CloudWatchClient:
        """Return the CloudWatch client of another region; CloudFront's alarms are in us-east-1."""
        return self.client("cloudwatch", region)  # type: ignore[no-any-return]

    def certificates_in(self, region: str) -> ACMClient:
        """Return the ACM client of another region; CloudFront's certificate is in us-east-1."""
        return self.client("acm", region)  # type: ignore[no-any-return]

    def client(self, service: str, region: str = "") -> Any:
        """Return a boto3 client, of the environment's region if none is given."""
        return client(service, region or self.region, tuple(sorted(self.access.items())))


def make_clients(deployment: Deployment) -> None:
    """Make the clients that most pages need, so that no operator waits for it (half a second)."""
    for service in ("s3", "sqs", "logs", "cloudfront", "cloudwatch", "ssm"):
        deployment.client(service)
    deployment.cloudwatch_in(CDN_REGION)
    deployment.certificates_in(CDN_REGION)


def settings_file(env: str) -> Path:
    """Return the path of ``.env.<ENV>`` (``AVATAR_OPS_ENV_DIR`` moves it)."""
    check_name(env)
    return Path(os.environ.get("AVATAR_OPS_ENV_DIR") or ROOT) / f".env.{env}"


def check_name(env: str) -> None:
    """Raise OperationError if that can't be an environment's name."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", env):
        raise OperationError(
            f"{env!r} is not a valid name of an environment.",
            "Use a lower-case letter, then letters, digits and hyphens, at most 20: ENV=prod.",
        )


def read_settings(env: str) -> dict[str, str]:
    """Return the variables of ``.env.<ENV>``; empty if there is no such file."""
    return read_variables(settings_file(env))


def read_variables(path: Path) -> dict[str, str]:
    """Return the variables of a settings file; empty if there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def read_access(env: str) -> dict[str, str]:
    """Return what ``.env.<ENV>`` says of an emulator's address and credentials; empty on AWS."""
    settings = read_settings(env)
    return {name: settings[name] for name in ACCESS if name in settings}


def load(env: str) -> Deployment:
    """Return the environment that ``.env.<ENV>`` describes.

    Raises
    ------
    OperationError
        If there is no such file or a variable is missing from it.
    """
    settings = read_settings(env)
    remedy = "Run `make up`." if env == "local" else f"Run `make env ENV={env}`."
    if not settings:
        raise OperationError(f"There is no {settings_file(env).name} here.", remedy)
    values: dict[str, Any] = {
        "name": env,
        "access": {name: settings[name] for name in ACCESS if name in settings},
    }
    for field in fields(Deployment):
        if field.name in values:
            continue
        value = settings.get(field.name.upper(), "")
        if not value and field.default is MISSING:
            raise OperationError(
                f"{settings_file(env).name} has no value for {field.name.upper()}.", remedy
            )
        values[field.name] = value
    try:
        values["function_names"] = json.loads(values["function_names"])
    except ValueError as error:
        raise OperationError(
            f"FUNCTION_NAMES in {settings_file(env).name} is no JSON.", remedy
        ) from error
    return Deployment(**values)
