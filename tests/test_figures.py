"""The figures are those of the history: worked out again by other means, and the same wherever they are shown."""

import base64
import csv
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from fractions import Fraction
from html import unescape
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as prometheus
from test_history import EVENTS, HANDED_ON, lived

from infra.cli import main
from infra.commands.pictures import page_of
from infra.figures import Figures, Leg, Told, by_booth, by_hour, by_person, calls, overall
from infra.local import history
from infra.local.history import Wanted, deliveries, rows
from infra.local.metrics import Page, Tally
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import FakeSlack
from tests.screen import IS_SKIPPED, chromium, watched
from tests.shop import ADMIN_TOKEN, Shop, until

DASHBOARD = json.loads((Path(__file__).resolve().parents[1] / "docs" / "grafana.json").read_text())
UNANSWERED = "('missed', 'refused', 'unavailable', 'expired')"


# --- The same by other means: SQL on the raw rows, and fractions


def asked(db: sqlite3.Connection, sql: str, *given: Any) -> list[Any]:
    return db.execute(sql, given).fetchall()


def first(db: sqlite3.Connection, sql: str, *given: Any) -> Any:
    [(value,)] = asked(db, sql, *given)
    return value


def recomputed(db: sqlite3.Connection, where: str = "1") -> dict[str, Any]:
    """Counts and times of the calls of which any row fulfils ``where``."""
    times: dict[str, list[int]] = {leg: [] for leg in Leg}
    counted = {"calls": 0, "answered": 0, "missed": 0}
    for (call,) in asked(db, f"SELECT DISTINCT call FROM history WHERE call <> '' AND {where}"):
        press = first(db, "SELECT MIN(pressed) FROM history WHERE call = ?", call)
        told = first(
            db,
            "SELECT MIN(at) FROM deliveries WHERE call = ? AND outcome = 'told' AND state = 'calling'",
            call,
        )
        ok = first(
            db,
            "SELECT MIN(since) FROM history WHERE call = ? AND (state = 'running' OR \"end\" = 'done')",
            call,
        )
        done = first(
            db,
            """SELECT MIN(since) FROM history WHERE call = ? AND "end" = 'done' AND thing = (
                SELECT thing FROM history WHERE call = ? AND since = ? AND (state = 'running' OR "end" = 'done'))""",
            *(call, call, ok),
        )
        left = first(
            db,
            f'SELECT COUNT(*) FROM history WHERE call = ? AND "end" IN {UNANSWERED} AND "to" = \'\'',
            call,
        )
        counted["calls"] += 1
        counted["answered"] += ok is not None
        counted["missed"] += ok is None and left > 0
        took(times, press, told, ok, done)
    return {**counted, "times": {leg: sorted(each) for leg, each in times.items()}}


def took(times: dict[str, list[int]], *moments: int | None) -> None:
    began, told, ok, done = moments
    for leg, start, end in (
        (Leg.MENTION, began, told),
        (Leg.OK, told, ok),
        (Leg.RESPONSE, began, ok),
        (Leg.DONE, ok, done),
    ):
        if start is not None and end is not None and start <= end:
            times[leg].append(end - start)


def recomputed_of(db: sqlite3.Connection, thing: str) -> dict[str, Any]:
    """The same of one person, from the moment at which they were called."""
    times: dict[str, list[int]] = {leg: [] for leg in Leg}
    counted = {"calls": 0, "answered": 0, "missed": 0}
    for (call,) in asked(
        db,
        "SELECT DISTINCT call FROM history WHERE call <> '' AND thing = ? AND state IN ('calling', 'running')",
        thing,
    ):
        own = asked(
            db,
            'SELECT state, since, "end", why FROM history WHERE call = ? AND thing = ? ORDER BY n',
            *(call, thing),
        )
        began = next((since for state, since, *_ in own if state == "calling"), None)
        ok = min((since for state, since, end, _ in own if state == "running" or end == "done"), default=None)
        done = min((since for _, since, end, _ in own if end == "done"), default=None)
        told = first(
            db,
            "SELECT MIN(at) FROM deliveries WHERE call = ? AND thing = ? AND outcome = 'told' AND state = 'calling'",
            *(call, thing),
        )
        counted["calls"] += 1
        counted["answered"] += ok is not None
        relieved = ("idle", "handover") in [(state, why) for state, _, _, why in own]
        counted["missed"] += (
            ok is None and not relieved and own[-1][2] in ("missed", "unavailable", "expired")
        )
        took(times, began, told, ok, done)
    return {**counted, "times": {leg: sorted(each) for leg, each in times.items()}}


