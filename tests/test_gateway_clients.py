"""Clients as people have them, unmodified: paho-mqtt and AWS's CRT, in both versions of MQTT."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from awscrt import io, mqtt, mqtt5
from mqtt_wire import HOST, Running
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from infra.local.gateway import Message

GET = "$aws/things/staff-hana/shadow/get"
ANSWER = "$aws/things/+/shadow/get/accepted"


@pytest.fixture
def running() -> Iterator[Running]:
    """A gateway whose shadow service answers whatever is asked."""
    with Running() as running:

        def answer(message: Message, _client: object) -> None:
            running.gateway.publish([Message(f"{message.topic}/accepted", message.payload, qos=1)])

        running.gateway.hook("$aws/things/+/shadow/get", answer)
        yield running


def void(_result: object) -> None:
    """For callbacks that must have no result."""


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("protocol", [MQTTv311, MQTTv5])
def test_paho_asks_for_a_shadow_and_is_answered(running: Running, protocol: Any, transport: Any) -> None:
    heard: queue.Queue[MQTTMessage] = queue.Queue()
    subscribed, acknowledged = threading.Event(), threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "kiosk-main-1", protocol=protocol, transport=transport)
    client.ws_set_options(path="/mqtt")
    client.on_connect = lambda *_: void(client.subscribe(ANSWER, qos=1))
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_publish = lambda *_: acknowledged.set()
    client.on_message = lambda _client, _userdata, message: heard.put(message)
    client.connect(HOST, running.ws if transport == "websockets" else running.tcp)
    client.loop_start()
    try:
        assert subscribed.wait(5)
        client.publish(GET, b"x" * 20_000, qos=1)
        message = heard.get(timeout=5)
        assert (message.topic, message.payload, message.qos) == (f"{GET}/accepted", b"x" * 20_000, 1)
        assert acknowledged.wait(5)
    finally:
        client.disconnect()
        client.loop_stop()


def test_pahos_mqtt_5_properties_arrive(running: Running) -> None:
    heard: queue.Queue[MQTTMessage] = queue.Queue()
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.on_connect = lambda *_: void(client.subscribe("t", qos=1))
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _userdata, message: heard.put(message)
    client.connect(HOST, running.tcp)
    client.loop_start()
    try:
        assert subscribed.wait(5)
        said = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        said.ContentType, said.UserProperty = "text/plain", [("who", "有栖")]
        client.publish("t", b"x", qos=1, properties=said)
        came = heard.get(timeout=5).properties
        assert came is not None
        assert (came.ContentType, came.UserProperty) == ("text/plain", [("who", "有栖")])  # type: ignore[attr-defined]
    finally:
        client.disconnect()
        client.loop_stop()


def bootstrap() -> Any:
    loops = io.EventLoopGroup(1)
    return io.ClientBootstrap(loops, io.DefaultHostResolver(loops))


def test_awss_mqtt_5_client_asks_for_a_shadow_and_is_answered(running: Running) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    connected: Future[Any] = Future()
    stopped = threading.Event()
    client = mqtt5.Client(
        mqtt5.ClientOptions(
            host_name=HOST,
            port=running.tcp,
            bootstrap=bootstrap(),
            connect_options=mqtt5.ConnectPacket(client_id="device-5"),
            on_publish_callback_fn=lambda came: heard.put(came.publish_packet),
            on_lifecycle_event_connection_success_fn=connected.set_result,
            on_lifecycle_event_stopped_fn=lambda _: stopped.set(),
        )
    )
    client.start()
    try:
        settled = connected.result(5).negotiated_settings
        assert (settled.maximum_qos, settled.client_id) == (mqtt5.QoS.AT_LEAST_ONCE, "device-5")
        asked = mqtt5.SubscribePacket([mqtt5.Subscription(ANSWER, mqtt5.QoS.AT_LEAST_ONCE)])
        assert client.subscribe(asked).result(5).reason_codes == [mqtt5.SubackReasonCode.GRANTED_QOS_1]
        sent = client.publish(mqtt5.PublishPacket(topic=GET, qos=mqtt5.QoS.AT_LEAST_ONCE, payload=b"{}"))
        assert sent.result(5).puback.reason_code is mqtt5.PubackReasonCode.SUCCESS
        came = heard.get(timeout=5)
        assert (came.topic, came.payload) == (f"{GET}/accepted", b"{}")
        forbidden = mqtt5.PublishPacket(topic=f"{GET}/accepted", qos=mqtt5.QoS.AT_LEAST_ONCE, payload=b"{}")
        assert client.publish(forbidden).result(5).puback.reason_code is mqtt5.PubackReasonCode.NOT_AUTHORIZED
    finally:
        client.stop()
        assert stopped.wait(5)


def test_awss_3_1_1_client_asks_for_a_shadow_and_is_answered(running: Running) -> None:
    heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
    connection = mqtt.Connection(mqtt.Client(bootstrap()), HOST, running.tcp, "device-3", clean_session=True)
    assert connection.connect().result(5) == {"session_present": False}
    try:
        subscribed, _ = connection.subscribe(
            ANSWER, mqtt.QoS.AT_LEAST_ONCE, lambda topic, payload, **_: heard.put((topic, payload))
        )
        assert subscribed.result(5)["qos"] is mqtt.QoS.AT_LEAST_ONCE
        connection.publish(GET, b"{}", mqtt.QoS.AT_LEAST_ONCE)[0].result(5)
        assert heard.get(timeout=5) == (f"{GET}/accepted", b"{}")
    finally:
        connection.disconnect().result(5)


def test_awss_clients_log_in_with_the_name_that_they_decorate() -> None:
    with Running(users={"hana": "secret"}) as running:
        connection = mqtt.Connection(
            mqtt.Client(bootstrap()), HOST, running.tcp, "d", username="hana", password="secret"
        )
        connection.connect().result(5)
        with running.device("w", "$aws/events/presence/#", login=("hana", "secret")) as watch:
            connection.disconnect().result(5)
            assert b'"principalIdentifier": "hana"' in watch.message().payload
