"""What has gone silent is said, before a second sign of life is missing, and not any more once it is heard again."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mqtt_wire as wire
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from infra.local import run, timer, watch
from infra.local.gateway import Client, limits
from infra.local.gateway.policy import KIOSK
from infra.local.place import LocalPlace
from infra.local.signs import KIOSK_S, LATE, OPEN_MS, PERIOD_S, Kiosks, Sign, of_buttons, silent
from shadows.errors import Rejected
from shadows.registry import Button, NewButton, add_button
from shadows.telling import NotTold
from shadows.trouble import Trouble
from slack_bridge import socket_mode
from slack_bridge.check import Asker, try_channel
from slack_bridge.refusals import refusal_of
from slack_bridge.tellers import web_client
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, SCOPES, FakeSlack, Next
from tests.shop import Process, Shop, get, until

NOW = 1_793_235_600_000


# --- The rule


def sign(of: str, age_s: float, period_s: float, **more: str) -> Sign:
    return Sign(of=of, at=NOW - int(1000 * age_s), age_s=age_s, period_s=period_s, **more)


def troubles(*signs: Sign) -> list[Trouble]:
    return list(silent(signs, NOW))


@pytest.mark.parametrize("part", sorted(PERIOD_S))
def test_a_part_is_silent_when_one_sign_is_missing_and_before_a_second_one_is(part: str) -> None:
    period = PERIOD_S[part]
    assert troubles(sign(part, LATE * period - 0.001, period)) == []
    (trouble,) = troubles(sign(part, LATE * period, period))
    assert trouble.since == NOW - int(1000 * LATE * period)
    assert trouble.fix
    assert trouble.what in watch.KINDS, "or nobody would hear of it"
    assert 1 < LATE < 2


def test_what_somebody_has_to_mend_is_said_at_once_and_why() -> None:
    assert troubles(sign("slack", 1, 60, reason="no answer within 3 s")) == []
    (trouble,) = troubles(sign("slack", 1, 60, reason="invalid_auth", fix="Install the app again."))
    assert trouble == Trouble(
        what="slack",
        since=NOW - 1000,
        detail="Slack cannot be used (invalid_auth)",
        fix="Install the app again.",
    )


def test_a_booth_that_was_closed_for_the_night_is_not_asked_for_its_screen() -> None:
    (trouble,) = troubles(sign("kiosk-east-hall", 60, 30), sign("kiosk-main", 44, 30))
    assert (trouble.what, trouble.thing) == ("kiosk", "booth-east-hall")
    assert troubles(sign("kiosk-main", OPEN_MS / 1000 + 1, 30)) == []


@pytest.mark.parametrize(
    ("button", "silent_since"),
    [
        ({"heartbeat_s": None, "at": NOW - 10**9}, None),
        ({"heartbeat_s": 3600, "at": NOW - 5_399_000}, None),
        ({"heartbeat_s": 3600, "at": 1, "heard": NOW - 5_399_000}, None),
        ({"heartbeat_s": 3600, "at": NOW - 5_400_000, "heard": 1}, NOW - 5_400_000),
        ({"heartbeat_s": 3600}, NOW - 5_400_000),
    ],
    ids=["none", "pressed", "heard", "silent", "never heard"],
)
def test_a_button_is_silent_only_if_it_has_a_heartbeat(
    button: dict[str, Any], silent_since: int | None
) -> None:
    made = Button(id="440520000000001", calls={}, booth="main", **button)
    found = troubles(*of_buttons([made], NOW, NOW - 5_400_000))
    assert [trouble.since for trouble in found] == ([silent_since] if silent_since else [])
    for trouble in found:
        assert trouble.thing == "button-440520000000001"
        assert "440520000000001" not in trouble.detail + trouble.fix, "whoever opens /healthz reads these"


# --- Screens


def guest(id: str, rights: Any = KIOSK) -> Client:
    return Client(id=id, rights=rights, address="10.0.0.9")


def test_the_screens_of_a_booth_are_counted_and_one_that_comes_back_is_no_silence() -> None:
    passed = [0.0]
    kiosks = Kiosks(lambda: NOW + int(1000 * passed[0]), lambda: passed[0])
    kiosks.know(["east-hall"])
    for id in ("kiosk-east-hall-a1", "kiosk-east-hall-b2", "kiosk-nowhere-c3", "kiosk--d4", "other"):
        kiosks.came(guest(id), 30)
    assert kiosks.connected() == {"east-hall": 2, "nowhere": 1}
    passed[0] = 100
    kiosks.left(guest("kiosk-east-hall-a1"), 45)
    assert [(each.of, each.age_s) for each in kiosks.all()] == [("kiosk-east-hall", 0)]
    passed[0] = 110
    kiosks.left(guest("kiosk-east-hall-b2"), 60)
    (gone,) = kiosks.all()
    assert (gone.at, gone.age_s, gone.period_s) == (NOW + 55_000, 55, 30), "the other was heard of later"
    assert gone.is_missed
    kiosks.came(guest("kiosk-east-hall-c3"), 30)
    assert [each.is_missed for each in kiosks.all()] == [False]


def test_a_strangers_screen_hides_no_other_one_for_long_and_is_not_remembered() -> None:
    passed = [0.0]
    kiosks = Kiosks(lambda: NOW, lambda: passed[0])
    kiosks.know(["main"])
    for booth in ("main", "nowhere"):
        kiosks.came(guest(f"kiosk-{booth}-x"), 1200)
        kiosks.left(guest(f"kiosk-{booth}-x"), 0)
    passed[0] = LATE * KIOSK_S
    assert [(each.of, each.is_missed) for each in kiosks.all()] == [("kiosk-main", True)]
    kiosks.know(["main"])
    assert list(kiosks._booths) == ["main"]


def test_who_reads_the_booths_waits_for_nobody_who_writes_down_the_screens() -> None:
    kiosks = Kiosks(lambda: NOW)
    kiosks.know(["main"])

    def read_by_the_store() -> Iterator[str]:
        asked = threading.Thread(target=kiosks.all, daemon=True)
        asked.start()
        asked.join(10)
        assert not asked.is_alive()
        yield "main"

    kiosks.know(read_by_the_store())


# --- Real parts


APP = {"slack_bot_token": BOT_TOKEN, "slack_app_token": APP_TOKEN, "slack_channel": "C0FLOOR"}


def wrong(shop: Shop) -> list[tuple[str, str]]:
    """What /healthz says is wrong: of which kind, and what it is."""
    status, said = get(shop.url("/healthz"))
    assert status == 200
    return [(each["what"], each["detail"]) for each in said.get("troubles", [])]


def kiosk(shop: Shop, keep_alive: int = 1) -> wire.WebSocketWire:
    """A screen of booth main that has connected, and says nothing more."""
    url = get(shop.url("/config.json"))[1]["mqtt"]
    dialled = connect(url, subprotocols=[Subprotocol("mqtt")], compression=None, proxy=None, legacy=True)
    opened = wire.WebSocketWire(dialled)
    opened.send(wire.connect("kiosk-main-1", keep_alive=keep_alive))
    assert opened.read().first == 0x20
    return opened


class Calm:
    """A place in a process of its own, which goes on with its work at its usual pace.

    Attributes:
        began: when, in seconds of ``time.monotonic``.
        wrong: what it said was wrong, ever.
        works: whether it still does.
    """

    def __init__(self, shop: Shop) -> None:
        self.began, self.wrong = time.monotonic(), list[tuple[str, str]]()
        self._shop, self._done = shop, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        with kiosk(self._shop, keep_alive=30) as screen:
            for turn in range(10**6):
                self.wrong += wrong(self._shop)
                if turn % 5 == 0:
                    self._shop.press(id=f"p{turn}")
                    self._shop.says("U0HANA", "done" if turn % 10 else "ok")
                    screen.send(b"\xc0\x00")  # PINGREQ
                if self._done.wait(1):
                    return

    @property
    def works(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._done.set()
        self._thread.join()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    """At work while the tests below break another place."""
    with FakeSlack() as slack:
        slack.open_channel("C0FLOOR", "U0HANA", "U0SORA")
        shop = Shop(tmp_path_factory.mktemp("calm") / "data", slack)
        api = {"SLACK_API_URL": slack.api_url, **{name.upper(): value for name, value in APP.items()}}
        with Process(shop, **api):
            shop.furnish()
            calm = Calm(shop)
            yield calm
            calm.end()


class Floor:
    """A place whose parts are within reach, and each of which says once a second that it lives."""

    def __init__(self, shop: Shop, place: LocalPlace) -> None:
        self.shop, self.place, self.slack = shop, place, shop.slack

    def goes_silent(self, what: str, words: str) -> None:
        """Wait until it is said in all three places."""

        def said() -> bool:
            found = [detail for kind, detail in wrong(self.shop) if kind == what and words in detail]
            counted = (
                f'staffcall_trouble{{what="{what}"}} 0.0' not in self.shop.admin("/metrics").splitlines()
            )
            shown = any(words in each["detail"] for each in self.shop.admin()["troubles"])
            return bool(found) and counted and shown

        until(said, f"{what}: {words}", 20)

    def is_heard_again(self, what: str, words: str) -> None:
        until(
            lambda: not [detail for kind, detail in wrong(self.shop) if kind == what and words in detail],
            f"no more {what}: {words}",
            20,
        )


@pytest.fixture
def floor(calm: Calm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Floor]:
    made: list[LocalPlace] = []

    class Seen(LocalPlace):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            made.append(self)

    for part in PERIOD_S:
        monkeypatch.setitem(PERIOD_S, part, 1.0)
    monkeypatch.setattr(timer, "SWEEP_EVERY_MS", 500)
    monkeypatch.setattr(limits, "MIN_KEEP_ALIVE_S", 1)
    monkeypatch.setattr(run, "LocalPlace", Seen)
    with FakeSlack() as slack:
        slack.open_channel("C0FLOOR", "U0HANA", "U0SORA")
        more = {"slack_api_url": slack.api_url, "alerts": ("json://127.0.0.1:9/{mail}",)}
        with Shop(tmp_path / "data", slack, **APP, **more) as shop:
            shop.furnish()
            yield Floor(shop, made[0])


@contextmanager
def held(soon: Callable[[Callable[[], object]], object]) -> Iterator[None]:
    """Have somebody wait, until the end of this."""
    go_on = threading.Event()
    soon(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


def test_a_loop_that_is_blocked_is_silent_until_it_turns_again(floor: Floor) -> None:
    with held(floor.place.twin._loop.loop.call_soon_threadsafe):
        floor.goes_silent("gateway", "MQTT stands still")
    floor.is_heard_again("gateway", "MQTT stands still")


def test_a_scheduler_that_stands_still_is_silent_until_it_goes_on(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.place.timers._scheduler.pause()
    floor.goes_silent("timer", "No alarm rings")
    floor.place.timers._scheduler.resume()
    floor.is_heard_again("timer", "No alarm rings")


def test_a_sweep_that_fails_is_silent_until_it_comes_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(timer, "sweep", None)
        floor.goes_silent("timer", "The sweep does not come")
    floor.is_heard_again("timer", "The sweep does not come")


@pytest.mark.parametrize(
    ("part", "does", "what", "words"),
    [
        ("deliverer", "_look", "slack", "Nobody sends mentions"),
        ("follower", "_follow", "timer", "Changes of shadows are not followed"),
    ],
)
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "hangs"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_or_hangs_is_silent_until_it_works_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, part: str, does: str, what: str, words: str, dies: bool
) -> None:
    thread = getattr(floor.place, part)
    revive, go_on = thread.revive, threading.Event()

    def fail(*_: object) -> None:
        if dies:
            raise SystemExit
        go_on.wait()

    with monkeypatch.context() as patch:
        patch.setattr(thread, "revive", lambda: None)  # the audit would soon
        patch.setattr(thread, does, fail)
        floor.shop.press()
        floor.goes_silent(what, words)
        assert thread.is_well is not dies
    go_on.set()
    if dies:
        revive()
    floor.is_heard_again(what, words)


@pytest.mark.parametrize(
    ("part", "what", "words"),
    [("alerter", "alert", "Nobody sends alerts"), ("actions", "action", "Nobody starts what clicks start")],
)
def test_a_thread_of_errands_that_has_ended_is_said(floor: Floor, part: str, what: str, words: str) -> None:
    getattr(floor.place, part).stop()
    floor.goes_silent(what, words)


def test_a_full_disk_is_said_until_there_is_room_again(floor: Floor) -> None:
    store = floor.place.store

    def end_here(db: Any) -> None:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")

    def fill(db: Any) -> None:
        db.execute("INSERT INTO room (filler) VALUES (zeroblob(4000))")

    store.run(end_here)
    with suppress(Rejected):
        while True:  # what is free inside of the file is used first
            store.run(fill)
    floor.goes_silent("disk", "now or soon (database or disk is full)")
    store.submit(lambda db: db.execute("PRAGMA max_page_count = 1000000")).result()
    floor.is_heard_again("disk", "The disk takes nothing more")


def test_little_room_on_the_disk_is_said(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(watch, "LEAST_FREE", 10**15)
        floor.goes_silent("disk", "MB are free on the disk")
    floor.is_heard_again("disk", "MB are free on the disk")


def test_a_screen_whose_network_is_gone_is_missed_until_it_is_back(floor: Floor) -> None:
    with kiosk(floor.shop):  # no FIN comes, and no PINGREQ
        floor.goes_silent("kiosk", "No screen shows booth main")
        with kiosk(floor.shop, keep_alive=60):
            floor.is_heard_again("kiosk", "No screen shows booth main")
            (age,) = [
                line
                for line in floor.shop.admin("/metrics").splitlines()
                if line.startswith('staffcall_last_sign_age_seconds{of="kiosk-main"}')
            ]
            assert age.endswith(" 0.0")


def test_a_screen_that_was_there_before_a_restart_is_missed_after_it(floor: Floor) -> None:
    with kiosk(floor.shop, keep_alive=1) as screen:
        until(floor.place.kiosks.all, "a booth that is known")
        screen.send(b"\xe0\x00")  # DISCONNECT
    floor.goes_silent("kiosk", "No screen shows booth main")
    until(lambda: floor.place.store.run(lambda db: db.execute("SELECT * FROM kiosks").fetchall()), "a record")
    floor.shop.close()
    floor.shop.open()
    floor.goes_silent("kiosk", "No screen shows booth main")


def test_a_socket_mode_that_hangs_is_silent_until_slack_answers_again(floor: Floor) -> None:
    floor.slack.wait_for(lambda: floor.slack.connected > 0)
    floor.slack.freeze()
    floor.goes_silent("slack", "Socket Mode is silent")
    floor.slack.freeze(frozen=False)
    floor.is_heard_again("slack", "Socket Mode is silent")


def test_a_socket_mode_that_never_answers_is_tried_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "MUTE_S", 2.0)
    floor.slack.wait_for(lambda: floor.slack.connected > 0)
    floor.slack.freeze()
    floor.slack.hang_up(politely=False)
    floor.slack.wait_for(lambda: floor.slack.connected > 2, 20)
    floor.goes_silent("slack", "Socket Mode is silent")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Next(body="token_revoked"), "Slack cannot be used (Slack answered 200 token_revoked)"),
        (Next(status=500), "Slack cannot be used"),
    ],
    ids=["revoked", "down"],
)
def test_a_slack_that_does_not_know_the_bot_is_said_though_nobody_is_called(
    floor: Floor, how: Next, words: str
) -> None:
    floor.slack.refuses["conversations.info"] = how
    floor.goes_silent("slack", words)
    floor.slack.refuses.clear()
    floor.is_heard_again("slack", words)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda slack: (slack.channels.clear(), slack.open_channel("C0OTHER")), "channel_not_found"),
        (lambda slack: slack.open_channel("C0FLOOR", is_member=False), "not_in_channel"),
        (lambda slack: slack.open_channel("C0FLOOR", is_archived=True), "is_archived"),
    ],
    ids=["gone", "left", "archived"],
)
def test_a_channel_that_takes_no_message_is_said_with_what_mends_it_though_nobody_is_called(
    floor: Floor, change: Callable[[FakeSlack], object], word: str
) -> None:
    change(floor.slack)
    floor.goes_silent("slack", word)
    fixes = [each["fix"] for each in floor.shop.admin()["troubles"] if word in each["detail"]]
    assert fixes == [refusal_of(200, word).fix]
    assert floor.slack.posts == []
    floor.slack.open_channel("C0FLOOR", "U0HANA", "U0SORA")
    floor.is_heard_again("slack", word)


def test_a_bot_that_may_not_look_at_its_channel_is_not_thought_to_be_shut_out() -> None:
    with FakeSlack() as slack:
        slack.scopes = SCOPES - {"channels:read", "groups:read"}
        asker = Asker(web_client(slack.api_url, BOT_TOKEN), patience_s=0)
        try_channel(asker, "C0ELSEWHERE")
        assert slack.asked == ["conversations.info", "auth.test"]
        slack.refuses["auth.test"] = Next(body="token_revoked")
        with pytest.raises(NotTold, match="token_revoked"):
            try_channel(asker, "")


def test_a_token_that_opens_no_socket_mode_is_said_with_what_mends_it(floor: Floor) -> None:
    floor.slack.refuses["apps.connections.open"] = Next(body="invalid_auth")
    floor.slack.hang_up()
    floor.goes_silent(
        "slack", "Socket Mode is silent: what staff answer in Slack is not heard (invalid_auth)"
    )
    (fix,) = {each["fix"] for each in floor.shop.admin()["troubles"] if "invalid_auth" in each["detail"]}
    assert "connections:write" in fix


def test_a_button_that_has_stopped_to_say_that_it_lives_is_named_to_the_administrator_alone(
    floor: Floor,
) -> None:
    shop, an_hour_ago = floor.shop, floor.place.clock() - 3_600_000
    add_button(shop.place, NewButton(id="440520000000001", single="hana", heartbeat_s=1800))
    shop.place.shadows.update("button-440520000000001", reported={"heard": an_hour_ago})
    floor.goes_silent("button", "A button is silent that says every 30 minutes that it lives")
    assert "440520000000001" not in str(get(shop.url("/healthz")))
    (trouble,) = [each for each in shop.admin()["troubles"] if each["what"] == "button"]
    assert (trouble["thing"], trouble["since"]) == ("button-440520000000001", an_hour_ago)
    shop.publish("staffcall/buttons/440520000000001/press", b'{"battery": 0.5}')
    floor.is_heard_again("button", "A button is silent")
    assert shop.state("hana") == "idle"


def test_a_minute_of_work_shows_nothing_wrong(calm: Calm) -> None:
    while time.monotonic() < calm.began + 60:
        assert (calm.wrong, calm.works) == ([], True)
        time.sleep(0.2)
