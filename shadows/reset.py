"""The timed reset: when a state ends by itself, and when who was called is reminded.

The deadline is in the shadow; an alarm is only the clock's bell.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Final, Self

from shadows import alerts
from shadows.calls import OPEN, Heard, Place, attributes, read, record, rewrite, somebody_goes, take_next
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow
from shadows.staff import (
    AHEAD_MS,
    BUSY,
    GONE_AFTER_MS,
    LATE_MS,
    LONGEST_MS,
    CallEvent,
    Event,
    Staff,
    StaffState,
    changes,
    shifted,
)

EXPIRES_AFTER_MS: Final = 600_000
NOTE_KEPT_MS: Final = 600_000  # after the end of its call
A_YEAR_S: Final = 31_536_000  # longer is a slip, and more than an alarm can hold
_FIELD: Final = {StaffState.CALLING: "callingSeconds", StaffState.RUNNING: "runningSeconds"}
_ALERT_FIELD: Final = "alertSeconds"
TIMES: Final = (*_FIELD.values(), _ALERT_FIELD)  # of a booth's shadow: by these the alarms of its calls ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A timer's message: what it was set for. It does nothing if the shadow is elsewhere by then.

    Shape: ``{"thing": "staff-hana", "call": "01JD…", "state": "calling", "since": 1793235600123}``.
    """

    thing: str
    call: str
    state: str
    since: int

    @classmethod
    def of(cls, thing: str, staff: Staff) -> Self | None:
        """The alarm that a person's state may need; None if nothing comes of it by itself."""
        if staff.state not in BUSY and not staff.nobody_left and not _comes_back(staff):
            return None
        return cls(thing=thing, call=staff.call.id, state=staff.state, since=staff.asked.since)

    @classmethod
    def read(cls, raw: JsonObject) -> Self:
        """Read a timer's message.

        Raises:
            Rejected: 400, naming the field that is missing or of another kind.
        """
        for name, kind in (("thing", str), ("call", str), ("state", str), ("since", int)):
            if not isinstance(raw.get(name), kind):
                raise Rejected(400, f"{name}: expected {kind.__name__}, got {raw.get(name)!r}")
        return cls(thing=raw["thing"], call=raw["call"], state=raw["state"], since=raw["since"])

    def document(self) -> JsonObject:
        """The message, as JSON has it."""
        return asdict(self)


def rings_at(place: Place, thing: str, staff: Staff) -> int | None:
    """When the alarm of a person's state rings next, ms since 1970; None if nothing comes of it by itself."""
    due = _due(place, thing, staff)
    return due and due[0]


def _due(place: Place, thing: str, staff: Staff) -> tuple[int, CallEvent] | None:
    """When the clock does something about a person's state, and what: first it reminds them, in the end it is over."""
    if staff.state not in BUSY:
        both = (_shout_due(place, thing, staff), _comes_back(staff))
        return min((each for each in both if each), default=None)
    calling, since = staff.state is StaffState.CALLING, staff.asked.since
    usual = place.timing.calling_s if calling else place.timing.running_s
    ends = since + int(1000 * (_booth_seconds(place, staff, _FIELD[staff.state]) or usual))
    if not calling and staff.call.promised:  # they are expected, and a shadow is anybody's text
        ends = max(ends, min(staff.call.promised, since + LONGEST_MS) + LATE_MS)
    reminds = since + int(1000 * place.timing.remind_s)
    if calling and place.clock() < ends:
        before = [(reminds, CallEvent.REMIND)] if not staff.call.reminded and since < reminds < ends else []
        if (alert := _alert_due(place, thing, staff)) is not None and alert < ends:
            before.append((alert, CallEvent.ALERT))
        if before:
            return min(before)
    return ends, CallEvent.MISSED if calling else CallEvent.ENDED


def _alert_due(place: Place, thing: str, staff: Staff) -> int | None:
    """When who is called is to be reached by the next other way."""
    if not place.channels.each:  # nothing needs to be read for that
        return None
    after_s = _booth_seconds(place, staff, _ALERT_FIELD) or place.channels.after_s
    return alerts.due(place, thing, staff, after_s)


def _comes_back(staff: Staff) -> tuple[int, CallEvent] | None:
    """When who is away for a time is here again."""
    return (staff.until, CallEvent.BACK) if staff.state is StaffState.AWAY and staff.until else None


def _shout_due(place: Place, thing: str, staff: Staff) -> tuple[int, CallEvent] | None:
    """Those of the booth heard first that nobody was left; if none of them goes, everybody does."""
    answer_ms, age = int(1000 * place.timing.remind_s), place.clock() - staff.asked.since
    if not staff.nobody_left or staff.call.reminded or age >= GONE_AFTER_MS + answer_ms:
        return None
    heard = Heard.read(attributes(place, thing).get(OPEN, ""))
    if heard is None or heard.everybody or heard.call != staff.call.id:
        return None
    return heard.at + answer_ms, CallEvent.REMIND


