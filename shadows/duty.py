"""The duty roster: who stands for which booth when.

The roster is one text in the shadow ``roster``, which no kiosk may read: whoever writes it writes all of it or nothing.
"""

import logging
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.shadow import Shadow, Thing

log = logging.getLogger(__name__)

ROSTER: Final = "roster"
MOST_CHARACTERS: Final = 7_500  # of the 8 KB of a shadow
LONGEST_TEXT: Final = 1_000_000
STALE_MS: Final = 600_000  # a hand-over of before that is no news
CLAIM_MS: Final = 30_000
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One line of the roster: ids of a booth and of who stands for it, from ``start`` until before ``end``.

    Both are whole minutes, in ms since 1970.
    """

    booth: str
    start: int
    end: int
    staff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The duty of a booth changed at ``at`` (ms since 1970), from these people to those; either may be nobody."""

    booth: str
    at: int
    before: tuple[str, ...]
    after: tuple[str, ...]


# --- Who is on duty, pure


def on_duty(duties: Iterable[Duty], booth: str, at: int) -> tuple[str, ...]:
    """Who stands for a booth at a moment, in the order of the roster."""
    found = (each.staff for each in duties if each.booth == booth and each.start <= at < each.end)
    return tuple(dict.fromkeys(found))


def last_on_duty(duties: Iterable[Duty], booth: str, at: int) -> tuple[str, ...]:
    """Whose duty at a booth ended last before a moment, or at it; nobody, if none has."""
    over = [each for each in duties if each.booth == booth and each.end <= at]
    latest = max((each.end for each in over), default=0)
    return tuple(dict.fromkeys(each.staff for each in over if each.end == latest))


def next_on_duty(duties: Iterable[Duty], booth: str, at: int) -> tuple[str, ...]:
    """Whose duty at a booth begins next after a moment; nobody, if none does."""
    coming = [each for each in duties if each.booth == booth and each.start > at]
    soonest = min((each.start for each in coming), default=0)
    return tuple(dict.fromkeys(each.staff for each in coming if each.start == soonest))


def handovers(duties: Sequence[Duty], since: int, now: int) -> Iterator[Handover]:
    """The last change of each booth's duty after ``since`` and until ``now``, unless it is stale, or nobody changed."""
    for booth in dict.fromkeys(each.booth for each in duties):
        at = max((at for at in _changes(duties, booth) if since < at <= now), default=0)
        before, after = on_duty(duties, booth, at - 1), on_duty(duties, booth, at)
        if now - at <= STALE_MS and set(before) != set(after):
            yield Handover(booth=booth, at=at, before=before, after=after)


def _changes(duties: Iterable[Duty], booth: str) -> Iterator[int]:
    for each in duties:
        if each.booth == booth:
            yield from (each.start, each.end)


# --- The roster, kept


def roster(place: Place) -> tuple[Duty, ...]:
    """All lines, in their order; none, if there is no roster.

    Raises:
        Rejected: what the service refuses.
    """
    return _duties(_kept(place))


def save(place: Place, duties: Sequence[Duty]) -> None:
    """Put this roster in the place of the one that is there, in one write; what changed before now is not announced.

    Raises:
        Rejected: 413, if it is too long.
    """
    text = _packed(duties)
    if len(text) > MOST_CHARACTERS:
        raise Rejected(413, f"roster: {len(duties)} lines are more than it can hold; leave out what is over")
    with suppress(Rejected):  # it is there
        place.things.create(Thing(name=ROSTER))
    place.shadows.update(ROSTER, reported={"duties": text, "announced": place.clock(), "telling": None})


def _kept(place: Place) -> Shadow:
    try:
        return place.shadows.get(ROSTER)
    except Rejected as no:
        if no.code != 404:
            raise
        return Shadow()


def _packed(duties: Iterable[Duty]) -> str:
    lines = (
        f"{each.booth},{each.start // MINUTE_MS},{(each.end - each.start) // MINUTE_MS},{each.staff}"
        for each in duties
    )
    return b64encode(zlib.compress("\n".join(lines).encode(), 9)).decode()


def _duties(shadow: Shadow) -> tuple[Duty, ...]:
    """What a shadow says; nothing, if it cannot be read: a press must still call somebody."""
    text = shadow.reported.get("duties")
    try:
        unpacked = zlib.decompressobj().decompress(b64decode(text or ""), LONGEST_TEXT).decode()
        return tuple(map(_duty, unpacked.split("\n"))) if unpacked else ()
    except (TypeError, ValueError, zlib.error) as error:
        log.warning("The roster cannot be read (%s): import it again", type(error).__name__)
        return ()


def _duty(line: str) -> Duty:
    booth, start, minutes, staff = line.split(",")
    began = int(start) * MINUTE_MS
    return Duty(booth=booth, start=began, end=began + int(minutes) * MINUTE_MS, staff=staff)


# --- Hand-overs, announced


def announce(place: Place, say: Callable[[Sequence[Handover]], None]) -> None:
    """Have the channel hear of the hand-overs that it has not heard of; after a kill at the worst moment, twice.

    Args:
        place: where we run.
        say: posts one message; what it raises is raised again, and the next time it is tried once more.

    Raises:
        Rejected: what the service refuses.
    """
    shadow, now = _kept(place), place.clock()
    claimed, since = (_number(shadow.reported.get(name)) for name in ("telling", "announced"))
    if since > now:  # the clock was set back
        place.shadows.update(ROSTER, reported={"announced": now})
    found = list(handovers(_duties(shadow), since, now))
    if not found or 0 <= now - claimed < CLAIM_MS:
        return
    try:
        version = place.shadows.update(ROSTER, reported={"telling": now}, version=shadow.version)
    except Rejected as no:
        if no.code != 409:
            raise
        return  # somebody else is saying it, or there is another roster
    done = {}
    try:
        say(found)
        done = {"announced": now}
    finally:
        with suppress(Rejected):  # another roster came between, and has forgotten the claim
            place.shadows.update(ROSTER, reported={**done, "telling": None}, version=version)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
