"""Where every flow ends: hand-over, waiting calls, repeats, races, and crashes between two writes."""

import threading
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shadows.calls import read, record
from shadows.errors import Rejected
from shadows.reset import Alarm, ring, sweep
from shadows.shadow import Shadow
from shadows.staff import BUSY, CallEvent, ClickType, End, Event, Key, StaffState, answered, pressed
from shadows.telling import untold
from tests.memory import MemoryShadows, Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


def states(shop: Shop, *things: str) -> list[str]:
    return [read(shop.place, thing).state for thing in things]


def people(shop: Shop) -> list[str]:
    return [thing.name for thing in shop.place.things.list(type="staff")]


@pytest.mark.parametrize("kind", [CallEvent.NO, CallEvent.AWAY])
def test_who_cannot_come_hands_the_call_on_with_its_id_and_booth(shop: Shop, kind: CallEvent) -> None:
    hana, sora = shop.staff("hana", backup="sora"), shop.staff("sora")
    shop.press(hana)
    call = read(shop.place, hana).call
    shop.says(hana, kind)
    assert read(shop.place, hana).call == replace(
        call, end=End.REFUSED if kind is CallEvent.NO else End.UNAVAILABLE, to=sora
    )
    assert read(shop.place, sora).call == replace(call, tried=(hana,))
    assert read(shop.place, sora).asked.why == "handover"


def test_a_call_nobody_answers_goes_down_the_line_and_nobody_is_asked_twice(shop: Shop) -> None:
    hana, sora, riku = shop.staff("hana", "sora"), shop.staff("sora", "riku"), shop.staff("riku", "hana")
    shop.press(hana)
    asked = []
    for _ in range(4):
        asked.append(states(shop, hana, sora, riku))
        shop.now += 180_001
        shop.sweep()
    assert asked == [
        ["calling", "idle", "idle"],
        ["idle", "calling", "idle"],
        ["idle", "idle", "calling"],
        ["idle", "idle", "idle"],
    ]
    last = read(shop.place, riku)
    assert (last.call.tried, last.call.end, last.nobody_left) == ((hana, sora), End.MISSED, True)


def test_a_backup_who_is_away_is_passed_over_for_theirs(shop: Shop) -> None:
    hana, sora, riku = shop.staff("hana", "sora"), shop.staff("sora", "riku"), shop.staff("riku")
    shop.says(sora, CallEvent.AWAY)
    shop.press(hana)
    shop.says(hana, CallEvent.NO)
    assert states(shop, hana, sora, riku) == ["idle", "away", "calling"]
    assert read(shop.place, hana).call.to == riku


def test_a_press_for_somebody_away_calls_the_backup_and_says_who(shop: Shop) -> None:
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    shop.says(hana, CallEvent.AWAY)
    key = shop.key()
    event = pressed("main", ClickType.SINGLE, key, shop.now)
    outcome = record(shop.place, hana, event)
    assert (outcome.thing, outcome.state, outcome.repeat) == (sora, StaffState.CALLING, False)
    again = record(shop.place, hana, pressed("main", ClickType.SINGLE, key, shop.now))
    assert (again.thing, again.call, again.repeat) == (sora, outcome.call, True)
    assert read(shop.place, sora).call.count == 1


def test_a_press_of_another_booth_goes_to_a_free_backup_else_waits(shop: Shop) -> None:
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    shop.press(hana)
    shop.press(hana, booth="hall")
    assert (states(shop, hana, sora), read(shop.place, sora).call.booth) == (["calling", "calling"], "hall")
    shop.press(hana, booth="cafe")
    assert [call.booth for call in read(shop.place, hana).waiting] == ["cafe"]
    shop.says(hana, CallEvent.OK)
    shop.says(hana, CallEvent.DONE)
    after = read(shop.place, hana)
    assert (after.state, after.call.booth, after.waiting) == (StaffState.CALLING, "cafe", ())


