"""Tells other programs of each transition, in order: the history is the outbox, and each address has its place in it.

Each address has a thread of its own, which only reads what is on disk already, so that neither a call nor another address
ever waits for one.
"""

import hashlib
import logging
import math
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from infra.local import history
from infra.local.signs import PERIOD_S
from infra.local.store import Store
from infra.webhook import NotSent, host_of, message_of, post
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 600.0
PACE_S: Final = (
    0.02  # a backlog shares the disk with presses, and a rush the processor: we look no more often
)
LASTING_S: Final = 60.0  # what passes sooner is no trouble


class Webhook:
    """One address, and the thread that sends it what comes after what it has taken."""

    def __init__(self, name: str, url: str, secret: str, store: Store, alive: Callable[[str], None]) -> None:
        """``alive`` hears that the thread of this ``name`` lives. An address that is new begins with what comes now."""
        self.name, self.host = name, host_of(url)
        self._url, self._secret, self._store, self._alive = url, secret, store, alive
        # What is in an address may be a secret: on disk is only what tells it from others.
        self._reader = hashlib.sha256(url.encode()).hexdigest()
        self._reached: int = store.run(lambda db: history.begin(db, self._reader))
        self._pause_s, self._not_before = FIRST_PAUSE_S, 0.0
        self._fails: tuple[int, float, NotSent] | None = None  # since when: ms since 1970, monotonic s
        self._awake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self.pending = self.sent = self.failed = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the try that is under way; :meth:`join` waits for that."""
        self._stopping.set()
        self._awake.set()

    def join(self) -> None:
        self._thread.join()

    def wake(self) -> None:
        """Something may be new; from any thread."""
        self._awake.set()

    def trouble(self) -> Trouble | None:
        """Why messages do not get there: at once if somebody has to say whether to go on, else once it lasts."""
        if not (fails := self._fails):
            return None
        since, began_s, no = fails
        if no.is_gone:
            detail = f"The webhook at {self.host} wants no more messages (410)"
            fix = f"Take {self.host} out of STAFFCALL_WEBHOOK_URL, or mend it; then start `staffcall run` again."
        elif time.monotonic() - began_s > LASTING_S:
            detail = f"Messages do not reach the webhook at {self.host} ({no})"
            fix = f"See that {self.host} is reached from here, and answers 2xx; it goes on by itself then."
        else:
            return None
        return Trouble(what="webhook", since=since, detail=detail, fix=fix)

    def _run(self) -> None:
        while True:
            self._awake.clear()
            if self._stopping.wait(PACE_S):  # after that, for it may have been the end that woke us
                return
            self._awake.wait(min(self._guarded(), PERIOD_S["webhook"]))

    def _step(self) -> float:
        """Send the next message, if it may go; the answer is in how many seconds to look again."""
        with closing(self._store.reader()) as db:  # not kept open: it would keep the log from being folded in
            row, self.pending = _next(db, self._reached)
        if row is None:
            return math.inf
        if (left_s := self._not_before - time.monotonic()) > 0:
            return left_s
        try:
            post(self._url, self._secret, message_of(row))
        except NotSent as no:
            return self._failed(no)
        self._taken(row["n"])
        return 0.0

    def _guarded(self) -> float:
        """The same, whatever happens; while it fails there is no sign of life."""
        try:
            wait_s = self._step()
        except Exception:
            log.exception("%s: the history cannot be followed now", self.name)
            return PERIOD_S["webhook"]
        self._alive(self.name)
        return wait_s

    def _taken(self, n: int) -> None:
        self._reached, self._pause_s, self._fails = n, FIRST_PAUSE_S, None
        self.sent += 1
        self.pending = max(0, self.pending - 1)
        try:
            self._store.run(lambda db: history.reached(db, self._reader, n))
        except Rejected as no:  # then the next process sends it once more
            log.warning("%s: what %s has taken is not on record: %s", self.name, self.host, no)

    def _failed(self, no: NotSent) -> float:
        self.failed += 1
        since = self._fails[:2] if self._fails else (time.time_ns() // 1_000_000, time.monotonic())
        self._fails = (*since, no)
        # So that those who failed together do not come back together.
        pause_s = max(self._pause_s * random.uniform(0.5, 1.0), no.retry_after_s or 0.0)  # noqa: S311
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        again = "no try before the next start" if no.is_gone else f"next try in {pause_s:.0f} s"
        log.warning("%s: %s did not take a message: %s; %s", self.name, self.host, no, again)
        self._not_before = math.inf if no.is_gone else time.monotonic() + pause_s
        return pause_s


def _next(db: sqlite3.Connection, reached: int) -> tuple[JsonObject | None, int]:
    """The first row after ``reached``, and how many there are."""
    row = history.after(db, reached)
    return row, history.last(db) - row["n"] + 1 if row else 0


class Webhooks:
    """All addresses that are set."""

    def __init__(self, urls: Sequence[str], secret: str, store: Store, alive: Callable[[str], None]) -> None:
        self._each = [Webhook(f"webhook-{n}", url, secret, store, alive) for n, url in enumerate(urls, 1)]

    @property
    def names(self) -> list[str]:
        """Of their threads, as in the signs of life."""
        return [each.name for each in self._each]

    def start(self) -> None:
        for each in self._each:
            each.start()

    def stop(self) -> None:
        """End all of them at once; what is not sent yet is sent by the next process."""
        for each in self._each:
            each.stop()
        for each in self._each:
            each.join()

    def wake(self) -> None:
        """Something may be new; from any thread, and it waits for nothing."""
        for each in self._each:
            each.wake()

    def troubles(self) -> list[Trouble]:
        """Which addresses do not take what they are sent."""
        return [trouble for each in self._each if (trouble := each.trouble())]

    def counts(self) -> dict[str, float]:
        """Numbers for ``/metrics``."""
        return {
            f'webhook_{what}{{of="{each.name}"}}': number
            for what in ("pending", "sent_total", "failed_total")
            for each in self._each
            for number in [getattr(each, what.removesuffix("_total"))]
        }
