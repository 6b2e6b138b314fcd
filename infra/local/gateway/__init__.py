"""The device gateway: a small MQTT broker that serves `$aws/...` topics as AWS IoT Core does.

`Gateway` is all that the rest of the place needs. From the wire inwards: `listeners` (sockets), `packets` (bytes and
packets), `connection` (one client), `session` (what is kept of it), `broker` (who gets what), with `topics`, `policy`
(`grants`: AWS's policies; `certificates`: whose they are) and `presence` as the rules they ask. Nothing here knows what a shadow or a button is; it may import nothing of ours.
"""

from infra.local.gateway.broker import Elsewhere, Guests, Kept
from infra.local.gateway.certificates import Tls, TlsError
from infra.local.gateway.gateway import Counts, Gateway
from infra.local.gateway.limits import Quotas
from infra.local.gateway.packets import Message, PublishProperties
from infra.local.gateway.policy import Client

__all__ = [
    "Client",
    "Counts",
    "Elsewhere",
    "Gateway",
    "Guests",
    "Kept",
    "Message",
    "PublishProperties",
    "Quotas",
    "Tls",
    "TlsError",
]
