"""MQTT 3.1.1 and MQTT 5 on the wire: bytes to packets and packets to bytes, a server's side of it, without a socket.

A `Decoder` takes bytes as they come and gives whole packets; functions named after the packets encode what a server
sends. Whatever a client can get wrong is one `ProtocolError` with the reason code that MQTT 5 has for it.

Packets and messages are named tuples: tens of thousands are made a second, and a frozen dataclass takes three times
as long to make. For the same reason the ways of PUBLISH and PUBACK are written out where a call would do.

Source: OASIS MQTT Version 3.1.1 and MQTT Version 5.0; the numbers in brackets are their statements.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

V3: Final = 4  # MQTT 3.1.1, as its CONNECT calls it
V5: Final = 5


class Reason(IntEnum):
    """MQTT 5's reason codes, as far as we use them."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_SUBSCRIPTION = 0x11
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_INVALID = 0x85
    BAD_LOGIN = 0x86
    NOT_AUTHORIZED = 0x87
    SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    TAKEN_OVER = 0x8E
    FILTER_INVALID = 0x8F
    TOPIC_INVALID = 0x90
    PACKET_ID_NOT_FOUND = 0x92
    ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_NOT_SUPPORTED = 0x9E
    SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1


class ProtocolError(Exception):
    """What a client sent is not MQTT, or not the MQTT that we announce.

    Attributes:
        code: MQTT 5's reason code for it.
    """

    def __init__(self, code: Reason, message: str) -> None:
        super().__init__(message)
        self.code = code


class Property(IntEnum):
    """The MQTT 5 properties that a client may send or that we send."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    ALIAS_MAXIMUM = 0x22
    ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    USER = 0x26
    MAXIMUM_PACKET = 0x27
    SUBSCRIPTION_IDS_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


Properties = Mapping[Property, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishProperties:
    """What a publisher of MQTT 5 says beside the payload, forwarded as it came; None is "not said".

    Attributes:
        payload_format: 1 if the payload is UTF-8 text, 0 if it is bytes.
        expiry_s: seconds after which nobody wants the message any more.
    """

    payload_format: int | None = None
    expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()


NOTHING_SAID: Final = PublishProperties()


class Message(NamedTuple):
    """An application message, whoever publishes it."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: PublishProperties = NOTHING_SAID


class Will(NamedTuple):
    """What to publish if the client is lost, and how many seconds later."""

    message: Message
    delay_s: int


class Connect(NamedTuple):
    version: int
    client_id: str
    clean: bool
    keep_alive_s: int
    will: Will | None
    username: str | None
    password: bytes | None
    properties: Properties


class Publish(NamedTuple):
    """A message of a client; ``alias`` is 0 for none, and with one the topic may be empty."""

    message: Message
    packet_id: int
    dup: bool
    alias: int


class Puback(NamedTuple):
    packet_id: int
    code: int


class Pubrel(NamedTuple):
    """The second word of who sends with QoS 2."""

    packet_id: int


class Asked(NamedTuple):
    """One line of a SUBSCRIBE; the last three are MQTT 5's."""

    filter: str
    qos: int
    no_local: bool
    as_published: bool
    retain_handling: int


class Subscribe(NamedTuple):
    packet_id: int
    asked: tuple[Asked, ...]
    properties: Properties


class Unsubscribe(NamedTuple):
    packet_id: int
    filters: tuple[str, ...]


class Pingreq(NamedTuple):
    pass


class Disconnect(NamedTuple):
    code: int
    properties: Properties


Packet = Connect | Publish | Puback | Pubrel | Subscribe | Unsubscribe | Pingreq | Disconnect


