"""The IAM policies that are enough to make, run and delete one environment, and no more.

Who has them can `bootstrap`, `plan`, `apply`, `upload`, `doctor`, `migrate` and `destroy` that
environment. docs/deployer.md says what each statement is for, and how it was proven.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from console.operations.errors import OperationError

MANAGED_POLICY_LIMIT = 6144
"""Characters of a managed policy; IAM counts no blanks."""

Statement = dict[str, Any]


@dataclass(frozen=True)
class Environment:
    """What of an environment's settings its deployer's rights depend on.

    Attributes
    ----------
    name
        The prefix of every name, without its last hyphen: ``<project>-<environment>``.
    env
        The environment's name, ``ENV``.
    domain_name
        The custom domain; empty without one.
    hosted_zone_id
        The id of its zone; empty if Terraform looks it up by name.
    user_pool_id
        The pool of the application; empty if the environment makes its own.
    user_groups
        Whether the console's groups are made.
    user_pool_mail
        Whether a pool made here sends its mails by SES.
    parameter
        The SSM parameter with the functions' database URL; empty without a database.
    parameter_key
        The ARN of its KMS key; empty if it is AWS's own.
    in_network
        Whether a function runs in subnets.
    is_moderated
        Whether pictures are held or reported.
    has_inventory
        Whether S3 lists the assets bucket each day.
    """

    name: str
    env: str
    account: str
    region: str
    domain_name: str = ""
    hosted_zone_id: str = ""
    user_pool_id: str = ""
    user_groups: bool = True
    user_pool_mail: bool = False
    parameter: str = ""
    parameter_key: str = ""
    in_network: bool = False
    is_moderated: bool = False
    has_inventory: bool = False

    @classmethod
    def from_variables(cls, env: str, values: Mapping[str, Any]) -> Environment:
        """Take what is needed from Terraform's variables.

        Raises
        ------
        OperationError
            If they don't say which account the environment is in, or name another environment.
        """
        if values["environment"] != env:
            raise OperationError(
                f"ENV is {env}, but its tfvars are of {values['environment']!r}.",
                f'Set in terraform/envs/{env}.tfvars: environment = "{env}"',
            )
        if not values["account_id"]:
            raise OperationError(
                f"Nothing says which AWS account {env} is in.",
                f'Add a line to terraform/envs/{env}.tfvars: account_id = "123456789012"',
            )
        database = values["database"] or {}
        pool = values["user_pool"] or {}
        return cls(
            name=f"{values['project']}-{env}",
            env=env,
            account=values["account_id"],
            region=values["region"],
            domain_name=values["domain_name"] or "",
            hosted_zone_id=values["hosted_zone_id"] or "",
            user_pool_id=pool.get("id") or "",
            user_groups=pool.get("make_groups") is not False,
            user_pool_mail=bool(values["user_pool_email"]),
            parameter=(database.get("url_parameter_name") or "").removeprefix("/"),
            parameter_key=database.get("kms_key_arn") or "",
            in_network=bool(database.get("subnet_ids")),
            is_moderated=values["moderation"] != "off",
            has_inventory=bool((values["inventory"] or {}).get("enabled")),
        )


def documents(environment: Environment) -> dict[str, dict[str, Any]]:
    """Return the policies by name, each within IAM's limit."""
    packed: list[list[Statement]] = [[]]
    for statement in statements(environment):
        if _size([*packed[-1], statement]) > MANAGED_POLICY_LIMIT:
            packed.append([])
        packed[-1].append(statement)
    name = f"{environment.name}-deployer"
    names = [name] if len(packed) == 1 else [f"{name}-{n}" for n in range(1, len(packed) + 1)]
    return dict(zip(names, map(_document, packed), strict=True))


def _document(written: Iterable[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(written)}


def _size(written: Iterable[Statement]) -> int:
    return len("".join(json.dumps(_document(written), separators=(",", ":")).split()))


def statements(environment: Environment) -> Iterator[Statement]:
    """Yield every statement that the environment's settings need."""
    yield from _preflight(environment)
    yield from _state(environment)
    yield from _buckets(environment)
    yield from _queues_and_topics(environment)
    yield from _table(environment)
    yield from _functions(environment)
    yield from _logs_and_alarms(environment)
    yield from _api(environment)
    yield from _cdn(environment)
    yield from _users(environment)
    if environment.domain_name:
        yield from _domain(environment)
    if environment.parameter:
        yield from _database(environment)


def _allow(
    sid: str,
    actions: str,
    resources: str | list[str],
    **conditions: Mapping[str, str | list[str]],
) -> Statement:
    """Return a statement; the actions are one service's and its names, such as ``s3 GetObject``."""
    service, *names = actions.split()
    named = sorted(f"{service}:{name}" for name in names)
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": named[0] if len(named) == 1 else named,
        "Resource": resources,
        **({"Condition": conditions} if conditions else {}),
    }


