"""What somebody wrote to us in Slack, read from each of the ways in which Slack brings it."""

import hmac
import json
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl

from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.staff import Key
from slack_bridge.words import hear

BODY_LIMIT: Final = 64 * 1024
FORM_FIELDS: Final = ("channel_id", "timestamp", "user_id", "text")
AGREES: Final = frozenset(("+1", "thumbsup", "white_check_mark", "heavy_check_mark"))
# A message of its own, also to the channel from a thread, and with a file. Every other kind is about a message:
# message_changed, message_deleted, channel_join, bot_message and many more.
WRITTEN: Final = (None, "thread_broadcast", "file_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One person's words.

    Attributes:
        channel: id of the channel.
        user: Slack id of who wrote.
        text: in Slack's own encoding.
        id: the message's ts; of a button or a command, what Slack gave instead.
        thread: ts of the thread it stands in; "" for none.
        addressed: it was meant for us whatever it says: a trigger word, our bot's name, a command.
        about: ts of the message whose button it is, or to which it is a reaction; "" for what was written.
        reaction: it is only a reaction: whoever may not mean us is answered nothing.
    """

    channel: str
    user: str
    text: str
    id: str
    thread: str = ""
    addressed: bool = False
    about: str = ""
    reaction: bool = False

    @property
    def key(self) -> Key:
        """The same message by webhook, as an event or as a mention of our bot is one event."""
        return Key(door="slack", sender=self.user, id=f"{self.channel}:{self.id}")

    @classmethod
    def from_form(cls, body: bytes, *, token: str) -> Self | None:
        """Read an outgoing webhook's form; None for what no person wrote.

        Shape: ``token=…&channel_id=C…&timestamp=1730520930.002400&user_id=U…&text=ok[&thread_ts=…][&trigger_word=…]``.

        Raises:
            Rejected: 401 for a wrong token; 400 for a field that is missing, or no UTF-8; 413 above 64 KB.

        Source: docs.slack.dev, legacy custom integrations, outgoing webhooks.
        """
        form = fields(body)
        if not token or not hmac.compare_digest(form.get("token", "").encode(), token.encode()):
            raise Rejected(401, "token: not the one of SLACK_OUTGOING_TOKEN")
        if form.get("user_id") == "USLACKBOT" or "bot_id" in form:
            return None
        _require(form, FORM_FIELDS)
        trigger = form.get("trigger_word", "")
        text = form["text"]
        if trigger and hear(trigger) is None:  # only a way to call us, such as "bot:"
            text = text.removeprefix(trigger)
        return cls(
            channel=form["channel_id"],
            user=form["user_id"],
            text=text,
            id=form["timestamp"],
            thread=form.get("thread_ts", ""),
            addressed=bool(trigger),
        )

    @classmethod
    def from_event(cls, payload: JsonObject) -> Self | None:
        """Read an ``event_callback`` of the Events API or of Socket Mode; None for what no person wrote to us.

        Shape: ``{"event": {"type": "message" | "app_mention", "channel": "C…", "user": "U…", "text": "ok", "ts": "…",
        "thread_ts"?: "…"}, "authorizations": [{"user_id": <our bot>}]}``, or an event as :meth:`_from_reaction` has it.

        Raises:
            Rejected: 400, for a field of another kind.

        Source: docs.slack.dev, events/message and events/app_mention.
        """
        event = payload.get("event")
        if isinstance(event, dict) and event.get("type") == "reaction_added":
            return cls._from_reaction(event)
        if not isinstance(event, dict) or event.get("type") not in ("message", "app_mention"):
            return None
        if event.get("subtype") not in WRITTEN or event.get("hidden") or event.get("user") == "USLACKBOT":
            return None
        if "bot_id" in event or "bot_profile" in event:  # ours too: today's bots have a user and no subtype
            return None
        channel, user, text, ts = (_text(event, name) for name in ("channel", "user", "text", "ts"))
        called = f"<@{_our_user(payload)}>"
        return cls(
            channel=channel,
            user=user,
            text=text.strip().removeprefix(called),
            id=ts,
            thread=_text(event, "thread_ts", ""),
            addressed=called in text,
        )

    @classmethod
    def _from_reaction(cls, event: JsonObject) -> Self | None:
        """Read a reaction to a message; one that agrees says "ok", in any tone of skin. None for every other.

        Shape: ``{"type": "reaction_added", "user": "U…", "reaction": "+1", "item": {"type": "message", "channel": "C…",
        "ts": "…"}}``. However often it comes, and with whichever of them, it is one "ok" to one message.

        Source: docs.slack.dev, events/reaction_added.
        """
        item = event.get("item")
        name = _text(event, "reaction", "").partition("::")[0]
        if name not in AGREES or not isinstance(item, dict) or item.get("type") != "message":
            return None
        channel, ts = _text(item, "channel"), _text(item, "ts")
        user = _text(event, "user")
        return cls(channel=channel, user=user, text="ok", id=f"{ts}:+1", thread=ts, about=ts, reaction=True)

    @classmethod
    def from_command(cls, form: dict[str, str]) -> Self:
        """Read a slash command: ``/ok 5 min`` says "ok 5 min", ``/call away`` says "away".

        Raises:
            Rejected: 400, for a field that is missing.

        Source: docs.slack.dev, implementing slash commands.
        """
        _require(form, ("channel_id", "user_id", "command", "trigger_id"))
        command, text = form["command"].removeprefix("/"), form.get("text", "")
        return cls(
            channel=form["channel_id"],
            user=form["user_id"],
            text=f"{command} {text}" if hear(command) else text,
            id=form["trigger_id"],
            addressed=True,
        )

    @classmethod
    def from_action(cls, payload: JsonObject) -> Self | None:
        """Read a button under a message; its ``value`` is what it says. None for what is no such button.

        Shape: ``{"type": "block_actions", "user": {"id"}, "channel": {"id"}, "container": {"message_ts"},
        "actions": [{"value": "ok", "action_ts": "…"}]}``.

        Raises:
            Rejected: 400, for a field of another kind.

        Source: docs.slack.dev, block_actions payload.
        """
        actions = payload.get("actions")
        if payload.get("type") != "block_actions" or not isinstance(actions, list) or not actions:
            return None
        action, message = _object(actions[0], "actions[0]"), _object(payload.get("container"), "container")
        ts = _text(message, "message_ts")
        return cls(
            channel=_text(_object(payload.get("channel"), "channel"), "id"),
            user=_text(_object(payload.get("user"), "user"), "id"),
            text=_text(action, "value", ""),
            id=f"{ts}:{_text(action, 'action_ts')}",
            thread=_text(message, "thread_ts", "") or ts,
            about=ts,
        )


def fields(body: bytes) -> dict[str, str]:
    """Read a form.

    Raises:
        Rejected: 413 above 64 KB; 400 for what is no form in UTF-8.
    """
    try:
        pairs = parse_qsl(_decoded(body), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Rejected(400, f"body: expected a form in UTF-8, got {len(body)} bytes ({error})") from None
    return dict(pairs)


def document(body: bytes | str) -> JsonObject:
    """Read a JSON object.

    Raises:
        Rejected: 413 above 64 KB; 400 for what is none.
    """
    try:
        got = json.loads(_decoded(body) if isinstance(body, bytes) else body)
    except (ValueError, RecursionError):
        raise Rejected(400, f"body: expected a JSON object in UTF-8, got {len(body)} characters") from None
    return _object(got, "body")


def _decoded(body: bytes) -> str:
    if len(body) > BODY_LIMIT:
        raise Rejected(413, f"body: at most {BODY_LIMIT} bytes, got {len(body)} or more")
    return body.decode("utf-8")


def _require(form: dict[str, str], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in form or (name != "text" and not form[name])]
    if missing:
        raise Rejected(400, f"{', '.join(missing)}: expected in the form, got nothing")


def _object(value: object, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise Rejected(400, f"{name}: expected a JSON object, got {type(value).__name__}")
    return value


def _text(holder: JsonObject, name: str, otherwise: str | None = None) -> str:
    value = holder.get(name, otherwise)
    if not isinstance(value, str):
        raise Rejected(400, f"{name}: expected a string, got {type(value).__name__}")
    return value


def _our_user(payload: JsonObject) -> str:
    grants = payload.get("authorizations")
    grant = grants[0] if isinstance(grants, list) and grants else None
    user = grant.get("user_id") if isinstance(grant, dict) else None
    return user if isinstance(user, str) else ""
