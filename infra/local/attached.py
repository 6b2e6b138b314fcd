"""An MQTT broker that somebody else runs, in the place of the embedded gateway: we attach to it as one of its clients.

It has the methods of ``Gateway`` by which the rest of the place speaks to MQTT, so that the wires are the same.
"""

import asyncio
import logging
import secrets
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError

from infra.broker import Broker
from infra.local.gateway import Client, Kept, Message, PublishProperties, Quotas
from infra.local.gateway.broker import Elsewhere, Take
from infra.local.gateway.limits import AWS
from infra.local.gateway.policy import DEVICE
from infra.local.gateway.topics import Tree
from shadows.errors import Rejected
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

WEEK_S: Final = 7 * 86_400  # so long the broker keeps for us what comes while we are away
FIRST_S: Final = 5.0  # so long the start waits to hear from the broker
LAST_S: Final = 3.0  # so long the end waits for what is under way
MOST_FLYING: Final = 10_000  # messages on their way to a broker that does not take them
MOST_AT_ONCE: Final = 200  # messages that it may give us before the first of them is on disk
SOMEBODY: Final = Client(id="", rights=DEVICE, address="")  # a broker does not say who published

_TABLE: Final = "CREATE TABLE IF NOT EXISTS broker (client TEXT NOT NULL) STRICT;"
_FIXES: Final = {
    "login": "Look at user and password in STAFFCALL_MQTT_URL, and at those that the broker knows.",
    "tls": "The broker's certificate has to be for the host in STAFFCALL_MQTT_URL, by a CA that this machine trusts, or that SSL_CERT_FILE names.",
    "rights": "Let our user subscribe to these, as docs/mosquitto/acl does, and start the broker again.",
    "else": "Start the broker, or look at the network to it. We go on trying, and what it keeps for us is not lost.",
}


