"""The admin's login: what a browser is shown, what its cookie opens, and what no other site can make it do."""

import http.client
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from infra.local.login import SESSION_S, SESSIONS, Sessions
from tests.fake_slack import FakeSlack
from tests.shop import ADMIN_TOKEN, BUTTON_TOKEN, Shop

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PATHS = ("/admin", "/admin/", "/admin/api/history", "/admin/nothing", "/metrics")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all: nothing here calls anybody."""
    with FakeSlack() as slack, Shop(tmp_path_factory.mktemp("login") / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Shop]:
    """A shop of its own, for whoever guesses."""
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        yield shop


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    cookies: list[str] = field(default_factory=list)

    @property
    def cookie(self) -> str:
        """What a browser sends back."""
        [cookie] = self.cookies
        return cookie.partition(";")[0]


def ask(shop: Shop, method: str, path: str, body: dict[str, str] | bytes = b"", **headers: str) -> Answer:
    """One request, with exactly these headers."""
    connection = http.client.HTTPConnection(shop.at.http, timeout=10)
    sent = body if isinstance(body, bytes) else urlencode(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, dict):
        named["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, sent, named)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    cookies = answer.headers.get_all("Set-Cookie") or []
    return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text, cookies)


def login(shop: Shop, token: str = ADMIN_TOKEN, **headers: str) -> Answer:
    """As the login page's form does, from the page's own address."""
    sent = {"Origin": f"http://{shop.at.http}", "Accept": HTML, **headers}
    return ask(shop, "POST", "/admin/login", {"token": token}, **sent)


# What is shown to whom


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_that_is_not_logged_in_is_shown_the_login(shop: Shop, path: str) -> None:
    answer = ask(shop, "GET", path, Accept=HTML)
    assert (answer.status, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert '<form method="post" action="/admin/login">' in answer.text
    assert answer.cookies == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html;q=0.5"])
def test_who_asks_for_no_page_is_answered_in_json_as_ever(shop: Shop, path: str, accept: str | None) -> None:
    answer = ask(shop, "GET", path, **({"Accept": accept} if accept else {}))
    assert (answer.status, json.loads(answer.text)["code"]) == (401, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_same_address_is_a_page_for_a_browser_and_json_for_a_script(shop: Shop) -> None:
    cookie = login(shop).cookie
    shown = ask(shop, "GET", "/admin", Accept=HTML, Cookie=cookie)
    assert (shown.status, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<div id="admin">' in shown.text
    for accept in ("*/*", "application/json"):
        listed = json.loads(ask(shop, "GET", "/admin", Accept=accept, Cookie=cookie).text)
        assert {each["thing"] for each in listed["staff"]} == {"staff-hana", "staff-sora"}
        assert listed == json.loads(
            ask(shop, "GET", "/admin", Authorization=f"Bearer {ADMIN_TOKEN}").text
        ) | {"counts": listed["counts"]}


def test_the_page_has_one_address_behind_the_login(shop: Shop) -> None:
    cookie = login(shop).cookie
    sent = ask(shop, "GET", "/admin/", Accept=HTML, Cookie=cookie)
    assert (sent.status, sent.headers["location"]) == (308, "/admin")
    assert ask(shop, "GET", "/admin.html", Accept=HTML, Cookie=cookie).status == 404


@pytest.mark.parametrize(
    ("accepted", "lang", "words"),
    [
        ("ja,en;q=0.5", "ja", "管理用トークンが違います"),
        ("fr", "en", "That is not"),
        ("en-GB", "en", "That is not"),
    ],
)
def test_the_login_speaks_the_browsers_language(fresh: Shop, accepted: str, lang: str, words: str) -> None:
    answer = login(fresh, "wrong", Accept_Language=accepted)
    assert f'<html lang="{lang}">' in answer.text
    assert words in answer.text


@pytest.mark.parametrize("path", ["/admin", "/admin/login"])
def test_the_login_page_runs_no_script_and_sends_its_form_to_nobody_else(shop: Shop, path: str) -> None:
    answer = ask(shop, "GET", path, Accept=HTML)
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert not re.search(r"<script|<style|style=|\son\w+=", answer.text)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/config.json", "/healthz", "/admin/nothing"])
def test_every_other_answer_lets_no_form_go_anywhere(shop: Shop, path: str) -> None:
    assert "form-action 'none'" in ask(shop, "GET", path).headers["content-security-policy"]


# Logging in


def test_the_right_token_gives_a_cookie_that_no_script_reads_and_no_other_site_sends(shop: Shop) -> None:
    answer = login(shop)
    assert (answer.status, answer.headers["location"]) == (303, "/admin")
    name, *attributes = answer.cookies[0].split("; ")
    assert re.fullmatch(r"staffcall_session=[A-Za-z0-9_-]{43}", name)
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={SESSION_S}"} | {
        each for each in attributes if each.startswith("Expires=")
    }


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({}, False),
        ({"X_Forwarded_Proto": "https"}, False),  # anybody may say so
        ({"Origin": "https://{host}"}, True),  # a browser's own word
    ],
)
def test_by_https_the_cookie_goes_by_https_alone(shop: Shop, headers: dict[str, str], secure: bool) -> None:
    said = {name: value.format(host=shop.at.http) for name, value in headers.items()}
    assert ("Secure" in login(shop, **said).cookies[0].split("; ")) is secure


@pytest.mark.parametrize(
    "token", ["", "wrong", BUTTON_TOKEN, ADMIN_TOKEN + "x", ADMIN_TOKEN[:-1], "席", "\ud800"]
)
def test_a_wrong_token_is_told_so_and_opens_nothing(fresh: Shop, token: str) -> None:
    answer = ask(
        fresh,
        "POST",
        "/admin/login",
        b"token=" + urlencode({"": token}, errors="surrogatepass").encode()[1:],
        Accept=HTML,
        Content_Type="application/x-www-form-urlencoded",
    )
    assert (answer.status, answer.cookies) == (401, [])
    assert "That is not the admin token." in answer.text
    assert ask(fresh, "POST", "/admin/login", {"token": token.replace("\ud800", "?")}).status == 401


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 401), (b"token", 401), (b"\xff=\xfe", 401), (b"token=" + b"x" * 5000, 413)]
)
def test_what_is_no_form_opens_nothing(fresh: Shop, body: bytes, status: int) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = ask(fresh, "POST", "/admin/login", body, Content_Type=kind)
        assert answer.status in (status, 401)
        assert answer.cookies == []


@pytest.mark.parametrize(
    "cookie", ["", "staffcall_session=", "staffcall_session=x", f"staffcall_session={ADMIN_TOKEN}"]
)
def test_a_cookie_that_we_never_gave_opens_nothing(shop: Shop, cookie: str) -> None:
    assert ask(shop, "GET", "/admin", Cookie=cookie).status == 401


def test_logging_out_ends_the_session_for_whoever_kept_the_cookie(shop: Shop) -> None:
    cookie, other = login(shop).cookie, login(shop).cookie
    assert cookie != other
    left = ask(shop, "POST", "/admin/logout", Cookie=cookie, Origin=f"http://{shop.at.http}")
    assert (left.status, left.headers["location"]) == (303, "/admin")
    assert left.cookies[0].startswith("staffcall_session=; ")
    assert ask(shop, "GET", "/admin", Cookie=cookie).status == 401
    assert ask(shop, "GET", "/admin", Cookie=other).status == 200


def test_logging_in_again_ends_the_session_before(shop: Shop) -> None:
    before = login(shop).cookie
    assert login(shop, Cookie=before).status == 303
    assert ask(shop, "GET", "/admin", Cookie=before).status == 401


def test_a_token_in_a_header_decides_whatever_cookie_comes_with_it(shop: Shop) -> None:
    cookie = login(shop).cookie
    for wrong in (f"Bearer {BUTTON_TOKEN}", "Bearer", "Basic YTpi", f"Basic {ADMIN_TOKEN}"):
        assert ask(shop, "GET", "/admin", Cookie=cookie, Authorization=wrong).status == 401
    for right in (f"Bearer {ADMIN_TOKEN}", f"bearer  {ADMIN_TOKEN} "):
        assert ask(shop, "GET", "/admin", Cookie="staffcall_session=x", Authorization=right).status == 200


@pytest.mark.parametrize(
    "path", ["//admin", "/admin//", "/./admin", "/x/../admin", "/%61dmin", "/admin%2f", "/metrics/"]
)
def test_no_spelling_of_the_address_leads_around_the_login(shop: Shop, path: str) -> None:
    answer = ask(shop, "GET", path)
    assert answer.status in (308, 401, 404)
    assert "staff-hana" not in answer.text


# Sessions, by themselves


def test_a_session_ends_after_twelve_hours() -> None:
    now = [1_000]
    sessions = Sessions(lambda: now[0])
    session = sessions.open()
    now[0] += SESSION_S * 1000 - 1
    assert sessions.is_open(session)
    now[0] += 1
    assert not sessions.is_open(session)


def test_only_the_digest_of_a_session_is_kept_and_only_so_many() -> None:
    sessions = Sessions(lambda: 0)
    opened = [sessions.open() for _ in range(SESSIONS + 1)]
    assert len({*opened}) == SESSIONS + 1
    assert [sessions.is_open(each) for each in opened] == [False] + [True] * SESSIONS
    kept = repr(vars(sessions))
    assert not any(each in kept for each in opened)


# What another site's page can make a browser do

OWN, OTHER = "http://{host}", "http://evil.example"
ORIGINS: dict[str, tuple[dict[str, str], bool]] = {
    "our own page": ({"Origin": OWN}, True),
    "our own page, behind TLS": ({"Origin": "https://{host}"}, True),
    "our own page, and the browser says so": ({"Origin": OWN, "Sec_Fetch_Site": "same-origin"}, True),
    "behind a proxy that asks by another name": (
        {"Origin": "https://your.host", "Sec_Fetch_Site": "same-origin"},
        True,
    ),
    "nobody says where from": ({}, False),
    "another site": ({"Origin": OTHER}, False),
    "another port of this machine": ({"Origin": "http://127.0.0.1:1"}, False),
    "a page that hides": ({"Origin": "null"}, False),
    "an empty origin": ({"Origin": ""}, False),
    "the browser says another site": ({"Origin": OWN, "Sec_Fetch_Site": "cross-site"}, False),
    "the browser says a sister": ({"Origin": OWN, "Sec_Fetch_Site": "same-site"}, False),
    "typed into the address bar": ({"Origin": OWN, "Sec_Fetch_Site": "none"}, False),
    "our name as part of theirs": ({"Origin": "http://{host}.evil.example"}, False),
    "our name as a user of theirs": ({"Origin": "http://{host}@evil.example"}, False),
    "a referrer is no origin": ({"Referer": OWN + "/admin"}, False),
    "the proxy's word is not asked": ({"Origin": OTHER, "X_Forwarded_Host": "evil.example"}, False),
}


@pytest.mark.parametrize("who", ORIGINS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_with_the_cookie_only_a_page_of_our_own_may_change_anything(
    shop: Shop, who: str, method: str
) -> None:
    headers, ours = ORIGINS[who]
    said = {name: value.format(host=shop.at.http) for name, value in headers.items()}
    cookie = login(shop).cookie
    changed = ask(shop, method, "/admin/api/nothing", Cookie=cookie, **said)
    assert changed.status == (404 if ours else 403), changed.text
    assert (
        ask(shop, method, "/admin/api/nothing", Authorization=f"Bearer {ADMIN_TOKEN}", **said).status == 404
    )
    assert ask(shop, method, "/admin/api/nothing", **said).status == 401
    assert ask(shop, "GET", "/admin", Cookie=cookie, **said).status == 200


@pytest.mark.parametrize("who", ORIGINS)
def test_nobody_else_logs_a_browser_in_or_out(shop: Shop, who: str) -> None:
    headers, ours = ORIGINS[who]
    said = {name: value.format(host=shop.at.http) for name, value in headers.items()}
    cookie = login(shop).cookie
    left = ask(shop, "POST", "/admin/logout", Cookie=cookie, **said)
    assert (left.status, ask(shop, "GET", "/admin", Cookie=cookie).status) == (
        (303, 401) if ours else (403, 200)
    )
    entered = ask(shop, "POST", "/admin/login", {"token": ADMIN_TOKEN}, **said)
    by_a_script = not {"Origin", "Sec_Fetch_Site"} & said.keys()
    assert entered.status == (303 if ours or by_a_script else 403)


# In a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if "browser" in os.environ.get("STAFFCALL_SKIP", "").split(","):
        pytest.skip("STAFFCALL_SKIP names the browser")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "Chromium is missing: `make browser` installs it, or set STAFFCALL_SKIP=browser"
    # To a browser this is no machine of its own: what it says of itself over http, it says there.
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*flags, "--host-resolver-rules=MAP booth.test 127.0.0.1"]
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "booth.test"])
def test_a_browser_logs_in_sees_who_is_called_and_logs_out(shop: Shop, browser: Browser, host: str) -> None:
    faults: list[str] = []
    page = browser.new_page()
    page.on("console", lambda line: faults.append(line.text) if "Policy" in line.text else None)
    page.goto(f"http://{host}:{shop.at.http.rpartition(':')[2]}/admin")
    page.get_by_label("Admin token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the admin token.")
    page.get_by_label("Admin token").fill(ADMIN_TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("[data-staff=hana]")).to_have_text(re.compile("Free.*花 Hana"))
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.locator("[data-staff=sora]")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Admin token")).to_be_visible()
    page.close()
    assert faults == []


def test_another_sites_page_cannot_use_a_browser_that_is_logged_in(shop: Shop, browser: Browser) -> None:
    """The worst of them: a page on another port of the same host, to which the cookie goes as well."""
    port = shop.at.http.rpartition(":")[2]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://booth.test:{port}/admin")
    page.get_by_label("Admin token").fill(ADMIN_TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("[data-staff=hana]")).to_be_visible()
    form = f"<form method=post action='http://booth.test:{port}/admin/logout'><button>go</button></form>"
    context.route("http://booth.test:1/**", lambda route: route.fulfill(body=form, content_type="text/html"))
    evil = context.new_page()
    evil.goto("http://booth.test:1/")
    evil.get_by_role("button").click()
    expect(evil.get_by_text("Origin: expected a page of our own")).to_be_visible()
    page.reload()
    expect(page.locator("[data-staff=hana]")).to_be_visible()
    context.close()
