"""The proof that a screen never lies: it is cut off and comes back, over and over, while calls go on.

    python -c "import tests.soak_kiosk as soak; soak.main()" --cuts 100 --transitions 500 --seed 1

Several browsers, each with a place of its own, which it reaches through a relay that is ours. Each cut is one of three: the connections are reset, and nobody
listens; they stay open, and nothing passes; or the browser itself says that it is offline. While it is cut off somebody is
called, answers, or neither. Judged: how long after a cut the page still says that it is live, how long after the end of it
until it is live again, and whether it then shows what the shadow says. Afterwards: what the page's heap grows by in a long
run of transitions, and what a wall of 200 takes.
"""

import argparse
import gc
import json
import multiprocessing
import random
import selectors
import socket
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import CDPSession, Page

from infra.local.http import bind
from tests.fake_slack import FakeSlack
from tests.screen import chromium
from tests.shop import Shop, call_of, until

STALE_S: Final = 5.0
BACK_S: Final = 2.0
GROWTH: Final = 0.05
RESET: Final = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
HOST: Final = "127.0.0.1"


class Relay:
    """A port that leads to another one, and can be cut."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._deaf = threading.Event()
        self._over = threading.Event()
        self._listener: socket.socket | None = bind(HOST, 0)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=work) for work in (self._accept, self._pass)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.reset()

    def reset(self) -> None:
        """Nobody listens any more, and who was connected hears so."""
        with self._lock:
            listener, self._listener = self._listener, None
            pairs, self._pairs = dict(self._pairs), {}
        if listener:
            listener.close()
        for each in pairs:
            with suppress(OSError):
                each.setsockopt(*RESET)
            each.close()

    def silence(self) -> None:
        """Who is connected stays so, and who comes is let in; nothing passes."""
        self._deaf.set()

    def restore(self) -> None:
        self._deaf.clear()
        with self._lock:
            if self._listener is None:
                self._listener = bind(HOST, self.port)

    def _accept(self) -> None:
        while not self._over.wait(0.002):
            with self._lock:
                listener = self._listener
            if listener is None:
                continue
            try:
                listener.settimeout(0.05)
                came, _ = listener.accept()
                there = socket.create_connection((HOST, self._to))
            except OSError:
                continue
            with self._lock:
                if self._listener is listener:
                    self._pairs |= {came: there, there: came}
                    continue
            came.close()
            there.close()

    def _pass(self) -> None:
        while not self._over.is_set():
            with self._lock:
                known = dict(self._pairs)
            if self._deaf.is_set() or not known:
                time.sleep(0.005)
                continue
            with selectors.DefaultSelector() as ready:
                for each in known:
                    with suppress(OSError, ValueError):
                        ready.register(each, selectors.EVENT_READ)
                for key, _ in ready.select(0.01):
                    if not self._deaf.is_set():
                        self._hand_on(key.fileobj, known)  # type: ignore[arg-type]

    def _hand_on(self, of: socket.socket, known: dict[socket.socket, socket.socket]) -> None:
        try:
            said = of.recv(1 << 16)
            if said:
                known[of].sendall(said)
                return
        except OSError:
            pass
        with self._lock:
            for each in (of, known[of]):
                self._pairs.pop(each, None)
                each.close()


@dataclass(slots=True)
class Figures:
    """Seconds, of each cut; and what was wrong."""

    stale: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        self.stale += other.stale
        self.back += other.back
        self.wrong += other.wrong

    def __str__(self) -> str:
        def said(name: str, all_s: Sequence[float]) -> str:
            return (
                f"{name}: median {statistics.median(all_s):.2f} s, longest {max(all_s):.2f} s"
                if all_s
                else name
            )

        return "; ".join(
            [
                f"{len(self.back):,} cuts",
                said("still live after a cut", self.stale),
                said("live again after its end", self.back),
                f"wrong: {len(self.wrong)}",
            ]
        )


# The page writes down itself when it was live and when not: no question of ours comes between.
WATCH: Final = """() => {
    const note = () => seen.push([Date.now(), document.body.dataset.link]);
    window.seen = [];
    new MutationObserver(note).observe(document.body, {attributeFilter: ["data-link"]});
    note();
}"""


def cut_and_restore(
    page: Page, shop: Shop, relays: Sequence[Relay], chance: random.Random, figures: Figures
) -> None:
    """One cut, and what the page made of it."""
    how = chance.choice(("reset", "silence", "offline"))
    page.evaluate("seen.length = 0")
    began = time.time()
    if how == "offline":
        page.context.set_offline(True)
    for relay in relays:
        getattr(relay, how, lambda: None)()
    happens = chance.choice(("press", "answer", "nothing"))
    time.sleep(chance.uniform(0, 7))
    if happens == "press":
        shop.press()
    elif happens == "answer":
        shop.says("U0HANA", chance.choice(("ok", "done", "no")))
    time.sleep(chance.uniform(0, 1))
    ended = time.time()
    for relay in relays:
        relay.restore()
    if how == "offline":
        page.context.set_offline(False)
    judge(page, shop, (how, began, ended), figures)


def judge(page: Page, shop: Shop, cut: tuple[str, float, float], figures: Figures) -> None:
    how, began, ended = cut
    wanted = shop.state("hana")
    shows = f'[data-thing="staff-hana"][data-state="{wanted}"]:not(.stale)'
    page.wait_for_selector(f'body[data-link="live"] {shows}', timeout=30_000)
    seen: list[tuple[float, str]] = [(at / 1000, link) for at, link in page.evaluate("seen")]
    lost = next((at for at, link in seen if link == "lost"), None)
    # A cut that was over before it was noticed: then nothing was shown as fresh later than that.
    stale = (lost if lost is not None and lost < ended else ended) - began
    live = [at for at, link in seen if link == "live" and at > ended]
    back = live[-1] - ended if live else 0.0
    figures.stale.append(stale)
    figures.back.append(back)
    if stale > STALE_S:
        figures.wrong.append(f"{how}: still live after {stale:.2f} s")
    if back > BACK_S:
        figures.wrong.append(f"{how}, for {ended - began:.1f} s: live again after {back:.2f} s")


def cuts_of_all(count: int, seed: int, screens: int) -> Figures:
    """Cut so many screens off at the same time, so often together: most of a cut is waiting."""
    shares = [len(range(each, count, screens)) for each in range(screens)]
    figures = Figures()
    with ProcessPoolExecutor(screens, multiprocessing.get_context("spawn")) as pool:
        for each in pool.map(cuts, shares, range(seed, seed + screens)):
            figures.add(each)
    return figures


def cuts(count: int, seed: int) -> Figures:
    """Cut a screen off so often."""
    chance, figures = random.Random(seed), Figures()
    with place() as (shop, relays), chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://{HOST}:{relays[0].port}/?booth=main")
        page.wait_for_selector('body[data-link="live"]', timeout=30_000)
        page.evaluate(WATCH)
        for number in range(1, count + 1):
            cut_and_restore(page, shop, relays, chance, figures)
            if number % 50 == 0:
                print(f"seed {seed}: {figures}", flush=True)
    return figures


@contextmanager
def place() -> Iterator[tuple[Shop, list[Relay]]]:
    """A place, and a relay before each of its two public ports; a screen hears of the relays only."""
    with tempfile.TemporaryDirectory() as folder, FakeSlack() as slack:
        port = bind(HOST, 0)
        ws = port.getsockname()[1]
        port.close()
        relay = Relay(ws)
        shop = Shop(Path(folder) / "data", slack)
        shop.settings = replace(shop.settings, ws_port=ws, ws_url=f"ws://{HOST}:{relay.port}/mqtt")
        with shop:
            page = Relay(int(shop.at.http.rpartition(":")[2]))
            try:
                yield shop.furnish(), [page, relay]
            finally:
                page.close()
                relay.close()


# --- What it takes


def heap(session: CDPSession) -> int:
    """Bytes of the page's JavaScript that are in use, after the garbage is gone."""
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    return int(session.send("Runtime.getHeapUsage")["usedSize"])


