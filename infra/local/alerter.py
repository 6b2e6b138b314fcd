"""The thread that has alerts sent: beside the deliverer, so that no mention waits for a provider, and no provider for another."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from infra.local.signs import PERIOD_S
from shadows.alerts import NotSent, Sender, deliver, is_open, report_wordless
from shadows.calls import Place, read
from shadows.errors import Rejected
from shadows.staff import Staff
from shadows.telling import Attempt, Note
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0  # a call does not wait for long
AT_ONCE: Final = 64  # each waits for a provider for some seconds at most


class Alerter:
    """Has the alerts of each person sent in a thread of its own.

    Nothing is kept here that a restart would miss: what is to be sent is in the shadows, and everybody's is looked at at
    the start, and now and then.
    """

    def __init__(
        self,
        place: Place,
        sender: Sender,
        note: Note,
        alive: Callable[[str], None] = lambda _part: None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """``note`` keeps the record of every attempt; ``alive`` hears that the thread lives (``alerter``)."""
        self._place, self._sender, self._note, self._alive = place, sender, note, alive
        self._look_every_s = look_every_s
        self._awake = threading.Condition()
        self._due: dict[str, float] = {}  # not before this (monotonic s)
        self._pauses: dict[str, float] = {}
        self._held: dict[
            str, tuple[str, float]
        ] = {}  # what failed, and until when (monotonic s) it is not tried
        self._busy: set[str] = set()
        self._troubles: dict[str, Trouble] = {}
        self._look_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="alerter")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End now; what is being sent is not waited for, and sent again by the next process."""
        with self._awake:
            self._stopping = True
            self._awake.notify()
        self._thread.join()

    def wake(self, thing: str) -> None:
        """Look at this person's shadow soon; from any thread."""
        with self._awake:
            self._due[thing] = 0.0
            self._awake.notify()

    @property
    def known(self) -> frozenset[str]:
        """Whose alerts are under way or to be tried again."""
        with self._awake:
            return frozenset([*self._due, *self._busy])

    def troubles(self) -> list[Trouble]:
        """Whom alerts do not reach."""
        return list(self._troubles.values())

    def _run(self) -> None:
        while True:
            with self._awake:
                if self._stopping:
                    return
                thing, wait_s = self._next()
                if wait_s > 0:
                    self._alive("alerter")
                    self._awake.wait(min(wait_s, PERIOD_S["alerter"]))
                    continue
                if thing:
                    del self._due[thing]
                    self._busy.add(thing)
            if thing:
                self._begin(thing)
            else:
                self._look()

    def _next(self) -> tuple[str, float]:
        """Whose alert is next, or "" to look at everybody's; and in how many seconds."""
        now, at, soonest = time.monotonic(), self._look_at, ""
        if len(self._busy) < AT_ONCE:
            ready = {thing: due for thing, due in self._due.items() if thing not in self._busy}
            soonest = min(ready, key=ready.__getitem__, default="")
        if soonest and self._due[soonest] < at:
            return soonest, self._due[soonest] - now
        return "", at - now

    def _look(self) -> None:
        self._look_at = time.monotonic() + self._look_every_s
        try:
            for thing in self._place.things.list(type="staff"):
                with self._awake:
                    self._due.setdefault(thing.name, 0.0)
        except Exception:
            log.exception("Nobody's alerts can be looked at now; again in a minute")

    def _begin(self, thing: str) -> None:
        """Send, in another thread, if there is anything to send; most changes of a shadow have nothing to do with alerts."""
        try:
            staff = read(self._place, thing)
            if (left_s := self._held_for_s(thing, staff)) > 0:
                self._done(thing, left_s)
                return
            if self._is_to_do(staff):
                threading.Thread(target=self._work, args=(thing,), name="alert", daemon=True).start()
                return
            self._done(thing, None)
        except Rejected as no:
            self._done(thing, None if no.code == 404 else self._pause_s(thing))
        except Exception:
            log.exception("%s: cannot be looked at", thing)
            self._done(thing, self._pause_s(thing))

    def _held_for_s(self, thing: str, staff: Staff) -> float:
        """How long what failed is not tried again, in seconds; what is asked for since is tried at once."""
        failed, until = self._held.get(thing, ("", 0.0))
        return until - time.monotonic() if failed == staff.alert else 0.0

    def _is_to_do(self, staff: Staff) -> bool:
        return is_open(staff) or (not self._place.channels.slack and staff.untold)

    def _work(self, thing: str) -> None:
        again_s: float | None = None
        alert = ""
        try:
            if not self._place.channels.slack:
                report_wordless(self._place, thing, self._note)
            staff = read(self._place, thing)
            alert = staff.alert
            if is_open(staff) and deliver(self._place, thing, self._sender, self._noted):
                again_s = 0.0
            self._pauses.pop(thing, None)
            self._held.pop(thing, None)
        except NotSent as no:
            again_s = self._pause_s(thing) if no.retry_after_s is None else no.retry_after_s
            self._held[thing] = (alert, time.monotonic() + again_s)
        except Rejected as no:
            again_s = None if no.code == 404 else self._pause_s(thing)
        except Exception:
            log.exception("%s: no alert was sent", thing)
            again_s = self._pause_s(thing)
        self._done(thing, again_s)

    def _noted(self, attempt: Attempt) -> None:
        self._note(attempt)
        if not attempt.reason:
            self._troubles.pop(attempt.thing, None)
            return
        log.warning("%s: %s: %s (%s)", attempt.thing, attempt.kind, attempt.outcome, attempt.reason)
        self._troubles[attempt.thing] = Trouble(
            what="alert",
            thing=attempt.thing,
            since=self._place.clock(),
            detail=f"They are not reached by {attempt.kind}: {attempt.reason}",
            fix="See that their number or address is right, and STAFFCALL_ALERTS; it is tried at their next call.",
        )

    def _pause_s(self, thing: str) -> float:
        pause_s = self._pauses.get(thing, FIRST_PAUSE_S)
        self._pauses[thing] = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def _done(self, thing: str, again_s: float | None) -> None:
        with self._awake:
            self._busy.discard(thing)
            if again_s is not None:
                self._due.setdefault(thing, time.monotonic() + again_s)
            self._awake.notify()
