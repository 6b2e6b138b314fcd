"""What the benchmarks found, on paper: the tables of docs/benchmarks.md, and docs/benchmarks.svg."""

import math
import os
import platform
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench_goals import CASES, GOALS, Case, Goal, Results
from tests.bench_servers import missing, versions
from tests.load_link import percentiles
from tests.shop import ROOT

PAPER: Final = ROOT / "docs" / "benchmarks.md"
PICTURE: Final = ROOT / "docs" / "benchmarks.svg"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and their least and most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Spread":
        return cls(median(rounds), min(rounds), max(rounds))

    def said(self, unit: str = "") -> str:
        return f"{number(self.middle)}{unit} ({number(self.least)}–{number(self.most)})"


def number(value: float) -> str:
    """As people read it: three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def behind(unit: str) -> str:
    """A unit as it stands behind a number."""
    return unit if unit == "/s" else f" {unit}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal, and what came of it.

    Attributes:
        value: the figure.
        peer: what it is compared with; None if nothing, or if that could not be had.
        ratio: of the two, round by round.
    """

    goal: Goal
    value: Spread
    peer: Spread | None
    ratio: Spread | None

    @property
    def judged(self) -> Spread | None:
        """What the goal is about; None if the peer was not there."""
        return self.ratio if self.goal.to else self.value

    @property
    def reached(self) -> bool | None:
        """None if nobody can say."""
        if self.judged is None:
            return None
        return (
            self.judged.middle <= self.goal.limit if self.goal.most else self.judged.middle >= self.goal.limit
        )

    @property
    def unit(self) -> str:
        """Of what is judged, as it stands behind the number."""
        return "×" if self.goal.to else behind(self.goal.unit)

    @property
    def wanted(self) -> str:
        return f"{'≤' if self.goal.most else '≥'} {number(self.goal.limit)}{self.unit}"

    @property
    def word(self) -> str:
        return {True: "yes", False: "**no**", None: "not measured"}[self.reached]


def verdicts(results: Results) -> list[Verdict]:
    """Of every goal whose own figure was measured."""
    return [_verdict(goal, results) for goal in GOALS if goal.of[:2] in results]


def _verdict(goal: Goal, results: Results) -> Verdict:
    ours = _rounds(results, goal.of)
    if not goal.to or goal.to[:2] not in results:
        return Verdict(goal, Spread.of(ours), None, None)
    theirs = _rounds(results, goal.to)
    ratios = Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
    return Verdict(goal, Spread.of(ours), Spread.of(theirs), ratios)


def _rounds(results: Results, cell: tuple[str, str, str]) -> list[float]:
    case, server, figure = cell
    return [figures[figure] for figures in results[case, server]]


# --- tables


def blocks(results: Results, about: str) -> dict[str, str]:
    """The tables, by the names of their markers."""
    return {"goals": goals(results), "rounds": rounds(results), "machine": machine(results, about)}


def goals(results: Results) -> str:
    head = ("", "what", "ours", "beside it", "ratio", "goal", "reached")
    return table(head, [_goal_row(verdict) for verdict in verdicts(results)])


def _goal_row(verdict: Verdict) -> tuple[str, ...]:
    goal, unit = verdict.goal, behind(verdict.goal.unit)
    peer = f"{goal.to[1]} {verdict.peer.said(unit)}" if goal.to and verdict.peer else ""
    ratio = verdict.ratio.said("×") if verdict.ratio else ""
    part = goal.of[0].split()[0]
    return part, goal.words, verdict.value.said(unit), peer, ratio, verdict.wanted, verdict.word


def rounds(results: Results) -> str:
    """Everything that was measured, whoever it was."""
    head = (
        "",
        "what",
        "who",
        "a second",
        "half, ms",
        "99 %, ms",
        "CPU, ms each",
        "load busy",
        "others, by round",
    )
    return table(head, [row for case in CASES for row in _rows(case, results)])


def _rows(case: Case, results: Results) -> Iterator[tuple[str, ...]]:
    for name in case.doors:
        if found := results.get((case.key, name)):
            of = {key: [each[key] for each in found] for key in found[0]}
            yield case.part, case.words, name, *_row(of)
            for more in sorted({key.split()[0] for key in of if " " in key}):
                halves = (Spread.of(of[f"{more} {part}"]).said() for part in ("p50", "p99"))
                yield case.part, f"the same: {more}", name, "", *halves, "", "", ""


def _row(of: Mapping[str, list[float]]) -> tuple[str, ...]:
    """One server's figures, of each round."""
    if "start" in of:
        return Spread.of(of["start"]).said(" s"), "", "", "", "", ""
    said = (Spread.of(of[key]).said() if key in of else "" for key in ("rate", "p50", "p99"))
    return (
        *said,
        number(median(of["cpu"])),
        f"{median(of['own']):.0%}",
        " ".join(f"{n:.0%}" for n in of["others"]),
    )


