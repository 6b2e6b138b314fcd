"""``staffcall watch``: the states of all staff, live, over awsiotsdk."""

import json
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click
from ulid import ULID

from infra.commands.here import Here, refusals
from infra.commands.table import moment, plain, table
from shadows.errors import Rejected
from shadows.shadow import Shadow, Thing
from shadows.staff import BUSY, Staff

if TYPE_CHECKING:
    from rich.live import Live

    from infra.aws.account import Account
    from infra.broker import Broker

CHANGES: Final = ("$aws/things/+/shadow/update/documents", "$aws/things/+/shadow/delete/accepted")
COLUMNS: Final = ("since", "id", "name", "state", "booth", "note")
ANSWER_WITHIN_S: Final = 10.0
AGAIN_AFTER_S: Final = 0.5
AT_ONCE: Final = 8  # one after the other, a thousand people on AWS take half a minute


@dataclass(frozen=True, slots=True)
class Connected:
    """The link is there, for the first time or again."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The link is not there."""

    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """A message of the shadow service."""

    topic: str
    payload: bytes


Happening = Connected | Lost | Change


class Board:
    """Who is in which state, by thing; what a late message says is known already, and left out."""

    def __init__(self) -> None:
        self.known: dict[str, Staff] = {}

    def settle(self, thing: str, staff: Staff) -> bool:
        """Take a shadow; whether what people see of it is new."""
        before = self.known.get(thing)
        if before and staff.version <= before.version:
            return False
        self.known[thing] = staff
        return before is None or (before.name, before.asked) != (staff.name, staff.asked)

    def rows(self) -> list[tuple[str, ...]]:
        """Everybody, as ``COLUMNS``."""
        return [row(thing, staff) for thing, staff in sorted(self.known.items())]


def row(thing: str, staff: Staff) -> tuple[str, ...]:
    """One person, as ``COLUMNS``."""
    call, since = staff.call, moment(staff.asked.since)
    if staff.state not in BUSY:
        return (since, thing.removeprefix("staff-"), staff.name, staff.state, "", "")
    booth = f"{call.booth} ×{call.count}" if call.count > 1 else call.booth
    return (since, thing.removeprefix("staff-"), staff.name, staff.state, booth, call.note)


