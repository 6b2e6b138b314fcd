"""The Slack of our tests is one that others can use: Slack's own library finds what it knows there, over real sockets."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.webhook import WebhookClient

from tests.fake_slack import APP_TOKEN, BOT_TOKEN, SCOPES, FakeSlack, Next
from tests.served import Served
from tests.shop import ROOT, until

SECRET = "the-signing-secret"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        slack.open_channel("C0CALLS", "U0HANA", "U0SORA")
        slack.users["U0HANA"]["profile"] = {"email": "hana@example.com"}
        yield slack


def bot(slack: FakeSlack) -> WebClient:
    return WebClient(BOT_TOKEN, base_url=slack.api_url, retry_handlers=[])


Got = list[tuple[dict[str, str], bytes]]


@contextmanager
def app(*answers: Any) -> Iterator[tuple[str, Got]]:
    """An app that takes events over HTTP: each answer is a status, or what is done; then 200."""
    got: Got = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers.items()), body))
            status = left.pop(0) if left else 200
            if callable(status):
                status()
                return
            self.send_response(abs(status))
            if status < 0:
                self.send_header("X-Slack-No-Retry", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as served:
        yield f"http://127.0.0.1:{served.port}/events", got


# --- the Web API


def test_a_bot_looks_round_posts_and_changes_what_it_posted(slack: FakeSlack) -> None:
    here = bot(slack)
    known = here.auth_test()
    assert known["user_id"] == "U0CALLBOT"
    assert set(known.headers["X-OAuth-Scopes"].split(",")) == SCOPES
    assert here.conversations_info(channel="C0CALLS")["channel"]["is_member"]
    pages = [page["members"] for page in here.conversations_members(channel="C0CALLS")]
    assert [each for page in pages for each in page] == ["U0CALLBOT", "U0HANA", "U0SORA"]
    assert len(pages) == 2
    assert here.users_lookupByEmail(email="hana@example.com")["user"]["id"] == "U0HANA"
    assert here.users_info(user="U0HANA")["user"]["deleted"] is False
    ts = here.chat_postMessage(channel="C0CALLS", text="one")["ts"]
    here.chat_update(channel="C0CALLS", ts=ts, text="two")
    assert (slack.texts, slack.shown(ts).text) == (["one"], "two")


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda here: here.users_info(user="U0NOBODY"), "user_not_found"),
        (lambda here: here.conversations_info(channel="C0NONE"), "channel_not_found"),
        (lambda here: here.chat_update(channel="C0CALLS", ts="1.1", text="x"), "message_not_found"),
        (lambda here: here.emoji_list(), "unknown_method"),
    ],
)
def test_what_is_not_there_is_said_in_slacks_words(slack: FakeSlack, call: Any, word: str) -> None:
    with pytest.raises(SlackApiError) as no:
        call(bot(slack))
    assert no.value.response["error"] == word


def test_a_channel_takes_no_more_than_its_pace(slack: FakeSlack) -> None:
    slack.pace_s = 30.0
    slack.open_channel("C0OTHER")
    here = bot(slack)
    here.chat_postMessage(channel="C0CALLS", text="one")
    with pytest.raises(SlackApiError) as no:
        here.chat_postMessage(channel="C0CALLS", text="two")
    assert (no.value.response.status_code, no.value.response["error"]) == (429, "ratelimited")
    assert 25 <= int(no.value.response.headers["Retry-After"]) <= 30
    here.chat_postMessage(channel="C0OTHER", text="elsewhere")
    assert WebhookClient(slack.url, retry_handlers=[]).send(text="three").status_code == 200
    assert WebhookClient(slack.url, retry_handlers=[]).send(text="four").status_code == 429
    assert slack.texts == ["one", "elsewhere", "three"]


@pytest.mark.parametrize(
    ("channel", "word"),
    [
        ({}, "channel_not_found"),
        ({"is_member": False}, "not_in_channel"),
        ({"is_archived": True}, "is_archived"),
    ],
)
def test_a_message_to_a_channel_that_is_closed_to_the_bot_is_refused(
    slack: FakeSlack, channel: dict[str, bool], word: str
) -> None:
    if channel:
        slack.open_channel("C0CLOSED", **channel)
    with pytest.raises(SlackApiError) as no:
        bot(slack).chat_postMessage(channel="C0CLOSED", text="one")
    assert (no.value.response.status_code, no.value.response["error"], slack.refused) == (200, word, 1)
    assert slack.posts == []


def test_it_fails_as_it_is_told_to_and_then_goes_on(slack: FakeSlack) -> None:
    hook = WebhookClient(slack.url, retry_handlers=[])
    slack.next(status=429, retry_after="7")
    slack.next(status=500)
    refused = hook.send(text="one")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert hook.send(text="one").status_code == 500
    assert hook.send(text="one").body == "ok"
    slack.refuses["auth.test"] = Next(body="account_inactive")
    with pytest.raises(SlackApiError, match="account_inactive"):
        bot(slack).auth_test()


# --- events over HTTP


def test_an_event_is_signed_and_comes_again_until_it_is_taken(slack: FakeSlack) -> None:
    event = slack.says("U0HANA", "ok")
    with app(500, 404) as (url, got):
        assert slack.deliver(url, event, SECRET, pauses_s=(0, 0, 0)) == [500, 404, 200]
    verifier = SignatureVerifier(SECRET)
    assert all(verifier.is_valid_request(body, headers) for headers, body in got)
    assert not SignatureVerifier("another").is_valid_request(got[0][1], got[0][0])
    numbers = [headers.get("X-Slack-Retry-Num") for headers, _ in got]
    assert numbers == [None, "1", "2"]
    assert got[1][0]["X-Slack-Retry-Reason"] == "http_error"
    assert {body for _, body in got} == {json.dumps(event).encode()}


def test_it_comes_four_times_at_most_and_not_to_who_wants_no_repeat(slack: FakeSlack) -> None:
    with app(*[503] * 9) as (url, _):
        assert slack.deliver(url, slack.says("U0HANA", "ok"), SECRET, pauses_s=(0, 0, 0)) == [503] * 4
    with app(-503) as (url, _):
        assert slack.deliver(url, slack.says("U0HANA", "ok"), SECRET, pauses_s=(0, 0, 0)) == [503]


def test_who_does_not_answer_in_time_hears_why_it_comes_again(slack: FakeSlack) -> None:
    slow = threading.Event()
    with app(lambda: slow.wait(20)) as (url, got):
        tried = slack.deliver(url, slack.says("U0HANA", "ok"), SECRET, pauses_s=(0,), patience_s=0.5)
        slow.set()
    assert tried == [0, 200]
    assert got[1][0]["X-Slack-Retry-Reason"] == "http_timeout"


# --- Socket Mode


@contextmanager
def listening(slack: FakeSlack, *, acknowledges: bool = True) -> Iterator[list[SocketModeRequest]]:
    """An app that listens by Socket Mode, with Slack's own client."""
    got: list[SocketModeRequest] = []

    def hear(client: Any, request: SocketModeRequest) -> None:
        got.append(request)
        if acknowledges or request.retry_attempt:
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    client = SocketModeClient(APP_TOKEN, web_client=WebClient(APP_TOKEN, base_url=slack.api_url))
    client.socket_mode_request_listeners.append(hear)
    client.connect()
    try:
        slack.wait_for(lambda: slack.connected == 1)
        yield got
    finally:
        client.close()