def test_waiting_calls_are_taken_oldest_first_and_each_press_of_theirs_counts(shop: Shop) -> None:
    hana = shop.staff("hana")
    for booth in ("main", "hall", "cafe", "hall"):
        shop.press(hana, booth)
    assert [(call.booth, call.count) for call in read(shop.place, hana).waiting] == [("hall", 2), ("cafe", 1)]
    served = []
    for _ in range(3):
        served.append(read(shop.place, hana).call.booth)
        shop.says(hana, CallEvent.DONE)
    assert (served, states(shop, hana)) == (["main", "hall", "cafe"], ["idle"])


def test_a_booth_that_somebody_else_has_served_does_not_wait_any_more(shop: Shop) -> None:
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    for thing, booth in ((hana, "main"), (sora, "cafe"), (hana, "hall")):
        shop.press(thing, booth)
    shop.says(sora, CallEvent.DONE)
    shop.press(hana, "hall")
    assert (read(shop.place, sora).call.booth, read(shop.place, hana).waiting) == ("hall", ())
    for thing in (hana, sora):
        shop.says(thing, CallEvent.DONE)
    assert states(shop, hana, sora) == ["idle", "idle"]


def test_who_waited_all_night_is_not_called_for_in_the_morning(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.press(hana, "hall")
    shop.now += 12 * 3_600_000
    shop.sweep()
    after = read(shop.place, hana)
    assert (after.state, after.call.end, after.waiting) == (StaffState.IDLE, End.EXPIRED, ())


def test_a_press_for_somebody_away_waits_until_the_channel_has_heard_of_the_last_one(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.says(hana, CallEvent.AWAY)
    shop.press(hana)
    shop.press(hana, "hall")
    for _ in range(2):
        shop.deliver(hana)
    assert [(each.kind, each.booth) for each in shop.told] == [("nobody", "main"), ("nobody", "hall")]


def test_who_goes_away_passes_the_waiting_calls_on_too(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    for booth in ("main", "hall", "cafe"):
        shop.press(hana, booth)
    shop.things.update(hana, {"backup": "sora"})
    shop.says(hana, CallEvent.AWAY)
    backup = read(shop.place, sora)
    assert [backup.call.booth, *(call.booth for call in backup.waiting)] == ["main", "hall", "cafe"]
    assert read(shop.place, hana).waiting == ()


def test_a_backup_with_a_full_queue_does_not_keep_a_call_from_ending(shop: Shop) -> None:
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    for n in range(9):
        shop.press(sora, f"b{n}")
    shop.press(hana)
    shop.says(hana, CallEvent.NO)
    after = read(shop.place, hana)
    assert (after.state, after.call.end, after.call.to) == (StaffState.IDLE, End.REFUSED, "")


def test_a_backup_that_was_removed_is_nobody(shop: Shop) -> None:
    hana = shop.staff("hana", "gone")
    shop.press(hana)
    shop.says(hana, CallEvent.NO)
    assert read(shop.place, hana).nobody_left


class Crash(BaseException):
    """The process dies here."""


class CrashingShadows(MemoryShadows):
    """Dies before or after one write."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.left, self.after, self.armed = at, after, False

    def update(self, thing: str, **sections: object) -> int:
        if not self.armed:
            return super().update(thing, **sections)  # type: ignore[arg-type]
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Crash
        version = super().update(thing, **sections)  # type: ignore[arg-type]
        if self.left == 0:
            raise Crash
        return version


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("kind", [CallEvent.NO, CallEvent.MISSED, CallEvent.AWAY])
def test_a_crash_in_a_hand_over_leaves_somebody_called_and_its_repeat_finishes_it(
    shop: Shop, kind: CallEvent, at: int, after: bool
) -> None:
    shop.shadows = CrashingShadows(at, after=after)
    shop.place = replace(shop.place, shadows=shop.shadows)
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    shop.press(hana)
    call, since = read(shop.place, hana).call, read(shop.place, hana).asked.since
    about = (call.id, since) if kind is CallEvent.MISSED else None
    event = Event(kind=kind, key=None if about else shop.key(), about=about)
    shop.shadows.armed = True
    with pytest.raises(Crash):
        record(shop.place, hana, event)
    assert "calling" in states(shop, hana, sora)
    record(shop.place, hana, event)
    assert states(shop, hana, sora) == ["away" if kind is CallEvent.AWAY else "idle", "calling"]
    assert read(shop.place, sora).call == replace(call, tried=(hana,))
    assert read(shop.place, hana).call.to == sora


def test_fifty_presses_at_once_on_twenty_people_lose_none(shop: Shop) -> None:
    people = [shop.staff(f"s{n}") for n in range(20)]
    start, failed = threading.Barrier(50), []

    def press(n: int) -> None:
        start.wait()
        try:
            key = Key(door="test", sender=str(n), id=str(n))
            record(shop.place, people[n % 20], pressed("main", ClickType.SINGLE, key, shop.now))
        except Rejected as no:
            failed.append(no)

    threads = [threading.Thread(target=press, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sum(read(shop.place, thing).call.count for thing in people) == 50


# The timed reset.


def test_a_state_ends_at_its_deadline_and_not_before(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    alarm = Alarm.of(hana, read(shop.place, hana))
    assert alarm
    shop.now += 60_001
    due = ring(shop.place, alarm)
    assert due == read(shop.place, hana).asked.since + 180_000
    shop.now = due - 1
    assert ring(shop.place, alarm) == due
    shop.now = due
    assert ring(shop.place, alarm) is None
    assert read(shop.place, hana).call.end is End.MISSED


def test_a_press_while_calling_does_not_restart_the_timer(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    alarm = Alarm.of(hana, read(shop.place, hana))
    assert alarm
    shop.now += 100_000
    shop.press(hana)
    shop.now += 81_000
    ring(shop.place, alarm)
    assert states(shop, hana) == ["idle"]


def test_who_does_not_answer_is_reminded_once_and_their_time_goes_on(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    alarm, before = Alarm.of(hana, read(shop.place, hana)), read(shop.place, hana).asked
    assert alarm
    assert ring(shop.place, alarm) == before.since + 60_000
    shop.now = before.since + 60_000
    for _ in range(3):
        assert ring(shop.place, alarm) == before.since + 180_000
    after = read(shop.place, hana).asked
    assert after == replace(before, call=replace(before.call, reminded=True))
    shop.now += 120_000
    assert ring(shop.place, alarm) is None
    assert read(shop.place, hana).call.end is End.MISSED


@pytest.mark.parametrize(
    ("remind_s", "booth_s", "answer"),
    [(0, 180, None), (180, 180, None), (60, 60, None), (60, 30, None), (60, 180, CallEvent.OK)],
)
def test_nobody_is_reminded(shop: Shop, remind_s: float, booth_s: float, answer: CallEvent | None) -> None:
    shop.place = replace(shop.place, timing=replace(shop.place.timing, remind_s=remind_s))
    shop.shadows.update("booth-main", reported={"callingSeconds": booth_s})
    hana = shop.staff("hana")
    shop.press(hana)
    if answer:
        shop.says(hana, answer)
    for _ in range(20):
        shop.now += 20_000
        shop.sweep()
        assert not read(shop.place, hana).call.reminded


def test_a_sweep_reads_nobody_again_whom_it_was_given_and_decides_by_what_they_have_then(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, shop_get = list[str](), shop.shadows.get

    def get(thing: str) -> Shadow:
        asked.append(thing)
        return shop_get(thing)

    monkeypatch.setattr(shop.shadows, "get", get)
    hana, sora, riku = shop.staff("hana"), shop.staff("sora"), shop.staff("riku")
    for each in (hana, sora):
        shop.press(each)
    given = {each: shop_get(each) for each in people(shop)}
    shop.says(sora, CallEvent.OK)  # behind the back of who sweeps
    shop.now += 181_000
    del given[riku]
    asked.clear()
    found = list(sweep(shop.place, people(shop), on_error=lambda *_: None, known=given))
    assert {each.thing for each in found} == {hana, sora, riku}
    assert asked.count(riku) == 1, "who was not given is read"
    assert states(shop, hana, sora, riku) == ["idle", "running", "idle"]
    given = {each: shop_get(each) for each in people(shop)}
    asked.clear()
    list(sweep(shop.place, people(shop), on_error=lambda *_: None, known=given))
    assert not {*asked} & {hana, sora, riku}, "who was given is not read again"


def test_a_call_that_is_over_when_it_is_looked_at_reminds_nobody_any_more(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.now += 181_000
    shop.sweep()
    call = read(shop.place, hana).call
    assert (call.end, call.reminded) == (End.MISSED, False)


def test_who_stands_in_is_reminded_too(shop: Shop) -> None:
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    shop.press(hana)
    reminded = []
    for _ in range(6):
        shop.now += 61_000
        shop.sweep()
        reminded.append([read(shop.place, each).call.reminded for each in (hana, sora)])
    # Each once, while it is theirs.
    assert reminded == [
        [True, False],
        [True, False],
        [False, False],
        [False, True],
        [False, True],
        [False, False],
    ]


def test_a_late_or_repeated_alarm_of_another_state_does_nothing(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    alarm = Alarm.of(hana, read(shop.place, hana))
    assert alarm
    shop.says(hana, CallEvent.OK)
    shop.now += 200_000
    assert ring(shop.place, alarm) is None
    assert states(shop, hana) == ["running"]
    assert ring(shop.place, replace(alarm, thing="staff-gone")) is None


def test_a_booth_says_how_long_its_calls_take(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.shadows.update("booth-main", reported={"callingSeconds": 2.5, "runningSeconds": "nonsense"})
    shop.press(hana)
    shop.now += 2600
    shop.sweep()
    assert states(shop, hana) == ["idle"]
    shop.press(hana)
    shop.says(hana, CallEvent.OK)
    shop.now += 299_000
    shop.sweep()
    assert states(shop, hana) == ["running"]


def test_what_is_found_more_than_ten_minutes_late_expires_quietly(shop: Shop) -> None:
    hana, sora = shop.staff("hana", "sora"), shop.staff("sora")
    shop.press(hana)
    shop.now += 180_000 + 600_002
    shop.sweep()
    assert (states(shop, hana, sora), read(shop.place, hana).call.end) == (["idle", "idle"], End.EXPIRED)


def test_one_shadow_that_cannot_be_swept_does_not_keep_the_others(shop: Shop) -> None:
    shop.staff("a")
    zoe = shop.staff("zoe")
    shop.press(zoe)
    shop.now += 181_000
    shop.shadows.kept.pop("staff-a")
    failed = []
    found = [
        each.thing
        for each in sweep(shop.place, people(shop), on_error=lambda thing, error: failed.append(thing))
    ]
    assert (failed, found, states(shop, zoe)) == (["staff-a"], ["staff-zoe"], ["idle"])


@pytest.mark.parametrize("field", ["thing", "call", "state", "since"])
def test_a_timer_message_that_lacks_a_field_names_it(field: str) -> None:
    message = Alarm(thing="staff-hana", call="X", state="calling", since=1).document()
    with pytest.raises(Rejected, match=field):
        Alarm.read({**message, field: None})
    assert Alarm.read(message).document() == message


# Any events, one to five times, late and in any order.

PEOPLE = ("staff-hana", "staff-sora", "staff-riku")
LEGAL = {
    ("idle", "calling"): {"press", "handover"},
    ("idle", "away"): {"away"},
    ("calling", "running"): {"ok"},
    ("calling", "idle"): {"no", "done", "cancel", "missed", "expired"},
    ("calling", "away"): {"away"},
    ("running", "idle"): {"no", "done", "cancel", "ended", "expired"},
    ("running", "away"): {"away"},
    ("away", "idle"): {"back"},
    ("away", "away"): {"press", "handover"},
}


class AnyHistory(RuleBasedStateMachine):
    """Presses, answers and timers for three people who stand in for each other in a ring."""

    @initialize()
    def open(self) -> None:
        self.shop = Shop()
        for name, backup in (("hana", "sora"), ("sora", "riku"), ("riku", "hana")):
            self.shop.staff(name, backup)
        self.sent: list[tuple[str, Event]] = []
        self.oks: Counter[str] = Counter()
        self.pressed: set[str] = set()
        self.checked = len(self.shop.shadows.written)

    def send(self, thing: str, event: Event) -> None:
        outcome = record(self.shop.place, thing, event)
        if event.kind is CallEvent.OK and not outcome.repeat and outcome.before is StaffState.CALLING:
            self.oks[outcome.call.id] += 1

    @rule(
        thing=st.sampled_from(PEOPLE),
        booth=st.sampled_from(["main", "hall", "cafe"]),
        times=st.integers(1, 5),
    )
    def press(self, thing: str, booth: str, times: int) -> None:
        event = pressed(booth, ClickType.SINGLE, self.shop.key(), self.shop.now)
        assert event.call
        self.pressed.add(booth)
        self.sent.append((thing, event))
        for _ in range(times):
            self.send(thing, event)
        everybody = [read(self.shop.place, other) for other in PEOPLE]
        waits = [call.booth for staff in everybody for call in staff.waiting]
        reached = [staff.call.booth for staff in everybody if staff.state in BUSY or staff.nobody_left]
        assert booth in waits + reached, "a press was lost"

    @rule(
        thing=st.sampled_from(PEOPLE),
        kind=st.sampled_from(["ok", "no", "done", "cancel", "away", "back"]),
        times=st.integers(1, 5),
    )
    def answer(self, thing: str, kind: str, times: int) -> None:
        event = answered(CallEvent(kind), self.shop.key(), "soon")
        self.sent.append((thing, event))
        for _ in range(times):
            self.send(thing, event)

    @rule(back=st.integers(1, 4))
    def come_again_late(self, back: int) -> None:
        if len(self.sent) < back:
            return
        thing, event = self.sent[-back]
        before = {other: read(self.shop.place, other).asked for other in PEOPLE}
        self.send(thing, event)
        assert before == {other: read(self.shop.place, other).asked for other in PEOPLE}

    @rule(seconds=st.sampled_from([1, 25, 200, 1000]))
    def wait(self, seconds: int) -> None:
        self.shop.now += seconds * 1000
        self.shop.sweep()

    @rule()
    def slack_hears(self) -> None:
        for thing in PEOPLE:
            if untold(self.shop.place, thing):
                self.shop.deliver(thing)
            staff = read(self.shop.place, thing)
            assert staff.told == staff.asked or untold(self.shop.place, thing)

    @invariant()
    def every_change_is_in_the_table(self) -> None:
        written = self.shop.shadows.written
        last: dict[str, tuple[str, int]] = getattr(self, "last", {})
        for thing, shadow in written[getattr(self, "read_to", 0) :]:
            now = (shadow.desired["state"], shadow.desired["since"])
            was = last.get(thing, now)
            if now != was:
                assert now[1] > was[1]
                assert shadow.desired["why"] in LEGAL[(was[0], now[0])]
            last[thing] = now
        self.last, self.read_to = last, len(written)

    @invariant()
    def running_never_without_an_ok(self) -> None:
        for thing in PEOPLE:
            staff = read(self.shop.place, thing)
            assert staff.state is not StaffState.RUNNING or self.oks[staff.call.id]

    @invariant()
    def nobody_waits_for_somebody_who_is_free(self) -> None:
        for thing in PEOPLE:
            staff = read(self.shop.place, thing)
            assert not staff.waiting or staff.state in BUSY or staff.nobody_left


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=25)
