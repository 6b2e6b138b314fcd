"""Canaries in every secret: a whole run with every kind of failure, and then a search of all that anybody can read.

Two runs, for the two ways of Slack. What is looked through: the log, every answer of every door and page, everything
that is said over MQTT, every shadow, every file, and the command lines of all our processes.
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mqtt_wire as wire
import paho.mqtt.client as paho
import pytest
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, WEBHOOK, FakeSlack, signed
from tests.shop import Process, Shop, until

STAFFCALL = str(Path(sys.executable).with_name("staffcall"))
HTML = "text/html,*/*;q=0.5"

SECRETS = {
    "STAFFCALL_ADMIN_TOKEN": "canary-admin-3f1c",
    "STAFFCALL_BUTTON_TOKEN": "canary-button-9ad2",
    "STAFFCALL_MQTT_PASSWORD": "canary-mqtt-77e0",
    "SLACK_OUTGOING_TOKEN": "canary-outgoing-5b64",
    "SLACK_SIGNING_SECRET": "canary-signing-c08e",
    "SORACOM_BEAM_KEY": "canary-beam-41d9",
}
# An address that nobody listens at, and what is secret in it.
HOOK = {
    "whose webhook it is": "canary-hook-user-1",
    "their password": "canary-hook-word-2",
    "its path": "canary-hook-path-3",
    "its query": "canary-hook-query-4",
    "its secret": "Y2FuYXJ5LWhvb2stc2VjcmV0LTEyMzQ1Njc4OTAxMjM0",
}
HOOKS = {
    "STAFFCALL_WEBHOOK_URL": "http://{}:{}@127.0.0.1:9/{}?{}".format(*HOOK.values()),
    "STAFFCALL_WEBHOOK_SECRET": f"whsec_{HOOK['its secret']}",
}
# What the Slack of these tests knows.
WEBHOOK_SECRET = WEBHOOK.rpartition("/")[2]
BY_WEBHOOK = {"SLACK_WEBHOOK_URL": WEBHOOK_SECRET}
BY_APP = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_APP_TOKEN": APP_TOKEN}
WRONG = "canary-wrong-e6b3"  # somebody's slip: a right one for something else
PRIVATE = {
    "Hana's Slack id": "U0CANARYHANA",
    "Sora's Slack id": "U0CANARYSORA",
    "a stranger's Slack id": "U0CANARYELSE",
    "Hana's phone": "819077770001",
    "Sora's phone": "819077770002",
}
IMSI = "440107777000003"

# A handler that crashes, with all it knows at hand. Python loads this file by itself.
CRASHING = """
import button_handlers.press, slack_bridge.answer

def crash(of):
    def record(place, thing, event):
        if thing == "staff-crash" or event.note == "crash":
            raise RuntimeError("a crash that a test made")
        return of(place, thing, event)
    return record

button_handlers.press.record = crash(button_handlers.press.record)
slack_bridge.answer.record = crash(slack_bridge.answer.record)
"""


@dataclass
class Seen:
    """What anybody could read: where, and what stood there."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, what: object) -> None:
        text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        self.texts.append((where, text))

    def leaks(self, canaries: dict[str, str], *, but: tuple[str, ...] = ()) -> set[tuple[str, str]]:
        """Each place where a canary sits."""
        return {
            (where, name)
            for where, text in self.texts
            for name, canary in canaries.items()
            if canary in text and not where.startswith(but)
        }


