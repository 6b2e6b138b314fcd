"""``staffcall shadows``: the local twin of AWS IoT Core alone, with no staff, no buttons and no Slack."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from infra.local.clock import Clock
from infra.local.http import HttpServer
from infra.local.place import address_of
from infra.local.run import bound, prepared, store_in, tls_of
from infra.local.twin import Loop, Twin
from infra.settings import Settings, SettingsError, write_private

FILE: Final = "shadows.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where it listens.

    Attributes:
        aws: for boto3 ``iot`` and ``iot-data``, such as ``http://127.0.0.1:8090``.
        mqtt: MQTT over TCP, as ``host:port``.
        websocket: MQTT over WebSocket, such as ``ws://127.0.0.1:8083/mqtt``.
    """

    aws: str
    mqtt: str
    websocket: str


def run(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C.

    Raises:
        SettingsError: one line that says what to change: a port in use, a data folder that cannot be written.
    """
    wait_for_the_end = prepared()
    with ExitStack() as stack:
        addresses, _ = start(settings, stack)
        print(_greeting(settings, addresses), flush=True)  # noqa: T201 - what whoever starts it reads
        wait_for_the_end()


def start(
    settings: Settings, stack: ExitStack, *, clock: Callable[[], int] | None = None
) -> tuple[Addresses, Twin]:
    """Start it, and say where in ``shadows.json``; ``stack`` stops it again.

    Args:
        clock: milliseconds since 1970, for the shadows; None for the machine's.

    Raises:
        SettingsError: as :func:`run`.
    """
    if settings.mqtt_url:
        raise SettingsError("STAFFCALL_MQTT_URL: `staffcall shadows` is a broker itself; unset it")
    tls = tls_of(settings)
    store = store_in(settings.data)
    stack.callback(store.close)
    host = settings.host if settings.mqtt_user else "127.0.0.1"  # whoever comes may do anything
    sockets = bound(
        {
            "STAFFCALL_MQTT_PORT": (settings.devices_host, settings.mqtt_port),
            "STAFFCALL_WS_PORT": (host, settings.ws_port),
            "STAFFCALL_AWS_PORT": ("127.0.0.1", settings.aws_port),
        },
        stack,
    )
    mqtt, websocket, aws = sockets.values()
    loop = Loop()
    stack.callback(loop.stop)
    twin = Twin(
        store,
        loop,
        stack,
        clock=clock or Clock(),
        throttle=settings.throttle,
        off=settings.limits_off,
        users=_users(settings),
    )
    if tls:
        twin.listen(None, websocket, kiosks=False, tls=(mqtt, tls))
    else:
        twin.listen(mqtt, websocket, kiosks=False)
    rest = HttpServer(twin.rest(), aws, name="aws", in_turn=True)
    rest.start()
    stack.callback(rest.stop)
    addresses = Addresses(
        aws=f"http://{address_of(aws)}",
        mqtt=address_of(mqtt),
        websocket=f"ws://{address_of(websocket)}/mqtt",
    )
    _say_where(settings.data, addresses, stack)
    return addresses, twin


def _users(settings: Settings) -> dict[str, str] | None:
    return {settings.mqtt_user: settings.mqtt_password} if settings.mqtt_user else None


def _say_where(folder: Path, addresses: Addresses, stack: ExitStack) -> None:
    write_private(folder / FILE, json.dumps(asdict(addresses)))
    stack.callback((folder / FILE).unlink, missing_ok=True)


def _greeting(settings: Settings, addresses: Addresses) -> str:
    """What is printed once everything is up."""
    lines = [
        ("AWS API", f"{addresses.aws}  (boto3 iot, iot-data)"),
        ("MQTT", f"{addresses.mqtt}   {addresses.websocket}"),
        ("Data", f"{settings.data}  (these addresses: {settings.data / FILE})"),
    ]
    return "\n".join(
        ["Device shadows are served. Ctrl-C stops it.", *(f"  {name:8} {what}" for name, what in lines)]
    )
