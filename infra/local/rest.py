"""AWS's REST for boto3 ``iot`` and ``iot-data``, on one port, for this machine only.

There is no sign-in: any credentials are taken. So that a web page cannot use a browser on this machine to reach it, a
request with an Origin, or for a host that is not this machine (DNS rebinding), is refused; and so is one that a proxy
or a tunnel brings and owns up to, for whoever is behind it is somebody else.
"""

import base64
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from infra.local.gateway import Kept, Message, PublishProperties, Quotas
from infra.local.service import Operation, ShadowName, ShadowService, request_of
from infra.local.things import (
    MAX_PAGE,
    AlreadyExists,
    Change,
    Filter,
    Registry,
    ThingType,
    VersionConflict,
    arn,
)
from shadows.document import TOO_LARGE, encode, parse_json
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Thing

T = TypeVar("T")
Publish = Callable[[Message], None]

LOOPBACK: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
MAX_EXPIRY_S: Final = 2**32 - 1
MAX_RETAINED_PAGE: Final = 200
FORMATS: Final = {"UNSPECIFIED_BYTES": 0, "UTF8_DATA": 1}
SHADOW: Final = re.compile(r"/things/[^/]+/shadow")
REGISTRY: Final = re.compile(r"/(things|thing-types|endpoint)(/.*)?")
# What proxies and tunnels add. To lie here one has to leave it out, which is what a program on this machine does.
BROUGHT_BY: Final = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-Ip",
    "Cf-Connecting-Ip",
    "Via",
)
KINDS: Final = {
    str: "a string",
    dict: "an object",
    bool: "true or false",
    int: "an integer",
    list: "an array",
}

