"""The TLS that AWS has and MiniStack has not, so that a browser speaks https and wss to it by AWS's own names."""

import asyncio
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PIECE = 64 * 1024


class Https:
    """Listens on a free port of 127.0.0.1, from ``with`` to its end; what comes is passed on in the clear.

    The names of hosts stay as the browser wrote them. What CloudFront would say of its viewer is said here, too.
    """

    def __init__(self, folder: Path, port: int) -> None:
        """``folder`` is for the certificate, ``port`` where everything is passed on to."""
        self._port = port
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(_certificate(folder))
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="https")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(10), "the TLS in front of MiniStack did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def chromium(self) -> Sequence[str]:
        """The flags with which a browser finds everything here, and nothing anywhere else."""
        return (f"--host-resolver-rules=MAP * {self._address}", "--ignore-certificate-errors")

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self._tls)
        self._address = "{}:{}".format(*server.sockets[0].getsockname())
        self._listening.set()
        await self._stop.wait()
        server.close()  # those who still speak are cut off as this ends

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A browser opens connections that it does not use, and leaves when it likes.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
            inner_writer.write(_by_https(head))
            await asyncio.gather(_pour(reader, inner_writer), _pour(inner_reader, writer))
        writer.transport.abort()


def _by_https(head: bytes) -> bytes:
    """A request's head with what CloudFront adds; one request a connection, but a WebSocket stays."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if b"upgrade: websocket" not in head.lower():
        lines = [line for line in lines if not line.lower().startswith(b"connection:")]
        lines.append(b"Connection: close")
    return b"\r\n".join([first, *lines, b"X-Forwarded-Proto: https", b"", b""])


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


def _certificate(folder: Path) -> Path:
    """A certificate with its key, good for a day, for nobody in particular."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "tls.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file
