"""Limits: what a stranger may try, how fast a button may press, and that neither keeps a visitor waiting."""

import copy
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from button_handlers.click import Click
from button_handlers.doors import Services, on_message
from button_handlers.press import press
from infra.local import limits
from infra.local.limits import Pace, Strangers, TooMany
from infra.local.login import Entrance, Sessions
from shadows.calls import read
from shadows.errors import Rejected
from shadows.shadow import Thing
from shadows.staff import CallEvent, ClickType
from tests.fake_slack import FakeSlack, signed
from tests.memory import Shop as Memory
from tests.shop import ADMIN_TOKEN, BEAM_KEY, BUTTON_TOKEN, OUTGOING_TOKEN, SIGNING_SECRET, Shop, get, post

IMSI = "440101234567890"
SCANNED = {"X_Forwarded_For": "203.0.113.7", "X_Real_Ip": "203.0.113.7", "Forwarded": "for=203.0.113.7"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tried(strangers: Strangers, address: str, times: int, guess: str = "") -> list[int]:
    """How long each wrong try was told to wait; 0 for those that were only wrong."""
    waits = []
    for _ in range(times):
        try:
            strangers.wrong(address, guess)
            waits.append(0)
        except TooMany as no:
            waits.append(no.wait_s)
    return waits


# Strangers, by themselves


def test_twenty_may_be_wrong_in_a_minute_and_the_next_ones_are_told_how_long_to_wait() -> None:
    clock = Clock()
    strangers = Strangers(clock)
    assert tried(strangers, "192.0.2.1", 20) == [0] * 20
    clock.now += 10.5
    assert tried(strangers, "192.0.2.1", 2) == [50, 50]
    assert tried(strangers, "192.0.2.2", 1) == [0]
    clock.now += 49.4
    assert tried(strangers, "192.0.2.1", 1) == [1]
    clock.now += 0.1
    assert tried(strangers, "192.0.2.1", 20) == [0] * 20


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),  # what one subscriber has
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),  # the same, as a listener for both kinds sees it
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("no address", "none", False),
    ],
)
def test_an_address_is_that_of_a_subscriber(one: str, other: str, same: bool) -> None:
    strangers = Strangers(Clock())
    tried(strangers, one, 20)
    assert (tried(strangers, other, 1) != [0]) is same


def test_the_same_wrong_token_again_is_no_other_guess() -> None:
    strangers = Strangers(Clock())
    tried(strangers, "192.0.2.1", 500, "last year's")
    strangers.listen("192.0.2.1")
    for n in range(limits.WRONG_A_MINUTE - 1):
        strangers.listen("192.0.2.1")
        tried(strangers, "192.0.2.1", 1, str(n))
    with pytest.raises(TooMany):
        strangers.listen("192.0.2.1")
    strangers.listen("192.0.2.2")


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 100)), max_size=300))
def test_what_is_remembered_of_strangers_is_bounded(tries: list[tuple[int, float]]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "REMEMBERED", 8)
        strangers = Strangers(clock)
        for address, later in tries:
            clock.now += later
            tried(strangers, ".".join(map(str, address.to_bytes(4, "big"))), 2, str(address))
            assert len(strangers) <= 8


def test_a_million_guesses_from_one_address_take_the_room_of_twenty() -> None:
    strangers = Strangers(Clock())
    for n in range(10_000):
        tried(strangers, "192.0.2.1", 1, str(n))
    [tries] = strangers._tries.values()
    assert len(tries.guesses) == limits.WRONG_A_MINUTE


# Pace, by itself


def test_a_button_may_press_a_hundred_times_at_once_and_five_times_a_second_for_ever() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert [pace.too_fast("a") for _ in range(102)] == [False] * 100 + [True] * 2
    assert not pace.too_fast("b")
    for _ in range(100):
        clock.now += 0.2
        assert not pace.too_fast("a")
    clock.now += 0.1
    assert pace.too_fast("a")
    clock.now += 3600
    assert [pace.too_fast("a") for _ in range(101)] == [False] * 100 + [True]


def test_what_is_remembered_of_buttons_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 8)
    pace = Pace(Clock())
    for n in range(100):
        pace.too_fast(str(n))
    assert len(pace) == 8


# The doors


def slack(path: str, body: bytes, secret: str) -> Callable[[Shop], tuple[int, object]]:
    return lambda shop: post(
        shop.url(path),
        body,
        **{name.replace("-", "_"): value for name, value in signed(body, secret, time.time()).items()},
    )


