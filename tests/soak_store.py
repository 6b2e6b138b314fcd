"""The proof by killing, for the shadow service alone: many clients update at once, it dies, and nothing is lost.

    python -c "import tests.soak_store as soak; soak.main()" --kills 1000 --seed 1 --minutes 20

Sixteen clients update the same few shadows over MQTT and REST, half of the time at a version that they name, while the
process dies around its commits, at random, and while it starts. After each death the judge reads the file, knows of
every request what became of it, and plays all accepted ones again in the order of their versions.
"""

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

from infra.local import shadows
from infra.settings import Settings
from shadows.document import Document, UpdateRequest, apply
from shadows.shadow import JsonObject
from tests import mqtt_wire as wire
from tests.mqtt_wire import Wire
from tests.soak_crash import FULL, Death, Point, Wrong
from tests.soak_crash import _lay_in_wait as lay_in_wait

STAFFCALL: Final = Path(sys.executable).with_name("staffcall")
CLIENTS: Final = 16
THINGS: Final = ("lamp", "door", "fan")
ANSWER_S: Final = 60  # who is not answered within this time, while the process lives, waits for ever
LOST: Final = (OSError, EOFError, http.client.HTTPException)  # what a client sees of a death


# --- The process that dies


def live(settings: Settings, death: Death, log: Path) -> None:
    """The child: ``staffcall shadows``, with a death that waits for it."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    lay_in_wait(death, settings.data / FULL)
    shadows.run(settings)


class Running(Protocol):
    """A child, of either kind."""

    pid: Any

    def kill(self) -> None: ...


class House:
    """A data folder, and the shadow service that lives in it until it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.log.touch()
        self.file, self._where = folder / "staffcall.sqlite3", folder / shadows.FILE
        ports = dict.fromkeys(("ws_port", "mqtt_port", "aws_port"), 0)
        self.settings = Settings(**{**ports, "data": folder, "throttle": False})  # type: ignore[arg-type]
        # Forked where no thread is, and all is imported.
        self._forks: Any = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["tests.soak_store"])

    @contextmanager
    def running(self, death: Death, *, real: bool = False) -> Iterator[tuple[Running, dict[str, str]]]:
        """The process and its addresses, none if it died, or had to, before its doors were open; it is killed at the end.

        ``real``: a process of its own, from the command line; it dies by our hand alone.
        """
        self._where.unlink(missing_ok=True)
        process = self._started(real, death)
        try:
            yield process, self._found(process, death)
        finally:
            process.kill()
            status = ended(process)
            said = self.log.read_text("utf-8", "replace")[-2000:]
            assert status == -signal.SIGKILL, f"it ended by itself, with {status}: {said}"

    def _started(self, real: bool, death: Death) -> Running:
        if real:
            free = {f"STAFFCALL_{port}_PORT": "0" for port in ("MQTT", "WS", "AWS")}
            env = {**os.environ, **free, "STAFFCALL_DATA": str(self.folder), "STAFFCALL_THROTTLE": "off"}
            with self.log.open("ab") as log:
                return subprocess.Popen([STAFFCALL, "shadows"], env=env, stdout=log, stderr=log)
        process = self._forks.Process(target=live, args=(self.settings, death, self.log))
        process.start()
        return process  # type: ignore[no-any-return]

    def _found(self, process: Running, death: Death) -> dict[str, str]:
        until = time.monotonic() + (death.after_s if death.point is Point.START else ANSWER_S)
        while lives(process) and time.monotonic() < until:
            with suppress(OSError, ValueError):  # it is not there yet, or not whole
                return dict(json.loads(self._where.read_text()))
            time.sleep(0.002)
        assert death.point is Point.START or not lives(process), "it did not start within a minute"
        return {}


def lives(process: Any) -> bool:
    return (process.poll() if isinstance(process, subprocess.Popen) else process.exitcode) is None


def ended(process: Any) -> int:
    """Its exit status, once it has ended."""
    if isinstance(process, subprocess.Popen):
        return process.wait()
    process.join()
    return int(process.exitcode)


# --- Who updates


