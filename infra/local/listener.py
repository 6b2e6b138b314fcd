"""Presses that come by no door: UDP packets, and the ARP of buttons that only join the network. Each is sent on to a door.

What was heard is on disk before anything else, and stays there until the door has taken or refused it: only what was never
taken off the wire is lost. It is sent with an id of its own, by which the door knows what it was sent twice.
"""

import hashlib
import json
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ulid import ULID

from button_handlers import arp, generic, soracom
from button_handlers.click import BUTTON_ID, Click, Ignored, document_of
from infra.settings import write_private
from shadows.errors import Rejected
from shadows.shadow import JsonObject

log = logging.getLogger(__name__)

UDP_HOLD_S: Final = 2.0  # as the doors have it for what has no id
ARP_HOLD_S: Final = 10.0  # a button probes several times, and then announces itself
LATE_S: Final = 600.0  # as a call that expires: who pressed has gone
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
STOP_S: Final = 2.0
SAMPLES: Final = 4096  # of what was heard just now
MOST: Final = 1000  # presses that wait; who floods us fills no disk
LONGEST: Final = 65_535  # bytes of a packet
REFUSED: Final = frozenset({400, 404, 413})  # it never will be taken; a token can be set right
OUTGOING: Final = 4  # PACKET_OUTGOING: our own frames


class Heard:
    """What was heard just now, so that the same again is the same press."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def is_new(self, key: str, hold_s: float) -> bool:
        """Whether this was not heard in the ``hold_s`` seconds since it was new."""
        now = self._clock()
        if now < self._until.get(key, 0.0):
            return False
        if len(self._until) >= SAMPLES:
            self._until = {each: until for each, until in self._until.items() if now < until}
        self._until[key] = now + hold_s
        return True

    def forget(self, key: str) -> None:
        """It came to nothing: let the same again be new."""
        self._until.pop(key, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A press that no door has taken yet.

    Attributes:
        at: when it was heard, seconds since 1970.
        by: ``udp`` or ``arp``.
        body: what the door is sent.
    """

    at: float
    by: str
    body: JsonObject


class Spool:
    """Presses on disk, each in a file of its own."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def put(self, press: Kept) -> Path:
        """Keep a press; when this returns it is on disk.

        Raises:
            OSError: it is not.
        """
        file = self._folder / f"{ULID()}.json"
        write_private(file, json.dumps(asdict(press)))
        return file

    def all(self) -> dict[Path, Kept]:
        """What is kept, oldest first. What cannot be read is left there, and said."""
        found = {}
        for file in sorted(self._folder.glob("*.json")):
            try:
                found[file] = Kept(**json.loads(file.read_text("utf-8")))
            except (OSError, ValueError, TypeError):
                log.exception("%s: no press that can be read", file)
        return found

    def drop(self, file: Path) -> None:
        """A press has been taken."""
        file.unlink(missing_ok=True)


class Listener:
    """Takes what comes off the wire, and sends it on in a thread of its own, until it is taken."""

    def __init__(
        self,
        spool: Spool,
        send: Callable[[JsonObject], JsonObject],
        is_button: Callable[[str], bool],
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        awake_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``send`` is the door: it raises Rejected if it refuses, and anything else if it is not reached. Only of a
        hardware address that ``is_button`` is anything sent.
        """
        self._spool, self._send, self._is_button, self._say, self._clock = spool, send, is_button, say, clock
        self._heard = Heard(awake_s)
        self._waiting = spool.all()
        self._strangers: set[str] = set()
        self._awake = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Send what an earlier process has left, and then whatever comes."""
        self._thread.start()

    def stop(self) -> None:
        """End; what was not taken is on disk, and what is being sent may be sent again, with the same id."""
        with self._awake:
            self._is_stopping = True
            self._awake.notify()
        self._thread.join(STOP_S)

    # --- what comes off the wire

    def packet(self, data: bytes, host: str) -> bytes:
        """A UDP packet from an address; what is to be answered: 200 if it is on disk.

        Shape: as ``/buttons/webhook`` takes it, or the 4 bytes of SORACOM's button, which then is called by its address,
        with ``-`` for each point or colon.
        """
        key = f"{host} {hashlib.sha256(data).hexdigest()}"
        try:
            click = _read(data, host)
        except Rejected as no:
            log.warning("%s: a packet that is no press: %s", host, no.message)
            return b"400"
        has_id = isinstance(click, Click) and click.id is not None
        is_new = has_id or self._heard.is_new(key, UDP_HOLD_S)
        if is_new and not self._keep("udp", _body_of(click)):
            self._heard.forget(key)
            return b"503"
        return b"200"

    def frame(self, frame: bytes) -> None:
        """An Ethernet frame."""
        click = arp.from_frame(frame)
        if click and self._heard.is_new(click.button, ARP_HOLD_S):
            self._keep("arp", _body_of(click))

    def _keep(self, by: str, body: JsonObject) -> bool:
        """Have it sent; the answer is whether it is on disk. A disk that is full loses no press as long as we live."""
        press = Kept(at=self._clock(), by=by, body=body)
        if len(self._waiting) >= MOST:
            log.error("A press is not kept: %d wait already", MOST)
            return False
        try:
            file, is_kept = self._spool.put(press), True
        except OSError as error:
            log.error("A press is kept in memory alone: %s", error)  # noqa: TRY400
            file, is_kept = Path(str(ULID())), False
        with self._awake:
            self._waiting[file] = press
            self._awake.notify()
        return is_kept

    # --- what is sent

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            with self._awake:
                self._awake.wait_for(lambda: self._is_stopping or bool(self._waiting))
                if self._is_stopping:
                    return
                file, press = next(iter(self._waiting.items()))
            if self._is_done(press):
                pause_s = FIRST_PAUSE_S
                with self._awake:
                    del self._waiting[file]
                self._dropped(file)
                continue
            with self._awake:
                self._waiting[file] = self._waiting.pop(file)  # the others have their turn
                self._awake.wait_for(lambda: self._is_stopping, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _dropped(self, file: Path) -> None:
        try:
            self._spool.drop(file)
        except OSError:  # the next process sends it again, with the same id
            log.exception("%s: stays there", file)

    def _is_done(self, press: Kept) -> bool:
        """Send a press; whether nothing is left to do about it."""
        button = press.body["button"]
        if self._clock() - press.at > LATE_S:
            self._tell(f"button {button}: dropped, no door was reached for ten minutes")
            return True
        try:
            if press.by == "arp" and not self._is_button(button):
                self._met(button)
                return True
            answer = self._send(press.body)
        except Rejected as no:
            self._tell(f"button {button}: refused: {no.message}")
            return no.code in REFUSED
        except Exception as error:
            self._tell(f"button {button}: no door is reached, tried again: {error}")
            return False
        self._tell(f"button {button}: {answer.get('thing', 'no press')} {answer.get('state', '')}".rstrip())
        return True

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # a log that is full, or a terminal that has gone, keeps no press back
            self._say(line)

    def _met(self, button: str) -> None:
        """Somebody's device: said once, so that a button can be found."""
        if button not in self._strangers and len(self._strangers) < SAMPLES:
            self._strangers.add(button)
            self._tell(
                f"{button} has joined, and is no button: `staffcall button add {button} --staff …` makes it one"
            )


