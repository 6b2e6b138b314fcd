"""The public HTTP listener: the kiosk, the packages' doors, and what only the admin token opens."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Response, make_response, request, send_from_directory
from werkzeug.exceptions import HTTPException

from infra.local.health import Health, public
from infra.local.history import Wanted
from infra.local.limits import Strangers, TooMany
from infra.local.login import Entrance, Sessions, page, wants_page
from infra.local.login import blueprint as login_blueprint
from shadows.calls import Place, read
from shadows.errors import Rejected

log = logging.getLogger(__name__)

DIST: Final = Path(__file__).resolve().parents[2] / "spa" / "dist"
BRAND: Final = "brand.css"
HOST_NAME: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
DOORS: Final = re.compile(r"/(buttons|slack|kiosk)/")
A_YEAR: Final = 31_536_000
A_FAR_DAY: Final = 2**53  # ms since 1970; what is later does not fit into the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What the public listener shows.

    Attributes:
        ws_url: where kiosks find MQTT; "" for the page's own host with ``ws_port``.
        relayed: whether that is a broker of somebody else's, which may be there when we are not.
        brand: the file of the owner's colours, which need not be there.
        admin_token: opens ``/admin`` and ``/metrics``.
        ready: whether everything is up.
        counts: numbers for ``/metrics``, by name.
        health: what is wrong right now.
        signs: how the place is, as only it knows.
        erase: takes a thing out of the history; the answer is its pseudonym.
        doors: the packages' blueprints.
    """

    place: Place
    ws_port: int
    ws_url: str
    relayed: bool
    brand: Path
    admin_token: str = field(repr=False)
    ready: Callable[[], bool]
    counts: Callable[[], dict[str, float]]
    health: Health
    signs: Callable[[], dict[str, Any]]
    unknown_buttons: Callable[[], list[dict[str, Any]]]
    history: Callable[[Wanted], dict[str, Any]]
    erase: Callable[[str], str]
    doors: tuple[Blueprint, ...] = ()


def app(web: Web) -> Flask:
    """The Flask app of the public listener."""
    made = Flask(__name__, static_folder=None)
    made.json.ensure_ascii = False  # type: ignore[attr-defined]
    made.json.sort_keys = False  # type: ignore[attr-defined]
    for door in web.doors:
        made.register_blueprint(door)
    made.register_blueprint(_kiosk(web))
    entrance = Entrance(token=web.admin_token, sessions=Sessions(web.place.clock))
    made.register_blueprint(login_blueprint(entrance))
    made.register_blueprint(_admin(web))
    made.before_request(entrance.keep_out)
    made.register_error_handler(Rejected, _rejected)
    made.register_error_handler(HTTPException, _wrong_address)
    made.register_error_handler(Exception, _our_bug)
    made.after_request(lambda answer: _hardened(web, answer))
    strangers = Strangers()
    made.after_request(lambda answer: _counted(strangers, answer))
    return made


def _rejected(no: Exception) -> tuple[dict[str, Any], int, dict[str, str]]:
    assert isinstance(no, Rejected)
    later = {"Retry-After": str(no.wait_s)} if isinstance(no, TooMany) else {}
    return {"code": no.code, "message": no.message}, no.code, later


def _wrong_address(no: Exception) -> tuple[dict[str, Any], int]:
    assert isinstance(no, HTTPException)
    code = no.code or 500
    return {"code": code, "message": f"{request.method} {request.path}: {no.name}"}, code


def _our_bug(error: Exception) -> tuple[dict[str, Any], int]:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return {
        "code": 500,
        "message": "Something went wrong here; it is in the log. Nothing was half done: try again.",
    }, 500


def _counted(strangers: Strangers, answer: Response) -> Response:
    """Tell whoever is wrong at our doors too often to wait. What is right was let in before anybody counted."""
    if answer.status_code == 401 and DOORS.match(request.path):
        try:
            strangers.wrong(request.remote_addr or "")
        except TooMany as no:
            return make_response(_rejected(no))
    return answer


def _page_host() -> str:
    """The host name by which the page was opened; a name that is none is not put into a header or a page."""
    named = HOST_NAME.fullmatch(request.host or "")
    if not named:
        raise Rejected(400, f"Host: expected a host name, got {request.host!r}")
    return named[1]


def _mqtt_url(web: Web) -> str:
    return web.ws_url or f"ws://{_page_host()}:{web.ws_port}/mqtt"


def _hardened(web: Web, answer: Response) -> Response:
    """Strict headers for everything; a page may speak to this host and to the kiosks' MQTT, and to nobody else."""
    try:
        mqtt = re.sub(r"^(wss?://[^/]+).*", r"\1", _mqtt_url(web))
    except Rejected:
        mqtt = ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"manifest-src 'self'; connect-src 'self' {mqtt}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    answer.headers.setdefault("Content-Security-Policy", policy)
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    answer.headers.setdefault("Cache-Control", "no-store")
    if answer.status_code == 401:
        answer.headers.setdefault("WWW-Authenticate", "Bearer")
    if answer.status_code == 429:
        answer.headers.setdefault("Retry-After", "1")
    return answer


