"""``staffcall shadows``: AWS IoT Core's twin as a process of its own, and the fixture that docs/alone.md offers for it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from tests.shop import ROOT, client, until

STAFFCALL = Path(sys.executable).with_name("staffcall")
FREE = {f"STAFFCALL_{port}_PORT": "0" for port in ("MQTT", "WS", "AWS")}
TEST = """
import json, socket, subprocess, threading
import paho.mqtt.client as paho


def test_it(shadows, pytestconfig):
    shadows["iot"].create_thing(thingName="lamp")
    body = json.dumps({"state": {"desired": {"on": True}}})
    shadows["iot-data"].update_thing_shadow(thingName="lamp", payload=body)
    heard, there = [], threading.Event()
    device = paho.Client(paho.CallbackAPIVersion.VERSION2)
    device.on_connect = lambda *_: device.subscribe("$aws/things/lamp/shadow/get/accepted", 1) and None
    device.on_subscribe = lambda *_: device.publish("$aws/things/lamp/shadow/get", "") and None
    device.on_message = lambda _c, _u, message: (heard.append(json.loads(message.payload)), there.set())
    host, _, port = shadows["mqtt"].partition(":")
    device.connect(host, int(port))
    device.loop_start()
    assert there.wait(20)
    device.disconnect()
    device.loop_stop()
    assert heard[0]["state"]["delta"] == {"on": True}
    pytestconfig.rootpath.joinpath("mqtt").write_text(shadows["mqtt"])
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    return {**kept, **FREE, "STAFFCALL_DATA": str(folder / "data"), **more}


@contextmanager
def served(folder: Path, **more: str) -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]", str]]:
    """Where it is, its process, and what it printed first."""
    with subprocess.Popen(
        [STAFFCALL, "shadows"], env=environment(folder, **more), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            printed = "".join(process.stdout.readline() for _ in range(4))
            yield json.loads((folder / "data" / "shadows.json").read_text()), process, printed
        finally:
            process.kill()


def reaches(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


def test_the_pages_fixture_does_what_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/alone.md").read_text("utf-8")
    fixture, example = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for name, code in (("conftest", fixture), ("test_example", example), ("test_it", TEST)):
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
    env = environment(tmp_path, PATH="/usr/bin:/bin")  # its environment need not be the active one
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'temp'}", tmp_path],
        env=env, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout or done.stdout.startswith("..")
    assert not reaches((tmp_path / "mqtt").read_text()), "it has ended with the tests"


def test_it_prints_and_writes_where_it_is_and_ends_cleanly_on_a_signal(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with served(tmp_path) as (at, process, printed):
            assert all(address in printed for address in at.values())
            assert set(at) == {"aws", "mqtt", "websocket"}
            assert client("iot", at["aws"]).list_things()["things"] == [], "there are no staff"
            assert client("iot", at["aws"]).list_thing_types()["thingTypes"] == []
            process.send_signal(number)
            assert process.wait(20) == 0
        assert not (tmp_path / "data" / "shadows.json").exists()


def test_what_was_there_is_there_after_a_restart(tmp_path: Path) -> None:
    with served(tmp_path) as (at, process, _):
        client("iot-data", at["aws"]).update_thing_shadow(
            thingName="lamp", payload=b'{"state":{"desired":{"on":1}}}'
        )
        process.kill()
        process.wait(20)
    with served(tmp_path) as (at, _, _):
        got = client("iot-data", at["aws"]).get_thing_shadow(thingName="lamp")
        assert json.loads(got["payload"].read())["state"]["desired"] == {"on": 1}


def test_by_websocket_a_client_may_do_what_it_may_by_tcp(tmp_path: Path) -> None:
    with served(tmp_path) as (at, _, _):
        assert connected(at["websocket"]) == 0


def test_with_a_login_nobody_comes_without_it(tmp_path: Path) -> None:
    login = {"STAFFCALL_MQTT_USER": "booth", "STAFFCALL_MQTT_PASSWORD": "secret-enough-for-all"}
    with served(tmp_path, **login) as (at, _, _):
        for address in (at["mqtt"], at["websocket"]):
            assert connected(address) != 0
            assert connected(address, "booth", "wrong") != 0
            assert connected(address, "booth", "secret-enough-for-all") == 0


def connected(address: str, *login: str) -> int:
    """CONNACK's code; if it is 0, an update of a shadow was answered too."""
    web = address.startswith("ws://")
    host, _, port = address.removeprefix("ws://").removesuffix("/mqtt").partition(":")
    codes: list[int] = []
    answered = threading.Event()
    device = paho.Client(
        paho.CallbackAPIVersion.VERSION2, transport="websockets" if web else "tcp", protocol=paho.MQTTv311
    )
    if login:
        device.username_pw_set(*login)

    def came(_client: Any, _user: Any, _flags: Any, code: Any, _said: Any) -> None:
        codes.append(0 if not code.is_failure else code.value)
        device.subscribe("$aws/things/any/shadow/update/accepted", 1)

    device.on_connect = came
    device.on_subscribe = lambda *_: (
        device.publish("$aws/things/any/shadow/update", '{"state":{}}', 1) and None
    )
    device.on_message = lambda *_: answered.set()
    device.connect(host, int(port))
    device.loop_start()
    try:
        code = until(lambda: codes, "CONNACK", 20)[0]
        assert code or answered.wait(20)
    finally:
        device.disconnect()
        device.loop_stop()
    return code


@pytest.mark.parametrize(
    "wrong", ["STAFFCALL_AWS_PORT", "STAFFCALL_MQTT_PORT", "STAFFCALL_WS_PORT", "STAFFCALL_MQTT_URL"]
)
def test_what_cannot_be_is_one_line_that_names_its_variable(tmp_path: Path, wrong: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        value = "mqtt://elsewhere" if wrong.endswith("URL") else str(other.getsockname()[1])
        done = subprocess.run(
            [STAFFCALL, "shadows"], env=environment(tmp_path, **{wrong: value}), cwd=tmp_path,
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (done.returncode, wrong in done.stderr) == (1, True), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
