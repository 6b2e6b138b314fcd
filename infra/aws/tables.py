"""The tables of the AWS place: unknown buttons, the history that a topic rule writes, and what became of each try."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow
from shadows.staff import Staff

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

KEPT: Final = 50
A_DAY_S: Final = 86_400
KEPT_S: Final = 30 * A_DAY_S
COLUMNS: Final = ("thing", "call", "state", "since", "kind", "count", "outcome", "reason", "took_ms", "at")
NUMBERS: Final = ("since", "count", "took_ms", "at")


class UnknownButtons:
    """Buttons that pressed and that nobody has registered: an installer presses one, and adopts it from this list."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client, self._table = client, table

    def note(self, button: str, at: int, door: str) -> None:
        """Remember for 30 days that this button pressed at ``at`` (ms since 1970), and by which door."""
        self._client.update_item(
            TableName=self._table,
            Key={"button": {"S": button}},
            UpdateExpression="SET #door = :door, #at = :at, expires = :expires ADD #count :one",
            ExpressionAttributeNames={"#door": "door", "#at": "at", "#count": "count"},
            ExpressionAttributeValues={
                ":door": {"S": door},
                ":at": {"N": str(at)},
                ":expires": {"N": str(at // 1000 + KEPT_S)},
                ":one": {"N": "1"},
            },
        )

    def list(self) -> list[dict[str, Any]]:
        """``{"button", "door", "at", "count"}`` of the last 50, the latest first."""
        found = [
            {
                "button": item["button"]["S"],
                "door": item["door"]["S"],
                "at": int(item["at"]["N"]),
                "count": int(item["count"]["N"]),
            }
            for item in _items(self._client, self._table)
        ]
        return sorted(found, key=lambda row: row["at"], reverse=True)[:KEPT]


class Deliveries:
    """What became of each try to reach somebody, or to start what a click starts. What comes twice is one row."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Callable[[], int], days: int) -> None:
        """``days`` is how long a row is kept."""
        self._client, self._table, self._clock, self._days = client, table, clock, days

    def note(self, delivery: JsonObject, event: str) -> None:
        """Keep a delivery, as :mod:`infra.records` has it; it stands in nobody's way, also if it cannot be kept.

        ``event`` is what had us try. When AWS, or who sent it, sends that again and it comes to the same, that is on record.
        """
        at = self._clock()
        row = {**delivery, "at": at, "expires": at // 1000 + self._days * A_DAY_S}
        row["try"] = "/".join((row["call"], event, row["kind"], row["outcome"]))
        item: Any = {
            name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in row.items()
        }
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(thing)"
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            pass
        except Exception:
            log.exception("A try is not on record")


def deliveries(client: "DynamoDBClient", table: str) -> list[dict[str, Any]]:
    """The tries, oldest first, in the columns of the local deliveries."""
    rows = (
        {name: int(item[name]["N"]) if name in NUMBERS else item[name]["S"] for name in COLUMNS}
        for item in _items(client, table)
    )
    return sorted(rows, key=lambda row: row["at"])


def history(client: "DynamoDBClient", table: str) -> list[dict[str, Any]]:
    """The transitions, oldest first, in the columns of the local history.

    Where there was more than one press, the row has the last count: a state is one row.
    """
    return sorted((_row(item) for item in _items(client, table)), key=lambda row: row["at"])


def erase(client: "DynamoDBClient", table: str, tries: str, thing: str) -> str:
    """Take a person out of the history, and out of the table of tries ("" for none); what happened stays, of somebody
    whom the pseudonym does not name.

    Raises:
        Rejected: 404, if nothing is on record of them.
    """
    items = list(_items(client, table))
    tried = list(_items(client, tries)) if tries else []
    numbers = (re.fullmatch(r"erased-([0-9]+)", item["thing"]["S"]) for item in (*items, *tried))
    pseudonym = f"erased-{max((int(found[1]) for found in numbers if found), default=0) + 1}"
    about = [item for item in items if thing in (item["thing"]["S"], _asked(item).get("call", {}).get("to"))]
    theirs = [item for item in tried if item["thing"]["S"] == thing]
    if not about and not theirs:
        raise Rejected(404, f"id: nothing is on record of staff {thing.removeprefix('staff-')}")
    for item in theirs:
        _replace(client, tries, item, {**item, "thing": {"S": pseudonym}}, "try")
    for item in about:
        _replace(client, table, item, _without(item, thing, pseudonym), "since")
    return pseudonym


def _without(item: dict[str, Any], thing: str, pseudonym: str) -> dict[str, Any]:
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415 - the functions never read the history

    asked = _asked(item)
    call = asked.setdefault("call", {})
    if call.get("to") == thing:
        call["to"] = pseudonym
    if item["thing"]["S"] != thing:
        return {**item, "asked": TypeSerializer().serialize(asked)}
    call["note"] = ""
    own = {"thing": {"S": pseudonym}, "name": {"S": pseudonym}}
    return {**item, **own, "asked": TypeSerializer().serialize(asked)}


def _replace(
    client: "DynamoDBClient", table: str, old: dict[str, Any], new: dict[str, Any], second: str
) -> None:
    """Both or neither: a row that is there twice would count twice. ``second`` is the second half of a row's key."""
    key = {name: old[name] for name in ("thing", second)}
    work: list[Any] = [{"Put": {"TableName": table, "Item": new}}]
    if any(new[name] != value for name, value in key.items()):
        work.append({"Delete": {"TableName": table, "Key": key}})
    client.transact_write_items(TransactItems=work)


def _items(client: "DynamoDBClient", table: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _asked(item: dict[str, Any]) -> JsonObject:
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415 - the functions never read the history

    asked = TypeDeserializer().deserialize(item["asked"])
    if isinstance(asked, str):  # a rule's action writes an object as a map, or as text
        asked = json.loads(asked)
    plain: JsonObject = _plain(asked)
    return plain


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return row_of(item["thing"]["S"], item.get("name", {}).get("S", ""), _asked(item))


def row_of(thing: str, name: str, asked: JsonObject) -> dict[str, Any]:
    """A transition in the columns of the local history, of what the topic rule makes of it."""
    staff = Staff.read(Shadow(desired=asked, reported={"name": name}))
    state, call = staff.asked, staff.call
    return {
        "at": state.since,
        "thing": thing,
        "name": staff.name,
        "state": state.state,
        "why": state.why,
        "since": state.since,
        "call": call.id,
        "booth": call.booth,
        "click": call.click,
        "count": call.count,
        "end": call.end,
        "to": call.to,
        "note": call.note,
        "pressed": call.at,
    }


def _plain(value: Any) -> Any:
    """DynamoDB's numbers as Python's."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if hasattr(value, "as_tuple") else value
