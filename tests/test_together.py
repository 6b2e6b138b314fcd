"""What is asked for together is done together, and told to each alone."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from infra.local.store import MAX_BATCH, Store, settle
from shadows.errors import Rejected
from tests.test_store import held, put, seen


class Counting:
    """Each number asked for is written; -1 is refused, and a multiple of 1000 is more than the file can bear."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.store.run(lambda db: db.execute("CREATE TABLE seen (n INTEGER PRIMARY KEY, body BLOB)"))
        self.asked: list[list[int]] = []

    def work(self, db: sqlite3.Connection, asked: Sequence[int]) -> list[int | Exception]:
        self.asked.append([*asked])
        for n in asked:
            if n >= 0:
                put(n)(db)
            if n % 1000 == 0:
                raise sqlite3.OperationalError("this one is too much")
        return [Rejected(400, "below zero") if n < 0 else 2 * n for n in asked]

    def ask(self, n: int, *, here: bool = False) -> Future[int]:
        done: Future[int] = Future()
        self.store.tell(self.work, n, partial(settle, done), here=here)
        return done


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Counting]:
    counting = Counting(tmp_path / "store.sqlite")
    yield counting
    counting.store.close()


def test_what_waits_is_one_work_in_its_order(counting: Counting) -> None:
    go = held(counting.store)
    futures = [counting.ask(n) for n in (5, 3, -1, 4)]
    go.set()
    assert [future.exception(10) for future in futures][:2] == [None, None]
    assert [futures[n].result() for n in (0, 1, 3)] == [10, 6, 8]
    with pytest.raises(Rejected, match="below zero"):
        futures[2].result()
    assert counting.asked == [[5, 3, -1, 4]]
    assert seen(counting.store) == [3, 4, 5]


def test_too_many_have_several_turns(counting: Counting) -> None:
    go = held(counting.store)
    futures = [counting.ask(n) for n in range(1, 2 * MAX_BATCH + 2)]
    go.set()
    assert [future.result(10) for future in futures] == [2 * n for n in range(1, 2 * MAX_BATCH + 2)]
    assert [len(asked) for asked in counting.asked] == [MAX_BATCH, MAX_BATCH, 1]
    assert [n for asked in counting.asked for n in asked] == [*range(1, 2 * MAX_BATCH + 2)]


def test_only_the_guilty_fail(counting: Counting) -> None:
    go = held(counting.store)
    futures = [counting.ask(n) for n in (1, 1000, 2, -1, 2000, 3)]
    go.set()
    assert [futures[n].result(10) for n in (0, 2, 5)] == [2, 4, 6]
    for n, code in ((1, 500), (3, 400), (4, 500)):
        refused = futures[n].exception(10)
        assert isinstance(refused, Rejected)
        assert refused.code == code
    assert seen(counting.store) == [1, 2, 3], "what the guilty had written is undone"


def test_who_is_alone_is_to_blame_alone(counting: Counting) -> None:
    assert isinstance(counting.ask(1000).exception(10), Rejected)
    assert counting.ask(1).result(10) == 2
    assert seen(counting.store) == [1]


def test_what_has_to_be_done_again_is_done_for_the_same(counting: Counting) -> None:
    go = held(counting.store)
    first = counting.ask(1)
    failing = counting.store.submit(
        lambda db: db.execute("INSERT INTO nowhere VALUES (1)")
    )  # in the same batch
    go.set()
    assert isinstance(failing.exception(10), Rejected)
    assert first.result(10) == 2
    assert counting.asked == [[1], [1]]
    assert seen(counting.store) == [1]


def test_who_waits_writes_for_the_others_too(counting: Counting) -> None:
    assert counting.ask(1, here=True).done(), "nobody else was at it"
    assert counting.store.run(lambda _: threading.get_ident()) == threading.get_ident()


def test_once_the_store_is_closed_each_is_told_so(counting: Counting) -> None:
    counting.store.close()
    for n in (1, 2):
        refused = counting.ask(n, here=n == 2).exception(10)
        assert isinstance(refused, Rejected)
        assert refused.code == 503
