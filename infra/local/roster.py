"""Announces hand-overs of the duty, in a thread of its own: no mention, and no alarm, ever waits for one."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from shadows.telling import NotTold

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
AGAIN_S: Final = 60.0


class Announcer:
    """Looks every few seconds whether there is a hand-over to announce; what was is on disk."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roster")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the message that is being sent."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            wait_s = self._look()

    def _look(self) -> float:
        """Announce; the answer is in how many seconds to look again."""
        try:
            self._announce()
        except NotTold as no:
            log.warning("A hand-over of the duty was not announced: %s", no.reason)
            return no.retry_after_s or AGAIN_S
        except Exception:
            log.exception("The roster cannot be looked at now")
            return AGAIN_S
        return LOOK_S
