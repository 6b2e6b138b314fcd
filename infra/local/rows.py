"""The rows of shadows in the store's file: many of them are read, or written, with one statement.

Each statement lets go of the interpreter, and to get it back from a thread that is busy takes longer than a small
statement does.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from infra.local.store import damage_of

SCHEMA: Final = (
    # A deleted shadow keeps its row, without the document: a tombstone, which holds the version. The classic one's name is ''.
    """CREATE TABLE IF NOT EXISTS shadows (
        thing TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        document TEXT, deleted_at INTEGER, PRIMARY KEY (thing, name)
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS tombstones ON shadows (deleted_at) WHERE deleted_at IS NOT NULL",
)
_ONE: Final = "SELECT version, document, deleted_at FROM shadows WHERE thing = ? AND name = ?"
# All in one row, a line for each: a document has no line break of its own.
_MANY: Final = """
    SELECT group_concat(key || ' ' || version || ' ' || ifnull(deleted_at, '') || ' ' || ifnull(document, ''), char(10))
    FROM json_each(?) CROSS JOIN shadows ON thing = value ->> 0 AND name = value ->> 1
"""
_PUT: Final = """
    INSERT INTO shadows VALUES {} ON CONFLICT DO UPDATE SET
    version = excluded.version, document = excluded.document, deleted_at = excluded.deleted_at
"""

Key = tuple[str, str]  # thing, and the shadow's name


class Row(NamedTuple):
    """One shadow: its version, and its document as text; without that a tombstone, of ``deleted_at`` in ms since 1970."""

    version: int
    text: str | None
    deleted_at: int | None = None


class Rows:
    """Those of some shadows, inside a transaction: what is put is read again, and written in the end."""

    def __init__(self, db: sqlite3.Connection, keys: Sequence[Key]) -> None:
        self._db = db
        self._rows = self._found(keys) if len(keys) > 1 else {}
        self._put: dict[Key, Row] = {}

    def _found(self, keys: Sequence[Key]) -> dict[Key, Row | None]:
        """All at once; if one of them is damaged, none: it is read alone then, as the others are."""
        found: dict[Key, Row | None] = dict.fromkeys(keys)
        try:
            (lines,) = self._db.execute(_MANY, (json.dumps(keys),)).fetchone()
            for line in lines.split("\n") if lines else ():
                number, version, deleted_at, text = line.split(" ", 3)
                found[keys[int(number)]] = Row(int(version), text, int(deleted_at) if deleted_at else None)
        except ValueError:
            return {}
        except sqlite3.Error as error:
            if damage_of(error):
                return {}
            raise
        return found

    def get(self, key: Key) -> Row | None:
        """A row, None if there is none."""
        if key not in self._rows:
            found = self._db.execute(_ONE, key).fetchone()
            self._rows[key] = Row(*found) if found else None
        return self._rows[key]

    def put(self, key: Key, row: Row) -> None:
        self._rows[key] = self._put[key] = row

    def write(self) -> None:
        """Write what was put."""
        if self._put:
            values = ", ".join(["(?, ?, ?, ?, ?)"] * len(self._put))
            self._db.execute(
                _PUT.format(values), [each for key, row in self._put.items() for each in key + row]
            )
