"""An external broker: a real Mosquitto with the sample of ``docs/mosquitto``, in the place of the embedded gateway."""

import asyncio
import json
import os
import queue
import signal
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.broker import Broker
from infra.local.attached import Attached
from infra.local.clock import wall_ms
from infra.local.gateway import Message
from infra.local.twin import Loop
from infra.settings import SettingsError
from shadows import machines
from shadows.duty import Duty, save
from shadows.machines import Machine
from tests.certificates import Authority
from tests.fake_slack import FakeSlack
from tests.mosquitto import BAD_LOGIN, DEVICE, REFUSED, SERVICE, Guest, Mosquitto, binary, free_port
from tests.screen import IS_SKIPPED, Screen, chromium, watched
from tests.shop import ADMIN_TOKEN, ROOT, Process, Shop, get, until
from tests.story import Person

if "mosquitto" in os.environ.get("STAFFCALL_SKIP", "").split(","):
    pytest.skip("STAFFCALL_SKIP names Mosquitto", allow_module_level=True)
if not binary():
    pytest.skip("MOSQUITTO IS MISSING, and no external broker was tried: install it", allow_module_level=True)

HANA = "$aws/things/staff-hana/shadow"
LAMP = f"$aws/things/{DEVICE}/shadow"
PRESS = "staffcall/buttons/demo/press"
READS = tuple(
    f"$aws/things/+/shadow/{kind}"
    for kind in ("get/accepted", "get/rejected", "update/delta", "update/documents")
)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def shop(tmp_path: Path, slack: FakeSlack, broker: Mosquitto) -> Shop:
    """A shop whose kiosks and devices are at the broker; tests open it."""
    return Shop(tmp_path / "data", slack, mqtt_url=broker.url(), ws_url=broker.ws_url)


def state_in(documents: Any) -> str:
    return str(documents["current"]["state"]["desired"]["state"])


def version_of(shop: Shop, thing: str) -> int:
    """0 if it has no shadow."""
    try:
        return int(shop.shadow(thing)["version"])
    except ClientError:
        return 0


def troubles(shop: Shop) -> list[str]:
    """What ``/healthz`` says of the broker."""
    said = get(shop.url("/healthz"))[1]
    return [each["detail"] for each in said.get("troubles", ()) if each["what"] == "broker"]


def test_a_press_by_mqtt_is_a_call_on_a_kiosk_that_can_write_nothing(shop: Shop, broker: Mosquitto) -> None:
    with shop, broker.client("", "kiosk-main-1") as kiosk, broker.client("demo") as button:
        shop.furnish()
        assert get(shop.url("/config.json"))[1]["mqtt"] == broker.ws_url
        kiosk.listen(*READS, "#", "$aws/#", "staffcall/#")
        assert kiosk.say(f"{HANA}/get") == 0
        assert kiosk.hear(f"{HANA}/get/accepted")["state"]["desired"]["state"] == "idle"
        assert button.say(PRESS, {"click": "SINGLE"}) == 0
        assert state_in(kiosk.hear(f"{HANA}/update/documents")) == "calling"
        until(lambda: shop.is_told("hana"), "the mention")
        assert shop.says("U0HANA", "ok, 2 minutes")
        until(lambda: state_in(kiosk.hear(f"{HANA}/update/documents")) == "running")
        assert not troubles(shop)
        assert shop.admin("/admin/api/signs")["kiosks"] is None


@pytest.mark.skipif(IS_SKIPPED, reason="STAFFCALL_SKIP names the browser")
def test_the_real_kiosk_is_live_at_the_broker(shop: Shop, broker: Mosquitto) -> None:
    with shop, chromium() as browser, watched(browser) as page, broker.client("demo") as button:
        shop.furnish()
        screen = Screen(page, shop.kiosk, "main", "at a broker")
        hana = Person(venue=shop, id="hana", name="花 Hana", slack="U0HANA")
        screen.shows(hana, "idle")
        assert button.say(PRESS, {"click": "SINGLE"}) == 0
        screen.shows(hana, "calling", told=True)
        shop.close()
        screen.is_lost()
        shop.open()
        screen.shows(hana, "calling", told=True)


