"""The public HTTP listener: the kiosk, the packages' doors, and what only the admin token opens."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Response, make_response, redirect, request, send_from_directory
from werkzeug.exceptions import HTTPException

from infra.local import admin
from infra.local.admin import A_FAR_DAY
from infra.local.health import Health, public
from infra.local.history import BEYOND, Wanted
from infra.local.limits import Strangers, TooMany
from infra.local.login import Entrance, Sessions, wants_page
from infra.local.login import blueprint as login_blueprint
from infra.local.metrics import Page, Tally
from shadows.actions import Allowed
from shadows.calls import Place, read
from shadows.errors import Rejected
from shadows.finding import Finding
from shadows.orders import Publish
from shadows.registry import booths

log = logging.getLogger(__name__)

DIST: Final = Path(__file__).resolve().parents[2] / "spa" / "dist"
BRAND: Final = "brand.css"
HOST_NAME: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
DOORS: Final = re.compile(r"/(buttons|slack|answer|kiosk)/")
PAGE: Final = "admin.html"
A_YEAR: Final = 31_536_000


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
        tally: how calls go, for ``/metrics``.
        health: what is wrong right now.
        signs: how the place is, as only it knows.
        news: what is on record after a transition and an attempt of these numbers.
        look: at everything that ``staffcall doctor`` looks at, given ``signs`` and the troubles.
        allowed: what buttons may start.
        id_by_email: whose address in Slack this is.
        erase: takes a thing out of the history; the answer is its pseudonym.
        connected: the screens that are there, or were a while ago; None where nobody knows.
        publish: a payload to a topic of MQTT.
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
    tally: Tally
    health: Health
    signs: Callable[[], dict[str, Any]]
    unknown_buttons: Callable[[], list[dict[str, Any]]]
    history: Callable[[Wanted], dict[str, Any]]
    news: Callable[[int, int], dict[str, Any]]
    look: Callable[[dict[str, Any]], Iterable[Finding]]
    allowed: Allowed
    id_by_email: Callable[[str], str]
    erase: Callable[[str], str]
    connected: Callable[[], list[dict[str, Any]] | None]
    publish: Publish
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
    made.register_blueprint(admin.blueprint(_services(web)))
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
        if name == PAGE:
            raise Rejected(404, f"/{name}: it is at /admin")
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


def _signs(web: Web) -> dict[str, Any]:
    return {**web.signs(), "troubles": [asdict(trouble) for trouble in web.health.troubles()]}


def _services(web: Web) -> admin.Services:
    return admin.Services(
        place=web.place,
        signs=lambda: _signs(web),
        allowed=web.allowed,
        unknown_buttons=web.unknown_buttons,
        news=web.news,
        look=web.look,
        id_by_email=web.id_by_email,
        erase=web.erase,
        history=web.history,
        connected=web.connected,
        publish=web.publish,
    )


def _admin(web: Web) -> Blueprint:
    door = Blueprint("admin", __name__)

    @door.get("/admin")
    def overview() -> Any:
        if wants_page():
            return _file(PAGE)
        return {
            "staff": list(_everybody(web.place)),
            "troubles": [asdict(trouble) for trouble in web.health.troubles()],
            "unknownButtons": web.unknown_buttons(),
            "counts": web.counts(),
        }

    @door.get("/admin/")
    def overview_too() -> Any:  # a page that is served here would look for its parts in another folder
        return redirect("/admin", 308) if wants_page() else overview()

    @door.get("/admin/api/unknown-buttons")
    def unknown_buttons() -> dict[str, Any]:
        return {"buttons": web.unknown_buttons()}

    @door.get("/admin/api/signs")
    def signs() -> dict[str, Any]:
        return _signs(web)

    @door.get("/admin/api/history")
    def history() -> dict[str, Any]:
        asked = request.args
        return web.history(
            Wanted(
                since=min(max(0, asked.get("since", 0, int)), A_FAR_DAY),
                until=min(max(0, asked.get("until", 0, int)), A_FAR_DAY),
                thing=f"staff-{asked['staff']}" if asked.get("staff") else "",
                booth=asked.get("booth", ""),
                before=(_number("rowsBefore"), _number("deliveriesBefore")),
            )
        )

    @door.get("/admin/<path:name>")
    def nothing_here(name: str) -> Response:
        raise Rejected(404, f"/admin/{name}: there is no such page")

    @door.get("/metrics")
    def metrics() -> Response:
        states = Counter(each["state"] for each in _everybody(web.place))
        web.tally.catch_up(booth.id for booth in booths(web.place))
        numbers = Page(tally=web.tally, states=states, counts=web.counts(), troubles=web.health.counts())
        text, kind = numbers.text(request.headers.get("Accept", ""))
        return Response(text, content_type=kind)

    return door


def _number(name: str) -> int:
    """The number of a row, which may be asked for; one that no row has, if it is not."""
    return min(max(0, request.args.get(name, BEYOND, int)), BEYOND)


def _everybody(place: Place) -> Iterator[dict[str, Any]]:
    for thing in place.things.list(type="staff"):
        try:
            staff = read(place, thing.name)
        except Rejected:  # added or removed at this moment
            continue
        yield {"thing": thing.name, "name": staff.name, "state": staff.state, "told": not staff.untold}
