"""The proof by killing: the local place dies by SIGKILL again and again, and nothing that it answered for is gone.

    python -c "import tests.soak_crash as soak; soak.main()" --kills 2000 --seed 1 --minutes 120

Visitors press and staff answer, by HTTP, while the process dies around its commits, around its requests to Slack, at
random, and while it starts. Who judges stands outside: with the answers that were given, the messages that Slack took,
and the file on the disk.
"""

import argparse
import hashlib
import http.client
import itertools
import json
import multiprocessing
import os
import random
import re
import resource
import select
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import infra.local.deliverer
import shadows.reset
import shadows.staff
import shadows.telling
import slack_bridge.tellers
from infra import running
from infra.local.run import run
from infra.settings import Settings
from shadows.aws import AwsShadows, AwsThings
from shadows.calls import Place
from shadows.registry import NewStaff, add_staff
from slack_bridge.phrases import EN
from tests.fake_slack import BOT_TOKEN, FakeSlack, Next, signed
from tests.shop import client

BUTTON_TOKEN, ADMIN_TOKEN, OUTGOING_TOKEN, SIGNING_SECRET = "button", "admin", "outgoing", "signing"
BACKUPS: Final = {"hana": "sora", "sora": "riku", "riku": "hana", "lone": ""}
BUSY: Final = ("calling", "running")
UNANSWERED: Final = ("missed", "refused", "unavailable")
CALL_KEYS: Final = {each.name for each in fields(shadows.staff.Call)}
LEGAL: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("idle", "calling"): frozenset(("press", "handover")),
    ("idle", "running"): frozenset(("ok",)),  # of a volunteer
    ("idle", "away"): frozenset(("away",)),
    ("calling", "running"): frozenset(("ok",)),
    # A press or a hand-over, where somebody else got the same call in that very moment.
    ("calling", "idle"): frozenset(("no", "done", "cancel", "missed", "expired", "press", "handover")),
    ("calling", "away"): frozenset(("away",)),
    ("running", "idle"): frozenset(("no", "done", "cancel", "ended", "expired")),
    ("running", "away"): frozenset(("away",)),
    ("away", "idle"): frozenset(("back",)),
    ("away", "away"): frozenset(("press", "handover")),
}
TOLD_ON_RECORD: Final = (
    "SELECT CASE kind WHEN 'remind' THEN 'reminder' ELSE 'call' END AS said, thing, call, COUNT(*) FROM deliveries "
    "WHERE outcome = 'told' AND kind IN ('press', 'handover', 'remind') GROUP BY said, thing, call"
)
SEEN_KEPT: Final = 16
LATE_MS: Final = 2_000  # so long after its deadline a state may stand
UNTOLD_UP_S: Final = 5.0  # a call that stood for so long while the process was up has to be told
EVERYBODY: Final = "<!here>"
REFUSED: Final = "requests refused for want of space"
FULL: Final = "full"  # this file in the data folder says that the disk is
ENDLESS: Final = 0xFFFFFFFE
OUTAGE_MS: Final = 300  # what ten minutes are, where an outage is acted out


# --- The process that dies


class Point(StrEnum):
    """Where a process dies."""

    BEFORE_COMMIT = "before a commit"
    AFTER_COMMIT = "after a commit"
    BEFORE_SEND = "before a request to Slack"
    TAKEN = "when Slack has taken it"
    ANSWERED = "when Slack has answered"
    RANDOM = "at random"
    START = "in its start"
    OVER = "when its story was over"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Death:
    """When a process dies.

    Attributes:
        n: at the n-th such point since its start, from 1.
        after_s: of ``RANDOM`` and ``START``, how long after its start.
        linger_s: how long the thread at the point stands still before, while all others go on.
        outage: it starts after what counts as a long outage: time runs so fast that what is under way expires.
        full: for what there first is no space on the disk, until that was noticed: one more "page", or any "commit".
    """

    point: Point
    n: int = 0
    after_s: float = 0.0
    linger_s: float = 0.0
    outage: bool = False
    full: str = ""


def live(settings: Settings, death: Death, log: Path) -> None:
    """The child: ``staffcall run``, with a death that waits for it."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _hasten(infra.local.deliverer, PACE_S=0.01, GATHER_S=0.05)
    _hasten(slack_bridge.tellers, PACE_S=0.01)
    if death.outage:
        _hasten(shadows.reset, EXPIRES_AFTER_MS=OUTAGE_MS, GONE_AFTER_MS=OUTAGE_MS)
        _hasten(shadows.telling, STALE_MS=OUTAGE_MS)
        _hasten(shadows.staff, GONE_AFTER_MS=OUTAGE_MS)
    _lay_in_wait(death, settings.data / FULL)
    run(settings)


def _hasten(module: ModuleType, **constants: float) -> None:
    for name, value in constants.items():
        getattr(module, name)  # one that has another name now is a mistake here, and no constant to add
        setattr(module, name, value)


def _lay_in_wait(death: Death, full: Path) -> None:
    """Have this process die at the n-th point of its kind, and its database take no more while the file ``full`` is there."""
    left, lock = death.n, threading.Lock()

    def reached(point: Point) -> None:
        nonlocal left
        with lock:
            left -= point is death.point
            if left or point is not death.point:
                return
        time.sleep(death.linger_s)
        os.kill(os.getpid(), signal.SIGKILL)

    class Connection(sqlite3.Connection):
        written = 0

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "BEGIN":
                self.written = self.total_changes
                (pages,) = super().execute("PRAGMA page_count").fetchone()
                grows = death.full != "page" or not full.exists()
                super().execute(f"PRAGMA max_page_count={ENDLESS if grows else pages}")
            if sql != "COMMIT" or self.written == self.total_changes:
                return super().execute(sql, *parameters)
            reached(Point.BEFORE_COMMIT)
            with no_file_grows() if death.full == "commit" and full.exists() else nullcontext():
                done = super().execute(sql)
            reached(Point.AFTER_COMMIT)
            return done

    request, getresponse = http.client.HTTPConnection.request, http.client.HTTPConnection.getresponse

    def send(self: http.client.HTTPConnection, *given: Any, **named: Any) -> None:
        reached(Point.BEFORE_SEND)
        request(self, *given, **named)

    def receive(self: http.client.HTTPConnection) -> http.client.HTTPResponse:
        select.select([self.sock], [], [])
        reached(Point.TAKEN)
        response = getresponse(self)
        reached(Point.ANSWERED)
        return response

    sqlite3.connect = partial(sqlite3.connect, factory=Connection)
    http.client.HTTPConnection.request, http.client.HTTPConnection.getresponse = send, receive


@contextmanager
def no_file_grows() -> Iterator[None]:
    """The system refuses to write to any file of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class House:
    """A data folder, and the process that lives in it until it is killed.

    Attributes:
        settings: of the next start.
        running: of the last start.
        http, aws: ``host:port`` of the process that runs, or of the last one.
        up: whether its doors are open.
        uptimes: of each process that got so far, when its doors opened and when it died; ms since 1970, 0 for not yet.
        generation: how many were started.
        started: when the last one was, seconds of ``time.monotonic``.
        able_since: when its doors opened, or it had space again; ms since 1970.
        full_until: when it had space again after it had none, ms since 1970; 0 if it always had.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings, self.running = folder, settings, settings
        self.log, self.file = folder / "log", folder / "staffcall.sqlite3"
        self.http = self.aws = ""
        self.up = threading.Event()
        self.uptimes: list[list[int]] = []
        self.generation = 0
        self.started = 0.0
        self.able_since = self.full_until = 0
        self._process: Any = None
        # Forked where no thread is, and all is imported.
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["tests.soak_crash"])

    def start(self, death: Death) -> bool:
        """Start, and wait until the doors are open; False if the process died before that, or has to."""
        self.generation += 1
        self.running = replace(self.settings, calling_s=0.2, running_s=0.2) if death.outage else self.settings
        self.started = time.monotonic()
        self._process = self._forks.Process(target=live, args=(self.running, death, self.log))
        self._process.start()
        until = self.started + (death.after_s if death.point is Point.START else 60)
        while self.lives(0.002) and time.monotonic() < until:
            here = running.read(self.folder)
            if here and here.pid == self._process.pid:
                self.http, self.aws = (url.removeprefix("http://") for url in (here.http, here.aws))
                self.able_since = now_ms()
                self.uptimes.append([self.able_since, 0])
                self.up.set()
                return True
        assert death.point is Point.START or not self.lives(), "it did not start within a minute"
        return False

    def lives(self, seconds: float = 0) -> bool:
        """Whether the process is alive, ``seconds`` from now if it is alive so long."""
        if self._process:
            self._process.join(seconds)
        return bool(self._process and self._process.exitcode is None)

    def kill(self) -> bool:
        """End it with SIGKILL; whether it was dead already."""
        dead = not self.lives()
        if self._process:
            self._process.kill()
            self._process.join()
            status, self._process = self._process.exitcode, None
            assert status == -signal.SIGKILL, f"it ended by itself, with {status}"
        if self.up.is_set():
            self.up.clear()
            self.uptimes[-1][1] = now_ms()
        return dead

    @contextmanager
    def full(self) -> Iterator[None]:
        """There is no more space on the disk."""
        (self.folder / FULL).touch()
        yield
        (self.folder / FULL).unlink()
        self.able_since = self.full_until = now_ms()

    def up_s(self, since: int, until: int) -> float:
        """How long its doors were open between two moments, ms since 1970."""
        spans = [(max(since, opened), min(until, closed or now_ms())) for opened, closed in self.uptimes]
        return sum(max(0, closed - opened) for opened, closed in spans) / 1000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- What Slack took


class Slack(FakeSlack):
    """It survives who dies in the middle of a request."""

    def _answer_post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[Next, bytes]:
        try:
            return super()._answer_post(path, body, headers)
        except (ValueError, KeyError):
            return Next(status=400), b"invalid_payload"


class Said(StrEnum):
    """The kinds of messages that are told apart."""

    CALL = "call"
    AGAIN = "again"
    REMIND = "reminder"
    COLLEAGUES = "colleagues"  # nobody can come, to those of the booth
    NOBODY = "nobody"  # the same, to everybody
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    OTHER = "other"


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", re.escape(sentence)), re.DOTALL)


# What is told only where the history says why; else it is about a press again, or an answer.
MUST_BE_ASKED: Final = frozenset((Said.CALL, Said.REMIND, Said.COLLEAGUES, Said.NOBODY, Said.EXPIRED))
SENTENCES: Final = [
    (Said.NOBODY, _pattern(EN.nobody)),
    (Said.CALL, _pattern(EN.called)),
    (Said.CALL, _pattern(EN.stand_in)),
    (Said.AGAIN, _pattern(EN.again)),
    (Said.AGAIN, _pattern(EN.again_running)),
    (Said.REMIND, _pattern(EN.remind)),
    (Said.CANCELLED, _pattern(EN.cancelled)),
    (Said.EXPIRED, _pattern(EN.expired_one)),
    (Said.EXPIRED, _pattern(EN.expired)),
]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A message that Slack took.

    Attributes:
        thing: whom it mentions; "" for everybody, and for colleagues.
        at: seconds of ``time.monotonic``.
    """

    said: Said
    thing: str
    booth: str
    count: int
    at: float


