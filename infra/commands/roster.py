"""``staffcall roster``: who stands for which booth when; buttons with ``--staff @duty`` call who is on duty."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from infra import rosters
from infra.commands.here import Here
from infra.commands.table import show
from shadows import duty, sheet
from shadows.duty import Duty


class Zone(click.ParamType[tzinfo]):
    """The name of a time zone, such as ``Asia/Tokyo``."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """As click asks for it."""
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"expected the name of a time zone, such as Asia/Tokyo, got {value!r}", param, ctx)


zoned = click.option(
    "--timezone", "zone", type=Zone(), help="Of times without an offset [else that of this machine]."
)


@click.group()
def roster() -> None:
    """The duty roster: import, show, export."""


@roster.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@zoned
@click.pass_obj
def import_(here: Here, file: Path, zone: tzinfo | None) -> None:
    """Make a CSV file the roster: booth,from,to,staff. All of the one before goes; if a line is wrong, nothing does.

    A time is 2026-11-21T09:00, with an offset (+09:00, Z) or without; "to" may be a time of day alone, the next one
    after "from". Several people may be on duty at once: the first who is free is called.
    """
    try:
        found = rosters.load(here.place, sheet.decoded(file.read_bytes()), zone)
    except rosters.BadRoster as bad:
        for problem in bad.problems:
            click.echo(problem, err=True)
        raise click.ClickException("the roster was not changed") from None
    click.echo(f"roster: {len(found)} lines; from {_span(found, zone)}" if found else "roster: empty")


@roster.command("show")
@zoned
@click.pass_obj
def show_(here: Here, zone: tzinfo | None) -> None:
    """Show the roster, and who is on duty now."""
    show((*rosters.COLUMNS, ""), _rows(duty.roster(here.place), zone, here.place.clock()))


@roster.command()
@zoned
@click.pass_obj
def export(here: Here, zone: tzinfo | None) -> None:
    """Print the roster as CSV that `import` takes."""
    click.echo(rosters.written(duty.roster(here.place), zone), nl=False)


def _span(duties: Sequence[Duty], zone: tzinfo | None) -> str:
    start, end = min(each.start for each in duties), max(each.end for each in duties)
    return f"{rosters.moment(start, zone)} to {rosters.moment(end, zone)}"


def _rows(duties: Sequence[Duty], zone: tzinfo | None, now: int) -> Iterator[tuple[str, ...]]:
    for each in duties:
        times = (rosters.moment(at, zone) for at in (each.start, each.end))
        yield each.booth, *times, each.staff, "on duty" if each.start <= now < each.end else ""
