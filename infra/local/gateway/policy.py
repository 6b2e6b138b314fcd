"""Who a client is and what it may do: rights are values, and nothing else in the gateway knows them."""

import re
from dataclasses import dataclass, field, replace
from typing import Final, Self

from infra.local.gateway import limits
from infra.local.gateway.grants import Grants

_THING: Final = r"\$aws/things/[^/]+/shadow"
_SHOWN: Final = r"\$aws/things/(?:staff|booth)-[a-zA-Z0-9:_-]+/shadow"
# What machines say changes every second. No screen hears it that did not ask for this very machine: no wildcard reaches it.
_MACHINE: Final = r"\$aws/things/machine-[a-zA-Z0-9:_-]+/shadow/name/data"
_MACHINE_READ: Final = r"(?:get/accepted|get/rejected|update/documents)"
_READ: Final = r"(?:get/accepted|get/rejected|update/delta|update/documents)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What one kind of client may do; each pattern must match a whole topic or filter.

    Attributes:
        name: of this kind of client; sessions of one kind are out of reach for the other.
        leaves_messages: whether it may publish retained messages and leave a will.
        trusted: whether a publish that is refused leaves the connection up, where MQTT has words to refuse it.
        grants: what a policy leaves of all this to one client; None if there is no policy.
        inbox: a topic that this one client alone may read, besides; "" for none.
    """

    name: str
    publishes: re.Pattern[str]
    subscribes: re.Pattern[str]
    receives: re.Pattern[str]
    leaves_messages: bool
    trusted: bool
    grants: Grants | None = None
    inbox: str = ""

    def may_connect(self, client_id: str) -> bool:
        return self._granted("iot:Connect", f"client/{client_id}")

    def may_publish(self, topic: str) -> bool:
        return self.publishes.fullmatch(topic) is not None and self._granted("iot:Publish", f"topic/{topic}")

    def may_retain(self, topic: str) -> bool:
        """Whether what it may publish may be retained: as on AWS, nothing on a reserved topic."""
        free = self.leaves_messages and not topic.startswith("$")
        return free and self._granted("iot:RetainPublish", f"topic/{topic}")

    def may_subscribe(self, topic_filter: str) -> bool:
        allowed = topic_filter == self.inbox or self.subscribes.fullmatch(topic_filter) is not None
        return allowed and self._granted("iot:Subscribe", f"topicfilter/{topic_filter}")

    def may_receive(self, topic: str) -> bool:
        allowed = topic == self.inbox or self.receives.fullmatch(topic) is not None
        return allowed and self._granted("iot:Receive", f"topic/{topic}")

    def of(self, client_id: str) -> Self:
        """The same for one client: a kiosk has an inbox. A client id that would be a wildcard there has none."""
        if self.name != "kiosk" or {"+", "#", "/"} & set(client_id):
            return self
        return replace(self, inbox=f"kiosk/{client_id}/in")

    def _granted(self, action: str, resource: str) -> bool:
        return self.grants is None or self.grants.allow(action, resource)


# Under `$` clients make no topics of their own: they ask there, and only the service answers.
DEVICE: Final = Rights(
    name="device",
    publishes=re.compile(rf"[^$].*|{_THING}/(?:name/[^/]+/)?(?:get|update|delete)", re.DOTALL),
    subscribes=re.compile(r".*", re.DOTALL),
    receives=re.compile(r".*", re.DOTALL),
    leaves_messages=True,
    trusted=True,
)

# Anybody who can open the page. Any thing's filter is taken, as AWS's policy for kiosks takes it; `receives` decides.
KIOSK: Final = Rights(
    name="kiosk",
    publishes=re.compile(rf"{_SHOWN}/get|{_MACHINE}/get"),
    subscribes=re.compile(rf"\$aws/things/(?:\+|[a-zA-Z0-9:_-]+)/shadow/{_READ}|{_MACHINE}/{_MACHINE_READ}"),
    receives=re.compile(rf"{_SHOWN}/{_READ}|{_MACHINE}/{_MACHINE_READ}"),
    leaves_messages=False,
    trusted=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who is connected.

    Attributes:
        user: the name it logged in with; "" if nobody had to.
        address: its IP address.
        certificate: the fingerprint of its certificate; "" if it needed none.
    """

    id: str
    rights: Rights = field(repr=False)
    address: str
    user: str = ""
    certificate: str = ""


def is_client_id(client_id: str) -> bool:
    """Whether AWS takes it: 1 to 128 bytes, and no ``$`` in front."""
    return 0 < len(client_id.encode()) <= limits.MAX_CLIENT_ID_BYTES and not client_id.startswith("$")
