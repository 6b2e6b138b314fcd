"""The thread that looks after signs of life: it tries the disk and Slack, and asks how buttons and booths are.

Its answers are read from memory, so that they come also while the disk or Slack does not answer.
"""

import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from infra.local import rescue, signs
from infra.local.signs import PERIOD_S, Kiosks, Sign, Signs, silent
from infra.local.store import Store
from shadows import registry
from shadows.calls import Place
from shadows.registry import Button
from shadows.telling import NotTold
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

TABLE: Final = "CREATE TABLE IF NOT EXISTS room (n INTEGER PRIMARY KEY, filler BLOB) STRICT;"
LOOK_S: Final = 1.0
AGAIN_S: Final = 10.0  # after a try that failed: what is mended is seen soon
ROOM: Final = 16_384  # bytes: a call takes less
LEAST_FREE: Final = 200_000_000
FREE_SPACE: Final = "Free some space on the disk of the data folder."
RESCUE: Final = "Stop `staffcall run`, and start it again when nobody waits: it keeps all that can be read."
KINDS: Final = (*signs.KINDS, "kiosk", "button")


class Watch:
    """Everything that should be heard of at regular times, and what has gone silent.

    Args:
        place: whose buttons and booths.
        store: whose disk is tried.
        folder: where that is.
        parts: what our own parts said.
        kiosks: what the gateway said of screens; None if there is nobody to say it.
        ask_slack: asks Slack whether it would take a message, within 6 s; it raises NotTold. None if there is no bot.
    """

    def __init__(
        self,
        place: Place,
        store: Store,
        folder: Path,
        *,
        parts: Signs,
        kiosks: Kiosks | None,
        ask_slack: Callable[[], object] | None,
    ) -> None:
        self._place, self._store, self._folder, self._ask = place, store, folder, ask_slack
        self._parts, self._kiosks = parts, kiosks
        self._began = place.clock()
        self._buttons: list[Button] = []
        self._free = LEAST_FREE
        self._aside: list[str] = []
        self._writing: Future[None] | None = None
        self._fails = False
        self._due: dict[Callable[[], float], float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        for table in (TABLE, signs.TABLE):
            store.run(lambda db, table=table: db.execute(table))  # type: ignore[misc]
        if kiosks:
            store.run(kiosks.load)

    def start(self) -> None:
        """Expect the signs of all parts from now on."""
        self._parts.begin("timer", "sweep", "deliverer", "follower", "gateway", "disk", "watch")
        self._due = {self._look: 0.0, self._write: 0.0}
        if self._ask:
            self._parts.begin("slack")
            self._due[self._ask_slack] = 0.0
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def all(self) -> list[Sign]:
        """Every sign that is expected, as it is now."""
        buttons = signs.of_buttons(self._buttons, self._place.clock(), self._began)
        return [*self._parts.all(), *(self._kiosks.all() if self._kiosks else ()), *buttons]

    def troubles(self, what: str) -> list[Trouble]:
        """What has gone silent, of one of ``KINDS``."""
        found = list(silent(self.all(), self._place.clock()))
        if self._free < LEAST_FREE:
            detail = f"Only {self._free / 1e6:.0f} MB are free on the disk"
            found.append(Trouble(what="disk", detail=detail, fix=FREE_SPACE))
        if self._store.damage:
            detail = f"The database is damaged ({self._store.damage})"
            found.append(Trouble(what="disk", detail=detail, fix=RESCUE))
        found += map(_left_over, self._aside)
        return [trouble for trouble in found if trouble.what == what]

    def ages(self) -> dict[str, float]:
        """How many seconds ago each was heard of, as a number for ``/metrics``."""
        return {f'last_sign_age_seconds{{of="{sign.of}"}}': sign.age_s for sign in self.all()}

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._parts.alive("watch")
            for task, due_s in list(self._due.items()):
                if time.monotonic() >= due_s:
                    self._due[task] = time.monotonic() + self._done(task)

    def _done(self, task: Callable[[], float]) -> float:
        """Do something; the answer is in how many seconds to do it again."""
        try:
            return task()
        except Exception:
            log.exception("Looking after signs of life failed; again in %.0f s", AGAIN_S)
            return AGAIN_S

    def _look(self) -> float:
        """Who has a heartbeat, which booths there are, and how much room is left."""
        self._free = shutil.disk_usage(self._folder).free
        self._aside = rescue.set_aside(self._folder)
        self._buttons = [each for each in registry.buttons(self._place) if each.heartbeat_s]
        if self._kiosks:
            self._kiosks.know(booth.id for booth in registry.booths(self._place))
        return PERIOD_S["disk"]

    def _write(self) -> float:
        """Try whether there is room for a call, durably; whether it went well is heard of later."""
        if self._writing is None or self._writing.done():  # a disk that hangs is not asked again
            self._writing = self._store.submit(self._fill)
            self._writing.add_done_callback(self._written)
        return min(AGAIN_S, PERIOD_S["disk"]) if self._fails else PERIOD_S["disk"]

    def _fill(self, db: sqlite3.Connection) -> None:
        db.execute("INSERT OR REPLACE INTO room VALUES (1, zeroblob(?))", (ROOM,))
        db.execute("UPDATE room SET filler = NULL")
        if self._kiosks:
            self._kiosks.save(db)

    def _written(self, done: "Future[Any]") -> None:
        error = done.exception()
        self._fails = error is not None
        if error:
            why = str(error).rpartition(": ")[2]
            self._parts.failed("disk", why, FREE_SPACE if why.endswith("full") else signs.DISK)
        else:
            self._parts.alive("disk")

    def _ask_slack(self) -> float:
        """Ask Slack whether it would take a message, if none was sent for a while that would show it."""
        assert self._ask
        if (left_s := PERIOD_S["slack"] - self._parts.silence_s("slack")) > 0:
            return left_s
        try:
            self._ask()
        except NotTold as no:
            self._parts.failed("slack", no.reason, no.fix)
            return no.retry_after_s or AGAIN_S
        self._parts.alive("slack")
        return PERIOD_S["slack"]


def _left_over(damaged: str) -> Trouble:
    return Trouble(
        what="disk",
        detail=f"The database was damaged, and what could not be read of it is missing now; {damaged} is as it was",
        fix="Look whether all people and buttons are still there, or put a backup back; then take that file away.",
    )
