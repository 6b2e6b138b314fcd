"""``staffcall press``: a press by the same door as any other."""

import json

import click
from ulid import ULID

from infra.commands.here import Here, refusals
from infra.commands.table import plain
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.staff import ClickType


@click.command()
@click.argument("button")
@click.option("--click", "kind", type=click.Choice([*ClickType]), default=ClickType.SINGLE, show_default=True)
@click.pass_obj
def press(here: Here, button: str, kind: str) -> None:
    """Press a button."""
    answer = send(here, {"button": button, "click": str(kind), "id": str(ULID())})
    if "action" in answer:
        click.echo(plain(f"button {button}: what it starts is asked for ({answer['action']})"))
    else:
        click.echo(plain(f"{answer['thing']}: {answer['state']} (call {answer['call']})"))


def send(here: Here, body: JsonObject) -> JsonObject:
    """Send the door what a button would.

    Raises:
        Rejected: it refused.
        click.ClickException: it is not reached.
    """
    return (_by_lambda if here.on_aws else _by_http)(here, body)


def _by_http(here: Here, body: JsonObject) -> JsonObject:
    return here.ask("/buttons/webhook", "button", body)


def _by_lambda(here: Here, body: JsonObject) -> JsonObject:
    """As the topic rule hands a press to the function: who may invoke it needs no button token."""
    from button_handlers.click import button_of  # noqa: PLC0415

    event = {**body, "topic": f"staffcall/buttons/{button_of(body, 'button')}/press"}
    with refusals():
        invoked = here.account.client("lambda").invoke(
            FunctionName=here.outputs["ButtonFunction"], Payload=json.dumps(event)
        )
    answer: JsonObject = json.loads(invoked["Payload"].read())
    if "code" in answer:
        raise Rejected(answer["code"], answer["message"])
    if "errorMessage" in answer:  # a bug of ours, or what may go well when it is sent again
        raise click.ClickException(plain(str(answer["errorMessage"])))
    return answer