# The modelled exception that boto3 raises for a code.
EXCEPTIONS: Final = {
    400: "InvalidRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
    409: "ConflictException",
    413: "RequestEntityTooLargeException",
    415: "UnsupportedDocumentEncodingException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}

log = logging.getLogger(__name__)


class Retained(Protocol):
    """The retained messages of the message broker, and what a message may measure."""

    @property
    def quotas(self) -> Quotas: ...

    def has_room(self, message: Message) -> bool:
        """Whether one that is to be retained can be."""

    def kept(self, topic: str) -> Kept | None:
        """That of a topic."""

    def kept_after(self, topic: str, most: int) -> list[Kept]:
        """All, in the order of their topics, from the one behind ``topic``."""


def app(service: ShadowService, registry: Registry, publish: Publish, retained: Retained) -> Flask:
    """The WSGI application.

    Args:
        service: the shadows. A publish to a request topic of theirs is a request to it, made here.
        registry: the things.
        publish: hands a message to the subscribers, and does no more.
        retained: what the broker has retained.
    """
    flask = Flask(__name__, static_folder=None)
    flask.config["MAX_CONTENT_LENGTH"] = service.bounds.request_bytes
    flask.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    flask.url_map.converters |= {"part": _Part, "rest": _Rest}
    flask.wsgi_app = _undecoded(flask.wsgi_app)  # type: ignore[assignment, method-assign]
    flask.json.sort_keys = False  # type: ignore[attr-defined]
    flask.before_request(_name)
    flask.before_request(_guard)
    flask.after_request(_named)
    flask.register_error_handler(Rejected, _refused)
    flask.register_error_handler(HTTPException, _wrong)
    flask.register_error_handler(Exception, _crashed)
    _add_shadows(flask, service)
    _add_topics(flask, service, publish, retained)
    _add_retained(flask, retained)
    _add_things(flask, registry)
    _add_types(flask, registry)
    return flask


# --- iot-data


def _add_shadows(flask: Flask, service: ShadowService) -> None:
    def answer(operation: Operation, thing: str, payload: bytes = b"") -> Response:
        name = request.args.get("name")
        if name == "":
            raise Rejected(400, "name: expected a shadow's name, or none at all for the classic one, got ''")
        try:
            shadow = ShadowName(thing, name or "", service.strict_names)
            return _answer(service.ask(shadow, operation, payload))
        except Rejected as no:
            # Over REST AWS was seen to say it so, and over MQTT as its guide does.
            raise Rejected(
                no.code, no.message.replace("Invalid JSON", "Payload contains invalid json")
            ) from no

    @flask.get("/things/<part:thing>/shadow")
    def get_thing_shadow(thing: str) -> Response:
        return answer(Operation.GET, thing)

    @flask.post("/things/<part:thing>/shadow")
    def update_thing_shadow(thing: str) -> Response:
        return answer(Operation.UPDATE, thing, request.get_data())

    @flask.delete("/things/<part:thing>/shadow")
    def delete_thing_shadow(thing: str) -> Response:
        return answer(Operation.DELETE, thing)

    @flask.get("/api/things/shadow/ListNamedShadowsForThing/<part:thing>")
    def list_named_shadows(thing: str) -> Response:
        most = _number("pageSize", 1, 100, 25)
        names = service.named(thing, after=_after(), most=most + 1)
        return _json({"results": names[:most]} | _next(names, most) | {"timestamp": service.clock() // 1000})


def _add_topics(flask: Flask, service: ShadowService, publish: Publish, retained: Retained) -> None:
    @flask.post("/topics/<rest:topic>")
    def publish_to(topic: str) -> Response:
        qos, retain = _number("qos", 0, 1, 0), _flag("retain")
        _check_topic("topic", topic, retained.quotas)
        message = Message(topic, request.get_data(), qos, retain, _properties(retained.quotas))
        if topic.startswith("$"):
            if retain:
                raise Rejected(400, f"retain: expected false for a reserved topic, got true for {topic}")
            try:
                request_of(topic, strict=service.strict_names)
            except Rejected as no:
                raise Rejected(403, f"topic: nobody may publish to {topic}") from no
            service.handle(topic, message.payload).result()
        elif retain and not retained.has_room(message):
            raise Rejected(429, f"retain: no further message can be retained; delete one first, got {topic}")
        publish(message)
        return _json({"message": "OK", "traceId": g.request_id})


def _add_retained(flask: Flask, retained: Retained) -> None:
    @flask.get("/retainedMessage/<rest:topic>")
    def get_retained_message(topic: str) -> Response:
        _check_topic("topic", topic, retained.quotas)
        if not (kept := retained.kept(topic)):
            raise Rejected(404, f"No retained message exists for topic: {topic}")
        said = kept.message.properties.user
        user = {"userProperties": _base64(encode([{name: value} for name, value in said]))} if said else {}
        head = {"topic": topic, "payload": _base64(kept.message.payload), "qos": kept.message.qos}
        return _json(head | user | {"lastModifiedTime": kept.at_ms})

    @flask.get("/retainedMessage")
    def list_retained_messages() -> Response:
        most = _number("maxResults", 1, MAX_RETAINED_PAGE, MAX_RETAINED_PAGE)
        page = retained.kept_after(_after(), most + 1)
        topics = [kept.message.topic for kept in page]
        return _json({"retainedTopics": list(map(_summary, page[:most]))} | _next(topics, most))


def _summary(kept: Kept) -> JsonObject:
    topic, payload, qos, *_ = kept.message
    return {"topic": topic, "payloadSize": len(payload), "qos": qos, "lastModifiedTime": kept.at_ms}


def _check_topic(name: str, topic: str, quotas: Quotas) -> None:
    most, slashes = quotas.topic_bytes, quotas.slashes
    if len(topic.encode()) > most or topic.count("/") > slashes:
        raise Rejected(
            400, f"{name}: expected at most {most} bytes and {slashes} slashes, got {topic[:300]!r}"
        )
    if any(char in topic for char in "+#\0\ufffd"):
        raise Rejected(400, f"{name}: expected UTF-8 without +, # and NUL, got {topic!r}")


def _properties(quotas: Quotas) -> PublishProperties:
    """What the publisher says beside the payload, for subscribers that speak MQTT 5."""
    answer_to, expires = request.args.get("responseTopic"), "messageExpiry" in request.args
    if answer_to is not None:
        _check_topic("responseTopic", answer_to, quotas)
    return PublishProperties(
        payload_format=_payload_format(),
        expiry_s=_number("messageExpiry", 0, MAX_EXPIRY_S, 0) if expires else None,
        content_type=_sayable("contentType", request.args.get("contentType")),
        response_topic=answer_to,
        correlation=_decoded("x-amz-mqtt5-correlation-data"),
        user=_user_properties(),
    )


def _payload_format() -> int | None:
    name = request.headers.get("x-amz-mqtt5-payload-format-indicator")
    if name is not None and name not in FORMATS:
        raise Rejected(400, f"payloadFormatIndicator: expected {' or '.join(FORMATS)}, got {name[:200]!r}")
    return None if name is None else FORMATS[name]


def _user_properties() -> tuple[tuple[str, str], ...]:
    if (coded := _decoded("x-amz-mqtt5-user-properties")) is None:
        return ()
    pairs = parse_json(coded)
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise Rejected(
            400, f"userProperties: expected an array of objects, each of one string, got {coded[:200]!r}"
        )
    said = [pair for each in pairs for pair in each.items()]
    for word in (word for pair in said for word in pair):
        _sayable("userProperties", word)
    return tuple(said)


def _is_pair(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and all(isinstance(v, str) for v in value.values())


def _sayable(name: str, text: str | None) -> str | None:
    """A text that MQTT can carry."""
    if text is not None and ("\0" in text or "\ufffd" in text):
        raise Rejected(400, f"{name}: expected UTF-8 without NUL, got {text[:200]!r}")
    return text


# --- iot


def _add_things(flask: Flask, registry: Registry) -> None:
    @flask.post("/things/<part:name>")
    def create_thing(name: str) -> Response:
        body = _body()
        if group := _field(body, "billingGroupName", str):
            raise Rejected(404, f"Billing group {group} not found")  # nobody can have made one here
        attributes = _attributes(_field(body, "attributePayload", dict) or {}) or {}
        thing = Thing(name=name, type=_field(body, "thingTypeName", str) or "", attributes=attributes)
        there = registry.create(thing)
        return _json({"thingName": name, "thingArn": arn("thing", name), "thingId": there.id})

    @flask.get("/things/<part:name>")
    def describe_thing(name: str) -> Response:
        there = registry.describe(name)
        return _json({"defaultClientId": name, **_entry(there.thing), "thingId": there.id})

    @flask.patch("/things/<part:name>")
    def update_thing(name: str) -> Response:
        registry.update(name, _change(_body()))
        return _json({})

    @flask.delete("/things/<part:name>")
    def delete_thing(name: str) -> Response:
        expected = request.args.get("expectedVersion")
        registry.delete(
            name, expected=None if expected is None else _number("expectedVersion", 0, 2**63 - 1, 0)
        )
        return _json({})

    @flask.get("/things")
    def list_things() -> Response:
        most = _number("maxResults", 1, MAX_PAGE, MAX_PAGE)
        things = registry.things(_filter(), after=_after(), most=most + 1)
        shown = [_entry(thing) for thing in things[:most]]
        return _json({"things": shown} | _next([thing.name for thing in things], most))

    @flask.get("/endpoint")
    def describe_endpoint() -> Response:
        kind = request.args.get("endpointType", "iot:Data-ATS")
        if kind not in ("iot:Data", "iot:Data-ATS"):
            raise Rejected(400, f"endpointType: expected iot:Data-ATS or iot:Data, got {kind!r}")
        return _json({"endpointAddress": request.host})


def _add_types(flask: Flask, registry: Registry) -> None:
    @flask.post("/thing-types/<part:name>")
    def create_thing_type(name: str) -> Response:
        properties = _field(_body(), "thingTypeProperties", dict) or {}
        description = _field(properties, "thingTypeDescription", str) or ""
        searchable = _field(properties, "searchableAttributes", list) or []
        if not all(isinstance(attribute, str) for attribute in searchable):
            raise Rejected(400, f"searchableAttributes: expected strings, got {searchable!r}")
        there = registry.create_type(name, description=description, searchable=tuple(searchable))
        return _json({"thingTypeName": name, "thingTypeArn": arn("thingtype", name), "thingTypeId": there.id})

    @flask.get("/thing-types/<part:name>")
    def describe_thing_type(name: str) -> Response:
        there = registry.describe_type(name)
        return _json({**_type(there), "thingTypeId": there.id})

    @flask.post("/thing-types/<part:name>/deprecate")
    def deprecate_thing_type(name: str) -> Response:
        registry.deprecate_type(name, undo=_field(_body(), "undoDeprecate", bool) or False)
        return _json({})

    @flask.delete("/thing-types/<part:name>")
    def delete_thing_type(name: str) -> Response:
        registry.delete_type(name)
        return _json({})

    @flask.get("/thing-types")
    def list_thing_types() -> Response:
        most = _number("maxResults", 1, MAX_PAGE, MAX_PAGE)
        name = request.args.get("thingTypeName", "")
        types = registry.types(name=name, after=_after(), most=most + 1)
        return _json(
            {"thingTypes": [_type(each) for each in types[:most]]}
            | _next([each.name for each in types], most)
        )


def _entry(thing: Thing) -> JsonObject:
    kind = {"thingTypeName": thing.type} if thing.type else {}
    head = {"thingName": thing.name, **kind, "thingArn": arn("thing", thing.name)}
    return head | {"attributes": thing.attributes, "version": thing.version}


def _type(kind: ThingType) -> JsonObject:
    return {
        "thingTypeName": kind.name,
        "thingTypeArn": arn("thingtype", kind.name),
        "thingTypeProperties": {  # what was not given is not shown, as on AWS
            **({"thingTypeDescription": kind.description} if kind.description else {}),
            **({"searchableAttributes": list(kind.searchable)} if kind.searchable else {}),
        },
        "thingTypeMetadata": _lifetime(kind),
    }


def _lifetime(kind: ThingType) -> JsonObject:
    if kind.deprecated_at is None:
        return {"deprecated": False, "creationDate": kind.at}
    return {"deprecated": True, "deprecationDate": kind.deprecated_at, "creationDate": kind.at}


def _change(body: JsonObject) -> Change:
    kind, remove = _field(body, "thingTypeName", str), _field(body, "removeThingType", bool)
    if kind and remove:
        raise Rejected(400, f"removeThingType: expected false beside a thingTypeName, got true and {kind!r}")
    payload = _field(body, "attributePayload", dict) or {}
    return Change(
        type="" if remove else kind,
        attributes=_attributes(payload),
        merge=_field(payload, "merge", bool) or False,
        expected=_field(body, "expectedVersion", int),
    )


def _filter() -> Filter:
    name, value = request.args.get("attributeName", ""), request.args.get("attributeValue")
    if value is not None and not name:
        raise Rejected(
            400, f"attributeName: expected the name of the attribute that has the value {value!r}, got none"
        )
    return Filter(
        type=request.args.get("thingTypeName", ""),
        attribute=name,
        value=value,
        prefix=_flag("usePrefixAttributeValue"),
    )


# --- Reading requests


def _body() -> JsonObject:
    if not (payload := request.get_data()):
        return {}
    body = parse_json(payload)
    if not isinstance(body, dict):
        raise Rejected(400, "body: expected a JSON object")
    return body


def _field(body: JsonObject, name: str, kind: type[T]) -> T | None:
    value = body.get(name)
    if value is not None and type(value) is not kind:
        raise Rejected(400, f"{name}: expected {KINDS[kind]}, got {str(value)[:200]!r}")
    return value


def _attributes(payload: JsonObject) -> Mapping[str, str] | None:
    attributes = _field(payload, "attributes", dict)
    for name in attributes or {}:
        _field(attributes or {}, name, str)
    return attributes and {name: value or "" for name, value in attributes.items()}


def _number(name: str, least: int, most: int, otherwise: int) -> int:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
        raise Rejected(400, f"{name}: expected an integer from {least} to {most}, got {text[:200]!r}")
    return int(text)


def _after() -> str:
    """What the page before ended with: a token hides it, for a topic, and a name without its limits, may hold anything."""
    token = request.args.get("nextToken", "")
    try:
        return base64.b64decode(token, b"-_", validate=True).decode()
    except ValueError:
        raise Rejected(400, f"nextToken: expected one that a page before gave, got {token[:200]!r}") from None


def _decoded(header: str) -> bytes | None:
    """What a header has in base64; None if it is not there."""
    if (text := request.headers.get(header)) is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Rejected(400, f"{header}: expected base64, got {text[:200]!r}") from None


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _flag(name: str) -> bool:
    text = request.args.get(name, "false")
    if text.lower() not in ("true", "false"):
        raise Rejected(400, f"{name}: expected true or false, got {text[:200]!r}")
    return text.lower() == "true"


class _Part(BaseConverter):
    """One part of a path that is still encoded: a %2F in it does not divide it."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)


class _Rest(_Part):
    """All that is left of a path, encoded or with plain slashes."""

    regex = ".+"
    part_isolating = False


def _undecoded(inner: WSGIApplication) -> WSGIApplication:
    """Route on the path as it was sent: decoded, "a%2Fshadow" would be another thing's shadow."""

    def outer(environ: WSGIEnvironment, start: StartResponse) -> Any:
        environ["PATH_INFO"] = (
            re.sub(r"^[A-Za-z]+://[^/]*", "", environ["REQUEST_URI"]).partition("?")[0] or "/"
        )
        return inner(environ, start)

    return outer


# --- Answers


def _json(answer: JsonObject, code: int = 200) -> Response:
    return _answer(encode(answer), code)


def _answer(payload: bytes, code: int = 200) -> Response:
    return Response(payload, code, mimetype="application/json")


def _next(names: list[str], most: int) -> JsonObject:
    """The token of the next page is made of the last name of this one; the last page has none."""
    more = len(names) > most
    return {"nextToken": base64.urlsafe_b64encode(names[most - 1].encode()).decode()} if more else {}


def _name() -> None:
    g.request_id = str(uuid.uuid4())


def _guard() -> None:
    if not LOOPBACK.fullmatch(request.headers.get("Host", "")):
        raise Rejected(
            403,
            f"Host: expected localhost, 127.0.0.1 or [::1], got {request.headers.get('Host', '')[:200]!r}",
        )
    if "Origin" in request.headers:
        raise Rejected(403, "Origin: expected none, web pages may not come here")
    if brought := [name for name in BROUGHT_BY if name in request.headers]:
        raise Rejected(403, f"{brought[0]}: expected none, nobody may come here through a proxy or a tunnel")


def _named(response: Response) -> Response:
    response.headers["x-amzn-RequestId"] = g.request_id
    return response


class _NotServed(Rejected):
    """A call that there is on AWS, or nowhere: whoever asks whether something is there must not take it for "no"."""

    def __init__(self) -> None:
        super().__init__(404, f"{request.method} {request.path[:200]} is not served here")


def _refused(no: Rejected) -> Response:
    match no:
        case _NotServed():  # as AWS's services name what is none of their operations
            name, more = "UnknownOperationException", {}
        case AlreadyExists():
            name, more = "ResourceAlreadyExistsException", {"resourceId": no.id, "resourceArn": no.arn}
        case VersionConflict():
            name, more = "VersionConflictException", {}
        case _:
            name, more = EXCEPTIONS.get(no.code, "InternalFailureException"), {}
    response = _json({**_words(no), **more}, no.code)
    response.headers["x-amzn-ErrorType"] = (
        f"{name}:"  # with a colon, as AWS does; without the header boto3 takes "code"
    )
    return response


def _words(no: Rejected) -> JsonObject:
    """The body of a refusal: AWS's shadows, its registry, and the rest of its data plane each have their own."""
    if SHADOW.fullmatch(request.path):
        return {"code": no.code, "message": no.message}
    return {"message": no.message} | ({} if REGISTRY.fullmatch(request.path) else {"traceId": g.request_id})


def _wrong(no: HTTPException) -> Response:
    if no.code == 404:
        return _refused(_NotServed())
    text = TOO_LARGE if no.code == 413 else no.description or ""
    response = _refused(Rejected(no.code or 500, text))
    if allowed := getattr(no, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _crashed(_bug: Exception) -> Response:
    log.exception("a bug in the answer to %s %s", request.method, request.path)
    return _refused(Rejected(500, "Internal service failure"))
