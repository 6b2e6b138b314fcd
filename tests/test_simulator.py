"""The Slack simulator: a real incoming webhook, real outgoing forms and presses, and a page in a real browser."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask, Response
from hypothesis import given
from hypothesis import strategies as st

import slack_bridge.doors as slack_doors
from infra.local.http import HttpServer, bind
from infra.local.simulator.channel import KEPT, Channel, From, Person, parts
from infra.local.simulator.simulator import BODY_LIMIT, PAGE, Demo, Simulator, blueprint, post_to
from shadows.calls import read
from shadows.errors import Rejected
from shadows.shadow import Thing
from shadows.staff import StaffState
from shadows.telling import NotTold, deliver
from slack_bridge.flask_doors import blueprint as slack_blueprint
from slack_bridge.tellers import WebhookTeller
from tests.memory import Shop

OUTGOING, BUTTON, SECRET = "outgoing-secret", "button-secret", "webhook-secret"
CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
SKIPPED = os.environ.get("STAFFCALL_SKIP", "").split(",")


class Stand:
    """The bridge's door, a door for buttons and the simulator, served over HTTP."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.alice, self.bob = self.shop.staff("alice"), self.shop.staff("bob")
        self.shop.shadows.update(self.alice, reported={"name": "有栖 <Alice>"})
        attributes = {"single": "alice", "long": "bob", "booth": "main"}
        self.shop.things.create(Thing(name="button-demo", type="button", attributes=attributes))
        self.presses: list[tuple[dict[str, Any], str]] = []
        bound = bind("127.0.0.1", 0)
        self.address = f"127.0.0.1:{bound.getsockname()[1]}"
        self.simulator = Simulator(
            Demo(
                place=self.shop.place,
                post=post_to(self.address),
                webhook_secret=SECRET,
                outgoing_token=OUTGOING,
                button_token=BUTTON,
                lang="en",
            )
        )
        self.server = HttpServer(self._app(), bound, name="demo")
        self.teller = WebhookTeller(f"http://{self.address}/demo/webhook/{SECRET}", "en")

    def _app(self) -> Flask:
        app = Flask(__name__)
        app.register_blueprint(blueprint(self.simulator))
        services = slack_doors.Services(place=self.shop.place, outgoing_token=OUTGOING, lang="en")
        app.register_blueprint(slack_blueprint(services))
        app.add_url_rule("/buttons/webhook", view_func=self._pressed, methods=["POST"])
        app.register_error_handler(Rejected, lambda no: ({"code": no.code, "message": no.message}, no.code))

        @app.after_request
        def strict(answer: Response) -> Response:
            answer.headers["Content-Security-Policy"] = CSP
            return answer

        return app

    def _pressed(self) -> tuple[dict[str, Any], int]:
        from flask import request

        got = request.get_json()
        self.presses.append((got, request.headers["Authorization"]))
        if got["button"] != "demo":
            return {"code": 404, "message": f"button: unknown, got {got['button']!r}"}, 404
        self.shop.press(self.alice)
        return {"thing": self.alice, "state": read(self.shop.place, self.alice).state}, 200

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", sent, _named(headers))
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as no:
            with no:
                return no.code, no.read()

    def act(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        status, answer = self.ask(path, body, **{"Content_Type": "application/json", **headers})
        return status, json.loads(answer)

    def state(self, after: int = 0, run: str = "") -> dict[str, Any]:
        return dict(
            json.loads(self.ask(f"/demo/state?after={after}&run={run or self.simulator.channel.run}")[1])
        )

    def lines(self) -> list[tuple[str, str]]:
        """The channel as one reads it."""
        return [(each["by"], "".join(map(_read, each["parts"]))) for each in self.state()["messages"]]


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _read(part: dict[str, str]) -> str:
    return f"@{part['mention']}" if "mention" in part else part.get("bold") or part["text"]


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand()
    made.server.start()
    yield made
    made.server.stop()


def test_the_whole_loop_goes_by_slacks_own_wire_formats(stand: Stand) -> None:
    assert stand.act("/demo/press", {"button": "demo", "click": "SINGLE"}) == (
        200,
        {"thing": "staff-alice", "state": "calling"},
    )
    pressed, token = stand.presses[0]
    assert (pressed["button"], pressed["click"], token) == ("demo", "SINGLE", f"Bearer {BUTTON}")
    assert re.fullmatch("[0-9A-Z]{26}", pressed["id"])
    deliver(stand.shop.place, stand.alice, stand.teller)
    assert stand.act("/demo/say", {"staff": "staff-alice", "text": "ok 5分で <行く> & more"}) == (
        200,
        {"status": 200},
    )
    assert read(stand.shop.place, stand.alice).state is StaffState.RUNNING
    assert read(stand.shop.place, stand.alice).call.note == "5分で <行く> & more"
    lines = stand.lines()
    assert [by for by, _ in lines] == ["bridge", "person", "answer"]
    assert lines[0][1].startswith("@有栖 <Alice> 有栖 <Alice>, somebody is waiting for you at main.")
    assert lines[1][1] == "ok 5分で <行く> & more"
    assert lines[2][1].startswith("Thank you, 有栖 <Alice>.")


def test_two_answers_in_a_row_are_two_messages(stand: Stand) -> None:
    for text in ("away", "back"):
        stand.act("/demo/say", {"staff": "staff-bob", "text": text})
    assert [by for by, _ in stand.lines()] == ["person", "answer"] * 2


def test_the_page_knows_who_is_there_and_whom_each_click_calls(stand: Stand) -> None:
    stand.shop.things.create(Thing(name="staff-half", type="staff"))  # its shadow is not there yet
    nobody = stand.shop.staff("carol")
    stand.shop.things.kept[nobody] = Thing(name=nobody, type="staff")
    state = stand.state()
    assert [(each["thing"], each["state"], each["answers"]) for each in state["staff"]] == [
        ("staff-alice", "idle", True),
        ("staff-bob", "idle", True),
        ("staff-carol", "idle", False),
    ]
    calls = {"SINGLE": "staff-alice", "DOUBLE": "staff-alice", "LONG": "staff-bob"}
    assert state["buttons"] == [{"id": "demo", "booth": "main", "calls": calls}]
    stand.shop.things.kept["button-demo"] = Thing(
        name="button-demo", type="button", attributes={"single": "all:alice,bob", "double": "@duty"}
    )
    group = {"SINGLE": "all:alice,bob", "DOUBLE": "@duty", "LONG": "all:alice,bob"}
    assert stand.state()["buttons"][0]["calls"] == group
    assert stand.act("/demo/say", {"staff": nobody, "text": "ok"})[0] == 404


def test_no_token_and_no_slack_id_reaches_the_page(stand: Stand) -> None:
    stand.shop.press(stand.alice)
    deliver(stand.shop.place, stand.alice, stand.teller)
    stand.simulator.channel.post(From.BRIDGE, "<@UNOBODY> and <@UALICE|alice>", {})
    stand.act("/demo/say", {"staff": "staff-alice", "text": "ok"})
    seen = json.dumps(stand.state()) + "".join(path.read_text() for path in PAGE.iterdir())
    for hidden in (OUTGOING, BUTTON, SECRET, "UALICE", "UNOBODY"):
        assert hidden not in seen
        assert hidden not in repr(stand.simulator._demo)


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "word"),
    [
        (SECRET, b'{"text": "hello"}', "application/json", 200, b"ok"),
        (SECRET, b'{"text": "hello"}', "application/json;charset=utf-8", 200, b"ok"),
        ("wrong", b'{"text": "hello"}', "application/json", 404, b"no_service"),
        (SECRET, b"{", "application/json", 400, b"invalid_payload"),
        (SECRET, b"\xff", "application/json", 400, b"invalid_payload"),
        (SECRET, b'["text"]', "application/json", 400, b"invalid_payload"),
        (SECRET, b"[" * 60_000, "application/json", 400, b"invalid_payload"),
        (SECRET, b'{"text": "hello"}', "text/html", 400, b"invalid_payload"),
        (SECRET, b'{"text": "' + b"a" * BODY_LIMIT + b'"}', "application/json", 400, b"invalid_payload"),
        (SECRET, b"{}", "application/json", 400, b"no_text"),
        (SECRET, b'{"text": " "}', "application/json", 400, b"no_text"),
        (SECRET, b'{"text": 5}', "application/json", 400, b"no_text"),
    ],
)
def test_the_incoming_webhook_answers_as_slacks_does(
    stand: Stand, path: str, body: bytes, content_type: str, status: int, word: bytes
) -> None:
    assert stand.ask(f"/demo/webhook/{path}", body, Content_Type=content_type) == (status, word)
    assert len(stand.lines()) == (status == 200)


