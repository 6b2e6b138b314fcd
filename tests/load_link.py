"""What a load is made of: a connection that costs little, and figures of what was seen."""

import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from tests import mqtt_wire as wire

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 60.0
Figures = dict[str, float]


# --- one connection


class Door(NamedTuple):
    """Where MQTT is: TCP, or with a path WebSocket.

    Attributes:
        host: what the WebSocket's request says in ``Host``, by which one of the peers tells its services apart.
    """

    port: int
    path: str = ""
    host: str = HOST


class Link:
    """An MQTT 3.1.1 client, connected and subscribed at QoS 1."""

    def __init__(self, door: Sequence[Any], client_id: str, *filters: str) -> None:
        door = Door(*door)
        self.sock = socket.create_connection((HOST, door.port), TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames, self._packets, self._web = b"", b"", bool(door.path)
        if self._web:
            self._upgrade(door)
        self.send(wire.connect(client_id, keep_alive=600))
        [(first, body)] = self.packets()
        assert (first, body[1]) == (0x20, 0), f"CONNECT was answered {first:02x} {body.hex()}"
        if filters:
            self.send(wire.subscribe(*filters))
            [(first, body)] = self.packets()
            assert (first, body[-1]) == (0x90, 1), f"SUBSCRIBE was answered {first:02x} {body.hex()}"

    def _upgrade(self, door: Door) -> None:
        self.sock.sendall(
            f"GET {door.path} HTTP/1.1\r\nHost: {door.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, self._frames = answer.partition(b"\r\n\r\n")
        assert b" 101 " in head.partition(b"\r\n")[0], head.decode()

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, *packets: bytes) -> None:
        """Each packet is a WebSocket message of its own, as real clients send them."""
        self.sock.sendall(b"".join(map(frame, packets) if self._web else packets))

    def receive(self) -> bytes:
        """Some bytes.

        Raises:
            EOFError: the server has closed.
        """
        if more := self.sock.recv(1 << 18):
            return more
        raise EOFError("the server has closed the connection")

    def packets(self) -> list[tuple[int, bytes]]:
        """What has come, at least one packet: its first byte, and what follows its length."""
        while True:
            more = self.receive()
            if self._web:
                more, self._frames = unframed(self._frames + more)
            found, self._packets = split(self._packets + more)
            if found:
                return found


def frame(packet: bytes, mask: int = 0x80) -> bytes:
    """A binary WebSocket message; a mask of zeros leaves it as it is."""
    size = len(packet)
    head = bytes([0x82, mask | size]) if size < 126 else bytes([0x82, mask | 126]) + size.to_bytes(2, "big")
    return head + (b"\0\0\0\0" if mask else b"") + packet


def unframed(raw: bytes) -> tuple[bytes, bytes]:
    """The content of all whole frames, and the rest. A frame that is masked is masked with zeros."""
    content, at = [], 0
    while at + 2 <= len(raw):
        size, head = raw[at + 1] & 0x7F, 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(raw[at + 2 : at + head], "big")
        head += 4 * (raw[at + 1] >> 7)
        if at + head + size > len(raw):
            break
        if raw[at] & 0x0F == 8:
            raise EOFError("the server has closed the WebSocket")
        if raw[at] & 0x0F < 8:
            content.append(raw[at + head : at + head + size])
        at += head + size
    return b"".join(content), raw[at:]


def split(raw: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """All whole packets, and the rest."""
    found, at, end = [], 0, len(raw)
    while at + 2 <= end:
        size, body, shift = raw[at + 1] & 0x7F, at + 2, 7
        while raw[body - 1] > 0x7F and body < end:
            size |= (raw[body] & 0x7F) << shift
            body, shift = body + 1, shift + 7
        if raw[body - 1] > 0x7F or body + size > end:
            break
        found.append((raw[at], raw[body : body + size]))
        at = body + size
    return found, raw[at:]


class Sent(NamedTuple):
    """A PUBLISH of the server; ``ack`` is its PUBACK, b"" if it wants none."""

    topic: bytes
    payload: bytes
    ack: bytes


def sent(first: int, body: bytes) -> Sent:
    end = 2 + (body[0] << 8 | body[1])
    if first & 2:
        return Sent(body[2:end], body[end + 2 :], b"\x40\x02" + body[end : end + 2])
    return Sent(body[2:end], body[end:], b"")


def is_publish(first: int) -> bool:
    return first >> 4 == 3


# --- what is measured


def cpu_s(pid: int) -> float:
    """What a process has taken of the CPU, in whole ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Memory that a process has, in MB of a million bytes."""
    [line] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line) * 1024 / 1e6


def machine_s() -> float:
    """What all processes, and the hypervisor's other guests, have taken of the CPUs."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Meter:
    """The clock, and who used the CPUs meanwhile."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._now()

    def _now(self) -> tuple[float, float, float, float]:
        return time.perf_counter(), cpu_s(self._pid), cpu_s(os.getpid()), machine_s()

    def figures(self, operations: int) -> Figures:
        """How many there were in a second, and what they cost.

        ``cpu`` is the server's, in ms for one operation; ``own`` how busy we were, of one CPU; ``others`` how busy
        everybody else was, of all CPUs; ``memory`` is what the server has, in MB.
        """
        took, server, own, machine = (b - a for a, b in zip(self._before, self._now(), strict=True))
        others = max(0.0, machine - server - own) / took / (os.cpu_count() or 1)
        return {
            "count": operations,
            "rate": operations / took,
            "cpu": 1000 * server / max(1, operations),
            "own": own / took,
            "others": others,
            "memory": resident_mb(self._pid),
        }


def percentiles(latencies: Sequence[float], of: str = "") -> Figures:
    """Of seconds, in milliseconds: ``p50`` and ``p99``, with a word in front."""
    ordered = sorted(latencies)
    return {f"{of}p50": 1000 * median(ordered), f"{of}p99": 1000 * ordered[ceil(0.99 * len(ordered)) - 1]}


def one_by_one(
    one: Callable[[int], float], pid: int, seconds: float, *, warm: int = 20, least: int = 1
) -> Figures:
    """Have something done again and again; it is given its number, and answers with how long it took, in seconds.

    The first few do not count, and at least some do, however long that takes.
    """
    for number in range(warm):
        one(number)
    meter, latencies, end = Meter(pid), list[float](), time.perf_counter() + seconds
    while time.perf_counter() < end or len(latencies) < least:
        latencies.append(one(warm + len(latencies)))
    return meter.figures(len(latencies)) | percentiles(latencies)
