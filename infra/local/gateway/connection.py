"""One client's connection, from CONNECT to its end: the order of the packets, and who may send which."""

import asyncio
import hmac
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from infra.local.gateway import limits, packets
from infra.local.gateway.broker import Broker, Pending
from infra.local.gateway.certificates import Certificate, Tls
from infra.local.gateway.limits import Quotas
from infra.local.gateway.packets import V3, V5, Asked, Message, Property, ProtocolError, Reason
from infra.local.gateway.policy import KIOSK, Client, Rights, is_client_id
from infra.local.gateway.presence import Leaving, Visit
from infra.local.gateway.session import Session, Subscription
from infra.local.gateway.topics import is_filter, is_topic

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What holds for everyone who comes in by one listener.

    Attributes:
        users: names and their passwords; None if nobody has to log in.
        tls: what certificates may do; None if nobody needs one.
        throttle: whether AWS's rates are kept: publishes, bytes, and stored messages a second.
        quotas: the other limits.
        pages: whether web pages of other machines may come in, by WebSocket.
        most: clients that may be in at the same time.
        inside: the sockets that are.
    """

    rights: Rights
    users: Mapping[str, str] | None = field(repr=False)
    throttle: bool
    quotas: Quotas = limits.AWS
    tls: Tls | None = None
    pages: bool = True
    most: int = limits.MAX_CLIENTS
    inside: set[Any] = field(default_factory=set, compare=False, repr=False)


class Outlet(Protocol):
    """The socket of a connection, as far as the connection knows it.

    Attributes:
        certificate: of the client; None if it needed none.
    """

    certificate: Certificate | None

    def write(self, packets: bytes) -> None: ...

    def pause(self) -> None:
        """Read nothing more for now."""

    def resume(self) -> None: ...

    def close(self) -> None:
        """Send what is written, then close; nothing more will be written."""


class _Rate:
    """What passes in a second; what passes at once beyond that takes its seconds afterwards."""

    def __init__(self, a_second: int) -> None:
        self._a_second, self._began_s, self._ends_s, self._passed = a_second, 0.0, 0.0, 0

    def passed(self, amount: int, now_s: float) -> float:
        """Count it; the answer is how many seconds later more may pass."""
        if now_s >= self._ends_s:
            self._began_s, self._passed = now_s, 0
        self._passed += amount
        self._ends_s = self._began_s + max(1.0, self._passed / self._a_second)
        return self._ends_s - now_s if self._passed >= self._a_second else 0.0


@dataclass(slots=True)
class _Owed:
    """A PUBACK, or PUBREC, that waits for the hooks, or for those before it [MQTT-4.6.0-2].

    A message of QoS 0, packet id 0, gets none, but it counts: what a client has in the hooks is bounded.
    """

    packet_id: int
    unfinished: int
    code: Reason
    qos: int


class Connection:
    """The server's end of one MQTT connection; a `Link` to its session.

    Attributes:
        version: MQTT's, as CONNECT calls it; 0 before CONNECT.
        window: QoS 1 messages that the client lets us have unacknowledged.
        max_packet: the client takes no larger one.
    """

    def __init__(self, broker: Broker, outlet: Outlet, entrance: Entrance, address: str) -> None:
        self.version = 0
        self.resumed_a_second = limits.MAX_RESUMED if entrance.throttle else 0
        self.max_packet = 0xFFFF_FFFF  # unless the client says otherwise
        self._broker, self._outlet, self._entrance, self._address = broker, outlet, entrance, address
        self._rights, self._quotas = entrance.rights, entrance.quotas
        self.window = self._quotas.unacknowledged
        self._loop = asyncio.get_running_loop()
        self._decoder = packets.Decoder(self._quotas.packet, self._quotas.qos)
        self._session: Session | None = None
        self._visit: Visit | None = None
        self._will: packets.Will | None = None
        self._expiry_s = 0
        self._ended = False
        self._aliases: dict[int, str] = {}
        self._published = set[str]()  # topics that it may publish to
        self._owed: deque[_Owed] = deque()
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._stalled = self.congested = False
        self._held = False  # no further packet is taken for now
        self._resting: asyncio.Handle | None = None
        is_kiosk = self._rights is KIOSK
        self._publishes = _Rate(limits.MAX_QUESTIONS if is_kiosk else limits.MAX_PUBLISHES)
        self._bytes_in = _Rate(limits.MAX_THROUGHPUT)
        self._bytes_out = _Rate(limits.MAX_SHOWN if is_kiosk else limits.MAX_THROUGHPUT)
        self._flushing: asyncio.TimerHandle | None = None  # a flush that has to wait
        self._flush_from_s = 0.0
        self._heard = self._loop.time()
        self._patience_s = 0.0
        self._alarm = self._loop.call_later(limits.CONNECT_S, self._too_late)

    # What the listener calls

    def received(self, more: bytes) -> None:
        if not self._ended:
            self._heard = self._loop.time()
            self._decoder.feed(more)
            if self._entrance.throttle and (rest_s := self._bytes_in.passed(len(more), self._heard)):
                self._rest(rest_s)
            self._work()

    def stall(self, stalled: bool) -> None:
        """The system takes no more of our output for now, or takes it again."""
        self._stalled = self.congested = stalled
        if self._session and not stalled:
            self._session.pump()

    def lost(self) -> None:
        """The socket is gone."""
        if not self._ended:
            self._stop()
            self._leave(Leaving.CONNECTION_LOST)

    def shut_down(self) -> None:
        self._end(Reason.SHUTTING_DOWN, Leaving.SERVER_INITIATED)

    # What the session calls

    def send(self, packet: bytes) -> None:
        """Write at the end of this turn of the loop, in one piece with all else that is sent in it."""
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(packet)
        self._output_bytes += len(packet)
        if self._output_bytes > limits.MAX_OUTPUT:
            self.congested = True

    def overrun(self) -> None:
        # Not at once: whoever is told that this client left may be overrun by that, and so on.
        self._loop.call_soon(self._end, Reason.QUOTA_EXCEEDED, Leaving.SERVER_INITIATED)

    def taken_over(self) -> None:
        self._end(Reason.TAKEN_OVER, Leaving.DUPLICATE_CLIENT_ID)

    # Reading

    def _work(self) -> None:
        """Take packets until there are no more, or it is time to let the client or the others wait."""
        try:
            for _ in range(limits.MAX_BURST):
                if self._held:
                    break
                packet = self._decoder.next()
                if packet is None:
                    self._outlet.resume()
                    return
                _HANDLERS[type(packet)](self, packet)
            self._wait()
        except ProtocolError as wrong:
            self._refuse(wrong)

    def _wait(self) -> None:
        """Whoever holds us wakes us; after a burst that is the next turn of the loop."""
        if not self._held:
            self._rest(0)
        elif not self._ended:
            self._outlet.pause()

    def _rest(self, seconds: float) -> None:
        """Take nothing more for a while; 0 is until the next turn of the loop."""
        if self._resting:
            self._resting.cancel()
        self._held = True
        self._outlet.pause()
        self._resting = self._loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._go_on()

    def _go_on(self) -> None:
        """Read on, unless something else still holds us."""
        self._held = (
            self._ended or self._resting is not None or len(self._owed) >= self._quotas.unacknowledged
        )
        if not self._held:
            self._heard = self._loop.time()
            self._work()

    def _flush(self) -> None:
        """Write what there is to write, or do so once the client may have more."""
        wait_s = self._flush_from_s - self._loop.time()
        if wait_s > 0 and not self._ended:
            self._flushing = self._loop.call_later(wait_s, self._flush)
        elif self._output:
            self._write()

    def _write(self) -> None:
        output = b"".join(self._output)
        self._output.clear()
        if self._entrance.throttle:
            now_s = self._loop.time()
            self._flush_from_s = now_s + self._bytes_out.passed(len(output), now_s)
        self._output_bytes, was_congested, self.congested = 0, self.congested, self._stalled
        self._outlet.write(output)
        if was_congested and self._session:
            self._session.pump()

    # CONNECT

    def _connect(self, packet: packets.Connect) -> None:
        self.version = packet.version
        client = self._client(packet)
        self._rights = client.rights
        refusal = self._refusal(packet, client)
        if refusal is not None:
            self._end(refusal, Leaving.CLIENT_ERROR)
            return
        self._take_terms(packet)
        self._session, present = self._broker.arrive(self, client, clean=packet.clean)
        said = self._announced(packet, client) if packet.version == V5 else None
        self.send(packets.connack(packet.version, Reason.SUCCESS, present=present, properties=said))
        self._session.attach(self)
        self._visit = self._broker.welcome(client, _keep_alive_s(packet))

    def _client(self, packet: packets.Connect) -> Client:
        assigned = not packet.client_id and (packet.clean or packet.version == V5)
        client_id = str(uuid.uuid4()) if assigned else packet.client_id
        return Client(
            id=client_id,
            rights=self._rights_of(client_id),
            address=self._address,
            user=self._user(packet),
            certificate=self._outlet.certificate.fingerprint if self._outlet.certificate else "",
        )

    def _rights_of(self, client_id: str) -> Rights:
        if self._entrance.tls is None:
            return self._entrance.rights.of(client_id)
        assert self._outlet.certificate is not None, "the handshake lets nobody pass without"
        return self._entrance.tls.rights(self._outlet.certificate, client_id)

    def _refusal(self, packet: packets.Connect, client: Client) -> Reason | None:
        if len(self._entrance.inside) > self._entrance.most:
            return Reason.QUOTA_EXCEEDED
        if Property.AUTHENTICATION_METHOD in packet.properties:
            return Reason.BAD_AUTHENTICATION_METHOD
        if not self._may_enter(packet):
            return Reason.BAD_LOGIN
        if not is_client_id(client.id):
            return Reason.CLIENT_ID_INVALID
        if not client.rights.may_connect(client.id):
            return Reason.NOT_AUTHORIZED
        if packet.will and client.rights.leaves_messages:
            return self._will_refusal(packet.will.message)
        return None

    def _may_enter(self, packet: packets.Connect) -> bool:
        users = self._entrance.users
        if users is None:
            return True
        # An unknown name costs the same time as a wrong password.
        expected = users.get(self._user(packet), "")
        same = hmac.compare_digest(expected.encode(), packet.password or b"")
        return same and self._user(packet) in users

    def _user(self, packet: packets.Connect) -> str:
        """The name to log in with; what AWS's SDKs append to it as a query is about them."""
        if self._entrance.users is None or packet.username is None:
            return ""
        return packet.username.partition("?")[0]

    def _will_refusal(self, message: Message) -> Reason | None:
        if message.qos > self._quotas.qos:
            return Reason.QOS_NOT_SUPPORTED
        return self._message_refusal(message)

    def _take_terms(self, packet: packets.Connect) -> None:
        said = packet.properties
        self._will = packet.will if self._rights.leaves_messages else None
        self.window = min(said.get(Property.RECEIVE_MAXIMUM, self.window), self.window)
        self.max_packet = said.get(Property.MAXIMUM_PACKET, self.max_packet)
        asked_s = (
            said.get(Property.SESSION_EXPIRY, 0)
            if packet.version == V5
            else 0
            if packet.clean
            else 0xFFFFFFFF
        )
        self._expiry_s = min(asked_s, limits.MAX_SESSION_S)
        self._patience_s = _keep_alive_s(packet) * 1.5
        self._alarm.cancel()
        self._alarm = self._loop.call_later(self._patience_s, self._listen_for_life)

    def _announced(self, packet: packets.Connect, client: Client) -> dict[Property, Any]:
        """CONNACK's properties: our limits, and what we settled differently from what the client asked."""
        said: dict[Property, Any] = {
            Property.RECEIVE_MAXIMUM: self._quotas.unacknowledged,
            Property.MAXIMUM_QOS: 1,
            Property.MAXIMUM_PACKET: self._quotas.packet,
            Property.ALIAS_MAXIMUM: limits.MAX_ALIASES,
            Property.SUBSCRIPTION_IDS_AVAILABLE: 0,
            Property.SHARED_AVAILABLE: 0,
        }
        if self._quotas.qos > 1:
            del said[Property.MAXIMUM_QOS]  # 2 is what MQTT supposes
        if client.id != packet.client_id:
            said[Property.ASSIGNED_CLIENT_ID] = client.id
        if (keep_alive_s := _keep_alive_s(packet)) != packet.keep_alive_s:
            said[Property.SERVER_KEEP_ALIVE] = keep_alive_s
        if self._expiry_s != packet.properties.get(Property.SESSION_EXPIRY, 0):
            said[Property.SESSION_EXPIRY] = self._expiry_s
        return said

    # PUBLISH, from the client

    def _publish(self, packet: packets.Publish) -> None:
        message = self._aliased(packet) if packet.alias else packet.message
        refusal = self._message_refusal(message)
        if refusal is None and message.qos > 1:
            self._publish_once(packet.packet_id, message)
        elif refusal is None:
            self._owe(packet.packet_id, self._broker.accept(message, self._here()))
            self._pace()
        else:
            self._refuse_publish(packet, refusal)

    def _publish_once(self, packet_id: int, message: Message) -> None:
        """QoS 2: what comes again before it is released is only acknowledged again. It goes on with QoS 1."""
        session = self._here()
        if len(session.unreleased) >= limits.MAX_RELEASED:
            raise ProtocolError(Reason.QUOTA_EXCEEDED, "too many messages that are not released")
        again = packet_id in session.unreleased
        self._owe(packet_id, [] if again else self._broker.accept(message._replace(qos=1), session), qos=2)
        self._pace()

    def _pubrel(self, packet: packets.Pubrel) -> None:
        known = packet.packet_id in self._here().unreleased
        self._here().unreleased.discard(packet.packet_id)
        found = Reason.SUCCESS if known or self.version == V3 else Reason.PACKET_ID_NOT_FOUND
        self.send(packets.pubcomp(packet.packet_id, found))

    def _aliased(self, packet: packets.Publish) -> Message:
        if packet.alias > limits.MAX_ALIASES:
            raise ProtocolError(Reason.ALIAS_INVALID, f"a topic alias is at most {limits.MAX_ALIASES}")
        if packet.message.topic:
            self._aliases[packet.alias] = packet.message.topic
            return packet.message
        if packet.alias not in self._aliases:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "a topic alias that stands for no topic yet")
        return packet.message._replace(topic=self._aliases[packet.alias])

    def _message_refusal(self, message: Message) -> Reason | None:
        """Why nobody, or not this client, may publish a message; None if it may."""
        topic = message.topic
        known = topic in self._published
        if not (known or is_topic(topic, self._quotas)):
            return Reason.TOPIC_INVALID
        if len(message.payload) > self._quotas.payload:
            return Reason.PACKET_TOO_LARGE
        if not (known or self._may_publish(topic)):
            return Reason.NOT_AUTHORIZED
        if message.retain and not self._rights.may_retain(message.topic):
            return Reason.NOT_AUTHORIZED
        return Reason.QUOTA_EXCEEDED if message.retain and not self._broker.has_room(message) else None

    def _may_publish(self, topic: str) -> bool:
        """Whether it may, which is remembered: its rights stay as they are, and most clients have few topics."""
        if not self._rights.may_publish(topic):
            return False
        if len(self._published) >= limits.MAX_TOPICS:
            self._published.clear()
        self._published.add(topic)
        return True

    def _refuse_publish(self, packet: packets.Publish, code: Reason) -> None:
        """In MQTT 5 a trusted client hears it in its PUBACK; all others are cut off, as on AWS."""
        if self.version == V5 and packet.message.qos and self._rights.trusted:
            self._broker.tally.refused += 1
            self._owe(packet.packet_id, [], code, qos=packet.message.qos)
        else:
            self._end(code, _LEAVING.get(code, Leaving.CLIENT_ERROR))

    def _owe(
        self,
        packet_id: int,
        pending: list[Pending],
        code: Reason = Reason.SUCCESS,
        *,
        qos: int = 1,
    ) -> None:
        if not (pending or self._owed):
            self._pay(packet_id, code, qos)
            return
        owed = _Owed(packet_id, len(pending), code, qos)
        self._owed.append(owed)
        self._held = self._held or len(self._owed) >= self._quotas.unacknowledged
        for future in pending:
            future.add_done_callback(partial(self._finished, owed))

    def _pay(self, packet_id: int, code: Reason, qos: int) -> None:
        if qos > 1:
            # Not before: should a hook fail, the message has to come again.
            if code is Reason.SUCCESS:
                self._here().unreleased.add(packet_id)
            self.send(packets.pubrec(packet_id, code))
        elif packet_id:
            self.send(packets.puback(packet_id, code))

    def _finished(self, owed: _Owed, future: Any) -> None:
        failed = future.cancelled() or future.exception() is not None
        if self._ended:
            return
        if failed and owed.packet_id:
            # Without its PUBACK the client sends the message again when it is back.
            self._end(Reason.UNSPECIFIED, Leaving.SERVER_ERROR)
            return
        owed.unfinished -= 1
        while self._owed and not self._owed[0].unfinished:
            paid = self._owed.popleft()
            self._pay(paid.packet_id, paid.code, paid.qos)
        if self._held:
            self._go_on()

    def _pace(self) -> None:
        """Slow down who publishes faster than AWS allows, or than others read; what waits in the socket is not lost."""
        rest_s = limits.LAG_REST_S if self._broker.lagging() else 0.0
        if self._entrance.throttle:
            rest_s = max(rest_s, self._publishes.passed(1, self._loop.time()))
        if rest_s:
            self._rest(rest_s)

    # The other packets

    def _puback(self, packet: packets.Puback) -> None:
        self._here().acknowledged(packet.packet_id)

    def _subscribe(self, packet: packets.Subscribe) -> None:
        session = self._here()
        if Property.SUBSCRIPTION_ID in packet.properties:
            raise ProtocolError(
                Reason.SUBSCRIPTION_IDS_NOT_SUPPORTED, "subscription identifiers are not available"
            )
        if self.version == V3 and any(asked.qos > self._quotas.qos for asked in packet.asked):
            # MQTT 5 tells the client beforehand that there is no QoS 2; in 3.1.1 AWS sends no SUBACK.
            log.info("%s subscribes with QoS 2: as on AWS it gets no answer", session.client.id)
            return
        fits = len(packet.asked) <= self._quotas.filters
        answers = [
            self._grant(session, asked) if fits else (Reason.QUOTA_EXCEEDED, False) for asked in packet.asked
        ]
        self._broker.tally.refused += sum(code >= Reason.UNSPECIFIED for code, _ in answers)
        self.send(packets.suback(self.version, packet.packet_id, [code for code, _ in answers]))
        for asked, (code, new) in zip(packet.asked, answers, strict=True):
            if code < Reason.UNSPECIFIED and (
                asked.retain_handling == 0 or (asked.retain_handling == 1 and new)
            ):
                self._send_retained(session, asked.filter, code)
        granted = [asked.filter for asked, (code, _) in zip(packet.asked, answers, strict=True) if code < 2]
        self._broker.tell_subscribed(self._visiting(), granted)

    def _grant(self, session: Session, asked: Asked) -> tuple[int, bool]:
        """SUBACK's code for one filter, and whether it is new."""
        if asked.filter.startswith("$share/"):
            return Reason.SHARED_NOT_SUPPORTED, False
        if not is_filter(asked.filter, self._quotas):
            return Reason.FILTER_INVALID, False
        if not self._rights.may_subscribe(asked.filter):
            return Reason.NOT_AUTHORIZED, False
        if (
            asked.filter not in session.subscriptions
            and len(session.subscriptions) >= self._quotas.subscriptions
        ):
            return Reason.QUOTA_EXCEEDED, False
        qos = min(asked.qos, 1)
        return qos, self._broker.subscribe(
            session, asked.filter, Subscription(qos, asked.no_local, asked.as_published)
        )

    def _send_retained(self, session: Session, topic: str, qos: int) -> None:
        outgoing = self._broker.retained(topic)
        if outgoing and self._rights.may_receive(topic):
            session.deliver(outgoing, min(qos, outgoing.message.qos))

    def _unsubscribe(self, packet: packets.Unsubscribe) -> None:
        session = self._here()
        there = [self._broker.unsubscribe(session, topic_filter) for topic_filter in packet.filters]
        codes = [Reason.SUCCESS if was else Reason.NO_SUBSCRIPTION for was in there]
        self.send(packets.unsuback(self.version, packet.packet_id, codes))
        gone = [topic_filter for topic_filter, was in zip(packet.filters, there, strict=True) if was]
        self._broker.tell_unsubscribed(self._visiting(), gone)

    def _pingreq(self, _packet: packets.Pingreq) -> None:
        self.send(packets.PINGRESP)

    def _disconnect(self, packet: packets.Disconnect) -> None:
        asked_s = packet.properties.get(Property.SESSION_EXPIRY, self._expiry_s)
        if asked_s and not self._expiry_s:
            raise ProtocolError(
                Reason.PROTOCOL_ERROR, "a session that was to end now cannot be kept [MQTT-3.1.2-23]"
            )
        self._expiry_s = min(asked_s, limits.MAX_SESSION_S)
        if packet.code != Reason.DISCONNECT_WITH_WILL:
            self._will = None
        self._end(None, Leaving.CLIENT_INITIATED)

    def _here(self) -> Session:
        assert self._session is not None, "the decoder lets nothing pass before CONNECT"
        return self._session

    def _visiting(self) -> Visit:
        assert self._visit is not None, "it begins with CONNECT"
        return self._visit

    # The end

    def _too_late(self) -> None:
        self._end(Reason.KEEP_ALIVE_TIMEOUT, Leaving.CLIENT_ERROR)

    def _listen_for_life(self) -> None:
        """Cut the client off after one and a half of its keep-alive times; while we do not read, it is not to blame."""
        if self._held:
            self._heard = self._loop.time()
        left_s = self._heard + self._patience_s - self._loop.time()
        if left_s <= 0:
            self._end(Reason.KEEP_ALIVE_TIMEOUT, Leaving.KEEP_ALIVE_TIMEOUT)
        else:
            self._alarm = self._loop.call_later(left_s, self._listen_for_life)

    def _refuse(self, wrong: ProtocolError) -> None:
        log.debug("A client at %s: %s", self._address, wrong)
        if wrong.code is Reason.UNSUPPORTED_VERSION:
            self.version = V3  # its CONNACK is what every version understands
        self._end(wrong.code, Leaving.CLIENT_ERROR, str(wrong))

    def _end(self, code: Reason | None, why: Leaving, text: str = "") -> None:
        """Say why, if MQTT has words for it, and close; None: the client knows."""
        if self._ended:
            return
        self._stop()
        self._broker.tally.refused += why in (Leaving.CLIENT_ERROR, *_LEAVING.values())
        if code is not None:
            self._last_words(code, text)
        self._flush()
        self._outlet.close()
        self._leave(why)

    def _last_words(self, code: Reason, text: str) -> None:
        if self._session is None and self.version:
            self.send(packets.connack(self.version, code))
        elif self._session and self.version == V5:
            explained = packets.disconnect(code, text)
            self.send(explained if len(explained) <= self.max_packet else packets.disconnect(code))

    def _stop(self) -> None:
        self._ended = self._held = True
        self._alarm.cancel()
        for alarm in (self._resting, self._flushing):
            if alarm:
                alarm.cancel()

    def _leave(self, why: Leaving) -> None:
        if self._session and self._visit:
            silent_s = self._loop.time() - self._heard
            self._broker.leave(
                self._session,
                self._visit,
                why,
                will=self._will,
                expiry_s=self._expiry_s,
                silent_s=silent_s,
            )


def _keep_alive_s(packet: packets.Connect) -> int:
    asked_s = packet.keep_alive_s or limits.MAX_KEEP_ALIVE_S
    return min(max(asked_s, limits.MIN_KEEP_ALIVE_S), limits.MAX_KEEP_ALIVE_S)


_LEAVING: Final = {
    Reason.NOT_AUTHORIZED: Leaving.FORBIDDEN_ACCESS,
    Reason.QUOTA_EXCEEDED: Leaving.THROTTLED,
}
_HANDLERS: Final[Mapping[type, Callable[[Connection, Any], None]]] = {
    packets.Connect: Connection._connect,
    packets.Publish: Connection._publish,
    packets.Puback: Connection._puback,
    packets.Pubrel: Connection._pubrel,
    packets.Subscribe: Connection._subscribe,
    packets.Unsubscribe: Connection._unsubscribe,
    packets.Pingreq: Connection._pingreq,
    packets.Disconnect: Connection._disconnect,
}
