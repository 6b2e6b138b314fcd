"""What docs/scaling.md says of costs and walls: what its program says now, made of what the functions really ask for."""

import math
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from shadows.aws import PAGE, AwsShadows
from shadows.shadow import Shadow
from tests import bench_scaling
from tests.bench_scaling import (
    LINES,
    MILLION,
    PAPER,
    PRICES,
    QUOTAS,
    ROSTER,
    SAYS,
    SIZES,
    SOURCES,
    Bucket,
    Cost,
    Counts,
    Hour,
    Load,
    Seen,
    Size,
    Usage,
    answers,
    bill,
    blocks,
    counted,
    messages_usd,
    past_the_walls,
    qos,
    reached_at,
    stage,
    walls,
    written,
)

EXHIBITION, MALL, CHAIN = SIZES
ANEW = "run `python -m tests.bench_scaling --write`, and read again what stands around the tables"


@pytest.fixture(scope="module")
def counts() -> Counts:
    return counted()


@pytest.fixture(scope="module")
def mall(counts: Counts) -> Usage:
    return Usage(MALL, counts)


def but(counts: Counts, event: str, **other: Any) -> Counts:
    """The same counts, but for one event."""
    return replace(counts, costs={**counts.costs, event: replace(counts.costs[event], **other)})


def busy(mall: Usage, posts_s: float, **other: Any) -> Usage:
    """A mall of the size in which a channel is sent so many messages a second, for ten minutes."""
    size = replace(mall.size.times(posts_s / mall.posts_s()), minutes=10)
    return replace(mall, size=size, **other)


def slope(counts: Counts, action: str) -> float:
    """How many more requests a sweep makes for each person more."""
    (few, some), *_, (many, all_) = ((n, cost.requests[action]) for n, cost in counts.sweeps.items())
    return (all_ - some) / (many - few)


# --- the page


def test_the_page_says_what_the_program_says() -> None:
    text = PAPER.read_text("utf-8")
    tables = blocks()
    assert set(re.findall(r"<!-- scaling: (.*?) -->", text)) == tables.keys()
    assert text == written(text, tables), ANEW


def test_what_is_between_markers_is_written_anew_and_nothing_else() -> None:
    text = "before\n<!-- scaling: one -->\nold\n<!-- /scaling -->\nafter\n<!-- scaling: two -->\n<!-- /scaling -->\n"
    new = written(text, {"one": "\\1 new", "two": "other"})
    assert new == (
        "before\n<!-- scaling: one -->\n\n\\1 new\n\n<!-- /scaling -->\nafter\n"
        "<!-- scaling: two -->\n\nother\n\n<!-- /scaling -->\n"
    )
    assert written(new, {"one": "\\1 new"}) == new


@pytest.mark.parametrize(
    "text", ["nothing", "<!-- scaling: one -->\n<!-- /scaling -->\n" * 2], ids=["none", "two"]
)
def test_a_table_without_its_one_place_is_refused(text: str) -> None:
    with pytest.raises(AssertionError, match=r"one: \d places with its markers"):
        written(text, {"one": "table"})


def test_what_the_page_says_between_its_tables_still_holds(mall: Usage) -> None:
    costs, total = mall.counts.costs, sum(bill(mall).values())
    assert 20 // costs["press"].hottest == 2, "two presses pass, and the third is throttled"
    assert costs["person"].shadow_kb == 2, "a shadow with a past is longer than 1 KB, and metered twice"
    assert bill(mall)[LINES[0]] > 0.8 * total, "nearly the whole bill of a mall is for its kiosks"
    assert bill(mall)[LINES[3]] > (total - bill(mall)[LINES[0]]) / 2, "and most of the rest for the sweep"
    heard = mall.per_call(lambda cost: cost.messages_5kb + qos() * cost.messages)
    once = mall.per_call(lambda cost: cost.messages - cost.deltas)
    assert once / heard == pytest.approx(0.25, rel=0.1), "QoS 0 and no delta save three quarters"


def test_every_price_and_every_quota_has_a_source() -> None:
    named = {price.source for price in PRICES.values()} | {quota.source for quota in QUOTAS}
    assert named == SOURCES.keys()


# --- what is counted


def test_every_event_is_counted_and_has_its_weight(mall: Usage) -> None:
    assert mall.counts.costs.keys() == SAYS.keys()
    only_simulated = {"refused", "refused again", "retold", "person"}
    assert mall.weights.keys() == SAYS.keys() - only_simulated
    assert all(weight > 0 for weight in mall.weights.values())


