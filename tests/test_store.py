"""The store: what it promises is on the disk, and what fails fails alone."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from infra.local.store import Store, StoreError, savepoint, singly
from shadows.errors import Rejected

HOME = Path(__file__).parent.parent  # so that "python -c" finds the packages


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "some" / "store.sqlite")
    store.run(lambda db: db.execute("CREATE TABLE seen (n INTEGER PRIMARY KEY, body BLOB)"))
    yield store
    store.close()


def put(n: int, size: int = 0) -> Any:
    return lambda db: db.execute("INSERT INTO seen VALUES (?, zeroblob(?))", (n, size)).rowcount


def seen(store: Store) -> list[int]:
    return [n for (n,) in store.run(lambda db: db.execute("SELECT n FROM seen ORDER BY n").fetchall())]


def held(store: Store) -> threading.Event:
    """Keep the writer busy until the event is set, so that what is submitted meanwhile is one batch."""
    go, busy = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        busy.set()
        assert go.wait(10)

    store.submit(wait)
    assert busy.wait(10)
    return go


def test_what_waits_together_is_committed_together(store: Store) -> None:
    commits: list[str] = []
    store.run(lambda db: db.set_trace_callback(commits.append))
    go = held(store)
    futures = [store.submit(put(n)) for n in range(100)]
    go.set()
    assert [future.result(10) for future in futures] == [1] * 100
    store.run(lambda db: db.set_trace_callback(None))
    assert commits.count("COMMIT") <= 4  # of the trace, of the holder, of the hundred


def test_futures_resolve_in_the_order_of_the_commits_and_after_them(store: Store) -> None:
    order: list[int] = []
    durable: list[bool] = []

    def after(n: int) -> Any:
        def note(_: "Future[Any]") -> None:
            order.append(n)
            durable.append(not store._db.in_transaction)

        return note

    go = held(store)
    futures = [store.submit(put(n)) for n in range(50)]
    for n, future in enumerate(futures):
        future.add_done_callback(after(n))
    go.set()
    for future in futures:
        future.result(10)
    assert seen(store)[:50] == order == list(range(50))
    assert all(durable)


def test_sixteen_threads_lose_nothing(store: Store) -> None:
    def write(first: int) -> None:
        for n in range(first, first + 50):
            store.run(put(n))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 800, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen(store) == list(range(800))


@pytest.mark.parametrize("error", [Rejected(409, "no"), KeyError("a bug"), sqlite3.IntegrityError("ours")])
def test_who_fails_has_written_nothing_and_fails_alone(store: Store, error: Exception) -> None:
    def guilty(db: sqlite3.Connection) -> None:
        put(50)(db)
        raise error

    go = held(store)
    futures = [
        store.submit(put(1)),
        store.submit(guilty),
        store.submit(put(2)),
        store.submit(put(2)),
        store.submit(put(3)),
    ]
    go.set()
    failed = [type(future.exception(10)) for future in futures]
    wrong = Rejected if isinstance(error, sqlite3.Error) else type(error)
    assert failed == [type(None), wrong, type(None), Rejected, type(None)]
    assert seen(store) == [1, 2, 3]


def test_a_full_disk_refuses_with_500_and_is_forgotten_when_there_is_room(store: Store) -> None:
    store.run(put(1))
    store.run(lambda db: db.execute("PRAGMA max_page_count=20").fetchall())
    go = held(store)
    small, big, after = store.submit(put(2)), store.submit(put(3, 1_000_000)), store.submit(put(4))
    go.set()
    no = big.exception(10)
    assert isinstance(no, Rejected)
    assert (no.code, no.message) == (500, "Internal service failure: database or disk is full")
    assert (small.result(10), after.result(10)) == (1, 1)
    store.run(lambda db: db.execute("PRAGMA max_page_count=100000").fetchall())
    store.run(put(3, 1_000_000))
    assert seen(store) == [1, 2, 3, 4]


def test_what_comes_after_a_full_disk_is_no_transaction_of_its_own(store: Store) -> None:
    """SQLite undoes all of it then, also for who thinks nothing of it; what is written next would stand at once, and twice."""
    store.run(lambda db: db.execute("PRAGMA max_page_count=20").fetchall())

    def careless(db: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            put(2, 1_000_000)(db)

    for first, second in ((put(1), careless), (careless, put(3))):
        go = held(store)
        futures = [store.submit(first), store.submit(second), store.submit(_added)]
        go.set()
        failed = [each for each in futures if each.exception(10)]
        assert len(failed) == 1
        assert isinstance(failed[0].exception(), Rejected)
        assert futures[2].result() == 1, "once"
        store.run(lambda db: db.execute("DELETE FROM seen WHERE n >= 100"))
    assert seen(store) == [1, 3]


def _added(db: sqlite3.Connection) -> int:
    db.execute("INSERT INTO seen (n) SELECT 100 + count(*) FROM seen WHERE n >= 100")
    return int(db.execute("SELECT count(*) FROM seen WHERE n >= 100").fetchone()[0])


def test_a_commit_that_fails_is_no_success(store: Store, tmp_path: Path) -> None:
    store.run(lambda db: db.execute("PRAGMA busy_timeout=10").fetchall())
    other = sqlite3.connect(tmp_path / "some" / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # somebody with the sqlite3 shell
    with pytest.raises(Rejected, match="locked") as no:
        store.run(put(1))
    assert no.value.code == 500
    other.execute("COMMIT")
    other.close()
    store.run(put(2))
    assert seen(store) == [2]


def test_reading_writes_nothing(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "some" / "store.sqlite-wal"
    store.run(put(1))
    before = log.stat()
    for _ in range(20):
        assert seen(store) == [1]
    after = log.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_part_can_be_undone_alone(store: Store) -> None:
    def work(db: sqlite3.Connection) -> None:
        put(1)(db)
        with suppress(KeyError), savepoint(db):
            put(2)(db)
            raise KeyError
        put(3)(db)

    store.run(work)
    assert seen(store) == [1, 3]


def test_closing_finishes_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.run(lambda db: db.execute("CREATE TABLE seen (n INTEGER PRIMARY KEY, body BLOB)"))
    go = held(store)
    futures = [store.submit(put(n)) for n in range(500)]
    closing = threading.Thread(target=store.close)
    closing.start()
    go.set()
    closing.join(10)
    assert all(future.done() and future.result() == 1 for future in futures)
    with pytest.raises(Rejected) as no:
        store.run(put(1000))
    assert no.value.code == 503
    store.close()
    again = Store(tmp_path / "store.sqlite")
    assert len(seen(again)) == 500
    again.close()


def test_who_gave_up_waiting_gets_nothing_done(store: Store) -> None:
    go = held(store)
    given_up, other = store.submit(put(1)), store.submit(put(2))
    assert given_up.cancel()
    go.set()
    other.result(10)
    assert seen(store) == [2]


def test_who_cannot_bear_to_hear_an_outcome_keeps_nobody_from_theirs(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    go, heard = held(store), list[object]()

    def fail(outcome: Callable[[], object]) -> None:
        heard.append(outcome())
        raise RuntimeError

    store.tell(singly, put(1), fail)
    other = store.submit(put(2))
    go.set()
    other.result(10)
    assert (heard, seen(store)) == ([1], [1, 2])
    assert "a bug where an outcome is told" in caplog.text


def test_the_writer_does_not_wait_for_itself(store: Store) -> None:
    with pytest.raises(RuntimeError, match="cannot wait for the store"):
        store.run(lambda _: store.run(put(1)))


def test_who_waits_writes_unless_another_does(store: Store) -> None:
    assert store.run(lambda _: threading.get_ident()) == threading.get_ident()
    assert store.submit(lambda _: threading.get_ident()).result(10) != threading.get_ident()
    go = held(store)
    waiting = threading.Thread(target=lambda: threads.append(store.run(lambda _: threading.get_ident())))
    threads: list[int] = []
    waiting.start()
    go.set()
    waiting.join(10)
    assert len(threads) == 1


def test_who_is_interrupted_while_it_writes_leaves_nobody_waiting(store: Store) -> None:
    """Ctrl-C comes to the main thread, which may be the one that writes, also for others."""
    store._writer = threading.get_ident()  # its turn has begun, and others come
    others = [store.submit(put(1)), store.submit(_interrupt), store.submit(put(2))]
    with pytest.raises(KeyboardInterrupt):
        store._turn()
    refused = [each.exception(10) for each in others]
    assert all(isinstance(each, Rejected) and each.code == 503 for each in refused)
    with pytest.raises(KeyboardInterrupt):
        store.run(_interrupt)
    assert store.submit(put(3)).result(10) == 1
    assert seen(store) == [3]


def _interrupt(_: sqlite3.Connection) -> int:
    raise KeyboardInterrupt


def test_a_second_process_on_the_same_folder_is_told_so(store: Store, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from infra.local.store import Store, StoreError\n"
        "try: Store(Path(sys.argv[1])).close()\n"
        "except StoreError as no: print(no)"
    )
    path = tmp_path / "some" / "store.sqlite"
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, cwd=HOME
    )
    assert told.stdout.strip() == (
        f"{path} is in use: stop the other staffcall run, or set STAFFCALL_DATA to another folder."
    )
    assert told.stderr == ""
    reader = sqlite3.connect(path)  # a backup may read
    assert reader.execute("SELECT count(*) FROM seen").fetchone() == (0,)
    reader.close()


def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    garbage, folder, blocked = tmp_path / "garbage.sqlite", tmp_path / "folder.sqlite", tmp_path / "file"
    garbage.write_bytes(b"no database at all" * 100)
    folder.mkdir()
    blocked.write_text("")
    for path in (garbage, folder, blocked / "store.sqlite"):
        with pytest.raises(StoreError) as no:
            Store(path)
        assert str(path if path.parent != blocked else blocked) in str(no.value)
        assert "STAFFCALL_DATA" in str(no.value)
        assert "\n" not in str(no.value)


def test_a_damaged_file_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.run(lambda db: db.execute("CREATE TABLE seen (n INTEGER PRIMARY KEY, body BLOB)"))
    for n in range(50):
        store.run(put(n, 3000))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 40_000 + whole[48_192:])
    with pytest.raises(StoreError, match="cannot be used"):
        Store(path)


def test_a_death_before_there_was_a_log_is_undone_at_the_start(tmp_path: Path) -> None:
    """A new file has a rollback journal until it is told to keep a log; who dies just then leaves it behind."""
    path, half = tmp_path / "store.sqlite", tmp_path / "half"
    with closing(sqlite3.connect(half, isolation_level=None)) as db:
        db.execute("CREATE TABLE seen (n INTEGER PRIMARY KEY, body BLOB)")
        put(1)(db)
        db.execute("PRAGMA cache_size=1")  # so that pages reach the file before the transaction ends
        db.execute("BEGIN")
        for n in range(2, 100):
            put(n, 3000)(db)
        for part in ("", "-journal"):
            shutil.copy(f"{half}{part}", f"{path}{part}")
        db.execute("ROLLBACK")
    with closing(Store(path)) as store:
        assert store.run(lambda db: db.execute("SELECT n FROM seen").fetchall()) == [(1,)]


# --- kill -9

WRITER = """
import json, sys, threading, time
from pathlib import Path
from infra.local.service import LocalShadows, ShadowService
from infra.local.store import Store

