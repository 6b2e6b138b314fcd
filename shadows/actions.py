"""A click that starts something instead of calling somebody: a Lambda function, a webhook, a message on a topic.

What it starts stands in the registry alone, which no device can write. ``desired.actions`` of the button's shadow says
what is asked for, ``reported.action`` what the last came to. So here, too, the delta is the outbox: what stands in it is
to be done, by whoever starts after a crash.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from ulid import ULID

from shadows.calls import Place, rewrite_shadow
from shadows.document import parse_json
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow, Thing
from shadows.staff import ClickType, Key

LONGEST: Final = 590  # bytes: in base64 as much as an attribute holds
WAITING: Final = 8  # of one button
SEEN_KEPT: Final = 16
GIVE_UP_MS: Final = 600_000  # what was asked for so long ago would surprise somebody
STORED: Final = "do:"  # before the attribute of a click that starts something

_FUNCTION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9a-f:]+\]")
# What begins so is AWS's, or says something to us: a click that published there could press a button, or speak to a screen.
OURS: Final = ("$", "staffcall/", "iotbutton/", "kiosk/")
_LEVELS: Final = 8


class Kind(StrEnum):
    """What a click may start."""

    LAMBDA = "lambda"
    WEBHOOK = "webhook"
    TOPIC = "topic"


class Result(StrEnum):
    """What came of it."""

    ACCEPTED = "accepted"  # whoever is to do it has taken it
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a click starts; written ``lambda:NAME {json}``, ``webhook:https://… {json}`` or ``topic:a/b {json}``.

    Attributes:
        target: name of the function, address, or topic.
        payload: a JSON object.
    """

    kind: Kind
    target: str = field(repr=False)
    payload: JsonObject = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, text: str) -> Self | None:
        """Read one; None for what is none, such as somebody's id. ``name`` is what complaints call it.

        Raises:
            Rejected: 400, for a target or a payload that cannot be one.
        """
        kind, colon, rest = text.strip().partition(":")
        if not colon or kind not in list(Kind):
            return None
        target, _, payload = rest.partition(" ")
        _TARGETS[Kind(kind)](name, target)
        made = cls(kind=Kind(kind), target=target, payload=_payload(name, payload))
        if (length := len(made.text.encode())) > LONGEST:
            raise Rejected(400, f"{name}: expected at most {LONGEST} bytes, got {length}")
        return made

    @property
    def text(self) -> str:
        """As it is written."""
        written = json.dumps(self.payload, ensure_ascii=False, separators=(", ", ": "))
        return f"{self.kind}:{self.target}" + (f" {written}" if self.payload else "")

    @property
    def label(self) -> str:
        """All of it that may be shown anywhere: a webhook's path may be a secret."""
        return f"{self.kind}:{self.where}"

    @property
    def where(self) -> str:
        """The target; of a webhook its host."""
        return (urlsplit(self.target).hostname or "") if self.kind is Kind.WEBHOOK else self.target


def _function(name: str, target: str) -> None:
    if not _FUNCTION.fullmatch(target):
        raise Rejected(400, f"{name}: expected a function's name after lambda:, got {target[:80]!r}")


def _address(name: str, target: str) -> None:
    expected = Rejected(400, f"{name}: expected https://host/… or http://host/… after webhook:")
    try:
        parts = urlsplit(target)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.port == 0:
            raise expected
    except ValueError:
        raise expected from None
    if not all("!" <= each <= "~" for each in target):
        raise expected


def _topic(name: str, target: str) -> None:
    levels = target.split("/")
    if not 1 <= len(target.encode()) <= 256 or len(levels) > _LEVELS or not target.isprintable():
        raise Rejected(
            400, f"{name}: expected 1 to 256 bytes and {_LEVELS} levels after topic:, got {target[:80]!r}"
        )
    if "+" in target or "#" in target:
        raise Rejected(400, f"{name}: expected a topic without + and #, got {target[:80]!r}")
    if target.startswith(OURS):
        raise Rejected(400, f"{name}: expected a topic that is not below {', '.join(OURS)}, got {target!r}")


_TARGETS: Final[Mapping[Kind, Callable[[str, str], None]]] = {
    Kind.LAMBDA: _function,
    Kind.WEBHOOK: _address,
    Kind.TOPIC: _topic,
}


def _payload(name: str, text: str) -> JsonObject:
    try:
        payload: Any = parse_json(text.strip().encode("utf-8", "surrogatepass") or b"{}")
    except Rejected:
        payload = None
    if not isinstance(payload, dict):
        raise Rejected(400, f"{name}: expected a JSON object behind the target, got {text.strip()[:80]!r}")
    return payload


# --- In the registry