def _booth_seconds(place: Place, staff: Staff, name: str) -> float | None:
    try:
        said = place.shadows.get(f"booth-{staff.call.booth}").reported.get(name)
    except Rejected:  # no such booth, or a name that cannot be one: the usual time holds
        return None
    usable = isinstance(said, int | float) and not isinstance(said, bool) and 0 < said <= A_YEAR_S
    return said if usable else None


def ring(place: Place, alarm: Alarm) -> int | None:
    """Do what it is time for: remind who was called, or end the state.

    Returns:
        When to ring again, ms since 1970; None once this state is over.
    """
    try:
        staff = read(place, alarm.thing)
    except Rejected as no:
        if no.code == 404:  # removed meanwhile
            return None
        raise
    if Alarm.of(alarm.thing, staff) != alarm:
        return None
    staff = _on_time(place, alarm.thing, staff)
    return rings_at(place, alarm.thing, staff) if Alarm.of(alarm.thing, staff) == alarm else None


def _on_time(place: Place, thing: str, staff: Staff) -> Staff:
    """Record what it is time for, if anything; the answer is the person as they are then."""
    if somebody_goes(place, thing, staff):
        staff = read(place, thing)
    due = _due(place, thing, staff)
    if due is None or (late := place.clock() - due[0]) < 0:
        return staff
    kind, about = due[1], (staff.call.id, staff.asked.since)
    if kind is CallEvent.ALERT:
        alerts.ask(place, thing, about, alerts.asked_for(staff) + 1)
        return read(place, thing)
    if (
        staff.state in BUSY and kind is not CallEvent.REMIND and late > EXPIRES_AFTER_MS
    ):  # nobody waits any more
        kind = CallEvent.EXPIRED
    record(place, thing, Event(kind=kind, about=about))
    return read(place, thing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the sweep found of one person, and when their alarm rings next, ms since 1970."""

    thing: str
    staff: Staff
    due: int | None


Apply = Callable[[Callable[[str], Found | None], Iterable[str]], Iterable[Found | None]]


def sweep(
    place: Place,
    things: Iterable[str],
    *,
    on_error: Callable[[str, Exception], None],
    apply: Apply = map,
    known: Mapping[str, Shadow] = MappingProxyType({}),
) -> Iterator[Found]:
    """Go over these people: end what is overdue, hand on what waits, forget old notes, and say what is to come.

    Args:
        place: where we run.
        things: their names.
        on_error: hears of one person's shadow that cannot be swept; the others are.
        apply: ``map``, or that of an executor.
        known: shadows that were read just now; the others are read here. What changes meanwhile is decided by what the
            shadow has then, but whom a hand-over calls is not found again: whoever gives this hears of every change.
    """

    def one(thing: str) -> Found | None:
        try:
            return _swept(place, thing, Staff.read(known[thing]) if thing in known else read(place, thing))
        except Exception as error:
            on_error(thing, error)
            return None

    return (found for found in apply(one, things) if found)


def restamp(place: Place, thing: str, by: int) -> Staff:
    """The clock was set by ``by`` ms: what began before that ends when it would have ended. Doing it twice does no more."""

    def decide(staff: Staff) -> tuple[JsonObject, Staff]:
        now, since = place.clock(), staff.asked.since
        began_before = since <= now - by if by > 0 else since > now
        after = shifted(staff, by) if staff.state in BUSY and began_before else staff
        return changes(staff, after), after

    return rewrite(place, thing, decide)


def _swept(place: Place, thing: str, staff: Staff) -> Found:
    ahead = staff.asked.since - place.clock()
    if ahead > AHEAD_MS:  # or its deadline would be as far away as the clock was set back
        staff = restamp(place, thing, -ahead)
    staff = _on_time(place, thing, staff)
    if staff.state not in BUSY and staff.waiting:
        take_next(place, thing)
        staff = read(place, thing)
    if _is_to_be_forgotten(staff, place.clock()):
        staff = _forget_note(place, thing)
    return Found(thing=thing, staff=staff, due=rings_at(place, thing, staff))


def _is_to_be_forgotten(staff: Staff, now: int) -> bool:
    """Whether the note of a call that is over has been in the shadow, where every screen can read it, for long enough."""
    over = staff.state not in BUSY and not staff.untold
    return over and staff.call.note != "" and now - staff.asked.since >= NOTE_KEPT_MS


def _forget_note(place: Place, thing: str) -> Staff:
    def decide(staff: Staff) -> tuple[JsonObject, Staff]:
        if not _is_to_be_forgotten(staff, place.clock()):
            return {}, staff
        asked = replace(staff.asked, call=replace(staff.call, note=""))
        after = replace(staff, asked=asked, told=asked)
        return changes(staff, after), after

    return rewrite(place, thing, decide)
