"""What a history comes to, pure: each call with the times of its way, and the figures of many calls.

A history has one row a transition, and one a message (:mod:`infra.local.history` has the columns), each oldest first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from statistics import quantiles
from typing import Final

from shadows.shadow import JsonObject
from shadows.staff import UNANSWERED, CallEvent, End, StaffState
from shadows.telling import Delivery

MISSED: Final = UNANSWERED | {End.EXPIRED}
# Nothing begins with these: they repeat what the last call was, which may be so old that its own rows are gone.
COMING_AND_GOING: Final = (CallEvent.AWAY, CallEvent.BACK)
IN_VAIN: Final = MISSED - {End.REFUSED}  # who says "no" has answered, though nobody goes


class Leg(StrEnum):
    """A part of a call's way. It begins with the press; for a person, with the moment at which they were called."""

    MENTION = "press to mention"
    OK = "mention to ok"
    RESPONSE = "press to ok"
    DONE = "ok to done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """When a call, or one person's part of it, came how far: ms since 1970; None for what did not happen.

    Attributes:
        began: the press; None for who was never called, and went all the same.
        mentioned: Slack took the mention.
    """

    began: int | None
    mentioned: int | None = None
    answered: int | None = None
    done: int | None = None

    @property
    def legs(self) -> dict[Leg, float]:
        """How long each part took, in seconds. One that ends before it begins has no time: somebody set the clock."""
        ends = {
            Leg.MENTION: (self.began, self.mentioned),
            Leg.OK: (self.mentioned, self.answered),
            Leg.RESPONSE: (self.began, self.answered),
            Leg.DONE: (self.answered, self.done),
        }
        return {
            leg: (end - start) / 1000
            for leg, (start, end) in ends.items()
            if start is not None and end is not None and end >= start
        }


@dataclass(slots=True)
class Asked:
    """How one call went for one person; times are ms since 1970.

    Attributes:
        since: when they were called; None for a volunteer.
        answered: when they said ok; where they said "done" at once, when they said that.
        done: when they said that they had been there; not when it was over by itself.
        relieved: while they were called, somebody else took it, such as another of a group.
    """

    name: str
    since: int | None = None
    mentioned: int | None = None
    answered: int | None = None
    done: int | None = None
    end: str = ""
    relieved: bool = False

    @property
    def missed(self) -> bool:
        """They let it go by: what somebody took while they were still called, nobody missed."""
        return self.answered is None and self.end in IN_VAIN and not self.relieved

    @property
    def way(self) -> Way:
        return Way(began=self.since, mentioned=self.mentioned, answered=self.answered, done=self.done)


@dataclass(slots=True)
class Told:
    """One call, as history tells it.

    Attributes:
        asked: everybody who was asked, or who went unasked, by thing, in order.
        at: the press, ms since 1970.
        left: nobody answered, and nobody was left to ask. Somebody may still go, by their own will.
    """

    id: str
    booth: str
    at: int
    asked: dict[str, Asked] = field(default_factory=dict)
    left: bool = False

    @property
    def answered_by(self) -> Asked | None:
        """Who said ok first, if anybody did."""
        said = [one for one in self.asked.values() if one.answered is not None]
        return min(said, key=lambda one: one.answered or 0, default=None)

    @property
    def missed(self) -> bool:
        """Nobody ever said ok, and nobody was left to ask."""
        return self.left and self.answered_by is None

    @property
    def way(self) -> Way:
        """Of the call as a whole: the first mention, the first ok, and when who said it was done."""
        by = self.answered_by
        mentions = [one.mentioned for one in self.asked.values() if one.mentioned is not None]
        return Way(
            began=self.at,
            mentioned=min(mentions, default=None),
            answered=by.answered if by else None,
            done=by.done if by else None,
        )

    @property
    def response_s(self) -> float | None:
        """From the press to the first ok, in seconds."""
        return self.way.legs.get(Leg.RESPONSE)

    @property
    def outcome(self) -> str:
        """``missed``; else how it was over for whom it reached last, or "" while it is not."""
        return "missed" if self.missed else next((one.end for one in reversed(self.asked.values())), "")


def calls(rows: Iterable[JsonObject], deliveries: Iterable[JsonObject] = ()) -> list[Told]:
    """The calls in a history."""
    found: dict[str, Told] = {}
    for row in rows:
        tell(found, row)
    for attempt in deliveries:
        mention(found, attempt)
    return list(found.values())


def tell(calls: dict[str, Told], row: JsonObject) -> None:
    """Go on with the calls by one transition."""
    if not row["call"] or (row["call"] not in calls and row.get("why") in COMING_AND_GOING):
        return
    # What was recorded before the press had a column of its own began when the first person was asked.
    call = calls.setdefault(row["call"], Told(row["call"], row["booth"], row.get("pressed") or row["since"]))
    if row["state"] == StaffState.CALLING:
        call.asked.setdefault(row["thing"], Asked(row["name"], row["since"]))
    if row["state"] == StaffState.RUNNING:
        _say_ok(call.asked.setdefault(row["thing"], Asked(row["name"])), row["since"])
    if one := call.asked.get(row["thing"]):
        one.end = row["end"]
        one.relieved |= row.get("why") == CallEvent.HANDOVER and row["state"] == StaffState.IDLE
        if row["end"] == End.DONE and one.done is None:  # going away later repeats how the last call ended
            _say_ok(one, row["since"])
            one.done = row["since"]
    if row["end"] in MISSED and not row["to"] and call.answered_by is None:
        call.left = True


def _say_ok(one: Asked, at: int) -> None:
    if one.answered is None:
        one.answered = at


def mention(calls: Mapping[str, Told], attempt: JsonObject) -> None:
    """Go on with the calls by one attempt to tell somebody."""
    call = calls.get(attempt["call"])
    one = call.asked.get(attempt["thing"]) if call else None
    told = attempt["outcome"] == Delivery.TOLD and attempt["state"] == StaffState.CALLING
    if one and told and one.mentioned is None:
        one.mentioned = attempt["at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Many calls at once: of a booth, an hour, a person, or all.

    Attributes:
        of: what they have in common.
        times: of each leg, how long it took in each call that has it; seconds.
    """

    of: str
    calls: int
    answered: int
    missed: int
    times: Mapping[Leg, Sequence[float]]

    def spread(self, leg: Leg) -> tuple[float, float] | None:
        """The median and the 90th percentile; None if there is no time.

        Between two values it goes by a straight line, as PERCENTILE of spreadsheets does, and numpy.
        """
        times = self.times[leg]
        if len(times) < 2:
            return (times[0], times[0]) if times else None
        tenths = quantiles(times, n=10, method="inclusive")
        return tenths[4], tenths[8]


