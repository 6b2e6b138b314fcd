"""The local place: its parts, and the wires between them."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import Blueprint

import button_handlers.doors as button_doors
import slack_bridge.doors as slack_doors
from button_handlers.flask_doors import blueprint as button_blueprint
from infra import checks, running
from infra.actions import Starter
from infra.broker import Broker
from infra.local import check, clock, history, unknown
from infra.local.actions import Actions
from infra.local.alerter import Alerter
from infra.local.auditor import Auditor
from infra.local.clock import Clock, wall_ms
from infra.local.deliverer import Deliverer
from infra.local.demo import furnish
from infra.local.follower import Follower
from infra.local.gateway import Client, Message, Tls
from infra.local.health import Health
from infra.local.history import Retention, Wanted
from infra.local.http import HttpServer, bind
from infra.local.limits import Pace
from infra.local.metrics import Tally
from infra.local.quiet import Quiet
from infra.local.roster import Announcer
from infra.local.service import LocalShadows
from infra.local.signs import PERIOD_S, Kiosks, Signs
from infra.local.simulator import simulator
from infra.local.store import Store
from infra.local.things import LocalThings
from infra.local.timer import Timers
from infra.local.twin import Loop, Twin
from infra.local.unknown import UnknownButtons
from infra.local.updater import Updater
from infra.local.watch import KINDS, Watch
from infra.local.web import BRAND, Web
from infra.local.web import app as web_app
from infra.local.webhooks import Webhooks
from infra.settings import Settings, Tokens
from infra.slack import announce_duty, bot_of, teller_of, way_of
from infra.ways import channels_of, senders_of
from shadows.calls import Place
from shadows.duty import ROSTER
from shadows.errors import Rejected
from shadows.finding import Finding
from shadows.reset import restamp
from slack_bridge.check import Asker
from slack_bridge.flask_doors import blueprint as slack_blueprint
from slack_bridge.socket_mode import SocketMode
from slack_bridge.tellers import Post, web_client

if TYPE_CHECKING:
    from infra.local.attached import Attached

log = logging.getLogger(__name__)
T = TypeVar("T")

THING_TYPES: Final = ("staff", "button", "booth", "kiosk", "machine")
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


def as_seen(host: str, address: str) -> str:
    """An address of ours as others on the network reach it, if ``host`` opens it to them."""
    return f"{_lan_address()}:{address.rpartition(':')[2]}" if host in EVERYWHERE else address


def _lan_address() -> str:
    """The address by which others on the network reach this machine; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: only the route is asked for
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
        *,
        tls: Tls | None = None,
    ) -> None:
        self.settings, self.tokens, self.sockets, self.stack = settings, opened, sockets, stack
        self.names = {variable: address_of(bound) for variable, bound in sockets.items()}
        self.tls = (sockets["STAFFCALL_MQTT_PORT"], tls) if tls else None
        # Our own subcommands have no certificate, and need none: they are on this machine.
        self.mqtt = bind("127.0.0.1", 0) if tls else sockets.get("STAFFCALL_MQTT_PORT")
        if self.mqtt:
            stack.callback(self.mqtt.close)
        self.clock = Clock()
        self.signs, self.kiosks = Signs(self.clock), Kiosks(self.clock)
        loop = Loop(lambda: self.signs.alive("gateway"), PERIOD_S["gateway"])
        stack.callback(loop.stop)
        self.store = store
        for table in (clock.TABLE, unknown.TABLE):
            store.run(lambda db, table=table: db.execute(table))  # type: ignore[misc]
        store.run(lambda db: history.prepare(db, self.clock()))
        self.attached = self._attached(loop) if settings.mqtt_url else None
        self.twin = Twin(
            store,
            loop,
            stack,
            clock=self.clock,
            throttle=settings.throttle,
            off=settings.limits_off,
            users={settings.mqtt_user: settings.mqtt_password} if settings.mqtt_user else None,
            hear=self.announced,
            on_change=lambda db, *change: history.remember(db, wall_ms(), *change),
            guests=self.kiosks,
            attached=self.attached,
        )
        self.gateway = self.twin.gateway
        for name in THING_TYPES:
            self.twin.registry.create_type(name)
        local = LocalShadows(self.twin.service)
        self.place = Place(
            shadows=local,
            things=LocalThings(self.twin.registry),
            clock=self.clock,
            timing=settings.timing,
            channels=channels_of(settings),
            wake=lambda thing: self.deliverer.wake(thing, again=True),
            is_quiet=lambda thing: self.quiet is not None and self.quiet.has(thing),
        )
        self.unknown = UnknownButtons(store)
        self.bot = bot_of(settings)
        self.quiet = self._quiet() if self.bot and settings.slack_quiet else None
        teller = teller_of(settings, self.bot)
        self.announcer = (
            Announcer(partial(announce_duty, self.place, teller, settings.lang)) if teller else None
        )
        self.deliverer = Deliverer(self.place, teller, history.noting(store, wall_ms), self.signs.alive)
        self.timers = Timers(self.place, self.deliverer.wake, self.signs.alive, local.get_many)
        self.health = Health(self.clock)
        self.health.listen_to("slack", self.deliverer.troubles)
        if self.quiet:
            self.health.listen_to("slack", self.quiet.troubles)
        if self.attached:
            self.health.listen_to("broker", self.attached.troubles)
        self.senders = senders_of(settings, opened.link)
        self.alerter = (
            Alerter(self.place, self.senders, history.noting(store, wall_ms), self.signs.alive)
            if self.senders
            else None
        )
        if self.alerter:
            self.health.listen_to("alert", self.alerter.troubles)
        self.updater = Updater(self.place, self.bot) if self.bot and way_of(settings) == "bot" else None
        self.webhooks = Webhooks(settings.webhook_urls, settings.webhook_secret, store, self.signs.alive)
        self.health.listen_to("webhook", self.webhooks.troubles)
        self.actions = Actions(
            self.place,
            Starter(settings.actions, settings.webhook_secret, self.twin.say),
            history.noting_actions(store, wall_ms),
            self.signs.alive,
        )
        self.health.listen_to("action", self.actions.troubles)
        self.follower = Follower(
            self.place, self.timers, self.deliverer.wake, self.signs.alive, changed=self.changed
        )
        self.auditor = Auditor(
            store,
            self.place,
            self.deliverer,
            self.timers,
            self.follower,
            days=settings.history_days,
            found=self.health.look,
        )
        self.health.listen_to("audit", self.auditor.troubles)
        self.presses = ThreadPoolExecutor(PRESSES_AT_ONCE, thread_name_prefix="press")
        self.answers = ThreadPoolExecutor(1, thread_name_prefix="answer")
        self.is_ready = False

    # --- The wires

    def announced(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """What the shadow service says, on its writer's thread: hand it on, and wait for nothing."""
        for topic, payload in messages:
            self.follower.hear(topic, payload)
            self.actions.hear(topic)

    def changed(self, thing: str) -> None:
        """Somebody's shadow has changed: whoever shows that elsewhere looks at it."""
        if self.updater:
            self.updater.wake(thing)
        if self.alerter:
            self.alerter.wake(thing)
            if not self.place.channels.slack:  # the alerter reports what the deliverer cannot
                self.deliverer.wake(thing)
        self.webhooks.wake()

    async def pressed(self, message: Message, _client: Client) -> None:
        """A message on a button's topic. PUBACK waits for the call to be durable."""
        if button_doors.is_idle_talk(message.topic):
            return
        if message.retain:  # a press that a broker keeps would be pressed again for whoever comes late
            log.warning("%s: a retained message is no press", message.topic)
            return
        press = partial(button_doors.on_message, message.topic, message.payload, self.button_services)
        # If it raises there is no PUBACK, and the button sends it again.
        await asyncio.get_running_loop().run_in_executor(self.presses, press)

    def published(self, message: Message) -> None:
        """A publish over REST, which its subscribers have got already. A press is one here too."""
        if button_doors.is_press(message.topic) and not message.retain:
            button_doors.on_message(message.topic, message.payload, self.button_services)

    def _attached(self, loop: Loop) -> "Attached":
        """The client of the external broker that is set."""
        from infra.local.attached import Attached, client_id  # noqa: PLC0415 - it takes as long as all the rest

        return Attached(
            Broker.of(self.settings.mqtt_url),
            self.store.run(client_id),
            loop.loop,
            clock=self.clock,
            # No rule of a broker's tells `staff-` from what is not for screens: a button's number may be that of a SIM.
            is_private=lambda topic: topic.startswith(("$aws/things/button-", f"$aws/things/{ROSTER}/")),
            joined=lambda: self.presses.submit(self._say_again),
        )

    def _say_again(self) -> None:
        """Say what every screen may read. Theirs is a link to the broker: they do not see that ours was lost, nor that we
        were dead, and what another screen is answered counts for all.
        """
        for kind in ("staff", "booth"):
            for thing in self.place.things.list(type=kind):
                self.twin.service.handle(f"$aws/things/{thing.name}/shadow/get", b"").result()

    # --- The start

    def start(self, folder: Path, *, simulated: str) -> Addresses:
        """Start from the inside out, so that a door is open only when all behind it works.

        Args:
            folder: of the data.
            simulated: the secret of the simulator's webhook; "" for no demo.
        """
        if simulated:
            furnish(self.place)
        self.folder = folder
        self.watch = self._watch(folder)
        self.simulated = bool(simulated) and simulated in self.settings.slack_webhook_url
        self._start(self.follower)
        self._follow_clock()
        self._start(self.timers)  # what is overdue ends first: nobody is told of a call that is over
        self.stack.callback(self.presses.shutdown)
        self.stack.callback(self.answers.shutdown, cancel_futures=True)
        if self.bot:
            self.stack.callback(self.bot.stop)
        self._listen_mqtt()
        self._listen_http(self._simulator(simulated) if simulated else ())
        if self.announcer:
            self._start(self.announcer)
        self._start(self.deliverer)  # behind the listeners, for Slack may be our own simulator
        if self.quiet:
            self._start(self.quiet)
        if self.updater:
            self._start(self.updater)
        if self.alerter:
            self.signs.begin("alerter")
            self._start(self.alerter)
        self.signs.begin("actions", *self.webhooks.names)
        self._start(self.actions)
        self._start(self.webhooks)
        self._start(self.watch)
        self._start(self.health)
        self._start(self.auditor)
        self._start(Retention(self.store, wall_ms, self.settings.history_days))
        self._start_socket_mode()
        addresses = self._addresses()
        self._say_where(folder)
        self.is_ready = True
        return addresses

    def _watch(self, folder: Path) -> Watch:
        """Whoever looks after signs of life, and tells what has gone silent."""
        settings = self.settings
        asker = Asker(web_client(settings.slack_api_url, settings.slack_bot_token), patience_s=0)
        watch = Watch(
            self.place,
            self.store,
            folder,
            parts=self.signs,
            kiosks=None if self.attached else self.kiosks,  # a broker does not say who is there
            ask_slack=partial(asker.ask, "auth.test") if settings.slack_bot_token else None,
        )
        for what in KINDS:
            self.health.listen_to(what, partial(watch.troubles, what))
        return watch

    def _quiet(self) -> Quiet:
        """Whoever asks Slack who wants not to be disturbed."""
        settings = self.settings
        asker = Asker(web_client(settings.slack_api_url, settings.slack_bot_token), patience_s=0)
        return Quiet(self.place, asker, settings.slack_quiet)

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
        for topic_filter in button_doors.TOPIC_FILTERS:
            self.gateway.hook(topic_filter, self.pressed)
        if self.attached:
            self.twin.attach(self.attached)
        elif self.mqtt:
            self.twin.listen(self.mqtt, self.sockets["STAFFCALL_WS_PORT"], kiosks=True, tls=self.tls)

    def _listen_http(self, more: tuple[Blueprint, ...]) -> None:
        web = Web(
            place=self.place,
            ws_port=int(self._addresses().websocket.rpartition(":")[2] or 0),
            ws_url=self.settings.ws_url,
            relayed=self.attached is not None,
            brand=self.settings.data / BRAND,
            admin_token=self.tokens.admin,
            ready=lambda: self.is_ready,
            counts=self.counts,
            tally=Tally(self.store.reader),
            health=self.health,
            signs=self.vital_signs,
            unknown_buttons=self.unknown.list,
            history=self.records,
            news=lambda row, delivery: self.store.run(lambda db: history.news(db, row, delivery)),
            look=self.look,
            allowed=self.settings.actions,
            id_by_email=partial(checks.id_by_email, self.settings),
            erase=lambda thing: self.store.run(lambda db: history.erase(db, thing)),
            connected=lambda: None if self.attached else self.kiosks.seen(),
            publish=lambda topic, payload: self.gateway.publish_soon([Message(topic, payload, qos=1)]),
            doors=(
                button_blueprint(self.button_services),
                slack_blueprint(self.slack_services),
                *self._alert_doors(),
                *more,
            ),
        )
        rest = self.twin.rest(self.published)
        self._start(HttpServer(rest, self.sockets["STAFFCALL_AWS_PORT"], name="aws", in_turn=True))
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
            self.signs.begin("socket")
            self._start(
                SocketMode(
                    self.settings.slack_app_token,
                    self.settings.slack_api_url,
                    self.slack_services,
                    alive=partial(self.signs.alive, "socket"),
                    failed=partial(self.signs.failed, "socket"),
                )
            )

    def _say_where(self, folder: Path) -> None:
        here = running.Running(
            pid=os.getpid(),
            data=str(folder.resolve()),
            http=f"http://{self.names['STAFFCALL_HTTP_PORT']}",
            kiosk=f"http://{as_seen(self.settings.host, self.names['STAFFCALL_HTTP_PORT'])}",
            aws=f"http://{self.names['STAFFCALL_AWS_PORT']}",
            mqtt=address_of(self.mqtt) if self.mqtt else self._addresses().mqtt,
        )
        running.write(self.settings.data, here)
        self.stack.callback(running.remove, self.settings.data)

    def vital_signs(self) -> dict[str, Any]:
        """What only this process knows of how it is, for whoever checks it."""
        return {
            "signs": [asdict(sign) for sign in self.watch.all()],
            "audited": self.auditor.looks,
            "kiosks": None if self.attached else self.kiosks.connected(),
            "clockOffMs": self.clock.off_ms,
            "slack": "simulator" if self.simulated else way_of(self.settings),
        }

    def look(self, said: dict[str, Any]) -> Iterator[Finding]:
        """At everything that ``staffcall doctor`` looks at, from here."""
        roster = checks.Roster.of(self.place)
        return check.of_place(said, roster, self.settings, self.folder, post=False)

    def records(self, wanted: Wanted) -> dict[str, Any]:
        """What is on record; a press does not wait for who reads it."""
        with closing(self.store.reader()) as db, history.at_one_moment(db):
            return history.records(db, wanted)

    def counts(self) -> dict[str, float]:
        """Numbers for ``/metrics``."""
        gateway = {f"mqtt_{name}": value for name, value in asdict(self.gateway.counts()).items()}
        return {
            "untold": self.deliverer.pending,
            "alarms": self.timers.pending,
            "audit_holes_total": self.auditor.total,
            **gateway,
            **self.webhooks.counts(),
            **self.watch.ages(),
        }

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
            hurries=Pace().too_fast if self.settings.throttle else lambda _button: False,
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

    def _alert_doors(self) -> Iterator[Blueprint]:
        """What the links of alerts open, where there are any."""
        if not (self.senders and self.settings.public_url):
            return
        from infra.alerts import doors, flask_doors  # noqa: PLC0415 - what it needs takes a while, and few need it

        yield flask_doors.blueprint(
            doors.Services(
                place=self.place,
                key=self.tokens.link,
                lang=self.settings.lang,
                public_url=self.settings.public_url,
                twilio_tokens=self.senders.tokens,
                note=history.noting(self.store, wall_ms),
            )
        )

    def _addresses(self) -> Addresses:
        names = self.names
        return Addresses(
            http=names["STAFFCALL_HTTP_PORT"],
            websocket=names.get("STAFFCALL_WS_PORT", ""),
            mqtt=self.attached.broker.address if self.attached else names["STAFFCALL_MQTT_PORT"],
            aws=names["STAFFCALL_AWS_PORT"],
        )
