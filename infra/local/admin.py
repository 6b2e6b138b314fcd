"""What the admin's page asks for and sends: each address is a thin door to the function that a subcommand calls, too."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Final, TypeVar

from flask import Blueprint, Response, request

from shadows import registry, sheet
from shadows.actions import Action, Allowed, shown
from shadows.calls import Place
from shadows.document import parse_json
from shadows.errors import Rejected
from shadows.finding import Finding
from shadows.registry import Booth, Button, NewBooth, NewButton, NewStaff, Person
from shadows.shadow import JsonObject
from shadows.staff import CallEvent, ClickType

T = TypeVar("T", NewStaff, NewButton, NewBooth)

BODY_LIMIT: Final = 1 << 16
SHEET_LIMIT: Final = 1 << 20
KINDS: Final[Mapping[object, str]] = {str: "text", int: "a whole number", list: "a list of ids"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the admin's page needs besides shadows and things.

    Attributes:
        signs: how the running process is, by its own account.
        allowed: what buttons may start; what is not named there is registered on this machine, not by the page.
        unknown_buttons: those that pressed and that nobody has registered.
        news: transitions and attempts to tell of them after these two numbers.
        look: at everything that ``staffcall doctor`` looks at.
        id_by_email: whose address in Slack this is.
        erase: takes a thing out of the history; the answer is its pseudonym.
    """

    place: Place
    signs: Callable[[], JsonObject]
    allowed: Allowed
    unknown_buttons: Callable[[], list[JsonObject]]
    news: Callable[[int, int], JsonObject]
    look: Callable[[JsonObject], Iterable[Finding]]
    id_by_email: Callable[[str], str]
    erase: Callable[[str], str]


def blueprint(here: Services) -> Blueprint:
    """Everything below ``/admin/api/`` that changes something, or that the page alone asks for."""
    admin = Blueprint("admin_api", __name__)
    admin.before_request(_bounded)
    _reading(admin, here)
    _staff(admin, here)
    _buttons_and_booths(admin, here)
    return admin


def _bounded() -> None:
    request.max_content_length = SHEET_LIMIT if request.path.endswith(".csv") else BODY_LIMIT


def _reading(admin: Blueprint, here: Services) -> None:
    looking = threading.Lock()

    @admin.get("/admin/api/now")
    def now() -> JsonObject:
        said, asked = here.signs(), request.args
        return {
            "at": here.place.clock(),
            "staff": [_person(each) for each in registry.people(here.place)],
            "buttons": [_button(each) for each in registry.buttons(here.place)],
            "booths": [_booth(each, said["kiosks"]) for each in registry.booths(here.place)],
            "unknownButtons": here.unknown_buttons(),
            "troubles": said["troubles"],
            **here.news(asked.get("row", -1, int), asked.get("delivery", -1, int)),
        }

    @admin.get("/admin/api/health")
    def health() -> JsonObject:
        # It may wait for Slack, and only so many requests are answered at once: presses come first.
        if not looking.acquire(blocking=False):
            raise Rejected(503, "somebody else is looking at this very moment; try again")
        try:
            findings = list(dict.fromkeys(here.look(here.signs())))
        finally:
            looking.release()
        return {"findings": [asdict(each) for each in findings]}


def _staff(admin: Blueprint, here: Services) -> None:
    place = here.place

    @admin.post("/admin/api/staff")
    def add_staff() -> JsonObject:
        body = _body()
        email = _text(body, "email")
        new = _read(NewStaff, body)
        if email and new.slack:
            raise Rejected(400, "email: expected none beside slack")
        if email:
            new = _read(NewStaff, {**body, "slack": here.id_by_email(email)})
        return {"done": registry.add_staff(place, new), "slack": new.slack}

    @admin.delete("/admin/api/staff/<id>")
    def remove_staff(id: str) -> JsonObject:
        return asdict(registry.remove_staff(place, id))

    @admin.post("/admin/api/staff/<id>/erase")
    def erase(id: str) -> JsonObject:
        registry.check_gone(place, id)
        return {"pseudonym": here.erase(f"staff-{id}")}

    def answered(id: str, kind: CallEvent) -> JsonObject:
        outcome = registry.answer(place, id, kind)
        return {"state": outcome.state, "changed": outcome.changed}

    @admin.post("/admin/api/staff/<id>/away")
    def away(id: str) -> JsonObject:
        return answered(id, CallEvent.AWAY)

    @admin.post("/admin/api/staff/<id>/back")
    def back(id: str) -> JsonObject:
        return answered(id, CallEvent.BACK)

    @admin.put("/admin/api/staff/<id>/backup")
    def backup(id: str) -> JsonObject:
        backup = _text(_body(), "backup")
        registry.set_backup(place, id, backup)
        return {"backup": backup}

    @admin.get("/admin/api/staff.csv")
    def export() -> Response:
        written = sheet.write(registry.people(place), registry.booths(place))
        answer = Response(written.encode("utf-8-sig"), mimetype="text/csv")
        answer.headers["Content-Disposition"] = 'attachment; filename="staff.csv"'
        return answer

    @admin.post("/admin/api/staff.csv")
    def import_() -> JsonObject:
        rows = registry.import_staff(place, sheet.read(request.get_data()))
        return {"lines": [asdict(row) for row in rows]}


