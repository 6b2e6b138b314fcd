"""The rule book of a call, pure: what a staff shadow says, and what each event makes of it.

``desired`` is what is asked of a person now; ``reported`` is what has reached them, and our book-keeping. Nothing
here looks at a clock, a network or another person's shadow: who stands in for whom is asked in
:mod:`shadows.calls` and handed in as ``to``.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

from ulid import ULID

from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow

LARGEST: Final = 2**53  # as far as JSON's numbers are whole everywhere
SEEN_KEPT: Final = 16
WAITING_KEPT: Final = 8
UNTOLD_FOR_MS: Final = 10_000
GONE_AFTER_MS: Final = 600_000  # who has waited for so long does not wait any more
AHEAD_MS: Final = 2_000  # what began later than this after now, began before the clock was set back
LATE_MS: Final = 60_000  # who promises five minutes may need six
LONGEST_MS: Final = 7_200_000  # from an "ok" on; a promise reaches no further
TRIED_KEPT: Final = 16  # a longer chain of backups would outgrow the 8 KB of a shadow


class StaffState(StrEnum):
    """What a person is asked to be doing: the four looks of a tile."""

    IDLE = "idle"
    CALLING = "calling"
    RUNNING = "running"
    AWAY = "away"


class CallEvent(StrEnum):
    """What can happen to a person's call; also the ``why`` of the state that it made.

    An "ok" of who was called for nothing is one of a volunteer; the state that it makes has the ``why`` of any other.
    A note, like a reminder or an alert, leaves the state and its ``why``.
    """

    PRESS = "press"
    OK = "ok"
    VOLUNTEER = "volunteer"
    NOTE = "note"
    NO = "no"
    REMIND = "remind"
    ALERT = "alert"
    MISSED = "missed"
    ENDED = "ended"
    DONE = "done"
    CANCEL = "cancel"
    AWAY = "away"
    BACK = "back"
    HANDOVER = "handover"
    EXPIRED = "expired"


class End(StrEnum):
    """How a call was over for this person; ``""`` while it is not."""

    OPEN = ""
    MISSED = "missed"
    REFUSED = "refused"
    DONE = "done"
    ENDED = "ended"
    CANCELLED = "cancelled"
    UNAVAILABLE = "unavailable"
    EXPIRED = "expired"


class ClickType(StrEnum):
    """How a button was pressed; each kind may call somebody else."""

    SINGLE = "SINGLE"
    DOUBLE = "DOUBLE"
    LONG = "LONG"


class How(StrEnum):
    """Whom of a group a press calls: all of it at once, each in turn, or the first who is free."""

    ALL = "all"
    TURN = "turn"
    FREE = "free"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Several people whom one button calls; written ``all:hana,sora``, ``turn:…`` or ``free:…``.

    Attributes:
        members: their ids, in their order.
    """

    how: How
    members: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read one; None for what is none."""
        how, colon, members = text.partition(":")
        if not colon or how not in list(How):
            return None
        return cls(how=How(how), members=tuple(filter(None, members.split(","))))

    @property
    def things(self) -> tuple[str, ...]:
        """The members, as things."""
        return tuple(f"staff-{id}" for id in self.members)


_I, _C, _R, _A = StaffState.IDLE, StaffState.CALLING, StaffState.RUNNING, StaffState.AWAY
_E = CallEvent

# Where an event leads, and how it ends the call. A pair that is not here moves nobody.
NEXT: Final[Mapping[tuple[StaffState, CallEvent], tuple[StaffState, End]]] = {
    (_I, _E.PRESS): (_C, End.OPEN),
    (_I, _E.HANDOVER): (_C, End.OPEN),
    (_C, _E.OK): (_R, End.OPEN),
    (_C, _E.NO): (_I, End.REFUSED),
    (_R, _E.NO): (_I, End.REFUSED),
    (_C, _E.DONE): (_I, End.DONE),
    (_R, _E.DONE): (_I, End.DONE),
    (_C, _E.CANCEL): (_I, End.CANCELLED),
    (_R, _E.CANCEL): (_I, End.CANCELLED),
    (_C, _E.MISSED): (_I, End.MISSED),
    (_R, _E.ENDED): (_I, End.ENDED),
    (_C, _E.EXPIRED): (_I, End.EXPIRED),
    (_R, _E.EXPIRED): (_I, End.EXPIRED),
    (_I, _E.AWAY): (_A, End.OPEN),
    (_C, _E.AWAY): (_A, End.UNAVAILABLE),
    (_R, _E.AWAY): (_A, End.DONE),
    (_A, _E.BACK): (_I, End.OPEN),
}
# The ends after which somebody else is asked; with nobody to ask, the whole channel hears of it.
UNANSWERED: Final = frozenset({End.MISSED, End.REFUSED, End.UNAVAILABLE})
BUSY: Final = frozenset({StaffState.CALLING, StaffState.RUNNING})

_Member = TypeVar("_Member", bound=StrEnum)


def _member(kind: type[_Member], value: object, otherwise: _Member) -> _Member:
    try:
        return kind(value)  # type: ignore[arg-type] # whatever it is
    except ValueError:
        return otherwise


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return int(value) if usable else 0  # type: ignore[call-overload]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request for one person. It names no button: an IMSI is private.

    Attributes:
        id: a ULID; a call that moves to a backup keeps it.
        booth: id of the booth where somebody waits.
        click: how the button was pressed.
        at: first press, milliseconds since 1970.
        count: presses so far.
        note: what the person answered after "ok", or wrote before that or on their way, for the visitor.
        promised: when they said that they would be there, milliseconds since 1970; 0 if they did not.
        end: how it was over for this person; "" while it is not.
        to: the thing that has it now; "" if nobody else does.
        tried: things that were asked before, oldest first; they are not asked again.
        reminded: whether the person was to be reminded of it.
        group: whom the button calls, if that is a :class:`Group`, as it is written; else "".
    """

    id: str = ""
    booth: str = ""
    click: ClickType = ClickType.SINGLE
    at: int = 0
    count: int = 0
    note: str = ""
    end: End = End.OPEN
    to: str = ""
    tried: tuple[str, ...] = ()
    reminded: bool = False
    promised: int = 0
    group: str = ""

    @classmethod
    def read(cls, raw: object) -> Self:
        """Read a call from a shadow. What is not a call's becomes its empty value: a shadow is anybody's text."""
        got = raw if isinstance(raw, dict) else {}
        return cls(
            id=_text(got.get("id")),
            booth=_text(got.get("booth")),
            click=_member(ClickType, got.get("click"), ClickType.SINGLE),
            at=_number(got.get("at")),
            count=_number(got.get("count")),
            note=_text(got.get("note")),
            end=_member(End, got.get("end"), End.OPEN),
            to=_text(got.get("to")),
            tried=_texts(got.get("tried")),
            reminded=got.get("reminded") is True,
            promised=_number(got.get("promised")),
            group=_text(got.get("group")),
        )

    def others(self, thing: str) -> tuple[str, ...]:
        """Who else of its group may be asked, as things: those behind ``thing`` first, then those before."""
        group = Group.read(self.group)
        things = group.things if group else ()
        at = things.index(thing) + 1 if thing in things else 0
        return tuple(each for each in (*things[at:], *things[:at]) if each not in (thing, *self.tried))

    def along(self, thing: str) -> tuple[str, ...]:
        """Who was called along with ``thing``, as things: whoever says ok first goes."""
        return self.others(thing) if self.group.startswith(f"{How.ALL}:") else ()

    def document(self) -> JsonObject:
        """All keys, as they stand in a shadow."""
        return {**asdict(self), "tried": list(self.tried)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The four keys that both halves of a staff shadow have: state, since when, why, and the call."""

    state: StaffState = StaffState.IDLE
    since: int = 0
    why: CallEvent = CallEvent.DONE
    call: Call = field(default_factory=Call)

    @classmethod
    def read(cls, half: JsonObject) -> Self:
        """Read one half of a shadow; a state that we do not know is idle, so that a press always works."""
        return cls(
            state=_member(StaffState, half.get("state"), StaffState.IDLE),
            since=_number(half.get("since")),
            why=_member(CallEvent, half.get("why"), CallEvent.DONE),
            call=Call.read(half.get("call")),
        )

    def document(self) -> JsonObject:
        """The four keys, as they stand in a shadow."""
        return {"state": self.state, "since": self.since, "why": self.why, "call": self.call.document()}

    @property
    def age(self) -> tuple[int, int, bool]:
        """What orders two snapshots of one person: a press again changes the count alone, a reminder only that mark."""
        return (self.since, self.call.count, self.call.reminded)

    @property
    def news(self) -> tuple[int, str, int, bool]:
        """What may have to be said if it differs; a difference elsewhere is only reported."""
        return (self.since, self.call.id, self.call.count, self.call.reminded)


def past_text(asked: Asked) -> str:
    """How a call ended, as it stands in a shadow: a line, for every key there costs its metadata, too."""
    call = asked.call
    known = (asked.since, asked.why, call.id, call.booth, call.at, call.count, call.end, call.to)
    return "/".join(map(str, known))


def past_of(text: str) -> Asked | None:
    """Read it; None if it is none."""
    parts = text.split("/")
    if len(parts) != 8 or not all(parts[n].isdecimal() for n in (0, 4, 5)):
        return None
    since, why, id, booth, at, count, end, to = parts
    call = Call(
        id=id,
        booth=booth,
        at=_number(int(at)),
        count=_number(int(count)),
        end=_member(End, end, End.OPEN),
        to=to,
    )
    return Asked(since=_number(int(since)), why=_member(CallEvent, why, CallEvent.DONE), call=call)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What makes an event the same one when it comes again.

    Attributes:
        door: by which door it came, such as ``webhook`` or ``slack``.
        sender: the button, or who wrote.
        id: the sender's own id of the event; without one, what is alike, such as the click.
        within_ms: 0 where ``id`` is the sender's; else only events as close as this are the same.
    """

    door: str
    sender: str
    id: str
    within_ms: int = 0

    @property
    def digest(self) -> str:
        """16 hex digits: a shadow is public, and a button's IMSI is not."""
        joined = "\x00".join((self.door, self.sender, self.id))
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @classmethod
    def of_handover(cls, thing: str, call: "Call") -> Self:
        """Of a call that ``thing`` hands on as it is there: with one press more, or once it has come back, it is another."""
        return cls(door="handover", sender=thing, id="/".join((call.id, str(call.count), *call.tried)))

    def in_(self, seen: tuple[str, ...], now: int) -> bool:
        """Whether this event is among those that a shadow took (``<ms>:<digest>``)."""
        return any(
            digest == self.digest and (not self.within_ms or abs(now - at) < self.within_ms)
            for at, digest in _entries(seen)
        )

    def and_after(self, seen: tuple[str, ...]) -> tuple[str, ...]:
        """This event and what followed within a second, of those that a shadow took; nothing, if it did not take this."""
        taken = [at for at, digest in _entries(seen) if digest == self.digest]
        return tuple(
            f"{at}:{digest}" for at, digest in _entries(seen) if taken and 0 <= at - taken[-1] <= 1000
        )


def _entries(seen: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for at, _, digest in (entry.partition(":") for entry in seen):
        if at.isdecimal():
            yield int(at), digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """Who took a call that was passed on.

    Attributes:
        thing: who.
        giver: who passed it on.
        seen: the last events that the taker's shadow took.
    """

    thing: str
    giver: str
    seen: tuple[str, ...] = ()

    def took(self, call: Call) -> bool:
        """Whether they got this call, as it is, from who passed it on."""
        return Key.of_handover(self.giver, call).in_(self.seen, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A claim: somebody is sending the message about this snapshot since ``at``.

    Attributes:
        failed: why Slack will not take it until somebody mends that; with it, nobody is sending any more.
    """

    since: int
    count: int
    at: int
    failed: str = ""

    @classmethod
    def read(cls, raw: object) -> Self | None:
        """Read a claim; None if there is none."""
        if not isinstance(raw, dict):
            return None
        numbers = {name: _number(raw.get(name)) for name in ("since", "count", "at")}
        return cls(**numbers, failed=_text(raw.get("failed")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A staff shadow, read.

    Attributes:
        asked: what is asked of the person now (``desired``).
        told: what has reached them (``reported``); a difference is what is still to be told.
        seen: the last events that this shadow took, oldest first.
        telling: that somebody is sending right now, or that Slack refused the last message for good; None for neither.
        told_at: when Slack last took a message for this person, ms; 0 for never.
        waiting: calls of other booths, oldest first.
        past: how the call before this one ended, if that was not reported when this one came; its message in Slack is
            still to say so.
        until: when who is away comes back by itself, ms since 1970; 0 if only they say so.
        alert, alerted: up to which other way they are to be reached, and were (:mod:`shadows.alerts`); "" for none.
        version: of the shadow; a write names it.
    """

    asked: Asked = field(default_factory=Asked)
    told: Asked = field(default_factory=Asked)
    name: str = ""
    role: str = ""
    seen: tuple[str, ...] = ()
    telling: Telling | None = None
    told_at: int = 0
    waiting: tuple[Call, ...] = ()
    past: Asked | None = None
    until: int = 0
    alert: str = ""
    alerted: str = ""
    version: int = 0

    @classmethod
    def read(cls, shadow: Shadow) -> Self:
        """Read a shadow as a person; nonsense in it never raises."""
        desired, reported = shadow.desired, shadow.reported
        waiting = reported.get("waiting")
        return cls(
            asked=Asked.read(desired or reported),
            told=Asked.read(reported),
            name=_text(reported.get("name")),
            role=_text(reported.get("role")),
            seen=_texts(reported.get("seen")),
            telling=Telling.read(reported.get("telling")),
            told_at=_number(reported.get("toldAt")),
            waiting=tuple(map(Call.read, waiting)) if isinstance(waiting, list) else (),
            past=past_of(_text(reported.get("past"))),
            until=_number(reported.get("until")),
            alert=_text(desired.get("alert")),
            alerted=_text(reported.get("alert")),
            version=shadow.version,
        )

    @property
    def state(self) -> StaffState:
        """What is asked now."""
        return self.asked.state

    @property
    def call(self) -> Call:
        """The call that the state is about, or the last one."""
        return self.asked.call

    @property
    def untold(self) -> bool:
        """Whether what is asked has not been reported yet."""
        return self.asked != self.told

    @property
    def nobody_left(self) -> bool:
        """Whether the call ended with no answer and nobody else to ask."""
        return self.state not in BUSY and self.call.end in UNANSWERED and not self.call.to

    def has_call_of(self, booth: str) -> bool:
        """Whether this person is called to, or on the way to, that booth."""
        return self.state in BUSY and self.call.booth == booth

    def is_free_for(self, booth: str) -> bool:
        """Whether a call of that booth would not have to wait for this person."""
        return self.has_call_of(booth) or (self.state is StaffState.IDLE and not self.waiting)

    def call_of(self, booth: str) -> Call | None:
        """The call of that booth that this person has, or that waits for them; None if there is none."""
        if self.has_call_of(booth):
            return self.call
        return next((each for each in self.waiting if each.booth == booth), None)


def shifted(staff: Staff, by: int) -> Staff:
    """The same person, as if the clock had always been ``by`` ms ahead: what was told stays told."""

    def half(asked: Asked) -> Asked:
        return replace(asked, since=max(0, asked.since + by), call=moved(asked.call))

    def moved(call: Call) -> Call:
        promised = max(0, call.promised + by) if call.promised else 0
        return replace(call, at=max(0, call.at + by), promised=promised)

    return replace(
        staff, asked=half(staff.asked), told=half(staff.told), waiting=tuple(map(moved, staff.waiting))
    )


def brought_back(staff: Staff, now: int) -> Staff:
    """The same person; if their state began in the future the clock was set back since, and it began now."""
    ahead = staff.asked.since - now
    return shifted(staff, -ahead) if ahead > AHEAD_MS else staff


def newcomer(name: str, role: str, now: int) -> tuple[JsonObject, JsonObject]:
    """Both halves of a new person's shadow: idle, and nothing to tell."""
    four = Asked(since=now, why=CallEvent.BACK).document()
    return four, {**four, "name": name, "role": role, "seen": [], "toldAt": 0, "waiting": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one person's call.

    Attributes:
        key: to know it again; None for a timer, which names what it is ``about`` instead.
        call: of a press or a hand-over; of a volunteer the call that nobody took.
        note: what was written after "ok", before it, or on the way.
        minutes: in how many the person says that they are there; 0 if they do not say.
        about: the (call id, since) that a timer was set for; an event about another state does nothing.
        until: of going away: when they come back by themselves, ms since 1970; 0 for not.
        if_free: of a hand-over: it is only for who has the time now, for it waits well where it is.
    """

    kind: CallEvent
    key: Key | None = None
    call: Call | None = None
    note: str = ""
    minutes: int = 0
    about: tuple[str, int] | None = None
    until: int = 0
    if_free: bool = False


def pressed(booth: str, click: ClickType, key: Key, now: int) -> Event:
    """A press at a booth, as a new call."""
    call = Call(id=str(ULID.from_timestamp(now / 1000)), booth=booth, click=click, at=now, count=1)
    return Event(kind=CallEvent.PRESS, key=key, call=call)


def answered(kind: CallEvent, key: Key, note: str = "", minutes: int = 0) -> Event:
    """What a person said: ok, no, done, away, back, or a note; or a visitor: cancel."""
    return Event(kind=kind, key=key, note=note, minutes=minutes)


def handed_on(call: Call, thing: str) -> Call:
    """A call as the next person gets it, once this one was asked."""
    tried = _union(call.tried, (thing,))
    return replace(call, tried=tried, end=End.OPEN, to="", note="", reminded=False, promised=0)


def asked_too(call: Call, other: Call) -> Call:
    """A call that is not offered to those either who were asked for another one of the booth."""
    return replace(call, tried=_union(call.tried, other.tried))


def next_waiting(staff: Staff, now: int) -> Event | None:
    """The oldest waiting call as if it came now; None while there is none, or the person has no time for it.

    That nobody took the last call is told first: the next call would put it out of the shadow. Only a Slack that
    does not answer may not keep the next visitor waiting for that.
    """
    if not staff.waiting or staff.state in BUSY:
        return None
    if _to_be_told_first(staff, now):
        return None
    call = staff.waiting[0]
    return Event(kind=CallEvent.HANDOVER if call.tried else CallEvent.PRESS, call=call)


def _to_be_told_first(staff: Staff, now: int) -> bool:
    """Whether the channel has yet to hear that nobody took the last call."""
    return staff.nobody_left and staff.untold and now - staff.asked.since < UNTOLD_FOR_MS


def remembering(staff: Staff, seen: tuple[str, ...]) -> Staff:
    """The same person, who knows these events too."""
    known = {event for _, event in _entries(staff.seen)}
    new = (f"{at}:{event}" for at, event in _entries(seen) if event not in known)
    return replace(staff, seen=(*staff.seen, *new)[-SEEN_KEPT:])


def without_oldest(staff: Staff) -> Staff:
    """The same person, with the oldest waiting call taken out."""
    return replace(staff, waiting=staff.waiting[1:])


def repeats(staff: Staff, event: Event, now: int) -> bool:
    """Whether this shadow took that event before."""
    return event.key is not None and event.key.in_(staff.seen, now)


def passes_on(staff: Staff, event: Event, thing: str, *, is_quiet: bool = False) -> Call | None:
    """The call that somebody else must be asked to take before this event is written; None if there is none.

    ``is_quiet``: they want not to be disturbed, as they have said elsewhere; if nobody else takes it they are called all
    the same.
    """
    if event.kind is _E.VOLUNTEER:
        return None
    if event.call and staff.state is _I and is_quiet:
        return replace(event.call, tried=_union(event.call.tried, (thing,)))
    if event.call and staff.state is not _I and not staff.has_call_of(event.call.booth):
        waits = staff.call_of(event.call.booth)
        call = asked_too(event.call, waits) if waits else event.call
        # Who is away is not asked again, or two of them would pass it to and fro.
        return replace(call, tried=_union(call.tried, (thing,))) if staff.state is _A else call
    _, end = _next(staff, event) or (None, End.OPEN)
    if end not in UNANSWERED:
        return None
    call = handed_on(staff.call, thing)
    # Those who were called along have not answered either.
    return replace(call, tried=_union(call.tried, call.along(thing))) if end is End.MISSED else call


def step(staff: Staff, event: Event, now: int, taker: Taker | None = None) -> Staff:
    """What the shadow says after an event.

    Args:
        staff: before.
        event: what happened; one that means nothing now is remembered, and changes nothing else.
        now: milliseconds since 1970.
        taker: who took the call that this event passed on; None if nobody did.

    Raises:
        Rejected: 429, if as many booths as can be kept wait for this person already.
    """
    if (
        event.kind is _E.VOLUNTEER and staff.state is not _I
    ):  # they were called themselves meanwhile: it is their answer
        event = replace(event, kind=_E.OK, call=None)
    after = _arrived(staff, event, now, taker) if event.call else _moved(staff, event, now, taker)
    if event.key is None:
        return after
    return replace(after, seen=(*staff.seen, f"{now}:{event.key.digest}")[-SEEN_KEPT:])


def _next(staff: Staff, event: Event) -> tuple[StaffState, End] | None:
    return NEXT.get((staff.state, event.kind)) if _is_about(event, staff) else None


def _is_about(event: Event, staff: Staff) -> bool:
    return event.about is None or event.about == (staff.call.id, staff.asked.since)


def _moved(staff: Staff, event: Event, now: int, taker: Taker | None) -> Staff:
    """An answer, a timer: the person's own call moves on or ends."""
    if event.kind is _E.REMIND:
        return _reminded(staff, event)
    if event.kind is _E.NOTE or (staff.state is _R and event.kind is _E.OK):
        return _noted(staff, event, now)
    move = _next(staff, event)
    if move is None:
        return replace(staff, until=event.until) if event.kind is _E.AWAY and staff.state is _A else staff
    state, end = move
    staff = brought_back(staff, now)
    if event.kind is _E.EXPIRED:  # who waited behind it for as long is gone, too
        staff = replace(staff, waiting=tuple(each for each in staff.waiting if now - each.at < GONE_AFTER_MS))
    call = staff.call
    if staff.state in BUSY:  # going away from idle, or coming back, says nothing about the last call
        call = replace(call, end=end, to=taker.thing if taker else "", reminded=False)
    if event.kind is _E.OK:
        call = replace(call, note=event.note, promised=_promised(event, now, now))
    return replace(_asked(staff, state, event.kind, call, now), until=event.until if state is _A else 0)


def _promised(event: Event, since: int, now: int) -> int:
    """When the person will be there by their own words; 0 if they do not say, or if that is beyond all measure."""
    at = now + 60_000 * event.minutes
    return at if event.minutes > 0 and at - since <= LONGEST_MS else 0


def _noted(staff: Staff, event: Event, now: int) -> Staff:
    """Who is called, or on the way, says more to the visitor; the state goes on, and so does its time.

    Who is only called promises nothing by that.
    """
    if staff.state not in BUSY or not _is_about(event, staff):
        return staff
    if not event.note and not event.minutes:  # "ok" once more
        return staff
    staff = brought_back(staff, now)
    said = _promised(event, staff.asked.since, now) if staff.state is _R else 0
    promised = said or staff.call.promised
    call = replace(staff.call, note=event.note, promised=promised)
    return replace(staff, asked=replace(staff.asked, call=call))


def _reminded(staff: Staff, event: Event) -> Staff:
    """Who was called is to be reminded, or who might take what nobody took; the state goes on, and so does its time."""
    if not (staff.state is _C or staff.nobody_left) or not _is_about(event, staff):
        return staff
    return replace(staff, asked=replace(staff.asked, call=replace(staff.call, reminded=True)))


def _arrived(staff: Staff, event: Event, now: int, taker: Taker | None) -> Staff:
    """A press, a hand-over, a volunteer: a call comes to this person."""
    call, staff = event.call or Call(), brought_back(staff, now)
    if event.kind is _E.VOLUNTEER:
        taken = replace(_joined(staff, call), note=event.note, promised=_promised(event, now, now))
        return _asked(_not_waiting(staff, call.booth), _R, _E.OK, taken, now)
    if taker:
        return yielded(staff, call.booth, taker, event.kind, now)
    if staff.has_call_of(call.booth):
        return replace(staff, asked=replace(staff.asked, call=_more(staff.call, call)))
    if staff.state is _I:
        return _asked(_not_waiting(staff, call.booth), _C, event.kind, _joined(staff, call), now)
    if staff.state is _A and (call.booth == staff.call.booth or not _to_be_told_first(staff, now)):
        gone = replace(_joined(staff, call), end=End.UNAVAILABLE)
        return _asked(_not_waiting(staff, call.booth), _A, event.kind, gone, now)
    return replace(staff, waiting=_queued(staff.waiting, call))


def yielded(staff: Staff, booth: str, taker: Taker, why: CallEvent, now: int) -> Staff:
    """The same person, now that somebody took the call of a booth: it waits here no more, nor are they called for it.

    Another call of that booth stays: it may have come in this very moment, and nobody else has its presses.
    """
    kept = tuple(each for each in staff.waiting if each.booth != booth or not taker.took(each))
    after = replace(staff, waiting=kept)
    if staff.state is not _C or staff.call.booth != booth or not taker.took(staff.call):
        return after
    return gave_way(after, taker.thing, why, now)


def gave_way(staff: Staff, thing: str, why: CallEvent, now: int) -> Staff:
    """The same person, who was called, now that ``thing`` has the call."""
    call = replace(staff.call, end=End.UNAVAILABLE, to=thing, reminded=False)
    return _asked(staff, _I, why, call, now)


def _not_waiting(staff: Staff, booth: str) -> Staff:
    """The same person, without the waiting call of a booth that somebody has now."""
    return replace(staff, waiting=tuple(each for each in staff.waiting if each.booth != booth))


def _asked(staff: Staff, state: StaffState, why: CallEvent, call: Call, now: int) -> Staff:
    since = max(now, staff.asked.since + 1)  # later than any other, so that there is a delta until it is told
    asked = Asked(state=state, since=since, why=why, call=call)
    if staff.call.id in ("", call.id):
        return replace(staff, asked=asked)
    past = past_of(past_text(staff.asked)) if staff.untold else None
    return replace(staff, asked=asked, past=past)


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))[-TRIED_KEPT:]


def _joined(staff: Staff, call: Call) -> Call:
    """The call of this booth that waits already, with what has come now; else what has come."""
    waits = next((each for each in staff.waiting if each.booth == call.booth), None)
    return _more(waits, call) if waits else call


def _more(call: Call, other: Call) -> Call:
    """A call, with all presses of another one of the same booth."""
    return replace(call, count=call.count + max(1, other.count), tried=_union(call.tried, other.tried))


def _queued(waiting: tuple[Call, ...], call: Call) -> tuple[Call, ...]:
    if any(each.booth == call.booth for each in waiting):
        return tuple(_more(each, call) if each.booth == call.booth else each for each in waiting)
    if len(waiting) >= WAITING_KEPT:
        raise Rejected(
            429, f"booth: {WAITING_KEPT} other booths wait for this person already, got {call.booth!r}"
        )
    return (*waiting, call)


def changes(before: Staff, after: Staff) -> dict[str, Any]:
    """What to send to the shadow service: ``desired`` and ``reported``, each only where something changed."""
    patch: dict[str, Any] = {}
    if after.asked != before.asked:
        patch["desired"] = after.asked.document()
    reported: JsonObject = {}
    if after.told != before.told:  # the clock was set
        reported |= after.told.document()
    if after.seen != before.seen:
        reported["seen"] = list(after.seen)
    if after.waiting != before.waiting:
        reported["waiting"] = [call.document() for call in after.waiting]
    if after.until != before.until:
        reported["until"] = after.until or None
    if after.past != before.past:
        reported["past"] = past_text(after.past) if after.past else None
    if reported:
        patch["reported"] = reported
    return patch