def growth(transitions: int) -> float:
    """By which share the heap grows from a fifth of so many transitions to their end."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeSlack() as slack,
        Shop(Path(folder) / "data", slack) as shop,
    ):
        shop.furnish()
        with chromium() as browser:
            page = browser.new_page()
            page.goto(shop.url("/?booth=main"))
            page.wait_for_selector('body[data-link="live"]', timeout=30_000)
            session = page.context.new_cdp_session(page)
            first = 0
            for number in range(transitions):
                write(shop, "hana", number)
                if number == transitions // 5:
                    first = settled_heap(page, session, number)
            last = settled_heap(page, session, transitions - 1)
    print(
        f"heap after {transitions // 5:,} transitions {first:,} bytes, after {transitions:,} {last:,}",
        flush=True,
    )
    return last / first - 1


def settled_heap(page: Page, session: CDPSession, number: int) -> int:
    page.wait_for_selector(f'[data-thing="staff-hana"]:has-text("note {number}")', timeout=60_000)
    return heap(session)


def write(shop: Shop, staff: str, number: int) -> None:
    now = shop.place.clock()
    call = call_of(number, now, f"note {number}")
    four = {"state": "running", "since": now, "why": "ok", "call": call}
    shop.place.shadows.update(f"staff-{staff}", desired=four, reported=four)


def wall(seconds: int) -> dict[str, float]:
    """A wall of 200: first paint, all states after it is connected, and how evenly it follows 60 updates a second."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeSlack() as slack,
        Shop(Path(folder) / "data", slack, throttle=True) as shop,  # as everybody has it
    ):
        names = shop.wall(200)
        gc.collect()
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.add_init_script(MARKS)
            page.goto(shop.url("/?booth=main"))
            page.wait_for_selector('body[data-link="live"]', timeout=30_000)
            marks: dict[str, float] = page.evaluate("marks")
            page.evaluate(FRAMES)
            shop_writes(shop, names, seconds)
            until(lambda: page.locator(f'[data-thing="staff-{names[0]}"][data-state="running"]').count() == 1)
            frames: dict[str, float] = page.evaluate("frames")
    return marks | frames


