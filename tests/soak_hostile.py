"""The proof by abuse: strangers do their worst at every port while a well-behaved client is served.

    python -c "import tests.soak_hostile as soak; soak.main()" --minutes 5 --seed 1

The attacks come one after the other, on ``staffcall shadows`` and then on ``staffcall run``, each a process of its own. In the
middle of it the sane go on: a device updates its shadow and hears that it was accepted, a newcomer does too, and at a
booth a press shows on the kiosk, is answered, and is over. Judged are the answers, the process, its log, its memory.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from infra.local.gateway import limits
from tests import mqtt_wire as wire
from tests.fake_slack import FakeSlack
from tests.mqtt_wire import HOST, Wire
from tests.shop import BUTTON_TOKEN, Process, Shop, get

STAFFCALL: Final = Path(sys.executable).with_name("staffcall")
ANSWER_S: Final = 60.0  # a sane client that waits longer is not served
PACE_S: Final = 0.01  # between two steps of an attack: they and the attacked share this machine
PATIENCE_S: Final = 0.005  # how long an attack listens to what it is answered
LOST: Final = (
    OSError,
    EOFError,
    http.client.HTTPException,
)  # what an attacker sees of a server that has enough
MB: Final = 1 << 20
RESET: Final = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets the connection

# What memory may grow by. A deaf reader's queue and output are bounded by the gateway; so is what is retained. A
# connection costs us up to 24 KB: a socket's transport, its session, the will, and Python's own. The last one is what
# an allocator keeps of pieces that were free in between.
DEAF: Final = 4
EACH_DEAF: Final = limits.MAX_QUEUED_BYTES + limits.MAX_STALLED + limits.MAX_OUTPUT
EACH_CLIENT: Final = 24 * 1024
PIECES: Final = 64 * MB


@dataclass(slots=True)
class Figures:
    """What was done and seen, in all rounds."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0

    def __str__(self) -> str:
        told = ", ".join(f"{what} {number:,}" for what, number in sorted(self.counts.items()))
        return f"{told}; the slowest sane answer took {self.slowest_s:.2f} s"


# --- Who is attacked


