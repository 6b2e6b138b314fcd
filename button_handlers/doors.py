"""The ways in for buttons: HTTP, MQTT, and a Lambda function. Each unwraps, calls, wraps, and decides nothing."""

import base64
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from button_handlers import (
    flic,
    generic,
    iotbutton,
    oneclick,
    shelly,
    sign,
    soracom,
    tasmota,
    zigbee2mqtt,
)
from button_handlers.click import Click, Ignored, button_of, document_of
from button_handlers.press import Unknown, press
from shadows.calls import Place
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.signatures import Answered

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 16 * 1024
NOTHING: Final[JsonObject] = {"ignored": "no press of a button"}
PRESS_TOPIC: Final = re.compile(r"staffcall/buttons/([A-Za-z0-9_-]{1,64})/press")
IOTBUTTON_TOPIC: Final = re.compile(r"iotbutton/([A-Za-z0-9_-]{1,64})")
Heard = Sequence[Click | Ignored]
# Topics that devices have by themselves. What a Zigbee device is told, says of its link, or says a second time as plain
# text (`/action`) is no message of a button.
MAKERS_TOPICS: Final[Mapping[re.Pattern[str], Callable[..., Heard]]] = {
    re.compile(
        r"zigbee2mqtt/(?!bridge/)(?!.*/(?:set|get|availability|action)(?:/|$))(.+)"
    ): zigbee2mqtt.from_topic,
    re.compile(r"stat/([^/]+)/RESULT"): tasmota.from_topic,
    re.compile(r"([^/]+)/events/rpc"): shelly.from_events,
    re.compile(r"shellies/([^/]+)/input_event/([0-9]{1,2})"): shelly.from_input,
}
TOPIC_FILTERS: Final = (
    *("staffcall/buttons/+/press", "iotbutton/+"),
    *("zigbee2mqtt/#", "stat/+/RESULT", "+/events/rpc", "shellies/+/input_event/+"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the button doors need of where they run.

    Attributes:
        token: the button token; "" opens nothing.
        beam_key: pre-shared key of SORACOM Beam's signature; "" if there is none.
        hurries: counts a press of a button, and says whether it comes sooner than anybody means to press.
        wall: milliseconds since 1970 as the rest of the world has them, for what is signed with a time.
        answered: signed requests that were answered.
    """

    place: Place
    unknown: Unknown
    token: str = field(repr=False)
    beam_key: str = field(default="", repr=False)
    hurries: Callable[[str], bool] = lambda _button: False
    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    answered: Answered[JsonObject] = field(default_factory=Answered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request, whoever took it.

    Attributes:
        headers: names in lower case.
        query: first value of each name.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""

    @classmethod
    def of(cls, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Self:
        """A request with its header names as any sender wrote them."""
        return cls(headers={name.lower(): value for name, value in headers.items()}, query=query, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered: ``{"thing", "state", "call", "repeat"}``, ``{"ignored"}`` or ``{"code", "message"}``."""

    code: int
    body: JsonObject


Door = Callable[[Request, Services], Answer]


def on_soracom(request: Request, services: Services) -> Answer:
    """``POST /buttons/soracom``: Beam or Funk-HTTP, parsed JSON or the raw frame; signed, or with the button token."""

    def work() -> JsonObject:
        _small(request)
        if soracom.is_signed(request.headers, services.beam_key, services.wall()):
            return _once(request, services)
        if not _has_token(request, services.token):
            raise Rejected(
                401,
                "x-soracom-signature: expected one of the last 300 s, made with SORACOM_BEAM_KEY, or the button token "
                "as Authorization: Bearer, X-Staffcall-Token or ?token=",
            )
        return _taken(_soracom_click(request), "soracom", services)

    return answered(work)


def on_webhook(request: Request, services: Services) -> Answer:
    """``/buttons/webhook``: the generic press as JSON or in the query, or Flic's headers; with the button token."""

    def work() -> JsonObject:
        _small(request)
        if not _has_token(request, services.token):
            raise Rejected(
                401,
                "token: expected the button token as Authorization: Bearer, X-Staffcall-Token or ?token=",
            )
        return _taken(_webhook_click(request), "webhook", services)

    return answered(work)


HTTP_DOORS: Final[Mapping[str, Door]] = {"/buttons/soracom": on_soracom, "/buttons/webhook": on_webhook}


def is_press(topic: str) -> bool:
    """Whether a message on this topic may be a press."""
    return _is_ours(topic) or any(pattern.fullmatch(topic) for pattern in MAKERS_TOPICS)


def is_idle_talk(topic: str) -> bool:
    """Whether a device speaks of something else there: not even a press with a fault, which would be said."""
    return not is_press(topic) and not topic.startswith(("staffcall/", "iotbutton/"))


def on_message(topic: str, payload: bytes, services: Services) -> Answer:
    """A message on one of ``TOPIC_FILTERS``; whoever may publish there may press.

    A retained message is no press: the caller drops it.

    Raises:
        Rejected: 5xx, what may go well when the message is sent again.
    """

    def work() -> JsonObject:
        if len(payload) > BODY_LIMIT:
            raise Rejected(413, f"payload: expected at most {BODY_LIMIT} bytes, got {len(payload)}")
        if not _is_ours(topic) and not payload.lstrip().startswith(b"{"):
            return NOTHING  # a value alone: such devices say more there than presses
        return _all_taken(_topic_clicks(topic, document_of(payload)), "mqtt", services)

    return _unheard(topic, work)


def on_button(event: JsonObject, context: Any, services: Services) -> JsonObject:
    """The Lambda twin: an HTTP API (payload 2.0), a topic rule that adds ``topic() AS topic``, SORACOM Funk, 1-Click.

    Raises:
        Rejected: for SORACOM Funk and 1-Click: a raised error is what turns the button's light red. From a topic rule:
            what may go well when Lambda tries again.
    """
    if "rawPath" in event:
        door = HTTP_DOORS.get(event["rawPath"], _nowhere)
        return through_gateway(event, lambda request: door(request, services))

    def work() -> JsonObject:
        door, heard = _event_clicks(event, context)
        return _all_taken([_known_by(each, context) for each in heard], door, services)

    return _unheard(event["topic"], work).body if "topic" in event else work()


def answered(work: Callable[[], JsonObject]) -> Answer:
    """What came of a request; what the sender got wrong is an answer too, and our own bugs are not."""
    try:
        return Answer(code=200, body=work())
    except Rejected as no:
        return Answer(code=no.code, body={"code": no.code, "message": no.message})


def _unheard(topic: str, work: Callable[[], JsonObject]) -> Answer:
    """What comes of a message, whose sender hears of it only that it has to be sent again."""
    answer = answered(work)
    if answer.code >= 500:
        raise Rejected(answer.code, answer.body["message"])
    if answer.code != 200:
        log.warning("%s: %s", topic, answer.body["message"])
    return answer


def through_gateway(event: JsonObject, door: Callable[[Request], Answer]) -> JsonObject:
    """Answer a request that an HTTP API hands over (payload 2.0)."""
    body = str(event.get("body") or "")
    request = Request.of(
        event.get("headers") or {},
        event.get("queryStringParameters") or {},
        base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )
    answer = door(request)
    return {
        "statusCode": answer.code,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(answer.body, ensure_ascii=False),
    }


def _nowhere(_request: Request, _services: Services) -> Answer:
    return Answer(code=404, body={"code": 404, "message": f"path: expected {' or '.join(HTTP_DOORS)}"})


def _known_by(click: Click | Ignored, context: Any) -> Click | Ignored:
    """Lambda tries again with the same request id."""
    if isinstance(click, Click) and click.id is None:
        return replace(click, id=getattr(context, "aws_request_id", None))
    return click


def _event_clicks(event: JsonObject, context: Any) -> tuple[str, Heard]:
    if "topic" in event:
        rest = {name: value for name, value in event.items() if name != "topic"}
        return "mqtt", _topic_clicks(str(event["topic"]), rest)
    if "deviceEvent" in event:
        return "oneclick", [oneclick.from_event(event)]
    sim = getattr(getattr(context, "client_context", None), "custom", None) or {}
    if "imsi" not in sim:
        raise Rejected(400, "context.client_context.custom.imsi: expected the SIM, as SORACOM Funk names it")
    return "soracom", [soracom.from_document(button_of(sim, "imsi"), event)]


def _all_taken(heard: Heard, door: str, services: Services) -> JsonObject:
    """Take each; the answer is of the last.

    Raises:
        Rejected: the worst of what was refused, once all others are taken.
    """
    done, refused = NOTHING, []
    for each in heard:
        try:
            done = _taken(each, door, services)
        except Rejected as no:
            refused.append(no)
    if refused:
        raise max(refused, key=lambda no: no.code)
    return done


def _taken(click: Click | Ignored, door: str, services: Services) -> JsonObject:
    if isinstance(click, Ignored):
        sign.note(click, services.place)
        return {"ignored": click.reason}
    if sign.is_told_again(click, services.place):
        return {"ignored": "told before: the button's last press, no new one"}
    return press(click, door, services.place, services.unknown, services.hurries)


def _once(request: Request, services: Services) -> JsonObject:
    """Take a press that Beam signed, once, whatever body comes with it the next time: the body is not signed."""
    signature = request.headers[soracom.SIGNATURE].lower()
    before = services.answered.get(signature)
    if before is not None:
        return {**before, "repeat": True} if "repeat" in before else before
    signed = {name: value for name, value in request.headers.items() if name != soracom.FUNK}
    done = _taken(_soracom_click(replace(request, headers=signed)), "soracom", services)
    services.answered.keep(signature, done, services.wall())
    return done


def _soracom_click(request: Request) -> Click | Ignored:
    button = soracom.imsi_of(request.headers)
    if (
        request.headers.get("content-type", "").partition(";")[0].strip().lower()
        == "application/octet-stream"
    ):
        click: Click | Ignored = soracom.from_frame(button, request.body)
    else:
        click = soracom.from_document(button, document_of(request.body))
    sent = request.headers.get(soracom.TIMESTAMP)
    # A captured request replayed within its 300 s is a repeat, whatever body it comes with.
    return replace(click, id=sent) if sent and isinstance(click, Click) else click


def _webhook_click(request: Request) -> Click | Ignored:
    if "button-serial-number" in request.headers:  # whatever body its user typed into the app
        return flic.from_request(request.headers, request.query)
    if request.body:
        return generic.from_document(document_of(request.body))
    return generic.from_query(request.query)


def _is_ours(topic: str) -> bool:
    return bool(PRESS_TOPIC.fullmatch(topic) or IOTBUTTON_TOPIC.fullmatch(topic))


def _topic_clicks(topic: str, document: JsonObject) -> Heard:
    if press := PRESS_TOPIC.fullmatch(topic):
        return [generic.from_topic(press[1], document)]
    if iot := IOTBUTTON_TOPIC.fullmatch(topic):
        return [iotbutton.from_topic(iot[1], document)]
    for pattern, read in MAKERS_TOPICS.items():
        if made := pattern.fullmatch(topic):
            return read(*made.groups(), document)
    raise Rejected(404, f"topic: expected one of {', '.join(TOPIC_FILTERS)}")


def _small(request: Request) -> None:
    if len(request.body) > BODY_LIMIT:
        raise Rejected(413, f"body: expected at most {BODY_LIMIT} bytes")


def _has_token(request: Request, token: str) -> bool:
    """Whether the button token is in one of its three places; all are compared, in constant time."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = (
        bearer.strip() if scheme.lower() == "bearer" else "",
        request.headers.get("x-staffcall-token", ""),
        request.query.get("token", ""),
    )
    right = [hmac.compare_digest(each.encode("utf-8", "surrogatepass"), token.encode()) for each in given]
    return bool(token) and any(right)
