"""Every event may come more than once, late, at the same time as others, and over a crash: it counts once."""

import itertools
import json
import random
import socket
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count, cycle, repeat
from typing import Any, ClassVar, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from button_handlers import doors as button_doors
from shadows.calls import Place, Timing, read
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from shadows.reset import Alarm, ring, sweep
from shadows.shadow import JsonObject, Thing
from shadows.staff import BUSY, Asked, Call, CallEvent, ClickType, Event, Key, Staff, answered, pressed
from shadows.telling import Mention, untold
from slack_bridge import doors as slack_doors
from tests import mqtt_wire as wire
from tests.fake_slack import FakeSlack, signed
from tests.memory import MemoryShadows, Shop
from tests.shop import SIGNING_SECRET
from tests.shop import Shop as RealShop
from tests.test_settling import Functions

BACKUPS: Final = {"hana": "sora", "sora": "riku", "riku": "hana", "lone": ""}
BOOTHS: Final = ("main", "hall", "cafe", "desk")
GROUPS: Final = {how: f"{how}:hana,sora,lone" for how in ("all", "turn")}
LEGAL: Final = {
    ("idle", "calling"): {"press", "handover"},
    ("idle", "running"): {"ok"},  # of a volunteer
    ("idle", "away"): {"away"},
    ("calling", "running"): {"ok"},
    # A press or a hand-over, where somebody else got the same call in that very moment.
    ("calling", "idle"): {"no", "done", "cancel", "missed", "expired", "press", "handover"},
    ("calling", "away"): {"away"},
    ("running", "idle"): {"no", "done", "cancel", "ended", "expired"},
    ("running", "away"): {"away"},
    ("away", "idle"): {"back"},
    ("away", "away"): {"press", "handover"},
}


class Crash(BaseException):
    """The process dies here."""


def die() -> None:
    raise Crash


class Shadows(MemoryShadows):
    """Shadows at whose n-th write something happens."""

    def __init__(self) -> None:
        super().__init__()
        self._left, self._after, self._act = 0, False, die

    @contextmanager
    def nth(self, n: int, act: Callable[[], None], *, after: bool = False) -> Iterator[None]:
        """``act`` just before, or just after, the n-th write from now on."""
        self._left, self._after, self._act = n, after, act
        try:
            yield
        finally:
            self._left = 0

    def update(self, thing: str, **sections: Any) -> int:
        self._left -= 1
        is_it, after = self._left == 0, self._after
        if is_it and not after:
            self._act()
        version = super().update(thing, **sections)
        if is_it and after:
            self._act()
        return version


class Side:
    """A place in memory with all its ways in: three people who stand in for each other, and one who is alone."""

    def __init__(self, quiet: frozenset[str] = frozenset()) -> None:
        """``quiet``: who wants not to be disturbed."""
        self.shop, self.quiet = Shop(), quiet
        self.shadows = self.shop.shadows = Shadows()
        self.shop.place = replace(
            self.shop.place,
            shadows=self.shadows,
            timing=Timing(quiet_s=20),
            is_quiet=lambda thing: thing.removeprefix("staff-") in quiet,
        )
        for name, backup in BACKUPS.items():
            self.shop.staff(name, backup)
        whom = {**{name: name for name in BACKUPS}, **GROUPS}
        for (name, single), booth in itertools.product(whom.items(), BOOTHS):
            button = {"single": single, "booth": booth}
            self.shop.things.create(Thing(name=f"button-{name}-{booth}", type="button", attributes=button))
        self.buttons = button_doors.Services(place=self.shop.place, unknown=self, token="button")
        self.slack = slack_doors.Services(place=self.shop.place, outgoing_token="outgoing", lang="en")
        self.alarms: dict[tuple[str, str, int], Alarm] = {}
        self.alive_since = 0

    def note(self, button: str, at: int, door: str) -> None:
        raise AssertionError(f"{button} is known")

    def twin(self) -> "Side":
        """Another one in which the same has happened."""
        other = Side(self.quiet)
        other.shop.now, other.shop.told = self.shop.now, list(self.shop.told)
        other.shadows.kept, other.shadows.written = dict(self.shadows.kept), list(self.shadows.written)
        other.shop.things.kept = dict(self.shop.things.kept)
        other.alarms, other.alive_since = dict(self.alarms), self.alive_since
        return other

    people = tuple(f"staff-{name}" for name in BACKUPS)

    def staff(self) -> list[Staff]:
        return [read(self.shop.place, thing) for thing in self.people]

    def ring(self, alarm: tuple[str, str, int]) -> None:
        """An alarm as it comes from a queue."""
        message = json.dumps(self.alarms[alarm].document())
        ring(self.shop.place, Alarm.read(json.loads(message)))

    def swept(self) -> None:
        def fail(thing: str, error: Exception) -> None:
            raise error

        list(sweep(self.shop.place, self.people, on_error=fail))

    def starts(self) -> None:
        """After a crash: whoever was sending is dead, and everybody is looked at."""
        self.alive_since = self.shop.now + 1
        self.swept()

    def deliver(self, thing: str) -> None:
        version = -1
        while version != (version := read(self.shop.place, thing).version):  # what has waited for it follows
            if untold(self.shop.place, thing):
                self.shop.deliver(thing, alive_since=self.alive_since)

    def look(self) -> None:
        """Keep every alarm that was ever needed."""
        for thing in self.people:
            if alarm := Alarm.of(thing, read(self.shop.place, thing)):
                self.alarms[thing, alarm.state, alarm.since] = alarm

    def said(self) -> Counter[tuple[str, str, str, int]]:
        told = [each for each in self.shop.told if isinstance(each, Mention)]
        counts = Counter((each.kind, each.thing, each.booth, each.call.at) for each in told)
        counts["expired", "", "", 0] = sum(each for each in self.shop.told if isinstance(each, int))
        return counts


