"""What a suite of interoperability checks looks at in any MQTT server, as far as no other file here does.

The list of checks is that of Eclipse Paho's interoperability suite, for 3.1.1 and 5; which of them AWS IoT Core answers
otherwise, and so do we, is in docs/fidelity.md.
"""

import struct
import time
from collections.abc import Iterator
from typing import Any

import mqtt_wire as wire
import pytest
from mqtt_wire import Got, Heard, Running, Wire, eventually

from infra.local.gateway import limits

BOTH = pytest.mark.parametrize("version", [4, 5])
USER = b"\x26\0\1a\0\x012\x26\0\1c\0\x013"  # two user properties


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as running:
        yield running


def expires(seconds: int) -> bytes:
    return struct.pack("!BI", 0x11, seconds)


def present(running: Running, client_id: str) -> bool:
    """Whether a client that comes back to its session finds one; it leaves at once, and that is its end."""
    with running.raw(5) as client:
        client.send(wire.connect(client_id, version=5, clean=False))
        flag = client.read().body[0]
        client.send(wire.DISCONNECT)
        assert client.closed()
    return bool(flag)


def published(client: Wire, topic: str, payload: bytes, packet_id: int = 1, **how: Any) -> None:
    """Publish at QoS 1, and wait for the PUBACK: no other packet may come."""
    client.send(wire.publish(topic, payload, packet_id, version=client.version, **how))
    assert client.read() == Heard(0x40, struct.pack("!H", packet_id))


def asked(client: Wire, topic_filter: str, options: int, packet_id: int = 1) -> None:
    """Subscribe with a byte of options."""
    client.send(wire.subscribe(topic_filter, qos=options, packet_id=packet_id, version=client.version))
    assert client.read().body[-1] == options & 1


# Both versions


@BOTH
def test_a_client_hears_itself_at_either_qos_and_starts_anew_when_it_comes_back(
    running: Running, version: int
) -> None:
    with running.device("c", "t", version=version) as client:
        client.send(wire.publish("t", b"0", version=version), wire.publish("t", b"1", 9, version=version))
        came = [client.read() for _ in range(3)]
        assert Heard(0x40, b"\0\x09") in came
        heard = [wire.got(each, version) for each in came if each.first >> 4 == 3]
        assert heard == [Got("t", b"0"), Got("t", b"1", 1)]
        client.send(wire.DISCONNECT)
        assert client.closed()
    with running.raw(version) as again:
        again.send(wire.connect("c", version=version))
        assert again.read().body[:2] == b"\0\0"
        again.send(wire.publish("t", b"2", version=version))
        assert again.quiet(), "its subscription has ended with its session"


@BOTH
def test_a_second_connect_ends_the_connection(running: Running, version: int) -> None:
    with running.device("c", version=version) as client:
        client.send(wire.connect("c", version=version))
        words = client.last_words()
        assert not words if version == 4 else (words[0], words[2]) == (0xE0, 0x82)


@BOTH
def test_another_protocols_name_is_answered_by_closing(running: Running, version: int) -> None:
    with running.raw() as client:
        client.send(wire.connect("c", version=version).replace(b"\0\4MQTT", b"\0\4hjhj"))
        assert client.closed()


@BOTH
def test_a_retained_message_keeps_its_qos_and_what_was_said_beside_it(running: Running, version: int) -> None:
    said = USER if version == 5 else b""
    with running.device("pub", version=version) as pub, running.device("late", version=version) as late:
        pub.send(wire.publish("kept/0", b"0", version=version, retain=True, said=said))
        published(pub, "kept/1", b"1", retain=True, said=said)
        asked(late, "kept/0", 1)
        assert late.message() == Got("kept/0", b"0", 0, retain=True, said=said)
        asked(late, "kept/1", 1)
        assert late.message() == Got("kept/1", b"1", 1, retain=True, said=said)


