"""The kiosk for everybody: axe-core finds nothing, whatever is shown, in every theme and language; and touch."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from shadows import screens
from shadows.registry import NewStaff, add_staff
from shadows.shadow import JsonObject
from shadows.staff import newcomer
from tests.fake_slack import FakeSlack
from tests.screen import IS_SKIPPED, chromium, tile, watched
from tests.shop import Shop

if IS_SKIPPED:
    pytest.skip("STAFFCALL_SKIP names the browser", allow_module_level=True)

AXE = Path(__file__).resolve().parents[1] / "spa/node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAIRS = ["ja,en", "zh,zh-Hant", "ko,de", "fr,es", "it,pt", "nl,vi", "th,id"]
LOOKS = {"idle", "calling", "running", "away", "elsewhere", "queued", "passed", "nobody", "unreached"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path_factory.mktemp("looks") / "data", slack) as shop:
        shop.slack.always(status=500)  # so that somebody cannot be reached
        show_every_look(shop.furnish())
        yield shop


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser) as page:
        yield page


def show_every_look(shop: Shop) -> None:
    """A booth where each tile says something else."""
    now, place = shop.place.clock(), shop.place

    def call(**parts: Any) -> JsonObject:
        return {
            "id": "01K",
            "booth": "looks",
            "click": "SINGLE",
            "at": now,
            "count": 2,
            "note": "",
            "end": "",
            "to": "",
        } | parts

    shown: dict[str, JsonObject] = {
        "idle": {"state": "idle", "since": now},
        "calling": {"state": "calling", "since": now, "call": call()},
        "running": {
            "state": "running",
            "since": now,
            "call": call(note="2 minutes", promised=now + 7_000_000),
        },
        "away": {"state": "away", "since": now},
        "elsewhere": {"state": "running", "since": now, "call": call(booth="other")},
        "passed": {
            "state": "idle",
            "since": now,
            "why": "missed",
            "call": call(end="missed", to="staff-idle"),
        },
        "nobody": {"state": "idle", "since": now, "why": "missed", "call": call(end="missed")},
    }
    for name, desired in shown.items():
        put(shop, name, desired, {})
    waits = [call(booth="looks")]
    put(shop, "queued", shown["elsewhere"], {"waiting": waits})
    put(shop, "unreached", {**shown["calling"], "since": now - 20_000}, {}, told=False)
    staff = [f"staff-{name}" for name in sorted(LOOKS)]
    place.shadows.update("booth-looks", reported={"title": "窓口 Looks", "staff": staff})


def put(shop: Shop, name: str, desired: JsonObject, reported: JsonObject, *, told: bool = True) -> None:
    """A shadow as somebody else's part of the world wrote it: no person of the registry, so that nobody acts on it."""
    first, said = newcomer(name.title(), "Guide", shop.place.clock())
    four = {**first, **desired}
    shop.place.shadows.update(
        f"staff-{name}", desired=four, reported={**said, **(four if told else {}), **reported}
    )


def violations(page: Page) -> list[str]:
    found = page.evaluate(
        """async (tags) => (await axe.run(document, {
            runOnly: tags, preload: false, resultTypes: ["violations"],
            rules: {"color-contrast": {enabled: false}, "color-contrast-enhanced": {enabled: true}},
        })).violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 120)}: ${n.failureSummary}`))""",
        TAGS,
    )
    return list(found)


def opened(page: Page, shop: Shop, query: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(shop.url(f"/?{query}"))
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=30_000)
    page.evaluate(AXE.read_text("utf-8"))


@pytest.mark.parametrize("pair", PAIRS)
def test_nothing_is_wrong_for_anybody_in_any_look_theme_and_language(
    shop: Shop, page: Page, pair: str
) -> None:
    show_every_look(shop)  # how a call ended is shown for 30 s
    opened(page, shop, f"booth=looks&lang={pair}")
    seen = page.locator("[data-thing]").evaluate_all(
        "tiles => tiles.map(tile => /look-(\\w+)/.exec(tile.className)[1])"
    )
    assert set(seen) == LOOKS
    langs = page.locator(".what, .also").evaluate_all("lines => lines.map(line => line.lang)")
    assert set(langs) == set(pair.split(","))
    fetched = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    tongues = {found[1] for each in fetched if (found := re.search(r"/tongue-(.+)-.{8}\.js$", each))}
    assert tongues == set(pair.split(",")) - {"ja", "en"}  # of fourteen
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        assert violations(page) == [], (pair, theme)


