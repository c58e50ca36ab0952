"""Erase an account: all that is stored of it goes, and nothing that is under way brings it back.

First the account is locked, for a month, by an item that says no more than its id. An address to
upload to that was given before is good for five minutes; that is waited for. Then the avatar is
taken down, which leaves a removal mark for as long; messages, the pool's user and the rows go. The
rows are the last, as a handle leads to an account by them alone. Each step may be repeated, and a
run that was killed is finished by the same command.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import quote

from botocore.exceptions import ClientError

from console.operations import progress
from console.operations.accounts import export, legal_hold, rows
from console.operations.accounts.account import Account
from console.operations.audit.audit import Audit, pseudonym
from console.operations.avatars import cdn, takedown
from console.operations.avatars.takedown import Listing
from console.operations.environments.aws_errors import aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import dead_letters
from console.operations.uploads import locks, names, outcomes

ADDRESS_SECONDS = 360
"""An address is good for 300; the rest is for its making, and for clocks."""
KEPT_DAYS = 30
"""The lock and the removal mark: longer than a message lives, redriven once."""
_ATTEMPTS = 5
_LOOK_SECONDS = 5


@dataclass(frozen=True)
class Erase:
    """The erasure of an account, as it was shown to whoever confirms it.

    Attributes
    ----------
    listings
        Of the user's avatar, and of the banner.
    drops_caches
        Whether CloudFront drops what it has at once, which has its price, or when its time is up.
    keeps_user
        Leave the pool's user: where the pool is another application's, which deletes it.
    """

    target: Target
    deployment: Deployment
    account: Account
    listings: tuple[Listing, ...]
    drops_caches: bool = True
    keeps_user: bool = False
    action: ClassVar[str] = "erase an account"
    destructive: ClassVar[bool] = True

    @property
    def subject(self) -> str:
        """What the audit calls the account from now on."""
        return pseudonym(self.account.sub)

    def lines(self) -> Iterator[str]:
        """Yield what will be touched."""
        here, account = self.deployment, self.account
        yield f"lock {account} for {KEPT_DAYS} days, and keep nothing else in {here.limits_table}"
        yield f"wait {ADDRESS_SECONDS // 60} minutes, until no address to upload to is valid"
        pictures = names.of_user(account.sub)
        for name, listing in zip(pictures, self.listings, strict=True):
            yield from takedown.TakeDown(
                self.target, here, name, listing, self.drops_caches
            ).lines()
        if self.drops_caches:
            paths = sum(len(cdn.paths_of(name)) for name in pictures)
            yield (
                f"which costs {paths * cdn.USD_PER_PATH:.3f} USD, unless it is among the first "
                f"{cdn.FREE_PATHS:,} paths of the month"
            )
        else:
            yield "leave the CDN's copies until their time is up"
        yield "delete its messages in the dead-letter queues"
        for username in account.usernames:
            verb = "leave" if self.keeps_user else "delete"
            yield f"{verb} the user {username} of the pool {here.user_pool_id}"
        if here.database_url_parameter:
            yield f"call it {self.subject} in the audit"
            yield f"delete {len(account.handles)} profiles, {account.activities:,} activities"

    def check(self) -> None:
        """Raise OperationError if the account is held by law: it must not be erased then."""
        if since := legal_hold.held_since(self.deployment, self.account.sub):
            raise legal_hold.refusal(self.account, since)

    def execute(self, report: progress.Report) -> str:
        """Erase it, and return what was done, without its name.

        Raises
        ------
        OperationError
            Naming what failed, without the account's name; all of it may be repeated.
        """
        try:
            return self._execute(report)
        except OperationError as error:  # the audit keeps what it says
            message, remedy = error.message, error.remedy
            for name in self.account.names:
                message = message.replace(name, self.subject).replace(quote(name), self.subject)
                remedy = remedy.replace(name, self.subject)
            raise type(error)(message, remedy) from error

    def _execute(self, report: progress.Report) -> str:
        here, account = self.deployment, self.account
        with progress.timed(report, "Lock"):
            left = _begin(here, account)
        _wait(left, report)
        locks.drop_removals(here, account.sub)
        done = []
        for name in names.of_user(account.sub):
            taken_down = _take_down(self, name, report)
            done.append(f"{taken_down}, {_delete_others(here, name)} others")
        with progress.timed(report, "Delete dead-letter messages") as detail:
            messages = sum(dead_letters.drop(here, url, account.sub) for url in _queues(here))
            detail.append(str(messages))
            done.append(f"{messages} dead-letter messages")
        if not self.keeps_user:
            with progress.timed(report, "Delete the user"):
                for username in account.usernames:
                    with (
                        aws_errors("delete the user of the pool"),
                        suppressed({"UserNotFoundException"}),
                    ):
                        here.cognito.admin_delete_user(
                            UserPoolId=here.user_pool_id, Username=username
                        )
            done.append(f"{len(account.usernames)} users of the pool")
        export.delete_old(self.target, account)
        if here.database_url_parameter:
            url = self.target.database_url
            with progress.timed(report, "Pseudonymise the audit") as detail:
                audit = Audit(self.target.env, url, self.target.state / "audit")
                entries = audit.pseudonymise(account.sub, account.handles)
                detail.append(f"{entries} entries")
            with progress.timed(report, "Delete the rows"):
                profiles, activities = rows.delete(url(), account.sub)
            done.append(f"{profiles} profiles, {activities} activities")
        return "; ".join(done)


def erase(
    target: Target,
    deployment: Deployment,
    account: Account,
    *,
    drops_caches: bool = True,
    keeps_user: bool = False,
) -> Erase:
    """Return the erasure of an account, to be shown and then executed.

    An account of which nothing is stored is no error: an earlier run may have ended half-way.

    Raises
    ------
    OperationError
        If it is held by law, or the environment can't lock it.
    """
    if not deployment.limits_table:
        raise OperationError(
            f"There is no table of limits in .env.{deployment.name}.",
            f"Apply this version, then run `make env ENV={deployment.name}`.",
        )
    listings = tuple(takedown.list_stored(deployment, name) for name in names.of_user(account.sub))
    change = Erase(target, deployment, account, listings, drops_caches, keeps_user)
    change.check()
    return change


def _begin(here: Deployment, account: Account) -> float:
    """Lock the account unless it is held; return for how many seconds addresses may be valid.

    All by DynamoDB's clock, so that another machine can go on.
    """
    for _ in range(_ATTEMPTS):
        with aws_errors("look whether the account is locked"):
            answer = here.dynamodb.get_item(
                TableName=here.limits_table, Key=locks.key(account.sub), ConsistentRead=True
            )
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
        if begun := answer.get("Item", {}).get("erased"):
            return max(0.0, int(begun["N"]) + ADDRESS_SECONDS - now)
        if since := legal_hold.held_since(here, account.sub):
            raise legal_hold.refusal(account, since)
        at = {"N": str(int(now) + 1)}  # the header is cut to the second
        expires = {"N": str(int(now + timedelta(days=KEPT_DAYS).total_seconds()))}
        item = {**locks.key(account.sub), "locked": at, "erased": at, "expires": expires}
        table = {"TableName": here.limits_table}
        unheld = {"ConditionExpression": "attribute_not_exists(held)"}
        unerased = {"ConditionExpression": "attribute_not_exists(erased)"}
        with aws_errors("lock the account"):
            try:
                here.dynamodb.transact_write_items(
                    TransactItems=[
                        {"ConditionCheck": table | {"Key": legal_hold.key(account.sub)} | unheld},
                        {"Put": table | {"Item": item} | unerased},
                    ]
                )
            except ClientError as error:
                if not legal_hold.refused_by_condition(error):
                    raise
            else:
                return ADDRESS_SECONDS
    raise OperationError("The account could not be locked.", "Run the same command again.")


def _wait(seconds: float, report: progress.Report) -> None:
    step, end = "Wait for addresses that were given", time.monotonic() + seconds
    with progress.timed(report, step):
        while (left := end - time.monotonic()) > 0:
            done = round(seconds - left)
            report(progress.Event(step, "advanced", "seconds", done=done, total=round(seconds)))
            time.sleep(min(_LOOK_SECONDS, left))


def _take_down(change: Erase, name: str, report: progress.Report) -> str:
    """Take the avatar or banner down, with whatever comes meanwhile, until nothing is stored."""
    here, said = change.deployment, ""
    for _ in range(_ATTEMPTS):
        listing = takedown.list_stored(here, name)
        if said and not listing.objects:
            return said
        removal = takedown.TakeDown(change.target, here, name, listing, change.drops_caches)
        try:
            said = removal.execute(report)
        except StaleChangeError:
            continue  # another has come since it was listed
    raise OperationError(
        "Something keeps sending pictures of this account.",
        "See `make logs FUNCTION=resize`, then run the same command again.",
    )


def _delete_others(here: Deployment, name: str) -> int:
    """Delete what else the assets bucket has by that name, in any folder; return how much.

    Only the removal mark stays.
    """
    count = 0
    with aws_errors("look through the folders of the assets bucket"):
        pages = here.s3.get_paginator("list_objects_v2").paginate(
            Bucket=here.assets_bucket, Delimiter="/"
        )
        for folder in [each for page in pages for each in page.get("CommonPrefixes", [])]:
            for found in _of_name(here, f"{folder['Prefix']}{name}"):
                if found["Key"] != outcomes.register_key(name):
                    here.s3.delete_object(Bucket=here.assets_bucket, **found)
                    count += 1
    return count


def _of_name(here: Deployment, name: str) -> Iterator[dict[str, Any]]:
    pages = here.s3.get_paginator("list_object_versions").paginate(
        Bucket=here.assets_bucket, Prefix=name
    )
    for page in pages:
        listed: Any = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        for item in listed:
            if item["Key"].removeprefix(name)[:1] in {"", "/", "."}:
                yield {"Key": item["Key"], "VersionId": item["VersionId"]}


def _queues(here: Deployment) -> Iterator[str]:
    """Yield the addresses of the dead-letter queues."""
    yield here.dead_letter_queue_url
    prefix = here.queue_url.rpartition("/")[2].removesuffix("-uploads")
    for name in ("cleanup-dead-letters", "webhook-dead-letters"):
        with (
            aws_errors("find the dead-letter queues"),
            suppressed({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}),
        ):
            yield here.sqs.get_queue_url(QueueName=f"{prefix}-{name}")["QueueUrl"]