def _preflight(here: Environment) -> Iterator[Statement]:
    yield _allow("AskQuota", "lambda GetAccountSettings", "*")
    yield _allow(
        "AskRegion", "account GetRegionOptStatus", f"arn:aws:account::{here.account}:account"
    )
    yield _allow(
        "FindCdnNames",
        "cloudfront ListDistributions ListOriginAccessControls ListCachePolicies "
        "ListResponseHeadersPolicies",
        "*",
    )


def _state(here: Environment) -> Iterator[Statement]:
    bucket = f"arn:aws:s3:::avatar-ops-terraform-state-{here.account}-{here.region}"
    yield _allow(
        "MakeStateBucket",
        "s3 CreateBucket ListBucket PutBucketVersioning PutBucketPublicAccessBlock "
        "PutEncryptionConfiguration PutBucketPolicy",
        bucket,
    )
    yield _allow("KeepState", "s3 GetObject PutObject", f"{bucket}/{here.env}/terraform.tfstate")
    yield _allow(
        "LockState",
        "s3 GetObject PutObject DeleteObject",
        f"{bucket}/{here.env}/terraform.tfstate.tflock",
    )


def _buckets(here: Environment) -> Iterator[Statement]:
    uploads, assets, legal_holds = buckets = [
        f"arn:aws:s3:::{here.name}-{kind}-{here.account}"
        for kind in ("uploads", "assets", "legal-holds")
    ]
    yield _allow(
        "MakeBuckets",
        "s3 CreateBucket DeleteBucket PutBucketTagging PutBucketOwnershipControls "
        "PutBucketPublicAccessBlock PutEncryptionConfiguration PutBucketVersioning "
        "PutLifecycleConfiguration PutBucketCORS PutBucketPolicy DeleteBucketPolicy "
        "PutBucketNotification",
        buckets,
    )
    yield _allow(
        "ReadBuckets",
        "s3 ListBucket ListBucketVersions GetBucketTagging GetBucketOwnershipControls "
        "GetBucketPublicAccessBlock GetEncryptionConfiguration GetBucketVersioning "
        "GetLifecycleConfiguration GetBucketCORS GetBucketPolicy GetBucketNotification "
        "GetBucketAcl GetBucketWebsite GetAccelerateConfiguration GetBucketRequestPayment "
        "GetBucketLogging GetReplicationConfiguration GetBucketObjectLockConfiguration",
        buckets,
    )
    yield _allow(
        "KeepObjects",
        "s3 GetObject GetObjectTagging PutObject DeleteObject DeleteObjectVersion",
        [f"{bucket}/*" for bucket in (uploads, assets)],
    )
    if here.has_inventory:
        yield _allow("ListAssets", "s3 PutInventoryConfiguration GetInventoryConfiguration", assets)
    # Nothing in it: what is held, a deployer can't delete
    yield _allow("LockLegalHolds", "s3 PutBucketObjectLockConfiguration", legal_holds)


def _queues_and_topics(here: Environment) -> Iterator[Statement]:
    at = f"{here.region}:{here.account}"
    yield _allow(
        "MakeQueues",
        "sqs CreateQueue DeleteQueue GetQueueUrl GetQueueAttributes SetQueueAttributes "
        "ListQueueTags TagQueue",
        f"arn:aws:sqs:{at}:{here.name}-*",
    )
    yield _allow(
        "MakeTopics",
        "sns CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes ListTagsForResource "
        "TagResource Subscribe ListSubscriptionsByTopic GetSubscriptionAttributes Unsubscribe",
        [f"arn:aws:sns:{region}:{here.account}:{here.name}-*" for region in _regions(here)],
    )


def _regions(here: Environment) -> list[str]:
    # CloudFront's alarm, its topic and its certificate are in us-east-1
    return sorted({here.region, "us-east-1"})