def stored(reference: str) -> str:
    """What a click does, as an attribute: JSON has characters that AWS keeps in none."""
    action = Action.read("click", reference)
    return STORED + base64.urlsafe_b64encode(action.text.encode()).decode() if action else reference


def written(attribute: str) -> str:
    """The same backwards."""
    if not attribute.startswith(STORED):
        return attribute
    return base64.urlsafe_b64decode(attribute.removeprefix(STORED)).decode()


def action_of(button: Thing, click: str) -> Action | None:
    """What a click of a button starts; None if it calls somebody. A click of no own does what a single one does."""
    attribute = button.attributes.get(click.lower()) or button.attributes.get("single", "")
    return Action.read(click.lower(), written(attribute)) if attribute.startswith(STORED) else None


def starts_something(button: Thing) -> bool:
    """Whether any click of a button does."""
    return any(button.attributes.get(each.lower(), "").startswith(STORED) for each in ClickType)


# --- What may be started


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What buttons may start: what whoever runs the place has named; whatever is registered, if they have named nothing.

    Attributes:
        each: ``lambda:NAME``, ``webhook:HOST``, ``topic:a/b`` or ``topic:a/#``.
    """

    each: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Read names with spaces or commas between them.

        Raises:
            Rejected: 400, for one that cannot be.
        """
        names = tuple(dict.fromkeys(re.findall(r"[^\s,]+", text)))
        for name in names:
            _allowable(name)
        return cls(each=names)

    def __str__(self) -> str:
        """As :meth:`read` reads it."""
        return ",".join(self.each)

    def of(self, kind: Kind) -> tuple[str, ...]:
        """The names of one kind, bare."""
        return tuple(name.partition(":")[2] for name in self.each if name.startswith(f"{kind}:"))

    def lets(self, action: Action) -> bool:
        """Whether an action may be started."""
        return not self.each or self.has(action)

    def has(self, action: Action) -> bool:
        """Whether an action is among them."""
        named, where = self.of(action.kind), action.where
        if action.kind is Kind.TOPIC:
            return any(
                where == each or (each.endswith("/#") and where.startswith(each[:-1])) for each in named
            )
        return where in named


def _allowable(name: str) -> None:
    kind, _, target = name.partition(":")
    if kind == Kind.WEBHOOK and not _HOST.fullmatch(target):
        raise Rejected(400, f"{name[:80]}: expected webhook: and a host")
    if kind == Kind.LAMBDA:
        _function(name[:80], target)
    elif kind == Kind.TOPIC:
        _topic(name[:80], target.removesuffix("/#"))
    elif kind != Kind.WEBHOOK:
        raise Rejected(400, f"{name[:80]}: expected {', '.join(f'{each}:' for each in Kind)} before a name")