@dataclass(slots=True, kw_only=True)
class Update:
    """One update, and what became of it.

    Attributes:
        client, n: whose, and its how-manieth.
        named: the version that it names; None for none.
        state: its state node.
        sent, answered: seconds of ``time.monotonic``.
        code: 200, or why not; 0 for no answer.
        version, at: of the document that it made, and its timestamp in seconds.
    """

    client: str
    n: int
    thing: str
    named: int | None
    state: JsonObject
    sent: float = 0.0
    answered: float = 0.0
    code: int = 0
    version: int = 0
    at: int = 0

    @property
    def token(self) -> str:
        return f"{self.client}-{self.n}"

    @property
    def payload(self) -> bytes:
        head = {"state": self.state, "clientToken": self.token}
        return json.dumps(head if self.named is None else head | {"version": self.named}).encode()


class Door(Protocol):
    def ask(self, update: Update) -> tuple[int, JsonObject]:
        """Send it, and wait for its answer."""

    def close(self) -> None: ...


class Rest:
    """Over HTTP, on one connection."""

    def __init__(self, at: Mapping[str, str], _name: str) -> None:
        self._connection = http.client.HTTPConnection(at["aws"].removeprefix("http://"), timeout=ANSWER_S)

    def ask(self, update: Update) -> tuple[int, JsonObject]:
        self._connection.request("POST", f"/things/{update.thing}/shadow", update.payload)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def close(self) -> None:
        self._connection.close()


class Mqtt:
    """Over TCP, subscribed to the answers, its own and all others'."""

    def __init__(self, at: Mapping[str, str], name: str) -> None:
        self._wire = device(
            at, name, *(f"$aws/things/+/shadow/update/{kind}" for kind in ("accepted", "rejected"))
        )

    def ask(self, update: Update) -> tuple[int, JsonObject]:
        self._wire.send(wire.publish(f"$aws/things/{update.thing}/shadow/update", update.payload, 7))
        while True:
            topic, answer = heard(self._wire)
            if answer.get("clientToken") == update.token:
                return (200 if topic.endswith("accepted") else answer["code"]), answer

    def close(self) -> None:
        self._wire.drop()


def device(at: Mapping[str, str], name: str, *filters: str) -> Wire:
    """An MQTT client that is connected, and subscribed at QoS 1."""
    host, _, port = at["mqtt"].partition(":")
    made = Wire(socket.create_connection((host, int(port)), timeout=ANSWER_S))
    made._sock.settimeout(ANSWER_S)
    made._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        made.send(wire.connect(name, keep_alive=1200))
        assert made.read().body[1] == 0
        made.send(wire.subscribe(*filters))
        assert made.read().first == 0x90
    except BaseException:
        made.drop()
        raise
    return made


def heard(listener: Wire) -> tuple[str, JsonObject]:
    """The topic and the content of the next message."""
    while (packet := listener.read()).first >> 4 != 3:
        pass
    got = wire.got(packet)
    if got.packet_id:
        listener.send(wire.puback(got.packet_id))
    return got.topic, json.loads(got.payload)


class Client:
    """One of those who update: each has keys of its own, and all have some in common.

    In each update the number is written in both sections, with a long text beside it: a document that holds one
    without the others is torn.
    """

    def __init__(self, number: int, seed: int) -> None:
        self.name, self._n = f"c{number}", 0
        self._door: Callable[[Mapping[str, str], str], Door] = Mqtt if number % 2 else Rest
        self._chance = random.Random(f"{seed} {number}")
        self._known: dict[str, int] = {}

    def acts(self, at: Mapping[str, str], going: threading.Event, asked: list[Update]) -> None:
        """Update until told to stop, or until the service dies."""
        with suppress(*LOST), closing(self._door(at, self.name)) as door:
            while going.is_set():
                asked.append(update := self._next())
                update.sent = time.monotonic()
                update.code, answer = self._answer(door, update)
                update.answered = time.monotonic()
                if update.code == 200:
                    update.version, update.at = answer["version"], answer["timestamp"]
                    self._known[update.thing] = update.version
                elif update.code == 409:  # as after a get
                    self._known[update.thing] = max(
                        (each.version for each in asked if each.thing == update.thing), default=0
                    )

    @staticmethod
    def _answer(door: Door, update: Update) -> tuple[int, JsonObject]:
        try:
            return door.ask(update)
        except TimeoutError as error:
            raise Wrong(f"not answered: {update}") from error

    def _next(self) -> Update:
        self._n += 1
        thing, n = self._chance.choice(THINGS), self._n
        known = self._known.get(thing)
        common = {"by": self.name, "n": n, "text": str(n % 10) * self._chance.choice((0, 10, 1500, 4000))}
        mine = {"n": n, "odd": n if n % 2 else None}
        return Update(
            client=self.name,
            n=n,
            thing=thing,
            named=known if known and self._chance.random() < 0.5 else None,
            state={"desired": {self.name: mine}, "reported": {self.name: mine, "last": common}},
        )