def _table(here: Environment) -> Iterator[Statement]:
    yield _allow(
        "MakeTable",
        "dynamodb CreateTable DeleteTable DescribeTable DescribeContinuousBackups "
        "DescribeTimeToLive UpdateTimeToLive ListTagsOfResource TagResource",
        [
            f"arn:aws:dynamodb:{here.region}:{here.account}:table/{here.name}-{table}"
            for table in (["limits", "reviews"] if here.is_moderated else ["limits"])
        ],
    )
    yield _allow(
        "MakeSchedule",
        "events PutRule DeleteRule DescribeRule ListTagsForResource TagResource PutTargets "
        "RemoveTargets ListTargetsByRule",
        [
            f"arn:aws:events:{here.region}:{here.account}:rule/{here.name}-{rule}"
            for rule in (["oldest-review", "probe"] if here.is_moderated else ["probe"])
        ],
    )


def _functions(here: Environment) -> Iterator[Statement]:
    function = f"arn:aws:lambda:{here.region}:{here.account}:function:{here.name}-*"
    role = f"arn:aws:iam::{here.account}:role/{here.name}-*"
    yield _allow(
        "MakeFunctions",
        "lambda CreateFunction DeleteFunction GetFunction GetFunctionConfiguration "
        "GetFunctionCodeSigningConfig ListVersionsByFunction UpdateFunctionCode PublishVersion "
        "CreateAlias GetAlias UpdateAlias DeleteAlias "
        "UpdateFunctionConfiguration PutFunctionConcurrency DeleteFunctionConcurrency "
        "AddPermission RemovePermission GetPolicy TagResource",
        function,
    )
    yield _allow(
        "ConnectQueue",
        "lambda CreateEventSourceMapping UpdateEventSourceMapping DeleteEventSourceMapping",
        "*",
        ArnLike={"lambda:FunctionArn": function},
    )
    yield _allow(
        # Without the condition: one that was just deleted has no function, and is asked for
        "ReadQueueConnection",
        "lambda GetEventSourceMapping ListTags TagResource",
        f"arn:aws:lambda:{here.region}:{here.account}:event-source-mapping:*",
    )
    yield _allow("ListQueueConnections", "lambda ListEventSourceMappings", "*")
    yield _allow(
        "MakeRoles",
        "iam CreateRole DeleteRole GetRole TagRole PutRolePolicy GetRolePolicy DeleteRolePolicy "
        "ListRolePolicies ListAttachedRolePolicies ListInstanceProfilesForRole",
        role,
    )
    yield _allow(
        "PassRoles",
        "iam PassRole",
        role,
        StringEquals={"iam:PassedToService": "lambda.amazonaws.com"},
    )
    if here.in_network:
        yield _allow("ReadNetwork", "ec2 DescribeSecurityGroups DescribeSubnets DescribeVpcs", "*")


def _logs_and_alarms(here: Environment) -> Iterator[Statement]:
    at = f"{here.region}:{here.account}"
    groups = [
        f"arn:aws:logs:{at}:log-group:{prefix}{here.name}{end}"
        for prefix, end in (("/aws/lambda/", "-*"), ("/aws/vendedlogs/apigateway/", "*"))
    ]
    yield _allow(
        "MakeLogGroups",
        "logs CreateLogGroup DeleteLogGroup PutRetentionPolicy ListTagsForResource TagResource "
        "PutMetricFilter DescribeMetricFilters DeleteMetricFilter",
        groups,
    )
    yield _allow("FindLogGroups", "logs DescribeLogGroups", "*")
    yield _allow(
        "DeliverAccessLog",
        "logs CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery "
        "ListLogDeliveries PutResourcePolicy DescribeResourcePolicies",
        "*",
    )
    yield _allow(
        "MakeAlarms",
        "cloudwatch PutMetricAlarm DeleteAlarms ListTagsForResource TagResource",
        [
            f"arn:aws:cloudwatch:{region}:{here.account}:alarm:{here.name}-*"
            for region in _regions(here)
        ],
    )
    yield _allow("FindAlarms", "cloudwatch DescribeAlarms", "*")
    yield _allow(
        "MakeDashboard",
        "cloudwatch PutDashboard GetDashboard DeleteDashboards",
        f"arn:aws:cloudwatch::{here.account}:dashboard/{here.name}",
    )


def _api(here: Environment) -> Iterator[Statement]:
    root = f"arn:aws:apigateway:{here.region}::"
    paths = ["/apis", "/apis/*", "/tags/*"]
    if here.domain_name:
        name = f"/domainnames/api.{here.domain_name}"
        paths += ["/domainnames", name, f"{name}/*"]
    yield _allow(
        "MakeApi",
        "apigateway GET POST PATCH DELETE TagResource",
        [f"{root}{path}" for path in paths],
    )


