"""What goes on record of each try, wherever we run: the columns of a delivery, but its number and its time."""

from shadows.actions import Tried
from shadows.shadow import JsonObject
from shadows.telling import Attempt


def of_attempt(attempt: Attempt) -> JsonObject:
    """Of one attempt to tell somebody."""
    asked = attempt.asked
    return {
        "thing": attempt.thing,
        "call": asked.call.id,
        "state": asked.state,
        "since": asked.since,
        "kind": attempt.kind or "",
        "count": asked.call.count,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "took_ms": attempt.took_ms,
    }


def of_action(tried: Tried) -> JsonObject:
    """Of one try of what a click starts: ``thing`` is the button, ``call`` the id of what was asked for, ``state`` the click."""
    order = tried.order
    return {
        "thing": tried.thing,
        "call": order.id,
        "state": order.click,
        "since": order.at,
        "kind": f"action {tried.what}".strip(),
        "count": 1,
        "outcome": tried.result,
        "reason": tried.reason,
        "took_ms": tried.took_ms,
    }
