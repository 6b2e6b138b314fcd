"""The registry: things and thing types, with AWS IoT Core's rules."""

import json
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from infra.local.store import Store
from shadows.errors import Rejected
from shadows.shadow import Thing

NAME: Final = r"[a-zA-Z0-9:_-]+"
ATTRIBUTE_NAME: Final = r"[a-zA-Z0-9_.,@/:#-]+"
ATTRIBUTE_VALUE: Final = r"[a-zA-Z0-9_.,@/:#=\[\]-]*"
DESCRIPTION: Final = r"[\x20-\x7e]*"
MAX_ATTRIBUTES: Final = {False: 3, True: 50}  # without and with a thing type
MAX_PAGE: Final = 250
DEPRECATED_S: Final = 300  # so long a type has to be deprecated before it can be deleted
ARN: Final = "arn:aws:iot:local:000000000000"

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS thing_types (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, description TEXT NOT NULL, searchable TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS deprecations (type TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS things (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS attributes (
        thing TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (thing, name)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS attribute_values ON attributes (name, value)",
)


class AlreadyExists(Rejected):
    """409: another thing or type of this name, with another configuration, is there.

    Attributes:
        id, arn: of the one that is there.
    """

    def __init__(self, kind: str, name: str, id: str) -> None:
        super().__init__(409, f"{kind} {name} already exists in the registry with different properties")
        self.id = id
        self.arn = arn(kind, name)


class VersionConflict(Rejected):
    """409: the thing is at another version than the sender believes."""

    def __init__(self, thing: str, expected: int, version: int) -> None:
        super().__init__(
            409, f"The version for thing {thing} does not match: expected {expected}, it is {version}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A thing as the registry knows it: :class:`shadows.shadow.Thing` with the id that AWS gives it."""

    thing: Thing
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingType:
    """A thing type.

    Attributes:
        at: when it was made, in seconds since 1970.
        deprecated_at: since when no other thing can have it; None if things can.
    """

    name: str
    id: str = ""
    description: str = ""
    searchable: tuple[str, ...] = ()
    at: int = 0
    deprecated_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which things to list: those of a type, and those with an attribute, of any value if ``value`` is None.

    Attributes:
        prefix: whether ``value`` is only how the attribute's value begins.
    """

    type: str = ""
    attribute: str = ""
    value: str | None = None
    prefix: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an update of a thing changes.

    Attributes:
        type: the new thing type; "" for none; None leaves the old one.
        attributes: the new ones; None leaves the old ones. An empty value removes an attribute.
        merge: whether the attributes are laid over the old ones, and do not replace them.
        expected: the version that the sender believes is current; None if any will do.
    """

    type: str | None = None
    attributes: Mapping[str, str] | None = None
    merge: bool = False
    expected: int | None = None

    def apply(self, old: Thing) -> Thing:
        """The thing after the change, one version on."""
        laid = dict(old.attributes)
        if self.attributes is not None:
            laid = (laid if self.merge else {}) | dict(self.attributes)
        kind = old.type if self.type is None else self.type
        return Thing(name=old.name, type=kind, attributes=_kept(laid), version=old.version + 1)


class Registry:
    """Things and thing types, in one store. All methods wait until what they did is durable."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        for statement in SCHEMA:
            store.run(lambda db, statement=statement: db.execute(statement))  # type: ignore[misc]

    def create(self, thing: Thing) -> Entry:
        """Add a thing; one that is there already with the same type and attributes is as good.

        Raises:
            AlreadyExists: 409, if it is there otherwise.
            Rejected: 400 for a name or an attribute that AWS refuses, and for a type that is deprecated; 404 for one
                that is not there.
        """
        new = Thing(name=thing.name, type=thing.type, attributes=_kept(thing.attributes), version=1)
        _check(new)

        def work(db: sqlite3.Connection) -> Entry:
            if there := _find(db, new.name):
                if (there.thing.type, there.thing.attributes) != (new.type, new.attributes):
                    raise AlreadyExists("thing", new.name, there.id)
                return there
            # "depreated" is how AWS writes it.
            _check_type(db, new.type, "Can not create new thing with depreated thing type:")
            entry = Entry(thing=new, id=str(uuid.uuid4()))
            _put(db, entry)
            return entry

        return self._store.run(work)

    def describe(self, name: str) -> Entry:
        """Read a thing.

        Raises:
            Rejected: 404, if there is none; 400 for a name that none can have.
        """
        _match("thingName", name, NAME, 128)
        return self._store.run(lambda db: _found(db, name))

    def update(self, name: str, change: Change) -> None:
        """Change a thing.

        Raises:
            Rejected: 404, if it or its new type is not there; 400 for what AWS refuses.
            VersionConflict: 409, if it is not at the expected version.
        """
        _match("thingName", name, NAME, 128)

        def work(db: sqlite3.Connection) -> None:
            old = _found(db, name)
            _expect(old.thing, change.expected)
            new = change.apply(old.thing)
            _check(new)
            _check_type(db, change.type or "", "Can not update a thing to use deprecated thing type: ")
            _put(db, Entry(thing=new, id=old.id))

        self._store.run(work)

    def delete(self, name: str, *, expected: int | None = None) -> None:
        """Remove a thing; an unknown one is removed already. Its shadows stay.

        Raises:
            VersionConflict: 409, if it is not at the expected version.
        """
        _match("thingName", name, NAME, 128)

        def work(db: sqlite3.Connection) -> None:
            if there := _find(db, name):
                _expect(there.thing, expected)
                db.execute("DELETE FROM things WHERE name = ?", (name,))
                db.execute("DELETE FROM attributes WHERE thing = ?", (name,))

        self._store.run(work)

    def things(self, wanted: Filter, *, after: str = "", most: int = MAX_PAGE) -> list[Thing]:
        """The things that match, in order of their names, from the one behind ``after``."""
        where, values = _where(wanted)
        query = f"{SELECT} WHERE things.name > ?{where} ORDER BY things.name LIMIT ?"
        rows = self._store.run(lambda db: db.execute(query, (after, *values, most)).fetchall())
        return [_entry(row).thing for row in rows]

    def create_type(self, name: str, *, description: str = "", searchable: tuple[str, ...] = ()) -> ThingType:
        """Add a thing type; one that is there already with the same properties is as good.

        Raises:
            AlreadyExists: 409, if it is there otherwise.
            Rejected: 400 for a name or property that AWS refuses.
        """
        _match("thingTypeName", name, NAME, 128)
        _match("thingTypeDescription", description, DESCRIPTION, 2028)
        if len(searchable) > 3:
            raise Rejected(400, f"searchableAttributes: expected at most 3 names, got {len(searchable)}")
        for attribute in searchable:
            _match("searchableAttributes", attribute, ATTRIBUTE_NAME, 128)
        new = ThingType(
            name=name,
            id=str(uuid.uuid4()),
            description=description,
            searchable=searchable,
            at=int(self._clock()),
        )

        def work(db: sqlite3.Connection) -> ThingType:
            if there := _find_type(db, name):
                if (there.description, there.searchable) != (description, searchable):
                    raise AlreadyExists("thingtype", name, there.id)
                return there
            row = new.name, new.id, new.description, json.dumps(new.searchable), new.at
            db.execute("INSERT INTO thing_types VALUES (?, ?, ?, ?, ?)", row)
            return new

        return self._store.run(work)

    def describe_type(self, name: str) -> ThingType:
        """Read a thing type.

        Raises:
            Rejected: 404, if there is none; 400 for a name that none can have.
        """
        _match("thingTypeName", name, NAME, 128)
        return self._store.run(lambda db: _found_type(db, name))

    def deprecate_type(self, name: str, *, undo: bool = False) -> None:
        """Let no other thing have a type, or ``undo`` that.

        Raises:
            Rejected: 404, if there is none; 400 for a name that none can have.
        """
        _match("thingTypeName", name, NAME, 128)
        now_s = int(self._clock())

        def work(db: sqlite3.Connection) -> None:
            _found_type(db, name)
            if undo:
                db.execute("DELETE FROM deprecations WHERE type = ?", (name,))
            else:
                db.execute("INSERT OR IGNORE INTO deprecations VALUES (?, ?)", (name, now_s))

        self._store.run(work)

    def delete_type(self, name: str) -> None:
        """Remove a thing type.

        Raises:
            Rejected: 404, if there is none; 400, if a thing has it, and until it was deprecated for five minutes.
        """
        _match("thingTypeName", name, NAME, 128)
        now_s = int(self._clock())

        def work(db: sqlite3.Connection) -> None:
            _check_unused(db, _found_type(db, name), now_s)
            db.execute("DELETE FROM thing_types WHERE name = ?", (name,))
            db.execute("DELETE FROM deprecations WHERE type = ?", (name,))

        self._store.run(work)

    def types(self, *, name: str = "", after: str = "", most: int = MAX_PAGE) -> list[ThingType]:
        """The thing types whose names begin with ``name``, in order, from the one behind ``after``.

        AWS calls it the name of the type; moto's authors have seen that the beginning is enough.
        """
        query = f"{SELECT_TYPE} WHERE name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?"
        return [
            _type(row)
            for row in self._store.run(
                lambda db: db.execute(query, (after, len(name), name, most)).fetchall()
            )
        ]


class LocalThings:
    """The registry in this process: :class:`shadows.shadow.Things` on it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def create(self, thing: Thing) -> None:
        """As :meth:`shadows.shadow.Things.create`."""
        self._registry.create(thing)

    def get(self, name: str) -> Thing:
        """As :meth:`shadows.shadow.Things.get`."""
        return self._registry.describe(name).thing

    def update(self, name: str, attributes: Mapping[str, str], *, version: int | None = None) -> None:
        """As :meth:`shadows.shadow.Things.update`."""
        self._registry.update(name, Change(attributes=attributes, merge=True, expected=version))

    def delete(self, name: str) -> None:
        """As :meth:`shadows.shadow.Things.delete`."""
        self._registry.delete(name)

    def list(self, *, type: str = "", attribute: tuple[str, str] | None = None) -> Iterator[Thing]:
        """As :meth:`shadows.shadow.Things.list`."""
        name, value = attribute or ("", None)
        wanted, after = Filter(type=type, attribute=name, value=value), ""
        while page := self._registry.things(wanted, after=after):
            yield from page
            after = page[-1].name


def arn(kind: str, name: str) -> str:
    """The ARN of a ``thing`` or ``thingtype``."""
    return f"{ARN}:{kind}/{name}"


# --- Checks


def _check(thing: Thing) -> None:
    _match("thingName", thing.name, NAME, 128)
    if thing.type:
        _match("thingTypeName", thing.type, NAME, 128)
    for name, value in thing.attributes.items():
        _match("attributePayload.attributes", name, ATTRIBUTE_NAME, 128)
        _match(f"attributePayload.attributes.{name}", value, ATTRIBUTE_VALUE, 800)
    most = MAX_ATTRIBUTES[bool(thing.type)]
    if len(thing.attributes) > most:
        kind = f"of type {thing.type}" if thing.type else "without a thing type"
        raise Rejected(400, f"attributes: a thing {kind} has at most {most}, got {len(thing.attributes)}")


def _match(field: str, value: str, pattern: str, most: int) -> None:
    if not re.fullmatch(pattern, value) or len(value) > most:
        raise Rejected(
            400,
            f"1 validation error detected: Value {value[:200]!r} at '{field}' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {pattern} and have length less than or equal to {most}",
        )


def _kept(attributes: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in sorted(attributes.items()) if value
    }  # an empty value is never stored


def _expect(thing: Thing, expected: int | None) -> None:
    if expected is not None and expected != thing.version:
        raise VersionConflict(thing.name, expected, thing.version)


# --- Rows

SELECT: Final = (
    "SELECT name, id, type, version, "
    "(SELECT json_group_object(name, value) FROM attributes WHERE thing = things.name) FROM things"
)


def _entry(row: tuple[str, str, str, int, str]) -> Entry:
    name, id, type, version, attributes = row
    return Entry(thing=Thing(name=name, type=type, attributes=json.loads(attributes), version=version), id=id)


def _find(db: sqlite3.Connection, name: str) -> Entry | None:
    row = db.execute(f"{SELECT} WHERE name = ?", (name,)).fetchone()
    return row and _entry(row)


def _found(db: sqlite3.Connection, name: str) -> Entry:
    if there := _find(db, name):
        return there
    raise Rejected(404, f"Thing {name} not found")


def _put(db: sqlite3.Connection, entry: Entry) -> None:
    thing = entry.thing
    db.execute(
        "INSERT OR REPLACE INTO things VALUES (?, ?, ?, ?)", (thing.name, entry.id, thing.type, thing.version)
    )
    db.execute("DELETE FROM attributes WHERE thing = ?", (thing.name,))
    rows = [(thing.name, name, value) for name, value in thing.attributes.items()]
    db.executemany("INSERT INTO attributes VALUES (?, ?, ?)", rows)


def _where(wanted: Filter) -> tuple[str, list[str | int]]:
    where = ""
    values: list[str | int] = []
    if wanted.type:
        where += " AND things.type = ?"
        values.append(wanted.type)
    if wanted.attribute:
        where += " AND things.name IN (SELECT thing FROM attributes WHERE name = ?"
        values.append(wanted.attribute)
        if wanted.value is not None:
            where += " AND substr(value, 1, ?) = ?" if wanted.prefix else " AND value = ?"
            values += [len(wanted.value), wanted.value] if wanted.prefix else [wanted.value]
        where += ")"
    return where, values


SELECT_TYPE: Final = (
    "SELECT name, id, description, searchable, thing_types.at, deprecations.at "
    "FROM thing_types LEFT JOIN deprecations ON type = name"
)


def _check_type(db: sqlite3.Connection, name: str, complaint: str) -> None:
    if name and _found_type(db, name).deprecated_at is not None:
        raise Rejected(400, f"{complaint}{name}")


def _check_unused(db: sqlite3.Connection, kind: ThingType, now_s: int) -> None:
    no = f"Cannot delete thing type : {kind.name}."
    if db.execute("SELECT 1 FROM things WHERE type = ? LIMIT 1", (kind.name,)).fetchone():
        raise Rejected(400, f"{no} There are things that have it")
    if kind.deprecated_at is None:
        raise Rejected(400, f"{no} Please deprecate it first")
    if now_s - kind.deprecated_at < DEPRECATED_S:
        raise Rejected(400, f"{no} Please wait for 5 minutes after deprecation and then retry")


def _find_type(db: sqlite3.Connection, name: str) -> ThingType | None:
    row = db.execute(f"{SELECT_TYPE} WHERE name = ?", (name,)).fetchone()
    return row and _type(row)


def _found_type(db: sqlite3.Connection, name: str) -> ThingType:
    if there := _find_type(db, name):
        return there
    raise Rejected(404, f"Thing type {name} not found")


def _type(row: tuple[str, str, str, str, int, int | None]) -> ThingType:
    name, id, description, searchable, at, deprecated_at = row
    return ThingType(
        name=name,
        id=id,
        description=description,
        searchable=tuple(json.loads(searchable)),
        at=at,
        deprecated_at=deprecated_at,
    )
