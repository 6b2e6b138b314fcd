"""The heart of the gateway: who gets what. It knows sessions and topics, but no sockets and no packets' order.

Everything here runs on the thread of one asyncio loop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Protocol

from infra.local.gateway import limits, presence
from infra.local.gateway.packets import Message, Will
from infra.local.gateway.policy import Client
from infra.local.gateway.presence import Leaving, Visit, Visits
from infra.local.gateway.session import Link, Outgoing, Session, Subscription, Tally
from infra.local.gateway.topics import Tree

log = logging.getLogger(__name__)


class Elsewhere:
    """Work of another thread, which says there that it is ``done``; its callbacks are called on the loop's thread, by
    ``soon``, in the order of what goes that way.
    """

    __slots__ = ("_callbacks", "_error", "_soon")

    def __init__(self, soon: Callable[[Callable[[], object]], None]) -> None:
        self._soon = soon
        self._callbacks: list[Callable[[Any], object]] = []
        self._error: BaseException | None = None

    def done(self, _result: object = None) -> None:
        self._soon(self._call)

    def settled(self, work: "Future[Any]") -> None:
        """It is done as this is, or failed."""
        self._error = CancelledError() if work.cancelled() else work.exception()
        self.done()

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """On the loop's thread, before that turns to anything else."""
        self._callbacks.append(callback)

    def cancelled(self) -> bool:
        return False

    def exception(self) -> BaseException | None:
        return self._error

    def _call(self) -> None:
        for callback in self._callbacks:
            callback(self)


Take = Callable[[Message, Client], Awaitable[None] | Elsewhere | None]
Pending = asyncio.Future[None] | Elsewhere


class Guests(Protocol):
    """Who is told of everybody who comes and goes, on the loop's thread: it must wait for nothing."""

    def came(self, client: Client, keep_alive_s: float) -> None:
        """A client has connected, and is heard of at least so often."""

    def left(self, client: Client, silent_s: float) -> None:
        """A client is gone; it was heard of last so long ago."""


class Kept(NamedTuple):
    """A retained message, and when it was retained, in ms since 1970."""

    message: Message
    at_ms: int


class _Retained(NamedTuple):
    outgoing: Outgoing
    at_ms: int


class _Hooks(NamedTuple):
    """What is called with the messages that clients publish to one topic."""

    all: list[Take]  # of a message that is to be retained
    passing: list[Take]  # of any other


