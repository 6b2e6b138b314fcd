"""Where every flow ends: an event is recorded in a person's shadow, or in that of who stands in for them."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Self, TypeVar

from shadows.channels import Channels
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow, Shadows, Things
from shadows.staff import (
    Call,
    CallEvent,
    ClickType,
    Event,
    Group,
    How,
    Key,
    Staff,
    StaffState,
    Taker,
    asked_too,
    changes,
    gave_way,
    handed_on,
    next_waiting,
    passes_on,
    remembering,
    repeats,
    step,
    without_oldest,
    yielded,
)

T = TypeVar("T")
OPEN: Final = "open"  # attribute of who was asked last for a call that nobody took
ATTEMPTS: Final = 60  # with the pauses between them some 3 s: longer than any crowd at one shadow lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a state lasts, in seconds; a booth may say otherwise for its own calls.

    Attributes:
        quiet_s: after a mention, for which a press or a reminder mentions nobody.
        remind_s: after which who has not answered is reminded; 0 for never.
    """

    calling_s: float = 180
    running_s: float = 300
    quiet_s: float = 20
    remind_s: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the rules need of where they run: on one machine, or on AWS.

    Attributes:
        clock: milliseconds since 1970.
        wake: told of a person whose event came again: if Slack has not heard of it yet, now is a time to try.
        channels: by which other ways people are reached.
        is_quiet: whether somebody has said elsewhere that they want not to be disturbed now; it never raises, nor waits
            for long.
    """

    shadows: Shadows
    things: Things
    clock: Callable[[], int]
    timing: Timing = field(default_factory=Timing)
    wake: Callable[[str], None] = field(default=lambda _thing: None)
    channels: Channels = field(default_factory=Channels)
    is_quiet: Callable[[str], bool] = field(default=lambda _thing: False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an event came to.

    Attributes:
        thing: who has the call now: a backup, if it was passed on.
        before, state: of that person.
        call: the call that the event was about, as it stands.
        repeat: the event was taken before; nothing changed.
        changed: whether the call moved, or counted one more press.
    """

    thing: str
    before: StaffState
    state: StaffState
    call: Call
    repeat: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """That people have heard that nobody is left for a call.

    Attributes:
        call: its id.
        at: when, ms since 1970.
        everybody: whether the whole channel was asked, or those of the booth first.
    """

    call: str
    at: int
    everybody: bool

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read the attribute; None if it says nothing."""
        call, at, who = [*text.split(":"), "", ""][:3]
        return cls(call=call, at=int(at), everybody=who == "all") if at.isdecimal() else None

    @property
    def text(self) -> str:
        """The attribute: ``<call id>:<ms>:all`` or ``<call id>:<ms>:booth``."""
        return f"{self.call}:{self.at}:{'all' if self.everybody else 'booth'}"


def read(place: Place, thing: str) -> Staff:
    """Read a person's shadow.

    Raises:
        Rejected: 404, if there is no such person.
    """
    return Staff.read(place.shadows.get(thing))


def rewrite(place: Place, thing: str, decide: Callable[[Staff], tuple[JsonObject, T]]) -> T:
    """:func:`rewrite_shadow` of a person's.

    Raises:
        Rejected: 404, if there is no such person; 503, if others kept writing to the same shadow.
    """
    return rewrite_shadow(place, thing, lambda shadow: decide(Staff.read(shadow)))


def rewrite_shadow(place: Place, thing: str, decide: Callable[[Shadow], tuple[JsonObject, T]]) -> T:
    """Read a shadow, decide, and write at the version that was read; again if somebody came between.

    Args:
        place: where we run.
        thing: whose shadow.
        decide: the sections to send (``desired``, ``reported``; none to write nothing), and what to answer.

    Raises:
        Rejected: 404, if there is none; 503, if others kept writing to it; and what ``decide`` raises.
    """
    for attempt in range(ATTEMPTS):
        shadow = place.shadows.get(thing)
        patch, answer = decide(shadow)
        if not patch:
            return answer
        try:
            place.shadows.update(thing, **patch, version=shadow.version)
        except Rejected as no:
            if no.code != 409:
                raise
            _pause(attempt)
        else:
            return answer
    raise Rejected(503, f"{thing}: others are writing to this shadow; try again")


Given = dict[str, tuple[str, int]]  # of calls, by their ids: who took it, and with how many presses


def record(place: Place, thing: str, event: Event) -> Outcome:
    """Write what an event makes of a person's shadow, exactly once; when this returns, it is durable.

    A call that this person cannot take is first written to who takes it: a crash between the two leaves two
    people called, never nobody.

    Raises:
        Rejected: 404, if there is no such person; 429, if too many booths wait for them; 503, if others kept
            writing to the same shadow.
    """

    passed: Outcome | None = None
    given: Given = {}

    def decide(staff: Staff) -> tuple[JsonObject, tuple[Outcome, bool]]:
        nonlocal passed
        now = place.clock()
        if repeats(staff, event, now):
            return {}, (_taken_before(place, thing, staff, event), False)
        if event.if_free and event.call and not staff.is_free_for(event.call.booth):
            raise Rejected(429, f"{thing}: called by somebody else in this very moment")
        rest, first = _without_what_waits(place, thing, staff, event, given)
        # Who has taken the press has it, also if somebody wrote here in between.
        taken = (
            passed
            if event.call and passed
            else _passed_on(place, thing, rest, event, given=given, first=first)
        )
        passed = taken
        after = step(rest, event, now, _taker(place, thing, rest, event, taken))
        outcome = taken if taken and event.call else _outcome(thing, staff, after, event)
        return changes(staff, after), (outcome, bool(after.waiting))

    outcome, others_wait = rewrite(place, thing, decide)
    if others_wait:
        take_next(place, thing)
    if outcome.repeat:
        place.wake(outcome.thing)
    return outcome


def volunteer(place: Place, thing: str, key: Key, note: str = "", minutes: int = 0) -> Outcome | None:
    """Somebody who was not called says that they go: they take the call that nobody took, the one told last.

    It is written to who goes first: a crash before the other half leaves it open for one more, never for nobody.

    Returns:
        What it came to; ``thing`` is who goes, which may be another one who was quicker. None if there is no such
        call, or if they have one of their own, or are away.

    Raises:
        Rejected: as :func:`record`.
    """
    staff = read(place, thing)
    if key.in_(staff.seen, place.clock()):  # a crash may have kept us from the other half
        if staff.state is StaffState.RUNNING and staff.call.tried:
            _one_goes(place, staff.call.tried[-1], thing, staff)
        return None
    if goes := somebody_goes(place, thing, staff):
        return Outcome(thing=goes, before=staff.state, state=staff.state, call=staff.call)
    left = (_along(place, thing) or _left(place)) if staff.state is StaffState.IDLE else None
    if left is None:
        return None
    owner, call = left
    event = Event(kind=CallEvent.VOLUNTEER, key=key, call=call, note=note, minutes=minutes)
    outcome = record(place, thing, event)
    after = read(place, thing)
    if (
        after.state is not StaffState.RUNNING or after.call.id != call.id
    ):  # called themselves in this very moment
        return None
    return replace(outcome, thing=_one_goes(place, owner, thing, after))


def _one_goes(place: Place, owner: str, thing: str, staff: Staff) -> str:
    """Write down who goes; a volunteer who came second is free again. The answer is who goes."""
    goes = _gives_way(place, owner, staff.call.id, thing)
    if goes == thing or not _is_running(
        place, goes, staff.call.id
    ):  # a call may have come here by way of them
        return thing
    record(place, thing, Event(kind=CallEvent.DONE, about=(staff.call.id, staff.asked.since)))
    return goes


def somebody_goes(place: Place, thing: str, staff: Staff) -> str:
    """Who of those who were called along with a person goes already; they give way, which a crash may have prevented.

    The answer is "" if nobody goes.
    """
    along = staff.call.along(thing) if staff.state is StaffState.CALLING else ()
    goes = next((other for other in along if _is_running(place, other, staff.call.id)), "")
    return goes and _gives_way(place, thing, staff.call.id, goes)


def _along(place: Place, thing: str) -> tuple[str, Call] | None:
    """Of the calls for which this person was called along with another, the last one, and that other."""
    found = [
        (staff.asked.since, other, staff.call)
        for other, staff in _grouped_with(place, thing)
        if staff.state is StaffState.CALLING and thing in staff.call.along(other)
    ]
    _, owner, call = max(found, key=lambda each: each[:2], default=(0, "", None))
    return (owner, handed_on(call, owner)) if call else None


def goes_already(place: Place, thing: str) -> str:
    """Who is on the way for a call for which this person was called as well; "" for nobody."""
    return next(
        (
            other
            for other, staff in _grouped_with(place, thing)
            if staff.state is StaffState.RUNNING and thing in replace(staff.call, tried=()).along(other)
        ),
        "",
    )


def _grouped_with(place: Place, thing: str) -> Iterator[tuple[str, Staff]]:
    """Those whom a button calls together with this person."""
    for other in sorted({each for group in _groups(place) if thing in group.things for each in group.things}):
        with suppress(Rejected):  # removed meanwhile
            if other != thing:
                yield other, read(place, other)


def _groups(place: Place) -> set[Group]:
    """Whom the buttons call that call several at once."""
    found = {
        Group.read(button.attributes.get(click.lower(), ""))
        for button in place.things.list(type="button")
        for click in ClickType
    }
    return {group for group in found if group and group.how is How.ALL}


def _is_running(place: Place, thing: str, call: str) -> bool:
    try:
        staff = read(place, thing)
    except Rejected:  # removed meanwhile
        return False
    return staff.state is StaffState.RUNNING and staff.call.id == call


def _left(place: Place) -> tuple[str, Call] | None:
    """Of the calls that nobody took the one of which the channel heard last, and who was asked last; None if there is none."""
    found = []
    for thing in place.things.list(type="staff"):
        if heard := Heard.read(thing.attributes.get(OPEN, "")):
            with suppress(Rejected):  # removed meanwhile
                staff = read(place, thing.name)
                if _is_open(place, staff, heard):
                    found.append((heard.at, thing.name, staff.call))
                else:
                    place.things.update(thing.name, {OPEN: ""})
    _, owner, left = max(found, key=lambda each: each[:2], default=(0, "", None))
    return (owner, handed_on(left, owner)) if left else None


def _is_open(place: Place, staff: Staff, heard: "Heard") -> bool:
    """Whether an "ok" can be meant for this: later than anybody is called for, it is chatter."""
    age_s = (place.clock() - heard.at) / 1000
    return staff.nobody_left and staff.call.id == heard.call and age_s < place.timing.calling_s


def colleagues(place: Place, thing: str, call: Call) -> Iterator[str]:
    """The Slack ids of who else stands at the booth of a call that nobody took: who is free, and was not asked."""
    try:
        listed = place.shadows.get(f"booth-{call.booth}").reported.get("staff")
    except Rejected:  # no such booth any more
        return
    asked = {thing, *call.tried}
    for other in listed if isinstance(listed, list) else ():
        if isinstance(other, str) and other not in asked:
            with suppress(Rejected):  # removed, or no name for a thing
                if read(place, other).state is StaffState.IDLE and (
                    slack := attributes(place, other).get("slackUserId")
                ):
                    yield slack


def _gives_way(place: Place, owner: str, call: str, thing: str) -> str:
    """Write down with who was asked last that ``thing`` goes, unless somebody does already; the answer is who goes."""

    def decide(staff: Staff) -> tuple[JsonObject, str]:
        if staff.call.id != call:
            return {}, thing
        if staff.state is StaffState.CALLING:
            return changes(staff, gave_way(staff, thing, CallEvent.HANDOVER, place.clock())), thing
        if not staff.nobody_left:
            return {}, owner if staff.state is StaffState.RUNNING else staff.call.to or thing
        after = replace(staff, asked=replace(staff.asked, call=replace(staff.call, to=thing)))
        return changes(staff, after), thing

    goes = rewrite(place, owner, decide)
    take_next(place, owner)
    return goes


def take_next(place: Place, thing: str) -> None:
    """Give a person who has become free the oldest of the calls that wait for them; pass it on if they are away.

    One that was passed on before a crash could be written down waits no more.
    """

    def decide(staff: Staff) -> tuple[JsonObject, bool]:
        now = place.clock()
        event = next_waiting(staff, now)
        if event is None:
            return {}, False
        rest = without_oldest(staff)
        if event.call and (went := _went(place, thing, event.call)):
            return changes(staff, remembering(rest, went)), True
        taken = _passed_on(place, thing, rest, event, given={})
        return changes(staff, step(rest, event, now, _taker(place, thing, rest, event, taken))), True

    while rewrite(place, thing, decide):  # somebody who is away passes all of them on
        pass


def _went(place: Place, thing: str, call: Call) -> tuple[str, ...]:
    """What the shadow of whoever took a waiting call from this person remembers of that moment; nothing, if nobody did."""
    key = Key.of_handover(thing, call)
    found = (key.and_after(other.seen) for _, other in _next_in_line(place, thing, call))
    return next(filter(None, found), ())


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.1, 0.002 * 2**attempt)))  # noqa: S311 - spreads writers, hides nothing


def _taker(place: Place, thing: str, rest: Staff, event: Event, taken: Outcome | None) -> Taker | None:
    if taken is None:
        return None
    # What came in this very moment may have gone there as well.
    came_too = event.call and rest.call_of(event.call.booth)
    seen: tuple[str, ...] = ()
    with suppress(Rejected):  # removed meanwhile, and what they had was handed over
        seen = read(place, taken.thing).seen if came_too else ()
    return Taker(thing=taken.thing, giver=thing, seen=seen)


def _without_what_waits(
    place: Place, thing: str, staff: Staff, event: Event, given: Given
) -> tuple[Staff, str]:
    """The same person; what waits for them of the booth that calls again goes first, to who can take it: who, or "".

    It goes by a key of its own: after a crash it is known whether it went.
    """
    waits = event.call and staff.call_of(event.call.booth)
    if not (event.call and waits) or staff.state is StaffState.IDLE or waits not in staff.waiting:
        return staff, ""
    rest = replace(staff, waiting=tuple(each for each in staff.waiting if each != waits))
    call = asked_too(waits, event.call)  # or it would come back to who has just refused
    key, handover = Key.of_handover(thing, waits), Event(kind=CallEvent.HANDOVER, call=call)
    went = _passed_on(place, thing, rest, handover, given=given, key=key)
    return (rest, went.thing) if went else (staff, "")


def _outcome(thing: str, before: Staff, after: Staff, event: Event, *, repeat: bool = False) -> Outcome:
    call = after.call_of(event.call.booth if event.call else after.call.booth) or after.call
    changed = (after.asked, after.waiting) != (before.asked, before.waiting)
    return Outcome(
        thing=thing, before=before.state, state=after.state, call=call, repeat=repeat, changed=changed
    )


def _taken_before(place: Place, thing: str, staff: Staff, event: Event) -> Outcome:
    """What an event came to when it was taken; a press that was passed on, with the one who took it."""
    if event.call and not staff.has_call_of(event.call.booth):
        for backup, other in _next_in_line(place, thing, event.call):
            if repeats(other, event, place.clock()) and backup not in event.call.tried:
                return _outcome(backup, other, other, event, repeat=True)
    return _outcome(thing, staff, staff, event, repeat=True)


def _passed_on(
    place: Place,
    thing: str,
    staff: Staff,
    event: Event,
    *,
    given: Given,
    key: Key | None = None,
    first: str = "",
) -> Outcome | None:
    """Have a backup take the call that this person cannot; None if there is no call to pass on, or nobody to take it.

    Args:
        place: where we run.
        thing, staff: who passes it on, as they are.
        event: what has it passed on.
        given: what was passed on a moment ago, before somebody wrote here in between, and what is now.
        key: of what is passed on; else that of a press, which it keeps on its way so that it is known again at
            whichever person it reaches, or that of the call.
        first: who is asked first, for they have just taken what waited of that booth; "" for nobody.
    """
    # Whose event brings no call is not asked after: on AWS that is a look into a table.
    call = passes_on(staff, event, thing, is_quiet=event.call is not None and place.is_quiet(thing))
    if call is None:
        return None
    key = key or (event.call and event.key) or Key.of_handover(thing, event.call or staff.call)
    took, presses = given.get(call.id, ("", 0))
    chain = _next_in_line(place, thing, call, first)
    found = list(_takers(chain, call, key, took, place.clock()))
    only_the_free = event.call is not None and staff.state is not StaffState.AWAY
    # Who took it before a crash, or before somebody wrote here in between, has it: nobody else is asked as well.
    for backup, other, took_it in sorted(found, key=lambda each: -each[2]):
        if took_it and not only_the_free:  # it may have come by way of who had no time either
            ways = [each for each, way, _ in found if way.state is not StaffState.AWAY]
            _yield(place, ways, call.booth, backup, other.seen)
        unfree = only_the_free and not other.is_free_for(call.booth)
        if not took_it and (other.state is StaffState.AWAY or unfree):
            continue
        new = replace(call, count=max(1, call.count - presses)) if backup == took else call
        handover = Event(kind=CallEvent.HANDOVER, key=key, call=new, if_free=only_the_free and not took_it)
        try:
            outcome = record(place, backup, handover)
        except Rejected as no:
            if no.code not in (404, 429):  # gone, or as many wait for this one as can be kept: ask the next
                raise
        else:
            given[call.id] = (outcome.thing, call.count)
            return outcome
    return None


def _takers(
    chain: Iterable[tuple[str, Staff]], call: Call, key: Key, took: str, now: int
) -> Iterator[tuple[str, Staff, int]]:
    """Who may take a call, nearest first, and whether they did already: 1 if so, 2 or more if they have it now.

    Who was asked before may not, unless they have it.
    """
    for backup, other in chain:
        took_it, has = key.in_(other.seen, now), other.call_of(call.booth)
        has_it = (took_it or backup == took) and has is not None and has.id == call.id
        if has_it or backup not in call.tried:
            yield backup, other, took_it + 2 * has_it


def _yield(place: Place, others: Iterable[str], booth: str, taker: str, seen: tuple[str, ...]) -> None:
    """Have those through whom a call came to its taker keep none of it: a crash may have come before that was written."""
    for other in others:
        if other == taker:
            break
        of = Taker(thing=taker, giver=other, seen=seen)

        def decide(staff: Staff, of: Taker = of) -> tuple[JsonObject, None]:
            return changes(staff, yielded(staff, booth, of, CallEvent.HANDOVER, place.clock())), None

        rewrite(place, other, decide)


def _next_in_line(place: Place, thing: str, call: Call, first: str = "") -> Iterator[tuple[str, Staff]]:
    """Who else is in the group that was called; then who stands in for a person, who for that one, and so on; each once."""
    members = replace(call, tried=()).others(thing)
    for other in dict.fromkeys((*filter(None, [first]), *members, *_backups(place, thing))):
        try:
            yield other, read(place, other)
        except Rejected as no:
            if no.code != 404:
                raise


def _backups(place: Place, thing: str) -> Iterator[str]:
    passed = {thing}
    while (thing := _backup_of(place, thing)) and thing not in passed:
        passed.add(thing)
        yield thing


def _backup_of(place: Place, thing: str) -> str:
    backup = attributes(place, thing).get("backup")
    return f"staff-{backup}" if backup else ""


def attributes(place: Place, thing: str) -> Mapping[str, str]:
    """What only we know of a thing; nothing of one that is not there."""
    try:
        return place.things.get(thing).attributes
    except Rejected as no:
        if no.code != 404:
            raise
        return {}


def along(place: Place, thing: str, call: Call) -> tuple[str, ...]:
    """Who was called along with a person and is not away: their Slack ids, or their names where they have none."""

    def can_come(other: str) -> bool:
        try:
            return read(place, other).state is not StaffState.AWAY
        except Rejected:  # removed meanwhile
            return False

    others = filter(can_come, call.along(thing))
    return tuple(attributes(place, each).get("slackUserId") or staff_name(place, each) for each in others)


def booth_title(place: Place, booth: str) -> str:
    """What people call a booth; its id, if it has no title."""
    return _booth_text(place, booth, "title") or booth


def booth_message(place: Place, booth: str) -> str:
    """What an alert says of a call of this booth; "" for the usual words."""
    return _booth_text(place, booth, "message")


def _booth_text(place: Place, booth: str, name: str) -> str:
    try:
        text = place.shadows.get(f"booth-{booth}").reported.get(name)
    except Rejected:  # no such booth any more, or no name for one
        return ""
    return text if isinstance(text, str) else ""


def staff_name(place: Place, thing: str) -> str:
    """What people call a person; their id, if they have no name, or were removed."""
    try:
        return read(place, thing).name or thing.removeprefix("staff-")
    except Rejected:
        return thing.removeprefix("staff-")