def _read(data: bytes, host: str) -> Click | Ignored:
    """What a packet says.

    Raises:
        Rejected: 400, if it is no press and no battery.
    """
    if data.lstrip().startswith(b"{"):
        return generic.from_document(document_of(data))
    return soracom.from_frame(_name_of(host), data)


def _name_of(host: str) -> str:
    return "".join(each if BUTTON_ID.fullmatch(each) else "-" for each in host)


def _body_of(heard: Click | Ignored) -> JsonObject:
    battery = {} if heard.battery is None else {"battery": heard.battery}
    if isinstance(heard, Ignored):
        return {"button": heard.button, **battery}
    return {"button": heard.button, "click": str(heard.type), "id": heard.id or str(ULID()), **battery}


# --- the wire


class NotHeard(Exception):  # noqa: N818 - what it says
    """There is nothing to listen on; the argument says why, and what to do."""


def udp_socket(host: str, port: int) -> socket.socket:
    """A UDP port of this machine.

    Raises:
        NotHeard: it is taken, or there is no such address.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, kind)
        try:
            made.bind(address)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise NotHeard(f"--udp: nothing can listen at {host}:{port}: {error.strerror or error}") from None
    return made


def arp_socket(interface: str) -> socket.socket:
    """All ARP of a network interface; "" for all of them.

    Raises:
        NotHeard: we have no right to it, there is no such interface, or this is no Linux.
    """
    if not hasattr(socket, "AF_PACKET"):
        raise NotHeard("--arp: only Linux lets a program hear ARP")
    try:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(arp.ETHERTYPE))
    except PermissionError:
        raise NotHeard(
            "--arp: hearing ARP needs the right CAP_NET_RAW: run this as root, or as a service with "
            "AmbientCapabilities=CAP_NET_RAW, as docs/buttons.md shows"
        ) from None
    try:
        if interface:
            made.bind((interface, arp.ETHERTYPE))
    except OSError as error:
        made.close()
        reason = os.strerror(error.errno or 0)
        raise NotHeard(f"--arp: expected a network interface, got {interface!r} ({reason})") from None
    return made


def hear(listener: Listener, udp: socket.socket | None, frames: socket.socket | None) -> None:
    """Listen for ever, on what there is.

    Raises:
        NotHeard: the network interface has gone.
    """
    with selectors.DefaultSelector() as selector:
        if udp:
            selector.register(udp, selectors.EVENT_READ, partial(_hear_packet, listener, udp))
        if frames:
            selector.register(frames, selectors.EVENT_READ, partial(_hear_frame, listener, frames))
        while True:
            for key, _ in selector.select():
                key.data()


def _hear_packet(listener: Listener, udp: socket.socket) -> None:
    with suppress(OSError):  # who cannot be answered sends it again
        data, address = udp.recvfrom(LONGEST)
        udp.sendto(listener.packet(data, address[0].partition("%")[0]), address)


def _hear_frame(listener: Listener, frames: socket.socket) -> None:
    try:
        frame, address = frames.recvfrom(LONGEST)
    except OSError as error:  # nothing more would come: whoever started us starts us again
        raise NotHeard(f"--arp: nothing is heard any more: {error.strerror}") from None
    if address[2] != OUTGOING:
        listener.frame(frame)
