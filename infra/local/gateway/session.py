"""What the gateway keeps of a client id: its subscriptions, and the QoS 1 messages that it has not acknowledged."""

import asyncio
import time
from asyncio import TimerHandle
from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from infra.local.gateway import limits, packets
from infra.local.gateway.packets import Message, Will, Wire
from infra.local.gateway.policy import Client


@dataclass(slots=True)
class Tally:
    """What is counted as it happens, for all sessions together; `Counts` is the reader's view of it.

    Attributes:
        lagging: those for whom so much waits that publishers should slow down.
    """

    received: int = 0
    sent: int = 0
    dropped: int = 0
    refused: int = 0
    lagging: "set[Session]" = field(default_factory=set)


class Subscription(NamedTuple):
    """What one filter was granted; a topic that matches several comes once, with the most that they grant."""

    qos: int
    no_local: bool = False
    as_published: bool = False

    def also(self, other: "Subscription") -> "Subscription":
        return Subscription(
            max(self.qos, other.qos),
            self.no_local and other.no_local,
            self.as_published or other.as_published,
        )


class Outgoing:
    """A message on its way to clients: encoded once for each version and QoS, and shared by all who get it."""

    __slots__ = ("_born", "_wires", "message", "size")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.size = len(message.topic) + len(message.payload)
        self._born = time.monotonic() if message.properties.expiry_s is not None else 0.0
        self._wires: dict[tuple[int, int], Wire] = {}

    def wire(self, version: int, qos: int) -> Wire:
        found = self._wires.get((version, qos))
        if found is None:
            found = self._wires[version, qos] = packets.publish(self.message, version, qos)
        return found

    def now(self) -> "Outgoing | None":
        """It with what is left of its expiry, to the second [MQTT-3.3.2-6]; None if nobody wants it any more."""
        expiry_s = self.message.properties.expiry_s
        if expiry_s is None or (waited := int(time.monotonic() - self._born)) < min(1, expiry_s):
            return self
        if waited >= expiry_s:
            return None
        said = replace(self.message.properties, expiry_s=expiry_s - waited)
        return Outgoing(self.message._replace(properties=said))

    def retained(self, retain: bool) -> "Outgoing":
        return self if self.message.retain is retain else Outgoing(self.message._replace(retain=retain))


class Link(Protocol):
    """The connection of a session, as far as the session knows it.

    Attributes:
        window: QoS 1 messages that may be unacknowledged.
        max_packet: the client takes no larger one.
        congested: what we sent is piling up on our side.
        resumed_a_second: messages from before it that may go out in a second; 0 for any number.
    """

    version: int
    window: int
    max_packet: int
    congested: bool
    resumed_a_second: int

    def send(self, packet: bytes) -> None: ...

    def overrun(self) -> None:
        """Cut it off: it does not keep up."""

    def taken_over(self) -> None:
        """Cut it off: the client id has connected again."""


class _Queued(NamedTuple):
    """A QoS 1 message that waits; with a packet id if it was sent before and may have arrived."""

    outgoing: Outgoing
    packet_id: int = 0


