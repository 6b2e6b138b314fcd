"""Socket Mode against a Slack that really listens: events, repeats, and connections that end in every way."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from shadows.calls import read
from shadows.shadow import JsonObject
from shadows.staff import StaffState
from slack_bridge import socket_mode
from slack_bridge.doors import Services
from slack_bridge.socket_mode import SocketMode
from slack_bridge.tellers import BotTeller
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.memory import Shop

PAYLOADS = Path(__file__).parent / "payloads"


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + 5
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < until, left
        time.sleep(0.01)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


class Bridge:
    """A shop whose staff answer by Socket Mode; ``U0STAFF01`` is called."""

    def __init__(self, slack: FakeSlack, app_token: str = APP_TOKEN) -> None:
        self.shop = Shop()
        self.hana = self.shop.staff("0staff01")
        self.shop.press(self.hana)
        bot = BotTeller(BOT_TOKEN, "C0BOOTH01", slack.api_url, "en")
        services = Services(place=self.shop.place, lang="en", say=bot.say)
        self.socket = SocketMode(app_token, slack.api_url, services)

    def __enter__(self) -> "Bridge":
        self.socket.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.stop()

    @property
    def state(self) -> StaffState:
        return read(self.shop.place, self.hana).state


def envelope(name: str, **event: Any) -> JsonObject:
    made: JsonObject = json.loads((PAYLOADS / f"slack_socket_{name}.json").read_text())
    if event:
        made["payload"]["event"].update(event)
    return made


def connected(slack: FakeSlack, times: int = 1) -> None:
    slack.wait_for(lambda: slack.connected == times)


def test_an_ok_is_acknowledged_recorded_and_answered_in_its_thread(slack: FakeSlack) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        sent = envelope("events_api", thread_ts="1730520920.000100")
        slack.send(sent)
        slack.wait_for(lambda: bool(slack.posts and slack.acks))
        assert slack.acks == [{"envelope_id": sent["envelope_id"]}]
        assert bridge.state is StaffState.RUNNING
        assert (slack.posts[0].channel, slack.posts[0].thread) == ("C0BOOTH01", "1730520920.000100")
        assert slack.texts[0].startswith("Thank you,")


def test_an_envelope_that_comes_again_changes_nothing(slack: FakeSlack) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        slack.send(envelope("events_api"))
        slack.wait_for(lambda: bool(slack.posts))
        before = bridge.shop.shadows.get(bridge.hana)
        slack.send({**envelope("events_api"), "retry_attempt": 1, "retry_reason": "timeout"})
        slack.wait_for(lambda: len(slack.acks) == 2)
        slack.send(envelope("events_api", text="hello", ts="2.0"))
        slack.wait_for(lambda: len(slack.acks) == 3)
        assert bridge.shop.shadows.get(bridge.hana) == before
        assert len(slack.posts) == 1


def test_a_command_is_answered_in_its_acknowledgement(slack: FakeSlack) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        slack.send(envelope("slash"))
        slack.wait_for(lambda: bool(slack.acks))
        assert slack.acks[0]["payload"]["response_type"] == "ephemeral"
        assert bridge.state is StaffState.RUNNING


def test_a_button_under_a_message_is_acknowledged_and_its_value_answers(slack: FakeSlack) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        pressed = envelope("interactive")
        pressed["payload"]["actions"][0]["value"] = "ok"
        slack.send(pressed)
        slack.wait_for(lambda: bool(slack.posts))
        assert bridge.state is StaffState.RUNNING


@pytest.mark.parametrize("politely", [True, False])
def test_a_connection_that_ends_is_opened_again(slack: FakeSlack, politely: bool) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        slack.hang_up(politely=politely)
        connected(slack, 2)
        slack.send(envelope("events_api"))
        slack.wait_for(lambda: bridge.state is StaffState.RUNNING)


def test_slacks_hourly_refresh_moves_to_a_new_connection(slack: FakeSlack) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        slack.send(envelope("disconnect"))
        connected(slack, 2)
        slack.send(envelope("events_api"))
        slack.wait_for(lambda: bridge.state is StaffState.RUNNING)


def test_without_a_network_it_goes_on_trying_in_the_background_and_says_so_once(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    ask = socket_mode._Client.issue_new_wss_url

    def refused_four_times(client: socket_mode._Client) -> str:
        tries.append("")
        if len(tries) <= 4:
            raise URLError("no route to host")
        return ask(client)

    monkeypatch.setattr(socket_mode, "LOOK_S", 0.02)
    monkeypatch.setattr(socket_mode._Client, "issue_new_wss_url", refused_four_times)
    with Bridge(slack) as bridge:
        connected(slack)
        slack.send(envelope("events_api"))
        slack.wait_for(lambda: bridge.state is StaffState.RUNNING)
    said = [line.message for line in caplog.records if line.name == socket_mode.__name__]
    assert said == ["Socket Mode is not connected, trying again: URLError"]


def test_a_wrong_token_is_named_without_being_shown(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Bridge(slack, app_token="xapp-wrong-secret"):
        slack.wait_for(lambda: "invalid_auth" in caplog.text)
    assert "secret" not in caplog.text


def test_what_slack_sends_in_another_shape_does_not_stop_the_next(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        slack.send(envelope("events_api", text=5))
        slack.send({"envelope_id": "1", "type": "of_tomorrow", "payload": {}})
        slack.send({"type": "hello"})
        slack.send(envelope("events_api"))
        slack.wait_for(lambda: bridge.state is StaffState.RUNNING)
    assert "text: expected a string, got int" in caplog.text


def test_our_own_bug_is_logged_and_the_next_event_is_answered(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bridge(slack) as bridge:
        connected(slack)
        with monkeypatch.context() as broken:
            broken.setattr(bridge.shop.things, "list", None)
            slack.send(envelope("events_api"))
            slack.wait_for(lambda: "Answering events_api failed" in caplog.text)
        slack.send(envelope("events_api"))
        slack.wait_for(lambda: bridge.state is StaffState.RUNNING)
        slack.wait_for(lambda: bool(slack.posts))


def test_it_stops_before_it_was_ever_connected() -> None:
    with FakeSlack() as gone:
        pass
    with Bridge(gone):
        pass


def test_a_connection_that_slack_sdk_closes_at_the_same_moment_is_opened_again(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    closes, disconnect = [], socket_mode._Client.disconnect

    def closed_by_the_other_thread(client: socket_mode._Client) -> None:
        disconnect(client)
        if not closes:
            closes.append("")
            raise AttributeError("'NoneType' object has no attribute 'close'")

    with Bridge(slack):
        connected(slack)
        monkeypatch.setattr(socket_mode._Client, "disconnect", closed_by_the_other_thread)
        slack.hang_up(politely=False)
        connected(slack, 2)
        assert closes
