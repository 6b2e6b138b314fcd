"""A press through every door: HTTP under Flask and under Lambda, MQTT, and what is refused at each."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from button_handlers.doors import BODY_LIMIT, Answer, Services, on_button, on_message
from button_handlers.flask_doors import blueprint
from shadows import registry
from shadows.calls import read
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Thing
from shadows.staff import ClickType, StaffState
from tests.memory import Shop

PAYLOADS = Path(__file__).parent / "payloads"
TOKEN = "the-button-token"
BEAM_KEY = "topsecret"
IMSI = "440520000000001"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PRESS: JsonObject = {"button": "demo", "click": "SINGLE"}
PARSED: JsonObject = {
    "clickType": 1,
    "clickTypeName": "SINGLE",
    "batteryLevel": 1,
    "binaryParserEnabled": True,
}


def sample(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))


class Doors:
    """A shop where the button ``demo`` and a SORACOM button call hana, double calls ken; and all doors to it."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.hana, self.ken = self.shop.staff("hana"), self.shop.staff("ken")
        for button in ("demo", IMSI, "G030JF0000000001", "BC44-B00001", "G030PM0000000001"):
            self.register(button, single="hana", double="ken")
        self.noted: list[tuple[str, int, str]] = []
        self.services = Services(
            place=self.shop.place, unknown=self, token=TOKEN, beam_key=BEAM_KEY, wall=lambda: self.shop.now
        )
        app = Flask(__name__)
        app.register_blueprint(blueprint(self.services))
        self.client = app.test_client()

    def register(self, button: str, **attributes: str) -> None:
        self.shop.things.create(
            Thing(name=f"button-{button}", type="button", attributes={"booth": "main", **attributes})
        )

    def note(self, button: str, at: int, door: str) -> None:
        self.noted.append((button, at, door))

    def post(
        self, path: str, body: bytes | JsonObject = b"", *, method: str = "POST", **headers: str
    ) -> Answer:
        """Through Flask."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        got = self.client.open(path, method=method, data=sent, headers=names)
        return Answer(code=got.status_code, body=got.get_json())

    def gateway(self, path: str, body: bytes | JsonObject = b"", **headers: str) -> Answer:
        """Through an HTTP API of AWS."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        route, _, query = path.partition("?")
        event = {
            "version": "2.0",
            "rawPath": route,
            "rawQueryString": query,
            "headers": {name.replace("_", "-").lower(): value for name, value in headers.items()},
            "queryStringParameters": dict(part.split("=") for part in query.split("&")) if query else None,
            "body": base64.b64encode(sent).decode(),
            "isBase64Encoded": True,
        }
        got = on_button(event, SimpleNamespace(client_context=None), self.services)
        return Answer(code=got["statusCode"], body=json.loads(got["body"]))

    def state(self, thing: str) -> StaffState:
        return read(self.shop.place, thing).state

    def changed(self) -> int:
        return len(self.shop.shadows.written)


@pytest.fixture
def doors() -> Doors:
    return Doors()


def beam(now: int, key: str = BEAM_KEY, **ids: str) -> dict[str, str]:
    """Beam's headers, signed."""
    named = {f"x-soracom-{name.replace('_', '-')}": value for name, value in (ids or {"imsi": IMSI}).items()}
    signed = {**dict(sorted(named.items())), "x-soracom-timestamp": str(now)}
    text = key + "".join(f"{name}={value}" for name, value in signed.items())
    return {**signed, "x-soracom-signature": hashlib.sha256(text.encode()).hexdigest()}


def jwt(context: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'ctx': context})}.c2lnbmVk"


def funk(name: str) -> tuple[JsonObject, Any]:
    sent = sample(name)
    custom = sent["context.client_context.custom"]
    return sent["event"], SimpleNamespace(
        client_context=SimpleNamespace(custom=custom), aws_request_id="8f507cfc-example"
    )


# --- What a press does