@BOTH
def test_a_client_that_falls_silent_leaves_its_will(
    running: Running, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(limits, "MIN_KEEP_ALIVE_S", 1)
    said = USER if version == 5 else b""
    will: dict[str, Any] = {"will": ("will", b"silent"), "will_qos": 1, "will_said": said}
    with (
        running.device("watch", "will", version=version) as watch,
        running.device("c", version=version, keep_alive=1, **will) as client,
    ):
        assert watch.message() == Got("will", b"silent", 1, said=said)
        assert client.last_words() == (b"" if version == 4 else b"\xe0\2\x8d\0")


@BOTH
def test_two_without_an_id_are_two(running: Running, version: int) -> None:
    with running.device("", "t", version=version) as one, running.device("", "t", version=version) as other:
        one.send(wire.publish("t", b"x", version=version))
        assert one.message() == other.message() == Got("t", b"x")


@BOTH
def test_a_wildcard_in_front_hears_nothing_of_what_starts_with_a_dollar(
    running: Running, version: int
) -> None:
    with (
        running.device("all", "#", "+/#", "+/+", version=version) as everything,
        running.device("pub", version=version) as pub,
    ):
        published(pub, "$aws/things/x/shadow/update", b"{}")
        running.device("comes and goes").drop()
        published(pub, "a/b", b"x")
        assert everything.message() == Got("a/b", b"x", 1)
        assert everything.quiet()


# What other files see in 3.1.1, seen in 5


def test_in_5_what_came_while_a_client_was_away_waits_at_qos_1(running: Running) -> None:
    with running.device("kept", "t/#", version=5, said=expires(60)) as kept:
        kept.send(wire.DISCONNECT)
        assert kept.closed()
    with running.device("pub") as pub:
        pub.send(wire.publish("t/0", b"0"))
        published(pub, "t/1", b"1")
    with running.device("kept", version=5, clean=False) as again:
        assert again.message() == Got("t/1", b"1", 1)
        assert again.quiet()


def test_in_5_a_topic_of_two_filters_comes_once_with_the_higher_qos(running: Running) -> None:
    with running.device("sub", version=5) as sub, running.device("pub") as pub:
        asked(sub, "t/#", 1)
        asked(sub, "+/c", 0)
        published(pub, "t/c", b"x")
        assert sub.message() == Got("t/c", b"x", 1)
        assert sub.quiet()


def test_in_5_what_was_not_acknowledged_comes_again_under_its_id_with_dup(running: Running) -> None:
    with running.device("kept", "t", version=5, said=expires(60)) as first, running.device("pub") as pub:
        published(pub, "t", b"1")
        packet_id = first.message().packet_id
    with running.device("kept", version=5, clean=False) as again:
        assert again.message() == Got("t", b"1", packet_id, dup=True)


def test_in_5_who_unsubscribes_hears_no_more_of_that_alone(running: Running) -> None:
    with running.device("sub", "a", "b", "c", version=5) as sub, running.device("pub") as pub:
        sub.send(wire.unsubscribe("a", packet_id=4, version=5))
        assert sub.read() == Heard(0xB0, b"\0\4\0\0")
        for topic in ("a", "b", "c"):
            published(pub, topic, b"x")
        assert [sub.message().topic, sub.message().topic] == ["b", "c"]
        assert sub.quiet()


# Sessions and wills of 5


def test_a_session_of_no_time_ends_with_its_connection(running: Running) -> None:
    with running.device("c", "t", version=5, said=expires(0)):
        pass
    assert eventually(lambda: running.gateway.counts().clients == 0)
    assert not present(running, "c")


@pytest.mark.parametrize(("at_first", "at_last"), [(1, 60), (60, 0)])
def test_the_last_word_may_move_the_end_of_a_session(running: Running, at_first: int, at_last: int) -> None:
    with running.device("c", "t", version=5, said=expires(at_first)) as client:
        client.send(wire.packet(0xE0, b"\0\5" + expires(at_last)))
        assert client.closed()
    time.sleep(1.1 if at_first == 1 else 0)
    assert present(running, "c") is bool(at_last)


def test_a_client_comes_back_under_the_id_that_it_was_given(running: Running) -> None:
    with running.raw(5) as client:
        client.send(wire.connect("", version=5, said=expires(60)))
        body = client.read().body
        at = body.index(b"\x12\0\x24") + 3
        given = body[at : at + 36].decode()
    assert eventually(lambda: running.gateway.counts().clients == 0)
    assert present(running, given)


def test_a_will_whose_delay_is_longer_than_the_session_comes_when_that_ends(running: Running) -> None:
    how: dict[str, Any] = {
        "will": ("will", b"x"),
        "will_said": struct.pack("!BI", 0x18, 60),
        "said": expires(1),
    }
    with running.device("watch", "will", version=5) as watch:
        with running.device("c", version=5, **how):
            pass
        began = time.monotonic()
        assert watch.message().payload == b"x"
        assert time.monotonic() - began > 0.8, "neither at once nor after its own delay"


def test_a_will_without_a_delay_is_published_though_the_session_goes_on(running: Running) -> None:
    with running.device("watch", "will", version=5) as watch:
        with running.device("c", version=5, will=("will", b"x"), will_said=USER, said=expires(60)):
            pass
        assert watch.message() == Got("will", b"x", said=USER)
    assert present(running, "c")


# Messages of 5


def test_a_request_is_answered_where_it_says_with_what_it_sent_along(running: Running) -> None:
    said = b"\x01\1\x03\0\1t\x08\0\5reply\x09\0\x03334" + USER
    with (
        running.device("asks", "reply", version=5) as asks,
        running.device("tells", "ask", version=5) as tells,
    ):
        published(asks, "ask", b"request", said=said)
        request = tells.message()
        assert request == Got("ask", b"request", 1, said=said)
        published(tells, "reply", b"response", said=request.said)
        assert asks.message() == Got("reply", b"response", 1, said=said)


def test_who_wants_nothing_of_its_own_still_hears_the_others(running: Running) -> None:
    with running.device("one", version=5) as one, running.device("other", version=5) as other:
        for client in (one, other):
            asked(client, "t", 1 | 4)
        published(one, "t", b"x")
        assert other.message() == Got("t", b"x", 1)
        assert one.quiet()


def test_retained_messages_come_as_often_as_a_subscription_asks_for_them(running: Running) -> None:
    with running.device("c", version=5) as client:
        published(client, "t", b"x", retain=True)
        for retain_handling, comes in ((2, False), (2, False), (1, False), (0, True), (0, True)):
            asked(client, "t", 1 | retain_handling << 4)
            if comes:
                got = client.message()
                assert (got.payload, got.retain) == (b"x", True)
            assert client.quiet(), retain_handling
    with running.device("new", version=5) as new:
        for comes in (True, False):
            asked(new, "t", 1 | 1 << 4)
            assert not comes or new.message().retain
            assert new.quiet()


def test_an_alias_ends_with_the_connection_though_the_session_goes_on(running: Running) -> None:
    alias = b"\x23\0\1"
    with running.device("c", "t", version=5, said=expires(60)) as client:
        client.send(
            wire.publish("t", b"1", version=5, said=alias), wire.publish("", b"2", version=5, said=alias)
        )
        assert [client.message(), client.message()] == [Got("t", b"1"), Got("t", b"2")]
    with running.device("c", version=5, clean=False) as again:
        again.send(wire.publish("t", b"3", version=5))
        assert again.message() == Got("t", b"3"), "the subscription is still there"
        again.send(wire.publish("", b"4", version=5, said=alias))
        assert again.last_words()[2] == 0x82
