"""What is to be registered, as JSON, whichever door it came by."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Final, TypeVar

from shadows import registry
from shadows.actions import Action, Allowed
from shadows.calls import Place
from shadows.document import parse_json
from shadows.errors import Rejected
from shadows.machines import Machine
from shadows.registry import Done, NewBooth, NewButton, NewStaff
from shadows.shadow import JsonObject

T = TypeVar("T", NewStaff, NewButton, NewBooth, Machine)

KINDS: Final[Mapping[object, str]] = {str: "text", int: "a whole number", list: "a list of ids"}


def read_body(body: bytes) -> JsonObject:
    """A body as a JSON object.

    Raises:
        Rejected: 400 or 415, if it is none.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        raise Rejected(400, "body: expected a JSON object")
    return document


def read_new(kind: type[T], body: JsonObject) -> T:
    """What is to be added, checked.

    Raises:
        Rejected: 400, for a field that is unknown, missing, or of another kind.
    """
    known = {each.name: each for each in fields(kind)}
    for name, value in body.items():
        if name not in known:
            raise Rejected(400, f"{name[:80]}: expected one of {', '.join(known)}, got another field")
        if type(value) is not known[name].type:
            raise Rejected(400, f"{name}: expected {KINDS[known[name].type]}, got {str(value)[:80]!r}")
    for name, each in known.items():
        if each.default is each.default_factory is MISSING and name not in body:
            raise Rejected(400, f"{name}: expected {KINDS[each.type]}, got none")
    return kind(**body)


def register_button(place: Place, body: JsonObject, allowed: Allowed) -> Done:
    """Register a button with whom it calls, their number, and what to say: the fields of ``NewButton``, and ``staff`` for
    ``single``.

    Raises:
        Rejected: 400, for a field that is none of these; 403, for a click that starts what is not ``allowed`` by name;
            otherwise as :func:`shadows.registry.add_button`.
    """
    single = {"single": body["staff"]} if "staff" in body else {}
    button = read_new(NewButton, {**{name: body[name] for name in body if name != "staff"}, **single})
    _refuse_what_is_not_named(button, allowed)
    return registry.add_button(place, button)


def _refuse_what_is_not_named(button: NewButton, allowed: Allowed) -> None:
    """By a request nobody reaches more than whoever runs this place has named."""
    for name, text in (("staff", button.single), ("double", button.double), ("long", button.long)):
        action = Action.read(name, text)
        if action and not allowed.has(action):
            raise Rejected(
                403,
                f"{name}: expected something that STAFFCALL_ACTIONS names, got {action.label}; "
                "`staffcall button add` on the machine itself needs no such name",
            )
