"""The local twin of AWS IoT Core: message broker, device shadows, registry and REST, and the wires between them."""

import asyncio
import logging
import re
import socket
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import Flask

from infra.local import retained
from infra.local.clock import wall_ms
from infra.local.gateway import Client, Elsewhere, Gateway, Guests, Message, PublishProperties, Tls
from infra.local.gateway.policy import KIOSK
from infra.local.http import NO_FILES
from infra.local.rest import app
from infra.local.service import OnChange, ShadowService
from infra.local.store import Store
from infra.local.things import Registry
from shadows.errors import Rejected

if TYPE_CHECKING:
    from infra.local.attached import Attached

log = logging.getLogger(__name__)
T = TypeVar("T")

SHADOW_FILTERS: Final = tuple(
    f"$aws/things/+/shadow/{name}{operation}"
    for name in ("", "name/+/")
    for operation in ("get", "update", "delete")
)
BOOTH_ANSWERED: Final = re.compile(r"\$aws/things/(booth-[^/]+)/shadow/get/accepted")
Told = Callable[[list[tuple[str, bytes]]], object]
Take = Callable[[Told], None]


def _nothing(*_: object) -> None:
    """Who takes whatever comes, and does nothing about it."""


def _heard_of(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Out of files, asyncio asks for who connects again in a second: that is a line each time, and no bug's traceback."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in NO_FILES:
        log.error("gateway: who connects has to wait: %s", error.strerror)
    elif isinstance(error, ValueError) and "_start_serving" in context["message"]:
        log.info("gateway: it was closed while who connects had to wait")
    else:
        loop.default_exception_handler(context)


class Loop:
    """An asyncio loop in a thread of its own: the gateway's."""

    def __init__(self, alive: Callable[[], None] = _nothing, every_s: float = 10.0) -> None:
        """``alive`` is called every few seconds, while the loop turns."""
        self._alive, self._every_s = alive, every_s
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(_heard_of)
        self.loop.call_soon(self._beat)
        self._thread = threading.Thread(target=self.loop.run_forever, name="gateway")
        self._thread.start()

    def _beat(self) -> None:
        self._alive()
        self.loop.call_later(self._every_s, self._beat)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop, and wait for the result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Twin:
    """All that AWS's clients can reach, whatever is built on it.

    A message published to a request topic goes from the gateway to the shadow service. What the service announces goes
    to the gateway, and on to whoever subscribed. What is retained is on disk before it is acknowledged.

    Args:
        loop: where the gateway runs.
        stack: stops the gateway again.
        clock: milliseconds since 1970, for the shadows.
        throttle: keep AWS's rates.
        off: names of AWS's limits that are switched off, from ``infra.settings.LIMITS``.
        users: names and passwords of devices; None if whoever reaches their ports is trusted.
        hear: takes what the shadow service announces, on the writer's thread: it must wait for nothing.
        on_change: as for the shadow service.
        guests: as for the gateway.
        attached: a client of an external broker, in the place of the gateway. What that kept for us comes at once, so
            AWS's rates are not kept then.
    """

    def __init__(
        self,
        store: Store,
        loop: Loop,
        stack: ExitStack,
        *,
        clock: Callable[[], int],
        throttle: bool = True,
        off: Collection[str] = (),
        users: Mapping[str, str] | None = None,
        hear: Callable[[Sequence[tuple[str, bytes]]], None] = _nothing,
        on_change: OnChange | None = None,
        guests: Guests | None = None,
        attached: "Attached | None" = None,
    ) -> None:
        throttle = throttle and attached is None
        self.store, self._loop, self._stack, self._hear = store, loop, stack, hear
        store.run(lambda db: db.execute(retained.TABLE))
        self.gateway = attached or Gateway(
            clock=wall_ms, throttle=throttle, off=off, users=users, guests=guests
        )
        if isinstance(self.gateway, Gateway):
            self.gateway.keep(store.run(lambda db: retained.all_of(db, wall_ms())))
        self.service = ShadowService(
            store, clock=clock, announce=self._announced, throttle=throttle, off=off, on_change=on_change
        )
        self.registry = Registry(store)

    def say(self, topic: str, payload: bytes, correlation: bytes) -> None:
        """Publish in our own name, to whoever subscribed; what only devices may publish is nothing of ours.

        Raises:
            Rejected: 503, if an external broker is away.
        """
        properties = PublishProperties(correlation=correlation)
        self._loop.call(self._publish(Message(topic=topic, payload=payload, qos=1, properties=properties)))

    def rest(self, also: Callable[[Message], None] = _nothing) -> Flask:
        """The REST port's application; ``also`` is called with each message that is published over it."""

        def publish(message: Message) -> None:
            self._loop.call(self._publish(message))
            also(message)

        return app(self.service, self.registry, publish, self.gateway)

    def listen(
        self,
        tcp: socket.socket | None,
        websocket: socket.socket,
        *,
        kiosks: bool,
        tls: tuple[socket.socket, Tls] | None = None,
    ) -> None:
        """Let clients in by MQTT; by WebSocket only ``kiosks``, which may read staff and booths, or else devices.

        Devices come by ``tcp``, for which nothing but a login is asked, and by ``tls``, each with its certificate.
        """
        gateway = self.gateway
        assert isinstance(gateway, Gateway)
        self._hook()
        gateway.hook("#", self._retained, retained=True)
        if tcp:
            self._loop.call(gateway.listen_tcp(tcp))
        if tls:
            self._loop.call(gateway.listen_tls(*tls))
        self._loop.call(gateway.listen_websocket(websocket, devices=not kiosks))
        self._stack.callback(lambda: self._loop.call(gateway.close()))

    def attach(self, attached: "Attached") -> None:
        """Go to the external broker that all clients are at, whether it is there or not."""
        self._hook()
        attached.start()
        self._stack.callback(lambda: self._loop.call(attached.close()))

    def _hook(self) -> None:
        for topic_filter in SHADOW_FILTERS:
            self.gateway.hook(topic_filter, self._asked)

    # --- The wires

    def _announced(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """What the shadow service says, on its writer's thread: hand it on, and wait for nothing."""
        self.gateway.publish_soon(Message(topic=topic, payload=payload, qos=1) for topic, payload in messages)
        self._hear(messages)

    def _asked(self, message: Message, client: Client) -> Awaitable[None] | Elsewhere | None:
        """A message on a request topic of the shadow service. PUBACK waits for the commit."""
        take = partial(self.service.take, message.topic, message.payload, client.id)
        try:
            return self.gateway.begun(
                partial(self._look, client, take) if client.rights.name == KIOSK.name else take
            )
        except Rejected as no:
            log.warning("%s: %s", message.topic, no)
            return None

    def _look(self, client: Client, take: Take, then: Told) -> None:
        """A screen that asks for its booth is handed, unasked, the shadow of each whom that lists: a wall of 200 is not to
        wait for 200 questions. AWS does not do so; there, and for whatever is missing here, a screen asks for each.
        """

        def told(answers: list[tuple[str, bytes]]) -> None:
            then(answers)
            if booth := BOOTH_ANSWERED.fullmatch(answers[0][0]):
                self.service.hand_out(booth[1], partial(self._hand, client))

        take(told)

    def _hand(self, client: Client, answers: list[tuple[str, bytes]]) -> None:
        assert isinstance(self.gateway, Gateway), "at a broker nobody is known to be a screen"
        self.gateway.hand_soon(client, [Message(topic, payload) for topic, payload in answers])

    def _retained(self, message: Message, _client: Client) -> Awaitable[None] | Elsewhere:
        """A message of a client that is to be retained. PUBACK waits until it is on disk."""
        return self.gateway.after(self._written(message.topic))

    async def _publish(self, message: Message) -> None:
        self.gateway.publish([message])
        if message.retain and isinstance(self.gateway, Gateway):
            await asyncio.wrap_future(self._written(message.topic))

    def _written(self, topic: str) -> "Future[None]":
        """Write down what a topic has now, on the loop's thread: so what is written keeps the order of the messages."""
        kept = self.gateway.kept(topic)

        def work(db: sqlite3.Connection) -> None:
            retained.remember(db, topic, kept)

        return self.store.submit(work)
