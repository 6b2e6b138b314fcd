"""The kiosk in a real browser."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.story import Person

IS_SKIPPED = "browser" in os.environ.get("STAFFCALL_SKIP", "").split(",")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic")
PATIENCE_MS = 30_000


@contextmanager
def chromium(flags: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser; ``flags`` are added to those that it needs anyway."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "Chromium is missing: `make browser` installs it, or set STAFFCALL_SKIP=browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser) -> Iterator[Page]:
    """A page on which nothing may be raised, and nothing refused by the policy that it came with."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="en-GB")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None
    )
    yield page
    page.close()
    assert faults == []


def tile(page: Page, staff: str, state: str = "") -> Locator:
    return page.locator(f'[data-thing="staff-{staff}"]' + (f'[data-state="{state}"]' if state else ""))


class Screen:
    """A booth's screen, in English."""

    def __init__(self, page: Page, kiosk: str, booth: str, where: str) -> None:
        """``kiosk`` is the page's address, ``where`` the place, for what is said when something is not shown."""
        self._page, self._where = page, where
        page.goto(f"{kiosk}?booth={booth}&lang=en")
        message = f"{where}: the screen of {booth} is not live"
        expect(page.locator("body"), message).to_have_attribute("data-link", "live", timeout=PATIENCE_MS)

    def is_lost(self) -> None:
        """Wait until it says that it does not know."""
        message = f"{self._where}: the screen still shows what it knew as true"
        expect(self._page.locator("body"), message).to_have_attribute(
            "data-link", "lost", timeout=PATIENCE_MS
        )

    def shows(self, person: Person, state: str, *texts: str, told: bool | None = None) -> None:
        """Wait until somebody's tile is in a state, and says these texts."""
        found = tile(self._page, person.id, state)
        message = f"{self._where}: the screen does not show {person.name} {state}"
        expect(found, message).to_be_visible(timeout=PATIENCE_MS)
        for text in texts:
            expect(found, f"{message} with {text!r}").to_contain_text(text, timeout=PATIENCE_MS)
        if told is not None:
            word = str(told).lower()
            expect(found, f"{message}, told: {word}").to_have_attribute(
                "data-told", word, timeout=PATIENCE_MS
            )
