"""What screens are told, and machines: from the admin's door and the command line to a page in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.cli import main
from infra.local.gateway import Client
from infra.local.gateway.policy import KIOSK
from infra.local.signs import GONE, Kiosks
from shadows import machines, orders
from shadows.errors import Rejected
from shadows.machines import Machine
from shadows.registry import NewBooth, add_booth
from tests.fake_slack import FakeSlack
from tests.screen import IS_SKIPPED, PATIENCE_MS, chromium, tile, watched
from tests.shop import ADMIN_TOKEN, Shop, until

NOW = 1_793_235_600_000
browser_only = pytest.mark.skipif(IS_SKIPPED, reason="STAFFCALL_SKIP names the browser")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path_factory.mktemp("told") / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def asked(shop: Shop, path: str, body: Any = None) -> Any:
    raw = None if body is None else json.dumps(body).encode()
    status, answer = shop.ask(f"/admin/api/{path}", raw, Authorization=f"Bearer {ADMIN_TOKEN}")
    assert status == 200, answer
    return answer


def client_of(shop: Shop) -> str:
    """The client id of the only screen that is there now."""

    def found() -> str:
        here = [each["client"] for each in asked(shop, "kiosks")["connected"] if not each["left"]]
        return str(here[0]) if len(here) == 1 else ""

    return until(found, "one screen")


@browser_only
def test_a_screen_is_told_what_to_do_and_a_late_one_is_handed_all_of_it(
    shop: Shop, browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with watched(browser) as page:
        opened(page, shop)
        client = client_of(shop)
        assert main(["kiosk", "say", client, "Back at <b>one</b>"]) == 0
        expect(page.get_by_text("Back at <b>one</b>")).to_be_visible()
        asked(shop, f"kiosks/{client}/identify", {})
        expect(page.get_by_text(client)).to_be_visible()
        assert main(["booth", "announce", "main", "Closed at six"]) == 0
        expect(page.get_by_text("Closed at six")).to_be_visible()
        shop.press()
        shop.says("U0HANA", "ok, 2 minutes")
        expect(tile(page, "hana", "running")).to_contain_text("2 minutes")
        whole = tile(page, "hana").bounding_box()
        assert whole["y"] + whole["height"] <= 1080, "what is said hides no call"
        page.evaluate("document.title = 'the same page'; window.same = true")
        assert main(["kiosk", "reload", client]) == 0
        with watched(browser) as late:
            opened(late, shop)
            expect(tile(late, "hana", "running")).to_contain_text("2 minutes")
            expect(late.get_by_text("Closed at six")).to_be_visible()
            expect(late.get_by_text("Back at")).to_have_count(0)  # that was for another one
        assert page.evaluate("window.same") is True  # somebody is on the way: not now
        with page.expect_navigation():
            shop.says("U0HANA", "done")
        assert main(["booth", "announce", "main"]) == 0
        expect(page.get_by_text("Closed at six")).to_have_count(0)
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        assert client_of(shop) != client


@browser_only
def test_a_machine_is_shown_while_it_speaks_and_grey_with_its_age_after(shop: Shop, browser: Browser) -> None:
    add_booth(shop.place, NewBooth(id="hall", title="Hall"))
    machines.add_machine(shop.place, Machine(id="press1", name="Press 1", booth="hall", units={"temp": "°C"}))
    said(shop, 21.5)
    with watched(browser) as page:
        page.goto(shop.url("/?booth=hall&lang=en"))
        shown = page.locator("[data-thing=machine-press1]")
        expect(shown).to_contain_text("21.5 °C")  # it came late, and was handed it
        said(shop, 22)
        expect(shown).to_contain_text("22 °C")
        expect(shown).to_have_class(re.compile(r"\bstale\b"), timeout=PATIENCE_MS)  # it says no more
        expect(shown.locator(".what")).to_contain_text("ago")
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        said(shop, 23)
        expect(shown).to_contain_text("23 °C")
        expect(shown).not_to_have_class(re.compile(r"\bstale\b"))
        machines.remove_machine(shop.place, "press1")
        expect(shown).to_have_count(0)


def opened(page: Page, shop: Shop) -> None:
    page.goto(shop.url("/?lang=en"))
    expect(page.locator("body")).to_have_attribute("data-link", "live")


def said(shop: Shop, temp: float) -> None:
    document = {"state": {"reported": {"temp": temp}}}
    shop.publish("$aws/things/machine-press1/shadow/name/data/update", json.dumps(document).encode())


def test_an_order_goes_to_the_topic_of_one_screen() -> None:
    sent: list[tuple[str, bytes]] = []
    publish = lambda topic, payload: sent.append((topic, payload))  # noqa: E731
    screen = "kiosk-main-a1b2c3d4e5"
    orders.say(publish, lambda: NOW, screen, " お昼休み ", 60)
    orders.identify(publish, screen)
    orders.reload(publish, "kiosk-east-wing-eu-west-1:12-34.a1b2c3d4e5")
    assert [(topic, json.loads(payload)) for topic, payload in sent] == [
        (f"kiosk/{screen}/in", {"do": "say", "text": "お昼休み", "until": NOW + 60_000}),
        (f"kiosk/{screen}/in", {"do": "identify"}),
        ("kiosk/kiosk-east-wing-eu-west-1:12-34.a1b2c3d4e5/in", {"do": "reload"}),
    ]


@pytest.mark.parametrize(
    ("screen", "text", "seconds", "field"),
    [
        ("staff-hana", "x", 60, "id"),
        ("kiosk-main-abc/def", "x", 60, "id"),
        ("kiosk-main-+", "x", 60, "id"),
        ("kiosk-main-a1b2c3", " ", 60, "text"),
        ("kiosk-main-a1b2c3", "a\nb", 60, "text"),
        ("kiosk-main-a1b2c3", "x" * 201, 60, "text"),
        ("kiosk-main-a1b2c3", "x", 4, "seconds"),
        ("kiosk-main-a1b2c3", "x", 86_401, "seconds"),
    ],
)
def test_what_is_no_order_is_refused_and_goes_nowhere(
    screen: str, text: str, seconds: int, field: str
) -> None:
    sent: list[object] = []
    with pytest.raises(Rejected) as no:
        orders.say(lambda *each: sent.append(each), lambda: NOW, screen, text, seconds)
    assert (no.value.code, no.value.message.partition(":")[0], sent) == (400, field, [])


def test_screens_are_listed_as_they_come_and_go() -> None:
    at = [NOW]
    kiosks = Kiosks(lambda: at[0])
    one, two = (Client(id=f"kiosk-main-{n}", rights=KIOSK, address="") for n in ("one", "two"))
    kiosks.came(one, 30.0)
    at[0] += 5000
    kiosks.came(two, 30.0)
    at[0] += 5000
    kiosks.left(one, 2.0)
    assert kiosks.seen() == [
        {"client": "kiosk-main-one", "booth": "main", "since": NOW, "left": NOW + 8000},
        {"client": "kiosk-main-two", "booth": "main", "since": NOW + 5000, "left": 0},
    ]
    kiosks.came(one, 30.0)
    assert kiosks.seen()[-1] == {
        "client": "kiosk-main-one",
        "booth": "main",
        "since": NOW + 10_000,
        "left": 0,
    }
    for n in range(GONE + 30):
        gone = Client(id=f"kiosk-main-x{n}", rights=KIOSK, address="")
        kiosks.came(gone, 30.0)
        kiosks.left(gone, 0.0)
    clients = [each["client"] for each in kiosks.seen()]
    assert len(clients) == GONE + 2
    assert {"kiosk-main-one", "kiosk-main-two", f"kiosk-main-x{GONE + 29}"} <= {*clients}


def test_a_machine_is_added_changed_moved_and_removed(shop: Shop) -> None:
    place = shop.place
    add_booth(place, NewBooth(id="east"))
    first = Machine(id="oven", name="Oven", units={"temp": "°C"})
    machines.add_machine(place, first)
    machines.add_machine(place, first)
    assert [*machines.machines(place)] == [first]
    moved = Machine(id="oven", name="Oven 2", booth="east", every_s=5)
    machines.add_machine(place, moved)
    assert [*machines.machines(place)] == [moved]
    assert place.shadows.get("booth-main").reported["machines"] == []
    for n in range(machines.AT_A_BOOTH - 1):
        machines.add_machine(place, Machine(id=f"m{n}", name="M", booth="east"))
    with pytest.raises(Rejected) as no:
        machines.add_machine(place, Machine(id="more", name="M", booth="east"))
    assert (no.value.code, no.value.message.partition(":")[0]) == (409, "booth")
    for each in [*machines.machines(place)]:
        machines.remove_machine(place, each.id)
    assert place.shadows.get("booth-east").reported["machines"] == []
    with pytest.raises(Rejected) as no:
        machines.remove_machine(place, "oven")
    assert no.value.code == 404