def test_the_sample_lets_nobody_but_the_service_speak_for_it(shop: Shop, broker: Mosquitto) -> None:
    with (
        shop,
        broker.client("", "kiosk-main-1") as kiosk,
        broker.client("", "kiosk-main-2") as other,
        broker.client(DEVICE) as lamp,
    ):
        shop.furnish()
        other.listen(*READS, "#", "$aws/#", "staffcall/#", "iotbutton/#")
        forged = {"state": {"desired": {"state": "away"}}}
        version = shop.shadow("staff-hana")["version"]
        for guest in (kiosk, lamp):
            for topic in (
                *(f"{HANA}/{each}" for each in ("update", "delete", "update/documents", "update/delta")),
                *(f"{HANA}/{each}" for each in ("get/accepted", "get/rejected", "update/accepted")),
                *(f"{LAMP}/{each}" for each in ("update/documents", "update/accepted", "get/accepted")),
                PRESS, "iotbutton/demo", "anything",
            ):  # fmt: skip
                assert guest.say(topic, forged) == REFUSED, topic
        assert kiosk.say(f"{LAMP}/update", forged) == REFUSED
        assert lamp.say(f"{LAMP}/update", {"state": {"reported": {"on": 1}}}) == 0
        heard = other.heard.get(timeout=20)  # the first, and so no forged one came before it
        assert (heard[0], json.loads(heard[1])["current"]["state"]["reported"]) == (
            f"{LAMP}/update/documents",
            {"on": 1},
        )
        assert shop.shadow("staff-hana")["version"] == version
        assert shop.state("hana") == "idle"


def test_a_screen_hears_what_it_is_told_and_no_other_screens_orders(shop: Shop, broker: Mosquitto) -> None:
    one, two = "kiosk-main-a1b2c3", "kiosk-main-d4e5f6"
    ids = ("", one), ("", two), ("", "+"), ("", "#"), (DEVICE, "lamp-1")
    with shop, ExitStack() as stack:
        shop.furnish()
        guests = [stack.enter_context(broker.client(*each)) for each in ids]
        for guest in guests:
            guest.listen(f"kiosk/{one}/in", "kiosk/+/in", "kiosk/#", "#", f"{LAMP}/#", *READS)
            assert {guest.say(f"kiosk/{each}/in", {"do": "reload"}) for each in (one, two)} == {REFUSED}
        for screen in (one, two):
            assert ordered(shop, f"kiosks/{screen}/identify") == 200
            assert ordered(shop, f"kiosks/{screen}/say", text="Lunch") == 200
        heard = [until_answered(guest, LAMP if guest is guests[-1] else HANA) for guest in guests]
        orders = [{topic for topic in topics if topic.startswith("kiosk/")} for topics in heard]
        assert orders == [{f"kiosk/{one}/in"}, {f"kiosk/{two}/in"}, set(), set(), set()]


def ordered(shop: Shop, path: str, **body: Any) -> int:
    """Have the administrator tell screens something; the answer is the status."""
    said = json.dumps(body).encode()
    return shop.ask(f"/admin/api/{path}", said, Authorization=f"Bearer {ADMIN_TOKEN}")[0]


def until_answered(guest: Guest, shadow: str) -> list[str]:
    """The topics of what came before the service's answer: it says one thing after the other."""
    assert guest.say(f"{shadow}/get") == 0
    topics = [guest.heard.get(timeout=20)[0]]
    while topics[-1] not in (f"{shadow}/get/accepted", f"{shadow}/get/rejected"):
        topics.append(guest.heard.get(timeout=20)[0])
    return topics