class Broker:
    """Sessions, subscriptions, retained messages, wills, presence events, and the service's hooks."""

    def __init__(self, clock: Callable[[], int], guests: Guests | None = None) -> None:
        self.tally = Tally()
        self._clock, self._guests = clock, guests
        self._visits = Visits()
        self._sessions: dict[tuple[str, str], Session] = {}
        self._absent: dict[Session, None] = {}  # longest absent first
        self._tree: Tree[Session, Subscription] = Tree()
        self._hooks: Tree[Take, bool] = Tree()
        self._receivers: dict[str, list[tuple[Session, Subscription]]] = {}  # of each topic that came lately
        self._called_with: dict[str, _Hooks] = {}  # of each that a client published to
        self._retained: dict[str, _Retained] = {}
        self._retained_bytes = 0
        self._pending: set[asyncio.Future[None]] = set()
        self._closing = False

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._sessions) - len(self._absent)

    # Messages

    def hook(self, topic_filter: str, take: Take, *, retained: bool) -> None:
        self._hooks.put(topic_filter, take, retained)
        self._called_with.clear()

    def publish(self, message: Message, sender: Session | None = None) -> None:
        """Give a message to its subscribers, and keep it if it is to be retained."""
        self._deliver(message, sender)

    def hand(self, client: Client, messages: Sequence[Message]) -> None:
        """Give messages to one client, if it is there, as far as it has subscribed to them and may receive them."""
        if not (session := self._sessions.get((client.rights.name, client.id))):
            return
        own: Tree[Session, Subscription] = Tree()
        for topic_filter, granted in session.subscriptions.items():
            own.put(topic_filter, session, granted)
        for message in messages:
            if client.rights.may_receive(message.topic) and (found := next(own.match(message.topic), None)):
                session.deliver(Outgoing(message), min(message.qos, found[1].qos))

    def is_wanted(self, message: Message) -> bool:
        """Whether anybody may get it, or keep it; from any thread, and False only if that is known."""
        receivers = self._receivers.get(message.topic)
        return receivers is None or bool(receivers) or message.retain

    def accept(self, message: Message, sender: Session) -> list[Pending]:
        """Publish a client's message and call the hooks; the answer is what they have not finished yet.

        A future that fails has been logged.
        """
        self.tally.received += 1
        self._deliver(message, sender)
        hooks = self._called_with.get(message.topic) or self._hooks_of(message.topic)
        if not (takes := hooks.all if message.retain else hooks.passing):
            return []
        calls = [self._call(take, message, sender.client) for take in takes]
        return [future for future in calls if future is not None]

    def lagging(self) -> bool:
        """Whether somebody who does read has so much to read that publishers should slow down."""
        return bool(self.tally.lagging) and any(session.reads for session in self.tally.lagging)

    def _hooks_of(self, topic: str) -> _Hooks:
        if len(self._called_with) >= limits.MAX_ROUTES:
            self._called_with.clear()
        found = list(self._hooks.match(topic))
        hooks = _Hooks([take for take, _ in found], [take for take, retained in found if not retained])
        self._called_with[topic] = hooks
        return hooks

    def _receivers_of(self, topic: str) -> list[tuple[Session, Subscription]]:
        if len(self._receivers) >= limits.MAX_ROUTES:
            self._receivers.clear()
        found: dict[Session, Subscription] = {}
        for session, granted in self._tree.match(topic):
            if session.client.rights.may_receive(topic):
                found[session] = granted.also(found[session]) if session in found else granted
        receivers = self._receivers[topic] = list(found.items())
        return receivers

    def _deliver(self, message: Message, sender: Session | None) -> None:
        receivers = self._receivers.get(message.topic)
        if receivers is None:
            receivers = self._receivers_of(message.topic)
        if not (receivers or message.retain):
            return
        outgoing = as_published = Outgoing(message)
        if message.retain:
            outgoing = as_published.retained(retain=False)
            self._retain(as_published, self._clock())
        for session, granted in receivers:
            if granted.no_local and session is sender:
                continue
            copy = as_published if granted.as_published else outgoing
            session.deliver(copy, min(message.qos, granted.qos))

    # Retained messages

    def has_room(self, message: Message) -> bool:
        """Whether a message can be retained: one that deletes or replaces another always can."""
        full = len(self._retained) >= limits.MAX_RETAINED or self._retained_bytes > limits.MAX_RETAINED_BYTES
        return not (full and message.payload and message.topic not in self._retained)

    def keep(self, kept: Kept) -> None:
        """Retain a message, or with an empty one forget what its topic has."""
        self._retain(Outgoing(kept.message), kept.at_ms)

    def _retain(self, outgoing: Outgoing, at_ms: int) -> None:
        topic, has_room = outgoing.message.topic, self.has_room(outgoing.message)
        if old := self._retained.pop(topic, None):
            self._retained_bytes -= old.outgoing.size
        if not has_room:
            self.tally.dropped += 1
        elif outgoing.message.payload:
            self._retained[topic] = _Retained(outgoing, at_ms)
            self._retained_bytes += outgoing.size

    def retained(self, topic: str) -> Outgoing | None:
        """The retained message of a topic; as on AWS, a filter with a wildcard has none."""
        found = self._retained.get(topic)
        return found.outgoing.now() if found else None

    def kept(self, topic: str) -> Kept | None:
        """The same as it is told over REST."""
        found = self._retained.get(topic)
        outgoing = found.outgoing.now() if found else None
        return Kept(outgoing.message, found.at_ms) if found and outgoing else None

    def kept_after(self, topic: str, most: int) -> list[Kept]:
        """The retained messages in the order of their topics, from the one behind ``topic``."""
        later = (self.kept(each) for each in sorted(self._retained) if each > topic)
        return list(islice(filter(None, later), most))

    # Hooks

    def _call(self, take: Take, message: Message, client: Client) -> Pending | None:
        pending = self._begun(take, message, client)
        if pending is not None:
            pending.add_done_callback(partial(self._called, message.topic))
        return pending

    def _begun(self, take: Take, message: Message, client: Client) -> Pending | None:
        try:
            given = take(message, client)
        except Exception as error:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(error)
        else:
            if given is None or isinstance(given, Elsewhere):
                return given
            future = asyncio.ensure_future(given)
        self._pending.add(future)
        return future

    def _called(self, topic: str, future: asyncio.Future[None]) -> None:
        self._pending.discard(future)
        if not future.cancelled() and (error := future.exception()) is not None:
            log.error("A hook failed on a message to %s", topic, exc_info=error)

    # Subscriptions

    def subscribe(self, session: Session, topic_filter: str, granted: Subscription) -> bool:
        """Grant a filter; the answer is whether it is new to this session."""
        new = topic_filter not in session.subscriptions
        session.subscriptions[topic_filter] = granted
        self._tree.put(topic_filter, session, granted)
        self._receivers.clear()
        return new

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Take a filter back; the answer is whether there was one."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        self._tree.drop(topic_filter, session)
        self._receivers.clear()
        return True

    # Sessions

    def arrive(self, link: Link, client: Client, *, clean: bool) -> tuple[Session, bool]:
        """A client has connected: its session, and whether that is one from before.

        Whoever holds the client id is cut off. The session gets its link only when CONNACK is on its way. What was
        kept for somebody with other rights is not given to this one.
        """
        key = (client.rights.name, client.id)
        if (old := self._sessions.get(key)) and old.link:
            old.link.taken_over()
        old = self._sessions.get(key)
        if old and (clean or old.client.rights != client.rights):
            self._forget(old)
        elif old:
            self._awake(old)
            old.client = client
            return old, True
        session = self._sessions[key] = Session(client, self.tally)
        return session, False

    def welcome(self, client: Client, keep_alive_s: float) -> Visit:
        """Tell the others that a client is there."""
        if self._guests:
            self._guests.came(client, keep_alive_s)
        now_ms = self._clock()
        visit = self._visits.begin(client, now_ms)
        self._publish_all(presence.connected(visit, now_ms))
        return visit

    def tell_subscribed(self, visit: Visit, filters: Sequence[str]) -> None:
        """Tell the others what a client listens to now."""
        self._publish_all(presence.subscribed(visit, filters, self._clock()))

    def tell_unsubscribed(self, visit: Visit, filters: Sequence[str]) -> None:
        """Tell the others what a client listens to no more."""
        self._publish_all(presence.unsubscribed(visit, filters, self._clock()))

    def leave(
        self,
        session: Session,
        visit: Visit,
        why: Leaving,
        *,
        will: Will | None,
        expiry_s: int,
        silent_s: float,
    ) -> None:
        """A client is gone: its session goes too, or stays for ``expiry_s`` seconds; its will is due."""
        session.detach()
        if self._closing:
            return
        if self._guests:
            self._guests.left(visit.client, silent_s)
        now_ms = self._clock()
        self._visits.end(visit, now_ms)
        self._publish_all(presence.disconnected(visit, why, now_ms))
        session.will = will
        if expiry_s == 0:
            self._forget(session)
        else:
            self._wait_for(session, expiry_s)

    def _wait_for(self, session: Session, expiry_s: int) -> None:
        loop = asyncio.get_running_loop()
        session.ends = loop.call_later(expiry_s, self._forget, session)
        if session.will and session.will.delay_s == 0:
            self._publish_will(session)
        elif session.will:
            session.will_due = loop.call_later(session.will.delay_s, self._publish_will, session)
        self._absent[session] = None
        if len(self._absent) > limits.MAX_ABSENT:
            self._forget(next(iter(self._absent)))

    def _awake(self, session: Session) -> None:
        self._absent.pop(session, None)
        for alarm in (session.ends, session.will_due):
            if alarm:
                alarm.cancel()
        session.ends = session.will_due = session.will = None

    def _forget(self, session: Session) -> None:
        self._publish_will(session)
        self._awake(session)
        self._sessions.pop((session.client.rights.name, session.client.id))
        for topic_filter in list(session.subscriptions):
            self.unsubscribe(session, topic_filter)

    def _publish_will(self, session: Session) -> None:
        will, session.will = session.will, None
        if will is None:
            return
        if will.message.topic.startswith("$"):  # AWS: subscribers get it, the services ignore it
            self.publish(will.message, session)
        else:
            self.accept(will.message, session)

    def _publish_all(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.publish(message)

    # The end

    def silence(self) -> None:
        """From now on nobody's leaving is told, no will is published, and no alarm rings."""
        self._closing = True
        for session in self._sessions.values():
            self._awake(session)

    async def close(self) -> None:
        """Cancel what the hooks have not finished."""
        for future in (pending := list(self._pending)):
            future.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
