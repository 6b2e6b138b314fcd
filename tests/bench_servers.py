"""Whoever is measured, each as a process of its own: ours, its peers, and the broker that thinks of nothing."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from shutil import copytree, which
from typing import Any, Final
from urllib.parse import urlsplit

from infra import running
from shadows.aws import AwsShadows, AwsThings
from shadows.calls import Place
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import FakeSlack
from tests.load_link import HOST, Door, Figures, resident_mb
from tests.ministack import HOME, ROOT_KEY, Ministack
from tests.shop import ROOT, client, get, until
from tests.stack import presigned

STAFFCALL: Final = (sys.executable, "-c", "import sys; from infra.cli import main; sys.exit(main())")
OURS, TEN, FULL, BOOTH = "ours", "ours, ten", "ours, full", "ours, run"
MINISTACK, MOTO, MOSQUITTO, NULL = "MiniStack", "moto", "Mosquitto", "null"
TOKEN: Final = "button-token-of-the-benchmark"
SNAPSHOT: Final = "as-filled"  # a folder that nobody runs on
FEW, PEOPLE = 10, 10_000  # of a small house, and of a full one
BUTTONS: Final = 10


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs.

    Attributes:
        doors: what the load is told of where to go: ``tcp`` and ``web`` for MQTT, ``aws`` for boto3, and whatever more
            there is.
    """

    name: str
    pid: int
    doors: Mapping[str, Any]

    def load(self, what: str, door: str, **how: Any) -> Figures:
        """Put a load on it, from a process of its own."""
        asked = {"what": what, "door": self.doors[door], "pid": self.pid, **how}
        done = subprocess.run(
            [sys.executable, "-m", "tests.load", json.dumps(asked)],
            cwd=ROOT, check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{what} on {self.name}: {done.stderr.strip()}")
        figures: Figures = json.loads(done.stdout)
        return figures


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of a process of ours: any free ports, no rates, nobody waits for acknowledgements, its data in a folder, and the code
    beside these tests.
    """
    ports = {f"STAFFCALL_{port}_PORT": "0" for port in ("HTTP", "MQTT", "WS", "AWS")}
    ours = {
        "STAFFCALL_DATA": str(folder),
        "STAFFCALL_THROTTLE": "off",
        "STAFFCALL_LIMITS_OFF": "unacknowledged",
        "PYTHONPATH": str(ROOT),
    }
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **ports, **ours, **more}


@contextmanager
def process(
    command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None, *, silent: bool = False
) -> Iterator[tuple[int, str]]:
    """A process in a folder: its id, and the first line that it printed, which it does when it is there.

    One that prints nothing is silent, and not waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "errors.log").open("w") as errors, subprocess.Popen(
        command, env=env, cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
    ) as begun:  # fmt: skip
        try:
            assert begun.stdout
            printed = "" if silent else begun.stdout.readline()
            assert silent or printed, (folder / "errors.log").read_text()
            yield begun.pid, printed
        finally:
            begun.terminate()
            begun.wait(60)


@contextmanager
def ours(folder: Path, people: int = FEW) -> Iterator[Server]:
    """``staffcall shadows``, with its data in a folder; ``people`` is how many have shadows, or will."""
    with process([*STAFFCALL, "shadows"], folder, environment(folder)) as (pid, _):
        at = json.loads((folder / "shadows.json").read_text())
        tcp = Door(int(at["mqtt"].rpartition(":")[2]))
        web = Door(int(urlsplit(at["websocket"]).port or 0), "/mqtt")
        doors = {"tcp": tcp, "web": web, "aws": at["aws"], "all": (tcp, at["aws"])}
        yield Server(OURS, pid, doors | {"house": (tcp, people), "web house": (web, people)})


@contextmanager
def filled(folder: Path, people: int) -> Iterator[Server]:
    """The same with people in it, each with a shadow as long as a call makes it."""
    with ours(folder / SNAPSHOT) as server:
        server.load("fill", "all", people=people)
    copytree(folder / SNAPSHOT, folder, dirs_exist_ok=True)
    with ours(folder, people) as server:
        yield server


@contextmanager
def booth(folder: Path, buttons: int = BUTTONS) -> Iterator[Server]:
    """``staffcall run``, with a Slack, some people, and a button for each."""
    with ExitStack() as stack:
        slack = stack.enter_context(FakeSlack())
        env = environment(folder, SLACK_WEBHOOK_URL=slack.url, STAFFCALL_BUTTON_TOKEN=TOKEN)
        pid, _ = stack.enter_context(process([*STAFFCALL, "run"], folder, env))
        here = running.read(folder)
        assert here
        place = Place(
            shadows=AwsShadows(client("iot-data", here.aws)),
            things=AwsThings(client("iot", here.aws)),
            clock=lambda: time.time_ns() // 1_000_000,
        )
        for n in range(buttons):
            add_staff(place, NewStaff(id=f"s{n}", name=f"花 {n}", slack=f"U0HANA{n}"))
            add_button(place, NewButton(id=f"b{n}", single=f"s{n}"))
        web = Door(urlsplit(get(f"{here.http}/config.json")[1]["mqtt"]).port or 0, "/mqtt")
        yield Server(BOOTH, pid, {"press": (web, urlsplit(here.http).port, TOKEN, str(folder))})


