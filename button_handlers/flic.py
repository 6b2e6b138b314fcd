"""Flic buttons: an "Internet request" of the app or the hub."""

from collections.abc import Mapping

from button_handlers.click import Click, button_of, click_of
from shadows.errors import Rejected


def from_request(headers: Mapping[str, str], query: Mapping[str, str]) -> Click:
    """Read what Flic adds to the URL that one typed: it does not send the click, so each has a URL of its own.

    Shape: headers ``button-serial-number`` and, at times, ``button-battery-level`` (percent); ``?click=SINGLE``.

    Raises:
        Rejected: 400, for a field that is missing or none of these.

    Source: samples of integrations; Flic publishes no format of these headers.
    """
    return Click(
        button=button_of(headers, "button-serial-number"),
        type=click_of(query, "click"),
        battery=_battery(headers.get("button-battery-level", "")),
    )


def _battery(level: str) -> float | None:
    if not level:
        return None
    if not (level.isascii() and level.isdecimal() and int(level[:4]) <= 100):
        raise Rejected(400, "button-battery-level: expected a percentage from 0 to 100")
    return int(level) / 100
