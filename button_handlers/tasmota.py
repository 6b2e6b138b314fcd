"""Buttons of devices that run Tasmota."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from button_handlers.click import Click, key_of
from shadows.shadow import JsonObject
from shadows.staff import ClickType

CLICKS: Final[Mapping[object, ClickType]] = {
    "SINGLE": ClickType.SINGLE,
    "DOUBLE": ClickType.DOUBLE,
    "HOLD": ClickType.LONG,
    # Who presses as often as that wants somebody to come.
    **dict.fromkeys(("TRIPLE", "QUAD", "PENTA"), ClickType.SINGLE),
}
_KEY: Final = re.compile(r"Button([1-9][0-9]?)")


def from_topic(device: str, document: JsonObject) -> Sequence[Click]:
    """Read what is published to ``stat/<topic>/RESULT``, with ``SetOption73 1``; answers to commands come there too.

    Shape: ``{"Button1": {"Action": "SINGLE" | "DOUBLE" | "TRIPLE" | "QUAD" | "PENTA" | "HOLD"}}``, since version 9; no
    id, no time and no battery.

    Raises:
        Rejected: 400, for a press of a device whose topic is no name for a button.

    Source: tasmota.github.io, buttons and switches; the change log of 9.0.
    """
    return [
        Click(button=key_of(device, int(key[1])), type=CLICKS[action])
        for name, said in document.items()
        if (key := _KEY.fullmatch(name)) and isinstance(action := _action(said), str) and action in CLICKS
    ]


def _action(said: object) -> object:
    return said.get("Action") if isinstance(said, dict) else None