def percentile(values: Sequence[int], tenths: int) -> Fraction:
    """Of sorted ms, in seconds: where a straight line through them is after so many tenths of the way."""
    place = Fraction((len(values) - 1) * tenths, 10)
    low = int(place)
    steps = [Fraction(after - before) for before, after in pairwise(values)] + [Fraction(0)]
    return (values[low] + steps[low] * (place - low)) / 1000


def agrees(figures: Figures, again: dict[str, Any]) -> None:
    assert (figures.calls, figures.answered, figures.missed) == (
        again["calls"],
        again["answered"],
        again["missed"],
    )
    for leg in Leg:
        values = again["times"][leg]
        assert sorted(round(1000 * time_s) for time_s in figures.times[leg]) == values
        spread = figures.spread(leg)
        expected = (percentile(values, 5), percentile(values, 9)) if values else None
        assert spread == (expected and pytest.approx(tuple(map(float, expected))))


VOLUNTEERED = [
    ("press", "riku", 1),
    ("no", "riku", 2),
    ("no", "hana", 2),
    ("no", "sora", 2),
    ("go", "sora", 9),
]


RELIEVED = [("all", "hana", 1), ("go", "sora", 2), ("away", "hana", 400)]


@settings(deadline=None, max_examples=40)
@example(HANDED_ON)
@example(VOLUNTEERED)
@example(RELIEVED)
@example([("press", "hana", 1), ("done", "hana", 9), ("away", "hana", 400)])
@given(EVENTS)
def test_the_figures_are_those_of_the_raw_rows(events: list[tuple[str, str, int]]) -> None:
    with closing(lived(events)) as db:
        told = calls(rows(db, Wanted()), deliveries(db, Wanted()))
        agrees(overall(told), recomputed(db))
        for booth in by_booth(told):
            agrees(booth, recomputed(db, f"booth = '{booth.of}'"))
        for hour in by_hour(told):
            presses = {
                press
                for (press,) in asked(db, "SELECT DISTINCT pressed FROM history WHERE call <> ''")
                if datetime.fromtimestamp(press / 1000).astimezone().hour == int(hour.of[:2])
            }
            agrees(hour, recomputed(db, f"pressed IN ({','.join(map(str, presses))})"))
        for person in by_person(told):
            agrees(person, recomputed_of(db, f"staff-{person.of.split('(')[1].rstrip(')')}"))


def test_who_goes_by_their_own_will_is_who_answered() -> None:
    with closing(lived(VOLUNTEERED)) as db:
        [call] = calls(rows(db, Wanted()), deliveries(db, Wanted()))
    assert (call.left, call.missed, call.outcome, call.response_s) == (True, False, "", 15.004)
    assert call.answered_by is call.asked["staff-sora"]


def test_what_somebody_else_took_first_nobody_missed() -> None:
    with closing(lived(RELIEVED)) as db:
        told = calls(rows(db, Wanted()), deliveries(db, Wanted()))
    assert [(each.of, each.answered, each.missed) for each in by_person(told)] == [
        ("Hana (hana)", 0, 0),
        ("Sora (sora)", 1, 0),
    ]


def test_a_call_that_waits_for_somebody_counts_from_its_press(tmp_path: Path) -> None:
    with closing(
        lived([("press", "riku", 1), ("ok", "riku", 1), ("press", "hana", 5), ("ok", "hana", 2)])
    ) as db:
        db.execute("UPDATE history SET since = since + 60000 WHERE booth = 'by-hana'")
        waited = calls(rows(db, Wanted()))[1]
        assert waited.response_s == 62.001
        db.execute("UPDATE history SET pressed = 0")  # as it was recorded before there was such a column
        assert calls(rows(db, Wanted()))[1].response_s == 2.001


def test_who_goes_away_long_after_a_call_has_no_call_again() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None, factory=Kept)
    with closing(
        lived([("press", "hana", 1), ("no", "hana", 1), ("no", "sora", 1), ("no", "riku", 1)])
    ) as whole:
        whole.backup(db)
    tally = Tally(lambda: db)
    [last] = asked(db, "SELECT MAX(n) FROM history")
    with closing(lived([("press", "hana", 1), ("no", "hana", 1), ("away", "hana", 90_000)])) as whole:
        away = asked(whole, "SELECT * FROM history ORDER BY n DESC LIMIT 1")[0]
    assert (away[4:6], away[11]) == (("away", "away"), "refused")
    db.execute(f"INSERT INTO history VALUES ({','.join('?' * len(away))})", (last[0] + 1, *away[1:]))
    assert numbers(tally) == {("deliveries_total", "told"): 0, ("deliveries_total", "failed"): 0}
    db.execute("DELETE FROM history WHERE state <> 'away'")  # as old rows go
    assert calls(rows(db, Wanted())) == []
    sqlite3.Connection.close(db)