def picture(place: Place, *things: str) -> dict[str, Any]:
    """What these people's shadows say; a call by its booth and its first press, for its id is by chance."""
    pictures = {}
    for thing in things:
        staff = read(place, thing)
        halves = map(_of_nameless, (staff.asked, staff.told))
        waiting = [_nameless(call) for call in staff.waiting]
        pictures[thing] = (*halves, waiting, staff.told_at, staff.until)
    return pictures


def _nameless(call: Call) -> Call:
    return replace(call, id=f"{call.booth} {call.at}")


def _of_nameless(asked: Asked) -> Asked:
    return replace(asked, call=_nameless(asked.call))


class Record:
    """What was written in a place, each write once, and what became of each press.

    A call's presses are over once it ends and nobody else has it; those of a call that came to another of its booth are
    in that one's count.
    """

    def __init__(self, side: Side, *, crashed: bool = False) -> None:
        self.side, self.crashed = side, crashed
        self._read_to = 0
        self._last: dict[str, Staff] = {}
        self._presses: Counter[str] = Counter()  # of each booth, whose call is not over
        self._over: Counter[str] = Counter()  # of each call, by its id

    def of(self, side: Side, *, crashed: bool = False) -> "Record":
        """The same record, which goes on with what is written in a twin."""
        other = Record(side, crashed=crashed)
        other._read_to, other._last = self._read_to, dict(self._last)
        other._presses, other._over = Counter(self._presses), Counter(self._over)
        return other

    def pressed(self, booth: str, times: int = 1) -> None:
        self.check()
        self._presses[booth] += times

    def check(self) -> None:
        """Every change is one that the rules allow."""
        written = self.side.shadows.written
        for thing, shadow in written[self._read_to :]:
            if not thing.startswith("staff-"):
                continue
            now = Staff.read(shadow)
            was = self._last.setdefault(thing, now)
            if now.asked.since != was.asked.since or now.state is not was.state:
                assert now.asked.since > was.asked.since
                assert now.asked.why in LEGAL[(was.state, now.state)]
                self._close(was, now)
            self._last[thing] = now
        self._read_to = len(written)

    def holds(self, *, exactly: bool = True) -> None:
        """No press is lost, or counted twice, nobody is called twice or waits for who is free."""
        self.loses_none(exactly=exactly)
        ids = [call.id for call in self._held()]
        assert len(ids) == len(set(ids)), f"two have the same call: {ids}"
        for staff in self.side.staff():
            assert not staff.waiting or staff.state in BUSY or staff.nobody_left

    def loses_none(self, *, exactly: bool = False) -> None:
        """Each press is in a call that somebody has, though after a crash two may have it."""
        self.check()
        held = self._held()
        counts = self._counts(held)
        assert not self._presses - counts, f"lost: of {self._presses} presses {counts} are known: {held}"
        assert counts == self._presses or not exactly, f"{counts} for {self._presses} presses: {held}"

    def _held(self) -> list[Call]:
        everybody = self.side.staff()
        waiting = [call for staff in everybody for call in staff.waiting]
        return [staff.call for staff in everybody if staff.state in BUSY] + waiting

    def _counts(self, held: list[Call]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for call in held:
            counts[call.booth] += self._more(call)
        return counts

    def _more(self, call: Call) -> int:
        """Its presses that were not over before; after a crash what one had ended may go on with another."""
        return call.count if self.crashed else call.count - self._over[call.id]

    def _close(self, was: Staff, now: Staff) -> None:
        over = [now.call] if now.call.end and not now.call.to else []
        if now.asked.why is CallEvent.EXPIRED:  # who waited for as long is gone, too
            over += [call for call in was.waiting if call not in now.waiting]
        for call in over:
            self._presses[call.booth] = max(0, self._presses[call.booth] - self._more(call))
            self._over[call.id] = call.count


# The ways in: what is sent, to any side


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Something that is sent to a place, and may be sent again.

    Attributes:
        thing: whose shadow knows it again, by ``key``; "" for somebody's.
        send: sends it once more.
    """

    thing: str
    key: Key
    send: Callable[[Side], None]

    def is_known(self, side: Side) -> bool:
        """Whether it need be known again: it is one of the last 16 events, and without an id of its own 2 s old at most."""
        who = [self.thing] if self.thing else side.people
        return any(self.key.in_(read(side.shop.place, each).seen, side.shop.now) for each in who)


def pressed_by_http(person: str, booth: str, id: str) -> Sent:
    body = {"button": f"{person}-{booth}", "click": "SINGLE"} | ({"id": id} if id else {})
    request = button_doors.Request(headers={"x-staffcall-token": "button"}, body=json.dumps(body).encode())
    return _press("webhook", person, body, lambda side: button_doors.on_webhook(request, side.buttons).code)


def pressed_by_mqtt(person: str, booth: str, id: str) -> Sent:
    body = {"button": f"{person}-{booth}", "click": "SINGLE"} | ({"id": id} if id else {})
    topic, payload = f"staffcall/buttons/{person}-{booth}/press", json.dumps(body).encode()
    return _press(
        "mqtt", person, body, lambda side: button_doors.on_message(topic, payload, side.buttons).code
    )


def _press(door: str, person: str, body: dict[str, str], send: Callable[[Side], int]) -> Sent:
    within_ms = 0 if "id" in body else 2000
    key = Key(door=door, sender=body["button"], id=body.get("id", "SINGLE"), within_ms=within_ms)
    return Sent(thing="" if person in GROUPS else f"staff-{person}", key=key, send=_taken(send))


def said_by_form(person: str, text: str, ts: str) -> Sent:
    form = {"token": "outgoing", "channel_id": "C0", "timestamp": ts, "user_id": _user(person), "text": text}
    body = urllib.parse.urlencode(form).encode()
    return _answer(person, ts, lambda side: slack_doors.open_door("outgoing", body, {}, side.slack).status)


def said_by_event(person: str, text: str, ts: str) -> Sent:
    message = {"type": "message", "channel": "C0", "user": _user(person), "text": text, "ts": ts}
    payload = {"type": "event_callback", "event": message}
    return _answer(person, ts, lambda side: slack_doors.event_answer(payload, side.slack).status)


def said_by_command(person: str, text: str, ts: str) -> Sent:
    form = {"channel_id": "C0", "user_id": _user(person), "command": "/call", "trigger_id": ts, "text": text}
    return _answer(person, ts, lambda side: slack_doors.command_answer(form, side.slack).status)


def _answer(person: str, ts: str, send: Callable[[Side], int]) -> Sent:
    key = Key(door="slack", sender=_user(person), id=f"C0:{ts}")
    return Sent(thing=f"staff-{person}", key=key, send=_taken(send))


def _user(person: str) -> str:
    return f"U{person.upper()}"


def _taken(send: Callable[[Side], int]) -> Callable[[Side], None]:
    """A refusal is an answer, too, if as many as can be kept wait already."""

    def sent(side: Side) -> None:
        assert send(side) in (200, 429)

    return sent


# Whatever happens

people = st.sampled_from(sorted(BACKUPS))
callers = st.sampled_from([*sorted(BACKUPS), *GROUPS])
booths = st.sampled_from(BOOTHS[:3])
texts = st.sampled_from(["ok, 2 min", "no", "done", "away", "back"])
ways_to_press = st.sampled_from([pressed_by_http, pressed_by_mqtt])
ways_to_say = st.sampled_from([said_by_form, said_by_event])
times = st.integers(1, 5)
deaths = st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=2)
Deaths = list[tuple[int, bool]]


class AnyHistory(RuleBasedStateMachine):
    """Two places in which the same happens: to one just once, to the other again and again, and over crashes.

    Attributes:
        figures: how many steps were taken in all histories (those in which nothing can happen are not counted), and how
            often the other place died in them.
    """

    figures: ClassVar[Counter[str]] = Counter()

    @initialize()
    def open(self) -> None:
        self.once, self.often = Side(), Side()
        self.sent: list[Sent] = []
        self.crashes = 0
        self.at_once = False  # then a press that goes and comes back in that very moment may count twice
        self.record = Record(self.once)

    # What happens

    @rule(person=callers, booth=booths, way=ways_to_press, named=st.booleans(), times=times, deaths=deaths)
    def press(
        self, person: str, booth: str, way: Callable[..., Sent], named: bool, times: int, deaths: Deaths
    ) -> None:
        sent = way(person, booth, self.new_id() if named else "")
        if not sent.is_known(self.once):  # two within two seconds are one, where they have no id
            self.record.pressed(booth)
        self.happens(sent, times, deaths)

    @rule(person=people, text=texts, way=ways_to_say, times=times, deaths=deaths)
    def answer(self, person: str, text: str, way: Callable[..., Sent], times: int, deaths: Deaths) -> None:
        self.happens(way(person, text, self.new_id()), times, deaths)

    @rule(person=people, minutes=st.sampled_from([1, 10]), times=times, deaths=deaths)
    def go_away_for_a_time(self, person: str, minutes: int, times: int, deaths: Deaths) -> None:
        self.happens(said_by_command(person, f"away {minutes}m", self.new_id()), times, deaths)

    @rule(back=st.integers(1, 16), times=times)
    def come_again_late(self, back: int, times: int) -> None:
        if len(self.sent) >= back and self.sent[-back].is_known(self.often):
            self.pass_(0.01)
            for _ in range(times):
                self.sent[-back].send(self.often)
            self.compare()

    @rule(back=st.integers(1, 8), times=times, deaths=deaths)
    def ring(self, back: int, times: int, deaths: Deaths) -> None:
        alarms = sorted(self.once.alarms)
        if len(alarms) >= back:
            self.acts(lambda side: side.ring(alarms[-back]), times, deaths)

    @rule(seconds=st.sampled_from([1, 25, 200, 1000]), times=times, deaths=deaths)
    def wait(self, seconds: int, times: int, deaths: Deaths) -> None:
        self.pass_(seconds)
        self.acts(Side.swept, times, deaths)

    @rule(person=people, times=times, deaths=deaths)
    def slack_hears(self, person: str, times: int, deaths: Deaths) -> None:
        self.acts(lambda side: side.deliver(f"staff-{person}"), times, deaths)

    @rule(person=callers, booth=booths, at=st.integers(1, 3))
    def come_twice_at_once(self, person: str, booth: str, at: int) -> None:
        """The second arrives while the first is about to write."""
        self.record.pressed(booth)
        sent = pressed_by_http(person, booth, self.new_id())
        with self.often.shadows.nth(at, lambda: sent.send(self.often)):
            self.happens(sent, 1, [])

    @rule(person=callers, booth=booths, other=people, text=texts, at=st.integers(1, 3))
    def come_with_an_answer(self, person: str, booth: str, other: str, text: str, at: int) -> None:
        """Somebody answers while a press is about to be written: either may have been first."""
        self.at_once = True
        self.record.pressed(booth)
        press, answer = (
            pressed_by_http(person, booth, self.new_id()),
            said_by_form(other, text, self.new_id()),
        )
        self.pass_(0.01)
        with self.once.shadows.nth(at, lambda: answer.send(self.once)):
            press.send(self.once)
        answer.send(self.once)  # if there were not so many writes
        self.often = self.once.twin()
        self.sent += [press, answer]
        self.compare()

    # How it happens

    def new_id(self) -> str:
        self.numbers = getattr(self, "numbers", 0) + 1
        return f"{self.numbers}.0"

    def pass_(self, seconds: float) -> None:
        for side in (self.once, self.often):
            side.shop.now += int(1000 * seconds)

    def happens(self, sent: Sent, times: int, deaths: Deaths) -> None:
        self.acts(sent.send, times, deaths)
        self.sent.append(sent)

    def acts(self, act: Callable[[Side], None], times: int, deaths: Deaths) -> None:
        """To the one once; to the other so many times, after it has died so many times at a write."""
        self.pass_(0.01)
        act(self.once)
        crashes = self.crashes
        for at, after in deaths:
            try:
                with self.often.shadows.nth(at, die, after=after):
                    act(self.often)
            except Crash:
                self.crashes += 1
                self.figures["deaths"] += 1
                self.often.starts()
        for _ in range(times):
            act(self.often)
        if self.crashes > crashes:
            self.once.swept()
            self.often.swept()
        self.compare()

    # What must hold

    def compare(self) -> None:
        self.figures["steps"] += 1
        self.once.look()
        self.often.look()
        once, often = (picture(side.shop.place, *side.people) for side in (self.once, self.often))
        assert often == once
        assert not self.once.said() - self.often.said(), "a crash kept something from being said"
        assert (self.often.said() - self.once.said()).total() <= self.crashes

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        self.record.holds(exactly=not self.at_once)


def test_any_history(capsys: pytest.CaptureFixture[str]) -> None:
    if settings.get_current_profile_name() != "soak":
        run_state_machine_as_test(AnyHistory, settings=settings(max_examples=20, stateful_step_count=30))
        return
    run_state_machine_as_test(AnyHistory)
    with capsys.disabled():
        print("\nany history:", ", ".join(f"{n} {what}" for what, n in AnyHistory.figures.items()))
    assert AnyHistory.figures["steps"] >= 100_000


# What such histories have found, each told alone. "Meanwhile" is just before the n-th write of a press.


@pytest.fixture
def side() -> Side:
    return Side()


def press(side: Side, person: str, booth: str) -> None:
    side.shop.now += 10
    pressed_by_http(person, booth, str(side.shop.now)).send(side)


def say(side: Side, person: str, text: str) -> None:
    side.shop.now += 10
    said_by_form(person, text, str(side.shop.now)).send(side)


def held(side: Side) -> dict[str, list[str]]:
    """Whose call each person has and keeps waiting, by booth."""
    found = {}
    for name in BACKUPS:
        staff = read(side.shop.place, f"staff-{name}")
        calls = [staff.call] if staff.state in BUSY else []
        if each := [call.booth for call in (*calls, *staff.waiting)]:
            found[name] = each
    return found


def presses(side: Side, booth: str) -> int:
    """How many of a booth are in the calls that somebody has, or that wait."""
    return sum(call.count for staff in side.staff() if (call := staff.call_of(booth)))


def test_a_waiting_call_that_comes_back_can_be_passed_on_once_more(side: Side) -> None:
    side.shop.things.update("staff-sora", {"backup": "hana"})
    for person, booth in (("sora", "main"), ("hana", "cafe"), ("hana", "hall")):
        press(side, person, booth)
    for step in (("hana", "away"), ("hana", "back"), ("sora", "away"), ("sora", "back"), ("hana", "away")):
        say(side, *step)
        for thing in side.people:
            side.deliver(thing)
        if step == ("hana", "back"):
            press(side, "hana", "desk")
    told = [(each.kind, each.booth) for each in side.shop.told if isinstance(each, Mention)]
    assert "hall" in chain(*held(side).values()) or ("nobody", "hall") in told


def test_who_comes_back_while_a_call_is_passed_on_is_not_called_as_well(side: Side) -> None:
    press(side, "sora", "main")
    say(side, "riku", "away")
    with side.shadows.nth(2, lambda: (say(side, "riku", "back"), say(side, "sora", "ok"))[0]):
        press(side, "sora", "hall")  # Hana has it
    assert held(side) == {"sora": ["main"], "hana": ["hall"]}


def test_who_was_away_when_their_call_was_passed_on_is_not_called_as_well(side: Side) -> None:
    say(side, "hana", "away")
    with side.shadows.nth(2, lambda: say(side, "hana", "back")):
        press(side, "hana", "main")  # Sora has it
    assert held(side) == {"sora": ["main"]}


def test_a_press_that_is_sent_again_after_a_crash_stays_with_who_took_it(side: Side) -> None:
    press(side, "sora", "main")
    say(side, "riku", "away")
    sent = pressed_by_http("sora", "hall", "the same")
    with pytest.raises(Crash), side.shadows.nth(2, die):
        sent.send(side)  # Hana has it
    say(side, "riku", "back")
    sent.send(side)
    assert held(side) == {"sora": ["main"], "hana": ["hall"]}


@pytest.mark.parametrize("at", [1, 2])
def test_a_waiting_call_that_is_passed_on_is_not_taken_as_well(side: Side, at: int) -> None:
    for person, booth in (("hana", "main"), ("sora", "cafe"), ("riku", "desk"), ("hana", "hall")):
        press(side, person, booth)
    say(side, "riku", "ok")
    say(side, "riku", "done")
    with side.shadows.nth(at, lambda: say(side, "hana", "done")):
        press(side, "hana", "hall")  # Riku is asked for it
    assert [*chain(*held(side).values())].count("hall") == 1


def test_a_waiting_call_that_was_passed_on_before_a_crash_waits_no_more(side: Side) -> None:
    say(side, "riku", "away")
    for person, booth in (("hana", "main"), ("sora", "desk"), ("hana", "cafe")):
        press(side, person, booth)
    say(side, "sora", "ok")
    say(side, "sora", "done")
    sent = pressed_by_http("riku", "cafe", "the same")
    with pytest.raises(Crash), side.shadows.nth(2, die):
        sent.send(side)  # Sora has it, by way of Hana
    sent.send(side)
    assert held(side) == {"hana": ["main"], "sora": ["cafe"]}


def test_nobody_is_asked_for_what_they_had_passed_on_before_a_crash(side: Side) -> None:
    for person, booth in (("sora", "desk"), ("hana", "main"), ("riku", "cafe"), ("hana", "hall")):
        press(side, person, booth)
    say(side, "sora", "done")
    sent = pressed_by_http("hana", "hall", "the same")
    with pytest.raises(Crash), side.shadows.nth(3, die):
        sent.send(side)  # Sora has it, with this press
    say(side, "sora", "no")  # Riku has it
    say(side, "hana", "done")
    assert held(side) == {"riku": ["cafe", "hall"]}
    sent.send(side)
    assert (held(side), presses(side, "hall")) == ({"riku": ["cafe", "hall"]}, 2)


def test_who_waits_for_another_call_of_the_booth_waits_on_after_a_crash(side: Side) -> None:
    for person, booth in (("hana", "main"), ("sora", "desk"), ("riku", "cafe"), ("hana", "hall")):
        press(side, person, booth)
    say(side, "sora", "done")
    sent = pressed_by_http("riku", "hall", "the same")
    with pytest.raises(Crash), side.shadows.nth(1, die, after=True):
        sent.send(side)  # Sora has it: Hana was not asked, for she is busy
    sent.send(side)
    assert held(side) == {"hana": ["main", "hall"], "sora": ["hall"], "riku": ["cafe"]}


def test_who_is_away_keeps_what_waits_when_a_press_of_the_booth_comes_twice(side: Side) -> None:
    press(side, "hana", "main")
    for person in ("sora", "riku"):
        say(side, person, "away")
    press(side, "hana", "hall")
    say(side, "hana", "away")
    say(side, "sora", "back")
    assert held(side) == {"hana": ["hall"]}
    sent = pressed_by_http("riku", "hall", "the same")
    with pytest.raises(Crash), side.shadows.nth(1, die, after=True):
        sent.send(side)  # Sora has it: Hana was not asked, for she is away
    sent.send(side)
    assert held(side) == {"hana": ["hall"], "sora": ["hall"]}


def test_a_call_that_comes_back_while_it_is_passed_on_is_not_lost(side: Side) -> None:
    say(side, "riku", "away")
    press(side, "hana", "main")
    with side.shadows.nth(2, lambda: say(side, "sora", "no")):
        press(side, "hana", "hall")  # Sora has it, and cannot come
    assert held(side) == {"hana": ["main", "hall"]}


def test_who_refuses_while_a_call_is_passed_on_to_them_has_it_alone(side: Side) -> None:
    """Sora says "no" to the call of a press, and hers joins the one that waits for Hana; then the press calls her."""
    say(side, "sora", "away")
    say(side, "riku", "away")
    press(side, "hana", "main")
    press(side, "hana", "hall")
    say(side, "sora", "back")
    press(side, "sora", "hall")
    with side.shadows.nth(1, lambda: say(side, "sora", "no")):
        press(side, "riku", "hall")  # by way of Hana, who is busy, to Sora
    assert held(side) == {"hana": ["main"], "sora": ["hall"]}
    assert presses(side, "hall") == 3


def test_an_ok_that_comes_twice_does_not_end_a_call_that_has_moved_on(side: Side) -> None:
    """Hana's call waited for Sora, by way of whom it went to Riku: he answers, nobody else goes."""
    press(side, "sora", "main")
    press(side, "hana", "hall")
    say(side, "riku", "away")
    say(side, "hana", "away")
    say(side, "riku", "back")
    press(side, "hana", "hall")
    assert held(side) == {"sora": ["main"], "riku": ["hall"]}
    side.shop.now += 10
    sent = said_by_form("riku", "ok", str(side.shop.now))
    for _ in range(3):
        sent.send(side)
    assert read(side.shop.place, "staff-riku").state == "running"


def test_a_press_that_comes_again_late_costs_no_other_press_of_its_booth(side: Side) -> None:
    press(side, "hana", "main")
    say(side, "sora", "away")
    say(side, "riku", "away")
    sent = pressed_by_http("sora", "hall", "the same")
    with pytest.raises(Crash), side.shadows.nth(1, die, after=True):
        sent.send(side)  # it waits with Hana
    say(side, "riku", "back")
    press(side, "riku", "cafe")
    press(side, "riku", "hall")
    sent.send(side)
    assert held(side) == {"hana": ["main", "hall"], "riku": ["cafe", "hall"]}
    assert presses(side, "hall") == 2


def test_a_press_for_a_call_that_waits_moves_that_call(side: Side) -> None:
    say(side, "sora", "away")
    say(side, "riku", "away")
    press(side, "hana", "main")
    press(side, "hana", "hall")
    (waiting,) = read(side.shop.place, "staff-hana").waiting
    say(side, "sora", "back")
    press(side, "hana", "hall")
    moved = read(side.shop.place, "staff-sora").call
    assert (moved.id, moved.count) == (waiting.id, 2)


def test_a_waiting_call_keeps_its_presses_on_its_way(side: Side) -> None:
    for person, booth in (("sora", "cafe"), ("hana", "main"), ("hana", "hall"), ("hana", "hall")):
        press(side, person, booth)
    say(side, "riku", "away")
    say(side, "hana", "away")
    waiting = {call.booth: call.count for call in read(side.shop.place, "staff-sora").waiting}
    assert waiting == {"main": 1, "hall": 2}


def test_two_calls_of_a_booth_that_meet_keep_every_press(side: Side) -> None:
    for person in ("hana", "hana", "hana", "sora"):
        press(side, person, "main")
    say(side, "hana", "no")
    assert read(side.shop.place, "staff-sora").call.count == 4


# The queue of AWS may bring each message more than once, and in any order; and a function may be run again.


class Stack(Functions):
    """The functions of a stack, with everybody's messages in one queue."""

    def __init__(self) -> None:
        super().__init__()
        self.place = replace(self.place, timing=Timing(quiet_s=1_000_000))
        self.settler = self.made()
        self.queue: list[tuple[int, JsonObject]] = []

    def invoke(self, event: Event, thing: str, times: int) -> None:
        for _ in range(times):
            with self.settler.settled():
                self.record(thing, event)

    def empty_queue(self, seconds: int, times: Iterator[int], chance: random.Random) -> None:
        """Bring each message when it is due, so many times, and those that are due together in any order."""
        end = self.shop.now + 1000 * seconds
        while True:
            self.queue += [(self.shop.now + 1000 * delay, message) for message, delay in self.taken()]
            due = [message for at, message in self.queue if at <= self.shop.now]
            self.queue = [each for each in self.queue if each[0] > self.shop.now]
            brought = [message for message in due for _ in range(next(times))]
            chance.shuffle(brought)
            for message in brought:
                assert self.settler.take([("id", json.dumps(message))]) == []
            if self.shop.now >= end and not due:
                return
            self.shop.now = min([end, *(at for at, _ in self.queue)]) if not due else self.shop.now


def _asked(stack: Stack) -> list[tuple[Any, ...]]:
    """What is asked of everybody and told; not when, for that is by the pace of the queue."""
    seen = picture(stack.place, stack.hana, stack.sora).values()
    return [(replace(asked, since=0), replace(told, since=0), waiting) for asked, told, waiting, *_ in seen]


happenings = st.one_of(
    st.tuples(st.just("press"), st.sampled_from(["hana", "sora"]), st.sampled_from(["main", "hall"])),
    st.tuples(
        st.sampled_from(["ok", "no", "done", "away", "back"]), st.sampled_from(["hana", "sora"]), st.just("")
    ),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from(["60", "200", "400"])),
)


