"""A running place, spoken to as buttons, people and administrators do: over real sockets, on free ports.

``Venue`` is any such place, ``Shop`` the local one; the one on AWS is in ``stack.py``.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import boto3
import paho.mqtt.client as paho
from botocore.config import Config

from infra import running
from infra.local.place import Addresses
from infra.local.run import start
from infra.settings import Settings
from shadows.aws import AwsShadows, AwsThings
from shadows.calls import Place
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from shadows.staff import newcomer
from tests.fake_slack import FakeSlack, signed

ROOT = Path(__file__).resolve().parents[1]
BUTTON_TOKEN, ADMIN_TOKEN, OUTGOING_TOKEN, BEAM_KEY, SIGNING_SECRET = (
    "button-token",
    "admin-token",
    "outgoing-token",
    "beam-key",
    "signing-secret",
)
# Of a place that many tests share; the shadow of a test's own booth may say otherwise.
TIMES = {"calling_s": 60.0, "running_s": 60.0, "quiet_s": 20.0}
T = TypeVar("T")
ANY_KEY = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}


@lru_cache(maxsize=4)  # making one takes as long as most tests
def client(service: str, url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
    return boto3.client(service, endpoint_url=url, config=config, **ANY_KEY)


def until(found: Callable[[], T], what: str = "it", s: float = 20.0) -> T:
    """Wait for something to become true; the answer is what it became."""
    end = time.monotonic() + s
    while time.monotonic() < end:
        if got := found():
            return got
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {s} s")


def post(url: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """POST, and read the JSON that is answered; an empty body is None."""
    return request(url, body, **headers)


def get(url: str, **headers: str) -> tuple[int, Any]:
    return request(url, None, **headers)


def request(url: str, body: bytes | None, **headers: str) -> tuple[int, Any]:
    """Send a request, POST with a body, else GET; an underscore in a header's name is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(urllib.request.Request(url, data=body, headers=named))


