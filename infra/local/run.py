"""``staffcall run``: settings become a running local place, or one line that says what to change."""

import logging
import os
import secrets
import signal
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from infra.local.http import bind
from infra.local.place import EVERYWHERE, Addresses, LocalPlace, address_of
from infra.local.store import Store, StoreError
from infra.settings import TOKENS_FILE, Settings, SettingsError, tokens


def run(settings: Settings, *, demo: bool = False) -> None:
    """Run until SIGTERM or Ctrl-C.

    Raises:
        SettingsError: one line that says what to change: a port in use, a data folder that cannot be written.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    _spare_the_proxy()
    with ExitStack() as stack:
        addresses = start(settings, stack, demo=demo)
        print(_greeting(settings, addresses, demo=demo), flush=True)  # noqa: T201 - what whoever starts it reads
        stop.wait()


def _spare_the_proxy() -> None:
    """The way to this very machine never leads through a proxy; urllib, and so slack_sdk, would take it."""
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = ",".join(filter(None, (spared, "127.0.0.1,localhost,::1")))


def start(settings: Settings, stack: ExitStack, *, demo: bool = False) -> Addresses:
    """Start everything; ``stack`` stops it again, in the opposite order.

    Raises:
        SettingsError: as :func:`run`.
    """
    if settings.mqtt_url:
        raise SettingsError(
            "STAFFCALL_MQTT_URL: an external broker cannot be attached yet; unset it to use the embedded gateway"
        )
    folder = settings.data / "demo" if demo else settings.data
    opened = tokens(replace(settings, data=folder))
    store = _store(folder)
    stack.callback(store.close)
    sockets = _sockets(settings, stack)
    webhook = secrets.token_urlsafe(18)
    if demo:
        settings = _with_simulator(settings, sockets["STAFFCALL_HTTP_PORT"], webhook)
    return LocalPlace(settings, opened, store, sockets, stack).start(
        folder, simulated=webhook if demo else ""
    )


def _store(folder: Path) -> Store:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Store(folder / "staffcall.sqlite3")
    except (OSError, StoreError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"STAFFCALL_DATA: {folder} cannot be used: {reason}") from error


def _sockets(settings: Settings, stack: ExitStack) -> dict[str, socket.socket]:
    """Every listener, bound before anything starts, by the variable that moves it."""
    login = bool(settings.mqtt_user)
    wanted = {
        "STAFFCALL_HTTP_PORT": (settings.host, settings.http_port),
        "STAFFCALL_WS_PORT": (settings.host, settings.ws_port),
        # Whoever reaches these two may do anything: this machine only, or whoever has the password.
        "STAFFCALL_MQTT_PORT": (settings.host if login else "127.0.0.1", settings.mqtt_port),
        "STAFFCALL_AWS_PORT": ("127.0.0.1", settings.aws_port),
    }
    bound = {}
    for variable, (host, port) in wanted.items():
        try:
            bound[variable] = bind(host, port)
        except OSError as error:
            raise SettingsError(
                f"{variable}: {host}:{port} cannot be listened on ({error.strerror or error}); "
                f"set {variable} to a free port, or STAFFCALL_HOST to an address of this machine"
            ) from error
        stack.callback(bound[variable].close)
    return bound


def _with_simulator(settings: Settings, http: socket.socket, secret: str) -> Settings:
    """Slack is the simulator, where no other is set."""
    token = settings.slack_outgoing_token or secrets.token_urlsafe(18)
    settings = replace(settings, slack_outgoing_token=token)
    if settings.slack_webhook_url or settings.slack_bot_token:
        return settings
    return replace(settings, slack_webhook_url=f"http://{address_of(http)}/demo/webhook/{secret}")


def _greeting(settings: Settings, addresses: Addresses, *, demo: bool) -> str:
    """What is printed once everything is up."""

    def seen(address: str) -> str:
        """As others on the network see it, if it is open to them."""
        return f"{_lan_address()}:{address.rpartition(':')[2]}" if settings.host in EVERYWHERE else address

    kiosk = seen(addresses.http)
    devices = seen(addresses.mqtt) if settings.mqtt_user else addresses.mqtt
    kiosks = settings.ws_url or f"ws://{seen(addresses.websocket)}/mqtt"
    folder = settings.data / "demo" if demo else settings.data
    token = "STAFFCALL_BUTTON_TOKEN" if settings.button_token else folder / TOKENS_FILE
    lines = [
        ("Kiosk", f"http://{kiosk}/"),
        *([("Demo", f"http://{kiosk}/demo  (Slack, and a button to press)")] if demo else []),
        ("Buttons", f"http://{kiosk}/buttons/webhook  /buttons/soracom  (token: {token})"),
        ("Slack", f"http://{kiosk}/slack/outgoing  /slack/events"),
        ("MQTT", f"{devices}  (devices)   {kiosks}  (kiosks)"),
        ("AWS API", f"http://{addresses.aws}  (boto3 iot, iot-data)"),
        ("Data", str(folder)),
    ]
    return "\n".join(
        ["Staff Call is running. Ctrl-C stops it.", *(f"  {name:8} {what}" for name, what in lines)]
    )


def _lan_address() -> str:
    """The address by which others on the network reach this machine; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: only the route is asked for
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