def machine(results: Results, about: str) -> str:
    """Where and when, and beside whom."""
    others = [each["others"] for rounds in results.values() for each in rounds if "others" in each]
    lines = {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {about}",
        "CPUs": f"{os.cpu_count()}, {processor()}",
        "used by others": f"{median(others):.0%} of all CPUs, the median of all rounds",
        "disk": "an fsync of 4 KB takes {p50:.2f} ms, 1 % of them more than {p99:.2f} ms".format(**disk()),
        "Python": platform.python_version(),
        **versions(),
        **{name: f"not measured: {why}" for name, why in missing().items()},
    }
    return table(("", ""), list(lines.items()))


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def disk() -> Mapping[str, float]:
    """How long the disk takes to have 4 KB for good, in ms."""
    took = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file)
            took.append(time.perf_counter() - began)
    return percentiles(took)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


# --- the picture

WIDTH, LEFT, MIDDLE, STEP, ROW, TOP, VALUE = 900, 336, 466, 40, 24, 72, 786
WORST, BEST = -3, 5  # doublings that there is room for
TITLE: Final = "How far past its goal each figure is"
LEGEND: Final = "The thick line is the goal: a bar to its left, in red, has not reached it. Thin lines go from the least round to the most."
STYLE: Final = """
text { font-family: Helvetica, Arial, "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f }
.title { font-size: 14px; font-weight: bold }
.small { fill: #57606a; font-size: 11px }
.right { text-anchor: end }
.middle { text-anchor: middle }
.yes { fill: #1a7f37 }
.no { fill: #cf222e }
.spread { stroke: #24292f; stroke-width: 1 }
.goal { stroke: #24292f; stroke-width: 2 }
.grid { stroke: #d0d7de }
"""


def svg(found: Sequence[Verdict]) -> str:
    """How far past its goal each figure is. A bar to the right of the line has reached it, one to the left has not."""
    drawn = [verdict for verdict in found if verdict.judged]
    height = TOP + ROW * len(drawn) + 16
    size = f'width="{WIDTH}" height="{height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {size} role="img">',
            f"<title>{TITLE}</title><style>{STYLE}</style>",
            f'<rect {size} fill="#fff"/>',
            _words(16, 24, "title", TITLE),
            _words(16, 42, "small", LEGEND),
            *_axis(height),
            *(part for n, verdict in enumerate(drawn) for part in _bar(verdict, TOP + ROW * n)),
            "</svg>\n",
        )
    )


def _axis(height: float) -> Iterator[str]:
    """A line for each doubling."""
    for doublings in range(WORST, BEST + 1):
        x = MIDDLE + STEP * doublings
        times = f"{2**doublings}×" if doublings >= 0 else f"1/{2**-doublings}"
        yield _words(x, TOP - 8, "small middle", times)
        yield f'<path class="{"grid" if doublings else "goal"}" d="M{x} {TOP - 4} V{height - 12}"/>'


def _bar(verdict: Verdict, y: float) -> Iterator[str]:
    judged, kind = verdict.judged, "yes" if verdict.reached else "no"
    assert judged
    least, middle, most = (_x(verdict.goal, value) for value in (judged.least, judged.middle, judged.most))
    left, width = min(MIDDLE, middle), abs(middle - MIDDLE)
    yield _words(LEFT - 8, y + 16, "right", verdict.goal.words.replace("`", ""))
    yield f'<rect class="{kind}" x="{left:g}" y="{y + 5:g}" width="{width:g}" height="13"/>'
    yield f'<path class="spread" d="M{least:g} {y + 11.5:g} H{most:g}"/>'
    yield _words(VALUE, y + 16, f"right {kind}", f"{number(judged.middle)}{verdict.unit}")
    yield _words(WIDTH - 16, y + 16, "right small", f"goal {verdict.wanted}")


def _x(goal: Goal, value: float) -> float:
    """Where a value lies: a doubling towards the good is one step to the right."""
    past = goal.limit / max(value, 1e-9) if goal.most else value / goal.limit
    return round(MIDDLE + STEP * min(BEST, max(WORST, math.log2(max(past, 1e-9)))), 1)


def _words(x: float, y: float, kind: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def write(results: Results, about: str) -> None:
    """Both, with what was measured now."""
    from tests.bench_scaling import written

    tables = blocks(results, about)
    PAPER.write_text(written(PAPER.read_text("utf-8"), tables, "bench"), "utf-8")
    PICTURE.write_text(svg(verdicts(results)), "utf-8")
