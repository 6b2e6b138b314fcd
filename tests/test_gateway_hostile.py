"""Whatever comes in by the sockets: the loop goes on, the log has no traceback, and memory stays bounded."""

import gc
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial

import mqtt_wire as wire
import pytest
from mqtt_wire import HOST, Running, Wire, eventually

from infra.local.gateway import Message, limits
from infra.local.gateway.connection import Connection
from infra.local.http import CONNECTIONS, HttpServer, bind
from tests import soak_hostile as soak


@pytest.fixture
def running(caplog: pytest.LogCaptureFixture) -> Iterator[Running]:
    with Running() as running, running.device("sane", "pulse") as sane:
        yield running
        running.gateway.publish_soon([Message("pulse", b"still there")])
        assert sane.message().payload == b"still there"
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR", "CRITICAL")]


SOUND = [
    wire.publish("t", b"x", 1),
    wire.publish("$aws/things/x/shadow/get", b""),
    wire.subscribe("t", "a/#"),
    wire.unsubscribe("t"),
    wire.puback(3),
    wire.PINGREQ,
    wire.DISCONNECT,
]


def attack(client: Wire, *packets: bytes) -> None:
    """Send, whether or not anybody still listens, and wait until the gateway has had enough or is quiet."""
    with client, suppress(OSError):
        client.send(*packets)
        client._sock.settimeout(0.02)
        while client.receive():
            pass


@pytest.mark.parametrize("version", [4, 5])
def test_random_bytes_hurt_nobody(running: Running, version: int) -> None:
    dice = random.Random(7)
    for _ in range(40):
        attack(running.raw(), dice.randbytes(dice.randrange(1, 400)))
        attack(running.raw(), wire.connect(version=version), dice.randbytes(dice.randrange(1, 400)))


@pytest.mark.parametrize("version", [4, 5])
def test_bent_packets_hurt_nobody(running: Running, version: int) -> None:
    dice = random.Random(8)
    for _ in range(60):
        bent = bytearray(wire.connect(version=version) + b"".join(dice.choices(SOUND, k=4)))
        for _ in range(dice.randrange(1, 4)):
            bent[dice.randrange(len(bent))] = dice.randrange(256)
        attack(running.raw(), bytes(bent))


HANDSHAKE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def test_random_bytes_through_a_websocket_hurt_nobody(running: Running) -> None:
    dice = random.Random(9)
    for _ in range(60):
        bent = bytearray(HANDSHAKE)
        bent[dice.randrange(len(bent))] = dice.randrange(256)
        for packets in (
            bytes(bent),
            HANDSHAKE + dice.randbytes(99),
            HANDSHAKE + b"\x82\x84\0\0\0\0" + dice.randbytes(4),
        ):
            attack(Wire(socket.create_connection((HOST, running.ws))), packets)


def test_packets_before_connect_are_not_even_read(running: Running) -> None:
    for packet in SOUND:
        with running.raw() as client:
            client.send(packet)
            assert client.closed()


def test_clients_that_vanish_in_the_middle_of_a_word_hurt_nobody(running: Running) -> None:
    whole = wire.connect(clean=False) + wire.subscribe("t") + wire.publish("t", b"x" * 300, 1)
    for size in range(1, len(whole), 7):
        with running.raw() as client:
            # Closing with this set resets the connection.
            client._sock.setsockopt(*RESET)
            client.send(whole[:size])