def heard(text: str, at: float) -> Heard:
    for said, pattern in SENTENCES:
        if found := pattern.fullmatch(text):
            named = found.groupdict()
            user = re.fullmatch(r"<@U0(\w+)>", who := named.get("who", ""))
            count = int(named.get("count", 1)) if said is Said.EXPIRED else 1
            thing = f"staff-{user[1].lower()}" if user and said is not Said.NOBODY else ""
            kind = Said.COLLEAGUES if said is Said.NOBODY and who != EVERYBODY else said
            return Heard(said=kind, thing=thing, booth=named.get("booth", ""), count=count, at=at)
    return Heard(said=Said.OTHER, thing="", booth="", count=1, at=at)


# --- Who judges


class Wrong(Exception):
    """A promise was broken; the text says which."""


@dataclass(frozen=True, kw_only=True)
class Ack:
    """Something that was answered 200.

    Attributes:
        digest: how the shadow remembers it.
        call: of a press that was new, the id of its call; else "".
        at: ms since 1970.
        generation: of the process that answered.
    """

    thing: str
    digest: str
    what: str
    booth: str
    call: str
    at: int
    generation: int


class Fate(StrEnum):
    """What a press that was answered 200 came to."""

    TOLD = "told"
    OVER = "over, on record, before it could be told"
    FORGOTTEN = "expired over a long outage"
    LOST = "lost"


@dataclass
class Figures:
    """What a campaign came to.

    Attributes:
        kills: where the process died.
        presses: what was answered 200.
        counts: anything else, each by its name.
        longest: seconds.
    """

    kills: Counter[str] = field(default_factory=Counter)
    presses: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(Fate, 0)))
    counts: Counter[str] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)

    def add(self, other: "Figures") -> None:
        self.kills.update(other.kills)
        self.presses.update(other.presses)
        self.counts.update(other.counts)
        for name, value in other.longest.items():
            self.took(name, value)

    def took(self, what: str, seconds: float) -> None:
        self.longest[what] = max(self.longest.get(what, 0.0), seconds)

    def __str__(self) -> str:
        def listed(counts: Mapping[str, int]) -> str:
            return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if n)

        longest = ", ".join(f"{name} {value:.2f} s" for name, value in sorted(self.longest.items()))
        presses = ", ".join(f"{n} {fate}" for fate, n in self.presses.items())
        return (
            f"kills    {self.kills.total()}: {listed(self.kills)}\n"
            f"presses  {self.presses.total()} acknowledged: {presses}\n"
            f"others   {listed(self.counts)}\n"
            f"longest  {longest}"
        )