class _Reader:
    """The fields of one packet's body, one after the other."""

    __slots__ = ("_at", "_body", "_end")

    def __init__(self, body: bytes) -> None:
        self._body, self._at, self._end = body, 0, len(body)

    def take(self, size: int) -> bytes:
        start = self._at
        self._at += size
        if self._at > self._end:
            raise ProtocolError(Reason.MALFORMED, "the packet ends in the middle of a field")
        return self._body[start : self._at]

    def more(self) -> bool:
        return self._at < self._end

    def rest(self) -> bytes:
        return self.take(self._end - self._at)

    def byte(self) -> int:
        return self.take(1)[0]

    def flag(self) -> int:
        if (value := self.byte()) > 1:
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"a property that is 0 or 1 is {value}")
        return value

    def two(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def count(self) -> int:
        return _not_zero(self.two())

    def packet_id(self) -> int:
        return self.count()

    def four(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def size(self) -> int:
        return _not_zero(self.four())

    def varint(self) -> int:
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ProtocolError(Reason.MALFORMED, "a variable byte integer of more than four bytes")

    def binary(self) -> bytes:
        return self.take(self.two())

    def string(self) -> str:
        return _text(self.binary())

    def pair(self) -> tuple[str, str]:
        return self.string(), self.string()

    def properties(self, allowed: frozenset[Property]) -> Properties:
        inner = _Reader(self.take(self.varint()))
        found: dict[Property, Any] = {}
        users: list[tuple[str, str]] = []
        while inner.more():
            name = inner._property(allowed)
            if name is Property.USER:
                users.append(inner.pair())
            elif name in found:
                raise ProtocolError(Reason.PROTOCOL_ERROR, f"{name.name} comes twice")
            else:
                found[name] = _SHAPES[name].read(inner)
        if users:
            found[Property.USER] = tuple(users)
        return found

    def _property(self, allowed: frozenset[Property]) -> Property:
        number = self.varint()
        if number not in allowed:
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"property {number:#x} does not belong here")
        return Property(number)


def _not_zero(value: int) -> int:
    if value == 0:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "a number that must not be 0 is 0")
    return value


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()  # strict: no surrogates either [MQTT-1.5.4-1]
    except UnicodeDecodeError:
        raise ProtocolError(Reason.MALFORMED, "a string is not UTF-8") from None
    if "\0" in text:
        raise ProtocolError(Reason.MALFORMED, "a string holds U+0000")
    return text


def _byte(value: int) -> bytes:
    return value.to_bytes(1, "big")