def client_id(db: sqlite3.Connection) -> str:
    """Who we are at a broker: as long as the database is the same, and as no other installation is."""
    db.execute(_TABLE)
    if not (row := db.execute("SELECT client FROM broker").fetchone()):
        row = (f"staffcall-{secrets.token_hex(8)}",)
        db.execute("INSERT INTO broker VALUES (?)", row)
    return str(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What has happened since the start; ``connected`` is 1 while we are attached.

    Attributes:
        received: messages that the broker gave us.
        sent: messages that it has taken.
        dropped: messages that it has not, because it was away or too slow.
        refused: messages that we may not publish there.
    """

    connected: int
    received: int
    sent: int
    dropped: int
    refused: int


class Attached:
    """A client of an external broker, for ever: it connects again by itself, and the broker keeps its session.

    Hooks are called on the loop's thread. A message is acknowledged once its hook is done, so what we did not get to
    is given to us again. A hook that fails is called again until it does not.

    Args:
        client_id: the same for ever, and nobody else's: by it the broker knows whose messages it keeps.
        loop: the hooks'.
        clock: milliseconds since 1970.
        is_private: whether a topic of ours is nothing for the broker, which may not be able to tell kiosks from devices.
        joined: called on each connection, on a thread that must not wait; subscribers may have missed what we said before it.
    """

    quotas: Quotas = AWS

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Callable[[], int],
        is_private: Callable[[str], bool],
        joined: Callable[[], object],
    ) -> None:
        self.broker, self._loop, self._clock = broker, loop, clock
        self._is_private, self._joined = is_private, joined
        self._hooks: Tree[Take, bool] = Tree()
        self._filters: list[str] = []
        self._lock = threading.Lock()
        self._tally = dict.fromkeys(("received", "sent", "dropped", "refused"), 0)
        self._flying, self._behind, self._linked = 0, False, False
        self._trouble: Trouble | None = self._wrong("It has not answered yet", "else")
        self._heard, self._stopped = threading.Event(), threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._client: Any = mqtt5.Client(self._options(client_id))

    def _options(self, client_id: str) -> Any:
        return mqtt5.ClientOptions(
            **self.broker.way,
            connect_options=mqtt5.ConnectPacket(
                client_id=client_id,
                keep_alive_interval_sec=20,
                session_expiry_interval_sec=WEEK_S,
                receive_maximum=MOST_AT_ONCE,
                **self.broker.login,
            ),
            session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
            # What could not be said is made up for by ``joined``: an old answer is nobody's any more.
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            min_reconnect_delay_ms=500,
            max_reconnect_delay_ms=30_000,
            min_connected_time_to_reset_reconnect_delay_ms=5_000,
            ping_timeout_ms=10_000,
            connack_timeout_ms=10_000,
            on_publish_callback_fn=self._received,
            on_lifecycle_event_stopped_fn=lambda _: self._stopped.set(),
            on_lifecycle_event_connection_success_fn=self._connected,
            on_lifecycle_event_connection_failure_fn=self._failed,
            on_lifecycle_event_disconnection_fn=self._lost,
        )

    def start(self) -> None:
        """Begin to connect, once all hooks are there; it waits a moment for how that went, and never fails."""
        self._client.start()
        self._heard.wait(FIRST_S)

    def hook(self, topic_filter: str, take: Take) -> None:
        """Have a function called with each message of this filter, as by ``Gateway.hook``."""
        self._filters.append(topic_filter)
        self._hooks.put(topic_filter, take, True)

    # --- What we say

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish, from any thread.

        Raises:
            Rejected: 503, if the broker is away.
        """
        if not self._linked:
            raise Rejected(503, f"The MQTT broker at {self.broker.address} is away")
        self.publish_soon(messages)

    def publish_soon(self, messages: Iterable[Message]) -> None:
        """The same, and while the broker is away nobody gets it."""
        for message in messages:
            if not self._is_private(message.topic):
                self._publish(message)

    def _publish(self, message: Message) -> None:
        with self._lock:
            if is_late := not self._linked or self._flying >= MOST_FLYING:
                self._tally["dropped"] += 1
                self._behind = True
            else:
                self._flying += 1
        if not is_late:
            self._client.publish(_packet(message)).add_done_callback(self._published)

    def _published(self, done: "Future[Any]") -> None:
        with self._lock:
            self._flying -= 1
            self._tally[_outcome(done)] += 1
            catches_up = self._behind and self._linked and not self._flying
            self._behind = self._behind and not catches_up
        if catches_up:
            self._joined()

    # --- What we hear

    def after(self, work: "Future[Any]") -> Awaitable[Any]:
        """For a hook: it is done once the work of another thread is."""
        return asyncio.wrap_future(work, loop=self._loop)

    def begun(self, begin: Callable[[Callable[[object], None]], None]) -> Awaitable[Any]:
        """The same for work that is begun here: ``begin`` is given whom to call, from any thread, once it is done."""
        done: Future[object] = Future()
        begin(done.set_result)
        return self.after(done)

    def _received(self, got: Any) -> None:
        """A message, on the client's thread."""
        packet, hold = got.publish_packet, got.acquire_publish_acknowledgement_control
        held = hold() if hold else None
        message = Message(packet.topic, bytes(packet.payload or b""), int(packet.qos), bool(packet.retain))
        with self._lock:
            self._tally["received"] += 1
        self._loop.call_soon_threadsafe(self._begin, message, held)

    def _begin(self, message: Message, held: Any) -> None:
        """In the order in which they came, each as far as it goes without waiting."""
        if self._closing:
            return
        task = self._loop.create_task(self._taken(message, held))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _taken(self, message: Message, held: Any) -> None:
        """Call the hook until it is done, then acknowledge: so one that fails keeps no other back."""
        for take in list(dict(self._hooks.match(message.topic))):
            for pause_s in _pauses_s():
                try:
                    await _done(take(message, SOMEBODY))
                    break
                except Exception:
                    log.exception("A message to %s was not taken; again in %.0f s", message.topic, pause_s)
                    await asyncio.sleep(pause_s)
        if held is not None:
            self._acknowledge(held)

    def _acknowledge(self, held: Any) -> None:
        try:
            self._client.invoke_publish_acknowledgement(held)
        except Exception as error:  # the connection that it came by is gone: it comes again
            log.info("A message will come twice: %s", error)

    # --- How we are

    def _connected(self, got: Any) -> None:
        with self._lock:
            self._linked, self._behind = True, False
        wanted = [
            mqtt5.Subscription(
                topic_filter,
                mqtt5.QoS.AT_LEAST_ONCE,
                no_local=True,  # what the REST port publishes was taken there
                retain_as_published=True,
                retain_handling_type=mqtt5.RetainHandlingType.DONT_SEND,  # a request is made once
            )
            for topic_filter in self._filters
        ]
        # Also in a session that the broker has kept: there may be more of them now.
        self._client.subscribe(mqtt5.SubscribePacket(wanted)).add_done_callback(self._subscribed)
        self._joined()

    def _subscribed(self, done: "Future[Any]") -> None:
        if done.exception():
            return  # the connection has ended, and its end tells why
        codes = done.result().reason_codes
        refused = [name for name, code in zip(self._filters, codes, strict=True) if code >= 128]
        self._trouble = (
            self._wrong(f"It does not let us subscribe to {', '.join(refused)}", "rights")
            if refused
            else None
        )
        log.info("Attached to the MQTT broker at %s", self.broker.address)
        self._heard.set()

    def _failed(self, got: Any) -> None:
        connack = got.connack_packet
        if connack and connack.reason_code in (
            mqtt5.ConnectReasonCode.BAD_USERNAME_OR_PASSWORD,
            mqtt5.ConnectReasonCode.NOT_AUTHORIZED,
        ):
            self._gone("It does not let us in: wrong user or password", "login")
        else:
            self._gone(f"It cannot be reached: {_said(got.exception)}", _kind(got.exception))

    def _lost(self, got: Any) -> None:
        why = got.disconnect_packet.reason_code.name if got.disconnect_packet else _said(got.exception)
        self._gone(f"The connection was lost: {why}", "else")

    def _gone(self, why: str, fix: str) -> None:
        if self._closing:
            return
        with self._lock:
            self._linked = False
        since = self._trouble.since if self._trouble else 0
        self._trouble = self._wrong(why, fix, since)
        self._heard.set()

    def _wrong(self, why: str, fix: str, since: int = 0) -> Trouble:
        detail = f"The MQTT broker at {self.broker.address} is not attached, so kiosks and devices hear nothing. {why}"
        return Trouble(what="broker", since=since or self._clock(), detail=detail, fix=_FIXES[fix])

    def troubles(self) -> list[Trouble]:
        """What is wrong with the broker right now."""
        return [self._trouble] if self._trouble else []

    def counts(self) -> Counts:
        """From any thread."""
        return Counts(connected=int(not self._trouble), **self._tally)

    # --- Retained messages are the broker's

    def has_room(self, _message: Message) -> bool:
        """Whether a message that is to be retained can be: the broker decides."""
        return True

    def kept(self, _topic: str) -> Kept | None:
        """A broker tells what it retains to subscribers alone.

        Raises:
            Rejected: 501, always.
        """
        raise Rejected(501, "Retained messages are kept by the broker: subscribe to their topics there")

    def kept_after(self, topic: str, _most: int) -> list[Kept]:
        """The same for all of them."""
        self.kept(topic)
        return []

    # --- The end

    async def close(self) -> None:
        """Finish what is under way, as far as it does not fail, and leave; the session stays. On the loop's thread."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_S)
        for task in list(self._tasks):
            task.cancel()
        if self._linked:
            await self._arrived()
        self._client.stop()
        await asyncio.to_thread(self._stopped.wait, LAST_S)

    async def _arrived(self) -> None:
        """Wait until what we acknowledged has arrived: a stop forgets what it has not sent. So ask something, and be answered."""
        asked = self._client.unsubscribe(mqtt5.UnsubscribePacket(["staffcall/nothing"]))
        with suppress(Exception):  # the link is lost just now: what was not acknowledged comes again
            await asyncio.wait_for(asyncio.wrap_future(asked), LAST_S)


def _pauses_s() -> Iterator[float]:
    pause_s = 1.0
    while True:
        yield pause_s
        pause_s = min(60.0, 2 * pause_s)


async def _done(given: Awaitable[None] | Elsewhere | None) -> None:
    assert not isinstance(given, Elsewhere), "that is the embedded gateway's"
    if given is not None:
        await given


def _packet(message: Message) -> Any:
    said: PublishProperties = message.properties
    return mqtt5.PublishPacket(
        topic=message.topic,
        payload=message.payload,
        qos=mqtt5.QoS(message.qos),
        retain=message.retain,
        payload_format_indicator=said.payload_format,
        message_expiry_interval_sec=said.expiry_s,
        content_type=said.content_type,
        response_topic=said.response_topic,
        correlation_data_bytes=said.correlation,
        user_properties=[mqtt5.UserProperty(*each) for each in said.user] or None,
    )


def _outcome(done: "Future[Any]") -> str:
    if done.exception():
        return "dropped"
    puback = done.result().puback
    return "refused" if puback and puback.reason_code >= 128 else "sent"


def _said(error: Any) -> str:
    return str(error.message) if isinstance(error, AwsCrtError) else type(error).__name__


def _kind(error: Any) -> str:
    return "tls" if isinstance(error, AwsCrtError) and "_TLS_" in error.name else "else"
