"""Load for the benchmarks, from a process of its own, so that it shares no interpreter with whom it measures.

``python -m tests.load '{"what": "updates", …}'`` does one of `WHAT`, and prints what it saw as JSON. What can be made
before the clock runs is made before; how much of each there can be at most, `tests/bench_null.py` is there to say.
"""

import gc
import json
import os
import re
import resource
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from shadows.staff import newcomer
from tests import mqtt_wire as wire
from tests.load_link import (
    HOST,
    TIMEOUT_S,
    Door,
    Figures,
    Link,
    Meter,
    Sent,
    is_publish,
    one_by_one,
    percentiles,
    sent,
)

RING: Final = 50_000  # raw messages that are made beforehand; then they come again
RAW: Final = "bench/raw"


# --- shadow updates by MQTT

# Numbers of eight digits, so that every request of a kind is as long as the others.
FIRST: Final = 10_000_000
CALL: Final = (
    b'{"id":"01KAJ6Q4ZB7N3Y5XH2V9W8T0RD","booth":"main","click":"SINGLE","at":17932%(n)d,"count":1,"note":"",'
    b'"end":"","to":"","tried":[]}'
)
SEEN: Final = b",".join(b'"17932356%05d:9f86d081884c7d65"' % n for n in range(16))
BODIES: Final = {
    "small": b'{"state":{"reported":{"n":%(n)d}},"clientToken":"u%(n)d"}',
    # What a press writes, and what the person's shadow then holds.
    "staff": b'{"state":{"desired":{"state":"calling","since":17932%(n)d,"why":"press","call":'
    + CALL
    + b'},"reported":{"seen":['
    + SEEN
    + b']}},"clientToken":"u%(n)d"}',
}
TOKEN: Final = re.compile(rb'"clientToken": ?"u(\d+)"')


def topic_of(thing: str) -> str:
    return f"$aws/things/{thing}/shadow/update"


class Update:
    """Requests to update one shadow, as packets; they differ in a number and in the packet id."""

    def __init__(self, thing: str, body: str) -> None:
        self._body = BODIES[body]
        whole = wire.publish(topic_of(thing), self._body % {b"n": FIRST}, 1)
        self._head = whole[: -len(self._body % {b"n": FIRST}) - 2]

    def packet(self, number: int) -> bytes:
        return self._head + (number % 0xFFFF + 1).to_bytes(2, "big") + self._body % {b"n": FIRST + number}


def number_of(payload: bytes) -> int:
    """Which update an answer or a document is about."""
    found = TOKEN.search(payload)
    assert found, payload
    return int(found[1]) - FIRST


