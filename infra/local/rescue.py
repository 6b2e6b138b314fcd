"""What becomes of a damaged file: it is set aside as it is, and in its place comes what can be read of it.

Refusing to start would leave a booth without its screen for as long as it takes to register everybody again, and a
program that starts us again and again would soon begin with an empty file. So the place starts with what is left of
people, buttons and calls, and says so until somebody has looked: as long as the damaged file lies there.
"""

# ruff: noqa: S608 - the tables are those that are found in the file
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infra.local.store import DamagedError, Store, StoreError, damage_in, locked, read_only
from shadows.document import Document

log = logging.getLogger(__name__)

PARTS: Final = ("", "-wal", "-shm")
CORRUPT: Final = ".corrupt-"
READY: Final = ".rescued-"  # whole and on disk, but not yet in its place
UNKNOWN_END: Final = 1 << 17  # how many row numbers are tried of a table whose end cannot be read
TABLES: Final = (
    "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
DOCUMENTS: Final = "SELECT rowid, thing, CAST(document AS BLOB) FROM shadows WHERE document IS NOT NULL"
INDEXES: Final = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"


def opened(path: Path) -> Store:
    """The store in a file; of a damaged one, with what can be read of it.

    Raises:
        StoreError: it cannot be used. A file of which nothing can be read is set aside all the same: the next start
            begins empty.
    """
    if list(_ready(path)):
        with closing(locked(path)):
            _finish(path)
    try:
        store = Store(path)
        if not store.run(_nonsense):
            return store
        store.close()
    except DamagedError:
        pass
    with closing(locked(path)):
        _rescue(path)
    return Store(path)


def set_aside(folder: Path) -> list[str]:
    """The names of the damaged files that lie in a data folder, the oldest first."""
    return sorted(each.name for each in folder.glob(f"*{CORRUPT}*") if not each.name.endswith(PARTS[1:]))


def _rescue(path: Path) -> None:
    damage = damage_in(path)
    if not damage:
        with closing(read_only(path)) as db:
            damage = ", ".join(f"nonsense in {thing}" for thing in _nonsense(db).values())
    if not damage:  # another process that started at the same time has done it
        return
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}{CORRUPT}{stamp}")
    unfinished = path.with_name(f"{path.name}.rescuing")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        said = _copied(path, unfinished)
    except sqlite3.Error as error:
        raise StoreError(
            f"{path} is damaged ({damage}), and what can be read of it cannot be written ({error}): "
            "free some space on its disk, and start again."
        ) from error
    if not said:
        unfinished.unlink()
        _move(path, aside)
        raise StoreError(
            f"{path} was damaged ({damage}), and nothing of it can be read: it is {aside.name} now. "
            "Put a backup in its place, or start again to begin empty."
        )
    unfinished.rename(path.with_name(f"{path.name}{READY}{stamp}"))
    _sync(path.parent)
    _finish(path)
    log.error(
        "%s was damaged (%s): it is %s now, and in its place is what could be read of it: %s",
        path, damage, aside.name, ", ".join(said),
    )  # fmt: skip


def _finish(path: Path) -> None:
    """Put what was rescued in its place; also, if the process that rescued it has died meanwhile."""
    for ready in _ready(path):
        _move(path, path.with_name(path.name + CORRUPT + ready.name.rpartition(READY)[2]))
        ready.replace(path)
        _sync(path.parent)


def _ready(path: Path) -> Iterator[Path]:
    return path.parent.glob(f"{path.name}{READY}*")


