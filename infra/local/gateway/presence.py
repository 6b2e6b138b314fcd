"""Lifecycle events: who came, who left, and who listens to what, as AWS IoT Core publishes them.

Source: AWS IoT Core Developer Guide, "Lifecycle events".
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from infra.local.gateway import limits
from infra.local.gateway.packets import Message
from infra.local.gateway.policy import Client

_FORGET_MS = 3_600_000  # after about an hour's absence AWS counts from 0 again


class Leaving(StrEnum):
    """Why a client is gone, in AWS's words."""

    CLIENT_INITIATED = "CLIENT_INITIATED_DISCONNECT"
    CLIENT_ERROR = "CLIENT_ERROR"
    CONNECTION_LOST = "CONNECTION_LOST"
    DUPLICATE_CLIENT_ID = "DUPLICATE_CLIENTID"
    FORBIDDEN_ACCESS = "FORBIDDEN_ACCESS"
    KEEP_ALIVE_TIMEOUT = "MQTT_KEEP_ALIVE_TIMEOUT"
    SERVER_ERROR = "SERVER_ERROR"
    SERVER_INITIATED = "SERVER_INITIATED_DISCONNECT"
    THROTTLED = "THROTTLED"


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection of a client; ``number`` counts the client's connections from 0."""

    client: Client
    session_id: str
    number: int


class Visits:
    """How often each client id has come, for an hour after it left."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int | None]] = {}  # number, and when it left in ms

    def begin(self, client: Client, now_ms: int) -> Visit:
        number, left_ms = self._last.pop(client.id, (-1, None))
        if left_ms is not None and now_ms - left_ms > _FORGET_MS:
            number = -1
        self._last[client.id] = number + 1, None
        if len(self._last) > limits.MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        return Visit(client, str(uuid.uuid4()), number + 1)

    def end(self, visit: Visit, now_ms: int) -> None:
        self._last[visit.client.id] = visit.number, now_ms


def connected(visit: Visit, now_ms: int) -> list[Message]:
    """What is published when a client has come: one message, or none."""
    more = {"ipAddress": visit.client.address, "versionNumber": visit.number}
    return _event("presence", "connected", visit, now_ms, more)


def disconnected(visit: Visit, why: Leaving, now_ms: int) -> list[Message]:
    """What is published when a client has left: one message, or none."""
    own = why is Leaving.CLIENT_INITIATED
    more = {"clientInitiatedDisconnect": own, "disconnectReason": why, "versionNumber": visit.number}
    return _event("presence", "disconnected", visit, now_ms, more)


def subscribed(visit: Visit, filters: Sequence[str], now_ms: int) -> list[Message]:
    """What is published when a client has been granted filters: one message, or none."""
    return _event("subscriptions", "subscribed", visit, now_ms, {"topics": filters}) if filters else []


def unsubscribed(visit: Visit, filters: Sequence[str], now_ms: int) -> list[Message]:
    """What is published when a client has given filters back: one message, or none."""
    return _event("subscriptions", "unsubscribed", visit, now_ms, {"topics": filters}) if filters else []


def _event(family: str, kind: str, visit: Visit, now_ms: int, more: dict[str, Any]) -> list[Message]:
    client = visit.client
    if {"+", "#"} & set(client.id):  # no topic can hold it
        return []
    event = {
        "clientId": client.id,
        "timestamp": now_ms,
        "eventType": kind,
        "sessionIdentifier": visit.session_id,
        "principalIdentifier": client.certificate or client.user or client.rights.name,
    }
    payload = json.dumps(event | more, ensure_ascii=False).encode()
    return [Message(f"$aws/events/{family}/{kind}/{client.id}", payload, qos=1)]