def test_a_press_is_a_call_and_is_answered_with_who_has_it(doors: Doors) -> None:
    answer = doors.post("/buttons/webhook", {**PRESS, "id": "p1", "battery": 0.75}, **BEARER)
    call = read(doors.shop.place, doors.hana).call
    assert answer == Answer(
        code=200, body={"thing": "staff-hana", "state": "calling", "call": call.id, "repeat": False}
    )
    assert doors.state(doors.hana) is StaffState.CALLING
    assert (call.booth, call.click, call.count) == ("main", ClickType.SINGLE, 1)


def test_the_button_remembers_its_battery_and_its_last_call(doors: Doors) -> None:
    call = doors.post("/buttons/webhook", {**PRESS, "battery": 0.75}, **BEARER).body["call"]
    reported = doors.shop.shadows.get("button-demo").reported
    assert reported == {"battery": 0.75, "click": "SINGLE", "at": doors.shop.now, "lastCall": call}
    doors.shop.now += 1000
    assert doors.post("/buttons/webhook", PRESS, **BEARER).body["repeat"] is True
    assert doors.shop.shadows.get("button-demo").reported == reported
    doors.shop.now += 5000
    doors.post("/buttons/webhook", PRESS, **BEARER)
    assert doors.shop.shadows.get("button-demo").reported == {**reported, "at": doors.shop.now}


