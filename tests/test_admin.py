"""The admin's page: what it asks for and sends, over real sockets, and in a real browser."""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from infra import figures, rosters
from infra.cli import main
from infra.local import check, limits
from shadows import duty, machines, orders, registry, screens, sheet
from shadows.calls import Place
from shadows.errors import Rejected
from shadows.registry import NewStaff
from shadows.shadow import Thing
from shadows.staff import CallEvent
from tests.fake_slack import BOT_TOKEN, FakeSlack
from tests.screen import IS_SKIPPED, PATIENCE_MS, chromium, watched
from tests.shop import ADMIN_TOKEN, BUTTON_TOKEN, Shop, until, with_settings
from tests.test_login import Answer, ask, login

ROOT = Path(__file__).resolve().parents[1]
FOUND = json.loads((ROOT / "tests" / "payloads" / "slack_users_lookup_by_email.json").read_text("utf-8"))
AXE = ROOT / "spa" / "node_modules" / "axe-core" / "axe.min.js"
WAYS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ROSTER = "booth,from,to,staff\nmain,2026-11-21T09:00Z,2026-11-21T17:00Z,hana\n"
SCREEN = "kiosk-main-a1b2c3d4e5"
PAGES = (
    *("now", "staff", "buttons", "booths", "screens", "machines", "roster"),
    *("figures", "health", "history"),
)
TOKEN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass(frozen=True)
class Action:
    """Something that an administrator can do: how the page does it, how the command line, and which function both call."""

    method: str
    path: str
    body: Any
    command: str
    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ACTIONS = [
    Action("PUT", "booths/main/order", {"staff": ["hana"]}, "booth order main hana", registry.order_booth),
    Action("POST", "staff", {"id": "riku", "name": "Riku"}, "staff add riku --name Riku", registry.add_staff),
    Action("DELETE", "staff/sora", None, "staff remove sora", registry.remove_staff),
    Action("POST", "staff/hana/away", None, "staff away hana", registry.answer),
    Action("POST", "staff/hana/back", None, "staff back hana", registry.answer),
    Action("POST", "staff/gone/erase", None, "staff erase gone", registry.check_gone),
    Action("PUT", "staff/hana/backup", {"backup": ""}, "staff backup hana", registry.set_backup),
    Action("POST", "staff.csv", "id,name\nriku,Riku\n", "staff import people.csv", registry.import_staff),
    Action(
        "POST",
        "buttons",
        {"id": "door", "staff": "hana"},
        "button add door --staff hana",
        registry.add_button,
    ),
    Action("PUT", "buttons/demo/booth", {"booth": "far"}, "button move demo far", registry.move_button),
    Action("DELETE", "buttons/demo", None, "button remove demo", registry.remove_button),
    Action("POST", "booths", {"id": "east", "title": "E"}, "booth add east --title E", registry.add_booth),
    Action("PUT", "staff/hana", {"role": "Desk"}, "staff edit hana --role Desk", registry.edit_staff),
    Action("PUT", "roster.csv", ROSTER, "roster import roster.csv", rosters.load),
    Action("POST", "kiosks", {"booth": "main"}, "kiosk pair main", screens.invite),
    Action("DELETE", "kiosks/0a1b2c3d", None, "kiosk revoke 0a1b2c3d", screens.revoke),
    Action("POST", f"kiosks/{SCREEN}/identify", None, f"kiosk identify {SCREEN}", orders.identify),
    Action("POST", f"kiosks/{SCREEN}/reload", None, f"kiosk reload {SCREEN}", orders.reload),
    Action("POST", f"kiosks/{SCREEN}/say", {"text": "Hi"}, f"kiosk say {SCREEN} Hi", orders.say),
    Action("POST", "booths/main/announce", {"text": "Hi"}, "booth announce main Hi", orders.announce),
    Action(
        "POST",
        "machines",
        {"id": "m1", "name": "M", "units": {"t": "°C", "n": ""}},
        "machine add m1 --name M --value t=°C --value n",
        machines.add_machine,
    ),
    Action("DELETE", "machines/m1", None, "machine remove m1", machines.remove_machine),
]
READING = [
    Action("GET", "staff.csv", None, "staff export", sheet.write),
    Action("GET", "health", None, "doctor", check.of_place),
    Action("GET", "roster", None, "roster show", duty.roster),
    Action("GET", "roster.csv", None, "roster export", rosters.written),
    Action("GET", "kiosks", None, "kiosk list", screens.screens),
    Action("GET", "machines", None, "machine list", machines.machines),
    Action("GET", "figures", None, "report", figures.whole),
]
changes = pytest.mark.parametrize("action", ACTIONS, ids=str)
READS = (
    "now",
    "health",
    "staff.csv",
    "history",
    "unknown-buttons",
    "signs",
    "figures",
    "kiosks",
    "machines",
    "roster",
    "roster.csv",
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield from _furnished(tmp_path)


@pytest.fixture(scope="module")
def guessed_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all who have no right token, and are told so however many of them there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "WRONG_A_MINUTE", 1000)
        yield from _furnished(tmp_path_factory.mktemp("guessed"))