def read_change(change: Change) -> tuple[str, Staff | None]:
    """The thing of a message, and its new shadow; None if it is gone, or if the message is none of the service's."""
    thing = change.topic.split("/")[2]
    try:
        current: Mapping[str, Any] = json.loads(change.payload)["current"]
        state = current["state"]
        shadow = Shadow(
            desired=state.get("desired") or {},
            reported=state.get("reported") or {},
            version=current["version"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return thing, None
    return thing, Staff.read(shadow)


@click.command()
@click.pass_obj
def watch(here: Here) -> None:
    """Show the states of all staff as they change, until Ctrl-C.

    In a terminal it is a table; in a pipe, a line a change with time, id, name and state.
    """
    _ = here.place  # says so, if nothing runs
    happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
    with ExitStack() as stack:
        stack.enter_context(_stopped_quietly())
        client = stack.enter_context(_connected(here, happenings))
        screen = stack.enter_context(_live()) if sys.stdout.isatty() else None
        _follow(here, client, happenings, screen)


def _follow(
    here: Here, client: Any, happenings: "queue.SimpleQueue[Happening]", screen: "Live | None"
) -> None:
    board = Board()
    linked: bool | None = None  # None: not yet
    while True:
        match happenings.get():
            case Connected():
                if linked is False:
                    click.echo("connected again", err=True)
                linked = True
                board = _caught_up(here, client, board, screen) or _again(board, happenings)
            case Lost(reason) if linked is None:
                raise click.ClickException(f"MQTT at {_broker(here).address} does not let us in: {reason}")
            case Lost(reason) if linked:
                linked = False
                click.echo(f"connection lost ({reason}); trying again", err=True)
            case Change(topic) as change if topic.startswith("$aws/things/staff-"):
                _settle(board, *read_change(change), gone=topic.endswith("/delete/accepted"), screen=screen)
        if screen:
            screen.update(table(COLUMNS, board.rows()), refresh=True)


def _caught_up(here: Here, client: Any, before: Board, screen: "Live | None") -> Board | None:
    """Subscribed, and everybody read; None if the link broke again meanwhile."""
    from awscrt.exceptions import AwsCrtError  # noqa: PLC0415

    try:
        _subscribe(client)
        return _read_all(here, before, screen)
    except (Rejected, AwsCrtError, TimeoutError):
        return None


def _again(board: Board, happenings: "queue.SimpleQueue[Happening]") -> Board:
    time.sleep(AGAIN_AFTER_S)
    happenings.put(Connected())
    return board


def _settle(board: Board, thing: str, staff: Staff | None, *, gone: bool, screen: "Live | None") -> None:
    if gone:
        board.known.pop(thing, None)
        _print((moment(time.time_ns() // 1_000_000), thing.removeprefix("staff-"), "removed"), screen)
    elif staff and board.settle(thing, staff):
        _print(row(thing, staff), screen)


def _print(cells: tuple[str, ...], screen: "Live | None") -> None:
    if screen is None:
        click.echo(plain("  ".join(filter(None, cells))))  # echo flushes


def _read_all(here: Here, before: Board, screen: "Live | None") -> Board:
    """Everybody's shadow, asked for after subscribing: what changes meanwhile waits in the queue, and wins."""
    board, place = Board(), here.place

    def read(thing: Thing) -> tuple[str, Staff | None]:
        try:
            return thing.name, Staff.read(place.shadows.get(thing.name))
        except Rejected:  # not quite there yet, or just going: a message will tell
            return thing.name, None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for thing, staff in pool.map(read, place.things.list(type="staff")):
            if staff is None:
                continue
            board.settle(thing, staff)
            if row(thing, staff) != row(thing, before.known.get(thing, Staff())):
                _print(row(thing, staff), screen)
    return board


def _subscribe(client: Any) -> None:
    from awscrt.mqtt5 import QoS, SubscribePacket, Subscription  # noqa: PLC0415

    wanted = [Subscription(topic_filter, QoS.AT_LEAST_ONCE) for topic_filter in CHANGES]
    client.subscribe(SubscribePacket(wanted)).result(ANSWER_WITHIN_S)


@contextmanager
def _connected(here: Here, happenings: "queue.SimpleQueue[Happening]") -> Iterator[Any]:
    """A client that says what happens, and connects again by itself."""
    from awscrt import mqtt5  # noqa: PLC0415

    stopped, there = threading.Event(), _broker(here)
    client = mqtt5.Client(
        mqtt5.ClientOptions(
            **there.way,
            connect_options=mqtt5.ConnectPacket(
                client_id=f"watch-{ULID()}",
                keep_alive_interval_sec=30,
                **there.login,
            ),
            min_reconnect_delay_ms=500,
            max_reconnect_delay_ms=5_000,
            on_publish_callback_fn=lambda got: happenings.put(
                Change(got.publish_packet.topic, bytes(got.publish_packet.payload or b""))
            ),
            on_lifecycle_event_connection_success_fn=lambda _: happenings.put(Connected()),
            on_lifecycle_event_connection_failure_fn=lambda got: happenings.put(Lost(str(got.exception))),
            on_lifecycle_event_disconnection_fn=lambda got: happenings.put(Lost(str(got.exception))),
            on_lifecycle_event_stopped_fn=lambda _: stopped.set(),
            **(_signed_websocket(here.account) if here.on_aws else {}),
        )
    )
    client.start()
    try:
        yield client
    finally:
        client.stop()
        stopped.wait(3)


def _broker(here: Here) -> "Broker":
    """Where MQTT is, and who we are there."""
    from infra.broker import Broker  # noqa: PLC0415

    settings = here.settings
    if here.on_aws:
        with refusals():
            host, around = here.account.shadow_host, here.account.plain_address
        return Broker.at(around or (host if ":" in host else f"{host}:443"))
    if settings.mqtt_url:
        return Broker.of(settings.mqtt_url)
    return Broker.at(here.running.mqtt, user=settings.mqtt_user, password=settings.mqtt_password)


def _signed_websocket(account: "Account") -> dict[str, Any]:
    """Options of a client that comes to AWS as a WebSocket, signed anew for every connect.

    awsiotsdk's own builder for this sets TLS always; an AWS on one's own machine has none.
    """
    from awscrt import auth, io  # noqa: PLC0415

    found = account.session.get_credentials()
    if found is None:
        raise click.ClickException("AWS credentials: expected a profile or AWS_ACCESS_KEY_ID, got none")

    def credentials() -> Any:
        key = found.get_frozen_credentials()  # boto3 renews them
        return auth.AwsCredentials(key.access_key, key.secret_key, key.token)

    provider = auth.AwsCredentialsProvider.new_delegate(credentials)

    def sign(transform_args: Any) -> None:
        config = auth.AwsSigningConfig(  # made now: it holds the time of signing
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
            credentials_provider=provider,
            region=account.region,
            service="iotdevicegateway",
            omit_session_token=True,  # AWS IoT wants it beside what is signed
        )
        request = transform_args.http_request
        request.headers.set("Host", account.shadow_host)  # also where the way there has another name
        auth.aws_sign_request(request, config).add_done_callback(
            lambda done: transform_args.set_done(done.exception())
        )

    return {
        "websocket_handshake_transform": sign,
        "tls_ctx": None if account.plain_address else io.ClientTlsContext(io.TlsContextOptions()),
    }


@contextmanager
def _live() -> Iterator["Live"]:
    from rich.live import Live  # noqa: PLC0415

    with Live(auto_refresh=False, screen=False) as live:
        yield live


class _Stop(BaseException):  # a wish, not a fault: no library's `except Exception` may swallow it
    """SIGINT or SIGTERM."""


@contextmanager
def _stopped_quietly() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is within, and nothing went wrong."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stop

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stop:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
