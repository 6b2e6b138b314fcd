"""What a device and what a kiosk may do: the whole matrix, as values; and a sample of it over real sockets."""

import random
from collections.abc import Iterator

import mqtt_wire as wire
import pytest
from mqtt_wire import Running, eventually

from infra.local.gateway import Message
from infra.local.gateway.policy import DEVICE, KIOSK, is_client_id
from infra.local.gateway.topics import is_filter, is_topic

ANSWERS = ["get/accepted", "get/rejected", "update/delta", "update/documents"]
SECRETS = ["update/accepted", "update/rejected", "delete/accepted", "delete/rejected"]


@pytest.mark.parametrize(
    ("topic", "device", "kiosk"),
    [
        ("$aws/things/staff-hana/shadow/get", True, True),
        ("$aws/things/booth-main/shadow/get", True, True),
        ("$aws/things/button-1/shadow/get", True, False),
        ("$aws/things/staff-/shadow/get", True, False),
        ("$aws/things/xstaff-hana/shadow/get", True, False),
        ("$aws/things/staff-hana/shadow/update", True, False),
        ("$aws/things/staff-hana/shadow/delete", True, False),
        ("$aws/things/staff-hana/shadow/name/x/get", True, False),
        ("$aws/things/staff-hana/shadow/get/", False, False),
        ("$aws/things/staff-hana/shadow/get\n", False, False),
        *((f"$aws/things/staff-hana/shadow/{answer}", False, False) for answer in ANSWERS + SECRETS),
        *((f"$aws/things/staff-hana/shadow/name/x/{answer}", False, False) for answer in ANSWERS + SECRETS),
        ("$aws/events/presence/connected/x", False, False),
        ("$aws/things/staff-hana/jobs/get", False, False),
        ("$SYS/uptime", False, False),
        ("$", False, False),
        ("staffcall/buttons/1/press", True, False),
        ("x", True, False),
        ("x\ny", True, False),
    ],
)
def test_who_may_publish_what(topic: str, device: bool, kiosk: bool) -> None:
    assert (DEVICE.may_publish(topic), KIOSK.may_publish(topic)) == (device, kiosk)


@pytest.mark.parametrize(
    ("topic_filter", "kiosk"),
    [
        *((f"$aws/things/+/shadow/{answer}", True) for answer in ANSWERS),
        *((f"$aws/things/staff-hana/shadow/{answer}", True) for answer in ANSWERS),
        *((f"$aws/things/+/shadow/{answer}", False) for answer in SECRETS),
        *((f"$aws/things/+/shadow/name/+/{answer}", False) for answer in ANSWERS),
        ("$aws/things/+/shadow/#", False),
        ("$aws/things/+/shadow/get/+", False),
        ("$aws/things/+/shadow/+/accepted", False),
        ("$aws/things/+/shadow/get", False),
        ("$aws/+/+/shadow/get/accepted", False),
        ("$aws/#", False),
        ("$aws/events/#", False),
        ("#", False),
        ("+/+", False),
        ("staffcall/#", False),
    ],
)
def test_what_a_kiosk_may_subscribe_to(topic_filter: str, kiosk: bool) -> None:
    assert KIOSK.may_subscribe(topic_filter) is kiosk
    assert DEVICE.may_subscribe(topic_filter)


@pytest.mark.parametrize(
    ("topic", "kiosk"),
    [
        *((f"$aws/things/staff-hana/shadow/{answer}", True) for answer in ANSWERS),
        *((f"$aws/things/booth-main/shadow/{answer}", True) for answer in ANSWERS),
        *((f"$aws/things/button-1/shadow/{answer}", False) for answer in ANSWERS),
        *((f"$aws/things/staff-hana/shadow/name/x/{answer}", False) for answer in ANSWERS),
        *((f"$aws/things/staff-hana/shadow/{answer}", False) for answer in SECRETS),
        ("$aws/things/staff-hana/shadow/update", False),
        ("$aws/events/presence/connected/x", False),
        ("x", False),
    ],
)
def test_what_a_kiosk_may_receive(topic: str, kiosk: bool) -> None:
    assert KIOSK.may_receive(topic) is kiosk
    assert DEVICE.may_receive(topic)


