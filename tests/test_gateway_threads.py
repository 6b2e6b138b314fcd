"""The gateway and other threads: what they publish, what a hook waits for there, and that no answer dawdles."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import mqtt_wire as wire
import pytest
from mqtt_wire import Running

from infra.local.gateway import Client, Elsewhere, Message, limits


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as running:
        yield running


def hooked(running: Running, topic_filter: str) -> list["Future[None]"]:
    """The work that each message begins, for the test to finish."""
    begun: list[Future[None]] = []

    def take(_message: Message, _client: Client) -> Elsewhere:
        begun.append(Future())
        return running.gateway.after(begun[-1])

    running.gateway.hook(topic_filter, take)
    return begun


def test_what_was_published_before_the_work_was_done_comes_before_its_puback(running: Running) -> None:
    begun = hooked(running, "ask")
    with running.device("c", "answer") as client:
        for number in range(20):
            client.send(wire.publish("ask", b"", 2 * number + 1), wire.publish("ask", b"", 2 * number + 2))
            assert wire.eventually(lambda: len(begun) == 2, 20)
            for work in begun:
                running.gateway.publish_soon([Message("answer", b"%d" % number)])
                work.set_result(None)
            begun.clear()
            assert [client.read().first for _ in range(4)] == [0x30, 0x40, 0x30, 0x40]


def test_what_work_that_was_begun_here_publishes_comes_before_its_puback(running: Running) -> None:
    begun: list[Callable[[object], None]] = []

    def take(_message: Message, _client: Client) -> Elsewhere:
        return running.gateway.begun(begun.append)

    running.gateway.hook("ask", take)
    with running.device("c", "answer") as client:
        for number in range(20):
            client.send(wire.publish("ask", b"", 2 * number + 1), wire.publish("ask", b"", 2 * number + 2))
            assert wire.eventually(lambda: len(begun) == 2, 20)
            for done in begun:
                running.gateway.publish_soon([Message("answer", b"%d" % number)])
                done(None)
            begun.clear()
            assert [client.read().first for _ in range(4)] == [0x30, 0x40, 0x30, 0x40]


def test_work_that_is_done_at_once_or_given_up_is_told_like_any_other(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.gateway.hook("at/once", lambda _message, _client: running.gateway.begun(lambda done: done(None)))
    begun = hooked(running, "given/up")
    with running.device("c") as client:
        client.send(wire.publish("at/once", b"", 1))
        assert client.read().first == 0x40
        client.send(wire.publish("given/up", b"", 2))
        assert wire.eventually(lambda: bool(begun), 20)
        assert begun[0].cancel()
        assert client.last_words() == b"", "without its PUBACK it comes again"
    assert "A hook failed on a message to given/up" in caplog.text


def test_work_that_fails_costs_the_connection_so_that_the_message_comes_again(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    begun = hooked(running, "bad")
    with running.device("c") as client:
        client.send(wire.publish("bad", b"", 1))
        assert wire.eventually(lambda: bool(begun), 20)
        begun[0].set_exception(RuntimeError("bad"))
        assert client.last_words() == b""
    assert "A hook failed on a message to bad" in caplog.text


def test_one_call_that_fails_does_not_take_the_next_with_it(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError

    with running.device("c", "t") as client:
        running.gateway._soon(fail)
        running.gateway.publish_soon([Message("t", b"next")])
        assert client.message().payload == b"next"
    assert "a bug on the way" in caplog.text


def test_who_subscribes_late_gets_what_is_published_from_then_on(running: Running) -> None:
    with running.device("c") as client:
        for number in range(20):  # the gateway has learnt of each topic that nobody wants it
            topic = f"t/{number}"
            client.send(wire.publish(topic, b"", 7))
            assert client.read().first == 0x40
            running.gateway.publish_soon([Message(topic, b"unheard")])
            client.send(wire.subscribe(topic))
            assert client.read().first == 0x90
            running.gateway.publish_soon([Message(topic, b"heard")])
            assert client.message().payload == b"heard"


def test_a_hook_that_comes_late_hears_what_is_published_from_then_on(running: Running) -> None:
    heard: list[bytes] = []
    with running.device("c") as client:
        client.send(wire.publish("t", b"unheard", 1))
        assert client.read().first == 0x40
        running.gateway.hook("t", lambda message, _: heard.append(message.payload))
        client.send(wire.publish("t", b"heard", 2))
        assert client.read().first == 0x40
    assert heard == [b"heard"]


def test_of_many_topics_only_some_are_remembered_and_all_are_heard(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ROUTES", 10)
    heard: list[str] = []
    running.gateway.hook("t/+", lambda message, _: heard.append(message.topic))
    with running.device("pub") as pub, running.device("sub", "t/#") as sub:
        for n in range(50):
            pub.send(wire.publish(f"t/{n}", b"", 1))
            assert sub.message().topic == f"t/{n}"
            assert pub.read().first == 0x40
    assert heard == [f"t/{n}" for n in range(50)]
    broker = running.gateway._broker
    assert max(len(broker._receivers), len(broker._called_with)) <= 10


def test_a_hook_for_what_is_retained_hears_of_nothing_else(running: Running) -> None:
    heard: list[bytes] = []
    running.gateway.hook("#", lambda message, _: heard.append(message.payload), retained=True)
    with running.device("c") as client:
        client.send(wire.publish("t", b"passing", 1), wire.publish("t", b"kept", 2, retain=True))
        assert [client.read().first for _ in range(2)] == [0x40, 0x40]
    assert heard == [b"kept"]


def test_no_answer_waits_until_the_one_before_is_acknowledged(running: Running) -> None:
    with running.device("c"), running.kiosk("kiosk-b"):
        sockets = [door._transport.get_extra_info("socket") for door in running.gateway._doors]
        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets] == [1, 1]
