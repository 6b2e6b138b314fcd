"""What happened, on record: one row a transition, written in the same commit as the transition itself."""

import sqlite3
from typing import Any, Final

from shadows.shadow import JsonObject, Shadow
from shadows.staff import Staff

TABLE: Final = """
CREATE TABLE IF NOT EXISTS history (
    n INTEGER PRIMARY KEY, at INTEGER NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL, since INTEGER NOT NULL, call TEXT NOT NULL, booth TEXT NOT NULL, click TEXT NOT NULL,
    count INTEGER NOT NULL, "end" TEXT NOT NULL, "to" TEXT NOT NULL, note TEXT NOT NULL
) STRICT;
"""


def remember(
    db: sqlite3.Connection, now: int, thing: str, previous: JsonObject | None, current: JsonObject
) -> None:
    """Write down what a change of a staff shadow asks of a person; other things and our book-keeping are no history."""
    if not thing.startswith("staff-"):
        return
    before, after = _staff(previous or {}), _staff(current)
    if after.asked == before.asked:
        return
    asked, call = after.asked, after.call
    row = (
        now,
        thing,
        after.name,
        asked.state,
        asked.why,
        asked.since,
        call.id,
        call.booth,
        call.click,
        call.count,
    )
    db.execute(
        "INSERT INTO history VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, call.end, call.to, call.note),
    )


def rows(db: sqlite3.Connection, *, since: int = 0, most: int = 10_000) -> list[dict[str, Any]]:
    """The last transitions after ``since`` (ms since 1970), oldest first."""
    found = db.execute("SELECT * FROM history WHERE at > ? ORDER BY n DESC LIMIT ?", (since, most))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in reversed(found.fetchall())]


def _staff(state: JsonObject) -> Staff:
    return Staff.read(Shadow(desired=state.get("desired") or {}, reported=state.get("reported") or {}))