def _move(path: Path, aside: Path) -> None:
    # The log goes with its file: SQLite would play it into whatever lies there next.
    for part in PARTS:
        old, new = path.with_name(path.name + part), aside.with_name(aside.name + part)
        if old.exists() and not new.exists():
            old.rename(new)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have renames survive the power, where a folder can be opened."""
    with suppress(OSError):
        opened_folder = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened_folder)
        finally:
            os.close(opened_folder)


# --- Reading what is left


def _nonsense(db: sqlite3.Connection) -> dict[int, str]:
    """Row numbers and things of shadows that nobody could read, change or remove, though all pages are whole."""
    found = {}
    for row, thing, document in _asked(db, DOCUMENTS):
        try:
            Document.read(document.decode())
        except (ValueError, TypeError):
            found[row] = thing
    return found


def _copied(damaged: Path, to: Path) -> list[str]:
    """Copy all that can be read; the answer is ``<rows> of <rows there were> <table>`` of each table, nothing if no row.

    Raises:
        sqlite3.Error: of the file that is written.
    """
    said, kept = [], 0
    with closing(read_only(damaged)) as old, closing(sqlite3.connect(to, isolation_level=None)) as new:
        new.execute("BEGIN")
        for table, sql in _asked(old, TABLES):
            new.execute(sql)
            rows = _rows(old, table, without_rowid="WITHOUT ROWID" in sql.upper())
            put = sum(_put(new, table, row) for row in rows)
            if table == "shadows":
                put -= new.executemany("DELETE FROM shadows WHERE rowid = ?", zip(_nonsense(new))).rowcount
            said.append(f"{put} of {_count(old, table)} {table}")
            kept += put
        for (sql,) in _asked(old, INDEXES):
            new.execute(sql)
        new.execute("COMMIT")
    return said if kept else []


def _asked(db: sqlite3.Connection, sql: str, *given: Any) -> list[Any]:
    """The rows; none, if there is damage on the way to them."""
    with suppress(sqlite3.Error):
        return db.execute(sql, given).fetchall()
    return []


def _count(db: sqlite3.Connection, table: str) -> str:
    """How many rows there were: an index often still knows."""
    return next((str(count) for (count,) in _asked(db, f'SELECT count(*) FROM "{table}"')), "?")


def _put(db: sqlite3.Connection, table: str, row: tuple[Any, ...]) -> int:
    """How many rows that made: none, if it was there already, or if it is nonsense."""
    try:
        return db.execute(
            f'INSERT OR IGNORE INTO "{table}" VALUES ({",".join("?" * len(row))})', row
        ).rowcount
    except sqlite3.IntegrityError:
        return 0


def _rows(db: sqlite3.Connection, table: str, *, without_rowid: bool) -> Iterator[tuple[Any, ...]]:
    if without_rowid:
        yield from _towards(db, table, "ASC", ">")
        yield from _towards(db, table, "DESC", "<")
        return
    ends = [
        _asked(db, f'SELECT rowid FROM "{table}" ORDER BY rowid {way} LIMIT 1') for way in ("ASC", "DESC")
    ]
    first, last = (end[0][0] if end else None for end in ends)
    low = 1 if first is None else first
    yield from _between(db, table, low, low + UNKNOWN_END if last is None else last)


def _towards(db: sqlite3.Connection, table: str, way: str, beyond: str) -> Iterator[tuple[Any, ...]]:
    """All rows from one end up to the first damage, in the order of the primary key."""
    columns = [
        (key, at, f'"{name}"') for at, name, _, _, _, key in _asked(db, f'PRAGMA table_info("{table}")')
    ]
    keys = sorted(column for column in columns if column[0])
    order = ",".join(f"{name} {way}" for _, _, name in keys)
    # One after the other: SQLite would look for the next row before it hands out the last one.
    here = f"({','.join(name for _, _, name in keys)}) {beyond} ({','.join('?' * len(keys))})"
    found = _asked(db, f'SELECT * FROM "{table}" ORDER BY {order} LIMIT 1')
    while found:
        yield (row := found[0])
        where = [row[at] for _, at, _ in keys]
        found = _asked(db, f'SELECT * FROM "{table}" WHERE {here} ORDER BY {order} LIMIT 1', *where)


def _between(db: sqlite3.Connection, table: str, low: int, high: int) -> Iterator[tuple[Any, ...]]:
    """All rows with these row numbers that can be read: what cannot be read at once is read in halves."""
    if low == high:
        yield from _asked(db, f'SELECT * FROM "{table}" WHERE rowid = ?', low)
        return
    try:
        yield from db.execute(f'SELECT * FROM "{table}" WHERE rowid BETWEEN ? AND ?', (low, high)).fetchall()
    except sqlite3.Error:
        middle = (low + high) // 2
        yield from _between(db, table, low, middle)
        yield from _between(db, table, middle + 1, high)
