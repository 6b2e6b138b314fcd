"""One SQLite file that one thread at a time writes, with group commit."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeVar

from shadows.errors import Rejected

T = TypeVar("T")
Asked = TypeVar("Asked")
Work = Callable[[sqlite3.Connection], T]
# Many works of one kind: what each of those that were asked for returned, or raised when it had written nothing.
Works = Callable[[sqlite3.Connection, Sequence[Asked]], Sequence[T | Exception]]
Outcome = Callable[[], T]  # gives what work returned, or raises what it raised

MAX_BATCH: Final = (
    256  # a commit's fsync costs as much as about ten updates: more in one only makes the first ones wait
)
STOPPING: Final = "The store is closed: the service is stopping"
LOCK_WAIT_S: Final = 1.0  # a place that is just stopping lets go within this

log = logging.getLogger(__name__)


class StoreError(Exception):
    """The file cannot be used; the text is one sentence that names it and what to do."""


class DamagedError(StoreError):
    """The file is no database, or not a whole one any more."""


class _Abandoned(Exception):  # noqa: N818 - it is the error that it carries
    """Work raised ``error`` when it may have written something already."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True, slots=True)
class _Job:
    works: Works[Any, Any]
    asked: Any
    tell: Callable[[Outcome[Any]], object]
    is_wanted: Callable[[], bool]

    def settle(self, outcome: Any) -> None:
        try:
            self.tell(partial(_given, outcome))
        except Exception:
            log.exception("a bug where an outcome is told")


def settle(done: Future[T], outcome: Outcome[T]) -> None:
    """Give a future what there is, or why there is nothing."""
    try:
        done.set_result(outcome())
    except Exception as no:
        done.set_exception(no)


def _always() -> bool:
    return True


def _given(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class Store:
    """A SQLite file in WAL with ``synchronous=FULL``, written by one thread at a time.

    What queues up while one commit waits for the disk goes into the next one, so that durable work is limited by the
    processor and not by fsync. Who waits for its work writes itself, and with it what else has queued up, unless another
    does: to wake a thread and to be woken again takes longer than the work. What nobody waits for a thread of the store
    writes. A future resolves only when its work is durable, in the order of the commits, on the thread that wrote it: so
    its callbacks are the place to announce what has happened. A batch that wrote nothing costs no fsync.

    Attributes:
        damage: what was found to be damaged in the file since it was opened; "" if nothing.

    Raises:
        StoreError: if the file cannot be made, read or written, or another process has it open.
        DamagedError: if it is not whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock, self._db = _opened(path)
        self._jobs: list[_Job] = []
        self._closed = False
        self._writer = 0  # the thread that writes now; 0 if none does
        self.damage = ""
        self._changed = threading.Condition()
        # A daemon: a process that crashes must end, and nothing was promised of what is not committed.
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Have ``work`` done inside a transaction.

        Work may run twice, if a batch has to be rolled back: it must leave no trace but in the database.
        The future fails with what ``work`` raised, which then has written nothing; or with Rejected: 500, if the
        disk or the file fails; 503, if the store is closed.
        """
        return self._submitted(work, here=False)

    def _submitted(self, work: Work[T], *, here: bool) -> Future[T]:
        done: Future[T] = Future()
        self.tell(singly, work, partial(settle, done), here=here, is_wanted=done.set_running_or_notify_cancel)
        return done

    def tell(
        self,
        works: Works[Asked, T],
        asked: Asked,
        tell: Callable[[Outcome[T]], object],
        *,
        here: bool = False,
        is_wanted: Callable[[], bool] = _always,
    ) -> None:
        """The same for small works of one kind, of which those that queue up one after the other are done by one call of
        ``works``, and for whoever needs no future, which takes longer to make and settle than such work does: ``tell`` is
        called with the outcome, once that is durable.

        ``here``: this thread waits for it, and so may write. What is not wanted any more, once it is its turn, is not done.
        """
        job = _Job(works, asked, tell, is_wanted)
        with self._changed:
            closed = self._closed
            if not closed:
                self._jobs.append(job)
                here = here and not self._writer
                if here:
                    self._writer = threading.get_ident()
                elif not self._writer:
                    self._changed.notify()
        if closed:
            job.settle(Rejected(503, STOPPING))
        elif here:
            self._turn()

    def run(self, work: Work[T]) -> T:
        """Have ``work`` done, and wait until it is durable."""
        self.refuse_to_wait_here()
        return self._submitted(work, here=True).result()

    def reader(self) -> sqlite3.Connection:
        """A connection of one's own that only reads, and waits for no writer; to be closed before the store is."""
        return read_only(self._path)

    def refuse_to_wait_here(self) -> None:
        """Raise RuntimeError on the thread that writes now: it would wait for itself for ever."""
        if threading.get_ident() == self._writer:
            raise RuntimeError("the thread that writes the store cannot wait for the store; use submit")

    def close(self) -> None:
        """Finish what is queued, and let go of the file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _write(self) -> None:
        while self._has_turn():
            self._turn()
        with suppress(sqlite3.Error):  # a disk that fails while it folds the WAL in: the next start does that
            self._db.close()
        self._lock.close()

    def _has_turn(self) -> bool:
        """Wait until there is something to write that nobody else does; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writer and (self._jobs or self._closed))
            self._writer = threading.get_ident() if self._jobs else 0
            return bool(self._jobs)

    def _turn(self) -> None:
        """Write what has queued up, and let the next one write."""
        with self._changed:
            jobs, self._jobs = self._jobs[:MAX_BATCH], self._jobs[MAX_BATCH:]
        try:
            self._settle([job for job in jobs if job.is_wanted()])
        except BaseException:  # who waits here may be interrupted, and the others are not to wait for ever
            for job in jobs:
                job.settle(Rejected(503, STOPPING))
            raise
        finally:
            with self._changed:
                self._writer = 0
                if self._jobs or self._closed:
                    self._changed.notify()

    def _settle(self, jobs: Sequence[_Job]) -> None:
        """All in one transaction; if that cannot be had, each in its own, so that only the guilty fail."""
        try:
            outcomes = self._transaction(jobs)
        except (sqlite3.Error, _Abandoned) as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._settle([job])
                return
            outcomes = [self._blame(error)]
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.settle(outcome)

    def _blame(self, error: sqlite3.Error | _Abandoned) -> Exception:
        """What is told of the one work that could not be done; on the thread that writes."""
        if isinstance(error, _Abandoned):
            return error.error
        log.error("the store failed", exc_info=error)
        damage = damage_of(error)
        self.damage = damage or self.damage
        return Rejected(500, f"Internal service failure: {damage or error}")

    def _transaction(self, jobs: Sequence[_Job]) -> list[Any]:
        """What each job returned or raised, all of it durable."""
        try:
            self._db.execute("BEGIN")
            outcomes = [
                each for works, alike in groupby(jobs, _works) for each in self._outcomes(works, [*alike])
            ]
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite itself roll back; anything else leaves that to us.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return outcomes

    def _outcomes(self, works: Works[Any, Any], jobs: Sequence[_Job]) -> Sequence[Any]:
        """What each work of one kind returned; or raised, if it has written nothing.

        A savepoint for each would undo its part alone, but costs all others more than they write with.
        """
        try:
            outcomes = works(self._db, [job.asked for job in jobs])
        except sqlite3.Error:
            raise  # whether only one of them is to blame, it shows alone
        except Exception as error:
            raise _Abandoned(error) from error
        if not self._db.in_transaction:
            raise sqlite3.OperationalError("the transaction was undone")
        return outcomes