def test_a_button_shadow_that_cannot_be_written_does_not_fail_the_press(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    update = doors.shop.shadows.update

    def refusing(thing: str, **more: Any) -> int:
        if thing.startswith("button-"):
            raise Rejected(503, "no room")
        return update(thing, **more)

    monkeypatch.setattr(doors.shop.shadows, "update", refusing)
    assert doors.post("/buttons/webhook", PRESS, **BEARER).code == 200
    assert doors.state(doors.hana) is StaffState.CALLING
    assert "button-demo" in caplog.text


def test_each_click_calls_whom_it_is_bound_to_and_long_falls_back_to_single(doors: Doors) -> None:
    assert doors.post("/buttons/webhook", {**PRESS, "click": "DOUBLE"}, **BEARER).body["thing"] == "staff-ken"
    assert doors.post("/buttons/webhook", {**PRESS, "click": "LONG"}, **BEARER).body["thing"] == "staff-hana"
    assert read(doors.shop.place, doors.hana).call.click is ClickType.LONG


def test_a_press_id_that_comes_again_is_a_repeat_however_late(doors: Doors) -> None:
    first = doors.post("/buttons/webhook", {**PRESS, "id": "p1"}, **BEARER)
    doors.shop.now += 3_600_000
    again = doors.post("/buttons/webhook", {**PRESS, "id": "p1"}, **BEARER)
    assert again.body == {**first.body, "repeat": True}
    assert read(doors.shop.place, doors.hana).call.count == 1
    assert not doors.post("/buttons/webhook", {**PRESS, "id": "p2"}, **BEARER).body["repeat"]


def test_without_a_press_id_the_same_click_within_two_seconds_is_a_repeat(doors: Doors) -> None:
    presses = [("SINGLE", 0), ("SINGLE", 1999), ("LONG", 1999), ("SINGLE", 2000)]
    start, repeats = doors.shop.now, []
    for click, after in presses:
        doors.shop.now = start + after
        repeats.append(doors.post("/buttons/webhook", {**PRESS, "click": click}, **BEARER).body["repeat"])
    assert repeats == [False, True, False, False]


def test_an_unknown_button_is_answered_404_and_remembered(doors: Doors) -> None:
    before = doors.changed()
    answer = doors.post("/buttons/webhook", {**PRESS, "button": "new-one"}, **BEARER)
    assert answer.code == answer.body["code"] == 404
    assert "new-one" in answer.body["message"]
    assert doors.noted == [("new-one", doors.shop.now, "webhook")]
    assert doors.changed() == before


def test_a_button_whose_staff_is_gone_is_answered_404_naming_them(doors: Doors) -> None:
    doors.register("orphan", single="yuki")
    answer = doors.post("/buttons/webhook", {**PRESS, "button": "orphan"}, **BEARER)
    assert answer.code == 404
    assert "orphan" in answer.body["message"]
    assert "yuki" in answer.body["message"]
    assert doors.noted == []


def test_a_button_that_is_bound_to_nobody_is_answered_404(doors: Doors) -> None:
    doors.register("loose")
    answer = doors.post("/buttons/webhook", {**PRESS, "button": "loose"}, **BEARER)
    assert (answer.code, "bound to nobody" in answer.body["message"]) == (404, True)


# --- Flask and Lambda are one


def both_doors() -> Iterator[tuple[str, bytes | JsonObject, dict[str, str]]]:
    raw = (PAYLOADS / "soracom_button_single_bat100.hex").read_text("ascii")
    bad = (PAYLOADS / "soracom_button_bad_checksum.hex").read_text("ascii")
    octets = {"x-soracom-imsi": IMSI, "content-type": "application/octet-stream", **BEARER}
    yield "/buttons/webhook", {**PRESS, "id": "p1"}, BEARER
    yield "/buttons/webhook", {**PRESS, "click": "TRIPLE"}, BEARER
    yield "/buttons/webhook", {**PRESS, "button": "nobody"}, BEARER
    yield "/buttons/webhook", PRESS, {}
    yield "/buttons/webhook", b"\xff", BEARER
    yield "/buttons/webhook", b"x" * (BODY_LIMIT + 1), BEARER
    yield "/buttons/webhook?button=demo&click=SINGLE&token=the-button-token", b"", {}
    yield "/buttons/soracom", PARSED, {"x-soracom-imsi": IMSI, **BEARER}
    yield "/buttons/soracom", PARSED, {"x-soracom-imsi": IMSI}
    yield "/buttons/soracom", PARSED, BEARER
    yield "/buttons/soracom", sample("soracom_global_button_event"), {"x-soracom-imsi": IMSI, **BEARER}
    yield "/buttons/soracom", {"msg_type": "timer"}, {"x-soracom-imsi": IMSI, **BEARER}
    yield "/buttons/soracom", {"payload": "TQEDUQ=="}, {"x-soracom-imsi": IMSI, **BEARER}
    yield "/buttons/soracom", bytes.fromhex(raw), octets
    yield "/buttons/soracom", bytes.fromhex(bad), octets


@pytest.mark.parametrize(("path", "body", "headers"), [*both_doors()])
def test_flask_and_lambda_answer_alike(path: str, body: bytes | JsonObject, headers: dict[str, str]) -> None:
    answers: list[Any] = []
    for one in (Doors(), Doors()):
        door = one.post if not answers else one.gateway
        answer = door(path, body, **headers)
        answer.body.pop("call", None)  # drawn anew for each
        answers.append((answer, one.state(one.hana), one.noted))
    assert answers[0] == answers[1]


def test_a_path_that_is_no_door_is_a_404_under_lambda_too(doors: Doors) -> None:
    assert doors.gateway("/buttons/else", PRESS, **BEARER).code == 404


def test_the_lambda_doors_do_not_import_flask() -> None:
    code = "import sys, button_handlers.doors; sys.exit('flask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Who may


@pytest.mark.parametrize("path", ["/buttons/webhook", "/buttons/soracom"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"X-Staffcall-Token": "wrong"},
        {"X-Staffcall-Token": "\xe9"},
    ],
)
def test_without_the_token_nothing_happens(doors: Doors, path: str, headers: dict[str, str]) -> None:
    before = doors.changed()
    answer = doors.post(path, {**PRESS, **PARSED}, **{"x-soracom-imsi": IMSI}, **headers)
    assert answer.code == answer.body["code"] == 401
    assert TOKEN not in answer.body["message"]
    assert (doors.changed(), doors.noted) == (before, [])


