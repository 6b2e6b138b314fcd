"""``staffcall kiosk``: the screens: which are there, which may call somebody when a tile is touched, and what they are told."""

import click

from infra.commands.here import Here
from infra.commands.table import moment, show
from shadows import orders, screens
from shadows.calls import Place


@click.group()
def kiosk() -> None:
    """Screens: list, say, identify, reload; and those that may press: pair, revoke."""


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
    """List the screens that may press, those that have a code, and those that are connected."""
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
    connected = here.ask("/admin/api/kiosks", "admin")["connected"]
    if connected is None:
        click.echo("which screens are connected, only your broker knows")
        return
    click.echo()
    seen = [
        (
            each["client"],
            each["booth"],
            moment(each["since"]),
            moment(each["left"]) if each["left"] else "now",
        )
        for each in connected
    ]
    show(("client id", "booth", "since", "last seen"), seen, title="Connected")


@kiosk.command()
@click.argument("id")
@click.pass_obj
def revoke(here: Here, id: str) -> None:
    """Take the right to press from a screen, at once."""
    screens.revoke(_place(here), id)
    click.echo(f"kiosk {id}: may not press any more")


@kiosk.command()
@click.argument("id")
@click.argument("text")
@click.option("--seconds", default=300, show_default=True, help="How long it is shown.")
@click.pass_obj
def say(here: Here, id: str, text: str, seconds: int) -> None:
    """Show TEXT on the one screen with this client id. It never hides a call; `booth announce` reaches a whole booth."""
    orders.say(here.publish, here.place.clock, id, text, seconds)
    click.echo(f"kiosk {id}: told")


@kiosk.command()
@click.argument("id")
@click.pass_obj
def identify(here: Here, id: str) -> None:
    """Have one screen show its client id in large letters, for ten seconds."""
    orders.identify(here.publish, id)
    click.echo(f"kiosk {id}: told")


@kiosk.command()
@click.argument("id")
@click.pass_obj
def reload(here: Here, id: str) -> None:
    """Have one screen load its page anew as soon as nobody is called there."""
    orders.reload(here.publish, id)
    click.echo(f"kiosk {id}: told")


def _place(here: Here) -> Place:
    if here.on_aws:
        raise click.ClickException("a screen on AWS cannot press: there is no door for it yet")
    return here.place