def test_every_screen_of_a_booth_hears_what_is_announced_and_its_machines_and_speaks_for_none(
    shop: Shop, broker: Mosquitto
) -> None:
    press1, booth = "$aws/things/machine-press1/shadow/name/data", "$aws/things/booth-main/shadow"
    broker.admit("machine-press1")
    broker.signal(signal.SIGHUP)
    with (
        shop,
        broker.client("", "kiosk-main-a1b2c3") as kiosk,
        broker.client("machine-press1") as device,
        broker.client(DEVICE) as lamp,
    ):
        shop.furnish()
        machines.add_machine(shop.place, Machine(id="press1", name="Press 1"))
        kiosk.listen(*READS, *(f"{press1}/{each}" for each in ("get/accepted", "update/documents", "#")))
        for guest in (kiosk, lamp):
            for each in ("update", "update/documents", "delete"):
                assert guest.say(f"{press1}/{each}", {"state": {"reported": {"temp": 99}}}) == REFUSED
        assert device.say(f"{press1}/update", {"state": {"reported": {"temp": 21.5}}}) == 0
        assert kiosk.hear(f"{press1}/update/documents")["current"]["state"]["reported"] == {"temp": 21.5}
        assert kiosk.say(f"{press1}/get") == 0  # as one that comes late
        assert kiosk.hear(f"{press1}/get/accepted")["state"]["reported"] == {"temp": 21.5}
        assert ordered(shop, "booths/main/announce", text="Back at one") == 200
        said = kiosk.hear(f"{booth}/update/documents")["current"]["state"]["reported"]["notice"]
        assert said["text"] == "Back at one"
        assert kiosk.say(f"{booth}/update", {"state": {"reported": {"notice": None}}}) == REFUSED
        assert kiosk.say(f"{booth}/get") == 0
        assert kiosk.hear(f"{booth}/get/accepted")["state"]["reported"]["notice"] == said


@pytest.mark.parametrize("password", ["", "wrong"])
def test_who_says_at_the_kiosks_door_that_they_are_the_service_is_refused(
    broker: Mosquitto, password: str
) -> None:
    guest = Guest("kiosk-main-1", SERVICE, password, broker.ws_port, broker.port)
    try:
        assert until(lambda: guest.answers, "CONNACK", 20)[0] in (REFUSED, BAD_LOGIN)
    finally:
        guest.leave()


def test_nothing_of_the_shadows_of_a_button_and_of_the_roster_goes_to_the_broker(
    shop: Shop, broker: Mosquitto
) -> None:
    with shop, broker.client("", "kiosk-main-1") as kiosk, broker.client("demo") as button:
        shop.furnish()
        kiosk.listen(*READS)
        save(shop.place, [Duty(booth="main", start=0, end=60_000, staff="hana")])
        before = version_of(shop, "button-demo")
        assert button.say(PRESS, {"click": "SINGLE", "battery": 0.75}) == 0
        until(lambda: version_of(shop, "button-demo") > before, "the button's own shadow")
        assert kiosk.say("$aws/things/button-demo/shadow/get") == 0
        assert kiosk.say("$aws/things/roster/shadow/get") == 0
        assert kiosk.say("$aws/things/nobody/shadow/get") == 0
        topics = []
        while not topics or topics[-1] != "$aws/things/nobody/shadow/get/rejected":
            topics.append(kiosk.heard.get(timeout=20)[0])
        assert not [topic for topic in topics if "button-" in topic or "roster" in topic]


def open_to_makers(broker: Mosquitto) -> None:
    """With the lines of docs/buttons.md for Shelly, Tasmota and Zigbee2MQTT."""
    page = (ROOT / "docs" / "buttons.md").read_text()
    lines = textwrap.dedent(page.partition("  ```\n")[2].partition("  ```\n")[0])
    assert "pattern readwrite stat/%u/#" in lines, "the page has no rules for a broker"
    rules, config = broker.folder / "acl", broker.folder / "mosquitto.conf"
    rules.write_text(rules.read_text() + "\n" + lines)
    config.write_text(config.read_text().replace("retain_available false", "retain_available true"))
    broker.admit("zigbee2mqtt")


