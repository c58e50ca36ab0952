"""A DynamoDB table in memory, as far as reviews use it: items, conditions and updates.

`tests/unit/resize/test_moderation.py` and `tests/unit/console/test_reviews.py` hold the same
expressions to moto's.
"""

# ruff: noqa: N803 — the names of arguments are boto3's

from __future__ import annotations

import copy
import re
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ReadTimeoutError

from dynamodb import ConditionFailedError, TableError
from tests.unit.order.s3 import error
from tests.unit.order.workers import Ending, current

Item = dict[str, Any]


class Table:
    """Items by name and version."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}

    def get_item(self, *, Key: Item, **_: Any) -> Item:
        found = self.items.get(_place(Key))
        return {"Item": copy.deepcopy(found)} if found else {}

    def update_item(
        self,
        *,
        Key: Item,
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: Item,
        **_: Any,
    ) -> Item:
        item = copy.deepcopy(self.items.get(_place(Key), {}))
        names, values = ExpressionAttributeNames, ExpressionAttributeValues
        if not _holds(ConditionExpression, item, names, values):
            raise ConditionFailedError(item)
        sets = re.search(r"SET (.*?)(?= REMOVE| ADD|$)", UpdateExpression)
        for name, old, value in re.findall(
            r"(#\w+) = (?:if_not_exists\((#\w+), )?(:\w+)", sets[1] if sets else ""
        ):
            if not old or names[old] not in item:
                item[names[name]] = values[value]
        adds = re.search(r"ADD (#\w+) (:\w+)", UpdateExpression)
        if adds:
            name, value = names[adds[1]], values[adds[2]]
            item[name] = {"N": str(int(item.get(name, {"N": "0"})["N"]) + int(value["N"]))}
        removes = re.search(r"REMOVE (.*?)(?= SET|$)", UpdateExpression)
        for name in re.findall(r"#\w+", removes[1] if removes else ""):
            item.pop(names[name], None)
        self.items[_place(Key)] = Key | item
        return {}

    def delete_item(self, *, Key: Item, **_: Any) -> Item:
        self.items.pop(_place(Key), None)
        return {}

    def query(self, *, ExpressionAttributeValues: Item, **_: Any) -> Item:
        name = ExpressionAttributeValues[":name"]["S"]
        return {"Items": [item for place, item in self.items.items() if place[0] == name]}


class Tables:
    """Both tables, as the console's client has them, by their names."""

    def __init__(self, limits: Any, reviews: TableClient) -> None:
        self._limits = limits
        self._reviews = reviews
        self.get_paginator = reviews.get_paginator
        self.transact_write_items = limits.transact_write_items

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            table = self._reviews if request["TableName"] == "reviews" else self._limits
            return getattr(table, operation)(**request)

        return call


class TableClient:
    """How functions and the console call it, one call after the other, ending as a test wants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def call(self, operation: str, **request: Any) -> Item:
        """Call it as `dynamodb.Table`."""
        method = {"Query": "query", "UpdateItem": "update_item"}[operation]
        try:
            return self._make(method, request)
        except ReadTimeoutError as lost:
            raise TableError(str(lost)) from lost

    def get_item(self, **request: Any) -> Item:
        return self._make("get_item", request)

    def update_item(self, **request: Any) -> Item:
        try:
            return self._make("update_item", request)
        except ConditionFailedError as failed:
            raise error("ConditionalCheckFailedException", 400, "UpdateItem") from failed

    def delete_item(self, **request: Any) -> Item:
        return self._make("delete_item", request)

    def get_paginator(self, _operation: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=lambda **request: [self._make("query", request)])

    def _make(self, method: str, request: Item) -> Item:
        worker = current()
        ending = worker.pause(f"{method} of the table") if worker else Ending.OK
        if ending is Ending.UNAVAILABLE:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        answer: Item = getattr(self._table, method)(**request)
        if ending is Ending.ANSWER_LOST:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        if ending is Ending.RETRIED:
            answer = getattr(self._table, method)(**request)
        return answer


def _place(key: Item) -> tuple[str, str]:
    return key["name"]["S"], key["version"]["S"]


def _holds(condition: str, item: Item, names: dict[str, str], values: Item) -> bool:
    """Evaluate comparisons, existence, AND, OR and brackets."""

    def term(match: re.Match[str]) -> str:
        function, of, name, sign, value = match.groups()
        if function:
            return str((names[of] in item) == (function == "attribute_exists"))
        if sign == "<":
            return str(int(item.get(names[name], {"N": "0"})["N"]) < int(values[value]["N"]))
        return str(item.get(names[name]) == values[value])

    said = re.sub(r"(attribute\w*)\((#\w+)\)|(#\w+) ([=<]) (:\w+)", term, condition)
    said = said.replace("AND", "and").replace("OR", "or")
    assert re.fullmatch(r"(True|False|and|or|[() ])*", said), said
    return bool(eval(said))  # noqa: S307 — nothing but True, False, and, or
