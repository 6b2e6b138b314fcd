"""Three that act AWS IoT Core out, asked alike: ours, moto in this process, and MiniStack in one of its own."""

import itertools
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import boto3
import paho.mqtt.client as paho
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.local.rest import EXCEPTIONS
from shadows.shadow import JsonObject
from tests.asking import Twin, twin
from tests.ministack import ROOT_KEY, Ministack
from tests.shop import ANY_KEY
from tests.stack import presigned

EVERYTHING = "$aws/things/+/shadow/#"


@dataclass(frozen=True, kw_only=True)
class Op:
    """One thing to ask for.

    Attributes:
        kind: boto3's name of it, such as ``update_thing_shadow``.
        subject: whose state it is about; "" for a list.
        shadow: of the subject; "" for the classic one.
        body: of a shadow's request; in one that is no bytes the version may be ``"right"``.
        given: boto3's arguments beside the name.
    """

    kind: str
    subject: str = ""
    shadow: str = ""
    body: Any = None
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it; times are "T" in it, and texts that only people read are left out.

    Attributes:
        error: boto3's name of the exception; "" if it was accepted.
        text: of the refusal; it is not compared.
        said: on MQTT, by the ends of the topics.
    """

    error: str = ""
    text: str = field(default="", compare=False)
    body: Any = None
    said: Mapping[str, Any] = field(default_factory=dict)


class Peer(Protocol):
    def do(self, op: Op, name: str) -> Outcome:
        """Ask for it; ``name`` is the subject's real one."""
        ...


# --- By boto3


class Boto:
    """Asks by boto3; of one that runs in this process a ``crash`` is an outcome too."""

    def __init__(self, iot: Any, data: Any, crash: tuple[type[Exception], ...] = ()) -> None:
        self._clients = {True: data, False: iot}
        self._crash = crash

    def do(self, op: Op, name: str) -> Outcome:
        is_shadow = "shadow" in op.kind
        try:
            answer = getattr(self._clients[is_shadow], op.kind)(**_arguments(op, name))
        except ClientError as no:
            return Outcome(error=no.response["Error"]["Code"], text=no.response["Error"]["Message"])
        except self._crash as bug:
            return Outcome(error=f"{type(bug).__name__} in its code")
        if is_shadow and "payload" in answer:
            return Outcome(body=timeless(json.loads(answer["payload"].read())))
        body = plain(answer)
        while op.kind.startswith("list") and "nextToken" in answer:
            answer = getattr(self._clients[is_shadow], op.kind)(**op.given, nextToken=answer["nextToken"])
            (part,) = (name for name, value in answer.items() if isinstance(value, list))
            body[part] += plain(answer)[part]
        body.pop("nextToken", None)
        return Outcome(body=body)


def _arguments(op: Op, name: str) -> dict[str, Any]:
    kind = "thingTypeName" if "type" in op.kind else "thingName"
    named = {kind: name} if name else {}
    shadow = {"shadowName": op.shadow} if op.shadow else {}
    payload = {"payload": coded(op.body)} if op.kind == "update_thing_shadow" else {}
    return {**named, **shadow, **payload, **op.given}


def coded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


# --- By MQTT


