"""On AWS who does not answer in Slack is reached by other ways, too: once, in time, and never before Slack is told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.aws.alerting import Alerter, Asks
from infra.aws.settling import NotedShadows
from shadows.alerts import Alert, NotSent
from shadows.calls import read
from shadows.channels import Channel, Channels
from shadows.errors import Rejected
from shadows.staff import CallEvent, ClickType, StaffState, pressed
from tests.test_outbox import record
from tests.test_settling import Functions

SMS = Channel(n=0, name="sms", needs=frozenset({"phone"}))
MAIL = Channel(n=1, name="mail")
LATER = 300  # seconds for which SQS knows what it was given


class Fifo:
    """A queue of SQS's in memory: what is put again within five minutes is not put."""

    def __init__(self, here: "Alerting") -> None:
        self.here = here
        self.messages: list[dict[str, Any]] = []
        self.known: dict[str, int] = {}
        self.hidden: list[int] = []
        self.is_down = False

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, MessageGroupId: str, MessageDeduplicationId: str
    ) -> None:
        assert (QueueUrl, MessageGroupId) == ("alerts.fifo", MessageDeduplicationId)
        if self.is_down:
            raise ConnectionError("SQS is down")
        now = self.here.shop.now
        if now < self.known.get(MessageDeduplicationId, 0):
            return
        self.known[MessageDeduplicationId] = now + 1000 * LATER
        self.messages.append(record(json.loads(MessageBody), str(len(self.known)), 0))

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        assert QueueUrl == "alerts.fifo"
        assert ReceiptHandle in [each["receiptHandle"] for each in self.messages]
        if self.is_down:
            raise ConnectionError("SQS is down")
        self.hidden.append(VisibilityTimeout)


class Alerting(Functions):
    """The functions of a stack that alerts, with a provider that writes down what it took."""

    def __init__(self, *, slack: bool = True) -> None:
        super().__init__()
        channels = Channels(each=(SMS, MAIL), after_s=60, slack=slack)
        self.shop.place = replace(self.shop.place, channels=channels)
        self.shadows = NotedShadows(self.shop.shadows)
        self.place = replace(self.shop.place, shadows=self.shadows)
        self.shop.things.update(self.hana, {"phone": "819077770001"})
        self.fifo = Fifo(self)
        fifo: Any = self.fifo
        self.asks = Asks(fifo, "alerts.fifo")
        self.settler = self.made(asks=self.asks, **({} if slack else {"teller": None}))
        self.sent: list[tuple[str, str]] = []
        self.fails: list[NotSent | Exception] = []
        self.alerter = Alerter(self.shop.place, self.asks, lambda: self)

    def send(self, alert: Alert) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append((alert.thing, alert.channel.name))

    def alert(self, times: int = 1) -> None:
        """Invoke the function that sends, so often, with each message by itself."""
        for _ in range(times):
            for each in list(self.fifo.messages):
                tries = int(each["attributes"]["ApproximateReceiveCount"]) + 1
                each["attributes"]["ApproximateReceiveCount"] = str(tries)
                if not self.alerter.take([each]):
                    self.fifo.messages.remove(each)

    def is_settled(self) -> bool:
        hana = read(self.shop.place, self.hana)
        return hana.alert == hana.alerted


@pytest.fixture
def here() -> Alerting:
    return Alerting()


def test_who_does_not_answer_is_reached_by_one_way_after_the_other(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=59)
    here.alert()
    assert (here.shop.kinds(), here.sent) == (["press"], [])
    here.ring(until=2)
    here.alert()
    assert here.sent == [(here.hana, "sms")]
    here.ring(until=60)
    here.alert()
    assert here.sent == [(here.hana, "sms"), (here.hana, "mail")]
    assert here.is_settled()
    assert here.fifo.messages == []


def test_who_is_not_in_slack_is_reached_at_once(here: Alerting) -> None:
    here.shop.things.update(here.hana, {"slackUserId": ""})
    here.press(here.hana)
    here.ring(until=1)
    here.alert()
    assert here.sent == [(here.hana, "sms")]


