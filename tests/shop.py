"""A running place, spoken to as buttons, people and administrators do: over real sockets, on free ports."""

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
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

import boto3
from botocore.config import Config

from infra import running
from infra.local.place import Addresses
from infra.local.run import start
from infra.settings import Settings
from shadows.aws import AwsShadows, AwsThings
from shadows.calls import Place
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import FakeSlack

ROOT = Path(__file__).resolve().parents[1]
BUTTON_TOKEN, ADMIN_TOKEN, OUTGOING_TOKEN, BEAM_KEY = (
    "button-token",
    "admin-token",
    "outgoing-token",
    "beam-key",
)
T = TypeVar("T")
ANY_KEY = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}


@lru_cache(maxsize=4)  # making one takes as long as most tests
def client(service: str, url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
    return boto3.client(service, endpoint_url=url, config=config, **ANY_KEY)


def until(found: Callable[[], T], what: str = "it", s: float = 8.0) -> T:
    """Wait for something to become true; the answer is what it became."""
    end = time.monotonic() + s
    while time.monotonic() < end:
        if got := found():
            return got
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {s} s")


def post(url: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """POST, and read the JSON that is answered; an empty body is None."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(urllib.request.Request(url, data=body, headers=named, method="POST"))


def get(url: str, **headers: str) -> tuple[int, Any]:
    return fetch(
        urllib.request.Request(
            url, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
    )


def fetch(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, body, kind = answer.status, answer.read(), answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            status, body, kind = error.code, error.read(), error.headers.get_content_type()
    if not body:
        return status, None
    return status, json.loads(body) if kind == "application/json" else body.decode()


class Shop:
    """One booth with Hana and Sora, who stands in for her, and the button ``demo``.

    Attributes:
        slack: where mentions arrive.
    """

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
                "button_token": BUTTON_TOKEN,
                "admin_token": ADMIN_TOKEN,
                "soracom_beam_key": BEAM_KEY,
                **settings,
            }
        )
        self._said = 0

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

    # --- what administrators see

    def aws(self, service: str) -> Any:
        return client(service, f"http://{self.at.aws}")

    @property
    def place(self) -> Place:
        return Place(
            shadows=AwsShadows(self.aws("iot-data")),
            things=AwsThings(self.aws("iot")),
            clock=lambda: time.time_ns() // 1_000_000,
        )

    def shadow(self, thing: str) -> dict[str, Any]:
        got = self.aws("iot-data").get_thing_shadow(thingName=thing)
        document: dict[str, Any] = json.loads(got["payload"].read())
        return document

    def asked(self, staff: str) -> dict[str, Any]:
        asked: dict[str, Any] = self.shadow(f"staff-{staff}")["state"]["desired"]
        return asked

    def state(self, staff: str) -> str:
        return str(self.asked(staff)["state"])

    def is_told(self, staff: str) -> bool:
        return "delta" not in self.shadow(f"staff-{staff}")["state"]

    def admin(self, path: str = "/admin") -> Any:
        return get(self.url(path), Authorization=f"Bearer {ADMIN_TOKEN}")[1]

    def url(self, path: str) -> str:
        return f"http://{self.at.http}{path}"

    # --- what visitors and staff do

    def press(self, button: str = "demo", click: str = "SINGLE", **more: Any) -> tuple[int, Any]:
        body = json.dumps({"button": button, "click": click, **more}).encode()
        return post(self.url("/buttons/webhook"), body, Authorization=f"Bearer {BUTTON_TOKEN}")

    def says(self, user: str, text: str, *, timestamp: str = "") -> str:
        """Write in the channel; the answer is what is said back."""
        self._said += 1
        form = {
            "token": OUTGOING_TOKEN,
            "team_id": "T0EXPO001",
            "channel_id": "C0CALLS",
            "timestamp": timestamp or f"{time.time():.0f}.{self._said:06d}",
            "user_id": user,
            "user_name": user.lower(),
            "text": text,
        }
        status, answer = post(self.url("/slack/outgoing"), urllib.parse.urlencode(form).encode())
        assert status == 200, answer
        return answer["text"] if answer else ""


class Process:
    """``staffcall run`` as a process of its own, with the settings of a shop: one that can be killed."""

    def __init__(self, shop: Shop, *, demo: bool = False, **env: str) -> None:
        settings = shop.settings
        self.env = {
            "PATH": os.environ["PATH"],
            "STAFFCALL_DATA": str(shop.data),
            "STAFFCALL_LANG": settings.lang,
            "STAFFCALL_CALLING_SECONDS": str(settings.calling_s),
            "STAFFCALL_RUNNING_SECONDS": str(settings.running_s),
            "STAFFCALL_QUIET_SECONDS": str(settings.quiet_s),
            "STAFFCALL_BUTTON_TOKEN": BUTTON_TOKEN,
            "STAFFCALL_ADMIN_TOKEN": ADMIN_TOKEN,
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
        here = until(self._where, "the start", 20)
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