@pytest.mark.parametrize(
    ("client_id", "expected"),
    [
        ("a", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("席" * 43, False),
        ("", False),
        ("$a", False),
        ("a$", True),
    ],
)
def test_a_client_id_is_what_aws_takes(client_id: str, expected: bool) -> None:
    assert is_client_id(client_id) is expected


# The whole matrix, judged a second time: level by level in plain words, where the gateway's policy has patterns.

THINGS = [
    *("staff-hana", "booth-main", "staff-A:b_c-9", "staff--", "button-1", "hana"),
    *("staff-", "booth-", "staff", "STAFF-hana", "Staff-hana", "xstaff-hana", "staff_hana", "booth main", ""),
    *(
        "staff-a b",
        "staff-é",
        "staff-席",
        "staff-a.b",
        "staff-a%2fb",
        "staff-a\n",
        "\nstaff-a",
        "staff-a$",
        "staff-+",
    ),
    *("+", "#", "staff-#", "staff-*", "*", "?", "..", "staff-a/b", "$aws/things/staff-a"),
]
KINDS = [
    "shadow",
    "shadow/name/x",
    "shadow/name/a/b",
    "shadow/name",
    "shadow/name/",
    "shadow/name/staff-a",
    "Shadow",
    "jobs",
    "shadow/",
    "",
]
OPERATIONS = [
    *("get", "update", "delete", *ANSWERS, *SECRETS),
    *("get/", "get/accepted/x", "GET", "get\n", "get/+", "+/accepted", "#", "+", "update/documents/#", ""),
]
STRAY = [
    *(
        "#",
        "+",
        "+/+",
        "+/#",
        "/",
        "//",
        "$",
        "$aws",
        "$aws/#",
        "$aws/+",
        "$aws/things/#",
        "$aws/things",
        "$AWS/things/x",
    ),
    *(
        "$SYS/#",
        "$SYS/uptime",
        "$aws/events/#",
        "$aws/events/presence/connected/x",
        "$aws/rules/x",
        "$share",
        "$share/g",
    ),
    *(
        "staffcall/#",
        "staffcall/buttons/+/press",
        "staffcall/buttons/1/press",
        "iotbutton/1",
        "iotbutton/+",
        "x",
        "x\ny",
    ),
    *(
        "things/staff-hana/shadow/get",
        "/$aws/things/staff-hana/shadow/get",
        " $aws/things/staff-hana/shadow/get",
    ),
    *("aws/things/staff-hana/shadow/get", "$aws/thing/staff-hana/shadow/get", "$aws//staff-hana/shadow/get"),
    *(
        "a/b/c/d/e/f/g/h",
        "a/b/c/d/e/f/g/h/i",
        "x" * 256,
        "x" * 257,
        "席" * 86,
        "a#",
        "a/#/b",
        "a+/b",
        "\u0001",
    ),
]
READ = ("get/accepted", "get/rejected", "update/delta", "update/documents")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-")


def names() -> Iterator[str]:
    """Topics and filters: every thing with every shadow and operation, all of it shared, and whatever else there is."""
    plain = [
        f"$aws/things/{thing}/{kind}/{operation}"
        for thing in THINGS
        for kind in KINDS
        for operation in OPERATIONS
    ]
    whole = ["$aws", "things", "staff-hana", "shadow", "update", "documents"]
    for i in range(len(whole)):
        for wildcard in ("+", "#"):
            plain += ["/".join([*whole[:i], wildcard, *whole[i + 1 :]]), "/".join([*whole[:i], wildcard])]
    yield from plain
    yield from STRAY
    yield from (f"$share/{group}/{each}" for group in ("g", "", "+") for each in [*plain[::97], *STRAY])


def is_shown(thing: str) -> bool:
    """A person or a booth: what a screen shows."""
    kind, dash, rest = thing.partition("-")
    return kind in ("staff", "booth") and bool(dash) and bool(rest) and LETTERS.issuperset(rest)


def parts(name: str) -> tuple[str, str] | None:
    """The thing and the operation of a classic shadow's topic; None for any other."""
    levels = name.split("/")
    if levels[:2] != ["$aws", "things"] or levels[3:4] != ["shadow"] or len(levels) < 5:
        return None
    return levels[2], "/".join(levels[4:])


def may(client: str, action: str, name: str) -> bool:
    """The table."""
    if client == "device":
        if action != "publish" or not name.startswith("$"):
            return bool(name) or action != "publish"
        levels = name.split("/")
        named = levels[4:5] == ["name"] and len(levels) == 7 and levels[5] != ""
        asks = levels[-1] in ("get", "update", "delete") and (len(levels) == 5 or named)
        return asks and levels[:2] == ["$aws", "things"] and levels[2] != "" and levels[3] == "shadow"
    if (found := parts(name)) is None:
        return False
    thing, operation = found
    match action:
        case "publish":
            return is_shown(thing) and operation == "get"
        case "subscribe":
            return (thing == "+" or (thing != "" and LETTERS.issuperset(thing))) and operation in READ
        case _:
            return is_shown(thing) and operation in READ


MATRIX = [
    (client, action, name)
    for client in ("kiosk", "device")
    for action in ("publish", "subscribe", "receive")
    for name in dict.fromkeys(names())
]


def test_the_policy_is_the_table() -> None:
    rights = {"kiosk": KIOSK, "device": DEVICE}
    judged = {case: getattr(rights[case[0]], f"may_{case[1]}")(case[2]) for case in MATRIX}
    assert {case: verdict for case, verdict in judged.items() if verdict is not may(*case)} == {}
    allowed = [case for case in MATRIX if may(*case)]
    assert len(MATRIX) >= 300
    assert {case[:2] for case in allowed} == {case[:2] for case in MATRIX}, "each may do something"
    assert all(
        is_shown(name.split("/")[2])
        for client, action, name in allowed
        if (client, action) == ("kiosk", "receive")
    )


def sample(client: str, action: str, most: int) -> list[str]:
    """As many that are allowed as are not, as far as there are; what MQTT itself forbids is among them."""
    chance = random.Random(f"{client} {action}")
    cases = [name for who, what, name in MATRIX if (who, what) == (client, action) and name]
    yes = [name for name in cases if may(client, action, name)]
    no = [name for name in cases if not may(client, action, name)]
    return chance.sample(yes, min(len(yes), most // 2)) + chance.sample(no, min(len(no), most // 2))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running() as running:
        yield running


def connected(running: Running, client: str, *filters: str, **how: object) -> wire.Wire:
    return running.kiosk("", *filters, **how) if client == "kiosk" else running.device("", *filters, **how)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("client", ["kiosk", "device"])
def test_over_the_socket_filters_are_granted_as_the_table_says(
    running: Running, client: str, version: int
) -> None:
    asked = sample(client, "subscribe", 40)
    granted = {}
    for name in asked:
        with connected(running, client, version=version) as one:
            one.send(wire.subscribe(name, version=version))
            granted[name] = one.read().body[-1] < 0x80
            assert one.quiet(0.001), "whatever was asked, it stays connected"
    assert granted == {
        name: may(client, "subscribe", name) and is_filter(name) and not name.startswith("$share/")
        for name in asked
    }
    assert {*granted.values()} == {True, False}


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("client", ["kiosk", "device"])
def test_over_the_socket_messages_are_taken_as_the_table_says(
    running: Running, client: str, retain: bool
) -> None:
    taken: list[str] = []
    for everything in ("#", "$aws/#", "$SYS/#", "$share/#", "$/#"):
        running.gateway.hook(everything, lambda message, _client: taken.append(message.topic))
    asked = sample(client, "publish", 40)
    for name in asked:
        with connected(running, client) as one:
            one.send(wire.publish(name, b"{}", 1, retain=retain))
            # As on AWS, nothing is retained on a reserved topic.
            kept = client == "device" and not name.startswith("$")
            may_it = may(client, "publish", name) and is_topic(name) and (kept or not retain)
            assert one.last_words() == b"" if not may_it else one.read() == wire.Heard(0x40, b"\0\1"), name
            assert taken == ([name] if may_it else []), name
            taken.clear()


def test_over_the_socket_a_will_is_left_as_the_table_says(running: Running) -> None:
    """A kiosk's reaches nobody, whatever its topic; a device's may go where the device may publish."""
    asked = [name for name in sample("device", "publish", 30) if is_topic(name)]
    with running.device("heir", "#", "$aws/things/#") as heir:
        for name in asked:
            with running.kiosk("kiosk-will", will=(name, b"boo")):
                pass
            with running.raw() as device:
                device.send(wire.connect("device-will", will=(name, b"boo")))
                let_in = device.read().body[1] == 0
                assert let_in is may("device", "publish", name), name
            if let_in:
                assert heir.message() == wire.Got(name, b"boo"), name
        assert heir.quiet()


def test_over_the_socket_a_kiosk_receives_as_the_table_says(running: Running) -> None:
    topics = [name for name in sample("kiosk", "receive", 200) if is_topic(name)]
    filters = [f"$aws/things/+/shadow/{answer}" for answer in READ]
    with (
        running.kiosk("", *filters) as kiosk,
        running.device("", "#", "$aws/things/#", "$aws/events/presence/#") as device,
    ):
        running.gateway.publish_soon(Message(name, b"{}") for name in topics)
        expected = [name for name in topics if may("kiosk", "receive", name)]
        assert 0 < len(expected) < len(topics)
        assert [kiosk.message().topic for _ in expected] == expected
        assert kiosk.quiet()
        assert device.message().topic in topics, "they were there to be received"
    assert eventually(lambda: running.gateway.counts().clients == 0)
