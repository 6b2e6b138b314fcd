"""The ways in from Slack: a request's body and headers become an answer, whoever serves them."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from slack_sdk.signature import Clock, SignatureVerifier

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.signatures import Answered
from slack_bridge.answer import answer
from slack_bridge.command import commanded
from slack_bridge.reply import BODY_LIMIT, Reply, document, fields
from slack_bridge.tellers import Post

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the doors need.

    Attributes:
        outgoing_token: of the outgoing webhook; "" closes its door.
        signing_secret: of the Slack app; "" closes the three signed doors.
        lang: of what we say.
        wall: milliseconds since 1970 as the rest of the world has them, for what is signed with a time.
        answered: signed requests that were answered.
        seen: the same place, for looking at people of whom nothing is asked; None if that makes no difference.
        say: posts an answer where an HTTP answer cannot carry it; None without a bot token. It may take 3 s.
    """

    place: Place
    outgoing_token: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)
    lang: str = "ja"
    seen: Place | None = None
    say: Callable[[Post], None] | None = None
    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    answered: "Answered[Answer]" = field(default_factory=Answered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a door answers.

    Attributes:
        body: None for an empty one.
        post: what is still to be said in Slack, once this answer is out.
    """

    status: int = 200
    body: JsonObject | None = None
    post: Post | None = None


def open_door(name: str, body: bytes, headers: Headers, services: Services) -> Answer:
    """Answer a request to ``/slack/<name>``; what is refused is ``{"code", "message"}``."""
    try:
        if name not in DOORS:
            raise Rejected(404, f"/slack/: expected {', '.join(DOORS)}, got {name!r}")
        return DOORS[name](body, headers, services)
    except Rejected as no:
        return Answer(status=no.code, body={"code": no.code, "message": no.message})


def outgoing(body: bytes, _headers: Headers, services: Services) -> Answer:
    """The outgoing webhook: the answer's ``{"text"}`` is posted by Slack; an empty one posts nothing.

    Raises:
        Rejected: as :meth:`Reply.from_form`; 401, too, if no token is set here.
    """
    if not services.outgoing_token:
        raise Rejected(401, "token: this door is not set up; set SLACK_OUTGOING_TOKEN")
    if fields(body).get("ssl_check") == "1":
        return Answer()
    reply = Reply.from_form(body, token=services.outgoing_token)
    text = answer(reply, services.place, services.lang) if reply else ""
    return Answer(body={"text": text} if text else None)


def events(body: bytes, headers: Headers, services: Services) -> Answer:
    """The Events API.

    Raises:
        Rejected: 401 for a signature; as :func:`document` and :meth:`Reply.from_event`.
    """

    def work() -> Answer:
        payload = document(body)
        if payload.get("type") == "url_verification":
            return Answer(body={"challenge": str(payload.get("challenge", ""))})
        return event_answer(payload, services)

    return _once(body, headers, services, work)


def commands(body: bytes, headers: Headers, services: Services) -> Answer:
    """A slash command, answered to its sender alone.

    Raises:
        Rejected: 401 for a signature; as :func:`fields` and :meth:`Reply.from_command`.
    """
    form = fields(body)
    if form.get("ssl_check") == "1":  # Slack looks at our certificate: nothing is signed, and nothing done
        return Answer()
    return _once(body, headers, services, lambda: command_answer(form, services))


def actions(body: bytes, headers: Headers, services: Services) -> Answer:
    """A button under a message.

    Raises:
        Rejected: 401 for a signature; as :func:`fields`, :func:`document` and :meth:`Reply.from_action`.
    """
    form = fields(body)
    if form.get("ssl_check") == "1":
        return Answer()

    def work() -> Answer:
        if "payload" not in form:
            raise Rejected(400, "payload: expected in the form, got nothing")
        return action_answer(document(form["payload"]), services)

    return _once(body, headers, services, work)


def event_answer(payload: JsonObject, services: Services) -> Answer:
    """An ``event_callback``, however it came."""
    return _said(Reply.from_event(payload), services)


def action_answer(payload: JsonObject, services: Services) -> Answer:
    """A ``block_actions``, however it came."""
    return _said(Reply.from_action(payload), services)


def command_answer(form: dict[str, str], services: Services) -> Answer:
    """A slash command, however it came."""
    seen = services.seen or services.place
    channel = form.get("channel_name", "")
    text = commanded(Reply.from_command(form), channel, services.place, seen, services.lang)
    return Answer(body={"response_type": "ephemeral", "text": text} if text else None)


DOORS: Final[Mapping[str, Callable[[bytes, Headers, Services], Answer]]] = {
    "outgoing": outgoing,
    "events": events,
    "actions": actions,
    "commands": commands,
}


def on_slack(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """The doors as one Lambda function behind API Gateway (v1 or v2) or a function URL."""
    path = str(event.get("rawPath") or event.get("path") or "")
    try:
        body = _body_of(event)
    except ValueError:
        body = b""  # nothing that any door takes
    answered = open_door(path.rpartition("/")[2], body, event.get("headers") or {}, services)
    if (
        answered.post and services.say
    ):  # a Lambda sleeps once it has answered: what is to be said is said before
        services.say(answered.post)
    return {
        "statusCode": answered.status,
        "headers": {"content-type": "application/json"},
        "body": "" if answered.body is None else json.dumps(answered.body, ensure_ascii=False),
    }


def _body_of(event: Mapping[str, Any]) -> bytes:
    """By the flag, never by the content type: forms come in base64 through v2, and plain through v1."""
    body = str(event.get("body") or "")
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _said(reply: Reply | None, services: Services) -> Answer:
    text = answer(reply, services.place, services.lang) if reply else ""
    return Answer(
        post=Post(channel=reply.channel, text=text, thread=reply.thread) if reply and text else None
    )


class _Wall(Clock):
    def __init__(self, wall: Callable[[], int]) -> None:
        self._wall = wall

    def now(self) -> float:
        return self._wall() / 1000


def _once(body: bytes, headers: Headers, services: Services, work: Callable[[], Answer]) -> Answer:
    """Do what is asked by a request that is signed right, once; Slack signs anew what it sends again."""
    signature = _verified(body, headers, services)
    done = services.answered.get(signature)
    if done is None:
        done = work()
        services.answered.keep(signature, replace(done, post=None), services.wall())
    return done


def _verified(body: bytes, headers: Headers, services: Services) -> str:
    """The signature of a request, if it is right."""
    if not services.signing_secret:
        raise Rejected(401, "x-slack-signature: this door is not set up; set SLACK_SIGNING_SECRET")
    if len(body) > BODY_LIMIT:
        raise Rejected(413, f"body: at most {BODY_LIMIT} bytes, got {len(body)} or more")
    verifier = SignatureVerifier(services.signing_secret, clock=_Wall(services.wall))
    try:
        signed = verifier.is_valid_request(body, dict(headers))
    except Exception:  # over a time, a signature or a body that is none it raises four kinds of them
        signed = False
    if not signed:
        raise Rejected(401, "x-slack-signature: not made with SLACK_SIGNING_SECRET in the last 300 s")
    return next(value for name, value in headers.items() if name.lower() == "x-slack-signature")
