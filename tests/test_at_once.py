"""Two things happen to the same people at once, after any history: no order of their reads and writes loses a press.

The one is held just before one of its reads or writes while the other goes as far as one of its own; then the first
goes on to its end, and after it the second. All such orders are tried.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shadows import calls
from tests.test_repeats import BACKUPS, BOOTHS, Crash, Record, Sent, Side, die, pressed_by_http, said_by_form

Happening = tuple[str, str]
PEOPLE: Final = st.sampled_from(sorted(BACKUPS))
WORDS: Final = ("ok, 2 min", "no", "done", "away", "back")
HAPPENINGS: Final = st.tuples(PEOPLE, st.sampled_from((*BOOTHS[:3], *BOOTHS[:3], *WORDS)))
LONGEST_S: Final = 20


class Held:
    """A thread that stops before its n-th look at a shadow, or write to one, until it is let go."""

    def __init__(self, act: Callable[[], None], n: int) -> None:
        self.left = n
        self._act, self._stopped, self._go = act, threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def starts(self) -> None:
        """Run up to the n-th, or to the end if there are not so many."""
        self._thread.start()
        assert self._stopped.wait(LONGEST_S)

    def ends(self) -> None:
        self._go.set()
        self._thread.join(LONGEST_S)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error

    def comes_by(self) -> None:
        """What is called before each look and write, in whatever thread."""
        if threading.current_thread() is self._thread:
            self.left -= 1
            if self.left == 0:
                self._stopped.set()
                assert self._go.wait(LONGEST_S)

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self._error = error
        finally:
            self._stopped.set()


@contextmanager
def seen_by(side: Side, *held: Held) -> Iterator[None]:
    """Have each look and write come by these threads."""
    get, update = side.shadows.get, side.shadows.update

    def through(do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **named: Any) -> Any:
            for each in held:
                each.comes_by()
            return do(*args, **named)

        return done

    side.shadows.get, side.shadows.update = through(get), through(update)  # type: ignore[method-assign]
    yield
    side.shadows.get, side.shadows.update = get, update  # type: ignore[method-assign]


def sent(happening: Happening, number: int) -> Sent:
    person, what = happening
    return (said_by_form if what in WORDS else pressed_by_http)(person, what, f"{number}.0")


def orders(side: Side, first: Sent, second: Sent) -> Iterator[Side]:
    """What each order of the two makes of a place."""
    for i in itertools.count(1):
        for j in itertools.count(1):
            other = side.twin()
            one, two = Held(partial(first.send, other), i), Held(partial(second.send, other), j)
            with seen_by(other, one, two):
                one.starts()
                two.starts()
                one.ends()
                two.ends()
            yield other
            if two.left > 0:
                break
        if one.left > 0:
            return


def happen(
    side: Side, record: Record, happenings: list[Happening], first: int = 0, *, told: bool = False
) -> None:
    """One after the other; the channel hears of each before the next, or of none."""
    for number, each in enumerate(happenings, first):
        pressed(record, each)
        sent(each, number).send(side)
        if told:
            for thing in side.people:
                side.deliver(thing)
        side.shop.now += 10


def pressed(record: Record, happening: Happening, times: int = 1) -> None:
    if happening[1] not in WORDS:
        record.pressed(happening[1], times)


@settings(max_examples=settings().max_examples // 2)
@example(
    before=[("sora", "main"), ("sora", "hall"), ("riku", "cafe")],
    first=("riku", "main"),
    second=("sora", "no"),
    told=True,
    quiet=frozenset(),
)
@example(
    before=[
        ("sora", "away"),
        ("riku", "away"),
        ("hana", "main"),
        ("hana", "hall"),
        ("sora", "back"),
        ("sora", "hall"),
    ],
    first=("riku", "hall"),
    second=("sora", "no"),
    told=False,
    quiet=frozenset(),
)
@example(
    before=[("hana", "main"), ("riku", "hall"), ("sora", "main")],
    first=("hana", "no"),
    second=("sora", "no"),
    told=False,
    quiet=frozenset(),
)
@given(
    before=st.lists(HAPPENINGS, max_size=7),
    first=HAPPENINGS,
    second=HAPPENINGS,
    told=st.booleans(),
    quiet=st.frozensets(PEOPLE, max_size=2),
)
def test_no_order_of_two_events_loses_a_press_or_calls_two(
    before: list[Happening], first: Happening, second: Happening, told: bool, quiet: frozenset[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_pause", lambda _attempt: None)
        side = Side(quiet)
        record = Record(side)
        happen(side, record, before, told=told)
        for each in (first, second):
            pressed(record, each)
        for other in orders(side, sent(first, 100), sent(second, 101)):
            record.of(other).holds(
                exactly=False
            )  # who says ok and leaves at once may be one who went, and one who did not


@settings(max_examples=settings().max_examples // 2)
@example(
    before=[("hana", "main"), ("sora", "away"), ("riku", "away")],
    first=("sora", "hall"),
    meanwhile=[("riku", "back"), ("riku", "cafe"), ("riku", "hall")],
    quiet=frozenset(),
)
@given(
    before=st.lists(HAPPENINGS, max_size=7),
    first=HAPPENINGS,
    meanwhile=st.lists(HAPPENINGS, max_size=4),
    quiet=st.frozensets(PEOPLE, max_size=2),
)
def test_an_event_that_comes_again_long_after_a_crash_loses_no_press(
    before: list[Happening], first: Happening, meanwhile: list[Happening], quiet: frozenset[str]
) -> None:
    """The first dies just before or just after each of its writes; other things happen before it comes again, if it does."""
    side = Side(quiet)
    record = Record(side)
    happen(side, record, before)
    for n in itertools.count(1):
        for after in (False, True):
            other = side.twin()
            known = record.of(other, crashed=True)
            pressed(known, first)
            again = sent(first, 100)
            try:
                with other.shadows.nth(n, die, after=after):
                    again.send(other)
            except Crash:
                other.starts()
            else:
                return
            taken = any(again.key.in_(staff.seen, other.shop.now) for staff in other.staff())
            if not taken:
                pressed(known, first, -1)
            happen(other, known, meanwhile, 200)
            known.loses_none()
            if not taken:
                pressed(known, first)
            again.send(other)
            known.loses_none()
