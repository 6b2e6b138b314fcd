"""Nobody who was asked can come: those of the booth hear of it, then everybody, and whoever says "ok" goes."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shadows import telling
from shadows.calls import read, record
from shadows.staff import CallEvent, ClickType, End, StaffState, pressed
from slack_bridge.answer import answer
from slack_bridge.mention import words
from slack_bridge.reply import Reply
from tests.memory import MemoryShadows, Shop

ids = itertools.count(1)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def says(shop: Shop, user: str, text: str = "ok", id: str = "") -> str:
    reply = Reply(channel="C0", user=user, text=text, id=id or str(next(ids)))
    return answer(reply, shop.place, "en")


def left(shop: Shop, thing: str, booth: str = "main") -> None:
    """Somebody is called, cannot come, and the channel is told."""
    shop.press(thing, booth)
    shop.deliver(thing)
    shop.says(thing, CallEvent.NO)
    shop.deliver(thing)


def state(shop: Shop, thing: str) -> tuple[StaffState, str]:
    staff = read(shop.place, thing)
    return staff.state, staff.call.booth


def test_whoever_says_ok_goes_and_the_screen_says_so(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    left(shop, hana)
    call = read(shop.place, hana).call
    assert says(shop, "USORA", "ok, 2 minutes") == (
        'Thank you, Sora. The screen says that you are on your way. It also says: "2 minutes"'
    )
    goes = read(shop.place, sora)
    assert (goes.state, goes.call.id, goes.call.booth) == (StaffState.RUNNING, call.id, "main")
    assert (goes.call.note, goes.call.tried) == ("2 minutes", (hana,))
    assert read(shop.place, hana).call.to == sora
    for thing in (hana, sora):
        shop.deliver(thing)
        assert not shop.has_delta(thing)
    assert shop.kinds() == ["press", "nobody"], "who goes is told by the answer"


def test_who_could_not_come_may_go_after_all(shop: Shop) -> None:
    hana = shop.staff("hana")
    left(shop, hana)
    assert "you are on your way" in says(shop, "UHANA")
    assert state(shop, hana) == (StaffState.RUNNING, "main")
    shop.says(hana, CallEvent.DONE)
    assert "nobody waiting" in says(shop, "UHANA")


def test_the_second_one_hears_who_goes_already(shop: Shop) -> None:
    hana, sora, riku = shop.staff("hana"), shop.staff("sora"), shop.staff("riku")
    left(shop, hana)
    says(shop, "USORA")
    assert "nobody waiting" in says(shop, "URIKU")
    assert [state(shop, each)[0] for each in (sora, riku)] == [StaffState.RUNNING, StaffState.IDLE]


class InBetween(MemoryShadows):
    """Does something right before the first write."""

    def __init__(self, before: MemoryShadows, does: Callable[[], None]) -> None:
        super().__init__()
        self.kept, self._does = before.kept, does

    def update(self, thing: str, **more: object) -> int:
        does, self._does = self._does, lambda: None
        does()
        return super().update(thing, **more)  # type: ignore[arg-type]


def test_of_two_at_the_same_moment_one_goes(shop: Shop) -> None:
    hana, sora, riku = shop.staff("hana"), shop.staff("sora"), shop.staff("riku")
    left(shop, hana)
    other = shop.place
    shadows = InBetween(shop.shadows, lambda: None)
    heard: list[str] = []

    def riku_too() -> None:
        heard.append(answer(Reply(channel="C0", user="URIKU", text="ok", id="r"), other, "en"))

    shadows._does = riku_too
    shop.shadows = shadows
    shop.place = replace(other, shadows=shadows)
    assert says(shop, "USORA") == "Thank you, Sora. Riku is on the way already."
    assert "The screen says" in heard[0]
    assert [state(shop, each)[0] for each in (sora, riku)] == [StaffState.IDLE, StaffState.RUNNING]
    assert read(shop.place, hana).call.to == riku
    assert (read(shop.place, sora).call.end, shop.deliver(sora)) == (End.DONE, "reported")


class Crash(BaseException):
    """The process dies here."""


class Dying(MemoryShadows):
    def __init__(self, before: MemoryShadows, writes: int) -> None:
        super().__init__()
        self.kept, self._left = before.kept, writes

    def update(self, thing: str, **more: object) -> int:
        if not self._left:
            raise Crash
        self._left -= 1
        return super().update(thing, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_an_answer_that_slack_sends_again_after_a_crash_comes_to_the_same(shop: Shop, writes: int) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    left(shop, hana)
    alive = shop.shadows
    shop.place = replace(shop.place, shadows=Dying(alive, writes))
    if writes < 2:
        with pytest.raises(Crash):
            says(shop, "USORA", id="x")
    else:
        says(shop, "USORA", id="x")
    shop.place = replace(shop.place, shadows=alive)
    for _ in range(2):
        says(shop, "USORA", id="x")
    assert state(shop, sora) == (StaffState.RUNNING, "main")
    assert read(shop.place, hana).call.to == sora


@pytest.mark.parametrize("busy", [CallEvent.AWAY, CallEvent.PRESS, None])
def test_an_ok_of_who_is_away_or_called_is_their_own(shop: Shop, busy: CallEvent | None) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    left(shop, hana)
    if busy is CallEvent.PRESS:
        shop.press(sora, "hall")
    elif busy:
        shop.says(sora, busy)
    says(shop, "USORA")
    expected = {
        CallEvent.AWAY: (StaffState.AWAY, ""),
        CallEvent.PRESS: (StaffState.RUNNING, "hall"),
        None: (StaffState.RUNNING, "main"),
    }
    assert state(shop, sora) == expected[busy]


@pytest.mark.parametrize("minutes", [2, 4])
def test_an_ok_that_comes_late_is_chatter(shop: Shop, minutes: int) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    left(shop, hana)
    shop.now += minutes * 60_000
    said = says(shop, "USORA")
    assert ("nobody waiting" in said) == (minutes > 3)
    assert (state(shop, sora)[0] is StaffState.RUNNING) == (minutes < 3)
    assert read(shop.place, hana).nobody_left == (minutes > 3)


def test_before_the_channel_has_heard_of_it_an_ok_means_nothing(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.staff("sora")
    shop.press(hana)
    shop.says(hana, CallEvent.NO)
    assert "nobody waiting" in says(shop, "USORA")


def test_the_call_that_was_told_last_is_meant(shop: Shop) -> None:
    people = shop.staff("hana"), shop.staff("riku"), shop.staff("sora")
    left(shop, people[0], "hall")
    shop.now += 1000
    left(shop, people[1], "cafe")
    says(shop, "USORA")
    assert state(shop, people[2]) == (StaffState.RUNNING, "cafe")
    assert "you are on your way" in says(shop, "URIKU"), "there is still the other one"
    assert state(shop, people[1]) == (StaffState.RUNNING, "hall")


# Those of the booth, before everybody.


def booth(shop: Shop, *things: object) -> None:
    shop.shadows.update("booth-main", reported={"staff": list(things)})


def told(shop: Shop) -> list[str]:
    """Whom each message that nobody is left begins with."""
    return [
        words(each, "en").partition(" Somebody")[0]
        for each in shop.told
        if not isinstance(each, int) and each.kind == "nobody"
    ]


def test_those_of_the_booth_are_asked_first_and_then_everybody(shop: Shop) -> None:
    hana, sora, riku, away = shop.staff("hana"), shop.staff("sora"), shop.staff("riku"), shop.staff("away")
    shop.says(away, CallEvent.AWAY)
    booth(shop, hana, sora, away, 3, "staff-gone", riku)
    left(shop, hana)
    assert told(shop) == ["<@USORA> <@URIKU>"]
    for _ in range(90):
        shop.now += 1000
        shop.sweep()
        shop.deliver(hana)
    assert told(shop) == ["<@USORA> <@URIKU>", "<!here>"]
    assert not shop.has_delta(hana)
    assert "you are on your way" in says(shop, "USORA")


def test_where_nobody_is_reminded_everybody_is_asked_at_once(shop: Shop) -> None:
    shop.place = replace(shop.place, timing=replace(shop.place.timing, remind_s=0))
    hana, sora = shop.staff("hana"), shop.staff("sora")
    booth(shop, hana, sora)
    left(shop, hana)
    shop.now += 90_000
    shop.sweep()
    shop.deliver(hana)
    assert told(shop) == ["<!here>"]


def test_once_somebody_goes_nobody_shouts(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    booth(shop, hana, sora)
    left(shop, hana)
    says(shop, "USORA")
    for _ in range(90):
        shop.now += 1000
        shop.sweep()
        shop.deliver(hana)
    assert told(shop) == ["<@USORA>"]


@pytest.mark.parametrize("listed", [(), ("staff-hana",), ("staff-hana", "staff-riku"), "nonsense"])
def test_where_nobody_else_is_of_the_booth_everybody_is_asked_at_once_and_once(
    shop: Shop, listed: tuple[str, ...]
) -> None:
    hana = shop.staff("hana", backup="riku")
    shop.staff("riku")
    shop.staff("sora")
    shop.shadows.update("booth-main", reported={"staff": listed})
    shop.press(hana)
    for _ in range(600):
        shop.now += 1000
        shop.sweep()
        for thing in (hana, "staff-riku"):
            shop.deliver(thing)
    assert shop.kinds() == ["press", "remind", "handover", "remind", "nobody"]
    assert told(shop) == ["<!here>"]


def test_those_of_the_booth_have_their_minute_though_slack_was_away(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    booth(shop, hana, sora)
    shop.press(hana)
    shop.deliver(hana)
    shop.says(hana, CallEvent.NO)
    shop.now += 120_000
    for _ in range(90):
        shop.sweep()
        shop.deliver(hana)
        shop.now += 1000
    assert told(shop) == ["<@USORA>", "<!here>"], "they have a minute from when they heard of it"


# What a campaign of kills has found.


def test_an_old_ok_that_comes_again_takes_no_call(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    says(shop, "USORA", "ok", id="old")
    left(shop, hana)
    says(shop, "USORA", "ok", id="old")  # Slack brings it again
    assert read(shop.place, hana).call.to == ("" if state(shop, sora)[0] is StaffState.IDLE else sora)


def test_an_old_ok_after_done(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    shop.press(sora, "hall")
    says(shop, "USORA", "ok", id="old")
    says(shop, "USORA", "done")
    left(shop, hana)
    says(shop, "USORA", "ok", id="old")
    assert read(shop.place, hana).call.to == ("" if state(shop, sora)[0] is StaffState.IDLE else sora)


def test_everybody_is_asked_though_the_colleague_is_called_meanwhile(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    booth(shop, hana, sora)
    left(shop, hana)
    assert told(shop) == ["<@USORA>"]
    shop.press(sora, "hall")
    for _ in range(90):
        shop.now += 1000
        shop.sweep()
        shop.deliver(hana)
    assert told(shop) == ["<@USORA>", "<!here>"]


def test_everybody_is_asked_once_though_a_colleague_becomes_free(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    booth(shop, hana, sora)
    shop.press(sora, "hall")
    left(shop, hana)
    assert told(shop) == ["<!here>"]
    shop.says(sora, CallEvent.DONE)
    for _ in range(90):
        shop.now += 1000
        shop.sweep()
        shop.deliver(hana)
    assert told(shop) == ["<!here>"]


def test_an_ok_before_the_message_is_reported_is_a_volunteers(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner was told of nothing for long (away, say): the channel hears; an "ok" comes before that is reported."""
    hana, sora = shop.staff("hana"), shop.staff("sora")
    shop.says(hana, CallEvent.AWAY)
    shop.deliver(hana)
    shop.press(hana)
    real, said = telling.report, list[str]()

    def late(*given: Any, **named: Any) -> None:  # the "ok" is quicker than the report
        if not said:
            said.append(says(shop, "USORA", "ok"))
        real(*given, **named)

    monkeypatch.setattr(telling, "report", late)
    shop.deliver(hana)
    says(shop, "USORA", "ok")
    assert state(shop, sora)[0] is StaffState.RUNNING


def test_after_a_crash_the_one_who_comes_second_gives_way(shop: Shop) -> None:
    hana, sora, riku = shop.staff("hana"), shop.staff("sora"), shop.staff("riku")
    left(shop, hana)
    alive = shop.shadows
    shop.place = replace(shop.place, shadows=Dying(alive, 1))
    with pytest.raises(Crash):
        says(shop, "USORA", id="x")
    shop.place = replace(shop.place, shadows=alive)
    says(shop, "URIKU")
    says(shop, "USORA", id="x")
    assert [state(shop, each)[0] for each in (sora, riku)].count(StaffState.RUNNING) == 1


def test_who_is_called_in_the_very_moment_is_not_named(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    left(shop, hana)
    other, shadows = shop.place, InBetween(shop.shadows, lambda: None)

    def called() -> None:
        record(other, sora, pressed("hall", ClickType.SINGLE, shop.key(), shop.now))

    shadows._does = called
    shop.place = replace(other, shadows=shadows)
    says(shop, "USORA")
    shop.place = other
    assert state(shop, sora) == (StaffState.RUNNING, "hall")
    assert read(shop.place, hana).call.to == ""
