"""Slack's requests at the doors: over Flask and as a Lambda, the same body gives the same answer."""

import base64
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from shadows.calls import read
from shadows.shadow import JsonObject
from shadows.staff import CallEvent, StaffState
from slack_bridge.doors import Services, on_slack, open_door
from slack_bridge.flask_doors import blueprint
from slack_bridge.phrases import phrases
from slack_bridge.reply import BODY_LIMIT
from slack_bridge.tellers import Post
from tests.fake_slack import signed
from tests.memory import Shop

PAYLOADS = Path(__file__).parent / "payloads"
TOKEN = "X" * 24
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
FORM = (PAYLOADS / "slack_outgoing_ok.form").read_bytes()
ON_THE_WAY = 'Thank you, Staff01. The screen says that you are on your way. It also says: "5分で行きます"'


class Doors:
    """A shop with somebody whom Slack knows as U0STAFF01, and both kinds of doors to it."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.hana = self.shop.staff("0staff01")
        self.shop.shadows.update(self.hana, reported={"name": "Staff01"})
        self.posts: list[Post] = []
        self.posted = threading.Event()
        self.services = self.made()
        self.now_s = self.shop.now / 1000

    def made(self, **other: Any) -> Services:
        kept: dict[str, Any] = {
            "place": self.shop.place,
            "outgoing_token": TOKEN,
            "signing_secret": SECRET,
            "lang": "en",
            "say": self.say,
            "wall": lambda: self.shop.now,
        }
        return Services(**{**kept, **other})

    def say(self, post: Post) -> None:
        self.posts.append(post)
        self.posted.set()

    @property
    def state(self) -> StaffState:
        return read(self.shop.place, self.hana).state

    def flask(self, door: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        app = Flask(__name__)
        app.register_blueprint(blueprint(self.services))
        got = app.test_client().post(f"/slack/{door}", data=body, headers=headers)
        return got.status_code, got.get_json() if got.data else None

    def lambda_(self, door: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        got = on_slack(
            {
                "version": "2.0",
                "rawPath": f"/slack/{door}",
                "headers": lower,
                "body": base64.b64encode(body).decode(),
                "isBase64Encoded": True,
            },
            self.services,
        )
        return got["statusCode"], json.loads(got["body"]) if got["body"] else None

    def sent(self, door: str, body: bytes) -> tuple[int, Any]:
        return self.flask(door, body, signed(body, SECRET, self.now_s))


@pytest.fixture
def doors() -> Doors:
    return Doors()


def event(name: str, **changed: Any) -> bytes:
    payload: JsonObject = json.loads((PAYLOADS / f"slack_events_{name}.json").read_text())
    payload.get("event", {}).update(changed)
    return json.dumps(payload).encode()


def action(value: str) -> bytes:
    payload = json.loads((PAYLOADS / "slack_socket_interactive.json").read_text())["payload"]
    payload["actions"][0]["value"] = value
    return urlencode({"payload": json.dumps(payload)}).encode()


@pytest.mark.parametrize("kind", ["flask", "lambda_"])
def test_an_ok_by_the_outgoing_webhook_is_answered_for_slack_to_post(doors: Doors, kind: str) -> None:
    doors.shop.press(doors.hana)
    assert getattr(doors, kind)("outgoing", FORM) == (200, {"text": ON_THE_WAY})
    assert doors.state is StaffState.RUNNING


@pytest.mark.parametrize(
    ("door", "body", "headers"),
    [
        ("outgoing", FORM, {}),
        ("outgoing", FORM.replace(b"text=ok", b"text=hello"), {}),
        ("outgoing", (PAYLOADS / "slack_outgoing_from_bot.form").read_bytes(), {}),
        ("outgoing", FORM.replace(TOKEN.encode(), b"wrong"), {}),
        ("outgoing", FORM.replace(b"user_id", b"nobody"), {}),
        ("outgoing", FORM + b"\xff", {}),
        ("outgoing", b"a" * (BODY_LIMIT + 1), {}),
        ("events", event("message"), {}),
        ("events", b"{", {"X-Slack-Signature": "v0=", "X-Slack-Request-Timestamp": "x"}),
        ("commands", (PAYLOADS / "slack_slash_ssl_check.form").read_bytes(), {}),
        ("actions", action("ok"), {}),
        ("nonsense", b"", {}),
    ],
)
def test_both_doors_give_the_same_answer(door: str, body: bytes, headers: dict[str, str]) -> None:
    assert Doors().flask(door, body, headers) == Doors().lambda_(door, body, headers)


@pytest.mark.parametrize("sample", ["apigw_v1_form", "apigw_v2_form_b64", "lambda_url_form_b64"])
def test_every_gateways_own_form_of_a_request_is_read(doors: Doors, sample: str) -> None:
    doors.shop.press(doors.hana)
    got = on_slack(json.loads((PAYLOADS / f"slack_{sample}.json").read_text()), doors.services)
    assert (got["statusCode"], json.loads(got["body"])) == (200, {"text": ON_THE_WAY})


@pytest.mark.parametrize(
    "body", [{"body": None}, {"body": "===", "isBase64Encoded": True}, {"body": "\ud800"}, {}]
)
def test_a_gateway_that_hands_us_no_body_gets_a_refusal(doors: Doors, body: JsonObject) -> None:
    assert on_slack({"rawPath": "/slack/outgoing", **body}, doors.services)["statusCode"] == 401


def test_an_ignored_message_is_200_and_empty(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    bot = (PAYLOADS / "slack_outgoing_from_bot.form").read_bytes()
    chatter = (
        (PAYLOADS / "slack_outgoing_no_trigger.form").read_bytes().replace(b"text=ok+5", b"text=okinawa+5")
    )
    for body in (bot, chatter):
        assert doors.flask("outgoing", body) == (200, None)
    assert doors.state is StaffState.CALLING


def test_a_repeated_form_changes_nothing_and_posts_nothing(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    doors.flask("outgoing", FORM)
    before = doors.shop.shadows.get(doors.hana)
    assert doors.flask("outgoing", FORM) == (200, None)
    assert doors.sent("events", event("message")) == (200, None)  # the same message, by the other door
    assert doors.shop.shadows.get(doors.hana) == before


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (FORM.replace(TOKEN.encode(), b"wrong"), 401, "SLACK_OUTGOING_TOKEN"),
        (FORM.replace(b"token=", b"t="), 401, "SLACK_OUTGOING_TOKEN"),
        (FORM.replace(b"timestamp=", b"t="), 400, "timestamp"),
        (FORM + b"%FF", 400, "UTF-8"),
        (b"a" * 200_000, 413, "65536"),
    ],
)
def test_a_refused_form_says_which_field_and_changes_nothing(
    doors: Doors, body: bytes, code: int, says: str
) -> None:
    doors.shop.press(doors.hana)
    status, answer = doors.flask("outgoing", body)
    assert (status, answer["code"]) == (code, code)
    assert says in answer["message"]
    assert TOKEN not in answer["message"]
    assert doors.state is StaffState.CALLING


@pytest.mark.parametrize(
    ("door", "setting"),
    [
        ("outgoing", "SLACK_OUTGOING_TOKEN"),
        ("events", "SLACK_SIGNING_SECRET"),
        ("actions", "SLACK_SIGNING_SECRET"),
        ("commands", "SLACK_SIGNING_SECRET"),
    ],
)
def test_a_door_that_is_not_set_up_refuses_and_names_the_setting(
    doors: Doors, door: str, setting: str
) -> None:
    closed = doors.made(outgoing_token="", signing_secret="")
    got = open_door(door, FORM.replace(TOKEN.encode(), b""), signed(FORM, "", doors.now_s), closed)
    assert got.status == 401
    assert got.body is not None
    assert setting in got.body["message"]


def test_slacks_own_example_of_a_signature_is_accepted(doors: Doors) -> None:
    for vector in json.loads((PAYLOADS / "slack_signature_vectors.json").read_text()):
        body = (
            (PAYLOADS / vector["body_file"]).read_bytes()
            if "body_file" in vector
            else vector["body"].encode()
        )
        doors.shop.now = int(vector["timestamp"]) * 1000 + 299_000
        headers = {"X-Slack-Request-Timestamp": vector["timestamp"], "X-Slack-Signature": vector["signature"]}
        assert open_door("commands", body, headers, doors.services).status == 200
        assert open_door("commands", body + b"&x=1", headers, doors.services).status == 401
        doors.shop.now += 2_000
        assert open_door("commands", body, headers, doors.services).status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": "vö"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": "9" * 400},
        {"X-Slack-Request-Timestamp": "1730520930.5"},
    ],
)
def test_a_signature_that_is_none_is_401_and_never_a_crash(doors: Doors, changed: dict[str, str]) -> None:
    doors.shop.press(doors.hana)
    body = event("message")
    headers = {**signed(body, SECRET, doors.now_s), **changed}
    got = open_door("events", body, headers, doors.services)
    assert got.status == 401
    assert open_door("events", b"\xff", headers, doors.services).status == 401
    assert open_door("events", body, {}, doors.services).status == 401
    assert doors.state is StaffState.CALLING


def test_an_event_is_acknowledged_and_then_answered_in_its_thread(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    assert doors.sent("events", event("message", thread_ts="1.2", text="ok 5分で行きます")) == (200, None)
    assert doors.posted.wait(5)
    assert doors.posts == [Post(channel="C0BOOTH01", text=ON_THE_WAY, thread="1.2")]
    assert doors.state is StaffState.RUNNING


def test_the_acknowledgement_does_not_wait_for_what_is_said(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    may_say = threading.Event()

    def slow(post: Post) -> None:
        may_say.wait(10)
        doors.say(post)

    doors.services = doors.made(say=slow)
    assert doors.sent("events", event("message")) == (200, None)
    assert doors.posts == []
    may_say.set()
    assert doors.posted.wait(5)


def test_one_message_that_comes_as_two_events_is_answered_once(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    doors.services = doors.made(say=None)  # no bot token: nothing can be said, and nothing breaks
    same = {"ts": "1730520931.000100"}
    for name in ("app_mention", "message"):
        assert doors.sent("events", event(name, **same)) == (200, None)
    doors.shop.says(doors.hana, CallEvent.DONE)
    assert read(doors.shop.place, doors.hana).asked.why is CallEvent.DONE
    doors.shop.press(doors.hana)
    doors.sent("events", event("message", **same))
    assert doors.state is StaffState.CALLING


def test_bots_edits_and_other_events_are_acknowledged_and_left_alone(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    for body in (
        *(event(name) for name in ("bot_message_legacy", "bot_message_new_app", "message_changed")),
        b'{"type": "app_rate_limited"}',
        event("message", text="<@U0CALLBOT>", subtype="channel_join"),
    ):
        assert doors.sent("events", body) == (200, None)
    assert doors.state is StaffState.CALLING
    assert doors.posts == []


def test_the_challenge_is_answered_only_to_who_signs(doors: Doors) -> None:
    body = event("url_verification")
    challenge = json.loads(body)["challenge"]
    assert doors.sent("events", body) == (200, {"challenge": challenge})
    assert doors.flask("events", body)[0] == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"[" * 60_000])
def test_a_signed_body_that_is_no_object_is_400(doors: Doors, body: bytes) -> None:
    status, answer = doors.sent("events", body)
    assert (status, answer["code"]) == (400, 400)


def test_a_command_is_answered_to_its_sender_alone(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    body = (PAYLOADS / "slack_slash.form").read_bytes()
    status, answer = doors.sent("commands", body)
    assert status == 200
    assert answer["response_type"] == "ephemeral"
    assert answer["text"].startswith("Thank you, Staff01.")
    assert doors.state is StaffState.RUNNING
    other = body.replace(b"command=%2Fok&text=booth-a", b"command=%2Fcall&text=hello").replace(
        b"1.2.abc", b"1.3"
    )
    assert doors.sent("commands", other)[1]["text"].endswith(phrases("en").doubtful)


def test_a_button_under_a_message_is_acknowledged_and_answered(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    assert doors.sent("actions", action("ok 5 min")) == (200, None)
    assert doors.posted.wait(5)
    assert doors.state is StaffState.RUNNING
    assert doors.sent("actions", action("booth-a|call-0001")) == (200, None)
    assert doors.sent("actions", b"payload=%7B")[0] == 400
    assert doors.sent("actions", b"x=1")[1]["message"].startswith("payload:")


def test_a_certificate_check_is_answered_without_a_signature(doors: Doors) -> None:
    body = (PAYLOADS / "slack_slash_ssl_check.form").read_bytes()
    for door in ("commands", "actions"):
        assert doors.flask(door, body) == (200, None)


def test_a_lambda_says_its_answer_before_it_sleeps(doors: Doors) -> None:
    doors.shop.press(doors.hana)
    body = event("message")
    assert doors.lambda_("events", body, signed(body, SECRET, doors.now_s)) == (200, None)
    assert [post.channel for post in doors.posts] == ["C0BOOTH01"]


def test_a_lambda_does_not_import_flask() -> None:
    code = "import sys, slack_bridge.doors; sys.exit('flask' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_no_secret_is_shown_by_the_services(doors: Doors) -> None:
    assert TOKEN not in repr(doors.services)
    assert SECRET not in repr(doors.services)
