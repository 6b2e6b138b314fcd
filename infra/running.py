"""Where the running local place is: a small file in its data folder, which the subcommands read."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from infra.settings import write_private

FILE: Final = "running.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What ``staffcall run`` tells the subcommands; no secret among it.

    Attributes:
        pid: of the process.
        data: its data folder (``<data>/demo`` for ``--demo``), absolute.
        http, aws: base addresses without a final slash, such as ``http://127.0.0.1:8080``.
        kiosk: the first of these as a screen elsewhere on the network reaches it, if it can.
        mqtt: ``host:port`` of MQTT over TCP.
    """

    pid: int
    data: str
    http: str
    kiosk: str
    aws: str
    mqtt: str


def write(folder: Path, running: Running) -> None:
    """Say where we run. ``folder`` is ``STAFFCALL_DATA``, also for ``--demo``.

    Raises:
        OSError: it cannot be written.
    """
    write_private(folder / FILE, json.dumps(asdict(running)))


def read(folder: Path) -> Running | None:
    """Where it runs; None if nothing does (no file, one that is no such file, or of a process that is dead)."""
    try:
        running = Running(**json.loads((folder / FILE).read_text("utf-8")))
        return running if _alive(running.pid) else None
    except (OSError, ValueError, TypeError, OverflowError):
        return None


def remove(folder: Path) -> None:
    """Say that we do not run any more; the file of another process stays."""
    running = read(folder)
    if running is None or running.pid == os.getpid():
        (folder / FILE).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there signal 0 would end it; whether somebody answers is seen at once anyway
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