class Judge:
    """Compares what was answered and what Slack took with what is on the disk.

    Attributes:
        acks: what was answered 200.
        oks: how many times each person has written "ok".
        wrong: every promise that was broken, in words.
        story: what has happened, and when; ms since 1970.
        heard: what Slack took, oldest first.
        rows: the history on the disk, oldest first.
        took_s: how long the last requests took.
        is_outage: who waits may be forgotten, as after a long outage.
        staff: the state of each person's shadow, as it was seen last.
        saw: of which moment that is at least, ms since 1970.
    """

    def __init__(self, house: House, slack: FakeSlack, figures: Figures) -> None:
        self.house, self.slack, self.figures = house, slack, figures
        self.acks: list[Ack] = []
        self.oks: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.story: list[tuple[int, str]] = []
        self.staff: dict[str, dict[str, Any]] = {}
        self.saw = 0
        self.rows: list[dict[str, Any]] = []
        self._on_record: dict[tuple[str, str, str], int] = {}
        self._versions: dict[str, int] = {}
        self._remembered = threading.Lock()
        self._seen: dict[str, list[str]] = defaultdict(list)  # of each person every entry that was ever there
        self._gaps: dict[str, int] = {}  # when more had happened since the last look than a shadow remembers
        self.took_s: deque[float] = deque([0.0], maxlen=30)
        self._slowest_s = 0.0
        self.is_outage = False
        self._proven = 0
        self.heard: list[Heard] = []
        self._told: Counter[tuple[Said, str, str]] = Counter()
        self._windows: Counter[tuple[Said, str, str]] = Counter()
        self._gone: set[str] = set()  # booths that waited in an outage: they may be forgotten
        self._outages: list[tuple[int, int]] = []
        self._pending: dict[tuple[str, str], int] = {}
        self._looks: deque[int] = deque(maxlen=20)  # when it looked last, ms since 1970

    # When it looks

    def watch(self) -> None:
        """Look at the file of the process that runs."""
        now = now_ms()
        self._looks.append(now)
        with suppress(sqlite3.Error), _opened(f"file:{self.house.file}?mode=ro") as db:  # it may die just now
            self._look(db)
            self.saw = now
            self._deadlines(now)

    def after_kill(self) -> None:
        """Look at what the dead process left."""
        with tempfile.TemporaryDirectory(dir=self.house.folder) as folder:
            for left in (self.house.file, self.house.file.with_name(self.house.file.name + "-wal")):
                if left.exists():
                    shutil.copy(left, folder)
            with _opened(f"file:{folder}/{self.house.file.name}") as db:
                (health,) = db.execute("PRAGMA integrity_check").fetchone()
                self._check(health == "ok", f"the file is broken: {health}")
                with suppress(sqlite3.OperationalError):  # it died before it had made the tables
                    self._look(db)
        self._looks.clear()
        self._prove()
        self._note_claims()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Nobody need be told any more of what was so long ago."""
        began, self.is_outage = now_ms(), True
        yield
        self.is_outage = False
        self._outages.append((began, now_ms()))

    def conclude(self) -> None:
        """Everybody is idle and everything is told: every call has come to something."""
        self._prove()
        self._conclude_presses()
        self._conclude_volunteers()
        asked = self._asked()
        for said, thing, booth in {**asked, **self._told}:
            if said in MUST_BE_ASKED:
                self._conclude_told(said, thing, booth, asked.get((said, thing, booth), []))

    def hear(self) -> None:
        """Take in what Slack took."""
        for post in self.slack.posts[len(self.heard) :]:
            self.heard.append(each := heard(post.text, post.at))
            self.note(f"Slack took {each.said} {each.thing} {each.booth}")
            self._told[each.said, each.thing, each.booth] += each.count

    def forgotten(self, ack: Ack) -> bool:
        """Whether so much has happened since that the shadow need not know this event any more."""
        with self._remembered:
            latest = self._seen[ack.thing][2 - SEEN_KEPT :]  # two may have come since
            return (
                not any(entry.endswith(ack.digest) for entry in latest)
                or self._gaps.get(ack.thing, 0) >= ack.at
            )

    def note(self, what: str) -> None:
        """For whoever has to find out why."""
        self.story.append((now_ms(), what))

    def _check(self, right: bool, otherwise: str) -> None:
        if not right:
            self.wrong.append(otherwise)
            self.note(f"WRONG: {otherwise}")

    # What must hold at every look

    def _look(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN")  # both are of one moment
        found = db.execute("SELECT * FROM history WHERE n > ? ORDER BY n", (len(self.rows),))
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found]
        found = db.execute("SELECT thing, document FROM shadows WHERE thing LIKE 'staff-%' AND name = ''")
        documents = {thing: json.loads(document) for thing, document in found}
        found = db.execute(TOLD_ON_RECORD)
        self._on_record = {(said, thing, call): n for said, thing, call, n in found}
        self.hear()
        for row in rows:
            self._take_row(row)
        for thing, document in documents.items():
            self._take_shadow(thing, document)
        booths = {row["call"]: row["booth"] for row in self.rows}
        for (said, thing, call), n in self._on_record.items():
            took = self._told[Said(said), thing, booths.get(call, "")]
            self._check(
                n <= took, f"{thing} was told of {call} {n} times, it says, and Slack took {took}: {said}"
            )

    def _take_row(self, row: dict[str, Any]) -> None:
        """A line of the history: each change is one that the rules allow."""
        self.rows.append(row)
        self.note(f"history {row}")
        self._check(row["n"] == len(self.rows), f"the history misses a line before {row}")
        own = self._rows_of(row["thing"])
        if len(own) < 2:
            return
        before, what = own[-2], f"{row} after {own[-2]}"
        if row["since"] == before["since"]:
            self._check(self._goes_on(before, row), what)
            return
        self._check(row["since"] > before["since"], what)
        self._check(row["why"] in LEGAL.get((before["state"], row["state"]), ()), what)
        if _is_volunteer(before, row):
            self._check(bool(self._openings(row)), f"nobody was asked to volunteer: {what}")
        asked = {each["since"] for each in own if (each["call"], each["state"]) == (row["call"], "calling")}
        self._check(len(asked) <= 1, f"the same person was asked twice: {what}")
        oks = {each["since"] for each in own if each["why"] == "ok"}
        self._check(len(oks) <= self.oks[row["thing"]], f"nobody said ok: {what}")

    def _goes_on(self, before: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
        """Whether this is still the same state: they press again, or somebody goes who is named from now on."""
        if any(row[key] != before[key] for key in ("state", "why", "call", "end")):
            return False
        if row["to"] == before["to"]:
            return bool(row["count"] > before["count"])
        goes = any(
            (each["call"], each["state"]) == (row["call"], "running") for each in self._rows_of(row["to"])
        )
        return goes and _is_open(before)

    def _openings(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Where this call was left to whoever goes, before this line; none if Slack was told of nothing."""
        told = sum(self._told[said, "", row["booth"]] for said in (Said.COLLEAGUES, Said.NOBODY))
        before = self.rows[: row["n"] - 1] if told else []
        return [each for each in before if each["call"] == row["call"] and _is_open(each)]

    def _rows_of(self, thing: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["thing"] == thing]

    def _take_shadow(self, thing: str, document: dict[str, Any]) -> None:
        """A person's shadow: it is well-formed, goes forward only, and is not told what Slack has not taken."""
        version, state = document["version"], document["state"]
        desired, reported = state["desired"], state["reported"]
        self._check(version >= self._versions.get(thing, 0), f"{thing} went back to version {version}")
        if version != self._versions.get(thing):
            self.note(f"{thing} {version}: {state}")
        self._versions[thing], self.staff[thing] = version, state
        self._check(set(desired) == {"state", "since", "why", "call"}, f"{thing} desires {desired}")
        for call in (desired["call"], reported["call"], *reported["waiting"]):
            self._check(set(call) == CALL_KEYS, f"{thing} has the call {call}")
        self._check(reported["since"] <= desired["since"], f"{thing} was told {reported} before {desired}")
        booths = [call["booth"] for call in reported["waiting"]]
        self._check(len(booths) == len(set(booths)), f"{thing} keeps a booth waiting twice: {booths}")
        if self.is_outage:
            self._gone.update(booths)
        if reported["state"] == "calling":
            said = self._told[Said.CALL, thing, reported["call"]["booth"]]
            self._check(said > 0, f"{thing} is reported as told, and Slack never took it: {reported}")
            recorded = (Said.CALL, thing, reported["call"]["id"]) in self._on_record
            # What is told is told, though there was no space to put it on record; the log says so.
            full = (self.house.folder / FULL).exists() or self.house.full_until >= reported["since"]
            self._check(
                recorded or full, f"{thing} is reported as told, and that is not on record: {reported}"
            )
        if reported["call"]["reminded"]:
            self._take_reminded(thing, reported)
        self._take_seen(thing, reported["seen"])

    def _take_reminded(self, thing: str, reported: dict[str, Any]) -> None:
        """Who counts as reminded was, or had heard of the call just then; and what nobody took, everybody heard of."""
        running, booth = self.house.running, reported["call"]["booth"]
        if reported["state"] == "calling":
            due = reported["since"] + int(1000 * running.remind_s)
            quiet = reported["toldAt"] + 1000 * running.quiet_s > due
            said = self._told[Said.REMIND, thing, booth]
            self._check(said > 0 or quiet, f"{thing} counts as reminded, and Slack never took it: {reported}")
        elif _is_left(reported) and not self._is_old(reported["since"]):
            said = self._told[Said.NOBODY, "", booth]
            self._check(said > 0, f"{thing}: everybody counts as asked, and Slack never took it: {reported}")

    def _is_old(self, since: int) -> bool:
        """Whether there was an outage after this moment."""
        return self.is_outage or any(since <= until for _, until in self._outages)

    def _take_seen(self, thing: str, seen: list[str]) -> None:
        with self._remembered:
            known = self._seen[thing]
            self._check(len(seen) <= SEEN_KEPT, f"{thing} remembers {len(seen)} events")
            if known and not set(seen) & set(known[-SEEN_KEPT:]):
                self._gaps[thing] = now_ms()
            for entry in seen:
                if entry not in known[-2 * SEEN_KEPT :]:
                    digest = entry.partition(":")[2]
                    twice = any(other.endswith(digest) for other in known[-SEEN_KEPT:])
                    self._check(not twice, f"{thing} took the same event twice: {entry}")
                    known.append(entry)

    def _deadlines(self, now: int) -> None:
        """Nobody stands much longer than they should, and who was not told at a death is told soon after it."""
        allowed_ms = self._allowed_ms()
        self._take_told()
        if not self.house.up.is_set() or (self.house.folder / FULL).exists():
            return
        running = self.house.running
        lasts_s = {"calling": running.calling_s, "running": running.running_s}
        for thing, state in self.staff.items():
            desired = state["desired"]
            if self._is_to_be_reminded(state, now):
                late = now - max(desired["since"] + int(1000 * running.remind_s), self.house.able_since)
                self.figures.took("a reminder was late", late / 1000)
                self._check(
                    late <= allowed_ms, f"{thing}: nobody is reminded {late} ms after it was due: {desired}"
                )
            if desired["state"] not in BUSY:
                continue
            due = desired["since"] + int(1000 * lasts_s[desired["state"]])
            late = now - max(due, self.house.able_since)
            self.figures.took("a state stood after its deadline", late / 1000)
            self._check(late <= allowed_ms, f"{thing} stands {late} ms after its deadline: {desired}")
            if desired["state"] == "calling" and (thing, desired["call"]["booth"]) in self._pending:
                up = now - self.house.able_since
                self._check(up <= allowed_ms, f"{thing} is not told {up} ms after a restart: {desired}")

    def _is_to_be_reminded(self, state: dict[str, Any], now: int) -> bool:
        """Whether somebody is to be reminded in time: who was called; or everybody, once only colleagues were asked."""
        desired, reported, running = state["desired"], state["reported"], self.house.running
        if desired["call"]["reminded"] or not running.remind_s:
            return False
        if desired["state"] in BUSY:
            return desired["state"] == "calling" and running.remind_s < running.calling_s
        if not _is_left(desired) or reported["since"] != desired["since"] or self._is_old(desired["since"]):
            return False
        began = time.monotonic() - (now - desired["since"]) / 1000
        asked = {
            each.said for each in self.heard if each.booth == desired["call"]["booth"] and each.at >= began
        }
        return Said.COLLEAGUES in asked and Said.NOBODY not in asked

    def _allowed_ms(self) -> int:
        """How late things may be: where others keep this machine busy we come late ourselves, and requests take long."""
        slowest_s, looks = max(list(self.took_s)), list(self._looks)
        looks_ms = max((b - a for a, b in itertools.pairwise(looks)), default=0)
        allowed_ms = LATE_MS + 5 * looks_ms + int(3000 * slowest_s)
        self._slowest_s = max(self._slowest_s, slowest_s)
        self.figures.took("a request took", slowest_s)
        self.figures.took("what was allowed", allowed_ms / 1000)
        return allowed_ms

    def _take_told(self) -> None:
        """Forget who was pending at the restart, and has been told since."""
        for (thing, booth), before in list(self._pending.items()):
            if self._told[Said.CALL, thing, booth] > before:
                at = max(each.at for each in self.heard if (each.thing, each.booth) == (thing, booth))
                self.figures.took("from restart to told", at - self.house.started)
                del self._pending[thing, booth]

    def patience_s(self, idle_s: float) -> float:
        """So long something may take that takes at most ``idle_s`` on an idle machine."""
        return idle_s + 30 * self._slowest_s

    # What must hold after a death

    def _prove(self) -> None:
        """Everything that was answered is on the disk."""
        while self._proven < len(self.acks):
            ack = self.acks[self._proven]
            taken = any(entry.endswith(ack.digest) for entry in self._seen[ack.thing])
            missed = self._gaps.get(ack.thing, 0) >= ack.at
            self.figures.counts["answers that could not be looked up"] += not taken and missed
            self._check(taken or missed, f"answered 200, and not on the disk: {ack}")
            self.figures.presses[Fate.LOST] += bool(ack.booth and not taken and not missed)
            self._proven += 1

    def _note_claims(self) -> None:
        """Who was being told may be told once more; who was not told yet is to be told soon."""
        self._pending = {}
        for thing, state in self.staff.items():
            desired, reported = state["desired"], state["reported"]
            self._windows.update(self._claimed(thing, reported))
            said, booth = _kind(desired), desired["call"]["booth"]
            if said is Said.CALL and reported["call"]["id"] != desired["call"]["id"]:
                self._pending[thing, booth] = self._told[Said.CALL, thing, booth]

    def _claimed(self, thing: str, reported: dict[str, Any]) -> Iterator[tuple[Said, str, str]]:
        """What was being told of this person; who stands at the booth and is free may be another one the next time."""
        telling = reported.get("telling") or {"since": -1, "count": 0}
        about = telling["since"], telling["count"]
        for row in [each for each in self._rows_of(thing) if (each["since"], each["count"]) == about][:1]:
            said, again = _kind({**row, "call": row}), reported["since"] == row["since"]
            yield _subject(Said.REMIND if again and said is Said.CALL else said, thing, row["booth"])
            if said is Said.NOBODY and not again:
                yield _subject(Said.COLLEAGUES, thing, row["booth"])

    # What must hold at the end

    def _conclude_presses(self) -> None:
        """The call of each press is on record, and each press is counted once."""
        pressed: dict[str, dict[str, Ack]] = defaultdict(dict)
        for ack in self.acks:
            if ack.booth and (ack.call or ack.digest not in pressed[ack.booth]):
                pressed[ack.booth][ack.digest] = ack
        for booth, acks in pressed.items():
            rows = [row for row in self.rows if row["booth"] == booth]
            for ack in acks.values():
                self._take_fate(ack, self._fate(ack, rows), rows)
            counts = Counter(
                {row["call"]: row["count"] for row in sorted(rows, key=lambda row: row["count"])}
            )
            unclear = any(not ack.call for ack in acks.values())  # which call the first of them made
            moved = unclear or booth in self._gone or any(_has_moved(row) for row in rows)
            self._check(moved or counts.total() == len(acks), f"{acks} are counted as {counts}: {rows}")

    def _fate(self, ack: Ack, rows: list[dict[str, Any]]) -> Fate:
        """What a press that was answered came to, by the record of its booth."""
        if not (any(row["call"] == ack.call for row in rows) if ack.call else rows):
            if ack.booth in self._gone:
                return Fate.FORGOTTEN
            # Two people each had a call of the booth, and one has both now.
            if not any(row["at"] >= ack.at and _has_moved(row) for row in rows):
                return Fate.LOST
        told = any(
            n and said in (Said.CALL, Said.NOBODY) and booth == ack.booth
            for (said, _, booth), n in self._told.items()
        )
        return Fate.TOLD if told else Fate.OVER

    def _take_fate(self, ack: Ack, fate: Fate, found: object) -> None:
        self.figures.presses[fate] += 1
        self._check(fate is not Fate.LOST, f"answered 200, and lost: {ack}; there is {found}")

    def _conclude_volunteers(self) -> None:
        """Of those who took what nobody took one goes, once they are answered, and who was asked last names them."""
        for thing in self.staff:
            own = self._rows_of(thing)
            for before, row, after in zip(own, own[1:], [*own[2:], None], strict=False):
                acks = [ack for ack in self.acks if ack.thing == thing and row["key"].endswith(ack.digest)]
                if _is_volunteer(before, row) and acks and self._openings(row):
                    came_to = self._volunteered(row, after, acks[0].at)
                    self.figures.counts[f"volunteers who {came_to}"] += 1

    def _volunteered(self, row: dict[str, Any], after: dict[str, Any] | None, answered: int) -> str:
        """What came of a volunteer, by when they were answered; ms since 1970."""
        opening = self._openings(row)[-1]
        later = [
            each
            for each in self._rows_of(opening["thing"])
            if each["n"] > opening["n"] and each["at"] <= answered
        ]
        named = [each["to"] for each in later if each["call"] == row["call"] and each["to"]]
        if row["thing"] in (*named, opening["thing"]):
            return "go"
        if any(each["call"] != row["call"] or each["state"] in BUSY for each in later):
            return "go, when who was asked last had another call"
        died = any(row["at"] <= closed <= answered for _, closed in self.house.uptimes)
        gave_way = after is not None and after["at"] <= answered
        self._check(
            bool(named) and (gave_way or died), f"a volunteer is not named: {row}, {opening}, {later}"
        )
        return "gave way" if gave_way else "go too, after a death"

    def _asked(self) -> dict[tuple[Said, str, str], list[tuple[dict[str, Any], float]]]:
        """What had to be told, and for how many seconds with the doors open it stood; 0 if it need not be told."""
        asked: dict[tuple[Said, str, str], list[tuple[dict[str, Any], float]]] = defaultdict(list)
        for thing in self.staff:
            rows = self._rows_of(thing)
            changes = [row for n, row in enumerate(rows) if not n or row["since"] != rows[n - 1]["since"]]
            ends = [row["at"] for row in changes[1:]] + [now_ms() + 1_000_000]
            for before, row, end in zip([None, *changes], changes, ends, strict=False):
                same = before and (row["call"], row["end"]) == (before["call"], before["end"])
                if row["state"] == "calling" or (
                    row["end"] in (*UNANSWERED, "expired") and not row["to"] and not same
                ):
                    said = _subject(_kind({**row, "call": row}), thing, row["booth"])
                    old = said[0] is Said.NOBODY and any(
                        row["at"] <= until and since <= end for since, until in self._outages
                    )
                    asked[said].append((row, 0.0 if old else self.house.up_s(row["at"], end)))
                    if said[0] is Said.NOBODY:  # those of the booth hear of it first
                        asked[Said.COLLEAGUES, "", row["booth"]].append((row, 0.0))
                if row["state"] == "calling" and end - row["since"] >= 1000 * self.house.settings.remind_s:
                    asked[Said.REMIND, thing, row["booth"]].append((row, 0.0))
        return asked

    def _conclude_told(
        self, said: Said, thing: str, booth: str, stood: list[tuple[dict[str, Any], float]]
    ) -> None:
        """Each call was told, but for one that was over before; and twice only if a death came while it was told."""
        told = self._told[said, thing, booth]
        first = self._told[Said.COLLEAGUES, thing, booth] if said is Said.NOBODY else 0
        twice, untold = max(0, told - len(stood)), max(0, len(stood) - told - first)
        counts = {"told": told - twice, "told twice": twice}
        if any(up_s for _, up_s in stood):
            counts["over before it was told"] = untold
        self.figures.counts.update({f"{said} {what}": n for what, n in counts.items()})
        allowed = self._windows[said, thing, booth]
        self._check(
            twice <= allowed, f"{said} {thing} {booth} was told {told} times ({allowed} twice): {stood}"
        )
        # The newest is told first: where a busy machine makes each message slow, an old one may wait for long.
        long_s = self.patience_s(UNTOLD_UP_S)
        short = sum(up_s < long_s or _may_be_quiet(row) for row, up_s in stood)
        self._check(untold <= short, f"{said} {thing} {booth} was told {told} times: {stood}")


