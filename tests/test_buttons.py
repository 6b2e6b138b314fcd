"""Every maker's recorded sample through the door that it comes by, and docs/buttons.md, which says what comes of it."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from button_handlers import arp, shelly, soracom, tasmota, zigbee2mqtt
from button_handlers.click import Click
from button_handlers.doors import Answer, Request, Services, on_button, on_message, on_soracom, on_webhook
from infra.local.listener import ARP_HOLD_S, Heard
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Thing
from shadows.staff import ClickType, StaffState
from tests.memory import Shop

PAYLOADS: Final = Path(__file__).parent / "payloads"
PAGE: Final = Path(__file__).parents[1] / "docs" / "buttons.md"
TOKEN: Final = "the-button-token"
IMSI: Final = "440520000000001"
BEARER: Final = {"authorization": f"Bearer {TOKEN}"}
WHO: Final = {"SINGLE": "hana", "DOUBLE": "ken", "LONG": "riku"}
HOUR_MS: Final = 3_600_000
NO_MESSAGE: Final = {"soracom_beam_signature_vectors.json"}


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the page."""
    below = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", below, re.M)
    ]
    return cells[2:]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- The samples


class Venue:
    """A place in memory, where a single click calls hana, a double one ken, a long one riku."""

    def __init__(self) -> None:
        self.shop, self.unknown = Shop(), list[str]()
        for name in WHO.values():
            self.shop.staff(name)
        self.heard = Heard(lambda: self.shop.now / 1000)
        self.services = Services(
            place=self.shop.place, unknown=self, token=TOKEN, beam_key="topsecret", wall=lambda: self.shop.now
        )

    def note(self, button: str, at: int, door: str) -> None:
        self.unknown.append(button)

    def register(self, button: str) -> None:
        attributes = {"booth": "main", **{click.lower(): who for click, who in WHO.items()}}
        self.shop.things.create(Thing(name=f"button-{button}", type="button", attributes=attributes))

    def presses(self, who: str) -> int:
        call = self.shop.shadows.get(f"staff-{who}").desired.get("call") or {}
        return int(call.get("count", 0))

    def calls(self) -> dict[str, int]:
        return {who: count for who in WHO.values() if (count := self.presses(who))}

    def reported(self, button: str) -> JsonObject:
        return self.shop.shadows.get(f"button-{button}").reported

    def hears(self, topic: str, document: Any) -> Answer:
        return on_message(topic, json.dumps(document).encode(), self.services)


def posted(
    door: Callable[[Request, Services], Answer], headers: Mapping[str, str], body: bytes, **query: str
) -> Any:
    request = Request.of({**headers, **BEARER}, query, body)
    return lambda venue: door(request, venue.services)


def jwt_of(context: JsonObject) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"ctx": context}).encode()).decode().rstrip("=")
    return f"e30.{body}.c2lnbmVk"


def invoked(event: JsonObject, custom: JsonObject | None = None) -> Callable[[Venue], Answer]:
    context = SimpleNamespace(client_context=custom and SimpleNamespace(custom=custom), aws_request_id="one")

    def work(venue: Venue) -> Answer:
        try:
            return Answer(code=200, body=on_button(event, context, venue.services))
        except Rejected as no:
            return Answer(code=no.code, body={})

    return work


def joined(frame: bytes) -> Callable[[Venue], Answer]:
    """A frame that ``staffcall listen`` hears, and presses for."""

    def work(venue: Venue) -> Answer:
        click = arp.from_frame(frame)
        if not click or not venue.heard.is_new(click.button, ARP_HOLD_S):
            return Answer(code=200, body={})
        body = {"button": click.button, "click": click.type, "id": str(venue.shop.now)}
        return cast(Answer, posted(on_webhook, {}, json.dumps(body).encode())(venue))

    return work


