"""MQTT by hand: a client that sends exactly the bytes a test wants, and a gateway to send them to."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from infra.local.gateway import Gateway
from infra.local.http import bind

HOST = "127.0.0.1"
T = TypeVar("T")


def string(text: str) -> bytes:
    return binary(text.encode())


def binary(raw: bytes) -> bytes:
    return struct.pack("!H", len(raw)) + raw


def varint(value: int) -> bytes:
    head, rest = value & 0x7F, value >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])


def packet(first: int, body: bytes = b"") -> bytes:
    return bytes([first]) + varint(len(body)) + body


def properties(*coded: bytes) -> bytes:
    return varint(len(b"".join(coded))) + b"".join(coded)


def connect(
    client_id: str = "c",
    *,
    version: int = 4,
    clean: bool = True,
    keep_alive: int = 60,
    will: tuple[str, bytes] | None = None,
    will_qos: int = 0,
    will_said: bytes = b"",
    login: tuple[str, str] | None = None,
    said: bytes = b"",
) -> bytes:
    flags = clean << 1 | (4 | will_qos << 3 if will else 0) | (0xC0 if login else 0)
    body = string("MQTT") + bytes([version, flags]) + struct.pack("!H", keep_alive)
    body += (properties(said) if version == 5 else b"") + string(client_id)
    if will:
        body += (properties(will_said) if version == 5 else b"") + string(will[0]) + binary(will[1])
    return packet(0x10, body + b"".join(map(string, login or ())))


def publish(
    topic: str,
    payload: bytes = b"",
    packet_id: int = 0,
    *,
    version: int = 4,
    retain: bool = False,
    said: bytes = b"",
) -> bytes:
    """QoS 1 if there is a packet id."""
    body = string(topic) + (struct.pack("!H", packet_id) if packet_id else b"")
    return packet(
        0x30 | bool(packet_id) << 1 | retain, body + (properties(said) if version == 5 else b"") + payload
    )


def subscribe(*filters: str, qos: int = 1, packet_id: int = 1, version: int = 4, said: bytes = b"") -> bytes:
    """``qos`` is the whole byte of options."""
    head = struct.pack("!H", packet_id) + (properties(said) if version == 5 else b"")
    return packet(0x82, head + b"".join(string(one) + bytes([qos]) for one in filters))


def unsubscribe(*filters: str, packet_id: int = 1, version: int = 4) -> bytes:
    head = struct.pack("!H", packet_id) + (properties() if version == 5 else b"")
    return packet(0xA2, head + b"".join(map(string, filters)))


def puback(packet_id: int) -> bytes:
    return packet(0x40, struct.pack("!H", packet_id))


PINGREQ = packet(0xC0)
DISCONNECT = packet(0xE0)


class Heard(NamedTuple):
    """A packet from the gateway."""

    first: int
    body: bytes


class Got(NamedTuple):
    """A PUBLISH from the gateway; ``said`` are MQTT 5's properties, as bytes."""

    topic: str
    payload: bytes
    packet_id: int = 0
    retain: bool = False
    dup: bool = False
    said: bytes = b""


def got(heard: Heard, version: int = 4) -> Got:
    assert heard.first >> 4 == 3, f"not a PUBLISH: {heard}"
    size = struct.unpack_from("!H", heard.body)[0]
    topic, rest = heard.body[2 : 2 + size].decode(), heard.body[2 + size :]
    packet_id, said = 0, b""
    if heard.first & 6:
        packet_id, rest = struct.unpack_from("!H", rest)[0], rest[2:]
    if version == 5:
        said, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]  # no test says more than 127 bytes
    return Got(topic, rest, packet_id, bool(heard.first & 1), bool(heard.first & 8), said)