def singly(db: sqlite3.Connection, works: Sequence[Work[T]]) -> list[T | Exception]:
    """Works of all kinds, each for itself."""
    return [_done(db, work) for work in works]


def _done(db: sqlite3.Connection, work: Work[T]) -> T | Exception:
    written = db.total_changes
    try:
        outcome = work(db)
    except Rejected as no:
        if db.total_changes != written or not db.in_transaction:
            raise
        return no
    if not db.in_transaction:
        raise sqlite3.OperationalError("the transaction was undone")
    return outcome


def _works(job: _Job) -> Works[Any, Any]:
    return job.works


@contextmanager
def savepoint(db: sqlite3.Connection) -> Iterator[None]:
    """A part of a transaction that is undone alone, if it raises.

    If SQLite has rolled all of it back already (a full disk), its end raises, and nothing more may be written: that would
    be a transaction of its own.
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
    lock = locked(path)
    try:
        if damage := damage_in(path):
            raise DamagedError(_advice(path, damage))
        return lock, _connected(path)
    except StoreError:
        lock.close()
        raise
    except sqlite3.Error as error:
        lock.close()
        raise StoreError(_advice(path, str(error))) from error


def locked(path: Path) -> sqlite3.Connection:
    """Hold the file for us alone until this is closed, and let others still read it (a backup, the sqlite3 shell).

    SQLite's own lock, on an empty file beside it: it works on every system, and a process that is killed lets go.

    Raises:
        StoreError: another process holds it, or it cannot be made.
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


def damage_in(path: Path) -> str:
    """What is damaged in a file; "" if nothing.

    It is only read: whoever closes a file that he could write would fold its log in, and so change what is damaged.

    Raises:
        sqlite3.Error: it cannot be read at all.
    """
    if not path.exists() or not path.stat().st_size:
        return ""
    try:
        health = _health(path)
    except sqlite3.Error as error:
        if damage := damage_of(error):
            return damage
        raise
    return "" if health == "ok" else health.replace("\n", " ")


def _health(path: Path) -> str:
    try:
        with closing(read_only(path)) as db:
            return str(*db.execute("PRAGMA quick_check(1)").fetchone())
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    # A death in the first moments of a new file, which has no log yet: what was half written has to be undone.
    with closing(sqlite3.connect(path, timeout=LOCK_WAIT_S)) as db:
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    return _health(path)


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even when it is closed."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)


def damage_of(error: Exception) -> str:
    """What is damaged, if this was raised because the file is not what it should be; "" for what may pass."""
    if "decode to UTF-8" in str(error):  # it shows the text, which is nobody's business
        return "a text in it is not UTF-8"
    # Python raises the base class itself for SQLITE_CORRUPT and SQLITE_NOTADB, and a subclass for all else.
    return str(error) if type(error) is sqlite3.DatabaseError else ""


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"its file system has no write-ahead log (journal mode {mode})")
        db.execute("PRAGMA synchronous=FULL")  # in WAL, NORMAL would lose the last commits with the power
    except BaseException:
        db.close()
        raise
    return db


def _advice(path: Path, reason: str) -> str:
    mend = "free some space on its disk" if reason.endswith("full") else "move it away or make it writable"
    return f"{path} cannot be used ({reason}): {mend}, or set STAFFCALL_DATA to another folder."