def _cdn(here: Environment) -> Iterator[Statement]:
    kinds = ("distribution", "origin-access-control", "cache-policy", "response-headers-policy")
    yield _allow(
        "MakeCdn",
        "cloudfront CreateDistribution CreateOriginAccessControl CreateCachePolicy "
        "CreateResponseHeadersPolicy",
        "*",
    )
    yield _allow(
        "KeepCdn",
        "cloudfront GetDistribution UpdateDistribution DeleteDistribution "
        "GetOriginAccessControl DeleteOriginAccessControl GetCachePolicy UpdateCachePolicy "
        "DeleteCachePolicy "
        "GetResponseHeadersPolicy UpdateResponseHeadersPolicy DeleteResponseHeadersPolicy "
        "TagResource ListTagsForResource",
        [f"arn:aws:cloudfront::{here.account}:{kind}/*" for kind in kinds],
    )


def _users(here: Environment) -> Iterator[Statement]:
    region = here.user_pool_id.partition("_")[0] or here.region
    pool = f"arn:aws:cognito-idp:{region}:{here.account}:userpool/{here.user_pool_id or '*'}"
    if not here.user_pool_id:
        if here.user_pool_mail:
            yield from _service_role(here, "MakeMailersServiceRole", "email.cognito-idp")
        yield _allow("MakeUserPool", "cognito-idp CreateUserPool", "*")
        yield _allow(
            "KeepUserPool",
            "cognito-idp UpdateUserPool DeleteUserPool GetUserPoolMfaConfig SetUserPoolMfaConfig "
            "CreateUserPoolClient DeleteUserPoolClient",
            pool,
        )
    if here.user_groups:
        yield _allow("MakeUserGroups", "cognito-idp CreateGroup GetGroup DeleteGroup", pool)
    yield _allow(
        "UseUserPool",
        "cognito-idp DescribeUserPool DescribeUserPoolClient AdminGetUser AdminCreateUser "
        "AdminSetUserPassword AdminAddUserToGroup AdminInitiateAuth",
        pool,
    )


def _service_role(here: Environment, sid: str, service: str) -> Iterator[Statement]:
    """Yield the right to have a service's own role made, where the account has none yet."""
    name = f"{service}.amazonaws.com"
    yield _allow(
        sid,
        "iam CreateServiceLinkedRole",
        f"arn:aws:iam::{here.account}:role/aws-service-role/{name}/*",
        StringEquals={"iam:AWSServiceName": name},
    )


def _domain(here: Environment) -> Iterator[Statement]:
    names = [f"{host}.{here.domain_name}" for host in ("api", "assets")]
    yield _allow("FindZone", "route53 ListHostedZones ListHostedZonesByName", "*")
    zone = f"arn:aws:route53:::hostedzone/{here.hosted_zone_id or '*'}"
    yield _allow(
        "ReadZone", "route53 GetHostedZone ListResourceRecordSets ListTagsForResource", zone
    )
    yield _allow(
        "ChangeRecords",
        "route53 ChangeResourceRecordSets",
        zone,
        **{
            "ForAllValues:StringLike": {
                "route53:ChangeResourceRecordSetsNormalizedRecordNames": [
                    *names,
                    *(f"_*.{name}" for name in names),
                ]
            }
        },
    )
    yield from _service_role(here, "MakeApisServiceRole", "ops.apigateway")
    yield _allow("WaitForRecords", "route53 GetChange", "arn:aws:route53:::change/*")
    yield _allow("RequestCertificates", "acm RequestCertificate", "*")
    yield _allow(
        "KeepCertificates",
        "acm DescribeCertificate DeleteCertificate ListTagsForCertificate AddTagsToCertificate",
        [f"arn:aws:acm:{region}:{here.account}:certificate/*" for region in _regions(here)],
    )


def _database(here: Environment) -> Iterator[Statement]:
    parameter = f"arn:aws:ssm:{here.region}:{here.account}:parameter/{here.parameter}"
    yield _allow("ReadDatabaseUrls", "ssm GetParameter", [parameter, f"{parameter}-owner"])
    yield _allow("WriteFunctionUrl", "ssm PutParameter", parameter)
    yield _allow("ReadParameterKey", "ssm DescribeParameters", "*")
    if here.parameter_key:
        yield _allow(
            "UseParameterKey",
            "kms Decrypt Encrypt",
            here.parameter_key,
            StringEquals={"kms:ViaService": f"ssm.{here.region}.amazonaws.com"},
        )