class Wire:
    """One connection, as raw as its socket; every read has a deadline."""

    def __init__(self, sock: socket.socket, version: int = 4) -> None:
        self.version, self._sock, self._buffer = version, sock, b""
        sock.settimeout(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        self._sock.close()

    def hang_up(self) -> None:
        """Say no more, and keep the socket."""
        self._sock.shutdown(socket.SHUT_WR)

    def send(self, *packets: bytes) -> None:
        self._sock.sendall(b"".join(packets))

    def receive(self) -> bytes:
        """Some bytes; b"" at the end."""
        try:
            return self._sock.recv(65536)
        except ConnectionResetError:
            return b""

    def read(self) -> Heard:
        """The next packet.

        Raises:
            EOFError: if the gateway has closed.
        """
        while True:
            with suppress(IndexError):
                size, at = 0, 1
                while True:
                    size |= (self._buffer[at] & 0x7F) << 7 * (at - 1)
                    at += 1
                    if self._buffer[at - 1] < 0x80:
                        break
                if len(self._buffer) >= at + size:
                    heard = Heard(self._buffer[0], self._buffer[at : at + size])
                    self._buffer = self._buffer[at + size :]
                    return heard
            if not (more := self.receive()):
                raise EOFError
            self._buffer += more

    def message(self) -> Got:
        return got(self.read(), self.version)

    def last_words(self) -> bytes:
        """Everything up to the end of the connection."""
        words, self._buffer = self._buffer, b""
        while more := self.receive():
            words += more
        return words

    def closed(self) -> bool:
        """Whether the gateway closes without another word."""
        return self.last_words() == b""

    def quiet(self, seconds: float = 0.15) -> bool:
        """Whether nothing comes, up to a PINGRESP that must come."""
        self.send(PINGREQ)
        if self.read() != Heard(0xD0, b""):
            return False
        self._sock.settimeout(seconds)
        try:
            return not self._buffer and not self.receive() and False
        except TimeoutError:
            return True
        finally:
            self._sock.settimeout(5)


class WebSocketWire(Wire):
    """The same through a WebSocket: each send is one message."""

    def __init__(self, websocket: ClientConnection, version: int = 4) -> None:
        self.websocket = websocket
        super().__init__(websocket.socket, version)

    def drop(self) -> None:
        self.websocket.close()

    def send(self, *packets: bytes) -> None:
        self.websocket.send(b"".join(packets))

    def receive(self) -> bytes:
        try:
            message = self.websocket.recv(5)
        except ConnectionClosed:
            return b""
        assert isinstance(message, bytes)
        return message

    def quiet(self, seconds: float = 0.15) -> bool:
        self.send(PINGREQ)
        if self.read() != Heard(0xD0, b""):
            return False
        try:
            self.websocket.recv(seconds)
        except TimeoutError:
            return True
        return False


W = TypeVar("W", bound=Wire)


def websocket(address: str, version: int = 4) -> WebSocketWire:
    """A WebSocket that has said nothing yet."""
    opened = open_websocket(
        f"ws://{address}/mqtt",
        subprotocols=[Subprotocol("mqtt")],
        compression=None,
        proxy=None,
        legacy=True,
    )
    return WebSocketWire(opened, version)


def greeted(wire: W, client_id: str, filters: tuple[str, ...], **how: Any) -> W:
    """A connection, once it is let in and subscribed at QoS 1."""
    wire.send(connect(client_id, version=wire.version, **how))
    heard = wire.read()
    assert (heard.first, heard.body[1]) == (0x20, 0), f"not let in: {heard}"
    if filters:
        wire.send(subscribe(*filters, version=wire.version))
        assert wire.read().first == 0x90
    return wire


class Running:
    """A gateway on ports of its own, its loop in a thread; when it stops, no task may be left."""

    def __init__(self, **how: Any) -> None:
        self.gateway = Gateway(**{"throttle": False} | how)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.tcp = self.call(self.gateway.listen_tcp(bind(HOST, 0)))
        self.ws = self.call(self.gateway.listen_websocket(bind(HOST, 0)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.call(self.gateway.close())
        left = self.call(self._tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert error or not left, f"left behind: {left}"

    async def _tasks(self) -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def soon(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    def narrow(self, wire: Wire) -> None:
        """Let the system hold as little as it can of what goes to the only client there is."""
        [door] = self.gateway._doors
        door._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def raw(self, version: int = 4) -> Wire:
        """A TCP connection that has said nothing yet."""
        return Wire(socket.create_connection((HOST, self.tcp)), version)

    def device(self, client_id: str = "device", *filters: str, version: int = 4, **how: Any) -> Wire:
        """A device, connected and subscribed at QoS 1."""
        return greeted(self.raw(version), client_id, filters, **how)

    def kiosk(
        self, client_id: str = "kiosk-main-1", *filters: str, version: int = 4, **how: Any
    ) -> WebSocketWire:
        """A kiosk, connected and subscribed at QoS 1."""
        return greeted(self.raw_websocket(version), client_id, filters, **how)

    def raw_websocket(self, version: int = 4) -> WebSocketWire:
        return websocket(f"{HOST}:{self.ws}", version)


def eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
