"""The press of anything that can send JSON or call a URL."""

from collections.abc import Mapping
from contextlib import suppress

from button_handlers.click import Click, Ignored, battery_of, button_of, click_of, press_id_of
from shadows.errors import Rejected
from shadows.shadow import JsonObject


def from_document(document: JsonObject) -> Click | Ignored:
    """Read ``{"button": id, "click": "SINGLE" | "DOUBLE" | "LONG", "id"?: text, "battery"?: 0 to 1}``.

    A battery without a click, ``{"button": id, "battery": 0 to 1}``, is how such a button says that it lives.

    Raises:
        Rejected: 400, for a field that is missing or none of these.
    """
    button, battery = button_of(document, "button"), battery_of(document, "battery")
    if battery is not None and "click" not in document:
        return Ignored(button=button, reason="battery: no click beside it, no press", battery=battery)
    return Click(
        button=button,
        type=click_of(document, "click"),
        battery=battery,
        id=press_id_of(document, "id"),
    )


def from_topic(button: str, document: JsonObject) -> Click | Ignored:
    """The same, published to ``staffcall/buttons/<button>/press``: the body may name the button, but no other.

    Raises:
        Rejected: 400, as above.
    """
    named = document.get("button", button)
    if named != button:
        raise Rejected(400, f"button: expected {button}, as in the topic, or nothing, got another one")
    return from_document({**document, "button": button})


def from_query(query: Mapping[str, str]) -> Click | Ignored:
    """The same as ``?button=…&click=…``, for a Shelly and whatever else can only call a URL.

    Raises:
        Rejected: 400, as above.
    """
    battery: object = query.get("battery")
    if battery is not None:
        with suppress(ValueError):  # what is no number is refused below, in words
            battery = float(str(battery))
    return from_document({**query, "battery": battery})
