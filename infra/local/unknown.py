"""Buttons that pressed and that nobody has registered: an installer presses one, and adopts it from this list."""

import sqlite3
from collections.abc import Callable
from typing import Any, Final, Protocol

KEPT: Final = 50
TABLE: Final = """
CREATE TABLE IF NOT EXISTS unknown_buttons (
    button TEXT PRIMARY KEY, door TEXT NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL
) STRICT;
"""


class Store(Protocol):
    """What is needed of the store."""

    def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run in a transaction, and wait for the commit."""


class UnknownButtons:
    """The last 50 of them, the latest first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, button: str, at: int, door: str) -> None:
        """Remember that this button pressed at ``at`` (ms since 1970), and by which door."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO unknown_buttons VALUES (?, ?, ?, 1) ON CONFLICT (button) "
                "DO UPDATE SET door = excluded.door, at = excluded.at, count = count + 1",
                (button, door, at),
            )
            db.execute(
                "DELETE FROM unknown_buttons WHERE button NOT IN "
                "(SELECT button FROM unknown_buttons ORDER BY at DESC LIMIT ?)",
                (KEPT,),
            )

        self._store.run(work)

    def list(self) -> list[dict[str, Any]]:
        """``{"button", "door", "at", "count"}`` of each."""

        def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
            # One that was adopted is not unknown any more.
            found = db.execute(
                "SELECT button, door, at, count FROM unknown_buttons "
                "WHERE 'button-' || button NOT IN (SELECT name FROM things) ORDER BY at DESC"
            )
            return [dict(zip(("button", "door", "at", "count"), row, strict=True)) for row in found]

        listed: list[dict[str, Any]] = self._store.run(work)
        return listed
