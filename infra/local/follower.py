"""Follows each change of a staff or booth shadow, as any subscriber would: sets alarms, and wakes the deliverer."""

import json
import logging
import queue
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from infra.local.signs import PERIOD_S
from infra.local.timer import Timers
from shadows.calls import Place, read
from shadows.errors import Rejected
from shadows.reset import TIMES
from shadows.shadow import Shadow
from shadows.staff import Staff

log = logging.getLogger(__name__)

DOCUMENTS: Final = re.compile(r"\$aws/things/((?:staff|booth)-[^/]+)/shadow/update/documents")


class Follower:
    """A thread that takes one change after the other.

    Attributes:
        followed: the version up to which each person's shadow was followed.
        taken: how many changes were followed so far.
    """

    def __init__(
        self,
        place: Place,
        timers: Timers,
        wake: Callable[[str], None],
        alive: Callable[[str], None] = lambda _part: None,
        changed: Callable[[str], None] = lambda _thing: None,
    ) -> None:
        """``wake`` is called for each person whose shadow a change left with a delta, ``changed`` for each whose shadow
        has changed; ``alive`` hears that this thread lives (``follower``).
        """
        self._place, self._timers, self._wake, self._alive = place, timers, wake, alive
        self._changed = changed
        self._changes: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="follower")
        self.followed: dict[str, int] = {}
        self.taken = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the changes that are known so far."""
        self._changes.put(None)
        self._thread.join()

    @property
    def is_well(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def revive(self) -> None:
        """Go on in a new thread, if the old one has died."""
        if not self.is_well:
            self._thread = threading.Thread(target=self._run, name="follower")
            self._thread.start()

    def hear(self, topic: str, payload: bytes) -> None:
        """Follow this message later, if it is about a change; from any thread."""
        if DOCUMENTS.fullmatch(topic):
            self._changes.put((topic, payload))

    def _run(self) -> None:
        while change := self._next():
            topic, payload = change
            thing = topic.split("/")[2]
            try:
                self._follow(thing, json.loads(payload))
            except Exception:
                log.exception("%s: the change of a shadow was not followed; the sweep will find it", thing)
            self.taken += 1

    def _next(self) -> tuple[str, bytes] | None:
        while True:
            self._alive("follower")
            with suppress(queue.Empty):
                return self._changes.get(timeout=PERIOD_S["follower"])

    def _follow(self, thing: str, change: dict[str, Any]) -> None:
        current = change["current"]
        if not thing.startswith("staff-"):
            if _times(change.get("previous")) != _times(current):
                self._follow_booth(thing)
            return
        try:
            self._follow_staff(thing, current["state"])
        finally:
            self.followed[thing] = current["version"]

    def _follow_staff(self, thing: str, state: dict[str, Any]) -> None:
        """Set the alarm that the state needs, and wake the deliverer if the change left a delta."""
        shadow = Shadow(desired=state.get("desired", {}), reported=state.get("reported", {}))
        staff = Staff.read(shadow)
        if self._timers.follow(thing, staff) and staff.untold:
            self._wake(thing)
        self._changed(thing)

    def _follow_booth(self, booth: str) -> None:
        """Set the alarms of the booth's calls anew: it has said how long they take."""
        for thing in self._place.things.list(type="staff"):
            with suppress(Rejected):  # added or removed at this moment
                staff = read(self._place, thing.name)
                if staff.has_call_of(booth.removeprefix("booth-")):
                    self._timers.follow(thing.name, staff)


def _times(document: dict[str, Any] | None) -> list[Any]:
    """What a booth says of the times of its calls; of all else, its people and announcements, no alarm knows."""
    reported = ((document or {}).get("state") or {}).get("reported") or {}
    return [reported.get(name) for name in TIMES]