def test_who_answers_is_spared_what_was_asked_for(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.says(here.hana, CallEvent.OK)
    here.alert()
    assert here.sent == []
    assert here.is_settled()


def test_whoever_looks_again_asks_for_nothing_twice(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=61)
    for _ in range(3):
        here.press(here.hana)
        here.settler.sweep()
    assert len(here.fifo.messages) == 1
    here.alert(times=2)
    assert here.sent == [(here.hana, "sms")]


def test_a_queue_that_is_down_costs_no_mention_and_the_sweep_asks_again(here: Alerting) -> None:
    here.fifo.is_down = True
    here.shop.things.update(here.hana, {"slackUserId": ""})
    here.press(here.hana)
    here.ring(until=1)
    assert here.shop.kinds() == ["press"]
    assert here.fifo.messages == []
    here.fifo.is_down = False
    here.settler.sweep()
    here.alert()
    assert here.sent == [(here.hana, "sms")]


def test_slack_is_told_before_anybody_is_asked_to_send(
    here: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.press(here.hana)
    here.shop.things.update(here.sora, {"slackUserId": ""})
    told: list[list[str]] = []
    monkeypatch.setattr(here.asks, "put", lambda *_: told.append(here.shop.kinds()))
    here.ring(until=61)
    with here.settler.settled():  # Sora is mentioned in the channel, while Hana is still asked for
        read(here.place, here.hana)
        here.record(here.sora, pressed("main", ClickType.SINGLE, here.shop.key(), here.shop.now))
    assert told[-1] == ["press", "press"]


def test_what_a_provider_does_not_take_comes_again_sooner_than_the_call_ends(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.fails = [NotSent("answered 500", passes=True)] * 6
    here.alert(times=7)
    assert here.fifo.hidden == [1, 2, 4, 8, 15, 15]
    assert here.sent == [(here.hana, "sms")]
    assert here.is_settled()


def test_a_provider_is_asked_again_when_it_says(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.fails = [NotSent("answered 429", passes=True, retry_after_s=90)]
    here.alert()
    assert here.fifo.hidden == [90]


def test_what_is_refused_is_followed_by_the_next_way_at_once(
    here: Alerting, caplog: pytest.LogCaptureFixture
) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.fails = [NotSent("Twilio answered 400, code 21211", passes=False)]
    here.alert(times=2)
    assert here.fifo.hidden == [0]
    assert here.sent == [(here.hana, "mail")]
    call = read(here.shop.place, here.hana).call.id
    assert [each.getMessage() for each in caplog.records if each.name == "infra.aws.alerting"] == [
        f"staff-hana: call {call}: alert sms: refused: Twilio answered 400, code 21211",
        f"staff-hana: call {call}: alert mail: accepted",
    ]


@pytest.mark.parametrize(
    "error", [Rejected(503, "throttled"), ConnectionError("IoT is down"), KeyError("a bug")]
)
def test_whatever_else_fails_comes_again(here: Alerting, error: Exception) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.fails = [error]
    here.alert()
    assert (here.fifo.hidden, here.sent) == ([1], [])
    here.alert()
    assert here.sent == [(here.hana, "sms")]


def test_who_was_removed_is_asked_for_no_more(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.shop.shadows.delete(here.hana)
    here.alert()
    assert (here.fifo.messages, here.sent) == ([], [])


def test_a_message_that_cannot_be_hidden_comes_again_by_itself(here: Alerting) -> None:
    here.press(here.hana)
    here.ring(until=61)
    here.fails = [NotSent("answered 500", passes=True)]
    here.fifo.is_down = True
    here.alert()
    assert len(here.fifo.messages) == 1


def test_without_slack_a_call_is_told_once_it_was_taken_and_its_end_by_nobody() -> None:
    here = Alerting(slack=False)
    here.press(here.hana)
    here.ring(until=1)
    assert here.shop.has_delta(here.hana)
    here.alert()
    assert here.sent == [(here.hana, "sms")]
    assert not here.shop.has_delta(here.hana)
    for _ in range(3):
        here.ring(until=180)
        here.alert()
    assert here.state(here.sora) is StaffState.IDLE  # whom it was handed over to, and nobody is left
    assert (here.sora, "mail") in here.sent
    assert not here.shop.has_delta(here.hana)
    assert not here.shop.has_delta(here.sora)
