"""What happened, on record: each transition, in the same commit as itself, and each attempt to tell somebody of it.

Rows are only ever added, until they are as old as they may get; and a person's name can be taken out of them.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from infra.local.store import Store
from infra.records import of_action, of_attempt
from shadows.actions import Tried
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow
from shadows.staff import Staff
from shadows.telling import Attempt

log = logging.getLogger(__name__)

MOST: Final = 10_000
NEWS: Final = 50
BEYOND: Final = 2**53  # no row has such a number
A_DAY_MS: Final = 86_400_000
PRUNED_AT_ONCE: Final = 500  # so few that a press in between does not wait
SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS history (
        n INTEGER PRIMARY KEY, at INTEGER NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
        why TEXT NOT NULL, since INTEGER NOT NULL, call TEXT NOT NULL, booth TEXT NOT NULL, click TEXT NOT NULL,
        count INTEGER NOT NULL, "end" TEXT NOT NULL, "to" TEXT NOT NULL, note TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS history_of ON history (thing, call, since)",
    """CREATE TABLE IF NOT EXISTS deliveries (
        n INTEGER PRIMARY KEY, at INTEGER NOT NULL, thing TEXT NOT NULL, call TEXT NOT NULL, state TEXT NOT NULL,
        since INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, outcome TEXT NOT NULL,
        reason TEXT NOT NULL, took_ms INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS deliveries_of ON deliveries (thing, call)",
    # A data folder may be older than what is recorded now.
    "CREATE TABLE IF NOT EXISTS records (began INTEGER NOT NULL) STRICT",
    # Who takes one transition after the other, and which one they have taken last.
    "CREATE TABLE IF NOT EXISTS readers (reader TEXT PRIMARY KEY, reached INTEGER NOT NULL) STRICT",
)
TABLES: Final = ("history", "deliveries")
LATER: Final = {"key": "TEXT NOT NULL DEFAULT ''", "pressed": "INTEGER NOT NULL DEFAULT 0"}
# A number is not given again when all rows are as old as they may get: a reader that was further would miss the new ones.
LAST: Final = (
    "SELECT MAX(COALESCE((SELECT MAX(n) FROM history), 0), COALESCE((SELECT MAX(reached) FROM readers), 0))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: those after ``since`` and up to ``until`` (ms since 1970; 0 for no end), of one thing, of one booth's
    calls; "" for all.

    Attributes:
        before: only the rows with lower numbers than these: of transitions, and of deliveries.
    """

    since: int = 0
    until: int = 0
    thing: str = ""
    booth: str = ""
    before: tuple[int, int] = (BEYOND, BEYOND)


def prepare(db: sqlite3.Connection, now: int) -> None:
    """Make the tables, or bring those of an older version up to date."""
    for statement in SCHEMA:
        db.execute(statement)
    known = {column[1] for column in db.execute("PRAGMA table_info(history)")}
    for column, kind in LATER.items():
        if column not in known:
            db.execute(f"ALTER TABLE history ADD COLUMN {column} {kind}")
    db.execute("INSERT INTO records SELECT ? WHERE NOT EXISTS (SELECT 1 FROM records)", (now,))


def remember(
    db: sqlite3.Connection, now: int, thing: str, previous: JsonObject | None, current: JsonObject
) -> None:
    """Write down what a change of a staff shadow asks of a person; other things and our book-keeping are no history.

    ``key`` is that of the event that made it (see ``seen``); "" if there was none. ``pressed`` is when the visitor did
    first, in ms since 1970: a call may wait for somebody who is busy, or move on to another person.
    """
    if not thing.startswith("staff-"):
        return
    before, after = _staff(previous or {}), _staff(current)
    # That somebody is to be reminded is no transition; that they were is among the deliveries. Nor is one more note.
    was = before.call
    as_before = replace(after.call, reminded=was.reminded, note=was.note, promised=was.promised)
    if replace(after.asked, call=as_before) == before.asked:
        return
    asked, call = after.asked, after.call
    key = after.seen[-1] if after.seen[-1:] != before.seen[-1:] else ""
    row = (now, thing, after.name, asked.state, asked.why, asked.since, call.id, call.booth, call.click)
    db.execute(  # by their names: an older file may have its columns in another order
        'INSERT INTO history (n, at, thing, name, state, why, since, call, booth, click, count, "end", "to", note, key, pressed)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (last(db) + 1, *row, call.count, call.end, call.to, call.note, key, call.at),
    )


def note(db: sqlite3.Connection, now: int, delivery: JsonObject) -> None:
    """Write down what became of one try, in the columns of :mod:`infra.records`."""
    db.execute(
        "INSERT INTO deliveries (at, thing, call, state, since, kind, count, outcome, reason, took_ms)"
        " VALUES (:at, :thing, :call, :state, :since, :kind, :count, :outcome, :reason, :took_ms)",
        {"at": now, **delivery},
    )


def noting(store: Store, clock: Callable[[], int]) -> Callable[[Attempt], None]:
    """A function that writes attempts down, and waits for nothing: what is written after it is durable after it."""
    return lambda attempt: _submit(store, clock(), of_attempt(attempt))


def noting_actions(store: Store, clock: Callable[[], int]) -> Callable[[Tried], None]:
    """The same for what clicks start."""
    return lambda tried: _submit(store, clock(), of_action(tried))


def _submit(store: Store, now: int, delivery: JsonObject) -> None:
    store.submit(lambda db: note(db, now, delivery)).add_done_callback(_written)


def _written(done: "Future[Any]") -> None:
    if error := done.exception():
        log.error("An attempt is not on record: %s", error)


def rows(db: sqlite3.Connection, wanted: Wanted) -> list[JsonObject]:
    """The last transitions, oldest first, at most ``MOST``."""
    return _found(
        db,
        "SELECT * FROM history WHERE n < :before AND at > :since AND (:until = 0 OR at <= :until) AND (:thing = '' OR thing = :thing) "
        "AND (:booth = '' OR booth = :booth) ORDER BY n DESC LIMIT :most",
        wanted,
        wanted.before[0],
    )


def deliveries(db: sqlite3.Connection, wanted: Wanted) -> list[JsonObject]:
    """The last attempts, oldest first, at most ``MOST``."""
    return _found(
        db,
        "SELECT * FROM deliveries WHERE n < :before AND at > :since AND (:until = 0 OR at <= :until) AND (:thing = '' OR thing = :thing) "
        "AND (:booth = '' OR call IN (SELECT call FROM history WHERE booth = :booth)) "
        "ORDER BY n DESC LIMIT :most",
        wanted,
        wanted.before[1],
    )


def last(db: sqlite3.Connection) -> int:
    """The number of the last transition; 0 if there was none."""
    (n,) = db.execute(LAST).fetchone()
    return int(n)


def begin(db: sqlite3.Connection, reader: str) -> int:
    """The number of the transition that a reader has taken last; one who is new begins with what comes now."""
    db.execute("INSERT OR IGNORE INTO readers VALUES (?, ?)", (reader, last(db)))
    (n,) = db.execute("SELECT reached FROM readers WHERE reader = ?", (reader,)).fetchone()
    return int(n)


def reached(db: sqlite3.Connection, reader: str, n: int) -> None:
    """Write down that a reader has taken this transition, and all before it."""
    db.execute("UPDATE readers SET reached = ? WHERE reader = ?", (n, reader))


def after(db: sqlite3.Connection, n: int) -> JsonObject | None:
    """The first transition after that number; None if there is none yet."""
    found = db.execute("SELECT * FROM history WHERE n > ? ORDER BY n LIMIT 1", (n,))
    return next(iter(list(_named(found))), None)


def records(db: sqlite3.Connection, wanted: Wanted) -> JsonObject:
    """``{"rows", "deliveries", "complete"}``: transitions and attempts, and whether these are all of them."""
    found = {"rows": rows(db, wanted), "deliveries": deliveries(db, wanted)}
    return {**found, "complete": all(len(each) < MOST for each in found.values())}


@contextmanager
def at_one_moment(db: sqlite3.Connection) -> Iterator[None]:
    """Whatever is read within is as it was at one moment, though others write."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def further(
    db: sqlite3.Connection, reached: tuple[int, int]
) -> tuple[Iterator[JsonObject], Iterator[JsonObject]]:
    """All transitions and all attempts with higher numbers than these, oldest first."""
    rows, attempts = (
        _named(db.execute(f"SELECT * FROM {table} WHERE n > ? ORDER BY n", (n,)))  # noqa: S608 - our own two names
        for table, n in zip(TABLES, reached, strict=True)
    )
    return rows, attempts