def _buttons_and_booths(admin: Blueprint, here: Services) -> None:
    place = here.place

    @admin.post("/admin/api/buttons")
    def add_button() -> JsonObject:
        body = _body()
        single = {"single": body.pop("staff")} if "staff" in body else {}
        button = _read(NewButton, {**body, **single})
        _refuse_what_is_not_named(button, here.allowed)
        return {"done": registry.add_button(place, button)}

    @admin.put("/admin/api/buttons/<id>/booth")
    def move_button(id: str) -> JsonObject:
        booth = _text(_body(), "booth")
        return {"before": registry.move_button(place, id, booth), "booth": booth}

    @admin.delete("/admin/api/buttons/<id>")
    def remove_button(id: str) -> JsonObject:
        registry.remove_button(place, id)
        return {}

    @admin.post("/admin/api/booths")
    def add_booth() -> JsonObject:
        return {"done": registry.add_booth(place, _read(NewBooth, _body()))}

    @admin.put("/admin/api/booths/<id>/order")
    def order(id: str) -> JsonObject:
        staff = _body().get("staff")
        if not isinstance(staff, list) or not all(isinstance(each, str) for each in staff):
            raise Rejected(400, f"staff: expected {KINDS[list]}, got {str(staff)[:80]!r}")
        registry.order_booth(place, id, staff)
        return {"staff": registry.booth(place, id).staff}


# --- what is shown


def _person(person: Person) -> JsonObject:
    about = {
        name: getattr(person, name) for name in ("id", "slack", "phone", "mail", "line", "backup", "booths")
    }
    if (staff := person.staff) is None:
        return {
            **about,
            "name": "",
            "role": "",
            "state": "",
            "told": True,
            "since": 0,
            "until": 0,
            "call": None,
        }
    call = {name: getattr(staff.call, name) for name in ("booth", "at", "count", "note", "promised")}
    return {
        **about,
        "name": staff.name,
        "role": staff.role,
        "state": staff.state,
        "told": not staff.untold,
        "since": staff.asked.since,
        "until": staff.until,
        "call": call if staff.call.id else None,
    }


def _refuse_what_is_not_named(button: NewButton, allowed: Allowed) -> None:
    """By the page nobody reaches more than whoever runs this machine has named."""
    for name, text in (("staff", button.single), ("double", button.double), ("long", button.long)):
        action = Action.read(name, text)
        if action and not allowed.has(action):
            raise Rejected(
                403,
                f"{name}: expected something that STAFFCALL_ACTIONS names, got {action.label}; "
                "`staffcall button add` on the machine itself needs no such name",
            )


def _button(button: Button) -> JsonObject:
    calls = {click.lower(): shown(button.calls.get(click, "")) for click in ClickType}
    about = ("id", "booth", "battery", "click", "at", "heard", "heartbeat_s", "result", "reason", "waiting")
    return {**{name: getattr(button, name) for name in about}, **calls}


def _booth(booth: Booth, kiosks: Mapping[str, int] | None) -> JsonObject:
    return {**asdict(booth), "screens": None if kiosks is None else kiosks.get(booth.id, 0)}


# --- what is sent


def _body() -> JsonObject:
    body = parse_json(request.get_data())
    if not isinstance(body, dict):
        raise Rejected(400, "body: expected a JSON object")
    return body


def _text(body: JsonObject, name: str) -> str:
    """A text that may be left out; it is taken from the body."""
    value = body.pop(name, "")
    if not isinstance(value, str):
        raise Rejected(400, f"{name}: expected text, got {str(value)[:80]!r}")
    return value


def _read(kind: type[T], body: JsonObject) -> T:
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
        if each.default is MISSING and name not in body:
            raise Rejected(400, f"{name}: expected {KINDS[each.type]}, got none")
    return kind(**body)
