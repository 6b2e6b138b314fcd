"""The self-audit's thread: it looks once a second, tells what was a hole at several looks in a row, and mends it."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, cast

from infra.local.audit import WORDS, Hole, Parts, Records, Rule, Seen, holes
from infra.local.deliverer import Deliverer
from infra.local.follower import Follower
from infra.local.history import A_DAY_MS
from infra.local.store import Store
from infra.local.timer import Timers
from shadows.alerts import ALERT
from shadows.calls import Place, rewrite
from shadows.document import delta
from shadows.errors import Rejected
from shadows.reset import rings_at, sweep
from shadows.shadow import JsonObject, Shadow, Shadows
from shadows.staff import Asked, Staff, StaffState
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
LOOKS: Final = 3  # in a row: what is only just happening is over by then
NOTHING: Final[Mapping[Hole, "_Sight"]] = {}
SHARE: Final = 0.1  # of one processor at most, where there are thousands of people

# Both halves of the answer are of one moment, and a transition's row is written with it, a delivery's before its report.
_SHADOWS: Final = """
SELECT thing, shadows.version FROM shadows JOIN things ON things.name = thing
WHERE shadows.name = '' AND document IS NOT NULL AND type IN ('staff', 'booth')
"""
_DOCUMENTS: Final = """
SELECT thing, document FROM shadows WHERE name = '' AND thing IN (SELECT value FROM json_each(?))
"""
_RECORDS: Final = """
SELECT EXISTS (SELECT 1 FROM history WHERE thing = :thing AND call = :call AND since = :since),
    EXISTS (SELECT 1 FROM history WHERE thing = :thing AND call = :call AND state = 'running' AND why = 'ok'
        AND (key <> '' OR at < :began)),
    EXISTS (SELECT 1 FROM deliveries WHERE thing = :thing AND call = :call AND outcome = 'told'),
    EXISTS (SELECT 1 FROM deliveries WHERE thing = :thing AND call = :call AND state = :state AND count = :count
        AND outcome IN ('told', 'reported'))
