"""Servers of tests: each on a free port of this machine, in a thread of its own, and gone with its ``with``."""

import threading
from collections import deque
from socketserver import BaseServer
from typing import Generic, Self, TypeVar

Does = TypeVar("Does")


class Served:
    """A server that serves from ``with`` to its end."""

    def __init__(self, server: BaseServer) -> None:
        self._server = server
        self.port = int(server.server_address[1])
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Obedient(Served, Generic[Does]):
    """One that does ``always`` the same, but what :meth:`next` says."""

    def __init__(self, server: BaseServer, always: Does) -> None:
        super().__init__(server)
        self.always = always
        self._next: deque[Does] = deque()

    def next(self, *does: Does) -> None:
        """What becomes of the next requests, one after the other."""
        self._next.extend(does)

    def act(self) -> Does:
        return self._next.popleft() if self._next else self.always
