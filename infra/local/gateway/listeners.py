"""Sockets of the gateway: MQTT over TCP, over TLS, and over WebSocket. No rule of MQTT is here.

asyncio itself sets TCP_NODELAY on every socket: without it an answer waits up to 40 ms for the client's next word.
"""

import asyncio
import logging
import re
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from infra.local.gateway import limits
from infra.local.gateway.broker import Broker
from infra.local.gateway.certificates import Certificate
from infra.local.gateway.connection import Connection, Entrance

PATH: Final = "/mqtt"
READ_BYTES: Final = 64 * 1024
OF_THIS_MACHINE: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)

# It tells of every connection that opens and closes; presence events tell it better.
_websocket_log: Final = logging.getLogger(f"{__name__}.websocket")
_websocket_log.setLevel(logging.WARNING)

log = logging.getLogger(__name__)


class TcpDoor(asyncio.Protocol):
    """One socket that carries MQTT packets; the `Outlet` of its connection."""

    certificate: Certificate | None = None

    def __init__(self, broker: Broker, entrance: Entrance) -> None:
        self._broker, self._entrance = broker, entrance
        self._gone = asyncio.get_running_loop().create_future()
        self._closing: asyncio.TimerHandle | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=limits.MAX_OUTPUT)
        address = (transport.get_extra_info("peername") or ("",))[0]  # it may be gone already
        self._transport = transport
        self._connection = Connection(self._broker, self, self._entrance, address)
        self._entrance.inside.add(self)
        if len(self._entrance.inside) > self._entrance.most + limits.MAX_UNGREETED:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._connection.received(data)

    def pause_writing(self) -> None:
        self._connection.stall(True)

    def resume_writing(self) -> None:
        self._connection.stall(False)

    def eof_received(self) -> None:
        """The client says no more; asyncio closes once our output is taken, which may be never."""
        if not self._closing:
            self._linger()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._closing:
            self._closing.cancel()
        self._entrance.inside.remove(self)
        self._gone.set_result(None)
        self._connection.lost()
        # It knows us, too: a circle that nobody cuts is memory until the garbage collector looks at the oldest objects.
        del self._connection

    # What the connection calls

    def write(self, packets: bytes) -> None:
        if not self._closing:
            self._transmit(packets)

    def _transmit(self, data: bytes) -> None:
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > limits.MAX_STALLED:
            self._transport.abort()  # it asks, and never reads the answers

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    def close(self) -> None:
        if not self._closing:
            self._linger()
            with suppress(OSError):  # the other side may have closed in this very moment
                self._transport.write_eof()
            self.resume()  # closing over unread bytes would destroy our last words on their way

    def _linger(self) -> None:
        self._closing = asyncio.get_running_loop().call_later(limits.LINGER_S, self._transport.abort)

    # What the gateway calls

    async def shut_down(self) -> None:
        """End the connection, and wait until its socket is closed."""
        if not self._gone.done():
            self._connection.shut_down()
        await self._gone


class TlsDoor(TcpDoor):
    """The same behind TLS, whose client has a certificate of our CA: until then nothing of it is read as MQTT.

    asyncio's own TLS shows a connection only after the handshake: those who never finish it could not be counted.
    """

    def __init__(self, broker: Broker, entrance: Entrance) -> None:
        super().__init__(broker, entrance)
        assert entrance.tls is not None
        self._taken, self._given = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = entrance.tls.context.wrap_bio(self._taken, self._given, server_side=True)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._taken.write(data)
        try:
            packets = self._read()
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._pass_on()
        if packets:
            super().data_received(packets)

    def _read(self) -> bytes:
        """What has come so far, in the clear."""
        pieces = []
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):  # the second: the socket will end, too
            if self.certificate is None:
                self._tls.do_handshake()
                self.certificate = Certificate.of(self._tls)
            while piece := self._tls.read(READ_BYTES):
                pieces.append(piece)
        return b"".join(pieces)

    def _fail(self, error: ssl.SSLError) -> None:
        """Let the client hear why, as far as TLS has words for it, and close."""
        if self.certificate is None:
            log.info("No TLS with %s: %s", self._transport.get_extra_info("peername"), error)
            self._broker.tally.refused += 1
        self._pass_on()
        super().close()

    def _transmit(self, data: bytes) -> None:
        while data:
            data = data[self._tls.write(data) :]
        self._pass_on()

    def _pass_on(self) -> None:
        if self._given.pending:
            super()._transmit(self._given.read())

    def close(self) -> None:
        if not self._closing:
            with suppress(ssl.SSLError):  # it says goodbye, and need not hear one
                self._tls.unwrap()
            self._pass_on()
        super().close()


class WebSocketDoor(TcpDoor):
    """The same behind a WebSocket: packets lie in binary messages as in a stream, whose bounds mean nothing."""

    def __init__(self, broker: Broker, entrance: Entrance) -> None:
        super().__init__(broker, entrance)
        self._websocket = ServerProtocol(
            subprotocols=[Subprotocol("mqtt")],
            max_size=entrance.quotas.websocket_message,
            logger=_websocket_log,
        )

    def write(self, packets: bytes) -> None:
        if self._websocket.state is State.OPEN:
            self._websocket.send_binary(packets)
            self._pass_on()

    def close(self) -> None:
        self._fail(CloseCode.NORMAL_CLOSURE)

    def data_received(self, data: bytes) -> None:
        self._websocket.receive_data(data)
        packets = b"".join(map(self._content, self._websocket.events_received()))
        self._pass_on()
        if packets:
            self._connection.received(packets)

    def _content(self, event: Event) -> bytes:
        if isinstance(event, Request):
            self._websocket.send_response(self._answer(event))
        elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
            return bytes(event.data)
        elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
            self._fail(CloseCode.UNSUPPORTED_DATA)
        return b""

    def _answer(self, request: Request) -> Response:
        if request.path.partition("?")[0] != PATH:  # AWS's presigned address has a query
            return self._websocket.reject(HTTPStatus.NOT_FOUND, f"MQTT is at {PATH}.\n")
        origins = request.headers.get_all("Origin")
        if not (self._entrance.pages or all(map(OF_THIS_MACHINE.fullmatch, origins))):
            return self._websocket.reject(HTTPStatus.FORBIDDEN, "Only pages of this machine may come here.\n")
        return self._websocket.accept(request)

    def _fail(self, code: CloseCode) -> None:
        if self._websocket.state in (State.CONNECTING, State.OPEN) and not self._websocket.eof_sent:
            self._websocket.fail(code)
        self._pass_on()

    def _pass_on(self) -> None:
        """Write what the WebSocket has to say; its b"" is the end."""
        for data in self._websocket.data_to_send():
            if data:
                super().write(data)
            else:
                super().close()
