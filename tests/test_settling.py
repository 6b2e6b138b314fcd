"""What a handler on AWS leaves to be done: alarms that ring once and in time, people told, and nothing lost in between."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from infra.aws.settling import LAST_TRY, SWEEP_FOR_MS, NotedShadows, Queue, Settler
from shadows.actions import Action, NotDone, Order, ask, waiting_at
from shadows.calls import read, record
from shadows.cards import Shown
from shadows.errors import Rejected
from shadows.registry import NewButton, add_button
from shadows.shadow import Shadow
from shadows.staff import CallEvent, ClickType, Event, StaffState, answered, pressed
from shadows.telling import Mention, NotTold
from tests.memory import Shop, Wall


class Sqs:
    """Takes messages, and gives them back when tests say so."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], int]] = []
        self.is_down = False

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int) -> None:
        assert QueueUrl == "the-queue"
        assert 0 <= DelaySeconds <= 900
        if self.is_down:
            raise ConnectionError("SQS is down")
        self.sent.append((json.loads(MessageBody), DelaySeconds))

    @property
    def alarms(self) -> list[tuple[str, int]]:
        """Of each alarm whom it is for, and its delay in seconds."""
        return [(message["thing"], delay) for message, delay in self.sent if "thing" in message]

    @property
    def tells(self) -> list[tuple[str, int, int]]:
        """Of each message that is to be told later whom it is about, how often it was tried, and its delay."""
        return [
            (message["tell"], message["tries"], delay) for message, delay in self.sent if "tell" in message
        ]