def _furnished(folder: Path) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(folder / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all who change nothing."""
    yield from _furnished(tmp_path_factory.mktemp("admin"))


def sent(shop: Shop, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """A request below ``/admin/api``, with the token unless something else is said."""
    raw = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
    return ask(shop, method, f"/admin/api/{path}", raw.encode(), **(headers or TOKEN))


def done(shop: Shop, method: str, path: str, body: Any = None) -> Any:
    answer = sent(shop, method, path, body)
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def refused(shop: Shop, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = sent(shop, method, path, body)
    said = json.loads(answer.text)
    assert said["code"] == answer.status
    return answer.status, said["message"]


def registered(shop: Shop) -> Any:
    place = shop.place
    roster, paired, shown = duty.roster(place), [*screens.screens(place)], [*machines.machines(place)]
    return (
        [*registry.people(place)],
        [*registry.buttons(place)],
        [*registry.booths(place)],
        roster,
        paired,
        shown,
    )


# Who may


@pytest.mark.parametrize("action", [*ACTIONS, *READING], ids=str)
def test_nothing_is_shown_or_changed_without_the_token(guessed_at: Shop, action: Action) -> None:
    before = registered(guessed_at)
    for headers in (
        {"X": "x"},
        {"Authorization": f"Bearer {BUTTON_TOKEN}"},
        {"Cookie": "staffcall_session=x"},
    ):
        answer = sent(guessed_at, action.method, action.path, action.body, **headers)
        assert (answer.status, "U0HANA" in answer.text) == (401, False)
    assert registered(guessed_at) == before


@pytest.mark.parametrize("path", READS)
def test_nothing_private_is_told_to_who_is_not_logged_in(guessed_at: Shop, path: str) -> None:
    answer = sent(guessed_at, "GET", path, X="x")
    assert (answer.status, "HANA" in answer.text.upper()) == (401, False)
    assert sent(guessed_at, "GET", path).status == 200


@changes
def test_another_sites_page_changes_nothing(quiet: Shop, action: Action) -> None:
    before, cookie = registered(quiet), login(quiet).cookie
    for headers in ({}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "same-site"}):
        answer = sent(quiet, action.method, action.path, action.body, Cookie=cookie, **headers)
        assert answer.status == 403, answer.text
    assert registered(quiet) == before


def test_who_is_logged_in_may_do_all_of_it(shop: Shop) -> None:
    registry.add_staff(shop.place, NewStaff(id="gone", name="Gone"))
    registry.remove_staff(shop.place, "gone")
    registry.add_booth(shop.place, registry.NewBooth(id="far"))
    shop.place.things.create(Thing(name="kiosk-0a1b2c3d", type="kiosk", attributes={"booth": "main"}))
    headers = {"Cookie": login(shop).cookie, "Origin": f"http://{shop.at.http}"}
    for action in ACTIONS:
        before = registered(shop)
        answer = sent(shop, action.method, action.path, action.body, **headers)
        assert answer.status == 200, answer.text
        # One is about the history alone, and one finds there already whom another has added.
        silent = {"POST staff/gone/erase", "POST staff.csv"}
        is_told = action.path.startswith(("kiosks/kiosk-", "booths/main/announce"))
        assert (registered(shop) != before) is not (str(action) in silent or is_told), str(action)


# One function behind the command line and the page


@pytest.mark.parametrize("action", [*ACTIONS, *READING], ids=str)
def test_the_page_and_the_command_line_call_the_same_function_in_the_same_way(
    quiet: Shop, action: Action, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The function is replaced by one that refuses: both say so, and both were about to do the same."""
    called: list[list[Any]] = []

    def refusing(*arguments: Any, **more: Any) -> Any:
        given = [each for each in arguments if not (isinstance(each, Place | Iterator) or callable(each))]
        called.append([list(each) if isinstance(each, tuple) else each for each in given])
        raise Rejected(409, "not today")

    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("id,name\nriku,Riku\n")
    Path("roster.csv").write_text(ROSTER)
    for name, value in quiet.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.modules[action.function.__module__], action.function.__name__, refusing)
    assert refused(quiet, action.method, action.path, action.body) == (409, "not today")
    assert main(action.command.split()) == 1
    page, line = called
    if action.path != "health":  # what the process says of itself is never twice the same
        assert page == line


