"""Machines whose figures a booth's screens show: an edge device that publishes every second, say.

A device writes what it measures into the shadow ``data`` of its thing, ``machine-<id>``:
``$aws/things/machine-<id>/shadow/name/data/update`` with ``{"state": {"reported": {"temperature": 21.5}}}``. That is kept, so a
screen that comes late is handed it; and as the shadow has a name, no screen hears it that did not ask for this machine. How a
screen shows it is in the booth's shadow.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from shadows.calls import Place, rewrite_shadow
from shadows.errors import Rejected
from shadows.registry import booth as booth_of
from shadows.shadow import JsonObject, Shadow, Thing

TYPE: Final = "machine"
AT_A_BOOTH: Final = 8  # a connection to AWS has 50 subscriptions, and a machine takes three
VALUES: Final = 6  # on one tile
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{1,24}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine, checked.

    Attributes:
        name: as people read it.
        every_s: it should be heard of so often, in seconds; after three times that its tile is grey.
        units: of each figure that is shown, in this order, such as ``{"temperature": "°C"}``; empty for all there are.

    Raises:
        Rejected: 400, for what is none of these.
    """

    id: str
    name: str
    booth: str = "main"
    every_s: int = 1
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise Rejected(
                400, f"id: expected 1 to 24 of a-z 0-9 _ -, first a letter or digit, got {self.id[:80]!r}"
            )
        if not 0 < len(self.name) <= 80 or not self.name.isprintable():
            raise Rejected(
                400, f"name: expected 1 to 80 characters that can be printed, got {self.name[:80]!r}"
            )
        if not 1 <= self.every_s <= 86_400:
            raise Rejected(400, f"every: expected 1 to 86400 seconds, got {self.every_s}")
        if len(self.units) > VALUES:
            raise Rejected(400, f"value: expected at most {VALUES}, got {len(self.units)}")
        for value, unit in self.units.items():
            if not _VALUE.fullmatch(value) or len(unit) > 12 or not unit.isprintable():
                raise Rejected(400, f"value: expected such as temperature=°C, got {f'{value}={unit}'[:80]!r}")

    @property
    def thing(self) -> Thing:
        """The entry of the registry."""
        return Thing(name=f"{TYPE}-{self.id}", type=TYPE, attributes={"booth": self.booth})

    @property
    def shown(self) -> JsonObject:
        """What the booth's shadow has of it: ``{"thing", "name", "every": seconds, "units": {value: unit}}``."""
        return {"thing": self.thing.name, "name": self.name, "every": self.every_s, "units": dict(self.units)}


def add_machine(place: Place, new: Machine) -> None:
    """Show a machine at its booth; one that is shown there already is changed, one of another booth moves.

    Raises:
        Rejected: 404, if there is no such booth; 409, if it has as many machines as one may have.
    """
    booth_of(place, new.booth)
    _relist(place, new.booth, new.thing.name, new.shown)
    try:
        before = place.things.get(new.thing.name).attributes.get("booth", "")
    except Rejected as no:
        if no.code != 404:
            raise
        place.things.create(new.thing)
        return
    if before != new.booth:
        _relist(place, before, new.thing.name, None)
        place.things.update(new.thing.name, {"booth": new.booth})


def remove_machine(place: Place, id: str) -> None:
    """Show a machine no more. What it said last stays in its shadow.

    Raises:
        Rejected: 404, if there is no such machine.
    """
    if not _ID.fullmatch(id):
        raise Rejected(404, f"id: there is no machine {id[:80]}")
    thing = place.things.get(f"{TYPE}-{id}")
    _relist(place, thing.attributes.get("booth", ""), thing.name, None)
    place.things.delete(thing.name)


def machines(place: Place) -> Iterator[Machine]:
    """Every machine, by id."""
    for thing in place.things.list(type=TYPE):
        booth = thing.attributes.get("booth", "")
        shown = next((each for each in _at(place, booth) if each.get("thing") == thing.name), None)
        if shown:
            id = thing.name.removeprefix(f"{TYPE}-")
            yield Machine(
                id=id, name=shown["name"], booth=booth, every_s=shown["every"], units=shown["units"]
            )


def _at(place: Place, booth: str) -> list[JsonObject]:
    try:
        return _listed(place.shadows.get(f"booth-{booth}"))
    except Rejected as no:
        if no.code != 404:
            raise
        return []


def _listed(shadow: Shadow) -> list[JsonObject]:
    listed = shadow.reported.get("machines")
    return listed if isinstance(listed, list) else []


def _relist(place: Place, booth: str, thing: str, shown: JsonObject | None) -> None:
    """Put a machine on a booth's list, or take it off."""

    def decide(shadow: Shadow) -> tuple[JsonObject, None]:
        listed = _listed(shadow)
        others = [each for each in listed if each.get("thing") != thing]
        after = [*others, shown] if shown else others
        if shown and len(after) > AT_A_BOOTH:
            raise Rejected(409, f"booth: {booth} has {AT_A_BOOTH} machines, and no booth may have more")
        return {} if after == listed else {"reported": {"machines": after}}, None

    try:
        rewrite_shadow(place, f"booth-{booth}", decide)
    except Rejected as no:
        if no.code != 404 or shown:  # where there is no list, it is on none
            raise
