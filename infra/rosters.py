"""The duty roster as CSV: ``booth,from,to,staff``, a line a duty."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from shadows.calls import Place
from shadows.duty import Duty, save
from shadows.registry import booths, people

COLUMNS: Final = ("booth", "from", "to", "staff")
LONGEST: Final = timedelta(days=31)
LAST_DAY: Final = "9999-12-31"
_WHEN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?")
_CLOCK: Final = re.compile(r"[0-9]{2}:[0-9]{2}")


class BadRoster(Exception):  # noqa: N818 - it is no error of ours
    """A file is no roster; ``problems`` has a line for each thing that is wrong: where, what may stand there, what did."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Known:
    booths: frozenset[str]
    staff: frozenset[str]


def load(place: Place, text: str, zone: tzinfo | None) -> list[Duty]:
    """Make a CSV file the roster, all of it or nothing.

    Args:
        place: where we run.
        text: the file.
        zone: of times that have no offset of their own; None for this machine's.

    Raises:
        BadRoster: something in it is wrong; nothing was changed.
        Rejected: 413, if it is too long; nothing was changed.
    """
    known = _Known(frozenset(each.id for each in booths(place)), frozenset(each.id for each in people(place)))
    found: list[Duty] = []
    problems: list[str] = []
    for line, cells in _lines(text):
        try:
            found.append(_duty(cells, zone, known))
        except ValueError as wrong:
            problems.append(f"line {line}: {wrong}")
    if problems:
        raise BadRoster(problems)
    save(place, found)
    return found


def written(duties: Sequence[Duty], zone: tzinfo | None) -> str:
    """The roster as a file that :func:`load` reads again, each time with its offset."""
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(
        (each.booth, moment(each.start, zone), moment(each.end, zone), each.staff) for each in duties
    )
    return file.getvalue()


def moment(ms: int, zone: tzinfo | None) -> str:
    """Milliseconds since 1970 as ``2026-11-21T09:00+09:00``."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).isoformat(timespec="minutes")


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise BadRoster(
                [f"line 1: expected a header of {','.join(COLUMNS)}, got {','.join(header)[:200]!r}"]
            )
        for cells in reader:
            if any(cell.strip() for cell in cells):
                by_name = dict(zip(header, map(str.strip, cells), strict=False))
                right = len(cells) == len(header)
                yield reader.line_num, [by_name[name] for name in COLUMNS] if right else cells
    except csv.Error as error:
        raise BadRoster([f"line {reader.line_num}: expected CSV, got something else ({error})"]) from None


def _duty(cells: list[str], zone: tzinfo | None, known: _Known) -> Duty:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} cells, got {len(cells)}")
    booth, begin, end, staff = cells
    _one_of("booth", "a booth", booth, known.booths)
    _one_of("staff", "a staff", staff, known.staff)
    start = _moment("from", begin, zone)
    over = _after(end, begin, zone)
    if not start < over <= start + LONGEST:
        raise ValueError(f"to: expected a time after from, by at most {LONGEST.days} days, got {end!r}")
    return Duty(booth=booth, start=_ms(start), end=_ms(over), staff=staff)


def _one_of(field: str, what: str, got: str, known: frozenset[str]) -> None:
    if got not in known:
        raise ValueError(f"{field}: expected the id of {what} that is there, got {got[:80]!r}")


def _moment(field: str, text: str, zone: tzinfo | None) -> datetime:
    """A time in UTC; one that the clocks show twice, or never, is refused."""
    if not _WHEN.fullmatch(text):
        also = " or 17:00" if field == "to" else ""
        raise ValueError(
            f"{field}: expected a time such as 2026-11-21T09:00 or 2026-11-21T09:00+09:00{also}, got {text[:80]!r}"
        )
    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo:
            return given.astimezone(UTC)
        first, second = (given.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{field}: expected a day and a time that exist, got {text!r}") from None
    if first != second:
        shown = first.astimezone(zone).replace(tzinfo=None) == given
        why = "comes twice" if shown else "does not come"
        raise ValueError(
            f"{field}: expected a time with its offset (such as +02:00), got {text!r}, which {why} when the clocks are changed"
        )
    return first


def _after(text: str, begin: str, zone: tzinfo | None) -> datetime:
    """The end of a duty: a full time, or the next such time of day after its beginning, in the same zone."""
    if not _CLOCK.fullmatch(text):
        return _moment("to", text, zone)
    day, offset = begin[:10], begin[16:]
    if text <= begin[11:16] and day < LAST_DAY:
        day = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    return _moment("to", f"{day}T{text}{offset}", zone)


def _ms(at: datetime) -> int:
    return round(at.timestamp()) * 1000