class Session:
    """One client id; it lives while connected and, if the client asked for it, a while longer.

    Attributes:
        link: the connection; None while the client is absent.
        ends: alarm that ends it while the client is absent.
        will: to be published at ``will_due``, or when the session ends, unless the client comes back.
        unreleased: packet ids of QoS 2 messages that the client sent, and has not released.
    """

    def __init__(self, client: Client, tally: Tally) -> None:
        self.client = client
        self.link: Link | None = None
        self.ends: TimerHandle | None = None
        self.will: Will | None = None
        self.will_due: TimerHandle | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.unreleased: set[int] = set()
        self._tally = tally
        self._inflight: dict[int, Outgoing] = {}
        self._waiting: deque[_Queued] = deque()
        self._stored: deque[_Queued] = (
            deque()
        )  # what waited while the client was absent, and goes out by and by
        self._dripping: TimerHandle | None = None
        self._spoken_for: set[int] = set()  # packet ids of what was in flight when the client left
        self._waiting_bytes = 0
        self._last_id = 0
        self._heard_s = 0.0

    @property
    def reads(self) -> bool:
        """Whether it has acknowledged something a moment ago."""
        return time.monotonic() - self._heard_s < limits.LAG_SILENCE_S

    def deliver(self, outgoing: Outgoing, qos: int) -> None:
        """Send a message, or keep it until it can be sent."""
        link = self.link
        if qos == 0:
            self._deliver_once(outgoing, link)
        elif link is None or self._waiting or len(self._inflight) >= link.window or link.congested:
            self._queue(outgoing)
        else:
            self._send(link, outgoing, 0)

    def acknowledged(self, packet_id: int) -> None:
        """A PUBACK came; one for an id that is not in flight means nothing."""
        self._inflight.pop(packet_id, None)
        if self._waiting:
            self._heard_s = time.monotonic()
            self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the client lets us."""
        link = self.link
        while self._waiting and link and len(self._inflight) < link.window and not link.congested:
            queued = self._unqueue()
            # One that was sent before may have arrived: only its PUBACK ends it, however old it is.
            if fresh := queued.outgoing if queued.packet_id else queued.outgoing.now():
                self._send(link, fresh, queued.packet_id)
            else:
                self._tally.dropped += 1
        if len(self._waiting) < limits.MAX_LAG:
            self._tally.lagging.discard(self)

    def attach(self, link: Link) -> None:
        """The client is there: what it has not acknowledged goes out first, then what waited.

        As on AWS, that may take its time, while what comes now goes out at once.
        """
        self.link = link
        self._heard_s = time.monotonic()  # it has not had its turn yet: that is no silence
        if link.resumed_a_second:
            self._stored, self._waiting = self._waiting, self._stored
            self._drip()
        else:
            self.pump()

    def detach(self) -> None:
        """The client is gone: what is in flight waits, in order, in front of what waited already."""
        self.link = None
        if self._dripping:
            self._dripping.cancel()
        self._waiting.extendleft(reversed(self._stored))
        self._stored.clear()
        for packet_id, outgoing in reversed(self._inflight.items()):
            self._waiting.appendleft(_Queued(outgoing, packet_id))
            self._waiting_bytes += outgoing.size
        self._spoken_for.update(self._inflight)
        self._inflight.clear()
        self._tally.lagging.discard(self)
        self._trim()

    def _drip(self) -> None:
        """Let the next of what was stored go out; the others follow, a second later."""
        if self.link:
            for _ in range(min(self.link.resumed_a_second, len(self._stored))):
                self._waiting.append(self._stored.popleft())
            self.pump()
        if self._stored:
            self._dripping = asyncio.get_running_loop().call_later(1, self._drip)

    def _deliver_once(self, outgoing: Outgoing, link: Link | None) -> None:
        if link is None:
            return  # as on AWS, only QoS 1 is kept for the absent
        if link.congested or len(packet := outgoing.wire(link.version, 0).head) > link.max_packet:
            self._tally.dropped += 1
        else:
            self._tally.sent += 1
            link.send(packet)

    def _send(self, link: Link, outgoing: Outgoing, packet_id: int) -> None:
        wire = outgoing.wire(link.version, 1)
        if packet_id:
            packet = wire.sent_again(packet_id)
        else:
            packet_id = self._free_id()
            packet = wire.sent(packet_id)
        if len(packet) > link.max_packet:  # as if it had been delivered [MQTT-3.1.2-25]
            self._tally.dropped += 1
            return
        self._inflight[packet_id] = outgoing
        self._tally.sent += 1
        link.send(packet)

    def _free_id(self) -> int:
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self._inflight and self._last_id not in self._spoken_for:
                return self._last_id

    def _queue(self, outgoing: Outgoing) -> None:
        self._waiting.append(_Queued(outgoing))
        self._waiting_bytes += outgoing.size
        if self.link is None:
            self._trim()
        elif len(self._waiting) > limits.MAX_QUEUED or self._waiting_bytes > limits.MAX_QUEUED_BYTES:
            self.link.overrun()
        elif len(self._waiting) >= limits.MAX_LAG and self.client.rights.trusted:
            self._tally.lagging.add(self)

    def _unqueue(self) -> _Queued:
        queued = self._waiting.popleft()
        self._waiting_bytes -= queued.outgoing.size
        self._spoken_for.discard(queued.packet_id)
        return queued

    def _trim(self) -> None:
        # The oldest goes: of a shadow only the newest state counts.
        while len(self._waiting) > limits.MAX_STORED or self._waiting_bytes > limits.MAX_STORED_BYTES:
            self._unqueue()
            self._tally.dropped += 1
