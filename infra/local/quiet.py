"""Who wants not to be disturbed: Slack is asked now and then, and never while somebody presses."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.telling import NotTold
from shadows.trouble import Trouble
from slack_bridge.check import Asker
from slack_bridge.quiet import OLD_S, Span, people_of, wishes

log = logging.getLogger(__name__)

ROUND_S: Final = 60.0


class Quiet:
    """Asks Slack about everybody, in rounds; what it says is kept in memory."""

    def __init__(
        self,
        place: Place,
        asker: Asker,
        counts: Collection[str],
        *,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """``counts``: ``dnd`` for the hours, and those emoji of a status that count as well."""
        self._place, self._asker, self._counts, self._wall_s = place, asker, counts, wall_s
        # Of each thing what was said, and by when that is old (monotonic s).
        self._known: dict[str, tuple[tuple[Span, ...], float]] = {}
        self._fails: tuple[NotTold, float] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quiet")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def has(self, thing: str) -> bool:
        """Whether somebody wants not to be disturbed now; from any thread, and of memory alone."""
        spans, old_at = self._known.get(thing, ((), 0.0))
        now = self._wall_s()
        return time.monotonic() < old_at and any(start <= now < end for start, end in spans)

    def troubles(self) -> list[Trouble]:
        """Why Slack does not say it, once what it said is old: then everybody is called as if it were not asked for."""
        if not (fails := self._fails) or time.monotonic() - fails[1] < OLD_S:
            return []
        detail = f"Slack does not say who wants not to be disturbed: {fails[0].reason}"
        fix = fails[0].fix or "It goes on by itself once Slack answers."
        return [Trouble(what="slack", detail=detail, fix=fix)]

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            try:
                self._round()
                wait_s, self._fails = ROUND_S, None
            except NotTold as no:
                wait_s = max(ROUND_S, no.retry_after_s or 0.0)
                if self._fails is None:
                    log.warning("Slack does not say who wants not to be disturbed: %s", no.reason)
                self._fails = (no, self._fails[1] if self._fails else time.monotonic())
            except Rejected as no:
                log.warning("Who wants not to be disturbed cannot be asked for now: %s", no)
                wait_s = ROUND_S
            except Exception:
                log.exception("Who wants not to be disturbed is not known now; again in a minute")
                wait_s = ROUND_S

    def _round(self) -> None:
        people = people_of(self._place)
        for thing, spans in wishes(self._asker, people, self._counts, self._stopping.wait):
            self._known[thing] = (spans, time.monotonic() + OLD_S)