def test_a_call_is_told_and_written_down_as_often_as_something_happens(counts: Counts) -> None:
    posts = {event: cost.posts for event, cost in counts.costs.items()}
    silent = ("repeat", "echo", "stale", "reset", "ended", "person")
    assert posts == {event: int(event not in silent) for event in SAYS}
    rows = {event: cost.rows for event, cost in counts.costs.items() if cost.rows}
    once = ("press", "repeat", "again", "ok", "ended", "nobody", "refused")
    assert rows == {**dict.fromkeys(once, 1), "handover": 2}


def test_requests_of_an_event_add_up(counts: Counts) -> None:
    for event, cost in counts.costs.items():
        others = cost.requests.get("SendMessage", 0)
        assert cost.all_requests() == cost.shadow_requests() + cost.registry_requests() + others, event
        assert cost.shadow_kb >= cost.shadow_requests() >= cost.hottest, event
        assert cost.messages_5kb >= cost.messages >= cost.deltas, event


def test_a_request_more_in_the_code_is_a_request_more_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(self: AwsShadows, thing: str) -> Shadow:
        get(self, thing)
        return get(self, thing)

    def pressed() -> Cost:
        with stage() as story:
            story.press(60)
            return story.press(60)

    get, before = AwsShadows.get, pressed()
    monkeypatch.setattr(AwsShadows, "get", twice)
    after = pressed()
    more = Counter(after.requests) - Counter(before.requests)
    assert more == {"GetThingShadow": before.requests["GetThingShadow"]}
    assert after.shadow_kb > before.shadow_kb
    assert after.messages == before.messages


def test_a_topic_that_no_kiosk_subscribes_to_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed() -> Cost:
        with stage() as story:
            return story.press(60)

    before = pressed()
    assert before.deltas > 0
    monkeypatch.setattr(bench_scaling, "answers", lambda: tuple(set(answers()) - {"update/delta"}))
    after = pressed()
    assert (after.messages, after.deltas) == (before.messages - before.deltas, 0)


def test_a_sweep_reads_each_person_once_and_lists_page_by_page(counts: Counts) -> None:
    assert max(counts.sweeps) > PAGE
    for people, cost in counts.sweeps.items():
        assert cost.requests == {"GetThingShadow": people + ROSTER, "ListThings": math.ceil(people / PAGE)}
    assert slope(counts, "GetThingShadow") == 1


# --- what is made of it


def test_the_bill_and_the_walls_follow_what_was_counted(mall: Usage) -> None:
    press = mall.counts.costs["press"]
    asked = {**press.requests, "GetThingShadow": press.requests["GetThingShadow"] + 10}
    other = {"requests": asked, "shadow_kb": press.shadow_kb + 20, "messages": press.messages + 10}
    dear = replace(mall, counts=but(mall.counts, "press", **other))
    more = bill(dear)["shadows and registry: calls"] - bill(mall)["shadows and registry: calls"]
    assert more == pytest.approx(mall.calls() * 20 * 1.25 / MILLION)
    assert dear.shadows_s() == pytest.approx(mall.shadows_s() + 10 * mall.calls_s())
    assert dear.heard_s() == pytest.approx(mall.heard_s() + 10 * mall.calls_s())
    assert bill(dear)["Lambda"] > bill(mall)["Lambda"]
    assert dear.busy() > mall.busy()


def test_the_sweep_costs_what_its_people_were_counted_to_cost(mall: Usage) -> None:
    person = mall.counts.costs["person"]
    twice = replace(mall, counts=but(mall.counts, "person", shadow_kb=2 * person.shadow_kb))
    lists = mall.minutes_up() * (math.ceil(mall.size.staff / PAGE) + ROSTER) * 1.25 / MILLION
    assert twice.sweep_usd() - lists == pytest.approx(2 * (mall.sweep_usd() - lists))
    large = replace(mall, size=mall.size.times(7))
    roster = mall.minutes_up() * ROSTER * 1.25 / MILLION
    assert large.sweep_usd() - roster == pytest.approx(7 * (mall.sweep_usd() - roster))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
@pytest.mark.parametrize("change", [lambda usage: usage, past_the_walls], ids=["as built", "past the walls"])
def test_more_people_or_more_calls_never_cost_less(size: Size, change: Any, counts: Counts) -> None:
    bills = [
        bill(change(Usage(replace(size, calls=size.calls * calls).times(people), counts)))
        for people, calls in ((1, 1), (2, 1), (2, 2), (10, 2))
    ]
    for less, more in pairwise(bills):
        assert all(less[line] <= more[line] for line in LINES)
        assert sum(less.values()) < sum(more.values())


def test_what_kiosks_hear_grows_with_the_square_until_each_has_a_topic(mall: Usage) -> None:
    for usage, times in ((mall, 9), (replace(mall, own=True), 3)):
        three = replace(usage, size=usage.size.times(3))
        assert three.call_messages() == pytest.approx(times * usage.call_messages())


