"""What is left to do once a handler has written shadows: set the alarms, tell people, and have others reached otherwise.

Locally two threads follow what the shadow service announces. A Lambda function has no threads that outlive its answer:
it notes whose shadows it looked at, and settles them before it answers.
"""

import json
import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from infra.aws.alerting import Asks, logged
from infra.aws.tables import Deliveries
from infra.records import of_action
from shadows import alerts
from shadows.actions import Doer, NotDone, Tried, do, starts_something, waiting_at
from shadows.calls import Place, read
from shadows.cards import Board, is_behind, show
from shadows.errors import Rejected
from shadows.reset import Alarm, Apply, ring, rings_at, sweep
from shadows.shadow import JsonObject, Shadow, Shadows, Thing
from shadows.telling import (
    ANNOUNCED,
    Delivery,
    MentionKind,
    NotTold,
    Teller,
    Untold,
    deliver,
    deliver_expired,
    untold,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)

LONGEST_DELAY_S: Final = 900  # of one SQS message
PACE_MS: Final = 1_000  # Slack takes about one message a second a channel
CLAIMED_MS: Final = 5_000
SWEEP_EVERY_MS: Final = 60_000
SWEEP_FOR_MS: Final = 40_000  # of the function's minute; the rest is for telling
SWEEPERS: Final = 16  # threads: each waits for AWS nearly all its time
SWEPT_AT_ONCE: Final = 256
LAST_TRY: Final = 5  # 2 + 4 + 8 + 16 + 32 s after the first; from then on the sweep tries, once a minute
STRAY_MS: Final = (
    90_000  # what a click starts and was asked for so long ago has no message of its own any more
)
NEVER_TRIED: Final[Mapping[str, int]] = {}


class NotedShadows:
    """Shadows that note which staff were looked at, of whom something new was asked, and of which buttons."""

    def __init__(self, shadows: Shadows) -> None:
        self._shadows = shadows
        self.read: dict[str, None] = {}
        self.asked: dict[str, None] = {}
        self.buttons: dict[str, None] = {}

    def get(self, thing: str) -> Shadow:
        """As :meth:`shadows.shadow.Shadows.get`."""
        if thing.startswith("staff-"):
            self.read[thing] = None
        return self._shadows.get(thing)

    def update(
        self,
        thing: str,
        *,
        desired: JsonObject | None = None,
        reported: JsonObject | None = None,
        version: int | None = None,
    ) -> int:
        """As :meth:`shadows.shadow.Shadows.update`."""
        written = self._shadows.update(thing, desired=desired, reported=reported, version=version)
        if desired is not None and thing.startswith("staff-"):
            self.asked[thing] = None
        if desired is not None and thing.startswith("button-"):
            self.buttons[thing] = None
        return written

    def delete(self, thing: str) -> None:
        """As :meth:`shadows.shadow.Shadows.delete`."""
        self._shadows.delete(thing)

    def forget(self) -> None:
        """Note from here on."""
        self.read, self.asked, self.buttons = {}, {}, {}


class Queue:
    """The SQS queue of alarms and of messages that are to be tried again, each with a delay of its own."""

    def __init__(self, client: "SQSClient", url: str, clock: Callable[[], int]) -> None:
        self._client, self._url, self._clock = client, url, clock

    def put(self, message: JsonObject, at: int) -> None:
        """Have a message come back at ``at`` (ms since 1970), or in 15 minutes if that is sooner."""
        wait_s = math.ceil((at - self._clock()) / 1000)
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps(message),
            DelaySeconds=min(max(wait_s, 0), LONGEST_DELAY_S),
        )