# --- Who judges


@dataclass
class Figures:
    """What a campaign came to: the kills by their kind, and the answers."""

    kills: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Figures") -> None:
        self.kills.update(other.kills)
        self.counts.update(other.counts)

    def __str__(self) -> str:
        kills, counts = (
            ", ".join(f"{n} {name}" for name, n in sorted(each.items())) for each in (self.kills, self.counts)
        )
        return f"{self.kills.total()} kills: {kills}; updates: {counts}"


class Judge:
    """Knows every update that was asked for, and compares with the file.

    Attributes:
        made: of each thing, which update made which version.
        documents: of each thing, as it was on the disk at the last look.
    """

    def __init__(self, file: Path, figures: Figures) -> None:
        self._file, self._figures = file, figures
        self.made: dict[str, dict[int, Update]] = {thing: {} for thing in THINGS}
        self.documents: dict[str, Document | None] = dict.fromkeys(THINGS)

    def take(self, updates: Sequence[Update]) -> None:
        """Look at what the dead process left, after these updates.

        Raises:
            Wrong: a promise was broken.
        """
        on_disk = read(self._file)
        for thing in THINGS:
            self._take(thing, [each for each in updates if each.thing == thing], on_disk.get(thing))
        for each in updates:
            self._figures.counts[f"answered {each.code}" if each.code else "not answered"] += 1

    def _take(self, thing: str, updates: Sequence[Update], found: Document | None) -> None:
        before, made = self.documents[thing], self.made[thing]
        first, last = before.version if before else 0, found.version if found else 0
        new = self._accepted(updates, first, last)
        doubtful = [each for each in updates if not each.code and found and _is_in(each, found)]
        gaps = [version for version in range(first + 1, last + 1) if version not in new]
        _check(
            len(gaps) == len(doubtful),
            f"{thing}: versions {gaps} were given to nobody, or {doubtful} have none",
        )
        if found:
            floors = {each.token: _floor(each, updates, first) for each in doubtful}
            new |= _placed(gaps, doubtful, floors, found)
        for version in range(first + 1, last + 1):
            update = new[version]
            request = UpdateRequest(state=update.state, version=update.named)
            before = apply(before, request, update.at)
        _check(
            _meaning(found) == _meaning(before),
            f"{thing} is {found and found.text} on the disk, and should be {before and before.text}",
        )
        self._figures.counts["committed, and not answered"] += len(doubtful)
        made |= new
        for each in updates:
            _check(each.code in (0, 200, 409), f"refused: {each}")
            _check(
                each.code != 409 or self._was_right_to_refuse(each, first),
                f"refused without a reason: {each}",
            )
        self.documents[thing] = found

    @staticmethod
    def _accepted(updates: Sequence[Update], first: int, last: int) -> dict[int, Update]:
        """What was answered 200, by version: each was given once, after all that were there, and is on the disk."""
        new: dict[int, Update] = {}
        for each in updates:
            if each.code == 200:
                _check(each.version not in new, f"given twice: {each} and {new.get(each.version)}")
                _check(each.version > first, f"version {first} was there already: {each}")
                _check(each.version <= last, f"answered, and lost: {each}")
                _check(each.named in (None, each.version - 1), f"not at the version that it names: {each}")
                _check(each.version > _floor(each, updates, first), f"went back: {each}")
                new[each.version] = each
        return new

    def _was_right_to_refuse(self, refused: Update, first: int) -> bool:
        """Whether at some moment between its question and its answer another version may have been the current one."""
        made = self.made[refused.thing]
        assert refused.named is not None
        named, later = made.get(refused.named), made.get(refused.named + 1)
        was_there = refused.named <= first or bool(named and named.code and named.answered <= refused.sent)
        return not was_there or bool(later and (not later.code or later.sent <= refused.answered))


def _check(right: bool, otherwise: str) -> None:
    if not right:
        raise Wrong(otherwise)


def _meaning(document: Document | None) -> object:
    """All that it says, whatever the order of its keys: of two that nobody answered either may have been first."""
    return document and (document.state, document.metadata, document.version)


def _is_in(update: Update, found: Document) -> bool:
    """Whether this one, the last of its client, is on the disk; its keys in both sections are of one update."""
    mine = [found.state.get(section, {}).get(update.client, {}) for section in ("desired", "reported")]
    _check(mine[0] == mine[1], f"torn: {found}")
    return bool(mine[0].get("n") == update.n)


