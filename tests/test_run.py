"""``staffcall run`` as its user meets it: addresses, one clear line for what is wrong, and a clean end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from infra import running
from infra.local import run
from infra.settings import Settings, SettingsError
from tests.fake_slack import FakeSlack
from tests.shop import Process, Shop, get, post, until

STAFFCALL = str(Path(sys.executable).with_name("staffcall"))
FREE = dict.fromkeys((f"STAFFCALL_{name}_PORT" for name in ("HTTP", "WS", "MQTT", "AWS")), "0")


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


def failed(folder: Path, **env: str) -> str:
    """The one line that a start with these settings ends with."""
    done = subprocess.run(
        [STAFFCALL, "run"],
        env={"PATH": os.environ["PATH"], **FREE, "STAFFCALL_DATA": str(folder / "data"), **env},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("variable", sorted(FREE))
def test_a_port_in_use_is_one_line_that_names_its_variable(tmp_path: Path, variable: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = failed(tmp_path, **{variable: str(port)})
    assert variable in line
    assert str(port) in line


def test_one_port_for_two_listeners_is_one_line_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    line = failed(tmp_path, STAFFCALL_HTTP_PORT=port, STAFFCALL_MQTT_PORT=port)
    assert "STAFFCALL_MQTT_PORT" in line
    assert port in line


def test_a_data_folder_that_cannot_be_made_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    assert "STAFFCALL_DATA" in failed(tmp_path)


def test_a_place_without_its_pages_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DIST", tmp_path)
    with ExitStack() as stack, pytest.raises(SettingsError, match="pip install -e"):
        run.start(Settings(data=tmp_path / "data"), stack)
    assert not (tmp_path / "data").exists()


def test_a_second_place_on_the_same_data_is_refused(tmp_path: Path, slack: FakeSlack) -> None:
    with Process(Shop(tmp_path / "data", slack)):
        assert "STAFFCALL_DATA" in failed(tmp_path)


def test_every_bad_setting_is_named_at_once(tmp_path: Path) -> None:
    line = failed(tmp_path, STAFFCALL_HTTP_PORT="eighty", STAFFCALL_LANG="xx", STAFFCALL_CALLING_SECONDS="-1")
    assert all(
        name in line for name in ("STAFFCALL_HTTP_PORT", "STAFFCALL_LANG", "STAFFCALL_CALLING_SECONDS")
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_on_a_signal_while_it_is_in_use(
    tmp_path: Path, slack: FakeSlack, number: int
) -> None:
    shop = Shop(tmp_path / "data", slack)
    with Process(shop, demo=True) as process:
        assert get(shop.url("/healthz")) == (200, {"status": "ok"})
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        host, _, port = shop.at.mqtt.partition(":")
        client.connect(host, int(port))
        client.loop_start()
        slack.always(hang_s=2)
        assert shop.press()[0] == 200
        assert process.end(number) == 0
        client.loop_stop()
    assert b"Traceback" not in process.output
    assert not (shop.data / "running.json").exists()


def test_a_signal_that_another_thread_takes_stops_it_too() -> None:
    asked_to_stop = """
import signal, threading, time
from infra.local.run import prepared

wait_for_the_end = prepared()
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
threading.Timer(0.3, signal.pthread_kill, (other.ident, signal.SIGTERM)).start()
wait_for_the_end()
"""
    assert subprocess.run([sys.executable, "-c", asked_to_stop], timeout=20, check=False).returncode == 0


def test_the_demo_closes_the_loop_with_no_account(tmp_path: Path, slack: FakeSlack) -> None:
    shop = Shop(tmp_path / "data", slack)
    unset = ("SLACK_WEBHOOK_URL", "SLACK_OUTGOING_TOKEN", "STAFFCALL_BUTTON_TOKEN", "STAFFCALL_ADMIN_TOKEN")
    with Process(shop, demo=True, **dict.fromkeys(unset, "")) as process:
        at = shop.at.http

        def channel() -> str:
            return json.dumps(get(f"http://{at}/demo/state?after=0")[1]["messages"], ensure_ascii=False)

        def send(path: str, **body: str) -> int:
            return post(f"http://{at}{path}", json.dumps(body).encode(), Content_Type="application/json")[0]

        assert send("/demo/press", button="demo", click="SINGLE") == 200
        until(lambda: "花 Hana" in channel(), "the mention")
        assert send("/demo/say", staff="staff-hana", text="ok 2 min") == 200
        assert shop.state("hana") == "running"
        shown = process.output.decode()
        assert f"http://{at}/demo" in shown
        assert f"http://{at}/admin  (token: {shop.data / 'demo' / 'tokens.json'})" in shown
        tokens = json.loads((shop.data / "demo" / "tokens.json").read_text())
        assert all(secret not in shown for secret in tokens.values())
        health = get(f"http://{at}/admin/api/health", Authorization=f"Bearer {tokens['admin']}")[1][
            "findings"
        ]
        not_right = {each["what"] for each in health if each["verdict"] != "right"}
        assert not_right == {
            "kiosk",
            "settings",
        }  # no screen, and no real Slack; nobody asks Slack for the time
        assert (shop.data / "demo" / "tokens.json").stat().st_mode & 0o077 == 0


def test_the_demo_page_is_only_there_with_demo(tmp_path: Path, slack: FakeSlack) -> None:
    with Shop(tmp_path / "data", slack) as shop:
        assert get(shop.url("/demo"))[0] == 404


def own_address() -> str:
    """An address of this machine that is not loopback; "" if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # only the route is asked for; nothing is sent
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def reaches(address: str, port: str) -> bool:
    try:
        socket.create_connection((address, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


def test_open_to_the_network_means_the_kiosk_and_the_doors_alone(tmp_path: Path, slack: FakeSlack) -> None:
    address = own_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with Shop(tmp_path / "data", slack, host="0.0.0.0") as shop:
        ports = {
            name: getattr(shop.at, name).rpartition(":")[2] for name in ("http", "websocket", "mqtt", "aws")
        }
        assert {name: reaches(address, port) for name, port in ports.items()} == {
            "http": True,
            "websocket": True,
            "mqtt": False,
            "aws": False,
        }
        told = get(f"http://{address}:{ports['http']}/config.json")[1]
        assert told["mqtt"] == f"ws://{address}:{ports['websocket']}/mqtt"
        where = running.read(shop.data)
        assert where is not None
        assert (where.http, where.kiosk) == (
            f"http://127.0.0.1:{ports['http']}",
            f"http://{address}:{ports['http']}",
        )


def test_with_a_login_devices_may_come_from_the_network_and_nobody_without_it(
    tmp_path: Path, slack: FakeSlack
) -> None:
    with Shop(tmp_path / "data", slack, mqtt_user="booth", mqtt_password="secret") as shop:
        host, _, port = shop.at.mqtt.partition(":")
        for password, code in (("wrong", 5), ("secret", 0)):
            answered: list[int] = []
            client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
            client.on_connect = lambda _c, _u, _f, reason, _p, to=answered: to.append(reason.value)
            client.username_pw_set("booth", password)
            client.connect(host, int(port))
            client.loop_start()
            until(lambda to=answered: to, "CONNACK")  # type: ignore[misc]
            client.disconnect()
            client.loop_stop()
            assert (answered[0] == 0) is (code == 0)
