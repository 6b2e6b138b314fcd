"""Time: whatever becomes of the system's clock, a state ends once, and when it should."""

import os
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.local import clock
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import FakeSlack
from tests.shop import Shop, until, with_settings

AN_HOUR = 3600


class World:
    """The clocks of the machine, to be set.

    Attributes:
        set_by, asleep: seconds by which the system's clock was set, and for which the machine slept.
        boot: which start of the machine this is.
    """

    def __init__(self) -> None:
        self.set_by, self.asleep = 0.0, 0.0
        self.boot = "the first start"

    def act_out(self, patch: pytest.MonkeyPatch) -> None:
        wall, elapsed, world = time.time_ns, time.clock_gettime_ns, self

        class Datetime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return datetime.fromtimestamp(time.time_ns() / 1e9, tz)

        patch.setattr(time, "time_ns", lambda: wall() + int(1e9 * (world.set_by + world.asleep)))
        patch.setattr(time, "clock_gettime_ns", lambda which: elapsed(which) + int(1e9 * world.asleep))
        for module in ("apscheduler.schedulers.base", "apscheduler.executors.base", "infra.local.timer"):
            patch.setattr(f"{module}.datetime", Datetime)
        patch.setattr(clock, "_boot", lambda: world.boot)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    world.act_out(monkeypatch)
    return world


@pytest.fixture
def shop(tmp_path: Path, world: World) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack, calling_s=2.0, running_s=2.0) as shop:
        add_staff(shop.place, NewStaff(id="hana", name="Hana", slack="U0HANA"))
        add_button(shop.place, NewButton(id="demo", single="hana"))
        yield shop


def lasted(shop: Shop, state: str) -> float:
    """How long the one state of that name lasted, in seconds by our own clock; it ended once."""
    rows = [row for row in shop.admin("/admin/api/history")["rows"] if row["thing"] == "staff-hana"]
    ((began, ended),) = [(row, after) for row, after in pairwise(rows) if row["state"] == state]
    assert ended["why"] == {"calling": "missed", "running": "ended"}[state], rows
    return float(ended["since"] - began["since"]) / 1000


@pytest.mark.parametrize("by", [AN_HOUR, -AN_HOUR, 0.7, -0.7])
def test_a_state_ends_when_it_should_though_the_clock_is_set(shop: Shop, world: World, by: float) -> None:
    began = time.monotonic()
    shop.press()
    until(lambda: shop.is_told("hana"), "the report")
    time.sleep(0.2)  # its alarm is set, by the clock as it was
    world.set_by = by
    until(lambda: shop.state("hana") == "idle", "the end")
    assert time.monotonic() - began >= 1.9
    assert 2 <= lasted(shop, "calling") < 4


@pytest.mark.parametrize("by", [AN_HOUR, -AN_HOUR])
def test_a_call_after_the_clock_was_set_lasts_as_long_as_any(shop: Shop, world: World, by: float) -> None:
    world.set_by = by
    shop.press()
    shop.says("U0HANA", "ok")
    until(lambda: shop.state("hana") == "idle", "the end")
    assert 2 <= lasted(shop, "running") < 4


def test_whose_writer_has_a_clock_of_its_own_is_called_no_longer_than_others(
    shop: Shop, world: World
) -> None:
    ahead = int(1000 * (time.time() + AN_HOUR))
    for half in ("desired", "reported"):
        shop.place.shadows.update("staff-hana", **{half: {"since": ahead}})
    shop.press()
    until(lambda: shop.slack.texts, "the mention")
    until(lambda: shop.state("hana") == "idle", "the end")
    assert shop.asked("hana")["call"]["end"] == "missed"
    until(lambda: shop.is_told("hana"), "the report")


def test_what_ended_while_the_machine_slept_is_over_when_it_wakes(shop: Shop, world: World) -> None:
    shop.place.shadows.update("booth-main", reported={"callingSeconds": 180})
    shop.press()
    world.asleep = 600
    until(lambda: shop.state("hana") == "idle", "the end")
    assert 600 <= lasted(shop, "calling") < 605


@pytest.mark.parametrize("by", [AN_HOUR, -AN_HOUR])
def test_a_restart_after_the_clock_was_set_changes_nothing(shop: Shop, world: World, by: float) -> None:
    with_settings(shop, calling_s=4.0)
    began = time.monotonic()
    shop.press()
    until(lambda: shop.is_told("hana"), "the report")
    shop.close()
    world.set_by = by
    shop.open()
    assert (shop.state("hana"), shop.is_told("hana")) == ("calling", True)
    until(lambda: shop.state("hana") == "idle", "the end")
    assert shop.asked("hana")["call"]["end"] == "missed"
    assert time.monotonic() - began >= 3.9
    assert len([text for text in shop.slack.texts if "<@U0HANA>" in text]) == 1


def test_on_another_start_of_the_machine_what_began_in_the_future_begins_now(
    shop: Shop, world: World
) -> None:
    shop.press()
    until(lambda: shop.is_told("hana"), "the report")
    shop.close()
    world.set_by, world.boot = -AN_HOUR, "the second start"
    shop.open()
    assert (shop.state("hana"), shop.is_told("hana")) == ("calling", True)
    until(lambda: shop.state("hana") == "idle", "the end")
    assert shop.asked("hana")["call"]["end"] == "missed"


def test_a_time_zone_that_changes_is_nothing_to_us(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.press()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo" if os.environ.get("TZ") != "Asia/Tokyo" else "UTC")
        time.tzset()
        until(lambda: shop.state("hana") == "idle", "the end")
    time.tzset()
    assert 2 <= lasted(shop, "calling") < 4


def test_when_it_has_started_nothing_is_overdue(shop: Shop) -> None:
    people = [f"p{n}" for n in range(100)]
    for person in people:
        add_staff(shop.place, NewStaff(id=person, name=person, slack=f"U0{person.upper()}", booth="many"))
    shop.close()
    with_settings(shop, calling_s=60.0).open()
    for person in people:
        since = {"since": int(1000 * time.time()) - 61_000 + 3_000}
        asked = {**shop.asked(person), "state": "calling", **since}
        shop.place.shadows.update(f"staff-{person}", desired=asked, reported=asked)
    shop.close()
    with_settings(shop, calling_s=57.0).open()
    assert {shop.state(person) for person in people} == {"idle"}


def test_an_alarm_of_a_wall_clock_is_never_believed(shop: Shop, world: World) -> None:
    """Each reading of the clocks is compared with the one before: what was seen once is not seen again."""
    stepped = clock.step_watch()
    assert not stepped()
    world.set_by = 1
    assert (stepped(), stepped()) == (True, False)
    world.asleep = 1
    assert (stepped(), stepped()) == (True, False)
