"""Keeps cards to what shadows say: beside the deliverer, so that no mention waits for it."""

import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from infra.local.errands import LOOK_EVERY_S, Errand, Errands, Later, Pace
from shadows.calls import Place
from shadows.cards import CARDS, Board, show
from shadows.telling import NotTold

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0


class Updater(Errands[str]):
    """Has each card show how its call stands, the one of whom something is new first.

    What a card shows is remembered with its person.
    """

    def __init__(self, place: Place, board: Board, look_every_s: float = LOOK_EVERY_S) -> None:
        pace = Pace(first_pause_s=FIRST_PAUSE_S, longest_pause_s=LONGEST_PAUSE_S, look_every_s=look_every_s)
        super().__init__("updater", pace)
        self._place, self._board = place, board
        self._held_until = 0.0

    def everybody(self) -> Iterator[str]:
        return (thing.name for thing in self._place.things.list(type="staff") if CARDS in thing.attributes)

    def look(self, thing: str) -> Errand:
        if (left_s := self._held_until - time.monotonic()) > 0:
            raise Later(left_s)
        return partial(self._show, thing)

    def _show(self, thing: str) -> bool:
        try:
            return show(self._place, thing, self._board)
        except NotTold as no:  # it is a courtesy: what keeps mentions back, too, is said there
            log.debug("%s: a card is not changed now: %s", thing, no.reason)
            if no.retry_after_s is None:
                raise Later(self.pause_s(thing)) from no
            self._held_until = time.monotonic() + no.retry_after_s
            raise Later(no.retry_after_s) from no
