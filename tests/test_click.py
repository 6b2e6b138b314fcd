"""What each maker's button sends, and the click that it becomes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from button_handlers import flic, generic, iotbutton, oneclick, soracom
from button_handlers.click import Click, Ignored, document_of
from shadows.errors import Rejected
from shadows.staff import ClickType

PAYLOADS = Path(__file__).parent / "payloads"
IMSI = "440520000000001"
DSN = "G030JF0000000001"


def sample(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))


def frame(name: str) -> bytes:
    return bytes.fromhex((PAYLOADS / f"soracom_button_{name}.hex").read_text("ascii"))


def read(work: Callable[[], Click | Ignored]) -> Click | Ignored | int:
    """What was read, or the code with which it was refused."""
    try:
        return work()
    except Rejected as no:
        return no.code


def soracom_click(kind: ClickType, battery: float | None) -> Click:
    return Click(button=IMSI, type=kind, battery=battery)


@pytest.mark.parametrize(
    ("name", "kind", "battery"),
    [
        ("single_bat100", ClickType.SINGLE, 1.0),
        ("double_bat75", ClickType.DOUBLE, 0.75),
        ("long_bat25", ClickType.LONG, 0.25),
    ],
)
def test_the_four_bytes_of_a_soracom_button_say_click_and_battery(
    name: str, kind: ClickType, battery: float
) -> None:
    assert soracom.from_frame(IMSI, frame(name)) == soracom_click(kind, battery)


@pytest.mark.parametrize("length", [0, 1, 3, 5, 64])
def test_a_frame_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(Rejected, match="frame: expected 4 bytes"):
        soracom.from_frame(IMSI, b"\x4d" * length)


def test_a_frame_with_a_wrong_checksum_is_refused_with_the_right_one() -> None:
    with pytest.raises(Rejected, match="checksum: expected 51, got 00"):
        soracom.from_frame(IMSI, frame("bad_checksum"))


@given(st.binary(min_size=4, max_size=4))
def test_no_four_bytes_but_the_twelve_good_frames_are_a_click(sent: bytes) -> None:
    good = sent[0] == 0x4D and sent[1] in (1, 2, 3) and sent[2] < 4 and sent[3] == sum(sent[:3]) % 256
    click = read(lambda: soracom.from_frame(IMSI, sent))
    assert click == 400 if not good else isinstance(click, Click)


def test_all_twelve_good_frames_are_taken() -> None:
    for click in (1, 2, 3):
        for battery in range(4):
            sent = bytes([0x4D, click, battery, (0x4D + click + battery) & 0xFF])
            assert soracom.from_frame(IMSI, sent) == soracom_click(soracom.CLICKS[click], (battery + 1) / 4)


def test_a_frame_with_an_unknown_click_is_refused_naming_the_three() -> None:
    with pytest.raises(Rejected, match="click: expected SINGLE, DOUBLE or LONG, got 4"):
        soracom.from_frame(IMSI, bytes([0x4D, 4, 0, 0x51]))


def test_a_frame_with_an_unknown_battery_is_refused() -> None:
    with pytest.raises(Rejected, match="battery: expected 0 to 3, got 4"):
        soracom.from_frame(IMSI, bytes([0x4D, 1, 4, 0x52]))


def test_parsed_json_is_a_click_and_an_integer_battery_is_a_full_one() -> None:
    single = soracom.from_document(IMSI, sample("soracom_button_parsed_single"))
    assert single == soracom_click(ClickType.SINGLE, 1.0)
    long = soracom.from_document(IMSI, sample("soracom_button_parsed_long_low"))
    assert long == soracom_click(ClickType.LONG, 0.25)


def test_beam_without_the_parser_sends_the_same_frame_as_base64() -> None:
    body = sample("soracom_beam_http_unparsed")["body"]
    assert soracom.from_document(IMSI, body) == soracom_click(ClickType.SINGLE, 1.0)


def test_the_name_alone_or_the_number_alone_is_enough() -> None:
    assert soracom.from_document(IMSI, {"clickTypeName": "DOUBLE"}) == soracom_click(ClickType.DOUBLE, None)
    assert soracom.from_document(IMSI, {"clickType": 3}) == soracom_click(ClickType.LONG, None)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "clickTypeName"),
        ({"clickType": 4}, "clickType:"),
        ({"clickType": True}, "clickType:"),
        ({"clickType": "1"}, "clickType:"),
        ({"clickType": [1]}, "clickType:"),
        ({"clickTypeName": "TRIPLE"}, "clickTypeName"),
        ({"clickTypeName": ["SINGLE"]}, "clickTypeName"),
        ({"clickType": 1, "clickTypeName": "LONG"}, "clickTypeName"),
    ],
)
def test_a_bad_soracom_click_is_refused_naming_the_field_and_the_three(document: Any, named: str) -> None:
    with pytest.raises(Rejected, match=named) as refused:
        soracom.from_document(IMSI, document)
    assert refused.value.code == 400
    assert all(each in refused.value.message for each in ("SINGLE", "DOUBLE", "LONG"))


@pytest.mark.parametrize("level", [-0.1, 1.1, "1", True, [], {}])
def test_a_bad_battery_is_refused_naming_the_field(level: Any) -> None:
    with pytest.raises(Rejected, match="batteryLevel: expected a number from 0 to 1"):
        soracom.from_document(IMSI, {"clickType": 1, "batteryLevel": level})


@pytest.mark.parametrize("payload", ["not base64!", "TQEDUQ", "", 5, None, ["TQEDUQ=="]])
def test_a_payload_that_is_no_frame_is_refused(payload: Any) -> None:
    with pytest.raises(Rejected, match=r"payload|frame"):
        soracom.from_document(IMSI, {"payload": payload})


def test_the_global_button_calls_on_its_clicks_alone() -> None:
    event = sample("soracom_global_button_event")
    assert soracom.from_document(IMSI, event) == soracom_click(ClickType.SINGLE, None)
    long = {**event, "detect_type": "Single long click", "msg_type": "alert"}
    assert soracom.from_document(IMSI, long) == soracom_click(ClickType.LONG, None)
    msg_types: list[Any] = ["timer", "status", "heartbeat", "", 5, None, []]
    for msg_type in msg_types:
        assert isinstance(soracom.from_document(IMSI, {**event, "msg_type": msg_type}), Ignored)
    detected_ones: list[Any] = ["Connected", "Extra long click", None, 1, []]
    for detected in detected_ones:
        assert isinstance(soracom.from_document(IMSI, {**event, "detect_type": detected}), Ignored)


@pytest.mark.parametrize("vector", sample("soracom_beam_signature_vectors"), ids=lambda each: each["from"])
def test_beams_signature_is_the_one_of_its_documentation(vector: dict[str, str]) -> None:
    joined = vector["string_to_hash"].removeprefix(vector["psk"])
    headers = dict(part.split("=") for part in joined.replace("x-soracom", " x-soracom").split())
    headers["x-soracom-signature"] = vector["sha256_hex"]
    at = int(headers["x-soracom-timestamp"])
    assert soracom.is_signed(headers, vector["psk"], at)
    assert soracom.is_signed(headers, vector["psk"], at + 300_000)
    assert soracom.is_signed(headers, vector["psk"], at - 300_000)
    assert not soracom.is_signed(headers, vector["psk"], at + 300_001)
    assert not soracom.is_signed(headers, vector["psk"], at - 300_001)
    assert not soracom.is_signed(headers, "another key", at)
    assert not soracom.is_signed({**headers, "x-soracom-imsi": "440520000000002"}, vector["psk"], at)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-soracom-imsi": IMSI},
        {"x-soracom-imsi": IMSI, "x-soracom-timestamp": "soon"},
        {"x-soracom-imsi": IMSI, "x-soracom-timestamp": "１２３"},
        {"x-soracom-imsi": IMSI, "x-soracom-timestamp": "9" * 5000},
        {"x-soracom-imsi": IMSI, "x-soracom-timestamp": "0", "x-soracom-signature": "é\udcff"},
    ],
)
def test_headers_without_a_whole_signature_are_not_signed(headers: dict[str, str]) -> None:
    assert not soracom.is_signed(headers, "key", 0)


def test_without_an_id_or_a_key_nothing_is_signed() -> None:
    from hashlib import sha256

    def signed(key: str, headers: dict[str, str]) -> bool:
        text = key + "".join(f"{name}={value}" for name, value in headers.items())
        return soracom.is_signed(
            {**headers, "x-soracom-signature": sha256(text.encode()).hexdigest()}, key, 1000
        )

    assert signed("key", {"x-soracom-imsi": IMSI, "x-soracom-timestamp": "1000"})
    assert not signed("key", {"x-soracom-timestamp": "1000"})
    assert not signed("", {"x-soracom-imsi": IMSI, "x-soracom-timestamp": "1000"})


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.!!.c", "a.e30.c", "a.bnVsbA.c", "a.eyJjdHgiOiB7Imltc2kiOiA1fX0.c", "é.é.é"]
)
def test_a_funk_token_without_an_imsi_is_refused(token: str) -> None:
    with pytest.raises(Rejected, match="x-soracom-token") as refused:
        soracom.imsi_of({"x-soracom-token": token})
    assert refused.value.code == 400


def test_a_generic_press_has_what_it_was_sent_with() -> None:
    sent = {"button": "demo", "click": "LONG", "id": "p-1", "battery": 0.75, "more": "is ignored"}
    assert generic.from_document(sent) == Click(button="demo", type=ClickType.LONG, battery=0.75, id="p-1")
    assert generic.from_document({"button": "demo", "click": "SINGLE"}) == Click(
        button="demo", type=ClickType.SINGLE
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"button": None}, "button: expected 1 to 64"),
        ({"button": 5}, "button: expected 1 to 64"),
        ({"button": ""}, "button: expected 1 to 64"),
        ({"button": "a/b"}, "button: expected 1 to 64"),
        ({"button": "あ"}, "button: expected 1 to 64"),
        ({"button": "x" * 65}, "button: expected 1 to 64"),
        ({"click": None}, "click: expected SINGLE, DOUBLE or LONG, got null"),
        ({"click": "single"}, 'click: expected SINGLE, DOUBLE or LONG, got "single"'),
        ({"click": ["SINGLE"]}, "click: expected SINGLE, DOUBLE or LONG"),
        ({"click": {}}, "click: expected SINGLE, DOUBLE or LONG"),
        ({"id": ""}, "id: expected a text of 1 to 64"),
        ({"id": "x" * 65}, "id: expected a text of 1 to 64"),
        ({"id": 7}, "id: expected a text of 1 to 64"),
        ({"battery": "full"}, "battery: expected a number from 0 to 1"),
        ({"battery": True}, "battery: expected a number from 0 to 1"),
        ({"battery": 75}, "battery: expected a number from 0 to 1"),
        ({"battery": 10**5000}, "battery: expected a number from 0 to 1"),
    ],
)
def test_a_bad_field_of_a_generic_press_is_refused_by_its_name(change: Any, message: str) -> None:
    with pytest.raises(Rejected) as refused:
        generic.from_document({"button": "demo", "click": "SINGLE", **change})
    assert refused.value.code == 400
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe{}",
        b"[" * 16_000,
        b'{"battery": NaN}',
        b'{"battery": ' + b"9" * 15_000 + b"}",
        b"[]",
        b"null",
        b'"x"',
        b"1",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected, match="body: expected a JSON object") as refused:
        document_of(body)
    assert refused.value.code == 400
    assert len(refused.value.message) < 250


def test_the_topic_names_the_button_and_the_body_may_not_name_another() -> None:
    assert generic.from_topic("demo", {"click": "SINGLE"}).button == "demo"
    assert generic.from_topic("demo", {"button": "demo", "click": "SINGLE"}).button == "demo"
    for other in ("other", None, 5):
        with pytest.raises(Rejected, match="button: expected demo"):
            generic.from_topic("demo", {"button": other, "click": "SINGLE"})


def test_what_can_only_call_a_url_presses_with_its_query() -> None:
    asked = {"button": "booth-a", "click": "DOUBLE", "battery": "0.5", "token": "is for the door"}
    assert generic.from_query(asked) == Click(button="booth-a", type=ClickType.DOUBLE, battery=0.5)
    for battery in ("much", "nan", "inf", "-1", ""):
        with pytest.raises(Rejected, match="battery: expected"):
            generic.from_query({**asked, "battery": battery})


def test_flic_says_who_and_how_full_and_the_url_says_how_it_was_clicked() -> None:
    headers = sample("flic_http_request")["headers"]
    assert flic.from_request(headers, {"click": "SINGLE"}) == Click(
        button="BC44-B00001", type=ClickType.SINGLE, battery=0.87
    )
    with pytest.raises(Rejected, match="click: expected"):
        flic.from_request(headers, {})
    for level in ("101", "-1", "½", "9" * 5000):
        with pytest.raises(Rejected, match="button-battery-level"):
            flic.from_request({**headers, "button-battery-level": level}, {"click": "SINGLE"})


@pytest.mark.parametrize(
    ("name", "kind", "battery"),
    [("iotbutton_dash", ClickType.SINGLE, 0.87), ("iotbutton_dash_space", ClickType.LONG, 1.0)],
)
def test_the_aws_iot_button_says_volts_with_or_without_a_space(
    name: str, kind: ClickType, battery: float
) -> None:
    sent = sample(name)
    button = sent["topic"].removeprefix("iotbutton/")
    assert iotbutton.from_topic(button, sent["payload"]) == Click(button=DSN, type=kind, battery=battery)


def test_an_aws_iot_button_with_another_serial_or_strange_volts_is_refused() -> None:
    press = {"clickType": "SINGLE"}
    assert iotbutton.from_topic(DSN, {**press, "batteryVoltage": "900mV"}).battery == 0
    assert iotbutton.from_topic(DSN, press).battery is None
    with pytest.raises(Rejected, match="serialNumber: expected"):
        iotbutton.from_topic(DSN, {**press, "serialNumber": "G030JF0000000002"})
    for volts in ("1.7V", 1697, "", "999999mV", ["1697mV"]):
        with pytest.raises(Rejected, match="batteryVoltage: expected"):
            iotbutton.from_topic(DSN, {**press, "batteryVoltage": volts})


def test_a_one_click_event_is_a_click_with_or_without_a_placement() -> None:
    at = "2024-11-02T04:15:26.747Z"
    for name, kind in (("single", "SINGLE"), ("long", "LONG"), ("no_placement", "DOUBLE")):
        assert oneclick.from_event(sample(f"oneclick_{name}")) == Click(
            button="G030PM0000000001", type=ClickType(kind), battery=0.7669, id=at
        )


def test_a_one_click_health_event_is_no_press() -> None:
    assert isinstance(oneclick.from_event(sample("oneclick_health")), Ignored)


def test_a_one_click_serial_number_loses_the_spaces_around_it() -> None:
    event = sample("oneclick_single")
    event["deviceInfo"]["deviceId"] = " G030PM0000000001 "
    assert oneclick.from_event(event).button == "G030PM0000000001"  # type: ignore[union-attr]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
documents = st.dictionaries(
    st.sampled_from(
        ["button", "click", "id", "battery", "clickType", "clickTypeName", "batteryLevel", "payload", "msg_type",
         "detect_type", "serialNumber", "batteryVoltage", "deviceEvent", "deviceInfo"]
    ),
    json_values | st.sampled_from(["SINGLE", "demo", 1]),
)  # fmt: skip


@given(documents)
def test_whatever_is_sent_is_a_click_or_ignored_or_refused(document: dict[str, Any]) -> None:
    for click in (
        read(lambda: generic.from_document(document)),
        read(lambda: generic.from_topic("demo", document)),
        read(lambda: soracom.from_document(IMSI, document)),
        read(lambda: iotbutton.from_topic("demo", document)),
        read(lambda: oneclick.from_event(document)),
    ):
        assert click == 400 or isinstance(click, Click | Ignored)
