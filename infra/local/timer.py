"""Alarms of the local place: APScheduler, in memory. What they ring for is in the shadows, so a restart loses none."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_RUNNING

from infra.local.clock import step_watch
from infra.local.signs import PERIOD_S
from shadows.calls import Place, take_next
from shadows.reset import Alarm, ring, rings_at, sweep
from shadows.shadow import Shadow
from shadows.staff import BUSY, UNTOLD_FOR_MS, Staff

log = logging.getLogger(__name__)

SWEEP_EVERY_MS: Final = 60_000
LOOK_EVERY_S: Final = 1.0
AGAIN_AFTER_S: Final = 1.0
BEAT: Final = "beat"
TOGETHER: Final = 100  # people whose shadows the sweep reads at once: a press waits no longer than for these
LONGEST_MS: Final = 86_400_000  # what a nonsense date asks for is looked at again tomorrow


class Timers:
    """One alarm for each person whose state ends by itself, and a sweep once a minute that needs none of them.

    APScheduler goes by the system's clock. When somebody sets that, or the machine has slept, a sweep sets every
    alarm anew, by what is left of its time.
    """

    def __init__(
        self,
        place: Place,
        wake: Callable[[str], None],
        alive: Callable[[str], None] = lambda _part: None,
        get_many: Callable[[Sequence[str]], Mapping[str, Shadow]] = lambda _things: {},
    ) -> None:
        """``wake`` is called for each person whose shadow the sweep finds with a delta; ``alive`` hears that
        alarms ring (``timer``) and that the sweep came (``sweep``). ``get_many`` reads what it can of many shadows at
        once; the sweep reads the others one by one.
        """
        self._place = place
        self._wake = wake
        self._alive = alive
        self._get_many = get_many
        self._alarmed: dict[str, int] = {}  # since when the latest state is that each person's alarm is of
        self._jobs = ThreadPoolExecutor()
        self._scheduler = BackgroundScheduler(
            executors={"default": self._jobs},
            timezone="UTC",
            # A job sets its next one before it has ended.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 3},
        )
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._keep_sweeping, name="sweeper")

    def start(self) -> None:
        """Sweep now, and from now on once a minute."""
        self._scheduler.start()
        self._sweep()
        self._sweeper.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._sweeper.ident:
            self._sweeper.join()
        # Waiting inside it would hold the lock that an alarm needs to set the next alarm.
        self._scheduler.shutdown(wait=False)
        self._jobs.shutdown(wait=True)

    @property
    def pending(self) -> int:
        """How many alarms are set."""
        return len(self.alarms)

    @property
    def alarms(self) -> frozenset[str]:
        """What is set: ``<thing> <since>`` for each state that ends, ``<thing> next`` for each call that waits."""
        return frozenset(job.id for job in self._scheduler.get_jobs()) - {BEAT}

    @property
    def rings(self) -> bool:
        """Whether there is a thread that rings the alarms."""
        thread = self._scheduler._thread  # APScheduler says "running" also of one that has died
        return self._scheduler.state == STATE_RUNNING and thread is not None and thread.is_alive()

    @property
    def sweeps(self) -> bool:
        """Whether there is a thread that sweeps."""
        return self._sweeper.is_alive()

    def follow(self, thing: str, staff: Staff) -> bool:
        """Set the alarm that a person's state needs, and take away that of the state before it.

        The answer is whether the state is not over yet: nobody is told of a call that is.
        """
        alarm, due = Alarm.of(thing, staff), rings_at(self._place, thing, staff)
        self._take_away(thing, staff.asked.since)
        if alarm and due is not None:
            # A late alarm of an earlier state never replaces that of a later one: it rings, and does nothing.
            self._set(f"{thing} {alarm.since}", due, self._ring, alarm)
            self._alarmed[thing] = max(alarm.since, self._alarmed.get(thing, 0))
        if staff.state in BUSY:
            return due is None or due > self._place.clock()
        if staff.waiting:  # the next call waits until it is told that nobody took this one, but not for ever
            self._set(f"{thing} next", staff.asked.since + UNTOLD_FOR_MS, self._take_next, thing)
        return True

    def _take_away(self, thing: str, since: int) -> None:
        """Remove the alarm of a state that was over when this one began."""
        if self._alarmed.get(thing, since) < since:
            with suppress(JobLookupError):  # it has rung
                self._scheduler.remove_job(f"{thing} {self._alarmed.pop(thing, None)}")

    def _set(self, name: str, due: float, call: Callable[..., None], *arguments: Any) -> None:
        left_ms = min(due - self._place.clock(), LONGEST_MS)
        at = datetime.now(UTC) + timedelta(milliseconds=left_ms)
        self._scheduler.add_job(call, "date", run_date=at, args=arguments, id=name, replace_existing=True)

    def _beat(self) -> None:
        """Ring as any alarm does: while nobody hears of it, none rings."""
        self._alive("timer")
        self._set(BEAT, self._place.clock() + 1000 * PERIOD_S["timer"], self._beat)

    def _ring(self, alarm: Alarm) -> None:
        try:
            again = ring(self._place, alarm)
        except Exception:
            log.exception(
                "%s: the alarm rang, and its state could not be ended; again in a second", alarm.thing
            )
            again = self._place.clock() + int(1000 * AGAIN_AFTER_S)
        if again is not None:
            self._set(f"{alarm.thing} {alarm.since}", again, self._ring, alarm)

    def _take_next(self, thing: str) -> None:
        try:
            take_next(self._place, thing)
        except Exception:
            log.exception("%s: the next call was not taken; the sweep will come again", thing)

    def _keep_sweeping(self) -> None:
        stepped, next_at = step_watch(), self._place.clock() + SWEEP_EVERY_MS
        while not self._stopping.wait(LOOK_EVERY_S):
            if step := stepped():
                log.warning("The clock was set, or this machine has slept: every alarm is set anew")
            if step or self._place.clock() >= next_at:
                next_at = self._place.clock() + SWEEP_EVERY_MS
                try:
                    self._sweep()
                except Exception:
                    log.exception("The sweep failed; it comes again in a minute")

    def _sweep(self) -> None:
        self._set(BEAT, self._place.clock(), self._beat)  # it also goes by the system's clock

        def failed(thing: str, error: Exception) -> None:
            log.error("%s: not swept", thing, exc_info=error)

        everybody = [thing.name for thing in self._place.things.list(type="staff")]
        for at in range(0, len(everybody), TOGETHER):
            some = everybody[at : at + TOGETHER]
            for found in sweep(self._place, some, on_error=failed, known=self._get_many(some)):
                if self.follow(found.thing, found.staff) and found.staff.untold:
                    self._wake(found.thing)
        self._alive("sweep")
