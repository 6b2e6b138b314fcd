"""Takes the pictures of the README, and the one that moves, from a real place: ``make pictures``.

A place opens at an hour that stands still, a small Slack listens, and Chromium shows the pages. What is in Slack is drawn
from the blocks that were posted there. As no clock moves by itself, the same code gives the same pictures.
"""

import io
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from infra.local import demo
from shadows.registry import NewBooth, NewButton, NewStaff, add_booth, add_button, add_staff
from tests.fake_slack import BOT_TOKEN, FakeSlack, Posted
from tests.screen import PATIENCE_MS, chromium, tile
from tests.shop import ADMIN_TOKEN, ROOT, Shop, until

DOCS: Final = ROOT / "docs"
STYLE: Final = Path(__file__).with_suffix(".css")
ZONE, BEGIN_S, TOKYO_S = "Asia/Tokyo", 1_795_224_540, 9 * 3600  # 2026-11-21, 10:29 in Tokyo
OTHERS: Final = (
    NewStaff(id="riku", name="山本 リク Riku", role="デザイン Design", slack="U0RIKU"),
    NewStaff(id="alice", name="有栖 Alice", role="採用 Careers", slack="U0ALICE"),
)
EAST: Final = NewBooth(id="east", title="東口 East gate")
AT_EAST: Final = NewStaff(id="yuki", name="森 雪 Yuki", role="ご案内 Guide", slack="U0YUKI", booth="east")
NAMES: Final = {new.slack: new.name for new in (*demo.STAFF, *OTHERS, AT_EAST)}
STEPS: Final = ("Nobody waits", "A visitor presses the button", "Hana answers in Slack", "Hana was there")
APP: Final = {
    "slack_webhook_url": "",
    "slack_bot_token": BOT_TOKEN,
    "slack_channel": "C0CALLS",
    "remind_s": 0.0,
    "calling_s": 600.0,
    "running_s": 600.0,
}
# A screen whose two clocks drift apart says, rightly, that it does not know.
STEADY: Final = "const began = Date.now(); performance.now = () => Date.now() - began"
BELL: Final = (
    '<svg viewBox="0 0 24 24" width="22" height="22"><path fill="#1f1500" d="M12 2a6 6 0 0 0-6 6v4.6l-1.7 2.9A1 1 0 0 0 5.2 '
    '17h13.6a1 1 0 0 0 .9-1.5L18 12.6V8a6 6 0 0 0-6-6Zm-2.8 17a3 3 0 0 0 5.6 0Z"/></svg>'
)


