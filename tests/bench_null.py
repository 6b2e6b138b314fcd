"""A broker that thinks of nothing: what the load can ask of one at most. ``python -m tests.bench_null`` prints its ports.

It sends each message to everybody who has subscribed to anything that could mean it, takes no care of anybody's
acknowledgements, and answers a shadow's update with the request itself. It tells MQTT in a WebSocket from plain MQTT by
the first byte, on the same port; the last port is of an HTTP server that says {} to everything.
"""

import asyncio
import sys
from itertools import count
from typing import ClassVar

from tests.load_link import HOST, frame, is_publish, split, unframed

UPDATE, ACCEPTED, DOCUMENTS = b"/shadow/update", b"/accepted", b"/documents"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Null(asyncio.Protocol):
    """One connection.

    Attributes:
        links: all that have subscribed, with the thing and the end of the topic, or the whole topic.
        full: all that have something to send.
    """

    links: ClassVar["dict[Null, tuple[bytes, bytes]]"] = {}
    full: ClassVar["list[Null]"] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._ids = transport, count()
        self._frames, self._packets, self._web, self._began = b"", b"", False, False
        self._out: list[bytes] = []

    def connection_lost(self, _error: Exception | None) -> None:
        self.links.pop(self, None)

    def data_received(self, data: bytes) -> None:
        if not self._began:
            self._began, self._web = True, data[:1] == b"G"
            if self._web:
                self._transport.write(UPGRADED)
                data = data.partition(b"\r\n\r\n")[2]
        if self._web:
            data, self._frames = unframed(self._frames + data)
        found, self._packets = split(self._packets + data)
        for first, body in found:
            self._take(first, body)
        while self.full:
            self.full.pop().flush()

    def _take(self, first: int, body: bytes) -> None:
        if first == 0x10:
            self._say(b"\x20\x02\0\0")
        elif first == 0x82:
            topic = body[4:-1]
            stem, _, end = topic.rpartition(UPDATE)
            self.links[self] = (stem.rpartition(b"/")[2], end) if stem else (topic, b"")
            self._say(b"\x90\x03" + body[:2] + b"\x01")
        elif first == 0xC0:
            self._say(b"\xd0\0")
        elif is_publish(first):
            at = 2 + (body[0] << 8 | body[1])
            self._say(b"\x40\x02" + body[at : at + 2])
            self._spread(body[2:at], body[at + 2 :])

    def _spread(self, topic: bytes, payload: bytes) -> None:
        shadow = topic.endswith(UPDATE)
        thing = topic.split(b"/")[2] if shadow else topic
        for link, (of, end) in self.links.items():
            if of in (b"+", thing) and bool(end) is shadow:
                link.say(topic + end, payload)

    def say(self, topic: bytes, payload: bytes) -> None:
        body = (
            len(topic).to_bytes(2, "big")
            + topic
            + (next(self._ids) % 0xFFFF + 1).to_bytes(2, "big")
            + payload
        )
        size = len(body)
        head = bytes((0x32, size)) if size < 128 else bytes((0x32, size & 0x7F | 0x80, size >> 7))
        self._say(head + body)

    def _say(self, packet: bytes) -> None:
        if not self._out:
            self.full.append(self)
        self._out.append(packet)

    def flush(self) -> None:
        packets = b"".join(self._out)
        self._out.clear()
        self._transport.write(frame(packets, 0) if self._web else packets)


class NullHttp(asyncio.Protocol):
    """Answers each request whose body it has; a request comes whole, or in head and body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._came = transport, b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, there, body = self._came.partition(b"\r\n\r\n")
        size = int((head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) or 0)
        if there and len(body) >= size:
            self._came = b""
            self._transport.write(EMPTY)


async def serve() -> None:
    """Listen, say where, and end with our standard input."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(each, HOST, 0, backlog=1024) for each in (Null, NullHttp)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
