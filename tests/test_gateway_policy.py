"""What a device and what a kiosk may do: the whole matrix, as values."""

import pytest

from infra.local.gateway.policy import DEVICE, KIOSK, is_client_id

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
