"""The shadow algebra: documents, what a request does to them, and what is said about it. Pure.

Sources: AWS IoT Core Developer Guide, "Device Shadow service documents" and "Device Shadow MQTT topics"; where the
guide is silent, Greengrass's local shadow manager, which is AWS's own imitation of the service.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow

SECTIONS: Final = ("desired", "reported")
MAX_STATE_BYTES: Final = 8192  # of both sections as compact JSON; metadata is not counted
MAX_REQUEST_BYTES: Final = (
    128 * 1024
)  # what a publish may carry: nulls and spaces count here, not in the state
TOO_LARGE: Final = "The payload exceeds the maximum size allowed"
MAX_TOKEN_BYTES: Final = 64
# AWS's quota page says 8, its error text and Greengrass say 6. What passes here must pass there: the smaller one.
MAX_DEPTH: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request, and the state that it leads to, may measure."""

    state_bytes: int = MAX_STATE_BYTES
    request_bytes: int = MAX_REQUEST_BYTES
    token_bytes: int = MAX_TOKEN_BYTES
    depth: int = MAX_DEPTH


AWS: Final = Bounds()

_CONTAINERS: Final = (
    dict,
    list,
)  # a tuple: "dict | list" would be made anew for each value that is looked at

# Made once: json.dumps makes one for each call that wants anything special.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One shadow at one version.

    Attributes:
        state: ``{"desired"?: {…}, "reported"?: {…}}``; a section is there only while it has a key.
        metadata: mirrors ``state``; each leaf is ``{"timestamp": seconds}`` of the last update that named it.
        version: 1 for the first update.
        text: all three as JSON, the way update/documents shows them. It is kept, stored and sent as it is: encoding it
            anew each time would cost as much as all the rest of an update.
    """

    state: JsonObject
    metadata: JsonObject
    version: int
    text: str

    @classmethod
    def read(cls, text: str) -> Self:
        """A document from its text."""
        return cls(**json.loads(text), text=text)

    @property
    def delta(self) -> JsonObject:
        """What is desired and not reported; ``{}`` if nothing."""
        return delta(self.state.get("desired", {}), self.state.get("reported", {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """An update as it was asked for, checked.

    Attributes:
        state: ``{"desired"?: {…} | None, "reported"?: {…} | None}``; None clears both sections.
        version: the version that the sender believes is current; None if any will do.
        token: the sender's clientToken, echoed in every answer; None if it gave none.
    """

    state: JsonObject | None
    version: int | None = None
    token: str | None = None


# --- The algebra


def merge(base: JsonObject, patch: JsonObject) -> JsonObject:
    """``base`` with ``patch`` laid over it: objects key by key, null removes, anything else replaces."""
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif not isinstance(value, dict):
            merged[key] = value
        elif isinstance(old := base.get(key), dict):
            merged[key] = merge(old, value)
        elif (new := merge({}, value)) or not value or key in base:
            merged[key] = (
                new  # a new key with nothing but nulls in it stays absent; an empty object is a value
            )
    return merged


def delta(desired: JsonObject, reported: JsonObject) -> JsonObject:
    """The part of ``desired`` that ``reported`` lacks or has otherwise. Arrays are whole; empty leftovers do not show."""
    wanted: JsonObject = {}
    for key, want in desired.items():
        have = reported.get(key)
        if isinstance(want, dict) and isinstance(have, dict):
            if inner := delta(want, have):
                wanted[key] = inner
        elif not same(want, have):
            wanted[key] = want
    return wanted


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal. Kinds count: ``true`` is not 1 (in Python it is), but 1 is 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def stamp(value: Any, now_s: int) -> Any:
    """``value`` with ``{"timestamp": now_s}`` in place of every leaf, also of those inside arrays."""
    return _stamped(value, {"timestamp": now_s})


def _stamped(value: Any, leaf: JsonObject) -> Any:
    """All leaves are one object: nobody changes it, and it need not be made a hundred times."""
    if isinstance(value, dict):
        return {
            key: _stamped(inner, leaf) if isinstance(inner, _CONTAINERS) else leaf
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_stamped(inner, leaf) for inner in value]
    return leaf


def _restamp(state: JsonObject, patch: JsonObject, before: JsonObject, leaf: JsonObject) -> JsonObject:
    """The metadata of ``state``: what ``patch`` names is of now, the rest keeps its time from ``before``.

    It is led by the state alone: an attribute may itself be called "timestamp", so metadata cannot tell its leaves.
    """
    metadata: JsonObject = {}
    for key, value in state.items():
        if key not in patch:
            metadata[key] = before[key]
        elif isinstance(value, dict):
            older = before.get(key)
            metadata[key] = _restamp(value, patch[key], older if isinstance(older, dict) else {}, leaf)
        else:
            metadata[key] = _stamped(value, leaf)
    return metadata


def _cut(metadata: JsonObject, part: JsonObject) -> JsonObject:
    """The metadata of a part of a state."""
    return {
        key: _cut(metadata[key], value) if isinstance(value, dict) else metadata[key]
        for key, value in part.items()
    }


def apply(
    document: Document | None, request: UpdateRequest, now_s: int, *, version: int = 0, bounds: Bounds = AWS
) -> Document:
    """The document after an update.

    ``version`` is the last one of a shadow that was deleted lately: a new document of its name counts on from there.

    Raises:
        Rejected: 409, if the request names a version that is not current; 413, if the state would be too large.
    """
    # A shadow that does not exist has no version to match; whether AWS takes 0 or 1 here nobody has seen.
    if request.version is not None and (document is None or request.version != document.version):
        raise Rejected(409, "Version conflict")
    patch = dict.fromkeys(SECTIONS) if request.state is None else request.state
    merged = merge(document.state if document else {}, patch)
    state = {section: merged[section] for section in SECTIONS if merged.get(section)}
    state_text = _ENCODER.encode(state)
    if len(state_text.encode()) > bounds.state_bytes:
        raise Rejected(413, TOO_LARGE)
    metadata = _restamp(state, patch, document.metadata if document else {}, {"timestamp": now_s})
    version = (document.version if document else version) + 1
    text = f'{{"state":{state_text},"metadata":{_ENCODER.encode(metadata)},"version":{version}}}'
    return Document(state=state, metadata=metadata, version=version, text=text)


# --- Requests


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return _ENCODER.encode(value).encode()


def parse_json(payload: bytes) -> Any:
    """Strict JSON in UTF-8: no NaN, no number beyond a double, no lone surrogate, nothing too deep to walk.

    Raises:
        Rejected: 415 for another encoding, 400 for anything else that is not JSON.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise Rejected(415, "Unsupported documented encoding; supported encoding is UTF-8") from None
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            encode(value)  # a lone surrogate parses, but can never be sent on
    except (ValueError, RecursionError):
        raise Rejected(400, "Invalid JSON") from None
    return value