def fetch(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, body, kind = answer.status, answer.read(), answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            status, body, kind = error.code, error.read(), error.headers.get_content_type()
    if not body:
        return status, None
    return status, json.loads(body) if kind == "application/json" else body.decode()


def published(device: paho.Client, address: str, topic: str, payload: bytes) -> None:
    """Connect a device, have one message acknowledged (QoS 1), and disconnect."""
    host, _, port = address.partition(":")
    device.connect(host, int(port))
    device.loop_start()
    try:
        sent = device.publish(topic, payload, qos=1)
        sent.wait_for_publish(30)
        assert sent.is_published(), f"{topic}: the message was not acknowledged"
    finally:
        device.disconnect()
        device.loop_stop()


class Venue(Protocol):
    """A place that runs, whichever it is: all that a story needs of it.

    Attributes:
        target: what ``staffcall --target`` calls it.
        slack: where mentions arrive.
        environment: the variables by which ``staffcall`` finds it.
        kiosk: address of the page.
        chromium: the flags that a browser needs to reach that page.
    """

    target: str
    slack: FakeSlack
    chromium: Sequence[str]

    @property
    def environment(self) -> dict[str, str]: ...

    @property
    def kiosk(self) -> str: ...

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Send a request to the HTTP doors, POST with a body, else GET; what is answered, as JSON."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish as a device does, over MQTT."""
        ...

    def aws(self, service: str) -> Any:
        """A client of boto3."""
        ...

    def history(self) -> list[dict[str, Any]]:
        """What is on record, oldest first."""
        ...

    # --- what administrators see

    @property
    def place(self) -> Place:
        return Place(
            shadows=AwsShadows(self.aws("iot-data")),
            things=AwsThings(self.aws("iot")),
            clock=lambda: time.time_ns() // 1_000_000,
        )

    def asked(self, staff: str) -> dict[str, Any]:
        return self.place.shadows.get(f"staff-{staff}").desired

    def state(self, staff: str) -> str:
        return str(self.asked(staff)["state"])

    def is_told(self, staff: str) -> bool:
        shadow = self.place.shadows.get(f"staff-{staff}")
        return all(shadow.reported.get(key) == value for key, value in shadow.desired.items())

    # --- what visitors and staff do

    def press(self, button: str = "demo", click: str = "SINGLE", **more: Any) -> tuple[int, Any]:
        body = json.dumps({"button": button, "click": click, **more}).encode()
        return self.ask(
            "/buttons/webhook", body, Authorization=f"Bearer {BUTTON_TOKEN}", Content_Type="application/json"
        )

    def says(self, user: str, text: str, *, timestamp: str = "") -> str:
        """Write in the channel; the answer is what is said back."""
        form = {
            "token": OUTGOING_TOKEN,
            "team_id": "T0EXPO001",
            "channel_id": "C0CALLS",
            "timestamp": timestamp or f"{time.time():.6f}",
            "user_id": user,
            "user_name": user.lower(),
            "text": text,
        }
        body = urllib.parse.urlencode(form).encode()
        status, answer = self.ask("/slack/outgoing", body, Content_Type="application/x-www-form-urlencoded")
        assert status == 200, answer
        return answer["text"] if answer else ""

    def says_in_an_app(self, user: str, text: str, *, timestamp: str = "") -> None:
        """Write in the channel of a Slack app, which signs its events and is answered nothing."""
        event = {"type": "message", "channel": "C0CALLS", "user": user, "text": text}
        event["ts"] = timestamp or f"{time.time():.6f}"
        body = json.dumps({"type": "event_callback", "event_id": "Ev1", "event": event}).encode()
        headers = {"Content-Type": "application/json", **signed(body, SIGNING_SECRET, time.time())}
        assert self.ask("/slack/events", body, **headers) == (200, None)


def call_of(number: int, now: int, note: str, end: str = "") -> dict[str, Any]:
    """A call as it stands in a shadow."""
    fixed = {
        "booth": "main",
        "click": "SINGLE",
        "count": 1,
        "to": "",
        "tried": [],
        "reminded": False,
        "group": "",
    }
    return fixed | {"id": f"c{number}", "at": now, "note": note, "end": end, "promised": 0}


class Shop(Venue):
    """The local place; ``furnish`` makes a booth with Hana and Sora, who stands in for her, and the button ``demo``."""

    target = "local"
    chromium = ()

    def __init__(self, data: Path, slack: FakeSlack, **settings: Any) -> None:
        self.slack = slack
        self.data = data
        self.settings = Settings(
            **{
                **dict.fromkeys(("http_port", "ws_port", "mqtt_port", "aws_port"), 0),
                "data": data,
                "lang": "en",
                "throttle": False,  # tests look at a shadow more often than anybody else
                "slack_webhook_url": slack.url,
                "slack_outgoing_token": OUTGOING_TOKEN,
                "slack_signing_secret": SIGNING_SECRET,
                "button_token": BUTTON_TOKEN,
                "admin_token": ADMIN_TOKEN,
                "soracom_beam_key": BEAM_KEY,
                **settings,
            }
        )

    # --- open and close

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        self._stack = ExitStack()
        with ExitStack() as stack:
            self.at: Addresses = start(self.settings, stack)
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()

    def furnish(self) -> Self:
        """Register the people and the button, by boto3."""
        place = self.place
        add_staff(place, NewStaff(id="sora", name="Sora", slack="U0SORA"))
        add_staff(place, NewStaff(id="hana", name="花 Hana", slack="U0HANA", backup="sora"))
        add_button(place, NewButton(id="demo", single="hana", double="sora"))
        return self

    def wall(self, count: int) -> list[str]:
        """A booth of so many people, each of whom has been called often: their ids."""
        place, ids = self.place, [f"w{n}" for n in range(count)]
        for n, id in enumerate(ids):
            now = place.clock()
            desired, reported = newcomer(f"Person {id}", "", now)
            four = {
                "state": "idle",
                "since": now,
                "why": "done",
                "call": call_of(n, now, "5 minutes", "done"),
            }
            seen = [f"{now}:{n:04x}{each:012x}" for each in range(16)]
            place.shadows.update(
                f"staff-{id}",
                desired=desired | four,
                reported=reported | four | {"seen": seen, "toldAt": now},
            )
        place.shadows.update("booth-main", reported={"title": "Wall", "staff": [f"staff-{id}" for id in ids]})
        return ids

    # --- what administrators see

    def aws(self, service: str) -> Any:
        return client(service, f"http://{self.at.aws}")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "STAFFCALL_DATA": str(self.data),
            "STAFFCALL_BUTTON_TOKEN": BUTTON_TOKEN,
            "STAFFCALL_ADMIN_TOKEN": ADMIN_TOKEN,
        }

    def shadow(self, thing: str) -> dict[str, Any]:
        got = self.aws("iot-data").get_thing_shadow(thingName=thing)
        document: dict[str, Any] = json.loads(got["payload"].read())
        return document

    def admin(self, path: str = "/admin") -> Any:
        return get(self.url(path), Authorization=f"Bearer {ADMIN_TOKEN}")[1]

    def history(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.admin("/admin/api/history")["rows"]
        return rows

    # --- where it is

    def url(self, path: str) -> str:
        return f"http://{self.at.http}{path}"

    @property
    def kiosk(self) -> str:
        return self.url("/")

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        return request(self.url(path), body, **headers)

    def publish(self, topic: str, payload: bytes) -> None:
        published(paho.Client(paho.CallbackAPIVersion.VERSION2), self.at.mqtt, topic, payload)


class Process:
    """``staffcall run`` as a process of its own, with the settings of a shop: one that can be killed."""

    def __init__(self, shop: Shop, *, demo: bool = False, **env: str) -> None:
        settings = shop.settings
        self.env = {
            "PATH": os.environ["PATH"],
            **shop.environment,
            "STAFFCALL_LANG": settings.lang,
            "STAFFCALL_CALLING_SECONDS": str(settings.calling_s),
            "STAFFCALL_RUNNING_SECONDS": str(settings.running_s),
            "STAFFCALL_QUIET_SECONDS": str(settings.quiet_s),
            "STAFFCALL_REMIND_SECONDS": str(settings.remind_s),
            "SLACK_WEBHOOK_URL": settings.slack_webhook_url,
            "SLACK_OUTGOING_TOKEN": OUTGOING_TOKEN,
            **dict.fromkeys((f"STAFFCALL_{name}_PORT" for name in ("HTTP", "WS", "MQTT", "AWS")), "0"),
            **env,
        }
        self.shop = shop
        self._command = [
            str(Path(sys.executable).with_name("staffcall")),
            "run",
            *(["--demo"] if demo else []),
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command,
            env=self.env,
            cwd=self.shop.data.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            here = until(self._where, "the start", 20)
        except BaseException:
            self.end(signal.SIGKILL)
            raise
        http, aws = (url.removeprefix("http://") for url in (here.http, here.aws))
        self.shop.at = Addresses(http=http, websocket="", mqtt=here.mqtt, aws=aws)

    def _where(self) -> running.Running | None:
        assert self._process.poll() is None, self.output.decode()
        here = running.read(self.shop.data)
        return here if here and here.pid == self._process.pid else None

    def _read(self) -> None:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            self.output += line

    def end(self, number: int) -> int:
        """Send a signal, and wait for the end; the answer is the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(20)
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()
        return status

    def restart(self) -> None:
        """kill -9, and start again."""
        self.end(signal.SIGKILL)
        self.start()


def with_settings(shop: Shop, **settings: Any) -> Shop:
    """The same shop, to be opened with other settings."""
    shop.settings = replace(shop.settings, **settings)
    return shop
