"""Whom a press calls: who is named, who is on duty, or one of a group."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shadows.calls import Place, read
from shadows.duty import Duty, last_on_duty, next_on_duty, on_duty, roster
from shadows.errors import Rejected
from shadows.staff import Event, Group, How, Key, Staff, StaffState

log = logging.getLogger(__name__)

ON_DUTY: Final = "@duty"  # in place of a person's id, which has no @
CUT_OFF, TOOK_IT, HAS_IT, IS_FREE, IS_BUSY, IS_AWAY = range(6)


def candidates(duties: Sequence[Duty], booth: str, listed: Sequence[str], at: int) -> tuple[str, ...]:
    """Of whom a press for who is on duty may call one.

    While nobody is, those who were last; before the first, those who come next; without any line for the booth, those
    who stand at it (``listed``). So a gap in the roster never loses a press.
    """
    found = (look(duties, booth, at) for look in (on_duty, last_on_duty, next_on_duty))
    return next(filter(None, found), tuple(listed))


def whom(place: Place, reference: str, booth: str, event: Event) -> str:
    """The id of whom a press calls; where it calls a group, of whom it calls first.

    Who has the booth's call already keeps it, also beyond the end of their duty, and a press that comes again is theirs
    who took it. Else it is the first who is free, or of a group that takes turns who was called longest ago; or else
    who is busy, and then who is away, and has somebody else called.

    Raises:
        Rejected: 404, if nobody is on duty, was or will be, and nobody stands at the booth either; or if nobody of the
            group is there.
    """
    if reference == ON_DUTY:
        ranked = _on_duty(place, booth, event)
    elif group := Group.read(reference):
        ranked = _of_group(place, group, booth, event)
    else:
        return reference
    if not ranked:
        nobody = f"nobody is on duty at {booth}, and nobody stands there" if reference == ON_DUTY else ""
        raise Rejected(404, f"staff: {nobody or f'there is nobody of {reference}'}")
    return min(ranked, key=ranked.__getitem__)


def called_together(reference: str, event: Event) -> Event:
    """The press, with the group that it calls on its call; another one as it is."""
    if Group.read(reference) is None or event.call is None:
        return event
    return replace(event, call=replace(event.call, group=reference))


Ranks = Mapping[str, tuple[int, int]]


def _of_group(place: Place, group: Group, booth: str, event: Event) -> Ranks:
    there, turns = _there(place, group.members), group.how is How.TURN
    ranks = _ranked(place, there, booth, event)
    return {id: (rank, there[id].call.at if turns else 0) for id, rank in ranks.items()}


def _on_duty(place: Place, booth: str, event: Event) -> Ranks:
    duties, now = readable(place), place.clock()
    listed = _listed(place, booth)
    there = _there(place, candidates(duties, booth, listed, now)) or _there(place, listed)
    ranked = {id: (rank, 0) for id, rank in _ranked(place, there, booth, event).items()}
    before = _there(place, last_on_duty(duties, booth, now)) if there else {}
    has_it = {id: (_rank(each, booth, event, now), 0) for id, each in before.items()}
    return {id: rank for id, rank in has_it.items() if rank[0] <= HAS_IT} | ranked


def _ranked(place: Place, there: Mapping[str, Staff], booth: str, event: Event) -> Mapping[str, int]:
    """The best first. If a death cut off who passed a call on, they finish that before anything else."""
    now = place.clock()

    def is_cut_off(id: str) -> bool:
        waiting = (call for call in there[id].waiting if call.booth == booth)
        went = (Key.of_handover(f"staff-{id}", call) for call in waiting)
        return any(key.in_(each.seen, now) for key in went for each in there.values())

    ranks = {id: CUT_OFF if is_cut_off(id) else _rank(each, booth, event, now) for id, each in there.items()}
    return {
        id: IS_AWAY if rank == IS_FREE and place.is_quiet(f"staff-{id}") else rank
        for id, rank in ranks.items()
    }


def _rank(staff: Staff, booth: str, event: Event, now: int) -> int:
    if event.key and event.key.in_(staff.seen, now):
        return TOOK_IT
    if staff.call_of(booth):
        return HAS_IT
    if staff.state is StaffState.AWAY:
        return IS_AWAY
    return IS_FREE if staff.state is StaffState.IDLE and not staff.waiting else IS_BUSY


def _there(place: Place, ids: Iterable[str]) -> dict[str, Staff]:
    """Those who are registered."""
    found = {}
    for id in ids:
        try:
            found[id] = read(place, f"staff-{id}")
        except Rejected as no:
            if no.code != 404:
                raise
    return found


def readable(place: Place) -> tuple[Duty, ...]:
    """The roster; nothing of one that cannot be read."""
    try:
        return roster(place)
    except Rejected as no:  # then those who stand at the booth are called: it is no reason to call nobody
        log.warning("The roster cannot be read now: %s", no)
        return ()


def _listed(place: Place, booth: str) -> tuple[str, ...]:
    try:
        names = place.shadows.get(f"booth-{booth}").reported.get("staff")
    except Rejected:  # no such booth any more, or no name for one
        return ()
    return tuple(
        name.removeprefix("staff-")
        for name in (names if isinstance(names, list) else ())
        if isinstance(name, str)
    )
