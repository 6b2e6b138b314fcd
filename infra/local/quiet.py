"""Who wants not to be disturbed, as Slack knows it: asked for now and then, and never while somebody presses.

Slack tells an app of the hours that somebody has set, and of their status; not of a pause that they begin by hand.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.telling import NotTold
from shadows.trouble import Trouble
from slack_bridge.check import Asker

log = logging.getLogger(__name__)

HOURS: Final = "dnd"
PEOPLE_AT_ONCE: Final = 50  # of whom Slack says the hours in one answer
ROUND_S: Final = 60.0
PACE_S: Final = 3.0  # between two questions: Slack takes 20 of the rarer kind a minute
OLD_S: Final = 900.0  # what was heard so long ago says nothing any more


class Quiet:
    """Asks Slack about everybody, in rounds; what it says is kept in memory."""

    def __init__(
        self,
        place: Place,
        asker: Asker,
        counts: Iterable[str],
        *,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """``counts``: ``dnd`` for the hours, and those emoji of a status that count as well."""
        self._place, self._asker, self._wall_s = place, asker, wall_s
        self._hours, self._emoji = HOURS in counts, frozenset(counts) - {HOURS}
        # Of each thing from when until when, s since 1970, and by when that is old (monotonic s).
        self._known: dict[tuple[str, str], tuple[float, float, float]] = {}
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
        now, clock = self._wall_s(), time.monotonic()
        known = (self._known.get((thing, what)) for what in (HOURS, "status"))
        return any(each and each[0] <= now < each[1] and clock < each[2] for each in known)

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
        people = {
            thing.attributes["slackUserId"]: thing.name
            for thing in self._place.things.list(type="staff")
            if "slackUserId" in thing.attributes
        }
        ids = list(people)
        for start in range(0, len(ids) if self._hours else 0, PEOPLE_AT_ONCE):
            some = ids[start : start + PEOPLE_AT_ONCE]
            answer = self._asker.ask("dnd.teamInfo", users=",".join(some))
            for id, said in (answer.get("users") or {}).items():
                if id in people:
                    self._know(people[id], HOURS, hours_of(said))
            if self._stopping.wait(PACE_S):
                return
        for id in ids if self._emoji else ():
            user = self._asker.ask("users.info", user=id).get("user") or {}
            self._know(people[id], "status", status_of(user.get("profile") or {}, self._emoji))
            if self._stopping.wait(PACE_S / 3):  # the more usual kind
                return

    def _know(self, thing: str, what: str, when: tuple[float, float]) -> None:
        self._known[thing, what] = (*when, time.monotonic() + OLD_S)


NEVER: Final = (0.0, 0.0)


def hours_of(said: Mapping[str, Any]) -> tuple[float, float]:
    """From when until when somebody's hours are, s since 1970; of what is no such answer, never.

    Shape: ``{"dnd_enabled": true, "next_dnd_start_ts": 1450387800, "next_dnd_end_ts": 1450423800}``.

    Source: docs.slack.dev, dnd.teamInfo.
    """
    start, end = said.get("next_dnd_start_ts"), said.get("next_dnd_end_ts")
    if (
        said.get("dnd_enabled") is not True
        or not isinstance(start, int | float)
        or not isinstance(end, int | float)
    ):
        return NEVER
    return float(start), float(end)


def status_of(profile: Mapping[str, Any], counts: frozenset[str]) -> tuple[float, float]:
    """From when until when somebody has one of these emoji as their status, s since 1970.

    Shape: ``{"status_emoji": ":palm_tree:", "status_expiration": 0}``; 0 for no end.
    """
    until = profile.get("status_expiration")
    if profile.get("status_emoji") not in counts:
        return NEVER
    return 0.0, float(until) if isinstance(until, int) and until > 0 else float("inf")
