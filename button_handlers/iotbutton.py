"""The AWS IoT Button (the one that looks like a Dash), over MQTT."""

import re
from typing import Final

from button_handlers.click import Click, button_of, click_of
from shadows.errors import Rejected
from shadows.shadow import JsonObject

VOLTAGE: Final = re.compile(r"(\d{1,5}) ?mV")
# One lithium AAA cell: it starts at about 1.8 V, and below 1 V the radio does not come up.
EMPTY_MV: Final = 1000
FULL_MV: Final = 1800


def from_topic(button: str, document: JsonObject) -> Click:
    """Read what is published to ``iotbutton/<serial>``.

    Shape: ``{"serialNumber": text, "batteryVoltage": "1697mV", "clickType": "SINGLE" | "DOUBLE" | "LONG"}``; no id
    and no time.

    Raises:
        Rejected: 400, for a field that is missing or none of these.

    Source: github.com/aws/aws-lambda-go, events/iot_button.go and its sample.
    """
    named = button_of(document, "serialNumber") if "serialNumber" in document else button
    if named != button:
        raise Rejected(400, f"serialNumber: expected {button}, as in the topic, got another one")
    return Click(
        button=button, type=click_of(document, "clickType"), battery=_charge(document.get("batteryVoltage"))
    )


def _charge(voltage: object) -> float | None:
    if voltage is None:
        return None
    read = VOLTAGE.fullmatch(voltage) if isinstance(voltage, str) else None
    if not read:
        raise Rejected(400, 'batteryVoltage: expected millivolts such as "1697mV"')
    return round(min(1.0, max(0.0, (int(read[1]) - EMPTY_MV) / (FULL_MV - EMPTY_MV))), 2)
