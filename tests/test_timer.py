"""The alarms of the local place: that of a state which ends by itself, and of no state that is over."""

from infra.local.timer import Timers
from shadows.calls import read
from shadows.staff import CallEvent, Staff
from tests.memory import Shop


def test_an_alarm_is_taken_away_with_its_state_and_never_by_an_older_one() -> None:
    shop, alarms = Shop(), []
    hana, sora = shop.staff("hana"), shop.staff("sora")
    timers = Timers(shop.place, lambda _thing: None)  # nothing rings before it is started

    def follow(thing: str) -> Staff:
        staff = read(shop.place, thing)
        timers.follow(thing, staff)
        alarms.append(timers.alarms)
        return staff

    shop.press(sora)
    others = f"{sora} {follow(sora).asked.since}"
    shop.press(hana)
    called = follow(hana)
    shop.says(hana, CallEvent.OK)
    going = follow(hana)
    timers.follow(hana, called)  # as a sweep may, which has read it before
    late = timers.alarms
    shop.says(hana, CallEvent.DONE)
    follow(hana)
    of_hana = [f"{hana} {each.asked.since}" for each in (called, going)]
    assert alarms == [{others}, {others, of_hana[0]}, {others, of_hana[1]}, {others, of_hana[0]}]
    assert late == {others, *of_hana}, "what is late rings, and does nothing"
