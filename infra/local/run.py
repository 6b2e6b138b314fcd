"""``staffcall run``: settings become a running local place, or one line that says what to change."""

import gc
import importlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from infra.local.backup import BackupError, finish
from infra.local.gateway import Tls, TlsError
from infra.local.gateway.limits import MAX_CLIENTS
from infra.local.http import bind
from infra.local.place import Addresses, LocalPlace, address_of, as_seen
from infra.local.rescue import opened as opened_store
from infra.local.store import Store, StoreError
from infra.local.web import DIST
from infra.settings import SHORT, TOKENS_FILE, Settings, SettingsError, guessable, tokens
from infra.ways import check_alerts

log = logging.getLogger(__name__)


FILES: Final = 3 * MAX_CLIENTS  # two listeners, and the rest


def run(settings: Settings, *, demo: bool = False) -> None:
    """Run until SIGTERM or Ctrl-C.

    Raises:
        SettingsError: one line that says what to change: a port in use, a data folder that cannot be written.
    """
    wait_for_the_end = prepared()
    with ExitStack() as stack:
        addresses = start(settings, stack, demo=demo)
        print(_greeting(settings, addresses, demo=demo), flush=True)  # noqa: T201 - what whoever starts it reads
        wait_for_the_end()


def prepared() -> Callable[[], object]:
    """Make this process a server; what is returned waits until it is told to stop."""
    # The system may hand a signal to any thread, and Python wakes the main one only from what can be interrupted: a byte
    # in a socket reaches it for sure.
    here, there = socket.socketpair()
    there.setblocking(False)
    signal.set_wakeup_fd(there.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    _spare_the_proxy()
    _take_more_files()
    # At Python's 700 it looks over and over at requests that are under way, a tenth of all we do; they leave no cycles.
    gc.set_threshold(10_000)
    return partial(here.recv, 1)


def _take_more_files() -> None:
    """Let a full house of clients have a socket each: what a process may open at first is often 1024 files."""
    with suppress(ImportError, OSError, ValueError):  # on Windows there is no such bound
        resource = importlib.import_module("resource")
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= now < FILES:
            wanted = FILES if most < 0 else min(FILES, most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _spare_the_proxy() -> None:
    """The way to this very machine never leads through a proxy; urllib, and so slack_sdk, would take it."""
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = ",".join(filter(None, (spared, "127.0.0.1,localhost,::1")))


def start(settings: Settings, stack: ExitStack, *, demo: bool = False) -> Addresses:
    """Start everything; ``stack`` stops it again, in the opposite order.

    Raises:
        SettingsError: as :func:`run`.
    """
    _check_pages()
    check_broker(settings)
    tls = tls_of(settings)
    check_alerts(settings)
    folder = settings.data / "demo" if demo else settings.data
    _finish_restore(folder)
    opened = tokens(replace(settings, data=folder))
    _warn_of_short_ones(settings)
    store = store_in(folder)
    stack.callback(store.close)
    sockets = bound(_wanted(settings), stack)
    webhook = secrets.token_urlsafe(18)
    if demo:
        settings = _with_simulator(settings, sockets["STAFFCALL_HTTP_PORT"], webhook)
    return LocalPlace(settings, opened, store, sockets, stack, tls=tls).start(
        folder, simulated=webhook if demo else ""
    )


def _check_pages() -> None:
    """The built kiosk lies beside the packages, where an ordinary ``pip install`` of this folder does not take it."""
    if not (DIST / "index.html").exists():
        raise SettingsError(
            f"{DIST}: the kiosk's pages are not there. Install Staff Call by `make .venv`, or with `pip install -e`; "
            "`staffcall shadows` needs none of them"
        )


def _finish_restore(folder: Path) -> None:
    """Go on with a restore that a death ended; nobody may start on half of it."""
    try:
        finish(folder)
    except BackupError as no:
        raise SettingsError(f"STAFFCALL_DATA: {no}") from no


def _warn_of_short_ones(settings: Settings) -> None:
    """Say which of our secrets can be guessed: at the doors of buttons nobody is kept from trying."""
    for variable in guessable(settings):
        log.warning("%s: fewer than %d characters can be guessed; take more", variable, SHORT)


def check_broker(settings: Settings) -> None:
    """Raise SettingsError, if an external broker is set, and what it needs is not, or what only the gateway has is."""
    if settings.mqtt_url and not settings.ws_url:
        raise SettingsError(
            "STAFFCALL_WS_URL: expected where kiosks find the WebSocket listener of the broker in STAFFCALL_MQTT_URL, "
            "such as ws://your.host:9001/mqtt, got nothing"
        )
    if settings.mqtt_url and (settings.mqtt_user or settings.mqtt_tls):
        raise SettingsError(
            "STAFFCALL_MQTT_URL: expected no STAFFCALL_MQTT_USER and no STAFFCALL_MQTT_TLS beside it: they are the embedded "
            "gateway's; our login at the broker is in the URL"
        )


def tls_of(settings: Settings) -> Tls | None:
    """The TLS of the device port; None if there is to be none.

    Raises:
        SettingsError: its folder misses something, or has something wrong.
    """
    try:
        return Tls.read(settings.mqtt_tls) if settings.mqtt_tls else None
    except TlsError as wrong:
        raise SettingsError(f"STAFFCALL_MQTT_TLS: {wrong}") from None


def store_in(folder: Path) -> Store:
    """The store of a data folder, with what can be read of it, if it is damaged.

    Raises:
        SettingsError: the folder cannot be used, or nothing in it can be read.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "staffcall.sqlite3"
        file.touch(mode=0o600)  # phone numbers are in it, and the folder may have been there before
        return opened_store(file)
    except (OSError, StoreError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"STAFFCALL_DATA: {folder} cannot be used: {reason}") from error


def _wanted(settings: Settings) -> dict[str, tuple[str, int]]:
    gateway = {
        "STAFFCALL_WS_PORT": (settings.host, settings.ws_port),
        "STAFFCALL_MQTT_PORT": (settings.devices_host, settings.mqtt_port),
    }
    return {
        "STAFFCALL_HTTP_PORT": (settings.host, settings.http_port),
        **({} if settings.mqtt_url else gateway),
        "STAFFCALL_AWS_PORT": ("127.0.0.1", settings.aws_port),  # whoever reaches it may do anything
    }


def bound(wanted: Mapping[str, tuple[str, int]], stack: ExitStack) -> dict[str, socket.socket]:
    """Every listener, bound before anything starts, by the variable that moves it.

    Raises:
        SettingsError: an address that cannot be listened on.
    """
    sockets = {}
    for variable, (host, port) in wanted.items():
        try:
            sockets[variable] = bind(host, port)
        except OSError as error:
            raise SettingsError(
                f"{variable}: {host}:{port} cannot be listened on ({error.strerror or error}); "
                f"set {variable} to a free port, or STAFFCALL_HOST to an address of this machine"
            ) from error
        stack.callback(sockets[variable].close)
    return sockets


def _with_simulator(settings: Settings, http: socket.socket, secret: str) -> Settings:
    """Slack is the simulator, where no other is set."""
    token = settings.slack_outgoing_token or secrets.token_urlsafe(18)
    settings = replace(settings, slack_outgoing_token=token)
    if settings.slack_webhook_url or settings.slack_bot_token:
        return settings
    return replace(settings, slack_webhook_url=f"http://{address_of(http)}/demo/webhook/{secret}")


def _greeting(settings: Settings, addresses: Addresses, *, demo: bool) -> str:
    """What is printed once everything is up."""

    kiosk = as_seen(settings.host, addresses.http)
    devices = as_seen(settings.devices_host, addresses.mqtt)
    kiosks = settings.ws_url or f"ws://{as_seen(settings.host, addresses.websocket)}/mqtt"
    folder = settings.data / "demo" if demo else settings.data
    token = "STAFFCALL_BUTTON_TOKEN" if settings.button_token else folder / TOKENS_FILE
    admin = "STAFFCALL_ADMIN_TOKEN" if settings.admin_token else folder / TOKENS_FILE
    lines = [
        ("Kiosk", f"http://{kiosk}/"),
        *([("Demo", f"http://{kiosk}/demo  (Slack, and a button to press)")] if demo else []),
        ("Admin", f"http://{kiosk}/admin  (token: {admin})"),
        ("Buttons", f"http://{kiosk}/buttons/webhook  /buttons/soracom  (token: {token})"),
        ("Slack", f"http://{kiosk}/slack/outgoing  /slack/events"),
        ("MQTT", f"{devices}  (devices{', TLS' if settings.mqtt_tls else ''})   {kiosks}  (kiosks)"),
        ("AWS API", f"http://{addresses.aws}  (boto3 iot, iot-data)"),
        ("Data", str(folder)),
    ]
    return "\n".join(
        ["Staff Call is running. Ctrl-C stops it.", *(f"  {name:8} {what}" for name, what in lines)]
    )
