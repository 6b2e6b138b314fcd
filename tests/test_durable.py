"""What is accepted stays: after kill -9, on a full disk, in a damaged file; and what cannot be kept is refused."""

import asyncio
import http.client
import json
import logging
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from infra.local import rescue
from infra.local.rescue import opened
from infra.local.store import Store, StoreError
from infra.local.twin import Loop
from shadows.document import UpdateRequest, apply
from tests import soak_store as soak
from tests.asking import EVERYTHING, Door, Mqtt, Rest, Twin, twin
from tests.fake_slack import FakeSlack
from tests.shop import ROOT, Shop, get, until
from tests.soak_crash import Death, Point, Wrong
from tests.soak_store import STAFFCALL, Figures, Update, World

PAGE: Final = 4096
FILE: Final = "staffcall.sqlite3"
FILLS: Final = (b"\0" * PAGE, b"\xff" * PAGE, bytes(random.Random(1).randbytes(PAGE)))


# --- kill -9


def test_nothing_that_was_accepted_is_lost_by_a_kill() -> None:
    figures = Figures()
    steps = [
        Death(point=point, n=n, linger_s=linger_s)
        for point in (Point.BEFORE_COMMIT, Point.AFTER_COMMIT)
        for n, linger_s in ((2, 0), (8, 0), (12, 0.02), (15, 0), (25, 0), (40, 0))
    ]
    starts = [Death(point=Point.START, after_s=0.01 * n) for n in range(5)]
    anywhere = [Death(point=Point.RANDOM, after_s=0.03 * n) for n in range(10)]
    with World.made(1, figures) as world:
        for death in (*starts, *steps, *anywhere):
            world.dies(death)
        for death in anywhere[::2]:
            world.dies(death, real=True)
    assert figures.kills.total() >= 30, figures
    assert min(figures.kills[step.point] for step in steps) >= 3, figures
    assert figures.counts["answered 200"] >= 100, figures
    assert figures.counts["committed, and not answered"], f"no death came in between: {figures}"


def test_each_version_is_given_once_and_a_conflict_is_one() -> None:
    figures = Figures()
    with World.made(2, figures) as world:
        codes = soak.in_order(*world.lives_through(600))
    assert codes[200] >= 100, codes
    assert codes[409] >= 30, codes


def of(version: int, client: str = "c1", code: int = 200, **more: Any) -> Update:
    """An update; all of them are under way at the same time, unless it is said otherwise."""
    state = {"reported": {"last": {"by": client, "n": version}}}
    given = {"named": None, "state": state, "answered": 9, **more}
    return Update(client=client, n=version, thing="lamp", code=code, version=version, **given)