def _kind(asked: Mapping[str, Any]) -> Said:
    """What would be told of this."""
    if asked["state"] in BUSY:
        return Said.CALL if asked["state"] == "calling" else Said.AGAIN
    return Said.EXPIRED if asked["call"]["end"] == "expired" else Said.NOBODY


def _is_left(asked: Mapping[str, Any]) -> bool:
    """Whether a half of a shadow says that nobody took the call."""
    return asked["state"] not in BUSY and asked["call"]["end"] in UNANSWERED and not asked["call"]["to"]


def _is_open(row: Mapping[str, Any]) -> bool:
    """Whether a line of the history says so."""
    return _is_left({**row, "call": row})


def _is_volunteer(before: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether somebody goes who was not called."""
    return (before["state"], row["state"]) == ("idle", "running")


def _subject(said: Said, thing: str, booth: str) -> tuple[Said, str, str]:
    """By what a message is known: that nobody is left names only the booth, and that calls expired only how many."""
    everybody = said in (Said.COLLEAGUES, Said.NOBODY, Said.EXPIRED)
    return said, "" if everybody else thing, "" if said is Said.EXPIRED else booth


def _has_moved(row: Mapping[str, Any]) -> bool:
    """Whether a call went from one person to another: where two calls of a booth meet, one of them gives way."""
    return bool(row["to"] or row["why"] == "handover" or row["state"] == "away")


def _may_be_quiet(row: Mapping[str, Any]) -> bool:
    """Presses for somebody who is away do not shout at everybody each time."""
    return bool(row["state"] == "away" and row["why"] in ("press", "handover"))


@contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


# --- Who presses and answers


class World:
    """One data folder from its first start to its last, with a Slack, a judge, and those who press and answer.

    Attributes:
        going: until the actors are to come to an end.
        over: when nothing is started any more.
    """

    def __init__(self, folder: Path, slack: FakeSlack, seed: int, figures: Figures, **settings: Any) -> None:
        self.slack, self.figures, self.random = slack, figures, random.Random(seed)
        self.house = House(folder, _settings(folder, slack, **settings))
        self.judge = Judge(self.house, slack, figures)
        self.going, self.over = threading.Event(), threading.Event()
        self.going.set()
        self._stamps = itertools.count(1_730_520_931)
        self._last: dict[str, tuple[str, Ack]] = {}

    # What they do; each goes on until it is answered, as a button and Slack do

    def ask(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        """POST until there is an answer that is not the server's fault; 503 once everything is over."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        while not self.over.is_set():
            if not self.house.up.wait(0.1):
                continue
            with suppress(OSError, http.client.HTTPException, ValueError):
                address = self.house.aws if path.startswith("/things") else self.house.http
                self.judge.note(f"asked {path} {body!r}")
                began = time.monotonic()
                status, answer = _post(address, path, body, named)
                self.judge.took_s.append(time.monotonic() - began)
                self.judge.note(f"answered {status} {answer} to {path} {body!r}")
                if status < 500:
                    return status, answer
                self.figures.counts[REFUSED] += (self.house.folder / FULL).exists()
            time.sleep(0.005)
        return 503, None

    def button(self, staff: str, booth: str, colleagues: Iterable[str] = ()) -> None:
        """Register a button that has the booth's id; and who stands at that booth, if anybody does."""
        attributes = {"single": staff, "booth": booth}
        body = json.dumps(
            {"thingTypeName": "button", "attributePayload": {"attributes": attributes}}
        ).encode()
        status, answer = self.ask(f"/things/button-{booth}", body)
        assert status in (200, 503), answer
        if listed := [f"staff-{id}" for id in colleagues]:
            body = json.dumps({"state": {"reported": {"staff": listed}}}).encode()
            status, answer = self.ask(f"/things/booth-{booth}/shadow", body)
            assert status in (200, 503), answer

    def press(self, staff: str, booth: str, press: str) -> Ack | None:
        """Press until it is answered; None if it was refused."""
        body = json.dumps({"button": booth, "click": "SINGLE", "id": press}).encode()
        generation = self.house.generation
        status, answer = self.ask("/buttons/webhook", body, X_Staffcall_Token=BUTTON_TOKEN)
        if status != 200:
            assert status in (429, 503), answer
            return None
        ack = Ack(
            thing=f"staff-{staff}",
            digest=_digest("webhook", booth, press),
            what=press,
            booth=booth,
            call="" if answer["repeat"] else answer["call"],
            at=now_ms(),
            generation=generation,
        )
        self.judge.acks.append(ack)
        return ack

    def press_again(self, staff: str, ack: Ack) -> None:
        """What was answered before is known again, also by the next process."""
        body = json.dumps({"button": ack.booth, "click": "SINGLE", "id": ack.what}).encode()
        status, answer = self.ask("/buttons/webhook", body, X_Staffcall_Token=BUTTON_TOKEN)
        if status == 200:
            self.figures.counts["presses that came again"] += 1
            if not answer["repeat"] and not self.judge.forgotten(ack):
                self.judge.wrong.append(f"{ack} came again, and was taken for a new one: {answer}")

    def says(self, staff: str, text: str, *, times: int = 1) -> None:
        """Write in the channel; Slack may bring it more than once."""
        if text.startswith("ok"):
            self.judge.oks[f"staff-{staff}"] += 1
        stamp, generation = f"{next(self._stamps)}.000100", self.house.generation
        if all(self._writes(staff, text, stamp) == 200 for _ in range(times)):
            ack = Ack(
                thing=f"staff-{staff}",
                digest=_digest("slack", f"U0{staff.upper()}", f"C0CALLS:{stamp}"),
                what=text,
                booth="",
                call="",
                at=now_ms(),
                generation=generation,
            )
            self.judge.acks.append(ack)
            self._last[staff] = stamp, ack

    def says_again(self, staff: str) -> None:
        """Slack brings once more what somebody wrote last, because the process died since."""
        stamp, ack = self._last.get(staff, ("", None))
        if ack and ack.generation < self.house.generation and not self.judge.forgotten(ack):
            self.figures.counts["answers that came again"] += 1
            self._writes(staff, ack.what, stamp)

    def _writes(self, staff: str, text: str, stamp: str) -> int:
        user = f"U0{staff.upper()}"
        if self.house.settings.slack_bot_token:
            event = {"type": "message", "channel": "C0CALLS", "user": user, "text": text, "ts": stamp}
            body = json.dumps({"type": "event_callback", "event": event}).encode()
            status, answer = self.ask("/slack/events", body, **signed(body, SIGNING_SECRET, time.time()))
        else:
            form = {
                "token": OUTGOING_TOKEN,
                "channel_id": "C0CALLS",
                "timestamp": stamp,
                "user_id": user,
                "text": text,
            }
            status, answer = self.ask("/slack/outgoing", urllib.parse.urlencode(form).encode())
        assert status in (200, 503), answer
        return status

    # The life of the process

    def furnish(self) -> None:
        """Register everybody, through the port that boto3 uses."""
        url = f"http://{self.house.aws}"
        place = Place(
            shadows=AwsShadows(client("iot-data", url)), things=AwsThings(client("iot", url)), clock=now_ms
        )
        for id in BACKUPS:
            add_staff(place, NewStaff(id=id, name=id.title(), slack=f"U0{id.upper()}"))
        for id, backup in BACKUPS.items():
            place.things.update(f"staff-{id}", {"backup": backup})

    def lives(self, death: Death, longest_s: float = 1.5, until: Callable[[], bool] = lambda: False) -> bool:
        """Start, let it live, and have it die: by itself, or by our hand after a time or as soon as ``until`` holds.

        The answer is whether it died by itself.
        """
        self.judge.note(f"starts: {death}")
        if self.house.start(death):
            if death.full:
                refused = self.figures.counts[REFUSED]
                with self.house.full():
                    self._watch(longest_s, lambda: self.figures.counts[REFUSED] > refused + 2)
            self._watch(death.after_s if death.point is Point.RANDOM else longest_s, until)
        by_itself = self.house.kill()
        self.judge.note(f"dead: {death}")
        by_hand = Point.OVER if until() else Point.RANDOM
        self.figures.kills[death.point if by_itself or death.point is Point.START else by_hand] += 1
        self.judge.after_kill()
        self.stop_if_wrong()
        return by_itself

    def _watch(self, seconds: float, until: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while self.house.lives(0.02) and time.monotonic() < end and not until():
            self.judge.watch()

    def fails(self, death: Death) -> None:
        """A long outage, and a start after it."""
        with self.judge.outage():
            self.judge.after_kill()
            time.sleep(2 * OUTAGE_MS / 1000)
            self.lives(death)

    def settle(self, ended: Callable[[], bool] = lambda: True) -> None:
        """Live until every actor has ended and every call is over and told, and judge."""
        self.going.clear()
        self.house.settings = replace(self.house.settings, calling_s=0.2, running_s=0.2)
        began = time.monotonic()
        assert self.house.start(Death(point=Point.NEVER)), "it died"
        while not (ended() and self.is_quiet()):
            self.judge.watch()
            self.stop_if_wrong()
            if time.monotonic() - began > self.judge.patience_s(45):  # a sweep comes too late to help
                raise Wrong(f"it never came to an end: {self.judge.staff}")
            time.sleep(0.02)
        self.figures.took("from the last start to the end of every call", time.monotonic() - began)
        self.over.set()
        self.house.kill()
        self.judge.after_kill()
        self.judge.conclude()
        self.stop_if_wrong()

    def is_quiet(self) -> bool:
        """Whether nobody has a call or waits for one, and nothing is untold."""
        return all(
            state["desired"]["state"] not in BUSY
            and not state["reported"]["waiting"]
            and all(state["reported"][key] == value for key, value in state["desired"].items())
            for state in list(self.judge.staff.values())
        )

    def write_story(self, path: Path) -> None:
        """Write down what has happened."""
        log = self.house.log.read_text("utf-8", "replace") if self.house.log.exists() else ""
        lines = [f"{at} {what}" for at, what in sorted(self.judge.story)]
        path.write_text("\n".join([*lines, "--- its log", log]), "utf-8")

    def stop_if_wrong(self) -> None:
        if self.judge.wrong:
            raise Wrong("\n".join(self.judge.wrong[:5]))


def _settings(folder: Path, slack: FakeSlack, *, bot: bool = False, **more: Any) -> Settings:
    ways = (
        {"slack_bot_token": BOT_TOKEN, "slack_channel": "C0CALLS", "slack_api_url": slack.api_url}
        if bot
        else {"slack_webhook_url": slack.url, "slack_outgoing_token": OUTGOING_TOKEN}
    )
    ports = dict.fromkeys(("http_port", "ws_port", "mqtt_port", "aws_port"), 0)
    fixed = {"data": folder, "lang": "en", "throttle": False, "slack_signing_secret": SIGNING_SECRET}
    tokens = {"button_token": BUTTON_TOKEN, "admin_token": ADMIN_TOKEN}
    return Settings(**{**ports, **fixed, **tokens, **ways, **more})


def _digest(door: str, sender: str, id: str) -> str:
    return hashlib.sha256("\0".join((door, sender, id)).encode()).hexdigest()[:16]


def _post(address: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        answer = response.read()
        return response.status, json.loads(answer) if answer else None
    finally:
        connection.close()


def visits(world: World, number: int, patience_s: float, colleagues: Iterable[str] = ()) -> None:
    """Visitors, one after the other, each at a booth of their own: they press, press again, and go."""
    chance, last = random.Random(world.random.random()), None
    for visitor in itertools.count():
        if not world.going.is_set():
            return
        staff, booth = chance.choice([*BACKUPS]), f"v{number}-{visitor}"
        world.button(staff, booth, colleagues)
        for press in range(chance.choice((1, 1, 2, 3))):
            if last and last[1].generation < world.house.generation:
                world.press_again(*last)
                last = None
            ack = world.press(staff, booth, f"{booth}-{press}")
            last = (staff, ack) if ack else last
            world.over.wait(chance.uniform(0, patience_s))


def answers(world: World, *, always: bool) -> None:
    """The staff: each message of a call is answered in some way; ``always``: none is ignored.

    Where nobody is left somebody may go, or two may.
    """
    chance, at, later = random.Random(world.random.random()), 0, []
    while world.going.is_set() or at < len(world.judge.heard):
        for each in world.judge.heard[at:]:
            at += 1
            at_s = time.monotonic() + chance.uniform(0, 0.1)
            if each.said in (Said.CALL, Said.REMIND):
                later.append((at_s, each.thing, _answer(chance, always=always)))
            if each.said in (Said.COLLEAGUES, Said.NOBODY):
                asked = [(thing, state["desired"]["state"]) for thing, state in [*world.judge.staff.items()]]
                free = [thing for thing, state in asked if state == "idle"]
                go = chance.sample(free, min(len(free), chance.choice((0, 1, 1, 2))))
                later += [(at_s, thing, chance.choice((("ok",), ("ok", "done")))) for thing in go]
        due = [one for one in later if one[0] <= time.monotonic()]
        later = [one for one in later if one not in due]
        for _, thing, texts in due:
            staff = thing.removeprefix("staff-")
            world.says_again(staff)
            for text in texts:
                world.says(staff, text, times=chance.choice((1, 1, 1, 2)))
        world.over.wait(0.01)
    for id in BACKUPS:
        world.says(id, "back")


def _answer(chance: random.Random, *, always: bool) -> tuple[str, ...]:
    texts = ("ok, soon; done", "ok", "no", "done", "away; back", "ok; no", "away", "back; ok")
    answer = chance.choice(texts if always else (*texts, "", ""))
    return tuple(filter(None, answer.split("; ")))


@contextmanager
def acting(world: World, *actors: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Actors, each in a thread; the answer is whether all have ended. What fails in one is wrong."""

    def act(actor: Callable[[], None]) -> None:
        try:
            actor()
        except Exception as error:
            world.judge.wrong.append(f"{actor}: {error!r}")

    threads = [threading.Thread(target=act, args=(actor,)) for actor in actors]
    for thread in threads:
        thread.start()
    try:
        yield lambda: not any(thread.is_alive() for thread in threads)
    except BaseException:
        world.going.clear()
        world.over.set()
        raise
    finally:
        for thread in threads:
            thread.join()


# --- Stories, for a death at every step of theirs


@dataclass(frozen=True, kw_only=True)
class Story:
    """A story with one visitor or two, told so that it comes to its end however often the process dies meanwhile."""

    world: World
    number: int

    def presses(self, staff: str, booth: str = "", colleagues: Iterable[str] = ()) -> None:
        name = f"s{self.number}{booth}"
        self.world.button(staff, name, colleagues)
        self.world.press(staff, name, name)

    def is_told(self, staff: str) -> None:
        """Wait until this person is told of this story's call, or does not have it any more."""
        self._settles(lambda: self._is_mentioned(staff) or self._half(staff)["state"] != "calling")

    def says(self, staff: str, text: str) -> None:
        self.world.says(staff, text)

    def is_reminded(self, staff: str) -> None:
        """Wait until this person is reminded, or would be but for what they heard just before."""
        self._settles(lambda: all(half["call"]["reminded"] for half in self._halves(staff)))

    def is_left(self, staff: str) -> None:
        """Wait until others have heard that nobody takes the call that this person was asked for last."""
        self._settles(lambda: all(map(_is_left, self._halves(staff))))

    def go(self, *staff: str, instead_of: str) -> None:
        """They say at the same moment that they go: one does, and who was asked last names them."""
        call, generation = self._half(instead_of)["call"]["id"], self.world.house.generation
        with acting(self.world, *(partial(self.says, each, "ok, a minute") for each in staff)):
            pass
        self._settles(lambda: True)
        going = [f"staff-{each}" for each in staff if self._goes(each, call)]
        # Of two one gives way, but for a death that came between.
        alone = len(going) == 1 or self.world.house.generation > generation
        if not alone or self._half(instead_of)["call"]["to"] not in going:
            raise Wrong(f"story {self.number}: {going} go, and there is {self.world.judge.staff}")

    def is_over(self) -> None:
        self._until(self.world.is_quiet)

    def _is_mentioned(self, staff: str) -> bool:
        return any(
            (each.thing, each.booth) == (f"staff-{staff}", self._booth(staff))
            for each in self.world.judge.heard
        )

    def _booth(self, staff: str) -> str:
        return str(self._half(staff)["call"]["booth"])

    def _goes(self, staff: str, call: str) -> bool:
        asked = self._half(staff)
        return (asked["state"], asked["call"]["id"]) == ("running", call)

    def _half(self, staff: str, half: str = "desired") -> dict[str, Any]:
        state: dict[str, Any] = self.world.judge.staff[f"staff-{staff}"][half]
        return state

    def _halves(self, staff: str) -> list[dict[str, Any]]:
        return [self._half(staff, half) for half in ("desired", "reported")]

    def _settles(self, met: Callable[[], bool]) -> None:
        """Wait until this holds of what is seen from now on."""
        since = now_ms()
        self._until(lambda: self.world.judge.saw > since and met())

    def _until(self, met: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not met() and not self.world.over.wait(0.01):
            if time.monotonic() - began > self.world.judge.patience_s(20):
                raise Wrong(f"story {self.number} does not go on: {self.world.judge.staff}")


def answered_and_done(story: Story) -> None:
    story.presses("hana")
    story.is_told("hana")
    story.says("hana", "ok, soon")
    story.presses("hana")
    story.says("hana", "done")
    story.is_over()


def refused_handed_over_and_reset(story: Story) -> None:
    story.presses("hana")
    story.is_told("hana")
    story.says("hana", "no")
    story.is_told("sora")
    story.says("sora", "ok")
    story.is_over()


def missed_by_everybody(story: Story) -> None:
    story.presses("hana")
    story.is_over()


def a_second_booth_waits(story: Story) -> None:
    story.presses("lone")
    story.presses("lone", "x")
    story.is_told("lone")
    story.says("lone", "no")
    story.is_told("lone")
    story.says("lone", "ok")
    story.says("lone", "done")
    story.is_over()


def away_and_back(story: Story) -> None:
    story.says("hana", "away")
    story.presses("hana")
    story.is_told("sora")
    story.says("sora", "away")
    story.says("hana", "back")
    story.says("sora", "back")
    story.says("lone", "away")
    story.presses("lone", "x")
    story.says("lone", "back")
    story.is_over()


def reminded_and_handed_over(story: Story) -> None:
    story.presses("hana")
    story.is_reminded("hana")
    story.says("hana", "no")
    story.is_reminded("sora")
    story.says("sora", "ok")
    story.says("sora", "done")
    story.is_over()


def a_colleague_goes(story: Story) -> None:
    story.presses("lone", colleagues=("lone", "sora"))
    story.is_told("lone")
    story.says("lone", "no")
    story.is_left("lone")
    story.go("sora", instead_of="lone")
    story.says("sora", "done")
    story.is_over()


def everybody_is_asked_and_one_of_two_goes(story: Story) -> None:
    story.presses("lone", colleagues=("lone", "hana"))
    story.is_told("lone")
    story.says("lone", "no")
    story.is_left("lone")
    story.is_reminded("lone")
    story.go("sora", "riku", instead_of="lone")
    story.says("sora", "done")
    story.says("riku", "done")
    story.is_over()


# Each with how long a state lasts in it and when it reminds, in seconds: where all answer, nothing but a mention lets it
# go on.
STORIES: Final[Mapping[Callable[[Story], None], tuple[float, float]]] = {
    answered_and_done: (60, 0),
    refused_handed_over_and_reset: (0.4, 0),
    missed_by_everybody: (0.4, 0),
    a_second_booth_waits: (0.4, 0),
    away_and_back: (0.4, 0),
    reminded_and_handed_over: (60, 0.5),
    a_colleague_goes: (60, 0.5),
    everybody_is_asked_and_one_of_two_goes: (60, 0.5),
}
STEPS: Final = (Point.BEFORE_COMMIT, Point.AFTER_COMMIT, Point.BEFORE_SEND, Point.TAKEN, Point.ANSWERED)


def at_every_step(
    story: Callable[[Story], None],
    seed: int,
    figures: Figures,
    points: Iterable[Point] = STEPS,
    steps: Iterable[int] = range(1, 1000),
) -> None:
    """Tell a story again and again: it dies at its first such point, at its second, and so on, until it has no more."""
    numbers = itertools.count(1)
    lasts_s, remind_s = STORIES[story]
    timing = {"calling_s": lasts_s, "running_s": lasts_s, "quiet_s": 0.2, "remind_s": remind_s}
    with world(seed, figures, bot=bool(seed % 2), **timing) as here:
        for point in points:
            for n in steps:
                with acting(here, partial(story, Story(world=here, number=next(numbers)))) as ended:
                    died = here.lives(Death(point=point, n=n, linger_s=0.02), 20, ended)
                    while not ended():
                        here.lives(Death(point=Point.NEVER), 20, ended)
                if not died:
                    break
        here.settle()


# --- The campaign


def deaths(chance: random.Random) -> Iterator[Death]:
    """Every kind of death, with some order in the disorder: storms of restarts, and long outages."""
    at_commit, at_send = STEPS[:2], STEPS[2:]
    while True:
        linger_s = chance.choice((0, 0, 0.03))
        kinds = {"commit": 40, "send": 22, "random": 22, "storm": 4, "outage": 5, "full": 3}
        match chance.choices([*kinds], [*kinds.values()])[0]:
            case "commit":
                yield Death(point=chance.choice(at_commit), n=chance.randint(1, 40), linger_s=linger_s)
            case "send":
                yield Death(point=chance.choice(at_send), n=chance.randint(1, 4), linger_s=linger_s)
            case "random":
                yield Death(point=Point.RANDOM, after_s=chance.uniform(0, 0.8))
            case "storm":
                for _ in range(chance.randint(2, 5)):
                    yield Death(point=Point.START, after_s=chance.uniform(0, 0.12))
            case "outage":
                yield Death(point=Point.RANDOM, after_s=chance.uniform(0.2, 0.8), outage=True)
            case _:
                yield Death(point=Point.RANDOM, after_s=0.5, full=chance.choice(("page", "commit")))


@contextmanager
def world(seed: int, figures: Figures, **settings: Any) -> Iterator[World]:
    """A new data folder, in which everybody is registered, after first starts that died."""
    with tempfile.TemporaryDirectory() as folder, Slack() as slack:
        made = World(Path(folder), slack, seed, figures, **settings)
        try:
            for _ in range(3):
                made.lives(Death(point=Point.START, after_s=made.random.uniform(0, 0.15)))
            assert made.house.start(Death(point=Point.NEVER)), "it died"
            made.furnish()
            made.judge.watch()
            made.house.kill()
            yield made
        except BaseException:
            story = Path(tempfile.gettempdir()) / f"staffcall-soak-{seed}-{os.getpid()}.log"
            made.write_story(story)
            print(f"the story is in {story}", file=sys.stderr)
            raise
        finally:
            made.house.kill()


def at_random(seed: int, kills: int, figures: Figures) -> None:
    """Let a crowd press and answer while the process dies ``kills`` times, in one data folder."""
    chance = random.Random(seed)
    patient, reminds = seed % 3 == 0, seed % 3 == 2
    timing = {name: 60 if patient else chance.uniform(0.3, 1) for name in ("calling_s", "running_s")}
    timing |= {"quiet_s": chance.choice((0.3, 20))}
    if reminds:
        timing |= {"calling_s": 2, "quiet_s": 0.1, "remind_s": 0.3}
    colleagues = [*BACKUPS] if reminds else []
    with world(seed, figures, bot=chance.random() < 0.5, **timing) as here:
        visitors = [partial(visits, here, n, 0.4, colleagues) for n in range(4)]
        with acting(here, *visitors, partial(answers, here, always=patient)) as ended:
            for death in itertools.islice(deaths(chance), kills):
                if chance.random() < 0.1:
                    here.slack.next(status=429, retry_after="0")
                (here.fails if death.outage else here.lives)(death)
            here.settle(ended)


def campaign(seed: int, kills: int, minutes: float) -> tuple[Figures, str]:
    """Stories first, then crowds, each in a folder of its own, until there were ``kills``; and what went wrong, if anything."""
    figures, until = Figures(), time.monotonic() + 60 * minutes
    try:
        for part in itertools.count(seed):
            story = [*STORIES][part // 2 % len(STORIES)]
            if part % 2:
                at_every_step(story, part, figures)
            else:
                at_random(part // 2, 50, figures)
            print(f"--seed {part}: {figures.kills.total()} kills so far", file=sys.stderr, flush=True)
            if figures.kills.total() >= kills or time.monotonic() > until:
                return figures, ""
    except Exception as error:
        return figures, f"--seed {part}: {error}"
    raise AssertionError


def main() -> None:
    """Run the campaign; status 1 if a promise was broken, or there was no time for all kills."""
    parser = argparse.ArgumentParser(description="Kill the local place again and again.")
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    figures, began, wrong = Figures(), time.monotonic(), []
    with ProcessPoolExecutor(asked.workers, multiprocessing.get_context("spawn")) as pool:
        share = -(-asked.kills // asked.workers)
        parts = [
            pool.submit(campaign, asked.seed + 1000 * n, share, asked.minutes) for n in range(asked.workers)
        ]
        for part in parts:
            came_to, broken = part.result()
            figures.add(came_to)
            wrong += [broken] if broken else []
    took_s = time.monotonic() - began
    print(figures)
    print(
        f"in       {took_s:.0f} s, {asked.workers} workers, --seed {asked.seed}: {len(wrong)} promises broken"
    )
    for each in wrong:
        print(f"BROKEN: {each}")
    if (kills := figures.kills.total()) < asked.kills and not wrong:
        sys.exit(f"Only {kills} kills of {asked.kills}: the time is over; give it more --minutes")
    sys.exit(bool(wrong))
