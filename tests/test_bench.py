"""The benchmarks, at their smallest and of ours alone: that they can be run, count right, and judge right."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest

from tests import bench_servers, bench_shadows
from tests.bench_goals import CASES, GOALS, Case, Goal, Results
from tests.bench_paper import PAPER, PICTURE, Spread, blocks, svg, verdicts
from tests.bench_servers import BOOTH, FULL, MINISTACK, MOSQUITTO, OURS, Servers, filled
from tests.bench_shadows import Size, measured, told
from tests.load_link import percentiles
from tests.shop import client

TINY = Size(rounds=1, seconds=0.2)
SMALLER = {"things": 5, "in_flight": 8, "screens": 5, "pending": 50, "buttons": 2}
KEYS = (
    "a staff",
    "a tcp",
    "b web",
    "c alone",
    "c 100",
    "d press",
    "e 50",
    "f boto3",
    "g house",
    "g run",
    "i timers",
)


def of_ours(case: Case) -> Case:
    """It for ours alone, and with less of everything."""
    doors = {name: door for name, door in case.doors.items() if name in (OURS, FULL, BOOTH)}
    return replace(case, doors=doors, how={key: SMALLER.get(key, value) for key, value in case.how.items()})


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setitem(bench_servers.STARTS, FULL, partial(filled, people=20))
        yield Servers(tmp_path_factory.mktemp("bench"), stack)


@pytest.fixture(scope="module")
def results(servers: Servers) -> Results:
    said: list[str] = []
    found = measured([of_ours(case) for case in CASES if case.key in KEYS], servers, TINY, said.append)
    assert len(said) >= len(found)
    return found


def test_each_part_finds_what_its_goals_are_about(results: Results) -> None:
    assert {case for case, _ in results} == {*KEYS}
    [screens] = results["e 50", OURS]
    assert 0 < screens["spread p99"] < screens["p99"]  # between the first and the last of them
    for goal in GOALS:
        if goal.of[:2] in results:
            assert results[goal.of[:2]][0][goal.of[2]] > 0, goal
    assert all(
        figures["count"] > 0 for rounds in results.values() for figures in rounds if "count" in figures
    )


def test_every_update_that_was_asked_for_is_in_the_shadows_once(servers: Servers) -> None:
    """The load sees each of them accepted once, and each document once; their versions say so too."""
    case = of_ours(next(case for case in CASES if case.key == "a tcp"))
    data = client("iot-data", servers[OURS].doors["aws"])

    def versions() -> int:
        shadows = (data.get_thing_shadow(thingName=f"thing-{n}") for n in range(SMALLER["things"]))
        return sum(json.loads(shadow["payload"].read())["version"] for shadow in shadows)

    measured([case], servers, TINY, lambda _: None)
    before = versions()
    [figures] = measured([case], servers, TINY, lambda _: None)["a tcp", OURS]
    assert versions() - before == figures["asked"] > SMALLER["in_flight"]


def test_a_full_house_starts_with_all_who_are_in_it(servers: Servers, results: Results) -> None:
    iot = client("iot", servers[FULL].doors["aws"])
    assert len(iot.list_things(thingTypeName="staff")["things"]) == 20
    assert results["g run", FULL][0]["start"] > 0


def test_a_peer_that_is_missing_is_named_aloud_and_left_out(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_shadows, "missing", lambda: {MOSQUITTO: "install it"})
    case = next(case for case in CASES if case.key == "c alone")
    said: list[str] = []
    assert measured([replace(case, doors={MOSQUITTO: "tcp"})], servers, TINY, said.append) == {}
    assert said == ["WITHOUT Mosquitto: install it"]


# --- what is made of it


def test_one_in_a_hundred_is_more_than_the_99_percent() -> None:
    assert percentiles([n / 1000 for n in range(100, 0, -1)]) == {"p50": 50.5, "p99": 99.0}
    assert percentiles([0.003, 0.001]) == {"p50": 2.0, "p99": 3.0}


def case_of(goal: Goal) -> Case:
    return next(case for case in CASES if case.key == goal.of[0])


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.words)
def test_a_goal_is_about_something_that_is_measured(goal: Goal) -> None:
    for key, server, _ in filter(None, (goal.of, goal.to)):
        assert server in next(case for case in CASES if case.key == key).doors


def made_up(ours: float, theirs: float | None = 10.0) -> Results:
    """Two rounds of the first goal, which wants four times the peer's."""
    found = {GOALS[0].of[:2]: [{"rate": ours}, {"rate": ours}]}
    return found | ({("a small", MINISTACK): [{"rate": theirs}, {"rate": theirs}]} if theirs else {})


def test_a_goal_is_reached_from_its_limit_on() -> None:
    assert (GOALS[0].of, GOALS[0].limit, GOALS[0].most) == (("a small", OURS, "rate"), 4, False)
    assert [verdicts(made_up(ours))[0].reached for ours in (39.9, 40.0, 41.0)] == [False, True, True]
    most = GOALS[-1]
    assert (most.most, most.to) == (True, None)
    judged = [verdicts({most.of[:2]: [{most.of[2]: most.limit * times}]})[0].reached for times in (0.9, 1.1)]
    assert judged == [True, False]


def test_a_goal_beside_a_peer_that_is_missing_is_neither_reached_nor_missed() -> None:
    [verdict] = verdicts(made_up(40, theirs=None))
    assert (verdict.reached, verdict.word) == (None, "not measured")
    assert verdict.goal.words not in svg([verdict])


def test_what_is_not_reached_is_told_plainly() -> None:
    found = made_up(20)
    assert "| 2× (2–2) | ≥ 4× | **no** |" in blocks(found | rest_of(found), "")["goals"]
    assert 'class="no"' in svg(verdicts(found))
    assert 'class="no"' not in svg(verdicts(made_up(50)))


def rest_of(found: Results) -> Results:
    """What a table of all figures needs besides."""
    for rounds in found.values():
        for figures in rounds:
            figures.update(cpu=1.0, own=0.5, others=0.9, memory=50.0)
    return found


def test_a_disturbed_round_shows() -> None:
    found = rest_of(made_up(20))
    found["a small", OURS][1]["rate"] = 5.0
    [line, _] = told(case_of(GOALS[0]), found)
    assert "(5–20)" in line
    assert "others 90%/90%" in line
    assert "| 12.5 (5–20) |" in blocks(found, "")["rounds"]
    assert Spread.of([5.0, 20.0]) == Spread(12.5, 5.0, 20.0)


def test_the_paper_and_the_picture_tell_of_every_goal() -> None:
    for goal in GOALS:
        assert f"| {goal.words} |" in PAPER.read_text("utf-8"), "run make bench BENCH=--write"
        assert f">{goal.words.replace('`', '')}<" in PICTURE.read_text("utf-8"), (
            "run make bench BENCH=--write"
        )