def _floor(update: Update, updates: Sequence[Update], first: int) -> int:
    """The latest version that somebody had been told of when this was asked for."""
    told = (each.version for each in updates if each.code == 200 and each.answered <= update.sent)
    return max(told, default=first)


def _placed(
    gaps: Sequence[int], doubtful: Sequence[Update], floors: Mapping[str, int], found: Document
) -> dict[int, Update]:
    """Which version each update made that nobody was told of. Where two would do, it makes no difference."""
    left, placed = list(doubtful), {}
    by = found.state["reported"]["last"]
    for version in reversed(gaps):
        fits = [each for each in left if each.named in (None, version - 1) and floors[each.token] < version]
        if version == found.version:
            fits = [each for each in fits if (each.client, each.n) == (by["by"], by["n"])]
        _check(bool(fits), f"nobody can have made version {version} of {found}: {left}")
        placed[version] = max(fits, key=lambda each: (each.named is not None, floors[each.token]))
        left.remove(placed[version])
    for each in doubtful:
        each.at = found.metadata["reported"][each.client]["n"]["timestamp"]
    return placed


def read(file: Path) -> dict[str, Document]:
    """The documents in a file, which has to be whole; it is left as it is."""
    if not file.exists() or file.with_name(f"{file.name}-journal").exists():  # it died before it had made it
        return {}
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        (health,) = db.execute("PRAGMA integrity_check").fetchone()
        _check(health == "ok", f"the file is broken: {health}")
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'shadows'").fetchone():
            return {}
        rows = db.execute("SELECT thing, version, document FROM shadows WHERE name = ''").fetchall()
    documents = {thing: Document.read(text) for thing, _, text in rows}
    _check(all(documents[thing].version == version for thing, version, _ in rows), f"torn rows: {rows}")
    return documents


# --- The campaign


@dataclass
class World:
    """One data folder from its first start to its last, its clients and its judge."""

    folder: Path
    seed: int
    figures: Figures
    longest_s: float = 1.5

    def __post_init__(self) -> None:
        self.house = House(self.folder)
        self.judge = Judge(self.house.file, self.figures)
        self.clients = [Client(number, self.seed) for number in range(CLIENTS)]

    @classmethod
    @contextmanager
    def made(cls, seed: int, figures: Figures) -> Iterator[Self]:
        with tempfile.TemporaryDirectory() as folder:
            yield cls(Path(folder), seed, figures)

    def dies(self, death: Death, *, real: bool = False) -> None:
        """Start, have all clients update until it dies, and judge what it left."""
        asked: list[Update] = []
        with self.house.running(death, real=real) as (process, at):
            if at:
                with self._crowd(at, asked):
                    left_s = death.after_s if death.point is Point.RANDOM else self.longest_s
                    until = time.monotonic() + left_s
                    while lives(process) and time.monotonic() < until:
                        time.sleep(0.002)
                    by_itself = not lives(process)
                    process.kill()
                    ended(process)
                self.figures.kills[death.point if by_itself else Point.RANDOM] += 1
            else:
                self.figures.kills[death.point] += 1
        self.judge.take(asked)

    def lives_through(self, updates: int) -> tuple[list[Update], list[tuple[str, JsonObject]]]:
        """Start, have all clients update so often, each to the end of its last one, and judge.

        The answer is what they asked for, and all answers on MQTT in the order in which they came.
        """
        asked: list[Update] = []
        with self.house.running(Death(point=Point.NEVER), real=True) as (_, at):
            filters = [f"$aws/things/+/shadow/update/{kind}" for kind in ("accepted", "rejected")]
            with closing(_Listener(device(at, "listener", *filters))) as listener:
                with self._crowd(at, asked) as going:
                    while len(asked) < updates and going.is_set():
                        time.sleep(0.002)
                    going.clear()
                in_order = listener.all()
        self.judge.take(asked)
        return asked, in_order

    @contextmanager
    def _crowd(self, at: Mapping[str, str], asked: list[Update]) -> Iterator[threading.Event]:
        """All clients update, each until it is told to stop or the process dies; what fails in one of them is raised."""
        going, wrong = threading.Event(), []
        going.set()

        def act(client: Client) -> None:
            try:
                client.acts(at, going, asked)
            except Exception as error:
                wrong.append(error)
                going.clear()

        threads = [threading.Thread(target=act, args=(client,)) for client in self.clients]
        for thread in threads:
            thread.start()
        try:
            yield going
        finally:
            going.clear()
            for thread in threads:
                thread.join()
        if wrong:
            raise wrong[0]


