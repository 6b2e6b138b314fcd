"""What becomes of each change: a booth that says something else keeps no mention waiting."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.local.follower import Follower
from infra.local.timer import Timers
from shadows.calls import Place
from shadows.reset import TIMES
from shadows.shadow import JsonObject, Thing
from shadows.staff import Staff
from tests.memory import Shop


class Noted(Timers):
    """Only notes whose alarms are set."""

    def __init__(self, place: Place) -> None:
        super().__init__(place, lambda _thing: None)
        self.followed: list[str] = []

    def follow(self, thing: str, staff: Staff) -> bool:
        self.followed.append(thing)
        return True


def followed(shop: Shop, before: JsonObject | None, after: JsonObject) -> tuple[list[str], int]:
    """Whose alarms are set anew by a change of the booth's shadow, and how many shadows are read for it."""
    reads: list[str] = []

    class Counted:
        def get(self, thing: str) -> Any:
            reads.append(thing)
            return shop.shadows.get(thing)

    place = replace(shop.place, shadows=Counted())  # type: ignore[arg-type]
    timers = Noted(place)
    follower = Follower(place, timers, lambda _thing: None)
    previous = None if before is None else {"state": {"reported": before}, "version": 1}
    change = {"previous": previous, "current": {"state": {"reported": after}, "version": 2}}
    follower.hear("$aws/things/booth-main/shadow/update/documents", json.dumps(change).encode())
    follower.start()
    follower.stop()
    return timers.followed, len(reads)


@pytest.fixture
def shop() -> Shop:
    """Two of three people have calls of the booth; one thing is there by half."""
    shop = Shop()
    shop.things.create(Thing(name="staff-a", type="staff"))
    for name in ("hana", "riku", "sora"):
        shop.staff(name)
    shop.press("staff-hana")
    shop.press("staff-riku", "hall")
    shop.press("staff-sora")
    return shop


@pytest.mark.parametrize(
    "said",
    [{"notice": {"text": "x", "until": 9}}, {"staff": ["staff-hana"]}, {"machines": []}, {"title": "x"}],
)
def test_nobody_is_looked_at_for_what_no_alarm_depends_on(shop: Shop, said: JsonObject) -> None:
    assert followed(shop, {"callingSeconds": 5}, {"callingSeconds": 5, **said}) == ([], 0)


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("before", [None, {}, {"callingSeconds": 7, "runningSeconds": 7, "alertSeconds": 7}])
def test_new_times_are_those_of_every_call_of_the_booth(
    shop: Shop, name: str, before: JsonObject | None
) -> None:
    things, _ = followed(shop, before, {**(before or {}), name: 5})
    assert things == ["staff-hana", "staff-sora"]
