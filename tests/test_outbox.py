"""On AWS other programs hear of each transition from a queue: each once, whichever of them is down, and signed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.aws import outbox
from infra.aws.outbox import Outbox
from infra.webhook import PUBLIC
from shadows.staff import ClickType, Key, pressed
from tests import memory
from tests.receiver import SECRET, Receiver, answers


class Sqs:
    """A queue in memory, as Lambda reads it: what failed comes again, when it is no longer hidden."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.hidden: dict[str, list[int]] = {}
        self.is_down = False
        self.count = 0

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:
        assert QueueUrl == "the-outbox"
        if self.is_down:
            raise ConnectionError("SQS is down")
        self.put(json.loads(MessageBody))

    def put(self, body: dict[str, Any]) -> None:
        self.count += 1
        self.messages[str(self.count)] = record(body, str(self.count), 0)

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        assert QueueUrl == "the-outbox"
        if self.is_down:
            raise ConnectionError("SQS is down")
        assert 0 <= VisibilityTimeout <= 43_200
        self.hidden.setdefault(ReceiptHandle, []).append(VisibilityTimeout)

    def run(self, box: Outbox, times: int = 1) -> None:
        """Invoke the function, with all that is there, so often."""
        for _ in range(times):
            batch = list(self.messages.values())
            for each in batch:
                tries = int(each["attributes"]["ApproximateReceiveCount"]) + 1
                each["attributes"]["ApproximateReceiveCount"] = str(tries)
            failed = box.take(batch)
            for each in batch:
                if each["messageId"] not in failed:
                    del self.messages[each["messageId"]]


def record(body: dict[str, Any], id: str = "1", tries: int = 1) -> dict[str, Any]:
    """A record as Lambda hands it over."""
    attributes = {"ApproximateReceiveCount": str(tries)}
    return {"messageId": id, "receiptHandle": id, "body": json.dumps(body), "attributes": attributes}


def transition(count: int = 1, since: int = memory.START) -> dict[str, Any]:
    """What the topic rule makes of a press."""
    shop = memory.Shop()
    shop.now = since
    hana = shop.staff("hana")
    shop.now += 1
    for n in range(count):
        event = pressed("main", ClickType.SINGLE, Key(door="test", sender="b", id=str(n)), shop.now)
        memory.record(shop.place, hana, event)
    asked = shop.shadows.get(hana).desired
    return {"thing": hana, "since": asked["since"], "asked": asked, "name": "花 Hana", "expires": 1}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def sqs() -> Sqs:
    return Sqs()


def box(sqs: Any, *addresses: str) -> Outbox:
    return Outbox(sqs, "the-outbox", addresses, SECRET)


def test_a_transition_is_told_as_the_local_place_tells_it(sqs: Sqs, receiver: Receiver) -> None:
    sqs.put(transition())
    sqs.run(box(sqs, receiver.url()), times=3)
    (got,) = receiver.got
    assert got.is_right
    assert (got.body["type"], got.body["data"]["name"], got.body["data"]["state"]) == (
        "call.press",
        "花 Hana",
        "calling",
    )
    assert set(got.body["data"]) == set(PUBLIC)
    assert got.id == f"msg_{got.body['data']['since']}_staff-hana_1"
    assert not sqs.messages


def test_each_address_hears_of_it_once_whichever_is_down(sqs: Sqs, receiver: Receiver) -> None:
    with Receiver() as other:
        other.always = answers(500)
        both = box(sqs, receiver.url(), other.url())
        sqs.put(transition())
        sqs.run(both, times=5)
        assert len(receiver.got) == 1
        assert len(other.got) == 4
        other.always = answers(204)
        sqs.run(both, times=2)
        assert len(receiver.got) == 1
        assert set(other.ids) == set(receiver.ids)
        assert not sqs.messages


def test_it_waits_longer_each_time_and_as_long_as_it_is_asked_to(sqs: Sqs, receiver: Receiver) -> None:
    receiver.always = answers(503)
    here = box(sqs, receiver.url())
    sqs.put(transition())
    sqs.run(here, times=13)
    (pauses,) = sqs.hidden.values()
    for n, pause in enumerate(pauses):
        usual = min(2.0**n, outbox.LONGEST_PAUSE_S)
        assert round(usual / 2) <= pause <= usual
    receiver.always = answers(429, Retry_After="3000")
    sqs.run(here)
    assert pauses[-1] == 3000


def test_of_an_address_that_is_down_only_the_first_of_a_batch_is_tried(sqs: Sqs, receiver: Receiver) -> None:
    receiver.always = answers(500)
    here = box(sqs, receiver.url())
    for n in range(4):
        sqs.put(transition(since=memory.START + 1000 * n))
    sqs.run(here, times=2)
    assert len(receiver.got) == 1
    receiver.always = answers(204)
    sqs.run(here)
    assert len(set(receiver.ids)) == 4
    assert not sqs.messages


def test_a_press_again_is_another_message_and_the_same_one_is_not(sqs: Sqs, receiver: Receiver) -> None:
    for each in (transition(), transition(count=2), transition()):
        sqs.put(each)
    sqs.run(box(sqs, receiver.url()), times=2)
    one, two, again = receiver.ids
    assert one == again != two


def test_what_is_said_to_an_address_that_is_not_set_any_more_is_dropped(sqs: Sqs, receiver: Receiver) -> None:
    receiver.always = answers(410)
    sqs.put(transition())
    sqs.run(box(sqs, receiver.url()), times=2)
    assert sqs.messages
    sqs.run(box(sqs))
    assert not sqs.messages


def test_what_cannot_be_queued_or_read_stays(sqs: Sqs, receiver: Receiver) -> None:
    sqs.put(transition())
    sqs.messages["bad"] = {**record({}, "bad", 0), "body": "{"}
    sqs.is_down = True
    sqs.run(box(sqs, receiver.url()))
    assert set(sqs.messages) == {"1", "bad"}
    sqs.is_down = False
    sqs.run(box(sqs, receiver.url()), times=2)
    assert set(sqs.messages) == {"bad"}
    assert len(receiver.got) == 1


def test_no_address_is_in_the_queue_or_in_a_log(
    sqs: Sqs, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.always = answers(500)
    sqs.put(transition())
    sqs.run(box(sqs, receiver.url("/a-secret-path")), times=3)
    assert receiver.got[0].path == "/a-secret-path"
    assert "a-secret-path" not in json.dumps(sqs.messages) + caplog.text
    assert "127.0.0.1 did not take a message" in caplog.text
