"""The local twin of AWS IoT Core, asked over MQTT and over REST, with all that it says on MQTT about it."""

import http.client
import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

from infra.local import shadows
from infra.settings import Settings
from shadows.shadow import JsonObject
from tests import mqtt_wire as wire
from tests.mqtt_wire import Got, Wire
from tests.shop import client

Said = list[tuple[str, JsonObject]]  # what comes after ".../shadow/" in the topic, and the payload
EVERYTHING = "$aws/things/+/shadow/#"


class Answer(NamedTuple):
    """Attributes:
    code: 200, or why not.
    body: of the answer, or of the refusal.
    said: all that was said on MQTT, the answer itself too if it came that way.
    """

    code: int
    body: JsonObject
    said: Said

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.said]

    def of(self, kind: str) -> JsonObject:
        """What was said on the topic that ends so, once."""
        (body,) = (body for said, body in self.said if said == kind)
        return body


class Door(Protocol):
    name: str

    def ask(self, operation: str, thing: str, payload: object = b"", shadow: str = "") -> Answer:
        """Ask for a get, an update or a delete; a payload that is not bytes is sent as JSON."""
        ...


class Twin:
    """One that runs, with a clock that tests move.

    Attributes:
        now: milliseconds since 1970.
    """

    def __init__(self, folder: Path, stack: ExitStack, **settings: Any) -> None:
        self.now = 1_000_500
        ports = dict.fromkeys(("ws_port", "mqtt_port", "aws_port"), 0)
        self.settings = Settings(**{**ports, "data": folder, "throttle": False, **settings})
        self.at, twin = shadows.start(self.settings, stack, clock=lambda: self.now)
        self.store, self.registry = twin.store, twin.registry
        self._names = itertools.count()

    def boto(self, service: str) -> Any:
        return client(service, self.at.aws)

    def device(self, client_id: str, *filters: str, version: int = 4, **how: Any) -> Wire:
        """A client over TCP, connected and subscribed at QoS 1."""
        host, _, port = self.at.mqtt.partition(":")
        device = Wire(socket.create_connection((host, int(port))), version)
        device.send(wire.connect(client_id, version=version, **how))
        assert device.read().body[1] == 0
        if filters:
            device.send(wire.subscribe(*filters, version=version))
            assert device.read().first == 0x90
        return device

    def http(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """A request as anybody can send it."""
        connection = http.client.HTTPConnection(urlsplit(self.at.aws).netloc, timeout=20)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(content) if content else None, named

    def a_name(self) -> str:
        return f"thing-{next(self._names)}"


@contextmanager
def twin(folder: Path, **settings: Any) -> Iterator[Twin]:
    with ExitStack() as stack:
        yield Twin(folder, stack, **settings)


class _Listening:
    """A door with somebody who hears all that is said of shadows."""

    def __init__(self, twin: Twin, listener: Wire) -> None:
        self._twin, self._listener = twin, listener

    def _heard(self, until: int) -> list[Got]:
        """All messages up to a packet of another kind."""
        heard = []
        while (packet := self._listener.read()).first != until:
            heard.append(wire.got(packet))
            if heard[-1].packet_id:
                self._listener.send(wire.puback(heard[-1].packet_id))
        return heard


def _coded(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def _said(heard: list[Got], thing: str, shadow: str) -> Said:
    prefix = f"$aws/things/{thing}/shadow/" + (f"name/{shadow}/" if shadow else "")
    assert all(got.topic.startswith(prefix) for got in heard), heard
    rest = [(got.topic.removeprefix(prefix), got.payload) for got in heard]
    return [(kind, json.loads(payload)) for kind, payload in rest if "/" in kind]


class Mqtt(_Listening):
    """Asks by publishing, and takes the answer from what is said."""

    name = "mqtt"

    def ask(self, operation: str, thing: str, payload: object = b"", shadow: str = "") -> Answer:
        topic = f"$aws/things/{thing}/shadow" + (f"/name/{shadow}" if shadow else "")
        self._listener.send(wire.publish(f"{topic}/{operation}", _coded(payload), 7))
        said = _said(self._heard(0x40), thing, shadow)
        (answer,) = (each for each in said if each[0] in (f"{operation}/accepted", f"{operation}/rejected"))
        return Answer(answer[1]["code"] if answer[0].endswith("rejected") else 200, answer[1], said)


class Rest(_Listening):
    """Asks over HTTP."""

    name = "rest"

    def ask(self, operation: str, thing: str, payload: object = b"", shadow: str = "") -> Answer:
        method = {"get": "GET", "update": "POST", "delete": "DELETE"}[operation]
        query = f"?name={quote(shadow)}" if shadow else ""
        body = _coded(payload) if operation == "update" else b""
        code, answer, _ = self._twin.http(method, f"/things/{quote(thing)}/shadow{query}", body)
        self._listener.send(wire.PINGREQ)
        return Answer(code, answer, _said(self._heard(0xD0), thing, shadow))
