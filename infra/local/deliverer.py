"""The delivery thread: tells what is still in a delta, at most one message a second, the newest first."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from infra.local.signs import PERIOD_S
from shadows.calls import Place
from shadows.errors import Rejected
from shadows.telling import (
    Delivery,
    MentionKind,
    Note,
    NotTold,
    Teller,
    Unrecorded,
    Untold,
    deliver,
    deliver_expired,
    unrecorded,
    untold,
)
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

PACE_S: Final = 1.0  # Slack takes about one message a second a channel
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
CLAIMED_PAUSE_S: Final = 5.0
GATHER_S: Final = 2.0  # calls that expired together are told of together
LASTING_MS: Final = 3_000  # what passes sooner is no trouble

_PASSES: Final = (
    "It goes on by itself once Slack answers; look at this machine's network and at status.slack.com."
)
_UNSET: Final = "Set SLACK_WEBHOOK_URL, or SLACK_BOT_TOKEN and SLACK_CHANNEL, and start again."
_OURS: Final = "The log says what happened; it is tried again."


@dataclass(slots=True)
class _Hold:
    """Not before ``until`` (monotonic seconds); each failure in a row doubles the next pause.

    What somebody has to mend first (``to_mend``) is tried as seldom as can be, so that it goes on once that is done.
    """

    until: float = 0.0
    pause: float = FIRST_PAUSE_S
    asked_for: bool = False
    to_mend: bool = False
    tried: set[tuple[str, Untold]] = field(default_factory=set)

    def fail(self, no: NotTold) -> None:
        pause = LONGEST_PAUSE_S if no.fix else self.pause
        self.until = time.monotonic() + (pause if no.retry_after_s is None else no.retry_after_s)
        self.asked_for, self.to_mend = no.retry_after_s is not None, bool(no.fix)
        self.pause = min(2 * self.pause, LONGEST_PAUSE_S)


class Deliverer:
    """Empties the deltas of staff shadows into Slack, in a thread of its own.

    Nothing is kept here that a restart would miss: :meth:`wake` is called for every shadow with a delta, at start and
    by the sweep too.
    """

    def __init__(
        self,
        place: Place,
        teller: Teller | None,
        note: Note = unrecorded,
        alive: Callable[[str], None] = lambda _part: None,
    ) -> None:
        """``note`` keeps the record of every attempt; ``alive`` hears that this thread lives (``deliverer``), and that
        Slack has taken something (``slack``).
        """
        self._place = place
        self._teller = teller
        self._note, self._alive = note, alive
        # Whoever claimed a message before this moment has ended: they are dead, or their attempt failed.
        self._alive_since = place.clock()
        self._awake = threading.Condition()
        self._woken: dict[str, bool] = {}
        self._looked_at: dict[str, bool] = {}
        self._sending: frozenset[str] = frozenset()
        self._due: dict[str, Untold] = {}
        self._channel = _Hold()
        self._things: dict[str, _Hold] = {}
        self._unrecorded: dict[str, Unrecorded] = {}  # what Slack took and the disk did not
        self._troubles: dict[str, Trouble] = {}  # by whom they are about; "" is the channel
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

    @property
    def known(self) -> frozenset[str]:
        """Whose messages are under way or to be tried again, and whose shadows are about to be looked at."""
        with self._awake:
            return frozenset([*self._woken, *self._looked_at, *self._due])

    @property
    def sending(self) -> frozenset[str]:
        """Whom the message that is being sent is about."""
        return self._sending

    @property
    def is_well(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def revive(self) -> None:
        """Go on in a new thread, if the old one has died."""
        with self._awake:
            if self.is_well or self._stopping:
                return
            self._woken |= dict.fromkeys([*self._looked_at, *self._due], False)
            self._thread = threading.Thread(target=self._run, name="deliverer")
            self._thread.start()

    def troubles(self) -> list[Trouble]:
        """Why messages do not get through: at once what somebody has to mend, and what may pass once it lasts."""
        now, found = self._place.clock(), list(self._troubles.values())
        if self._teller is None and (due := list(self._due.values())):
            since = min(each.since for each in due)
            found = [
                Trouble(what="slack", since=since, detail="No Slack is set: nobody is mentioned", fix=_UNSET)
            ]
        return [each for each in found if not _may_pass(each) or now - each.since >= LASTING_MS]

    def _run(self) -> None:
        while True:
            with self._awake:
                if not self._woken and not self._stopping:
                    self._awake.wait(min(self._idle_for(), PERIOD_S["deliverer"]))
                if self._stopping:
                    return
                self._looked_at, self._woken = self._woken, {}
            for thing, again in self._looked_at.items():
                self._look(thing, again)
            self._looked_at = {}
            self._tell_newest()
            self._alive("deliverer")

    def _idle_for(self) -> float:
        """Seconds until something that is due may be tried; infinite while nothing is."""
        if not self._due or self._teller is None:
            return math.inf
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
            found = untold(self._place, thing, alive_since=self._alive_since, note=self._note)
        except Rejected as no:
            if no.code != 404:
                log.warning("%s: cannot be looked at now: %s", thing, no)
            found = None
        except Exception:
            log.exception("%s: cannot be looked at", thing)
            found = None
        else:
            if found is None:
                self._unrecorded.pop(thing, None)
        if found is None:
            self._forget(thing)
            return
        own = self._things.get(thing)
        if self._due.get(thing) != found or (again and not (own and own.to_mend)):
            self._channel.tried.discard((thing, found))
            expired = found.kind is MentionKind.EXPIRED
            self._things[thing] = _Hold(until=time.monotonic() + GATHER_S if expired else 0.0)
        self._due[thing] = found

    def _forget(self, thing: str) -> None:
        self._due.pop(thing, None)
        self._things.pop(thing, None)
        self._troubles.pop(thing, None)
        if not self._due and "" in self._troubles and _may_pass(self._troubles[""]):
            del self._troubles[""]  # nothing is left to be sent that could show whether it has passed

    def _tell_newest(self) -> None:
        now = time.monotonic()
        ready = [thing for thing in self._due if self._when(thing) <= now]
        if not ready or self._teller is None:
            return
        thing = max(ready, key=lambda each: self._due[each].since)
        together = self._together_with(thing)
        self._sending = frozenset(together)
        try:
            done = self._say(self._teller, together)
        except NotTold as no:
            self._failed(together, no, held=now < self._channel.until)
        except Unrecorded as no:
            log.warning("%s: told, and not on record: %s", thing, no.__cause__)
            for each in together:
                self._unrecorded[each] = no
                self._pause(each, no)
        except Rejected as no:
            log.warning("%s: not delivered: %s", thing, no)
            for each in together:
                self._forget(each) if no.code == 404 else self._pause(each, no)
        except Exception as error:
            log.exception("%s: not delivered", thing)
            self._pause(thing, error)
        else:
            self._done(together, done)
        self._sending = frozenset()
        # From its end: how long Slack took must not bring two close together.
        self._next_at = time.monotonic() + PACE_S

    def _together_with(self, thing: str) -> list[str]:
        """Whom the same message is about."""
        if no := self._unrecorded.get(thing):
            return [each for each in self._unrecorded if self._unrecorded[each] is no]
        if self._due[thing].kind is not MentionKind.EXPIRED:
            return [thing]
        expired = [each for each in self._due if self._due[each].kind is MentionKind.EXPIRED]
        return [each for each in expired if each not in self._unrecorded]

    def _say(self, teller: Teller, things: list[str]) -> Delivery:
        first, alive_since = things[0], self._alive_since
        if no := self._unrecorded.get(first):
            no.record()
            for thing in things:
                del self._unrecorded[thing]
            return Delivery.REPORTED
        if self._due[first].kind is MentionKind.EXPIRED:
            return deliver_expired(self._place, things, teller, alive_since=alive_since, note=self._note)
        return deliver(self._place, first, teller, alive_since=alive_since, note=self._note)

    def _done(self, things: list[str], done: Delivery) -> None:
        if done is Delivery.TOLD:
            self._alive("slack")
            self._channel = _Hold()
            for key in ("", *things):
                self._troubles.pop(key, None)
        for thing in things:
            if done is Delivery.CLAIMED:
                self._things[thing] = _Hold(until=time.monotonic() + CLAIMED_PAUSE_S)
            else:
                self._forget(thing)

    def _failed(self, things: list[str], no: NotTold, *, held: bool) -> None:
        """Slack did not take it. One that was tried while the others are held makes them wait no longer."""
        self._alive_since = self._place.clock() + 1
        for thing in [""] if no.channel else things:
            self._begins(thing, no.reason, no.fix or _PASSES)
        if no.fix or not no.channel:
            for thing in things:
                self._things.setdefault(thing, _Hold()).fail(no)
        if not no.channel:
            log.warning("%s: Slack refused the message: %s", ", ".join(things), no.reason)
            return
        self._channel.tried.update((thing, self._due[thing]) for thing in things)
        if not held or no.retry_after_s is not None:
            self._channel.fail(no)
        pause = self._channel.until - time.monotonic()
        log.warning(
            "Slack takes no message (%s); %d wait, next try in %.0f s", no.reason, len(self._due), pause
        )

    def _pause(self, thing: str, error: Exception) -> None:
        """Something that is no fault of Slack's kept a message back."""
        reason = f"A message could not be sent ({type(error).__name__})"
        self._begins(thing, reason, _OURS)
        self._things.setdefault(thing, _Hold()).fail(NotTold(reason))

    def _begins(self, thing: str, detail: str, fix: str) -> None:
        before = self._troubles.get(thing)
        since = before.since if before and before.fix == fix else self._place.clock()
        self._troubles[thing] = Trouble(what="slack", thing=thing, since=since, detail=detail, fix=fix)


def _may_pass(trouble: Trouble) -> bool:
    return trouble.fix in (_PASSES, _UNSET, _OURS)
