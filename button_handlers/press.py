"""A click becomes a call: the end of every button's way in."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from button_handlers.click import Click
from shadows.actions import action_of, ask
from shadows.calls import Outcome, Place, read, record
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Thing
from shadows.staff import ClickType, Event, Key, pressed, step
from shadows.telling import mention_for
from shadows.whom import called_together, whom

log = logging.getLogger(__name__)

REPEAT_WITHIN_MS: Final = 2_000


class Unknown(Protocol):
    """Who remembers the buttons that nobody has registered, for an installer to adopt."""

    def note(self, button: str, at: int, door: str) -> None:
        """An unknown button pressed at ``at`` (ms since 1970), by this door."""


def press(
    click: Click,
    door: str,
    place: Place,
    unknown: Unknown,
    hurries: Callable[[str], bool] = lambda _button: False,
    *,
    button: Thing | None = None,
) -> JsonObject:
    """Call whom this click of this button is bound to, or ask for what it starts; when this returns, that is durable.

    Args:
        click: what the button sent.
        door: by which door it came; the same id at another door is another press.
        place: where we run.
        unknown: is told of a button that nobody has registered.
        hurries: counts a press of a button, and says whether it comes sooner than anybody means to press.
        button: what was pressed, for what is no button of the registry; its thing has a ``button``'s attributes.

    Returns:
        ``{"thing", "state", "call", "repeat"}``: who has the call now, their state, its id, and whether this press
        was taken before. Of what starts something ``{"action", "repeat"}``, the id of what is asked for.

    Raises:
        Rejected: 404, for a button that is unknown, or that calls nobody; 429, for one that hurries, if the press
            would only be counted, or start something; and what ``record`` and ``ask`` refuse.
    """
    button = button or _button(click, door, place, unknown)
    booth = button.attributes.get("booth", "main")
    if action_of(button, click.type):
        return _asked_for(click, door, place, button, hurries)
    reference = bound(button, click.type)
    event = called_together(reference, pressed(booth, click.type, _key(click, door), place.clock()))
    staff = whom(place, reference, booth, event)
    try:
        if hurries(click.button) and _only_counts(place, f"staff-{staff}", event):
            raise Rejected(429, f"button: {click.button} presses too fast; its call stands")
        outcome = record(place, f"staff-{staff}", event)
    except Rejected as no:
        if no.code != 404:
            raise
        raise Rejected(404, f"staff: button {click.button} calls {staff}, and there is no such staff") from no
    if not outcome.repeat:
        _note_on_button(click, place, button.name, outcome)
    return {
        "thing": outcome.thing,
        "state": outcome.state,
        "call": outcome.call.id,
        "repeat": outcome.repeat,
    }


def _asked_for(
    click: Click, door: str, place: Place, button: Thing, hurries: Callable[[str], bool]
) -> JsonObject:
    """Ask for what a click starts: whoever does it follows the button's shadow."""
    if hurries(click.button):
        raise Rejected(429, f"button: {click.button} presses too fast to start something each time")
    noted = {"click": click.type, "at": place.clock(), **_told_of(click)}
    booth = button.attributes.get("booth", "main")
    id, repeat = ask(place, button.name, _key(click, door), click=click.type, booth=booth, noted=noted)
    return {"action": id, "repeat": repeat}


def bound(button: Thing, click: ClickType) -> str:
    """Whom a click calls, an id, ``@duty`` or a group; what has no one of its own calls whom a single click calls.

    Raises:
        Rejected: 404, if that is nobody.
    """
    staff = button.attributes.get(click.lower()) or button.attributes.get("single")
    if not staff:
        raise Rejected(404, f"button: {button.name.removeprefix('button-')} is bound to nobody for {click}")
    return staff


def _button(click: Click, door: str, place: Place, unknown: Unknown) -> Thing:
    try:
        return place.things.get(f"button-{click.button}")
    except Rejected as no:
        if no.code != 404:
            raise
        log.warning("unknown button %s pressed by %s", click.button, door)
        unknown.note(click.button, place.clock(), door)
        raise Rejected(404, f"button: {click.button} is unknown; `staffcall button add` registers it") from no


def _only_counts(place: Place, thing: str, event: Event) -> bool:
    """Whether a press finds the call made already, and nobody would hear of it."""
    staff, now, quiet_s = read(place, thing), place.clock(), place.timing.quiet_s
    if event.call is None or not staff.has_call_of(event.call.booth):
        return False
    return mention_for(step(staff, event, now), now, quiet_s) is mention_for(staff, now, quiet_s)


def _key(click: Click, door: str) -> Key:
    if click.id is not None:
        return Key(door=door, sender=click.button, id=click.id)
    return Key(door=door, sender=click.button, id=click.type, within_ms=REPEAT_WITHIN_MS)


def _note_on_button(click: Click, place: Place, thing: str, outcome: Outcome) -> None:
    """Write the click down in the button's own shadow. The call is made already: nothing here may undo it."""
    noted = {"click": click.type, "at": place.clock(), "lastCall": outcome.call.id, **_told_of(click)}
    try:
        place.shadows.update(thing, reported=noted)
    except Exception:
        log.exception("%s pressed, but its own shadow was not written", thing)


def _told_of(click: Click) -> JsonObject:
    """What a click says beside that it was pressed."""
    said = {"battery": click.battery, "told": click.told}
    return {name: value for name, value in said.items() if value is not None}