def test_messages_are_cheaper_by_the_billion() -> None:
    assert messages_usd(0) == 0
    assert messages_usd(1e9) == pytest.approx(1_000)
    assert messages_usd(5e9) == pytest.approx(1_000 + 4 * 800)
    assert messages_usd(7e9) == pytest.approx(1_000 + 4 * 800 + 2 * 700)


@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: quota.name)
def test_a_wall_is_where_the_quota_is_used_up(quota: bench_scaling.Quota, mall: Usage) -> None:
    at = reached_at(quota, mall)
    if math.isinf(at):
        huge = replace(mall, size=mall.size.times(1e6))
        assert quota.use(huge) < quota.limit
        return
    below, above = (replace(mall, size=mall.size.times(at / mall.size.staff * by)) for by in (0.99, 1.01))
    assert quota.use(below) <= quota.limit <= quota.use(above)


def test_the_first_wall_moves_away_with_the_channels(mall: Usage) -> None:
    at, first = walls(mall)[0]
    assert first.use is Usage.posts_s
    assert reached_at(first, replace(mall, channels=4)) == pytest.approx(4 * at)


# --- what is simulated


def test_a_channel_takes_some_at_once_and_one_a_second_then() -> None:
    bucket = Bucket(3, 3)
    assert [bucket.takes(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.takes(now) for now in (0.9, 1.0, 1.1, 2.0)] == [False, True, False, True]
    assert [bucket.takes(100) for _ in range(4)] == [True, True, True, False]


def test_the_same_seed_sees_the_same(mall: Usage) -> None:
    usage = busy(mall, 0.8)
    assert Hour(usage).run() == Hour(usage).run()
    assert Hour(usage).run() != Hour(usage, seed=2).run()


def test_the_wait_follows_when_a_channel_is_sent_more_than_it_takes(mall: Usage) -> None:
    calm, full, over = (Hour(busy(mall, posts_s)).run() for posts_s in (0.3, 0.95, 2))
    assert calm.late == 0
    assert calm.waiting <= full.waiting < over.waiting
    assert calm.most_s < full.most_s
    assert full.late < over.late
    assert over.late > 0.3


def test_more_channels_take_the_wait_away(mall: Usage) -> None:
    usage = busy(mall, 2)
    one, ten = Hour(usage).run(), Hour(replace(usage, channels=10)).run()
    assert (ten.late, ten.waiting) < (one.late, one.waiting)
    assert ten.late == 0
    assert ten.most_s < one.most_s


def test_a_mention_that_slack_did_not_take_is_tried_again_before_the_sweep_does(
    mall: Usage, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = busy(mall, 0.3, load=Load(burst=1))
    tried = Hour(usage).run()
    monkeypatch.setattr(bench_scaling, "LAST_TRY", 1)
    assert tried.most_s < Hour(usage).run().most_s


def test_the_simulation_follows_what_was_counted(mall: Usage) -> None:
    usage = replace(busy(mall, 0.3), indexed=True)  # without the sweep, which is most of the requests
    press = usage.counts.costs["press"]
    dear = but(usage.counts, "press", hottest=100, messages=500, requests={"GetThingShadow": 1000})
    plain, more = Hour(usage).run(), Hour(replace(usage, counts=dear)).run()
    assert press.hottest <= plain.one_thing_s < 100 <= more.one_thing_s
    assert plain.kiosk_s < more.kiosk_s
    assert plain.shadows_s < more.shadows_s
    assert plain.functions <= more.functions


def test_where_nobody_waits_the_simulation_and_the_arithmetic_agree(mall: Usage) -> None:
    usage = replace(mall, channels=100)
    seen, seconds = Hour(usage).run(), usage.size.minutes * 60
    assert seen.calls / seconds == pytest.approx(usage.calls_s() * (1 + usage.load.ignored), rel=0.1)
    expected = usage.calls_s() * usage.per_call(lambda cost: 1) - usage.calls_s() * usage.weights["reset"]
    assert seen.invocations / seconds == pytest.approx(expected, rel=0.1)


def test_slower_answers_of_aws_and_slack_are_later_mentions(mall: Usage) -> None:
    usage = busy(mall, 0.3)
    slow = replace(usage, load=Load(request_ms=100, slack_ms=1000))

    def half_s(usage: Usage) -> float:
        seen: Seen = Hour(usage).run()
        return seen.half_s

    assert half_s(slow) > 2 * half_s(usage)


def test_a_chain_is_no_one_stack(counts: Counts) -> None:
    chain = Usage(CHAIN, counts)
    assert sum(at <= CHAIN.staff for at, _ in walls(chain)) > 5
    assert sum(at <= EXHIBITION.staff for at, _ in walls(Usage(EXHIBITION, counts))) == 0
    assert sum(bill(past_the_walls(chain)).values()) < sum(bill(chain).values()) / 100