Before = tuple[int, int] | None  # the numbers of a row and of a delivery: only what is older


def whole(page: Callable[[Before], JsonObject]) -> JsonObject:
    """All that is on record, however much it is; ``page`` gives the last part, or the last one before something."""
    found = page(None)
    parts = [found]
    while not found["complete"]:
        found = page(tuple(part[0]["n"] if (part := found[name]) else 0 for name in ("rows", "deliveries")))  # type: ignore[arg-type]
        parts.append(found)
    rows, sent = ([row for part in reversed(parts) for row in part[name]] for name in ("rows", "deliveries"))
    return {"rows": rows, "deliveries": sent, "complete": True}


def plain(told: Sequence[Told]) -> JsonObject:
    """All figures as JSON: ``{"all", "booths", "hours", "people"}``; of each leg the median and the 90th percentile, or null."""

    def of(figures: Figures) -> JsonObject:
        counts = {
            "of": figures.of,
            "calls": figures.calls,
            "answered": figures.answered,
            "missed": figures.missed,
        }
        return {**counts, "times": {str(leg): figures.spread(leg) for leg in Leg}}

    return {
        "all": of(overall(told)),
        "booths": [of(each) for each in by_booth(told)],
        "hours": [of(each) for each in by_hour(told)],
        "people": [of(each) for each in by_person(told)],
    }


def overall(told: Iterable[Told]) -> Figures:
    """Of all calls."""
    return _figures("all calls", list(told))


def by_booth(told: Iterable[Told]) -> list[Figures]:
    """Of each booth."""
    return _grouped(told, lambda call: call.booth)


def by_hour(told: Iterable[Told]) -> list[Figures]:
    """Of each hour of the day in which somebody pressed, by the clock of this machine."""
    return _grouped(told, lambda call: datetime.fromtimestamp(call.at / 1000).astimezone().strftime("%H:00"))


def by_person(told: Iterable[Told]) -> list[Figures]:
    """Of each person who was called, or went."""
    parts: dict[str, list[Asked]] = {}
    for call in told:
        for thing, one in call.asked.items():
            parts.setdefault(thing, []).append(one)
    return [
        Figures(
            of=f"{own[-1].name} ({thing.removeprefix('staff-')})",
            calls=len(own),
            answered=sum(one.answered is not None for one in own),
            missed=sum(one.missed for one in own),
            times=_times(one.way for one in own),
        )
        for thing, own in sorted(parts.items())
    ]


def _grouped(told: Iterable[Told], key: Callable[[Told], str]) -> list[Figures]:
    groups: dict[str, list[Told]] = {}
    for call in told:
        groups.setdefault(key(call), []).append(call)
    return [_figures(of, groups[of]) for of in sorted(groups)]


def _figures(of: str, told: Sequence[Told]) -> Figures:
    return Figures(
        of=of,
        calls=len(told),
        answered=sum(call.answered_by is not None for call in told),
        missed=sum(call.missed for call in told),
        times=_times(call.way for call in told),
    )


def _times(ways: Iterable[Way]) -> dict[Leg, list[float]]:
    times: dict[Leg, list[float]] = {leg: [] for leg in Leg}
    for way in ways:
        for leg, took_s in way.legs.items():
            times[leg].append(took_s)
    return times
