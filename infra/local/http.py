"""One HTTP listener: waitress in a thread, with a stop that lets answers go out."""

import errno
import logging
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server

THREADS: Final = 8
BODY_LIMIT: Final = 1 << 24  # 16 MB go to a temporary file, so that each door can refuse in its own words
DRAIN_S: Final = 3.0
NO_FILES: Final = (errno.EMFILE, errno.ENFILE)
NO_FILES_S: Final = 0.05  # who waits is asked for again so soon
CONNECTIONS: Final = 500
SPARE: Final = 20  # of them: for who comes

log = logging.getLogger(__name__)


class _Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """One connection. Who says a request byte by byte is as idle as who says nothing: its first byte is what counts."""

    last_activity: float

    def handle_read(self) -> None:
        before = self.last_activity if self.request else None
        super().handle_read()
        if self.request and before is not None:
            self.last_activity = before


class _InTurn:
    """In the place of waitress's threads: who has asked is answered by the thread that reads, once it has read."""

    def __init__(self) -> None:
        self._asked: deque[HTTPChannel] = deque()

    def add_task(self, channel: HTTPChannel) -> None:
        self._asked.append(channel)

    def answer(self) -> None:
        while self._asked:
            try:
                self._asked.popleft().service()
            except Exception:
                log.exception("a bug where a request is answered")

    def shutdown(self, **_: object) -> None:
        """No thread is to be ended."""


class HttpServer:
    """Serves a WSGI app on a socket that is bound already, so that a port in use is known before anything starts.

    Args:
        in_turn: requests are answered one after the other, and not several at a time: for an app whose answers take less
            than to wake a thread for each.
    """

    def __init__(
        self, app: Callable[..., Any], bound: socket.socket, *, name: str, in_turn: bool = False
    ) -> None:
        # What a proxy says of itself is handed on as it came, and nothing here goes by it: an address is the socket's.
        self._map: dict[int, Any] = {}
        self._in_turn = _InTurn() if in_turn else None
        self._server = create_server(
            app,
            map=self._map,
            _dispatcher=self._in_turn,
            sockets=[bound],
            threads=THREADS,
            ident=None,
            max_request_body_size=BODY_LIMIT,
            max_request_header_size=1 << 15,
            channel_timeout=30,
            connection_limit=CONNECTIONS,
            asyncore_use_poll=True,
            outbuf_high_watermark=sys.maxsize
            if in_turn
            else 1 << 24,  # above it an answer waits for who reads
            clear_untrusted_proxy_headers=False,
        )
        self._server.channel_class = _Channel
        self._accept, self._server.accept = self._server.accept, self._accepted
        self._full = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"http {name}")
        self.port: int = bound.getsockname()[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Accept nothing more, let what is being answered go out, and end."""
        self._stopping = True
        with suppress(OSError):  # it has ended in this very moment
            self._server.pull_trigger()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._loop(1)
            self._make_room()
        until = time.monotonic() + DRAIN_S
        while self._busy() and time.monotonic() < until:
            self._loop(0.02)
        self._server.task_dispatcher.shutdown(timeout=DRAIN_S)
        wasyncore.close_all(self._map)

    def _loop(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, map=self._map, use_poll=True, count=1)
        if self._in_turn:
            self._in_turn.answer()

    def _make_room(self) -> None:
        """Hang up on who has been idle longest, lest those who hold connections keep everybody else out."""
        if len(self._map) > CONNECTIONS - SPARE:
            idle = [
                each
                for each in self._server.active_channels.values()
                if not each.requests and not each.will_close
            ]
            for channel in sorted(idle, key=lambda each: each.last_activity)[:SPARE]:
                channel.will_close = True

    def _accepted(self) -> Any:
        """Who connects, if there is a file left for them: waitress alone would ask without a pause, and log each time."""
        try:
            came = self._accept()
        except OSError as error:
            if error.errno not in NO_FILES:
                raise
            if not self._full:
                log.error("%s: who connects has to wait: %s", self._thread.name, error.strerror)  # noqa: TRY400
            self._full = True
            time.sleep(NO_FILES_S)
            return None
        self._full = False
        return came

    def _busy(self) -> bool:
        return any(
            channel.requests or channel.total_outbufs_len for channel in self._server.active_channels.values()
        )


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket that listens: who connects waits until somebody accepts.

    Raises:
        OSError: the address is not ours, or in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its name: asyncio sets TCP_NODELAY only on sockets that say it, and without it an answer that
    # follows another waits up to 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()  # now, or a second one of ours could have the same port
    except BaseException:
        bound.close()
        raise
    return bound