def test_a_teller_with_a_revoked_url_is_refused_as_by_slack(stand: Stand) -> None:
    stand.shop.press(stand.alice)
    with pytest.raises(NotTold, match="no_service"):
        deliver(stand.shop.place, stand.alice, WebhookTeller(f"http://{stand.address}/demo/webhook/x", "en"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec_Fetch_Site": "same-origin", "Origin": "http://{address}"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 400),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 400),
    ],
)
def test_another_sites_page_can_neither_press_nor_answer(
    stand: Stand, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(address=stand.address) for name, value in headers.items()}
    assert stand.act("/demo/press", {"button": "demo", "click": "SINGLE"}, **sent)[0] == status
    assert stand.act("/demo/say", {"staff": "staff-alice", "text": "away"}, **sent)[0] == status
    assert len(stand.presses) == len(stand.lines()) / 2 == (status == 200)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("say", {"staff": "staff-zoe", "text": "ok"}, 404, "staff-zoe"),
        ("say", {"staff": "staff-alice"}, 400, "text"),
        ("say", {"staff": "staff-alice", "text": " "}, 400, "text"),
        ("say", {"staff": "staff-alice", "text": "a" * 4001}, 400, "text"),
        ("say", {"staff": 5, "text": "ok"}, 400, "staff"),
        ("press", {"button": "other", "click": "SINGLE"}, 404, "button: unknown, got 'other'"),
        ("press", {"button": "demo"}, 400, "click"),
        ("press", b"{", 400, "body"),
        ("press", b"a" * (BODY_LIMIT + 1), 413, "body"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    stand: Stand, path: str, body: Any, status: int, says: str
) -> None:
    got, answer = stand.act(f"/demo/{path}", body)
    assert (got, answer["code"]) == (status, status)
    assert says in answer["message"]


