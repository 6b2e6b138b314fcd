"""What the shadow service and the gateway can do, beside others in the same run: ``python -m tests.bench_shadows``.

``--only a,b`` takes some of the parts, ``--quick`` fewer and shorter rounds; ``--write`` puts what came of it into
docs/benchmarks.md, and draws docs/benchmarks.svg.

All servers run all the time; in each round each of them is asked once, one after the other, so that what disturbs one is
likely to disturb the others too. A figure is the median of its rounds, and the least and the most of them stand beside it.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copytree
from statistics import median
from typing import Final

from tests.bench_goals import CASES, STARTED, Case, Results
from tests.bench_servers import FULL, SNAPSHOT, Servers, missing, started
from tests.load_link import Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is asked for: rounds, and seconds of each."""

    rounds: int
    seconds: float


ALL: Final = Size(rounds=5, seconds=3.0)
QUICK: Final = Size(rounds=3, seconds=1.0)


# --- the run


def measured(cases: Sequence[Case], servers: Servers, size: Size, say: Callable[[str], object]) -> Results:
    """Every case, round by round."""
    absent, results = missing(), Results()
    for name, why in absent.items():
        say(f"WITHOUT {name}: {why}")
    for number in range(size.rounds):
        for case in cases:
            for name, door in case.doors.items():
                if name not in absent:
                    results.setdefault((case.key, name), []).append(_figures(case, name, door, servers, size))
            for line in told(case, results) if number == size.rounds - 1 else ():
                say(line)
    return results


def _figures(case: Case, name: str, door: str, servers: Servers, size: Size) -> Figures:
    if case.what == STARTED:
        return _started(servers, name, door)
    return servers[name].load(case.what, door, seconds=size.seconds, **case.how)


def _started(servers: Servers, name: str, command: str) -> Figures:
    with tempfile.TemporaryDirectory(dir=servers.folder) as folder:
        if name == FULL:
            assert servers[FULL], "it is filled when it runs"
            copytree(servers.folder_of(FULL) / SNAPSHOT, folder, dirs_exist_ok=True)
        return started(Path(folder), command)


def told(case: Case, results: Results) -> Iterator[str]:
    """A line for each that was asked."""
    for name in case.doors:
        if rounds := results.get((case.key, name)):
            of = {key: [each[key] for each in rounds] for key in rounds[0]}
            spread = f"({min(of[case.figure]):,.3g}–{max(of[case.figure]):,.3g})"
            said = [f"{case.key:12} {name:10} {case.figure:5} {median(of[case.figure]):>10,.2f} {spread:20}"]
            said += [f"{key} {median(of[key]):.2f} ms" for key in of if key.endswith(("p50", "p99"))]
            said += (
                [f"cpu {median(of['cpu']):.3f} s/1000, load {median(of['own']):.0%}"] if "cpu" in of else []
            )
            said += [f"{median(of['memory']):.0f} MB"]
            said += ["others " + "/".join(f"{each:.0%}" for each in of["others"])] if "others" in of else []
            yield "  ".join(said)


def main() -> None:
    """Measure, and print or write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_shadows")
    parser.add_argument("--only", default="", help="parts, such as a,b, or cases, such as 'c alone'")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument(
        "--write", action="store_true", help="into docs/benchmarks.md and docs/benchmarks.svg"
    )
    asked = parser.parse_args()
    only = [each.strip() for each in asked.only.split(",") if each.strip()]
    cases = [case for case in CASES if not only or {case.key, case.part} & {*only}]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        size = QUICK if asked.quick else ALL
        results = measured(cases, Servers(Path(folder), stack), size, partial(print, flush=True))
    from tests import bench_paper

    print(f"\n{bench_paper.goals(results)}")
    if asked.write:
        bench_paper.write(results, f"{size.rounds} rounds of {size.seconds:g} s")


if __name__ == "__main__":
    main()
