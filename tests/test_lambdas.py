"""The functions as AWS runs them: the same answers as Flask's views, repeats that change nothing, batches in part."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.exceptions import ClientError
from flask import Flask

import button_handlers.doors as button_doors
import slack_bridge.doors as slack_doors
from button_handlers.flask_doors import blueprint as button_blueprint
from infra import lambdas
from infra.alerts.flask_doors import blueprint as answer_blueprint
from infra.alerts.links import Link, status_purpose, token
from infra.alerts.twilio import signature
from infra.aws.place import client
from infra.aws.tables import UnknownButtons
from shadows import alerts
from shadows.calls import read
from shadows.errors import Rejected
from shadows.registry import NewButton, add_button
from shadows.staff import StaffState
from slack_bridge.flask_doors import blueprint as slack_blueprint
from tests import memory
from tests.cloud import (
    BEAM_KEY,
    BUTTON_TOKEN,
    IMSI,
    LINK_KEY,
    OUTGOING_TOKEN,
    SIGNING_SECRET,
    Cloud,
    cloud,
    context,
    furnish,
    gateway,
)
from tests.fake_slack import FakeSlack, signed
from tests.fake_twilio import TOKEN as TWILIO_TOKEN
from tests.fake_twilio import URL, FakeTwilio, Sms, refuses
from tests.receiver import SECRET, Receiver, answers

PAYLOADS = Path(__file__).parent / "payloads"
TOKEN = {"Authorization": f"Bearer {BUTTON_TOKEN}"}
JSON = {"Content-Type": "application/json"}
CONTENT = {"Content_Type": "application/x-www-form-urlencoded"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def here(slack: FakeSlack) -> Iterator[Cloud]:
    with cloud(slack) as here:
        yield here


def sample(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))


def press(**more: Any) -> dict[str, Any]:
    body = json.dumps({"button": "demo", "click": "SINGLE", **more}).encode()
    return gateway("POST", "/buttons/webhook", body, **TOKEN, **JSON)


def says(text: str, user: str = "U0HANA", timestamp: str = "1730520930.002400") -> bytes:
    form = {"token": OUTGOING_TOKEN, "channel_id": "C0FLOOR", "timestamp": timestamp}
    return urlencode({**form, "user_id": user, "text": text}).encode()


def state(here: Cloud, id: str) -> StaffState:
    return read(here.place, f"staff-{id}").state


# --- the same at both doors


@dataclass(frozen=True)
class Sent:
    """One HTTP request to a door."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    query: dict[str, str]


def sent(path: str, body: bytes = b"", *headers: dict[str, str], method: str = "POST", **query: str) -> Sent:
    return Sent(method, path, body, {name: value for each in headers for name, value in each.items()}, query)


