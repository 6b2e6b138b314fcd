"""What ``staffcall doctor`` looks at on this machine: the process, its screens, its clock, and the data folder."""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from infra import checks, webhook
from infra.checks import Roster
from infra.local.service import LocalShadows, ShadowService
from infra.local.signs import Sign
from infra.local.store import Store, damage_in
from infra.local.things import LocalThings, Registry
from infra.local.watch import FREE_SPACE, LEAST_FREE
from infra.settings import TOKENS_FILE, Settings
from infra.slack import way_of
from infra.webhook import NotSent
from shadows.calls import Place
from shadows.finding import Finding, right, unknown, wrong
from shadows.registry import Booth
from shadows.shadow import JsonObject
from shadows.trouble import Trouble

DATABASE: Final = "staffcall.sqlite3"
LONGEST_WAL: Final = 64_000_000  # bytes: it is folded in every 4 MB, unless something keeps reading
CLOCK_MS: Final = 5_000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def roster(folder: Path) -> Roster:
    """Who is registered, read from the data folder of a place that does not run.

    Raises:
        infra.local.store.StoreError: it cannot be read, or somebody runs there.
    """
    if not (folder / DATABASE).exists():
        return Roster()
    store = Store(folder / DATABASE)
    try:
        service = ShadowService(store, clock=_now_ms, announce=lambda _messages: None)
        place = Place(shadows=LocalShadows(service), things=LocalThings(Registry(store)), clock=_now_ms)
        return Roster.of(place)
    finally:
        store.close()


def of_place(
    said: JsonObject | None, roster: Roster, settings: Settings, folder: Path, *, post: bool
) -> Iterator[Finding]:
    """Everything that can be looked at where the process runs.

    Args:
        said: what ``/admin/api/signs`` answers; None if nothing does.
        roster: who is registered.
        settings: how Slack is connected, and who else is told.
        folder: of the data.
        post: whether to post one harmless line, and a message about nothing to each webhook.
    """
    if said:
        yield from of_process(said, roster.booths, way_of(settings))
    yield from of_disk(folder)
    yield from of_secrets(folder)
    yield from checks.of_guessing(settings)
    yield from of_webhooks(settings, post=post)
    simulated = said is not None and said["slack"] == "simulator"
    if not simulated:
        yield from checks.of_clock(settings)
    yield from checks.of_anywhere(roster, None if simulated else settings, post=post)


# --- what the process says


def of_process(said: JsonObject, booths: Iterable[Booth], way: str) -> Iterator[Finding]:
    """What the running process knows of itself: its signs of life, screens, clock and Slack.

    Args:
        said: what ``/admin/api/signs`` answers.
        booths: those that are registered.
        way: by which way people are told, as the settings here say.
    """
    troubles = [Trouble(**each) for each in said["troubles"]]
    yield from map(wrong, troubles)
    yield from _signs([Sign(**each) for each in said["signs"]])
    if said["audited"] and not any(trouble.what == "audit" for trouble in troubles):
        yield right("audit", "Every call is told, has its alarm, and is on record")
    missed = {trouble.thing for trouble in troubles}
    yield from _screens(said["kiosks"], [each for each in booths if f"booth-{each.id}" not in missed])
    if abs(off_ms := said["clockOffMs"]) > CLOCK_MS:
        detail = f"This machine's clock was set by {off_ms / 1000:.0f} s since `staffcall run` began"
        yield wrong(Trouble(what="clock", detail=detail, fix="Start it again when nobody waits."))
    else:
        yield right("clock", "Nobody has set the clock since the start")
    if said["slack"] == "simulator":
        detail = "The demo's own Slack is in use: nobody's phone rings"
        fix = "Connect Slack, as README.md says, and start `staffcall run` without --demo."
        yield wrong(Trouble(what="settings", detail=detail, fix=fix))
    elif said["slack"] != way:
        detail = "`staffcall run` was started with another Slack than is set here"
        fix = "Go where its `.env` is, or start it again from here."
        yield wrong(Trouble(what="settings", detail=detail, fix=fix))


def _signs(signs: Iterable[Sign]) -> Iterator[Finding]:
    for sign in signs:
        if not sign.is_missed and not sign.of.startswith("kiosk-"):
            yield right("sign", f"{sign.of} was heard of {sign.age_s:.0f} s ago")


