"""Signed requests: for five minutes, from whoever has the key, and once."""

import ast
import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import button_handlers.doors as button_doors
import slack_bridge.doors as slack_doors
from shadows import signatures
from shadows.calls import read
from shadows.shadow import Thing
from shadows.signatures import Answered
from shadows.staff import SEEN_KEPT, CallEvent, StaffState
from slack_bridge.tellers import Post
from tests.fake_slack import signed
from tests.memory import Shop

ROOT = Path(__file__).resolve().parents[1]
SECRET, BEAM_KEY, TOKEN = "signing-secret", "beam-key", "button-token"
IMSI, OTHER_IMSI = "440101234567890", "440109999999999"
PARSED = {"clickType": 1, "clickTypeName": "SINGLE"}


class Booth:
    """Hana and Sora, a SORACOM button for both, another for Sora, and the signed doors."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.hana, self.sora = self.shop.staff("hana"), self.shop.staff("sora")
        for imsi, single in ((IMSI, "hana"), (OTHER_IMSI, "sora")):
            self.shop.things.create(
                Thing(name=f"button-{imsi}", type="button", attributes={"single": single, "double": "sora"})
            )
        self.said: list[Post] = []
        self.slack = slack_doors.Services(
            place=self.shop.place,
            signing_secret=SECRET,
            lang="en",
            say=self.said.append,
            wall=lambda: self.shop.now,
        )
        self.buttons = button_doors.Services(
            place=self.shop.place, unknown=self, token=TOKEN, beam_key=BEAM_KEY, wall=lambda: self.shop.now
        )

    def note(self, button: str, at: int, door: str) -> None:
        raise AssertionError(button, at, door)

    def state(self, thing: str) -> StaffState:
        return read(self.shop.place, thing).state

    def asks_slack(self, door: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        answer = slack_doors.open_door(door, body, headers, self.slack)
        if answer.post:
            self.said.append(answer.post)
        return answer.status, answer.body

    def signs(self, body: bytes) -> dict[str, str]:
        return signed(body, SECRET, self.shop.now / 1000)

    def asks_soracom(self, headers: dict[str, str], **changed: Any) -> button_doors.Answer:
        body = json.dumps({**PARSED, **changed}).encode()
        return button_doors.on_soracom(button_doors.Request.of(headers, {}, body), self.buttons)

    def beam(self, **ids: str) -> dict[str, str]:
        """Beam's headers, signed now."""
        named = {f"x-soracom-{name}": value for name, value in sorted((ids or {"imsi": IMSI}).items())}
        named["x-soracom-timestamp"] = str(self.shop.now)
        text = BEAM_KEY + "".join(f"{name}={value}" for name, value in named.items())
        return {**named, "x-soracom-signature": hashlib.sha256(text.encode()).hexdigest()}

    def much_happens(self) -> None:
        """More than a shadow remembers of; in the end Hana is called again."""
        self.shop.says(self.hana, CallEvent.DONE)
        for _ in range(SEEN_KEPT):
            self.shop.press(self.hana)


@pytest.fixture
def booth() -> Booth:
    return Booth()


def event(text: str) -> bytes:
    said = {"type": "message", "channel": "C0", "user": "UHANA", "text": text, "ts": "1730520930.002400"}
    return json.dumps({"type": "event_callback", "event": said}).encode()