RESET = (1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER


def test_a_stalled_reader_costs_no_more_memory_than_its_bounds(running: Running) -> None:
    with running.device("stalled", "big") as stalled, running.device("pub") as pub:
        stalled.send(wire.subscribe("big0", qos=0, packet_id=2))
        assert stalled.read().first == 0x90
        before = resident()
        for i in range(600):
            pub.send(wire.publish("big", b"x" * 100_000, 1), wire.publish("big0", b"x" * 100_000))
            assert pub.read().first == 0x40, i
        assert resident() - before < limits.MAX_QUEUED_BYTES + 24_000_000


def resident() -> int:
    """Bytes of memory this process has now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_who_stall_together_are_cut_off_together(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_QUEUED", 20)
    clients = [running.device(f"c{i}", "$aws/events/presence/#", "t") for i in range(60)]
    running.gateway.publish_soon(Message("t", b"", qos=1) for _ in range(200))
    for client in clients:
        client.last_words()  # all that comes, to the end: one that is not cut off times out here
        client.drop()
    assert eventually(lambda: running.gateway.counts().clients == 1), "only the sane one is left"


def test_a_slow_drip_of_one_large_packet_is_taken(running: Running) -> None:
    with running.device("c", "big") as client:
        packet = wire.publish("big", b"x" * 60_000, 1)
        for i in range(0, len(packet), 1000):
            client.send(packet[i : i + 1000])
        assert {client.read().first, client.read().first} == {0x40, 0x32}


def test_connections_that_are_dropped_leave_nothing_for_the_garbage_collector(running: Running) -> None:
    def kept() -> int:
        return sum(type(each) is Connection for each in gc.get_objects())

    gc.disable()
    try:
        before = kept()
        for n in range(40):
            running.device(f"c{n}").drop()
            running.kiosk(f"kiosk-main-{n}").drop()
            running.raw().drop()
        assert eventually(lambda: kept() <= before), f"{kept() - before} of 120"
    finally:
        gc.enable()


def test_those_who_hold_connections_keep_nobody_from_http() -> None:
    def app(_environ: object, start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    server = HttpServer(app, bind(HOST, 0), name="test")
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        for n in range(CONNECTIONS + 100):
            holder = stack.enter_context(socket.create_connection((HOST, server.port)))
            holder.sendall(b"" if n % 2 else b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        with socket.create_connection((HOST, server.port), timeout=20) as asks:
            asks.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert asks.recv(100).startswith(b"HTTP/1.0 200")


def test_who_is_answered_in_turn_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """By the thread that reads: also a long answer, one to who has gone, and one that fails."""
    threads: set[int] = set()

    def app(environ: dict[str, str], start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
        threads.add(threading.get_ident())
        if environ["PATH_INFO"] == "/fail":
            raise RuntimeError("here")
        pieces = [b"x" * 9_000_000] * 4 if environ["PATH_INFO"] == "/long" else [b"ok"]
        start("200 OK", [("Content-Length", str(sum(map(len, pieces))))])
        return pieces

    server = HttpServer(app, bind(HOST, 0), name="test", in_turn=True)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        gone = socket.create_connection((HOST, server.port), timeout=20)
        gone.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        gone.close()
        clients = [
            stack.enter_context(socket.create_connection((HOST, server.port), timeout=20)) for _ in range(9)
        ]
        for n, client in enumerate(clients):
            path = b"/fail" if n == 3 else b"/long" if n == 5 else b"/"
            client.sendall(b"GET " + path + b" HTTP/1.1\r\n\r\n" + b"GET / HTTP/1.0\r\n\r\n")
        heard = [b"".join(iter(partial(client.recv, 1 << 20), b"")) for client in clients]
    assert [each.count(b"200 OK") for each in heard] == [2, 2, 2, 0, 2, 2, 2, 2, 2]
    assert heard[3].startswith(b"HTTP/1.1 500")
    assert len(heard[5]) > 36_000_000
    assert len(threads) == 1


@pytest.mark.parametrize("place", ["shadows"])  # the other one takes longer: in the soak
def test_under_every_attack_the_well_behaved_are_served(place: str) -> None:
    figures = soak.Figures()
    before, most, after = soak.siege(place, seed=1, seconds=5, crowd_of=100, figures=figures)
    print(f"{before / soak.MB:.0f}, {most / soak.MB:.0f}, {after / soak.MB:.0f} MB; {figures}")
    assert not figures.counts["answers 5xx"], figures
    done = ("random bytes", "bent packets", "bad documents", "slow connections", "dropped connections")
    assert all(figures.counts[each] for each in (*done, "messages to deaf readers", "idle connections")), (
        figures
    )