def _kiosk(web: Web) -> Blueprint:
    kiosk = Blueprint("kiosk", __name__)

    @kiosk.get("/")
    def index() -> Response:
        return _file("index.html")

    @kiosk.get("/config.json")
    def config() -> dict[str, Any]:
        return {"place": "local", "mqtt": _mqtt_url(web), "relayed": web.relayed}

    @kiosk.get("/healthz")
    def healthz() -> tuple[dict[str, Any], int]:
        if not web.ready():
            return {"status": "starting"}, 503
        wrong = public(web.health.troubles())
        return {"status": "trouble", "troubles": wrong} if wrong else {"status": "ok"}, 200

    @kiosk.route("/<path:name>", methods=["POST", "PUT", "PATCH", "DELETE"])
    def no_door(name: str) -> Response:
        raise Rejected(404, f"/{name}: there is no such door")

    @kiosk.get("/<path:name>")
    def built(name: str) -> Response:
        if name == BRAND and web.brand.is_file():
            return _file(name, web.brand.parent)
        return _file(name)

    return kiosk


def _file(name: str, folder: Path = DIST) -> Response:
    """A built file, and nothing else but the owner's colours. Names under ``assets/`` carry a hash: they never change."""
    answer = send_from_directory(folder, name)
    lasting = name.startswith("assets/")
    answer.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable" if lasting else "no-cache"
    return answer


def _admin(web: Web) -> Blueprint:
    admin = Blueprint("admin", __name__)

    @admin.get("/admin")
    @admin.get("/admin/")
    def overview() -> Any:
        shown = {
            "staff": list(_everybody(web.place)),
            "troubles": [asdict(trouble) for trouble in web.health.troubles()],
            "unknownButtons": web.unknown_buttons(),
            "counts": web.counts(),
        }
        return page("admin.html", tables=list(_tables(shown))) if wants_page() else shown

    @admin.get("/admin/api/unknown-buttons")
    def unknown_buttons() -> dict[str, Any]:
        return {"buttons": web.unknown_buttons()}

    @admin.get("/admin/api/signs")
    def signs() -> dict[str, Any]:
        return {**web.signs(), "troubles": [asdict(trouble) for trouble in web.health.troubles()]}

    @admin.get("/admin/api/history")
    def history() -> dict[str, Any]:
        asked = request.args
        return web.history(
            Wanted(
                since=min(max(0, asked.get("since", 0, int)), A_FAR_DAY),
                thing=f"staff-{asked['staff']}" if asked.get("staff") else "",
                booth=asked.get("booth", ""),
            )
        )

    @admin.post("/admin/api/staff/<id>/erase")
    def erase(id: str) -> dict[str, Any]:
        return {"pseudonym": web.erase(f"staff-{id}")}

    @admin.get("/admin/<path:name>")
    def nothing_here(name: str) -> Response:
        raise Rejected(404, f"/admin/{name}: there is no such page")

    @admin.get("/metrics")
    def metrics() -> Response:
        states = Counter(each["state"] for each in _everybody(web.place))
        lines = [f'staffcall_staff{{state="{state}"}} {count}' for state, count in sorted(states.items())]
        lines += [f"staffcall_{name} {value:g}" for name, value in web.counts().items()]
        lines += [
            f'staffcall_trouble{{what="{what}"}} {count}' for what, count in web.health.counts().items()
        ]
        return Response("\n".join([*lines, ""]), mimetype="text/plain; version=0.0.4")

    return admin


def _tables(shown: dict[str, Any]) -> Iterator[tuple[str, list[str], list[list[Any]], str]]:
    """What the page shows: title, columns, rows, and what to say where there are no rows."""
    titles = {
        "troubles": ("Troubles", "None."),
        "staff": ("Staff", "Nobody yet: staffcall staff add"),
        "unknownButtons": ("Buttons that nobody registered", "None has pressed."),
    }
    for name, (title, none) in titles.items():
        rows = shown.get(name, [])
        columns = list(rows[0]) if rows else []
        yield title, columns, [[_cell(column, row[column]) for column in columns] for row in rows], none


def _cell(column: str, value: Any) -> Any:
    if column in ("at", "since") and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return value


def _everybody(place: Place) -> Iterator[dict[str, Any]]:
    for thing in place.things.list(type="staff"):
        try:
            staff = read(place, thing.name)
        except Rejected:  # added or removed at this moment
            continue
        yield {"thing": thing.name, "name": staff.name, "state": staff.state, "told": not staff.untold}