def to_buttons() -> list[Sent]:
    path, frame = "/buttons/soracom", bytes.fromhex("4d010351")
    now = str(time.time_ns() // 1_000_000)
    text = f"{BEAM_KEY}x-soracom-imsi={IMSI}x-soracom-timestamp={now}"
    beam = {
        "X-Soracom-Imsi": IMSI,
        "x-soracom-timestamp": now,
        "X-SORACOM-SIGNATURE": hashlib.sha256(text.encode()).hexdigest(),
    }
    parsed = json.dumps({"clickType": 1, "clickTypeName": "SINGLE", "batteryLevel": 0.5}).encode()
    generic = json.dumps({"button": "demo", "click": "DOUBLE", "id": "one", "battery": 0.5}).encode()
    flic = {"button-serial-number": "demo", "button-battery-level": "80"}
    return [
        sent("/buttons/webhook", generic, TOKEN, JSON),
        sent("/buttons/webhook", generic, TOKEN, JSON),  # a repeat
        sent("/buttons/webhook", generic, JSON, {"X-Staffcall-Token": BUTTON_TOKEN}),
        sent("/buttons/webhook", generic, {"Content-Type": "application/octet-stream"}, TOKEN),
        sent(
            "/buttons/webhook", b"", method="GET", token=BUTTON_TOKEN, button="demo", click="LONG", id="two"
        ),
        sent("/buttons/webhook", b"", TOKEN, flic, method="GET", click="SINGLE"),
        sent("/buttons/webhook", generic, JSON),
        sent("/buttons/webhook", generic, JSON, {"Authorization": "Bearer ☃".encode().decode("latin-1")}),
        sent("/buttons/webhook", b"{", TOKEN, JSON),
        sent("/buttons/webhook", b"\xff\xfe", TOKEN, FORM),
        sent("/buttons/webhook", b'{"button": "demo", "click": "TRIPLE"}', TOKEN, JSON),
        sent("/buttons/webhook", '{"button": "だれ", "click": "SINGLE"}'.encode(), TOKEN, JSON),
        sent("/buttons/webhook", b'{"button": "nobody", "click": "SINGLE"}', TOKEN, JSON),
        sent("/buttons/webhook", b"{" + b" " * 20_000, TOKEN, JSON),
        sent(path, parsed, beam, JSON),
        sent(path, parsed, beam, JSON),  # a repeat
        sent(path, frame, TOKEN, {"x-soracom-imsi": IMSI, "Content-Type": "application/octet-stream"}),
        sent(path, parsed, JSON, beam, {"X-SORACOM-SIGNATURE": "0" * 64}),
        sent(path, parsed, JSON, TOKEN),
        sent(path, b'{"payload": "TQEDUg=="}', JSON, TOKEN, {"x-soracom-imsi": IMSI}),
    ]


def to_slack() -> list[Sent]:
    now_s = time.time()

    def event(user: str, text: str, ts: str) -> bytes:
        message = {"type": "message", "channel": "C0FLOOR", "user": user, "text": text, "ts": ts}
        return json.dumps({"type": "event_callback", "event": message}).encode()

    def sign(body: bytes) -> dict[str, str]:
        return signed(body, SIGNING_SECRET, now_s)

    challenge = json.dumps(sample("slack_events_url_verification")).encode()
    command = urlencode(
        {"channel_id": "C0FLOOR", "user_id": "U0SORA", "command": "/away", "text": "", "trigger_id": "1.2.3"}
    ).encode()
    action = (PAYLOADS / "slack_interactive_block_actions.form").read_bytes()
    return [
        sent("/slack/outgoing", says("ok, 5 minutes"), FORM),
        sent("/slack/outgoing", says("ok, 5 minutes"), FORM),  # a repeat
        sent("/slack/outgoing", says("ＯＫ！", timestamp="2.0"), FORM),
        sent("/slack/outgoing", says("no problem", timestamp="3.0"), FORM),
        sent("/slack/outgoing", says("ok", user="U0NOBODY"), FORM),
        sent("/slack/outgoing", says("lunch?"), FORM),
        sent("/slack/outgoing", says("done", timestamp="4.0"), FORM),
        sent("/slack/outgoing", says("ok").replace(OUTGOING_TOKEN.encode(), b"wrong"), FORM),
        sent("/slack/outgoing", b"token=%FF", FORM),
        sent("/slack/outgoing", b""),
        sent("/slack/events", challenge, sign(challenge), JSON),
        sent("/slack/events", challenge, JSON),
        sent("/slack/events", event("U0HANA", "away", "5.0"), sign(event("U0HANA", "away", "5.0")), JSON),
        sent("/slack/commands", command, sign(command), FORM),
        sent("/slack/commands", b"ssl_check=1", FORM),
        sent("/slack/actions", action, sign(action), FORM),
        sent("/slack/actions", action, sign(b"other"), FORM),
        sent("/slack/elsewhere", b"", FORM),
    ]


def flask_client() -> Any:
    """The Flask views, over shadows in memory, with the same people."""
    shop = memory.Shop()
    shop.now = time.time_ns() // 1_000_000
    furnish(shop.place)
    app = Flask(__name__)
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    unknown = UnknownInMemory()
    app.register_blueprint(
        button_blueprint(
            button_doors.Services(place=shop.place, unknown=unknown, token=BUTTON_TOKEN, beam_key=BEAM_KEY)
        )
    )
    app.register_blueprint(
        slack_blueprint(
            slack_doors.Services(
                place=shop.place,
                outgoing_token=OUTGOING_TOKEN,
                signing_secret=SIGNING_SECRET,
                lang="en",
            )
        )
    )
    return app.test_client()


class UnknownInMemory:
    def note(self, button: str, at: int, door: str) -> None:
        """Nothing: only the answer is looked at."""


def normal(status: int, body: bytes | str, ids: dict[str, str]) -> tuple[int, Any]:
    """An answer, with the calls' random ids by their order."""
    read = json.loads(body) if body else None
    if isinstance(read, dict) and "call" in read:
        read["call"] = ids.setdefault(read["call"], f"call {len(ids)}")
    return status, read


@pytest.mark.parametrize(("function", "requests"), [("button", to_buttons), ("slack", to_slack)])
def test_both_doors_answer_the_same(here: Cloud, function: str, requests: Any) -> None:
    flask, theirs, ours = flask_client(), {}, {}
    for each in requests():
        response = flask.open(
            each.path, method=each.method, data=each.body, headers=each.headers, query_string=each.query
        )
        expected = normal(response.status_code, response.data, theirs)
        named = {name.replace("-", "_"): value for name, value in each.headers.items()}
        answer = here.run(function, gateway(each.method, each.path, each.body, each.query, **named))
        assert normal(answer["statusCode"], answer["body"], ours) == expected, each
        assert answer["headers"]["content-type"] == "application/json"


# --- the story


def test_a_press_is_mentioned_answered_and_over(here: Cloud) -> None:
    answer = json.loads(here.run("button", press())["body"])
    assert (answer["thing"], answer["state"], answer["repeat"]) == ("staff-hana", "calling", False)
    assert ["<@U0HANA>" in text for text in here.slack.texts] == [True]
    assert (
        "on your way"
        in json.loads(here.run("slack", gateway("POST", "/slack/outgoing", says("ok")))["body"])["text"]
    )
    assert state(here, "hana") is StaffState.RUNNING
    until_idle(here)
    assert read(here.place, "staff-hana").call.end == "ended"
    assert len(here.slack.texts) == 1


def until_idle(here: Cloud) -> None:
    """Bring what the queue holds, as SQS does."""
    end = time.monotonic() + 8
    while state(here, "hana") is not StaffState.IDLE:
        assert time.monotonic() < end
        if records := here.queued():
            assert here.run("timer", {"Records": records}) == {"batchItemFailures": []}
        time.sleep(0.05)


def test_a_call_that_nobody_answers_goes_to_the_backup_who_is_mentioned(here: Cloud) -> None:
    here.run("button", press())
    until_idle(here)
    assert state(here, "sora") is StaffState.CALLING
    assert ["<@U0SORA>" in text for text in here.slack.texts] == [False, True]


def test_a_batch_fails_in_part(here: Cloud) -> None:
    here.run("button", press())
    alarm = {"thing": "staff-hana", "call": "another", "state": "calling", "since": 1}
    records = [
        {"messageId": "bad", "body": "not json"},
        {"messageId": "old", "body": json.dumps(alarm)},
    ]
    assert here.run("timer", {"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert state(here, "hana") is StaffState.CALLING


def test_the_sweep_tells_what_slack_did_not_take(here: Cloud) -> None:
    here.slack.next(status=500)
    here.run("button", press())
    assert here.slack.texts == []
    here.run("sweep", {"source": "aws.events"})
    assert len(here.slack.texts) == 1


# --- who does not see Slack


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    with FakeTwilio() as twilio:
        yield twilio


@pytest.fixture
def alerting(slack: FakeSlack, twilio: FakeTwilio) -> Iterator[Cloud]:
    soon = {"STAFFCALL_ALERT_SECONDS": "0.1", "STAFFCALL_CALLING_SECONDS": "60"}
    with (
        cloud(slack, STAFFCALL_ALERTS=URL) as here,
        patch.dict(os.environ, {"TWILIO_API_URL": twilio.url, **soon}),
    ):
        here.place.things.update("staff-hana", {"phone": "819077770001"})
        lambdas._wired.cache_clear()
        yield here


def alerted(here: Cloud, twilio: FakeTwilio) -> Sms:
    """Hana is called, and gets an SMS."""
    here.run("button", press())
    assert ["<@U0HANA>" in text for text in here.slack.texts] == [True]
    assert here.run("alert", {"Records": until_asked(here)}) == {"batchItemFailures": []}
    (sms,) = twilio.got
    return sms


def until_asked(here: Cloud) -> list[dict[str, Any]]:
    """Let the alarms ring until somebody is to be reached by another way; what Lambda brings of it."""
    end = time.monotonic() + 8
    while not (asked := here.alerts()):
        assert time.monotonic() < end
        here.run("timer", {"Records": here.queued()})
        time.sleep(0.05)
    return asked


def to_answer(method: str, url: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    return gateway(method, url.removeprefix("https://the-api.example"), body, None, **headers)


def test_an_sms_is_sent_and_its_link_answers_once(alerting: Cloud, twilio: FakeTwilio) -> None:
    link = alerted(alerting, twilio).link
    looked = alerting.run("answer", to_answer("GET", link))
    assert (looked["statusCode"], "On my way" in looked["body"]) == (200, True)
    assert state(alerting, "hana") is StaffState.CALLING
    answered = alerting.run("answer", to_answer("POST", link))
    assert "is on the way" in answered["body"]
    assert state(alerting, "hana") is StaffState.RUNNING
    assert not read(alerting.place, "staff-hana").untold
    alerting.run("slack", gateway("POST", "/slack/outgoing", says("done")))
    assert "over" in alerting.run("answer", to_answer("POST", link))["body"]
    assert state(alerting, "hana") is StaffState.IDLE


def test_what_twilio_says_later_is_taken_if_it_has_signed_it(
    alerting: Cloud, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture
) -> None:
    url = alerted(alerting, twilio).form["StatusCallback"]
    form = {"MessageStatus": "delivered", "To": "+819077770001"}
    body, right = urlencode(form).encode(), signature(TWILIO_TOKEN, url, form.items())
    refused = alerting.run("answer", to_answer("POST", url, body, X_Twilio_Signature="no", **CONTENT))
    assert refused["statusCode"] == 401
    taken = alerting.run("answer", to_answer("POST", url, body, X_Twilio_Signature=right, **CONTENT))
    assert taken["statusCode"] == 204
    said = [each.getMessage() for each in caplog.records if each.name == "infra.aws.alerting"]
    assert [line.rpartition(": ")[2] for line in said] == ["accepted", "delivered"]
    assert "8190" not in caplog.text


def test_what_became_of_an_alert_is_on_record_once_however_often_aws_and_twilio_say_it(
    alerting: Cloud, twilio: FakeTwilio
) -> None:
    alerting.run("button", press())
    twilio.next(refuses(429, 20429))
    asked = until_asked(alerting)
    for _ in range(2):
        alerting.run("alert", {"Records": asked})
    call = read(alerting.place, "staff-hana").call.id
    about = {"thing": "staff-hana", "call": call, "state": "calling", "kind": "alert twilio", "count": 1}
    assert [each.items() >= about.items() for each in alerting.tries()] == [True, True]
    assert [(each["outcome"], each["reason"]) for each in alerting.tries()] == [
        ("failed", "Twilio answered 429, code 20429"),
        ("accepted", ""),
    ]
    first = twilio.got[-1].form["StatusCallback"]
    link = Link(thing="staff-hana", call=call, expires=2_000_000_000)
    second = f"https://the-api.example/answer/status-0-2/{token(link, status_purpose(0, 2), LINK_KEY)}"
    for url, status in [(first, "sent"), (first, "delivered"), (second, "delivered")] * 2:
        form = {"MessageStatus": status, "To": "+819077770001"}
        right = signature(TWILIO_TOKEN, url, form.items())
        said = to_answer("POST", url, urlencode(form).encode(), X_Twilio_Signature=right, **CONTENT)
        assert alerting.run("answer", said)["statusCode"] == 204
    outcomes = ["failed", "accepted", "sent", "delivered", "delivered"]  # the last of a second message
    assert [each["outcome"] for each in alerting.tries()] == outcomes
    assert "8190" not in json.dumps(client("dynamodb").scan(TableName="DeliveryTable"))


def test_an_alert_that_was_cut_off_before_its_report_is_one_row_for_each_message_that_was_sent(
    alerting: Cloud, twilio: FakeTwilio
) -> None:
    alerting.run("button", press())
    asked = {"Records": until_asked(alerting)}
    with patch.object(alerts, "_report", side_effect=ConnectionError("IoT is down")):
        alerting.run("alert", asked)
        alerting.run("alert", asked)  # Lambda invoked twice with what SQS brought once
    assert [each["outcome"] for each in alerting.tries()] == ["accepted"]
    asked["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
    alerting.run("alert", asked)
    assert [each["outcome"] for each in alerting.tries()] == ["accepted", "accepted"]
    assert len(twilio.got) == 3


def test_a_table_that_is_down_costs_no_alert(
    alerting: Cloud, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture
) -> None:
    client("dynamodb").delete_table(TableName="DeliveryTable")
    assert "is waiting" in alerted(alerting, twilio).form["Body"]
    assert "A try is not on record" in caplog.text
    assert read(alerting.place, "staff-hana").alerted.endswith("/1")


# --- what clicks start


@pytest.fixture
def starting(slack: FakeSlack) -> Iterator[tuple[Cloud, Receiver]]:
    """A stack where one click of a button may tell another program."""
    with Receiver() as program:
        address = program.url()
        allowed = {"STAFFCALL_ACTIONS": f"webhook:{urlsplit(address).hostname}"}
        with cloud(slack, STAFFCALL_WEBHOOK_SECRET=SECRET) as here, patch.dict(os.environ, allowed):
            add_button(here.place, NewButton(id="starts", single=f"webhook:{address}"))
            lambdas._wired.cache_clear()
            yield here, program


def test_what_came_of_a_click_is_on_record_each_try_once_as_on_one_machine(
    starting: tuple[Cloud, Receiver],
) -> None:
    here, program = starting
    program.next(answers(503))
    assert here.run("button", press(button="starts"))["statusCode"] == 200
    first = {"Records": here.queued()}
    here.run("timer", first)
    again = {"Records": [{**first["Records"][0], "messageId": "the next"}]}
    here.run("timer", again)
    here.run("timer", again)  # it is done: nothing is started, and nothing noted
    tried = here.tries()
    order = here.place.shadows.get("button-starts").reported["action"]
    what = {
        "thing": "button-starts",
        "call": order["id"],
        "state": "SINGLE",
        "since": order["at"],
        "count": 1,
    }
    assert [each.items() >= {**what, "kind": "action webhook:127.0.0.1"}.items() for each in tried] == [
        True
    ] * 2
    assert [(each["outcome"], each["reason"]) for each in tried] == [
        ("failed", "answered 503"),
        ("accepted", ""),
    ]
    assert (order["result"], len(program.got)) == ("accepted", 2)


def test_both_doors_of_a_link_answer_the_same(alerting: Cloud, twilio: FakeTwilio) -> None:
    sms = alerted(alerting, twilio)
    app = Flask(__name__)
    app.register_blueprint(answer_blueprint(lambdas.wired().answer_services("/answer/")))
    status = sms.form["StatusCallback"]
    for method, url, body in (
        ("GET", sms.link, b""),
        ("GET", sms.link + "x", b""),
        ("POST", sms.link + "x", b""),
        ("GET", status, b""),
        ("POST", status, b"MessageStatus=sent"),
        ("POST", status, b"MessageStatus=" + b"x" * 20_000),
        ("POST", sms.link, b""),
    ):
        for lang in ("ja", "en;q=0.9, ja;q=0.5", ""):
            headers = {"Accept-Language": lang, **({"Content-Type": FORM["Content-Type"]} if body else {})}
            named = {name.replace("-", "_"): value for name, value in headers.items()}
            theirs = alerting.run("answer", to_answer(method, url, body, **named))
            path = url.removeprefix("https://the-api.example")
            ours = app.test_client().open(path, method=method, data=body, headers=headers)
            assert (theirs["statusCode"], theirs["body"]) == (ours.status_code, ours.text), (method, url)
            assert theirs["headers"].items() <= {**ours.headers}.items()


def test_a_way_that_is_none_stops_no_call(slack: FakeSlack, caplog: pytest.LogCaptureFixture) -> None:
    with cloud(slack, STAFFCALL_ALERTS="no canary") as here:
        here.run("button", press())
        assert len(here.slack.texts) == 1
    assert "STAFFCALL_ALERTS: got something else as number 1" in caplog.text
    assert "canary" not in caplog.text


# --- direct invocation, topic rules


@pytest.mark.parametrize(
    "event",
    [
        {"topic": "staffcall/buttons/demo/press", "click": "SINGLE"},
        {"topic": "iotbutton/G030JF0000000001", "clickType": "SINGLE", "batteryVoltage": "1697mV"},
    ],
)
def test_a_press_by_a_topic_rule_is_a_call_and_lambdas_retry_of_it_is_the_same(
    here: Cloud, event: dict[str, Any]
) -> None:
    first = here.run("button", event, context("a"))
    assert (first["thing"], first["state"], first["repeat"]) == ("staff-hana", "calling", False)
    time.sleep(0.01)
    again = here.run("button", event, context("a"))
    assert again == {**first, "repeat": True}
    assert read(here.place, "staff-hana").call.count == 1
    assert here.run("button", event, context("b"))["repeat"] is False


def test_funk_presses_for_its_sim(here: Cloud) -> None:
    event = {"clickType": 2, "clickTypeName": "DOUBLE", "batteryLevel": 1}
    assert here.run("button", event, context(imsi=IMSI))["thing"] == "staff-sora"


def test_one_click_presses(here: Cloud) -> None:
    event = sample("oneclick_single")
    event["deviceInfo"]["deviceId"] = "demo"
    assert here.run("button", event)["state"] == "calling"


@pytest.mark.parametrize(
    ("event", "custom", "code"),
    [
        ({"clickTypeName": "SINGLE"}, None, 400),
        ({"clickTypeName": "SINGLE"}, {"imsi": "440"}, 404),
        ({"clickTypeName": "TRIPLE"}, {"imsi": IMSI}, 400),
    ],
)
def test_what_is_wrong_with_an_invocation_raises(
    here: Cloud, event: dict[str, Any], custom: dict[str, str] | None, code: int
) -> None:
    with pytest.raises(Rejected) as raised:
        here.run("button", event, context(**custom or {}))
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"topic": "elsewhere", "click": "SINGLE"}, 404),
        ({"topic": "staffcall/buttons/nobody/press", "click": "SINGLE"}, 404),
        ({"topic": "staffcall/buttons/demo/press", "click": "TRIPLE"}, 400),
    ],
)
def test_a_wrong_message_of_a_topic_rule_is_logged_and_not_tried_again(
    here: Cloud, event: dict[str, Any], code: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = here.run("button", event)
    assert answer["code"] == code
    assert answer["message"] in caplog.text


def test_a_press_by_a_topic_rule_that_aws_throttles_is_tried_again(
    here: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: Any, **__: Any) -> None:
        raise ClientError(
            {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 429}},
            "UpdateThingShadow",
        )

    event = {"topic": "staffcall/buttons/demo/press", "click": "SINGLE"}
    with monkeypatch.context() as patch:
        patch.setattr(client("iot-data"), "update_thing_shadow", throttled)
        with pytest.raises(Rejected) as raised:
            here.run("button", event, context("a"))
        assert raised.value.code == 503
    assert here.run("button", event, context("a"))["state"] == "calling"


def test_an_unknown_button_can_be_adopted_from_the_list(here: Cloud) -> None:
    for _ in range(2):
        answer = here.run("button", press(button="B-17"))
        assert (answer["statusCode"], "B-17" in answer["body"]) == (404, True)
    (listed,) = UnknownButtons(client("dynamodb"), "UnknownTable").list()
    assert (listed["button"], listed["door"], listed["count"]) == ("B-17", "webhook", 2)


# --- secrets


def test_a_changed_secret_holds_five_minutes_later(here: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    assert here.run("button", press())["statusCode"] == 200
    client("ssm").put_parameter(
        Name="/staffcall/STAFFCALL_BUTTON_TOKEN", Value="new", Type="SecureString", Overwrite=True
    )
    later = time.time() + lambdas.SECRETS_FOR_S
    monkeypatch.setattr("infra.lambdas.time.time", lambda: later)
    assert here.run("button", press())["statusCode"] == 401


def test_no_secret_is_in_an_environment_or_a_log(here: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    here.slack.always(status=500)
    here.run("button", press())
    here.run("slack", gateway("POST", "/slack/outgoing", says("ok")))
    secrets = (BUTTON_TOKEN, OUTGOING_TOKEN, SIGNING_SECRET, BEAM_KEY, here.slack.url, "xoxb-")
    assert not [secret for secret in secrets if secret in caplog.text]
    assert not [secret for secret in secrets for value in os.environ.values() if secret in value]


# --- the package


def test_importing_does_no_work_and_brings_no_web_server() -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); import infra.lambdas; "
        "unwanted = {'flask', 'waitress', 'apscheduler', 'rich', 'click', 'websockets'} & set(sys.modules); "
        "assert not unwanted, unwanted"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": ""},
        cwd=PAYLOADS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
