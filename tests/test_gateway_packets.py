"""The codec, without a socket: what goes in comes out, however it is cut; what is wrong is one kind of error."""

import struct
from contextlib import suppress
from typing import Any

import mqtt_wire as wire
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.gateway import packets
from infra.local.gateway.packets import (
    Asked,
    Connect,
    Decoder,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Property,
    ProtocolError,
    Puback,
    Publish,
    PublishProperties,
    Reason,
    Subscribe,
    Unsubscribe,
)

MAX = 149_504
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
names = texts.filter(bool)
plain = names.filter(lambda text: not set(text) & {"+", "#"})
ids = st.integers(1, 0xFFFF)
versions = st.sampled_from([4, 5])
said = st.builds(
    PublishProperties,
    payload_format=st.none() | st.integers(0, 1),
    expiry_s=st.none() | st.integers(0, 0xFFFF_FFFF),
    content_type=st.none() | texts,
    response_topic=st.none() | plain,
    correlation=st.none() | st.binary(max_size=20),
    user=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
)


def decoded(*sent: bytes, version: int = 4) -> list[Packet]:
    """What a decoder makes of some packets after a CONNECT of this version."""
    decoder = Decoder(MAX)
    decoder.feed(wire.connect(version=version))
    assert isinstance(decoder.next(), Connect)
    found: list[Packet] = []
    for piece in sent:
        decoder.feed(piece)
        while (packet := decoder.next()) is not None:
            found.append(packet)
    return found


def refusal(raw: bytes, *, version: int = 4) -> Reason:
    with pytest.raises(ProtocolError) as wrong:
        decoded(raw, version=version)
    return wrong.value.code


@given(versions, plain, st.binary(max_size=300), st.integers(0, 1), st.booleans(), said, ids)
def test_a_message_that_we_send_reads_back_as_it_was(
    version: int, topic: str, payload: bytes, qos: int, retain: bool, said: PublishProperties, packet_id: int
) -> None:
    message = Message(topic, payload, qos, retain, said if version == 5 else PublishProperties())
    coded = packets.publish(message, version, qos)
    sent = coded.sent(packet_id) if qos else coded.head
    assert decoded(sent, version=version) == [Publish(message, packet_id if qos else 0, False, 0)]


@given(plain, st.binary(max_size=50), ids)
def test_a_message_that_we_send_again_says_so_and_is_else_the_same(
    topic: str, payload: bytes, packet_id: int
) -> None:
    coded = packets.publish(Message(topic, payload, 1), 4, 1)
    [first], [second] = decoded(coded.sent(packet_id)), decoded(coded.sent_again(packet_id))
    assert isinstance(first, Publish)
    assert isinstance(second, Publish)
    assert (first.dup, second.dup) == (False, True)
    assert first._replace(dup=True) == second


@given(
    versions,
    texts,
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.none() | st.tuples(texts, st.binary(max_size=30)),
    st.none() | st.tuples(texts, texts),
)
def test_connect_reads_as_it_was_written(
    version: int,
    client_id: str,
    clean: bool,
    keep_alive: int,
    will: tuple[str, bytes] | None,
    login: tuple[str, str] | None,
) -> None:
    decoder = Decoder(MAX)
    decoder.feed(
        wire.connect(
            client_id, version=version, clean=clean, keep_alive=keep_alive, will=will, will_qos=1, login=login
        )
    )
    packet = decoder.next()
    assert isinstance(packet, Connect)
    assert packet[:4] == (version, client_id, clean, keep_alive)
    assert packet.will == (packets.Will(Message(*will, 1), 0) if will else None)
    assert (packet.username, packet.password) == ((login[0], login[1].encode()) if login else (None, None))


@given(versions, st.lists(names, min_size=1, max_size=9), ids, st.integers(0, 2))
def test_the_other_packets_read_as_they_were_written(
    version: int, filters: list[str], packet_id: int, qos: int
) -> None:
    asked = tuple(Asked(one, qos, False, False, 0) for one in filters)
    assert decoded(
        wire.subscribe(*filters, qos=qos, packet_id=packet_id, version=version), version=version
    ) == [Subscribe(packet_id, asked, {})]
    assert decoded(wire.unsubscribe(*filters, packet_id=packet_id, version=version), version=version) == [
        Unsubscribe(packet_id, tuple(filters))
    ]
    assert decoded(wire.puback(packet_id), version=version) == [Puback(packet_id, 0)]
    assert decoded(wire.PINGREQ, version=version) == [Pingreq()]
    assert decoded(wire.DISCONNECT, version=version) == [Disconnect(0, {})]