def _two(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _four(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def _binary(value: bytes) -> bytes:
    return _two(len(value)) + value


def _string(value: str) -> bytes:
    return _binary(value.encode())


class _Shape(NamedTuple):
    read: Callable[[_Reader], Any]
    write: Callable[[Any], bytes]


_FLAG: Final = _Shape(_Reader.flag, _byte)
_TWO: Final = _Shape(_Reader.two, _two)
_COUNT: Final = _Shape(_Reader.count, _two)
_FOUR: Final = _Shape(_Reader.four, _four)
_STRING: Final = _Shape(_Reader.string, _string)
_BINARY: Final = _Shape(_Reader.binary, _binary)

_SHAPES: Final[Mapping[Property, _Shape]] = {
    Property.PAYLOAD_FORMAT: _FLAG,
    Property.MESSAGE_EXPIRY: _FOUR,
    Property.CONTENT_TYPE: _STRING,
    Property.RESPONSE_TOPIC: _STRING,
    Property.CORRELATION: _BINARY,
    Property.SUBSCRIPTION_ID: _Shape(_Reader.varint, _varint),
    Property.SESSION_EXPIRY: _FOUR,
    Property.ASSIGNED_CLIENT_ID: _STRING,
    Property.SERVER_KEEP_ALIVE: _TWO,
    Property.AUTHENTICATION_METHOD: _STRING,
    Property.AUTHENTICATION_DATA: _BINARY,
    Property.REQUEST_PROBLEM_INFORMATION: _FLAG,
    Property.WILL_DELAY: _FOUR,
    Property.REQUEST_RESPONSE_INFORMATION: _FLAG,
    Property.REASON_STRING: _STRING,
    Property.RECEIVE_MAXIMUM: _COUNT,
    Property.ALIAS_MAXIMUM: _TWO,
    Property.ALIAS: _TWO,
    Property.MAXIMUM_QOS: _FLAG,
    Property.MAXIMUM_PACKET: _Shape(_Reader.size, _four),
    Property.SUBSCRIPTION_IDS_AVAILABLE: _FLAG,
    Property.SHARED_AVAILABLE: _FLAG,
}

_FORWARDED: Final[Mapping[Property, str]] = {
    Property.PAYLOAD_FORMAT: "payload_format",
    Property.MESSAGE_EXPIRY: "expiry_s",
    Property.CONTENT_TYPE: "content_type",
    Property.RESPONSE_TOPIC: "response_topic",
    Property.CORRELATION: "correlation",
    Property.USER: "user",
}

_IN_PUBLISH: Final = frozenset({*_FORWARDED, Property.ALIAS})
_IN_WILL: Final = frozenset({*_FORWARDED, Property.WILL_DELAY})
_IN_PUBACK: Final = frozenset({Property.REASON_STRING, Property.USER})
_IN_SUBSCRIBE: Final = frozenset({Property.SUBSCRIPTION_ID, Property.USER})
_IN_UNSUBSCRIBE: Final = frozenset({Property.USER})
_IN_DISCONNECT: Final = frozenset({Property.SESSION_EXPIRY, Property.REASON_STRING, Property.USER})
_IN_CONNECT: Final = frozenset(
    {
        Property.SESSION_EXPIRY,
        Property.AUTHENTICATION_METHOD,
        Property.AUTHENTICATION_DATA,
        Property.REQUEST_PROBLEM_INFORMATION,
        Property.REQUEST_RESPONSE_INFORMATION,
        Property.RECEIVE_MAXIMUM,
        Property.ALIAS_MAXIMUM,
        Property.MAXIMUM_PACKET,
        Property.USER,
    }
)

# Packet kinds: the first four bits of a packet.
_CONNECT: Final = 1
_PUBLISH: Final = 3
_PUBACK: Final = 4
_PUBREL: Final = 6
_SUBSCRIBE: Final = 8
_UNSUBSCRIBE: Final = 10
_PINGREQ: Final = 12
_DISCONNECT: Final = 14


class Decoder:
    """What one client sends: feed it bytes as they come, take whole packets from it.

    The first packet must be CONNECT and no other may be; it settles the version of the rest.
    """

    __slots__ = ("_at", "_buffer", "_max_packet", "_max_qos", "_version")

    def __init__(self, max_packet: int, max_qos: int = 1) -> None:
        self._buffer, self._at = b"", 0
        self._max_packet, self._max_qos, self._version = max_packet, max_qos, 0

    def feed(self, more: bytes) -> None:
        """Add what came; it is looked at only by `next`."""
        self._buffer, self._at = self._buffer[self._at :] + more, 0

    def next(self) -> Packet | None:
        """Take the next packet, None if it is not whole yet.

        Raises:
            ProtocolError: also for the first bytes of a packet that is too large, or whose kind cannot come now.
        """
        buffer, start = self._buffer, self._at + 2
        if len(buffer) < start:
            return None
        first, size = buffer[start - 2], buffer[start - 1]
        if size > 0x7F:
            start, size = self._long_size(start - 1)
        if (first >> 4 == _CONNECT) is (self._version != 0):
            raise ProtocolError(Reason.PROTOCOL_ERROR, "CONNECT comes first, and once")
        end = start + size
        if start == 0 or end > len(buffer):
            return None
        self._at = end
        if first >> 4 == _PUBLISH:
            if (qos := first >> 1 & 3) > self._max_qos:
                raise ProtocolError(*_NO_QOS[qos])
            return _publish(first, buffer, start, end, self._version)
        if first == _PUBACK << 4 and size == 2:
            return Puback(_not_zero(buffer[start] << 8 | buffer[start + 1]), Reason.SUCCESS)
        return self._other(first, buffer[start:end])

    def _long_size(self, at: int) -> tuple[int, int]:
        """A body whose size takes more than a byte: where it starts, 0 if that is not known yet, and the size."""
        size = 0
        for place, byte in enumerate(self._buffer[at : at + 4]):
            size |= (byte & 0x7F) << 7 * place
            if size > self._max_packet:
                raise ProtocolError(Reason.PACKET_TOO_LARGE, f"a packet has at most {self._max_packet} bytes")
            if byte < 0x80:
                return at + place + 1, size
            if place == 3:
                raise ProtocolError(Reason.MALFORMED, "a length of more than four bytes")
        return 0, 0

    def _other(self, first: int, body: bytes) -> Packet:
        decode = _DECODE.get(first)
        if decode is None or (decode is _pubrel and self._max_qos < 2):
            raise ProtocolError(Reason.MALFORMED, f"no client may send a packet that starts with {first:#x}")
        reader = _Reader(body)
        packet = decode(reader, self._version)
        if reader.more():
            raise ProtocolError(Reason.MALFORMED, "bytes are left after the last field")
        if isinstance(packet, Connect):
            self._version = packet.version
        return packet


def _publish(first: int, buffer: bytes, at: int, end: int, version: int) -> Publish:
    """Decode in place, without a copy of the body: nearly all packets are these."""
    qos = first >> 1 & 3
    body = at + 2 + (buffer[at] << 8 | buffer[at + 1]) if at + 2 <= end else end + 1
    rest = body + 2 * (qos > 0)
    if rest > end:
        raise ProtocolError(Reason.MALFORMED, "PUBLISH ends before its payload")
    topic = _text(buffer[at + 2 : body])
    packet_id = _not_zero(buffer[body] << 8 | buffer[body + 1]) if qos else 0
    if first & 8 and not qos:
        raise ProtocolError(Reason.MALFORMED, "DUP with QoS 0 [MQTT-3.3.1-2]")
    retain = first & 1 == 1
    if version == V5:
        return _publish_5(
            Publish(Message(topic, buffer[rest:end], qos, retain), packet_id, first & 8 == 8, 0)
        )
    if not topic:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "PUBLISH without a topic")
    return Publish(Message(topic, buffer[rest:end], qos, retain), packet_id, first & 8 == 8, 0)


def _publish_5(packet: Publish) -> Publish:
    """Take the properties off the payload, in front of which MQTT 5 has them."""
    reader = _Reader(packet.message.payload)
    said, alias = _said(reader)
    if not packet.message.topic and not alias:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "PUBLISH without a topic")
    message = packet.message._replace(payload=reader.rest(), properties=said)
    return packet._replace(message=message, alias=alias)