def beam(key: str) -> Callable[[Shop], tuple[int, object]]:
    def send(shop: Shop) -> tuple[int, object]:
        now = str(time.time_ns() // 1_000_000)
        text = f"{key}x-soracom-imsi={IMSI}x-soracom-timestamp={now}"
        return post(
            shop.url("/buttons/soracom"),
            b'{"clickType": 1, "clickTypeName": "SINGLE"}',
            X_Soracom_Imsi=IMSI,
            X_Soracom_Timestamp=now,
            X_Soracom_Signature=hashlib.sha256(text.encode()).hexdigest(),
        )

    return send


def webhook(token: str) -> Callable[[Shop], tuple[int, object]]:
    return lambda shop: post(
        shop.url("/buttons/webhook"),
        b'{"button": "demo", "click": "SINGLE"}',
        Authorization=f"Bearer {token}",
    )


def outgoing(token: str) -> Callable[[Shop], tuple[int, object]]:
    form = {"token": token, "channel_id": "C0", "timestamp": "1.1", "user_id": "U0", "text": "hello"}
    return lambda shop: post(shop.url("/slack/outgoing"), urlencode(form).encode())


CHALLENGE = b'{"type": "url_verification", "challenge": "c"}'
COMMAND = urlencode({"channel_id": "C0", "user_id": "U0", "command": "/call", "trigger_id": "1"}).encode()
ACTION = urlencode({"payload": '{"type": "view_closed"}'}).encode()
DOORS: dict[str, tuple[Callable[[Shop], tuple[int, object]], Callable[[Shop], tuple[int, object]]]] = {
    "webhook": (webhook("wrong"), webhook(BUTTON_TOKEN)),
    "soracom": (beam("wrong"), beam(BEAM_KEY)),
    "outgoing": (outgoing("wrong"), outgoing(OUTGOING_TOKEN)),
    "events": (slack("/slack/events", CHALLENGE, "wrong"), slack("/slack/events", CHALLENGE, SIGNING_SECRET)),
    "commands": (
        slack("/slack/commands", COMMAND, "wrong"),
        slack("/slack/commands", COMMAND, SIGNING_SECRET),
    ),
    "actions": (slack("/slack/actions", ACTION, "wrong"), slack("/slack/actions", ACTION, SIGNING_SECRET)),
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        shop.furnish()
        shop.place.things.create(
            Thing(name=f"button-{IMSI}", type="button", attributes={"single": "hana", "booth": "main"})
        )
        yield shop


@pytest.mark.parametrize("door", DOORS)
def test_who_is_wrong_too_often_is_told_to_wait_and_who_is_right_never_is(shop: Shop, door: str) -> None:
    wrong, right = DOORS[door]
    assert right(shop)[0] == 200
    assert [wrong(shop)[0] for _ in range(22)] == [401] * 20 + [429] * 2
    # From the same address: a scanner behind the booth's own router, or whatever comes by the same tunnel.
    assert right(shop)[0] == 200
    assert all(DOORS[other][1](shop)[0] == 200 for other in DOORS), "at every other door, too"
    assert [wrong(shop)[0] for wrong, _ in DOORS.values()] == [429] * len(DOORS)


def test_the_wait_is_said_as_http_says_it(shop: Shop) -> None:
    for _ in range(20):
        webhook("wrong")(shop)
    connection = http.client.HTTPConnection(shop.at.http, timeout=10)
    connection.request("POST", "/buttons/webhook", b"{}")
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    assert answer.status == said["code"] == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert f"try again in {answer.headers['Retry-After']} s" in said["message"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_no_header_buys_another_address_or_blames_one(shop: Shop) -> None:
    body = b'{"button": "demo", "click": "SINGLE"}'
    said = [post(shop.url("/buttons/webhook"), body, **SCANNED, X=str(n))[0] for n in range(21)]
    assert said == [401] * 20 + [429]
    assert webhook("wrong")(shop)[0] == 429, "the address of the connection counted"


# The admin


def guess(shop: Shop, token: str) -> int:
    return post(shop.url("/admin/login"), urlencode({"token": token}).encode(), Content_Type=FORM)[0]


FORM = "application/x-www-form-urlencoded"


def test_who_guesses_the_admin_token_is_not_heard_for_a_while_and_presses_are(shop: Shop) -> None:
    right = f"Bearer {ADMIN_TOKEN}"
    cookie = entered(shop)
    for n in range(10):
        assert guess(shop, f"guess {n}") == 401
        assert get(shop.url("/metrics"), Authorization=f"Bearer other {n}", **SCANNED)[0] == 401
    assert guess(shop, ADMIN_TOKEN) == 429
    assert get(shop.url("/admin"), Authorization=right, X_Forwarded_For="127.0.0.1")[0] == 429
    assert get(shop.url("/admin"), Cookie=cookie)[0] == 200, "who was in before stays in"
    assert shop.press()[0] == 200
    assert outgoing(OUTGOING_TOKEN)(shop)[0] == 200


def entered(shop: Shop) -> str:
    connection = http.client.HTTPConnection(shop.at.http, timeout=10)
    connection.request("POST", "/admin/login", urlencode({"token": ADMIN_TOKEN}), {"Content-Type": FORM})
    cookie = connection.getresponse().headers["Set-Cookie"].partition(";")[0]
    connection.close()
    return cookie


def test_a_script_with_an_old_token_locks_nobody_out(shop: Shop) -> None:
    said = [get(shop.url("/metrics"), Authorization="Bearer last year's")[0] for _ in range(30)]
    assert said == [401] * 20 + [429] * 10
    assert get(shop.url("/admin"), Authorization=f"Bearer {ADMIN_TOKEN}")[0] == 200
    assert guess(shop, ADMIN_TOKEN) == 303 or get(shop.url("/admin"), Cookie=entered(shop))[0] == 200


def test_who_asks_without_a_token_has_not_guessed(shop: Shop) -> None:
    assert {get(shop.url("/admin"))[0] for _ in range(50)} == {401}
    assert get(shop.url("/admin"), Authorization=f"Bearer {ADMIN_TOKEN}")[0] == 200


def test_after_a_minute_the_admin_is_heard_again() -> None:
    clock = Clock()
    entrance = Entrance(token="right", sessions=Sessions(lambda: 0), strangers=Strangers(clock))

    def answer(token: str, address: str = "192.0.2.1") -> int:
        with Flask(__name__).test_request_context(environ_base={"REMOTE_ADDR": address}):
            try:
                entrance.check(token)
            except Rejected as no:
                return no.code
            return 200

    assert [answer(str(n)) for n in range(20)] == [401] * 20
    assert (answer("right"), answer("right", "192.0.2.2")) == (429, 200)
    clock.now += 60
    assert answer("right") == 200


# Presses


class Booth:
    """A button that always hurries, and whom it calls."""

    def __init__(self) -> None:
        self.shop = Memory()
        self.hana = self.shop.staff("hana", backup="sora")
        self.sora = self.shop.staff("sora")
        for button, booth in (("demo", "main"), ("other", "hall")):
            self.shop.things.create(
                Thing(
                    name=f"button-{button}",
                    type="button",
                    attributes={"single": "hana", "double": "sora", "booth": booth},
                )
            )
        self.pressed = 0

    def press(
        self, button: str = "demo", click: ClickType = ClickType.SINGLE, *, hurries: bool = True
    ) -> int:
        self.pressed += 1
        sent = Click(button=button, type=click, id=str(self.pressed))
        try:
            press(sent, "webhook", self.shop.place, self, lambda _button: hurries)
        except Rejected as no:
            return no.code
        return 200

    def twin(self) -> "Booth":
        """Another one, as things stand here."""
        twin = Booth()
        twin.pressed, twin.shop.now, twin.shop.events = self.pressed, self.shop.now, self.shop.events
        twin.shop.told, twin.shop.shadows.kept = [*self.shop.told], copy.deepcopy(self.shop.shadows.kept)
        return twin

    def tell(self) -> None:
        self.shop.deliver(self.hana)
        self.shop.deliver(self.sora)

    def seen_by_people(self) -> list[object]:
        """What is said in Slack from now on, and each tile but for how often was pressed."""
        self.tell()
        people = [read(self.shop.place, thing) for thing in (self.hana, self.sora)]
        return [
            *self.shop.kinds(),
            *((each.state, each.asked.since, replace(each.call, count=0), each.waiting) for each in people),
        ]

    def note(self, button: str, at: int, door: str) -> None:
        raise AssertionError(button, at, door)


def test_even_a_button_that_hurries_makes_every_call_that_somebody_would_hear_of() -> None:
    booth = Booth()
    shop = booth.shop
    assert (booth.press(), booth.press()) == (200, 429)
    assert booth.press(click=ClickType.DOUBLE) == 200, "it calls somebody else"
    assert booth.press("other") == 200, "somebody waits there, too"
    shop.deliver(booth.hana)
    assert booth.press() == 429
    shop.now += 20_000
    assert (booth.press(), booth.press()) == (200, 429), "the quiet time is over: it mentions again"
    shop.deliver(booth.hana)
    assert [kind for kind in shop.kinds() if kind in ("press", "again")] == ["press", "again"]
    shop.says(booth.hana, CallEvent.OK)
    assert booth.press() == 429
    shop.says(booth.hana, CallEvent.DONE)
    assert booth.press() == 200, "the next call"
    shop.says(booth.hana, CallEvent.AWAY)
    assert booth.press() == 200


STORY = ["press", "double", "other", "ok", "done", "no", "away", "back", "tell", "wait"]


@given(st.lists(st.sampled_from(STORY)))
def test_a_refused_press_would_have_changed_nothing_but_a_count(story: list[str]) -> None:
    booth = Booth()
    for happens in story:
        match happens:
            case "press" | "double" | "other":
                before = booth.twin()
                how = ("other" if happens == "other" else "demo", ClickType.SINGLE)
                how = ("demo", ClickType.DOUBLE) if happens == "double" else how
                if booth.press(*how) == 429:
                    assert booth.shop.shadows.kept == before.shop.shadows.kept
                    refused, taken = before, before.twin()
                    assert taken.press(*how, hurries=False) == 200
                    assert taken.seen_by_people() == refused.seen_by_people()
            case "tell":
                booth.tell()
            case "wait":
                booth.shop.now += 21_000
            case said:
                booth.shop.says(booth.hana, CallEvent(said))


def test_a_button_gone_mad_is_slowed_down_and_the_next_visitor_is_not(tmp_path: Path) -> None:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack, throttle=True) as shop:
        shop.furnish()
        said = [shop.press(id=str(n)) for n in range(150)]
        codes = [code for code, _ in said]
        assert codes[0] == 200
        assert {*codes} == {200, 429}
        refused = next(answer for code, answer in said if code == 429)
        assert "presses too fast; its call stands" in refused["message"]
        assert shop.asked("hana")["call"]["count"] == codes.count(200)
        connection = http.client.HTTPConnection(shop.at.http, timeout=10)
        body, token = json.dumps({"button": "demo", "click": "SINGLE"}), {"X-Staffcall-Token": BUTTON_TOKEN}
        connection.request("POST", "/buttons/webhook", body, token)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200 or answer.headers["Retry-After"] == "1"
        shop.says("U0HANA", "ok")
        shop.says("U0HANA", "done")
        assert shop.press(id="the next visitor") == (
            200,
            {**said[0][1], "call": shop.asked("hana")["call"]["id"]},
        )
        assert shop.state("hana") == "calling"


# Who is on this machine


def test_what_a_proxy_brings_is_not_from_this_machine(shop: Shop) -> None:
    url = f"http://{shop.at.aws}/things/staff-hana/shadow"
    names = (
        "Forwarded",
        "X_Forwarded_For",
        "X_Forwarded_Host",
        "X_Forwarded_Proto",
        "X_Real_Ip",
        "Cf_Connecting_Ip",
    )
    for name in (*names, "Via"):
        for value in ("127.0.0.1", "localhost", "for=127.0.0.1", ""):
            status, answer = get(url, **{name: value})
            assert status == 403, (name, value)
            assert name.replace("_", "-").lower() in answer["message"].lower()
    assert get(url)[0] == 200


def test_being_on_this_machine_opens_nothing_on_the_public_port(shop: Shop) -> None:
    press = b'{"button": "demo", "click": "SINGLE"}'
    for headers in (
        {},
        {"X_Forwarded_For": "127.0.0.1"},
        {"X_Forwarded_For": "127.0.0.1", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "localhost"},
        {"Forwarded": "for=127.0.0.1;proto=https;host=localhost"},
        {"X_Real_Ip": "127.0.0.1"},
        {"Host": "localhost"},
    ):
        for path in ("/admin", "/admin/api/history", "/metrics"):
            assert get(shop.url(path), **headers)[0] == 401, (path, headers)
        assert post(shop.url("/buttons/webhook"), press, **headers)[0] == 401, headers
    assert shop.state("hana") == "idle"


def test_over_mqtt_a_press_that_is_too_much_is_acknowledged_and_gone() -> None:
    """A button that were told to send it again would never be done."""
    booth = Booth()
    services = Services(place=booth.shop.place, unknown=booth, token="", hurries=lambda _button: True)
    sent = [
        on_message("staffcall/buttons/demo/press", b'{"click": "SINGLE", "id": "%d"}' % n, services)
        for n in range(2)
    ]
    assert [answer.code for answer in sent] == [200, 429]
