"""The story, told once of every place: the local one, and AWS as MiniStack plays it, deployed by our own command.

What is true of one place alone is in test_story.py and test_aws_story.py.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.fake_slack import FakeSlack
from tests.screen import IS_SKIPPED, Screen, chromium, watched
from tests.shop import BEAM_KEY, BUTTON_TOKEN, OUTGOING_TOKEN, TIMES, Shop, Venue
from tests.stack import deployed
from tests.story import Booth, Person, staffcall

BEARER = {"Authorization": f"Bearer {BUTTON_TOKEN}"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FRAME = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module", params=["local", "aws"])
def venue(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    folder = tmp_path_factory.mktemp(request.param)
    with FakeSlack() as slack:
        if request.param == "local":
            with Shop(folder / "data", slack, **TIMES) as shop:
                yield shop
        else:
            with deployed(folder, slack) as stack:
                yield stack


@pytest.fixture
def booth(venue: Venue) -> Booth:
    return Booth(venue)


@pytest.fixture(scope="module")
def browser(venue: Venue) -> Iterator[Browser]:
    if IS_SKIPPED:
        pytest.skip("STAFFCALL_SKIP names the browser")
    with chromium(venue.chromium) as browser:
        yield browser


@pytest.fixture
def screen(browser: Browser, booth: Booth) -> Iterator[Screen]:
    with watched(browser) as page:
        yield Screen(page, booth.venue.kiosk, booth.id, booth.venue.target)


# --- press, mention, ok, on the way, idle again

WRITTEN = 'ok: &lt;b&gt; "２ m on" &amp; <!here> 100% 花\'s\n{name} 🙂'
NOTE = '<b> "２ m on" & 100% 花\'s {name} 🙂'


def test_a_call_is_mentioned_answered_shown_and_over_and_on_record(booth: Booth, screen: Screen) -> None:
    hana = booth.hana
    booth.lasts(runningSeconds=3)
    screen.shows(hana, "idle", "花 Hana", told=True)
    status, answer = booth.press()
    call = answer.pop("call")
    assert (status, answer) == (200, {"thing": hana.thing, "state": "calling", "repeat": False})
    booth.until(lambda: hana.mentions, "the mention of Hana")
    screen.shows(hana, "calling", told=True)
    said = hana.says(WRITTEN)
    screen.shows(hana, "running", NOTE)
    assert ("花 Hana" in said, "&lt;b&gt;" in said, "<!here>" in said) == (True, True, False)
    booth.until(lambda: hana.state == "idle", "the end of the call by the timer")
    screen.shows(hana, "idle", told=True)
    assert len(hana.mentions) == 1
    assert_on_record(booth, call)


def assert_on_record(booth: Booth, call: str) -> None:
    """A row when Hana came, and one for each state of the call, in the same columns everywhere."""
    rows = booth.until(lambda: (rows := booth.hana.history)[3:] and rows, "the fourth row of the history")
    assert {row["name"] for row in rows} == {"花 Hana"}
    assert [[row[each] for each in ("state", "why", "end", "note", "count")] for row in rows] == [
        ["idle", "back", "", "", 0],
        ["calling", "press", "", "", 1],
        ["running", "ok", "", NOTE, 1],
        ["idle", "ended", "ended", NOTE, 1],
    ]
    for row in rows[1:]:
        assert [row[each] for each in ("call", "booth", "click", "to")] == [call, booth.id, "SINGLE", ""]
    for time_of in ("at", "since"):
        assert rows == sorted(rows, key=lambda row: row[time_of])
    assert rows[3]["since"] - rows[2]["since"] >= 3000


# --- every door


def beam(button: str, *, at: float | None = None, key: str = BEAM_KEY) -> dict[str, str]:
    """The headers by which SORACOM Beam says whose button it is, and that it is Beam."""
    stamp = str(int((at or time.time()) * 1000))
    signed = hashlib.sha256(f"{key}x-soracom-imsi={button}x-soracom-timestamp={stamp}".encode()).hexdigest()
    return {"X-Soracom-Imsi": button, "X-Soracom-Timestamp": stamp, "X-Soracom-Signature": signed}


def taken(answer: tuple[int, Any]) -> None:
    assert answer[0] == 200, answer


RAW = bytes.fromhex("4d010351")
UNPARSED = json.dumps({"payload": base64.b64encode(RAW).decode()}).encode()
PARSED = json.dumps({"clickType": 1, "clickTypeName": "SINGLE", "batteryLevel": 1}).encode()


def by_webhook(booth: Booth) -> None:
    body = json.dumps({"button": booth.id, "click": "SINGLE", "battery": 1}).encode()
    taken(booth.venue.ask("/buttons/webhook", body, **JSON, X_Staffcall_Token=BUTTON_TOKEN))


def by_url(booth: Booth) -> None:
    query = urlencode({"button": booth.id, "click": "SINGLE", "battery": 1, "token": BUTTON_TOKEN})
    taken(booth.venue.ask(f"/buttons/webhook?{query}"))


def by_soracom(body: bytes, **headers: str) -> Callable[[Booth], None]:
    """By Beam's signature, or by the button token if that is in ``headers``."""

    def press(booth: Booth) -> None:
        sim = {"X_Soracom_Imsi": booth.id} if "Authorization" in headers else beam(booth.id)
        taken(booth.venue.ask("/buttons/soracom", body, **headers, **sim))

    return press


