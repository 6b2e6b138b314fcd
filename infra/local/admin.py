"""What the admin's page asks for and sends: each address is a thin door to the function that a subcommand calls, too."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final

from flask import Blueprint, Response, request

from infra import figures, rosters
from infra.local.history import Wanted
from shadows import duty, machines, orders, registry, screens, sheet
from shadows.actions import Allowed, shown
from shadows.calls import Place
from shadows.errors import Rejected
from shadows.finding import Finding
from shadows.forms import KINDS, read_body, read_new, register_button
from shadows.machines import Machine
from shadows.registry import Booth, Button, NewBooth, NewStaff, Person
from shadows.shadow import JsonObject
from shadows.staff import CallEvent, ClickType

BODY_LIMIT: Final = 1 << 16
SHEET_LIMIT: Final = 1 << 20
A_FAR_DAY: Final = 2**53  # ms since 1970; what is later does not fit into the database
SAID_S: Final = 300  # an announcement stays so long, if nobody says how long
MOST_SAID: Final = 20  # lines of a file that are wrong


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
        history: what is on record.
        connected: the screens that are there, or were a while ago; None where nobody knows.
        publish: a payload to a topic.
    """

    place: Place
    signs: Callable[[], JsonObject]
    allowed: Allowed
    unknown_buttons: Callable[[], list[JsonObject]]
    news: Callable[[int, int], JsonObject]
    look: Callable[[JsonObject], Iterable[Finding]]
    id_by_email: Callable[[str], str]
    erase: Callable[[str], str]
    history: Callable[[Wanted], JsonObject]
    connected: Callable[[], list[JsonObject] | None]
    publish: orders.Publish


def blueprint(here: Services) -> Blueprint:
    """Everything below ``/admin/api/`` that changes something, or that the page alone asks for."""
    admin = Blueprint("admin_api", __name__)
    admin.before_request(_bounded)
    _reading(admin, here)
    _staff(admin, here)
    _buttons_and_booths(admin, here)
    _screens(admin, here)
    _machines(admin, here.place)
    _roster(admin, here.place)
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

    @admin.get("/admin/api/figures")
    def figures_() -> JsonObject:
        from infra.commands.pictures import drawings  # noqa: PLC0415 - the charts' library takes its time

        since, booth = max(0, request.args.get("since", 0, int)), request.args.get("booth", "")

        def page(before: figures.Before) -> JsonObject:
            wanted = Wanted(since=min(since, A_FAR_DAY), booth=booth)
            return here.history(replace(wanted, before=before) if before else wanted)

        with _one_at_a_time(looking):
            found = figures.whole(page)
            told = [each for each in figures.calls(found["rows"], found["deliveries"]) if each.at > since]
            drawn = [{"title": title, "svg": svg} for title, (svg, _) in drawings(told).items()]
        return {**figures.plain(told), "pictures": drawn}

    @admin.get("/admin/api/health")
    def health() -> JsonObject:
        with _one_at_a_time(looking):
            findings = list(dict.fromkeys(here.look(here.signs())))
        return {"findings": [asdict(each) for each in findings]}


@contextmanager
def _one_at_a_time(looking: threading.Lock) -> Iterator[None]:
    """For what takes long: only so many requests are answered at once, and presses come first."""
    if not looking.acquire(blocking=False):
        raise Rejected(503, "somebody else is looking at this very moment; try again")
    try:
        yield
    finally:
        looking.release()


def _staff(admin: Blueprint, here: Services) -> None:
    place = here.place

    @admin.post("/admin/api/staff")
    def add_staff() -> JsonObject:
        body = _body()
        email = _text(body, "email")
        new = read_new(NewStaff, body)
        if email and new.slack:
            raise Rejected(400, "email: expected none beside slack")
        if email:
            new = read_new(NewStaff, {**body, "slack": here.id_by_email(email)})
        return {"done": registry.add_staff(place, new), "slack": new.slack}

    @admin.put("/admin/api/staff/<id>")
    def edit_staff(id: str) -> JsonObject:
        body = _body()
        changes = {name: _text(body, name) for name in list(body)}
        registry.edit_staff(place, id, changes)
        return {"changed": list(changes)}

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
        return _csv("staff", sheet.write(registry.people(place), registry.booths(place)))

    @admin.post("/admin/api/staff.csv")
    def import_() -> JsonObject:
        rows = registry.import_staff(place, sheet.read(request.get_data()))
        return {"lines": [asdict(row) for row in rows]}