def test_an_envelope_is_acknowledged(slack: FakeSlack) -> None:
    with listening(slack) as got:
        slack.send(slack.envelope(slack.says("U0HANA", "ok")))
        slack.wait_for(lambda: not slack.unacked)
        assert got[0].payload["event"]["text"] == "ok"
        assert (got[0].type, got[0].retry_attempt) == ("events_api", 0)
        assert [ack["envelope_id"] for ack in slack.acks] == [got[0].envelope_id]


def test_one_that_is_not_acknowledged_comes_again_and_says_so(slack: FakeSlack) -> None:
    with listening(slack, acknowledges=False) as got:
        slack.send(slack.envelope(slack.says("U0HANA", "ok")))
        until(lambda: got, "the envelope")
        assert slack.unacked
        slack.send_again()
        slack.wait_for(lambda: not slack.unacked)
    first, again = got
    assert first.envelope_id == again.envelope_id
    assert (again.retry_attempt, again.retry_reason) == (1, "timeout")


def test_who_is_asked_to_refresh_comes_back_and_hears_what_comes_then(slack: FakeSlack) -> None:
    with listening(slack) as got:
        slack.go_away()
        slack.wait_for(lambda: slack.connected == 2, 30)
        slack.send(slack.envelope(slack.says("U0HANA", "done")))
        slack.wait_for(lambda: not slack.unacked)
        assert [each.payload["event"]["text"] for each in got] == ["done"]


# --- as a program


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.fake_slack", "--pace", "0", *arguments]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_serves_whoever_starts_it_says_where_and_ends_with_its_input() -> None:
    with app() as (url, got), program("--events", url, "--secret", SECRET) as served:
        assert served.stdin
        assert served.stdout
        where = dict(served.stdout.readline().strip().split("=", 1) for _ in range(5))
        client = WebClient(where["SLACK_BOT_TOKEN"], base_url=where["SLACK_API_URL"])
        client.chat_postMessage(channel=where["SLACK_CHANNEL"], text="somebody waits")
        assert served.stdout.readline().endswith("- somebody waits\n")
        assert WebhookClient(where["SLACK_WEBHOOK_URL"]).send(text="by webhook").body == "ok"
        assert served.stdout.readline().endswith("by webhook\n")
        served.stdin.write("U0HANA ok, 2 minutes\n")
        served.stdin.flush()
        assert served.stdout.readline() == "events: [200]\n"
        assert SignatureVerifier(SECRET).is_valid_request(got[0][1], got[0][0])
        event = json.loads(got[0][1])["event"]
        assert (event["user"], event["text"]) == ("U0HANA", "ok, 2 minutes")
        served.stdin.close()
        assert served.wait(20) == 0
