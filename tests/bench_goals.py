"""What is measured, of whom, and what has to come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench_servers import BOOTH, BUTTONS, FEW, FULL, MINISTACK, MOSQUITTO, MOTO, NULL, OURS, PEOPLE, TEN
from tests.load_link import Figures

STARTED: Final = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that several are asked for alike.

    Attributes:
        key: its part, a letter, and a word.
        words: what is asked for.
        what: one of `tests.load.WHAT`, or `STARTED`, where a door is the command.
        doors: of each that is asked, by which of its doors.
        how: what else is said to the load.
        figure: which of its figures is told first.
    """

    key: str
    words: str
    what: str
    doors: Mapping[str, str]
    how: Mapping[str, Any] = field(default_factory=dict)
    figure: str = "rate"

    @property
    def part(self) -> str:
        return self.key.split()[0]


WEB: Final = {OURS: "web", MINISTACK: "web", NULL: "web"}
TCP: Final = {OURS: "tcp", NULL: "tcp"}
BROKERS: Final = {OURS: "tcp", MOSQUITTO: "tcp", NULL: "tcp"}
FLEET: Final[Mapping[str, Any]] = {"things": 50, "in_flight": 64}
SMALL: Final[Mapping[str, Any]] = {**FLEET, "body": "small"}
STAFF: Final[Mapping[str, Any]] = {**FLEET, "body": "staff"}


def _case(
    key: str, words: str, what: str, doors: Mapping[str, str], figure: str = "rate", **how: Any
) -> Case:
    return Case(key=key, words=words, what=what, doors=doors, figure=figure, how=how)


CASES: Final = (
    _case("a small", "updates by WebSocket, small document", "updates", WEB, **SMALL),
    _case("a staff", "updates by WebSocket, a staff member's document", "updates", WEB, **STAFF),
    _case("a tcp", "updates by TCP, small document", "updates", TCP, **SMALL),
    _case("a tcp-staff", "updates by TCP, a staff member's document", "updates", TCP, **STAFF),
    _case("b web", "update → accepted by WebSocket", "update_alone", {name: f"{door} house" for name, door in WEB.items()}, "p50"),
    _case("b tcp", "update → accepted by TCP", "update_alone", {OURS: "house", NULL: "house"}, "p50"),
    _case("c alone", "publish → subscriber, one at a time", "raw_alone", BROKERS, "p50"),
    *(_case(f"c {n}", f"publish → subscriber, {n:,} in flight", "raw_rate", BROKERS, in_flight=n) for n in (20, 100, 1000)),
    _case("d press", "press by HTTP → delta at a kiosk", "press", {BOOTH: "press"}, "p50", buttons=BUTTONS),
    _case("e 50", "update → the last of 50 screens", "screens", WEB, "p99", screens=50),
    _case("e 1000", "update → the last of 1,000 screens", "screens", {OURS: "web", NULL: "web"}, "p99", screens=1000),
    _case("f boto3", "UpdateThingShadow by boto3", "boto", {OURS: "aws", MOTO: "aws", MINISTACK: "aws", NULL: "aws"}),
    _case("g house", f"update → accepted by TCP, {PEOPLE:,} things beside {FEW}", "update_alone", {TEN: "house", FULL: "house"}, "p50"),
    _case("g shadows", f"start of `staffcall shadows`, {PEOPLE:,} things", STARTED, {FULL: "shadows"}, "start"),
    _case("g run", f"start of `staffcall run`, {PEOPLE:,} staff", STARTED, {FULL: "run"}, "start"),
    _case("h shadows", "start of `staffcall shadows`, empty folder", STARTED, {OURS: "shadows"}, "start"),
    _case("h run", "start of `staffcall run`, empty folder", STARTED, {OURS: "run"}, "start"),
    _case("i timers", f"{PEOPLE:,} pending alarms, how late they ring", "timers", {OURS: "tcp"}, "p99", pending=PEOPLE),
)  # fmt: skip


# --- goals

Cell = tuple[str, str, str]  # case, server, figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one figure has to be, alone or as a ratio to another.

    Attributes:
        words: what is measured.
        to: the figure that it is compared with; None if it has to be this by itself.
        most: whether it may be so at most, or has to be so at least.
        unit: of the figure.
    """

    words: str
    of: Cell
    limit: float
    to: Cell | None = None
    most: bool = True
    unit: str = "ms"


def _least(words: str, of: Cell, limit: float, to: Cell | None = None) -> Goal:
    return Goal(words=words, of=of, limit=limit, to=to, most=False, unit="/s")


def _most(words: str, of: Cell, limit: float, to: Cell | None = None, unit: str = "ms") -> Goal:
    return Goal(words=words, of=of, limit=limit, to=to, unit=unit)


GOALS: Final = (
    _least("durable updates, beside MiniStack", ("a small", OURS, "rate"), 4, ("a small", MINISTACK, "rate")),
    _least("durable updates by TCP", ("a tcp", OURS, "rate"), 4000),
    _most("update → accepted, beside MiniStack", ("b web", OURS, "p50"), 1, ("b web", MINISTACK, "p50")),
    _most("publish → subscriber, beside Mosquitto", ("c alone", OURS, "p50"), 3, ("c alone", MOSQUITTO, "p50")),
    *(
        _least(f"messages, {n:,} in flight, beside Mosquitto", (f"c {n}", OURS, "rate"), 1, (f"c {n}", MOSQUITTO, "rate"))
        for n in (20, 100, 1000)
    ),
    _most("press → delta at a kiosk, half", ("d press", BOOTH, "p50"), 5),
    _most("press → delta at a kiosk, 99 %", ("d press", BOOTH, "p99"), 20),
    _most("update → last of 50 screens, 99 %, beside MiniStack", ("e 50", OURS, "p99"), 0.5, ("e 50", MINISTACK, "p99")),
    _most("update → last of 1,000 screens, 99 %", ("e 1000", OURS, "p99"), 150),
    _least("UpdateThingShadow by boto3, beside moto", ("f boto3", OURS, "rate"), 2, ("f boto3", MOTO, "rate")),
    _least("UpdateThingShadow by boto3, beside MiniStack", ("f boto3", OURS, "rate"), 1.5, ("f boto3", MINISTACK, "rate")),
    _most("update, 10,000 things beside 10", ("g house", FULL, "p50"), 1.3, ("g house", TEN, "p50")),
    _most("start of `shadows`, 10,000 things", ("g shadows", FULL, "start"), 2, unit="s"),
    _most("start of `run`, 10,000 staff", ("g run", FULL, "start"), 2, unit="s"),
    _most("memory of `shadows`, 10,000 things", ("g house", FULL, "memory"), 200, unit="MB"),
    _most("memory of `run`, 10,000 staff", ("g run", FULL, "memory"), 200, unit="MB"),
    _most("start of `shadows`, empty folder", ("h shadows", OURS, "start"), 1, unit="s"),
    _most("start of `run`, empty folder", ("h run", OURS, "start"), 1, unit="s"),
    _most("memory of `shadows`, idle", ("h shadows", OURS, "memory"), 80, unit="MB"),
    _most("memory of `run`, idle", ("h run", OURS, "memory"), 80, unit="MB"),
    _most("alarms, 10,000 pending, lateness, 99 %", ("i timers", OURS, "p99"), 100),
)  # fmt: skip

Results = dict[tuple[str, str], list[Figures]]  # by case and server, of each round
