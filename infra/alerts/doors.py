"""The ways in for whoever was alerted: the page of a link, and what Twilio says later of a message.

A link is opened by more than people: phones and mail servers look at what is behind it. So a GET changes nothing, and the
page's button is a POST. That changes something once, while the call is still to be answered; after that the page says
what became of it.
"""

import base64
import hashlib
import html
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from infra.alerts import links, twilio
from infra.alerts.links import ANSWER, Link, status_purpose
from infra.alerts.words import WORDS, Words, preferred
from shadows.alerts import came_to
from shadows.calls import Place, booth_title, read, record, staff_name
from shadows.errors import Rejected
from shadows.staff import CallEvent, Event, Key, Staff, StaffState
from shadows.telling import Attempt

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 16 * 1024
STYLE: Final = (
    "body{font:1.25rem/1.6 system-ui,sans-serif;margin:0;padding:2rem 1.25rem;max-width:32rem;color:#111;background:#fff}"
    "button{font:inherit;font-weight:700;width:100%;padding:1.25rem;border:0;border-radius:.75rem;color:#fff;"
    "background:#0b5d2a}button:focus-visible{outline:4px solid #111;outline-offset:3px}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#111}button:focus-visible{outline-color:#eee}}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Vary": "Accept-Language",
}
_STATUS: Final = re.compile(r"status-([0-9]{1,3})-([0-9]{1,3})/([^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the doors need.

    Attributes:
        key: signs the links; "" closes the doors.
        lang: of the page, if the browser asks for none that we speak.
        public_url: where the doors are for others, without a final slash; Twilio signs it.
        twilio_tokens: says them, by the number of the way; only what Twilio says asks for them.
        note: keeps the record.
        wall: milliseconds since 1970 as the rest of the world has them.
    """

    place: Place
    key: str = field(repr=False)
    lang: str
    public_url: str
    twilio_tokens: Callable[[], Mapping[int, str]] = field(repr=False)
    note: Callable[[Attempt], None]
    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a door answers."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def open_door(method: str, path: str, headers: Mapping[str, str], body: bytes, services: Services) -> Answer:
    """Answer a request to ``/answer/<path>``; names of headers are in lower case."""
    try:
        if "/" in path:
            return _status(method, path, headers.get("x-twilio-signature", ""), body, services)
        return _page(method, path, headers.get("accept-language", ""), services)
    except Rejected as no:
        log.warning("/answer/: %d %s", no.code, no.message)
        said = json.dumps({"code": no.code, "message": no.message})
        return Answer(status=no.code, body=said, headers={**HEADERS, "Content-Type": "application/json"})


def on_answer(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """The same as a Lambda function behind API Gateway (v2)."""
    asked = event["requestContext"]["http"]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    path = str(event["rawPath"]).removeprefix("/answer/")
    answer = open_door(asked["method"], path, headers, _body_of(event), services)
    return {"statusCode": answer.status, "headers": dict(answer.headers), "body": answer.body}


def _body_of(event: Mapping[str, Any]) -> bytes:
    body = str(event.get("body") or "")
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


# --- The page


def _page(method: str, text: str, accepted: str, services: Services) -> Answer:
    lang = preferred(accepted, services.lang)
    say, link = WORDS[lang], links.read(text, ANSWER, services.key)
    if link is None:
        return _shown(404, lang, say.unknown)
    if link.expires * 1000 < services.wall():
        return _shown(410, lang, say.expired)
    if method == "POST":
        _take(services.place, link)
    try:
        staff = read(services.place, link.thing)
    except Rejected as no:
        if no.code != 404:  # not removed meanwhile
            raise
        return _shown(410, lang, say.over)
    return _shown(
        200, lang, _said(services.place, staff, link, say), say.button if _waits(staff, link) else ""
    )


def _take(place: Place, link: Link) -> None:
    """Write down that somebody is on the way; once, and only while it is they who are called."""
    key = Key(door="link", sender=link.thing, id=f"{link.call} {link.expires}")
    try:
        staff = read(place, link.thing)
        if _waits(staff, link):
            about = (staff.call.id, staff.asked.since)
            record(place, link.thing, Event(kind=CallEvent.OK, key=key, about=about))
    except Rejected as no:
        if no.code != 404:
            raise


def _waits(staff: Staff, link: Link) -> bool:
    return staff.state is StaffState.CALLING and staff.call.id == link.call


def _said(place: Place, staff: Staff, link: Link, say: Words) -> str:
    if staff.call.id != link.call:
        return say.over
    if staff.state is StaffState.CALLING:
        sentence = say.waiting
    elif staff.state is StaffState.RUNNING:
        sentence = say.going
    else:
        sentence = say.passed if staff.call.to else say.over
    return sentence.format(
        name=staff.name or link.thing.removeprefix("staff-"),
        booth=booth_title(place, staff.call.booth),
        to=staff_name(place, staff.call.to) if staff.call.to else "",
    )


def _shown(status: int, lang: str, sentence: str, button: str = "") -> Answer:
    form = f'<form method="post"><button>{html.escape(button)}</button></form>' if button else ""
    page = (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Staff Call</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>Staff Call</h1><p>{html.escape(sentence)}</p>{form}</main></body></html>"
    )
    return Answer(status=status, body=page, headers={**HEADERS, "Content-Language": lang})


# --- Twilio


def _status(method: str, path: str, given: str, body: bytes, services: Services) -> Answer:
    found = _STATUS.fullmatch(path)
    if not found or method != "POST":
        raise Rejected(404, "/answer/: there is no such door")
    if len(body) > BODY_LIMIT:
        raise Rejected(413, f"body: at most {BODY_LIMIT} bytes")
    channel, n, text = int(found[1]), int(found[2]), found[3]
    link = links.read(text, status_purpose(channel, n), services.key)
    secret = services.twilio_tokens().get(channel, "")
    # Twilio signs the address that it was given, whatever a proxy makes of it on the way here.
    if link is None or not twilio.is_signed(given, secret, f"{services.public_url}/answer/{path}", body):
        raise Rejected(401, "x-twilio-signature: not made by Twilio for a message of ours")
    known = {each.n: each for each in services.place.channels.each}
    if news := twilio.said(body):
        try:
            outcome, why = news
            services.note(
                came_to(
                    services.place,
                    link.thing,
                    call=link.call,
                    n=n,
                    channel=known[channel],
                    outcome=outcome,
                    why=why,
                )
            )
        except Rejected as no:
            if no.code != 404:  # not removed meanwhile
                raise
    return Answer(status=204)