class Besieged:
    """A process with its ports.

    Attributes:
        mqtt, websocket: ports of MQTT.
        web: ports of HTTP, and a path of each that takes JSON.
    """

    def __init__(self, pid: int, mqtt: str, websocket: str, web: Sequence[tuple[str, str]]) -> None:
        self.pid = pid
        self.mqtt = int(mqtt.rpartition(":")[2])
        self.websocket = urlsplit(websocket).port or 0
        self.web = [(int(at.rpartition(":")[2]), path) for at, path in web]

    @property
    def ports(self) -> list[int]:
        return [self.mqtt, self.websocket, *(port for port, _ in self.web)]

    @property
    def resident(self) -> int:
        """Bytes of memory that it has now."""
        statm = Path(f"/proc/{self.pid}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def opened(self, port: int, timeout_s: float = 2) -> socket.socket:
        sock = socket.create_connection((HOST, port), timeout=timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class Sane:
    """A device with a connection that lasts, and newcomers: each updates a shadow and hears that it was accepted."""

    def __init__(self, besieged: Besieged) -> None:
        self._besieged = besieged
        self._numbers = itertools.count(1)
        self._lasting = self._came("sane")

    def _came(self, name: str) -> Wire:
        came = Wire(self._besieged.opened(self._besieged.mqtt, ANSWER_S))
        came._sock.settimeout(ANSWER_S)
        came.send(wire.connect(name, keep_alive=1200), wire.subscribe(f"$aws/things/{name}/shadow/update/+"))
        assert came.read() == wire.Heard(0x20, b"\0\0"), "not let in"
        assert came.read().first == 0x90
        return came

    def ask(self) -> None:
        """Have an update accepted by either, and over REST."""
        number = next(self._numbers)
        self._updated(self._lasting, "sane", number)
        with self._came("newcomer") as newcomer:
            self._updated(newcomer, "newcomer", number)

    def _updated(self, client: Wire, name: str, number: int) -> None:
        token = f"{number}"
        body = json.dumps({"state": {"reported": {"n": number}}, "clientToken": token}).encode()
        client.send(wire.publish(f"$aws/things/{name}/shadow/update", body, 1 + number % 60_000))
        answered = False
        while not answered:
            heard = client.read()
            if heard.first >> 4 != 3:
                continue
            got = wire.got(heard)
            client.send(wire.puback(got.packet_id))
            answered = got.topic.endswith("/accepted") and json.loads(got.payload)["clientToken"] == token

    def leave(self) -> None:
        self._lasting.drop()


class Booth:
    """A button, Hana, and the screen in front of which somebody waits."""

    def __init__(self, shop: Shop, websocket: int) -> None:
        self._shop = shop
        self._kiosk = wire.WebSocketWire(
            wire.open_websocket(
                f"ws://{HOST}:{websocket}/mqtt",
                subprotocols=[wire.Subprotocol("mqtt")],
                compression=None,
                proxy=None,
                legacy=True,
            )
        )
        self._kiosk.send(
            wire.connect("kiosk-main-1", keep_alive=1200),
            wire.subscribe("$aws/things/staff-hana/shadow/update/documents"),
        )
        assert self._kiosk.read() == wire.Heard(0x20, b"\0\0"), "not let in"
        assert self._kiosk.read().first == 0x90

    def ask(self) -> None:
        """A press shows, its answer too, and then nobody is called."""
        assert self._shop.press(id=str(time.time_ns()))[0] == 200
        self._shows("calling")
        self._shop.says("U0HANA", "ok")
        self._shows("running")
        self._shop.says("U0HANA", "done")
        self._shows("idle")

    def _shows(self, state: str) -> None:
        end = time.monotonic() + ANSWER_S
        while time.monotonic() < end:
            with suppress(TimeoutError):
                got = self._kiosk.message()
                self._kiosk.send(wire.puback(got.packet_id))
                if json.loads(got.payload)["current"]["state"]["desired"].get("state") == state:
                    return
        raise AssertionError(f"the screen did not show {state} within {ANSWER_S:.0f} s")

    def leave(self) -> None:
        self._kiosk.drop()


# --- The attacks: each goes on until it is over


@dataclass(frozen=True, slots=True)
class Attack:
    """What an attack works with."""

    at: Besieged
    dice: random.Random
    over: threading.Event
    counts: Counter[str]
    crowd: int

    def poked(self, port: int, *words: bytes) -> None:
        """Say something whoever listens, hear a little, and hang up."""
        with suppress(OSError), self.at.opened(port) as sock:
            sock.settimeout(PATIENCE_S)
            for word in words:
                sock.sendall(word)
            while sock.recv(65536):
                pass


HANDSHAKE: Final = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def framed(words: bytes) -> bytes:
    """A binary message of a WebSocket, from a client whose mask hides nothing."""
    size = len(words)
    head = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return b"\x82" + head + bytes(4) + words


def noise(attack: Attack) -> None:
    """Random bytes, at the start or after a sound one."""
    dice = attack.dice
    for port in itertools.cycle(attack.at.ports):
        if attack.over.wait(PACE_S):
            return
        raw = dice.randbytes(dice.choice((1, 20, 400, 5000)))
        start = dice.choice(
            (b"", wire.connect(version=4), wire.connect(version=5), HANDSHAKE, b"POST / HTTP/1.1\r\n")
        )
        attack.poked(port, start, raw)
        attack.counts["random bytes"] += 1


def sound(version: int) -> list[bytes]:
    """A valid packet of every type that a client may send, some of them full of properties, and two that it may not."""
    said = b"\x01\1\x02\0\0\0\x09\x03\0\1t\x08\0\1r\x09\0\1c\x26\0\1k\0\1v" if version == 5 else b""
    will: dict[str, Any] = {"will": ("w", b"gone"), "will_qos": 1}
    return [
        wire.connect("bent", version=version, clean=False, **will),
        wire.publish("t", b"x", version=version, said=said),
        wire.publish("t", b"x", 7, version=version, retain=True, said=said),
        wire.publish("$aws/things/bent/shadow/update", b'{"state":{"desired":{"a":1}}}', 8, version=version),
        wire.publish("$aws/things/bent/shadow/get", b"", 9, version=version),
        wire.packet(0x34, wire.string("t") + b"\0\1" + (b"\0" if version == 5 else b"")),
        wire.packet(0x62, b"\0\1"),
        wire.puback(7),
        wire.packet(0x50, b"\0\7"),
        wire.packet(0x70, b"\0\7"),
        wire.subscribe("t", "a/#", "+/b", version=version),
        wire.subscribe("$aws/things/bent/shadow/#", qos=0, version=version),
        wire.unsubscribe("t", version=version),
        wire.PINGREQ,
        wire.packet(0xF0, b"\0\0" if version == 5 else b""),
        wire.packet(0xE0, b"\4\0" if version == 5 else b""),
    ]


def bent(attack: Attack) -> None:
    """Valid packets of every type with a few bytes changed, cut, doubled or put in, in both versions, by both ways."""
    dice = attack.dice
    while not attack.over.wait(PACE_S):
        version = dice.choice((4, 5))
        packets = [bytearray(each) for each in dice.choices(sound(version), k=dice.randint(1, 5))]
        for packet in dice.choices(packets, k=2):
            _bend(packet, dice)
        name = f"bent-{dice.randrange(3000)}"
        words = wire.connect(name, version=version) + b"".join(packets)
        if dice.random() < 0.5:
            attack.poked(attack.at.mqtt, words)
        else:
            attack.poked(attack.at.websocket, HANDSHAKE, framed(words))
        attack.counts["bent packets"] += len(packets)


def _bend(packet: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(packet))
    match dice.randrange(5):
        case 0:
            packet[at] = dice.randrange(256)
        case 1:
            packet[at] ^= 1 << dice.randrange(8)
        case 2:
            del packet[at:]
            packet.append(0)
        case 3:
            packet[at:at] = dice.randbytes(dice.randint(1, 9))
        case _:
            packet.extend(bytes(packet))


DEEP: Final = 30_000


def documents() -> list[bytes]:
    """What is hard to parse, to keep, or to answer."""
    inner = [
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b"[" * 2 * DEEP,
        b'{"a":' * 6 + b"1" + b"}" * 6,
        b'{"' + b"k" * 120_000 + b'":1}',
        b'{"k":"' + b"x" * 120_000 + b'"}',
        b"{" + b",".join(b'"%d":%d' % (n, n) for n in range(8000)) + b"}",
        b"{" + b",".join([b'"same":1'] * 10_000) + b"}",
        b'{"n":' + b"9" * 100_000 + b"}",
        b'{"n":1e' + b"9" * 20 + b"}",
        b'{"n":-0.0,"m":1E400,"o":NaN,"p":Infinity}',
        b'{"s":"\\ud800","\\udfff":"\\u0000"}',
        b'{"s":"\xff\xfe"}',
        b'{"n":[null]}',
        b"null",
        b'"text"',
    ]
    whole = [b'{"state":{"desired":' + each + b"}}" for each in inner]
    return [
        *whole,
        *inner,
        b"",
        b"\xef\xbb\xbf{}",
        b"\xff" * 1000,
        b'{"state":{"desired":{}},"version":' + b"1" * 50_000 + b"}",
        b'{"state":{},"clientToken":"' + b"t" * 100_000 + b'"}',
        b'{"state":{},"clientToken":{"a":[' + b"[" * DEEP + b"]" * DEEP + b"]}}",
        b" " * 130_000,
    ]


def json_bombs(attack: Attack) -> None:
    """Deep, huge and wrong JSON for the shadow service and the doors, by MQTT and HTTP."""
    bombs = documents()
    while not attack.over.wait(PACE_S):
        for bomb in bombs:
            if attack.over.wait(PACE_S):
                return
            operation = attack.dice.choice(("update", "update", "get", "delete"))
            topic = f"$aws/things/bomb/shadow/{operation}"
            with suppress(*LOST), Wire(attack.at.opened(attack.at.mqtt)) as client:
                client.send(wire.connect("bomb"), wire.publish(topic, bomb, 1))
                while client.read().first != 0x40:
                    pass
            for port, path in attack.at.web:
                _posted(attack, port, path, bomb)
            attack.counts["bad documents"] += 1 + len(attack.at.web)
        port, path = attack.dice.choice(attack.at.web)
        _posted(attack, port, path, b"[" * (3 * MB))


def _posted(attack: Attack, port: int, path: str, body: bytes) -> None:
    """A 5xx is a fault of ours, whatever was sent."""
    with suppress(*LOST):
        link = http.client.HTTPConnection(HOST, port, timeout=5)
        headers = {"Authorization": f"Bearer {BUTTON_TOKEN}", "Content-Type": "application/json"}
        try:
            link.request("POST", path, body, headers)
            status = link.getresponse().status
        finally:
            link.close()
        attack.counts["answers 5xx"] += status >= 500


DRIPS: Final[Sequence[bytes]] = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
)


def drip(attack: Attack) -> None:
    """Many who say something very slowly, and never come to its end, at each port: more of them than HTTP has places."""
    starts = [
        (attack.at.mqtt, b"\x10\xff\x7f\0\4MQTT\4\2\0\0"),
        (attack.at.mqtt, b""),
        (attack.at.mqtt, wire.connect("drip NNNN") + b"\x30\xff\x7f\0\1t"),
    ]
    starts += [(attack.at.websocket, DRIPS[0]), (attack.at.websocket, HANDSHAKE + b"\x82\xfe\xff\xff")]
    starts += [(port, word) for port, _ in attack.at.web for word in (*DRIPS, b"")]
    places = min(300, attack.crowd)
    slow: dict[int, socket.socket] = {}
    while not attack.over.wait(0.3):
        again = 0
        for n in range(places * len(starts)):
            try:
                slow[n].send(b"x")
            except (KeyError, OSError):
                again += 1
                if again < 200:  # a turn: it is about those who stay
                    _reopened(attack, slow, n, *starts[n % len(starts)])
    for sock in slow.values():
        sock.close()


def _reopened(attack: Attack, slow: dict[int, socket.socket], n: int, port: int, word: bytes) -> None:
    if n in slow:
        slow.pop(n).close()
    with suppress(OSError):
        sock = slow[n] = attack.at.opened(port)
        sock.setblocking(False)
        sock.send(word.replace(b"NNNN", b"%04x" % n))
    attack.counts["slow connections"] += 1


def deaf(attack: Attack) -> None:
    """Readers that read no more, with and without QoS, under a flood; who is cut off comes again."""
    readers: list[Wire] = []
    while not attack.over.wait(PACE_S):
        with suppress(*LOST), Wire(attack.at.opened(attack.at.mqtt)) as flood:
            flood.send(wire.connect("flood"))
            assert flood.read().first == 0x20
            for n in itertools.count(1):
                if attack.over.wait(PACE_S):
                    break
                if n % 300 == 1:
                    _deafen(attack, readers)
                flood.send(wire.publish("flood", attack.dice.randbytes(100_000), 1 + n % 60_000))
                assert flood.read().first == 0x40
                attack.counts["messages to deaf readers"] += 1
    for reader in readers:
        reader.drop()


def _deafen(attack: Attack, readers: list[Wire]) -> None:
    for reader in readers:
        reader.drop()
    readers.clear()
    for n in range(DEAF):
        sock = attack.at.opened(attack.at.mqtt)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader = Wire(sock)
        readers.append(reader)
        reader.send(wire.connect(f"deaf-{n}"), wire.subscribe("flood", qos=n % 2))


BURST: Final = 2000  # connections


def churn(attack: Attack) -> None:
    """Connections that are opened and dropped, in every state."""
    words = (b"", b"\x10", wire.connect("churn"), HANDSHAKE[:40], HANDSHAKE, b"GET / HTTP/1.1\r\n")
    for n in itertools.count(1):
        if attack.over.wait(
            0 if n % BURST else 2
        ):  # a rest: whether one machine wins a race with itself tells nothing
            return
        with suppress(OSError), attack.at.opened(attack.dice.choice(attack.at.ports)) as sock:
            sock.sendall(attack.dice.choice(words))
            if n % 2:
                sock.setsockopt(*RESET)
        attack.counts["dropped connections"] += 1


def crowd(attack: Attack) -> None:
    """Clients that connect, and then do nothing."""
    idle: list[socket.socket] = []
    for n in range(attack.crowd):
        if attack.over.is_set():
            break
        with suppress(OSError):
            web = n % 2
            sock = attack.at.opened(attack.at.websocket if web else attack.at.mqtt)
            hello = wire.connect(f"kiosk-crowd-{n}" if web else f"idle-{n}", keep_alive=1200)
            sock.sendall(HANDSHAKE + framed(hello) if web else hello)
            idle.append(sock)
    attack.over.wait()
    attack.counts["idle connections"] += sum(map(_heard, idle))
    for sock in idle:
        sock.close()


def _heard(sock: socket.socket) -> bool:
    """Whether there was a CONNACK that lets it in, and the connection is still there."""
    sock.setblocking(False)
    try:
        welcome = b"\x20\2\0\0" in sock.recv(65536)
        return welcome and sock.recv(1) != b""
    except BlockingIOError:
        return welcome
    except OSError:
        return False


ATTACKS: Final[Sequence[Callable[[Attack], None]]] = (noise, bent, json_bombs, drip, deaf, churn, crowd)


# --- The siege


@contextmanager
def shadows_alone(folder: Path) -> Iterator[tuple[Besieged, list[Any], Callable[[], str]]]:
    """``staffcall shadows``: its ports, its sane clients, and what it says."""
    ports = {f"STAFFCALL_{port}_PORT": "0" for port in ("MQTT", "WS", "AWS")}
    env = {
        "PATH": os.environ["PATH"],
        **ports,
        "STAFFCALL_DATA": str(folder / "data"),
        "STAFFCALL_THROTTLE": "off",
    }
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen([STAFFCALL, "shadows"], env=env, cwd=folder, stdout=out, stderr=out) as process,
    ):
        try:
            at = _written(folder / "data" / "shadows.json", log, process)
            besieged = Besieged(
                process.pid, at["mqtt"], at["websocket"], [(at["aws"], "/things/bomb/shadow")]
            )
            yield besieged, [Sane(besieged)], lambda: log.read_text("utf-8", "replace")
            process.send_signal(signal.SIGTERM)
            assert process.wait(ANSWER_S) == 0, "it does not end as it should"
        finally:
            process.kill()


