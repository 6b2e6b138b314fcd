"""A backup is the place as it was at one moment, whole; and a restore is all of it, or nothing, whatever ends it."""

import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra.cli import main
from infra.local import backup as backups
from infra.local.backup import DATABASE, DECIDED, LIST, BackupError, backup, finish, restore
from infra.settings import TOKENS_FILE
from shadows.registry import NewStaff, add_staff
from tests.fake_slack import FakeSlack
from tests.shop import Process, Shop, until

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def shop(tmp_path: Path, slack: FakeSlack) -> Iterator[Shop]:
    with Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


def content(folder: Path) -> Any:
    """Every row of every table, and the tokens."""
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        ]
        rows = {table: sorted(db.execute(f'SELECT * FROM "{table}"'), key=repr) for table in tables}
    tokens = folder / TOKENS_FILE
    return rows, tokens.read_bytes() if tokens.exists() else None


def place(folder: Path, name: str, tokens: str = "") -> Path:
    """A data folder in which somebody is named so."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for table in ("things", "shadows"):
            db.execute(f"CREATE TABLE {table} (name TEXT PRIMARY KEY, filler BLOB)")
        db.execute("INSERT INTO things VALUES (?, randomblob(9000))", (name,))
        db.commit()
    if tokens:
        (folder / TOKENS_FILE).write_text(tokens)
    return folder


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# --- While it runs


def test_a_backup_taken_under_presses_has_every_press_that_was_answered_before_it(
    shop: Shop, slack: FakeSlack, tmp_path: Path
) -> None:
    (shop.data / TOKENS_FILE).write_text('{"admin": "a", "button": "b"}')  # here all come by the settings
    answered: list[str] = []
    enough = threading.Event()

    def press() -> None:
        while not enough.is_set():
            id = f"{threading.get_ident()}-{len(answered)}"
            assert shop.press(id=id)[0] == 200
            answered.append(id)

    pressing = [threading.Thread(target=press) for _ in range(2)]
    for each in pressing:
        each.start()
    try:
        taken = []
        for n in range(3):
            until(lambda n=n: len(answered) > 20 * (n + 1), "some presses", 60)  # type: ignore[misc]
            before = len(answered)
            file = tmp_path / f"{n}.backup"
            digest = backup(shop.data, file)
            assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
            taken.append((file, before, len(answered)))
    finally:
        enough.set()
        for each in pressing:
            each.join()
    for file, before, after in taken:
        other = tmp_path / f"from {file.name}"
        assert restore(other, file) is None
        assert mode(file) == mode(other / DATABASE) == mode(other / TOKENS_FILE) == 0o600
        assert json.loads((other / TOKENS_FILE).read_text()) == {"admin": "a", "button": "b"}
        with Shop(other, slack) as again:
            count = again.asked("hana")["call"]["count"]
            assert before <= count <= after + len(pressing)
            assert again.press(id="after")[1]["thing"] == "staff-hana"
            assert again.asked("hana")["call"]["count"] == count + 1
    assert shop.asked("hana")["call"]["count"] == len(answered)


def test_what_is_restored_is_what_was_there(shop: Shop, tmp_path: Path) -> None:
    shop.press()
    until(lambda: shop.is_told("hana"), "the report", 20)
    shop.close()
    before = content(shop.data)
    backup(shop.data, tmp_path / "b")
    shop.open()
    add_staff(shop.place, NewStaff(id="late", name="Late", slack="U0LATE"))
    shop.close()
    former = restore(shop.data, tmp_path / "b", replace=True)
    assert former
    assert content(shop.data) == before
    assert "staff-late" in str(content(former)[0]["things"])
    assert (mode(former), mode(shop.data / DATABASE)) == (0o700, 0o600)
    shop.open()
    assert shop.asked("hana")["state"] == "calling"


def test_a_place_that_runs_is_not_overwritten_and_one_that_is_not_empty_only_if_told(
    slack: FakeSlack, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "data", slack)
    with Process(shop) as process:
        shop.furnish()
        backup(shop.data, tmp_path / "b")
        for replace in (False, True):
            with pytest.raises(BackupError, match="in use: stop the other staffcall run"):
                restore(shop.data, tmp_path / "b", replace=replace)
        assert shop.press()[0] == 200
        process.end(signal.SIGTERM)
        with pytest.raises(BackupError, match="not empty: `--replace`"):
            restore(shop.data, tmp_path / "b")
        before = content(shop.data)
        restore(shop.data, tmp_path / "b", replace=True)
        assert content(shop.data) != before  # the press came after the backup
        process.start()
        assert shop.state("hana") == "idle"
        assert shop.press()[0] == 200


def test_a_place_that_was_killed_can_be_backed_up_with_all_that_it_acknowledged(
    slack: FakeSlack, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "data", slack)
    with Process(shop) as process:
        shop.furnish()
        for n in range(5):
            assert shop.press(id=str(n))[0] == 200
        process.end(signal.SIGKILL)
    backup(shop.data, tmp_path / "b")
    restore(tmp_path / "other", tmp_path / "b")
    with Shop(tmp_path / "other", slack) as other:
        assert other.asked("hana")["call"]["count"] == 5


# --- What is whole


def test_every_byte_of_a_backup_counts(tmp_path: Path) -> None:
    here = place(tmp_path / "here", "hana", "{}")
    backup(here, tmp_path / "b")
    good, expected = (tmp_path / "b").read_bytes(), content(here)
    for n in [*range(0, len(good), 41), *range(len(good) - 60, len(good))]:
        (tmp_path / "bad").write_bytes(good[:n] + bytes([good[n] ^ 0x55]) + good[n + 1 :])
        there = tmp_path / "there" / str(n)
        try:
            restore(there, tmp_path / "bad")
        except BackupError:
            assert [each.name for each in there.glob("*")] in ([], [f"{DATABASE}.lock"])
        else:  # a time within the zip, say
            assert content(there) == expected
    for n in (0, 1, len(good) // 2, len(good) - 1):
        (tmp_path / "bad").write_bytes(good[:n])
        with pytest.raises(BackupError, match="no whole backup"):
            restore(tmp_path / "there" / "short", tmp_path / "bad")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "newer version"),
        ({"what": "another"}, "no backup of staffcall's"),
        ({"sha256": {"../../etc/passwd": ""}}, "no backup of staffcall's"),
        ({"sha256": {DATABASE: "", TOKENS_FILE: ""}}, "not what was written"),
    ],
)
def test_what_is_no_backup_of_ours_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    backup(place(tmp_path / "here", "hana"), tmp_path / "b")
    with zipfile.ZipFile(tmp_path / "b") as old, zipfile.ZipFile(tmp_path / "bad", "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, json.dumps(json.loads(text) | change) if name == LIST else text)
    with pytest.raises(BackupError, match=words):
        restore(tmp_path / "there", tmp_path / "bad")
    assert not (tmp_path / "there" / DATABASE).exists()


def test_a_damaged_database_makes_no_backup_and_no_half_file_stays(tmp_path: Path) -> None:
    here = place(tmp_path / "here", "hana")
    bytes_ = bytearray((here / DATABASE).read_bytes())
    bytes_[4096:8192] = b"\x13" * 4096
    (here / DATABASE).write_bytes(bytes_)
    with pytest.raises(BackupError):
        backup(here, tmp_path / "b")
    assert [each.name for each in tmp_path.iterdir()] == ["here"]


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    here = place(tmp_path / "here", "hana")
    (tmp_path / "b").write_text("mine")
    with pytest.raises(BackupError, match="there already"):
        backup(here, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"


# --- Whatever ends it

# Each of these changes something that others see; the process dies right before the nth.
DYING = """
import os, shutil, signal, sys
from pathlib import Path
from infra.local import backup

