"""Tells other programs of each transition, in order: the history is the outbox, and each address has its place in it.

The format and the signature are those of https://www.standardwebhooks.com/, version 1.0.0. Each address has a thread of its
own, which only reads what is on disk already, so that neither a call nor another address ever waits for one.
"""

import base64
import hashlib
import hmac
import json
import logging
import math
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import AbstractHTTPHandler, OpenerDirector, ProxyHandler, Request

from ulid import ULID

from infra.local import history
from infra.local.signs import PERIOD_S
from infra.local.store import Store
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.trouble import Trouble
from slack_bridge.tellers import LONGEST_WAIT_S, retry_after_s

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 3.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 600.0
PACE_S: Final = (
    0.02  # a backlog shares the disk with presses, and a rush the processor: we look no more often
)
LASTING_S: Final = 60.0  # what passes sooner is no trouble
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
        is_gone: whether it wants no more messages at all.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after_s, self.is_gone = reason, retry_after_s, is_gone


# --- What is said


def message_of(row: JsonObject) -> Message:
    """The message about one row of the history.

    Shape: ``{"type": "call.<why>", "timestamp": "2026-11-21T20:00:00.000Z", "data": {…}}``; in ``data`` ``since`` is in ms
    since 1970, and ``to`` the thing that has the call now.
    """
    data = {name: row[name] for name in PUBLIC}
    # With its time: the number alone would come again, should the table once be lost.
    return Message(id=f"msg_{row['at']}_{row['n']}", body=_body(f"call.{row['why']}", row["at"], data))


def trial() -> Message:
    """A message that is about nothing, to see whether an address takes any."""
    return Message(id=f"msg_{ULID()}", body=_body("staffcall.test", time.time_ns() // 1_000_000, {}))


def _body(type: str, at: int, data: JsonObject) -> bytes:
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
    raise NotSent(f"answered {status}{why}", _wait_s(headers), is_gone=status == 410)


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


# --- Who sends it


class Webhook:
    """One address, and the thread that sends it what comes after what it has taken."""

    def __init__(self, name: str, url: str, secret: str, store: Store, alive: Callable[[str], None]) -> None:
        """``alive`` hears that the thread of this ``name`` lives. An address that is new begins with what comes now."""
        self.name, self.host = name, host_of(url)
        self._url, self._secret, self._store, self._alive = url, secret, store, alive
        # What is in an address may be a secret: on disk is only what tells it from others.
        self._reader = hashlib.sha256(url.encode()).hexdigest()
        self._reached: int = store.run(lambda db: history.begin(db, self._reader))
        self._pause_s, self._not_before = FIRST_PAUSE_S, 0.0
        self._fails: tuple[int, float, NotSent] | None = None  # since when: ms since 1970, monotonic s
        self._awake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self.pending = self.sent = self.failed = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the try that is under way; :meth:`join` waits for that."""
        self._stopping.set()
        self._awake.set()

    def join(self) -> None:
        self._thread.join()

    def wake(self) -> None:
        """Something may be new; from any thread."""
        self._awake.set()

    def trouble(self) -> Trouble | None:
        """Why messages do not get there: at once if somebody has to say whether to go on, else once it lasts."""
        if not (fails := self._fails):
            return None
        since, began_s, no = fails
        if no.is_gone:
            detail = f"The webhook at {self.host} wants no more messages (410)"
            fix = f"Take {self.host} out of STAFFCALL_WEBHOOK_URL, or mend it; then start `staffcall run` again."
        elif time.monotonic() - began_s > LASTING_S:
            detail = f"Messages do not reach the webhook at {self.host} ({no})"
            fix = f"See that {self.host} is reached from here, and answers 2xx; it goes on by itself then."
        else:
            return None
        return Trouble(what="webhook", since=since, detail=detail, fix=fix)

    def _run(self) -> None:
        while True:
            self._awake.clear()
            if self._stopping.wait(PACE_S):  # after that, for it may have been the end that woke us
                return
            self._awake.wait(min(self._guarded(), PERIOD_S["webhook"]))

    def _step(self) -> float:
        """Send the next message, if it may go; the answer is in how many seconds to look again."""
        with closing(self._store.reader()) as db:  # not kept open: it would keep the log from being folded in
            row, self.pending = _next(db, self._reached)
        if row is None:
            return math.inf
        if (left_s := self._not_before - time.monotonic()) > 0:
            return left_s
        try:
            post(self._url, self._secret, message_of(row))
        except NotSent as no:
            return self._failed(no)
        self._taken(row["n"])
        return 0.0

    def _guarded(self) -> float:
        """The same, whatever happens; while it fails there is no sign of life."""
        try:
            wait_s = self._step()
        except Exception:
            log.exception("%s: the history cannot be followed now", self.name)
            return PERIOD_S["webhook"]
        self._alive(self.name)
        return wait_s

    def _taken(self, n: int) -> None:
        self._reached, self._pause_s, self._fails = n, FIRST_PAUSE_S, None
        self.sent += 1
        self.pending = max(0, self.pending - 1)
        try:
            self._store.run(lambda db: history.reached(db, self._reader, n))
        except Rejected as no:  # then the next process sends it once more
            log.warning("%s: what %s has taken is not on record: %s", self.name, self.host, no)

    def _failed(self, no: NotSent) -> float:
        self.failed += 1
        since = self._fails[:2] if self._fails else (time.time_ns() // 1_000_000, time.monotonic())
        self._fails = (*since, no)
        # So that those who failed together do not come back together.
        pause_s = max(self._pause_s * random.uniform(0.5, 1.0), no.retry_after_s or 0.0)  # noqa: S311
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        again = "no try before the next start" if no.is_gone else f"next try in {pause_s:.0f} s"
        log.warning("%s: %s did not take a message: %s; %s", self.name, self.host, no, again)
        self._not_before = math.inf if no.is_gone else time.monotonic() + pause_s
        return pause_s


def _next(db: sqlite3.Connection, reached: int) -> tuple[JsonObject | None, int]:
    """The first row after ``reached``, and how many there are."""
    row = history.after(db, reached)
    return row, history.last(db) - row["n"] + 1 if row else 0


class Webhooks:
    """All addresses that are set."""

    def __init__(self, urls: Sequence[str], secret: str, store: Store, alive: Callable[[str], None]) -> None:
        self._each = [Webhook(f"webhook-{n}", url, secret, store, alive) for n, url in enumerate(urls, 1)]

    @property
    def names(self) -> list[str]:
        """Of their threads, as in the signs of life."""
        return [each.name for each in self._each]

    def start(self) -> None:
        for each in self._each:
            each.start()

    def stop(self) -> None:
        """End all of them at once; what is not sent yet is sent by the next process."""
        for each in self._each:
            each.stop()
        for each in self._each:
            each.join()

    def wake(self) -> None:
        """Something may be new; from any thread, and it waits for nothing."""
        for each in self._each:
            each.wake()

    def troubles(self) -> list[Trouble]:
        """Which addresses do not take what they are sent."""
        return [trouble for each in self._each if (trouble := each.trouble())]

    def counts(self) -> dict[str, float]:
        """Numbers for ``/metrics``."""
        return {
            f'webhook_{what}{{of="{each.name}"}}': number
            for what in ("pending", "sent_total", "failed_total")
            for each in self._each
            for number in [getattr(each, what.removesuffix("_total"))]
        }
