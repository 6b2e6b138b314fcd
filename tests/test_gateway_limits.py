"""AWS's limits: each holds unless it is switched off, for itself alone; and what is left then still has a bound."""

import itertools
import json
import struct
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import mqtt_wire as wire
import pytest
from mqtt_wire import Heard, Running, Wire, eventually
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from infra.local.gateway import Message, limits
from infra.settings import LIMITS, Settings, SettingsError
from tests.asking import EVERYTHING, Rest, Twin, twin

RATES = {"requests", "in-flight", "rates"}


def nested(levels: int) -> object:
    inner: object = 1
    for _ in range(levels - 1):
        inner = {"a": inner}
    return {"a": inner}


def desired(value: object, **more: object) -> dict[str, object]:
    return {"state": {"desired": value}, **more}


def codes(place: Twin, *requests: tuple[str, object]) -> list[int]:
    """What updates of things are answered over REST."""
    with place.device("listener", EVERYTHING) as listener:
        rest = Rest(place, listener)
        return [rest.ask("update", thing, request).code for thing, request in requests]


def puback(place: Twin, topic: str, payload: bytes = b"") -> Heard:
    with place.device("five", version=5) as device:
        device.send(wire.publish(topic, payload, 1, version=5))
        return device.read()


def suback(device: Wire, *filters: str) -> list[int]:
    device.send(wire.subscribe(*filters, version=device.version))
    return list(device.read().body[2 + (device.version == 5) :])


# Each of these asks for a little more than AWS allows; the answer is whether that is refused.


def document_size(place: Twin) -> bool:
    return codes(place, ("t", desired({"a": "x" * 9000}))) == [413]


def document_depth(place: Twin) -> bool:
    return codes(place, ("t", desired(nested(7)))) == [400]


def names(place: Twin) -> bool:
    found = codes(place, ("花 と", {"state": {}}), ("x" * 129, {"state": {}}))
    assert found in ([400, 400], [200, 200])
    with place.device("c", "$aws/things/+/shadow/update/accepted") as device:
        device.send(wire.publish("$aws/things/花/shadow/update", b'{"state":{}}', 1))
        said = {device.read().first >> 4}
        while 4 not in said:  # the answers come before PUBACK
            said.add(device.read().first >> 4)
    assert (3 in said) is (found == [200, 200]), "MQTT and REST agree"
    return found == [400, 400]


def client_token(place: Twin) -> bool:
    return codes(place, ("t", desired({}, clientToken="x" * 65))) == [400]


def requests(place: Twin) -> bool:
    return codes(place, *[("t", {"state": {}})] * 21)[-1] == 429


def in_flight(place: Twin) -> bool:
    gate, at_the_gate = threading.Event(), threading.Event()
    place.store.submit(lambda _: (at_the_gate.set(), gate.wait(20)))
    assert at_the_gate.wait(20)
    with place.device("one", "$aws/things/+/shadow/get/rejected") as one:
        one.send(*[wire.publish("$aws/things/t/shadow/get")] * 11, wire.PINGREQ)
        heard = [one.read()]
        while heard[-1].first != 0xD0:
            heard.append(one.read())
        gate.set()
        heard = heard[:-1] + [one.read() for _ in range(12 - len(heard))]
    return {json.loads(wire.got(each).payload)["code"] for each in heard} == {404, 429}


def unacknowledged(place: Twin) -> bool:
    with place.device("reader", "t") as reader, place.device("writer") as writer:
        writer.send(*[wire.publish("t", packet_id=n) for n in range(1, 102)], wire.PINGREQ)
        while writer.read().first != 0xD0:
            pass
        first = [reader.read() for _ in range(100)]
        reader.send(wire.PINGREQ)
        assert {each.first for each in first} == {0x32}
        return reader.read().first == 0xD0


def payload(place: Twin) -> bool:
    large = b" " * (129 * 1024)
    refused = puback(place, "t", large).body[2:] == b"\x95"
    assert (codes(place, ("t", large + b'{"state":{}}')) == [413]) is refused, "MQTT and REST agree"
    return refused


