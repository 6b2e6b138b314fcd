"""A touch on a tile of a paired screen is a press of a button; and a mistaken one can be taken back.

Its doors are HTTP, ``/kiosk/*``. The token of a screen comes in a header only: what stands in an address is logged.
"""

from collections.abc import Callable

from button_handlers.click import Click, document_of, press_id_of
from button_handlers.doors import BODY_LIMIT, Answer, Request, Services, answered
from button_handlers.press import press
from shadows.calls import Outcome, Place, read, record
from shadows.errors import Rejected
from shadows.registry import booth as booth_of
from shadows.screens import Screen, pair, screen_of
from shadows.shadow import JsonObject, Thing
from shadows.staff import BUSY, CallEvent, ClickType, End, Event, Key, Staff

DOOR = "kiosk"


def on_pair(request: Request, services: Services) -> Answer:
    """``POST /kiosk/pair``, ``{"code", "booth"}``: the answer is ``{"token"}``, once."""

    def work() -> JsonObject:
        document = _document(request)
        return {"token": pair(services.place, _text(document, "code"), _text(document, "booth"))}

    return answered(work)


def on_touch(request: Request, services: Services) -> Answer:
    """``POST /kiosk/press``, ``{"staff", "id"}``, with the screen's token; ``id`` is the same when it is sent again."""
    return _by_screen(request, services, lambda screen, document: _touched(screen, document, services))


def on_cancel(request: Request, services: Services) -> Answer:
    """``POST /kiosk/cancel``, ``{"staff", "call"}``, with the screen's token; ``call`` is what the press answered."""
    return _by_screen(
        request, services, lambda screen, document: _cancelled(screen, document, services.place)
    )


def _by_screen(
    request: Request, services: Services, work: Callable[[Screen, JsonObject], JsonObject]
) -> Answer:
    def known() -> JsonObject:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        screen = screen_of(services.place, token.strip() if scheme.lower() == "bearer" else "")
        return work(screen, _document(request))

    return answered(known)


def _touched(screen: Screen, document: JsonObject, services: Services) -> JsonObject:
    staff, id = _text(document, "staff"), press_id_of(document, "id")
    if id is None:
        raise Rejected(400, "id: expected a text that is the same when this press is sent again, got nothing")
    if staff not in booth_of(services.place, screen.booth).staff:
        raise Rejected(404, f"staff: {staff[:64]} is not on the list of {screen.booth}")
    click = Click(button=screen.thing, type=ClickType.SINGLE, id=id)
    # What a button is bound to stands in the registry; a screen is bound to whoever was touched.
    pressed = Thing(name=screen.thing, attributes={"single": staff, "booth": screen.booth})
    return press(click, DOOR, services.place, services.unknown, services.hurries, button=pressed)


def _cancelled(screen: Screen, document: JsonObject, place: Place) -> JsonObject:
    """Take a call of this booth back, if it is still this one; whoever was on the way hears that they need not go."""
    thing, call = f"staff-{_text(document, 'staff')}", _text(document, "call")
    staff = read(place, thing)
    if staff.call.id != call or staff.call.booth != screen.booth or not _can_end(staff):
        raise Rejected(409, "call: it is over, or somebody else has it now")
    key = Key(door=DOOR, sender=screen.thing, id=f"cancel {call}")
    event = Event(kind=CallEvent.CANCEL, key=key, about=(call, staff.asked.since))
    outcome = record(place, thing, event)
    if not _is_over(outcome):
        raise Rejected(409, "call: it has just changed; try again")
    return {"thing": thing, "state": outcome.state, "call": call, "repeat": outcome.repeat}


def _can_end(staff: Staff) -> bool:
    return staff.state in BUSY or staff.call.end is End.CANCELLED


def _is_over(outcome: Outcome) -> bool:
    return outcome.state not in BUSY or outcome.repeat


def _document(request: Request) -> JsonObject:
    if len(request.body) > BODY_LIMIT:
        raise Rejected(413, f"body: expected at most {BODY_LIMIT} bytes")
    return document_of(request.body)


def _text(document: JsonObject, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 64:
        raise Rejected(400, f"{name}: expected a text of 1 to 64 characters")
    return value