class Settler:
    """Sets alarms and tells people, for one function at a time.

    A crash at any moment loses nothing: the deadline and what is untold are in the shadows, and the sweep finds both.
    So nothing here may undo what a handler has done: what fails is logged, and left to the sweep.
    """

    def __init__(
        self,
        place: Place,
        shadows: NotedShadows,
        queue: Queue,
        teller: Teller | None,
        board: Board | None = None,
        *,
        doer: Doer | None = None,
        sweeps_buttons: bool = False,
        asks: Asks | None = None,
        on_record: Deliveries | None = None,
    ) -> None:
        """``shadows`` are those of ``place``; on ``board`` hang the cards, None where there are none; ``doer`` starts what
        clicks start, and ``sweeps_buttons`` where anything may be started at all; whom other ways than Slack are to reach
        goes to ``asks``, if there are any; what came of each try of what clicks start goes ``on_record``.
        """
        self._place, self._shadows, self._queue, self._teller = place, shadows, queue, teller
        self._board, self._doer, self._sweeps_buttons, self._asks = board, doer, sweeps_buttons, asks
        self._on_record = on_record
        self._to_alert: dict[str, str] = {}  # what their shadows ask for, by their names
        self._held_until = 0  # Slack asked us to wait
        self._refused: NotTold | None = None  # of a channel, since the sweep began
        self._announced: set[str] = set()  # whose newest card was posted just now

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Whatever is done inside is settled afterwards, also if it ends in an error."""
        self._shadows.forget()
        began = self._place.clock()
        try:
            yield
        finally:
            pressed = [*self._shadows.buttons]
            # Those who were only looked at, too: a repeat changes nothing, but what is untold is told.
            self._settle([*self._shadows.read, *self._shadows.asked], began)
            for thing in pressed:
                self._have_done(thing, self._place.clock())

    def take(self, messages: Iterable[tuple[str, str]]) -> list[str]:
        """Do what messages of the queue ask for.

        Args:
            messages: id and body of each.

        Returns:
            The ids of those that could not be done.
        """
        self._shadows.forget()
        began = self._place.clock()
        failed: list[str] = []
        tries: dict[str, int] = {}
        cards: dict[str, int] = {}
        actions: list[tuple[str, JsonObject]] = []
        for id, body in messages:
            try:
                message = json.loads(body)
                if "show" in message:
                    cards[message["show"]] = message["tries"]
                elif "do" in message:
                    actions.append((id, message))
                else:
                    tries |= self._take(message)
            except Exception:
                log.exception("A message of the queue could not be done: %.200s", body)
                failed.append(id)
        self._settle([*tries, *self._shadows.asked], began, tries)
        self._show(cards)
        self._do(actions)
        return failed

    def sweep(self) -> None:
        """Go over everybody: end what is overdue, set the alarms of the coming minute anew, tell what is untold.

        Raises:
            TimeoutError: there were more people than could be swept in time; who was left out is other people each time.
            NotTold: all this is done, and Slack takes no message until somebody mends something: an alarm rings.
        """
        self._shadows.forget()
        self._refused = None
        began = self._place.clock()
        listed = {thing.name: thing for thing in self._place.things.list(type="staff")}
        everybody = [*listed]
        random.shuffle(everybody)
        untold, swept = [], 0
        with ThreadPoolExecutor(SWEEPERS) as pool:
            while swept < len(everybody) and self._place.clock() < began + SWEEP_FOR_MS:
                some = everybody[swept : swept + SWEPT_AT_ONCE]
                untold += self._sweep({name: listed[name] for name in some}, pool.map, began)
                swept += len(some)
        self._settle([*untold, *self._shadows.asked], began, dict.fromkeys(untold, LAST_TRY))
        with _left_to_the_sweep("what clicks start"):
            self._sweep_buttons(began)
        if swept < len(everybody):
            raise TimeoutError(
                f"{swept} of {len(everybody)} people were swept in {SWEEP_FOR_MS / 1000:.0f} s"
            )
        if self._refused:
            raise self._refused

    def _sweep(self, things: Mapping[str, Thing], apply: Apply, began: int) -> list[str]:
        """Sweep some people; who of them has to be told something comes back."""

        def failed(thing: str, error: Exception) -> None:
            log.error("%s: not swept", thing, exc_info=error)

        untold = []
        for found in sweep(self._place, things, on_error=failed, apply=apply):
            alarm = Alarm.of(found.thing, found.staff)
            if alarm and alarm.since < began and found.due and found.due < began + SWEEP_EVERY_MS:
                with _left_to_the_sweep(found.thing):
                    self._queue.put(alarm.document(), found.due)
            if found.staff.untold:
                untold.append(found.thing)
            if alerts.is_open(found.staff):
                self._ask(found.thing, found.staff.alert)
            if self._board and is_behind(things[found.thing], found.staff, began):
                self._show_later(found.thing, LAST_TRY, self._place.clock())
        return untold

    def _sweep_buttons(self, began: int) -> None:
        """Have done what buttons have asked for and no message of the queue is about any more."""
        for button in self._place.things.list(type="button") if self._sweeps_buttons else ():
            if starts_something(button):
                self._have_done(button.name, began, asked_before=began - STRAY_MS)

    def _have_done(self, thing: str, at: int, asked_before: float = math.inf) -> None:
        """Queue what a button has asked for, each by itself: none waits for another."""
        with _left_to_the_sweep(thing):
            for order in waiting_at(self._place, thing):
                if order.at < asked_before:
                    tries = 0 if asked_before == math.inf else LAST_TRY
                    self._queue.put({"do": thing, "id": order.id, "tries": tries}, at)

    def _do(self, actions: list[tuple[str, JsonObject]]) -> None:
        """Start what one click starts, and queue the others behind it: calls come first, and it may take seconds."""
        for n, (id, message) in enumerate(actions):
            if self._doer is None:
                return
            if n:
                with _left_to_the_sweep(message["do"]):
                    self._queue.put(message, self._place.clock() + n * PACE_MS)
                continue
            try:
                with _left_to_the_sweep(message["do"]):
                    do(self._place, message["do"], message["id"], self._doer, partial(self._tried, id))
            except NotDone as no:
                tries = message["tries"] + 1
                wait_s = max(2.0**tries, no.retry_after_s or 0.0)
                if tries <= LAST_TRY:  # from then on the sweep tries
                    with _left_to_the_sweep(message["do"]):
                        self._queue.put({**message, "tries": tries}, self._place.clock() + int(1000 * wait_s))

    def _tried(self, event: str, tried: Tried) -> None:
        """Keep the record of a try that a message of the queue led to."""
        if tried.reason:
            log.error("%s: %s was not started: %s", tried.thing, tried.what, tried.reason)
        else:
            log.info("%s: %s was started, id %s", tried.thing, tried.what, tried.order.id)
        if self._on_record:
            self._on_record.note(of_action(tried), event)

    def _take(self, message: JsonObject) -> dict[str, int]:
        """Do what one message asks for; whom to tell now comes back, with how often it was tried."""
        if "tell" not in message:
            again = ring(self._place, Alarm.read(message))
            if again is not None:
                self._queue.put(message, again)
            return {}
        if message["at"] - self._place.clock() > PACE_MS:
            self._queue.put(message, message["at"])
            return {}
        return {message["tell"]: message["tries"]}

    def _settle(self, things: Iterable[str], began: int, tries: Mapping[str, int] = NEVER_TRIED) -> None:
        free_at = max(self._place.clock(), self._held_until)
        changed: dict[str, None] = {}
        self._announced.clear()
        self._to_alert.clear()
        while things := dict.fromkeys(things):
            changed |= self._shadows.asked
            self._shadows.forget()
            for thing in things:
                with _left_to_the_sweep(thing):
                    self._set_alarm(thing, began)
            free_at = self._tell(things, tries, free_at)
            things = self._shadows.asked  # who was free to take a call that waited for them
        for thing in changed.keys() - self._announced if self._board else ():
            self._show_later(thing, 0, self._place.clock())
        for thing, alert in self._to_alert.items():  # last: a mention waits for nobody
            self._ask(thing, alert)

    def _ask(self, thing: str, alert: str) -> None:
        """Have somebody reached by another way. Who has answered meanwhile is spared that by who sends."""
        if self._asks:
            with _left_to_the_sweep(thing):
                self._asks.put(thing, alert)

    def _set_alarm(self, thing: str, began: int) -> None:
        """Set the alarm of a state that began just now; one that is older has its alarm already."""
        staff = read(self._place, thing)
        if alerts.is_open(staff):
            self._to_alert[thing] = staff.alert
        alarm, due = Alarm.of(thing, staff), rings_at(self._place, thing, staff)
        if alarm and due and alarm.since >= began:
            self._queue.put(alarm.document(), due)

    def _tell(self, things: Iterable[str], tries: Mapping[str, int], free_at: int) -> int:
        """Tell the newest message now, if the channel is free, and queue the others behind it.

        Returns:
            When the channel is free again, ms since 1970.
        """
        found = {thing: each for thing in things if (each := self._untold(thing))}
        for message in _messages(found):
            step = max(tries.get(thing, 0) for thing in message)
            if step < LAST_TRY and any(found[thing].failed for thing in message):
                continue  # until somebody has mended something, the sweep tries, once a minute
            if free_at > self._place.clock():
                self._later(message, step, free_at)
                free_at += PACE_MS
            else:
                free_at = self._say(message, found[message[0]].kind, step)
        return free_at

    def _show(self, cards: Mapping[str, int]) -> None:
        """Have one card show how its call stands, and queue the others behind it: whoever waits for us is told first."""
        at = self._place.clock()
        for n, (thing, tries) in enumerate(cards.items()):
            if self._board is None:
                return
            if n:
                self._show_later(thing, tries, at + n * PACE_MS)
                continue
            try:
                with _left_to_the_sweep(thing):
                    if show(self._place, thing, self._board) and self._is_behind(thing):
                        self._show_later(thing, 0, self._place.clock() + PACE_MS)
            except NotTold as no:
                wait_s = no.retry_after_s if no.retry_after_s is not None else 2.0 ** (tries + 1)
                self._show_later(thing, tries + 1, self._place.clock() + int(1000 * wait_s))

    def _is_behind(self, thing: str) -> bool:
        return is_behind(self._place.things.get(thing), read(self._place, thing), self._place.clock())

    def _show_later(self, thing: str, tries: int, at: int) -> None:
        if tries <= LAST_TRY:  # from then on the sweep tries
            with _left_to_the_sweep(thing):
                self._queue.put({"show": thing, "tries": tries}, at)

    def _untold(self, thing: str) -> Untold | None:
        with _left_to_the_sweep(thing):
            found = untold(self._place, thing)
            if self._teller:
                return found
            if found and self._asks:
                alerts.report_wordless(self._place, thing, logged)
        return None

    def _say(self, message: list[str], kind: MentionKind, step: int) -> int:
        assert self._teller
        try:
            with _left_to_the_sweep(message[0]):
                if kind is MentionKind.EXPIRED:
                    deliver_expired(self._place, message, self._teller)
                elif deliver(self._place, message[0], self._teller) is Delivery.CLAIMED:
                    self._later(message, step, self._place.clock() + CLAIMED_MS)
                elif kind in ANNOUNCED:
                    self._announced.add(message[0])
        except NotTold as no:
            return self._failed(message, step, no)
        return self._place.clock() + PACE_MS

    def _failed(self, message: list[str], step: int, no: NotTold) -> int:
        if no.fix:
            log.error("%s: Slack did not take the message: %s. %s", message[0], no.reason, no.fix)
            self._refused = no if no.channel else self._refused
            return self._place.clock() + (SWEEP_EVERY_MS if no.channel else PACE_MS)
        asked_for = no.retry_after_s is not None
        wait_s = no.retry_after_s if no.retry_after_s is not None else min(2.0 ** (step + 1), 60.0)
        at = self._place.clock() + int(1000 * wait_s)
        log.warning("%s: Slack did not take the message: %s", message[0], no.reason)
        if asked_for:
            self._held_until = at
        self._later(message, step + 1, at)
        return at if no.channel else self._place.clock() + PACE_MS

    def _later(self, message: list[str], step: int, at: int) -> None:
        if step > LAST_TRY or (step == LAST_TRY and at >= self._place.clock() + SWEEP_EVERY_MS):
            return  # the sweep tries again before that
        for thing in message:
            with _left_to_the_sweep(thing):
                self._queue.put({"tell": thing, "tries": step, "at": at}, at)


def _messages(found: Mapping[str, Untold]) -> list[list[str]]:
    """Whom each message is about, the newest first; all calls that expired are one."""
    expired = [thing for thing, each in found.items() if each.kind is MentionKind.EXPIRED]
    others = [[thing] for thing in found if thing not in expired]
    messages = [*others, expired] if expired else others
    return sorted(messages, key=lambda message: max(found[thing].since for thing in message), reverse=True)


@contextmanager
def _left_to_the_sweep(thing: str) -> Iterator[None]:
    """What fails inside is logged and goes no further, but what the teller or the doer says; who was removed is no fault."""
    try:
        yield
    except (NotTold, NotDone):
        raise
    except Rejected as no:
        if no.code != 404:
            log.warning("%s: left to the sweep: %s", thing, no)
    except Exception:
        log.exception("%s: left to the sweep", thing)