def of_a_day(db: sqlite3.Connection) -> tuple[int, int]:
    """The numbers of the transition and the attempt after which the last day on record begins; 0 for none."""
    newest = db.execute("SELECT at FROM history ORDER BY n DESC LIMIT 1").fetchone()
    if newest is None:
        return 0, 0
    found = (
        db.execute(f"SELECT n FROM {table} WHERE at < ? ORDER BY n DESC LIMIT 1", (newest[0] - A_DAY_MS,))  # noqa: S608
        for table in TABLES
    )
    rows, attempts = ((each.fetchone() or (0,))[0] for each in found)
    return int(rows), int(attempts)


def news(db: sqlite3.Connection, row: int, delivery: int) -> JsonObject:
    """``{"rows", "deliveries"}`` with greater numbers than these, oldest first; the last ``NEWS`` of each."""
    found = {}
    for name, table, n in (("rows", "history", row), ("deliveries", "deliveries", delivery)):
        query = f"SELECT * FROM {table} WHERE n > ? ORDER BY n DESC LIMIT ?"  # noqa: S608 - our own two names
        listed = db.execute(query, (max(-1, min(n, BEYOND)), NEWS))
        found[name] = list(_named(listed))[::-1]
    return found


def erase(db: sqlite3.Connection, thing: str) -> str:
    """Take a person out of all rows; what happened stays, of somebody whom the pseudonym does not name.

    Raises:
        Rejected: 404, if nothing is on record of them.
    """
    known = db.execute(
        'SELECT 1 FROM history WHERE ? IN (thing, "to") UNION SELECT 1 FROM deliveries WHERE thing = ?',
        (thing, thing),
    )
    if known.fetchone() is None:
        raise Rejected(404, f"id: nothing is on record of staff {thing.removeprefix('staff-')}")
    (last,) = db.execute(
        "SELECT MAX(CAST(substr(thing, 8) AS INTEGER)) FROM history WHERE thing GLOB 'erased-[0-9]*'"
    ).fetchone()
    pseudonym = f"erased-{(last or 0) + 1}"
    db.execute(
        "UPDATE history SET thing = :new, name = :new, note = '', key = '' WHERE thing = :old",
        {"new": pseudonym, "old": thing},
    )
    db.execute('UPDATE history SET "to" = ? WHERE "to" = ?', (pseudonym, thing))
    db.execute("UPDATE deliveries SET thing = ? WHERE thing = ?", (pseudonym, thing))
    return pseudonym