def sent(name: str) -> Callable[[Venue], Answer]:
    """Sends a sample as its maker does."""
    text = (PAYLOADS / name).read_text("utf-8")
    if name.startswith("dash"):
        return joined(bytes.fromhex(text))
    if name.endswith(".hex"):
        headers = {"content-type": "application/octet-stream", "x-soracom-imsi": IMSI}
        return posted(on_soracom, headers, bytes.fromhex(text))
    sample = json.loads(text)
    body = json.dumps(sample.get("body", sample)).encode()
    if "topic" in sample:
        return lambda venue: venue.hears(sample["topic"], sample["payload"])
    if "deviceEvent" in sample:
        return invoked(sample)
    if "src" in sample:
        return lambda venue: venue.hears(f"{sample['src']}/events/rpc", sample)
    if name.startswith("generic"):
        return posted(on_webhook, {}, body)
    if name.startswith("flic"):
        return posted(on_webhook, sample["headers"], b"", click="SINGLE")
    if name.startswith("soracom_funk_lambda"):
        return invoked(sample["event"], sample["context.client_context.custom"])
    token = (
        {"x-soracom-token": jwt_of({"imsi": IMSI})}
        if name.startswith("soracom_funk")
        else {"x-soracom-imsi": IMSI}
    )
    return posted(on_soracom, {**sample.get("headers", {}), **token}, body)


def test_every_sample_is_in_the_table() -> None:
    here = {each.name for each in PAYLOADS.iterdir() if not each.name.startswith(("slack_", "twilio_"))}
    assert {words(row[0])[0] for row in rows("The samples")} == here - NO_MESSAGE


@pytest.mark.parametrize("row", rows("The samples"), ids=lambda row: row[0].strip("`"))
def test_of_each_sample_comes_what_the_table_says(row: list[str]) -> None:
    (name,), what, (button,), battery, again = words(row[0]), row[1], words(row[2]), row[3], row[4]
    venue, send = Venue(), sent(words(row[0])[0])
    venue.register(button)
    code = send(venue).code
    assert code == (400 if what == "refused" else 200), name
    assert venue.calls() == ({WHO[what]: 1} if what in WHO else {})
    assert not venue.unknown
    kept = venue.shop.shadows.kept.get(f"button-{button}")
    assert (f"{kept.reported['battery']:.0%}" if kept and "battery" in kept.reported else "") == battery
    venue.shop.now += 1_000
    send(venue)
    assert sum(venue.calls().values()) == (what in WHO), "sent again"
    venue.shop.now += HOUR_MS
    send(venue)
    assert sum(venue.calls().values()) == (what in WHO) + again.startswith("for "), "sent again an hour later"
    assert (again == "") == (what not in WHO)


def test_a_message_of_a_button_that_nobody_registered_calls_nobody() -> None:
    for row in rows("The samples"):
        venue = Venue()
        sent(words(row[0])[0])(venue)
        assert venue.calls() == {}
        assert venue.unknown == (words(row[2]) if row[1] in WHO else []), row


# --- The words

READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "Shelly generation 2": lambda word: shelly.from_events(
        "a", {"method": "NotifyEvent", "params": {"events": [{"component": "input:0", "event": word}]}}
    ),
    "Shelly generation 1": lambda word: shelly.from_input("a", "0", {"event": word, "event_cnt": 1}),
    "Zigbee2MQTT": lambda word: zigbee2mqtt.from_topic("a", {"action": word}),
    "Tasmota": lambda word: tasmota.from_topic("a", {"Button1": {"Action": word}}),
    "SORACOM's global": lambda word: [soracom.from_document("a", {"msg_type": "event", "detect_type": word})],
    "SORACOM LTE-M": lambda word: [soracom.from_document("a", {"clickType": int(word)})],
}
TABLES: Final[Mapping[str, Mapping[Any, ClickType]]] = {
    "Shelly generation 2": shelly.PUSHES,
    "Shelly generation 1": shelly.INPUTS,
    "Zigbee2MQTT": zigbee2mqtt.CLICKS,
    "Tasmota": tasmota.CLICKS,
    "SORACOM's global": soracom.GLOBAL_CLICKS,
    "SORACOM LTE-M": soracom.CLICKS,
}


