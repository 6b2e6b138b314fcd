"""Where every flow ends: an event is recorded in a person's shadow, or in that of who stands in for them."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadows, Things
from shadows.staff import (
    BUSY,
    Call,
    CallEvent,
    Event,
    Key,
    Staff,
    StaffState,
    changes,
    next_waiting,
    passes_on,
    repeats,
    step,
    without_oldest,
)

T = TypeVar("T")
ATTEMPTS: Final = 60  # with the pauses between them some 3 s: longer than any crowd at one shadow lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a state lasts, in seconds; a booth may say otherwise for its own calls."""

    calling_s: float = 180
    running_s: float = 300
    quiet_s: float = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the rules need of where they run: on one machine, or on AWS.

    Attributes:
        clock: milliseconds since 1970.
        wake: told of a person whose event came again: if Slack has not heard of it yet, now is a time to try.
    """

    shadows: Shadows
    things: Things
    clock: Callable[[], int]
    timing: Timing = field(default_factory=Timing)
    wake: Callable[[str], None] = field(default=lambda _thing: None)


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


def read(place: Place, thing: str) -> Staff:
    """Read a person's shadow.

    Raises:
        Rejected: 404, if there is no such person.
    """
    return Staff.read(place.shadows.get(thing))


def rewrite(place: Place, thing: str, decide: Callable[[Staff], tuple[JsonObject, T]]) -> T:
    """Read a person's shadow, decide, and write at the version that was read; again if somebody came between.

    Args:
        place: where we run.
        thing: whose shadow.
        decide: the sections to send (``desired``, ``reported``; none to write nothing), and what to answer.

    Raises:
        Rejected: 404, if there is no such person; 503, if others kept writing to the same shadow.
    """
    for attempt in range(ATTEMPTS):
        staff = read(place, thing)
        patch, answer = decide(staff)
        if not patch:
            return answer
        try:
            place.shadows.update(thing, **patch, version=staff.version)
        except Rejected as no:
            if no.code != 409:
                raise
            _pause(attempt)
        else:
            return answer
    raise Rejected(503, f"{thing}: others are writing to this shadow; try again")


def record(place: Place, thing: str, event: Event) -> Outcome:
    """Write what an event makes of a person's shadow, exactly once; when this returns, it is durable.

    A call that this person cannot take is first written to who takes it: a crash between the two leaves two
    people called, never nobody.

    Raises:
        Rejected: 404, if there is no such person; 429, if too many booths wait for them; 503, if others kept
            writing to the same shadow.
    """

    passed: Outcome | None = None

    def decide(staff: Staff) -> tuple[JsonObject, tuple[Outcome, bool]]:
        nonlocal passed
        now = place.clock()
        if repeats(staff, event, now):
            return {}, (_taken_before(place, thing, staff, event), False)
        # Who has taken the press has it, also if somebody wrote here in between.
        taken = passed if event.call and passed else _passed_on(place, thing, staff, event)
        passed = taken
        after = step(staff, event, now, taken.thing if taken else "")
        outcome = taken if taken and event.call else _outcome(thing, staff, after, event)
        return changes(staff, after), (outcome, bool(after.waiting))

    outcome, others_wait = rewrite(place, thing, decide)
    if others_wait:
        take_next(place, thing)
    if outcome.repeat:
        place.wake(outcome.thing)
    return outcome


def take_next(place: Place, thing: str) -> None:
    """Give a person who has become free the oldest of the calls that wait for them; pass it on if they are away."""

    def decide(staff: Staff) -> tuple[JsonObject, bool]:
        now = place.clock()
        event = next_waiting(staff, now)
        if event is None:
            return {}, False
        rest = without_oldest(staff)
        taken = _passed_on(place, thing, rest, event)
        return changes(staff, step(rest, event, now, taken.thing if taken else "")), True

    while rewrite(place, thing, decide):  # somebody who is away passes all of them on
        pass


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.1, 0.002 * 2**attempt)))  # noqa: S311 - spreads writers, hides nothing


def _outcome(thing: str, before: Staff, after: Staff, event: Event, *, repeat: bool = False) -> Outcome:
    call, booth = after.call, event.call.booth if event.call else after.call.booth
    if not after.has_call_of(booth):
        call = next((each for each in after.waiting if each.booth == booth), call)
    changed = (after.asked, after.waiting) != (before.asked, before.waiting)
    return Outcome(
        thing=thing, before=before.state, state=after.state, call=call, repeat=repeat, changed=changed
    )


def _taken_before(place: Place, thing: str, staff: Staff, event: Event) -> Outcome:
    """What an event came to when it was taken; a press that was passed on, with the one who took it."""
    if event.call and not staff.has_call_of(event.call.booth):
        for backup, other in _backups(place, thing, event.call.tried):
            if repeats(other, event, place.clock()):
                return _outcome(backup, other, other, event, repeat=True)
    return _outcome(thing, staff, staff, event, repeat=True)


def _passed_on(place: Place, thing: str, staff: Staff, event: Event) -> Outcome | None:
    """Have a backup take the call that this person cannot; None if there is no call to pass on, or nobody to take it."""
    call = passes_on(staff, event, thing)
    if call is None:
        return None
    # A press keeps its own key on its way, so that it is known again at whichever person it reaches.
    key = event.key if event.call and event.key else Key(door="handover", sender=thing, id=call.id)
    found = [(each, key.in_(each[1].seen, place.clock())) for each in _backups(place, thing, call.tried)]
    # Who took it before a crash, or before somebody wrote here in between, has it: nobody else is asked as well.
    for (backup, other), has_it in sorted(found, key=lambda each: not each[1]):
        unfree = staff.state in BUSY and event.call and not _free(other, call)
        if not has_it and (other.state is StaffState.AWAY or unfree):
            continue
        try:
            return record(place, backup, Event(kind=CallEvent.HANDOVER, key=key, call=call))
        except Rejected as no:
            if no.code not in (404, 429):  # gone, or as many wait for this one as can be kept: ask the next
                raise
    return None


def _free(staff: Staff, call: Call) -> bool:
    return staff.has_call_of(call.booth) or (staff.state is StaffState.IDLE and not staff.waiting)


def _backups(place: Place, thing: str, tried: tuple[str, ...]) -> Iterator[tuple[str, Staff]]:
    """Who stands in for a person, then who stands in for that one, and so on; each once, without who was asked."""
    passed = {thing}
    while (thing := _backup_of(place, thing)) and thing not in passed:
        passed.add(thing)
        if thing in tried:
            continue
        try:
            yield thing, read(place, thing)
        except Rejected as no:
            if no.code != 404:
                raise


def _backup_of(place: Place, thing: str) -> str:
    try:
        backup = place.things.get(thing).attributes.get("backup")
    except Rejected as no:
        if no.code != 404:
            raise
        return ""
    return f"staff-{backup}" if backup else ""