def topics(place: Twin) -> bool:
    deep, long = "1/2/3/4/5/6/7/8/9", "x" * 257
    refused = [puback(place, topic).body[2:] == b"\x90" for topic in (deep, long)]
    with place.device("c") as device:
        refused += [code == 0x80 for code in suback(device, deep, long)]
    refused += [place.http("POST", f"/topics/{topic}")[0] == 400 for topic in (deep, long)]
    assert len(set(refused)) == 1
    return refused[0]


def filters(place: Twin) -> bool:
    with place.device("c", version=5) as device:
        return suback(device, *(f"t/{i}" for i in range(9))) == [0x97] * 9


def subscriptions(place: Twin) -> bool:
    with place.device("c", version=5) as device:
        granted = [suback(device, f"t/{i}") for i in range(51)]
        assert granted[:50] == [[1]] * 50
        return granted[50] == [0x97]


def qos_2(place: Twin) -> bool:
    with place.device("c", version=5) as device:
        device.send(publish_2("t", 1))
        answer = device.read()
        return (answer.first, answer.body[:1]) == (0xE0, b"\x9b")


def rates(place: Twin) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAX_THROUGHPUT", 1000)  # what is sent below takes a hundred seconds
        device = place.device("c")
    with device:
        device.send(*[wire.publish("t", b"x" * 1000)] * 100, wire.PINGREQ)
        try:
            return device.read().first != 0xD0
        except TimeoutError:
            return True


PROBES: dict[str, Callable[[Twin], bool]] = {
    "document-size": document_size,
    "document-depth": document_depth,
    "names": names,
    "client-token": client_token,
    "requests": requests,
    "in-flight": in_flight,
    "unacknowledged": unacknowledged,
    "payload": payload,
    "topics": topics,
    "filters": filters,
    "subscriptions": subscriptions,
    "qos-2": qos_2,
    "rates": rates,
}


def kept(folder: Path, name: str, off: Collection[str], **settings: Any) -> bool:
    with twin(folder, **{"throttle": True, "limits_off": frozenset(off), **settings}) as place:
        return PROBES[name](place)


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_holds_unless_it_is_switched_off(tmp_path: Path, name: str) -> None:
    assert kept(tmp_path / "on", name, ())
    assert not kept(tmp_path / "off", name, {name})
    assert kept(tmp_path / "others", name, set(LIMITS) - {name}), "no other switch moves it"


@pytest.mark.parametrize("name", LIMITS)
def test_without_the_throttle_the_rates_are_off_and_no_other_limit(tmp_path: Path, name: str) -> None:
    assert kept(tmp_path, name, (), throttle=False) is (name not in RATES)


# What is left


def test_a_document_whose_limits_are_off_is_bounded(tmp_path: Path) -> None:
    with twin(tmp_path, limits_off=frozenset({"document-size", "document-depth", "payload"})) as place:
        room = 64 * 1024 - len('{"desired":{"a":""}}')
        found = codes(
            place,
            ("t", desired({"a": "x" * room})),
            ("t", desired({"a": "x" * (room + 1)})),
            ("t", desired(nested(64))),
            ("t", desired(nested(65))),
            ("u", b" " * (512 * 1024 - 12) + b'{"state":{}}'),
            ("u", b" " * (512 * 1024 - 11) + b'{"state":{}}'),
        )
        assert found == [200, 413, 200, 400, 200, 413]


@pytest.mark.parametrize("name", ["/", "+", "#", "a/b", "a+", "x" * 201])
def test_a_name_is_a_level_of_a_topic_whatever_is_off(tmp_path: Path, name: str) -> None:
    with twin(tmp_path, limits_off=frozenset({"names"})) as place:
        assert place.http("GET", f"/things/{name.replace('/', '%2F').replace('#', '%23')}/shadow")[0] == 400


def test_pages_and_response_topics_take_what_is_off(tmp_path: Path) -> None:
    with twin(tmp_path, limits_off=frozenset({"names", "topics"})) as place:
        data, names = place.boto("iot-data"), ["a b", "é"]
        for name in names:
            data.update_thing_shadow(thingName="x", shadowName=name, payload=b'{"state":{}}')
        first = data.list_named_shadows_for_thing(thingName="x", pageSize=1)
        last = data.list_named_shadows_for_thing(thingName="x", nextToken=first["nextToken"])
        assert [first["results"], last["results"]] == [["a b"], ["é"]]
        data.publish(topic="t", payload=b"", responseTopic="/" * 127)
        with pytest.raises(data.exceptions.InvalidRequestException, match="responseTopic"):
            data.publish(topic="t", payload=b"", responseTopic="/" * 128)


