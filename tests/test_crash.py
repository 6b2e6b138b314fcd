"""Killed again and again: the short form of ``make soak``, and a disk that takes no more."""

import json
import socket
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import mqtt_wire as wire
from tests import soak_crash as soak
from tests.fake_slack import FakeSlack
from tests.shop import Shop
from tests.soak_crash import Death, Figures, Point


def test_a_call_survives_a_death_at_its_steps() -> None:
    figures = Figures()
    commits, sends = (Point.BEFORE_COMMIT,), (Point.BEFORE_SEND, Point.TAKEN, Point.ANSWERED)
    soak.at_every_step(soak.refused_handed_over_and_reset, 1, figures, commits, range(2, 20, 6))
    soak.at_every_step(soak.a_colleague_goes, 3, figures, commits, range(11, 17, 2))
    soak.at_every_step(soak.answered_and_done, 2, figures, sends, (1,))
    assert all(figures.kills[point] for point in (*commits, *sends)), figures
    assert figures.counts["call told"] >= 10, figures
    assert figures.counts["volunteers who go"] >= 3, figures


def test_a_crowd_loses_nothing_to_deaths_at_random() -> None:
    figures = Figures()
    soak.at_random(4, 15, figures)
    assert figures.kills.total() >= 15, figures
    assert figures.presses.total() >= 10, figures


def test_a_full_disk_refuses_presses_and_loses_none() -> None:
    figures = Figures()
    with soak.world(1, figures, calling_s=60, running_s=60) as here:
        visitors = [partial(soak.visits, here, n, 0.1) for n in range(2)]
        with soak.acting(here, *visitors, partial(soak.answers, here, always=True)) as ended:
            for full in ("page", "commit"):
                here.lives(Death(point=Point.RANDOM, after_s=0.5, full=full), 20)
            here.settle(ended)
    assert figures.counts[soak.REFUSED] >= 6, figures
    assert figures.presses.total() >= 10, figures


def test_a_press_whose_commit_fails_is_refused_and_nobody_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = threading.Event()

    class Connection(sqlite3.Connection):
        written = 0

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "BEGIN":
                self.written = self.total_changes
            if sql == "COMMIT" and fails.is_set() and self.written != self.total_changes:
                super().execute("ROLLBACK")  # so does SQLite
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *parameters)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Connection))
    with FakeSlack() as slack, Shop(tmp_path, slack) as shop:
        shop.furnish()
        host, _, port = shop.at.mqtt.partition(":")
        with wire.Wire(socket.create_connection((host, int(port)))) as device:
            device.send(
                wire.connect(), wire.subscribe("$aws/things/staff-hana/shadow/update/documents", qos=0)
            )
            assert [device.read().first for _ in range(2)] == [0x20, 0x90]
            fails.set()
            assert shop.press(id="the same") == (
                500,
                {"code": 500, "message": "Internal service failure: database or disk is full"},
            )
            fails.clear()
            assert {row["state"] for row in shop.history()} == {shop.state("hana")} == {"idle"}
            status, answer = shop.press(id="the same")
            heard = json.loads(device.message().payload)["current"]["state"]["desired"]
    assert (status, answer["repeat"]) == (200, False)
    assert (heard["call"]["id"], heard["call"]["count"]) == (answer["call"], 1)
