"""``staffcall history``: what happened, in the order of time, and what became of each message about it."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import click

from infra import figures
from infra.commands.here import Here, refusals
from infra.commands.table import moment, show
from shadows import registry
from shadows.shadow import JsonObject

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COLUMNS: Final = ("at", "staff", "what", "why", "call", "booth", "presses", "more")


class Moment(click.ParamType[int]):
    """A time: so long ago, or a date, with or without the hour."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        """The time, ms since 1970."""
        if isinstance(value, int):  # the default
            return value
        if ago := re.fullmatch(r"([0-9]{1,5})([smhd])", str(value)):
            at = datetime.now().astimezone() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        else:
            try:
                at = datetime.fromisoformat(str(value)).astimezone()
            except (ValueError, OverflowError, OSError):
                self.fail(f"expected 30m, 24h, 7d or 2026-11-21, got {value!r}", param, context)
        return max(0, int(at.timestamp() * 1000))


@click.command()
@click.option("--since", type=Moment(), default=0, metavar="TIME", help="30m, 24h, 7d, or 2026-11-21.")
@click.option("--until", type=Moment(), default=0, metavar="TIME", help="The same; until then.")
@click.option("--staff", default="", metavar="ID", help="Only what is about this person.")
@click.option("--booth", default="", metavar="ID", help="Only the calls of this booth.")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list of all columns.")
@click.pass_obj
def history(here: Here, /, as_json: bool, **wanted: Any) -> None:
    """Show what was asked of whom, and what became of each message: told, failed, or none needed."""
    found = on_record(here, **wanted)
    merged = sorted(_merged(found), key=lambda row: (row["at"], row["type"] == "delivery"))
    if as_json:
        click.echo(json.dumps(merged, ensure_ascii=False, indent=1))
    else:
        show(COLUMNS, map(_line, merged))
    if here.on_aws:
        click.echo(
            "On AWS it is not on record what Slack was told; alerts, and what clicks start, are.", err=True
        )
    elif not found["complete"]:
        click.echo("These are the last ones only: narrow it down with --since, --staff or --booth.", err=True)


def whole_record(here: Here, *, since: int = 0, booth: str = "") -> JsonObject:
    """All that is on record, however much it is, as :func:`on_record`."""
    return figures.whole(lambda before: on_record(here, since=since, booth=booth, before=before))


def on_record(
    here: Here,
    *,
    since: int = 0,
    until: int = 0,
    staff: str = "",
    booth: str = "",
    before: tuple[int, int] | None = None,
) -> JsonObject:
    """What is on record: ``{"rows", "deliveries", "complete"}``, each oldest first; of very many the last ones.

    Args:
        here: where we act.
        since: ms since 1970.
        until: the same; 0 for now.
        staff: id of the only person that matters; "" for all.
        booth: id of the only booth that matters; "" for all.
        before: the numbers (``n``) of a row and of a delivery: only what is older; None for all.
    """
    if not here.on_aws:
        older = {"rowsBefore": before[0], "deliveriesBefore": before[1]} if before else {}
        asked = urlencode({"since": since, "until": until, "staff": staff, "booth": booth, **older})
        return here.ask(f"/admin/api/history?{asked}", "admin")
    from infra.aws import tables  # noqa: PLC0415

    def wanted(row: JsonObject) -> bool:
        in_time = row["at"] > since and (not until or row["at"] <= until)
        return in_time and staff in ("", row["thing"].removeprefix("staff-"))

    dynamo, tries = here.account.client("dynamodb"), _tries(here)
    with refusals():
        rows = tables.history(dynamo, here.outputs["HistoryTable"])
        sent = tables.deliveries(dynamo, tries) if tries else []
    of_booth = {row["call"] for row in rows if row["booth"] == booth}
    return {
        "rows": [row for row in rows if wanted(row) and booth in ("", row["booth"])],
        "deliveries": [row for row in sent if wanted(row) and (not booth or row["call"] in of_booth)],
        "complete": True,
    }


def _tries(here: Here) -> str:
    """The table of what became of each try; a stack that was deployed before there was one has none."""
    return here.outputs.get("DeliveryTable", "")


def erase(here: Here, id: str) -> str:
    """Take somebody who was removed out of what is on record; the answer is their pseudonym.

    Raises:
        Rejected: 409, if they are still there; 404, if nothing is on record of them.
    """
    registry.check_gone(here.place, id)
    if not here.on_aws:
        return str(here.ask(f"/admin/api/staff/{quote(id, safe='')}/erase", "admin", {})["pseudonym"])
    from infra.aws import tables  # noqa: PLC0415

    with refusals():
        dynamo = here.account.client("dynamodb")
        return tables.erase(dynamo, here.outputs["HistoryTable"], _tries(here), f"staff-{id}")


def _merged(found: JsonObject) -> Iterator[JsonObject]:
    for type_, rows in (("transition", found["rows"]), ("delivery", found["deliveries"])):
        yield from ({"type": type_, **row} for row in rows)


def _line(row: JsonObject) -> tuple[str, ...]:
    about = (moment(row["at"]), row["thing"].removeprefix("staff-"))
    if row["type"] == "delivery":
        took = f"{row['took_ms']} ms" if row["kind"] else ""
        return (
            *about,
            row["outcome"],
            row["kind"],
            row["call"],
            "",
            str(row["count"]),
            _joined(took, row["reason"]),
        )
    to = f"to {row['to'].removeprefix('staff-')}" if row["to"] else ""
    more = _joined(row["end"], to, row["note"])
    return (*about, row["state"], row["why"], row["call"], row["booth"], str(row["count"]), more)


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
