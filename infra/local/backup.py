"""The data folder as one file, and back: people, buttons, calls, the history, and the tokens that were made.

A backup is a zip: the database as it was at one moment, taken by SQLite's own means while others write; the tokens; and a
list of both with their SHA-256. A restore has one moment at which it is decided, a rename; whatever ends it before leaves
everything as it was, and after it the next start or restore goes on from there.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.local.store import StoreError, damage_in, locked, read_only
from infra.settings import TOKENS_FILE

DATABASE: Final = "staffcall.sqlite3"
LIST: Final = "backup.json"
VERSION: Final = 1
WHAT: Final = "staffcall backup"
NEW: Final = ".restoring"  # may be half written
DECIDED: Final = ".restored-"  # whole and on disk, but not yet in its place
FORMER: Final = "replaced-"
AT_ONCE: Final = 1 << 20
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    TOKENS_FILE: (TOKENS_FILE,),
    DATABASE: tuple(f"{DATABASE}{part}" for part in ("", "-wal", "-shm")),  # a log belongs to its file
}


class BackupError(Exception):
    """One line that says what cannot be done, and what to do."""


def backup(folder: Path, file: Path) -> str:
    """Write a backup of a data folder, also of one that is in use; the answer is the file's SHA-256.

    Raises:
        BackupError: there is such a file, or nothing to back up, or it cannot be read or written.
    """
    finish(folder)
    if not (folder / DATABASE).is_file():
        raise BackupError(f"{folder} has no {DATABASE}: expected the data folder of `staffcall run`")
    if file.exists():
        raise BackupError(f"{file} is there already: expected a new name")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as beside:
            parts, half = {name: Path(beside) / name for name in PARTS}, Path(beside) / file.name
            _copy(folder / DATABASE, parts[DATABASE])
            _copy_tokens(folder / TOKENS_FILE, parts[TOKENS_FILE])
            _pack(half, parts)
            checksum = verified(half)
            half.rename(file)
        _sync(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{file} cannot be written: {error}") from error
    return checksum


def verified(file: Path) -> str:
    """The SHA-256 of a backup that is whole.

    Raises:
        BackupError: it is none, or not the whole one that was written.
    """
    with _opened(file) as archive:
        for _ in _members(file, archive):
            pass
    return _checksum_of(file)


def restore(folder: Path, file: Path, *, replace: bool = False) -> Path | None:
    """Put a backup into a data folder that is not in use: all of it, or nothing.

    Args:
        folder: of the data; made, if it is missing.
        file: the backup.
        replace: whether what is there may be moved aside.

    Returns:
        Where that is now; None if there was nothing.

    Raises:
        BackupError: the file is no whole backup, the folder is in use or not empty, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(locked(folder / DATABASE)):
            _finish(folder)
            if not replace and any((folder / name).exists() for names in PARTS.values() for name in names):
                raise BackupError(f"{folder} is not empty: `--replace` moves what is there aside")
            try:
                _decide(folder, file)
            finally:
                shutil.rmtree(folder / NEW, ignore_errors=True)
            return _finish(folder)
    except StoreError as error:
        raise BackupError(str(error)) from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{folder} cannot be written: {error}") from error


def finish(folder: Path) -> None:
    """Go on with a restore that was decided, and ended by a death.

    Raises:
        BackupError: another process uses the folder.
    """
    if not _decided(folder):
        return
    try:
        with closing(locked(folder / DATABASE)):
            _finish(folder)
    except StoreError as error:
        raise BackupError(str(error)) from error


# --- Taking


def _copy(database: Path, to: Path) -> None:
    """The database as it is at this moment; who writes to it meanwhile does not wait."""
    _make(to)
    with closing(read_only(database)) as here, closing(sqlite3.connect(to, isolation_level=None)) as there:
        here.backup(there)
        there.execute("PRAGMA journal_mode=DELETE")  # one file, without a log
    if damage := _damage(to):
        raise BackupError(f"{database} is damaged ({damage}): expected one that is whole")


