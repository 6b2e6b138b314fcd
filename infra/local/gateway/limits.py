"""The numbers of the gateway: AWS IoT Core's quotas, and our own bounds where AWS gives none.

Source of AWS's: "AWS IoT Core endpoints and quotas", message broker and protocol limits.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

# AWS IoT Core
MAX_PAYLOAD: Final = 128 * 1024
MAX_PACKET: Final = (
    149_504  # what AWS announces as Maximum Packet Size: a payload, its topic and 18 KB of properties
)
MAX_TOPIC_BYTES: Final = 256
MAX_SLASHES: Final = 7
MAX_CLIENT_ID_BYTES: Final = 128
MAX_FILTERS: Final = 8  # in one SUBSCRIBE
MAX_SUBSCRIPTIONS: Final = 50  # of one connection
MAX_PUBLISHES: Final = 100  # a second, of one connection
MAX_THROUGHPUT: Final = 512 * 1024  # bytes a second of one connection, each way; what is more waits
MAX_UNACKNOWLEDGED: Final = 100  # QoS 1 messages of one connection, each way
MAX_ALIASES: Final = 8
MIN_KEEP_ALIVE_S: Final = 30
MAX_KEEP_ALIVE_S: Final = 1200
MAX_SESSION_S: Final = 3600
MAX_RESUMED: Final = 10  # a second, of the messages that waited for an absent client, once it is back
MAX_RETAINED: Final = 5000

# Ours
MAX_QUESTIONS: Final = (
    1000  # a second, of a kiosk, which publishes nothing else: a wall of 200 is not to wait for them
)
MAX_SHOWN: Final = (
    8 * MAX_THROUGHPUT
)  # a second, to a kiosk: 60 updates on a wall are nearly what AWS lets pass
MAX_CLIENTS: Final = 10_000  # of one listener; AWS takes 500,000 an account
MAX_UNGREETED: Final = 100  # above it a socket is closed unheard; up to it CONNECT is answered with a refusal
CONNECT_S: Final = 10.0  # from the first byte, through a WebSocket handshake, to CONNECT
LINGER_S: Final = 1.0  # how long a connection that we end may take to read our last words
MAX_BURST: Final = 500  # packets of one connection in one turn of the loop: others wait no longer than that
MAX_OUTPUT: Final = 512 * 1024  # bytes not yet taken by the system: above it QoS 0 is dropped and QoS 1 waits
MAX_STALLED: Final = 4 * MAX_OUTPUT  # above it a client that asks and never reads the answers is cut off
MAX_QUEUED: Final = 10_000  # QoS 1 messages that wait for a connected client; then it is cut off
MAX_QUEUED_BYTES: Final = 16 * 1024 * 1024
MAX_LAG: Final = (
    1000  # of them; above it whoever publishes is slowed down, but for kiosks, who have no say in that
)
LAG_REST_S: Final = 0.01  # after each message; within it a busy reader takes a few hundred
LAG_SILENCE_S: Final = 1.0  # who has acknowledged nothing for so long is not waited for
MAX_STORED: Final = 1000  # QoS 1 messages that wait for an absent client; then the oldest goes
MAX_STORED_BYTES: Final = 4 * 1024 * 1024
MAX_ABSENT: Final = 1000  # sessions whose clients are absent; then the one longest absent is forgotten
MAX_RETAINED_BYTES: Final = 32 * 1024 * 1024
MAX_REMEMBERED: Final = 10_000  # client ids whose count of visits is remembered
MAX_TOPICS: Final = 100  # that one connection may publish to, as is remembered
MAX_ROUTES: Final = 50_000  # topics whose receivers, and hooks, are remembered
MAX_WEBSOCKET_MESSAGE: Final = 256 * 1024
MAX_RELEASED: Final = 1000  # QoS 2 messages of one session that it has not released yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Those of AWS's limits that can be switched off."""

    payload: int = MAX_PAYLOAD
    topic_bytes: int = MAX_TOPIC_BYTES
    slashes: int = MAX_SLASHES
    filters: int = MAX_FILTERS
    subscriptions: int = MAX_SUBSCRIPTIONS
    unacknowledged: int = MAX_UNACKNOWLEDGED
    qos: int = 1

    @property
    def packet(self) -> int:
        """Bytes of the largest packet."""
        return MAX_PACKET + self.payload - MAX_PAYLOAD

    @property
    def websocket_message(self) -> int:
        """Bytes of the largest message of a WebSocket."""
        return MAX_WEBSOCKET_MESSAGE + self.payload - MAX_PAYLOAD


AWS: Final = Quotas()

# What is left of a limit that is off: memory is bounded, and one message fits well below MAX_STALLED.
_OFF: Final[Mapping[str, Mapping[str, int]]] = {
    "payload": {"payload": 512 * 1024},
    "topics": {"topic_bytes": 4096, "slashes": 127},
    "filters": {"filters": 1000},
    "subscriptions": {"subscriptions": 10_000},
    "unacknowledged": {"unacknowledged": MAX_QUEUED},
    "qos-2": {"qos": 2},
}


def quotas(off: Collection[str]) -> Quotas:
    """The limits that hold when those of these names are off; of other names nothing is known here."""
    return replace(AWS, **{name: most for each in off for name, most in _OFF.get(each, {}).items()})