def _buttons_and_booths(admin: Blueprint, here: Services) -> None:
    place = here.place

    @admin.post("/buttons/register")
    @admin.post("/admin/api/buttons")
    def add_button() -> JsonObject:
        return {"done": register_button(place, _body(), here.allowed)}

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
        return {"done": registry.add_booth(place, read_new(NewBooth, _body()))}

    @admin.put("/admin/api/booths/<id>/order")
    def order(id: str) -> JsonObject:
        staff = _body().get("staff")
        if not isinstance(staff, list) or not all(isinstance(each, str) for each in staff):
            raise Rejected(400, f"staff: expected {KINDS[list]}, got {str(staff)[:80]!r}")
        registry.order_booth(place, id, staff)
        return {"staff": registry.booth(place, id).staff}

    @admin.post("/admin/api/booths/<id>/announce")
    def announce(id: str) -> JsonObject:
        orders.announce(place, id, *_said(_body()))
        return {}


def _screens(admin: Blueprint, here: Services) -> None:
    place = here.place

    @admin.get("/admin/api/kiosks")
    def kiosks() -> JsonObject:
        return {"paired": [asdict(each) for each in screens.screens(place)], "connected": here.connected()}

    @admin.post("/admin/api/kiosks")
    def pair() -> JsonObject:
        made = screens.invite(place, _text(_body(), "booth"))
        return {**asdict(made.screen), "code": made.code}

    @admin.delete("/admin/api/kiosks/<id>")
    def revoke(id: str) -> JsonObject:
        screens.revoke(place, id)
        return {}

    @admin.post("/admin/api/kiosks/<id>/say")
    def say(id: str) -> JsonObject:
        orders.say(here.publish, place.clock, id, *_said(_body()))
        return {}

    @admin.post("/admin/api/kiosks/<id>/identify")
    def identify(id: str) -> JsonObject:
        orders.identify(here.publish, id)
        return {}

    @admin.post("/admin/api/kiosks/<id>/reload")
    def reload(id: str) -> JsonObject:
        orders.reload(here.publish, id)
        return {}


def _said(body: JsonObject) -> tuple[str, int]:
    seconds = body.get("seconds", SAID_S)
    if type(seconds) is not int:
        raise Rejected(400, f"seconds: expected {KINDS[int]}, got {str(seconds)[:80]!r}")
    return _text(body, "text"), seconds


def _machines(admin: Blueprint, place: Place) -> None:
    @admin.get("/admin/api/machines")
    def machines_() -> JsonObject:
        return {"machines": [asdict(each) for each in machines.machines(place)]}

    @admin.post("/admin/api/machines")
    def add_machine() -> JsonObject:
        body = _body()
        units = body.pop("units", {})
        if not isinstance(units, dict) or not all(isinstance(unit, str) for unit in units.values()):
            raise Rejected(400, f"value: expected the unit of each, as text, got {str(units)[:80]!r}")
        machines.add_machine(place, replace(read_new(Machine, body), units=units))
        return {}

    @admin.delete("/admin/api/machines/<id>")
    def remove_machine(id: str) -> JsonObject:
        machines.remove_machine(place, id)
        return {}


def _roster(admin: Blueprint, place: Place) -> None:
    @admin.get("/admin/api/roster")
    def show_roster() -> JsonObject:
        now = place.clock()
        return {
            "duties": [{**asdict(each), "now": each.start <= now < each.end} for each in duty.roster(place)]
        }

    @admin.get("/admin/api/roster.csv")
    def export_roster() -> Response:
        return _csv("roster", rosters.written(duty.roster(place), None))

    @admin.put("/admin/api/roster.csv")
    def import_roster() -> JsonObject:
        try:
            return {"lines": len(rosters.load(place, sheet.decoded(request.get_data()), None))}
        except rosters.BadRoster as bad:
            more = f" (and {len(bad.problems) - MOST_SAID} more)" if len(bad.problems) > MOST_SAID else ""
            raise Rejected(400, "; ".join(bad.problems[:MOST_SAID]) + more) from None


def _csv(name: str, written: str) -> Response:
    answer = Response(written.encode("utf-8-sig"), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


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


def _button(button: Button) -> JsonObject:
    calls = {click.lower(): shown(button.calls.get(click, "")) for click in ClickType}
    about = ("id", "booth", "battery", "click", "at", "heard", "heartbeat_s", "result", "reason", "waiting")
    return {**{name: getattr(button, name) for name in about}, **calls}


def _booth(booth: Booth, kiosks: Mapping[str, int] | None) -> JsonObject:
    return {**asdict(booth), "screens": None if kiosks is None else kiosks.get(booth.id, 0)}


# --- what is sent


def _body() -> JsonObject:
    return read_body(request.get_data())


def _text(body: JsonObject, name: str) -> str:
    """A text that may be left out; it is taken from the body."""
    value = body.pop(name, "")
    if not isinstance(value, str):
        raise Rejected(400, f"{name}: expected text, got {str(value)[:80]!r}")
    return value