def _screens(connected: dict[str, int] | None, booths: Iterable[Booth]) -> Iterator[Finding]:
    if connected is None:
        detail = "The external MQTT broker does not say which screens are there"
        yield unknown("kiosk", detail, "Look at the booths' screens yourself.")
        return
    for booth in booths:
        thing = f"booth-{booth.id}"
        if connected.get(booth.id):
            yield right("kiosk", f"{connected[booth.id]} screens show it", thing)
        elif booth.staff:
            fix = f"Open /?booth={booth.id} on the booth's screen."
            yield wrong(Trouble(what="kiosk", thing=thing, detail="No screen shows this booth", fix=fix))


# --- the data folder


def of_disk(folder: Path) -> Iterator[Finding]:
    """Whether the data folder can be written and has room, and the database is whole."""
    yield _writable(folder)
    free = shutil.disk_usage(_there(folder)).free
    if free < LEAST_FREE:
        yield _disk(f"Only {free / 1e6:.0f} MB are free on the disk", FREE_SPACE)
    else:
        yield right("disk", f"{free / 1e9:.1f} GB are free")
    database = folder / DATABASE
    if database.exists():
        yield _whole(database)
        yield _folded(database.with_name(f"{DATABASE}-wal"))


def _there(folder: Path) -> Path:
    """The folder, or the one in which it will be made."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())


def _writable(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=_there(folder)) as file:
            file.write(b"0")
            os.fsync(file.fileno())
    except OSError as error:
        return _disk(
            f"The data folder cannot be written: {error.strerror}",
            "Make STAFFCALL_DATA a folder that can be.",
        )
    return right("disk", "The data folder can be written")


def _whole(database: Path) -> Finding:
    try:
        damage = damage_in(database)
    except sqlite3.Error as error:
        damage = str(error)
    if not damage:
        return right("disk", "The database is whole")
    return _disk(
        f"The database is damaged: {damage}", "Stop `staffcall run`, and put back a copy that is whole."
    )


def _folded(wal: Path) -> Finding:
    size = wal.stat().st_size if wal.exists() else 0
    if size <= LONGEST_WAL:
        return right("disk", "The write-ahead log is short")
    detail = f"The write-ahead log has grown to {size / 1e6:.0f} MB: something keeps reading the database"
    return _disk(detail, "End what has the database open beside `staffcall run`, a backup or a shell.")


def of_secrets(folder: Path) -> Iterator[Finding]:
    """Whether the files that hold secrets are their owner's alone."""
    if os.name == "nt":  # it has no such bits
        return
    for file in (folder / TOKENS_FILE, Path(".env")):
        if not file.exists():
            continue
        if file.stat().st_mode & 0o077:
            fix = f"Run `chmod 600 {file}`."
            yield wrong(Trouble(what="secrets", detail=f"{file} can be read by others", fix=fix))
        else:
            yield right("secrets", f"{file} is its owner's alone")


# --- who else is told


def of_webhooks(settings: Settings, *, post: bool) -> Iterator[Finding]:
    """Whether each address of STAFFCALL_WEBHOOK_URL takes messages; what is not a URL was refused with the settings.

    Args:
        settings: which addresses.
        post: whether to send each one signed message that is about nothing.
    """
    for url in settings.webhook_urls:
        host = webhook.host_of(url)
        yield right("webhook", f"The address at {host} is well formed")
        if not post:
            detail = f"Whether the webhook at {host} can be reached was not looked at"
            yield unknown(
                "webhook", detail, "Run `staffcall doctor --post`, which sends it a message about nothing."
            )
            continue
        try:
            webhook.post(url, settings.webhook_secret, webhook.trial())
        except NotSent as no:
            fix = f"See that {host} is reached from here, and answers 2xx."
            detail = f"The webhook at {host} did not take a message ({no})"
            yield wrong(Trouble(what="webhook", detail=detail, fix=fix))
        else:
            yield right("webhook", f"The webhook at {host} takes messages")


def _disk(detail: str, fix: str) -> Finding:
    return wrong(Trouble(what="disk", detail=detail, fix=fix))
