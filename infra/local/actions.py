"""Has started what clicks start: beside the calls, so that none waits for it."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from infra.local.errands import Errand, Errands, Later, Pace
from infra.local.signs import PERIOD_S
from shadows.actions import Doer, NotDone, Note, Tried, do, starts_something, waiting_at
from shadows.calls import Place
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

DELTA: Final = re.compile(r"\$aws/things/(button-[^/]+)/shadow/update/delta")
# Each waits for somebody for some seconds at most.
PACE: Final = Pace(first_pause_s=1.0, longest_pause_s=60.0, at_once=16)

Order = tuple[
    str, str
]  # the button, and the id of what one press asked for; "" to look for all that it asks for


class Actions(Errands[Order]):
    """Has what is asked for in the shadows of buttons done."""

    def __init__(
        self, place: Place, doer: Doer, note: Note, alive: Callable[[str], None] = lambda _part: None
    ) -> None:
        """``note`` keeps the record of every try; ``alive`` hears that the thread lives (``actions``)."""
        super().__init__("actions", PACE, partial(alive, "actions"), PERIOD_S["actions"])
        self._place, self._doer, self._note = place, doer, note
        self._lock = threading.Lock()
        self._troubles: dict[tuple[str, str], Trouble] = {}  # of a button and its click

    def hear(self, topic: str) -> None:
        """Look at the button whose shadow this says something is asked in; from any thread, and it waits for nothing."""
        if button := DELTA.fullmatch(topic):
            self.wake((button[1], ""))

    def troubles(self) -> list[Trouble]:
        """What was not started, the last time that it was asked for."""
        with self._lock:
            return list(self._troubles.values())

    def everybody(self) -> Iterator[Order]:
        starting = {each.name for each in self._place.things.list(type="button") if starts_something(each)}
        with self._lock:
            self._troubles = {of: each for of, each in self._troubles.items() if of[0] in starting}
        return ((thing, "") for thing in starting)

    def look(self, thing: Order) -> Errand | None:
        button, id = thing
        if id:
            return partial(self._do, button, id)
        for order in waiting_at(self._place, button):
            self.due((button, order.id))
        return None

    def _do(self, button: str, id: str) -> bool:
        try:
            do(self._place, button, id, self._doer, self._noted)
        except NotDone as no:
            raise Later(max(self.pause_s((button, id)), no.retry_after_s or 0.0)) from no
        return False

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