# --- The command


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def shop(tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with Shop(tmp_path / "data", slack) as shop:
        monkeypatch.chdir(tmp_path)
        for name, value in shop.environment.items():
            monkeypatch.setenv(name, value)
        yield shop.furnish()


def lively(shop: Shop) -> None:
    """Three calls: one is done, one is missed, one is under way."""
    add_staff(shop.place, NewStaff(id="ken", name="=Ken", slack="U0KEN", booth="east"))
    add_button(shop.place, NewButton(id="lamp", single="ken", booth="east"))
    shop.press()
    until(lambda: shop.is_told("hana"), "the mention", 20)
    shop.says("U0HANA", "ok, soon")
    shop.says("U0HANA", "done")
    shop.press("lamp")
    until(lambda: shop.is_told("ken"), "the mention", 20)
    shop.says("U0KEN", "no")
    shop.press(click="DOUBLE")
    until(lambda: shop.is_told("sora") and shop.is_told("ken") and shop.is_told("hana"), "all", 20)


def sheet(file: Path) -> dict[tuple[str, str], dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return {(row["by"], row["of"]): row for row in csv.DictReader(opened)}


def test_a_report_is_the_same_in_the_terminal_in_a_spreadsheet_and_in_a_browser(
    shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lively(shop)
    assert main(["report"]) == 0
    said = capfd.readouterr().out
    assert main(["report", "--csv", "r.csv", "--html", "r.html"]) == 0
    assert capfd.readouterr().out == ""
    found, page = sheet(tmp_path / "r.csv"), (tmp_path / "r.html").read_text("utf-8")
    with closing(sqlite3.connect(tmp_path / "data" / "staffcall.sqlite3")) as db:
        again = {("all", "all calls"): recomputed(db), ("booth", "east"): recomputed(db, "booth = 'east'")}
        again |= {
            ("person", name): recomputed_of(db, thing)
            for name, thing in (("花 Hana (hana)", "staff-hana"), ("'=Ken (ken)", "staff-ken"))
        }
    for key, expected in again.items():
        row, line = found[key], re.escape(key[1].removeprefix("'"))
        assert [int(row[name]) for name in ("calls", "answered", "missed")] == [
            expected[name] for name in ("calls", "answered", "missed")
        ]
        counted = [str(expected[name]) for name in ("calls", "answered", "missed")]
        times = []
        for leg in Leg:
            values, name = expected["times"][leg], leg.replace(" ", "_")
            spread = [float(percentile(values, tenths)) for tenths in (5, 9)] if values else []
            written = [row[f"{name}_{share}_s"] for share in ("p50", "p90")]
            assert [float(each) for each in written if each] == pytest.approx(spread)
            times += [[f"{each:.1f}" for each in spread]] if spread else []
        in_terminal = " +".join([*counted, *map("/".join, times)])
        assert re.search(rf"^{line} +{in_terminal} *$", said, re.MULTILINE), (in_terminal, said)
        in_page = "</td>(?:<td></td>)*<td>".join([*counted, *map(" / ".join, times)])
        assert key[0] == "all" or re.search(rf"{line}</th>\D+{in_page}<", page)


def test_a_report_is_of_all_that_is_on_record_however_much_it_is(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lively(shop)
    said = []
    for most in (10_000, 7, 2, 1):
        monkeypatch.setattr(history, "MOST", most)
        assert main(["report"]) == 0
        said.append(capfd.readouterr().out)
    assert "all calls" in said[0]
    assert said == said[:1] * 4


def test_a_report_can_be_narrowed_down(shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lively(shop)
    assert main(["report", "--csv", "-", "--booth", "east"]) == 0
    (_, *lines) = capfd.readouterr().out.splitlines()
    assert [line.split(",")[:5] for line in lines if not line.startswith("hour")] == [
        ["all", "all calls", "1", "0", "1"],
        ["booth", "east", "1", "0", "1"],
        ["person", "'=Ken (ken)", "1", "0", "0"],
    ]
    assert main(["report", "--since", "2999-01-01", "--csv", "none.csv", "--html", "none.html"]) == 0
    assert {key: row["calls"] for key, row in sheet(tmp_path / "none.csv").items()} == {
        ("all", "all calls"): "0"
    }
    assert "No calls yet." in (tmp_path / "none.html").read_text("utf-8")


def some() -> list[Told]:
    with closing(lived([*HANDED_ON, *VOLUNTEERED, ("press", "hana", 400)])) as db:
        return calls(rows(db, Wanted()), deliveries(db, Wanted()))


def test_the_page_loads_nothing_runs_nothing_and_says_so_itself() -> None:
    told = some()
    for one in (call.asked["staff-hana"] for call in told if "staff-hana" in call.asked):
        one.name = "<script>alert(1)</script>"
    page = page_of(told)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r'\sstyle="|\son\w+="|<(link|img|iframe|object)|url\(|@import|javascript:', page)
    assert set(re.findall(r'https?://[^"\s<]+', page)) == {"http://www.w3.org/2000/svg"}
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    styles = re.findall(r"<style[^>]*>(.*?)</style>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(unescape(each).encode()).digest()).decode() for each in styles]
    allowed = " ".join(f"'sha256-{each}'" for each in digests)
    policy = policy.replace("&#39;", "'")
    assert policy == f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'"
    assert page_of(told) == page


@pytest.mark.skipif(IS_SKIPPED, reason="STAFFCALL_SKIP")
def test_a_browser_shows_the_pictures_under_that_policy(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_of(some()), "utf-8")
    with chromium() as browser, watched(browser) as page:
        page.goto(file.as_uri())
        expect(page.get_by_role("img")).to_have_count(4)
        bars = page.locator("svg .series rect")
        colours = {bar.evaluate("bar => getComputedStyle(bar).fill") for bar in bars.all()}
        assert {"rgb(53, 179, 141)", "rgb(86, 165, 216)", "rgb(233, 169, 43)"} <= colours
        expect(page.get_by_role("img", name="Calls by hour")).to_be_visible()
        assert (
            page.locator("h1").evaluate("h => getComputedStyle(h).marginTop") == "0px"
        )  # our own style is on


# --- /metrics


class Kept(sqlite3.Connection):
    """A database that is there for as long as a test wants it."""

    def close(self) -> None:
        pass


def numbers(tally: Tally) -> dict[tuple[str, str], float]:
    tally.catch_up([])
    text, _ = Page(tally=tally, states={}, counts={}, troubles={}).text("")
    return {
        (
            sample.name.removeprefix("staffcall_"),
            sample.labels.get("booth", sample.labels.get("outcome", "")),
        ): sample.value
        for family in prometheus(text.decode())
        for sample in family.samples
        if "le" not in sample.labels
    }


def expected_numbers(db: sqlite3.Connection) -> dict[tuple[str, str], float]:
    """What has been counted once all these rows are read, each booth by itself."""
    found: dict[tuple[str, str], float] = {}
    for (booth,) in asked(db, "SELECT DISTINCT booth FROM history WHERE call <> ''"):
        again = recomputed(db, f"booth = '{booth}'")
        left = asked(
            db,
            f"""SELECT DISTINCT call FROM history AS one WHERE booth = ? AND "end" IN {UNANSWERED} AND "to" = ''
            AND NOT EXISTS (SELECT 1 FROM history AS other WHERE other.call = one.call AND other.n < one.n
            AND (other.state = 'running' OR other."end" = 'done'))""",
            booth,
        )
        found["calls_total", booth] = again["calls"]
        found["calls_missed_total", booth] = len(left)
        for leg, name in ((Leg.MENTION, "mention"), (Leg.RESPONSE, "response"), (Leg.DONE, "visit")):
            found[f"{name}_seconds_count", booth] = len(again["times"][leg])
            found[f"{name}_seconds_sum", booth] = sum(again["times"][leg]) / 1000
    for outcome in ("told", "failed"):
        count = first(db, "SELECT COUNT(*) FROM deliveries WHERE outcome = ?", outcome)
        found["deliveries_total", outcome] = count
    return found


def minus(
    later: dict[tuple[str, str], float], before: dict[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    return {key: value - before.get(key, 0) for key, value in later.items() if value != before.get(key, 0)}


@settings(deadline=None, max_examples=40)
@example(VOLUNTEERED, [3], 4)
@example(HANDED_ON, [1, 2, 3], 2)
@given(EVENTS, st.lists(st.integers(0, 40)), st.integers(0, 40))
def test_the_counters_are_those_of_the_raw_rows_whenever_somebody_looks_and_from_each_start_on(
    events: list[tuple[str, str, int]], looks: list[int], start: int
) -> None:
    now = sqlite3.connect(":memory:", isolation_level=None, factory=Kept)
    history.prepare(now, 0)
    with closing(lived(events)) as whole:
        # As they came: a row, and what was sent about it before the next one.
        found = rows(whole, Wanted())
        at = accumulate((row["at"] for row in found), max)
        rows_ = [(ms, 0, "history", row) for ms, row in zip(at, found, strict=True)]
        # A state that begins in the very moment of another counts from a millisecond later: nobody is told before it.
        begun = {(row["thing"], row["since"]): ms for ms, _, _, row in reversed(rows_)}
        attempts = deliveries(whole, Wanted())
        ended = accumulate((max(row["at"], begun[row["thing"], row["since"]]) for row in attempts), max)
        sent = [(ms, 1, "deliveries", row) for ms, row in zip(ended, attempts, strict=True)]
        began = Tally(lambda: now)
        again, before = began, {}  # type: Tally, dict[tuple[str, str], float]
        for n, (_, _, table, row) in enumerate(sorted(rows_ + sent, key=lambda each: each[:2])):
            if n == start:
                again, before = Tally(lambda: now), expected_numbers(now)
            marks = ",".join("?" * len(row))
            now.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(row.values()))
            if n in looks:
                assert minus(numbers(began), {}) == pytest.approx(minus(expected_numbers(now), {}))
        total = expected_numbers(whole)
        assert minus(numbers(began), {}) == pytest.approx(minus(total, {}))
        assert minus(numbers(again), {}) == pytest.approx(minus(total, before))
    sqlite3.Connection.close(now)


def test_what_was_long_ago_is_not_kept_in_memory() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None, factory=Kept)
    with closing(lived([("press", "hana", 1), ("ok", "hana", 1), ("press", "sora", 90_000)])) as whole:
        whole.backup(db)
    assert len(Tally(lambda: db)._calls) == 1
    sqlite3.Connection.close(db)


def metrics(shop: Shop, accept: str = "text/plain") -> str:
    answer = requests.get(
        shop.url("/metrics"),
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}", "Accept": accept},
        timeout=10,
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(accept)
    return answer.text


def samples(text: str, parse: Any = prometheus) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_prometheus_is_told_how_calls_go_in_both_of_its_formats(shop: Shop) -> None:
    lively(shop)
    seen = samples(metrics(shop))
    for booth, called, left, answered in (("main", 2, 0, 1), ("east", 1, 1, 0)):
        counts = [
            seen[f"staffcall_{name}", (booth,)]
            for name in ("calls_total", "calls_missed_total", "response_seconds_count")
        ]
        assert counts == [called, left, answered]
    assert seen["staffcall_staff", ("calling",)] == 1
    again = samples(metrics(shop, "application/openmetrics-text"), open_metrics)
    assert {key for key in seen if "age" not in key[0]} <= again.keys()
    assert "U0" not in metrics(shop)
    assert "Hana" not in metrics(shop)


# --- Grafana


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def selectors(node: Any) -> Iterator[Any]:
    """The selectors of metrics within a query, as Prometheus's grammar has them."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("args", "expr", "lhs", "rhs", "vector_selector", "param"):
        below = getattr(node, name, None)
        for each in below if isinstance(below, list) else [below]:
            if each is not None and not isinstance(each, str):
                yield from selectors(each)


def test_the_dashboard_asks_for_what_is_there(shop: Shop) -> None:
    lively(shop)
    served: dict[str, set[str]] = {}
    for family in prometheus(metrics(shop)):
        for sample in family.samples:
            served.setdefault(sample.name, set()).update(sample.labels)
    assert len(list(queries())) >= 15
    for query in queries():
        written = re.sub(r"\$__(rate_interval|range)", "5m", query).replace("$booth", ".*")
        found = list(selectors(promql_parser.parse(written)))
        assert found, query
        for selector in found:
            assert selector.name in served, query
            assert {each.name for each in selector.matchers.matchers} <= served[selector.name], query
        labels = set(re.findall(r" by \(([\w, ]+)\)", query))
        assert labels <= {label for selector in found for label in served[selector.name]}, query
    [asked_for] = re.findall(r"label_values\((\w+), (\w+)\)", json.dumps(DASHBOARD["templating"]))[:1]
    assert asked_for[1] in served[asked_for[0]]


def test_the_dashboard_can_be_imported_anywhere() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len({*ids})
    sources = re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD["panels"]))
    assert {*sources} == {"${source}"}
    places = {
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    }
    sizes = [panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in DASHBOARD["panels"]]
    assert len(places) == sum(sizes)  # no panel lies on another one
    assert max(x for x, _ in places) < 24