class Updates:
    """A number of updates are under way all the time, each thing's by a connection of its own, or all by one.

    A screen hears every document. Each update must be accepted once, and seen there once.
    """

    def __init__(self, door: Door, *, things: int, in_flight: int, body: str, hub: bool) -> None:
        names = [f"thing-{n}" for n in range(things)]
        self._updates = [Update(name, body) for name in names]
        self._in_flight = in_flight
        filters = ["+"] if hub else names
        self._links = [Link(door, f"device-{name}", f"{topic_of(name)}/accepted") for name in filters]
        self._screen = Link(door, "screen", f"{topic_of('+')}/documents")
        self._poll = select.epoll()
        for link in (*self._links, self._screen):
            self._poll.register(link, select.EPOLLIN)
        self._by_fd = {link.fileno(): link for link in (*self._links, self._screen)}
        self._asked_at: list[float] = []
        self._slots: dict[int, int] = {}
        self.latencies: list[float] = []
        self.accepted: Counter[int] = Counter()
        self.documents: Counter[int] = Counter()
        self._going_on = True

    def run(self, seconds: float, pid: int) -> Figures:
        for slot in range(self._in_flight):
            self._link(slot).send(self._next(slot))
        self._turn_until(lambda: len(self.latencies) >= 4 * self._in_flight)
        self.latencies.clear()
        meter, end = Meter(pid), time.perf_counter() + seconds
        self._turn_until(lambda: time.perf_counter() >= end)
        figures = meter.figures(len(self.latencies)) | percentiles(self.latencies)
        self._going_on = False
        asked = len(self._asked_at)
        self._turn_until(lambda: self.accepted.total() >= asked and self.documents.total() >= asked)
        once = Counter(range(asked))
        assert self.accepted == once, "an update was not accepted once"
        assert self.documents == once, "a document was not seen once"
        return figures | {"asked": asked}

    def _link(self, slot: int) -> Link:
        return self._links[slot % len(self._updates) % len(self._links)]

    def _next(self, slot: int) -> bytes:
        number = len(self._asked_at)
        self._slots[number] = slot
        self._asked_at.append(time.perf_counter())
        return self._updates[slot % len(self._updates)].packet(number)

    def _turn_until(self, over: Callable[[], bool]) -> None:
        patience = time.perf_counter() + TIMEOUT_S
        while not over():
            assert time.perf_counter() < patience, "nothing comes any more"
            for fd, _ in self._poll.poll(1.0):
                link = self._by_fd[fd]
                out = [each for first, body in link.packets() for each in self._heard(link, first, body)]
                if out:
                    link.send(*out)

    def _heard(self, link: Link, first: int, body: bytes) -> Iterator[bytes]:
        """What is to be sent now, by the same link."""
        if not is_publish(first):
            return
        message = sent(first, body)
        number = number_of(message.payload)
        if message.ack:
            yield message.ack
        if link is self._screen:
            self.documents[number] += 1
            return
        self.accepted[number] += 1
        self.latencies.append(time.perf_counter() - self._asked_at[number])
        slot = self._slots.pop(number)
        if self._going_on:
            yield self._next(slot)


def updates(
    door: Door, pid: int, *, seconds: float, things: int, in_flight: int, body: str, hub: bool = False
) -> Figures:
    return Updates(door, things=things, in_flight=in_flight, body=body, hub=hub).run(seconds, pid)


def update_alone(door: tuple[Door, int], pid: int, *, seconds: float) -> Figures:
    """Update to accepted, one at a time, each time another of as many people as there are."""
    mqtt, people = door
    requests = [Update(f"staff-{n}", "small") for n in range(people)]
    link = Link(mqtt, "alone", f"{topic_of('+')}/accepted")

    def one(number: int) -> float:
        began, answers, took = time.perf_counter(), 0, 0.0
        link.send(requests[number * 7919 % people].packet(number))
        while answers < 2:  # PUBACK, and the answer
            for first, body in link.packets():
                answers += 1
                if is_publish(first):
                    took = time.perf_counter() - began
                    message = sent(first, body)
                    assert number_of(message.payload) == number, "an update was not accepted once"
                    link.send(message.ack)
        return took

    return one_by_one(one, pid, seconds)


# --- any messages


class Raw:
    """Messages from one connection to another, all of the same length, so that many are looked at in one go."""

    def __init__(self, door: Door) -> None:
        self.screen, self.device = Link(door, "raw-screen", RAW), Link(door, "raw-device")
        packets = [wire.publish(RAW, b"%08d" % n + b"x" * 56, n + 1) for n in range(RING)]
        self.size, self._ring = len(packets[0]), memoryview(b"".join(packets))
        self._id_at = self.size - 64 - 2
        self._part, self._chunks, self._ack_bytes = b"", list[bytes](), 0
        self.sent = self.got = self.acked = 0

    def send(self, most: int) -> None:
        at = self.sent % RING
        number = min(most, RING - at)
        self.device.sock.sendall(self._ring[at * self.size : (at + number) * self.size])
        self.sent += number

    def hear(self) -> None:
        """Take what has come to the screen, and acknowledge it."""
        heard = self._part + self.screen.receive()
        whole = len(heard) // self.size
        self._part = heard[whole * self.size :]
        if whole:
            chunk = heard[: whole * self.size]
            self._chunks.append(chunk)
            acks = bytearray(b"\x40\x02\0\0" * whole)
            acks[2::4], acks[3::4] = chunk[self._id_at :: self.size], chunk[self._id_at + 1 :: self.size]
            self.screen.sock.sendall(acks)
            self.got += whole

    def hear_acks(self) -> None:
        self._ack_bytes += len(self.device.receive())
        self.acked = self._ack_bytes // 4

    def check(self) -> None:
        """That each message came once, and in order."""
        heard = memoryview(b"".join(self._chunks))
        assert len(heard) == self.sent * self.size
        for n in range(self.sent):
            at = n * self.size + self._id_at + 2
            assert heard[at : at + 8] == b"%08d" % (n % RING), f"message {n} did not come where it should"
        assert self.acked == self.sent, "a message was not acknowledged"