left = int(sys.argv[3])

def dying(of):
    def step(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return of(*args, **kwargs)
    return step

for name in ("rename", "rmdir", "mkdir", "unlink"):
    setattr(Path, name, dying(getattr(Path, name)))
os.fsync = dying(os.fsync)
backup.restore(Path(sys.argv[1]), Path(sys.argv[2]), replace=True)
"""


@pytest.mark.parametrize(("has_tokens", "every"), [(True, 1), (False, 5)])
def test_whatever_ends_a_restore_it_was_all_or_nothing(tmp_path: Path, has_tokens: bool, every: int) -> None:
    backup(
        place(tmp_path / "new", "new", '{"admin": "n", "button": "n"}' if has_tokens else ""), tmp_path / "b"
    )
    olds, news = 0, 0
    for n in range(0, 100, every):
        folder = place(tmp_path / f"old{n}", "old", '{"admin": "o", "button": "o"}')
        (folder / f"{DATABASE}-wal").write_bytes(b"")  # a log of what was there must not stay behind
        old, new = content(folder), content(tmp_path / "new")
        (folder / f"{DATABASE}-wal").write_bytes(b"")
        died = subprocess.run(
            [sys.executable, "-c", DYING, folder, tmp_path / "b", str(n)], cwd=ROOT, check=False, timeout=60
        )
        if died.returncode == 0:
            break
        assert died.returncode == -9
        decided = list(folder.glob(f"{DECIDED}*"))
        if not decided and (folder / DATABASE).exists() and content(folder) == old:
            olds += 1
            restore(folder, tmp_path / "b", replace=True)  # a second try is not in the way of the first
        else:
            news += 1
            finish(folder)  # as every start does
        assert content(folder) == new
        assert not list(folder.glob(".rest*"))
        assert not (folder / f"{DATABASE}-wal").exists()
        [former] = folder.glob("replaced-*")
        assert content(former) == old
    assert olds * every > 5
    assert news * every > 5


def test_a_start_goes_on_with_a_restore_that_was_decided(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(shop.data, tmp_path / "b")
    shop.press()
    shop.close()
    monkeypatch.setattr(backups, "_finish", lambda _folder: None)
    restore(shop.data, tmp_path / "b", replace=True)
    assert list(shop.data.glob(f"{DECIDED}*"))
    monkeypatch.undo()
    shop.open()
    assert not list(shop.data.glob(f"{DECIDED}*"))
    assert shop.state("hana") == "idle"


# --- The commands


def test_the_commands_say_what_they_did_in_one_line(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAFFCALL_DATA", "data")
    assert main(["backup", "b"]) == 0
    digest = hashlib.sha256((tmp_path / "b").read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"b: written, SHA-256 {digest}\n"
    assert main(["restore", "b"]) == 1
    assert "in use" in capsys.readouterr().err
    shop.close()
    assert main(["restore", "b"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert main(["restore", "b", "--replace"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("data: restored; what was there is in replaced-")
    monkeypatch.setenv("STAFFCALL_DATA", "elsewhere")
    assert main(["restore", "b"]) == 0
    assert capsys.readouterr().out == "elsewhere: restored\n"
    assert main(["backup", "c", "--target", "aws"]) == 1
    assert "this machine" in capsys.readouterr().err
    assert not os.path.exists("c")
