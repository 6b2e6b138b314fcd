"""The local place's time: durations go on while somebody sets the system's clock, or the machine sleeps."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

TABLE: Final = """
CREATE TABLE IF NOT EXISTS clock (boot TEXT NOT NULL, ahead INTEGER NOT NULL) STRICT;
"""
STEP_MS: Final = 500  # less is how far readings of two clocks lie apart
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
# It goes on while the machine sleeps; on macOS the other one does.
_ELAPSED: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def wall_ms() -> int:
    """The system's clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def elapsed_ms() -> int:
    """Milliseconds since the machine started, its sleep included."""
    return (time.monotonic_ns() if _ELAPSED is None else time.clock_gettime_ns(_ELAPSED)) // 1_000_000


class Clock:
    """Milliseconds since 1970, as the system's clock said at the start, and from then on by what has passed.

    So a state lasts as long as it should, whatever happens to the system's clock meanwhile.
    """

    def __init__(self) -> None:
        self.ahead = wall_ms() - elapsed_ms()

    def __call__(self) -> int:
        return elapsed_ms() + self.ahead

    @property
    def off_ms(self) -> int:
        """How far the system's clock was set since the start; positive if it is ahead of ours."""
        return wall_ms() - self()


def set_by(db: sqlite3.Connection, clock: Clock) -> int:
    """By how many ms the clock was set since a process before this one, on the same start of the machine."""
    found = db.execute("SELECT ahead FROM clock WHERE boot = ? AND boot <> ''", (_boot(),)).fetchone()
    by = clock.ahead - found[0] if found else 0
    return by if abs(by) > STEP_MS else 0


def remember(db: sqlite3.Connection, clock: Clock) -> None:
    """Write down what this process takes for the time, for the next one."""
    db.execute("DELETE FROM clock")
    db.execute("INSERT INTO clock VALUES (?, ?)", (_boot(), clock.ahead))


def _boot() -> str:
    """Which start of the machine this is; "" where nobody knows, as in another container of it."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def step_watch() -> Callable[[], bool]:
    """A function that says whether the clock was set, or the machine slept, since it was asked last."""

    def reading() -> tuple[int, int]:
        elapsed, wall, awake = elapsed_ms(), wall_ms(), time.monotonic_ns() // 1_000_000
        held_up = elapsed_ms() - elapsed > STEP_MS / 10  # a busy machine is no set clock
        return reading() if held_up else (wall - elapsed, elapsed - awake)

    last = reading()

    def stepped() -> bool:
        nonlocal last
        before, last = last, reading()
        return any(abs(now - then) > STEP_MS for now, then in zip(last, before, strict=True))

    return stepped
