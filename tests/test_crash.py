"""Killed again and again: the short form of ``make soak``, and a disk that is full."""

from functools import partial

from tests import soak_crash as soak
from tests.soak_crash import Death, Figures, Point


def test_a_call_survives_a_death_at_its_steps() -> None:
    figures = Figures()
    commits, sends = (Point.BEFORE_COMMIT,), (Point.BEFORE_SEND, Point.TAKEN, Point.ANSWERED)
    soak.at_every_step(soak.refused_handed_over_and_reset, 1, figures, commits, range(2, 20, 3))
    soak.at_every_step(soak.refused_handed_over_and_reset, 2, figures, sends, (1,))
    assert all(figures.kills[point] for point in (*commits, *sends)), figures
    assert figures.counts["call told"] >= 10, figures


def test_a_crowd_loses_nothing_to_deaths_at_random() -> None:
    figures = Figures()
    soak.at_random(4, 15, figures)
    assert figures.kills.total() >= 15, figures
    assert figures.counts["presses answered"] >= 10, figures


def test_a_full_disk_refuses_presses_and_loses_none() -> None:
    figures = Figures()
    with soak.world(1, figures, calling_s=60, running_s=60) as here:
        visitors = [partial(soak.visits, here, n, 0.1) for n in range(2)]
        with soak.acting(here, *visitors, partial(soak.answers, here, always=True)) as ended:
            for _ in range(2):
                here.lives(Death(point=Point.RANDOM, after_s=0.5, full=True), 20)
            here.settle(ended)
    assert figures.counts[soak.REFUSED] >= 2, figures
    assert figures.counts["presses answered"] >= 10, figures