# --- What is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """That a click's action be done, once.

    Attributes:
        id: of this press, the same at each try.
        at: when it was pressed, ms since 1970.
    """

    id: str
    click: str
    booth: str
    at: int


def ask(
    place: Place, thing: str, key: Key, *, click: ClickType, booth: str, noted: JsonObject
) -> tuple[str, bool]:
    """Ask for a click's action; when this returns that is durable.

    Args:
        place: where we run.
        thing: the button.
        key: of the press.
        click, booth: what was pressed, and where.
        noted: what else its shadow is to say of the press.

    Returns:
        The id of the order, and whether this press was taken before.

    Raises:
        Rejected: 429, if as many of this button wait as can be kept; 503, if others kept writing to its shadow.
    """

    def decide(shadow: Shadow) -> tuple[JsonObject, tuple[str, bool]]:
        now, seen, waiting = place.clock(), _seen(shadow), orders(shadow)
        if before := next((id for id, entry in seen if key.in_((entry,), now)), ""):
            return {}, (before, True)
        if len(waiting) >= WAITING:
            raise Rejected(
                429, f"button: {WAITING} presses of {thing.removeprefix('button-')} wait to be done"
            )
        order = Order(id=str(ULID.from_timestamp(now / 1000)), click=click, booth=booth, at=now)
        kept = [*(f"{id}:{entry.partition(':')[2]}" for id, entry in seen), f"{order.id}:{key.digest}"]
        return {
            "desired": {"actions": [asdict(each) for each in (*waiting, order)]},
            "reported": {**noted, "seen": kept[-SEEN_KEPT:]},
        }, (order.id, False)

    try:
        return rewrite_shadow(place, thing, decide)
    except Rejected as no:
        if no.code != 404:
            raise
    # Two first presses would else not know of each other. Not all that is noted: one that a death cuts off here must be taken
    # when it comes again.
    place.shadows.update(thing, reported={"click": click})
    return rewrite_shadow(place, thing, decide)


def orders(shadow: Shadow) -> tuple[Order, ...]:
    """What is asked for and not done, oldest first; what is none, and a device may have written, is left out."""
    listed = shadow.desired.get("actions")
    found = (_order(each) for each in (listed if isinstance(listed, list) else ()))
    return tuple(each for each in found if each)


def waiting_at(place: Place, thing: str) -> tuple[Order, ...]:
    """The same of a thing; none of one without a shadow."""
    try:
        return orders(place.shadows.get(thing))
    except Rejected as no:
        if no.code != 404:
            raise
        return ()


def _order(said: Any) -> Order | None:
    if not isinstance(said, dict):
        return None
    id, click, booth, at = (said.get(name) for name in ("id", "click", "booth", "at"))
    texts = all(isinstance(each, str) for each in (id, click, booth))
    if not texts or not re.fullmatch(r"[0-9A-Z]{26}", str(id)) or type(at) is not int:
        return None
    return Order(id=str(id), click=str(click), booth=str(booth), at=at) if click in list(ClickType) else None


def _seen(shadow: Shadow) -> list[tuple[str, str]]:
    """Of each press that was taken the id of its order, and when and what it was, as :meth:`Key.in_` has it."""
    listed, found = shadow.reported.get("seen"), []
    for each in listed if isinstance(listed, list) else ():
        id, _, digest = str(each).partition(":")
        if re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", id):
            found.append((id, f"{ULID.from_str(id).milliseconds}:{digest}"))
    return found


# --- How it is done


class NotDone(Exception):  # noqa: N818 - a state of the order, not a fault of ours
    """Something was not started.

    Attributes:
        reason: what kept us from it; never a secret, or an address.
        passes: whether it may go well later.
        retry_after_s: how long we were asked to wait; None if we were not.
    """

    def __init__(self, reason: str, *, passes: bool, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.passes, self.retry_after_s = reason, passes, retry_after_s


class Doer(Protocol):
    """How things are started."""

    def start(self, action: Action, order: Order) -> None:
        """Start one, within bounded time; ``order.id`` goes with it, so that a repeat can be known.

        Raises:
            NotDone: it was not taken, or nobody knows.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What goes on record of one try.

    Attributes:
        what: the action, as it may be shown anywhere; "" if the click has none any more.
        reason: why it failed; "" if it did not.
        passes: whether it is tried again.
    """

    thing: str
    order: Order
    what: str
    result: Result
    reason: str = ""
    passes: bool = False
    took_ms: int = 0


Note = Callable[[Tried], None]


def do(place: Place, thing: str, id: str, doer: Doer, note: Note) -> None:
    """Do what one press asks for, unless that is done, and report what came of it.

    A death between the two has it done once more, with the same id. What could not be done for ten minutes is given up.

    Raises:
        NotDone: try again.
        Rejected: 404, if there is no such button any more; 503, if others kept writing to its shadow.
    """
    order = next((each for each in waiting_at(place, thing) if each.id == id), None)
    if order is None:
        return
    action, began = action_of(place.things.get(thing), order.click), time.monotonic()
    no: NotDone | None = None
    try:
        if action is None:
            raise NotDone(f"its {order.click} click starts nothing any more", passes=False)
        if place.clock() - order.at > GIVE_UP_MS:
            raise NotDone("given up: it was pressed ten minutes ago", passes=False)
        doer.start(action, order)
    except NotDone as refused:
        no = refused
    tried = Tried(
        thing=thing,
        order=order,
        what=action.label if action else "",
        result=Result.FAILED if no else Result.ACCEPTED,
        reason=no.reason if no else "",
        passes=bool(no and no.passes),
        took_ms=round(1000 * (time.monotonic() - began)),
    )
    note(tried)  # before it is reported: a death between the two leaves the record
    if no and no.passes:
        if no.retry_after_s:  # by then it is given up, and that is said
            no.retry_after_s = min(no.retry_after_s, max(0.0, (order.at + GIVE_UP_MS - place.clock()) / 1000))
        raise no
    _report(place, tried)


def _report(place: Place, tried: Tried) -> None:
    """Take an order out of what is asked for, and say what came of it, in one write."""
    came = {**asdict(tried.order), "what": tried.what, "result": tried.result, "reason": tried.reason}

    def decide(shadow: Shadow) -> tuple[JsonObject, None]:
        left = [asdict(each) for each in orders(shadow) if each.id != tried.order.id]
        reported = {"action": {**came, "done": place.clock()}}
        return {"desired": {"actions": left or None}, "reported": reported}, None

    rewrite_shadow(place, tried.thing, decide)


def shown(reference: str) -> str:
    """Whom a click calls, or what it starts, with its payload; not the path of a webhook."""
    action = Action.read("click", reference)
    if action is None:
        return reference
    payload = f" {json.dumps(action.payload, ensure_ascii=False)}" if action.payload else ""
    return action.label + payload