def keep(path: Path, text: str, version: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE shadows (thing, name, version, document)")
        db.execute("INSERT INTO shadows VALUES ('lamp', '', ?, ?)", (version, text))
        db.commit()


@pytest.mark.parametrize(
    ("updates", "word"),
    [
        ([of(1), of(2), of(2, client="c3")], "given twice"),
        ([of(1)], "given to nobody"),
        ([of(1), of(2, named=2)], "at the version that it names"),
        ([of(1), of(2), of(5)], "lost"),
        ([of(1), of(2), of(9, named=2, code=409, sent=10, answered=11)], "refused without a reason"),
        ([of(1), of(2), of(9, code=500)], "refused"),
        ([of(1), of(2, client="c9")], "should be"),
        ([of(2, answered=1), of(1, sent=2)], "went back"),
    ],
)
def test_the_judge_sees_each_wrong(tmp_path: Path, updates: list[Update], word: str) -> None:
    path = tmp_path / FILE
    last = {"reported": {"last": {"by": "c1", "n": 2}}}
    stamp = {"reported": {"last": {"by": {"timestamp": 0}, "n": {"timestamp": 0}}}}
    text = json.dumps({"state": last, "metadata": stamp, "version": 2}, separators=(",", ":"))
    keep(path, text, 2)
    soak.Judge(path, Figures()).take([of(1), of(2)])
    with pytest.raises(Wrong, match=word):
        soak.Judge(path, Figures()).take(updates)


def test_the_judge_finds_the_place_of_what_was_not_answered(tmp_path: Path) -> None:
    """Of versions 1, 3 and 4 nobody was told; who made 3 had been told of 2."""
    updates = [
        of(1, "c3", code=0),
        of(2, "c1", answered=1),
        of(3, "c1", code=0, sent=5),
        of(4, "c5", code=0),
    ]
    document = None
    for each in updates:
        common = {each.client: {"n": each.n}, "last": {"by": each.client, "n": each.n}}
        each.state = {"desired": common, "reported": common}
        document = apply(document, UpdateRequest(state=each.state), 0)
    assert document
    keep(tmp_path / FILE, document.text, 4)
    soak.Judge(tmp_path / FILE, Figures()).take(updates)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """A kill cannot see this one: what the kernel holds outlives the process, and only the power takes it."""
    with closing(Store(tmp_path / FILE)) as store:
        assert store.run(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)
        assert store.run(lambda db: db.execute("PRAGMA journal_mode").fetchone()) == ("wal",)


# --- A log whose end the power took


def test_a_log_that_ends_in_the_middle_has_all_that_was_committed_before(tmp_path: Path) -> None:
    path, chance = tmp_path / "whole" / FILE, random.Random(1)
    with closing(Store(path)) as store:
        store.run(table("seen"))
        ends = []
        for n in range(10):
            store.run(put("seen", n, chance.choice((10, 3000, 9000))))
            ends.append(wal_of(path).stat().st_size)
        main, log = path.read_bytes(), wal_of(path).read_bytes()
    cuts = [end + by for end in ends for by in (-1, 0, 1)] + [
        chance.randrange(ends[0], ends[-1]) for _ in range(10)
    ]
    for number, cut in enumerate(cuts):
        lost = len(log) - min(cut, len(log))
        for name, rest in (("cut", b""), ("zeros", b"\0" * lost), ("garbage", chance.randbytes(lost + 100))):
            here = tmp_path / f"{name}{number}" / FILE
            here.parent.mkdir()
            here.write_bytes(main)
            wal_of(here).write_bytes(log[:cut] + rest)
            with closing(opened(here)) as store:
                committed = sum(end <= cut for end in ends)
                assert numbers(store, "seen") == list(range(committed)), f"{name} at {cut}"
            assert rescue.set_aside(here.parent) == []
            shutil.rmtree(here.parent)


# --- A damaged file


def table(name: str, more: str = "") -> Callable[[sqlite3.Connection], Any]:
    return lambda db: db.execute(
        f"CREATE TABLE {name} (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT{more}"
    )


def put(name: str, n: int, size: int) -> Callable[[sqlite3.Connection], Any]:
    return lambda db: db.execute(f"INSERT INTO {name} VALUES (?, ?)", (n, body(name, n, size)))


def body(name: str, n: int, size: int) -> str:
    return f"<{name} {n}>" + "x" * size


def numbers(store: Store, name: str) -> list[int]:
    return [n for (n,) in store.run(lambda db: db.execute(f"SELECT n FROM {name} ORDER BY n").fetchall())]


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def damage(path: Path, page: int, fill: bytes) -> None:
    """Overwrite a page, counted from 0."""
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(fill)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file with three tables of 300 rows, one without row numbers; closed."""
    path = tmp_path / "data" / FILE
    with closing(Store(path)) as store:
        for name, more in (("one", ""), ("two", ""), ("keyed", ", WITHOUT ROWID")):
            store.run(table(name, more))
            store.run(
                lambda db, name=name: db.execute(f"CREATE INDEX {name}_body ON {name} (substr(body, 9))")
            )
            store.run(lambda db, name=name: [put(name, n, 200)(db) for n in range(300)])
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM")  # or pages keep what was on them once
    return path


def pages_of(path: Path, name: str) -> dict[int, set[int]]:
    """The pages that have rows of a table, and which."""
    raw = path.read_bytes()
    found: dict[int, set[int]] = {}
    for n in range(300):
        page = raw.index(body(name, n, 200).encode()) // PAGE
        found.setdefault(page, set()).add(n)
    return found


@pytest.mark.parametrize(
    ("fill", "hit_at"),
    # Two neighbours, and the end; one alone; all of them.
    [(FILLS[0], (2, 3, -1)), (FILLS[1], (4,)), (FILLS[2], range(99))],
    ids=("zeros", "ones", "noise"),
)
def test_all_is_kept_but_the_rows_on_damaged_pages(
    many: Path, fill: bytes, hit_at: Sequence[int], caplog: pytest.LogCaptureFixture
) -> None:
    pages = pages_of(many, "one")
    hit = [page for at, page in enumerate(sorted(pages)) if at in hit_at or at - len(pages) in hit_at]
    for page in hit:
        damage(many, page, fill)
    damaged = many.read_bytes()
    with caplog.at_level(logging.ERROR), closing(opened(many)) as store:
        lost = set().union(*(pages[page] for page in hit))
        assert set(numbers(store, "one")) == set(range(300)) - lost
        assert numbers(store, "two") == numbers(store, "keyed") == list(range(300))
        assert store.run(lambda db: db.execute("SELECT max(length(body)) FROM two").fetchone()) == (209,)
        indexes = store.run(
            lambda db: db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'index'").fetchone()
        )
        assert indexes == (3,)
        store.run(put("one", 1000, 1))
    (aside,) = rescue.set_aside(many.parent)
    assert (many.parent / aside).read_bytes() == damaged, "what was found is kept as it was found"
    (said,) = [record.getMessage() for record in caplog.records]
    assert str(many) in said
    assert aside in said
    assert f"{300 - len(lost)} of " in said
    assert many.stat().st_mode & 0o077 == 0
    with closing(opened(many)):
        assert rescue.set_aside(many.parent) == [aside], "a whole file is left alone"


def test_a_table_without_row_numbers_is_read_from_both_ends(many: Path) -> None:
    pages = pages_of(many, "keyed")
    leaf = max(pages, key=lambda page: len(pages[page]))
    damage(many, leaf, FILLS[0])
    with closing(opened(many)) as store:
        assert pages[leaf] >= set(range(300)) - set(numbers(store, "keyed")) != set()


def test_what_is_only_in_the_log_is_rescued_too(many: Path) -> None:
    leaf = sorted(pages_of(many, "two"))[1]
    with closing(Store(many)) as store:
        store.run(put("one", 777, 5))
        damage(many, leaf, FILLS[0])
        left = many.parent / "left"
        left.mkdir()
        for each in (many, wal_of(many)):
            shutil.copy(each, left)
    path = left / FILE
    log = wal_of(path).read_bytes()
    with closing(opened(path)) as store:
        assert 777 in numbers(store, "one")
    (aside,) = rescue.set_aside(left)
    assert (left / f"{aside}-wal").read_bytes() == log


def test_a_death_in_the_middle_of_a_rescue_loses_nothing(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = pages_of(many, "one")
    leaf = sorted(pages)[2]
    damage(many, leaf, FILLS[0])
    damaged, steps = many.read_bytes(), 0

    class DiedError(Exception):
        pass

    def dying(real: Callable[..., Any], left: int) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == left:
                raise DiedError
            return real(*given, **named)

        return step

    for left in range(1, 20):
        here = many.parent.parent / f"at{left}" / FILE
        here.parent.mkdir()
        shutil.copy(many, here)
        steps = 0
        with monkeypatch.context() as patch:
            for name in ("rename", "replace", "touch", "unlink"):
                patch.setattr(Path, name, dying(getattr(Path, name), left))
            patch.setattr(os, "fsync", dying(os.fsync, left))
            try:
                opened(here).close()
                break
            except DiedError:
                pass
        here.touch()  # as the next start does
        with closing(opened(here)) as store:
            assert set(numbers(store, "one")) == set(range(300)) - pages[leaf], f"at step {left}"
        (aside,) = rescue.set_aside(here.parent)
        assert (here.parent / aside).read_bytes() == damaged
    assert 5 < left < 19, "it died at each step, and then came to the end"


def test_a_file_of_which_nothing_can_be_read_is_set_aside_and_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    garbage = b"no database at all" * 100
    (data / FILE).write_bytes(garbage)
    line = refused(data)
    (aside,) = rescue.set_aside(data)
    assert aside in line
    assert "backup" in line
    assert (data / aside).read_bytes() == garbage
    with served(data) as (_, at):
        assert ask(at, "GET", "/things/lamp/shadow")[0] == 404, "it begins empty"


def test_who_comes_to_a_rescue_second_leaves_the_new_file_alone(many: Path) -> None:
    """Two that start at once both find the damage; the lock lets one of them mend it first."""
    damage(many, sorted(pages_of(many, "one"))[2], FILLS[0])
    for _ in range(2):
        rescue._rescue(many)
        assert len(rescue.set_aside(many.parent)) == 1


def test_a_damaged_booth_starts_with_what_is_left_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeSlack() as slack:
        shop = Shop(tmp_path / "data", slack)
        with shop:
            shop.furnish()
            for n in range(3):
                shop.press(id=f"press-{n}")
            until(lambda: shop.is_told("hana"), "the mention")
        file = shop.data / FILE
        # One page holds all that was sent to Slack, and no other table.
        with closing(sqlite3.connect(file)) as db:
            (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries'").fetchone()
        damage(file, root - 1, FILLS[0])
        with shop:
            (aside,) = rescue.set_aside(shop.data)
            assert shop.state("hana") == "calling"
            assert shop.press("demo")[0] == 200
            wrong = until(lambda: disk_troubles(shop), "the trouble")
            assert aside in wrong[0]["detail"]
            assert any(
                aside in record.getMessage() and "deliveries" in record.getMessage()
                for record in caplog.records
            )


def disk_troubles(shop: Shop) -> list[dict[str, str]]:
    said = get(shop.url("/healthz"))[1]
    return [trouble for trouble in said.get("troubles", []) if trouble["what"] == "disk"]


@pytest.mark.parametrize(
    ("fill", "words"),
    [(FILLS[0][:200], "the document of lamp is damaged"), (FILLS[1][:200], "a text in it is not UTF-8")],
    ids=("zeros", "ones"),
)
def test_damage_that_shows_while_it_runs_is_refused_and_turns_health_red(
    tmp_path: Path, fill: bytes, words: str
) -> None:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        iot = shop.aws("iot-data")
        for name in ("lamp", "door"):
            text = json.dumps({"state": {"reported": {"text": f"<{name}>" * 600}}})
            iot.update_thing_shadow(thingName=name, payload=text.encode())
        corrupt(shop.data / FILE, b"<lamp><lamp>", fill)
        for _ in range(2):
            with pytest.raises(iot.exceptions.InternalFailureException, match=words):
                iot.get_thing_shadow(thingName="lamp")
        assert json.loads(iot.get_thing_shadow(thingName="door")["payload"].read())["version"] == 1
        (wrong,) = until(lambda: disk_troubles(shop), "the trouble")
        assert "damaged" in wrong["detail"]
        assert "<lamp>" not in wrong["detail"], "anybody can read it"
        shop.close()
        shop.open()  # as the trouble advises
        iot = shop.aws("iot-data")
        assert len(rescue.set_aside(shop.data)) == 1
        assert json.loads(iot.get_thing_shadow(thingName="door")["payload"].read())["version"] == 1
        iot.update_thing_shadow(thingName="lamp", payload=b'{"state":{"reported":{"n":1}}}')


def corrupt(file: Path, at: bytes, fill: bytes) -> None:
    """Fold the log in, overwrite what stands where this is found first, and have the process read it anew."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as other:
        until(lambda: other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "the checkpoint")
        where = file.read_bytes().index(at)
        with file.open("r+b") as raw:
            raw.seek(where // PAGE * PAGE if len(fill) == PAGE else where)
            raw.write(fill)
        other.execute("CREATE TABLE stranger (n)")  # what another process has written empties each cache


# --- Faults that pass


@pytest.fixture(params=[Mqtt, Rest], ids=["mqtt", "rest"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@contextmanager
def asked(kind: Any, data: Path) -> Iterator[tuple[Twin, Door]]:
    with twin(data) as here:
        listener = here.device("listener", EVERYTHING)
        listener._sock.settimeout(30)
        listener._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield here, kind(here, listener)
        listener.drop()


def says(door: Door, thing: str, n: int, size: int = 0) -> int:
    """Update; the answer's code. A refusal has a reason, and is all that is said."""
    answer = door.ask("update", thing, {"state": {"reported": {"n": n, "text": "x" * size}}})
    if answer.code != 200:
        assert answer.body["message"].startswith("Internal service failure: "), answer
        assert answer.kinds in ([], ["update/rejected"]), answer
    return answer.code


def shown(door: Door, thing: str) -> int:
    return int(door.ask("get", thing).body["state"]["reported"]["n"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(
            f"a disk of one's own needs a mount, which only root may make here: {done.stderr.strip()}"
        )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Use up every byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    assert shutil.disk_usage(folder).free == 0
    return ballast


def test_a_full_disk_refuses_loudly_and_takes_again_when_there_is_room(kind: Any, disk: Path) -> None:
    with asked(kind, disk / "data") as (_, door):
        assert says(door, "lamp", 0) == 200
        for _ in range(2):
            ballast = fill(disk)
            # What was written into the log before may be written over: only what needs new room is refused.
            codes = [says(door, f"thing-{n}", n, 6000) for n in range(40)]
            assert codes[-1] == 500, codes
            kept = [n for n, code in enumerate(codes) if code == 200]
            assert [shown(door, f"thing-{n}") for n in kept] == kept, "what was accepted is there"
            ballast.unlink()
            assert [says(door, f"thing-{n}", n, 6000) for n in range(40)] == [200] * 40
    with asked(kind, disk / "data") as (_, door):
        assert [shown(door, f"thing-{n}") for n in range(40)] == list(range(40))


def test_a_rescue_needs_room_and_leaves_all_as_it_is_without(many: Path, disk: Path) -> None:
    path = disk / FILE
    shutil.copy(many, path)
    damage(path, sorted(pages_of(many, "one"))[2], FILLS[0])
    damaged, ballast = path.read_bytes(), fill(disk)
    with pytest.raises(StoreError, match="free some space"):
        opened(path)
    os.truncate(ballast, ballast.stat().st_size - 25 * PAGE)  # enough to look at it
    with pytest.raises(StoreError, match="free some space"):
        opened(path)
    assert path.read_bytes() == damaged
    assert rescue.set_aside(disk) == []
    ballast.unlink()
    with closing(opened(path)) as store:
        assert numbers(store, "two") == list(range(300))


def test_no_pages_left_refuses_without_a_disk_of_ones_own(kind: Any, tmp_path: Path) -> None:
    with asked(kind, tmp_path) as (here, door):
        assert says(door, "lamp", 0) == 200
        (pages,) = here.store.run(lambda db: db.execute("PRAGMA page_count").fetchone())
        here.store.run(lambda db: db.execute(f"PRAGMA max_page_count={pages}").fetchall())
        assert says(door, "door", 1, 8000) == 500
        assert door.ask("get", "door").code == 404, "a refusal has written nothing"
        here.store.run(lambda db: db.execute("PRAGMA max_page_count=100000").fetchall())
        assert says(door, "door", 2, 8000) == 200
        assert shown(door, "door") == 2


def test_a_disk_that_turns_read_only_refuses_and_takes_again(kind: Any, tmp_path: Path) -> None:
    with asked(kind, tmp_path) as (here, door):
        assert says(door, "lamp", 1) == 200
        here.store.run(lambda db: db.execute("PRAGMA query_only=1").fetchall())
        assert says(door, "lamp", 2) == 500
        assert here.http("POST", "/things/lamp", b"{}")[0] == 500
        assert shown(door, "lamp") == 1
        here.store.run(lambda db: db.execute("PRAGMA query_only=0").fetchall())
        assert says(door, "lamp", 3) == 200
        assert shown(door, "lamp") == 3


def test_a_disk_that_is_read_only_at_the_start_is_one_line(disk: Path) -> None:
    with served(disk / "data") as (_, at):
        assert ask(at, "POST", "/things/lamp/shadow", b'{"state":{"reported":{"n":1}}}')[0] == 200
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    line = refused(disk / "data")
    assert "STAFFCALL_DATA" in line
    assert str(disk) in line
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    with served(disk / "data") as (_, at):
        assert ask(at, "GET", "/things/lamp/shadow")[1]["version"] == 1
    assert rescue.set_aside(disk / "data") == [], "that is no damage"


HOLDER: Final = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_who_finds_the_file_locked_is_refused_until_it_is_let_go(kind: Any, tmp_path: Path) -> None:
    with asked(kind, tmp_path) as (_, door):
        assert says(door, "lamp", 1) == 200
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / FILE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdin
            assert other.stdout
            assert other.stdout.readline() == b"held\n"
            assert says(door, "lamp", 2) == 500
            assert shown(door, "lamp") == 1, "reading goes on"
            other.stdin.close()
            assert other.wait(20) == 0
        assert says(door, "lamp", 3) == 200
        assert shown(door, "lamp") == 3


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_with_no_files_left_who_is_there_is_served_and_who_comes_is_served_later(tmp_path: Path) -> None:
    import resource  # not everywhere

    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        served(tmp_path / "data", errors) as (process, at),
        soak.device(at, "known", EVERYTHING) as known,
    ):
        update = soak.wire.publish("$aws/things/lamp/shadow/update", b'{"state":{"reported":{"n":1}}}', 7)

        def answered() -> int:
            known.send(update)
            while (said := soak.heard(known))[0] != "$aws/things/lamp/shadow/update/accepted":
                pass
            return int(said[1]["version"])

        assert answered() == 1
        files = len(os.listdir(f"/proc/{process.pid}/fd"))
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (files, before[1]))
        strangers, results = [], Counter[str]()

        def comes() -> None:
            try:
                results[str(ask(at, "GET", "/things/lamp/shadow")[0])] += 1
            except OSError:
                results["cut off"] += 1

        for _ in range(4):
            strangers.append(threading.Thread(target=comes))
            strangers[-1].start()
        host, _, port = at["mqtt"].partition(":")
        knocks = socket.create_connection((host, int(port)), 60)
        assert [answered() for _ in range(50)] == list(range(2, 52)), "who is there is served"
        until(lambda: "gateway: who connects has to wait" in log.read_text(), "the line about it")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        until(lambda: not any(each.is_alive() for each in strangers), "an answer to all", 60)
        assert results["200"] + results["cut off"] == 4, results
        knocks.sendall(soak.wire.connect("late"))
        assert knocks.recv(4) == b"\x20\x02\x00\x00", "who came by MQTT is let in"
        knocks.close()
        assert ask(at, "GET", "/things/lamp/shadow")[1]["version"] == 51
    assert 0 < log.read_text().count("http aws: who connects has to wait") <= 4, (
        "it is said, and does not fill the disk"
    )
    assert "Traceback" not in log.read_text()


def test_a_start_with_no_files_left_is_one_line(tmp_path: Path) -> None:
    script = (
        "import resource, os, sys; from pathlib import Path; from infra.local.run import store_in\n"
        "from infra.settings import SettingsError\n"
        "path = Path(sys.argv[1]); store_in(path).close()\n"
        "some = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "used = len(os.listdir('/proc/self/fd')) - 1\n"
        "for more in range(8):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, some[1]))\n"
        "    try: store_in(path).close()\n"
        "    except SettingsError as no: print(no)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, some); store_in(path).close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert lines, "it was refused at least once"
    assert all("cannot be used" in line for line in lines), lines
    assert rescue.set_aside(tmp_path / "data") == []


# --- The real process


@contextmanager
def served(data: Path, errors: Any = None) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, str]]]:
    """``staffcall shadows``, and where it is."""
    with subprocess.Popen(
        [STAFFCALL, "shadows"], env=environment(data), stdout=subprocess.PIPE, stderr=errors
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process, json.loads((data / "shadows.json").read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def refused(data: Path) -> str:
    """The one line that a start ends with."""
    done = subprocess.run(
        [STAFFCALL, "shadows"], env=environment(data), check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def environment(data: Path) -> dict[str, str]:
    free = {f"STAFFCALL_{port}_PORT": "0" for port in ("MQTT", "WS", "AWS")}
    return {**os.environ, **free, "STAFFCALL_DATA": str(data), "STAFFCALL_THROTTLE": "off"}


def ask(at: dict[str, str], method: str, path: str, content: bytes = b"") -> tuple[int, Any]:
    with closing(http.client.HTTPConnection(at["aws"].removeprefix("http://"), timeout=60)) as connection:
        connection.request(method, path, content)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_listener_that_closes_while_it_waits_for_a_file_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """asyncio asks again a second later, whether the listener is still there or not."""

    async def ask_again(closed: socket.socket) -> None:
        here: Any = asyncio.get_running_loop()
        here.call_soon(here._start_serving, asyncio.Protocol, closed)
        here.call_soon(int, "no number")
        await asyncio.sleep(0)

    closed = socket.socket()
    closed.close()
    loop = Loop()
    with caplog.at_level(logging.INFO):
        loop.call(ask_again(closed))
        loop.stop()
    assert "it was closed while who connects had to wait" in caplog.text
    assert [each.exc_info[0] for each in caplog.records if each.exc_info] == [ValueError], "of the other one"
    assert "no number" in caplog.text