def test_the_token_is_taken_in_each_of_its_three_places(doors: Doors) -> None:
    assert doors.post("/buttons/webhook", PRESS, **BEARER).code == 200
    assert doors.post("/buttons/webhook", PRESS, Authorization=f"bearer  {TOKEN} ").code == 200
    assert doors.post("/buttons/webhook", PRESS, x_staffcall_TOKEN=TOKEN).code == 200
    assert doors.post(f"/buttons/webhook?token={TOKEN}", PRESS).code == 200


def test_an_empty_token_opens_nothing(doors: Doors) -> None:
    shut = Services(place=doors.shop.place, unknown=doors, token="")
    app = Flask(__name__)
    app.register_blueprint(blueprint(shut))
    client = app.test_client()
    for headers in ({}, {"X-Staffcall-Token": ""}, {"Authorization": "Bearer "}):
        assert client.post("/buttons/webhook", json=PRESS, headers=headers).status_code == 401
    assert "token" not in repr(shut).lower()


def test_beams_signature_opens_the_soracom_door_for_300_seconds(doors: Doors) -> None:
    headers = beam(doors.shop.now, imsi=IMSI, imei="359560000000001")
    doors.shop.now += 300_000
    assert doors.post("/buttons/soracom", PARSED, **headers).body["thing"] == "staff-hana"
    doors.shop.now += 1
    assert doors.post("/buttons/soracom", PARSED, **headers).code == 401


def test_a_signature_by_another_key_or_of_another_sim_is_refused(doors: Doors) -> None:
    now = doors.shop.now
    assert doors.post("/buttons/soracom", PARSED, **beam(now, key="guess")).code == 401
    changed = {**beam(now), "x-soracom-imsi": "440520000000002"}
    assert doors.post("/buttons/soracom", PARSED, **changed).code == 401
    assert doors.state(doors.hana) is StaffState.IDLE


def test_header_names_and_the_signature_may_be_written_in_capitals(doors: Doors) -> None:
    headers = {name.upper(): value.upper() for name, value in beam(doors.shop.now).items()}
    assert doors.post("/buttons/soracom", PARSED, **headers).code == 200


def test_a_signed_request_that_names_no_sim_of_a_button_is_refused(doors: Doors) -> None:
    answer = doors.post("/buttons/soracom", PARSED, **beam(doors.shop.now, imei="359560000000001"))
    assert (answer.code, "x-soracom-imsi" in answer.body["message"]) == (400, True)


def test_a_captured_request_replayed_with_another_body_is_a_repeat(doors: Doors) -> None:
    headers = beam(doors.shop.now)
    first = doors.post("/buttons/soracom", PARSED, **headers)
    doors.shop.now += 60_000
    again = doors.post("/buttons/soracom", {**PARSED, "clickType": 3, "clickTypeName": "LONG"}, **headers)
    assert again.body == {**first.body, "repeat": True}
    later = doors.post("/buttons/soracom", PARSED, **beam(doors.shop.now))
    assert later.body["repeat"] is False


def test_the_sample_that_beam_sends_is_taken_as_it_stands(doors: Doors) -> None:
    sent = sample("soracom_beam_http_parsed")
    doors.shop.now = int(sent["headers"]["x-soracom-timestamp"]) + 900
    answer = doors.post("/buttons/soracom", sent["body"], **sent["headers"])
    assert (answer.code, answer.body["thing"]) == (200, "staff-hana")
    assert doors.shop.shadows.get(f"button-{IMSI}").reported["battery"] == 1


def test_funk_over_http_names_the_sim_in_its_token_and_the_button_token_lets_it_in(doors: Doors) -> None:
    sent = sample("soracom_funk_http")
    headers = {**sent["headers"], "x-soracom-token": jwt({"imsi": IMSI, "operatorId": "OP0000000000"})}
    assert doors.post("/buttons/soracom", sent["body"], **headers).code == 401
    answer = doors.post("/buttons/soracom", sent["body"], **headers, **BEARER)
    assert (answer.code, answer.body["thing"]) == (200, "staff-hana")
    broken = {**headers, "x-soracom-token": jwt({"simId": "1"})}
    assert doors.post("/buttons/soracom", sent["body"], **broken, **BEARER).code == 400


