"""``staffcall report``: how long people wait, who answered, and which calls were missed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import click

from infra.commands.here import Here
from infra.commands.history import on_record
from infra.commands.table import moment, show
from shadows.shadow import JsonObject
from shadows.staff import UNANSWERED, End, StaffState

LAST_CALLS: Final = 10
MISSED: Final = UNANSWERED | {End.EXPIRED}


@dataclass(slots=True)
class Asked:
    """How one call went for one person. ``answered`` is the time of their "ok"; times are ms since 1970."""

    name: str
    since: int
    answered: int | None = None
    end: str = ""


@dataclass(slots=True)
class Told:
    """One call, as history tells it.

    Attributes:
        asked: everybody who was asked, by thing, in order.
        missed: nobody answered, and nobody was left to ask.
    """

    id: str
    booth: str
    at: int
    asked: dict[str, Asked] = field(default_factory=dict)
    missed: bool = False

    @property
    def answered_by(self) -> Asked | None:
        """Who said ok, if anybody did."""
        return next((one for one in self.asked.values() if one.answered is not None), None)

    @property
    def response_s(self) -> float | None:
        """From the first person being asked to the first ok, in seconds."""
        by = self.answered_by
        return None if by is None or by.answered is None else (by.answered - self.at) / 1000

    @property
    def outcome(self) -> str:
        """``missed``; else how it was over for whom it reached last, or "" while it is not."""
        return "missed" if self.missed else next((one.end for one in reversed(self.asked.values())), "")


def calls(rows: Iterable[JsonObject]) -> list[Told]:
    """The calls in a history, which has one row a transition, oldest first."""
    found: dict[str, Told] = {}
    for row in rows:
        if row["call"]:
            _tell(found.setdefault(row["call"], Told(row["call"], row["booth"], row["since"])), row)
    return list(found.values())


def _tell(call: Told, row: JsonObject) -> None:
    if row["state"] == StaffState.CALLING:
        call.asked.setdefault(row["thing"], Asked(row["name"], row["since"]))
    one = call.asked.get(row["thing"])
    if one and row["state"] == StaffState.RUNNING and one.answered is None:
        one.answered = row["since"]
    if one and row["end"]:
        one.end = row["end"]
    if row["end"] in MISSED and not row["to"] and call.answered_by is None:
        call.missed = True


@click.command()
@click.pass_obj
def report(here: Here) -> None:
    """Show response times and missed calls, per person and overall, and the last calls."""
    told = calls(on_record(here)["rows"])
    columns = ("staff", "calls", "answered", "missed", "median s", "90% within s")
    show(columns, [*_people(told), _overall(told)], title="Response times")
    click.echo()
    columns = ("at", "booth", "asked", "answered by", "after s", "outcome")
    show(columns, [_line(call) for call in told[-LAST_CALLS:]], title="Last calls")


def _people(told: list[Told]) -> list[tuple[str, ...]]:
    by_thing: dict[str, list[Asked]] = {}
    for call in told:
        for thing, one in call.asked.items():
            by_thing.setdefault(thing, []).append(one)
    return [_person(thing, asked) for thing, asked in sorted(by_thing.items())]


def _person(thing: str, asked: list[Asked]) -> tuple[str, ...]:
    times = [(one.answered - one.since) / 1000 for one in asked if one.answered is not None]
    missed = sum(one.answered is None and one.end in MISSED - {End.REFUSED} for one in asked)
    name = f"{asked[-1].name} ({thing.removeprefix('staff-')})"
    return (name, str(len(asked)), str(len(times)), str(missed), *_spread(times))


def _overall(told: list[Told]) -> tuple[str, ...]:
    times = [call.response_s for call in told if call.response_s is not None]
    missed = sum(call.missed for call in told)
    return ("all calls", str(len(told)), str(len(times)), str(missed), *_spread(times))


def _spread(times: Sequence[float]) -> tuple[str, str]:
    if not times:
        return "", ""
    within = sorted(times)[math.ceil(len(times) * 0.9) - 1]
    return f"{median(times):.1f}", f"{within:.1f}"


def _line(call: Told) -> tuple[str, ...]:
    by, after = call.answered_by, call.response_s
    return (
        moment(call.at),
        call.booth,
        ", ".join(one.name for one in call.asked.values()),
        by.name if by else "",
        "" if after is None else f"{after:.1f}",
        call.outcome,
    )