class Hour:
    """The time, for the place and every page; it goes on when told to."""

    def __init__(self) -> None:
        self.s = BEGIN_S
        self.pages: list[Page] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing else tells the time meanwhile."""
        clocks = {
            "time.time": lambda: float(self.s),
            "time.time_ns": lambda: self.s * 10**9,
            "infra.local.clock.elapsed_ms": lambda: (self.s - BEGIN_S) * 1000,
            "infra.local.timer.step_watch": lambda: (
                lambda: False
            ),  # it would take this for a clock that is set
        }
        with ExitStack() as stack:
            for name, clock in clocks.items():
                stack.enter_context(patch(name, clock))
            yield

    def passes(self, seconds: int) -> None:
        self.s += seconds
        for page in self.pages:
            page.clock.set_fixed_time(self.s)

    def page(self, browser: Browser, width: int, height: int, **more: Any) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height}, timezone_id=ZONE, **more)
        page.clock.set_fixed_time(self.s)
        page.add_init_script(STEADY)
        self.pages.append(page)
        return page


def shot(page: Page, **more: Any) -> bytes:
    """A picture of what is shown, once its fonts are there and nothing moves."""
    settle = "document.fonts.ready.then(() => new Promise(done => setTimeout(done, 700)))"
    page.evaluate(settle)  # in which a screen may have taken the step for silence, and connect anew
    if page.locator("body[data-link]").count():
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=PATIENCE_MS)
        page.evaluate(settle)
    return page.screenshot(animations="disabled", caret="hide", **more)


def kiosk(page: Page, shop: Shop, booth: str = "main", more: str = "") -> Page:
    page.goto(shop.url(f"/?booth={booth}{more}"))
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=PATIENCE_MS)
    return page


# --- Slack, as its blocks say


def message(who: str, at: int, body: str) -> str:
    bot = '<b class="app">APP</b>' if who == "Staff Call" else ""
    face = f'<i class="face bell">{BELL}</i>' if bot else f'<i class="face">{escape(who[0])}</i>'
    return f"<article>{face}<div><h3>{escape(who)} {bot}<time>{of_day(at)}</time></h3>{body}</div></article>"


def card(post: Posted, at: int) -> str:
    """A message of ours: sections, what is beside them, and buttons."""
    assert post.blocks, f"a message without blocks: {post}"
    return message("Staff Call", at, "".join(drawn(block) for block in post.blocks))


def drawn(block: dict[str, Any]) -> str:
    if block["type"] == "section":
        return f"<p>{mrkdwn(block['text']['text'])}</p>"
    if block["type"] == "context":
        return f"<p class=context>{''.join(mrkdwn(each['text']) for each in block['elements'])}</p>"
    assert block["type"] == "actions", block
    buttons = (
        f'<span class="button {each.get("style", "")}">{escape(each["text"]["text"])}</span>'
        for each in block["elements"]
    )
    return f"<p class=actions>{''.join(buttons)}</p>"


def mrkdwn(text: str) -> str:
    """Bold, mentions and dates; what Slack encodes is HTML already."""
    text = re.sub(r"\*([^*]+)\*", r"<b>\1</b>", text)
    text = re.sub(r"<@(\w+)>", lambda found: f"<span class=mention>@{NAMES[found[1]]}</span>", text)
    return re.sub(r"<!date\^(\d+)\^[^>]*>", lambda found: of_day(int(found[1])), text)


def of_day(s: int) -> str:
    return time.strftime("%H:%M", time.gmtime(s + TOKYO_S))


def channel(*messages: str) -> str:
    return f'<section class="slack"><h2># reception</h2>{"".join(messages)}</section>'


def staged(page: Page, body: str) -> bytes:
    """A picture of the part of a page that is drawn."""
    page.set_content(f"<!doctype html><meta charset=utf-8><style>{STYLE.read_text('utf-8')}</style>{body}")
    return shot(page, clip=page.locator("body > *").bounding_box())


# --- what is taken


class Studio:
    """A booth with its screen, and a stage on which things are put together."""

    def __init__(self, shop: Shop, hour: Hour, browser: Browser) -> None:
        self.shop, self.hour, self.browser = shop, hour, browser
        self.stage = hour.page(browser, 1120, 900)

    def press(self, button: str = "demo", click: str = "SINGLE") -> Posted:
        """A press, and the message that it became."""
        before = len(self.shop.slack.posts)
        assert self.shop.press(button, click)[0] < 300
        post = until(lambda: self.shop.slack.posts[before:], "the mention", 30)[0]
        [user] = re.findall(r"<@(\w+)>", post.text)
        self._told(user)
        return post

    def says(self, user: str, text: str) -> None:
        self.shop.says_in_an_app(user, text)
        self._told(user)

    def _told(self, user: str) -> None:
        """Wait for the last word about it, so that no page hears it at a later hour."""
        until(lambda: self.shop.is_told(user.removeprefix("U0").lower()), "what was said", 30)

    def changed(self, post: Posted, at: int, text: str) -> str:
        """A message of that hour, once it says this."""
        until(lambda: text in self.shop.slack.shown(post.ts).text, f"a card with {text!r}", 30)
        return card(self.shop.slack.shown(post.ts), at)

    def loop(self) -> list[tuple[bytes, int]]:
        """Press, calling, ok, on the way, idle: pictures, and how long each is shown (milliseconds)."""
        screen = kiosk(self.hour.page(self.browser, 900, 640), self.shop)
        hour, frames = self.hour, []

        def frame(said: str, step: int, ms: int, *messages: str) -> None:
            marks = "".join(f"<li class={'now' if n == step else ''}>{each}" for n, each in enumerate(STEPS))
            expect(tile(screen, "hana", said)).to_be_visible()
            picture = b64encode(shot(screen)).decode()
            body = f'<main><ol>{marks}</ol><img src="data:image/png;base64,{picture}">{channel(*messages)}</main>'
            frames.append((staged(self.stage, body), ms))

        frame("idle", 0, 2000)
        post, pressed = self.press(), hour.s
        for _ in range(3):
            hour.passes(1)
            expect(tile(screen, "hana", "calling")).to_have_attribute("data-told", "true")
            frame("calling", 1, 1000, card(post, pressed))
        hour.passes(4)
        self.says("U0HANA", "ok, 2分で行きます")
        answer = message(NAMES["U0HANA"], hour.s, "<p>ok, 2分で行きます</p>")
        expect(tile(screen, "hana", "running")).to_contain_text("2分で行きます")
        frame("running", 2, 3500, self.changed(post, pressed, "on the way"), answer)
        hour.passes(95)
        self.says("U0HANA", "done")
        over = message(NAMES["U0HANA"], hour.s, "<p>done</p>")
        frame("idle", 3, 3000, self.changed(post, pressed, "has been at"), answer, over)
        screen.close()
        hour.pages.remove(screen)
        return frames

    def furnish(self) -> None:
        """The other people, one of them away, and a booth more."""
        place = self.shop.place
        for new in OTHERS:
            add_staff(place, new)
        add_booth(place, EAST)
        add_staff(place, AT_EAST)
        add_button(place, NewButton(id="east", single="yuki", booth="east"))
        self.says("U0ALICE", "away")

    def slack(self) -> bytes:
        """Sora is called and goes; then Hana is called: both messages."""
        first, called = self.press(click="DOUBLE"), self.hour.s
        self.hour.passes(21)
        self.says("U0SORA", "ok, 5分で行きます")
        going = self.changed(first, called, "on the way")
        self.hour.passes(47)
        asked = card(self.press(), self.hour.s)
        self.hour.passes(12)
        return staged(self.stage, f"<main class=alone>{channel(going, asked)}</main>")

    def screens(self) -> Iterator[tuple[str, bytes]]:
        light = kiosk(self.hour.page(self.browser, 1600, 900), self.shop)
        dark = kiosk(self.hour.page(self.browser, 1600, 900), self.shop, more="&theme=dark")
        for name, page in (("kiosk.png", light), ("kiosk-dark.png", dark)):
            expect(tile(page, "hana", "calling")).to_have_attribute("data-told", "true")
            expect(tile(page, "sora", "running")).to_be_visible()
            expect(tile(page, "alice", "away")).to_be_visible()
            yield name, shot(page)

    def admin(self) -> bytes:
        """Two booths with a screen each, and a new button that nobody knows yet."""
        kiosk(self.hour.page(self.browser, 1600, 900), self.shop, "east")
        self.press("east")
        self.hour.passes(9)
        self.says("U0YUKI", "ok")
        assert self.shop.press("440101234567890")[0] == 404
        self.hour.passes(5)
        page = self.hour.page(self.browser, 1200, 760)
        page.goto(self.shop.url("/admin?lang=en"))
        page.get_by_label("Admin token").fill(ADMIN_TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("[data-staff=yuki]")).to_be_visible()
        expect(page.locator("[data-booth=east] [data-screens]")).to_contain_text("1")
        return shot(page)


# --- files


def small(picture: bytes) -> bytes:
    """The same in as few colours as flat pages need."""
    made = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
    return made.getvalue()


def moving(frames: list[tuple[bytes, int]]) -> bytes:
    """One GIF, with the same colours in each frame."""
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture, _ in frames]
    strip = Image.new("RGB", (images[0].width, sum(image.height for image in images)))
    for n, image in enumerate(images):
        strip.paste(image, (0, n * image.height))
    palette = strip.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    made = io.BytesIO()
    durations = [ms for _, ms in frames]
    first.save(
        made, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, disposal=1, optimize=True
    )
    return made.getvalue()


def taken() -> Iterator[tuple[str, bytes]]:
    """Each file's name, and what belongs in it."""
    hour = Hour()
    with ExitStack() as stack:
        stack.enter_context(hour.held())
        folder = stack.enter_context(TemporaryDirectory())
        slack = stack.enter_context(FakeSlack())
        shop = stack.enter_context(Shop(Path(folder) / "data", slack, slack_api_url=slack.api_url, **APP))
        browser = stack.enter_context(chromium())
        demo.furnish(shop.place)
        studio = Studio(shop, hour, browser)
        yield "loop.gif", moving(studio.loop())
        hour.passes(120)
        studio.furnish()
        hour.passes(30)
        yield "slack.png", small(studio.slack())
        for name, picture in studio.screens():
            yield name, small(picture)
        yield "admin.png", small(studio.admin())


def main() -> None:
    """Write all of them anew."""
    for name, picture in taken():
        (DOCS / name).write_bytes(picture)
        print(f"docs/{name}: {len(picture) // 1000} kB")


if __name__ == "__main__":
    main()
