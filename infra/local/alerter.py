"""Has alerts sent: beside the deliverer, so that no mention waits for a provider, and no provider for another."""

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from infra.local.errands import LOOK_EVERY_S, Errand, Errands, Later, Pace
from infra.local.signs import PERIOD_S
from shadows.alerts import NotSent, Sender, deliver, is_open, report_wordless
from shadows.calls import Place, read
from shadows.telling import Attempt, Note
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0  # a call does not wait for long
AT_ONCE: Final = 64  # each waits for a provider for some seconds at most


class Alerter(Errands[str]):
    """Has the alerts of each person sent; what is to be sent is in the shadows."""

    def __init__(
        self,
        place: Place,
        sender: Sender,
        note: Note,
        alive: Callable[[str], None] = lambda _part: None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """``note`` keeps the record of every attempt; ``alive`` hears that the thread lives (``alerter``)."""
        pace = Pace(
            first_pause_s=FIRST_PAUSE_S,
            longest_pause_s=LONGEST_PAUSE_S,
            at_once=AT_ONCE,
            look_every_s=look_every_s,
        )
        super().__init__("alerter", pace, partial(alive, "alerter"), PERIOD_S["alerter"])
        self._place, self._sender, self._note = place, sender, note
        self._held: dict[str, tuple[str, float]] = {}  # what failed, and until when (monotonic s) it waits
        self._troubles: dict[str, Trouble] = {}

    def troubles(self) -> list[Trouble]:
        """Whom alerts do not reach."""
        return list(self._troubles.values())

    def everybody(self) -> Iterable[str]:
        there = [thing.name for thing in self._place.things.list(type="staff")]
        for known in (self._troubles, self._held):
            for gone in known.keys() - {*there}:
                known.pop(gone, None)
        return there

    def look(self, thing: str) -> Errand | None:
        """Most changes of a shadow have nothing to do with alerts. What failed waits; what is asked for since does not."""
        staff = read(self._place, thing)
        failed, until = self._held.get(thing, ("", 0.0))
        if failed == staff.alert and (left_s := until - time.monotonic()) > 0:
            raise Later(left_s)
        is_to_do = is_open(staff) or (not self._place.channels.slack and staff.untold)
        return partial(self._send, thing) if is_to_do else None

    def _send(self, thing: str) -> bool:
        if not self._place.channels.slack:
            report_wordless(self._place, thing, self._note)
        staff = read(self._place, thing)
        try:
            more = is_open(staff) and deliver(self._place, thing, self._sender, self._noted)
        except NotSent as no:
            after_s = self.pause_s(thing) if no.retry_after_s is None else no.retry_after_s
            self._held[thing] = (staff.alert, time.monotonic() + after_s)
            raise Later(after_s) from no
        self._held.pop(thing, None)
        return more

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
