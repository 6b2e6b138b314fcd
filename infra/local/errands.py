"""The thread that does errands: what is due, one after the other, each not before its time; and it looks at everybody now and then."""

import heapq
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Final, Generic, TypeVar

from shadows.errors import Rejected

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0

What = TypeVar("What", bound=Hashable)
# What is to be done; the answer is whether there may be more. It raises Later, or whatever went wrong.
Errand = Callable[[], bool]


class Later(Exception):  # noqa: N818 - no fault
    """An errand has to wait for ``after_s`` seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(after_s)
        self.after_s = after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a thread is, in seconds, and how many errands it has done at once.

    Those that are done at once wait for somebody outside, are not waited for at the end, and have a thread each.
    """

    first_pause_s: float
    longest_pause_s: float
    at_once: int = 1
    look_every_s: float = LOOK_EVERY_S


class Errands(ABC, Generic[What]):
    """Does what is due for each thing, or whatever it is known by, in a thread of its own.

    Nothing is kept here that a restart would miss: whatever is due is on disk, and everybody is looked at at the start, and
    now and then.
    """

    def __init__(
        self, name: str, pace: Pace, alive: Callable[[], None] = lambda: None, period_s: float = 10.0
    ) -> None:
        """``alive`` hears at least every ``period_s`` that the thread lives."""
        self._name, self._pace, self._alive, self._period_s = name, pace, alive, period_s
        self._awake = threading.Condition()
        self._due: dict[What, float] = {}  # not before this (monotonic s); 0.0 for what has just happened
        self._queue: list[tuple[float, int, What]] = []  # the same, the soonest first; what differs is past
        self._number = count()
        self._pauses: dict[What, float] = {}
        self._busy: set[What] = set()
        self._look_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name)

    @abstractmethod
    def everybody(self) -> Iterable[What]:
        """The things for which something may be due."""

    @abstractmethod
    def look(self, thing: What) -> Errand | None:
        """What is to be done for a thing, if anything.

        Raises:
            Later: not yet.
            Rejected: 404, if it is not there any more.
        """

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the errand that is being done."""
        with self._awake:
            self._stopping = True
            self._awake.notify()
        self._thread.join()

    def wake(self, thing: What) -> None:
        """Look at this thing soon, before any of a round; from any thread."""
        with self._awake:
            if self._due.get(thing) != 0.0:
                self._put(thing, 0.0)

    def due(self, thing: What) -> None:
        """Look at it, too, unless that is done now, or will be anyway."""
        with self._awake:
            if thing not in self._due and thing not in self._busy:
                self._put(thing, time.monotonic())

    def _put(self, thing: What, at: float) -> None:
        self._due[thing] = at
        heapq.heappush(self._queue, (at, next(self._number), thing))
        self._awake.notify()

    @property
    def known(self) -> frozenset[What]:
        """For which things something is under way, to be tried again, or about to be looked at."""
        with self._awake:
            return frozenset([*self._due, *self._busy])

    def _run(self) -> None:
        while True:
            with self._awake:
                thing, wait_s = self._next()
                if self._stopping:
                    return
                if wait_s > 0:
                    self._alive()
                    self._awake.wait(min(wait_s, self._period_s))
                    continue
                if thing is not None:
                    del self._due[thing]
                    self._busy.add(thing)
            if thing is not None:
                self._begin(thing)
            else:
                self._look_at_everybody()

    def _next(self) -> tuple[What | None, float]:
        """Which thing is next, or None to look at everybody; and in how many seconds."""
        now = time.monotonic()
        while self._queue and len(self._busy) < self._pace.at_once:
            at, _, thing = self._queue[0]
            if self._due.get(thing) == at and thing not in self._busy:
                if at >= self._look_at:
                    break
                return thing, at - now
            heapq.heappop(self._queue)  # who is busy is put there again at the end
        return None, self._look_at - now

    def _look_at_everybody(self) -> None:
        self._look_at = time.monotonic() + self._pace.look_every_s
        try:
            for thing in self.everybody():
                self.due(thing)
        except Exception:
            log.exception("%s: nobody can be looked at now; again in a minute", self._name)

    def _begin(self, thing: What) -> None:
        try:
            errand = self.look(thing)
            if errand and self._pace.at_once > 1:
                threading.Thread(
                    target=self._work, args=(thing, errand), name=self._name, daemon=True
                ).start()
                return
        except Exception as error:  # also of a machine that has no thread left
            self._failed(thing, error)
            return
        if errand:
            self._work(thing, errand)
        else:
            self._done(thing, None)

    def _work(self, thing: What, errand: Errand) -> None:
        try:
            more = errand()
        except Exception as error:
            self._failed(thing, error)
        else:
            self._pauses.pop(thing, None)
            self._done(thing, 0.0 if more else None)

    def _failed(self, thing: What, error: Exception) -> None:
        if isinstance(error, Rejected) and error.code == 404:  # removed meanwhile
            self._done(thing, None)
            return
        if not isinstance(error, Later | Rejected):
            log.error("%s: %s: it is tried again", self._name, thing, exc_info=error)
        self._done(thing, error.after_s if isinstance(error, Later) else self.pause_s(thing))

    def pause_s(self, thing: What) -> float:
        """For how long what has just failed is left alone: twice as long each time, until it goes well."""
        pause_s = self._pauses.get(thing, self._pace.first_pause_s)
        self._pauses[thing] = min(2 * pause_s, self._pace.longest_pause_s)
        return pause_s

    def _done(self, thing: What, again_s: float | None) -> None:
        with self._awake:
            self._busy.discard(thing)
            if again_s is not None:
                self._due.setdefault(thing, time.monotonic() + again_s)
            if thing in self._due:
                self._put(thing, self._due[thing])
            self._awake.notify()
