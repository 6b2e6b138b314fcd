"""Kiosks: MQTT over WebSocket for anybody who can open the page, and what is kept from them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import mqtt_wire as wire
import pytest
from fake_slack import FakeSlack
from mqtt_wire import HOST, Got, Heard, Running, Wire, eventually, greeted, websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from infra.local.gateway import Message, limits
from tests.shop import Shop

ANSWERS = ["get/accepted", "get/rejected", "update/delta", "update/documents"]
WILDCARDS = tuple(f"$aws/things/+/shadow/{answer}" for answer in ANSWERS)
GET = "$aws/things/staff-hana/shadow/get"


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as running:
        yield running


@pytest.mark.parametrize("version", [4, 5])
def test_a_kiosk_asks_for_a_shadow_and_is_answered(running: Running, version: int) -> None:
    def answer(message: Message, _client: object) -> None:
        running.gateway.publish([Message(f"{message.topic}/accepted", b"{}", qos=1)])

    running.gateway.hook("$aws/things/+/shadow/get", answer)
    with running.kiosk("kiosk-main-1", *WILDCARDS, version=version) as kiosk:
        kiosk.send(wire.publish(GET, b"", 1, version=version))
        assert kiosk.message() == Got(f"{GET}/accepted", b"{}", 1)
        assert kiosk.read() == Heard(0x40, b"\0\1")


def test_a_kiosk_receives_the_answers_of_staff_and_booths_and_nothing_else(running: Running) -> None:
    with running.kiosk("kiosk-main-1", *WILDCARDS) as kiosk, running.device("all", "$aws/things/#") as device:
        things = ["button-1", "staff-hana", "other", "booth-main"]
        ends = ["update", "update/accepted", "delete/accepted", "name/x/update/delta", *ANSWERS]
        topics = [f"$aws/things/{thing}/shadow/{end}" for thing in things for end in ends]
        running.gateway.publish_soon(Message(topic, b"") for topic in topics)
        expected = [
            f"$aws/things/{thing}/shadow/{end}" for thing in ("staff-hana", "booth-main") for end in ANSWERS
        ]
        assert [kiosk.message().topic for _ in expected] == expected
        assert kiosk.quiet()
        assert [device.message().topic for _ in topics] == topics


def test_a_screen_that_asks_for_its_booth_is_handed_all_whom_it_lists(tmp_path: Path) -> None:
    booth, answered = "$aws/things/booth-main/shadow/get", "$aws/things/{}/shadow/get/accepted".format
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        staff = [f"staff-{id}" for id in shop.wall(200)]
        listed = ["button-demo", "staff-gone", "nonsense", *staff[1:]]
        shop.place.shadows.update("button-demo", reported={"battery": 0.5})
        shop.place.shadows.update("booth-main", reported={"staff": listed})
        sock = socket.create_connection((HOST, int(shop.at.mqtt.rpartition(":")[2])))
        with (
            greeted(websocket(shop.at.websocket), "kiosk-main-1", WILDCARDS) as screen,
            greeted(websocket(shop.at.websocket), "kiosk-main-2", WILDCARDS) as other,
            greeted(websocket(shop.at.websocket), "kiosk-main-3", WILDCARDS[1:]) as deaf,
            greeted(Wire(sock), "device", ("$aws/things/+/shadow/get/+",)) as device,
        ):
            screen.send(wire.publish(booth, b"", 0))
            assert screen.message().topic == answered("booth-main"), "first whom to expect, then they"
            handed = {got.topic: json.loads(got.payload) for got in (screen.message() for _ in staff[1:])}
            assert set(handed) == {answered(thing) for thing in staff[1:]}
            known = shop.shadow("staff-w7")
            state = {half: known["state"][half] for half in ("desired", "reported")}
            assert handed[answered("staff-w7")] == {
                "state": state,
                "version": 1,
                "timestamp": pytest.approx(known["timestamp"], abs=30),
            }
            assert sum(len(json.dumps(each)) for each in handed.values()) < limits.MAX_THROUGHPUT
            assert screen.quiet()
            assert other.message().topic == device.message().topic == answered("booth-main")
            deaf.send(wire.publish(booth, b"", 0))
            for each in (screen, other, device):
                assert each.message().topic == answered("booth-main")
            device.send(wire.publish(booth, b"", 0))
            assert device.message().topic == answered("booth-main")
            assert device.quiet()
            assert deaf.quiet(), "who did not ask to hear such answers hears none"


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    "topic_filter",
    ["#", "+", "$aws/#", "$aws/things/+/shadow/#", "$aws/things/+/shadow/update", "staffcall/#"],
)
def test_a_kiosk_is_refused_other_filters_and_stays_connected(
    running: Running, version: int, topic_filter: str
) -> None:
    with running.kiosk(version=version) as kiosk:
        kiosk.send(wire.subscribe(topic_filter, version=version))
        assert kiosk.read().body[-1] == (0x87 if version == 5 else 0x80)
        assert kiosk.quiet()


@pytest.mark.parametrize("packet_id", [0, 1])
@pytest.mark.parametrize(
    ("topic", "retain"),
    [
        ("$aws/things/staff-hana/shadow/update", False),
        ("$aws/things/staff-hana/shadow/delete", False),
        ("$aws/things/staff-hana/shadow/get/accepted", False),
        ("$aws/things/button-1/shadow/get", False),
        ("staffcall/buttons/1/press", False),
        (GET, True),
    ],
)
def test_a_kiosk_that_publishes_what_it_must_not_is_cut_off_and_nobody_hears_it(
    running: Running, topic: str, retain: bool, packet_id: int
) -> None:
    hooked: list[Message] = []
    running.gateway.hook("#", lambda message, _: hooked.append(message))
    running.gateway.hook("$aws/#", lambda message, _: hooked.append(message))
    with running.device("all", topic) as device:
        for version in (4, 5):
            with running.kiosk(version=version) as kiosk:
                kiosk.send(wire.publish(topic, b"{}", packet_id, version=version, retain=retain))
                assert kiosk.last_words() == (b"\xe0\2\x87\0" if version == 5 else b"")
        assert device.quiet()
    assert not hooked


def test_a_kiosks_will_reaches_nobody(running: Running) -> None:
    with running.device("all", "will", "$aws/things/#", "$aws/events/presence/disconnected/+") as device:
        for topic in ("will", GET, "$aws/things/staff-hana/shadow/update/delta", "a/+"):
            with running.kiosk(will=(topic, b"boo")):
                pass
            assert device.message().topic == "$aws/events/presence/disconnected/kiosk-main-1"
        assert device.quiet()


def test_a_kiosk_cannot_take_over_a_device_nor_its_session(running: Running) -> None:
    with running.device("same", "t", clean=False) as device:
        with running.raw_websocket() as kiosk:
            kiosk.send(wire.connect("same", clean=False))
            assert kiosk.read() == Heard(0x20, b"\0\0")
            assert device.quiet()
            running.gateway.publish_soon([Message("t", b"secret", qos=1)])
            assert device.message().payload == b"secret"
            assert kiosk.quiet()
        with running.kiosk("kiosk") as one, running.kiosk("kiosk"):
            assert one.closed(), "of kiosks the last one wins"


def test_a_kiosk_needs_no_password_where_devices_do() -> None:
    with Running(users={"hana": "secret"}) as running, running.kiosk() as kiosk:
        assert kiosk.quiet()


# WebSocket


def test_packets_may_be_cut_anywhere_and_several_may_share_a_message(running: Running) -> None:
    stream = wire.connect("") + wire.subscribe(*WILDCARDS) + wire.publish(GET, b"{}", 7) + wire.PINGREQ
    with running.raw_websocket() as whole, running.raw_websocket() as cut, running.raw_websocket() as split:
        whole.send(stream)
        for i in range(len(stream)):
            cut.send(stream[i : i + 1])
        split.websocket.send([stream[:9], stream[9:40], stream[40:]])  # one message in three frames
        for kiosk in (whole, cut, split):
            assert [kiosk.read().first for _ in range(4)] == [0x20, 0x90, 0x40, 0xD0]
            kiosk.drop()


@pytest.mark.parametrize(
    ("path", "offered", "status"),
    [
        ("/", ["mqtt"], 404),
        ("/mqtt/", ["mqtt"], 404),
        ("/mqttx", ["mqtt"], 404),
        ("/mqtt", None, 400),
        ("/mqtt", ["chat"], 400),
        ("/mqtt?X-Amz-Signature=x", ["chat", "mqtt"], 101),
    ],
)
def test_mqtt_is_at_its_path_and_under_its_name(
    running: Running, path: str, offered: list[str] | None, status: int
) -> None:
    names = [Subprotocol(name) for name in offered] if offered else None
    uri = f"ws://{HOST}:{running.ws}{path}"
    if status == 101:
        with connect(uri, subprotocols=names, origin=Origin("http://elsewhere"), proxy=None) as websocket:
            assert websocket.subprotocol == "mqtt"
    else:
        with pytest.raises(InvalidStatus) as refused:
            connect(uri, subprotocols=names, proxy=None, legacy=True)
        assert refused.value.response.status_code == status


@pytest.mark.parametrize(
    ("message", "code"),
    [("text", 1003), (b"x" * (limits.MAX_WEBSOCKET_MESSAGE + 1), 1009), (b"garbage", 1000)],
)
def test_a_message_that_is_no_mqtt_ends_the_websocket(
    running: Running, message: str | bytes, code: int
) -> None:
    with running.raw_websocket() as kiosk:
        kiosk.websocket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            kiosk.websocket.recv(5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == code


def test_a_websocket_ping_is_answered(running: Running) -> None:
    with running.kiosk() as kiosk:
        assert kiosk.websocket.ping(b"there?").wait(5)


def test_a_kiosk_whose_websocket_closes_has_left(running: Running) -> None:
    with running.device("watch", "$aws/events/presence/disconnected/+") as watch:
        running.kiosk().drop()
        assert b"CONNECTION_LOST" in watch.message().payload
        assert eventually(lambda: running.gateway.counts().clients == 1)


@pytest.mark.parametrize(
    "garbage", [b"\0\1\2\3\r\n\r\n", b"GET /mqtt\r\n\r\n", b"POST /mqtt HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_handshake_is_answered_by_closing(running: Running, garbage: bytes) -> None:
    with socket.create_connection((HOST, running.ws), 5) as sock:
        sock.sendall(garbage)
        heard = b""
        while more := sock.recv(4096):
            heard += more
        assert not heard or heard.startswith(b"HTTP/1.1 4")


def test_a_slow_handshake_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECT_S", 0.1)
    with Running() as running:
        with socket.create_connection((HOST, running.ws), 5) as sock:
            sock.sendall(b"GET /mqtt HTTP/1.1\r\n")
            assert sock.recv(100) == b""
        with running.raw_websocket() as silent:
            assert silent.closed()


# What is for one screen alone

MACHINE = "$aws/things/machine-press1/shadow/name/data"


def test_a_kiosk_reads_its_own_topic_and_no_other_kiosk_can(running: Running) -> None:
    own = "kiosk/kiosk-main-1/in"
    with running.kiosk("kiosk-main-1", own) as one, running.kiosk("kiosk-main-2") as other:
        for topic_filter in (own, "kiosk/+/in", "kiosk/#", "kiosk/kiosk-main-2/+", "kiosk/kiosk-main-2/in/x"):
            other.send(wire.subscribe(topic_filter))
            assert other.read().body[-1] == 0x80, topic_filter
        running.gateway.publish_soon([Message(own, b"hello", qos=1)])
        assert one.message().payload == b"hello"
        assert other.quiet()
        one.send(wire.publish("kiosk/kiosk-main-2/in", b"{}"))
        assert one.last_words() == b""


@pytest.mark.parametrize("client_id", ["+", "#", "a/in/#", "kiosk-main-1/in/+"])
def test_a_client_id_that_would_be_a_wildcard_opens_nothing(running: Running, client_id: str) -> None:
    with running.kiosk(client_id) as kiosk:
        kiosk.send(wire.subscribe(f"kiosk/{client_id}/in"))
        answer = kiosk.read()
        assert answer.body[-1] == 0x80
        running.gateway.publish_soon([Message("kiosk/kiosk-main-1/in", b"secret")])
        assert kiosk.quiet()


def test_what_a_machine_says_comes_to_who_asked_for_that_machine(running: Running) -> None:
    said = f"{MACHINE}/update/documents"
    with running.kiosk("kiosk-main-1", *WILDCARDS) as deaf, running.kiosk("kiosk-main-2", said) as kiosk:
        for topic_filter in (
            "$aws/things/+/shadow/name/data/update/documents",
            "$aws/things/staff-hana/shadow/name/data/update/documents",
            f"{MACHINE}/update/delta",
            "$aws/things/machine-press1/shadow/name/other/update/documents",
        ):
            deaf.send(wire.subscribe(topic_filter))
            assert deaf.read().body[-1] == 0x80, topic_filter
        other = said.replace("press1", "press2")
        running.gateway.publish_soon([Message(other, b"other"), Message(said, b"1")])
        assert kiosk.message().payload == b"1"
        assert deaf.quiet()
        assert kiosk.quiet()
        kiosk.send(wire.publish(f"{MACHINE}/update", b"{}"))
        assert kiosk.last_words() == b""