def parse_request(payload: bytes, bounds: Bounds = AWS) -> UpdateRequest:
    """Read an update: ``{"state": {"desired"?: {…} | null, "reported"?: {…} | null} | null, "clientToken"?, "version"?}``.

    Raises:
        Rejected: 400, 413 or 415, in the words of AWS's "Device Shadow error messages".
    """
    if len(payload) > bounds.request_bytes:
        raise Rejected(413, TOO_LARGE)
    request = parse_json(payload)
    if not isinstance(request, dict):
        raise Rejected(400, "Invalid JSON")
    token = _checked_token(request, bounds)
    if "state" not in request:
        raise Rejected(400, "Missing required node: state")
    _check_state(request["state"], bounds)
    version = request.get("version")
    if "version" in request and type(version) is not int:  # a bool is an int in Python
        raise Rejected(400, "Invalid version")
    return UpdateRequest(state=request["state"], version=version, token=token)


def parse_get(payload: bytes, bounds: Bounds = AWS) -> str | None:
    """Read a get, which may be empty, and else is any JSON; the answer is its clientToken, None if it has none.

    Raises:
        Rejected: 400 or 415, in the same words.
    """
    request = parse_json(payload) if payload else None
    return _checked_token(request, bounds) if isinstance(request, dict) else None


def token_of(payload: bytes, bounds: Bounds = AWS) -> str | None:
    """The clientToken of any request, also of one that is refused; None if it has none that can be echoed."""
    try:
        request = parse_json(payload)
    except Rejected:
        return None
    token = request.get("clientToken") if isinstance(request, dict) else None
    return token if _is_token(token, bounds) else None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


def _whole(digits: str) -> int:
    if len(digits) > 308:  # only then can it be too much for a double, which is all that JavaScript has
        _finite(digits)
    return int(digits)


# Made once, as the encoder.
_DECODER: Final = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite, parse_int=_whole)


def _checked_token(request: JsonObject, bounds: Bounds) -> str | None:
    if "clientToken" in request and not _is_token(request["clientToken"], bounds):
        raise Rejected(400, "Invalid clientToken")
    return request.get("clientToken")