class Functions:
    """The functions of a stack, on shadows in memory, with a clock that tests move."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.shop.place = replace(self.shop.place, timing=replace(self.shop.place.timing, remind_s=0))
        self.hana, self.sora = self.shop.staff("hana", backup="sora"), self.shop.staff("sora")
        self.shadows = NotedShadows(self.shop.shadows)
        self.place = replace(self.shop.place, shadows=self.shadows)
        self.sqs = Sqs()
        self.wall = Wall()
        self.settler = self.made()

    def made(self, **other: Any) -> Settler:
        queue: Any = self.sqs
        given = {"teller": self.shop, **other}
        return Settler(self.place, self.shadows, Queue(queue, "the-queue", self.place.clock), **given)

    def press(self, thing: str, booth: str = "main") -> None:
        self.pass_(1)
        with self.settler.settled():
            self.record(thing, pressed(booth, ClickType.SINGLE, self.shop.key(), self.shop.now))

    def says(self, thing: str, kind: CallEvent) -> None:
        self.pass_(1)
        with self.settler.settled():
            self.record(thing, answered(kind, self.shop.key()))

    def record(self, thing: str, event: Event) -> None:
        record(self.place, thing, event)

    def pass_(self, seconds: float) -> None:
        self.shop.now += int(1000 * seconds)

    def ring(self, *, until: int) -> None:
        """Deliver what the queue holds, each when it is due, as time passes up to ``until`` s from now."""
        end = self.shop.now + 1000 * until
        waiting = [(self.shop.now + 1000 * delay, message) for message, delay in self.taken()]
        while waiting:
            waiting.sort(key=lambda each: each[0])
            at, message = waiting.pop(0)
            if at > end:
                self.sqs.sent.append((message, (at - end) // 1000))
                continue
            self.shop.now = max(self.shop.now, at)
            assert self.settler.take([("id", json.dumps(message))]) == []
            waiting += [(self.shop.now + 1000 * delay, message) for message, delay in self.taken()]
        self.shop.now = end

    def taken(self) -> list[tuple[dict[str, Any], int]]:
        sent, self.sqs.sent = self.sqs.sent, []
        return sent

    def state(self, thing: str) -> StaffState:
        return read(self.shop.place, thing).state


@pytest.fixture
def here() -> Functions:
    return Functions()


@contextmanager
def slack_fails(here: Functions, **how: Any) -> Iterator[None]:
    here.shop.slack_fails = NotTold("no", **how)
    yield
    here.shop.slack_fails = None


def test_a_press_is_told_and_its_alarm_set_before_the_answer(here: Functions) -> None:
    here.press(here.hana)
    assert here.shop.kinds() == ["press"]
    assert here.sqs.alarms == [(here.hana, 180)]
    assert not here.shop.has_delta(here.hana)


def test_an_alarm_ends_the_state_it_was_set_for_and_the_backup_gets_one_of_their_own(here: Functions) -> None:
    here.press(here.hana)
    here.ring(until=179)
    assert here.state(here.hana) is StaffState.CALLING
    here.ring(until=2)
    assert (here.state(here.hana), here.state(here.sora)) == (StaffState.IDLE, StaffState.CALLING)
    assert here.shop.kinds() == ["press", "handover"]
    assert [thing for thing, _ in here.sqs.alarms] == [here.sora]


def test_one_alarm_rings_for_the_reminder_and_then_for_the_end(here: Functions) -> None:
    here.place = replace(here.place, timing=replace(here.place.timing, remind_s=60))
    here.settler = here.made()
    here.press(here.hana)
    assert here.sqs.alarms == [(here.hana, 60)]
    here.ring(until=100)
    assert here.shop.kinds() == ["press", "remind"]
    assert here.sqs.alarms == [(here.hana, 80)]
    here.ring(until=81)
    assert here.shop.kinds() == ["press", "remind", "handover"]


def test_a_reminder_whose_alarm_was_lost_is_found_by_the_sweep(here: Functions) -> None:
    here.place = replace(here.place, timing=replace(here.place.timing, remind_s=60))
    here.settler = here.made()
    here.press(here.hana)
    here.taken()
    for _ in range(2):
        here.pass_(65)
        here.settler.sweep()
    assert here.shop.kinds() == ["press", "remind"]
    assert here.sqs.alarms == [(here.hana, 50)]


def test_an_alarm_that_comes_twice_or_late_does_nothing_more(here: Functions) -> None:
    here.press(here.hana)
    ((alarm, _),) = here.taken()
    here.says(here.hana, CallEvent.OK)
    here.pass_(200)
    before = here.shop.shadows.get(here.hana)
    assert here.settler.take([("a", json.dumps(alarm)), ("b", json.dumps(alarm))]) == []
    assert here.shop.shadows.get(here.hana) == before


def test_a_state_longer_than_a_message_may_wait_is_queued_again_with_what_is_left(here: Functions) -> None:
    here.shop.shadows.update("booth-main", reported={"callingSeconds": 2000})
    here.press(here.hana)
    waits = []
    while here.state(here.hana) is StaffState.CALLING:
        ((message, delay),) = here.taken()
        waits.append(delay)
        here.pass_(delay)
        here.settler.take([("id", json.dumps(message))])
    assert waits == [900, 900, 200]


def test_a_press_while_somebody_is_called_sets_no_second_alarm(here: Functions) -> None:
    here.press(here.hana)
    here.press(here.hana)
    assert here.sqs.alarms == [(here.hana, 180)]
    assert read(here.shop.place, here.hana).call.count == 2


def test_only_what_cannot_be_done_comes_back(here: Functions) -> None:
    here.press(here.hana)
    ((alarm, _),) = here.taken()
    here.pass_(180)
    bodies = ["not json", json.dumps(alarm), json.dumps({"thing": 3}), "[]", '{"tell": "staff-hana"}']
    assert here.settler.take((str(n), body) for n, body in enumerate(bodies)) == ["0", "2", "3", "4"]
    assert here.state(here.hana) is StaffState.IDLE


def test_an_alarm_that_meets_a_broken_shadow_service_comes_back(here: Functions) -> None:
    here.press(here.hana)
    ((alarm, _),) = here.taken()
    here.pass_(180)

    def broken(thing: str) -> Shadow:
        raise Rejected(503, "no answer")

    works, here.shop.shadows.get = here.shop.shadows.get, broken  # type: ignore[method-assign]
    assert here.settler.take([("id", json.dumps(alarm))]) == ["id"]
    here.shop.shadows.get = works  # type: ignore[method-assign]
    assert here.settler.take([("id", json.dumps(alarm))]) == []
    assert here.state(here.hana) is StaffState.IDLE


def test_what_slack_did_not_take_is_tried_again_after_2_4_8_16_and_32_seconds_and_then_by_the_sweep(
    here: Functions,
) -> None:
    with slack_fails(here):
        here.press(here.hana)
        tries = []
        while here.sqs.tells:
            ((_, step, delay),) = here.sqs.tells
            tries.append((step, delay))
            message = next(message for message, _ in here.taken() if "tell" in message)
            here.pass_(delay)
            here.settler.take([("id", json.dumps(message))])
        assert tries == [(1, 2), (2, 4), (3, 8), (4, 16), (5, 32)]
        here.settler.sweep()
        assert here.sqs.tells == []
    here.settler.sweep()
    assert here.shop.kinds() == ["press"]
    assert not here.shop.has_delta(here.hana)


def test_what_slack_takes_at_the_second_try_is_told_once(here: Functions) -> None:
    with slack_fails(here):
        here.press(here.hana)
    here.ring(until=10)
    assert here.shop.kinds() == ["press"]


def test_a_message_that_is_not_due_yet_waits_on(here: Functions) -> None:
    with slack_fails(here, retry_after_s=2000.0):
        here.press(here.hana)
        assert here.sqs.tells == [(here.hana, 1, 900)]
    here.sqs.sent = [each for each in here.sqs.sent if "tell" in each[0]]
    here.ring(until=1_000)
    assert here.shop.kinds() == []
    assert here.sqs.tells == [(here.hana, 1, 800)]


def test_when_slack_asks_to_wait_nobody_else_is_told_before_that(here: Functions) -> None:
    with slack_fails(here, retry_after_s=30.0):
        here.press(here.hana)
    here.pass_(9)
    here.press(here.sora)
    assert here.shop.kinds() == []
    assert here.sqs.tells == [(here.hana, 1, 30), (here.sora, 0, 20)]
    here.ring(until=31)
    assert here.shop.kinds() == ["press", "press"]


def test_a_message_that_slack_refuses_for_itself_does_not_hold_up_the_next(here: Functions) -> None:
    with slack_fails(here, channel=False):
        here.press(here.hana)
    here.press(here.sora)
    assert here.shop.kinds() == ["press"]
    assert not here.shop.has_delta(here.sora)


def test_a_message_that_was_refused_for_itself_leaves_the_channel_free_a_second_later(
    here: Functions,
) -> None:
    for thing in (here.hana, here.sora):
        here.pass_(1)
        here.record(thing, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
    tells = [{"tell": thing, "tries": 0, "at": 0} for thing in (here.hana, here.sora)]
    with slack_fails(here, channel=False):
        here.settler.take([(tell["tell"], json.dumps(tell)) for tell in tells])
    assert here.sqs.tells == [(here.sora, 1, 2), (here.hana, 0, 1)]


def test_what_somebody_has_to_mend_first_is_tried_by_the_sweep_alone(
    here: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    event = pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now + 1)
    here.pass_(1)
    tried: list[int] = []
    here.shop.during = lambda: tried.append(here.shop.now)
    with slack_fails(here, fix="Make a new webhook."):
        for _ in range(2):  # and the button sends it again
            with here.settler.settled():
                here.record(here.hana, event)
        assert (len(tried), here.sqs.tells) == (1, [])
        here.pass_(60)
        with pytest.raises(NotTold):  # an alarm rings
            here.settler.sweep()
        assert (len(tried), here.sqs.tells) == (2, [])
    assert "Make a new webhook." in caplog.text
    here.pass_(60)
    here.settler.sweep()
    assert here.shop.kinds() == ["press"]
    assert not here.shop.has_delta(here.hana)


def test_a_press_after_a_refusal_is_tried_at_once(here: Functions) -> None:
    with slack_fails(here, fix="Invite the bot."):
        here.press(here.hana)
    here.press(here.hana)
    here.press(here.sora)
    assert [each.call.count for each in here.shop.told if isinstance(each, Mention)] == [2, 1]


@pytest.mark.parametrize(("channel", "tries"), [(True, 1), (False, 2)])
def test_a_channel_that_is_gone_is_not_asked_for_every_message(
    here: Functions, channel: bool, tries: int
) -> None:
    for thing in (here.hana, here.sora):
        here.pass_(1)
        here.record(thing, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
    tried: list[int] = []
    here.shop.during = lambda: tried.append(here.shop.now)
    # What only one message was refused for rings no alarm.
    raised = pytest.raises(NotTold) if channel else nullcontext()
    with slack_fails(here, fix="Unarchive it.", channel=channel):
        with raised:
            here.settler.sweep()
        here.ring(until=59)
    assert len(tried) == tries
    here.pass_(1)
    here.settler.sweep()
    here.ring(until=59)
    assert here.shop.kinds() == ["press", "press"]


def test_a_repeat_of_a_press_tells_what_the_first_one_could_not(here: Functions) -> None:
    event = pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now)
    record(here.place, here.hana, event)  # and then the function dies
    with here.settler.settled():
        assert record(here.place, here.hana, event).repeat
    assert here.shop.kinds() == ["press"]


def test_what_a_dead_function_left_is_told_and_its_alarm_set_by_the_sweep(here: Functions) -> None:
    here.pass_(1)
    here.record(here.hana, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
    here.pass_(5)
    here.settler.sweep()
    assert here.shop.kinds() == ["press"]
    assert here.sqs.alarms == []
    here.pass_(120)
    here.settler.sweep()
    assert here.sqs.alarms == [(here.hana, 55)]


def test_people_are_swept_side_by_side(here: Functions) -> None:
    together = threading.Barrier(4)
    for n in range(2):
        here.shop.staff(f"staff{n}")
    get = here.shop.shadows.get

    def slow(thing: str) -> Shadow:
        together.wait(20)
        return get(thing)

    here.shop.shadows.get = slow  # type: ignore[method-assign]
    here.settler.sweep()
    assert not together.broken


def test_a_sweep_that_runs_out_of_time_tells_whom_it_found_and_says_so(
    here: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.aws.settling.SWEPT_AT_ONCE", 1)
    for thing in (here.hana, here.sora):
        here.record(thing, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
    get = here.shop.shadows.get

    def slow(thing: str) -> Shadow:
        here.pass_(SWEEP_FOR_MS / 1000)
        return get(thing)

    here.shop.shadows.get = slow  # type: ignore[method-assign]
    with pytest.raises(TimeoutError, match="1 of 2 people"):
        here.settler.sweep()
    assert here.shop.kinds() == ["press"]


def test_the_sweep_ends_what_is_overdue_and_sets_the_alarm_of_who_is_called_instead(here: Functions) -> None:
    here.press(here.hana)
    here.taken()
    here.pass_(190)
    here.settler.sweep()
    assert (here.state(here.hana), here.state(here.sora)) == (StaffState.IDLE, StaffState.CALLING)
    assert here.sqs.alarms == [(here.sora, 180)]
    assert here.shop.kinds() == ["press", "handover"]


def test_calls_that_expired_during_an_outage_are_one_line(here: Functions) -> None:
    for thing in (here.hana, here.sora):
        here.record(thing, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
    here.pass_(180 + 601)
    here.settler.sweep()
    assert here.shop.kinds() == ["expired 2"]
    assert not any(map(here.shop.has_delta, (here.hana, here.sora)))


def test_many_messages_go_out_a_second_apart_the_newest_first(here: Functions) -> None:
    things = [here.shop.staff(f"staff{n:02}") for n in range(70)]
    for thing in things:
        here.record(thing, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
        here.pass_(0.01)
    here.settler.sweep()
    assert here.shop.kinds() == ["press"]
    assert [(thing, delay) for thing, _, delay in here.sqs.tells] == [
        (thing, n) for n, thing in enumerate(reversed(things[10:-1]), start=1)
    ]  # the sweep of the next minute has the others
    here.ring(until=60)
    assert len(here.shop.told) == 60


def test_who_had_a_call_waiting_is_told_of_it_when_the_first_is_done(here: Functions) -> None:
    here.press(here.sora)
    here.says(here.sora, CallEvent.OK)
    here.press(here.sora, booth="east")
    here.says(here.sora, CallEvent.DONE)
    assert here.state(here.sora) is StaffState.CALLING
    assert here.shop.kinds() == ["press", "press"]
    assert [thing for thing, _ in here.sqs.alarms] == [here.sora] * 3


def test_who_waited_is_called_once_it_is_told_that_nobody_took_the_call_before(here: Functions) -> None:
    here.press(here.sora)
    here.press(here.sora, booth="east")
    here.says(here.sora, CallEvent.NO)
    assert here.shop.kinds() == ["press", "nobody"]
    assert here.state(here.sora) is StaffState.CALLING
    assert here.sqs.alarms[-1][0] == here.sora
    here.ring(until=2)
    assert here.shop.kinds() == ["press", "nobody", "press"]


def test_a_message_that_another_function_is_sending_is_looked_at_again_soon(here: Functions) -> None:
    inner = here.made()

    def meanwhile() -> None:
        here.shop.during = lambda: None
        assert inner.take([("id", json.dumps({"tell": here.hana, "tries": 0, "at": here.shop.now}))]) == []

    here.shop.during = meanwhile
    here.press(here.hana)
    assert here.shop.kinds() == ["press"]
    assert (here.hana, 0, 5) in here.sqs.tells


def test_a_queue_that_is_down_does_not_undo_a_press(here: Functions) -> None:
    here.sqs.is_down = True
    here.press(here.hana)
    assert here.state(here.hana) is StaffState.CALLING
    assert here.shop.kinds() == ["press"]


def test_a_bug_in_the_telling_does_not_undo_a_press(
    here: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    here.shop.tell = None  # type: ignore[method-assign, assignment]
    here.press(here.hana)
    assert here.state(here.hana) is StaffState.CALLING
    assert "left to the sweep" in caplog.text


def test_what_fails_in_the_handler_still_fails_and_what_it_wrote_is_settled(here: Functions) -> None:
    def work() -> None:
        with here.settler.settled():
            here.record(here.hana, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
            raise Rejected(503, "later")

    with pytest.raises(Rejected, match="later"):
        work()
    assert here.shop.kinds() == ["press"]


def test_without_slack_the_states_go_on_and_calls_stay_untold(here: Functions) -> None:
    here.settler = here.made(teller=None)
    here.press(here.hana)
    assert here.shop.has_delta(here.hana)
    here.says(here.hana, CallEvent.OK)
    here.ring(until=301)
    assert here.state(here.hana) is StaffState.IDLE


def test_a_person_who_was_removed_is_no_trouble(here: Functions, caplog: pytest.LogCaptureFixture) -> None:
    here.press(here.hana)
    here.shop.shadows.delete(here.hana)
    here.ring(until=181)
    assert here.settler.take([("id", json.dumps({"tell": here.hana, "tries": 1, "at": 0}))]) == []
    assert not caplog.records


def test_the_last_try_is_left_to_a_sweep_that_comes_sooner(here: Functions) -> None:
    with slack_fails(here, retry_after_s=90.0):
        here.press(here.hana)
        here.taken()
        here.pass_(91)
        here.settler.take([("id", json.dumps({"tell": here.hana, "tries": LAST_TRY, "at": here.shop.now}))])
    assert here.sqs.tells == []


# --- Cards


@pytest.fixture
def boarded(here: Functions) -> Functions:
    here.settler = here.made(board=here.wall)
    return here


def standing(here: Functions) -> list[str]:
    """What each card shows, oldest first."""
    return [f"{each.state} {each.call.end}".strip() for each in here.wall.shown.values()]


def test_a_card_is_changed_by_the_queue_so_that_no_answer_waits_for_it(boarded: Functions) -> None:
    boarded.press(boarded.hana)
    boarded.says(boarded.hana, CallEvent.OK)
    assert standing(boarded) == []
    boarded.ring(until=2)
    assert standing(boarded) == ["running"]
    boarded.says(boarded.hana, CallEvent.DONE)
    boarded.ring(until=2)
    assert standing(boarded) == ["idle done"]
    assert boarded.wall.changes == 2
    assert boarded.shop.kinds() == ["press"]


def test_of_several_cards_in_a_batch_one_is_changed_and_the_others_a_second_later(boarded: Functions) -> None:
    people = [boarded.hana, boarded.sora]
    for thing in people:
        boarded.press(thing)
        boarded.says(thing, CallEvent.OK)
    boarded.taken()
    batch = [(thing, json.dumps({"show": thing, "tries": 0})) for thing in people]
    assert boarded.settler.take(batch) == []
    assert standing(boarded) == ["running"]
    assert boarded.taken() == [({"show": boarded.sora, "tries": 0}, 1)]


def test_a_card_that_slack_does_not_take_is_tried_again_and_in_the_end_by_the_sweep(
    boarded: Functions,
) -> None:
    boarded.press(boarded.hana)
    boarded.taken()
    boarded.wall.answer = NotTold("no")
    boarded.says(boarded.hana, CallEvent.OK)
    boarded.ring(until=130)
    boarded.taken()
    boarded.wall.answer = Shown.NOW
    assert standing(boarded) == []
    boarded.settler.sweep()
    boarded.ring(until=2)
    assert standing(boarded) == ["running"]
    boarded.settler.sweep()
    assert [message for message, _ in boarded.taken() if "show" in message] == []


def test_slack_says_when_a_card_is_tried_again(boarded: Functions) -> None:
    boarded.press(boarded.hana)
    boarded.says(boarded.hana, CallEvent.OK)
    boarded.taken()
    boarded.wall.answer = NotTold("ratelimited", retry_after_s=30)
    assert boarded.settler.take([("id", json.dumps({"show": boarded.hana, "tries": 0}))]) == []
    assert boarded.taken() == [({"show": boarded.hana, "tries": 1}, 30)]


def test_without_a_bot_nothing_is_queued_for_cards(here: Functions) -> None:
    here.press(here.hana)
    here.says(here.hana, CallEvent.OK)
    here.settler.sweep()
    assert [message for message, _ in here.taken() if "show" in message] == []
    assert here.settler.take([("id", json.dumps({"show": here.hana, "tries": 0}))]) == []


# --- What clicks start


class Started:
    """Starts what clicks start: writes down which press asked for it, or fails."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.fails: NotDone | None = None

    def start(self, _action: Action, order: Order) -> None:
        self.ids.append(order.id)
        if self.fails:
            raise self.fails


