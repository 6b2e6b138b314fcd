"""The delivery thread: tells what is still in a delta, at most one message a second, the newest first."""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.telling import Delivery, MentionKind, NotTold, Teller, Untold, deliver, deliver_expired, untold

log = logging.getLogger(__name__)

PACE_S: Final = 1.0  # Slack takes about one message a second a channel
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
CLAIMED_PAUSE_S: Final = 5.0
GATHER_S: Final = 2.0  # calls that expired together are told of together


@dataclass(slots=True)
class _Hold:
    """Not before ``until`` (monotonic seconds); each failure in a row doubles the next pause."""

    until: float = 0.0
    pause: float = FIRST_PAUSE_S
    asked_for: bool = False
    tried: set[tuple[str, Untold]] = field(default_factory=set)

    def fail(self, now: float, retry_after_s: float | None) -> None:
        self.until = now + (self.pause if retry_after_s is None else retry_after_s)
        self.asked_for = retry_after_s is not None
        self.pause = min(2 * self.pause, LONGEST_PAUSE_S)


class Deliverer:
    """Empties the deltas of staff shadows into Slack, in a thread of its own.

    Nothing is kept here that a restart would miss: :meth:`wake` is called for every shadow with a delta, at start and
    by the sweep too.
    """

    def __init__(self, place: Place, teller: Teller | None) -> None:
        self._place = place
        self._teller = teller
        self._started_ms = place.clock()  # who claimed a message before this process is dead
        self._awake = threading.Condition()
        self._woken: dict[str, bool] = {}
        self._due: dict[str, Untold] = {}
        self._channel = _Hold()
        self._things: dict[str, _Hold] = {}
        self._next_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="deliverer")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the message that is being sent."""
        with self._awake:
            self._stopping = True
            self._awake.notify()
        self._thread.join()

    def wake(self, thing: str, *, again: bool = False) -> None:
        """Look at this person's shadow soon; from any thread. ``again``: and try what failed before."""
        with self._awake:
            self._woken[thing] = again or self._woken.get(thing, False)
            self._awake.notify()

    @property
    def pending(self) -> int:
        """How many people's messages are not told yet."""
        return len(self._due)

    def _run(self) -> None:
        while True:
            with self._awake:
                if not self._woken and not self._stopping:
                    self._awake.wait(self._idle_for())
                if self._stopping:
                    return
                woken, self._woken = self._woken, {}
            for thing, again in woken.items():
                self._look(thing, again)
            self._tell_newest()

    def _idle_for(self) -> float | None:
        """Seconds until something that is due may be tried; None while nothing is."""
        if not self._due or self._teller is None:
            return None
        now = time.monotonic()
        soonest = min(self._when(thing) for thing in self._due)
        return max(0.0, soonest - now)

    def _when(self, thing: str) -> float:
        """When a message may be tried, in monotonic seconds.

        What was not tried since Slack failed is tried at once: it may be back. Not so if Slack asked us to wait.
        """
        fresh = (thing, self._due[thing]) not in self._channel.tried and not self._channel.asked_for
        own = self._things.get(thing)
        return max(self._next_at, 0.0 if fresh else self._channel.until, own.until if own else 0.0)

    def _look(self, thing: str, again: bool) -> None:
        try:
            found = untold(self._place, thing)
        except Rejected as no:
            if no.code != 404:
                log.warning("%s: cannot be looked at now: %s", thing, no)
            found = None
        except Exception:
            log.exception("%s: cannot be looked at", thing)
            found = None
        if found is None:
            self._forget(thing)
            return
        if again or self._due.get(thing) != found:
            self._channel.tried.discard((thing, found))
            expired = found.kind is MentionKind.EXPIRED
            self._things[thing] = _Hold(until=time.monotonic() + GATHER_S if expired else 0.0)
        self._due[thing] = found

    def _forget(self, thing: str) -> None:
        self._due.pop(thing, None)
        self._things.pop(thing, None)

    def _tell_newest(self) -> None:
        now = time.monotonic()
        ready = [thing for thing in self._due if self._when(thing) <= now]
        if not ready or self._teller is None:
            return
        thing = max(ready, key=lambda each: self._due[each].since)
        expired = [each for each in self._due if self._due[each].kind is MentionKind.EXPIRED]
        together = expired if thing in expired else [thing]
        try:
            if thing in expired:
                deliver_expired(self._place, expired, self._teller, alive_since=self._started_ms)
                done = Delivery.TOLD
            else:
                done = deliver(self._place, thing, self._teller, alive_since=self._started_ms)
        except NotTold as no:
            self._failed(together, no, held=now < self._channel.until)
        except Rejected as no:
            log.warning("%s: not delivered: %s", thing, no)
            for each in together:
                self._forget(each) if no.code == 404 else self._pause(each)
        except Exception:
            log.exception("%s: not delivered", thing)
            self._pause(thing)
        else:
            self._done(together, done)
        # From its end: how long Slack took must not bring two close together.
        self._next_at = time.monotonic() + PACE_S

    def _done(self, things: list[str], done: Delivery) -> None:
        if done is Delivery.TOLD:
            self._channel = _Hold()
        for thing in things:
            if done is Delivery.CLAIMED:
                self._things[thing] = _Hold(until=time.monotonic() + CLAIMED_PAUSE_S)
            else:
                self._forget(thing)

    def _failed(self, things: list[str], no: NotTold, *, held: bool) -> None:
        """Slack did not take it. One that was tried while the others are held makes them wait no longer."""
        if not no.channel:
            log.warning("%s: Slack refused the message: %s", ", ".join(things), no.reason)
            for thing in things:
                self._pause(thing)
            return
        self._channel.tried.update((thing, self._due[thing]) for thing in things)
        if not held or no.retry_after_s is not None:
            self._channel.fail(time.monotonic(), no.retry_after_s)
        pause = self._channel.until - time.monotonic()
        log.warning(
            "Slack takes no message (%s); %d wait, next try in %.0f s", no.reason, len(self._due), pause
        )

    def _pause(self, thing: str) -> None:
        self._things.setdefault(thing, _Hold()).fail(time.monotonic(), None)