class _Listener:
    """Takes in all answers in a thread of its own, so that none has to wait for it."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._said = wire, list[tuple[str, JsonObject]]()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def all(self) -> list[tuple[str, JsonObject]]:
        """What it heard up to now."""
        self._wire.send(wire.publish("$aws/things/end/shadow/update", b'{"state":{}}', 7))
        self._thread.join(ANSWER_S)
        _check(not self._thread.is_alive(), "the listener hears nothing any more")
        return self._said[:-1]

    def close(self) -> None:
        self._wire.drop()

    def _listen(self) -> None:
        with suppress(*LOST):
            while not self._said or "/end/" not in self._said[-1][0]:
                self._said.append(heard(self._wire))


def in_order(updates: Sequence[Update], answers: Sequence[tuple[str, JsonObject]]) -> Counter[int]:
    """Follow the answers from the first on: each is the only right one at its place. The answer is how many of each code.

    Raises:
        Wrong: an update was accepted or refused where it should not have been, or an answer was not heard.
    """
    asked, current, codes = {each.token: each for each in updates}, Counter[str](), Counter[int]()
    for topic, answer in answers:
        update = asked[answer["clientToken"]]
        now = current[update.thing]
        is_next = update.named in (None, now)
        code = 200 if topic.endswith("accepted") else answer["code"]
        _check(code == (200 if is_next else 409), f"answered {code} at version {now}: {update}")
        if code == 200:
            _check(answer["version"] == now + 1, f"version {answer['version']} after {now}")
            current[update.thing] += 1
        codes[code] += 1
    # Over REST a refusal is told to nobody else.
    told = Counter(each.code for each in updates if each.code == 200 or int(each.client[1:]) % 2)
    _check(codes == told, f"heard {codes}, and there were {told}")
    return codes


def deaths(chance: random.Random) -> Iterator[Death]:
    """Every kind of death that the store can die."""
    while True:
        match chance.choices(("commit", "random", "start"), (60, 30, 10))[0]:
            case "commit":
                point = chance.choice((Point.BEFORE_COMMIT, Point.AFTER_COMMIT))
                # The tables are made by the first commits, so a low number is a death in the start.
                yield Death(point=point, n=chance.randint(1, 60), linger_s=chance.choice((0, 0, 0.02)))
            case "random":
                yield Death(point=Point.RANDOM, after_s=chance.uniform(0, 0.5))
            case _:
                yield Death(point=Point.START, after_s=chance.uniform(0, 0.1))


def campaign(seed: int, kills: int, minutes: float) -> tuple[Figures, str]:
    """Fifty deaths in each data folder, until there were ``kills``; and what went wrong, if anything."""
    figures, until = Figures(), time.monotonic() + 60 * minutes
    part = seed
    try:
        while figures.kills.total() < kills and time.monotonic() < until:
            chance = random.Random(part)
            with World.made(part, figures) as world:
                in_order(*world.lives_through(1000))
                for death in itertools.islice(deaths(chance), 45):
                    world.dies(death)
                for _ in range(5):
                    world.dies(Death(point=Point.RANDOM, after_s=chance.uniform(0, 0.5)), real=True)
            print(f"--seed {part}: {figures.kills.total()} kills so far", file=sys.stderr, flush=True)
            part += 1
    except Exception as error:
        return figures, f"--seed {part}: {error!r}"
    return figures, ""


def main() -> None:
    """Run the campaign; status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Kill the shadow service again and again.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    figures, began, wrong = Figures(), time.monotonic(), []
    with ProcessPoolExecutor(asked.workers, multiprocessing.get_context("spawn")) as pool:
        share = -(-asked.kills // asked.workers)
        parts = [
            pool.submit(campaign, asked.seed + 1000 * n, share, asked.minutes) for n in range(asked.workers)
        ]
        for part in parts:
            came_to, broken = part.result()
            figures.add(came_to)
            wrong += [broken] if broken else []
    took_s = time.monotonic() - began
    print(f"{figures}; promises broken {len(wrong)}; in {took_s:.0f} s, --seed {asked.seed}")
    for each in wrong:
        print(f"BROKEN: {each}")
    sys.exit(bool(wrong))