def test_messages_and_topics_whose_limits_are_off_are_bounded(tmp_path: Path) -> None:
    with twin(tmp_path, limits_off=frozenset({"payload", "topics"})) as place:
        assert puback(place, "t", b"x" * 512 * 1024).body == b"\0\1"
        assert puback(place, "t", b"x" * (512 * 1024 + 1)).body[2:] == b"\x95"
        assert puback(place, "t", b"x" * (600 * 1024)).body[:1] == b"\x95", (
            "its packet is too large to be read"
        )
        assert puback(place, "x" * 4096).body == b"\0\1"
        assert puback(place, "x" * 4097).body[2:] == b"\x90"
        assert puback(place, "/" * 127).body == b"\0\1"
        assert puback(place, "/" * 128).body[2:] == b"\x90"


def test_a_large_message_reaches_who_reads_and_costs_who_does_not_the_connection(tmp_path: Path) -> None:
    with Running(off={"payload"}) as running, running.device("sub", "t") as sub, running.device("pub") as pub:
        large = b"x" * 512 * 1024
        for n in range(1, 6):
            pub.send(wire.publish("t", large, n))
            assert pub.read().first == 0x40
            came = sub.message()
            assert came.payload == large
            sub.send(wire.puback(came.packet_id))


def test_a_websocket_takes_what_a_message_may_have() -> None:
    with Running(off={"payload"}) as running, running.kiosk() as kiosk:
        topic = "$aws/things/staff-hana/shadow/get"
        heard: list[int] = []
        running.gateway.hook(topic, lambda message, _: heard.append(len(message.payload)))
        kiosk.send(wire.publish(topic, b"x" * 512 * 1024, 1))
        assert kiosk.read().first == 0x40
        assert heard == [512 * 1024]


def test_filters_and_subscriptions_whose_limits_are_off_are_bounded() -> None:
    with Running(off={"filters", "subscriptions"}) as running, running.device("c", version=5) as client:
        assert suback(client, *(f"t/{i}" for i in range(1001))) == [0x97] * 1001
        for n in range(10):
            assert suback(client, *(f"t/{n}/{i}" for i in range(1000))) == [1] * 1000
        assert suback(client, "one/more", "t/0/0") == [0x97, 1]


# QoS 2, which AWS has not


def publish_2(
    topic: str, packet_id: int, payload: bytes = b"", *, dup: bool = False, version: int = 5
) -> bytes:
    head = wire.string(topic) + struct.pack("!H", packet_id) + (b"\0" if version == 5 else b"")
    return wire.packet(0x34 | dup << 3, head + payload)


def pubrel(packet_id: int) -> bytes:
    return wire.packet(0x62, struct.pack("!H", packet_id))


@pytest.fixture
def generous() -> Any:
    with Running(off={"qos-2"}) as running:
        yield running


@pytest.mark.parametrize("version", [4, 5])
def test_a_message_of_qos_2_comes_once_however_often_it_is_sent(generous: Running, version: int) -> None:
    heard: list[tuple[bytes, int]] = []
    generous.gateway.hook("#", lambda message, _: heard.append((message.payload, message.qos)))
    with generous.device("sub", "t") as sub, generous.device("pub", version=version) as pub:
        for dup in (False, True, True):
            pub.send(publish_2("t", 7, b"1", dup=dup, version=version))
            assert pub.read() == Heard(0x50, b"\0\7")
        pub.send(pubrel(7))
        assert pub.read() == Heard(0x70, b"\0\7")
        pub.send(publish_2("t", 7, b"2", version=version), pubrel(7))
        assert [pub.read().first for _ in range(2)] == [0x50, 0x70]
        assert [sub.message()[1:3] for _ in range(2)] == [(b"1", 1), (b"2", 2)], "it goes on with QoS 1"
        assert heard == [(b"1", 1), (b"2", 1)]