def test_whatever_changes_something_is_among_these() -> None:
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text("utf-8"))
    written = {
        f"{method.upper()} {path.removeprefix('/admin/api/')}"
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/admin/api/") and method in ("post", "put", "delete", "patch")
    }
    pattern = re.compile(r"(staff|buttons|booths|kiosks|machines)/[a-z0-9-]+")
    assert {pattern.sub(r"\1/{id}", str(action)) for action in ACTIONS} == written


# What is sent

WRONG: list[tuple[str, str, Any, int, str]] = [
    ("POST", "staff", "{", 400, "Invalid JSON"),
    ("POST", "staff", [], 400, "body: expected a JSON object"),
    ("POST", "staff", {"name": "Riku"}, 400, "id: expected text, got none"),
    ("POST", "staff", {"id": "riku"}, 400, "name: expected text, got none"),
    ("POST", "staff", {"id": "Riku", "name": "Riku"}, 400, "id: expected 1 to 24 of a-z"),
    ("POST", "staff", {"id": "riku", "name": 7}, 400, "name: expected text, got '7'"),
    ("POST", "staff", {"id": "riku", "name": "a\nb"}, 400, "name: expected no control"),
    (
        "POST",
        "staff",
        {"id": "riku", "name": "Riku", "slack": "riku"},
        400,
        "slack: expected a Slack user id",
    ),
    ("POST", "staff", {"id": "riku", "name": "Riku", "slack": "U0HANA"}, 409, "slack: hana has this"),
    ("POST", "staff", {"id": "riku", "name": "Riku", "email": 1}, 400, "email: expected text"),
    ("POST", "staff", {"id": "riku", "name": "Riku", "email": "r@example.com"}, 400, "email: only a bot"),
    (
        "POST",
        "staff",
        {"id": "r", "name": "R", "email": "r@a.b", "slack": "U0R"},
        400,
        "email: expected none",
    ),
    ("POST", "staff", {"id": "riku", "name": "Riku", "backup": "nobody"}, 404, "backup: there is no staff"),
    ("POST", "staff", {"id": "riku", "name": "Riku", "shoe": "42"}, 400, "shoe: expected one of id, name"),
    ("POST", "staff", {"id": "hana", "name": "Another"}, 409, "id: there is a staff hana already"),
    ("DELETE", "staff/nobody", None, 404, "id: there is no staff nobody"),
    ("DELETE", "staff/No", None, 400, "id: expected"),
    ("POST", "staff/nobody/away", None, 404, "id: there is no staff nobody"),
    ("POST", "staff/hana/erase", None, 409, "id: hana is still there"),
    ("POST", "staff/nobody/erase", None, 404, "id: nothing is on record of staff nobody"),
    ("PUT", "staff/hana/backup", {"backup": "hana"}, 400, "backup: expected somebody else"),
    ("PUT", "staff/hana/backup", {"backup": None}, 400, "backup: expected text"),
    ("POST", "staff.csv", "name\nX\n", 400, "line 1: expected a header"),
    ("POST", "buttons", {"id": "b 1", "staff": "hana"}, 400, "id: expected 1 to 64"),
    ("POST", "buttons", {"id": "b1", "staff": "nobody"}, 404, "staff: there is no staff nobody"),
    (
        "POST",
        "buttons",
        {"id": "b1", "staff": "hana", "heartbeat_s": True},
        400,
        "heartbeat_s: expected a whole",
    ),
    ("POST", "buttons", {"id": "b1", "staff": "hana", "heartbeat_s": 1}, 400, "heartbeat: expected a minute"),
    ("POST", "buttons", {"id": "demo", "staff": "sora"}, 409, "id: there is a button demo already"),
    (
        "POST",
        "buttons",
        {"id": "b3", "staff": "hana", "double": "lambda:other"},
        403,
        "double: expected something that STAFFCALL_ACTIONS names, got lambda:other",
    ),
    ("DELETE", "buttons/none", None, 404, "id: there is no button none"),
    ("PUT", "buttons/none/booth", {"booth": "main"}, 404, "id: there is no button none"),
    ("PUT", "buttons/demo/booth", {"booth": "nowhere"}, 404, "booth: there is no booth nowhere"),
    ("PUT", "buttons/demo/booth", {"booth": 7}, 400, "booth: expected text"),
    ("POST", "booths", {"id": "e", "title": "x" * 81}, 400, "title: expected"),
    ("PUT", "booths/main/order", {"staff": "hana"}, 400, "staff: expected a list of ids"),
    ("PUT", "booths/main/order", {"staff": ["riku"]}, 409, "staff: riku is not on the list"),
    ("PUT", "booths/none/order", {"staff": []}, 404, "id: there is no booth none"),
    ("POST", "booths", {"id": "e", "title": "x" * 70_000}, 413, "POST /admin/api/booths"),
    ("PUT", "staff/hana", {"slack": "U0SORA"}, 409, "slack: sora has this"),
    ("PUT", "staff/hana", {"backup": "sora"}, 400, "backup: expected one of name, role"),
    ("PUT", "staff/hana", {"name": ""}, 400, "name: expected"),
    ("PUT", "staff/nobody", {"name": "X"}, 404, "id: there is no staff nobody"),
    (
        "PUT",
        "roster.csv",
        ROSTER + "main,x,y,hana\nmain,2026-11-21T09:00Z,9:00,riku\n",
        400,
        "line 3: from: expected",
    ),
    ("POST", "machines", {"id": "m", "name": "M", "booth": "nowhere"}, 404, "id: there is no booth nowhere"),
    ("POST", "machines", {"id": "m"}, 400, "name: expected text, got none"),
    ("POST", "machines", {"id": "m", "name": "M", "every_s": 0}, 400, "every: expected 1 to"),
    ("POST", "machines", {"id": "m", "name": "M", "every_s": "1"}, 400, "every_s: expected a whole number"),
    ("POST", "machines", {"id": "m", "name": "M", "units": {"t": 1}}, 400, "value: expected the unit of"),
    ("POST", "machines", {"id": "m", "name": "M", "units": ["t"]}, 400, "value: expected the unit of"),
    ("POST", "machines", {"id": "m", "name": "M", "units": {"a b": ""}}, 400, "value: expected such as"),
    ("DELETE", "machines/none", None, 404, ""),
    ("POST", "kiosks", {"booth": "nowhere"}, 404, "id: there is no booth nowhere"),
    ("DELETE", "kiosks/ffffffff", None, 404, "id: there is no screen ffffffff"),
    ("POST", f"kiosks/{SCREEN}/say", {"text": "x", "seconds": "9"}, 400, "seconds: expected a whole number"),
    ("POST", "kiosks/x/reload", None, 400, "id: expected the client id of a screen"),
    ("POST", "booths/main/announce", {"text": "a\nb"}, 400, "text: expected 1 to 200"),
    ("POST", "staff.csv", "x" * 1_100_000, 413, "POST /admin/api/staff.csv"),
]


