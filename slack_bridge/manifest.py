"""The manifest of our Slack app: what it may do and hear, no more than the code needs. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from shadows.shadow import JsonObject

# Each with what needs it.
SCOPES: Final = {
    "app_mentions:read": "the event app_mention",
    "channels:history": "the event message.channels",
    "channels:read": "`staffcall doctor`: the channel, and who is in it",
    "chat:write": "mentions, answers and the cards of calls",
    "commands": "/call",
    "groups:history": "the event message.groups: a private channel",
    "groups:read": "as channels:read, of a private channel",
    "reactions:read": "the event reaction_added",
    "users:read": "`staffcall doctor`: whether people are there",
    "users:read.email": "`staffcall staff add --email`",
}
HOURS: Final = "dnd:read"  # where the hours that somebody has set count
_OTHERWISE: Final = frozenset(
    ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
)  # what YAML makes no text of
EVENTS: Final = ("app_mention", "message.channels", "message.groups", "reaction_added")


def manifest(url: str = "", *, hours: bool = False) -> JsonObject:
    """The manifest, as Slack reads it.

    Args:
        url: where Slack reaches us, such as ``https://your.host``; "" for Socket Mode.
        hours: whether it is asked for the hours in which somebody is not to be disturbed.

    Source: docs.slack.dev, app manifests.
    """

    def at(door: str, name: str) -> JsonObject:
        return {name: f"{url.rstrip('/')}/slack/{door}"} if url else {}

    command = {
        "command": "/call",
        "description": "Who is called, away or free; call somebody",
        "usage_hint": "[name | away 30m | back | ok 5 min | no | done]",
        "should_escape": True,
    }
    return {
        "_metadata": {"major_version": 1},
        "display_information": {
            "name": "Staff Call",
            "description": "A visitor presses a button, and somebody comes",
        },
        "features": {
            "bot_user": {"display_name": "staffcall", "always_online": True},
            "slash_commands": [command | at("commands", "url")],
        },
        "oauth_config": {"scopes": {"bot": sorted([*SCOPES, *[HOURS] * hours])}},
        "settings": {
            "event_subscriptions": {**at("events", "request_url"), "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **at("actions", "request_url")},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not url,
            "token_rotation_enabled": False,
        },
    }


def as_yaml(value: JsonObject) -> str:
    """What we need of YAML: objects and lists of them, and texts, which are quoted where they must be."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    """The lines of an object or a list; a list's are one step further in."""
    for name, held in value.items():
        if isinstance(held, dict):
            yield f"{name}:"
            yield from (f"  {line}" for line in _lines(held))
        elif isinstance(held, list):
            yield f"{name}:"
            for each in held:
                first, *more = _lines(each) if isinstance(each, dict) else [_scalar(each)]
                yield f"  - {first}"
                yield from (f"    {line}" for line in more)
        else:
            yield f"{name}: {_scalar(held)}"


def _scalar(value: object) -> str:
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/][\w:/. -]*", value) and ": " not in value
    plain = plain and str(value).lower() not in _OTHERWISE
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
