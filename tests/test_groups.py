"""A button that calls several people: all at once, in turn, or the first who is free. One of them goes."""

import itertools
from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from button_handlers.click import Click
from button_handlers.press import press
from shadows.calls import read, volunteer
from shadows.errors import Rejected
from shadows.registry import NewButton, add_button, buttons, remove_staff
from shadows.shadow import Thing
from shadows.staff import BUSY, CallEvent, ClickType, StaffState, answered
from shadows.telling import Mention
from slack_bridge import doors
from slack_bridge.answer import answer
from slack_bridge.mention import words
from slack_bridge.reply import Reply
from tests.memory import Shop
from tests.test_at_once import Held, seen_by
from tests.test_repeats import Crash, Shadows, die


class Floor(Shop):
    """Hana, Sora and Riku, who all stand at one booth, and its buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.shadows = Shadows()
        self.place = self.place.__class__(
            shadows=self.shadows, things=self.things, clock=lambda: self.now, timing=self.place.timing
        )
        for name in ("hana", "sora", "riku"):
            self.staff(name)
        for how in ("all", "turn", "free"):
            button = {"single": f"{how}:hana,sora,riku", "booth": "main"}
            self.things.create(Thing(name=f"button-{how}", type="button", attributes=button))
        self.slack = doors.Services(place=self.place, outgoing_token="outgoing", lang="en")

    people = ("staff-hana", "staff-sora", "staff-riku")

    def note(self, button: str, at: int, door: str) -> None:
        raise AssertionError(f"{button} is known")

    def presses(self, button: str, id: str | None = None) -> str:
        self.now += 10
        click = Click(button=button, type=ClickType.SINGLE, id=id or str(self.now))
        return press(click, "test", self.place, self)["thing"].removeprefix("staff-")

    def ok(self, name: str, ts: str = "") -> None:
        """What the bridge does with an "ok"."""
        self.now += 10
        message = {"type": "message", "channel": "C0", "user": f"U{name.upper()}", "text": "ok", "ts": ts}
        message["ts"] = ts or f"{self.now}.0"
        answer = doors.event_answer({"type": "event_callback", "event": message}, self.slack)
        assert answer.status == 200

    def states(self) -> dict[str, str]:
        return {thing.removeprefix("staff-"): str(read(self.place, thing).state) for thing in self.people}

    def going(self) -> list[str]:
        return [name for name, state in self.states().items() if state == "running"]

    def twin(self) -> "Floor":
        other = Floor()
        other.now, other.told = self.now, list(self.told)
        other.shadows.kept, other.shadows.written = dict(self.shadows.kept), list(self.shadows.written)
        other.things.kept = dict(self.things.kept)
        return other


@pytest.fixture
def floor() -> Floor:
    return Floor()


# --- whom a press calls


def test_the_first_who_is_free_is_called(floor: Floor) -> None:
    assert floor.presses("free") == "hana"
    floor.says("staff-hana", CallEvent.DONE)
    floor.press("staff-hana", booth="cafe")
    floor.says("staff-sora", CallEvent.AWAY)
    assert floor.presses("free") == "riku"


def test_who_was_called_longest_ago_is_called_in_turn(floor: Floor) -> None:
    called = []
    for _ in range(7):
        called.append(floor.presses("turn"))
        floor.says(f"staff-{called[-1]}", CallEvent.DONE)
    assert called == ["hana", "sora", "riku", "hana", "sora", "riku", "hana"]


@pytest.mark.parametrize("how", ["all", "turn", "free"])
def test_a_press_again_goes_to_who_has_the_call(floor: Floor, how: str) -> None:
    first = floor.presses(how)
    assert [floor.presses(how), floor.presses(how)] == [first, first]
    assert Counter(floor.states().values()) == {"calling": 1, "idle": 2}
    assert read(floor.place, f"staff-{first}").call.count == 3


@pytest.mark.parametrize("how", ["all", "turn", "free"])
def test_a_press_that_comes_twice_calls_nobody_else(floor: Floor, how: str) -> None:
    first = floor.presses(how, "the same")
    floor.says(f"staff-{first}", CallEvent.DONE)
    assert floor.presses(how, "the same") == first
    assert set(floor.states().values()) == {"idle"}


@pytest.mark.parametrize("how", ["turn", "free"])
def test_who_does_not_answer_has_the_next_one_called(floor: Floor, how: str) -> None:
    asked = [floor.presses(how)]
    for _ in range(2):
        floor.now += 181_000
        floor.sweep()
        asked += [name for name, state in floor.states().items() if state == "calling"]
    assert asked == ["hana", "sora", "riku"]
    floor.now += 181_000
    floor.sweep()
    assert read(floor.place, "staff-riku").nobody_left


def test_a_busy_group_keeps_the_call_waiting(floor: Floor) -> None:
    for thing in floor.people:
        floor.press(thing, booth="cafe" if thing == "staff-hana" else f"x-{thing[-4:]}")
    assert floor.presses("free") == "hana"
    floor.says("staff-hana", CallEvent.DONE)
    assert read(floor.place, "staff-hana").call.booth == "main"


@pytest.mark.parametrize("how", ["all", "turn", "free"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("own", [0, 1])
def test_a_press_that_a_death_cut_off_is_finished_when_it_comes_again(
    floor: Floor, how: str, after: bool, own: int
) -> None:
    """The call of the booth waits with Hana; then Sora is free, or has one of that booth, and has it with the second press."""
    for thing in floor.people:
        floor.press(thing, booth=f"x-{thing[-4:]}")
    assert floor.presses(how, "one") == "hana"
    floor.says("staff-sora", CallEvent.DONE)
    for _ in range(own):
        floor.press("staff-sora", booth="main")
    for n in itertools.count(1):
        other = floor.twin()
        try:
            with other.shadows.nth(n, die, after=after):
                other.presses(how, "two")
        except Crash:
            other.presses(how, "two")
            held = [call for each in other.people if (call := read(other.place, each).call_of("main"))]
            assert [call.count for call in held] == [2 + own]
        else:
            return


def test_a_group_whose_people_were_removed_calls_who_is_left(floor: Floor) -> None:
    remove_staff(floor.place, "hana")
    assert floor.presses("all") == "sora"
    for id in ("sora", "riku"):
        remove_staff(floor.place, id)
    with pytest.raises(Rejected, match="there is nobody of all:hana,sora,riku"):
        floor.presses("all")


# --- all at once


def test_all_are_mentioned_in_one_message(floor: Floor) -> None:
    floor.says("staff-riku", CallEvent.AWAY)
    floor.presses("all")
    floor.deliver("staff-hana")
    (mention,) = floor.told
    assert isinstance(mention, Mention)
    text = words(mention, "en")
    assert "<@UHANA> <@USORA>" in text
    assert "<@URIKU>" not in text
    assert "first goes" in text


@pytest.mark.parametrize("name", ["hana", "sora", "riku"])
def test_whoever_says_ok_first_goes_and_the_others_see_who(floor: Floor, name: str) -> None:
    floor.presses("all")
    call = read(floor.place, "staff-hana").call
    floor.ok(name)
    floor.ok("riku" if name == "sora" else "sora")
    assert floor.going() == [name]
    assert read(floor.place, f"staff-{name}").call.id == call.id
    if name != "hana":
        assert read(floor.place, "staff-hana").call.to == f"staff-{name}"


@pytest.mark.parametrize("name", ["hana", "sora", "riku"])
def test_everybody_who_says_ok_after_that_hears_who_goes(floor: Floor, name: str) -> None:
    floor.presses("all")
    floor.ok(name)
    names = {"hana": "Hana", "sora": "Sora", "riku": "Riku"}
    for late in names.keys() - {name}:
        ok = Reply(channel="C0", user=f"U{late.upper()}", text="ok", id=late)
        assert (
            answer(ok, floor.place, "en") == f"Thank you, {names[late]}. {names[name]} is on the way already."
        )
    floor.says(f"staff-{name}", CallEvent.DONE)
    over = Reply(channel="C0", user=f"U{late.upper()}", text="ok", id="over")
    assert answer(over, floor.place, "en").startswith("There is nobody waiting for you")
    assert floor.going() == []


def test_who_gives_way_takes_what_waits_for_them(floor: Floor) -> None:
    floor.presses("all")
    floor.press("staff-hana", booth="cafe")
    floor.ok("sora")
    assert floor.states() == {"hana": "calling", "sora": "running", "riku": "idle"}
    assert read(floor.place, "staff-hana").call.booth == "cafe"


def test_when_nobody_answers_the_whole_channel_is_asked_and_nobody_twice(floor: Floor) -> None:
    floor.presses("all")
    floor.deliver("staff-hana")
    floor.now += 181_000
    floor.sweep()
    floor.deliver("staff-hana")
    assert floor.kinds() == ["press", "nobody"]
    assert set(floor.states().values()) == {"idle"}


def test_who_was_called_first_and_cannot_has_the_next_one_called(floor: Floor) -> None:
    floor.presses("all")
    floor.says("staff-hana", CallEvent.NO)
    assert floor.states() == {"hana": "idle", "sora": "calling", "riku": "idle"}
    floor.ok("riku")
    assert floor.going() == ["riku"]


def test_who_is_called_elsewhere_meanwhile_answers_that(floor: Floor) -> None:
    floor.presses("all")
    floor.press("staff-sora", booth="cafe")
    floor.ok("sora")
    assert read(floor.place, "staff-sora").call.booth == "cafe"
    assert floor.states()["hana"] == "calling"


@pytest.mark.parametrize("names", [*itertools.permutations(("hana", "sora", "riku"), 2)], ids="-".join)
def test_two_who_say_ok_at_once_never_both_go(floor: Floor, names: tuple[str, str]) -> None:
    """In every order of their reads and writes, with one switch each way."""
    floor.presses("all")
    seen = set()
    for i in itertools.count(1):
        for j in itertools.count(1):
            other = floor.twin()
            one, two = (
                Held(partial(other.ok, name, f"{n}.0"), at)
                for n, (name, at) in enumerate(zip(names, (i, j), strict=True))
            )
            with seen_by(other, one, two):
                one.starts()
                two.starts()
                one.ends()
                two.ends()
            (goes,) = other.going()
            seen.add(goes)
            assert "calling" not in other.states().values()
            if two.left > 0:
                break
        if one.left > 0:
            break
    assert seen == set(names)


@pytest.mark.parametrize("name", ["hana", "sora"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_somebody_says_ok_leaves_one_who_goes(floor: Floor, name: str, after: bool) -> None:
    floor.presses("all")
    for n in itertools.count(1):
        other = floor.twin()
        try:
            with other.shadows.nth(n, die, after=after):
                other.ok("sora", "1.0")
        except Crash:
            other.ok(name, "2.0")  # Slack does not send it again, and somebody else is quick
            other.now += 181_000
            other.sweep()
            assert len(other.going()) == 1
            assert "calling" not in other.states().values()
        else:
            return


def test_an_ok_that_comes_again_after_a_crash_is_the_same(floor: Floor) -> None:
    floor.presses("all")
    for n in itertools.count(1):
        other = floor.twin()
        try:
            with other.shadows.nth(n, die, after=True):
                other.ok("sora", "1.0")
        except Crash:
            other.ok("sora", "1.0")
            assert other.states() == {"hana": "idle", "sora": "running", "riku": "idle"}
        else:
            return


@given(
    happens=st.lists(
        st.tuples(
            st.sampled_from(["hana", "sora", "riku"]),
            st.sampled_from(["press", "ok", "no", "done", "away", "back", "cafe", "sweep"]),
        ),
        max_size=12,
    ),
    how=st.sampled_from(["all", "turn", "free"]),
)
def test_whatever_happens_at_most_one_goes_and_no_call_is_lost(
    happens: list[tuple[str, str]], how: str
) -> None:
    floor = Floor()
    for name, what in happens:
        thing = f"staff-{name}"
        floor.now += 10
        if what == "press":
            floor.presses(how)
        elif what == "cafe":
            floor.press(thing, booth="cafe")
        elif what == "ok":
            floor.ok(name)
        elif what == "sweep":
            floor.now += 181_000
            floor.sweep()
        else:
            floor.says(thing, CallEvent(what))
        everybody = [read(floor.place, each) for each in floor.people]
        ids = [each.call.id for each in everybody if each.state in BUSY]
        ids += [call.id for each in everybody for call in each.waiting]
        assert len(ids) == len(set(ids))
        if what == "press":
            assert any(each.call_of("main") or each.nobody_left for each in everybody)


# --- how a group is named


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "some:hana,sora",
            "staff: expected all:, turn:, free: before a group, or lambda:, webhook:, topic: before what is started, got 'some'",
        ),
        ("all:hana", "staff: expected 2 to 8 different ids after all:, got 'hana'"),
        ("all:hana,hana", "staff: expected 2 to 8 different ids after all:, got 'hana,hana'"),
        (
            "all:" + ",".join("abcdefghi"),
            "staff: expected 2 to 8 different ids after all:, got 'a,b,c,d,e,f,g,h,i'",
        ),
        ("all:hana,Sora", "staff: expected 1 to 24 of a-z 0-9 _ -, first a letter or digit, got 'Sora'"),
        ("all:hana,", "staff: expected 1 to 24 of a-z 0-9 _ -, first a letter or digit, got ''"),
        ("all:hana,nobody", "staff: there is no staff nobody"),
    ],
)
def test_what_is_no_group_is_refused_by_name(floor: Floor, reference: str, message: str) -> None:
    with pytest.raises(Rejected) as no:
        add_button(floor.place, NewButton(id="new", single=reference))
    assert no.value.message == message


def test_a_button_keeps_its_group(floor: Floor) -> None:
    add_button(floor.place, NewButton(id="new", single="turn:sora,hana", long="all:hana,riku"))
    (found,) = (each for each in buttons(floor.place) if each.id == "new")
    assert list(found.calls.values()) == ["turn:sora,hana", "all:hana,riku"]


def test_who_is_removed_is_named_with_the_buttons_of_their_groups(floor: Floor) -> None:
    assert remove_staff(floor.place, "sora").buttons == ("all", "free", "turn")


def test_who_was_not_called_along_cannot_take_the_call(floor: Floor) -> None:
    floor.staff("mei")
    floor.presses("all")
    event = answered(CallEvent.OK, floor.key())
    assert event.key
    assert volunteer(floor.place, "staff-mei", event.key) is None
    assert read(floor.place, "staff-mei").state is StaffState.IDLE