def action(value: str) -> bytes:
    payload = {
        "type": "block_actions",
        "user": {"id": "UHANA"},
        "channel": {"id": "C0"},
        "container": {"message_ts": "1730520930.002400"},
        "actions": [{"value": value, "action_ts": "1730520931.1"}],
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def command(text: str) -> bytes:
    return urlencode(
        {
            "channel_id": "C0",
            "user_id": "UHANA",
            "command": "/call",
            "text": text,
            "trigger_id": "13345224609.8",
        }
    ).encode()


SAYS: dict[str, Callable[[str], bytes]] = {"events": event, "actions": action, "commands": command}


# Slack


@pytest.mark.parametrize("door", SAYS)
def test_a_captured_ok_answers_no_later_call(booth: Booth, door: str) -> None:
    booth.shop.press(booth.hana)
    body = SAYS[door]("ok")
    headers = booth.signs(body)
    first = booth.asks_slack(door, body, headers)
    assert (first[0], booth.state(booth.hana)) == (200, StaffState.RUNNING)
    booth.much_happens()
    booth.shop.now += 200_000
    before, said = dict(booth.shop.shadows.kept), [*booth.said]
    assert booth.asks_slack(door, body, headers) == first, (
        "Slack may have sent it: it is told that all is well"
    )
    assert booth.asks_slack(door, body, {name.upper(): value for name, value in headers.items()}) == first
    assert (booth.shop.shadows.kept, booth.said) == (before, said)
    assert booth.state(booth.hana) is StaffState.CALLING


@pytest.mark.parametrize("door", SAYS)
def test_what_slack_sends_again_is_signed_anew_and_changes_nothing(booth: Booth, door: str) -> None:
    booth.shop.press(booth.hana)
    body = SAYS[door]("ok")
    assert booth.asks_slack(door, body, booth.signs(body))[0] == 200
    booth.shop.says(booth.hana, CallEvent.DONE)
    booth.shop.press(booth.hana)
    for later in (1_000, 60_000, 240_000):  # at once, after a minute, after five
        booth.shop.now += later
        before = dict(booth.shop.shadows.kept)
        assert booth.asks_slack(door, body, booth.signs(body))[0] == 200
        assert booth.shop.shadows.kept == before


def test_what_went_wrong_here_is_done_when_it_comes_again(
    booth: Booth, monkeypatch: pytest.MonkeyPatch
) -> None:
    booth.shop.press(booth.hana)
    body = event("ok")
    headers = booth.signs(body)
    with monkeypatch.context() as broken:
        broken.setattr(booth.shop.shadows, "update", lambda *_a, **_k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            booth.asks_slack("events", body, headers)
    assert booth.asks_slack("events", body, headers)[0] == 200
    assert booth.state(booth.hana) is StaffState.RUNNING


@pytest.mark.parametrize("off_ms", [-301_000, -300_000, 0, 300_000, 301_000])
def test_a_signature_of_slack_is_good_for_five_minutes_on_either_side(booth: Booth, off_ms: int) -> None:
    booth.shop.press(booth.hana)
    booth.shop.now += 1_000_000
    body = event("ok")
    status, _ = booth.asks_slack("events", body, signed(body, SECRET, (booth.shop.now + off_ms) / 1000))
    assert status == (200 if abs(off_ms) <= 300_000 else 401)


def test_signatures_are_judged_by_the_worlds_clock_and_not_by_that_of_the_states(booth: Booth) -> None:
    body = event("hello")
    headers = booth.signs(body)
    ours = replace(booth.slack, place=replace(booth.shop.place, clock=lambda: booth.shop.now + 3_600_000))
    assert slack_doors.open_door("events", body, headers, ours).status == 200


def test_a_signature_opens_only_for_the_body_it_was_made_for(booth: Booth) -> None:
    body = event("ok")
    headers = booth.signs(body)
    assert booth.asks_slack("events", body, headers)[0] == 200
    for other in (event("no"), body + b" ", b"", action("ok")):
        assert booth.asks_slack("events", other, headers)[0] == 401
    assert booth.asks_slack("events", body, {**headers, "X-Slack-Request-Timestamp": "1"})[0] == 401
    booth.shop.now += 301_000
    assert booth.asks_slack("events", body, headers)[0] == 401, "nor later, though we remember it"


def test_the_same_request_at_the_same_moment_counts_once(booth: Booth) -> None:
    booth.shop.press(booth.hana)
    body = event("ok")
    headers = booth.signs(body)
    threads = [threading.Thread(target=booth.asks_slack, args=("events", body, headers)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert booth.state(booth.hana) is StaffState.RUNNING
    assert len(booth.said) == 1


# SORACOM Beam


def test_a_captured_press_calls_nobody_else_and_nobody_later(booth: Booth) -> None:
    headers = booth.beam()
    first = booth.asks_soracom(headers)
    assert first.body["thing"] == booth.hana
    booth.much_happens()
    booth.shop.now += 200_000
    before = dict(booth.shop.shadows.kept)
    for changed in ({}, {"clickType": 2, "clickTypeName": "DOUBLE"}, {"clickType": 7}):
        assert booth.asks_soracom(headers, **changed) == replace(first, body={**first.body, "repeat": True})
    shouted = {name: value.upper() for name, value in headers.items()}
    assert booth.asks_soracom(shouted, clickType=2, clickTypeName="DOUBLE").body["repeat"] is True
    assert booth.shop.shadows.kept == before
    booth.shop.now += 101_000
    assert booth.asks_soracom(headers).code == 401


def test_the_next_press_of_the_same_sim_is_one(booth: Booth) -> None:
    first = booth.asks_soracom(booth.beam())
    booth.shop.now += 1
    again = booth.asks_soracom(booth.beam())
    assert (again.code, again.body["repeat"], again.body["call"]) == (200, False, first.body["call"])


def forged(imsi: str) -> str:
    """What Funk would send of a SIM; nobody can check who signed it."""
    claims = base64.urlsafe_b64encode(json.dumps({"ctx": {"imsi": imsi}}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


def test_beams_signature_lets_nobody_press_as_another_sim(booth: Booth) -> None:
    nameless = booth.beam(imei="359560000000001")
    assert booth.asks_soracom({**nameless, "x-soracom-token": forged(OTHER_IMSI)}).code == 400
    both = booth.beam(imei="359560000000001", imsi=IMSI)
    merged = {
        "x-soracom-imei": f"359560000000001x-soracom-imsi={IMSI}",  # the same text is signed
        "x-soracom-timestamp": both["x-soracom-timestamp"],
        "x-soracom-signature": both["x-soracom-signature"],
    }
    assert booth.asks_soracom({**merged, "x-soracom-token": forged(OTHER_IMSI)}).code == 401
    assert booth.asks_soracom({**both, "x-soracom-imsi": OTHER_IMSI}).code == 401
    assert booth.state(booth.sora) is StaffState.IDLE


def test_with_the_button_token_funk_may_name_its_sim(booth: Booth) -> None:
    funk = {"x-soracom-token": forged(OTHER_IMSI), "authorization": f"Bearer {TOKEN}"}
    assert booth.asks_soracom(funk).body["thing"] == booth.sora


# What is remembered


def test_answers_are_remembered_for_as_long_as_their_signature_is_good() -> None:
    answered: Answered[str] = Answered()
    answered.keep("a", "first", 1_000)
    answered.keep("a", "second", 2_000)
    assert (answered.get("a"), answered.get("b")) == ("first", None)
    answered.keep("b", "other", 1_000 + signatures.GOOD_FOR_MS)
    assert (answered.get("a"), len(answered)) == ("first", 2)
    answered.keep("c", "third", 1_001 + signatures.GOOD_FOR_MS)
    assert (answered.get("a"), len(answered)) == (None, 2)


def test_so_many_are_remembered_and_the_oldest_goes_first() -> None:
    answered: Answered[int] = Answered()
    for n in range(signatures.KEPT + 5):
        answered.keep(str(n), n, 1_000)
    assert (len(answered), answered.get("4"), answered.get("5")) == (signatures.KEPT, None, 5)


# How secrets are compared

# Each of these was looked at: none compares what somebody sent with a secret.
LOOKED_AT = {
    "name.lower() == 'x-slack-signature'",
    "'clientToken' in request",
    "digest == self.digest",  # of an event, in a shadow that anybody may read
    "connack.reason_code in (mqtt5.ConnectReasonCode.BAD_USERNAME_OR_PASSWORD, "
    "mqtt5.ConnectReasonCode.NOT_AUTHORIZED)",  # a broker's word for it
    "bool(read.get('mqtt_user')) != bool(read.get('mqtt_password'))",
    "BUTTON_TOKEN not in {**there, **wanted}",
    "simulated in self.settings.slack_webhook_url",  # both are ours
}
SECRETS = re.compile(r"token|secret|passw|signature|beam_key|digest|webhook_url", re.IGNORECASE)


def compared() -> Iterator[str]:
    """Every comparison by value that has to do with a secret, as it stands in the code."""
    for package in ("shadows", "slack_bridge", "button_handlers", "infra"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Compare) and any(
                    isinstance(by, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for by in node.ops
                ):
                    text = ast.unparse(node)
                    if SECRETS.search(text):
                        yield text


def test_no_secret_is_compared_a_letter_at_a_time() -> None:
    found = set(compared())
    assert found - LOOKED_AT == set(), "look at it, and use hmac.compare_digest"
    assert found