@pytest.mark.parametrize("maker", READERS)
def test_the_words_of_the_table_are_those_of_the_code(maker: str) -> None:
    (row,) = [row for row in rows("The words") if row[0].startswith(maker)]
    said = {word: ClickType(click) for click, cell in zip(WHO, row[1:4], strict=True) for word in words(cell)}
    assert said == {str(word): click for word, click in TABLES[maker].items()}
    assert all([each.type for each in READERS[maker](word)] == [click] for word, click in said.items())
    for word in words(row[4]):
        assert not [each for each in READERS[maker](word) if isinstance(each, Click)], word


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
said = anything | st.sampled_from(
    ["single", "SINGLE", "single_push", "input:0", "bthomedevice:200", "NotifyEvent", 7]
)
EVENTS = st.lists(
    st.dictionaries(st.sampled_from(["component", "event", "idx", "ts", "id"]), said), max_size=3
)
sayings = st.dictionaries(
    st.sampled_from(["action", "battery", "Button1", "Button2", "event", "event_cnt", "params", "method"]),
    said | st.fixed_dictionaries({"Action": said}) | st.fixed_dictionaries({"events": EVENTS | said}),
)


@given(
    st.sampled_from(["zigbee2mqtt/a", "stat/a/RESULT", "a/events/rpc", "shellies/a/input_event/0"]), sayings
)
def test_whatever_a_device_says_is_taken_or_refused(topic: str, document: JsonObject) -> None:
    assert Venue().hears(topic, document).code in (200, 400, 404)


# --- Keys, names, and what else there is on those topics


def buttons(clicks: Any) -> list[str]:
    return [each.button for each in clicks if isinstance(each, Click)]


@pytest.mark.parametrize(
    ("action", "button"),
    [
        ("1_short_release", "hall_c"), ("2_short_release", "hall_c-2"), ("button_3_single", "hall_c-3"),
        ("single_left", "hall_c"), ("double_right", "hall_c-2"), ("hold_both", "hall_c-3"),
    ],
)  # fmt: skip
def test_each_further_key_of_a_zigbee_device_is_a_button(action: str, button: str) -> None:
    assert buttons(zigbee2mqtt.from_topic("hall/c", {"action": action})) == [button]


def test_each_further_key_of_a_tasmota_and_a_shelly_is_a_button() -> None:
    two = {"Button1": {"Action": "SINGLE"}, "Button12": {"Action": "HOLD"}, "Switch1": {"Action": "ON"}}
    assert buttons(tasmota.from_topic("a", two)) == ["a", "a-12"]
    events = [
        {"component": "input:0", "event": "btn_up"},
        {"component": "input:3", "event": "single_push", "ts": None},
        {"component": "bthomedevice:201", "event": "long_push", "idx": 1},
        {"component": "bthomesensor:202", "event": "long_push"},  # the same press, once more
        {"component": ["input:0"], "event": ["single_push"]},
        "input:0",
    ]
    document = {"method": "NotifyEvent", "params": {"events": events}}
    assert buttons(shelly.from_events("a", document)) == ["a-4", "a-blu201-2"]
    assert not shelly.from_events("a", {**document, "method": "NotifyStatus"})


def test_one_message_of_two_keys_calls_for_both_though_one_is_unknown() -> None:
    venue = Venue()
    venue.register("a-2")
    two = {"Button1": {"Action": "SINGLE"}, "Button2": {"Action": "HOLD"}}
    assert venue.hears("stat/a/RESULT", two).code == 404
    assert (venue.calls(), venue.unknown) == ({"riku": 1}, ["a"])


@pytest.mark.parametrize(
    "topic",
    [
        "zigbee2mqtt/bridge/logging", "zigbee2mqtt/bridge/devices", "zigbee2mqtt/a/set", "zigbee2mqtt/a/set/state",
        "zigbee2mqtt/a/get", "zigbee2mqtt/a/availability", "zigbee2mqtt/a/action", "zigbee2mqtt", "stat/a/POWER",
        "stat/a/b/RESULT", "tele/a/STATE", "a/events/rpc/x", "a/b/events/rpc", "shellies/a/input/0",
    ],
)  # fmt: skip
def test_on_other_topics_of_such_a_device_nothing_is_a_press(topic: str) -> None:
    venue = Venue()
    venue.register("a")
    everything = {
        "action": "single",
        "Button1": {"Action": "SINGLE"},
        "method": "NotifyEvent",
        "params": {"events": [{"component": "input:0", "event": "single_push"}]},
        "event": "S",
        "event_cnt": 1,
    }
    venue.hears(topic, everything)
    assert (venue.calls(), venue.unknown) == ({}, [])