# --- Other ways in


def test_a_shelly_or_a_flic_calls_a_url(doors: Doors) -> None:
    path = f"/buttons/webhook?button=demo&click=DOUBLE&token={TOKEN}"
    assert doors.post(path, method="GET").body["thing"] == "staff-ken"
    flic = sample("flic_http_request")["headers"]
    answer = doors.post(f"/buttons/webhook?click=SINGLE&token={TOKEN}", **flic)
    assert (answer.code, answer.body["thing"]) == (200, "staff-hana")
    assert doors.shop.shadows.get("button-BC44-B00001").reported["battery"] == 0.87
    assert doors.post(f"/buttons/webhook?token={TOKEN}").code == 400


def test_a_body_of_16_kb_is_read_and_one_byte_more_is_not(doors: Doors) -> None:
    fits = json.dumps(PRESS).encode().ljust(BODY_LIMIT)
    assert doors.post("/buttons/webhook", fits, **BEARER).code == 200
    assert doors.post("/buttons/webhook", fits + b" ", **BEARER).code == 413
    assert doors.post("/buttons/soracom", fits + b" ", **BEARER).code == 413


def test_a_message_on_a_topic_is_a_press(doors: Doors) -> None:
    answer = on_message("staffcall/buttons/demo/press", b'{"click": "DOUBLE"}', doors.services)
    assert (answer.code, answer.body["thing"]) == (200, "staff-ken")
    sent = sample("iotbutton_dash")
    answer = on_message(sent["topic"], json.dumps(sent["payload"]).encode(), doors.services)
    assert (answer.code, answer.body["thing"]) == (200, "staff-hana")
    assert doors.shop.shadows.get("button-G030JF0000000001").reported["battery"] == 0.87


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        ("staffcall/buttons/demo/press", b"", 400),
        ("staffcall/buttons/demo/press", b"\xff", 400),
        ("staffcall/buttons/demo/press", b'{"click": "TRIPLE"}', 400),
        ("staffcall/buttons/demo/press", b'{"click": "SINGLE", "button": "other"}', 400),
        ("staffcall/buttons/demo/press", b" " * (BODY_LIMIT + 1), 413),
        ("staffcall/buttons/nobody/press", b'{"click": "SINGLE"}', 404),
        ("staffcall/buttons/a b/press", b'{"click": "SINGLE"}', 404),
        ("staffcall/buttons/demo", b'{"click": "SINGLE"}', 404),
    ],
)
def test_a_bad_message_changes_nothing_and_is_logged(
    doors: Doors, topic: str, payload: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = doors.changed()
    assert on_message(topic, payload, doors.services).code == code
    assert topic in caplog.text
    assert doors.changed() == before


@pytest.mark.parametrize(
    ("name", "thing"),
    [("soracom_funk_lambda", "staff-hana"), ("soracom_funk_lambda_old_context", "staff-ken")],
)
def test_funk_invokes_the_lambda_with_the_sim_in_its_context(doors: Doors, name: str, thing: str) -> None:
    event, context = funk(name)
    answer = on_button(event, context, doors.services)
    assert (answer["thing"], answer["repeat"]) == (thing, False)
    doors.shop.now += 60_000
    assert on_button(event, context, doors.services) == {**answer, "repeat": True}


def test_what_funk_is_refused_is_raised_so_that_the_light_turns_red(doors: Doors) -> None:
    event, context = funk("soracom_funk_lambda")
    with pytest.raises(Rejected) as refused:
        on_button(event, SimpleNamespace(client_context=None), doors.services)
    assert refused.value.code == 400
    with pytest.raises(Rejected):
        on_button({**event, "clickType": 9}, context, doors.services)


def test_a_topic_rule_hands_the_lambda_what_was_published(doors: Doors) -> None:
    rule = {"click": "SINGLE", "topic": "staffcall/buttons/demo/press"}
    context = SimpleNamespace(client_context=None, aws_request_id="r1")
    assert on_button(rule, context, doors.services)["thing"] == "staff-hana"
    assert on_button(rule, context, doors.services)["repeat"] is True
    other = SimpleNamespace(client_context=None, aws_request_id="r2")
    assert on_button(rule, other, doors.services)["repeat"] is False


def test_a_one_click_event_calls_once_and_a_health_event_never(doors: Doors) -> None:
    context = SimpleNamespace(client_context=None, aws_request_id="r1")
    assert on_button(sample("oneclick_single"), context, doors.services)["thing"] == "staff-hana"
    before = doors.shop.shadows.get(doors.hana)
    assert "ignored" in on_button(sample("oneclick_health"), context, doors.services)
    assert doors.shop.shadows.get(doors.hana) == before


@pytest.mark.parametrize(
    "send",
    [
        lambda doors: doors.post("/buttons/webhook", {"button": "demo", "battery": 0.5}, **BEARER),
        lambda doors: doors.post("/buttons/webhook?button=demo&battery=0.5", method="GET", **BEARER),
        lambda doors: doors.gateway("/buttons/webhook", {"button": "demo", "battery": 0.5}, **BEARER),
        lambda doors: on_message("staffcall/buttons/demo/press", b'{"battery": 0.5}', doors.services),
    ],
    ids=["post", "get", "lambda", "topic"],
)
def test_a_battery_without_a_click_is_a_sign_of_life_and_no_press(
    doors: Doors, send: Callable[[Doors], Answer]
) -> None:
    assert send(doors) == Answer(code=200, body={"ignored": "battery: no click beside it, no press"})
    assert doors.state(doors.hana) is StaffState.IDLE
    reported = doors.shop.shadows.get("button-demo").reported
    assert (reported["heard"], reported["battery"]) == (doors.shop.now, 0.5)
    assert "at" not in reported


def test_a_button_learns_how_often_it_is_heard_and_forgets_it_when_it_is_another(doors: Doors) -> None:
    heartbeat = {**sample("soracom_global_button_event"), "msg_type": "heartbeat"}

    def period(*hours: float) -> float | None:
        for each in hours:
            doors.shop.now += int(3_600_000 * each)
            answer = doors.post("/buttons/soracom", heartbeat, x_soracom_imsi=IMSI, **BEARER)
            assert answer.code == 200
        (button,) = (each for each in registry.buttons(doors.shop.place) if each.id == IMSI)
        assert (button.heard, button.at) == (doors.shop.now, 0)
        return button.heartbeat_s and button.heartbeat_s / 3600

    assert period(1) is None
    assert period(0.1) == 0.1
    assert period(24) == 24, "one that came early is no habit"
    assert period(24) == 24
    assert period(72) == 24, "neither is a weekend without a network"
    assert period(6, 6) == 6


def test_a_sign_that_is_sent_again_and_one_of_an_unknown_button_write_nothing(doors: Doors) -> None:
    sign = {"button": "demo", "battery": 0.5}
    doors.post("/buttons/webhook", sign, **BEARER)
    before = doors.changed()
    doors.shop.now += 59_999
    doors.post("/buttons/webhook", sign, **BEARER)
    doors.post("/buttons/webhook", {**sign, "button": "stranger"}, **BEARER)
    assert (doors.changed(), doors.noted) == (before, [])


def test_what_comes_at_no_regular_times_is_a_sign_of_life_and_no_heartbeat(doors: Doors) -> None:
    edge = {**sample("soracom_global_button_event"), "detect_type": "Connected"}
    for _ in range(3):
        doors.shop.now += 3_600_000
        doors.post("/buttons/soracom", edge, x_soracom_imsi=IMSI, **BEARER)
    assert doors.shop.shadows.get(f"button-{IMSI}").reported == {"heard": doors.shop.now}


def test_a_bug_of_ours_is_not_answered_as_the_senders_fault(doors: Doors) -> None:
    doors.shop.things.get = None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):
        on_message("staffcall/buttons/demo/press", b'{"click": "SINGLE"}', doors.services)