@pytest.mark.parametrize(("method", "path", "body", "code", "words"), WRONG)
def test_what_is_wrong_is_named_and_changes_nothing(
    quiet: Shop, method: str, path: str, body: Any, code: int, words: str
) -> None:
    before = registered(quiet)
    said = refused(quiet, method, path, body)
    assert (said[0], said[1][: len(words)]) == (code, words)
    assert registered(quiet) == before


def test_a_person_is_added_with_their_address_in_slack(tmp_path: Path) -> None:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        with_settings(shop, slack_bot_token=BOT_TOKEN, slack_api_url=slack.api_url)
        shop.close()
        shop.open()
        slack.users["U0RIKU"] = {**FOUND["user"], "id": "U0RIKU", "profile": {"email": "riku@example.com"}}
        new = {"id": "riku", "name": "Riku", "email": "riku@example.com"}
        assert done(shop, "POST", "staff", new) == {"done": "added", "slack": "U0RIKU"}
        assert registry.person(shop.place, "riku").slack == "U0RIKU"


def test_a_table_goes_out_and_comes_in_with_what_became_of_each_line(shop: Shop) -> None:
    table = sent(shop, "GET", "staff.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers["content-disposition"] == 'attachment; filename="staff.csv"'
    assert table.text.startswith("\ufeffid,name,role,slack,phone,backup,booth,mail,line\r\n")
    again = done(shop, "POST", "staff.csv", table.text + "Bad,X,,,,,,,\r\nriku,Riku,,,,,east,,\r\n")["lines"]
    assert [(each["line"], each["id"], each["done"]) for each in again] == [
        (2, "sora", "there already"),
        (3, "hana", "there already"),
        (4, "Bad", None),
        (5, "riku", "added"),
    ]
    assert again[2]["problem"].startswith("id: expected")
    assert "riku,Riku,,,,,east,," in sent(shop, "GET", "staff.csv").text


# What is shown


def test_how_everybody_is_and_what_has_happened_since(shop: Shop) -> None:
    shop.press()
    until(lambda: shop.is_told("hana"), "the mention")  # who answers before it needs none
    shop.says("U0HANA", "ok, 5 minutes")
    shop.press("newcomer")
    now = until(lambda: _told(done(shop, "GET", "now")), "the message")
    hana, sora = now["staff"]
    assert (hana["id"], hana["state"], hana["told"], hana["backup"]) == ("hana", "running", True, "sora")
    assert (hana["call"]["booth"], hana["call"]["note"]) == ("main", "5 minutes")
    assert (sora["state"], sora["slack"], sora["call"]) == ("idle", "U0SORA", None)
    assert now["booths"] == [{"id": "main", "title": "main", "staff": ["sora", "hana"], "screens": 0}]
    [demo] = now["buttons"]
    assert (demo["id"], demo["single"], demo["double"], demo["long"], demo["click"]) == (
        "demo", "hana", "sora", "", "SINGLE"
    )  # fmt: skip
    assert [(each["button"], each["count"]) for each in now["unknownButtons"]] == [("newcomer", 1)]
    assert [row["why"] for row in now["rows"][-2:]] == ["press", "ok"]
    last = f"now?row={now['rows'][-1]['n']}&delivery={now['deliveries'][-1]['n']}"
    later = done(shop, "GET", last)
    assert (later["rows"], later["deliveries"]) == ([], [])
    shop.says("U0HANA", "done")
    assert [row["why"] for row in done(shop, "GET", last)["rows"]] == ["done"]
    for wild in ("row=x", f"row={2**70}", "row=-9", f"delivery=-{2**70}"):
        assert done(shop, "GET", f"now?{wild}")["at"]


def _told(now: Any) -> Any:
    """Once the message was sent, and whoever answered meanwhile is on record as such: that comes a moment later."""
    is_sent = any(each["outcome"] == "told" for each in now["deliveries"])
    return now if is_sent and all(each["told"] for each in now["staff"]) else None


def test_half_added_people_are_shown_as_such(shop: Shop) -> None:
    shop.place.shadows.delete("staff-sora")
    shown = next(each for each in done(shop, "GET", "now")["staff"] if each["id"] == "sora")
    assert (shown["state"], shown["call"]) == ("", None)


def test_health_is_what_doctor_finds_with_the_fix_of_each(
    quiet: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {
        "SLACK_WEBHOOK_URL": quiet.settings.slack_webhook_url,
        "SLACK_API_URL": quiet.settings.slack_api_url,
    }
    given = {**quiet.environment, **settings, "SLACK_OUTGOING_TOKEN": quiet.settings.slack_outgoing_token}
    given |= {"SLACK_SIGNING_SECRET": quiet.settings.slack_signing_secret}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    until(lambda: done(quiet, "GET", "signs")["audited"], "the first audit")
    capfd.readouterr()
    main(["doctor", "--json"])
    by_command = [each for each in json.loads(capfd.readouterr().out) if each["what"] != "run"]
    by_page = done(quiet, "GET", "health")["findings"]

    def essence(found: list[dict[str, str]]) -> list[tuple[str, ...]]:
        """Without how many seconds ago something was, or how many bytes are free."""
        number = re.compile(r"[0-9.]+")
        return sorted(
            (each["verdict"], each["what"], each["thing"], number.sub("#", each["detail"])) for each in found
        )

    assert essence(by_page) == essence(by_command)
    assert [each for each in by_page if each["verdict"] == "wrong"]
    assert all(each["fix"] for each in by_page if each["verdict"] != "right")


def test_a_look_that_takes_long_keeps_nobody_else_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> Iterator[Any]:
        begun.set()
        go_on.wait(30)
        yield from ()

    monkeypatch.setattr(check, "of_place", slow)
    looker = threading.Thread(target=sent, args=(shop, "GET", "health"))
    looker.start()
    assert begun.wait(30)
    assert {refused(shop, "GET", "health")[0] for _ in range(10)} == {503}
    assert shop.press()[0] == 200
    go_on.set()
    looker.join()
    assert done(shop, "GET", "health") == {"findings": []}


def test_the_history_ends_where_it_is_asked_to(shop: Shop) -> None:
    shop.press()
    first = shop.history()[-1]
    shop.says("U0HANA", "ok")
    until_then = shop.admin(f"/admin/api/history?until={first['at']}&staff=hana")
    assert [row["why"] for row in until_then["rows"]][-1] == "press"
    assert [row["why"] for row in shop.history()][-1] == "ok"


# In a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if IS_SKIPPED:
        pytest.skip("STAFFCALL_SKIP names the browser")
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser) as page:
        yield page


def entered(page: Page, shop: Shop, lang: str = "en") -> Page:
    """Logged in, at the page."""
    page.goto(shop.url(f"/admin?lang={lang}"))
    page.get_by_label("Admin token").fill(ADMIN_TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    if lang != "en":
        page.goto(shop.url(f"/admin?lang={lang}"))
    return page


def turn_to(page: Page, name: str) -> None:
    page.locator(f'nav [data-page="{name}"]').click()
    expect(page.locator(f'main[data-page="{name}"] h1')).to_be_visible()


def flaws(page: Page) -> list[str]:
    """What axe finds."""
    assert AXE.exists(), "axe-core is missing: run `npm ci` in spa/"
    page.evaluate(AXE.read_text("utf-8") + "; undefined")  # as a debugger does, which no policy forbids
    found = page.evaluate("ways => axe.run(document, {runOnly: ways})", WAYS)
    return [f"{each['id']}: {node['html']}" for each in found["violations"] for node in each["nodes"]]


def test_somebody_is_added_adopts_a_button_is_called_and_shown_live(browser: Browser, tmp_path: Path) -> None:
    """From nothing: log in, add a person in three fields, press an unknown button, adopt it, press."""
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop, watched(browser) as page:
        entered(page, shop)
        page.get_by_role("link", name="Add somebody").click()
        page.get_by_label("Name", exact=True).fill("花 <b>Hana</b>")
        expect(page.get_by_label("Id", exact=True)).to_have_value("b-hana-b")
        page.get_by_label("Id", exact=True).fill("hana")
        page.get_by_label("Slack", exact=True).fill("hana")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("slack: expected a Slack user id").first).to_be_visible()
        page.get_by_label("Slack", exact=True).fill("U0HANA")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("status").get_by_text("花 <b>Hana</b>: added")).to_be_visible()

        turn_to(page, "buttons")
        assert shop.press("440101234567890")[0] == 404
        page.get_by_role("button", name="Adopt 440101234567890").click()
        adopting = page.locator("[data-button='440101234567890']")
        adopting.get_by_label("A single click calls").select_option("花 <b>Hana</b>")
        adopting.get_by_role("button", name="Adopt", exact=True).click()
        expect(page.get_by_role("row", name="440101234567890 花 <b>Hana</b> main")).to_be_visible()

        turn_to(page, "now")
        screens = page.locator("[data-booth=main] [data-screens]")
        expect(screens).to_have_text("No screen shows it")
        kiosk = browser.new_page()
        kiosk.goto(shop.url("/?booth=main"))
        expect(screens).to_have_text("1 screen shows it", timeout=PATIENCE_MS)
        kiosk.close()
        expect(screens).to_have_text("No screen shows it", timeout=PATIENCE_MS)
        hana = page.locator("[data-staff=hana]")
        expect(hana).to_have_attribute("data-state", "idle")
        assert shop.press("440101234567890")[0] == 200
        expect(hana).to_have_attribute("data-state", "calling")
        expect(page.get_by_text("花 <b>Hana</b> called")).to_be_visible()
        expect(page.get_by_text("花 <b>Hana</b> message sent")).to_be_visible()
        shop.says("U0HANA", "ok, 5 minutes")
        expect(hana).to_have_attribute("data-state", "running")
        expect(hana).to_contain_text("5 minutes")
        hana.get_by_role("button", name="away").click()
        expect(hana).to_have_attribute("data-state", "away")
        turn_to(page, "history")
        expect(page.get_by_role("row", name="花 <b>Hana</b> on the way")).to_be_visible()