@dataclass
class Run:
    shop: Shop
    process: Process
    slack: FakeSlack
    seen: Seen
    env: dict[str, str]
    session: str = ""

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Any request; its answer, headers and all, has been seen."""
        import http.client

        connection = http.client.HTTPConnection(self.shop.at.http, timeout=20)
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        said = "\n".join(f"{name}: {value}" for name, value in answer.getheaders() if name != "Set-Cookie")
        if cookie := answer.headers["Set-Cookie"]:
            self.session = cookie.partition(";")[0].partition("=")[2] or self.session
        connection.close()
        self.seen.add(f"answer of {method} {path.partition('?')[0]}", f"{said}\n{text}")
        return answer.status, text

    def press(self, button: str, *, token: str = SECRETS["STAFFCALL_BUTTON_TOKEN"], **more: Any) -> int:
        sent = json.dumps({"button": button, "click": "SINGLE", **more}).encode()
        return self.ask("POST", "/buttons/webhook", sent, Authorization=f"Bearer {token}")[0]

    def says(self, user: str, text: str, token: str = SECRETS["SLACK_OUTGOING_TOKEN"]) -> int:
        form = {
            "token": token,
            "channel_id": "C0CALLS",
            "timestamp": f"{time.time_ns() / 1e9:.6f}",
            "user_id": user,
            "text": text,
        }
        return self.ask("POST", "/slack/outgoing", urllib.parse.urlencode(form).encode())[0]

    def event(self, user: str, text: str, secret: str = SECRETS["SLACK_SIGNING_SECRET"]) -> int:
        said = {
            "type": "message",
            "channel": "C0CALLS",
            "user": user,
            "text": text,
            "ts": f"{time.time():.6f}",
        }
        body = json.dumps({"type": "event_callback", "event": said}).encode()
        return self.ask("POST", "/slack/events", body, **signed(body, secret, time.time()))[0]

    def staffcall(self, *arguments: str, status: int | None = 0, **env: str) -> str:
        """A subcommand; what it says has been seen by whoever typed it."""
        done = subprocess.run(
            [STAFFCALL, *arguments],
            env={**self.env, **env},
            cwd=self.shop.data.parent,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.seen.add(f"staffcall {' '.join(arguments[:2])}", done.stdout + done.stderr)
        assert status is None or done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout


@contextlib.contextmanager
def a_run(folder: Path, **more: str) -> Iterator[Run]:
    """The place as a process, with a crash built in and all secrets set."""
    (folder / "crashing").mkdir(parents=True)
    (folder / "crashing" / "sitecustomize.py").write_text(CRASHING)
    with FakeSlack() as slack:
        shop = Shop(folder / "data", slack)
        env = {
            **SECRETS,
            **HOOKS,
            "STAFFCALL_MQTT_USER": "booth",
            "STAFFCALL_QUIET_SECONDS": "0",
            "PYTHONPATH": str(folder / "crashing"),
            **{name: value.format(api=slack.api_url, hook=slack.url) for name, value in more.items()},
        }
        with Process(shop, **env) as process:
            yield Run(shop, process, slack, Seen(), process.env)


def people(run: Run) -> None:
    place = run.shop.place
    for new in (
        NewStaff(id="sora", name="Sora", slack="U0CANARYSORA", phone=PRIVATE["Sora's phone"]),
        NewStaff(id="crash", name="Crash", slack="U0CANARYCRASH"),
    ):
        add_staff(place, new)
        add_button(place, NewButton(id=f"to-{new.id}", single=new.id))
    hana = ("hana", "--name", "Hana", "--slack", "U0CANARYHANA", "--phone", PRIVATE["Hana's phone"])
    run.staffcall("staff", "add", *hana, "--backup", "sora")
    run.staffcall("button", "add", "to-hana", "--staff", "hana")
    run.staffcall("button", "add", IMSI, "--staff", "hana", "--double", "sora")


def commands(run: Run) -> None:
    for right in (
        ("staff", "list"),
        ("button", "list"),
        ("button", "list", "--unknown"),
        ("booth", "list"),
        ("report",),
        ("report", "--csv", "-"),
        ("report", "--html", "-"),
        ("backup", "a.backup"),
    ):
        run.staffcall(*right)
    run.staffcall("staff", "show", "hana")
    for wrong in (
        ("staff", "add", "hana", "--name", "Hana", "--slack", "U0CANARYHANA"),
        ("staff", "add", "twin", "--name", "Twin", "--slack", "U0CANARYHANA"),
        ("staff", "add", "nobody", "--name", "N", "--slack", "U0CANARYNOBODY", "--phone", "no digits"),
        ("staff", "show", "nobody"),
        ("button", "add", "x", "--staff", "nobody"),
        ("press", "nobody"),
    ):
        run.staffcall(*wrong, status=1)
    for name in ("STAFFCALL_ADMIN_TOKEN", "STAFFCALL_BUTTON_TOKEN"):
        run.staffcall("report", status=None, **{name: WRONG})
        run.staffcall("press", "to-hana", status=None, **{name: WRONG})


def wrong_at_every_door(run: Run) -> None:
    for _ in range(12):  # until some are told to wait
        assert run.press("to-hana", token=WRONG) in (401, 429)
        assert run.says("U0CANARYHANA", "ok", token=WRONG) in (401, 429)
    assert run.event("U0CANARYHANA", "ok", secret=WRONG) in (401, 429)
    beam = {
        "X_Soracom_Imsi": IMSI,
        "X_Soracom_Timestamp": str(time.time_ns() // 10**6),
        "X_Soracom_Signature": WRONG,
    }
    assert run.ask("POST", "/buttons/soracom", b"{}", **beam)[0] in (401, 429)
    query = urllib.parse.urlencode({"button": "to-hana", "click": "SINGLE", "token": WRONG})
    assert run.ask("GET", f"/buttons/webhook?{query}")[0] in (401, 429)
    for path in ("/admin", "/admin/api/history", "/metrics", "/admin/nothing"):
        assert run.ask("GET", path, Authorization=f"Bearer {WRONG}")[0] in (401, 429)
        assert run.ask("GET", path, Accept=HTML, Cookie=f"staffcall_session={WRONG}")[0] == 401
    form = urllib.parse.urlencode({"token": WRONG}).encode()
    kind = "application/x-www-form-urlencoded"
    assert run.ask("POST", "/admin/login", form, Accept=HTML, Content_Type=kind)[0] in (401, 429)


def nonsense_at_every_door(run: Run) -> None:
    right = {"Authorization": f"Bearer {SECRETS['STAFFCALL_BUTTON_TOKEN']}"}
    for body in (
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"button": 7}',
        b"x" * 200_000,
        b'{"click": "SINGLE"}',
    ):
        assert 400 <= run.ask("POST", "/buttons/webhook", body, **right)[0] < 500
        assert 400 <= run.ask("POST", "/buttons/soracom", body, X_Soracom_Imsi=IMSI, **right)[0] < 500
        assert 400 <= run.ask("POST", "/slack/outgoing", body)[0] < 500
        for door in ("events", "actions", "commands"):
            headers: dict[str, str] = {}
            with contextlib.suppress(UnicodeDecodeError):
                headers = signed(body, SECRETS["SLACK_SIGNING_SECRET"], time.time())
            assert 200 <= run.ask("POST", f"/slack/{door}", body, **headers)[0] < 500
    token = urllib.parse.urlencode(
        {"button": "nobody", "click": "SINGLE", "token": SECRETS["STAFFCALL_BUTTON_TOKEN"]}
    )
    assert run.ask("GET", f"/buttons/webhook?{token}")[0] == 404
    for path in (
        f"/nothing?{token}",
        f"/buttons/nothing?{token}",
        f"/admin/nothing?{token}",
        f"/assets/?{token}",
    ):
        assert run.ask("GET", path)[0] in (401, 404)
    with socket.create_connection(("127.0.0.1", int(run.shop.at.http.rpartition(":")[2])), 5) as raw:
        raw.sendall(f"NONSENSE {SECRETS['STAFFCALL_BUTTON_TOKEN']}\r\n\r\n".encode())

        assert raw.recv(65536).startswith(b"HTTP/1.")  # to its sender it repeats what it did not understand


def slack_fails(run: Run) -> None:
    """Every way in which Slack does not take a message; each time for a call of its own."""
    ways: list[dict[str, Any]] = [
        {"status": 400, "body": "invalid_payload"},
        {"status": 403, "body": "invalid_token"},
        {"status": 404, "body": "no_service"},
        {"status": 410, "body": "channel_is_archived"},
        {"status": 429, "retry_after": "1"},
        {"status": 429, "retry_after": "soon"},
        {"status": 500},
        {"status": 503, "body": "<html>busy</html>"},
        {"drop": True},
        {"hang_s": 4},
    ]
    for n, how in enumerate(ways):
        before = run.slack.refused + len(run.slack.posts)
        run.slack.next(**how)
        assert run.press("to-hana", id=f"failing {n}") == 200
        until(lambda before=before: run.slack.refused + len(run.slack.posts) > before, f"{how}", 30)  # type: ignore[misc]
    run.slack.always()
    assert run.says("U0CANARYHANA", "done") == 200


def a_story(run: Run) -> None:
    assert run.press("to-hana") == 200
    assert run.says("U0CANARYHANA", "ok, ask <@U0CANARYSORA> or <tel:+81|+81>") == 200
    assert run.says("U0CANARYELSE", "ok") == 200
    assert run.event("U0CANARYHANA", "done") == 200
    assert run.press(IMSI) == 200
    assert run.event("U0CANARYHANA", "no") == 200
    assert run.press("440107777999999") == 404
    run.says("U0CANARYSORA", "away")
    run.says("U0CANARYSORA", "back")


def crashes(run: Run) -> None:
    assert run.press("to-crash") == 500
    run.press("to-hana")
    assert run.says("U0CANARYHANA", "ok crash") == 500
    assert run.event("U0CANARYHANA", "ok crash") == 500
    until(lambda: run.process.output.count(b"a crash that a test made") >= 3, "the log of it")


def over_mqtt(run: Run) -> Callable[[], None]:
    """A kiosk and a device that hear all they may; the device presses, too. The answer ends them."""
    kiosk_at = json.loads(run.ask("GET", "/config.json")[1])["mqtt"]
    websocket = open_websocket(
        kiosk_at,
        subprotocols=[Subprotocol("mqtt")],
        compression=None,
        proxy=None,
        legacy=True,
        ping_interval=None,
    )
    kiosk = wire.WebSocketWire(websocket)
    kiosk.send(wire.connect("kiosk-main-1"))
    kiosk.read()
    kiosk.send(
        wire.subscribe(
            "#",
            *(f"$aws/things/+/shadow/{end}" for end in ("update/delta", "update/documents", "get/accepted")),
        )
    )
    host, _, port = run.shop.at.mqtt.partition(":")
    for password in (WRONG, SECRETS["STAFFCALL_MQTT_PASSWORD"]):
        device = paho.Client(paho.CallbackAPIVersion.VERSION2)
        device.username_pw_set("booth", password)
        device.on_message = lambda _c, _u, message: run.seen.add(f"MQTT {message.topic}", message.payload)
        device.on_connect = lambda client, *_: client.subscribe(
            [("#", 1), ("$aws/things/#", 1), ("$aws/events/#", 1)]
        )
        device.connect(host, int(port))
        device.loop_start()
        if password == WRONG:
            device.loop_stop()
    until(device.is_connected, "CONNACK")
    for payload in (b'{"click": "SINGLE"}', b"{", b'{"click": 7}', b"\xff"):
        device.publish("staffcall/buttons/to-hana/press", payload, 1).wait_for_publish(10)
    device.publish("staffcall/buttons/nobody/press", b'{"click": "SINGLE"}', 1).wait_for_publish(10)

    def end() -> None:
        device.disconnect()
        device.loop_stop()
        kiosk.send(wire.DISCONNECT)
        with contextlib.suppress(Exception):
            while True:
                run.seen.add("MQTT, as a kiosk hears it", kiosk.read().body)
        websocket.close()

    return end


def pages(run: Run) -> None:
    """Every page and all JSON that there is, for anybody and for the admin."""
    token = SECRETS["STAFFCALL_ADMIN_TOKEN"]
    form = urllib.parse.urlencode({"token": token}).encode()
    kind = "application/x-www-form-urlencoded"
    until(lambda: run.ask("POST", "/admin/login", form, Content_Type=kind)[0] == 303, "the login", 70)
    assert run.session
    cookie = f"staffcall_session={run.session}"
    for path in (
        "/",
        "/config.json",
        "/healthz",
        "/admin",
        "/admin/login",
        "/admin/admin.css",
        "/admin/api/history",
        "/admin/api/unknown-buttons",
        "/admin/api/signs",
        "/admin/api/health",
        "/metrics",
        "/favicon.svg",
        "/demo",
        "/demo/state",
    ):
        for headers in (
            {},
            {"Accept": HTML},
            {"Authorization": f"Bearer {token}"},
            {"Cookie": cookie, "Accept": HTML},
            {"Cookie": cookie},
        ):
            assert run.ask("GET", path, **headers)[0] in (200, 401, 404)
    for path in ("/admin/api/now", "/admin/api/staff.csv"):  # who is logged in may know
        for headers in ({}, {"Accept": HTML}, {"Cookie": "staffcall_session=x"}):
            assert run.ask("GET", path, **headers)[0] == 401


def shadows(run: Run) -> None:
    iot, data = run.shop.aws("iot"), run.shop.aws("iot-data")
    for thing in iot.list_things()["things"]:
        names = [None, *data.list_named_shadows_for_thing(thingName=thing["thingName"])["results"]]
        for name in names:
            with contextlib.suppress(data.exceptions.ResourceNotFoundException):
                more = {"shadowName": name} if name else {}
                got = data.get_thing_shadow(thingName=thing["thingName"], **more)
                run.seen.add(f"shadow of {thing['thingName']}", got["payload"].read())


def command_lines(run: Run) -> None:
    """Those of our own processes, while they run: every user of this machine can list them."""
    mine = str(run.process._process.pid)
    lines = [Path(f"/proc/{mine}/cmdline").read_bytes()]
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{mine}\n" in status.read_text():
                lines.append((status.parent / "cmdline").read_bytes())
    for line in lines:
        run.seen.add("a command line", line)


def files(run: Run) -> None:
    """Every byte on disk while it runs, and what each table holds once it has ended."""
    for file in run.shop.data.rglob("*"):
        if file.is_file():
            run.seen.add(f"file {file.name}", file.read_bytes())
            assert file.stat().st_mode & 0o077 == 0 or ".lock" in file.name, file  # nothing is in that one


def tables(run: Run) -> None:
    [file] = run.shop.data.glob("*.sqlite3")
    with contextlib.closing(sqlite3.connect(file)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                run.seen.add(f"table {table}", row)


def everything(folder: Path, slack: dict[str, str]) -> Run:
    with a_run(folder, **slack) as run:
        people(run)
        end_mqtt = over_mqtt(run)
        a_story(run)
        if "SLACK_BOT_TOKEN" not in slack:  # once is enough: they are slow
            commands(run)
        slack_fails(run)
        crashes(run)
        nonsense_at_every_door(run)
        command_lines(run)
        shadows(run)
        wrong_at_every_door(run)
        pages(run)
        end_mqtt()
        files(run)
        assert run.process.end(signal.SIGTERM) == 0
        tables(run)
        files(run)
        run.seen.add("log", run.process.output)
        return run


@pytest.mark.timeout(240)
@pytest.mark.parametrize("by", ["webhooks", "an app"])
def test_no_secret_leaves_the_process_and_nothing_private_is_shown(tmp_path: Path, by: str) -> None:
    slack = (
        {"SLACK_WEBHOOK_URL": "{hook}"}
        if by == "webhooks"
        else {
            **BY_APP,
            "SLACK_WEBHOOK_URL": "",
            "SLACK_CHANNEL": "C0CALLS",
            "SLACK_API_URL": "{api}",
        }
    )
    run = everything(tmp_path, slack)
    seen = run.seen
    where = {place.split(" ")[0] for place, _ in seen.texts}
    assert where >= {"log", "answer", "MQTT,", "MQTT", "shadow", "file", "table", "a", "staffcall"}
    assert any("U0CANARYHANA" in text for text in run.slack.texts), "Slack itself was told"
    assert seen.leaks({**PRIVATE}) >= {
        ("table attributes", name) for name in PRIVATE if "stranger" not in name
    }

    secrets = {
        **SECRETS,
        **HOOK,
        **(BY_WEBHOOK if by == "webhooks" else BY_APP),
        "a slip": WRONG,
        "the session": run.session,
    }
    assert seen.leaks(secrets) == set()
    # Slack ids and phone numbers: in the private attributes, and shown to whoever asks for them by command.
    assert seen.leaks(PRIVATE, but=("table attributes", "file staffcall.sqlite3", "staffcall ")) == set()
    shown = (
        "answer of GET /config",
        "answer of GET /healthz",
        "MQTT, as a kiosk",
        "shadow of staff",
        "shadow of booth",
    )
    public = Seen([(place, text) for place, text in seen.texts if place.startswith(shown)])
    assert public.leaks({"the SIM of a button": IMSI}) == set()


# Settings that are wrong are complained about by name.

BAD: dict[str, str] = {
    "STAFFCALL_ADMIN_TOKEN": "canary with spaces",
    "STAFFCALL_BUTTON_TOKEN": "canary\x07bell",
    "STAFFCALL_MQTT_PASSWORD": "canary-alone",
    "STAFFCALL_MQTT_URL": "http://user:canary@host",
    "SLACK_WEBHOOK_URL": "ftp://hooks.example/canary",
    "SLACK_API_URL": "slack.example/canary",
    "STAFFCALL_WS_URL": "http://user:canary@host/mqtt",
    "STAFFCALL_HTTP_PORT": "80",
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_setting_is_named_and_a_secret_is_not_repeated(tmp_path: Path, name: str) -> None:
    value = BAD[name]
    env = {"PATH": os.environ["PATH"], "STAFFCALL_DATA": str(tmp_path / "data"), **SECRETS, name: value}
    env |= (
        {"STAFFCALL_MQTT_USER": ""} if name == "STAFFCALL_MQTT_PASSWORD" else {"STAFFCALL_MQTT_USER": "booth"}
    )
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in SECRETS.items()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if name == "STAFFCALL_HTTP_PORT":
            env[name] = str(taken.getsockname()[1])
        done = subprocess.run(
            [STAFFCALL, "run"], env=env, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
        )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert name in said
    is_secret = name not in ("SLACK_API_URL", "STAFFCALL_WS_URL", "STAFFCALL_HTTP_PORT")
    assert not is_secret or "canary" not in said
    assert not any(secret in said for secret in SECRETS.values())


def test_tokens_that_are_made_are_kept_from_other_users_and_from_the_terminal(tmp_path: Path) -> None:
    with a_run(tmp_path, STAFFCALL_ADMIN_TOKEN="", STAFFCALL_BUTTON_TOKEN="", SLACK_WEBHOOK_URL="") as run:
        file = run.shop.data / "tokens.json"
        made = json.loads(file.read_text())
        assert (file.stat().st_mode & 0o777, run.shop.data.stat().st_mode & 0o777) == (0o600, 0o700)
        assert (run.shop.data / "staffcall.sqlite3").stat().st_mode & 0o077 == 0
        assert all(len(token) >= 32 for token in made.values())
        run.process.end(signal.SIGTERM)
        run.seen.add("log", run.process.output)
        for other in run.shop.data.iterdir():
            if other != file:
                run.seen.add(f"file {other.name}", other.read_bytes())
        assert run.seen.leaks(made) == set()


def test_a_secret_that_can_be_guessed_is_complained_about_at_the_start(tmp_path: Path) -> None:
    with a_run(tmp_path, STAFFCALL_BUTTON_TOKEN="zq7-zq7", SLACK_WEBHOOK_URL="") as run:
        assert b"STAFFCALL_BUTTON_TOKEN: fewer than 16 characters can be guessed" in run.process.output
        assert b"STAFFCALL_ADMIN_TOKEN: fewer" not in run.process.output
        assert b"zq7" not in run.process.output
