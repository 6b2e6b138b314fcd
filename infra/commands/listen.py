"""``staffcall listen``: buttons that only send a UDP packet, or only join the network."""

from contextlib import ExitStack
from functools import partial

import click

from infra.commands.here import Here
from infra.commands.press import send
from infra.commands.table import plain
from shadows.errors import Rejected
from shadows.shadow import JsonObject


class Door:
    """Where presses go. After a failure it is looked up anew: the place may have moved."""

    def __init__(self, here: Here) -> None:
        self._here, self._found = here, Here(here.target, here.stack)

    def send(self, body: JsonObject) -> JsonObject:
        """As :func:`infra.commands.press.send`."""
        try:
            return send(self._found, body)
        except Rejected:
            raise
        except BaseException:
            self._again()
            raise

    def is_button(self, id: str) -> bool:
        """Whether a button of this id is registered."""
        try:
            return bool(self._found.place.things.get(f"button-{id}"))
        except Rejected as no:
            if no.code != 404:
                raise
            return False
        except BaseException:
            self._again()
            raise

    def _again(self) -> None:
        self._found.close()
        self._found = Here(self._here.target, self._here.stack)


@click.command()
@click.option(
    "--udp",
    type=click.IntRange(0, 65_535),
    help="Take presses by UDP at this port of STAFFCALL_HOST; 0 for any.",
)
@click.option(
    "--arp",
    metavar="[INTERFACE]",
    is_flag=False,
    flag_value="",
    help="Take it for a press when a registered hardware address joins the network. Needs CAP_NET_RAW.",
)
@click.pass_obj
def listen(here: Here, udp: int | None, arp: str | None) -> None:
    """Listen for buttons that know no HTTP and no MQTT, and press for them, until Ctrl-C.

    A press is on disk before it is sent on, and sent again until it is taken, for ten minutes.
    """
    from infra.local.listener import Listener, NotHeard, Spool, arp_socket, hear, udp_socket  # noqa: PLC0415

    if udp is None and arp is None:
        raise click.UsageError("expected --udp PORT, or --arp, or both")
    door, settings = Door(here), here.settings
    say = partial(_say)
    with ExitStack() as stack:
        try:
            packets = stack.enter_context(udp_socket(settings.host, udp)) if udp is not None else None
            frames = stack.enter_context(arp_socket(arp)) if arp is not None else None
            listener = Listener(Spool(settings.data / "listen"), door.send, door.is_button, say)
            listener.start()
            stack.callback(listener.stop)
            if packets:
                host, port = packets.getsockname()[:2]
                say(f"Listening for UDP at {host}:{port}; whoever can send there can press.")
            if frames:
                say(f"Listening for ARP on {arp or 'every interface'}.")
            hear(listener, packets, frames)
        except NotHeard as no:
            raise click.ClickException(str(no)) from None
        except OSError as error:
            raise click.ClickException(
                f"STAFFCALL_DATA: expected a folder to write in, got {settings.data} ({error.strerror})"
            ) from None


def _say(line: str) -> None:
    click.echo(plain(line))
