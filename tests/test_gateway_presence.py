"""Presence events: all of AWS's fields, and the reason, however a connection ends."""

import json
import re
import socket
import struct
from collections.abc import Callable
from typing import Any

import mqtt_wire as wire
import pytest
from mqtt_wire import Running, Wire

from infra.local.gateway import limits


def said_goodbye(running: Running, client: Wire) -> None:
    client.send(wire.DISCONNECT)


def cut(running: Running, client: Wire) -> None:
    """As by a firewall: a reset, without a word of TCP."""
    client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.drop()


def closed(running: Running, client: Wire) -> None:
    client.drop()


def taken_over(running: Running, client: Wire) -> None:
    with running.device("lamp") as newer:
        newer.send(wire.DISCONNECT)
        assert newer.closed()


def silent(running: Running, client: Wire) -> None:
    assert client.closed()


def forbidden(running: Running, client: Wire) -> None:
    client.send(wire.publish("$aws/things/x/shadow/update/accepted"))


def nonsense(running: Running, client: Wire) -> None:
    client.send(wire.packet(0x20))


ENDINGS: list[tuple[Callable[[Running, Wire], None], str]] = [
    (said_goodbye, "CLIENT_INITIATED_DISCONNECT"),
    (cut, "CONNECTION_LOST"),
    (closed, "CONNECTION_LOST"),
    (taken_over, "DUPLICATE_CLIENTID"),
    (silent, "MQTT_KEEP_ALIVE_TIMEOUT"),
    (forbidden, "FORBIDDEN_ACCESS"),
    (nonsense, "CLIENT_ERROR"),
]


@pytest.mark.parametrize(("end", "reason"), ENDINGS)
def test_whoever_leaves_is_told_of_with_all_that_aws_tells(
    end: Callable[[Running, Wire], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MIN_KEEP_ALIVE_S", 1)
    with (
        Running(clock=lambda: 1_793_235_600_123) as running,
        running.device("watch", "$aws/events/presence/+/lamp") as watch,
        running.device("lamp", keep_alive=1 if end is silent else 60) as client,
    ):
        came = told(watch, "connected")
        end(running, client)
        left = told(watch, "disconnected")
    session = came["sessionIdentifier"]
    assert re.fullmatch(r"[0-9a-f-]{36}", session)
    both = {
        "clientId": "lamp",
        "timestamp": 1_793_235_600_123,
        "sessionIdentifier": session,
        "principalIdentifier": "device",
        "versionNumber": 0,
    }
    assert came == {**both, "eventType": "connected", "ipAddress": "127.0.0.1"}
    assert left == {
        **both,
        "eventType": "disconnected",
        "clientInitiatedDisconnect": end is said_goodbye,
        "disconnectReason": reason,
    }


def told(watch: Wire, kind: str) -> dict[str, Any]:
    message = watch.message()
    assert message.topic == f"$aws/events/presence/{kind}/lamp"
    event: dict[str, Any] = json.loads(message.payload)
    return event


def test_who_takes_over_comes_after_the_old_one_has_left() -> None:
    with (
        Running() as running,
        running.device("watch", "$aws/events/presence/+/lamp") as watch,
        running.device("lamp"),
        running.device("lamp"),
    ):
        first, gone, second = told(watch, "connected"), told(watch, "disconnected"), told(watch, "connected")
    assert (first["versionNumber"], gone["versionNumber"], second["versionNumber"]) == (0, 0, 1)
    assert first["sessionIdentifier"] == gone["sessionIdentifier"] != second["sessionIdentifier"]


@pytest.mark.parametrize("client_id", ["a+", "#"])
def test_a_client_id_that_no_topic_can_hold_is_not_told_of(client_id: str) -> None:
    with Running() as running, running.device("watch", "$aws/events/#") as watch:
        watch.message()  # that it listens
        with running.device(client_id):
            pass
        with running.device("lamp"):
            assert json.loads(watch.message().payload)["clientId"] == "lamp"