PUSHED = {"component": "input:0", "event": "double_push", "ts": 1730520926.74}
MAKERS: list[tuple[str, str, Any]] = [  # no two that are the same click within 2 s
    ("zigbee2mqtt", "zigbee2mqtt/demo", {"action": "double"}),
    ("demo", "stat/demo/RESULT", {"Button1": {"Action": "SINGLE"}}),
    ("demo", "demo/events/rpc", {"method": "NotifyEvent", "params": {"events": [PUSHED]}}),
    ("demo", "shellies/demo/input_event/0", {"event": "L", "event_cnt": 7}),
]


def test_makers_own_topics_press_at_the_broker_and_a_retained_message_never_does(
    tmp_path: Path, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    open_to_makers(broker)
    shop = Shop(tmp_path / "data", slack, mqtt_url=broker.url(), ws_url=broker.ws_url)
    with broker, shop, broker.client("") as kiosk, broker.client(DEVICE) as lamp, ExitStack() as stack:
        shop.furnish()
        guests = {user: stack.enter_context(broker.client(user)) for user in ("zigbee2mqtt", "demo")}
        for user, topic, press in MAKERS:
            assert (kiosk.say(topic, press), lamp.say(topic, press)) == (REFUSED, REFUSED)
            assert guests[user].say(topic, press, retain=True) == 0
            until(lambda topic=topic: f"{topic}: a retained message is no press" in caplog.text, topic)
        assert guests["zigbee2mqtt"].say("zigbee2mqtt/bridge/state", {"state": "online"}, retain=True) == 0
        assert calls(shop) == 0
        shop.close()  # what the broker keeps is no press for who comes late
        shop.open()
        for count, (user, topic, press) in enumerate(MAKERS, 1):
            assert guests[user].say(topic, press) == 0
            until(lambda count=count: calls(shop) == count, f"the press on {topic}", 20)


def calls(shop: Shop) -> int:
    """How often anybody was called for."""
    return sum(int(shop.asked(who).get("call", {}).get("count", 0)) for who in ("hana", "sora"))


def test_what_a_device_published_while_we_were_dead_is_not_lost(shop: Shop, broker: Mosquitto) -> None:
    """Each update is acknowledged to the device by the broker, and to the broker by us only after the commit."""
    updates, env = 150, {"STAFFCALL_MQTT_URL": broker.url(), "STAFFCALL_WS_URL": broker.ws_url}
    with Process(shop, **env) as process, broker.client(DEVICE) as lamp, broker.client("demo") as button:
        shop.furnish()
        sent = []
        for number in range(updates):
            sent.append(lamp.begin(f"{LAMP}/update", {"state": {"reported": {f"k{number}": number}}}))
            if number == updates // 3:
                until(lambda: version_of(shop, DEVICE) > 5, "some updates", 20)
                process.end(signal.SIGKILL)
        until(lambda: all(lamp.pubacks.get(mid) == 0 for mid in sent), "the broker's PUBACKs", 30)
        assert button.say(PRESS, {"click": "SINGLE"}) == 0
        process.start()
        wanted = {f"k{number}": number for number in range(updates)}
        until(lambda: shop.shadow(DEVICE)["state"]["reported"] == wanted, "every update", 30)
        until(lambda: shop.state("hana") == "calling", "the call", 20)
        # What was on disk and not yet acknowledged came twice: at most what the broker has in flight.
        assert updates <= shop.shadow(DEVICE)["version"] <= updates + 100


def test_kiosks_hear_of_what_changed_while_we_were_away(shop: Shop, broker: Mosquitto) -> None:
    """Their link is to the broker: they see no reason to ask again."""
    with shop, broker.client("", "kiosk-main-1") as kiosk:
        shop.furnish()
        kiosk.listen(*READS)
        shop.close()
        while not kiosk.heard.empty():
            kiosk.heard.get()
        shop.open()
        assert kiosk.hear(f"{HANA}/get/accepted")["state"]["desired"]["state"] == "idle"
        assert kiosk.hear("$aws/things/booth-main/shadow/get/accepted")


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_when_the_broker_is_back_calls_go_on(shop: Shop, broker: Mosquitto, kill: bool) -> None:
    with shop, broker.client("", "kiosk-main-1") as kiosk, broker.client("demo") as button:
        shop.furnish()
        kiosk.listen(*READS)
        broker.end(kill=kill)
        until(lambda: troubles(shop), "the trouble")
        assert 'staffcall_trouble{what="broker"} 1.0' in shop.admin("/metrics")
        assert [each for each in shop.admin()["troubles"] if each["what"] == "broker" and each["fix"]]
        assert shop.press()[0] == 200  # over HTTP, as ever
        broker.start()
        until(lambda: not troubles(shop), "the end of the trouble", 60)
        until(lambda: len(kiosk.answers) == 2, "the kiosk's link", 20)
        assert kiosk.say(f"{HANA}/get") == 0  # as the page does: we may have spoken before it was there
        until(lambda: kiosk.hear(f"{HANA}/get/accepted")["state"]["desired"]["state"] == "calling")
        assert shop.says("U0HANA", "done")
        until(lambda: state_in(kiosk.hear(f"{HANA}/update/documents")) == "idle")
        assert button.is_in(20)
        assert button.say(PRESS, {"click": "DOUBLE"}) == 0
        until(lambda: shop.state("sora") == "calling", "the call", 20)


def test_without_a_broker_it_starts_and_says_so_and_comes_when_there_is_one(
    tmp_path: Path, slack: FakeSlack
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    with Shop(tmp_path / "data", slack, mqtt_url=broker.url(), ws_url=broker.ws_url) as shop:
        shop.furnish()
        assert "cannot be reached" in troubles(shop)[0]
        with broker:
            until(lambda: not troubles(shop), "the end of the trouble", 60)


def test_a_wrong_password_is_said_and_not_shown_and_tried_again(
    tmp_path: Path, slack: FakeSlack, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "canary-of-a-password"
    with Shop(tmp_path / "data", slack, mqtt_url=broker.url(secret), ws_url=broker.ws_url) as shop:
        assert "wrong user or password" in troubles(shop)[0]
        said = [json.dumps(shop.admin(path)) for path in ("/admin", "/metrics", "/admin/api/signs")]
        said += [json.dumps(get(shop.url("/healthz"))[1]), repr(shop.settings), caplog.text]
        assert not [each for each in said if secret in each]
        broker.admit("staffcall", secret)
        broker.signal(signal.SIGHUP)
        until(lambda: not troubles(shop), "the end of the trouble", 60)


def test_by_tls_it_speaks_only_to_whom_it_trusts(
    tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, port = Authority(tmp_path / "ours"), free_port()
    held = ours.server()
    door = (
        f"listener {port} 127.0.0.1\ncertfile {held.certificate}\nkeyfile {held.key}\nallow_anonymous false\n"
    )
    door += f"password_file {tmp_path}/broker/passwords\nacl_file {tmp_path}/broker/acl\n"
    with Mosquitto(tmp_path / "broker", door) as broker:
        url = broker.url().replace("mqtt:", "mqtts:").replace(f":{broker.port}", f":{port}")
        shop = Shop(tmp_path / "data", slack, mqtt_url=url, ws_url=broker.ws_url)
        with shop:  # the library waits up to half a minute before it says that a handshake failed
            assert troubles(shop)
        assert " as staffcall-" not in broker.log
        monkeypatch.setenv("SSL_CERT_FILE", str(ours.own.certificate))
        with shop, broker.client("demo") as button:
            assert not troubles(shop)
            assert " as staffcall-" in broker.log
            shop.furnish()
            assert button.say(PRESS, {"click": "SINGLE"}) == 0
            until(lambda: shop.state("hana") == "calling", "the call", 20)


def test_a_publish_over_rest_reaches_the_broker_and_is_done_once(shop: Shop, broker: Mosquitto) -> None:
    with shop, broker.client(SERVICE, "listener") as listener, broker.client(DEVICE) as lamp:
        shop.furnish()
        listener.listen("any/topic", PRESS)
        publish = shop.aws("iot-data").publish
        publish(topic="any/topic", qos=1, payload=b'{"a": 1}')
        assert listener.hear("any/topic") == {"a": 1}
        publish(topic=PRESS, qos=1, payload=b'{"click": "SINGLE"}')
        assert listener.hear(PRESS)
        assert shop.state("hana") == "calling"
        publish(topic=f"{LAMP}/update", qos=1, payload=b'{"state": {"reported": {"on": 1}}}')
        lamp.listen(f"{LAMP}/update/documents")
        assert lamp.say(f"{LAMP}/update", {"state": {"reported": {"on": 2}}}) == 0
        assert lamp.hear(f"{LAMP}/update/documents")["current"]["version"] == 2


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ws_url": ""}, "STAFFCALL_WS_URL"),
        ({"mqtt_user": "a", "mqtt_password": "b"}, "STAFFCALL_MQTT_USER"),
        ({"mqtt_tls": Path("folder")}, "STAFFCALL_MQTT_TLS"),
    ],
)
def test_what_does_not_go_with_a_broker_is_named(
    tmp_path: Path, slack: FakeSlack, settings: dict[str, Any], named: str
) -> None:
    at = {"mqtt_url": "mqtt://staffcall:canary@127.0.0.1:1", "ws_url": "ws://127.0.0.1:2/mqtt"}
    with pytest.raises(SettingsError, match=named) as no:
        Shop(tmp_path / "data", slack, **{**at, **settings}).open()
    assert "canary" not in str(no.value)


class Client:
    """The client of the broker alone, in a loop of its own, with one hook."""

    def __init__(self, broker: Mosquitto, take: Any) -> None:
        self.joined = 0
        self._loop = Loop()
        self._attached = Attached(
            Broker.of(broker.url()),
            "staffcall-test",
            self._loop.loop,
            clock=wall_ms,
            is_private=lambda _topic: False,
            joined=self._join,
        )
        self._attached.hook("staffcall/buttons/+/press", take)

    def _join(self) -> None:
        self.joined += 1

    def __enter__(self) -> Attached:
        self._attached.start()
        return self._attached

    def __exit__(self, *_: object) -> None:
        self._loop.call(self._attached.close())
        self._loop.stop()


def test_what_was_not_done_is_not_acknowledged_and_comes_to_the_next_process(broker: Mosquitto) -> None:
    begun: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    async def never(message: Message, _client: object) -> None:
        begun.put(message.payload)
        await asyncio.Event().wait()

    with Client(broker, never), broker.client("demo") as button:
        assert button.say(PRESS, b"1") == 0
        assert begun.get(timeout=20) == b"1"
    with Client(broker, lambda message, _client: begun.put(message.payload)):
        assert begun.get(timeout=20) == b"1"
    with Client(broker, lambda message, _client: begun.put(message.payload)), broker.client("demo") as button:
        assert button.say(PRESS, b"2") == 0
        assert begun.get(timeout=20) == b"2"  # and not "1" once more: that was acknowledged


def test_one_that_fails_is_tried_again_and_holds_up_no_other(broker: Mosquitto) -> None:
    taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    fails = [True]

    def take(message: Message, _client: object) -> None:
        if message.payload == b"1" and fails and fails.pop():
            raise OSError("the disk is full")
        taken.put(message.payload)

    with Client(broker, take), broker.client("demo") as button:
        for body in (b"1", b"2"):
            assert button.say(PRESS, body) == 0
        assert [taken.get(timeout=20), taken.get(timeout=20)] == [b"2", b"1"]


def test_what_a_broker_does_not_take_is_dropped_and_said_again_when_it_does(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.attached.MOST_FLYING", 5)
    client = Client(broker, lambda _message, _client: None)
    with client as attached, broker.client("staffcall", "listener") as listener:
        listener.listen("any/topic")
        until(lambda: client.joined == 1)
        broker.signal(signal.SIGSTOP)
        attached.publish_soon([Message("any/topic", b"1", 1)] * 20)
        assert attached.counts().dropped == 15
        broker.signal(signal.SIGCONT)
        until(lambda: client.joined == 2, "a second word", 20)
        until(lambda: attached.counts().sent == 5, "the first five", 20)
