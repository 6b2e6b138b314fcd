"""Shadows and things in memory, for the rules alone: the real ones have their own contract suites."""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping

from shadows.calls import Place, Timing, read, record
from shadows.cards import Card, Shown, Standing
from shadows.document import merge
from shadows.errors import Rejected
from shadows.reset import sweep
from shadows.shadow import JsonObject, Shadow, Thing
from shadows.staff import CallEvent, ClickType, Key, answered, newcomer, pressed
from shadows.telling import Delivery, Mention, NotTold, Receipt, deliver
from shadows.whom import called_together


class MemoryShadows:
    def __init__(self) -> None:
        self.kept: dict[str, Shadow] = {}
        self.written: list[tuple[str, Shadow]] = []
        self._lock = threading.Lock()

    def get(self, thing: str) -> Shadow:
        if thing not in self.kept:
            raise Rejected(404, f"No shadow exists with name: '{thing}'")
        return copy.deepcopy(self.kept[thing])

    def update(
        self,
        thing: str,
        *,
        desired: JsonObject | None = None,
        reported: JsonObject | None = None,
        version: int | None = None,
    ) -> int:
        with self._lock:
            old = self.kept.get(thing, Shadow())
            if version is not None and version != old.version:
                raise Rejected(409, "Version conflict")
            new = Shadow(
                desired=copy.deepcopy(merge(old.desired, desired or {})),
                reported=copy.deepcopy(merge(old.reported, reported or {})),
                version=old.version + 1,
            )
            self.kept[thing] = new
            self.written.append((thing, new))
            return new.version

    def delete(self, thing: str) -> None:
        if self.kept.pop(thing, None) is None:
            raise Rejected(404, f"No shadow exists with name: '{thing}'")


class MemoryThings:
    def __init__(self) -> None:
        self.kept: dict[str, Thing] = {}

    def create(self, thing: Thing) -> None:
        if thing.name in self.kept:
            raise Rejected(409, f"{thing.name} exists already")
        self.kept[thing.name] = thing

    def get(self, name: str) -> Thing:
        if name not in self.kept:
            raise Rejected(404, f"Thing {name} not found")
        return self.kept[name]

    def update(self, name: str, attributes: Mapping[str, str], *, version: int | None = None) -> None:
        old = self.get(name)
        if version is not None and version != old.version:
            raise Rejected(409, f"The version for thing {name} does not match")
        laid = {key: value for key, value in {**old.attributes, **attributes}.items() if value}
        self.kept[name] = Thing(name=name, type=old.type, attributes=laid, version=old.version + 1)

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)

    def list(self, *, type: str = "", attribute: tuple[str, str] | None = None) -> Iterator[Thing]:
        for thing in sorted(self.kept.values(), key=lambda each: each.name):
            if type in ("", thing.type) and (
                attribute is None or thing.attributes.get(attribute[0]) == attribute[1]
            ):
                yield thing


START = 1_793_235_600_000


class Shop:
    """A place in memory with a clock that tests move, and a Slack that writes down what it took."""

    def __init__(self) -> None:
        self.now = START
        self.shadows = MemoryShadows()
        self.things = MemoryThings()
        self.place = Place(
            shadows=self.shadows,
            things=self.things,
            clock=lambda: self.now,
            timing=Timing(calling_s=180, running_s=300),
        )
        self.told: list[Mention | int] = []
        self.slack_fails: NotTold | None = None
        self.during = lambda: None
        self.events = 0

    def staff(self, name: str, backup: str = "") -> str:
        attributes = {"slackUserId": f"U{name.upper()}"} | ({"backup": backup} if backup else {})
        self.things.create(Thing(name=f"staff-{name}", type="staff", attributes=attributes))
        desired, reported = newcomer(name.title(), "", self.now)
        self.shadows.update(f"staff-{name}", desired=desired, reported=reported)
        return f"staff-{name}"

    def tell(self, mention: Mention) -> Receipt | None:
        self.during()
        if self.slack_fails:
            raise self.slack_fails
        self.told.append(mention)
        return Receipt(channel="C0CALLS", ts=f"{self.now / 1000:.6f}")

    def tell_expired(self, count: int) -> None:
        if self.slack_fails:
            raise self.slack_fails
        self.told.append(count)

    def key(self) -> Key:
        self.events += 1
        return Key(door="test", sender="demo", id=str(self.events))

    def press(self, thing: str, booth: str = "main", group: str = "") -> None:
        event = pressed(booth, ClickType.SINGLE, self.key(), self.now)
        record(self.place, thing, called_together(group, event))

    def says(self, thing: str, kind: CallEvent, note: str = "") -> None:
        record(self.place, thing, answered(kind, self.key(), note))

    def deliver(self, thing: str, **more: int) -> Delivery:
        return deliver(self.place, thing, self, **more)

    def sweep(self) -> None:
        def fail(_thing: str, error: Exception) -> None:
            raise error

        everybody = [thing.name for thing in self.things.list(type="staff")]
        list(sweep(self.place, everybody, on_error=fail))

    def kinds(self) -> list[str]:
        return [each.kind if isinstance(each, Mention) else f"expired {each}" for each in self.told]

    def has_delta(self, thing: str) -> bool:
        staff = read(self.place, thing)
        return staff.asked != staff.told


class Wall:
    """A board in memory: what each message shows, by its ts, in the order in which Slack took it."""

    def __init__(self) -> None:
        self.shown: dict[str, Standing] = {}
        self.changes = 0
        self.answer: Shown | NotTold = Shown.NOW
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def show(self, card: Card, standing: Standing) -> Shown:
        self.before()
        if isinstance(self.answer, NotTold):
            raise self.answer
        if self.answer is Shown.NOW:
            self.shown[card.ts] = standing
            self.changes += 1
        self.after()
        return self.answer