@given(
    happens=st.lists(happenings, max_size=8),
    times=st.lists(st.integers(1, 3), min_size=1),
    seed=st.integers(),
)
def test_messages_of_the_queue_and_functions_that_run_again_change_nothing(
    happens: list[tuple[str, str, str]], times: list[int], seed: int
) -> None:
    once, often = Stack(), Stack()
    for n, (what, person, booth) in enumerate(happens):
        key = Key(door="test", sender=person, id=str(n))
        for stack, each in ((once, repeat(1)), (often, cycle(times))):
            if what == "wait":
                stack.empty_queue(int(booth), each, random.Random(seed))
                continue
            event = answered(CallEvent(what), key) if what != "press" else None
            stack.invoke(
                event or pressed(booth, ClickType.SINGLE, key, stack.shop.now), f"staff-{person}", next(each)
            )
            stack.empty_queue(10, each, random.Random(seed))
    assert _asked(often) == _asked(once)
    assert often.shop.kinds() == once.shop.kinds()


# The same over real sockets.


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealShop]:
    data = tmp_path_factory.mktemp("repeats")
    with FakeSlack() as slack, RealShop(data, slack, calling_s=300, running_s=300) as shop:
        yield shop


def http_press(shop: RealShop, button: str) -> None:
    assert shop.press(button, id="the same")[0] == 200