def prune(db: sqlite3.Connection, table: str, before: int) -> int:
    """Delete some of the rows that are older; the answer is how many these were. Rows are in the order of time."""
    oldest = f"SELECT n, at FROM {table} ORDER BY n LIMIT ?"  # noqa: S608 - one of our own two names
    done = db.execute(
        f"DELETE FROM {table} WHERE n IN (SELECT n FROM ({oldest}) WHERE at < ?)",  # noqa: S608
        (PRUNED_AT_ONCE, before),
    )
    return done.rowcount


class Retention:
    """Forgets what is older than so many days: at the start, and from then on once a day."""

    def __init__(self, store: Store, clock: Callable[[], int], days: int) -> None:
        self._store, self._clock, self._days = store, clock, days
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._prune()
            except Rejected as no:
                log.warning("The history cannot be shortened now, but tomorrow: %s", no)
            if self._stopping.wait(A_DAY_MS / 1000):
                return

    def _prune(self) -> None:
        before = self._clock() - self._days * A_DAY_MS
        for table in TABLES:
            while not self._stopping.is_set() and self._store.run(lambda db, t=table: prune(db, t, before)):  # type: ignore[misc]
                pass


def _found(db: sqlite3.Connection, query: str, wanted: Wanted, before: int) -> list[JsonObject]:
    given: dict[str, Any] = {
        "before": before,
        "since": wanted.since,
        "until": wanted.until,
        "thing": wanted.thing,
        "booth": wanted.booth,
        "most": MOST,
    }
    return list(_named(db.execute(query, given)))[::-1]


def _named(found: sqlite3.Cursor) -> Iterator[JsonObject]:
    names = [column[0] for column in found.description]
    return (dict(zip(names, row, strict=True)) for row in found)


def _staff(state: JsonObject) -> Staff:
    return Staff.read(Shadow(desired=state.get("desired") or {}, reported=state.get("reported") or {}))