def test_nothing_is_wrong_when_the_link_is_lost_and_where_a_code_is_typed(shop: Shop, page: Page) -> None:
    opened(page, shop, "booth=looks&pair")
    assert violations(page) == []
    page.get_by_role("button", name=re.compile("Cancel|取り消す")).click()
    page.context.set_offline(True)
    expect(page.locator("body")).to_have_attribute("data-link", "lost", timeout=6_000)
    expect(tile(page, "idle").locator("time")).to_contain_text("前")
    for theme, grey in (("light", "rgb(217, 223, 230)"), ("dark", "rgb(16, 21, 27)")):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        expect(tile(page, "idle")).to_have_css("background-color", grey)
        assert violations(page) == [], theme


def test_a_name_is_read_from_five_metres_at_a_booth_of_four(shop: Shop, page: Page) -> None:
    for n, name in enumerate(["花 Hana", "Christopher", "佐藤 一郎", "Ana"]):
        add_staff(shop.place, NewStaff(id=f"four{n}", name=name, booth="four"))
    opened(page, shop, "booth=four")
    sizes = page.locator(".name").evaluate_all(
        "names => names.map(n => parseFloat(getComputedStyle(n).fontSize))"
    )
    assert len(sizes) == 4
    assert min(sizes) >= 0.06 * 1080


@pytest.mark.parametrize("count", [1, 2, 7, 40, 200])
def test_from_one_to_two_hundred_every_name_is_inside_its_tile(shop: Shop, page: Page, count: int) -> None:
    names = [f"staff-n{n}" for n in range(count)]
    for n in range(count):
        desired, reported = newcomer(f"Person {n}", "", shop.place.clock())
        shop.place.shadows.update(f"staff-n{n}", desired=desired, reported=reported)
    shop.place.shadows.update("booth-wall", reported={"title": "Wall", "staff": names})
    opened(page, shop, "booth=wall")
    outside = page.locator(".tile").evaluate_all(
        """tiles => tiles.filter(tile => {
            const [box, name] = [tile, tile.querySelector(".name")].map(each => each.getBoundingClientRect());
            return name.top < box.top || name.bottom > box.bottom || name.right > box.right + 1
                || box.bottom > innerHeight || box.right > innerWidth;
        }).map(tile => tile.dataset.thing)"""
    )
    assert outside == []
    expect(page.locator(".tile")).to_have_count(count)


def test_a_brand_has_its_own_colours(shop: Shop, page: Page) -> None:
    (shop.data / "brand.css").write_text(":root { --calm: rgb(255, 244, 230); }")
    try:
        opened(page, shop, "booth=looks&theme=light")
        expect(tile(page, "idle")).to_have_css("background-color", "rgb(255, 244, 230)")
    finally:
        (shop.data / "brand.css").unlink()


def test_a_theme_is_chosen_in_the_address_else_by_the_machine(shop: Shop, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(shop.url("/?booth=looks"))
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.goto(shop.url("/?booth=looks&theme=dark"))
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_paired_screen_calls_by_touch_takes_it_back_and_presses_no_more_once_revoked(
    shop: Shop, page: Page
) -> None:
    made = screens.invite(shop.place, "main")
    opened(page, shop, "booth=main&lang=en&pair")
    for digit in made.code:
        page.get_by_role("button", name=digit, exact=True).click()
    page.get_by_role("button", name="OK").click()
    page.get_by_role("button", name="Call 花 Hana").click()
    assert "pair" not in page.url
    expect(tile(page, "hana", "calling")).to_be_visible()
    assert violations(page) == []
    box, name = (
        tile(page, "hana").bounding_box(),
        tile(page, "hana").locator(".name").bounding_box(),
    )
    assert box["y"] <= name["y"] <= name["y"] + name["height"] <= box["y"] + box["height"]
    tile(page, "hana").get_by_role("button", name="Cancel").click()
    expect(tile(page, "hana", "idle")).to_be_visible()
    page.goto(shop.url("/?booth=main&lang=en"))
    page.get_by_role("button", name="Call 花 Hana").click()
    expect(tile(page, "hana", "calling")).to_be_visible()
    shop.says("U0HANA", "done")
    screens.revoke(shop.place, made.screen.id)
    expect(tile(page, "hana", "idle")).to_be_visible()
    page.get_by_role("button", name="Call Sora").click()
    expect(tile(page, "sora")).to_contain_text("did not go out")
    expect(page.get_by_role("button", name="Call Sora")).to_have_count(0)
    assert shop.state("sora") == "idle"
    page.goto(shop.url("/?booth=main&lang=en"))
    expect(tile(page, "sora", "idle")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
