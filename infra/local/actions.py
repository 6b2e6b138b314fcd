"""The thread that has started what clicks start: beside the calls, so that none waits for it."""

import logging
import queue
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from infra.local.signs import PERIOD_S
from shadows.actions import Doer, NotDone, Note, Tried, do, starts_something, waiting_at
from shadows.calls import Place
from shadows.errors import Rejected
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

DELTA: Final = re.compile(r"\$aws/things/(button-[^/]+)/shadow/update/delta")
LOOK_EVERY_S: Final = 60.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
AT_ONCE: Final = 16  # each waits for somebody for some seconds at most

Order = tuple[str, str]  # the button, and the id of what one press asked for


class Actions:
    """Has what is asked for in the shadows of buttons done, each order in a thread of its own.

    Nothing is kept here that a restart would miss: every button that starts something is looked at at the start, and
    now and then.
    """

    def __init__(
        self, place: Place, doer: Doer, note: Note, alive: Callable[[str], None] = lambda _part: None
    ) -> None:
        """``note`` keeps the record of every try; ``alive`` hears that the thread lives (``actions``)."""
        self._place, self._doer, self._note, self._alive = place, doer, note, alive
        self._changed: queue.SimpleQueue[str | None] = (
            queue.SimpleQueue()
        )  # buttons; None to look at what is due
        self._lock = threading.Lock()
        self._due: dict[Order, float] = {}  # not before this (monotonic s)
        self._pauses: dict[Order, float] = {}
        self._busy: set[Order] = set()
        self._troubles: dict[tuple[str, str], Trouble] = {}  # of a button and its click
        self._look_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="actions")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End now; what is under way is not waited for, and done again by the next process."""
        self._stopping = True
        self._changed.put(None)
        self._thread.join()

    def hear(self, topic: str) -> None:
        """Look at the button whose shadow this says something is asked in; from any thread, and it waits for nothing."""
        if button := DELTA.fullmatch(topic):
            self._changed.put(button[1])

    def troubles(self) -> list[Trouble]:
        """What was not started, the last time that it was asked for."""
        with self._lock:
            return list(self._troubles.values())

    def _run(self) -> None:
        while not self._stopping:
            self._alive("actions")
            if (now := time.monotonic()) >= self._look_at:
                self._look_at = now + LOOK_EVERY_S
                self._guarded(self._look)
            self._begin()
            with suppress(queue.Empty):
                if thing := self._changed.get(timeout=self._wait_s()):
                    self._guarded(lambda thing=thing: self._read(thing))  # type: ignore[misc]

    def _wait_s(self) -> float:
        with self._lock:
            waiting = [at for each, at in self._due.items() if each not in self._busy]
            # While as many as may be are busy, one that is done wakes us.
            soonest = min(waiting if len(self._busy) < AT_ONCE else (), default=self._look_at)
        return min(max(0.0, min(soonest, self._look_at) - time.monotonic()), PERIOD_S["actions"])

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            log.exception("What clicks start cannot be looked at now; again in a minute")

    def _look(self) -> None:
        starting = {each.name for each in self._place.things.list(type="button") if starts_something(each)}
        with self._lock:
            self._troubles = {of: each for of, each in self._troubles.items() if of[0] in starting}
        for thing in starting:
            self._read(thing)

    def _read(self, thing: str) -> None:
        for order in waiting_at(self._place, thing):
            with self._lock:
                self._due.setdefault((thing, order.id), 0.0)

    def _begin(self) -> None:
        with self._lock:
            now = time.monotonic()
            ready = [each for each, at in self._due.items() if at <= now and each not in self._busy]
            for order in ready[: AT_ONCE - len(self._busy)]:
                self._busy.add(order)
                threading.Thread(target=self._work, args=order, name="action", daemon=True).start()

    def _work(self, thing: str, id: str) -> None:
        again_s: float | None = None
        try:
            do(self._place, thing, id, self._doer, self._noted)
        except NotDone as no:
            again_s = max(self._pause_s((thing, id)), no.retry_after_s or 0.0)
        except Rejected as no:
            again_s = None if no.code == 404 else self._pause_s((thing, id))
        except Exception:
            log.exception("%s: what its click starts was not started", thing)
            again_s = self._pause_s((thing, id))
        with self._lock:
            self._busy.discard((thing, id))
            if again_s is None:
                self._due.pop((thing, id), None)
                self._pauses.pop((thing, id), None)
            else:
                self._due[thing, id] = time.monotonic() + again_s
        self._changed.put(None)

    def _pause_s(self, order: Order) -> float:
        with self._lock:
            pause_s = self._pauses.get(order, FIRST_PAUSE_S)
            self._pauses[order] = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def _noted(self, tried: Tried) -> None:
        self._note(tried)
        of = (tried.thing, tried.order.click)
        if tried.reason:
            log.warning("%s: %s was not started: %s", tried.thing, tried.what, tried.reason)
        with self._lock:
            if tried.reason:
                self._troubles[of] = _trouble(tried, self._place.clock())
            else:
                self._troubles.pop(of, None)


def _trouble(tried: Tried, now: int) -> Trouble:
    again = "it is tried again for ten minutes" if tried.passes else "press again once it is mended"
    return Trouble(
        what="action",
        thing=tried.thing,
        since=now,
        detail=f"A {tried.order.click} click does not start {tried.what or 'anything'}: {tried.reason}",
        fix=f"See that what it starts is there and allowed (STAFFCALL_ACTIONS); {again}.",
    )