def raw_alone(door: Door, pid: int, *, seconds: float) -> Figures:
    """Publish to what a subscriber gets, one at a time."""
    raw = Raw(door)

    def one(number: int) -> float:
        began = time.perf_counter()
        raw.send(1)
        while raw.got == number:
            raw.hear()
        took = time.perf_counter() - began
        while raw.acked == number:
            raw.hear_acks()
        return took

    figures = one_by_one(one, pid, seconds)
    raw.check()
    return figures


def raw_rate(door: Door, pid: int, *, seconds: float, in_flight: int) -> Figures:
    """Messages a second, with so many on their way all the time."""
    raw = Raw(door)
    begin = time.perf_counter() + 0.2
    _flow(raw, in_flight, lambda: time.perf_counter() >= begin)
    meter, before, end = Meter(pid), raw.got, time.perf_counter() + seconds
    _flow(raw, in_flight, lambda: time.perf_counter() >= end)
    figures = meter.figures(raw.got - before)
    _flow(raw, 0, lambda: raw.got == raw.acked == raw.sent)
    raw.check()
    return figures


def _flow(raw: Raw, in_flight: int, over: Callable[[], bool]) -> None:
    patience = time.perf_counter() + TIMEOUT_S
    while not over():
        assert time.perf_counter() < patience, "nothing comes any more"
        if (room := in_flight - (raw.sent - raw.got)) > 0:
            raw.send(room)
        ready, _, _ = select.select((raw.screen, raw.device), (), (), 1.0)
        if raw.screen in ready:
            raw.hear()
        if raw.device in ready:
            raw.hear_acks()


# --- one change, and everybody who looks at it


def screens(door: Door, pid: int, *, seconds: float, screens: int) -> Figures:
    """From an update of a shadow to the last of so many screens, and how long after the first of them that is."""
    _take_files(2 * screens + 100)
    update, device = Update("thing-0", "staff"), Link(door, "screens-device")
    links = [Link(door, f"screen-{n}", f"{topic_of('+')}/documents") for n in range(screens)]
    poll = select.epoll()
    for link in links:
        poll.register(link, select.EPOLLIN)
    by_fd = {link.fileno(): link for link in links}
    spreads: list[float] = []

    def one(number: int) -> float:
        heard: dict[Link, bytes] = {}
        first = 0.0
        began = time.perf_counter()
        device.send(update.packet(number))
        while len(heard) < screens:
            for fd, _ in poll.poll(TIMEOUT_S):
                for message in _published(by_fd[fd]):
                    assert number_of(message.payload) == number, (
                        "a screen missed a document, or saw one twice"
                    )
                    heard[by_fd[fd]] = message.ack
                    first = first or time.perf_counter()
        took = time.perf_counter() - began
        spreads.append(began + took - first)
        for link, ack in heard.items():  # each screen would do that for itself
            link.send(ack)
        device.send(wire.PINGREQ)  # the server has rest before the next press
        while not any(kind == 0xD0 for kind, _ in device.packets()):
            pass
        return took

    figures = one_by_one(one, pid, seconds, warm=3, least=10)
    return figures | percentiles(spreads[3:], "spread ")