def mqtt_press(shop: RealShop, button: str) -> None:
    """QoS 1, sent again with DUP by a device that has lost its connection before PUBACK."""
    host, _, port = shop.at.mqtt.partition(":")
    sent = wire.publish(f"staffcall/buttons/{button}/press", b'{"click": "SINGLE", "id": "the same"}', 7)
    with socket.create_connection((host, int(port)), 10) as device:
        device.sendall(wire.connect("a-device") + bytes([sent[0] | 0x08]) + sent[1:])
        heard = b""
        while not heard.endswith(wire.puback(7)):
            heard += device.recv(64)


@pytest.mark.parametrize("way", [http_press, mqtt_press])
def test_a_press_that_comes_five_times_counts_once(
    shop: RealShop, way: Callable[[RealShop, str], None]
) -> None:
    name = way.__name__.replace("_", "-")
    add_staff(shop.place, NewStaff(id=name, name=name))
    add_button(shop.place, NewButton(id=name, single=name, booth=name))
    for _ in range(5):
        way(shop, name)
    assert (shop.asked(name)["state"], shop.asked(name)["call"]["count"]) == ("calling", 1)


def by_the_webhook(shop: RealShop, user: str, text: str, ts: str) -> None:
    shop.says(user, text, timestamp=ts)


def by_the_events_api(shop: RealShop, user: str, text: str, ts: str) -> None:
    """Slack says how often it has tried; that is no part of what it signs."""
    event = {"type": "message", "channel": "C0CALLS", "user": user, "text": text, "ts": ts}
    body = json.dumps({"type": "event_callback", "event_id": "Ev1", "event": event}).encode()
    headers = {
        "X-Slack-Retry-Num": "1",
        "X-Slack-Retry-Reason": "http_timeout",
        "Content-Type": "application/json",
    }
    headers |= signed(body, SIGNING_SECRET, time.time())
    assert shop.ask("/slack/events", body, **headers)[0] == 200


