"""The simulator's two sides: the page at ``/demo``, and the incoming webhook that looks like Slack's."""

import hmac
import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, request, send_from_directory
from ulid import ULID

from button_handlers.press import bound
from infra.local.simulator.channel import Channel, From, Person
from shadows.calls import Place, read
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.staff import ClickType, Group
from shadows.whom import ON_DUTY

PAGE: Final = Path(__file__).parent / "page"
BODY_LIMIT: Final = 64 * 1024
TEXT_LENGTH: Final = 4000
# Each question to our own doors takes one of the listener's threads beside ours: half of them stay free.
AT_ONCE: Final = 3
WAIT_S: Final = 8.0

Post = Callable[[str, bytes, Mapping[str, str]], tuple[int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the simulator is given.

    Attributes:
        place: whom one may answer as, and which buttons there are.
        post: sends a POST (path, body, headers) to our own doors; the answer is its status and body.
        webhook_secret: last part of ``/demo/webhook/<secret>``, where mentions come in.
        outgoing_token: that ``/slack/outgoing`` wants.
        button_token: that ``/buttons/webhook`` wants.
        lang: of a page that asks for none.
    """

    place: Place
    post: Post
    webhook_secret: str = field(repr=False)
    outgoing_token: str = field(repr=False)
    button_token: str = field(repr=False)
    lang: str = "ja"


def post_to(address: str) -> Post:
    """Posting to ``host:port`` over HTTP, as Slack and a button do."""

    def post(path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(address, timeout=WAIT_S)
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Rejected(502, f"{path}: our own door does not answer ({type(error).__name__})") from None
        finally:
            connection.close()

    return post


class Simulator:
    """One channel, the people in it, and the buttons before it."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._free = BoundedSemaphore(AT_ONCE)
        self.channel = Channel()

    def take(self, secret: str, body: bytes, content_type: str) -> tuple[int, str]:
        """Slack's incoming webhook: ``ok``, or a word that says why not.

        Source: docs.slack.dev, sending messages using incoming webhooks.
        """
        if not hmac.compare_digest(secret.encode(), self._demo.webhook_secret.encode()):
            return 404, "no_service"
        try:
            got = json.loads(body) if len(body) <= BODY_LIMIT and "json" in content_type else None
        except (ValueError, RecursionError):
            got = None
        if not isinstance(got, dict):
            return 400, "invalid_payload"
        text = got.get("text")
        if not isinstance(text, str) or not text.strip():
            return 400, "no_text"
        self.channel.post(From.BRIDGE, text, self._mentionable())
        return 200, "ok"

    def state(self, after: int, run: str) -> JsonObject:
        """What a page shows: messages later than one it has, everybody's state, the buttons."""
        return {
            "run": self.channel.run,
            "messages": self.channel.after(after if run == self.channel.run else 0),
            "staff": list(self._staff()),
            "buttons": list(self._buttons()),
            "lang": self._demo.lang,
        }

    def say(self, said: JsonObject) -> JsonObject:
        """Write as somebody: an outgoing webhook's form, as Slack sends it.

        Shape: ``{"staff": "staff-alice", "text": "ok"}``.

        Raises:
            Rejected: 400, for a field that is missing; 404, for who is nobody or has no Slack id; 502.
        """
        thing, text = _text(said, "staff"), _text(said, "text")
        user = self._demo.place.things.get(thing).attributes.get("slackUserId")
        if not user:
            raise Rejected(404, f"staff: expected somebody with a Slack id, got {thing!r}")
        name, encoded = read(self._demo.place, thing).name, _escaped(text)
        self.channel.post(From.PERSON, encoded, {}, name)
        status, answer = self._ask(
            "/slack/outgoing",
            urlencode(self._form(user, encoded)).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        self._show(status, answer)
        return {"status": status}

    def press(self, pressed: JsonObject) -> JsonObject:
        """Press a button: what any button sends to the generic door. The answer is the door's own.

        Shape: ``{"button": "demo", "click": "SINGLE" | "DOUBLE" | "LONG"}``.

        Raises:
            Rejected: what the door refuses; 400; 502.
        """
        sent = {"button": _text(pressed, "button"), "click": _text(pressed, "click"), "id": str(ULID())}
        token = {"Authorization": f"Bearer {self._demo.button_token}", "Content-Type": "application/json"}
        status, answer = self._ask("/buttons/webhook", json.dumps(sent).encode(), token)
        got = _document(answer)
        if status != 200:
            raise Rejected(status, str(got.get("message", "the press was refused")))
        return {"thing": got.get("thing"), "state": got.get("state")}

    def _ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if not self._free.acquire(timeout=WAIT_S):
            raise Rejected(503, f"{path}: too many at once; try again")
        try:
            return self._demo.post(path, body, headers)
        finally:
            self._free.release()

    def _form(self, user: str, text: str) -> dict[str, str]:
        return {
            "token": self._demo.outgoing_token,
            "team_id": "T0DEMO",
            "team_domain": "staffcall-demo",
            "service_id": "1",
            "channel_id": "C0DEMO",
            "channel_name": "staff-call",
            "timestamp": f"{time.time_ns() / 1e9:.6f}",
            "user_id": user,
            "user_name": "demo",
            "text": text,
        }

    def _show(self, status: int, answer: bytes) -> None:
        """As Slack does: the text of a 200 is posted. Slack hides an error; here, whoever tries things out sees it."""
        got = _document(answer)
        text = got.get("text") if status == 200 else f"{status} {got.get('message', '')}"
        if isinstance(text, str) and text.strip():
            self.channel.post(From.ANSWER if status == 200 else From.REFUSAL, text, self._mentionable())

    def _mentionable(self) -> dict[str, Person]:
        place, people = self._demo.place, {}
        for thing in place.things.list(type="staff"):
            if user := thing.attributes.get("slackUserId"):
                people[user] = Person(thing=thing.name, name=_name(place, thing.name))
        return people

    def _staff(self) -> Iterator[JsonObject]:
        for thing in self._demo.place.things.list(type="staff"):
            try:
                staff = read(self._demo.place, thing.name)
            except Rejected:  # removed at this very moment
                continue
            answers = "slackUserId" in thing.attributes
            yield {"thing": thing.name, "name": staff.name, "state": staff.state, "answers": answers}

    def _buttons(self) -> Iterator[JsonObject]:
        for thing in self._demo.place.things.list(type="button"):
            try:
                calls = {click: bound(thing, click) for click in ClickType}
            except Rejected:  # nobody
                calls = {}
            yield {
                "id": thing.name.removeprefix("button-"),
                "booth": thing.attributes.get("booth", ""),
                "calls": {click: _thing(whom) for click, whom in calls.items()},
            }


def blueprint(simulator: Simulator) -> Blueprint:
    """``/demo``: the page, what it asks for, and ``POST /demo/webhook/<secret>``."""
    demo = Blueprint("demo", __name__, url_prefix="/demo")

    @demo.get("")
    def page() -> Response:
        return send_from_directory(PAGE, "index.html", max_age=0)

    @demo.get("/<name>")
    def file(name: str) -> Response:
        return send_from_directory(PAGE, name, max_age=0)

    @demo.get("/state")
    def state() -> JsonObject:
        return simulator.state(request.args.get("after", 0, type=int), request.args.get("run", ""))

    @demo.post("/say")
    def say() -> JsonObject:
        return simulator.say(_own_json())

    @demo.post("/press")
    def press() -> JsonObject:
        return simulator.press(_own_json())

    @demo.post("/webhook/<secret>")
    def webhook(secret: str) -> Response:
        status, word = simulator.take(secret, request.stream.read(BODY_LIMIT + 1), request.content_type or "")
        return Response(word, status, mimetype="text/plain")

    return demo


def _own_json() -> JsonObject:
    """The body of a request that our own page made.

    Raises:
        Rejected: 403, from another site's page; 400 and 413, for what is no small JSON object.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin", "none") or (origin and urlsplit(origin).netloc != request.host):
        raise Rejected(403, "Origin: expected this page's own, got another site's")
    if request.mimetype != "application/json":  # which no other site's form can send
        raise Rejected(400, f"Content-Type: expected application/json, got {request.mimetype!r}")
    body = request.stream.read(BODY_LIMIT + 1)
    if len(body) > BODY_LIMIT:
        raise Rejected(413, f"body: at most {BODY_LIMIT} bytes, got more")
    try:
        got: Any = json.loads(body)
    except (ValueError, RecursionError):
        got = None
    if not isinstance(got, dict):
        raise Rejected(400, "body: expected a JSON object, got something else")
    return got


def _text(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > TEXT_LENGTH:
        raise Rejected(400, f"{name}: expected 1 to {TEXT_LENGTH} characters, got {type(value).__name__}")
    return value


def _document(answer: bytes) -> JsonObject:
    """What a door of ours said; an empty answer says nothing."""
    try:
        got: Any = json.loads(answer)
    except ValueError:
        got = {}
    return got if isinstance(got, dict) else {}


def _name(place: Place, thing: str) -> str:
    try:
        return read(place, thing).name
    except Rejected:  # removed at this very moment
        return thing.removeprefix("staff-")


def _thing(whom: str) -> str:
    """Whom a click calls, by their thing; a group, and who is on duty, as they are."""
    return whom if whom == ON_DUTY or Group.read(whom) else f"staff-{whom}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
