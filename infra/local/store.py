"""One SQLite file and the one thread that writes it, with group commit."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from shadows.errors import Rejected

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MAX_BATCH: Final = (
    256  # a commit's fsync costs as much as about ten updates: more in one only makes the first ones wait
)
LOCK_WAIT_S: Final = 1.0  # a place that is just stopping lets go within this

log = logging.getLogger(__name__)


class StoreError(Exception):
    """The file cannot be used; the text is one sentence that names it and what to do."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    done: Future[Any] = field(default_factory=Future)


class Store:
    """A SQLite file in WAL with ``synchronous=FULL``, written by one thread.

    What queues up while one commit waits for the disk goes into the next one, so that durable work is limited by the
    processor and not by fsync. A future resolves only when its work is durable, in the order of the commits, on the
    writer's thread: so its callbacks are the place to announce what has happened. A batch that wrote nothing costs
    no fsync.

    Raises:
        StoreError: if the file cannot be made, read or written, or another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock, self._db = _opened(path)
        self._jobs: list[_Job] = []
        self._closed = False
        self._changed = threading.Condition()
        # A daemon: a process that crashes must end, and nothing was promised of what is not committed.
        self._writer = threading.Thread(target=self._write, name="store", daemon=True)
        self._writer.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Have ``work`` done inside a transaction on the writer's thread.

        Work may run twice, if a batch has to be rolled back: it must leave no trace but in the database.
        The future fails with what ``work`` raised, which then has written nothing; or with Rejected: 500, if the
        disk or the file fails; 503, if the store is closed.
        """
        job = _Job(work)
        with self._changed:
            if not self._closed:
                self._jobs.append(job)
                self._changed.notify()
                return job.done
        job.done.set_exception(Rejected(503, "The store is closed: the service is stopping"))
        return job.done

    def run(self, work: Work[T]) -> T:
        """Have ``work`` done, and wait until it is durable."""
        self.refuse_to_wait_here()
        return self.submit(work).result()

    def reader(self) -> sqlite3.Connection:
        """A connection of one's own that only reads, and waits for no writer; to be closed before the store is."""
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(
            uri, uri=True, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
        )

    def refuse_to_wait_here(self) -> None:
        """Raise RuntimeError on the writer's thread: it would wait for itself for ever."""
        if threading.current_thread() is self._writer:
            raise RuntimeError("the store's own thread cannot wait for the store; use submit")

    def close(self) -> None:
        """Finish what is queued, and let go of the file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._writer.join()

    def _write(self) -> None:
        while jobs := self._gathered():
            self._settle([job for job in jobs if job.done.set_running_or_notify_cancel()])
        with suppress(sqlite3.Error):  # a disk that fails while it folds the WAL in: the next start does that
            self._db.close()
        self._lock.close()

    def _gathered(self) -> list[_Job]:
        """What has queued up, at least one; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            jobs, self._jobs = self._jobs[:MAX_BATCH], self._jobs[MAX_BATCH:]
        return jobs

    def _settle(self, jobs: Sequence[_Job]) -> None:
        """All in one transaction; if that cannot be had, each in its own, so that only the guilty fail."""
        try:
            outcomes = self._transaction(jobs)
        except sqlite3.Error as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._settle([job])
                return
            log.exception("the store failed")
            outcomes = [Rejected(500, f"Internal service failure: {error}")]
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)

    def _transaction(self, jobs: Sequence[_Job]) -> list[Any]:
        """What each job returned or raised, all of it durable."""
        try:
            self._db.execute("BEGIN")
            outcomes = [self._outcome(job.work) for job in jobs]
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite itself roll back; anything else leaves that to us.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return outcomes

    def _outcome(self, work: Work[Any]) -> Any:
        try:
            with savepoint(self._db):
                return work(self._db)
        except sqlite3.Error:
            raise  # whether only this work is to blame, it shows alone
        except Exception as no:
            return no


@contextmanager
def savepoint(db: sqlite3.Connection) -> Iterator[None]:
    """A part of a transaction that is undone alone, if it raises.

    If SQLite has rolled all of it back already (a full disk), so is what comes after: its end raises.
    """
    db.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK TO part")
            db.execute("RELEASE part")
        raise
    db.execute("RELEASE part")


def _opened(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """The lock, and the file itself, ready for use."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(_advice(path.parent, str(error))) from error
    lock = _locked(path)
    try:
        return lock, _connected(path)
    except sqlite3.Error as error:
        lock.close()
        raise StoreError(_advice(path, str(error))) from error


def _locked(path: Path) -> sqlite3.Connection:
    """Hold the file for us alone, and let others still read it (a backup, the sqlite3 shell).

    SQLite's own lock, on an empty file beside it: it works on every system, and a process that is killed lets go.
    """
    beside = path.with_name(path.name + ".lock")
    lock = sqlite3.connect(beside, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if "locked" in str(error):
            raise StoreError(
                f"{path} is in use: stop the other staffcall run, or set STAFFCALL_DATA to another folder."
            ) from error
        raise StoreError(_advice(path, str(error))) from error
    return lock


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"its file system has no write-ahead log (journal mode {mode})")
        db.execute("PRAGMA synchronous=FULL")  # in WAL, NORMAL would lose the last commits with the power
        (health,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise sqlite3.DatabaseError(health)
    except BaseException:
        db.close()
        raise
    return db


def _advice(path: Path, reason: str) -> str:
    return f"{path} cannot be used ({reason}): move it away or make it writable, or set STAFFCALL_DATA to another folder."