class Mqtt:
    """Publishes requests, and hears all that is said until a message of its own is back."""

    def __init__(self, client: paho.Client, host: str, port: int) -> None:
        self._client, self._heard = client, queue.SimpleQueue[tuple[str, bytes]]()
        self._marks = itertools.count()
        ready = threading.Event()
        client.on_message = lambda _c, _u, message: self._heard.put((message.topic, message.payload))
        client.on_subscribe = lambda *_: ready.set()
        client.on_connect = lambda *_: client.subscribe([(EVERYTHING, 1), ("mark/+", 1)]) and None
        client.connect(host, port)
        client.loop_start()
        assert ready.wait(20), "no SUBACK"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def do(self, op: Op, name: str) -> Outcome:
        operation = op.kind.partition("_")[0]
        prefix = f"$aws/things/{name}/shadow" + (f"/name/{op.shadow}" if op.shadow else "")
        body = b"" if op.body is None else coded(op.body)
        self._client.publish(f"{prefix}/{operation}", body, qos=1).wait_for_publish(20)
        said = {
            topic.removeprefix(f"{prefix}/"): timeless(json.loads(payload))
            for topic, payload in self._heard_so_far()
            if topic.startswith(f"{prefix}/") and topic.rsplit("/", 1)[-1] != operation
        }
        if (no := said.pop(f"{operation}/rejected", None)) is not None:
            token = {"clientToken": no["clientToken"]} if "clientToken" in no else {}
            name = EXCEPTIONS.get(no["code"], str(no["code"]))
            return Outcome(error=name, text=no["message"], body=token, said=said)
        return Outcome(body=said.get(f"{operation}/accepted"), said=said)

    def _heard_so_far(self) -> Iterator[tuple[str, bytes]]:
        mark = f"mark/{next(self._marks)}"
        self._client.publish(mark, b"", qos=1)
        while (heard := self._heard.get(timeout=20))[0] != mark:
            yield heard


# --- What may differ


def plain(answer: JsonObject) -> JsonObject:
    """An answer of the registry without identifiers, and with "T" for every time."""
    without = ("ResponseMetadata", "thingArn", "thingId", "thingTypeArn", "thingTypeId", "timestamp")
    return {
        key: [plain(each) if isinstance(each, dict) else each for each in value]
        if isinstance(value, list)
        else plain(value)
        if isinstance(value, dict)
        else "T"
        if key.endswith("Date")
        else value
        for key, value in answer.items()
        if key not in without
    }


def timeless(body: Any) -> Any:
    """A payload of the shadow service with "T" for every time."""
    if not isinstance(body, dict):
        return body
    timed = {"timestamp": "T"} if "timestamp" in body else {}
    metadata = {"metadata": _timeless(body["metadata"])} if "metadata" in body else {}
    halves = {half: timeless(body[half]) for half in ("previous", "current") if half in body}
    return body | timed | metadata | halves


def _timeless(metadata: Any) -> Any:
    if isinstance(metadata, dict):
        return {key: _timeless(value) for key, value in metadata.items()}
    if isinstance(metadata, list):
        return [_timeless(value) for value in metadata]
    return "T" if type(metadata) is int else metadata


# --- The three


@dataclass(frozen=True)
class Ours:
    rest: Boto
    mqtt: Mqtt
    twin: Twin


@contextmanager
def ours(folder: Path) -> Iterator[Ours]:
    with twin(folder) as place:
        host, _, port = place.at.mqtt.partition(":")
        device = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="peer", protocol=paho.MQTTv311)
        with Mqtt(device, host, int(port)) as mqtt:
            yield Ours(Boto(place.boto("iot"), place.boto("iot-data")), mqtt, place)


@contextmanager
def moto() -> Iterator[Boto]:
    """It takes boto3's requests to AWS, and lets those to this machine through."""
    with mock_aws():
        config = Config(retries={"total_max_attempts": 1})
        iot, data = (boto3.client(name, config=config, **ANY_KEY) for name in ("iot", "iot-data"))
        yield Boto(iot, data, (AttributeError, KeyError, TypeError))


@dataclass(frozen=True)
class Theirs:
    rest: Boto
    mqtt: Mqtt


@contextmanager
def ministack(folder: Path) -> Iterator[Theirs]:
    with Ministack(folder) as stack:
        iot = stack.client("iot")
        host = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        device = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id="peer", transport="websockets", protocol=paho.MQTTv311
        )
        device.ws_set_options(path=presigned(host, ROOT_KEY), headers={"Host": host})
        with Mqtt(device, "127.0.0.1", stack.port) as mqtt:
            yield Theirs(Boto(iot, stack.client("iot-data")), mqtt)