def test_a_booth_is_put_in_order_by_dragging_and_by_keys(shop: Shop, page: Page) -> None:
    for id in ("riku", "yuki"):
        registry.add_staff(shop.place, NewStaff(id=id, name=id.title()))
    entered(page, shop)
    turn_to(page, "booths")
    handles = {id: page.locator(f"[data-staff={id}] .handle") for id in ("sora", "hana", "riku", "yuki")}
    target = handles["yuki"].bounding_box()
    assert target
    handles["sora"].hover()
    page.mouse.down()
    page.mouse.move(target["x"] + 5, target["y"] + target["height"] - 2, steps=8)
    page.mouse.up()
    until(lambda: registry.booth(shop.place, "main").staff == ("hana", "riku", "yuki", "sora"), "the order")
    handles["yuki"].focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    until(lambda: registry.booth(shop.place, "main").staff == ("yuki", "hana", "riku", "sora"), "the order")
    expect(handles["yuki"]).to_be_focused()
    page.keyboard.press("ArrowUp")  # no further
    page.keyboard.press("ArrowDown")
    until(lambda: registry.booth(shop.place, "main").staff == ("hana", "yuki", "riku", "sora"), "the order")
    expect(page.get_by_text("Yuki: 2 of 4")).to_be_attached()


def test_on_a_telephone_every_page_fits_and_a_finger_drags(shop: Shop, browser: Browser) -> None:
    context = browser.new_context(
        has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800}, locale="en"
    )
    page = entered(context.new_page(), shop)
    shop.press("newcomer")
    for name in (*PAGES, "booths"):
        turn_to(page, name)
        if name == "health":
            expect(page.locator(".finding").first).to_be_visible()
        if name == "history":
            expect(page.locator("table")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert flaws(page) == [], name
    handle = page.locator("[data-staff=sora] .handle")
    at = handle.bounding_box()
    assert at
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    finger = context.new_cdp_session(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 7):
        finger.send(
            "Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y + 15 * step}]}
        )
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(lambda: registry.booth(shop.place, "main").staff == ("hana", "sora"), "the order")
    context.close()


def test_people_are_removed_and_taken_out_of_the_history(shop: Shop, page: Page) -> None:
    entered(page, shop)
    turn_to(page, "staff")
    page.get_by_role("button", name="Remove 花 Hana").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Remove 花 Hana").click()
    page.get_by_label("Take their name and notes out of the history").check()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("These buttons still call them, and so nobody: demo")).to_be_visible()
    expect(page.get_by_text("On record as erased-1 from now on.")).to_be_visible()
    expect(page.locator("[data-staff=hana]")).to_have_count(0)
    assert "花 Hana" not in str(shop.history())


