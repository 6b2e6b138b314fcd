"""A real Mosquitto, with exactly the sample of ``docs/mosquitto``, but for its addresses; and clients of it."""

import json
import os
import queue
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from infra.local.http import bind
from tests.shop import ROOT, until

SAMPLE = ROOT / "docs" / "mosquitto"
PATH = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"))
SERVICE, DEVICE, PASSWORD = "staffcall", "lamp", "a word that nobody says"
REFUSED, BAD_LOGIN = 0x87, 0x86  # reason codes


def binary(name: str = "mosquitto") -> str:
    return which(name, path=PATH) or ""


def free_port() -> int:
    with bind("127.0.0.1", 0) as bound:
        return int(bound.getsockname()[1])


class Mosquitto:
    """A broker on two free ports, which can be killed, and started again on the same ones."""

    def __init__(self, folder: Path, more: str = "") -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.folder, self.port, self.ws_port = folder, free_port(), free_port()
        self.passwords = folder / "passwords"
        self.passwords.touch(0o600)
        for user in (SERVICE, DEVICE, "demo"):
            self.admit(user)
        (folder / "acl").write_text((SAMPLE / "acl").read_text())
        (folder / "acl").chmod(0o600)
        (folder / "mosquitto.conf").write_text(self._configured() + more)

    def _configured(self) -> str:
        text = (SAMPLE / "mosquitto.conf").read_text()
        rules = text.splitlines()
        assert {"listener 1883", "listener 9001"} <= set(rules), "the sample has other ports"
        text = text.replace("listener 1883", f"listener {self.port} 127.0.0.1")
        text = text.replace("listener 9001", f"listener {self.ws_port} 127.0.0.1")
        text = text.replace("/etc/mosquitto/", f"{self.folder}/").replace(
            "/var/lib/mosquitto/", f"{self.folder}/"
        )
        return text + ("user root\n" if os.name == "posix" and os.geteuid() == 0 else "")

    def admit(self, user: str, password: str = PASSWORD) -> None:
        """Let somebody in by a password, from the next start or SIGHUP on."""
        subprocess.run(
            [binary("mosquitto_passwd"), "-b", self.passwords, user, password], check=True, timeout=30
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        self._log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [binary(), "-v", "-c", str(self.folder / "mosquitto.conf")], stdout=self._log, stderr=self._log
        )
        try:
            until(self._answers, "Mosquitto", 20)
        except BaseException:
            self.end(kill=True)
            raise

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log
        with self.client(SERVICE, f"probe-{os.getpid()}", wait=False) as probe:
            return probe.is_in(1)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, *, kill: bool = False) -> None:
        """Stop it, or kill it."""
        if self._process.poll() is None:
            (self._process.kill if kill else self._process.terminate)()
        self._process.wait(20)
        self._log.close()

    def url(self, password: str = PASSWORD) -> str:
        return f"mqtt://{SERVICE}:{password.replace(' ', '%20')}@127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}/mqtt"

    @contextmanager
    def client(
        self, user: str, id: str = "", *, password: str = PASSWORD, wait: bool = True
    ) -> Iterator["Guest"]:
        """Somebody with a password; ``""`` is a kiosk, who has none and comes by WebSocket."""
        guest = Guest(id, user, password, None if user else self.ws_port, self.port)
        try:
            assert not wait or guest.is_in(20), f"{user or 'a kiosk'} was not let in: {guest.code}"
            yield guest
        finally:
            guest.leave()


class Guest:
    """A client of the broker, in MQTT 5, so that it is told when something is refused; it comes back by itself."""

    def __init__(self, id: str, user: str, password: str, ws_port: int | None, port: int) -> None:
        self.code: Any = None  # of CONNACK, while it is connected
        self.answers: list[int] = []  # of every CONNACK
        self.heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.filters: list[str] = []
        self.pubacks: dict[int, int] = {}
        self._client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=id,
            protocol=paho.MQTTv5,
            transport="websockets" if ws_port else "tcp",
        )
        if user:
            client.username_pw_set(user, password or None)
        client.reconnect_delay_set(0.2, 1)  # type: ignore[arg-type]
        client.on_connect = self._connected
        client.on_disconnect = self._lost
        client.on_message = lambda _client, _user, got: self.heard.put((got.topic, got.payload))
        client.on_publish = lambda _client, _user, mid, code, _said: self.pubacks.update({mid: code.value})
        properties = Properties(PacketTypes.CONNECT)
        client.connect_async(
            "127.0.0.1", ws_port or port, keepalive=20, clean_start=True, properties=properties
        )
        client.loop_start()

    def _connected(self, client: Any, _user: Any, _flags: Any, code: Any, _said: Any) -> None:
        for topic_filter in self.filters:
            client.subscribe(topic_filter, 1)
        self.code = code.value
        self.answers.append(code.value)

    def _lost(self, *_: Any) -> None:
        self.code = None

    def is_in(self, s: float) -> bool:
        try:
            return until(lambda: self.code is not None, "CONNACK", s) and self.code == 0
        except AssertionError:
            return False

    def listen(self, *filters: str) -> None:
        """Subscribe, now and after each reconnect."""
        granted: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._client.on_subscribe = lambda _client, _user, mid, _codes, _said: granted.put(mid)
        self.filters += filters
        for topic_filter in filters:
            self._client.subscribe(topic_filter, 1)
            granted.get(timeout=20)

    def say(self, topic: str, body: Any = b"", *, retain: bool = False) -> int:
        """Publish with QoS 1; the answer is the reason code of the PUBACK."""
        sent = self.begin(topic, body, retain=retain)
        return until(lambda: self.pubacks.get(sent, -1) + 1, f"PUBACK of {topic}", 20) - 1

    def begin(self, topic: str, body: Any = b"", *, retain: bool = False) -> int:
        """The same without waiting; the answer is the key of ``pubacks``."""
        payload = body if isinstance(body, bytes) else json.dumps(body)
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def hear(self, topic: str, s: float = 20) -> Any:
        """The next message on a topic, as JSON; what is on others is passed over."""
        while True:
            got, payload = self.heard.get(timeout=s)
            if got == topic:
                return json.loads(payload)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
