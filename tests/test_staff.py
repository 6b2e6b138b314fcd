"""The transition table, cell by cell, and what a shadow may hold."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.errors import Rejected
from shadows.shadow import Shadow
from shadows.staff import (
    BUSY,
    Asked,
    Call,
    CallEvent,
    ClickType,
    End,
    Event,
    Key,
    Staff,
    StaffState,
    Taker,
    answered,
    changes,
    newcomer,
    passes_on,
    past_of,
    past_text,
    pressed,
    remembering,
    repeats,
    step,
)

NOW = 1_793_235_600_123
KEY = Key(door="test", sender="demo", id="1")
SORA = Taker(thing="staff-sora", giver="staff-hana")
CALL = Call(id="X", booth="main", at=NOW - 5000, count=1)


def person(state: StaffState, call: Call = CALL, **more: object) -> Staff:
    asked = Asked(state=state, since=NOW - 5000, why=CallEvent.PRESS, call=call)
    return Staff(asked=asked, told=asked, name="Hana", **more)  # type: ignore[arg-type]


# (from, event) -> (to, how the call ends). Everything else changes nothing.
TABLE = {
    ("idle", "press"): ("calling", ""),
    ("idle", "handover"): ("calling", ""),
    ("idle", "away"): ("away", None),
    ("calling", "ok"): ("running", ""),
    ("calling", "no"): ("idle", "refused"),
    ("calling", "done"): ("idle", "done"),
    ("calling", "cancel"): ("idle", "cancelled"),
    ("calling", "missed"): ("idle", "missed"),
    ("calling", "expired"): ("idle", "expired"),
    ("calling", "away"): ("away", "unavailable"),
    ("running", "no"): ("idle", "refused"),
    ("running", "done"): ("idle", "done"),
    ("running", "cancel"): ("idle", "cancelled"),
    ("running", "ended"): ("idle", "ended"),
    ("running", "expired"): ("idle", "expired"),
    ("running", "away"): ("away", "done"),
    ("away", "back"): ("idle", None),
}
ARRIVALS = (CallEvent.PRESS, CallEvent.HANDOVER)
CELLS = [
    cell
    for cell in product(StaffState, CallEvent)
    if cell[1] not in (*ARRIVALS, CallEvent.REMIND, CallEvent.VOLUNTEER, CallEvent.NOTE)
    and cell != (StaffState.RUNNING, CallEvent.OK)
]


@pytest.mark.parametrize(("state", "kind"), CELLS)
def test_every_cell_of_the_table(state: StaffState, kind: CallEvent) -> None:
    before = person(state)
    after = step(before, Event(kind=kind, key=KEY, note="soon"), NOW)
    to, end = TABLE.get((state, kind), (None, None))
    if to is None:
        assert after.asked == before.asked
        return
    assert (after.state, after.asked.why, after.asked.since) == (to, kind, NOW)
    assert after.call == (
        before.call
        if end is None
        else replace(before.call, end=End(end), note="soon" if kind is CallEvent.OK else before.call.note)
    )


@pytest.mark.parametrize("state", StaffState)
@pytest.mark.parametrize("late", [False, True])
def test_a_reminder_marks_the_call_of_who_is_called_and_changes_nothing_else(
    state: StaffState, late: bool
) -> None:
    before = person(state)
    about = (CALL.id, before.asked.since - late)
    after = step(before, Event(kind=CallEvent.REMIND, about=about), NOW)
    marked = state is StaffState.CALLING and not late
    assert after == replace(before, asked=replace(before.asked, call=replace(CALL, reminded=marked)))


@pytest.mark.parametrize("kind", ARRIVALS)
def test_a_call_that_comes_to_an_idle_person_is_theirs(kind: CallEvent) -> None:
    new = Call(id="Y", booth="main", click=ClickType.LONG, at=NOW, count=1, tried=("staff-sora",))
    before = person(StaffState.IDLE, replace(CALL, end=End.DONE, note="old", to="staff-x"))
    after = step(before, Event(kind=kind, key=KEY, call=new), NOW)
    assert after.asked == Asked(state=StaffState.CALLING, since=NOW, why=kind, call=new)


@pytest.mark.parametrize("state", sorted(BUSY))
@pytest.mark.parametrize("kind", ARRIVALS)
def test_another_press_of_the_same_booth_counts_and_restarts_nothing(
    state: StaffState, kind: CallEvent
) -> None:
    before = person(state, replace(CALL, note="2 min"))
    after = step(
        before, Event(kind=kind, key=KEY, call=Call(id="Y", booth="main", tried=("staff-sora",))), NOW
    )
    assert after.asked == replace(before.asked, call=replace(before.call, count=2, tried=("staff-sora",)))


@pytest.mark.parametrize("state", sorted(BUSY))
@pytest.mark.parametrize("kind", ARRIVALS)
def test_a_press_of_another_booth_waits_if_nobody_takes_it(state: StaffState, kind: CallEvent) -> None:
    before, other = person(state), Call(id="Y", booth="hall", at=NOW, count=1)
    event = Event(kind=kind, key=KEY, call=other)
    assert passes_on(before, event, "staff-hana") == other
    taken = step(before, event, NOW, SORA)
    assert (taken.asked, taken.waiting) == (before.asked, ())
    kept = step(before, event, NOW)
    assert (kept.asked, kept.waiting) == (before.asked, (other,))
    again = step(kept, replace(event, key=replace(KEY, id="2")), NOW)
    assert again.waiting == (replace(other, count=2),)


def test_a_ninth_waiting_booth_is_refused_in_words() -> None:
    full = person(StaffState.RUNNING, waiting=tuple(Call(id=str(n), booth=f"b{n}") for n in range(8)))
    with pytest.raises(Rejected, match=r"booth: 8 other booths .* got 'b8'") as refused:
        step(full, Event(kind=CallEvent.PRESS, key=KEY, call=Call(id="8", booth="b8")), NOW)
    assert refused.value.code == 429


def test_a_press_while_away_is_written_as_unavailable_if_nobody_takes_it() -> None:
    before, new = person(StaffState.AWAY), Call(id="Y", booth="main", at=NOW, count=1)
    event = Event(kind=CallEvent.PRESS, key=KEY, call=new)
    assert passes_on(before, event, "staff-hana") == replace(new, tried=("staff-hana",))
    assert step(before, event, NOW, SORA).asked == before.asked
    after = step(before, event, NOW)
    assert (after.state, after.call) == (StaffState.AWAY, replace(new, end=End.UNAVAILABLE))
    assert after.nobody_left


@pytest.mark.parametrize(
    ("state", "kind", "passed"),
    [
        ("calling", "missed", True),
        ("calling", "no", True),
        ("calling", "away", True),
        ("running", "no", True),
        ("calling", "expired", False),
        ("calling", "done", False),
        ("calling", "cancel", False),
        ("running", "ended", False),
        ("running", "away", False),
        ("idle", "away", False),
    ],
)
def test_only_a_call_that_still_needs_somebody_is_passed_on(state: str, kind: str, passed: bool) -> None:
    call = passes_on(person(StaffState(state)), Event(kind=CallEvent(kind), key=KEY), "staff-hana")
    assert call == (replace(CALL, tried=("staff-hana",)) if passed else None)


def test_a_timer_about_another_state_does_nothing() -> None:
    now_calling = person(StaffState.CALLING)
    for about in (("Y", now_calling.asked.since), ("X", 1)):
        event = Event(kind=CallEvent.MISSED, about=about)
        assert step(now_calling, event, NOW) == now_calling
        assert passes_on(now_calling, event, "staff-hana") is None
    assert (
        step(now_calling, Event(kind=CallEvent.MISSED, about=("X", NOW - 5000)), NOW).state is StaffState.IDLE
    )


def test_since_always_grows() -> None:
    before = person(StaffState.CALLING)
    now = before.asked.since - 1_500  # two writers' clocks are never quite the same
    assert step(before, answered(CallEvent.OK, KEY), now).asked.since == before.asked.since + 1


@pytest.mark.parametrize("event", [answered(CallEvent.OK, KEY), pressed("main", ClickType.SINGLE, KEY, NOW)])
def test_what_began_in_the_future_began_now_for_the_clock_was_set_back(event: Event) -> None:
    before = person(StaffState.CALLING)
    before = replace(before, told=before.asked)
    now = before.asked.since - 3_600_000
    after = step(before, event, now)
    assert now <= after.asked.since <= now + 1
    assert after.told.since == now  # so that the next transition has a delta, and is later than what was told
    assert after.asked.call.at - before.call.at == -3_600_000
    assert changes(before, after)["reported"]["since"] == now


def test_an_answer_that_changes_nothing_is_remembered_so_that_its_repeat_answers_no_later_call() -> None:
    idle = step(person(StaffState.IDLE), answered(CallEvent.OK, KEY), NOW)
    called = step(idle, pressed("main", ClickType.SINGLE, replace(KEY, id="press"), NOW), NOW)
    assert called.state is StaffState.CALLING
    assert repeats(called, answered(CallEvent.OK, KEY), NOW)


def test_without_an_id_of_the_sender_only_what_is_close_in_time_repeats() -> None:
    key = Key(door="webhook", sender="demo", id="SINGLE", within_ms=2000)
    after = step(person(StaffState.IDLE), pressed("main", ClickType.SINGLE, key, NOW), NOW)
    again = pressed("main", ClickType.SINGLE, key, NOW)
    assert repeats(after, again, NOW + 1999)
    assert not repeats(after, again, NOW + 2000)
    assert not repeats(after, pressed("main", ClickType.DOUBLE, replace(key, id="DOUBLE"), NOW), NOW + 1)


def test_sixteen_events_are_remembered() -> None:
    staff = person(StaffState.IDLE)
    for n in range(20):
        staff = step(staff, answered(CallEvent.OK, replace(KEY, id=str(n))), NOW)
    known = [n for n in range(20) if repeats(staff, answered(CallEvent.OK, replace(KEY, id=str(n))), NOW)]
    assert known == list(range(4, 20))


def test_a_newcomer_is_idle_on_both_sides_with_no_delta() -> None:
    desired, reported = newcomer("有栖 Alice", "guide", NOW)
    assert desired.keys() == {"state", "since", "why", "call"}
    assert desired["call"].keys() == {
        "id", "booth", "click", "at", "count", "note", "end", "to", "tried", "reminded", "promised", "group"
    }  # fmt: skip
    assert {key: reported[key] for key in desired} == desired
    staff = Staff.read(Shadow(desired=desired, reported=reported, version=1))
    assert (staff.state, staff.name, staff.role) == (StaffState.IDLE, "有栖 Alice", "guide")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("state", "since", "why", "call", "seen", "telling", "toldAt", "waiting", "name", "role")
nonsense = st.dictionaries(st.sampled_from(KEYS), anything)


@given(desired=nonsense, reported=nonsense, kind=st.sampled_from(CallEvent))
def test_nonsense_in_a_shadow_is_read_and_a_press_always_works(desired, reported, kind) -> None:
    staff = Staff.read(Shadow(desired=desired, reported=reported, version=3))
    called = step(staff, pressed("main", ClickType.SINGLE, KEY, NOW), NOW)
    assert called.call.booth == "main" or called.waiting
    step(staff, Event(kind=kind, key=KEY), NOW)


calls = st.builds(
    Call, id=st.text(max_size=4), booth=st.sampled_from(["main", "hall"]), click=st.sampled_from(ClickType),
    at=st.integers(0, 2**45), count=st.integers(0, 99), note=st.text(max_size=4), end=st.sampled_from(End),
    to=st.text(max_size=4), tried=st.lists(st.text(max_size=3), max_size=3).map(tuple),
)  # fmt: skip


@given(
    state=st.sampled_from(StaffState),
    call=calls,
    since=st.integers(0, 2**45),
    kind=st.sampled_from(CallEvent),
)
def test_what_is_written_is_what_is_read(state, call, since, kind) -> None:
    asked = Asked(state=state, since=since, why=kind, call=call)
    assert Asked.read(asked.document()) == asked


def test_only_what_changed_is_sent() -> None:
    before = person(StaffState.CALLING)
    assert changes(before, before) == {}
    after = step(before, answered(CallEvent.OK, KEY, "5 min"), NOW)
    assert changes(before, after) == {
        "desired": after.asked.document(),
        "reported": {"seen": [f"{NOW}:{KEY.digest}"]},
    }


def test_how_a_call_ended_outlasts_it_until_that_was_reported() -> None:
    ended = Asked(
        since=7, why=CallEvent.CANCEL, call=Call(id="01", booth="a", at=5, count=2, end=End.CANCELLED, to="x")
    )
    assert past_of(past_text(ended)) == ended
    untold = Staff(asked=ended)
    after = step(untold, pressed("b", ClickType.SINGLE, KEY, 9), 9)
    assert after.past == ended
    assert changes(untold, after)["reported"]["past"] == past_text(ended)
    told = replace(after, told=after.asked)
    again = step(
        replace(told, asked=replace(told.asked, state=StaffState.IDLE)), answered(CallEvent.AWAY, KEY), 10
    )
    assert again.past == ended, "no other call came"


@pytest.mark.parametrize("nonsense", ["", "/", "a/b/c/d/e/f/g/h", "1/ok/x/y/-1/1//", "1/2/3"])
def test_a_past_that_is_none_is_none(nonsense: str) -> None:
    assert past_of(nonsense) is None


def test_what_another_shadow_remembers_is_remembered_once_whenever_it_came() -> None:
    hana = Staff(seen=("5:aa", "6:bb"))
    assert remembering(hana, ("7:aa", "8:cc")).seen == ("5:aa", "6:bb", "8:cc")
