"""``staffcall button``: which button calls whom."""

import json
import re
from typing import Any, Final

import click

from infra.commands.here import Here, refusals
from infra.commands.staff import said
from infra.commands.table import moment, show
from shadows import registry
from shadows.reach import Reach, reaches
from shadows.registry import Button, NewButton
from shadows.shadow import JsonObject
from shadows.staff import ClickType

COLUMNS: Final = (
    *("id", "single", "double", "long", "booth"),
    *("battery", "last press", "click", "started", "shared"),
)
SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Span(click.ParamType[int]):
    """A time such as ``90s``, ``30m``, ``24h`` or ``7d``, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As click asks for it."""
        read = re.fullmatch(r"([0-9]{1,7})([smhd])", str(value))
        if not read:
            self.fail(f"expected a number and s, m, h or d, such as 24h, got {value!r}", param, ctx)
        return int(read[1]) * SECONDS[read[2]]


@click.group()
def button() -> None:
    """Buttons: add, list, move, remove."""


@button.command()
@click.argument("id")
@click.option(
    "--staff",
    required=True,
    help="Whom a single click calls: an id; @duty for who is on duty at the booth (see `roster`); or several: all:ID,ID "
    "at once, turn:ID,ID one after the other, free:ID,ID the first who is free. Or what it starts: 'lambda:NAME {json}', "
    "'webhook:https://… {json}', 'topic:a/b {json}'.",
)
@click.option("--double", default="", help="Whom a double click calls, or what it starts, if not the same.")
@click.option("--long", default="", help="Whom a long click calls, or what it starts, if not the same.")
@click.option(
    "--booth", default="main", show_default=True, help="Where the button is; made if it is missing."
)
@click.option(
    "--heartbeat",
    "heartbeat_s",
    type=Span(),
    default="0s",
    help="How often it says that it lives, such as 24h [else learned from its messages].",
)
@click.option(
    "--phone",
    default="",
    help="Number of the one whom it calls, for alerts; who is not there yet is added by it.",
)
@click.option(
    "--message",
    default="",
    help="What alerts say of calls of its booth, if not that somebody is waiting there.",
)
@click.pass_obj
def add(here: Here, /, id: str, staff: str, **more: Any) -> None:
    """Register a button: its serial number, its IMSI, or a name of yours."""
    new = NewButton(id=id, single=staff, **more)
    said(registry.add_button(here.place, new), f"button {id}")


@button.command("list")
@click.option(
    "--unknown", is_flag=True, help="The last 50 buttons that pressed and that nobody has registered."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_(here: Here, unknown: bool, as_json: bool) -> None:
    """List the buttons: what each click does, and who is on duty now; battery, last press, and what came of what it started.

    Who is called by other buttons, too, is under "shared", with these.
    """
    strangers = _unknown(here) if unknown else []
    known = [] if unknown else list(reaches(here.place))
    if as_json:
        documents = strangers or [each.document() for each in known]
        click.echo(json.dumps(documents, ensure_ascii=False, indent=1))
    elif unknown:
        show(("id", "door", "last press", "presses"), map(_unknown_row, strangers))
    else:
        show(COLUMNS, map(_row, known))


@button.command()
@click.argument("id")
@click.argument("booth")
@click.pass_obj
def move(here: Here, id: str, booth: str) -> None:
    """Say that a button stands at another booth: what presses from now on call there; calls that stand go on."""
    before = registry.move_button(here.place, id, booth)
    moved = f"moved from booth {before} to {booth}" if before != booth else f"at booth {booth} already"
    click.echo(f"button {id}: {moved}")


@button.command()
@click.argument("id")
@click.pass_obj
def remove(here: Here, id: str) -> None:
    """Remove a button."""
    registry.remove_button(here.place, id)
    click.echo(f"button {id}: removed")


def _row(reach: Reach) -> tuple[str, ...]:
    button = reach.button
    battery = "" if button.battery is None else f"{button.battery:.0%}"
    does = (reach.of(each) for each in ClickType)
    shared = "; ".join(f"{person}: {', '.join(others)}" for person, others in reach.shared.items())
    last = (moment(button.at), button.click)
    return (button.id, *does, button.booth, battery, *last, _started(button), shared)


def _started(button: Button) -> str:
    """What came of the last that it started, and how many presses have yet to."""
    waiting = f"{button.waiting} waiting" if button.waiting else ""
    came = f"{button.result}: {button.reason}" if button.reason else button.result
    return ", ".join(filter(None, (came, waiting)))


def _unknown_row(found: JsonObject) -> tuple[str, ...]:
    return (found["button"], found["door"], moment(found["at"]), str(found["count"]))


def _unknown(here: Here) -> list[JsonObject]:
    if not here.on_aws:
        found: list[JsonObject] = here.ask("/admin/api/unknown-buttons", "admin")["buttons"]
        return found
    from infra.aws.tables import UnknownButtons  # noqa: PLC0415

    with refusals():
        listed = UnknownButtons(here.account.client("dynamodb"), here.outputs["UnknownTable"]).list()
    adopted = {button.id for button in registry.buttons(here.place)}
    return [each for each in listed if each["button"] not in adopted]