def test_what_was_not_released_is_known_to_a_session_that_is_kept(generous: Running) -> None:
    with generous.device("pub", clean=False) as pub:
        pub.send(publish_2("t", 7, b"1", version=4))
        assert pub.read().first == 0x50
    assert eventually(lambda: generous.gateway.counts().clients == 0)
    with generous.device("sub", "t") as sub, generous.device("pub", clean=False) as again:
        again.send(publish_2("t", 7, b"1", dup=True, version=4), pubrel(7))
        assert [again.read().first for _ in range(2)] == [0x50, 0x70]
        assert sub.quiet()


def test_a_release_of_nothing_is_answered(generous: Running) -> None:
    with generous.device("three") as three, generous.device("five", version=5) as five:
        three.send(pubrel(9))
        five.send(pubrel(9))
        assert (three.read(), five.read()) == (Heard(0x70, b"\0\x09"), Heard(0x70, b"\0\x09\x92"))


def test_pubrec_waits_for_the_hooks_and_one_that_fails_lets_the_message_come_again(generous: Running) -> None:
    calls = itertools.count()

    def fails_at_first(_message: Message, _client: object) -> None:
        if next(calls) == 0:
            raise OSError("the disk is full")

    generous.gateway.hook("t", fails_at_first)
    with generous.device("pub", clean=False) as pub:
        pub.send(publish_2("t", 7, version=4))
        assert pub.closed()
    with generous.device("pub", clean=False) as again:
        again.send(publish_2("t", 7, dup=True, version=4))
        assert again.read() == Heard(0x50, b"\0\7")
    assert next(calls) == 2, "the hook was asked again"


def test_a_refused_message_of_qos_2_is_told_in_its_pubrec(generous: Running) -> None:
    with generous.device("c", version=5) as client:
        client.send(publish_2("$aws/events/x", 7))
        assert client.read() == Heard(0x50, b"\0\7\x87")
        client.send(pubrel(7))
        assert client.read() == Heard(0x70, b"\0\7\x92"), "it was never taken"


def test_messages_that_are_never_released_are_bounded(
    generous: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_RELEASED", 3)
    with generous.device("c", version=5) as client:
        client.send(*(publish_2("t", n) for n in range(1, 5)))
        assert [client.read().first for _ in range(3)] == [0x50] * 3
        assert client.last_words()[2] == 0x97


def test_a_filter_of_qos_2_is_granted_qos_1(generous: Running) -> None:
    with generous.device("c") as client:
        client.send(wire.subscribe("t", qos=2))
        assert client.read().body == b"\0\1\1"


def test_that_there_is_no_qos_2_is_said_only_where_there_is_none(generous: Running) -> None:
    with generous.raw(5) as client, Running() as strict, strict.raw(5) as other:
        for each in (client, other):
            each.send(wire.connect(version=5))
        assert b"\x24\1" not in client.read().body
        assert b"\x24\1" in other.read().body


@pytest.mark.parametrize("protocol", [MQTTv311, MQTTv5])
def test_paho_publishes_with_qos_2(generous: Running, protocol: Any) -> None:
    done = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "paho", protocol=protocol)
    client.on_publish = lambda *_: done.set()
    with generous.device("sub", "t") as sub:
        client.connect(wire.HOST, generous.tcp)
        client.loop_start()
        try:
            client.publish("t", b"1", qos=2)
            assert sub.message().payload == b"1"
            assert done.wait(10), "it is through all four packets"
        finally:
            client.disconnect()
            client.loop_stop()


# The setting


def test_the_setting_takes_names_with_commas_between_them() -> None:
    assert Settings().limits_off == frozenset()
    found = Settings.from_env({"STAFFCALL_LIMITS_OFF": "Payload, qos-2,payload"})
    assert found.limits_off == {"payload", "qos-2"}


@pytest.mark.parametrize("value", ["all", "payload,", "qos2", "payload qos-2"])
def test_another_name_is_refused_with_those_that_there_are(value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"STAFFCALL_LIMITS_OFF": value})
    assert str(refused.value) == (
        f"STAFFCALL_LIMITS_OFF: expected some of {', '.join(LIMITS)}, with commas between them, got {value!r}"
    )
