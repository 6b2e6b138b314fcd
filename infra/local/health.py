"""What is wrong right now, and what to do about it: each part tells what it knows, and all of it is shown in one place."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from shadows.shadow import JsonObject
from shadows.trouble import Trouble

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0

Source = Callable[[], Iterable[Trouble]]


class Health:
    """All troubles, from every part that knows of some; each is in the log once when it begins, and when it ends."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._sources: list[tuple[str, Source]] = []
        self._broken: set[Source] = set()
        self._logged: dict[tuple[str, str, str], Trouble] = {}
        self._looking = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health")

    def listen_to(self, what: str, source: Source) -> None:
        """Ask this part, too, which knows of troubles of this kind."""
        self._sources.append((what, source))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def troubles(self) -> list[Trouble]:
        """What is wrong right now, the oldest first."""
        found = [trouble for what, source in self._sources for trouble in self._asked(what, source)]
        return sorted(found, key=lambda trouble: trouble.since)

    def counts(self) -> dict[str, int]:
        """How many troubles there are of each kind."""
        counted = Counter(trouble.what for trouble in self.troubles())
        return {**dict.fromkeys((what for what, _ in self._sources), 0), **counted}

    def _asked(self, what: str, source: Source) -> Iterator[Trouble]:
        try:
            yield from source()
            self._broken.discard(source)
        except Exception as error:
            if source not in self._broken:
                log.exception("%s: what is wrong there cannot be told", what)
            self._broken.add(source)
            yield Trouble(
                what=what,
                since=self._clock(),
                detail=f"What is wrong with {what} cannot be told ({type(error).__name__})",
                fix="Look into the log, and report this.",
            )

    def look(self) -> None:
        """Say in the log what has begun, and what has ended; from any thread."""
        with self._looking:
            now = {(trouble.what, trouble.thing, trouble.fix): trouble for trouble in self.troubles()}
            for key in now.keys() - self._logged.keys():
                log.error("Trouble with %s: %s. %s", _whom(now[key]), _said(now[key]), now[key].fix)
            for key in self._logged.keys() - now.keys():
                old = self._logged[key]
                log.info("No trouble any more with %s: %s", _whom(old), _said(old))
            self._logged = now

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self.look()


def public(troubles: Iterable[Trouble]) -> list[JsonObject]:
    """What anybody may read of them, each once."""
    seen = dict.fromkeys((trouble.what, trouble.detail, trouble.fix) for trouble in troubles)
    return [{"what": what, "detail": detail, "fix": fix} for what, detail, fix in seen]


def _said(trouble: Trouble) -> str:
    return trouble.detail.rstrip(".")


def _whom(trouble: Trouble) -> str:
    return f"{trouble.what}, {trouble.thing}" if trouble.thing else trouble.what
