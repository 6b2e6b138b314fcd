"""The local place: its parts, and the wires between them."""

import asyncio
import json
import logging
import os
import queue
import re
import socket
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, TypeVar

from flask import Blueprint

import button_handlers.doors as button_doors
import slack_bridge.doors as slack_doors
from button_handlers.flask_doors import blueprint as button_blueprint
from infra import running
from infra.local import clock, history, unknown
from infra.local.clock import Clock, wall_ms
from infra.local.deliverer import Deliverer
from infra.local.demo import furnish
from infra.local.gateway import Client, Gateway, Message
from infra.local.http import HttpServer
from infra.local.rest import app as rest_app
from infra.local.service import LocalShadows, ShadowService
from infra.local.simulator import simulator
from infra.local.store import Store
from infra.local.things import LocalThings, Registry
from infra.local.timer import Timers
from infra.local.unknown import UnknownButtons
from infra.local.web import Web
from infra.local.web import app as web_app
from infra.settings import Settings, Tokens
from infra.slack import bot_of, teller_of
from shadows.calls import Place, Timing
from shadows.errors import Rejected
from shadows.reset import restamp
from shadows.shadow import Shadow
from shadows.staff import Staff
from slack_bridge.flask_doors import blueprint as slack_blueprint
from slack_bridge.socket_mode import SocketMode
from slack_bridge.tellers import Post

log = logging.getLogger(__name__)
T = TypeVar("T")