def test_a_refusal_of_the_bridge_is_shown_where_slack_would_hide_it(stand: Stand) -> None:
    wrong = Demo(
        place=stand.shop.place,
        post=post_to(stand.address),
        webhook_secret=SECRET,
        outgoing_token="wrong",
        button_token=BUTTON,
    )
    simulator = Simulator(wrong)
    assert simulator.say({"staff": "staff-alice", "text": "ok"}) == {"status": 401}
    assert [each["by"] for each in simulator.channel.after(0)] == ["person", "refusal"]


def test_a_door_that_does_not_answer_is_named() -> None:
    bound = bind("127.0.0.1", 0)
    with bound, pytest.raises(Rejected, match="/slack/outgoing: our own door does not answer") as no:
        post_to(f"127.0.0.1:{bound.getsockname()[1]}")("/slack/outgoing", b"", {})
    assert no.value.code == 502


def test_the_channel_keeps_the_last_messages_and_a_new_run_begins_anew(stand: Stand) -> None:
    channel = stand.simulator.channel
    for number in range(KEPT + 5):
        channel.post(From.BRIDGE, str(number), {})
    assert [each["id"] for each in stand.state()["messages"]] == list(range(6, KEPT + 6))
    assert [each["id"] for each in stand.state(after=KEPT + 3)["messages"]] == [KEPT + 4, KEPT + 5]
    assert len(stand.state(after=KEPT + 3, run="another")["messages"]) == KEPT
    assert Channel().run != channel.run


def test_slacks_encoding_is_shown_as_slack_shows_it() -> None:
    alice = Person(thing="staff-alice", name="Alice")
    text = "<!here> <@UALICE> *A &amp; B*: &lt;b&gt; &amp;lt; <#C1|hall> <https://a.example|here> <https://b.example> <@UX>"
    assert [_read(part) for part in parts(text, {"UALICE": alice})] == [
        *("@here", " ", "@Alice", " ", "A & B", ": <b> &lt; ", "hall", " ", "here", " "),
        *("https://b.example", " ", "@?"),
    ]


@given(st.text("<>@!|*&;ltgU1 \n"))
def test_no_text_breaks_the_channel_or_shows_an_id(text: str) -> None:
    for part in parts(f"{text}<@U123>", {}):
        assert part.get("mention") != "U123"


def test_files_of_the_page_only_are_served(stand: Stand) -> None:
    for name in ("", "/demo.js", "/demo.css", "/icon.svg"):
        assert stand.ask(f"/demo{name}")[0] == 200
    for name in ("/simulator.py", "/../simulator.py", "/%2e%2e/simulator.py", "/nothing"):
        assert stand.ask(f"/demo{name}")[0] == 404


@pytest.mark.skipif("browser" in SKIPPED, reason="STAFFCALL_SKIP names browser")
def test_the_page_plays_the_whole_loop_in_a_browser_under_a_strict_policy(stand: Stand) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://{stand.address}/demo?lang=ja")
        expect(page.locator("html")).to_have_attribute("lang", "ja")
        expect(page.locator("[data-calls=DOUBLE]")).to_have_text("有栖 <Alice>さん")
        page.click("[data-click=SINGLE]")
        expect(page.locator("#pressed")).to_have_text("有栖 <Alice>さん：呼び出し中")
        stand.shop.now += 1000
        deliver(stand.shop.place, stand.alice, stand.teller)
        expect(page.locator("[data-by=bridge] .mention")).to_have_text("@有栖 <Alice>")
        expect(page.locator("#staff")).to_have_value("staff-alice")
        page.fill("#text", "ok <b>5分</b>")
        page.press("#text", "Enter")
        expect(page.locator("[data-by=person] .words")).to_have_text("ok <b>5分</b>")
        expect(page.locator("[data-by=answer] .words")).to_contain_text("Thank you, 有栖 <Alice>.")
        expect(page.locator("#people [data-thing=staff-alice]")).to_have_attribute("data-state", "running")
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        assert complaints == []
        page.context.set_offline(True)
        expect(page.locator("body")).to_have_attribute("data-link", "lost")
        page.context.set_offline(False)
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        browser.close()
