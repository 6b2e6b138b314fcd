"""``staffcall report``: how long people wait, who answered, and which calls were missed."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

import click

from infra.commands.here import Here
from infra.commands.history import Moment, whole_record
from infra.commands.table import moment, show
from infra.figures import Figures, Leg, Told, by_booth, by_hour, by_person, calls, overall

LAST_CALLS: Final = 10
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"  # of a letter's width
WIDEST_BAR: Final = 4  # letters: with it the table has room in 80 columns
TIMES: Final = "in seconds, half within/nine of ten within"
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would work out


@click.command()
@click.option("--since", type=Moment(), default=0, metavar="TIME", help="30m, 24h, 7d, or 2026-11-21.")
@click.option("--booth", default="", metavar="ID", help="Only the calls of this booth.")
@click.option(
    "--csv",
    "sheet",
    type=click.File("w", encoding="utf-8-sig", lazy=True, atomic=True),
    help="The figures for a spreadsheet, into this file; - for standard output.",
)
@click.option(
    "--html",
    "page",
    type=click.File("w", encoding="utf-8", lazy=True, atomic=True),
    help="The figures with pictures, as one page that opens anywhere.",
)
@click.pass_obj
def report(here: Here, since: int, booth: str, sheet: TextIO | None, page: TextIO | None) -> None:
    """Show response times and missed calls: per person, booth and hour of the day, and the last calls.

    Times are in seconds: half of those who came so far were within the first, nine of ten within the second. "missed":
    nobody said ok.
    """
    found = whole_record(here, since=since, booth=booth)
    told = [call for call in calls(found["rows"], found["deliveries"]) if call.at > since]
    if sheet:
        csv.writer(sheet).writerows(_sheet(told))
    if page:
        from infra.commands.pictures import page_of  # noqa: PLC0415 - the charts' library takes its time

        page.write(page_of(told))
    if not (sheet or page):
        _show(told)


def _show(told: Sequence[Told]) -> None:
    columns = ("calls", "answered", "missed", *Leg)
    show(("staff", *columns), map(_row, [*by_person(told), overall(told)]), title=f"Response times, {TIMES}")
    click.echo()
    show(("booth", *columns), map(_row, by_booth(told)), title="Booths")
    click.echo()
    show(("hour", *columns, ""), _hours(told), title="Hours of the day")
    click.echo()
    columns = ("at", "booth", "asked", "answered by", "after s", "outcome")
    show(columns, map(_line, told[-LAST_CALLS:]), title="Last calls")


def _row(figures: Figures) -> tuple[str, ...]:
    counts = (str(figures.calls), str(figures.answered), str(figures.missed))
    return (figures.of, *counts, *(_spread(figures, leg) for leg in Leg))


def _spread(figures: Figures, leg: Leg) -> str:
    spread = figures.spread(leg)
    return "/".join(f"{time_s:.1f}" if time_s < 100 else f"{time_s:.0f}" for time_s in spread or ())


def _hours(told: Sequence[Told]) -> Iterator[tuple[str, ...]]:
    """A row an hour, with a bar as long as there were calls."""
    hours = by_hour(told)
    most = max((each.calls for each in hours), default=0)
    for each in hours:
        whole, rest = divmod(max(1, round(8 * WIDEST_BAR * each.calls / most)), 8)
        yield (*_row(each), (EIGHTHS[8] * whole + EIGHTHS[rest]).rstrip())


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


def _exactly(spread: tuple[float, float] | None) -> tuple[float | str, ...]:
    # Between two whole milliseconds a percentile lies on a tenth of one: more digits are those of the processor.
    return tuple(round(time_s, 4) for time_s in spread) if spread else ("", "")


def _sheet(told: Sequence[Told]) -> Iterator[Sequence[object]]:
    """The rows of the spreadsheet; a time that there is not stays empty."""
    names = (f"{leg} {share} s".replace(" ", "_") for leg in Leg for share in ("p50", "p90"))
    yield "by", "of", "calls", "answered", "missed", *names
    parts: Iterable[tuple[str, list[Figures]]] = (
        ("all", [overall(told)]),
        ("booth", by_booth(told)),
        ("hour", by_hour(told)),
        ("person", by_person(told)),
    )
    for by, group in parts:
        for each in group:
            times = (time for leg in Leg for time in _exactly(each.spread(leg)))
            of = f"'{each.of}" if each.of.startswith(FORMULA) else each.of
            yield by, of, each.calls, each.answered, each.missed, *times
