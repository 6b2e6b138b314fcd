"""The device gateway: the broker and its listeners as one thing, for the rest of the place."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from infra.local.gateway import limits
from infra.local.gateway.broker import Broker, Guests, Kept, Take
from infra.local.gateway.connection import Entrance
from infra.local.gateway.listeners import TcpDoor, WebSocketDoor
from infra.local.gateway.packets import Message
from infra.local.gateway.policy import DEVICE, KIOSK

T = TypeVar("T")


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
    """MQTT 3.1.1 and 5 for devices (TCP) and kiosks (WebSocket), with the limits and rules of AWS IoT Core.

    All of it runs on the thread of the asyncio loop that ``listen_tcp`` and ``listen_websocket`` are called on; only
    ``publish_soon`` may be called from other threads.

    Args:
        clock: the time in ms, for presence events.
        throttle: keep AWS's rates; off for load tests.
        users: names and passwords of devices; None if whoever reaches their ports is trusted.
        guests: who is told of everybody who comes and goes.
        most: clients that each listener takes, None for as many as there is room for; one more is refused.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = _now_ms,
        throttle: bool = True,
        users: Mapping[str, str] | None = None,
        guests: Guests | None = None,
        most: int | None = None,
    ) -> None:
        self._broker = Broker(clock, guests)
        most = _room() if most is None else most
        self._devices = Entrance(rights=DEVICE, users=users, throttle=throttle, most=most)
        self._pages = replace(self._devices, pages=False, inside=set())
        self._kiosks = Entrance(rights=KIOSK, users=None, throttle=throttle, most=most)
        self._servers: list[asyncio.Server] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def hook(self, topic_filter: str, take: Take) -> None:
        """Have a function called with each message that a client publishes to a topic of this filter.

        It is called on the loop's thread, after the subscribers have been served. The PUBACK waits until what it
        returns is done, and PUBACKs keep the order of the messages. If it fails, that is logged, and the connection of
        a QoS 1 message is cut without PUBACK, so that the client sends it again: take every message as one that may
        come twice.
        """
        self._broker.hook(topic_filter, take)

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish in the service's own name, to any topic; hooks are not called. On the loop's thread only."""
        for message in messages:
            self._broker.publish(message)

    def publish_soon(self, messages: Iterable[Message]) -> None:
        """The same from any thread, in the order of the calls; while nobody listens, nobody gets it."""
        if (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self.publish, list(messages))

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
        return self._devices.inside | self._pages.inside | self._kiosks.inside

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
