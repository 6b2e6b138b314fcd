"""``staffcall machine``: whose figures the booths' screens show."""

from typing import Any

import click

from infra.commands.here import Here
from infra.commands.table import show
from shadows import machines
from shadows.machines import Machine


@click.group()
def machine() -> None:
    """Machines whose figures a screen shows: add, list, remove."""


@machine.command()
@click.argument("id")
@click.option("--name", required=True, help="As the screens show it.")
@click.option("--booth", default="main", show_default=True, help="Whose screens show it.")
@click.option(
    "--every",
    "every_s",
    default=1,
    show_default=True,
    help="Seconds between what it publishes; after three times that its tile is grey.",
)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME[=UNIT]",
    help="A figure to show, such as temperature=°C; all there are, if none is given.",
)
@click.pass_obj
def add(here: Here, /, id: str, values: tuple[str, ...], **fields: Any) -> None:
    """Show a machine on a tile of a booth's screens, or change how it is shown.

    It publishes to $aws/things/machine-ID/shadow/name/data/update: {"state": {"reported": {"temperature": 21.5}}}.
    """
    units = {value: unit for value, _, unit in (each.partition("=") for each in values)}
    machines.add_machine(here.place, Machine(id=id, units=units, **fields))
    click.echo(f"machine {id}: shown at {fields['booth']}")


@machine.command("list")
@click.pass_obj
def list_(here: Here) -> None:
    """List the machines."""
    rows = [
        (
            each.id,
            each.name,
            each.booth,
            str(each.every_s),
            " ".join(f"{value}={unit}" for value, unit in each.units.items()),
        )
        for each in machines.machines(here.place)
    ]
    show(("id", "name", "booth", "every s", "values"), rows)


@machine.command()
@click.argument("id")
@click.pass_obj
def remove(here: Here, id: str) -> None:
    """Show a machine no more."""
    machines.remove_machine(here.place, id)
    click.echo(f"machine {id}: removed")
