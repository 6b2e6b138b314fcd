"""A message that is no press: the button lives, and that is written down in its own shadow."""

import logging

from button_handlers.click import Click, Ignored
from shadows import heartbeat
from shadows.calls import Place
from shadows.errors import Rejected

log = logging.getLogger(__name__)


def note(message: Ignored, place: Place) -> None:
    """Write a sign of life down; of a button that nobody registered, nothing is.

    Whoever sent it is answered either way: that a sign is not on record costs nobody a call.
    """
    thing = f"button-{message.button}"
    try:
        place.things.get(thing)
        changed = heartbeat.heard(
            _reported(place, thing), place.clock(), beats=message.beats, battery=message.battery
        )
        if changed:
            place.shadows.update(thing, reported=changed)
    except Rejected as no:
        if no.code != 404:
            log.warning("%s: its sign of life was not written down: %s", thing, no)


def is_told_again(click: Click, place: Place) -> bool:
    """Whether this is the button's last press, however long ago, told once more."""
    return click.told is not None and _reported(place, f"button-{click.button}").get("told") == click.told


def _reported(place: Place, thing: str) -> dict[str, object]:
    try:
        return place.shadows.get(thing).reported
    except Rejected as no:
        if no.code != 404:  # it has never pressed
            raise
        return {}