"""


class Auditor:
    """Looks at everything that the other threads should have done.

    Attributes:
        looks: how often it has looked since the start.
        total: how many holes it has found since then.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        deliverer: Deliverer,
        timers: Timers,
        follower: Follower,
        *,
        days: int,
        found: Callable[[], None] = lambda: None,
    ) -> None:
        """``days`` is how long records are kept; ``found`` is called when a hole is found, before it is mended."""
        self._store, self._place, self._found = store, place, found
        self._deliverer, self._timers, self._follower = deliverer, timers, follower
        self._evidence = _Evidence(place, days)
        self._seen: dict[Hole, _Sight] = {}
        self._answer: Future[None] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit")
        self.looks = self.total = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def troubles(self) -> list[Trouble]:
        """The holes that there are now."""
        return [
            Trouble(what="audit", thing=hole.thing, since=sight.since, detail=detail, fix=fix)
            for hole, sight in self._seen.items()
            if sight.looks >= LOOKS
            for detail, fix in [WORDS[hole.rule]]
        ]

    def _run(self) -> None:
        with closing(self._store.reader()) as db:
            pause_s = LOOK_EVERY_S
            while not self._stopping.wait(pause_s):
                began = time.monotonic()
                try:
                    self._look(db)
                except Exception:
                    log.exception("The audit could not look")
                    self._count([Hole(Rule.AUDIT)], beside=self._seen)
                self.looks += 1
                pause_s = max(LOOK_EVERY_S, (time.monotonic() - began) / SHARE)

    def _look(self, db: sqlite3.Connection) -> None:
        if not self._store_answers():  # until it does, nothing else can be done, or judged
            self._count([Hole(Rule.STORE)], beside=self._seen)
            return
        people = {person.thing: person for person in self._evidence.read(db)}
        found = holes(people.values(), self._parts(), self._place.clock())
        for hole in self._count(found):
            try:
                self._mend(hole, people.get(hole.thing))
            except Exception:
                log.exception("%s: what the audit found (%s) could not be mended", hole.thing, hole.rule)

    def _store_answers(self) -> bool:
        """Whether the store has done by now what it was given at the last look."""
        if self._answer and not self._answer.done():
            return False
        self._answer = self._store.submit(lambda _db: None)
        return True

    def _parts(self) -> Parts:
        well = {
            Rule.DELIVERER: self._deliverer.is_well,
            Rule.FOLLOWER: self._follower.is_well,
            Rule.TIMERS: self._timers.rings,
            Rule.SWEEP: self._timers.sweeps,
        }
        return Parts(
            known=self._deliverer.known,
            sending=self._deliverer.sending,
            alarms=self._timers.alarms,
            followed=dict(self._follower.followed),
            taken=self._follower.taken,
            dead=frozenset(rule for rule, is_well in well.items() if not is_well),
        )

    def _count(self, found: Iterable[Hole], beside: Mapping[Hole, "_Sight"] = NOTHING) -> list[Hole]:
        """Count the looks at which each hole was there; the answer is those that were there often enough."""
        before, now = self._seen, self._place.clock()
        seen = {hole: before.get(hole, _Sight(since=now)).again() for hole in found}
        self._seen = {**beside, **seen}
        if new := sum(sight.looks == LOOKS for sight in seen.values()):
            self.total += new
            self._found()
        return [hole for hole, sight in seen.items() if sight.looks >= LOOKS]

    def _mend(self, hole: Hole, person: Seen | None) -> None:
        match hole.rule:
            case Rule.DELIVERER:
                self._deliverer.revive()
            case Rule.FOLLOWER:
                self._follower.revive()
            case Rule.CALLED if (
                person and self._seen[hole].looks == LOOKS
            ):  # once, or it might go on for ever
                self._ask_again(person)
            case Rule.CLAIM if person:
                self._release(person)
            case Rule.DELIVERED | Rule.ENDS | Rule.ALARM | Rule.WAITS | Rule.FOLLOWED:
                self._sweep(hole.thing)

    def _sweep(self, thing: str) -> None:
        """What the sweep does once a minute for everybody."""

        def failed(thing: str, error: Exception) -> None:
            log.error("%s: not swept", thing, exc_info=error)

        for found in sweep(self._place, [thing], on_error=failed):
            if self._timers.follow(thing, found.staff) and found.staff.untold:
                self._deliverer.wake(thing, again=True)

    def _ask_again(self, person: Seen) -> None:
        """Take back that a call was told: the screen says so, and they are mentioned."""

        def decide(staff: Staff) -> tuple[JsonObject, None]:
            if staff.asked != person.staff.asked or staff.untold:
                return {}, None
            return {"reported": {"state": StaffState.IDLE, "since": staff.asked.since - 1}}, None

        rewrite(self._place, person.thing, decide)

    def _release(self, person: Seen) -> None:
        """Take away a claim that nobody has any more."""

        def decide(staff: Staff) -> tuple[JsonObject, None]:
            return {"reported": {"telling": None}} if staff.telling == person.staff.telling else {}, None

        rewrite(self._place, person.thing, decide)
        self._sweep(person.thing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """At how many looks in a row a hole was there, and since when."""

    since: int
    looks: int = 0

    def again(self) -> "_Sight":
        return replace(self, looks=self.looks + 1)


class _Booths:
    """The shadows of booths, as they were read: all that an alarm needs."""

    def __init__(self, known: Mapping[str, Shadow]) -> None:
        self._known = known

    def get(self, thing: str) -> Shadow:
        if thing not in self._known:
            raise Rejected(404, f"No shadow exists with name: '{thing}'")
        return self._known[thing]


class _Evidence:
    """What the database says of everybody; a shadow that did not change is not read twice."""

    def __init__(self, place: Place, days: int) -> None:
        self._place, self._days = place, days
        self._known: dict[str, Shadow] = {}
        self._people: dict[str, Seen] = {}

    def read(self, db: sqlite3.Connection) -> list[Seen]:
        """Everybody, with what is on record of them."""
        db.execute("BEGIN")
        try:
            self._refresh(db, dict(db.execute(_SHADOWS)))
            (began,) = db.execute("SELECT began FROM records").fetchone()
            # A day more than is kept: how far the two clocks may be apart.
            oldest = max(began, self._place.clock() - (self._days - 1) * A_DAY_MS)
            place = replace(self._place, shadows=cast("Shadows", _Booths(self._known)))
            return [
                replace(
                    person,
                    due=rings_at(place, person.thing, person.staff),
                    records=_records(db, person, began, oldest),
                )
                for person in self._people.values()
            ]
        finally:
            db.execute("COMMIT")

    def _refresh(self, db: sqlite3.Connection, versions: Mapping[str, int]) -> None:
        for thing in self._known.keys() - versions.keys():
            del self._known[thing]
            self._people.pop(thing, None)
        changed = [
            thing
            for thing, version in versions.items()
            if thing not in self._known or self._known[thing].version != version
        ]
        for thing, text in db.execute(_DOCUMENTS, (json.dumps(changed),)):
            state = json.loads(text)["state"]
            shadow = Shadow(
                desired=state.get("desired", {}), reported=state.get("reported", {}), version=versions[thing]
            )
            self._known[thing] = shadow
            if thing.startswith("staff-"):
                self._people[thing] = _seen(thing, shadow)


def _seen(thing: str, shadow: Shadow) -> Seen:
    staff = Staff.read(shadow)
    left = delta(shadow.desired, shadow.reported).keys() - {ALERT}
    return Seen(thing=thing, staff=staff, version=shadow.version, stray=bool(left) and not staff.untold)


def _records(db: sqlite3.Connection, person: Seen, began: int, oldest: int) -> Records:
    """What is on record of a person's state; of one that is older than the record, all counts as there."""
    asked = person.staff.asked
    if asked.since < oldest:
        return Records()
    named = {"thing": person.thing, "call": asked.call.id, "since": asked.since, "began": began}
    state, ok, told, reported = db.execute(
        _RECORDS, {**named, "state": asked.state, "count": asked.call.count}
    ).fetchone()
    return Records(state=bool(state), ok=bool(ok), told=bool(told), reported=bool(reported) or _is_new(asked))


def _is_new(asked: Asked) -> bool:
    """Whether this is somebody who was never asked anything: they were added as told."""
    return asked.state is StaffState.IDLE and not asked.call.id
