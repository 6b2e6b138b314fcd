"""Another program's webhook: it really listens, checks signatures as the specification says, and fails on order."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.certificates import Held
from tests.served import Obedient

SECRET: Final = "whsec_" + base64.b64encode(bytes(range(32))).decode()
Does = Callable[["_Handler"], None]


@dataclass(frozen=True, kw_only=True)
class Got:
    """One request; ``is_right`` says whether its signature is, and its time that of now."""

    path: str
    headers: Message
    raw: bytes = field(repr=False)
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def is_right(self) -> bool:
        stamp = self.headers["webhook-timestamp"]
        signed = b".".join([self.id.encode(), stamp.encode(), self.raw])
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        right = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return self.headers["webhook-signature"] == right and abs(int(stamp) - time.time()) < 60


def answers(status: int, **headers: str) -> Does:
    """Answer this; an underscore in a header's name is a hyphen."""

    def does(handler: "_Handler") -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return does


def hangs(handler: "_Handler") -> None:
    """Say nothing at all, until the other side hangs up."""
    handler.connection.settimeout(20)
    handler.hung_up.append(handler.connection.recv(1) == b"")


def drips(handler: "_Handler") -> None:
    """Answer one letter after the other, and never come to an end."""
    for _ in range(200):
        try:
            handler.connection.sendall(b"H" if _ == 0 else b"x")
        except OSError:
            handler.hung_up.append(True)
            return
        time.sleep(0.1)


def drops(handler: "_Handler") -> None:
    """Take the message, and drop the connection without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


class Receiver(Obedient[Does]):
    """It takes everything, but what it is told."""

    def __init__(self, certificate: Held | None = None) -> None:
        """With a certificate it speaks https."""
        self.got: list[Got] = []
        self.hung_up: list[bool] = []
        handler = type("Handler", (_Handler,), {"receiver": self, "hung_up": self.hung_up})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate.certificate, certificate.key)
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._scheme = "https" if certificate else "http"
        super().__init__(server, answers(204))

    def url(self, path: str = "/in") -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"

    @property
    def ids(self) -> list[str]:
        """Of all messages in the order in which they came, repeats too."""
        return [each.id for each in list(self.got)]

    @property
    def whys(self) -> list[str]:
        """Of each message once, in the order in which they first came."""
        first = {each.id: each for each in reversed(list(self.got))}
        return [first[id].body["data"]["why"] for id in dict.fromkeys(self.ids)]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    hung_up: list[bool]

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        does = self.receiver.act()
        self.receiver.got.append(Got(path=self.path, headers=self.headers, raw=raw, at=time.monotonic()))
        does(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
