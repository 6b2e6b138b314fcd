"""Alarms of the local place: APScheduler, in memory. What they ring for is in the shadows, so a restart loses none."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler

from shadows.calls import Place
from shadows.reset import Alarm, deadline, ring, sweep
from shadows.staff import Staff

log = logging.getLogger(__name__)

SWEEP_EVERY_S: Final = 60
AGAIN_AFTER_S: Final = 1.0


class Timers:
    """One alarm for each person whose state ends by itself, and a sweep once a minute that needs none of them."""

    def __init__(self, place: Place, wake: Callable[[str], None]) -> None:
        """``wake`` is called for each person whose shadow the sweep finds with a delta."""
        self._place = place
        self._wake = wake
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )

    def start(self) -> None:
        """Sweep now, and from now on once a minute."""
        self._scheduler.start()
        self._scheduler.add_job(
            self._sweep, "interval", seconds=SWEEP_EVERY_S, id="sweep", next_run_time=datetime.now(UTC)
        )

    def stop(self) -> None:
        self._scheduler.shutdown(wait=True)

    @property
    def pending(self) -> int:
        """How many alarms are set."""
        return len(self._scheduler.get_jobs()) - 1

    def follow(self, thing: str, staff: Staff) -> bool:
        """Set the alarm that a person's state needs. One that is no longer needed rings, and does nothing.

        The answer is whether the state is not over yet: nobody is told of a call that is.
        """
        alarm, due = Alarm.of(thing, staff), deadline(self._place, staff)
        if alarm is None or due is None:
            return True
        self._set(alarm, due)
        return due > self._place.clock()

    def _set(self, alarm: Alarm, due: float) -> None:
        self._scheduler.add_job(
            self._ring,
            "date",
            run_date=datetime.fromtimestamp(due / 1000, UTC),
            args=[alarm],
            id=f"{alarm.thing} {alarm.since}",  # a late alarm of an earlier state never replaces that of a later one
            replace_existing=True,
        )

    def _ring(self, alarm: Alarm) -> None:
        try:
            again = ring(self._place, alarm)
        except Exception:
            log.exception(
                "%s: the alarm rang, and its state could not be ended; again in a second", alarm.thing
            )
            again = self._place.clock() + int(1000 * AGAIN_AFTER_S)
        if again is not None:
            self._set(alarm, again)

    def _sweep(self) -> None:
        def failed(thing: str, error: Exception) -> None:
            log.error("%s: not swept", thing, exc_info=error)

        for found in sweep(self._place, on_error=failed):
            if self.follow(found.thing, found.staff) and found.staff.untold:
                self._wake(found.thing)
