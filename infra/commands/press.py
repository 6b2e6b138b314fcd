"""``staffcall press``: a press by the same door as any other."""

import click
from ulid import ULID

from infra.commands.here import Here
from infra.commands.table import plain
from shadows.staff import ClickType


@click.command()
@click.argument("button")
@click.option("--click", "kind", type=click.Choice([*ClickType]), default=ClickType.SINGLE, show_default=True)
@click.pass_obj
def press(here: Here, button: str, kind: str) -> None:
    """Press a button."""
    here.local_only("press")
    body = {"button": button, "click": str(kind), "id": str(ULID())}
    answer = here.ask("/buttons/webhook", "button", body)
    click.echo(plain(f"{answer['thing']}: {answer['state']} (call {answer['call']})"))
