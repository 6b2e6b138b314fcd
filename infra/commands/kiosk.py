"""``staffcall kiosk``: which screens may call somebody when a tile is touched."""

import click

from infra.commands.here import Here
from infra.commands.table import moment, show
from shadows import screens
from shadows.calls import Place


@click.group()
def kiosk() -> None:
    """Screens that may press: pair, list, revoke."""


@kiosk.command()
@click.argument("booth", default="main")
@click.pass_obj
def pair(here: Here, booth: str) -> None:
    """Print a code by which one screen of BOOTH may press from then on."""
    made = screens.invite(_place(here), booth)
    click.echo(f"kiosk {made.screen.id}: within 10 minutes, open this on the screen of {booth}:")
    click.echo(f"  {here.running.kiosk}/?booth={booth}&pair")
    click.echo(f"and type the code {made.code[:5]} {made.code[5:]}")


@kiosk.command("list")
@click.pass_obj
def list_(here: Here) -> None:
    """List the screens that may press, and those that have a code."""
    rows = [
        (
            each.id,
            each.booth,
            f"code until {moment(each.until)}" if each.until else "paired",
            moment(each.at),
        )
        for each in screens.screens(_place(here))
    ]
    show(("id", "booth", "state", "last press"), rows)


@kiosk.command()
@click.argument("id")
@click.pass_obj
def revoke(here: Here, id: str) -> None:
    """Take the right to press from a screen, at once."""
    screens.revoke(_place(here), id)
    click.echo(f"kiosk {id}: may not press any more")


def _place(here: Here) -> Place:
    if here.on_aws:
        raise click.ClickException("a screen on AWS cannot press: there is no door for it yet")
    return here.place