@pytest.mark.parametrize(
    "topic", ["zigbee2mqtt/a/b", "stat/a/RESULT", "a/events/rpc", "shellies/a/input_event/0"]
)
@pytest.mark.parametrize(
    "payload", [b"", b"single", b"ON", b"21.5", b'"single"', b"[1]", b"null", b"{}", b' {"a": []}']
)
def test_what_such_a_device_says_besides_is_no_press_and_no_fault(
    topic: str, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert on_message(topic, payload, Venue().services).code == 200
    assert not caplog.text


def test_a_device_whose_name_is_none_for_a_button_is_told_so_when_it_presses() -> None:
    venue = Venue()
    assert venue.hears("zigbee2mqtt/押す", {"battery": 80}).code == 200
    for topic, press in (
        ("zigbee2mqtt/押す", {"action": "single"}),
        ("stat/a.b/RESULT", {"Button1": {"Action": "SINGLE"}}),
        ("zigbee2mqtt/" + "a" * 65, {"action": "single"}),
    ):
        assert venue.hears(topic, press).code == 400


@pytest.mark.parametrize("battery", [None, "full", True, -1, 101, [], 1e400])
def test_a_zigbee_press_is_not_lost_for_its_battery(battery: Any) -> None:
    (click,) = zigbee2mqtt.from_topic("a", {"action": "single", "battery": battery})
    assert click == Click(button="a", type=ClickType.SINGLE)


def test_a_shelly_without_a_clock_and_one_with_a_strange_one_press_all_the_same() -> None:
    def ids(*times: Any) -> list[str | None]:
        events = [{"component": "input:0", "event": "single_push", "ts": ts} for ts in times]
        document = {"method": "NotifyEvent", "params": {"events": events}}
        return [each.id for each in shelly.from_events("a", document)]

    assert ids(1730520926.74, None, 12.5, "1730520926", True, 1e300) == ["1730520926.74", *[None] * 5]


def test_a_press_of_a_shelly_of_generation_1_is_told_again_and_again_and_counts_once() -> None:
    """It publishes all its topics every half minute, the last press among them."""
    venue, topic = Venue(), "shellies/shellybutton1-A/input_event/0"
    for button in ("shellybutton1-A", "other"):
        venue.register(button)
    venue.hears(topic, {"event": "S", "event_cnt": 7})
    for _ in range(20):  # as many others as a shadow forgets the first press for
        venue.shop.now += 30_000
        venue.hears("zigbee2mqtt/other", {"action": "single"})
        venue.hears(topic, {"event": "S", "event_cnt": 7})
    assert venue.calls() == {"hana": 21}
    venue.hears(topic, {"event": "S", "event_cnt": 8})
    assert venue.calls() == {"hana": 22}
    assert venue.hears(topic, {"event": "S"}).code == 400
    assert venue.hears(topic, {"event": "", "event_cnt": 9}).code == 200
    assert venue.calls() == {"hana": 22}


def test_the_battery_of_a_zigbee_button_is_a_sign_of_life() -> None:
    venue = Venue()
    venue.register("a")
    venue.hears("zigbee2mqtt/a", {"battery": 20, "linkquality": 80})
    assert venue.reported("a") == {"heard": venue.shop.now, "battery": 0.2}
    assert venue.shop.shadows.get("staff-hana").desired["state"] == StaffState.IDLE


def test_a_topic_rule_of_aws_hands_such_a_press_to_the_lambda() -> None:
    venue = Venue()
    venue.register("booth-a")
    press = partial(invoked({"action": "double", "topic": "zigbee2mqtt/booth-a"}), venue)
    assert [press().code, press().body["repeat"], venue.calls()] == [200, True, {"ken": 1}]
