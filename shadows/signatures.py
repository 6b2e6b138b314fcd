"""Signed requests that were answered: a signature says who made a request, and not that it comes for the first time."""

from collections import OrderedDict
from threading import Lock
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SIGNED_WITHIN_MS: Final = 300_000  # of now, on either side; Slack and SORACOM both say so
GOOD_FOR_MS: Final = 2 * SIGNED_WITHIN_MS  # if it was signed by a clock that is as far ahead as it may be
KEPT: Final = 10_000  # then the oldest goes; only whoever has the key fills this


class Answered(Generic[T]):
    """What was answered to each signature, in memory, for as long as a signature is good.

    The same one again is answered the same, and does nothing. So a captured request is worthless, whatever happened
    meanwhile, and a sender that did not hear the answer is not told that it did anything wrong. What went wrong is
    not kept: it may go well when it is sent again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def get(self, signature: str) -> T | None:
        """What was answered to this signature; None if it is new."""
        with self._lock:
            found = self._kept.get(signature)
            return found[1] if found else None

    def keep(self, signature: str, answer: T, now: int) -> None:
        """Keep an answer that was given at ``now``, in ms since 1970."""
        with self._lock:
            self._kept.setdefault(signature, (now, answer))
            while len(self._kept) > KEPT or now - next(iter(self._kept.values()))[0] > GOOD_FOR_MS:
                self._kept.popitem(last=False)
