"""A small Slack that really listens: incoming webhook, Web API and Socket Mode, with every way to fail on order.

It needs nothing of Staff Call, only the package ``websockets``: copy this file to test another bot, in any language:
``python fake_slack.py`` (here ``python -m tests.fake_slack``) serves it and prints its addresses and tokens, then what is
posted; a line such as ``U0HANA ok`` is what that person writes in the channel, and the end of the input is the end.

    with FakeSlack() as slack:
        # Point your bot at slack.api_url with BOT_TOKEN (Socket Mode: APP_TOKEN), or your webhook at slack.url.
        slack.next(status=429, retry_after="2")  # the next message is refused; what comes after is taken
        ...
        slack.wait_for(lambda: slack.texts == ["<@U0HANA> …"])

What was posted is in ``posts``, as it was; what a message says now, after each ``chat.update``, is in ``shown(ts)``, and
``press(ts, "ok", by="U0HANA")`` and ``react(ts, "+1", by="U0HANA")`` make the payloads of a press on its button and of a
reaction to it, which ``send`` brings by Socket Mode and ``signed`` by HTTP. ``delete(ts)`` removes it, as somebody may.

Events come from ``says("U0HANA", "ok")`` and the like: wrap them by ``envelope(...)`` and ``send`` them, ``send_again`` what was
not acknowledged, and ``go_away()`` as Slack does before it closes a WebSocket; or have ``deliver(url, event, secret)`` post them,
signed, and up to three times more. ``pace_s = 1.0`` refuses what comes sooner to a channel, with 429 and ``Retry-After``.
"""

import argparse
import hashlib
import hmac
import json
import math
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

