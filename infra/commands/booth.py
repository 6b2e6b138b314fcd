"""``staffcall booth``: where people wait, and whom each kiosk shows."""

import click

from infra.commands.here import Here
from infra.commands.staff import said
from infra.commands.table import show
from shadows import orders, registry
from shadows.calls import Place, read
from shadows.errors import Rejected
from shadows.registry import NewBooth
from shadows.staff import BUSY


@click.group()
def booth() -> None:
    """Booths: add, list, show, order, announce."""


@booth.command()
@click.argument("id")
@click.option("--title", default="", help="As the kiosk shows it; the id, if not given.")
@click.pass_obj
def add(here: Here, id: str, title: str) -> None:
    """Add a booth, or give its title to one that `staff add` has made."""
    said(registry.add_booth(here.place, NewBooth(id=id, title=title)), f"booth {id}")


@booth.command("list")
@click.pass_obj
def list_(here: Here) -> None:
    """List the booths, with their staff."""
    rows = [(each.id, each.title, " ".join(each.staff)) for each in registry.booths(here.place)]
    show(("id", "title", "staff"), rows)


@booth.command("show")
@click.argument("id")
@click.pass_obj
def show_(here: Here, id: str) -> None:
    """Show whom a booth's kiosk shows, in its order."""
    found = registry.booth(here.place, id)
    rows = [(id, *_look(here.place, id)) for id in found.staff]
    show(("id", "name", "state", "call of"), rows, title=f"{found.id}: {found.title}")


@booth.command()
@click.argument("id")
@click.argument("staff", nargs=-1, required=True)
@click.pass_obj
def order(here: Here, id: str, staff: tuple[str, ...]) -> None:
    """Put these of a booth's staff first, in this order; running kiosks show it at once."""
    registry.order_booth(here.place, id, staff)
    click.echo(f"booth {id}: {' '.join(registry.booth(here.place, id).staff)}")


@booth.command()
@click.argument("id")
@click.argument("text", default="")
@click.option("--seconds", default=300, show_default=True, help="How long it is shown.")
@click.pass_obj
def announce(here: Here, id: str, text: str, seconds: int) -> None:
    """Show TEXT on every screen of a booth, also on one that comes later; without a TEXT, take it back."""
    orders.announce(here.place, id, text, seconds)
    click.echo(f"booth {id}: {'announced' if text else 'nothing is announced any more'}")


def _look(place: Place, id: str) -> tuple[str, str, str]:
    try:
        staff = read(place, f"staff-{id}")
    except Rejected as no:
        if no.code != 404:
            raise
        return "", "not there", ""
    return staff.name, staff.state, staff.call.booth if staff.state in BUSY else ""
