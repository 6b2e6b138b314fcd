"""How often a button says that it lives, and when it did last: the part of its shadow that says so. Pure."""

from collections.abc import Mapping
from typing import Final

from shadows.shadow import JsonObject

SOONEST_MS: Final = 60_000  # a message that is sent again within this time says nothing new
KEPT: Final = 3


def heard(reported: JsonObject, now: int, *, beats: bool, battery: float | None) -> JsonObject:
    """What a message that is no press changes in a button's ``reported``; nothing if one came a moment ago.

    Shape: ``{"heard": ms since 1970, "heartbeat"?: {"at": ms since 1970, "every": [seconds, …]}, "battery"?: 0 to 1}``.

    Args:
        reported: as it is.
        now: ms since 1970.
        beats: whether such messages come at regular times; the last three intervals are kept.
        battery: None if the message does not say.
    """
    if 0 <= now - _whole(reported.get("heard")) < SOONEST_MS:
        return {}
    changed: JsonObject = {"heard": now}
    if beats:
        before = _heartbeat(reported)
        last = _whole(before.get("at"))
        interval = [(now - last) // 1000] if 0 < last < now else []
        changed["heartbeat"] = {"at": now, "every": [*_intervals(before), *interval][-KEPT:]}
    return changed if battery is None else {**changed, "battery": battery}


def period_s(attributes: Mapping[str, str], reported: JsonObject) -> float | None:
    """How far apart a button's heartbeats are; None if it has none.

    What was set (the attribute ``heartbeat``, seconds) holds. Else it is the middle one of the last three intervals,
    or the longer one of two: neither a message that was lost nor a battery that was changed makes another habit.
    """
    if (wished := attributes.get("heartbeat", "")).isdecimal():
        return float(wished)
    known = sorted(_intervals(_heartbeat(reported)))
    return float(known[len(known) // 2]) if known else None


def _heartbeat(reported: JsonObject) -> JsonObject:
    found = reported.get("heartbeat")
    return found if isinstance(found, dict) else {}


def _intervals(heartbeat: JsonObject) -> list[int]:
    found = heartbeat.get("every")
    return [each for each in found if _whole(each)] if isinstance(found, list) else []


def _whole(value: object) -> int:
    """A number of ms or s; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