WEBHOOK: Final = "/services/T0EXPO001/B0HOOK001/secretsecretsecret"
BOT_TOKEN: Final = "xoxb-bot-secret"
APP_TOKEN: Final = "xapp-app-secret"
POST_MESSAGE: Final = "/api/chat.postMessage"
UPDATE: Final = "/api/chat.update"
INVALID_AUTH: Final = b'{"ok": false, "error": "invalid_auth"}'
SCOPES: Final = frozenset(
    {"chat:write", "app_mentions:read", "commands", "reactions:read", "users:read", "users:read.email"}
    | {f"{kind}:{right}" for kind in ("channels", "groups") for right in ("history", "read")}
)
# The scopes of which a method of the Web API needs one.
NEEDS: Final = {
    "conversations.info": ("channels:read", "groups:read"),
    "conversations.members": ("channels:read", "groups:read"),
    "dnd.teamInfo": ("dnd:read",),
    "users.info": ("users:read",),
    "users.lookupByEmail": ("users:read.email",),
}


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A message that Slack took.

    Attributes:
        ts: of the message; a webhook is never told it.
        at: when it came, seconds of ``time.monotonic``.
    """

    text: str
    channel: str = ""
    thread: str = ""
    ts: str = ""
    blocks: tuple[dict[str, Any], ...] = ()
    at: float = field(default_factory=time.monotonic)

    @property
    def buttons(self) -> list[str]:
        """The values of the buttons below it."""
        elements = [each for block in self.blocks for each in block.get("elements", ())]
        return [each["value"] for each in elements if each["type"] == "button"]


@dataclass(frozen=True, kw_only=True)
class Next:
    """How one request to post is answered.

    Attributes:
        body: why it is refused; "" for Slack's usual word to that status.
        hang_s: silence before anything is answered.
        drop: the connection is closed without a word.
        trickle_s: the body comes a byte at a time, this far apart.
    """

    status: int = 200
    body: str = ""
    retry_after: str | None = None
    hang_s: float = 0
    drop: bool = False
    trickle_s: float = 0


class FakeSlack:
    """Listens on 127.0.0.1 from ``with`` to its end.

    Attributes:
        bot, scopes: who the bot's token is of, and what it allows.
        users, channels: what it knows of each, by id, as the Web API has them. Once a channel was opened, a message to one
            that it does not know, that is archived or that the bot is not in is refused as Slack does.
        members: who is in a channel.
        quiet_hours: of each user who set some, as ``dnd.teamInfo`` has them.
        page: how many members it names at once.
        asked: the methods of the Web API that were called, in order.
        refuses: how a method of the Web API answers, by its name, instead of what it is asked for.
        ahead_s: by how much its clock is ahead of ours.
        pace_s: how far apart messages to a channel have to be; 0 for no limit.
        unacked: envelopes that were sent and not acknowledged yet, by their id.
        posts: what it took, oldest first; as it was posted.
        updates: what ``chat.update`` made of messages, oldest first.
        refused: how many requests to post it did not take.
        acks: envelopes of Socket Mode that were acknowledged.
        connected: how many WebSockets were opened so far.
        on_post: hears of each message that it took.
    """

    def __init__(self) -> None:
        self.bot = {"user": "callbot", "user_id": "U0CALLBOT", "bot_id": "B0CALL001"}
        self.scopes = SCOPES
        self.users: dict[str, dict[str, Any]] = {}
        self.quiet_hours: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[str]] = {}
        self.page = 2
        self.asked: list[str] = []
        self.refuses: dict[str, Next] = {}
        self.ahead_s = self.pace_s = 0.0
        self.unacked: dict[str, dict[str, Any]] = {}
        self._posted_at: dict[str, float] = {}
        self.posts: list[Posted] = []
        self.updates: list[Posted] = []
        self.refused = 0
        self.acks: list[dict[str, Any]] = []
        self.connected = 0
        self.on_post: Callable[[Posted], None] = lambda _post: None
        self._next: deque[Next] = deque()
        self._always: Next | None = None
        self._sockets: list[ServerConnection] = []
        self._frozen = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ts = 0
        self._messages: dict[str, Posted] = {}

    def __enter__(self) -> Self:
        self._http = _Server(("127.0.0.1", 0), _handler_of(self))
        self._ws = serve(self._speak, "127.0.0.1", 0)
        self._threads = [
            threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}),
            threading.Thread(target=self._ws.serve_forever),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.hang_up()
        self._ws.shutdown()
        self._http.shutdown()
        for thread in self._threads:
            thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The incoming webhook."""
        return f"http://127.0.0.1:{self._http.server_port}{WEBHOOK}"

    @property
    def api_url(self) -> str:
        """The Web API, as ``SLACK_API_URL`` wants it."""
        return f"http://127.0.0.1:{self._http.server_port}/api/"

    @property
    def texts(self) -> list[str]:
        """What was posted."""
        return [post.text for post in self.posts]

    def shown(self, ts: str) -> Posted:
        """What a message says now."""
        with self._lock:
            return self._messages[ts]

    def delete(self, ts: str) -> None:
        """Somebody removes a message."""
        with self._lock:
            del self._messages[ts]

    def press(self, ts: str, value: str, *, by: str) -> dict[str, Any]:
        """What Slack sends when somebody presses a button below a message: a ``block_actions``."""
        post = self.shown(ts)
        assert value in post.buttons, f"no button {value!r} below {post}"
        self._ts += 1
        return {
            "type": "block_actions",
            "user": {"id": by},
            "channel": {"id": post.channel},
            "container": {"type": "message", "message_ts": ts, "channel_id": post.channel},
            "actions": [{"type": "button", "value": value, "action_ts": f"1730520900.{self._ts:06}"}],
        }

    def react(self, ts: str, name: str, *, by: str) -> dict[str, Any]:
        """What Slack sends when somebody reacts to a message of the bot's: an ``event_callback``."""
        item = {"type": "message", "channel": self.shown(ts).channel, "ts": ts}
        self._ts += 1
        event = {
            "type": "reaction_added",
            "user": by,
            "reaction": name,
            "item": item,
            "item_user": self.bot["user_id"],
            "event_ts": f"1730520900.{self._ts:06}",
        }
        return {"type": "event_callback", "event_id": f"Ev{self._ts}", "event": event}

    def next(self, **how: Any) -> None:
        """Answer the next request to post that way (see :class:`Next`); called twice, the one after it too."""
        self._next.append(Next(**how))

    def always(self, **how: Any) -> None:
        """Answer every request to post that way, until it is called with nothing."""
        self._always = Next(**how) if how else None

    def says(self, user: str, text: str, *, channel: str = "C0CALLS", **more: Any) -> dict[str, Any]:
        """What Slack sends when somebody writes in a channel: an ``event_callback``; ``more`` is of the event."""
        self._ts += 1
        ts = f"{time.time():.0f}.{self._ts:06}"
        event = {"type": "message", "channel": channel, "user": user, "text": text, "ts": ts, **more}
        return {"type": "event_callback", "event_id": f"Ev{self._ts}", "event": event}

    def outgoing(
        self, user: str, text: str, *, token: str = "outgoing-token", channel: str = "C0CALLS"
    ) -> dict[str, str]:
        """The form that a legacy outgoing webhook posts when somebody writes in a channel."""
        self._ts += 1
        names = {"team_id": "T0EXPO001", "channel_id": channel, "user_id": user, "user_name": user.lower()}
        return {"token": token, **names, "timestamp": f"{time.time():.0f}.{self._ts:06}", "text": text}

    def envelope(self, payload: dict[str, Any], type: str = "events_api") -> dict[str, Any]:
        """A payload as Socket Mode brings it; ``type`` may also be ``interactive`` or ``slash_commands``."""
        self._ts += 1
        made = {"envelope_id": f"envelope-{self._ts}", "type": type, "payload": payload}
        retried = {"retry_attempt": 0, "retry_reason": ""} if type == "events_api" else {}
        return {**made, "accepts_response_payload": type != "events_api", **retried}

    def send(self, envelope: dict[str, Any]) -> None:
        """Send an envelope by the newest WebSocket."""
        if id := envelope.get("envelope_id"):
            self.unacked[id] = envelope
        self._sockets[-1].send(json.dumps(envelope))

    def send_again(self, reason: str = "timeout") -> None:
        """Send once more what was not acknowledged, as Slack does some time later."""
        for old in list(self.unacked.values()):
            self.send({**old, "retry_attempt": old.get("retry_attempt", 0) + 1, "retry_reason": reason})

    def go_away(self, reason: str = "refresh_requested") -> None:
        """Say that the newest WebSocket is about to be closed; ``reason`` may also be ``warning`` or ``link_disabled``."""
        self.send({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink"}})

    def deliver(
        self,
        url: str,
        event: dict[str, Any],
        secret: str,
        *,
        pauses_s: Sequence[float] = (0.0, 60.0, 300.0),
        patience_s: float = 3.0,
    ) -> list[int]:
        """Post an event, signed, until it is taken with a 2xx: at first, and after each of the pauses.

        The answer is the status of each try; 0 where none came in time. ``X-Slack-No-Retry: 1`` ends it.
        """
        body = json.dumps(event).encode()
        tried: list[int] = []
        again: dict[str, str] = {}
        for pause_s in (0.0, *pauses_s):
            if self._pause(pause_s):
                break
            headers = {"Content-Type": "application/json", **signed(body, secret, time.time()), **again}
            status, answered = _posted(url, body, headers, patience_s)
            tried.append(status)
            if 200 <= status < 300 or answered.get("X-Slack-No-Retry") == "1":
                break
            again = {
                "X-Slack-Retry-Num": str(len(tried)),
                "X-Slack-Retry-Reason": "http_error" if status else "http_timeout",
            }
        return tried

    def hang_up(self, *, politely: bool = True) -> None:
        """Close every WebSocket: with a close frame, or by the bare TCP connection as a broken proxy does."""
        with self._lock:
            going, self._sockets = self._sockets, []
        for connection in going:
            if politely:
                connection.close()
            else:
                connection.socket.shutdown(socket.SHUT_RDWR)

    def open_channel(self, id: str, *people: str, **more: Any) -> None:
        """A channel with the bot and these people in it, whom it knows from now on."""
        self.channels[id] = {**_channel(id), **more}
        self.members[id] = ["U0CALLBOT", *people]
        for user in people:
            self.users.setdefault(user, {"id": user, "deleted": False, "is_bot": False})

    def freeze(self, *, frozen: bool = True) -> None:
        """Leave every ping unanswered while the WebSockets stay open, as a network that swallows everything does."""
        with self._lock:
            self._frozen = frozen
            for connection in self._sockets:
                self._answers(connection)

    def _answers(self, connection: ServerConnection) -> None:
        """Let it send, or not."""
        if self._frozen:
            connection.send_data = lambda: None  # type: ignore[method-assign]
        else:
            vars(connection).pop("send_data", None)

    def wait_for(self, met: Callable[[], bool], seconds: float = 10) -> None:
        """Until something has come.

        Raises:
            AssertionError: it has not in that time.
        """
        until = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < until, f"posts: {self.posts}; acks: {self.acks}"
            time.sleep(0.01)

    # What Slack does

    def _answer_post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[Next, bytes]:
        """Take or refuse a message. The answer is how, and with what body."""
        with self._lock:
            if path not in (WEBHOOK, POST_MESSAGE):
                return self._answer_other(path, body, headers)
            how = self._next.popleft() if self._next else self._always or Next()
            if how == Next() and (left_s := self._too_soon(path, body, headers)) > 0:
                how = Next(status=429, retry_after=str(math.ceil(left_s)))
            if how.status != 200 or how.drop or how.body:
                self.refused += 1
                return how, self._refusal(path, how).encode()
            return (self._take_webhook if path == WEBHOOK else self._take_message)(how, body, headers)

    def _too_soon(self, path: str, body: bytes, headers: dict[str, str]) -> float:
        """How long until a channel takes another message, seconds; it takes this one if that is not positive."""
        channel = "" if path == WEBHOOK else _form(body, headers).get("channel", "")
        now = time.monotonic()
        left_s = self._posted_at.get(channel, -math.inf) + self.pace_s - now
        if left_s <= 0:
            self._posted_at[channel] = now
        return left_s

    def _refusal(self, path: str, how: Next) -> str:
        word = how.body or {429: "rate_limited", 500: "rollup_error"}.get(how.status, "invalid_payload")
        return word if path == WEBHOOK else json.dumps({"ok": False, "error": word.replace("rate_", "rate")})

    def _take_webhook(self, how: Next, body: bytes, _headers: dict[str, str]) -> tuple[Next, bytes]:
        try:
            text = json.loads(body).get("text")
        except ValueError:
            return Next(status=400), b"invalid_payload"
        if not text:
            return Next(status=400), b"no_text"
        self._take(Posted(text=text))
        return how, b"ok"

    def _take_message(self, how: Next, body: bytes, headers: dict[str, str]) -> tuple[Next, bytes]:
        if not _bears(headers, BOT_TOKEN):
            return how, INVALID_AUTH
        form = _form(body, headers)
        if error := self._closed_to_us(form["channel"]):
            self.refused += 1
            return how, json.dumps({"ok": False, "error": error}).encode()
        post = self._take(
            Posted(
                text=form["text"],
                channel=form["channel"],
                thread=form.get("thread_ts", ""),
                blocks=_blocks(form) or (),
            )
        )
        return how, json.dumps({"ok": True, "channel": post.channel, "ts": post.ts}).encode()

    def _closed_to_us(self, id: str) -> str:
        """Why the bot cannot post in a channel; "" if it can."""
        channel = self._channel_of(id)
        if channel is None:
            return "channel_not_found"
        if channel["is_archived"]:
            return "is_archived"
        return "" if channel["is_member"] else "not_in_channel"

    def _channel_of(self, id: str) -> dict[str, Any] | None:
        """What it knows of a channel; while none was opened, any is there."""
        return self.channels.get(id) if self.channels else _channel(id)

    def _update(self, form: dict[str, Any]) -> dict[str, Any]:
        """``chat.update``: without blocks, those that were there stay."""
        old = self._messages.get(form["ts"])
        if old is None or old.channel != form["channel"]:
            return {"error": "message_not_found"}
        blocks = _blocks(form)
        new = replace(
            old,
            text=form["text"],
            blocks=old.blocks if blocks is None else blocks,
            at=time.monotonic(),
        )
        self._messages[old.ts] = new
        self.updates.append(new)
        return {"channel": new.channel, "ts": new.ts, "text": new.text}

    def _answer_other(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[Next, bytes]:
        method = path.removeprefix("/api/")
        self.asked.append(method)
        if how := self.refuses.get(method):
            return how, self._refusal(path, how).encode()
        if path == "/api/apps.connections.open":
            url = f"ws://127.0.0.1:{self._ws.socket.getsockname()[1]}/link/?ticket=1"
            opened = json.dumps({"ok": True, "url": url}).encode()
            return Next(), opened if _bears(headers, APP_TOKEN) else INVALID_AUTH
        if path == "/api/api.test":
            return Next(), b'{"ok": true}'
        if not path.startswith("/api/"):
            return Next(status=404), b"no_service"
        if not _bears(headers, BOT_TOKEN):
            return Next(), INVALID_AUTH
        form = _form(body, headers)
        answer = self._update(form) if path == UPDATE else self._looked_up(method, form)
        return Next(), json.dumps({"ok": "error" not in answer, **answer}).encode()

    def _looked_up(self, method: str, form: dict[str, str]) -> dict[str, Any]:
        """What the methods that change nothing answer."""
        needed = NEEDS.get(method, ())
        if needed and self.scopes.isdisjoint(needed):
            return {
                "error": "missing_scope",
                "needed": ",".join(needed),
                "provided": ",".join(sorted(self.scopes)),
            }
        if method == "auth.test":
            return {**self.bot, "team_id": "T0EXPO001"}
        if method == "dnd.teamInfo":
            asked = form["users"].split(",")
            off = {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}
            return {"users": {id: self.quiet_hours.get(id, off) for id in asked}}
        if method == "users.info":
            user = self.users.get(form["user"])
            return {"user": user} if user else {"error": "user_not_found"}
        if method == "users.lookupByEmail":
            found = [
                user for user in self.users.values() if user.get("profile", {}).get("email") == form["email"]
            ]
            return {"user": found[0]} if found else {"error": "users_not_found"}
        channel = self._channel_of(form.get("channel", ""))
        if method == "conversations.info":
            return {"channel": channel} if channel else {"error": "channel_not_found"}
        if method == "conversations.members" and channel:
            begin = int(form.get("cursor") or 0)
            there = self.members.get(channel["id"], [self.bot["user_id"]])
            more = str(begin + self.page) if begin + self.page < len(there) else ""
            return {
                "members": there[begin : begin + self.page],
                "response_metadata": {"next_cursor": more},
            }
        return {"error": "channel_not_found" if method == "conversations.members" else "unknown_method"}

    def _take(self, post: Posted) -> Posted:
        self._ts += 1
        taken = replace(post, ts=f"1730520900.{self._ts:06}")
        self.posts.append(taken)
        self._messages[taken.ts] = taken
        self.on_post(taken)
        return taken

    def _speak(self, connection: ServerConnection) -> None:
        """One WebSocket of Socket Mode: hello, then whatever it acknowledges."""
        connection.send(json.dumps({"type": "hello", "num_connections": 1}))
        with self._lock:
            self._sockets.append(connection)
            self._answers(connection)
            self.connected += 1
        try:
            for message in connection:
                ack = json.loads(message)
                self.acks.append(ack)
                self.unacked.pop(ack.get("envelope_id"), None)
        except (ConnectionClosed, OSError):
            pass

    def _pause(self, seconds: float) -> bool:
        """Wait; True if we are closing meanwhile."""
        return self._closing.wait(seconds)


def _channel(id: str) -> dict[str, Any]:
    return {"id": id, "name": "calls", "is_member": True, "is_archived": False, "is_private": False}


def signed(body: bytes, secret: str, now_s: float) -> dict[str, str]:
    """The headers with which Slack signs a request."""
    stamp = str(int(now_s))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def _posted(url: str, body: bytes, headers: dict[str, str], patience_s: float) -> tuple[int, dict[str, str]]:
    """Status and headers of what is answered; 0 if nothing is."""
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=patience_s) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as no:
        with no:
            return no.code, dict(no.headers)
    except OSError:
        return 0, {}


def _form(body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """The arguments of a method, in either of the two ways that Slack reads."""
    if headers.get("Content-Type", "").startswith("application/json"):
        return dict(json.loads(body or b"{}"))
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def _blocks(form: dict[str, Any]) -> tuple[dict[str, Any], ...] | None:
    blocks = form.get("blocks")
    return None if blocks is None else tuple(json.loads(blocks) if isinstance(blocks, str) else blocks)


def _bears(headers: dict[str, str], token: str) -> bool:
    return headers.get("Authorization") == f"Bearer {token}"


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that the end waits for every answer, and leaves nothing behind
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(
            sys.exception(), OSError
        ):  # who was made to wait has gone: that is what was ordered
            super().handle_error(request, client_address)


def _handler_of(slack: FakeSlack) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            how, answer = slack._answer_post(self.path, body, dict(self.headers.items()))
            if slack._pause(how.hang_s) or how.drop:
                return
            self.send_response(how.status)
            self.send_header("Content-Length", str(len(answer)))
            if self.path.startswith("/api/") and _bears(dict(self.headers.items()), BOT_TOKEN):
                self.send_header("X-OAuth-Scopes", ",".join(sorted(slack.scopes)))
            if how.retry_after is not None:
                self.send_header("Retry-After", how.retry_after)
            self.end_headers()
            for each in [answer] if not how.trickle_s else [bytes([byte]) for byte in answer]:
                if how.trickle_s and slack._pause(how.trickle_s):
                    return
                self.wfile.write(each)
                self.wfile.flush()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + slack.ahead_s)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test speaks by failing."""

    return Handler


def main() -> None:
    """Serve it until the input ends, show what is posted, and send what is written."""
    asked = argparse.ArgumentParser(description="A Slack to test a bot against.")
    asked.add_argument(
        "--events", default="", metavar="URL", help="where events are posted; else by Socket Mode"
    )
    asked.add_argument("--secret", default="signing-secret", help="signs them (default: %(default)s)")
    asked.add_argument(
        "--pace", type=float, default=1.0, metavar="S", help="seconds between messages to a channel"
    )
    said = asked.parse_args()
    with FakeSlack() as slack:
        slack.pace_s = said.pace
        slack.open_channel("C0CALLS", "U0HANA", "U0SORA")
        print(f"SLACK_WEBHOOK_URL={slack.url}")
        print(f"SLACK_API_URL={slack.api_url}")
        print(f"SLACK_BOT_TOKEN={BOT_TOKEN}\nSLACK_APP_TOKEN={APP_TOKEN}\nSLACK_CHANNEL=C0CALLS", flush=True)
        slack.on_post = lambda post: print(f"{post.ts} {post.thread or '-'} {post.text}", flush=True)
        for line in sys.stdin:
            user, _, text = line.strip().partition(" ")
            event = slack.says(user, text)
            if said.events:
                print(f"events: {slack.deliver(said.events, event, said.secret)}", flush=True)
            elif slack.connected:
                slack.send(slack.envelope(event))
            else:
                print("nobody is connected by Socket Mode, and there is no --events", flush=True)


if __name__ == "__main__":
    main()