def test_all_that_mqtt_5_may_say_when_it_connects_is_read() -> None:
    decoder = Decoder(MAX)
    said = struct.pack("!BIBHBHBIBBBB", 0x11, 7, 0x21, 9, 0x22, 3, 0x27, 999, 0x19, 1, 0x17, 0)
    will = struct.pack("!BI", 0x18, 5) + b"\x03" + wire.string("text/plain")
    decoder.feed(wire.connect(version=5, said=said, will=("w", b"x"), will_said=will))
    packet = decoder.next()
    assert isinstance(packet, Connect)
    assert packet.properties == {
        Property.SESSION_EXPIRY: 7,
        Property.RECEIVE_MAXIMUM: 9,
        Property.ALIAS_MAXIMUM: 3,
        Property.MAXIMUM_PACKET: 999,
        Property.REQUEST_RESPONSE_INFORMATION: 1,
        Property.REQUEST_PROBLEM_INFORMATION: 0,
    }
    assert packet.will == packets.Will(
        Message("w", b"x", properties=PublishProperties(content_type="text/plain")), 5
    )


@given(versions, st.data())
def test_it_makes_no_difference_where_the_bytes_are_cut(version: int, data: st.DataObject) -> None:
    sent = b"".join(
        (
            wire.publish("a/b", b"x" * 200, 7, version=version),
            wire.subscribe("a", version=version),
            wire.puback(3),
            wire.publish("a/b", b"y" * 20_000, version=version),
            wire.DISCONNECT,
        )
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert decoded(*pieces, version=version) == decoded(sent, version=version)
    assert len(decoded(sent, version=version)) == 5


@given(versions, st.binary(max_size=60))
def test_whatever_the_bytes_are_nothing_but_a_protocol_error_comes_of_them(version: int, raw: bytes) -> None:
    with suppress(ProtocolError):
        decoded(raw, version=version)


SOUND = [
    wire.connect(version=5, will=("w", b"x"), login=("u", "p"), said=b"\x11\0\0\0\1"),
    wire.publish("a/b", b"x", 7, version=5, said=b"\x03" + wire.string("t")),
    wire.subscribe("a/+", "b/#", version=5),
    wire.unsubscribe("a", version=5),
    wire.packet(0xE0, b"\x04\0"),
]


@given(st.sampled_from(SOUND), st.data())
def test_one_wrong_byte_in_a_sound_packet_is_no_worse(sound: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sound) - 1))
    bent = sound[:at] + bytes([data.draw(st.integers(0, 255))]) + sound[at + 1 :]
    decoder = Decoder(MAX)
    decoder.feed(bent if sound is SOUND[0] else wire.connect(version=5) + bent)
    with suppress(ProtocolError):
        while decoder.next() is not None:
            pass