@contextmanager
def ministack(folder: Path) -> Iterator[Server]:
    """MiniStack as quick as it gets: it asks nobody for rights, and logs no requests."""
    folder.mkdir(parents=True, exist_ok=True)
    with Ministack(folder, AUTH="false", LOG_LEVEL="WARNING") as stack:
        host = stack.client("iot").describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        web = Door(stack.port, presigned(host, ROOT_KEY), host)
        yield Server(MINISTACK, stack.pid, {"web": web, "web house": (web, FEW), "aws": stack.url})


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """moto as a server. It has no MQTT."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", HOST, "-p", str(port)]
    with process(command, folder, silent=True) as (pid, _):
        until(lambda: answers(port), "the start of moto", 30)
        yield Server(MOTO, pid, {"aws": f"http://{HOST}:{port}"})


@contextmanager
def mosquitto(folder: Path) -> Iterator[Server]:
    """Mosquitto as quick as it gets: no Nagle, no bound on what waits, nothing on disk."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mosquitto.conf").write_text(
        f"listener {port} {HOST}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
        "max_inflight_messages 0\nmax_queued_messages 0\nlog_type error\n"
    )
    with process([mosquitto_binary(), "-c", str(folder / "mosquitto.conf")], folder, silent=True) as (pid, _):
        until(lambda: answers(port), "the start of Mosquitto", 30)
        yield Server(MOSQUITTO, pid, {"tcp": Door(port)})


@contextmanager
def null(folder: Path) -> Iterator[Server]:
    """The broker that thinks of nothing."""
    command = [sys.executable, "-m", "tests.bench_null"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with process(command, folder, env) as (pid, printed):
        mqtt, aws = map(int, printed.split())
        tcp, web = Door(mqtt), Door(mqtt, "/mqtt")
        doors = {"tcp": tcp, "web": web, "aws": f"http://{HOST}:{aws}"}
        yield Server(NULL, pid, doors | {"house": (tcp, FEW), "web house": (web, FEW)})


def started(folder: Path, command: str) -> Figures:
    """Start a command of ours over this folder: seconds until it listens, and its memory when all is quiet, in MB."""
    began = time.perf_counter()
    with process([*STAFFCALL, command], folder, environment(folder)) as (pid, _):
        took = time.perf_counter() - began
        time.sleep(2.0)  # what begins behind the listeners is over by then
        return {"start": took, "memory": resident_mb(pid)}


def mosquitto_binary() -> str:
    """Where it is; "" if it is nowhere. Debian has it where only root looks."""
    return which("mosquitto", path=os.environ["PATH"] + os.pathsep + "/usr/sbin") or ""


def missing() -> dict[str, str]:
    """The peers that cannot be had here, and why."""
    absent = {}
    if not (HOME / "bin" / "ministack").exists():
        absent[MINISTACK] = "make .venv-ministack makes its environment"
    if not mosquitto_binary():
        absent[MOSQUITTO] = "install it with your package manager"
    return absent


STARTS: Final = {
    OURS: ours,
    TEN: partial(filled, people=FEW),
    FULL: partial(filled, people=PEOPLE),
    BOOTH: booth,
    MINISTACK: ministack,
    MOTO: moto,
    MOSQUITTO: mosquitto,
    NULL: null,
}


class Servers:
    """Those that run; each is started when it is asked for first, and all end together."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._running: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        if name not in self._running:
            place = STARTS[name](self.folder_of(name))
            self._running[name] = self._stack.enter_context(place)
        return self._running[name]

    def folder_of(self, name: str) -> Path:
        return self.folder / name.replace(", ", "-")


def versions() -> dict[str, str]:
    """Of the peers."""
    found = {MOTO: version("moto")}
    if (HOME / "bin" / "ministack").exists():
        [metadata] = HOME.glob("lib/python*/site-packages/ministack-*.dist-info")
        found[MINISTACK] = metadata.name.removeprefix("ministack-").removesuffix(".dist-info")
    if binary := mosquitto_binary():
        said = subprocess.run([binary, "-h"], check=False, capture_output=True, text=True).stdout
        found[MOSQUITTO] = said.split()[2]
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