def _is_token(token: Any, bounds: Bounds) -> bool:
    return isinstance(token, str) and len(token.encode()) <= bounds.token_bytes


def _check_state(state: Any, bounds: Bounds) -> None:
    if state is None:
        return
    if not isinstance(state, dict):
        raise Rejected(400, "State node must be an object")
    for section, value in state.items():
        if section not in SECTIONS:
            raise Rejected(400, f"State contains an invalid node: '{section}'")
        if value is not None and not isinstance(value, dict):
            raise Rejected(400, f"{section.title()} node must be an object")
    levels = list(_levels(state))
    if any(isinstance(node, list) and None in node for level in levels for node in level):
        raise Rejected(400, "State contains an invalid node: an array must not contain null")
    if len(levels) > bounds.depth:
        raise Rejected(400, f"JSON contains too many levels of nesting; maximum is {bounds.depth}")


def _levels(state: JsonObject) -> Iterator[list[JsonObject | list[Any]]]:
    """The objects and arrays below ``state``, level by level; the sections are the first. No recursion: it may be deep."""
    level: list[JsonObject | list[Any]] = [state]
    while level := [
        inner
        for node in level
        for inner in (node.values() if isinstance(node, dict) else node)
        if isinstance(inner, _CONTAINERS)
    ]:
        yield level


# --- Answers: payloads, with their members in AWS's order


def get_accepted(document: Document, now_s: int, token: str | None = None) -> bytes:
    """The answer of get: the whole document, with its delta if there is one."""
    left = document.delta
    state = document.state | ({"delta": left} if left else {})
    head = {"state": state, "metadata": document.metadata, "version": document.version, "timestamp": now_s}
    return encode(head | _echo(token))


def get_shown(state: str, version: int, now_s: int) -> bytes:
    """The same without what can be left out of it, from the state as JSON."""
    return f'{{"state":{state},"version":{version},"timestamp":{now_s}}}'.encode()


def update_accepted(request: UpdateRequest, version: int, now_s: int) -> bytes:
    """The answer of update: what was asked for, nulls included, not the document it led to."""
    metadata = stamp(request.state, now_s)
    head = {"state": request.state, "metadata": metadata, "version": version, "timestamp": now_s}
    return encode(head | _echo(request.token))


def update_delta(document: Document, now_s: int, token: str | None = None) -> bytes | None:
    """What update/delta says: all that is left to do, with the times at which it was desired; None if nothing is."""
    left = document.delta
    if not left:
        return None
    metadata = _cut(document.metadata["desired"], left)
    head = {"version": document.version, "timestamp": now_s, "state": left, "metadata": metadata}
    return encode(head | _echo(token))


def update_documents(
    previous: Document | None, current: Document, now_s: int, token: str | None = None
) -> bytes:
    """What update/documents says: the document before (null if there was none) and after."""
    before, tail = previous.text if previous else "null", encode({"timestamp": now_s} | _echo(token))
    return f'{{"previous":{before},"current":{current.text},'.encode() + tail[1:]


def delete_accepted(version: int, now_s: int, token: str | None = None) -> bytes:
    """The answer of delete, with the version of the document that was deleted."""
    return encode({"version": version, "timestamp": now_s} | _echo(token))


def rejected(no: Rejected, token: str | None = None) -> bytes:
    """The answer to a refused request. The guide allows a timestamp here; the real answers that were seen have none."""
    return encode({"code": no.code, "message": no.message} | _echo(token))


def _echo(token: str | None) -> JsonObject:
    return {} if token is None else {"clientToken": token}


# --- What a client of ours sends, and reads


def update_payload(
    *, desired: JsonObject | None = None, reported: JsonObject | None = None, version: int | None = None
) -> bytes:
    """The body of an update. A section that is None is not sent.

    Numbers and surrogates that no JSON may hold are written as they are, so that the service refuses them, in its words.
    """
    sections = zip(SECTIONS, (desired, reported), strict=True)
    state = {section: value for section, value in sections if value is not None}
    return json.dumps({"state": state} | ({} if version is None else {"version": version})).encode()


def shadow_of(payload: bytes) -> Shadow:
    """The shadow in an answer of get."""
    found = json.loads(payload)
    state = found["state"]
    return Shadow(
        desired=state.get("desired", {}), reported=state.get("reported", {}), version=found["version"]
    )


def version_of(payload: bytes) -> int:
    """The version in an answer of update."""
    return int(json.loads(payload)["version"])