def _copy_tokens(tokens: Path, to: Path) -> None:
    """The tokens; an empty file, where all are set by the environment, and none were made."""
    _make(to)
    if tokens.exists():
        to.write_bytes(tokens.read_bytes())


def _pack(file: Path, members: Mapping[str, Path]) -> None:
    listed = {
        "what": WHAT,
        "version": VERSION,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": {name: _checksum_of(path) for name, path in members.items()},
    }
    _make(file)
    with file.open("r+b") as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(LIST, json.dumps(listed, indent=1))
            for name, path in members.items():
                archive.write(path, name)
        out.flush()
        os.fsync(out.fileno())


# --- Verifying


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BackupError(f"{file} is no whole backup: {error}") from error


def _members(file: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each file of a backup, in pieces; after the last piece it is what was written, or this raises."""
    listed = _listed(file, archive)
    for name, expected in listed.items():
        checksum = hashlib.sha256()

        def pieces(name: str = name, checksum: "hashlib._Hash" = checksum) -> Iterator[bytes]:
            with archive.open(name) as member:
                while piece := member.read(AT_ONCE):
                    checksum.update(piece)
                    yield piece

        read = pieces()
        yield name, read
        for _ in read:  # what nobody asked for counts, too
            pass
        found = checksum.hexdigest()
        if found != expected:
            raise BackupError(f"{file} is no whole backup: {name} is not what was written")


def _listed(file: Path, archive: zipfile.ZipFile) -> dict[str, str]:
    try:
        listed = json.loads(archive.read(LIST))
        assert listed["what"] == WHAT
        if listed["version"] != VERSION:
            raise BackupError(
                f"{file} was made by a newer version of staffcall: expected one of version {VERSION}"
            )
        sums = {str(name): str(checksum) for name, checksum in listed["sha256"].items()}
        assert sums.keys() == PARTS.keys()
        assert sorted(archive.namelist()) == sorted([LIST, *sums])
    except (KeyError, TypeError, AttributeError, ValueError, AssertionError) as error:
        raise BackupError(f"{file} is no backup of staffcall's") from error
    return sums


def _damage(database: Path) -> str:
    if damage := damage_in(database):
        return damage
    with closing(sqlite3.connect(database)) as db:
        said = [str(line) for (line,) in db.execute("PRAGMA integrity_check(1)")]
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    if said != ["ok"]:
        return said[0]
    return "" if {"things", "shadows"} <= tables else "nobody's shadow is in it"


# --- Putting back


def _decide(folder: Path, file: Path) -> None:
    """Have all of a backup on disk beside what is there, whole, and then give it its name."""
    new = folder / NEW
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    with _opened(file) as archive:
        for name, pieces in _members(file, archive):
            _make(new / name)
            with (new / name).open("r+b") as out:
                for piece in pieces:
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
    if damage := _damage(new / DATABASE):
        raise BackupError(f"{file} is no whole backup: its database is damaged ({damage})")
    _sync(new)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    new.rename(folder / f"{DECIDED}{stamp}")
    _sync(folder)


def _decided(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{DECIDED}*"))


def _finish(folder: Path) -> Path | None:
    """Move what is there aside, and what was decided into its place; any of these moves may have been made before."""
    former = None
    for new in _decided(folder):
        former = folder / (FORMER + new.name.removeprefix(DECIDED))
        for name, olds in PARTS.items():
            if (new / name).exists():
                _set_aside(folder, olds, former)
                if (new / name).stat().st_size:
                    (new / name).rename(folder / name)
                else:
                    (new / name).unlink()
                _sync(folder)
        new.rmdir()
        _sync(folder)
    return former if former and former.exists() else None


def _set_aside(folder: Path, names: Iterable[str], former: Path) -> None:
    for old in (folder / name for name in names):
        if old.exists():
            former.mkdir(mode=0o700, exist_ok=True)
            old.rename(former / old.name)
            _sync(former)
    _sync(folder)


def _make(file: Path) -> None:
    """An empty file that its owner alone can read: phone numbers and tokens are to be in it."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _checksum_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    with suppress(OSError):  # on Windows a folder cannot be opened
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