_NO_QOS: Final = {
    2: (Reason.QOS_NOT_SUPPORTED, "QoS 2 is not supported"),
    3: (Reason.MALFORMED, "QoS 3 does not exist"),
}


def _said(reader: _Reader) -> tuple[PublishProperties, int]:
    found = reader.properties(_IN_PUBLISH)
    if not found:
        return NOTHING_SAID, 0
    if (alias := found.get(Property.ALIAS)) == 0:
        raise ProtocolError(Reason.ALIAS_INVALID, "a topic alias is never 0")
    return _forwarded(found), alias or 0


def _forwarded(found: Properties) -> PublishProperties:
    said = PublishProperties(**{name: found[key] for key, name in _FORWARDED.items() if key in found})
    if said.response_topic is not None and {"+", "#"} & set(said.response_topic):
        raise ProtocolError(Reason.PROTOCOL_ERROR, "a response topic has no wildcards [MQTT-3.3.2-14]")
    return said


def _connect(reader: _Reader, _version: int) -> Connect:
    version = _protocol(reader)
    flags, keep_alive_s = reader.byte(), reader.two()
    if flags & 1 or (not flags & 4 and flags & 0x38):
        raise ProtocolError(Reason.MALFORMED, "reserved flags of CONNECT are set")
    if version == V3 and flags & 0xC0 == 0x40:
        raise ProtocolError(Reason.MALFORMED, "a password without a user name [MQTT-3.1.2-22]")
    properties = reader.properties(_IN_CONNECT) if version == V5 else {}
    return Connect(
        version=version,
        client_id=reader.string(),
        clean=bool(flags & 2),
        keep_alive_s=keep_alive_s,
        will=_will(reader, flags, version) if flags & 4 else None,
        username=reader.string() if flags & 0x80 else None,
        password=reader.binary() if flags & 0x40 else None,
        properties=properties,
    )