THING_TYPES: Final = ("staff", "button", "booth")
SHADOW_FILTERS: Final = tuple(
    f"$aws/things/+/shadow/{name}{operation}"
    for name in ("", "name/+/")
    for operation in ("get", "update", "delete")
)
DOCUMENTS: Final = re.compile(r"\$aws/things/(staff|booth)-[^/]+/shadow/update/documents")
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
PRESSES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where everything listens, as ``host:port``; what is public bears the address by which others reach it."""

    http: str
    websocket: str
    mqtt: str
    aws: str


def address_of(bound: socket.socket) -> str:
    """The address by which this machine reaches its own socket."""
    host, port = bound.getsockname()[:2]
    return f"{'127.0.0.1' if host in EVERYWHERE else _bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Loop:
    """An asyncio loop in a thread of its own: the gateway's."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="gateway")
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop, and wait for the result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class LocalPlace:
    """The parts of the local place, and the three wires between them.

    A message published to a request topic goes from the gateway to the shadow service. What the service announces
    goes to the gateway, and on to whoever subscribed; and, for staff, to the timers and the deliverer, which are
    subscribers like any other. A press goes from each door to the rules, and from there to the shadow service.
    """

    def __init__(
        self,
        settings: Settings,
        opened: Tokens,
        store: Store,
        sockets: dict[str, socket.socket],
        stack: ExitStack,
    ) -> None:
        self.settings, self.tokens, self.sockets, self.stack = settings, opened, sockets, stack
        self.names = {variable: address_of(bound) for variable, bound in sockets.items()}
        self.loop = _Loop()
        stack.callback(self.loop.stop)
        users = {settings.mqtt_user: settings.mqtt_password} if settings.mqtt_user else None
        self.gateway = Gateway(clock=wall_ms, throttle=settings.throttle, users=users)
        self.store = store
        for table in (clock.TABLE, history.TABLE, unknown.TABLE):
            store.run(lambda db, table=table: db.execute(table))  # type: ignore[misc]
        self.clock = Clock()
        self.service = ShadowService(
            store,
            clock=self.clock,
            announce=self.announced,
            throttle=settings.throttle,
            on_change=lambda db, *change: history.remember(db, wall_ms(), *change),
        )
        self.registry = Registry(store)
        for name in THING_TYPES:
            self.registry.create_type(name)
        timing = Timing(calling_s=settings.calling_s, running_s=settings.running_s, quiet_s=settings.quiet_s)
        self.place = Place(
            shadows=LocalShadows(self.service),
            things=LocalThings(self.registry),
            clock=self.clock,
            timing=timing,
            wake=lambda thing: self.deliverer.wake(thing, again=True),
        )
        self.unknown = UnknownButtons(store)
        self.bot = bot_of(settings)
        self.deliverer = Deliverer(self.place, teller_of(settings, self.bot))
        self.timers = Timers(self.place, self.deliverer.wake)
        self.changes: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self.presses = ThreadPoolExecutor(PRESSES_AT_ONCE, thread_name_prefix="press")
        self.answers = ThreadPoolExecutor(1, thread_name_prefix="answer")
        self.is_ready = False

    # --- The wires

    def announced(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """What the shadow service says, on its writer's thread: hand it on, and wait for nothing."""
        self.gateway.publish_soon(Message(topic=topic, payload=payload, qos=1) for topic, payload in messages)
        for topic, payload in messages:
            if DOCUMENTS.fullmatch(topic):
                self.changes.put((topic, payload))

    def follow(self) -> None:
        """Follow each change of a staff or booth shadow until there is none any more."""
        while change := self.changes.get():
            topic, payload = change
            thing = topic.split("/")[2]
            try:
                if thing.startswith("staff-"):
                    self._follow_staff(thing, json.loads(payload)["current"]["state"])
                else:
                    self._follow_booth(thing)
            except Exception:
                log.exception("%s: the change of a shadow was not followed; the sweep will find it", thing)

    def _follow_staff(self, thing: str, state: dict[str, Any]) -> None:
        """Set the alarm that the state needs, and wake the deliverer if the change left a delta."""
        shadow = Shadow(desired=state.get("desired", {}), reported=state.get("reported", {}))
        staff = Staff.read(shadow)
        if self.timers.follow(thing, staff) and staff.untold:
            self.deliverer.wake(thing)

    def _follow_booth(self, booth: str) -> None:
        """Set the alarms of the booth's calls anew: it may have said how long they take."""
        for thing in self.place.things.list(type="staff"):
            staff = Staff.read(self.place.shadows.get(thing.name))
            if staff.has_call_of(booth.removeprefix("booth-")):
                self.timers.follow(thing.name, staff)

    async def asked(self, message: Message, _client: Client) -> None:
        """A message on a request topic of the shadow service. PUBACK waits for the commit."""
        try:
            answered = self.service.handle(message.topic, message.payload)
        except Rejected as no:
            log.warning("%s: %s", message.topic, no)
        else:
            await asyncio.wrap_future(answered)

    async def pressed(self, message: Message, _client: Client) -> None:
        """A message on a button's topic. PUBACK waits for the call to be durable."""
        if message.retain:  # a press that a broker keeps would be pressed again for whoever comes late
            log.warning("%s: a retained message is no press", message.topic)
            return
        press = partial(button_doors.on_message, message.topic, message.payload, self.button_services)
        # If it raises there is no PUBACK, and the button sends it again.
        await asyncio.get_running_loop().run_in_executor(self.presses, press)

    def published(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """A publish over REST; the shadow service has taken what was meant for it already. A press is one here too."""
        self.gateway.publish_soon([Message(topic=topic, payload=payload, qos=qos, retain=retain)])
        if button_doors.is_press(topic) and not retain:
            button_doors.on_message(topic, payload, self.button_services)

    # --- The start

    def start(self, folder: Path, *, simulated: str) -> Addresses:
        """Start from the inside out, so that a door is open only when all behind it works.

        Args:
            folder: of the data.
            simulated: the secret of the simulator's webhook; "" for no demo.
        """
        if simulated:
            furnish(self.place)
        follower = threading.Thread(target=self.follow, name="follower")
        follower.start()
        self.stack.callback(follower.join)
        self.stack.callback(self.changes.put, None)
        self._follow_clock()
        self._start(self.timers)  # what is overdue ends first: nobody is told of a call that is over
        self.stack.callback(self.presses.shutdown)
        self.stack.callback(self.answers.shutdown, cancel_futures=True)
        if self.bot:
            self.stack.callback(self.bot.stop)
        self._listen_mqtt()
        self._listen_http(self._simulator(simulated) if simulated else ())
        self._start(self.deliverer)  # behind the listeners, for Slack may be our own simulator
        self._start_socket_mode()
        addresses = self._addresses()
        self._say_where(folder)
        self.is_ready = True
        return addresses

    def _follow_clock(self) -> None:
        """If the system's clock was set since we ran last, what is under way ends when it would have ended."""
        if by := self.store.run(lambda db: clock.set_by(db, self.clock)):
            for thing in self.place.things.list(type="staff"):
                try:
                    restamp(self.place, thing.name, by)
                except Rejected as no:  # its shadow is gone, say: the others' states end in time
                    log.warning("%s: its state is by the clock as it was: %s", thing.name, no)
        self.store.run(lambda db: clock.remember(db, self.clock))

    def _start(self, part: Any) -> None:
        part.start()
        self.stack.callback(part.stop)

    def _listen_mqtt(self) -> None:
        for topic_filter in SHADOW_FILTERS:
            self.gateway.hook(topic_filter, self.asked)
        for topic_filter in button_doors.TOPIC_FILTERS:
            self.gateway.hook(topic_filter, self.pressed)
        self.loop.call(self.gateway.listen_tcp(self.sockets["STAFFCALL_MQTT_PORT"]))
        self.loop.call(self.gateway.listen_websocket(self.sockets["STAFFCALL_WS_PORT"]))
        self.stack.callback(lambda: self.loop.call(self.gateway.close()))

    def _listen_http(self, more: tuple[Blueprint, ...]) -> None:
        web = Web(
            place=self.place,
            ws_port=int(self.names["STAFFCALL_WS_PORT"].rpartition(":")[2]),
            ws_url=self.settings.ws_url,
            admin_token=self.tokens.admin,
            ready=lambda: self.is_ready,
            counts=self.counts,
            unknown_buttons=self.unknown.list,
            history=lambda since: self.store.run(lambda db: history.rows(db, since=since)),
            doors=(button_blueprint(self.button_services), slack_blueprint(self.slack_services), *more),
        )
        rest = rest_app(self.service, self.registry, self.published)
        self._start(HttpServer(rest, self.sockets["STAFFCALL_AWS_PORT"], name="aws"))
        self._start(HttpServer(web_app(web), self.sockets["STAFFCALL_HTTP_PORT"], name="public"))

    def _simulator(self, secret: str) -> tuple[Blueprint]:
        given = simulator.Demo(
            place=self.place,
            post=simulator.post_to(self.names["STAFFCALL_HTTP_PORT"]),
            webhook_secret=secret,
            outgoing_token=self.settings.slack_outgoing_token,
            button_token=self.tokens.button,
            lang=self.settings.lang,
        )
        return (simulator.blueprint(simulator.Simulator(given)),)

    def _start_socket_mode(self) -> None:
        if self.settings.slack_app_token:
            self._start(
                SocketMode(self.settings.slack_app_token, self.settings.slack_api_url, self.slack_services)
            )

    def _say_where(self, folder: Path) -> None:
        here = running.Running(
            pid=os.getpid(),
            data=str(folder.resolve()),
            http=f"http://{self.names['STAFFCALL_HTTP_PORT']}",
            aws=f"http://{self.names['STAFFCALL_AWS_PORT']}",
            mqtt=self.names["STAFFCALL_MQTT_PORT"],
        )
        running.write(self.settings.data, here)
        self.stack.callback(running.remove, self.settings.data)

    def counts(self) -> dict[str, float]:
        """Numbers for ``/metrics``."""
        gateway = {f"mqtt_{name}": value for name, value in asdict(self.gateway.counts()).items()}
        return {"untold": self.deliverer.pending, "alarms": self.timers.pending, **gateway}

    def say(self, post: Post) -> None:
        """Post an answer, one after the other: none keeps a door waiting, and a mention waits for one at most."""
        if self.bot:
            self.answers.submit(self.bot.say, post)

    @cached_property
    def button_services(self) -> button_doors.Services:
        """What the button doors are given."""
        return button_doors.Services(
            place=self.place,
            unknown=self.unknown,
            token=self.tokens.button,
            beam_key=self.settings.soracom_beam_key,
        )

    @cached_property
    def slack_services(self) -> slack_doors.Services:
        """What the Slack doors are given."""
        return slack_doors.Services(
            place=self.place,
            outgoing_token=self.settings.slack_outgoing_token,
            signing_secret=self.settings.slack_signing_secret,
            lang=self.settings.lang,
            say=self.say if self.bot else None,
        )

    def _addresses(self) -> Addresses:
        http, websocket, mqtt, aws = self.names.values()
        return Addresses(http=http, websocket=websocket, mqtt=mqtt, aws=aws)
