"""The device gateway: the broker and its listeners as one thing, for the rest of the place."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from infra.local.gateway import limits
from infra.local.gateway.broker import Broker, Elsewhere, Guests, Kept, Take
from infra.local.gateway.certificates import Tls
from infra.local.gateway.connection import Entrance
from infra.local.gateway.listeners import TcpDoor, TlsDoor, WebSocketDoor
from infra.local.gateway.packets import Message
from infra.local.gateway.policy import DEVICE, KIOSK, Client

T = TypeVar("T")

log = logging.getLogger(__name__)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _room() -> int:
    """Clients that one listener takes. There are two, and the rest of the place needs files too: a third of all."""
    files = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else -1  # on Windows there is no such bound
    return min(limits.MAX_CLIENTS, files // 3) if files > 0 else limits.MAX_CLIENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What has happened since the start; ``clients`` is how many are connected now.

    Attributes:
        received: messages that clients published.
        sent: messages that went out to clients.
        dropped: messages that a slow or absent client did not get, or that there was no room to retain.
        refused: connections that were refused or cut off for what they sent, publishes, and subscriptions.
    """

    clients: int
    received: int
    sent: int
    dropped: int
    refused: int


class Gateway:
    """MQTT 3.1.1 and 5 for devices (TCP, TLS) and kiosks (WebSocket), with the limits and rules of AWS IoT Core.

    All of it runs on the thread of the asyncio loop that the ``listen_…`` are called on; only ``publish_soon`` may be
    called from other threads.

    Args:
        clock: the time in ms, for presence events.
        throttle: keep AWS's rates; off for load tests.
        off: names of AWS's limits that are switched off.
        users: names and passwords of devices; None if whoever reaches their ports is trusted.
        guests: who is told of everybody who comes and goes.
        most: clients that each listener takes, None for as many as there is room for; one more is refused.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = _now_ms,
        throttle: bool = True,
        off: Collection[str] = (),
        users: Mapping[str, str] | None = None,
        guests: Guests | None = None,
        most: int | None = None,
    ) -> None:
        self._broker = Broker(clock, guests)
        most = _room() if most is None else most
        self.quotas = limits.quotas(off)
        throttle = throttle and "rates" not in off
        self._devices = Entrance(rights=DEVICE, users=users, throttle=throttle, quotas=self.quotas, most=most)
        self._pages = replace(self._devices, pages=False, inside=set())
        self._kiosks = replace(self._devices, rights=KIOSK, users=None, inside=set())
        self._entrances = [self._devices, self._pages, self._kiosks]
        self._servers: list[asyncio.Server] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._calls: deque[Callable[[], object]] = deque()
        self._woken = False

    def hook(self, topic_filter: str, take: Take, *, retained: bool = False) -> None:
        """Have a function called with each message that a client publishes to a topic of this filter, or with each of
        them that is to be ``retained``.

        It is called on the loop's thread, after the subscribers have been served. The PUBACK waits until what it
        returns is done, and PUBACKs keep the order of the messages. If it fails, that is logged, and the connection of
        a QoS 1 message is cut without PUBACK, so that the client sends it again: take every message as one that may
        come twice.
        """
        self._broker.hook(topic_filter, take, retained=retained)

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish in the service's own name, to any topic; hooks are not called. On the loop's thread only."""
        for message in messages:
            self._broker.publish(message)

    def publish_soon(self, messages: Iterable[Message]) -> None:
        """The same from any thread, in the order of the calls; while nobody listens, nobody gets it."""
        if wanted := [message for message in messages if self._broker.is_wanted(message)]:
            self._soon(partial(self.publish, wanted))

    def hand_soon(self, client: Client, messages: Sequence[Message]) -> None:
        """The same for one client alone, who gets what it has subscribed to."""
        self._soon(partial(self._broker.hand, client, messages))

    def after(self, work: "Future[Any]") -> Elsewhere:
        """For a hook: it is done once the work of another thread is, and what that published before has gone out."""
        elsewhere = Elsewhere(self._soon)
        work.add_done_callback(elsewhere.settled)
        return elsewhere

    def begun(self, begin: Callable[[Callable[[object], None]], None]) -> Elsewhere:
        """The same for work that is begun here: ``begin`` is given whom to call, from any thread, once it is done."""
        elsewhere = Elsewhere(self._soon)
        begin(elsewhere.done)
        return elsewhere

    def _soon(self, call: Callable[[], object]) -> None:
        """Have something called on the loop's thread. What comes close together shares one waking of the loop: each costs
        a system call, and takes the interpreter from the thread that goes on.
        """
        if (loop := self._loop) is None:
            return
        self._calls.append(call)
        if not self._woken:
            self._woken = True
            loop.call_soon_threadsafe(self._catch_up)

    def _catch_up(self) -> None:
        self._woken = False  # first: what is added from now on wakes the loop again
        for _ in range(len(self._calls)):
            try:
                self._calls.popleft()()
            except Exception:
                log.exception("a bug on the way to the loop's thread")

    # Retained messages: from any thread

    def keep(self, messages: Iterable[Kept]) -> None:
        """Retain what was retained in an earlier life, before anybody listens."""
        for kept in messages:
            self._broker.keep(kept)

    def has_room(self, message: Message) -> bool:
        """Whether a message that is to be retained can be."""
        return self._asked(lambda: self._broker.has_room(message), otherwise=True)

    def kept(self, topic: str) -> Kept | None:
        """The retained message of a topic."""
        return self._asked(lambda: self._broker.kept(topic), otherwise=None)

    def kept_after(self, topic: str, most: int) -> list[Kept]:
        """The retained messages in the order of their topics, from the one behind ``topic``."""
        return self._asked(lambda: self._broker.kept_after(topic, most), otherwise=[])

    def _asked(self, question: Callable[[], T], otherwise: T) -> T:
        """What the broker answers on its own thread, after all that it was told before; while nobody listens, ``otherwise``."""

        async def ask() -> T:
            return question()

        if (loop := self._loop) is None:
            return otherwise
        if threading.get_ident() == self._thread:
            return question()
        return asyncio.run_coroutine_threadsafe(ask(), loop).result()

    def counts(self) -> Counts:
        """From any thread."""
        tally = self._broker.tally
        return Counts(
            clients=self._broker.clients,
            received=tally.received,
            sent=tally.sent,
            dropped=tally.dropped,
            refused=tally.refused,
        )

    async def listen_tcp(self, bound: socket.socket) -> int:
        """Let devices in on a bound socket; the answer is its port."""
        return await self._listen(partial(TcpDoor, self._broker, self._devices), bound)

    async def listen_tls(self, bound: socket.socket, tls: Tls) -> int:
        """Let devices in on a bound socket, each with a certificate, for what its policy grants."""
        entrance = replace(self._devices, tls=tls, inside=set())
        self._entrances.append(entrance)
        return await self._listen(partial(TlsDoor, self._broker, entrance), bound)

    async def listen_websocket(self, bound: socket.socket, *, devices: bool = False) -> int:
        """Let kiosks in at ``/mqtt`` on a bound socket, or else devices, of whose pages only this machine's may come."""
        entrance = self._pages if devices else self._kiosks
        return await self._listen(partial(WebSocketDoor, self._broker, entrance), bound)

    async def _listen(self, door: Callable[[], asyncio.Protocol], bound: socket.socket) -> int:
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        # A long queue: a hall of kiosks comes at once after a power cut.
        server = await self._loop.create_server(door, sock=bound, backlog=1024)
        self._servers.append(server)
        return int(bound.getsockname()[1])

    @property
    def _doors(self) -> set[TcpDoor]:
        return set().union(*(entrance.inside for entrance in self._entrances))

    async def close(self) -> None:
        """Stop listening and end every connection; no socket, task or alarm is left."""
        self._loop = None
        for server in self._servers:
            server.close()
        self._broker.silence()
        while doors := self._doors:  # one that was being accepted may come late
            await asyncio.gather(*(door.shut_down() for door in doors))
        await self._broker.close()
        for server in self._servers:
            await server.wait_closed()