def _protocol(reader: _Reader) -> int:
    name, version = reader.string(), reader.byte()
    if name not in ("MQTT", "MQIsdp"):
        raise ProtocolError(Reason.MALFORMED, "the protocol is not MQTT")
    if name != "MQTT" or version not in (V3, V5):
        raise ProtocolError(Reason.UNSUPPORTED_VERSION, "MQTT is spoken in versions 3.1.1 and 5")
    return version


def _will(reader: _Reader, flags: int, version: int) -> Will:
    if (qos := flags >> 3 & 3) == 3:
        raise ProtocolError(*_NO_QOS[qos])
    found = reader.properties(_IN_WILL) if version == V5 else {}
    message = Message(reader.string(), reader.binary(), qos, bool(flags & 0x20), _forwarded(found))
    return Will(message, found.get(Property.WILL_DELAY, 0))


def _puback(reader: _Reader, version: int) -> Puback:
    packet_id = reader.packet_id()
    code = reader.byte() if version == V5 and reader.more() else Reason.SUCCESS
    if version == V5 and reader.more():
        reader.properties(_IN_PUBACK)
    return Puback(packet_id, code)


def _pubrel(reader: _Reader, version: int) -> Pubrel:
    return Pubrel(_puback(reader, version).packet_id)


def _subscribe(reader: _Reader, version: int) -> Subscribe:
    packet_id = reader.packet_id()
    properties = reader.properties(_IN_SUBSCRIBE) if version == V5 else {}
    asked = [_asked(reader, version)]
    while reader.more():
        asked.append(_asked(reader, version))
    return Subscribe(packet_id, tuple(asked), properties)


def _asked(reader: _Reader, version: int) -> Asked:
    topic_filter, options = reader.string(), reader.byte()
    qos, handling = options & 3, options >> 4 & 3
    if qos == 3 or handling == 3 or options & (0xC0 if version == V5 else 0xFC):
        raise ProtocolError(Reason.MALFORMED, f"subscription options are {options:#x}")
    return Asked(topic_filter, qos, bool(options & 4), bool(options & 8), handling)


def _unsubscribe(reader: _Reader, version: int) -> Unsubscribe:
    packet_id = reader.packet_id()
    if version == V5:
        reader.properties(_IN_UNSUBSCRIBE)
    filters = [reader.string()]
    while reader.more():
        filters.append(reader.string())
    return Unsubscribe(packet_id, tuple(filters))


def _pingreq(_reader: _Reader, _version: int) -> Pingreq:
    return Pingreq()


def _disconnect(reader: _Reader, version: int) -> Disconnect:
    code = reader.byte() if version == V5 and reader.more() else Reason.SUCCESS
    return Disconnect(code, reader.properties(_IN_DISCONNECT) if version == V5 and reader.more() else {})


# By the whole first byte: but for PUBLISH its flags are fixed. We never take part in QoS 2 or an AUTH.
_DECODE: Final[Mapping[int, Callable[[_Reader, int], Packet]]] = {
    _CONNECT << 4: _connect,
    _PUBACK << 4: _puback,
    _PUBREL << 4 | 2: _pubrel,
    _SUBSCRIBE << 4 | 2: _subscribe,
    _UNSUBSCRIBE << 4 | 2: _unsubscribe,
    _PINGREQ << 4: _pingreq,
    _DISCONNECT << 4: _disconnect,
}


PINGRESP: Final = b"\xd0\x00"

# MQTT 3.1.1 has a code of its own for few refusals; all others are "server unavailable". AWS says 7 where the standard
# says 5 ("AWS IoT differences from MQTT version 3.1.1 specification").
_CONNACK_V3: Final[Mapping[Reason, int]] = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_VERSION: 1,
    Reason.CLIENT_ID_INVALID: 2,
    Reason.BAD_LOGIN: 7,
    Reason.NOT_AUTHORIZED: 7,
}


