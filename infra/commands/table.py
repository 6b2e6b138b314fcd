"""Tables, for eyes and for pipes."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 10_000  # a pipe has no edge: nothing is cut off or wrapped


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """Print a table, or only its header if there are no rows."""
    from rich.console import Console  # noqa: PLC0415

    made = table(columns, rows, title=title)
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False).print(made)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> "Table":
    """A table of plain text."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    made = Table(
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=any(columns),
    )
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(cell)) for cell in row))
    return made


def plain(text: str) -> str:
    """A text without what a terminal would obey: a shadow is anybody's text."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def moment(ms: int) -> str:
    """Milliseconds since 1970 as local date and time; "" for never."""
    if not ms:
        return ""
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "?"
