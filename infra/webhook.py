"""What other programs are told of a transition, how it is signed, and how it is sent; the same in both places.

The format and the signature are those of https://www.standardwebhooks.com/, version 1.0.0.
"""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import AbstractHTTPHandler, OpenerDirector, ProxyHandler, Request

from ulid import ULID

from shadows.shadow import JsonObject
from slack_bridge.tellers import LONGEST_WAIT_S, retry_after_s

TIMEOUT_S: Final = 3.0
# What anybody may read on a kiosk anyway. The key of an event is not: it may name a button, and so a SIM.
PUBLIC: Final = (
    "thing",
    "name",
    "state",
    "why",
    "since",
    "call",
    "booth",
    "click",
    "count",
    "end",
    "to",
    "note",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent; ``id`` is the same at each try, and that of no other transition."""

    id: str
    body: bytes = field(repr=False)


class NotSent(Exception):  # noqa: N818 - it is no error of ours
    """An address did not take a message; the text says why, and holds nothing of the address.

    Attributes:
        retry_after_s: how long it asked us to wait; None if it did not.
        status: what it answered; None if it did not answer.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after_s, self.status = reason, retry_after_s, status

    @property
    def is_gone(self) -> bool:
        """Whether it wants no more messages at all."""
        return self.status == 410


# --- What is said


def message_of(row: JsonObject) -> Message:
    """The message about one row of the history.

    Shape: ``{"type": "call.<why>", "timestamp": "2026-11-21T20:00:00.000Z", "data": {…}}``; in ``data`` ``since`` is in ms
    since 1970, and ``to`` the thing that has the call now.
    """
    data = {name: row[name] for name in PUBLIC}
    # With its time: the number alone would come again, should the table once be lost.
    return Message(id=f"msg_{row['at']}_{row['n']}", body=body_of(f"call.{row['why']}", row["at"], data))


def trial() -> Message:
    """A message that is about nothing, to see whether an address takes any."""
    return Message(id=f"msg_{ULID()}", body=body_of("staffcall.test", time.time_ns() // 1_000_000, {}))


def body_of(type: str, at: int, data: JsonObject) -> bytes:
    """What is posted: ``at`` in ms since 1970."""
    when = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"type": type, "timestamp": when, "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``; ``secret`` is ``whsec_`` and base64, ``timestamp`` in seconds since 1970."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def host_of(url: str) -> str:
    """All of an address that may be shown."""
    return urlsplit(url).hostname or ""


# --- How it is sent


def post(url: str, secret: str, message: Message) -> None:
    """Send a message; this ends within ``TIMEOUT_S``, whatever the other side does.

    Raises:
        NotSent: it was not taken, or nobody knows.
    """
    line = _Line()
    answered: Future[HTTPResponse] = Future()
    asked = partial(line.ask, _request(url, secret, message))
    threading.Thread(target=_settle, args=(answered, asked), name="webhook-send", daemon=True).start()
    try:
        answer = answered.result(timeout=TIMEOUT_S)
    except TimeoutError:
        line.cut()
        raise NotSent(f"no answer within {TIMEOUT_S:.0f} s") from None
    except Exception as error:  # named by its kind alone, for its text may hold the address
        cause = getattr(error, "reason", None)
        kind = type(cause if isinstance(cause, Exception) else error).__name__
        raise NotSent(f"not reached: {kind}") from None
    _judge(answer.status, dict(answer.headers))


def _judge(status: int, headers: Mapping[str, str]) -> None:
    if 200 <= status < 300:
        return
    why = ", and redirects are not followed" if 300 <= status < 400 else ""
    raise NotSent(f"answered {status}{why}", _wait_s(headers), status=status)


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """What ``Retry-After`` says, in seconds or as a date, at most an hour; None if it says nothing."""
    if (seconds := retry_after_s(headers)) is not None:
        return seconds
    named = {name.lower(): value for name, value in headers.items()}
    with suppress(ValueError, OverflowError):
        at = parsedate_to_datetime(named.get("retry-after", "")).timestamp()
        return min(max(0.0, at - time.time()), LONGEST_WAIT_S)
    return None


def _request(url: str, secret: str, message: Message) -> Request:
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(secret, message.id, now, message.body),
    }
    parts = urlsplit(url)
    login, _, where = parts.netloc.rpartition("@")
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"
    bare = parts._replace(netloc=where, fragment="").geturl()
    return Request(bare, message.body, headers, method="POST")  # noqa: S310 - settings allow http and https alone


class _Line(AbstractHTTPHandler):
    """The connection of one request, which can be cut from outside: none of its own time-outs is for all of it.

    Only the status and the headers are read, and no redirect is followed. A proxy of the environment is used, as for Slack.
    """

    http_request = https_request = AbstractHTTPHandler.do_request_

    def __init__(self) -> None:
        super().__init__()
        self._connection: HTTPConnection | None = None
        self._is_cut = False

    def ask(self, request: Request) -> HTTPResponse:
        """Send it; what is answered has been closed already."""
        opener = OpenerDirector()
        opener.addheaders = [("User-Agent", "staffcall")]
        for handler in (ProxyHandler(), self):
            opener.add_handler(handler)
        answer = opener.open(request, timeout=TIMEOUT_S)
        assert isinstance(answer, HTTPResponse)
        answer.close()
        return answer

    def cut(self) -> None:
        """End it, and do not begin what has not begun: a message must not arrive after a later one."""
        self._is_cut = True
        if self._connection and (sock := self._connection.sock):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def http_open(self, request: Request) -> HTTPResponse:
        return self.do_open(partial(self._made, HTTPConnection), request)

    def https_open(self, request: Request) -> HTTPResponse:
        return self.do_open(partial(self._made, HTTPSConnection), request)

    def _made(self, kind: type[HTTPConnection], host: str, timeout: float) -> HTTPConnection:
        made = self._connection = kind(host, timeout=timeout)
        made.connect = partial(self._connect, made.connect)  # type: ignore[method-assign]
        return made

    def _connect(self, connect: Callable[[], None]) -> None:
        connect()
        if self._is_cut:
            raise TimeoutError


def _settle(answered: "Future[HTTPResponse]", ask: Callable[[], HTTPResponse]) -> None:
    try:
        answered.set_result(ask())
    except Exception as error:  # it is raised again where the result is awaited
        answered.set_exception(error)
