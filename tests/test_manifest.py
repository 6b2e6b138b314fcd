"""The app that Slack makes of our manifest: it may and hears what the code needs, and Slack can read it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.cli import main
from slack_bridge.doors import DOORS
from slack_bridge.manifest import EVENTS, HOURS, SCOPES, as_yaml, manifest
from slack_bridge.reply import Reply
from tests.fake_slack import NEEDS
from tests.fake_slack import SCOPES as KNOWN

ROOT = Path(__file__).resolve().parents[1]


def printed(capfd: pytest.CaptureFixture[str], *options: str) -> Any:
    assert main(["slack", "manifest", *options]) == 0
    return yaml.safe_load(capfd.readouterr().out)


def test_socket_mode_needs_no_address(capfd: pytest.CaptureFixture[str]) -> None:
    said = printed(capfd)
    assert said == manifest()
    assert said["settings"]["socket_mode_enabled"] is True
    assert "url" not in as_yaml(said)


@pytest.mark.parametrize("url", ["https://your.host", "https://your.host/", "https://your.host/a/b"])
def test_over_http_every_request_comes_to_one_of_our_doors(
    capfd: pytest.CaptureFixture[str], url: str
) -> None:
    said = printed(capfd, "--http", url)
    assert said["settings"]["socket_mode_enabled"] is False
    urls = [
        said["features"]["slash_commands"][0]["url"],
        said["settings"]["event_subscriptions"]["request_url"],
        said["settings"]["interactivity"]["request_url"],
    ]
    doors = [each.removeprefix(f"{url.rstrip('/')}/slack/") for each in urls]
    assert doors == ["commands", "events", "actions"]
    assert set(doors) < DOORS.keys()


@pytest.mark.parametrize("url", ["your.host", "http://your.host", "https://", "https://a?b", "https://a#b"])
def test_what_slack_would_not_call_is_refused(capfd: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["slack", "manifest", "--http", url]) == 2
    assert "https://your.host" in capfd.readouterr().err


def test_the_app_hears_all_that_we_read_and_may_do_all_that_we_ask() -> None:
    bot = manifest()
    assert bot["oauth_config"]["scopes"]["bot"] == sorted(SCOPES)
    assert bot["settings"]["event_subscriptions"]["bot_events"] == list(EVENTS)
    needs = {scope for scopes in NEEDS.values() for scope in scopes}
    assert set(SCOPES) >= KNOWN | (needs - {HOURS})  # that one only where it is asked for
    assert manifest(hours=True)["oauth_config"]["scopes"]["bot"] == sorted({*SCOPES, HOURS})
    needed = {"app_mention": "app_mentions:read", "message.channels": "channels:history"}
    assert {scope for event, scope in needed.items() if event in EVENTS} < SCOPES.keys()
    for event in EVENTS:
        kind = event.partition(".")[0]
        assert Reply.from_event({"event": read_as(kind)}) is not None, f"nobody reads {event}"


def read_as(kind: str) -> dict[str, Any]:
    item = {"type": "message", "channel": "C0", "ts": "1.5"}
    return {**item, "type": kind, "user": "U0", "text": "ok", "reaction": "+1", "item": item}


def test_texts_are_quoted_where_yaml_would_read_them_otherwise() -> None:
    odd = {"a": ["true", "no: ", "- x", "", "1.5", "[x]", "plain text"], "b": {"c": True, "d": 1}}
    assert yaml.safe_load(as_yaml(odd)) == odd