@pytest.fixture
def started(here: Functions) -> Started:
    doer = Started()
    add_button(here.shop.place, NewButton(id="b1", single="topic:lamp"))
    add_button(here.shop.place, NewButton(id="b2", single="hana"))
    here.settler = here.made(doer=doer, sweeps_buttons=True)
    return doer


def asks(here: Functions, n: int = 1) -> list[str]:
    with here.settler.settled():
        asked = [
            ask(
                here.place,
                "button-b1",
                here.shop.key(),
                click=ClickType.SINGLE,
                booth="main",
                noted={"at": 1},
            )
            for _ in range(n)
        ]
    return [id for id, _ in asked]


def take(here: Functions, *messages: dict[str, Any]) -> None:
    assert here.settler.take([(str(n), json.dumps(each)) for n, each in enumerate(messages)]) == []


def test_what_a_click_starts_comes_by_the_queue_one_after_the_other(
    here: Functions, started: Started
) -> None:
    ids = asks(here, 2)
    messages = {id: {"do": "button-b1", "id": id, "tries": 0} for id in ids}
    assert here.taken() == [(each, 0) for each in messages.values()]
    assert started.ids == []  # the answer to the press does not wait for it
    take(here, *messages.values())
    assert (started.ids, here.taken()) == (ids[:1], [(messages[ids[1]], 1)])
    take(here, messages[ids[0]], messages[ids[1]])  # SQS delivers at least once
    here.ring(until=5)
    assert started.ids == ids
    assert waiting_at(here.place, "button-b1") == ()