class Wire(NamedTuple):
    """A PUBLISH but for its packet id, which belongs between the two; one of QoS 0 has all in ``head``."""

    head: bytes
    tail: bytes

    def sent(self, packet_id: int) -> bytes:
        """The bytes of a QoS 1 message under its packet id."""
        return self.head + packet_id.to_bytes(2, "big") + self.tail

    def sent_again(self, packet_id: int) -> bytes:
        """The same with DUP, for a client that may have got it already."""
        packet = self.sent(packet_id)
        return _byte(packet[0] | 8) + packet[1:]


def publish(message: Message, version: int, qos: int) -> Wire:
    """Encode a message at a QoS that may be lower than its own."""
    topic, payload = message.topic.encode(), message.payload
    if version == V5:
        payload = _properties(_to_forward(message.properties)) + payload
    size = _varint(2 + len(topic) + 2 * qos + len(payload))
    first = _PUBLISH << 4 | qos << 1 | message.retain
    head = b"%c%b%b%b" % (first, size, len(topic).to_bytes(2, "big"), topic)
    return Wire(head, payload) if qos else Wire(head + payload, b"")


def _to_forward(said: PublishProperties) -> Properties:
    if said is NOTHING_SAID:
        return {}
    values = ((key, getattr(said, name)) for key, name in _FORWARDED.items())
    return {key: value for key, value in values if value is not None}


def _properties(properties: Properties) -> bytes:
    coded = b"".join(_property(name, value) for name, value in properties.items())
    return _varint(len(coded)) + coded


def _property(name: Property, value: Any) -> bytes:
    if name is Property.USER:
        return b"".join(_byte(name) + _string(key) + _string(text) for key, text in value)
    return _byte(name) + _SHAPES[name].write(value)


def _packet(first: int, body: bytes) -> bytes:
    return _byte(first) + _varint(len(body)) + body


def connack(
    version: int, code: Reason, *, present: bool = False, properties: Properties | None = None
) -> bytes:
    """``present``: a session from before goes on."""
    if version == V5:
        return _packet(0x20, _byte(present) + _byte(code) + _properties(properties or {}))
    return _packet(0x20, _byte(present) + _byte(_CONNACK_V3.get(code, 3)))


def puback(packet_id: int, code: Reason = Reason.SUCCESS) -> bytes:
    """A code other than success is for MQTT 5 only."""
    coded = packet_id.to_bytes(2, "big")
    return b"\x40\x02" + coded if code is Reason.SUCCESS else _packet(0x40, coded + _byte(code))


def pubrec(packet_id: int, code: Reason = Reason.SUCCESS) -> bytes:
    """The first answer to QoS 2; a code other than success is for MQTT 5 only."""
    return b"\x50" + puback(packet_id, code)[1:]


def pubcomp(packet_id: int, code: Reason = Reason.SUCCESS) -> bytes:
    """The last answer to QoS 2; a code other than success is for MQTT 5 only."""
    return b"\x70" + puback(packet_id, code)[1:]


def suback(version: int, packet_id: int, codes: Iterable[int]) -> bytes:
    """``codes`` are the granted QoS or MQTT 5's reasons, which 3.1.1 hears as 0x80."""
    coded = bytes(codes) if version == V5 else bytes(min(code, Reason.UNSPECIFIED) for code in codes)
    return _packet(0x90, _two(packet_id) + (b"\0" if version == V5 else b"") + coded)


def unsuback(version: int, packet_id: int, codes: Iterable[int]) -> bytes:
    return _packet(0xB0, _two(packet_id) + (b"\0" + bytes(codes) if version == V5 else b""))


def disconnect(code: Reason, why: str = "") -> bytes:
    """MQTT 5 only: a server of 3.1.1 just closes."""
    return _packet(0xE0, _byte(code) + _properties({Property.REASON_STRING: why} if why else {}))
