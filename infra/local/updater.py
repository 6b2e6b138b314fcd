"""The thread that keeps cards to what shadows say: beside the deliverer, so that no mention waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from shadows.calls import Place
from shadows.cards import CARDS, Board, show
from shadows.errors import Rejected
from shadows.telling import NotTold

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0


class Updater:
    """Has each card show how its call stands, the one of whom something is new first.

    Nothing is kept here that a restart would miss: what a card shows is remembered with its person, and everybody with a
    card is looked at now and then.
    """

    def __init__(self, place: Place, board: Board, look_every_s: float = LOOK_EVERY_S) -> None:
        self._place, self._board, self._look_every_s = place, board, look_every_s
        self._awake = threading.Condition()
        self._due: dict[str, float] = {}  # not before this (monotonic s)
        self._pauses: dict[str, float] = {}
        self._held_until = self._look_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="updater")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the card that is being changed."""
        with self._awake:
            self._stopping = True
            self._awake.notify()
        self._thread.join()

    def wake(self, thing: str) -> None:
        """Look at this person's cards soon; from any thread."""
        with self._awake:
            self._due[thing] = 0.0
            self._awake.notify()

    def _run(self) -> None:
        while True:
            with self._awake:
                thing, wait_s = self._next()
                if self._stopping:
                    return
                if wait_s > 0:
                    self._awake.wait(wait_s)
                    continue
                if thing:
                    del self._due[thing]
            self._guarded(lambda thing=thing: self._show(thing) if thing else self._look())  # type: ignore[misc]

    def _next(self) -> tuple[str, float]:
        """Whose cards are next, or "" to look at everybody's; and in how many seconds."""
        soonest = min(self._due, key=self._due.__getitem__, default="")
        at = max(self._due[soonest], self._held_until) if soonest else self._look_at
        if self._look_at <= at:
            soonest, at = "", self._look_at
        return soonest, at - time.monotonic()

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception:
            log.exception("Cards in Slack are not kept up to date; again in a minute")

    def _look(self) -> None:
        self._look_at = time.monotonic() + self._look_every_s
        for thing in self._place.things.list(type="staff"):
            if CARDS in thing.attributes:
                with self._awake:
                    self._due.setdefault(thing.name, 0.0)

    def _show(self, thing: str) -> None:
        try:
            more = show(self._place, thing, self._board)
        except NotTold as no:
            self._failed(thing, no)
        except Rejected as no:  # removed, say
            log.debug("%s: no card is changed: %s", thing, no)
        else:
            self._pauses.pop(thing, None)
            if more:
                self._again(thing, 0.0)

    def _failed(self, thing: str, no: NotTold) -> None:
        """It is a courtesy: what keeps mentions back, too, is said there."""
        log.debug("%s: a card is not changed now: %s", thing, no.reason)
        if no.retry_after_s is not None:
            self._held_until = time.monotonic() + no.retry_after_s
            self._again(thing, self._held_until)
            return
        pause = self._pauses.get(thing, FIRST_PAUSE_S)
        self._pauses[thing] = min(2 * pause, LONGEST_PAUSE_S)
        self._again(thing, time.monotonic() + pause)

    def _again(self, thing: str, at: float) -> None:
        with self._awake:
            self._due.setdefault(thing, at)
