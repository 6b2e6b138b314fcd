"""The gateway's rules over real sockets, byte by byte: sessions, wills, limits, hooks, and the order of it all."""

import asyncio
import itertools
import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import mqtt_wire as wire
import pytest
from mqtt_wire import Got, Heard, Running, eventually

from infra.local.gateway import Client, Gateway, Message, PublishProperties, limits
from infra.local.http import bind


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as running:
        yield running


# Publish and subscribe


@pytest.mark.parametrize(("qos", "granted", "came"), [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_a_message_comes_at_the_lower_of_both_qos(
    running: Running, qos: int, granted: int, came: int
) -> None:
    with running.device("sub") as sub, running.device("pub") as pub:
        sub.send(wire.subscribe("t", qos=granted))
        assert sub.read() == Heard(0x90, bytes([0, 1, granted]))
        pub.send(wire.publish("t", b"x", qos * 7))
        if qos:
            assert pub.read() == Heard(0x40, b"\0\7")
        assert sub.message() == Got("t", b"x", came)


@pytest.mark.parametrize("one", [4, 5])
@pytest.mark.parametrize("other", [4, 5])
def test_both_versions_hear_each_other(running: Running, one: int, other: int) -> None:
    with running.device("sub", "t/+", version=one) as sub, running.device("pub", version=other) as pub:
        pub.send(wire.publish("t/席", "有栖".encode(), 1, version=other))
        assert sub.message() == Got("t/席", "有栖".encode(), 1)


def test_a_topic_of_two_filters_comes_once_with_the_higher_qos(running: Running) -> None:
    with running.device("sub") as sub:
        sub.send(wire.subscribe("t", qos=1), wire.subscribe("+", qos=0, packet_id=2))
        assert [sub.read().first, sub.read().first] == [0x90, 0x90]
        sub.send(wire.publish("t", b"x", 9))
        assert {sub.read().first, sub.read().first} == {0x40, 0x32}
        assert sub.quiet()


def test_who_unsubscribes_hears_no_more(running: Running) -> None:
    with running.device("sub", "t") as sub:
        sub.send(wire.unsubscribe("t", "never"), wire.publish("t"))
        assert sub.read() == Heard(0xB0, b"\0\1")
        assert sub.quiet()


def test_messages_keep_their_order(running: Running) -> None:
    with running.device("sub", "t") as sub, running.device("pub") as pub:
        pub.send(*(wire.publish("t", b"%d" % i, i + 1) for i in range(60)))
        assert [sub.message().payload for _ in range(60)] == [b"%d" % i for i in range(60)]


def test_no_more_than_a_hundred_are_on_their_way_until_they_are_acknowledged(running: Running) -> None:
    with running.device("sub", "t") as sub, running.device("pub") as pub:
        pub.send(*(wire.publish("t", b"%d" % i, i + 1) for i in range(150)))
        ids = [sub.message().packet_id for _ in range(100)]
        assert sub.quiet()
        sub.send(wire.puback(ids[0]), wire.puback(ids[1]), wire.puback(0xFFFF))
        assert [sub.message().payload, sub.message().payload] == [b"100", b"101"]
        assert sub.quiet()


def test_the_service_publishes_from_any_thread_in_its_order(running: Running) -> None:
    with running.device("sub", "$aws/things/+/shadow/#") as sub:
        topic = "$aws/things/staff-hana/shadow/update/delta"
        for i in range(20):
            running.gateway.publish_soon(Message(topic, b"%d %d" % (i, j), qos=1) for j in range(2))
        assert [sub.message().payload for _ in range(40)] == [
            b"%d %d" % (i, j) for i in range(20) for j in range(2)
        ]


# Retained messages


def test_a_retained_message_waits_for_who_asks_for_its_very_topic(running: Running) -> None:
    with running.device("pub") as pub, running.device("sub") as sub:
        pub.send(wire.publish("t", b"kept", 1, retain=True))
        assert pub.read().first == 0x40
        sub.send(wire.subscribe("+"))
        assert sub.read().first == 0x90
        assert sub.quiet(), "AWS sends none for a wildcard"
        sub.send(wire.subscribe("t"))
        assert sub.read().first == 0x90
        assert sub.message() == Got("t", b"kept", 1, retain=True)
        pub.send(wire.publish("t", b"new", retain=True))
        assert sub.message() == Got("t", b"new"), "to whom it comes live it is not a retained one"


def test_an_empty_retained_message_is_told_and_forgets_the_old_one(running: Running) -> None:
    with running.device("sub", "t") as sub, running.device("late") as late:
        sub.send(wire.publish("t", b"kept", retain=True), wire.publish("t", retain=True))
        assert [sub.message().payload, sub.message().payload] == [b"kept", b""]
        late.send(wire.subscribe("t"))
        assert late.read().first == 0x90
        assert late.quiet()


@pytest.mark.parametrize(("version", "answer"), [(4, b""), (5, b"\x40\3\0\2\x97")])
def test_beyond_the_bound_no_other_message_is_retained(
    running: Running, monkeypatch: pytest.MonkeyPatch, version: int, answer: bytes
) -> None:
    monkeypatch.setattr(limits, "MAX_RETAINED", 1)
    with running.device("sub", "b") as sub, running.device("pub", version=version) as pub:
        pub.send(wire.publish("a", b"x", 1, retain=True, version=version))
        assert pub.read().first == 0x40
        pub.send(wire.publish("b", b"x", 2, retain=True, version=version), wire.DISCONNECT)
        assert pub.last_words() == answer
        assert sub.quiet(), "nobody gets what is refused"
    with running.device("again", "a") as again:
        assert again.message() == Got("a", b"x", 1, retain=True)
        again.send(wire.publish("a", b"y", retain=True), wire.publish("a", b"", retain=True))
        assert [again.message().payload for _ in range(2)] == [b"y", b""], "what is there may be replaced"


def test_nothing_is_retained_on_a_reserved_topic(running: Running) -> None:
    get = "$aws/things/x/shadow/get"
    with running.device("old", get) as old, running.device("new", version=5) as new:
        new.send(wire.publish(get, b"", 1, retain=True, version=5))
        assert new.read() == Heard(0x40, b"\0\1\x87")
        assert old.quiet()
        old.send(wire.publish(get, b"", 1, retain=True))
        assert old.closed()
    with running.raw(5) as client:
        asked = wire.connect("will", version=5, will=(get, b""))
        client.send(asked[:9] + bytes([asked[9] | 0x20]) + asked[10:])  # with the flag that retains the will
        assert client.read().body[1] == 0x87


# Sessions


def test_a_new_connection_takes_the_client_id_over(running: Running) -> None:
    with running.device("three") as three, running.device("five", version=5) as five:
        running.device("three").drop()
        running.device("five").drop()
        assert three.closed()
        assert five.last_words() == b"\xe0\2\x8e\0"


def test_a_session_that_is_kept_keeps_its_subscriptions_and_what_it_missed(running: Running) -> None:
    with running.device("kept", "t", clean=False):
        pass
    with running.device("pub") as pub:
        pub.send(wire.publish("t", b"0"), wire.publish("t", b"1", 1), wire.publish("t", b"2", 2))
        assert (pub.read().first, pub.read().first) == (0x40, 0x40)
    with running.raw() as again:
        again.send(wire.connect("kept", clean=False))
        assert again.read() == Heard(0x20, b"\1\0")
        assert [again.message(), again.message()] == [Got("t", b"1", 1), Got("t", b"2", 2)]


def test_what_was_not_acknowledged_comes_again_under_its_id_with_dup(running: Running) -> None:
    with running.device("kept", "t", clean=False) as first, running.device("pub") as pub:
        pub.send(wire.publish("t", b"1", 1), wire.publish("t", b"2", 2), wire.publish("t", b"3", 3))
        ids = {got.payload: got.packet_id for got in (first.message() for _ in range(3))}
        first.send(wire.puback(ids[b"1"]), wire.PINGREQ)
        assert first.read().first == 0xD0
    with running.raw() as again:
        again.send(wire.connect("kept", clean=False), wire.publish("t", b"4", 4))
        assert again.read() == Heard(0x20, b"\1\0")
        came = list(map(wire.got, messages(again, 3)))
        assert [(got.payload, got.dup) for got in came] == [(b"2", True), (b"3", True), (b"4", False)]
        assert [got.packet_id for got in came[:2]] == [ids[b"2"], ids[b"3"]]
        assert came[2].packet_id not in ids.values()


def messages(client: wire.Wire, count: int) -> list[Heard]:
    """The next PUBLISHes; a PUBACK between them is passed over."""
    heard = (client.read() for _ in itertools.count())
    return list(itertools.islice((one for one in heard if one.first >> 4 == 3), count))


def test_a_clean_start_forgets_the_session(running: Running) -> None:
    with running.device("kept", "t", clean=False):
        pass
    with running.device("kept"):
        pass
    with running.raw() as again:
        again.send(wire.connect("kept", clean=False))
        assert again.read() == Heard(0x20, b"\0\0")


def test_a_session_of_mqtt_5_ends_when_its_time_is_over(running: Running) -> None:
    expiry = struct.pack("!BI", 0x11, 1)
    with running.device("kept", "t", version=5, said=expiry):
        pass
    with running.raw(5) as again:
        again.send(wire.connect("kept", version=5, clean=False, said=expiry))
        assert again.read().body[:2] == b"\1\0"
    time.sleep(1.1)
    with running.raw(5) as late:
        late.send(wire.connect("kept", version=5, clean=False))
        assert late.read().body[:2] == b"\0\0"


def test_no_session_is_kept_for_more_than_an_hour(running: Running) -> None:
    with running.raw(5) as client:
        client.send(wire.connect(version=5, said=struct.pack("!BI", 0x11, 0xFFFF_FFFF)))
        assert struct.pack("!BI", 0x11, 3600) in client.read().body


def test_for_the_absent_only_the_newest_messages_are_kept(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_STORED", 3)
    with running.device("kept", "t", clean=False):
        pass
    assert eventually(lambda: running.gateway.counts().clients == 0)
    running.gateway.publish_soon(Message("t", b"%d" % i, qos=1) for i in range(5))
    with running.device("kept", clean=False) as again:
        assert [again.message().payload for _ in range(3)] == [b"2", b"3", b"4"]
    assert running.gateway.counts().dropped == 2


def test_only_so_many_absent_clients_are_remembered(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ABSENT", 2)
    for name in ("a", "b", "c"):
        with running.device(name, "t", clean=False):
            pass
        assert eventually(lambda: running.gateway.counts().clients == 0)
    for name, present in (("c", 1), ("b", 1), ("a", 0)):
        with running.raw() as again:
            again.send(wire.connect(name, clean=False))
            assert again.read() == Heard(0x20, bytes([present, 0]))


@pytest.mark.parametrize(
    ("version", "clean", "answer"), [(4, True, b"\0\0"), (4, False, b"\0\2"), (5, False, b"\0\0")]
)
def test_a_client_without_an_id_is_given_one_where_mqtt_allows_it(
    running: Running, version: int, clean: bool, answer: bytes
) -> None:
    with running.raw(version) as client:
        client.send(wire.connect("", version=version, clean=clean))
        heard = client.read()
        assert heard.body[:2] == answer
        assert (b"\x12\0\x24" in heard.body) is (version == 5)


# Wills and presence


def test_a_will_is_published_if_the_client_is_lost_and_not_if_it_says_goodbye(running: Running) -> None:
    with running.device("watch", "will") as watch:
        with running.device("polite", will=("will", b"never")) as polite:
            polite.send(wire.DISCONNECT)
            assert polite.closed()
        with running.device("lost", will=("will", b"gone")):
            pass
        assert watch.message().payload == b"gone"
        assert watch.quiet()


def test_a_client_of_mqtt_5_may_say_goodbye_with_its_will(running: Running) -> None:
    with (
        running.device("watch", "will") as watch,
        running.device("c", version=5, will=("will", b"x")) as client,
    ):
        client.send(wire.packet(0xE0, b"\x04"))
        assert watch.message().payload == b"x"


def test_a_will_waits_for_its_delay_and_not_if_the_client_is_back(running: Running) -> None:
    terms: dict[str, Any] = {"said": struct.pack("!BI", 0x11, 60), "will_said": struct.pack("!BI", 0x18, 1)}
    with running.device("watch", "will") as watch:
        for _ in range(2):
            with running.device("c", version=5, clean=False, will=("will", b"x"), **terms):
                pass
        began = time.monotonic()
        assert watch.message().payload == b"x"
        assert time.monotonic() - began > 0.8
        assert watch.quiet(), "the first of the two came back in time"


def test_a_delayed_will_comes_at_once_when_its_session_ends(running: Running) -> None:
    will_said = struct.pack("!BI", 0x18, 60)
    with running.device("watch", "will") as watch:
        with running.device("c", version=5, will=("will", b"x"), will_said=will_said):
            pass
        assert watch.message().payload == b"x"


def test_a_will_for_the_shadow_service_reaches_subscribers_but_not_the_service(running: Running) -> None:
    asked: list[str] = []
    running.gateway.hook("$aws/things/+/shadow/update", lambda message, _: asked.append(message.topic))
    running.gateway.hook("door/+", lambda message, _: asked.append(message.topic))
    topic = "$aws/things/x/shadow/update"
    with running.device("watch", topic, "door/x") as watch:
        with running.device("a", will=(topic, b"1")):
            pass
        assert watch.message() == Got(topic, b"1")
        with running.device("b", will=("door/x", b"2")):
            pass
        assert watch.message() == Got("door/x", b"2")
        assert asked == ["door/x"]


def test_coming_and_leaving_is_told_as_on_aws() -> None:
    clock = itertools.count(1_000)
    with (
        Running(clock=lambda: next(clock)) as running,
        running.device("watch", "$aws/events/presence/+/c") as watch,
    ):
        with running.device("c") as client:
            client.send(wire.DISCONNECT)
            came, left = (json.loads(watch.message().payload) for _ in range(2))
        with running.device("c"):
            pass
        again, lost = (json.loads(watch.message().payload) for _ in range(2))
    assert came == {
        "clientId": "c",
        "timestamp": 1_002,
        "eventType": "connected",
        "sessionIdentifier": left["sessionIdentifier"],
        "principalIdentifier": "device",
        "versionNumber": 0,
        "ipAddress": "127.0.0.1",
    }
    assert "ipAddress" not in left
    assert (left["eventType"], left["timestamp"], left["versionNumber"]) == ("disconnected", 1_003, 0)
    assert (left["clientInitiatedDisconnect"], left["disconnectReason"]) == (
        True,
        "CLIENT_INITIATED_DISCONNECT",
    )
    assert (again["versionNumber"], lost["versionNumber"]) == (1, 1)
    assert (lost["clientInitiatedDisconnect"], lost["disconnectReason"]) == (False, "CONNECTION_LOST")
    assert again["sessionIdentifier"] != came["sessionIdentifier"]


def test_a_count_of_visits_starts_again_after_an_hours_absence() -> None:
    now = [0]
    with Running(clock=lambda: now[0]) as running, running.device("w", "$aws/events/presence/+/c") as watch:
        with running.device("c"):
            pass
        assert [json.loads(watch.message().payload)["versionNumber"] for _ in range(2)] == [0, 0]
        now[0] = 3_600_001
        with running.device("c"):
            assert json.loads(watch.message().payload)["versionNumber"] == 0


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (wire.packet(0x20), "CLIENT_ERROR"),
        (wire.publish("$aws/things/x/shadow/get/accepted"), "FORBIDDEN_ACCESS"),
        (b"", "DUPLICATE_CLIENTID"),
    ],
)
def test_the_event_says_why_a_client_was_cut_off(running: Running, last: bytes, reason: str) -> None:
    with (
        running.device("watch", "$aws/events/presence/disconnected/c") as watch,
        running.device("c") as client,
    ):
        client.send(last)
        if not last:
            running.device("c").drop()
        assert json.loads(watch.message().payload)["disconnectReason"] == reason


# Keep-alive and other time-outs


def test_a_client_that_is_silent_for_one_and_a_half_of_its_keep_alive_is_cut_off(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MIN_KEEP_ALIVE_S", 1)
    with (
        running.device("w", "$aws/events/presence/disconnected/+") as watch,
        running.device("c", version=5, keep_alive=1) as client,
    ):
        time.sleep(0.8)
        client.send(wire.PINGREQ)
        assert client.read().first == 0xD0
        began = time.monotonic()
        assert client.last_words() == b"\xe0\2\x8d\0"
        assert 1.3 < time.monotonic() - began < 3
        assert json.loads(watch.message().payload)["disconnectReason"] == "MQTT_KEEP_ALIVE_TIMEOUT"


@pytest.mark.parametrize(
    ("asked", "told"), [(0, 1200), (1201, 1200), (1200, None), (30, None), (29, 30), (1, 30)]
)
def test_a_keep_alive_that_aws_does_not_take_is_moved_to_one_that_it_does_and_said_so(
    running: Running, asked: int, told: int | None
) -> None:
    with running.raw(5) as client:
        client.send(wire.connect(version=5, keep_alive=asked))
        answer = client.read().body
        assert (b"\x13" + struct.pack("!H", told or 0) in answer) is (told is not None), answer


def test_who_does_not_connect_in_time_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECT_S", 0.1)
    with Running() as running, running.raw() as silent, running.raw() as slow:
        slow.send(wire.connect()[:5])
        assert silent.closed()
        assert slow.closed()


# Limits and refusals


@pytest.mark.parametrize("version", [4, 5])
def test_qos_2_is_refused_as_on_aws(running: Running, version: int) -> None:
    with running.raw(version) as client:
        client.send(wire.connect(version=version))
        assert (b"\x24\1" in client.read().body) is (version == 5)
        client.send(wire.packet(0x34, wire.string("t") + b"\0\1" + (b"\0" if version == 5 else b"")))
        assert client.last_words()[:3][2:] == (b"\x9b" if version == 5 else b"")


@pytest.mark.parametrize(
    ("client_id", "code"), [("$c", b"\x85"), ("x" * 129, b"\x85"), ("x" * 128, b"\0"), ("席" * 42, b"\0")]
)
def test_a_client_id_that_aws_refuses_is_refused(running: Running, client_id: str, code: bytes) -> None:
    with running.raw(5) as client:
        client.send(wire.connect(client_id, version=5))
        assert client.read().body[1:2] == code


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        ("t", b"x" * 128 * 1024, 0),
        ("t", b"x" * (128 * 1024 + 1), 0x95),
        ("x" * 256, b"", 0),
        ("x" * 257, b"", 0x90),
        ("1/2/3/4/5/6/7/8", b"", 0),
        ("1/2/3/4/5/6/7/8/9", b"", 0x90),
        ("a/+", b"", 0x90),
        ("$aws/things/x/shadow/get/accepted", b"", 0x87),
        ("$aws/things/x/shadow/name/y/update/documents", b"", 0x87),
        ("$aws/events/presence/connected/x", b"", 0x87),
        ("$other", b"", 0x87),
    ],
)
def test_a_message_that_aws_refuses_is_refused(
    running: Running, topic: str, payload: bytes, code: int
) -> None:
    with running.device("five", version=5) as five:
        five.send(wire.publish(topic, payload, 1, version=5), wire.PINGREQ)
        assert five.read() == Heard(0x40, b"\0\1" + (bytes([code]) if code else b""))
        assert five.read().first == 0xD0, "at QoS 1 there is an answer for it"
        five.send(wire.publish(topic, payload, version=5), wire.PINGREQ)
        assert five.last_words() == bytes([0xE0, 2, code, 0]) if code else five.read().first == 0xD0
    with running.device("three") as three:
        three.send(wire.publish(topic, payload, 1), wire.PINGREQ)
        assert three.closed() if code else three.read() == Heard(0x40, b"\0\1")


def test_what_a_client_was_allowed_before_allows_it_nothing_else(running: Running) -> None:
    def code(topic: str, payload: bytes = b"") -> int:
        client.send(wire.publish(topic, payload, 1, version=5))
        body = client.read().body
        return body[2] if len(body) > 2 else 0

    refused, shadow = "$aws/things/x/shadow/get/accepted", "$aws/things/x/shadow/get"
    with running.device("c", version=5) as client:
        for n in range(3 * limits.MAX_TOPICS):
            assert (code(f"t/{n}"), code("again")) == (0, 0)
        assert [code(topic) for topic in (shadow, refused, shadow, refused, "t/0", "t/+")] == [
            *(0, 0x87, 0, 0x87, 0, 0x90)
        ]
        assert code("again", b"x" * (128 * 1024 + 1)) == 0x95
        [door] = running.gateway._doors
        assert 0 < len(door._connection._published) <= limits.MAX_TOPICS


def test_a_client_hears_why_it_is_cut_off_even_if_it_is_still_talking(running: Running) -> None:
    with running.device("c", version=5) as client:
        client.send(wire.publish("$other", version=5), b"x" * 3_000_000)
        assert client.last_words() == b"\xe0\2\x87\0"


def test_a_refused_message_reaches_nobody(running: Running) -> None:
    topic = "$aws/things/staff-hana/shadow/update/delta"
    with running.device("sub", "$aws/things/#") as sub, running.device("pub", version=5) as pub:
        pub.send(wire.publish(topic, b"{}", 1, version=5))
        assert pub.read().body[2] == 0x87
        assert sub.quiet()


def test_a_packet_that_is_too_large_is_refused_before_it_is_read(running: Running) -> None:
    with running.device("c", version=5) as client:
        client.send(b"\x30\xff\xff\xff\x7f")
        assert client.last_words()[2] == 0x95


@pytest.mark.parametrize(
    ("version", "filters", "codes"),
    [
        (5, ["a/#/b"], b"\x8f"),
        (5, ["", "a+", "ok"], b"\x8f\x8f\1"),
        (4, ["", "a+", "ok"], b"\x80\x80\1"),
        (5, ["1/2/3/4/5/6/7/8/9", "x" * 257], b"\x8f\x8f"),
        (5, ["$share/g/t"], b"\x9e"),
        (4, ["$share/g/t"], b"\x80"),
        (5, [f"t/{i}" for i in range(8)], b"\1" * 8),
        (5, [f"t/{i}" for i in range(9)], b"\x97" * 9),
        (4, [f"t/{i}" for i in range(9)], b"\x80" * 9),
    ],
)
def test_a_filter_that_aws_refuses_is_refused(
    running: Running, version: int, filters: list[str], codes: bytes
) -> None:
    with running.device("c", version=version) as client:
        client.send(wire.subscribe(*filters, version=version))
        assert client.read() == Heard(0x90, b"\0\1" + (b"\0" if version == 5 else b"") + codes)


def test_a_connection_has_fifty_subscriptions_and_may_change_them(running: Running) -> None:
    with running.device("c") as client:
        for i in range(50):
            client.send(wire.subscribe(f"t/{i}"))
            assert client.read().body == b"\0\1\1"
        client.send(wire.subscribe("one/more"), wire.subscribe("t/0", qos=0), wire.unsubscribe("t/1"))
        assert [client.read().body for _ in range(3)] == [b"\0\1\x80", b"\0\1\0", b"\0\1"]
        client.send(wire.subscribe("one/more"))
        assert client.read().body == b"\0\1\1"


@pytest.mark.parametrize("burst", [limits.MAX_BURST, limits.MAX_PUBLISHES])
def test_who_publishes_faster_than_aws_allows_waits_and_loses_nothing(
    burst: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_BURST", burst)
    with Running(throttle=True) as running, running.device("sub", "t") as sub, running.device("pub") as pub:
        began = time.monotonic()
        pub.send(*(wire.publish("t", b"%d" % i, i + 1) for i in range(150)))
        acked = [pub.read().body for _ in range(150)]
        assert time.monotonic() - began > 0.7
        assert acked == [struct.pack("!H", i + 1) for i in range(150)]
        came = [sub.message() for _ in range(100)]
        sub.send(*(wire.puback(got.packet_id) for got in came))
        came += [sub.message() for _ in range(50)]
        assert [got.payload for got in came] == [b"%d" % i for i in range(150)]


def test_a_wills_rights_are_those_of_its_client(running: Running) -> None:
    for topic, qos, code in (("$aws/events/x", 0, 0x87), ("a/+", 0, 0x90), ("t", 2, 0x9B), ("t", 1, 0)):
        with running.raw(5) as client:
            client.send(wire.connect(version=5, will=(topic, b""), will_qos=qos))
            assert client.read().body[1] == code


@pytest.mark.parametrize(
    ("version", "login", "code"),
    [
        (4, ("hana", "secret"), 0),
        (5, ("hana", "secret"), 0),
        (5, ("hana?SDK=some", "secret"), 0),
        (4, ("hana", "Secret"), 7),  # not 5: as on AWS
        (5, ("hana", "Secret"), 0x86),
        (5, ("hana", ""), 0x86),
        (5, ("nobody", ""), 0x86),
        (5, ("", ""), 0x86),
        (4, None, 7),
        (5, None, 0x86),
    ],
)
def test_with_users_a_device_must_log_in(version: int, login: tuple[str, str] | None, code: int) -> None:
    with Running(users={"hana": "secret"}) as running, running.raw(version) as client:
        client.send(wire.connect(version=version, login=login))
        assert client.read().body[1] == code
        assert not code or client.closed()


def test_without_users_whatever_a_device_logs_in_with_is_taken(running: Running) -> None:
    with running.device("c", login=("any", "thing")) as client:
        assert client.quiet()


def test_an_old_version_is_told_that_it_is_not_spoken(running: Running) -> None:
    with running.raw() as client:
        client.send(wire.packet(0x10, wire.string("MQIsdp") + b"\3\2\0\0" + wire.string("c")))
        assert client.last_words() == b"\x20\2\0\1"


# What MQTT 5 adds


def test_what_a_publisher_says_beside_the_payload_is_forwarded(running: Running) -> None:
    said = b"\x01\1\x03\0\1t\x08\0\1r\x09\0\1c\x26\0\1k\0\1v\x26\0\1k\0\1w"
    with running.device("five", "t", version=5) as five, running.device("three", "t") as three:
        five.send(wire.publish("t", b"x", version=5, said=said))
        assert five.message() == Got("t", b"x", said=said)
        assert three.message() == Got("t", b"x")


def test_a_topic_alias_stands_for_its_topic(running: Running) -> None:
    with running.device("c", "a", "b", version=5) as client:
        client.send(wire.publish("a", b"1", version=5, said=b"\x23\0\1"))
        client.send(wire.publish("", b"2", version=5, said=b"\x23\0\1"))
        client.send(wire.publish("b", b"3", version=5, said=b"\x23\0\1"))
        client.send(wire.publish("", b"4", version=5, said=b"\x23\0\1"))
        assert [client.message().topic for _ in range(4)] == ["a", "a", "b", "b"]


def test_eight_aliases_stand_for_eight_topics_on_this_connection_alone(running: Running) -> None:
    topics = [f"t/{n}" for n in range(1, 9)]
    aliases = [bytes([0x23, 0, n]) for n in range(1, 9)]
    with running.device("sub", "t/#", version=5) as sub:
        with running.device("c", version=5) as client, running.device("other", version=5) as other:
            client.send(
                *(wire.publish(t, b"1", version=5, said=a) for t, a in zip(topics, aliases, strict=True))
            )
            client.send(*(wire.publish("", b"2", version=5, said=alias) for alias in reversed(aliases)))
            came = [sub.message() for _ in range(16)]
            assert [got.topic for got in came] == topics + topics[::-1]
            assert {got.said for got in came} == {b""}, "an alias is between two"
            other.send(wire.publish("", b"3", version=5, said=aliases[0]))
            assert other.last_words()[2] == 0x82
        with running.device("c", version=5) as again:
            again.send(wire.publish("", b"4", version=5, said=aliases[0]))
            assert again.last_words()[2] == 0x82


def test_a_client_that_takes_aliases_need_not_be_sent_any(running: Running) -> None:
    with running.device("c", "t", version=5, said=b"\x22\0\x08") as client:
        client.send(*[wire.publish("t", b"x", version=5)] * 2)
        assert [client.message() for _ in range(2)] == [Got("t", b"x")] * 2


@pytest.mark.parametrize(("alias", "code"), [(9, 0x94), (2, 0x82)])
def test_an_alias_that_nobody_announced_is_refused(running: Running, alias: int, code: int) -> None:
    with running.device("c", version=5) as client:
        client.send(wire.publish("", b"", version=5, said=bytes([0x23, 0, alias])))
        assert client.last_words()[2] == code


def test_a_message_that_waited_says_how_much_of_its_expiry_is_left_and_does_not_come_too_late(
    running: Running,
) -> None:
    with running.device("kept", "t", version=5, clean=False, said=struct.pack("!BI", 0x11, 60)):
        pass
    assert eventually(lambda: running.gateway.counts().clients == 0)
    running.gateway.publish_soon(
        Message("t", b"%d" % s, qos=1, properties=PublishProperties(expiry_s=s)) for s in (1, 60)
    )
    time.sleep(1.1)
    with running.device("kept", version=5, clean=False) as again:
        assert again.message() == Got("t", b"60", 1, said=struct.pack("!BI", 0x02, 59))
        assert again.quiet()


def test_a_retained_message_says_what_is_left_of_its_expiry_and_is_gone_after_it(running: Running) -> None:
    with running.device("pub", version=5) as pub, running.device("c", version=5) as client:
        for topic, expiry_s in (("short", 1), ("long", 60)):
            said = struct.pack("!BI", 0x02, expiry_s)
            pub.send(wire.publish(topic, b"x", 1, version=5, retain=True, said=said))
            assert pub.read().first == 0x40
        time.sleep(1.1)
        client.send(wire.subscribe("short", "long", version=5))
        assert client.read().first == 0x90
        got = client.message()
        assert (got.topic, 1 <= struct.unpack("!BI", got.said)[1] < 60) == ("long", True)
        assert client.quiet()


def test_a_client_gets_no_packet_larger_than_it_takes(running: Running) -> None:
    with running.device("c", "t", version=5, said=struct.pack("!BI", 0x27, 50)) as client:
        client.send(wire.publish("t", b"x" * 60, 1, version=5), wire.publish("t", b"x" * 60, version=5))
        client.send(wire.publish("t", b"small", 2, version=5))
        assert wire.got(messages(client, 1)[0], 5).payload == b"small"
    assert running.gateway.counts().dropped == 2


def test_a_client_has_no_more_unacknowledged_than_it_takes(running: Running) -> None:
    with running.device("c", "t", version=5, said=b"\x21\0\2") as client, running.device("pub") as pub:
        pub.send(*(wire.publish("t", b"%d" % i, i + 1) for i in range(4)))
        ids = [client.message().packet_id for _ in range(2)]
        assert client.quiet()
        client.send(wire.puback(ids[0]))
        assert client.message().payload == b"2"


def test_subscription_options_of_mqtt_5_are_kept(running: Running) -> None:
    with running.device("c", version=5) as client:
        client.send(wire.publish("kept", b"x", version=5, retain=True))
        client.send(wire.subscribe("own", qos=1 | 4, version=5), wire.subscribe("as", qos=8, version=5))
        client.send(wire.subscribe("kept", qos=0x20, version=5), wire.subscribe("kept", qos=0x10, version=5))
        assert [client.read().body[3] for _ in range(4)] == [1, 0, 0, 0]
        assert client.quiet(), "neither never nor only-if-new sends a retained message here"
        client.send(*(wire.publish(topic, b"y", version=5, retain=True) for topic in ("own", "as", "kept")))
        assert [client.message()[:4] for _ in range(2)] == [("as", b"y", 0, True), ("kept", b"y", 0, False)]


def test_what_we_do_not_have_is_announced_and_refused(running: Running) -> None:
    with running.raw(5) as client:
        client.send(wire.connect(version=5))
        said = client.read().body[3:]
        assert said == b"\x21\0\x64\x24\1\x27\0\2\x48\0\x22\0\x08\x29\0\x2a\0"
        client.send(wire.subscribe("t", version=5, said=b"\x0b\1"))
        assert client.last_words()[2] == 0xA1


def test_unsubscribing_from_nothing_is_told_in_mqtt_5(running: Running) -> None:
    with running.device("c", "t", version=5) as client:
        client.send(wire.unsubscribe("t", "never", version=5))
        assert client.read() == Heard(0xB0, b"\0\1\0\0\x11")


def test_a_session_that_was_to_end_cannot_be_kept_in_the_last_word(running: Running) -> None:
    with running.device("c", version=5) as client:
        client.send(wire.packet(0xE0, b"\0\5" + struct.pack("!BI", 0x11, 9)))
        assert client.last_words()[2] == 0x82


# Hooks


def test_a_hook_hears_what_clients_publish_and_the_subscribers_do_too(running: Running) -> None:
    heard: list[tuple[Message, Client]] = []
    running.gateway.hook(
        "$aws/things/+/shadow/update", lambda message, client: heard.append((message, client))
    )
    topic = "$aws/things/staff-hana/shadow/update"
    with running.device("sub", topic) as sub, running.device("pub") as pub:
        pub.send(wire.publish(topic, b"{}", 7))
        assert pub.read() == Heard(0x40, b"\0\7")
        assert sub.message().payload == b"{}"
        running.gateway.publish_soon([Message(topic, b"own")])
        assert sub.message().payload == b"own"
    [(message, client)] = heard
    assert (message.topic, message.payload, message.qos) == (topic, b"{}", 1)
    assert (client.id, client.address, client.rights.name) == ("pub", "127.0.0.1", "device")


def test_pubacks_wait_for_their_hooks_and_keep_their_order(running: Running) -> None:
    waiting: dict[str, asyncio.Future[None]] = {}

    def take(message: Message, _client: Client) -> asyncio.Future[None]:
        return waiting.setdefault(message.topic, asyncio.get_running_loop().create_future())

    running.gateway.hook("slow/+", take)
    with running.device("c") as client:
        client.send(
            wire.publish("slow/1", b"", 1), wire.publish("fast", b"", 2), wire.publish("slow/2", b"", 3)
        )
        assert client.quiet()
        running.soon(lambda: waiting["slow/2"].set_result(None))
        assert client.quiet()
        running.soon(lambda: waiting["slow/1"].set_result(None))
        assert [client.read().body for _ in range(3)] == [b"\0\1", b"\0\2", b"\0\3"]


def test_a_client_has_only_so_many_messages_in_the_hooks(running: Running) -> None:
    taken: list[asyncio.Future[None]] = []

    def take(_message: Message, _client: Client) -> asyncio.Future[None]:
        taken.append(asyncio.get_running_loop().create_future())
        return taken[-1]

    def finish() -> None:
        for one in taken:
            if not one.done():
                one.set_result(None)

    running.gateway.hook("slow", take)
    with running.device("c") as client:
        client.send(*(wire.publish("slow", b"", i % 2 and i) for i in range(250)))
        assert eventually(lambda: len(taken) == 100)
        time.sleep(0.05)
        assert len(taken) == 100
        running.soon(finish)
        assert eventually(lambda: len(taken) == 200)
        running.soon(finish)
        assert eventually(lambda: len(taken) == 250)
        running.soon(finish)
        assert [client.read().body for _ in range(125)] == [struct.pack("!H", i) for i in range(1, 250, 2)]


@pytest.mark.parametrize("late", [False, True])
def test_a_hook_that_fails_costs_the_connection_so_that_the_message_comes_again(
    running: Running, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_late(message: Message, _client: Client) -> None:
        raise RuntimeError(message.topic)

    def fails(message: Message, _client: Client) -> None:
        raise RuntimeError(message.topic)

    running.gateway.hook("bad", fails_late if late else fails)
    with running.device("other") as other, running.device("c") as client:
        client.send(wire.publish("bad", b"", 1), wire.publish("good", b"", 2))
        assert b"\x40\2\0\1" not in client.last_words()
        assert other.quiet()
        other.send(wire.publish("bad"))
        assert other.quiet(), "at QoS 0 nobody waits for an answer"
    assert "A hook failed on a message to bad" in caplog.text


# Readers that stall


def test_for_a_reader_that_stalls_qos_0_is_dropped_and_counted(running: Running) -> None:
    with running.device("stalled") as stalled, running.device("pub") as pub:
        stalled.send(wire.subscribe("t", qos=0))
        assert stalled.read().first == 0x90
        for i in range(200):
            pub.send(wire.publish("t", b"x" * 100_000, 1))
            assert pub.read().first == 0x40, i
        counts = running.gateway.counts()
        assert counts.dropped > 50
        assert counts.sent + counts.dropped >= 200


def test_what_had_to_wait_behind_a_burst_needs_no_other_packet_to_be_sent(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_OUTPUT", 1000)
    with running.device("sub", "t") as sub:
        running.gateway.publish_soon(
            [Message("t", b"x" * 2000), *(Message("t", b"x" * 600, qos=1) for _ in range(9))]
        )
        assert [len(sub.message().payload) for _ in range(10)] == [2000] + [600] * 9


def test_a_reader_that_never_acknowledges_is_cut_off_at_last(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_QUEUED", 50)
    with running.device("stalled", "t", version=5) as stalled, running.device("pub") as pub:
        pub.send(*(wire.publish("t", b"", i + 1) for i in range(160)))
        assert [pub.read().first for _ in range(160)] == [0x40] * 160
        assert stalled.last_words().endswith(b"\xe0\2\x97\0")


def test_who_asks_and_never_reads_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STALLED", 10_000)
    with running.device("greedy") as greedy:
        running.narrow(greedy)
        with pytest.raises(ConnectionError):
            greedy.send(wire.PINGREQ * 5_000_000)
    assert eventually(lambda: running.gateway.counts().clients == 0)


def test_who_neither_reads_nor_speaks_any_more_is_gone(running: Running) -> None:
    with running.device("stalled") as stalled, running.device("pub") as pub:
        stalled.send(wire.subscribe("t", qos=0))
        assert stalled.read().first == 0x90
        for _ in range(100):
            pub.send(wire.publish("t", b"x" * 100_000, 1))
            assert pub.read().first == 0x40
        stalled.hang_up()
        assert eventually(lambda: running.gateway.counts().clients == 1)


def test_a_publisher_waits_for_a_reader_that_lags_so_that_nothing_is_lost(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may keep the reader from its turn for seconds: that is not the silence which is meant.
    small = (("MAX_LAG", 20), ("MAX_QUEUED", 2000), ("LAG_REST_S", 0.002), ("LAG_SILENCE_S", 60.0))
    for name, number in small:
        monkeypatch.setattr(limits, name, number)
    with running.device("slow", "t") as slow, running.device("pub") as pub:
        pub.send(*(wire.publish("t", b"%d" % i, i + 1) for i in range(3000)))
        for i in range(3000):
            got = slow.message()
            assert got.payload == b"%d" % i
            slow.send(wire.puback(got.packet_id))


# The end


def test_closing_says_goodbye_and_frees_the_port() -> None:
    with Running() as running:
        silent, five, three = running.raw(), running.device("five", version=5), running.device("three")
        running.call(running.gateway.close())
        assert five.last_words() == b"\xe0\2\x8b\0"
        assert three.closed()
        assert silent.closed()
        for client in (five, three, silent):
            client.drop()
        assert running.call(running.gateway.listen_tcp(bind(wire.HOST, running.tcp))) == running.tcp


def test_closing_waits_neither_for_hooks_nor_for_wills_nor_for_clients(running: Running) -> None:
    async def never(_message: Message, _client: Client) -> None:
        await asyncio.Event().wait()

    running.gateway.hook("t", never)
    client = running.device("c", version=5, clean=False, said=struct.pack("!BI", 0x11, 60))
    client.send(wire.publish("t", b"", 1, version=5))
    assert client.quiet()
    began = time.monotonic()
    running.call(running.gateway.close())
    assert time.monotonic() - began < 5
    client.drop()


def test_the_service_may_publish_while_nobody_listens() -> None:
    gateway = Gateway()
    gateway.publish_soon([Message("t", b"")])
    assert gateway.counts().sent == 0


def test_counts_tell_what_happened(running: Running) -> None:
    with running.device("c", "t") as client:
        client.send(wire.publish("t", b"", 1), wire.subscribe("a#"))
        assert {client.read().first for _ in range(3)} == {0x32, 0x40, 0x90}
        counts = running.gateway.counts()
        assert (counts.clients, counts.received, counts.sent, counts.dropped, counts.refused) == (
            1,
            1,
            1,
            0,
            1,
        )