@pytest.mark.parametrize("way", [by_the_webhook, by_the_events_api])
def test_an_ok_that_comes_again_after_the_call_is_over_answers_no_other(
    shop: RealShop, way: Callable[[RealShop, str, str, str], None]
) -> None:
    name = way.__name__.replace("_", "-")
    user = f"U0{name.replace('-', '').upper()}"
    add_staff(shop.place, NewStaff(id=name, name=name, slack=user))
    add_button(shop.place, NewButton(id=name, single=name, booth=name))
    shop.press(name, id="first")
    way(shop, user, "ok", "1.000100")
    assert shop.state(name) == "running"
    way(shop, user, "done", "2.000100")
    shop.press(name, id="second")
    for _ in range(5):
        way(shop, user, "ok", "1.000100")
    assert shop.state(name) == "calling"


def test_a_thousand_presses_at_once_are_each_counted_once(shop: RealShop) -> None:
    """Fifty for each of twenty, while they answer, go away and come back, and while somebody writes their shadows."""
    names = [f"t{n}" for n in range(20)]
    for name in names:
        add_staff(shop.place, NewStaff(id=name, name=name, slack=f"U0{name.upper()}"))
        add_button(shop.place, NewButton(id=name, single=name, booth=name))
    presses = [(name, n) for n in range(50) for name in names]
    answered_200: list[tuple[str, str, bool]] = []
    pressing, start = threading.Event(), threading.Barrier(16 + 3)
    pressing.set()

    def press_all(mine: list[tuple[str, int]]) -> None:
        start.wait()
        for name, n in mine:
            status, answer = shop.press(name, id=str(n))
            while status >= 500:  # refused, and said so: a button tries again
                status, answer = shop.press(name, id=str(n))
            answered_200.append((name, answer["call"], answer["repeat"]))

    def go_on(act: Callable[[str, int], object]) -> None:
        start.wait()
        for n in count():
            if not pressing.is_set():
                return
            act(names[n % 20], n)

    texts = ("ok", "done", "ok", "away", "no", "back")
    others: list[Callable[[str, int], object]] = [
        lambda name, n: shop.says(f"U0{name.upper()}", texts[n // 20 % 6], timestamp=f"{n}.000100"),
        lambda name, n: shop.place.shadows.update(f"staff-{name}", reported={"role": str(n)}),
        lambda name, n: shop.place.shadows.get(f"staff-{name}"),
    ]
    with ThreadPoolExecutor(16 + 3) as pool:
        writers = [pool.submit(go_on, act) for act in others]
        pressers = [pool.submit(press_all, presses[n::16]) for n in range(16)]
        try:
            for each in pressers:
                each.result()
        finally:
            pressing.clear()
        for each in writers:
            each.result()
    assert (len(answered_200), any(repeat for _, _, repeat in answered_200)) == (1000, False)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for row in shop.history():
        if (name := row["thing"].removeprefix("staff-")) in counts and row["call"]:
            counts[name][row["call"]] = max(counts[name][row["call"]], row["count"])
    assert {name: calls.total() for name, calls in counts.items()} == dict.fromkeys(names, 50)
    assert {(name, call) for name, call, _ in answered_200} == {
        (name, call) for name, calls in counts.items() for call in calls
    }