shadows = LocalShadows(ShadowService(Store(Path(sys.argv[1])), clock=lambda: 1_000, announce=lambda messages: None))
lock = threading.Lock()

def write(thing):
    while True:
        version = shadows.update(thing, reported={"n": time.time_ns()})
        with lock:
            sys.stdout.write(f"{thing} {version}\\n")
            sys.stdout.flush()

for n in range(4):
    threading.Thread(target=write, args=(f"thing-{n}",), daemon=True).start()
threading.Event().wait()
"""


def acknowledged(path: Path, kill_after_s: float) -> dict[str, list[int]]:
    """What a process said it had written before it was killed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=HOME
    )
    assert writer.stdout
    first = writer.stdout.readline()
    time.sleep(kill_after_s)
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read()
    writer.wait()
    writer.stdout.close()
    versions: dict[str, list[int]] = {}
    for line in (first + rest).splitlines(keepends=True):
        if line.endswith("\n"):
            thing, version = line.split()
            versions.setdefault(thing, []).append(int(version))
    return versions


def test_ten_kills_lose_no_acknowledged_update_and_repeat_no_version(tmp_path: Path) -> None:
    path, last = tmp_path / "store.sqlite", dict.fromkeys((f"thing-{n}" for n in range(4)), 0)
    dice = random.Random(1)
    for _ in range(10):
        for thing, versions in acknowledged(path, dice.uniform(0.02, 0.1)).items():
            assert versions == list(range(versions[0], versions[0] + len(versions)))
            assert versions[0] > last[thing], "a version was said twice"
            last[thing] = versions[-1]
        store = Store(path)
        rows = dict(store.run(lambda db: db.execute("SELECT thing, document FROM shadows").fetchall()))
        store.close()
        for thing, said in last.items():
            assert json.loads(rows[thing])["version"] >= said if said else True, (
                "an acknowledged update is lost"
            )
            last[thing] = json.loads(rows[thing])["version"] if thing in rows else 0
    assert max(last.values()) > 20
