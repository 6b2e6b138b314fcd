"""Clients that others made, unmodified, against the real place: AWS's device SDK, and paho as a kiosk."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from awscrt import mqtt5
from awscrt.mqtt_request_response import ClientOptions
from awsiot import ServiceStreamOptions, V2ServiceException, iotshadow

from tests.fake_slack import FakeSlack
from tests.shop import Shop, until

SHADOW = "$aws/things/{}/shadow/{}"
READS = ("get/accepted", "get/rejected", "update/delta", "update/documents")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture
def device(shop: Shop) -> Iterator[mqtt5.Client]:
    connected, stopped = threading.Event(), threading.Event()
    host, _, port = shop.at.mqtt.partition(":")
    client = mqtt5.Client(
        mqtt5.ClientOptions(
            host_name=host,
            port=int(port),
            on_lifecycle_event_connection_success_fn=lambda _: connected.set(),
            on_lifecycle_event_stopped_fn=lambda _: stopped.set(),
        )
    )
    client.start()
    assert connected.wait(10)
    yield client
    client.stop()
    assert stopped.wait(10)


def test_awss_own_shadow_client_gets_updates_and_follows(shop: Shop, device: mqtt5.Client) -> None:
    options = ClientOptions(max_request_response_subscriptions=8, max_streaming_subscriptions=4)
    shadows = iotshadow.IotShadowClientV2(device, options)
    got = shadows.get_shadow(iotshadow.GetShadowRequest(thing_name="staff-hana")).result(10)
    assert got.state.reported["name"] == "花 Hana"
    deltas: list[Any] = []
    listening = threading.Event()
    stream = shadows.create_shadow_delta_updated_stream(
        iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name="staff-hana"),
        ServiceStreamOptions(
            incoming_event_listener=deltas.append, subscription_status_listener=lambda _: listening.set()
        ),
    )
    stream.open()
    assert listening.wait(10)
    shop.slack.always(status=500)
    shop.press()
    delta = until(lambda: deltas, "the delta")[0]
    assert (delta.state["state"], delta.version) == ("calling", got.version + 1)
    answer = shadows.update_shadow(
        iotshadow.UpdateShadowRequest(thing_name="lamp", state=iotshadow.ShadowState(desired={"on": True}))
    ).result(10)
    assert (answer.version, answer.state.desired) == (1, {"on": True})
    with pytest.raises(V2ServiceException) as missing:
        shadows.get_shadow(iotshadow.GetShadowRequest(thing_name="nobody")).result(10)
    assert missing.value.modeled_error.code == 404


class Kiosk:
    """An anonymous WebSocket client that wants everything."""

    def __init__(self, shop: Shop, version: int) -> None:
        self.heard: list[str] = []
        self.granted: list[int] = []
        self.gone = threading.Event()
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id="kiosk-main-test",
            transport="websockets",
            protocol=version,
        )
        self.client.ws_set_options(path="/mqtt")
        self.client.on_message = lambda _c, _u, message: self.heard.append(message.topic)
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(
            code.value for code in codes
        )
        self.client.on_disconnect = lambda *_: self.gone.set()
        self.connected = threading.Event()
        self.client.on_connect = lambda *_: self.connected.set()
        host, _, port = shop.at.websocket.partition(":")
        self.client.connect(host, int(port))
        self.client.loop_start()
        assert self.connected.wait(5)

    def __enter__(self) -> "Kiosk":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *filters: str) -> list[int]:
        self.granted.clear()
        self.client.subscribe([(each, 1) for each in filters])
        return until(lambda: list(self.granted) if len(self.granted) == len(filters) else [], "SUBACK")


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
def test_a_kiosk_hears_staff_and_booths_whatever_it_subscribes_to(shop: Shop, version: int) -> None:
    with Kiosk(shop, version) as kiosk:
        assert kiosk.subscribe(*(SHADOW.format("+", answer) for answer in READS)) == [1] * 4
        refused = kiosk.subscribe(
            "#", "$aws/#", "$aws/things/+/shadow/update", "staffcall/#", "$aws/events/#"
        )
        assert all(code >= 0x80 for code in refused)
        kiosk.client.publish(SHADOW.format("staff-hana", "get"), "", qos=1)
        update = json.dumps({"state": {"reported": {"battery": 1}}})
        for thing in ("button-demo", "lamp", "booth-main"):
            shop.aws("iot-data").update_thing_shadow(thingName=thing, payload=update)
        shop.aws("iot-data").update_thing_shadow(thingName="staff-hana", shadowName="secret", payload=update)
        shop.press()
        until(lambda: SHADOW.format("staff-hana", "update/delta") in kiosk.heard, "the delta")
        until(lambda: SHADOW.format("booth-main", "update/documents") in kiosk.heard, "the booth")
        things = {topic.split("/")[2] for topic in kiosk.heard}
        assert things == {"staff-hana", "booth-main"}
        assert SHADOW.format("staff-hana", "get/accepted") in kiosk.heard
        assert not any("/name/" in topic for topic in kiosk.heard)


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize(
    "topic",
    [
        SHADOW.format("staff-hana", "update"),
        SHADOW.format("staff-hana", "delete"),
        SHADOW.format("staff-hana", "update/documents"),
        SHADOW.format("button-demo", "get"),
        "staffcall/buttons/demo/press",
        "anything",
    ],
)
def test_a_kiosk_can_write_nothing(shop: Shop, topic: str, version: int) -> None:
    before = shop.shadow("staff-hana")["version"]
    with Kiosk(shop, version) as kiosk:
        kiosk.client.publish(topic, json.dumps({"state": None, "button": "demo", "click": "SINGLE"}), qos=1)
        assert kiosk.gone.wait(5)
    assert shop.shadow("staff-hana")["version"] == before
