"""Shelly's inputs and Bluetooth buttons over MQTT. By their webhooks they call a URL like anything else."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from button_handlers.click import Click, key_of
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.staff import ClickType

# `btn_down` and `btn_up` come with each of them; a dial's `rotate_left` is no press either.
PUSHES: Final[Mapping[object, ClickType]] = {
    "single_push": ClickType.SINGLE,
    "double_push": ClickType.DOUBLE,
    "long_push": ClickType.LONG,
    # Who presses as often as that wants somebody to come.
    **dict.fromkeys(("triple_push", "long_double_push", "long_triple_push"), ClickType.SINGLE),
}
# Generation 1: S is short, L is long.
INPUTS: Final[Mapping[object, ClickType]] = {
    "S": ClickType.SINGLE,
    "SS": ClickType.DOUBLE,
    "L": ClickType.LONG,
    **dict.fromkeys(("SSS", "SL", "LS"), ClickType.SINGLE),
}
_COMPONENT: Final = re.compile(r"(?:input:([0-9]{1,2})|bthomedevice:([0-9]{1,3}))")
_CLOCK_IS_SET: Final = 1_000_000_000  # seconds since 1970; before that it counts from its start


def from_events(device: str, document: JsonObject) -> Sequence[Click]:
    """Read what a Shelly of generation 2 or later publishes to ``<prefix>/events/rpc``.

    Shape: ``{"method": "NotifyEvent", "params": {"events": [{"component": "input:0" | "bthomedevice:200", "event":
    "single_push", "idx"?: key of a Bluetooth button, "ts": seconds | null}]}}``. The prefix says which device it is: by
    it, and not by ``src``, a broker knows who may publish.

    Raises:
        Rejected: 400, for a press of a device whose prefix is no name for a button.

    Source: shelly-api-docs.shelly.cloud, generation 2, notifications, Input and BTHomeDevice.
    """
    params = document.get("params") if document.get("method") == "NotifyEvent" else None
    events = params.get("events") if isinstance(params, dict) else None
    return list(_clicks(device, events if isinstance(events, list) else []))


def from_input(device: str, number: str, document: JsonObject) -> Sequence[Click]:
    """Read what a Shelly of generation 1 publishes to ``shellies/<device>/input_event/<number>``, also unasked and again.

    Shape: ``{"event": "S" | "SS" | "SSS" | "L" | "SL" | "LS" | "", "event_cnt": number}``.

    Raises:
        Rejected: 400, for a press of a device whose name is none for a button, or one without a count.

    Source: shelly-api-docs.shelly.cloud, generation 1, Button1 and i3.
    """
    event, count = document.get("event"), document.get("event_cnt")
    if not isinstance(event, str) or event not in INPUTS:
        return []
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 10**12:
        raise Rejected(400, "event_cnt: expected a number: by it a press that is told again is known")
    return [Click(button=key_of(device, int(number) + 1), type=INPUTS[event], told=f"{event}{count}")]


def _clicks(device: str, events: Sequence[Any]) -> Iterator[Click]:
    for each in events:
        event = each if isinstance(each, dict) else {}
        component, push = _COMPONENT.fullmatch(str(event.get("component"))), event.get("event")
        if component and isinstance(push, str) and push in PUSHES:
            yield Click(button=_button(device, component, event), type=PUSHES[push], id=_id(event.get("ts")))


def _button(device: str, component: re.Match[str], event: JsonObject) -> str:
    if component[1]:
        return key_of(device, int(component[1]) + 1)
    key = event.get("idx")
    return key_of(f"{device}-blu{component[2]}", key + 1 if isinstance(key, int) and 0 <= key < 16 else 1)


def _id(ts: object) -> str | None:
    """The second of the press tells it from others, as soon as the device knows the time."""
    known = isinstance(ts, int | float) and _CLOCK_IS_SET < ts < 100 * _CLOCK_IS_SET
    return str(ts) if known else None