def _published(link: Link) -> list[Sent]:
    return [sent(first, body) for first, body in link.packets() if is_publish(first)]


def _take_files(number: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, most), most))


# --- a press


def press(door: tuple[Door, int, str, str], pid: int, *, seconds: float, buttons: int) -> Figures:
    """From a press over HTTP to the delta at a kiosk, and to its answer; each comes by a connection of its own.

    After each of them the floor is measured, what no press can be quicker than: 4 KB written down for good in the folder
    of the data, and one way over loopback. Button n calls staff n: the first press of each is a call, and the others are
    counted.
    """
    web, port, token, folder = door
    kiosk, presser = Link(web, "kiosk-main-load", f"{topic_of('+')}/delta"), str(time.time_ns())
    answers, floors, known = list[float](), list[float](), dict[bytes, list[Any]]()

    def one(number: int) -> float:
        button = number % buttons
        body = json.dumps({"button": f"b{button}", "click": "SINGLE", "id": f"{presser}-{number}"}).encode()
        request = _request(port, "/buttons/webhook", body, {"Authorization": f"Bearer {token}"})
        topic = f"{topic_of(f'staff-s{button}')}/delta".encode()
        answered = shown = 0.0
        began = time.perf_counter()
        with socket.create_connection((HOST, port), TIMEOUT_S) as caller:
            caller.sendall(request)
            while not (answered and shown):
                awaited = [kiosk.sock] if answered else [kiosk.sock, caller]
                ready, _, _ = select.select(awaited, (), (), TIMEOUT_S)
                assert ready, "a press was not answered, or not shown"
                if kiosk.sock in ready and _shows(kiosk, topic, known):
                    shown = time.perf_counter() - began
                if caller in ready:
                    answered, answer = time.perf_counter() - began, caller.recv(4096)
                    assert answer.startswith(b"HTTP/1.1 200"), answer
        answers.append(answered)
        floors.append(floor())
        return shown

    with _floor(Path(folder)) as floor:
        figures = one_by_one(one, pid, seconds, warm=2 * buttons)
    answers, floors = answers[2 * buttons :], floors[2 * buttons :]
    return figures | percentiles(answers, "answer ") | percentiles(floors, "floor ")


# By these a press can be told from the one before; a delta leaves out what is as it was when Slack was told last.
MARKS: Final = re.compile(rb'"(id|count)": ?("\w+"|\d+)')


def _shows(kiosk: Link, topic: bytes, known: dict[bytes, list[Any]]) -> bool:
    """Whether what came is one more press for this person, or the first that we know of."""
    shows = False
    for message in _published(kiosk):
        kiosk.send(message.ack)
        before, known[message.topic] = known.get(message.topic), MARKS.findall(message.payload)
        shows |= message.topic == topic and known[topic] != before
    return shows


@contextmanager
def _floor(folder: Path) -> Iterator[Callable[[], float]]:
    with (
        (folder / "floor").open("wb", buffering=0) as file,
        socket.create_server((HOST, 0)) as server,
        socket.create_connection(server.getsockname()) as near,
    ):
        far, _ = server.accept()

        def floor() -> float:
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file)
            near.sendall(b"x" * 200)
            far.recv(4096)
            return time.perf_counter() - began

        with far:
            yield floor


# --- by HTTP


def boto(door: str, pid: int, *, seconds: float) -> Figures:
    """``update_thing_shadow`` by boto3, one at a time, over 50 things in turn."""
    from tests.shop import client

    iot, data = client("iot", door), client("iot-data", door)
    for n in range(50):
        iot.create_thing(thingName=f"thing-{n}")

    def one(number: int) -> float:
        began = time.perf_counter()
        body = BODIES["small"] % {b"n": FIRST + number}
        data.update_thing_shadow(thingName=f"thing-{number % 50}", payload=body)["payload"].read()
        return time.perf_counter() - began

    return one_by_one(one, pid, seconds)


