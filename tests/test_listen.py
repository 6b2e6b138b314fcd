"""Buttons that send a UDP packet, or only join the network: what is heard is on disk, and is pressed until it is taken, once."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from button_handlers import arp
from infra.local.listener import (
    ARP_HOLD_S,
    MOST,
    UDP_HOLD_S,
    Listener,
    NotHeard,
    Spool,
    arp_socket,
    udp_socket,
)
from shadows.errors import Rejected
from shadows.registry import NewButton, add_button
from shadows.shadow import JsonObject
from tests.fake_slack import FakeSlack
from tests.shop import Shop, until

PAYLOADS = Path(__file__).parent / "payloads"
DASH = "a002dc000001"
PROBE = bytes.fromhex((PAYLOADS / "dash_arp_probe.hex").read_text())
ANNOUNCED = bytes.fromhex((PAYLOADS / "dash_arp_announce.hex").read_text())
SINGLE = bytes.fromhex((PAYLOADS / "soracom_button_single_bat100.hex").read_text())
BROKEN = bytes.fromhex((PAYLOADS / "soracom_button_bad_checksum.hex").read_text())


class Door:
    """A door in memory, which refuses on order, and a listener before it whose clock tests move."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_793_235_600.0
        self.set_by = 0.0  # what became of the system's clock
        self.got: list[JsonObject] = []
        self.fails: list[Exception] = []
        self.is_down = False
        self.buttons = {DASH}
        self.said: list[str] = []
        self.folder = folder / "listen"
        self.tried = 0

    def __enter__(self) -> Self:
        self.listener = Listener(
            Spool(self.folder),
            self.send,
            self.is_button,
            self.said.append,
            clock=lambda: self.now + self.set_by,
            awake_s=lambda: self.now,
        )
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.stop()

    def send(self, body: JsonObject) -> JsonObject:
        self.tried += 1
        if self.is_down:
            raise ConnectionRefusedError("nobody listens")
        if self.fails:
            raise self.fails.pop(0)
        self.got.append(body)
        return {"thing": "staff-hana", "state": "calling"}

    def is_button(self, id: str) -> bool:
        if self.is_down:
            raise ConnectionRefusedError("nobody listens")
        return id in self.buttons

    @property
    def kept(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def settled(self) -> list[str]:
        """The buttons that pressed, once nothing waits any more."""
        until(lambda: not self.kept and not self.listener._waiting, "the end of what waits", 20)
        return [body["button"] for body in self.got]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Door(tmp_path) as door:
        yield door


def packet(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# --- what comes off the wire


def test_a_packet_presses_as_the_webhook_does(door: Door) -> None:
    assert (
        door.listener.packet(packet(button="demo", click="DOUBLE", id="7", battery=0.5), "10.0.0.7") == b"200"
    )
    assert door.listener.packet(packet(button="demo", battery=0.25), "10.0.0.7") == b"200"
    assert door.settled() == ["demo", "demo"]
    assert door.got == [
        {"button": "demo", "click": "DOUBLE", "id": "7", "battery": 0.5},
        {"button": "demo", "battery": 0.25},
    ]


def test_soracoms_four_bytes_are_a_press_of_the_button_with_that_address(door: Door) -> None:
    assert door.listener.packet(SINGLE, "10.128.0.9") == b"200"
    assert door.listener.packet(SINGLE, "fd00::9") == b"200"
    assert door.settled() == ["10-128-0-9", "fd00--9"]
    assert [(each["click"], each["battery"], len(each["id"])) for each in door.got] == [
        ("SINGLE", 1.0, 26)
    ] * 2


@pytest.mark.parametrize("data", [b"", b"hello", BROKEN, b"{", b"{}", b'{"button": "demo"}', b"\xff" * 9000])
def test_what_is_no_press_is_answered_so_and_kept_nowhere(door: Door, data: bytes) -> None:
    assert door.listener.packet(data, "10.0.0.7") == b"400"
    assert door.settled() == []


def test_nobody_who_reads_along_any_more_keeps_no_press_back(door: Door) -> None:
    def gone(_line: str) -> None:
        raise BrokenPipeError

    door.listener._say = gone
    for host in ("10.0.0.7", "10.0.0.8"):
        assert door.listener.packet(SINGLE, host) == b"200"
    assert door.settled() == ["10-0-0-7", "10-0-0-8"]


def test_the_same_packet_again_is_the_same_press_for_two_seconds(door: Door) -> None:
    for _ in range(3):
        assert door.listener.packet(SINGLE, "10.0.0.7") == b"200"
        door.now += UDP_HOLD_S / 4
    door.listener.packet(SINGLE, "10.0.0.8")
    assert sorted(door.settled()) == ["10-0-0-7", "10-0-0-8"]
    door.now += UDP_HOLD_S
    door.set_by = -3600  # nor is a press lost to a clock that was set back
    door.listener.packet(SINGLE, "10.0.0.7")
    assert len(door.settled()) == 3


def test_a_dash_presses_once_however_often_it_asks_for_its_address(door: Door) -> None:
    for frame in (PROBE, PROBE, PROBE, ANNOUNCED, ANNOUNCED):
        door.listener.frame(frame)
        door.now += 1.5
    assert door.settled() == [DASH]
    door.now += ARP_HOLD_S
    door.listener.frame(PROBE)
    assert door.settled() == [DASH] * 2
    assert door.got[0]["id"] != door.got[1]["id"]


def test_a_device_that_is_no_button_presses_nothing_and_is_named_once(door: Door) -> None:
    door.buttons.clear()
    for _ in range(2):
        door.listener.frame(PROBE)
        door.now += ARP_HOLD_S
        assert door.settled() == []
    assert door.said == [
        f"{DASH} has joined, and is no button: `staffcall button add {DASH} --staff …` makes it one"
    ]


def test_a_press_is_an_arp_probe_and_nothing_else() -> None:
    assert getattr(arp.from_frame(PROBE + bytes(18)), "button", "") == DASH  # as a driver pads it
    assert arp.from_frame(ANNOUNCED) is None
    for at, byte in ((12, 0x86), (15, 6), (16, 0x86), (18, 8), (19, 16), (21, 2), (28, 10)):
        other = bytearray(PROBE)
        other[at] = byte
        assert arp.from_frame(bytes(other)) is None, at
    for start, stop, byte in ((22, 28, 0), (22, 28, 0xFF), (38, 42, 0)):
        other = bytearray(PROBE)
        other[start:stop] = bytes([byte]) * (stop - start)
        assert arp.from_frame(bytes(other)) is None, start
    assert all(arp.from_frame(PROBE[:length]) is None for length in range(len(PROBE)))


@given(st.binary(max_size=64))
def test_whatever_is_on_the_wire_breaks_nothing(data: bytes) -> None:
    assert arp.from_frame(data) is None or len(data) >= len(PROBE)


# --- what is sent


def test_what_no_door_takes_now_is_tried_again_with_the_same_id(door: Door) -> None:
    door.fails = [
        ConnectionResetError("gone"),
        Rejected(503, "later"),
        Rejected(401, "wrong token"),
        Rejected(429, "slow"),
    ]
    door.listener.packet(packet(button="demo", click="SINGLE"), "10.0.0.7")
    (file,) = door.kept
    kept = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert door.settled() == ["demo"]
    assert door.got == [kept["body"]]
    assert door.tried == 5


def test_what_is_refused_for_good_is_said_and_holds_up_nothing(door: Door) -> None:
    door.fails = [Rejected(404, "button: demo is unknown")]
    for button in ("demo", "other"):
        door.listener.packet(packet(button=button, click="SINGLE"), "10.0.0.7")
    assert door.settled() == ["other"]
    assert door.said[0] == "button demo: refused: button: demo is unknown"


def test_one_that_is_not_taken_lets_the_others_pass(door: Door) -> None:
    send = door.send

    def slow_for_demo(body: JsonObject) -> JsonObject:
        if body["button"] == "demo" and len(door.got) < 2:
            raise Rejected(429, "too fast")
        return send(body)

    door.listener._send = slow_for_demo
    for button in ("demo", "one", "two"):
        door.listener.packet(packet(button=button, click="SINGLE"), "10.0.0.7")
    assert door.settled() == ["one", "two", "demo"]


def test_what_a_process_left_behind_is_sent_by_the_next(tmp_path: Path) -> None:
    with Door(tmp_path) as first:
        first.is_down = True
        first.listener.packet(packet(button="demo", click="SINGLE"), "10.0.0.7")
        first.listener.frame(PROBE)
        left = [json.loads(file.read_text())["body"] for file in first.kept]
        (first.folder / "0.json").write_text("{")
    with Door(tmp_path) as second:
        until(lambda: len(second.got) == 2, "both")
        assert second.got == left
        until(lambda: [file.name for file in second.kept] == ["0.json"], "what nobody can read")


def test_who_pressed_ten_minutes_ago_has_gone(tmp_path: Path) -> None:
    with Door(tmp_path) as door:
        door.is_down = True
        door.listener.packet(packet(button="demo", click="SINGLE"), "10.0.0.7")
        until(lambda: door.tried, "a try")
        door.now += 601
        door.is_down = False
        assert door.settled() == []
    assert door.said[-1] == "button demo: dropped, no door was reached for ten minutes"


def test_a_disk_that_is_full_loses_no_press_and_is_not_answered_as_if_it_were_kept(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    door.is_down = True
    monkeypatch.setattr(Spool, "put", full)
    assert door.listener.packet(SINGLE, "10.0.0.7") == b"503"
    monkeypatch.undo()
    assert door.listener.packet(SINGLE, "10.0.0.7") == b"200"  # sent again, as it was told to
    assert len(door.kept) == 1
    door.is_down = False
    assert door.settled() == ["10-0-0-7"] * 2


def test_who_floods_us_fills_no_disk(door: Door) -> None:
    door.is_down = True
    answers = [
        door.listener.packet(packet(button="demo", click="SINGLE", id=str(n)), "10.0.0.7")
        for n in range(MOST + 5)
    ]
    assert answers == [b"200"] * MOST + [b"503"] * 5
    assert len(door.kept) == MOST


# --- the wire


def test_what_cannot_be_listened_to_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        udp_socket("127.0.0.1", 0) as taken,
        pytest.raises(NotHeard, match="--udp: nothing can listen at 127"),
    ):
        udp_socket("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(NotHeard, match="--udp: nothing can listen at no-such-host"):
        udp_socket("no-such-host.invalid", 0)

    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", denied)
    with pytest.raises(NotHeard, match="CAP_NET_RAW"):
        arp_socket("")


def hearing() -> None:
    try:
        arp_socket("lo").close()
    except NotHeard as no:
        pytest.skip(f"no ARP was heard: {no}")


def test_arp_is_heard_on_a_real_interface() -> None:
    hearing()
    with pytest.raises(NotHeard, match="expected a network interface, got 'nothing9'"):
        arp_socket("nothing9")
    with arp_socket("lo") as heard, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as says:
        heard.settimeout(20)
        says.bind(("lo", 0))
        says.send(PROBE)
        assert heard.recvfrom(2048)[0][: len(PROBE)] == PROBE


class Process:
    """``staffcall listen`` as a process of its own."""

    def __init__(self, shop: Shop, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("staffcall")), "listen", *arguments]
        env = {
            "PATH": os.environ["PATH"],
            **shop.environment,
            "STAFFCALL_HTTP_PORT": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=shop.data.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        self.lines.extend(iter(self._process.stdout.readline, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: int) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(20)
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()
        return status

    def said(self, words: str) -> str:
        def found() -> str:
            return next((line for line in self.lines if words in line), "")

        return until(found, f"{words} in {self.lines}", 20)

    def tell(self, data: bytes) -> bytes:
        """Send a packet; what is answered."""
        port = int(self.said("Listening for UDP").split(":")[1].split(";")[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(20)
            udp.sendto(data, ("127.0.0.1", port))
            return udp.recv(100)


def test_a_packet_calls_and_one_that_a_killed_process_had_answered_calls_once_the_place_is_back(
    tmp_path: Path,
) -> None:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        shop.furnish()
        add_button(shop.place, NewButton(id="127-0-0-1", single="sora"))
        with Process(shop, "--udp", "0") as listener:
            assert listener.tell(SINGLE) == b"200"
            until(lambda: shop.state("sora") == "calling", "the call", 20)
            shop.close()
            assert listener.tell(packet(button="demo", click="SINGLE", id="1")) == b"200"
            listener.said("button demo: no door is reached")
            shop.open()  # at other ports
            listener.said("button demo: staff-hana calling")
            shop.close()
            assert listener.tell(packet(button="demo", click="SINGLE", id="2")) == b"200"
            listener.end(signal.SIGKILL)
        shop.open()
        with Process(shop, "--udp", "0") as listener:
            listener.said("button demo: staff-hana calling")
            assert listener.tell(packet(button="nobody", click="SINGLE")) == b"200"
            listener.said("button nobody: refused: button: nobody is unknown")
            assert listener.end(signal.SIGINT) == 130
        assert shop.asked("hana")["call"]["count"] == 2
        assert [*(shop.data / "listen").iterdir()] == []


def test_a_hardware_address_that_is_registered_while_we_listen_calls(tmp_path: Path) -> None:
    hearing()
    with (
        FakeSlack() as slack,
        Shop(tmp_path / "data", slack) as shop,
        Process(shop, "--arp", "lo") as listener,
    ):
        listener.said("Listening for ARP on lo")
        shop.furnish()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as says:
            says.bind(("lo", 0))
            other = bytearray(PROBE)
            other[22:28] = b"\x02\x00\x00\x00\x00\x09"
            says.send(bytes(other))
            listener.said("020000000009 has joined, and is no button")
            add_button(shop.place, NewButton(id=DASH, single="hana"))
            says.send(PROBE)
            until(lambda: shop.state("hana") == "calling", "the call", 20)