WRONG: list[tuple[str, int, bytes, Reason]] = [
    ("CONNECT twice", 4, wire.connect(), Reason.PROTOCOL_ERROR),
    ("a kind that does not exist", 4, wire.packet(0x00), Reason.MALFORMED),
    ("a server's packet", 4, wire.packet(0x20, b"\0\0"), Reason.MALFORMED),
    ("PUBREL, of QoS 2", 4, wire.packet(0x62, b"\0\1"), Reason.MALFORMED),
    ("AUTH that nobody agreed on", 5, wire.packet(0xF0), Reason.MALFORMED),
    ("QoS 2", 5, wire.packet(0x34, wire.string("t") + b"\0\1\0"), Reason.QOS_NOT_SUPPORTED),
    ("QoS 3", 4, wire.packet(0x36, wire.string("t") + b"\0\1"), Reason.MALFORMED),
    ("DUP of QoS 0", 4, wire.packet(0x38, wire.string("t")), Reason.MALFORMED),
    ("packet id 0", 4, wire.packet(0x32, wire.string("t") + b"\0\0"), Reason.PROTOCOL_ERROR),
    ("SUBSCRIBE with packet id 0", 4, wire.subscribe("t", packet_id=0), Reason.PROTOCOL_ERROR),
    (
        "SUBSCRIBE with other flags",
        4,
        wire.packet(0x80, b"\0\1" + wire.string("t") + b"\0"),
        Reason.MALFORMED,
    ),
    ("SUBSCRIBE to nothing", 4, wire.subscribe(), Reason.MALFORMED),
    ("UNSUBSCRIBE from nothing", 4, wire.unsubscribe(), Reason.MALFORMED),
    ("SUBSCRIBE at QoS 3", 4, wire.subscribe("t", qos=3), Reason.MALFORMED),
    ("options of MQTT 5 in 3.1.1", 4, wire.subscribe("t", qos=5), Reason.MALFORMED),
    ("retain handling 3", 5, wire.subscribe("t", qos=0x30, version=5), Reason.MALFORMED),
    ("a topic that is not UTF-8", 4, wire.packet(0x30, wire.binary(b"\xff")), Reason.MALFORMED),
    ("a surrogate in a topic", 4, wire.packet(0x30, wire.binary(b"\xed\xa0\x80")), Reason.MALFORMED),
    ("U+0000 in a topic", 4, wire.publish("a\0b"), Reason.MALFORMED),
    ("U+0000 in a filter", 4, wire.subscribe("a\0b"), Reason.MALFORMED),
    ("an empty topic", 4, wire.publish(""), Reason.PROTOCOL_ERROR),
    ("an empty topic without an alias", 5, wire.publish("", version=5), Reason.PROTOCOL_ERROR),
    ("an alias of 0", 5, wire.publish("t", version=5, said=b"\x23\0\0"), Reason.ALIAS_INVALID),
    ("a topic longer than its packet", 4, wire.packet(0x30, b"\0\x09t"), Reason.MALFORMED),
    ("a PUBLISH of one byte", 4, wire.packet(0x30, b"\0"), Reason.MALFORMED),
    ("a property twice", 5, wire.publish("t", version=5, said=b"\x01\0\x01\0"), Reason.PROTOCOL_ERROR),
    (
        "a property of another packet",
        5,
        wire.publish("t", version=5, said=b"\x21\0\1"),
        Reason.PROTOCOL_ERROR,
    ),
    ("an unknown property", 5, wire.publish("t", version=5, said=b"\x7f"), Reason.PROTOCOL_ERROR),
    ("a flag that is 2", 5, wire.publish("t", version=5, said=b"\x01\2"), Reason.PROTOCOL_ERROR),
    ("properties longer than the packet", 5, wire.packet(0x30, wire.string("t") + b"\x7f"), Reason.MALFORMED),
    (
        "a wildcard in a response topic",
        5,
        wire.publish("t", version=5, said=b"\x08\0\1#"),
        Reason.PROTOCOL_ERROR,
    ),
    ("bytes after the last field", 4, wire.packet(0xC0, b"x"), Reason.MALFORMED),
    ("a length of five bytes", 4, b"\x30\x80\x80\x80\x80\x01", Reason.MALFORMED),
    ("the largest length there is", 4, b"\x30\xff\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
]


@pytest.mark.parametrize(
    ("version", "raw", "code"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_what_is_wrong_is_refused_with_its_reason(version: int, raw: bytes, code: Reason) -> None:
    assert refusal(raw, version=version) is code


CONNECTS: list[tuple[str, bytes, Reason]] = [
    ("another protocol", wire.packet(0x10, wire.string("MQTX") + b"\x04\2\0\0\0\0"), Reason.MALFORMED),
    ("MQTT 3.1", wire.packet(0x10, wire.string("MQIsdp") + b"\3\2\0\0\0\0"), Reason.UNSUPPORTED_VERSION),
    ("MQTT 6", wire.packet(0x10, wire.string("MQTT") + b"\6\2\0\0\0\0"), Reason.UNSUPPORTED_VERSION),
    ("the reserved flag", wire.packet(0x10, wire.string("MQTT") + b"\4\3\0\0\0\0"), Reason.MALFORMED),
    ("a QoS of no will", wire.packet(0x10, wire.string("MQTT") + b"\4\x0a\0\0\0\0"), Reason.MALFORMED),
    ("a password alone", wire.packet(0x10, wire.string("MQTT") + b"\4\x42\0\0\0\0\0\1p"), Reason.MALFORMED),
    ("a will of QoS 3", wire.connect(will=("w", b""), will_qos=3), Reason.MALFORMED),
    ("nothing", wire.packet(0x10), Reason.MALFORMED),
    ("receive maximum 0", wire.connect(version=5, said=b"\x21\0\0"), Reason.PROTOCOL_ERROR),
    ("no CONNECT", wire.publish("t"), Reason.PROTOCOL_ERROR),
    ("HTTP", b"GET / HTTP/1.1\r\n\r\n", Reason.PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("raw", "code"), [case[1:] for case in CONNECTS], ids=[case[0] for case in CONNECTS])
def test_what_is_no_sound_connect_is_refused(raw: bytes, code: Reason) -> None:
    decoder = Decoder(MAX)
    decoder.feed(raw)
    with pytest.raises(ProtocolError) as wrong:
        decoder.next()
    assert wrong.value.code is code


def test_a_packet_of_the_greatest_size_is_taken_and_one_byte_more_is_refused_at_its_header() -> None:
    fits = wire.publish("t", b"x" * (MAX - 3))
    assert len(decoded(fits)) == 1
    assert refusal(b"\x30" + wire.varint(MAX + 1)) is Reason.PACKET_TOO_LARGE


def test_many_user_properties_cost_no_more_than_their_bytes() -> None:
    users = b"\x26\0\0\0\0" * 29_000
    [packet] = decoded(wire.publish("t", version=5, said=users), version=5)
    assert isinstance(packet, Publish)
    assert len(packet.message.properties.user) == 29_000


ANSWERS: list[tuple[bytes, bytes]] = [
    (packets.connack(4, Reason.SUCCESS, present=True), b"\x20\2\1\0"),
    (packets.connack(4, Reason.BAD_LOGIN), b"\x20\2\0\7"),  # not 5: as on AWS
    (packets.connack(4, Reason.CLIENT_ID_INVALID), b"\x20\2\0\2"),
    (packets.connack(4, Reason.UNSUPPORTED_VERSION), b"\x20\2\0\1"),
    (packets.connack(4, Reason.QOS_NOT_SUPPORTED), b"\x20\2\0\3"),
    (
        packets.connack(5, Reason.SUCCESS, properties={Property.RECEIVE_MAXIMUM: 100}),
        b"\x20\6\0\0\3\x21\0\x64",
    ),
    (packets.puback(258), b"\x40\2\1\2"),
    (packets.puback(258, Reason.NOT_AUTHORIZED), b"\x40\3\1\2\x87"),
    (packets.suback(4, 1, [0, 1, Reason.NOT_AUTHORIZED]), b"\x90\5\0\1\0\1\x80"),
    (packets.suback(5, 1, [0, 1, Reason.NOT_AUTHORIZED]), b"\x90\6\0\1\0\0\1\x87"),
    (packets.unsuback(4, 1, [0]), b"\xb0\2\0\1"),
    (packets.unsuback(5, 1, [0, 0x11]), b"\xb0\5\0\1\0\0\x11"),
    (packets.disconnect(Reason.TAKEN_OVER), b"\xe0\2\x8e\0"),
    (packets.disconnect(Reason.MALFORMED, "no"), b"\xe0\7\x81\5\x1f\0\2no"),
]


@pytest.mark.parametrize(("ours", "standard"), ANSWERS)
def test_answers_are_the_standards_to_the_byte(ours: bytes, standard: bytes) -> None:
    assert ours == standard


def test_a_user_property_comes_out_as_often_as_it_went_in() -> None:
    pairs: Any = (("k", "1"), ("k", "2"))
    coded = packets.publish(Message("t", b"", properties=PublishProperties(user=pairs)), 5, 0)
    assert coded.head.endswith(b"\x26\0\1k\0\x011\x26\0\1k\0\x012")