def shop_writes(shop: Shop, names: Sequence[str], seconds: int) -> None:
    start = time.monotonic()
    for number in range(seconds * 60):
        write(shop, names[number % 200], number)
        time.sleep(max(0.0, start + number / 60 - time.monotonic()))
    print(f"{seconds * 60} updates in {time.monotonic() - start:.1f} s", flush=True)


MARKS: Final = """
    window.marks = {};
    new PerformanceObserver(list => list.getEntries().forEach(e => { marks[e.name] = e.startTime / 1000 }))
        .observe({type: "paint", buffered: true});
    const Real = WebSocket;
    window.WebSocket = class extends Real { constructor(...all) {
        super(...all);
        this.addEventListener("open", () => { marks.connected ??= performance.now() / 1000 });
    } };
    addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
        if (document.body.dataset.link === "live") marks.live ??= performance.now() / 1000;
    }).observe(document.body, {attributeFilter: ["data-link"]}));
"""
# The longest time between two frames, and the most seconds by which the clock on the screen ever moved at once.
FRAMES: Final = """() => {
    window.frames = {longest_frame: 0, seconds_at_once: 0, count: 0};
    const own = window.frames;
    let before = performance.now(), second = Math.floor(Date.now() / 1000);
    const each = now => {
        own.longest_frame = Math.max(own.longest_frame, (now - before) / 1000);
        const here = Math.floor(Date.now() / 1000);
        own.seconds_at_once = Math.max(own.seconds_at_once, here - second);
        [before, second] = [now, here];
        own.count += 1;
        requestAnimationFrame(each);
    };
    requestAnimationFrame(each);
}"""


def main(argv: Sequence[str] | None = None) -> None:
    """Exit 1, if the screen lied, came back late, or grew."""
    options = argparse.ArgumentParser()
    options.add_argument("--cuts", type=int, default=1000)
    options.add_argument("--transitions", type=int, default=5000)
    options.add_argument("--wall-seconds", type=int, default=20)
    options.add_argument("--screens", type=int, default=4)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    asked: Any = options.parse_args(argv)
    print(f"wall: {json.dumps(wall(asked.wall_seconds))}", flush=True)
    grown = growth(asked.transitions)
    print(f"heap: {grown:+.1%}", flush=True)
    figures = cuts_of_all(asked.cuts, asked.seed, asked.screens)
    print(f"seed {asked.seed}: {figures}")
    wrong = [*figures.wrong, *([f"the heap grew by {grown:.1%}"] if grown > GROWTH else [])]
    if wrong:
        raise SystemExit("\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