def _request(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    named = {"Host": f"{HOST}:{port}", "Content-Type": "application/json", **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


# --- a full house


def fill(door: tuple[Door, str], pid: int, *, people: int) -> Figures:
    """Register so many people, idle, as staff things with a shadow each."""
    mqtt, url = door
    meter = Meter(pid)
    _register(int(url.rpartition(":")[2]), people)
    link, acked = Link(mqtt, "fill"), 0
    halves = dict(
        zip(
            ("desired", "reported"),
            newcomer("花 Hana", "reception", time.time_ns() // 1_000_000),
            strict=True,
        )
    )
    body = json.dumps({"state": halves}).encode()
    for n in range(people):
        link.send(wire.publish(topic_of(f"staff-{n}"), body, n % 0xFFFF + 1))
        while n - acked >= 64:
            acked += len(link.packets())
    while acked < people:
        acked += len(link.packets())
    return meter.figures(people)


def _register(port: int, people: int) -> None:
    """By eight at a time, for each waits for the disk."""
    with ThreadPoolExecutor(8) as pool:
        posted(port, "/thing-types/staff")
        for _ in pool.map(
            lambda n: posted(port, f"/things/staff-{n}", b'{"thingTypeName":"staff"}'), range(people)
        ):
            pass


def posted(port: int, path: str, body: bytes = b"{}") -> None:
    with socket.create_connection((HOST, port), TIMEOUT_S) as door:
        door.sendall(_request(port, path, body, {"Connection": "close"}))
        answer = door.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer


# --- alarms


def timers(_door: object, _pid: int, *, seconds: float, pending: int) -> Figures:
    """How late alarms ring, while so many are pending; in this process, over shadows in memory.

    Everybody is called, for three minutes each, and their calls have begun evenly over the last three minutes.
    """
    from infra.local.timer import Timers
    from shadows.calls import Place
    from shadows.shadow import Shadow, Thing
    from tests.memory import MemoryShadows, MemoryThings

    rung: dict[str, float] = {}

    class Shadows(MemoryShadows):
        def get(self, thing: str) -> Shadow:
            rung.setdefault(thing, time.time())
            return super().get(thing)

    shadows, things = Shadows(), MemoryThings()
    place = Place(shadows=shadows, things=things, clock=lambda: time.time_ns() // 1_000_000)
    calling_ms = int(1000 * place.timing.calling_s)
    start = place.clock() + 500 + pending // 2  # it takes some time to set them all
    for n in range(pending):
        call = {"id": f"01KAJ6Q4ZB7N3Y5XH2V9{n:06d}", "booth": "main", "count": 1}
        since = start - calling_ms + calling_ms * n // pending
        asked = {"state": "calling", "since": since, "why": "press", "call": call}
        things.create(Thing(name=f"staff-{n}", type="staff"))
        shadows.kept[f"staff-{n}"] = Shadow(desired=asked, reported=asked, version=1)
    clock = Timers(place, lambda _thing: None)
    clock.start()
    jobs = {job.id.split()[0]: job.next_run_time.timestamp() for job in clock._scheduler.get_jobs()}
    due = {thing: at for thing, at in jobs.items() if at > time.time()}
    rung.clear()
    meter = Meter(os.getpid())
    time.sleep(max(0.0, start / 1000 - time.time()) + seconds)
    late = [at - due[thing] for thing, at in rung.items() if thing in due]
    figures = meter.figures(len(late)) | percentiles(late)
    clock.stop()
    return figures | {"pending": len(due)}


WHAT: Final[Mapping[str, Callable[..., Figures]]] = {
    each.__name__: each
    for each in (updates, update_alone, raw_alone, raw_rate, screens, press, boto, fill, timers)
}


def main(asked: str) -> None:
    """Do what is asked, and print what was seen."""
    how: dict[str, Any] = json.loads(asked)
    what, door = WHAT[how.pop("what")], how.pop("door")
    gc.disable()  # a collection of ours is no answer of theirs
    print(json.dumps(what(door, how.pop("pid"), **how)))


if __name__ == "__main__":
    main(sys.argv[1])
