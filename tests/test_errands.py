"""The thread of errands: what has just happened comes first, and nothing that goes wrong ends it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from infra.local.alerter import Alerter
from infra.local.errands import Errand, Errands, Later, Pace
from shadows.alerts import Outcome
from shadows.staff import Asked
from shadows.telling import Attempt, unrecorded
from tests import memory
from tests.shop import until


class Noted(Errands[str]):
    """Looks at everybody once; ``act`` is what is to be done for a thing."""

    def __init__(self, people: int, act: Callable[[str], Errand | None], at_once: int = 1) -> None:
        super().__init__("noted", Pace(first_pause_s=0.01, longest_pause_s=0.01, at_once=at_once))
        self.people = [f"staff-{n}" for n in range(people)]
        self.act = act
        self.looked: list[str] = []

    def everybody(self) -> Iterator[str]:
        return iter(self.people)

    def look(self, thing: str) -> Errand | None:
        self.looked.append(thing)
        return self.act(thing)


@contextmanager
def running(errands: Noted) -> Iterator[Noted]:
    errands.start()
    try:
        yield errands
    finally:
        errands.stop()


def test_what_has_just_happened_waits_for_no_round() -> None:
    def act(thing: str) -> None:
        if thing == "staff-0":
            noted.wake("staff-called")
            noted.wake("staff-500")

    noted = Noted(1000, act)
    with running(noted):
        until(lambda: len(noted.looked) > 1000, "the whole round")
    assert noted.looked[:3] == ["staff-0", "staff-called", "staff-500"]
    assert noted.looked.count("staff-500") == 1


def test_a_machine_without_a_thread_left_has_it_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start, failed, done = threading.Thread.start, threading.Event(), threading.Event()

    def begun(thread: threading.Thread) -> None:
        if thread is not noted._thread and thread.name == "noted" and not failed.is_set():
            failed.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    def errand() -> bool:
        done.set()
        return False

    noted = Noted(1, lambda _: errand, at_once=2)
    monkeypatch.setattr(threading.Thread, "start", begun)
    with running(noted):
        assert done.wait(20)
    assert failed.is_set()


def test_what_has_to_wait_is_not_tried_sooner_because_a_round_came_meanwhile() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def errand() -> bool:
        begun.set()
        go_on.wait(20)
        raise Later(3600)

    noted = Noted(1, lambda _: errand, at_once=2)
    with running(noted):
        assert begun.wait(20)
        noted.due("staff-0")
        go_on.set()
        until(lambda: not noted._busy, "its end")
        noted.act = lambda _: None
        noted.due("staff-1")
        until(lambda: "staff-1" in noted.looked, "the one after it")
        assert noted.looked == ["staff-0", "staff-1"]


def test_what_happens_while_it_is_being_done_is_looked_at_after_that() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def errand() -> bool:
        begun.set()
        return not go_on.wait(20)

    noted = Noted(1, lambda _: errand, at_once=2)
    with running(noted):
        assert begun.wait(20)
        noted.wake("staff-0")
        go_on.set()
        until(lambda: len(noted.looked) == 2, "another look")


def test_whom_alerts_did_not_reach_is_no_trouble_any_more_once_they_are_removed() -> None:
    shop = memory.Shop()
    hana, sora = shop.staff("hana"), shop.staff("sora")
    alerter = Alerter(shop.place, sender=None, note=unrecorded)  # type: ignore[arg-type]
    for thing in (hana, sora):
        attempt = Attempt(
            thing=thing, asked=Asked(), kind="alert sms", outcome=Outcome.REFUSED, reason="21211"
        )
        alerter._noted(attempt)
    shop.place.things.delete(hana)
    alerter.everybody()
    assert [trouble.thing for trouble in alerter.troubles()] == [sora]
