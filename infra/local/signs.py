"""Signs of life: whatever should be heard of at regular times, when it was, and what has gone silent.

Each part of the place says now and then that it lives; :func:`silent` decides, of values alone, who has said nothing
for too long. Whoever asks reads memory only: a part that hangs keeps nobody from hearing that it does.
"""

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from shadows.registry import Button
from shadows.shadow import JsonObject
from shadows.trouble import Trouble

if TYPE_CHECKING:
    from infra.local.gateway import Client

TABLE: Final = """
CREATE TABLE IF NOT EXISTS kiosks (booth TEXT PRIMARY KEY, at INTEGER NOT NULL, period_s REAL NOT NULL) STRICT;
"""
LATE: Final = 1.5  # periods: one sign is missing, and that is said before a second one is
OPEN_MS: Final = 12 * 3_600_000  # a booth whose kiosk was there before that has been closed since
GONE: Final = 50  # so many screens that have left are remembered one by one
KIOSK_S: Final = 60.0  # a kiosk says more often that it is there; who says less often is none of ours

# How far apart the signs of our own parts are, in seconds.
PERIOD_S: Final[dict[str, float]] = {
    "timer": 10.0,
    "sweep": 60.0,
    "deliverer": 10.0,
    "follower": 10.0,
    "gateway": 10.0,
    "disk": 30.0,
    "watch": 10.0,
    "socket": 10.0,
    "slack": 60.0,
    "webhook": 10.0,
    "alerter": 10.0,
    "actions": 10.0,
}
_AGAIN: Final = "Start `staffcall run` again: no call is lost by that. Its log says what happened."
_NETWORK: Final = (
    "It goes on by itself once Slack answers; look at this machine's network and at status.slack.com."
)
DISK: Final = "Look at the disk of the data folder: is it there, may it be written, and is it whole?"
# Of each part the kind of trouble, what is wrong while it is silent, and what mends it.
_PARTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "timer": ("timer", "No alarm rings: states end up to a minute late", _AGAIN),
    "sweep": ("timer", "The sweep does not come: what an alarm has missed is not found", _AGAIN),
    "deliverer": ("slack", "Nobody sends mentions any more", _AGAIN),
    "follower": (
        "timer",
        "Changes of shadows are not followed: alarms and mentions come up to a minute late",
        _AGAIN,
    ),
    "gateway": ("gateway", "MQTT stands still: kiosks and devices hear nothing", _AGAIN),
    "disk": ("disk", "The disk takes nothing more: presses are refused, now or soon", DISK),
    "watch": ("watch", "Nobody looks after signs of life", _AGAIN),
    "socket": ("slack", "Socket Mode is silent: what staff answer in Slack is not heard", _NETWORK),
    "slack": ("slack", "Slack cannot be used", _NETWORK),
    "alerter": ("alert", "Nobody sends alerts any more", _AGAIN),
    "actions": ("action", "Nobody starts what clicks start any more", _AGAIN),
    "webhook": ("webhook", "Nobody sends to a webhook of STAFFCALL_WEBHOOK_URL any more", _AGAIN),
}
KINDS: Final = tuple(dict.fromkeys(what for what, *_ in _PARTS.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """When something was heard of.

    Attributes:
        of: one of our parts, ``webhook-<n>``, ``kiosk-<booth>`` or ``button-<id>``.
        at: when it was last, ms since 1970; or since when it is waited for.
        age_s: how long ago that is; what the machine slept does not count.
        period_s: how far apart its signs are.
        reason: why there was none the last time; "" if nobody knows.
        fix: what somebody has to do before there can be one; "" if it may pass by itself.
    """

    of: str
    at: int
    age_s: float
    period_s: float
    reason: str = ""
    fix: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it has been silent for too long, or will be until somebody does something."""
        return bool(self.fix) or self.age_s >= LATE * self.period_s


def silent(signs: Iterable[Sign], now: int) -> Iterator[Trouble]:
    """What has gone silent. A booth that was closed for the night is not asked for its kiosk."""
    for sign in signs:
        kind, _, id = sign.of.partition("-")
        if not sign.is_missed or (kind == "kiosk" and now - sign.at > OPEN_MS):
            continue
        if kind == "kiosk":
            yield _kiosk(id, sign.at)
        elif kind == "button":
            yield _button(id, sign)
        else:
            what, detail, fix = _PARTS[kind]
            because = f" ({sign.reason})" if sign.reason else ""
            yield Trouble(what=what, since=sign.at, detail=f"{detail}{because}", fix=sign.fix or fix)


def _kiosk(booth: str, since: int) -> Trouble:
    return Trouble(
        what="kiosk",
        thing=f"booth-{booth}",
        since=since,
        detail=f"No screen shows booth {booth} any more",
        fix=f"Look at the booth's screen: is it on, on the network, and at /?booth={booth}?",
    )


def _button(id: str, sign: Sign) -> Trouble:
    return Trouble(
        what="button",
        thing=f"button-{id}",
        since=sign.at,
        # Whoever can open /healthz reads this, and the number of a SIM is nobody's business.
        detail=f"A button is silent that says every {span(sign.period_s)} that it lives",
        fix="Press it once; if nothing comes, change its battery and look at its network.",
    )


def span(seconds: float) -> str:
    """A time as people say it: its largest unit alone."""
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def of_buttons(buttons: Iterable[Button], now: int, since: int) -> Iterator[Sign]:
    """The signs of buttons that have a heartbeat; of one that was never heard of, it is waited for from ``since`` on."""
    for button in buttons:
        if button.heartbeat_s:
            at = max(button.at, button.heard) or since
            age_s = max(0, now - at) / 1000
            yield Sign(of=f"button-{button.id}", at=at, age_s=age_s, period_s=button.heartbeat_s)


class _Heard(NamedTuple):
    at: int
    awake_s: float  # without what the machine slept: a lid that was closed is no silence
    is_sign: bool = True  # else it is only waited for
    reason: str = ""
    fix: str = ""


class Signs:
    """The signs of our own parts. All methods may be called from any thread, and none waits."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """``clock``: ms since 1970."""
        self._clock = clock
        self._heard: dict[str, _Heard] = {}

    def begin(self, *parts: str) -> None:
        """Expect signs of these from now on."""
        for part in parts:
            self._heard[part] = self._now()._replace(is_sign=False)

    def alive(self, part: str) -> None:
        """A part lives; nothing, if none is expected of it."""
        if part in self._heard:
            self._heard[part] = self._now()

    def failed(self, part: str, reason: str, fix: str = "") -> None:
        """There should have been a sign, and this is why there was none; ``fix``: somebody has to do this first."""
        if before := self._heard.get(part):
            self._heard[part] = before._replace(reason=reason, fix=fix)

    def silence_s(self, part: str) -> float:
        """How long there was no sign, in seconds; infinite if there never was one."""
        heard = self._heard.get(part)
        return time.monotonic() - heard.awake_s if heard and heard.is_sign else math.inf

    def all(self) -> list[Sign]:
        """As they are now."""
        now_s = time.monotonic()
        return [
            Sign(
                of=part,
                at=heard.at,
                age_s=now_s - heard.awake_s,
                period_s=PERIOD_S[part.partition("-")[0]],
                reason=heard.reason,
                fix=heard.fix,
            )
            for part, heard in list(self._heard.items())
        ]

    def _now(self) -> _Heard:
        return _Heard(self._clock(), time.monotonic())


@dataclass(frozen=True, slots=True)
class _Screens:
    """Those of one booth: how many are there, and when one was heard of last."""

    here: int
    heard: _Heard
    period_s: float


class Kiosks:
    """Which booths have a screen that is connected, and when one was last, also before a restart.

    The gateway says who comes and goes, by the client id ``kiosk-<booth>-<random>``. Anybody who can open the page can
    say any booth: only those that are registered are remembered.
    """

    def __init__(self, clock: Callable[[], int], awake_s: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._awake_s = clock, awake_s
        self._lock = threading.Lock()
        self._booths: dict[str, _Screens] = {}
        # Of a client id its booth, since when, and when it left; in the order in which they came, or went.
        self._here: dict[str, tuple[str, int, int]] = {}
        self._gone: dict[str, tuple[str, int, int]] = {}
        self._known: frozenset[str] = frozenset()
        self._awaited_s = awake_s()

    def came(self, client: "Client", keep_alive_s: float) -> None:
        """A client has connected, and is heard of at least so often."""
        self._count(client, 1, 0.0, keep_alive_s)

    def left(self, client: "Client", silent_s: float) -> None:
        """A client is gone; it was heard of last so long ago."""
        self._count(client, -1, silent_s, None)

    def _count(self, client: "Client", by: int, silent_s: float, period_s: float | None) -> None:
        booth = client.id.removeprefix("kiosk-").rpartition("-")[0]
        if client.rights.name != "kiosk" or not client.id.startswith("kiosk-") or not booth:
            return
        with self._lock:
            before = self._booths.get(booth)
            here = (before.here if before else 0) + by
            heard = _Heard(self._clock() - int(1000 * silent_s), self._awake_s() - silent_s)
            if before and before.heard.awake_s > heard.awake_s:
                heard = before.heard
            said_s = min(period_s, KIOSK_S) if period_s else before.period_s if before else KIOSK_S
            self._booths[booth] = _Screens(here, heard, said_s)
            self._visit(client.id, booth, self._clock() - int(1000 * silent_s) if by < 0 else 0)

    def _visit(self, id: str, booth: str, left: int) -> None:
        _, since, _ = self._here.pop(id, (booth, self._clock(), 0))
        self._gone.pop(id, None)
        if not left:
            self._here[id] = (booth, self._clock(), 0)
            return
        self._gone[id] = (booth, since, left)
        if len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]

    def seen(self) -> list[JsonObject]:
        """The last screens that left, and then every one that is connected, each in the order in which they went or came.

        Shape: ``{"client", "booth", "since", "left"}``: times in ms since 1970; ``left`` is when one that is gone was heard of
        last, else 0.
        """
        with self._lock:
            return [
                {"client": id, "booth": booth, "since": since, "left": left}
                for id, (booth, since, left) in [*self._gone.items(), *self._here.items()]
            ]

    def connected(self) -> dict[str, int]:
        """How many screens are connected, by booth."""
        with self._lock:
            return {booth: screens.here for booth, screens in self._booths.items() if screens.here > 0}

    def all(self) -> list[Sign]:
        """One sign for each registered booth that has, or had, a screen."""
        with self._lock:
            return [self._sign(booth, each) for booth, each in self._booths.items() if booth in self._known]

    def _sign(self, booth: str, screens: _Screens) -> Sign:
        # After a restart they need a moment to come back.
        heard_s = max(screens.heard.awake_s, self._awaited_s)
        return Sign(
            of=f"kiosk-{booth}",
            at=self._clock() if screens.here else screens.heard.at,
            age_s=0.0 if screens.here else self._awake_s() - heard_s,
            period_s=screens.period_s,
        )

    def load(self, db: sqlite3.Connection) -> None:
        """Remember what an earlier process wrote down."""
        with self._lock:
            for booth, at, period_s in db.execute("SELECT booth, at, period_s FROM kiosks"):
                self._booths.setdefault(booth, _Screens(0, _Heard(at, self._awaited_s), period_s))

    def know(self, booths: Iterable[str]) -> None:
        """These are registered; every other one that has no screen now is forgotten."""
        known = frozenset(booths)  # not under the lock: the store, which reads them, takes it too
        with self._lock:
            self._known = known
            for booth in [each for each in self._booths if each not in self._known]:
                if not self._booths[booth].here:
                    del self._booths[booth]

    def save(self, db: sqlite3.Connection) -> None:
        """Write down when each booth's screen was heard of last."""
        rows = [(sign.of.removeprefix("kiosk-"), sign.at, sign.period_s) for sign in self.all()]
        db.execute("DELETE FROM kiosks")
        db.executemany("INSERT INTO kiosks VALUES (?, ?, ?)", rows)