def _written(file: Path, log: Path, process: "subprocess.Popen[bytes]") -> dict[str, str]:
    end = time.monotonic() + ANSWER_S
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, ValueError):
            return dict(json.loads(file.read_text()))
        time.sleep(0.02)
    raise AssertionError(f"it did not start: {log.read_text()}")


@contextmanager
def whole_booth(folder: Path) -> Iterator[tuple[Besieged, list[Any], Callable[[], str]]]:
    """``staffcall run``, with a booth."""
    with (
        FakeSlack() as slack,
        Process(Shop(folder / "data", slack, quiet_s=0.05), STAFFCALL_THROTTLE="off") as process,
    ):
        shop = process.shop.furnish()
        websocket = get(shop.url("/config.json"))[1]["mqtt"]
        web = [(shop.at.aws, "/things/bomb/shadow"), (shop.at.http, "/buttons/webhook")]
        besieged = Besieged(process._process.pid, shop.at.mqtt, websocket, web)
        yield besieged, [Sane(besieged), Booth(shop, besieged.websocket)], process.output.decode
        assert process.end(signal.SIGTERM) == 0, "it does not end as it should"


PLACES: Final = {"shadows": shadows_alone, "run": whole_booth}


def siege(
    place: str,
    *,
    seed: int,
    seconds: float,
    crowd_of: int,
    figures: Figures,
    attacks: Sequence[Callable[[Attack], None]] = ATTACKS,
) -> list[int]:
    """Attack a place for a while; the answer is its memory in bytes: before, at its most, and afterwards.

    Raises:
        AssertionError: somebody was not served, it has died, or its log has a traceback or its memory is beyond bounds.
    """
    with tempfile.TemporaryDirectory() as folder, PLACES[place](Path(folder)) as (at, sane, log):
        for each in sane:
            each.ask()
        before, most = at.resident, 0
        for n, attack in enumerate(attacks):
            over = threading.Event()
            how = Attack(at, random.Random(seed + n), over, figures.counts, crowd_of)
            attacker = threading.Thread(target=attack, args=(how,))
            attacker.start()
            try:
                most = max(most, _served_until(time.monotonic() + seconds / len(attacks), at, sane, figures))
            finally:
                over.set()
                attacker.join()
        for each in sane:
            each.ask()
            each.leave()
        after, said = at.resident, log()
    assert "Traceback" not in said, said[-4000:]
    bound = before + DEAF * EACH_DEAF + crowd_of * 2 * EACH_CLIENT + limits.MAX_RETAINED_BYTES + PIECES
    assert most < bound, f"{most / MB:.0f} MB, with a bound of {bound / MB:.0f} MB"
    return [before, most, after]


def _served_until(end: float, at: Besieged, sane: list[Any], figures: Figures) -> int:
    most = at.resident
    while time.monotonic() < end:
        for each in sane:
            began = time.monotonic()
            each.ask()
            figures.slowest_s = max(figures.slowest_s, time.monotonic() - began)
            figures.counts["sane answers"] += 1
        most = max(most, at.resident)
        time.sleep(0.1)
    return most


def main() -> None:
    """Attack both in turn; status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Attack every port while a sane client is served.")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crowd", type=int, default=10_000, help="idle connections")
    asked = parser.parse_args()
    figures = Figures()
    for place in PLACES:
        before, most, after = siege(
            place, seed=asked.seed, seconds=30 * asked.minutes, crowd_of=asked.crowd, figures=figures
        )
        print(
            f"{place}: {before / MB:.0f} MB before, {most / MB:.0f} MB at most, {after / MB:.0f} MB afterwards",
            flush=True,
        )
    print(f"{figures}; --seed {asked.seed}")
    sys.exit(bool(figures.counts["answers 5xx"]))