def by_topic(topic: str, **press: str | int) -> Callable[[Booth], None]:
    return lambda booth: booth.venue.publish(topic.format(booth.id), json.dumps(press).encode())


DOORS: dict[str, Callable[[Booth], None]] = {
    "webhook": by_webhook,
    "url": by_url,
    "soracom-parsed": by_soracom(PARSED, **JSON, **BEARER),
    "soracom-unparsed": by_soracom(UNPARSED, **JSON),
    "soracom-raw": by_soracom(RAW, **FRAME),
    "topic": by_topic("staffcall/buttons/{}/press", click="SINGLE", battery=1),
    "iotbutton": by_topic("iotbutton/{}", clickType="SINGLE", batteryVoltage="1697mV"),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_leads_to_a_call(booth: Booth, door: str) -> None:
    DOORS[door](booth)
    booth.until(lambda: booth.hana.mentions, f"the mention after a press by {door}")
    call = booth.hana.asked["call"]
    assert booth.hana.state == "calling"
    assert [call[each] for each in ("booth", "click", "count")] == [booth.id, "SINGLE", 1]
    button = booth.until(lambda: booth.reported, "the press in the button's own shadow")
    assert (button["click"], button["lastCall"], button["battery"] > 0.8) == ("SINGLE", call["id"], True)


def test_each_click_calls_whom_it_is_bound_to(booth: Booth) -> None:
    called = {click: booth.press(click)[1]["thing"] for click in ("DOUBLE", "LONG", "SINGLE")}
    assert called == {
        "DOUBLE": booth.sora.thing,
        "LONG": booth.hana.thing,
        "SINGLE": booth.hana.thing,
    }


def test_a_press_that_comes_twice_is_one_call(booth: Booth) -> None:
    first, second = (booth.press(id="one")[1] for _ in range(2))
    assert second == {**first, "repeat": True}
    assert booth.hana.asked["call"]["count"] == 1
    booth.until(lambda: booth.hana.is_told, "the report")
    assert len(booth.hana.mentions) == 1


def test_what_beam_sends_again_is_one_call(booth: Booth) -> None:
    headers = {**JSON, **beam(booth.id)}
    answers = [booth.venue.ask("/buttons/soracom", PARSED, **headers) for _ in range(2)]
    assert [(status, answer["repeat"]) for status, answer in answers] == [(200, False), (200, True)]
    assert booth.hana.asked["call"]["count"] == 1


# --- what staff write


def test_no_hands_over_at_once(booth: Booth) -> None:
    booth.press()
    assert "Sora" in booth.hana.says("no")
    assert (booth.hana.state, booth.sora.state) == ("idle", "calling")
    assert (booth.hana.asked["call"]["end"], booth.hana.asked["call"]["to"]) == ("refused", booth.sora.thing)
    (mention,) = booth.until(lambda: booth.sora.mentions, "the mention of Sora, who stands in")
    assert "花 Hana" in mention


def test_done_ends_the_call(booth: Booth) -> None:
    booth.press()
    booth.hana.says("ok")
    assert "over" in booth.hana.says("done")
    assert (booth.hana.state, booth.hana.asked["call"]["end"]) == ("idle", "done")
    assert "nobody" in booth.hana.says("done")


def test_a_repeated_ok_does_not_answer_the_next_call(booth: Booth) -> None:
    ok = f"{time.time():.6f}"
    booth.press(id="1")
    assert booth.hana.says("ok", timestamp=ok)
    booth.hana.says("done")
    booth.press(id="2")
    assert booth.hana.says("ok", timestamp=ok) == ""
    assert booth.hana.state == "calling"


def test_a_slack_apps_event_answers_once(booth: Booth) -> None:
    ok = f"{time.time():.6f}"
    booth.press(id="1")
    booth.venue.says_in_an_app(booth.hana.slack, "ok, soon", timestamp=ok)
    assert (booth.hana.state, booth.hana.asked["call"]["note"]) == ("running", "soon")
    booth.hana.says("done")
    booth.press(id="2")
    booth.venue.says_in_an_app(booth.hana.slack, "ok, soon", timestamp=ok)
    assert booth.hana.state == "calling"


def test_one_persons_ok_never_answers_for_another(booth: Booth) -> None:
    booth.press()
    before = booth.hana.asked
    assert "nobody" in booth.sora.says("ok")
    assert "do not know you" in booth.venue.says("U0STRANGER", "ok")
    assert booth.hana.asked == before


def test_what_is_no_answer_is_at_most_a_line_for_the_visitor(booth: Booth) -> None:
    booth.press()
    before = booth.hana.asked
    for text in ("okinawa", "not ok", "nothing", "it is ok", "hello"):
        booth.hana.says(text)
        assert booth.hana.asked == before, text
    for text in ("no problem", "ok nicht"):
        booth.hana.says(text)
        assert booth.hana.asked == before | {"call": before["call"] | {"note": text}}, text


# --- who does not come


def test_who_does_not_answer_hands_over_and_in_the_end_the_channel_hears(booth: Booth) -> None:
    booth.lasts(
        callingSeconds=2
    )  # longer than one who is mentioned waits for the mention before, which is a second
    booth.press()
    booth.until(lambda: booth.alarms, "the call to the whole channel")
    assert len(booth.hana.mentions) == 1
    (stand_in,) = booth.sora.mentions
    assert "花 Hana" in stand_in
    assert len(booth.alarms) == 1
    hana, sora = booth.hana.asked, booth.sora.asked
    assert (hana["state"], hana["call"]["end"], hana["call"]["to"]) == ("idle", "missed", booth.sora.thing)
    assert (sora["state"], sora["call"]["end"], sora["call"]["to"]) == ("idle", "missed", "")
    assert sora["call"]["id"] == hana["call"]["id"]


def test_when_nobody_who_was_asked_can_come_a_colleague_hears_of_it_and_goes(booth: Booth) -> None:
    booth.press("DOUBLE")
    assert "nobody else to ask" in booth.sora.says("no")
    (asked,) = booth.until(lambda: booth.hana.mentions, "the mention of those who stand at this booth")
    assert "(Sora)" in asked
    assert "you are on your way" in booth.hana.says("ok, 1 minute")
    asked = booth.hana.asked
    assert (asked["state"], asked["call"]["note"]) == ("running", "1 minute")
    assert asked["call"]["promised"] - asked["since"] == pytest.approx(60_000, abs=1000)
    assert booth.sora.asked["call"]["to"] == booth.hana.thing
    booth.until(lambda: booth.hana.is_told and booth.sora.is_told, "the reports")
    assert booth.alarms == []


def test_who_is_away_is_not_called_until_they_are_back(booth: Booth) -> None:
    assert "away" in booth.hana.says("away")
    assert booth.press(id="1")[1]["thing"] == booth.sora.thing
    assert booth.hana.state == "away"
    booth.sora.says("done")
    booth.sora.says("away")
    assert booth.press(id="2")[1]["state"] == "away"
    assert booth.hana.asked["call"]["end"] == "unavailable"
    booth.until(lambda: booth.alarms, "the call to the whole channel, for both are away")
    assert "Welcome" in booth.hana.says("back")
    assert booth.hana.state == "idle"
    answer = booth.press(id="3")[1]
    assert (answer["thing"], answer["state"]) == (booth.hana.thing, "calling")


def test_the_second_booth_of_somebody_busy_waits_and_becomes_the_call(booth: Booth) -> None:
    second = booth.button(f"{booth.id}-hall", booth=f"{booth.id}-hall")
    booth.press("DOUBLE")
    status, answer = booth.venue.press(second, "DOUBLE")
    assert (status, answer["thing"], booth.sora.waiting) == (200, booth.sora.thing, [second])
    booth.sora.says("ok")
    assert booth.sora.asked["call"]["booth"] == booth.id
    booth.sora.says("done")
    booth.until(lambda: booth.sora.state == "calling", "the call that waited")
    assert (booth.sora.asked["call"]["id"], booth.sora.asked["call"]["booth"]) == (answer["call"], second)
    assert booth.sora.waiting == []
    booth.until(lambda: [text for text in booth.sora.mentions if f"*{second}*" in text], "its mention")


# --- Slack fails


def failing(slack: FakeSlack, **how: Any) -> Callable[[], bool]:
    """Have Slack fail from now on; the answer tells whether it was tried since."""
    before = slack.refused
    slack.always(**how)
    return lambda: slack.refused > before


def test_while_slack_fails_presses_are_taken_and_told_afterwards_once_if_they_still_wait(
    booth: Booth, screen: Screen
) -> None:
    slack = booth.venue.slack
    tried = failing(slack, drop=True)
    assert booth.press("DOUBLE")[0] == 200
    booth.until(tried, "a message to Slack, which hangs up")
    tried = failing(slack, status=500)
    assert booth.press("SINGLE")[0] == 200
    booth.until(tried, "a message to Slack, which answers 500")
    screen.shows(booth.hana, "calling", told=False)
    booth.sora.says("done")
    slack.always()
    booth.until(lambda: booth.hana.mentions, "the mention once Slack takes it")
    screen.shows(booth.hana, "calling", told=True)
    booth.until(lambda: booth.sora.is_told, "the report of the call that is over")
    assert (len(booth.hana.mentions), booth.sora.mentions) == (1, [])


def test_who_is_called_while_slack_has_us_wait_is_mentioned_once_it_does_not(booth: Booth) -> None:
    tried = failing(booth.venue.slack, status=429, retry_after="0.5")
    assert booth.press()[0] == 200
    booth.until(tried, "a message to Slack, which answers 429")
    assert not booth.hana.is_told
    booth.venue.slack.always()
    booth.until(lambda: booth.hana.mentions, "the mention once Slack takes it")
    booth.until(lambda: booth.hana.is_told, "the report")
    assert len(booth.hana.mentions) == 1


# --- what is wrong is said in words, the same everywhere, and changes nothing

# What is asked (path, body or None to GET, headers), and what is answered (code, message).
Refusal = tuple[str, bytes | None, dict[str, str], int, str]


def bad_press(body: bytes, code: int, message: str, **kind: str) -> Refusal:
    return "/buttons/webhook", body, {**JSON, **BEARER, **kind}, code, message


def bad_click(query: str, message: str) -> Refusal:
    return f"/buttons/webhook?{query}", None, BEARER, 400, message


def bad_frame(body: bytes, message: str, **headers: str) -> Refusal:
    return "/buttons/soracom", body, {**BEARER, "X_Soracom_Imsi": "440", **FRAME, **headers}, 400, message


def stranger(path: str, message: str, **headers: str) -> Refusal:
    return path, PARSED, {**JSON, **headers}, 401, message


def bad_reply(door: str, body: bytes, code: int, message: str) -> Refusal:
    return f"/slack/{door}", body, FORM, code, message


OBJECT = "body: expected a JSON object"
ID = "expected 1 to 64 of A-Z a-z 0-9 _ -, got"
CLICK = "expected SINGLE, DOUBLE or LONG, got"
BATTERY = "battery: expected a number from 0 to 1, got"
TOKEN = "expected the button token as Authorization: Bearer, X-Staffcall-Token or ?token="
SIGNATURE = (
    "x-soracom-signature: expected one of the last 300 s, made with SORACOM_BEAM_KEY, or the button token "
    "as Authorization: Bearer, X-Staffcall-Token or ?token="
)
UNSIGNED = "x-slack-signature: not made with SLACK_SIGNING_SECRET in the last 300 s"
MISSING = "expected in the form, got nothing"

REFUSED: list[Refusal] = [
    bad_press(
        b'{"button"',
        400,
        f"{OBJECT} in UTF-8, got something else (Expecting ':' delimiter: line 1 column 10 (char 9))",
    ),
    bad_press(b'["a"]', 400, f'{OBJECT}, got ["a"]'),
    bad_press(b"[" * 10_000, 400, f"{OBJECT} in UTF-8, got something else (RecursionError)"),
    # As JSON, MiniStack's API Gateway would hand it over as text, with what is no UTF-8 replaced.
    bad_press(
        b'{"button": "\xff"}', 400, f"{OBJECT} in UTF-8, got something else (UnicodeDecodeError)", **FRAME
    ),
    bad_press(b'{"button": "' + b"x" * 17_000 + b'"}', 413, "body: expected at most 16384 bytes"),
    bad_press(b"", 400, f"button: {ID} null"),
    bad_press(b'{"click": "SINGLE"}', 400, f"button: {ID} null"),
    bad_press(b'{"button": 7, "click": "SINGLE"}', 400, f"button: {ID} 7"),
    bad_press(b'{"button": "a b", "click": "SINGLE"}', 400, f'button: {ID} "a b"'),
    bad_press(b'{"button": "a"}', 400, f"click: {CLICK} null"),
    bad_press(b'{"button": "a", "click": "TRIPLE"}', 400, f'click: {CLICK} "TRIPLE"'),
    bad_press(b'{"button": "a", "click": "SINGLE", "battery": 2}', 400, f"{BATTERY} 2"),
    bad_press(
        b'{"button": "a", "click": "SINGLE", "id": ""}',
        400,
        'id: expected a text of 1 to 64 characters, got ""',
    ),
    bad_press(
        b'{"button": "a", "click": "SINGLE"}',
        404,
        "button: a is unknown; `staffcall button add` registers it",
    ),
    bad_click("button=a&click=X", f'click: {CLICK} "X"'),
    bad_click("button=a&click=SINGLE&battery=full", f'{BATTERY} "full"'),
    bad_frame(bytes.fromhex("4d01"), "frame: expected 4 bytes that begin with 4d, got 2: 4d01"),
    bad_frame(bytes.fromhex("4d010352"), "checksum: expected 51, got 52"),
    bad_frame(b'{"payload": "!"}', "payload: expected base64", **JSON),
    bad_frame(b'{"clickType": 9}', "clickType: expected 1 (SINGLE), 2 (DOUBLE) or 3 (LONG)", **JSON),
    bad_frame(PARSED, f'x-soracom-imsi: {ID} "4 4"', X_Soracom_Imsi="4 4", **JSON),
    stranger("/buttons/webhook", f"token: {TOKEN}"),
    stranger("/buttons/webhook?token=no", f"token: {TOKEN}", Authorization="Bearer no"),
    stranger("/buttons/soracom", SIGNATURE),
    stranger("/buttons/soracom", SIGNATURE, Authorization="Bearer no"),
    stranger("/buttons/soracom", SIGNATURE, **beam("440", key="wrong")),
    stranger("/buttons/soracom", SIGNATURE, **beam("440", at=time.time() - 301)),
    bad_reply("outgoing", b"token=wrong&text=ok", 401, "token: not the one of SLACK_OUTGOING_TOKEN"),
    bad_reply(
        "outgoing",
        f"token={OUTGOING_TOKEN}&text=ok".encode(),
        400,
        f"channel_id, timestamp, user_id: {MISSING}",
    ),
    bad_reply("events", b"{}", 401, UNSIGNED),
    bad_reply("actions", b"payload={}", 401, UNSIGNED),
    bad_reply("commands", b"text=ok", 401, UNSIGNED),
]


def test_what_is_wrong_is_refused_in_the_same_words_and_changes_nothing(booth: Booth) -> None:
    before = booth.hana.asked
    for path, body, headers, code, message in REFUSED:
        answer = booth.venue.ask(path, body, **headers)
        assert answer == (code, {"code": code, "message": message}), (path, body and body[:80], headers)
    assert booth.hana.asked == before
    assert booth.press()[0] == 200


# --- administrators


@pytest.fixture
def cli(booth: Booth, tmp_path: Path) -> Callable[..., str]:
    """Runs a command line that is to succeed; what it says."""

    def run(*arguments: str) -> str:
        status, said = staffcall(booth.venue, tmp_path, *arguments)
        assert status == 0, f"{booth.venue.target}: staffcall {' '.join(arguments)}: {said}"
        return said

    return run


def cells(said: str, first: str) -> list[str]:
    """The cells of the row that begins with a word; [] if there is none."""
    rows = [re.split(r" {2,}", line.strip()) for line in said.splitlines() if line.startswith(f"{first} ")]
    return rows[0] if rows else []


def test_an_administrator_adds_somebody_and_sees_how_their_calls_go(
    booth: Booth, screen: Screen, cli: Callable[..., str]
) -> None:
    riku = Person(venue=booth.venue, id=f"{booth.id}-riku", name="陸 Riku", slack=f"U{booth.id}RIKU".upper())
    about = ["--name", riku.name, "--slack", riku.slack, "--backup", booth.hana.id, "--booth", booth.id]
    assert cli("staff", "add", riku.id, *about) == f"staff {riku.id}: added\n"
    screen.shows(riku, "idle", riku.name)
    button = f"{booth.id}-lamp"
    assert (
        cli("button", "add", button, "--staff", riku.id, "--booth", booth.id) == f"button {button}: added\n"
    )

    assert re.fullmatch(rf"{riku.thing}: calling \(call \w{{26}}\)\n", cli("press", button))
    screen.shows(riku, "calling", told=True)
    row = [riku.id, riku.name, "calling", booth.id, booth.id, booth.hana.id, riku.slack]
    assert cells(cli("staff", "list"), riku.id) == row
    riku.says("ok, soon")
    booth.until(lambda: riku.is_told, "the report of the ok")
    shown = cli("staff", "show", riku.id)
    assert [cells(shown, each)[1:] for each in ("state", "told", "note")] == [["running"], ["yes"], ["soon"]]
    assert cli("staff", "away", riku.id) == f"staff {riku.id}: away\n"
    screen.shows(riku, "away")
    assert cli("press", button).startswith(f"{booth.hana.thing}: calling ")
    assert cli("staff", "back", riku.id) == f"staff {riku.id}: idle\n"
    screen.shows(riku, "idle")

    booth.until(lambda: len(riku.history) == 5, "the fifth row of the history")
    name, calls, answered, missed, *_ = cells(cli("report"), riku.name)
    assert (name, calls, answered, missed) == (f"{riku.name} ({riku.id})", "1", "1", "0")


def test_an_unknown_button_is_kept_until_an_administrator_adopts_it(
    booth: Booth, cli: Callable[..., str]
) -> None:
    new = f"{booth.id}-new"
    message = f"button: {new} is unknown; `staffcall button add` registers it"
    for _ in range(2):
        assert booth.venue.press(new) == (404, {"code": 404, "message": message})
    id, door, _, presses = cells(cli("button", "list", "--unknown"), new)
    assert (id, door, presses) == (new, "webhook", "2")
    cli("button", "add", new, "--staff", booth.hana.id, "--booth", booth.id)
    assert cells(cli("button", "list", "--unknown"), new) == []
    assert booth.venue.press(new)[1]["thing"] == booth.hana.thing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["press", "nothing"], "button: nothing is unknown; `staffcall button add` registers it"),
        (["press", "a b"], f'button: {ID} "a b"'),
        (["staff", "show", "nobody"], "id: there is no staff nobody"),
        (["staff", "away", "nobody"], "id: there is no staff nobody"),
        (["button", "add", "b", "--staff", "nobody"], "staff: there is no staff nobody"),
    ],
)
def test_what_an_administrator_cannot_do_is_said_in_the_same_words(
    venue: Venue, tmp_path: Path, arguments: list[str], message: str
) -> None:
    status, said = staffcall(venue, tmp_path, *arguments)
    assert (status, said.count("\n")) == (1, 1), said
    assert said.startswith("Error: ")
    assert said.endswith(f"{message}\n")