def test_what_is_not_started_is_tried_again_and_a_call_does_not_wait_for_it(
    here: Functions, started: Started
) -> None:
    started.fails = NotDone("no answer", passes=True)
    (id,) = asks(here)
    ((message, _),) = here.taken()
    here.press(here.hana)
    alarm = here.taken()
    take(here, message, *(each for each, _ in alarm))
    again = [(each, delay) for each, delay in here.taken() if "do" in each]
    assert again == [({**message, "tries": 1}, 2)]
    for tries, delay in ((1, 4), (2, 8), (3, 16), (4, 32)):
        take(here, {**message, "tries": tries})
        assert here.taken() == [({**message, "tries": tries + 1}, delay)]
    take(here, {**message, "tries": LAST_TRY})
    assert here.taken() == []  # the sweep tries from then on
    here.settler.sweep()
    assert [each for each, _ in here.taken() if "do" in each] == []  # its last message may be on its way
    here.pass_(91)
    here.settler.sweep()
    assert [each for each, _ in here.taken() if "do" in each] == [{**message, "tries": LAST_TRY}]
    started.fails = None
    take(here, message)
    assert set(started.ids) == {id}


def test_no_button_is_looked_at_where_nothing_may_be_started(here: Functions, started: Started) -> None:
    asks(here)
    here.taken()
    here.settler = here.made(doer=started)
    here.pass_(91)
    here.settler.sweep()
    assert here.taken() == []
