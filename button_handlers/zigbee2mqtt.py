"""Zigbee buttons (IKEA, Sonoff, Aqara, Tuya) behind Zigbee2MQTT."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from button_handlers.click import BUTTON_ID, Click, Ignored, key_of
from shadows.shadow import JsonObject
from shadows.staff import ClickType

# What is in no line is no press: `release`, `1_initial_press`, `brightness_stop`, a cube's `shake`.
CLICKS: Final[Mapping[str, ClickType]] = {
    **dict.fromkeys(("single", "short_release", "on"), ClickType.SINGLE),
    # IKEA's shortcut button says "off" for a double click, and its dimmers for their other side.
    **dict.fromkeys(("double", "double_press", "off"), ClickType.DOUBLE),
    **dict.fromkeys(("long", "hold", "long_press"), ClickType.LONG),
    **dict.fromkeys(("brightness_move_up", "brightness_move_down"), ClickType.LONG),
    # Who presses as often as that wants somebody to come.
    **dict.fromkeys(("triple", "quadruple", "many"), ClickType.SINGLE),
}
_ACTION: Final = re.compile(r"(?:(?:button_)?([1-9])_)?([a-z_]+?)(?:_(left|right|both))?")
_SIDES: Final = {None: 1, "left": 1, "right": 2, "both": 3}


def from_topic(name: str, document: JsonObject) -> Sequence[Click | Ignored]:
    """Read what is published to ``zigbee2mqtt/<friendly name>``; a ``/`` in the name is a ``_`` in that of the button.

    Shape: ``{"action"?: text, "battery"?: percent, ...}``; no id and no time. What has no action, or an empty one, is
    the device's state: the button lives.

    Raises:
        Rejected: 400, for a press of a device whose name is none for a button.

    Source: zigbee2mqtt.io, MQTT topics and messages, and the pages of E1812, E2213, SNZB-01P, WXKG02LM, WXKG11LM and TS004x.
    """
    device, battery = name.replace("/", "_"), _charge(document.get("battery"))
    said = document.get("action")
    action = _ACTION.fullmatch(said) if isinstance(said, str) else None
    if action and action[2] in CLICKS:
        number = int(action[1] or _SIDES[action[3]])
        return [Click(button=key_of(device, number), type=CLICKS[action[2]], battery=battery)]
    if not BUTTON_ID.fullmatch(device):  # somebody's lamp
        return []
    reason = "action: none that is a click, no press"
    return [Ignored(button=device, reason=reason, beats=False, battery=battery)]


def _charge(percent: object) -> float | None:
    """A press is never lost for its battery: what is no percentage is none."""
    known = isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= 100
    return round(float(str(percent)) / 100, 4) if known else None
