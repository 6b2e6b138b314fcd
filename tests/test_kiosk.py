"""The kiosk in a real browser, against the real place."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from shadows.registry import NewButton, NewStaff, add_button, add_staff, remove_staff
from shadows.shadow import Thing
from shadows.staff import newcomer
from tests.fake_slack import FakeSlack
from tests.screen import IS_SKIPPED, chromium, tile, watched
from tests.shop import Shop

if IS_SKIPPED:
    pytest.skip("STAFFCALL_SKIP names the browser", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser) as page:
        yield page


def test_the_whole_story_shows_live(shop: Shop, page: Page) -> None:
    page.goto(shop.url("/?lang=en"))
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    expect(tile(page, "hana", "idle")).to_contain_text("花 Hana")
    shop.press()
    expect(tile(page, "hana", "calling")).to_be_visible()
    expect(tile(page, "hana", "calling")).to_have_attribute("data-told", "true")
    shop.says("U0HANA", "ok, 2 minutes & <!here> more")
    expect(tile(page, "hana", "running")).to_contain_text("2 minutes")
    shop.says("U0HANA", "done")
    expect(tile(page, "hana", "idle")).to_be_visible()


# How the page looks at each hundredth of a second, for a second.
LOOKS_AT = """() => {
    const app = document.querySelector("#app");
    const flash = app.getAnimations().find(({ animationName }) => animationName === "flash");
    flash.pause();
    const looks = [...Array(100).keys()].map((n) => {
        flash.currentTime = 10 * n;
        return getComputedStyle(app).filter;
    });
    flash.play();
    return looks;
}"""


def test_a_page_that_was_asked_to_flashes_at_once_and_no_faster_than_anybody_bears(
    shop: Shop, browser: Browser
) -> None:
    flash = "getComputedStyle(document.querySelector('#app')).animation"
    with watched(browser) as page, watched(browser) as calm:
        calm.emulate_media(reduced_motion="reduce")
        for each in (page, calm):
            each.goto(shop.url("/?lang=en&alarm=on"))
            expect(each.locator("body")).to_have_attribute("data-link", "live")
            expect(each.locator("body")).to_have_attribute("data-alarm", "off")
        assert "flash" not in page.evaluate(flash)
        shop.press()
        for each in (page, calm):
            expect(each.locator("body")).to_have_attribute("data-alarm", "on")
        assert "flash" in page.evaluate(flash)
        looks = page.evaluate(LOOKS_AT)
        changes = sum(before != after for before, after in pairwise(looks))
        assert 1 <= changes <= 2 * 3, looks  # in a second, each flash two: WCAG 2.3.1 allows three flashes
        assert "flash" not in calm.evaluate(flash)
        assert calm.evaluate("parseFloat(getComputedStyle(document.querySelector('#app')).outlineWidth)") > 10
        shop.says("U0HANA", "ok")
        for each in (page, calm):
            expect(each.locator("body")).to_have_attribute("data-alarm", "off")


@pytest.mark.parametrize(
    ("lang", "left", "soon"), [("en", "in 5 min", "any moment now"), ("ja", "あと5分", "まもなく")]
)
def test_a_promise_is_counted_down_and_not_outlived(
    shop: Shop, page: Page, lang: str, left: str, soon: str
) -> None:
    page.goto(shop.url(f"/?lang={lang}"))
    shop.press()
    shop.says("U0HANA", "ok, 5 min")
    expect(tile(page, "hana", "running").locator("time")).to_have_text(left)
    passed = shop.place.clock() - 1000
    shop.place.shadows.update("staff-hana", desired={"call": {"promised": passed}})
    expect(tile(page, "hana", "running").locator("time")).to_have_text(soon)
    expect(tile(page, "hana", "running")).to_contain_text("5 min")


def test_an_untold_call_is_marked_until_slack_has_taken_it(shop: Shop, page: Page) -> None:
    page.goto(shop.url("/"))
    expect(tile(page, "hana", "idle")).to_have_attribute("data-told", "true")
    shop.slack.always(status=500)
    shop.press()
    expect(tile(page, "hana", "calling")).to_have_attribute("data-told", "false")
    shop.slack.always()
    expect(tile(page, "hana", "calling")).to_have_attribute("data-told", "true", timeout=10_000)


def test_the_link_is_lost_and_comes_back_with_what_happened_meanwhile(shop: Shop, page: Page) -> None:
    shop.settings = ports_kept(shop)
    shop.close()
    shop.open()
    page.goto(shop.url("/"))
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    shop.close()
    expect(page.locator("body")).to_have_attribute("data-link", "lost", timeout=6_000)
    shop.open()
    shop.press()
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=6_000)
    expect(tile(page, "hana", "calling")).to_be_visible()


def test_after_the_data_folder_was_wiped_the_page_shows_what_is_there(shop: Shop, page: Page) -> None:
    shop.settings = ports_kept(shop)
    shop.close()
    shop.open()
    shop.press()
    page.goto(shop.url("/"))
    expect(tile(page, "hana", "calling")).to_be_visible()
    shop.close()
    shutil.rmtree(shop.data)
    shop.open()
    add_staff(shop.place, NewStaff(id="hana", name="Hana again", slack="U0HANA"))
    expect(tile(page, "hana", "idle")).to_contain_text("Hana again", timeout=8_000)
    expect(tile(page, "sora")).to_have_count(0)


def ports_kept(shop: Shop) -> object:
    """The settings with the ports that it has now, so that it comes back where it was."""
    from dataclasses import replace

    http, ws = (int(address.rpartition(":")[2]) for address in (shop.at.http, shop.at.websocket))
    return replace(shop.settings, http_port=http, ws_port=ws)


def test_who_is_added_or_removed_comes_and_goes_on_a_running_page(shop: Shop, page: Page) -> None:
    page.goto(shop.url("/"))
    expect(tile(page, "hana")).to_be_visible()
    add_staff(shop.place, NewStaff(id="riku", name="Riku"))
    expect(tile(page, "riku", "idle")).to_be_visible()
    remove_staff(shop.place, "riku")
    expect(tile(page, "riku")).to_have_count(0)


@pytest.mark.parametrize(("lang", "words"), [("ja", "呼び出し"), ("en", "all")])
def test_the_page_speaks_the_language_that_was_asked_for(
    shop: Shop, page: Page, lang: str, words: str
) -> None:
    page.goto(shop.url(f"/?lang={lang}"))
    expect(page.locator("html")).to_have_attribute("lang", lang)
    shop.press()
    expect(tile(page, "hana", "calling")).to_contain_text(re.compile(words))


def test_a_page_opened_by_another_name_finds_its_websocket(shop: Shop, page: Page) -> None:
    page.goto(shop.url("/").replace("127.0.0.1", "localhost"))
    expect(page.locator("body")).to_have_attribute("data-link", "live")


def test_a_booth_that_does_not_exist_shows_up_as_soon_as_it_does(shop: Shop, page: Page) -> None:
    page.goto(shop.url("/?booth=hall"))
    expect(page.locator("body")).to_contain_text("hall")
    add_staff(shop.place, NewStaff(id="riku", name="Riku", booth="hall"))
    expect(tile(page, "riku", "idle")).to_be_visible(timeout=10_000)
    expect(tile(page, "hana")).to_have_count(0)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (390, 844)])
def test_long_names_and_notes_stay_inside_the_page(shop: Shop, page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    add_staff(shop.place, NewStaff(id="long", name="寿限無" * 26, slack="U0LONG", role="W" * 80))
    shop.aws("iot").create_thing(
        thingName="button-long", thingTypeName="button", attributePayload={"attributes": {"single": "long"}}
    )
    shop.press("long")
    shop.says("U0LONG", "ok " + "very" * 40)
    page.goto(shop.url("/"))
    expect(tile(page, "long", "running")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_on_a_wall_of_two_hundred_a_long_note_never_hides_whose_it_is(shop: Shop, page: Page) -> None:
    place = shop.place
    for n in range(120):
        place.things.create(Thing(name=f"staff-w{n}", type="staff", attributes={"slackUserId": f"U0W{n}"}))
        desired, reported = newcomer(f"Person {n}", "", place.clock())
        place.shadows.update(f"staff-w{n}", desired=desired, reported=reported)
    names = [f"staff-w{n}" for n in range(120)]
    place.shadows.update("booth-wall", reported={"title": "Wall", "staff": names})
    add_button(place, NewButton(id="w", single="w7", booth="wall"))
    shop.press("w")
    shop.says("U0W7", "ok " + "a long way to go " * 8)
    page.goto(shop.url("/?booth=wall"))
    shown = tile(page, "w7", "running")
    expect(shown).to_contain_text("Person 7")
    box, name = shown.bounding_box(), shown.locator(".name").bounding_box()
    assert box["y"] <= name["y"]
    assert name["y"] + name["height"] <= box["y"] + box["height"]


def test_the_page_comes_with_what_it_knew_while_the_server_is_away(shop: Shop, page: Page) -> None:
    shop.settings = ports_kept(shop)
    shop.close()
    shop.open()
    shop.press()
    page.goto(shop.url("/?lang=de,en"))
    expect(tile(page, "hana", "calling")).to_be_visible()
    page.wait_for_function("async () => !!(await (await caches.open('staffcall')).match('./'))")
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    page.wait_for_function("() => localStorage.getItem('staffcall booth main')?.includes('calling')")
    shop.close()
    page.reload()
    expect(tile(page, "hana", "calling").locator("time")).to_contain_text("vor")
    expect(page.locator("body")).to_have_attribute("data-link", "lost")
    expect(tile(page, "hana").locator(".what")).to_have_attribute(
        "lang", "de"
    )  # which is in a file of its own
    expect(page.get_by_role("status")).to_contain_text("No connection")
    shop.open()
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=10_000)


def test_a_new_build_is_taken_once_nobody_is_called(shop: Shop, page: Page) -> None:
    page.clock.install()
    page.goto(shop.url("/?lang=en"))
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    shop.press()
    expect(tile(page, "hana", "calling")).to_be_visible()
    page.evaluate(
        "document.head.append(Object.assign(document.createElement('meta'), {name: 'assets/older.js'}))"
    )
    page.clock.run_for(70_000)
    assert page.locator("meta[name='assets/older.js']").count() == 1
    shop.says("U0HANA", "done")
    expect(tile(page, "hana", "idle")).to_be_visible()
    with page.expect_navigation():
        page.clock.run_for(10_000)
    expect(page.locator("meta[name='assets/older.js']")).to_have_count(0)
