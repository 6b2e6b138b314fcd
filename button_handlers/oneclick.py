"""Events of AWS IoT 1-Click, which ended in December 2024; for those who replay or imitate them."""

from collections.abc import Mapping
from typing import Any

from button_handlers.click import Click, Ignored, button_of, click_of
from shadows.errors import Rejected
from shadows.shadow import JsonObject


def from_event(event: JsonObject) -> Click | Ignored:
    """Read a device event; one about the device's health is no press.

    Shape: ``{"deviceEvent": {"buttonClicked": {"clickType", "reportedTime"}}, "deviceInfo": {"deviceId",
    "remainingLife": percent}, "placementInfo"?}``. A button without a placement has no ``placementInfo``.

    Raises:
        Rejected: 400, for a field that is missing or none of these.

    Source: AWS IoT 1-Click developer guide, programming model.
    """
    happened, device = _part(event, "deviceEvent"), _part(event, "deviceInfo")
    if "buttonClicked" not in happened:
        return Ignored(
            button=button_of(device, "deviceId"),
            reason=f"{', '.join(sorted(happened)) or 'nothing'}: a message of the device, no press",
            beats=False,
            battery=_left(device.get("remainingLife")),
        )
    clicked = _part(happened, "buttonClicked")
    return Click(
        button=button_of(device, "deviceId"),
        type=click_of(clicked, "clickType"),
        battery=_left(device.get("remainingLife")),
        id=str(clicked["reportedTime"])[:64] if clicked.get("reportedTime") else None,
    )


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    if not isinstance(part, dict):
        raise Rejected(400, f"{name}: expected an object")
    return part


def _left(percent: object) -> float | None:
    known = isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= 100
    return round(float(str(percent)) / 100, 4) if known else None