def test_a_backup_is_chosen_and_a_table_is_imported(shop: Shop, page: Page) -> None:
    entered(page, shop)
    turn_to(page, "staff")
    page.get_by_label("Backup of Sora").select_option("花 Hana")
    until(lambda: registry.person(shop.place, "sora").backup == "hana", "the backup")
    table = {"name": "a.csv", "mimeType": "text/csv", "buffer": "id,name\nriku,陸\nBad,X\n".encode()}
    page.get_by_label("Import a file").set_input_files(table)
    expect(page.get_by_text("1 of 2 lines done")).to_be_visible()
    expect(page.get_by_text("Line 3: Bad id: expected")).to_be_visible()
    expect(page.locator("[data-staff=riku]")).to_be_visible()


def test_people_are_edited_groups_chosen_screens_told_and_figures_and_roster_shown(
    shop: Shop, page: Page, browser: Browser
) -> None:
    entered(page, shop)
    turn_to(page, "staff")
    page.get_by_role("button", name="Edit 花 Hana").click()
    page.get_by_label("Role").last.fill("Desk")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("花 Hana: saved")).to_be_visible()
    assert registry.person(shop.place, "hana").staff.role == "Desk"

    turn_to(page, "buttons")
    page.get_by_text("Add a button by its number").click()
    page.get_by_label("Number").fill("both")
    page.get_by_label("A single click calls").select_option("Several: all at once")
    page.get_by_label("Sora").check()
    page.get_by_label("花 Hana").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row", name="both Several: all at once (Sora, 花 Hana)")).to_be_visible()
    registry.add_booth(shop.place, registry.NewBooth(id="z", title="Far end"))
    page.get_by_label("Booth of both").select_option("Far end")
    expect(page.get_by_text("both: stands at Far end")).to_be_visible()
    assert [(each.id, each.booth) for each in registry.buttons(shop.place)] == [
        ("both", "z"),
        ("demo", "main"),
    ]

    turn_to(page, "screens")
    kiosk = browser.new_page()
    kiosk.goto(shop.url("/?booth=main&lang=en"))
    page.get_by_role("button", name=re.compile("which one it is$")).click()
    client = page.locator("[data-screen]").first.get_attribute("data-screen") or "?"
    expect(kiosk.get_by_text(client)).to_be_visible()
    page.get_by_label("Text").fill("Closed at six")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(kiosk.get_by_text("Closed at six")).to_be_visible()
    kiosk.close()
    page.get_by_role("button", name="Make a code").click()
    expect(page.get_by_text(re.compile(r"type \d{5} \d{5}$"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Revoke")).click()
    expect(page.locator("[data-paired]")).to_have_count(0)

    turn_to(page, "machines")
    page.get_by_label("Name", exact=True).fill("Press <1>")
    page.get_by_label("Id", exact=True).fill("p 1")
    page.get_by_label("Figures").fill("temperature=°C, parts")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("id: expected 1 to 24").first).to_be_visible()
    page.get_by_label("Id", exact=True).fill("p1")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row", name="Press <1> p1 main 1 temperature (°C), parts")).to_be_visible()
    [machine] = machines.machines(shop.place)
    assert (machine.name, machine.every_s, machine.units) == (
        "Press <1>",
        1,
        {"temperature": "°C", "parts": ""},
    )
    page.get_by_role("button", name="Remove Press <1>").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No screen shows a machine.")).to_be_visible()
    assert [*machines.machines(shop.place)] == []

    turn_to(page, "roster")
    table = {"name": "r.csv", "mimeType": "text/csv", "buffer": ROSTER.replace("2026", "2226").encode()}
    page.get_by_label("Import a file").set_input_files(table)
    expect(page.get_by_role("row", name="花 Hana main")).to_be_visible()

    shop.press()
    shop.says("U0HANA", "ok")
    turn_to(page, "figures")
    expect(page.get_by_role("row", name="花 Hana (hana) 1 1 0")).to_be_visible()
    drawn = page.get_by_role("img", name="Press to ok by person, seconds")
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def test_health_shows_the_fix_beside_each_red_mark(shop: Shop, page: Page) -> None:
    registry.add_staff(shop.place, NewStaff(id="riku", name="Riku"))
    entered(page, shop)
    turn_to(page, "health")
    flaw = page.locator(".finding", has_text="riku has no Slack id")
    expect(flaw.get_by_role("img", name="Wrong")).to_be_visible()
    expect(flaw.locator(".fix")).to_contain_text("staffcall staff edit riku --slack U…")
    expect(page.get_by_text(re.compile("^[0-9]+ things are right$"))).to_be_visible()


def test_the_page_says_when_the_server_is_gone_and_shows_the_login_when_the_session_is(
    shop: Shop, page: Page
) -> None:
    entered(page, shop)
    page.route("**/admin/api/now*", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.unroute("**/admin/api/now*")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.context.clear_cookies()
    expect(page.get_by_label("Admin token")).to_be_visible()


@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("ja", "dark")])
def test_axe_finds_nothing_on_any_page(shop: Shop, browser: Browser, lang: str, scheme: Any) -> None:
    registry.answer(shop.place, "sora", CallEvent.AWAY)
    shop.press()
    shop.press("newcomer")
    context = browser.new_context(locale="en", color_scheme=scheme)
    page = context.new_page()
    page.goto(shop.url("/admin"))
    assert flaws(page) == []
    entered(page, shop, lang)
    expect(page.locator("html")).to_have_attribute("lang", lang)
    for name in PAGES:
        turn_to(page, name)
        if name == "health":
            expect(page.locator(".finding").first).to_be_visible()
        if name == "buttons":
            page.locator(".unknown button").first.click()
        for more in page.locator("summary").all():
            more.click()
        assert flaws(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    turn_to(page, "staff")
    page.locator("[data-staff=hana] button").last.click()
    assert flaws(page) == []
    context.close()
