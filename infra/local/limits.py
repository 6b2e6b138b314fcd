"""How often a stranger may be wrong, and how fast a button may press: counted in memory, which is bounded.

Neither keeps the right key from a door. Who guesses cannot silence anybody who knows: behind a tunnel, or one router,
a scanner and a booth have the same address.
"""

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from shadows.errors import Rejected

WRONG_A_MINUTE: Final = 20
MINUTE_S: Final = 60.0
REMEMBERED: Final = 4096  # addresses, or buttons; then the oldest is forgotten
PRESSES_A_SECOND: Final = 5.0
PRESSES_AT_ONCE: Final = 100.0


class TooMany(Rejected):
    """429: too many wrong tries.

    Attributes:
        wait_s: whole seconds until the next one is heard.
    """

    def __init__(self, wait_s: float) -> None:
        self.wait_s = math.ceil(wait_s)
        super().__init__(
            429, f"too many wrong tokens or signatures from your address; try again in {self.wait_s} s"
        )


@dataclass(slots=True)
class _Tries:
    """What came from one address until ``end``, a minute after the first."""

    end: float
    wrong: int = 0
    guesses: set[bytes] = field(default_factory=set)


class Strangers:
    """Who was wrong in the last minute, by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._tries)

    def wrong(self, address: str, guess: str = "") -> None:
        """Count one that was wrong.

        Args:
            address: IP address of who tried; of IPv6 its /64 counts, which is what one subscriber gets.
            guess: what was tried. The same again counts as wrong, but is no other guess: a forgotten script with
                an old token locks nobody out.

        Raises:
            TooMany: there were 20 already in this minute.
        """
        with self._lock:
            tries = self._since_a_minute(address) or self._begun(address)
            tries.wrong += 1
            if len(tries.guesses) < WRONG_A_MINUTE:
                tries.guesses.add(hashlib.sha256(guess.encode("utf-8", "surrogatepass")).digest()[:8])
            if tries.wrong > WRONG_A_MINUTE:
                raise TooMany(tries.end - self._clock())

    def listen(self, address: str) -> None:
        """Hear nobody who is guessing: for a door where waiting hurts no visitor.

        Raises:
            TooMany: 20 different guesses came from this address within this minute.
        """
        with self._lock:
            tries = self._since_a_minute(address)
            if tries and len(tries.guesses) >= WRONG_A_MINUTE:
                raise TooMany(tries.end - self._clock())

    def _since_a_minute(self, address: str) -> _Tries | None:
        now = self._clock()
        while self._tries and next(iter(self._tries.values())).end <= now:
            self._tries.popitem(last=False)  # each is kept for a minute: the oldest ends first
        return self._tries.get(_subscriber(address))

    def _begun(self, address: str) -> _Tries:
        if len(self._tries) >= REMEMBERED:
            self._tries.popitem(last=False)
        return self._tries.setdefault(_subscriber(address), _Tries(self._clock() + MINUTE_S))


def _subscriber(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
    return str(ip)


class Pace:
    """How fast each button presses: 5 a second for as long as it likes, and 100 at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many buttons are remembered."""
        return len(self._left)

    def too_fast(self, button: str) -> bool:
        """Whether this press of a button comes sooner than anybody means to press; counts it if not."""
        with self._lock:
            now = self._clock()
            at, left = self._left.pop(button, (now, PRESSES_AT_ONCE))
            left = min(PRESSES_AT_ONCE, left + (now - at) * PRESSES_A_SECOND)
            self._left[button] = (now, left - 1 if left >= 1 else left)
            if len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
            return left < 1
