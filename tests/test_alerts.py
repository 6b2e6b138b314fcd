"""Who does not answer in Slack is reached by other ways: over real sockets, to a Twilio that listens."""

import json
import quopri
import re
import signal
import socket
import socketserver
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.alerts import doors, links
from infra.alerts.links import ANSWER, Link
from infra.alerts.templates import templates
from infra.alerts.twilio import is_signed, signature
from infra.settings import Settings, SettingsError
from infra.ways import check_alerts
from shadows import registry
from shadows.channels import Channels
from shadows.errors import Rejected
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import FakeSlack
from tests.fake_twilio import PATH, SENDER, SID, TOKEN, URL, FakeTwilio, Sms, created, hangs, refuses
from tests.receiver import Receiver, answers
from tests.screen import IS_SKIPPED, chromium, watched
from tests.served import Served
from tests.shop import ADMIN_TOKEN, BUTTON_TOKEN, Process, Shop, until

PHONE = "819077770001"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    with FakeTwilio() as fake:
        yield fake


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as other:
        yield other


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def shop_of(tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio, *more: str, **settings: Any) -> Shop:
    port = free_port()
    return Shop(
        tmp_path / "data",
        slack,
        **{
            "http_port": port,
            "public_url": f"http://127.0.0.1:{port}",
            "alerts": (URL, *more),
            "alert_s": 0.3,
            "twilio_api_url": twilio.url,
            "calling_s": 60.0,
            "remind_s": 0.0,
            **settings,
        },
    )


def furnish(shop: Shop, **more: str) -> None:
    person = {"slack": "U0HANA", "phone": PHONE, "mail": "hana@example.com", **more}
    add_staff(shop.place, NewStaff(id="hana", name="花 Hana", **person))
    add_button(shop.place, NewButton(id="demo", single="hana"))


def alerts(shop: Shop) -> list[tuple[str, str, str]]:
    """Kind, outcome and reason of each alert on record."""
    rows = shop.admin("/admin/api/history")["deliveries"]
    return [(row["kind"], row["outcome"], row["reason"]) for row in rows if row["kind"].startswith("alert ")]


def page(url: str, body: bytes | None = None, lang: str = "en") -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(url, body, {"Accept-Language": lang})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def is_settled(shop: Shop) -> bool:
    shadow = shop.place.shadows.get("staff-hana")
    return shadow.desired.get("alert") == shadow.reported.get("alert")


# --- The way of an alert


def test_who_does_not_answer_in_slack_gets_an_sms_as_twilio_wants_it(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        shop.press()
        until(lambda: slack.texts, "the mention")
        (sms,) = until(lambda: twilio.got, "the SMS")
        until(lambda: alerts(shop), "the record")
        assert alerts(shop) == [("alert twilio", "accepted", "")]
        assert (sms.path, sms.login) == (PATH, f"{SID}:{TOKEN}")
        assert sms.kind == "application/x-www-form-urlencoded"
        assert (sms.form["To"], sms.form["From"]) == (f"+{PHONE}", f"+{SENDER}")
        assert sms.form["Body"].startswith("花 Hana, somebody is waiting for you at main. On my way: http")
        assert set(sms.form) == {"To", "From", "Body", "StatusCallback"}
        until(lambda: is_settled(shop), "the report")
        assert shop.is_told("hana")
        assert len(slack.texts) == 1


def test_who_answers_in_time_gets_none(tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio) -> None:
    with shop_of(tmp_path, slack, twilio, alert_s=1.0) as shop:
        furnish(shop)
        shop.press()
        shop.says("U0HANA", "ok")
        late = shop.asked("hana")["since"] + 2_000
        until(lambda: shop.place.clock() > late, "the time of the alert")
        assert shop.state("hana") == "running"
        assert "alert" not in shop.asked("hana")
        assert twilio.got == []


def test_who_is_not_in_slack_gets_an_sms_at_once(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    with shop_of(tmp_path, slack, twilio, alert_s=600.0) as shop:
        furnish(shop, slack="")
        shop.press()
        until(lambda: twilio.got, "the SMS")
        until(lambda: shop.is_told("hana"), "the message to the channel")
        assert len(slack.texts) == 1


def test_without_any_slack_a_call_is_told_once_twilio_has_taken_it(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    twilio.next(refuses(503, 20503))
    with shop_of(tmp_path, slack, twilio, slack_webhook_url="", calling_s=4.0) as shop:
        furnish(shop)
        shop.press()
        until(lambda: len(alerts(shop)) == 1, "the failure")
        assert not shop.is_told("hana")
        until(lambda: len(alerts(shop)) == 2, "the second try", 20)
        until(lambda: shop.is_told("hana"), "the report")
        assert shop.state("hana") == "calling"
        until(lambda: shop.state("hana") == "idle", "the end", 20)
        until(lambda: shop.is_told("hana"), "the report of what nobody is told")
        looks = shop.admin("/admin/api/signs")["audited"]
        until(lambda: shop.admin("/admin/api/signs")["audited"] > looks + 3, "the audit", 20)
        assert shop.admin()["counts"]["audit_holes_total"] == 0
        until(lambda: shop.admin()["troubles"] == [], "the end of all troubles")


def test_a_panic_button_needs_one_request_and_says_what_it_was_told(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    body = json.dumps(
        {
            "id": "a002dc000001",
            "staff": "night",
            "booth": "bed",
            "phone": PHONE,
            "message": "ベッドの呼び出しです",
        }
    ).encode()
    with shop_of(tmp_path, slack, twilio, slack_webhook_url="") as shop:
        for token in ("", "no", BUTTON_TOKEN):
            assert shop.ask("/buttons/register", body, Authorization=f"Bearer {token}")[0] == 401
        assert [*registry.buttons(shop.place)] == []
        for done in ("added", "there already"):
            answer = shop.ask("/buttons/register", body, Authorization=f"Bearer {ADMIN_TOKEN}")
            assert answer == (200, {"done": done})
        shop.press("a002dc000001")
        (sms,) = until(lambda: twilio.got, "the SMS")
        assert sms.form["To"] == f"+{PHONE}"
        assert re.fullmatch(r"ベッドの呼び出しです On my way: http://\S+", sms.form["Body"])
        page(sms.link, b"")
        until(lambda: shop.state("night") == "running", "the answer")


def test_a_number_that_is_none_is_on_record_and_the_next_way_is_tried_at_once(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio, receiver: Receiver
) -> None:
    twilio.next(refuses(400, 21211))
    more = receiver.url("/{id}").replace("http", "json")
    with shop_of(tmp_path, slack, twilio, more, alert_s=2.0) as shop:
        furnish(shop)
        shop.press()
        until(lambda: receiver.got, "the second way")
        until(lambda: len(alerts(shop)) == 2, "both on record")
        assert shop.place.clock() < shop.asked("hana")["since"] + 4_000
        assert alerts(shop) == [
            ("alert twilio", "refused", "Twilio answered 400, code 21211"),
            ("alert json", "accepted", ""),
        ]
        assert receiver.got[0].path == "/hana"
        assert receiver.got[0].body["title"] == "Call: main"
        assert len(twilio.got) == 1


def test_a_refusal_of_the_last_way_shows_where_troubles_are(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    twilio.next(refuses(401, 20003))
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        shop.press()
        until(lambda: is_settled(shop) and alerts(shop), "the refusal")
        (trouble,) = until(lambda: shop.admin()["troubles"], "the trouble")
        assert (trouble["what"], trouble["thing"]) == ("alert", "staff-hana")
        assert "Twilio answered 401, code 20003" in trouble["detail"]


def test_twilio_is_asked_again_when_it_says_so(tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio) -> None:
    twilio.next(refuses(429, 20429, Retry_After="1"))
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        shop.press()
        until(lambda: len(alerts(shop)) == 2, "both tries")
        assert alerts(shop) == [
            ("alert twilio", "failed", "Twilio answered 429, code 20429"),
            ("alert twilio", "accepted", ""),
        ]


def test_nothing_has_a_provider_asked_sooner_than_it_says(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    twilio.next(refuses(429, 20429, Retry_After="500"))
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        shop.press()
        until(lambda: alerts(shop), "the refusal")
        shop.press(id="2")
        until(lambda: shop.place.shadows.get("staff-hana").reported["call"]["count"] == 2, "its report")
        looks = shop.admin("/admin/api/signs")["audited"]
        until(lambda: shop.admin("/admin/api/signs")["audited"] > looks + 1, "some time")
        assert len(twilio.got) == 1


def test_what_fails_does_not_keep_the_next_way_waiting(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio, receiver: Receiver
) -> None:
    twilio.always = refuses(500, 20500)
    more = receiver.url().replace("http", "json")
    with shop_of(tmp_path, slack, twilio, more, alert_s=1.0) as shop:
        furnish(shop)
        shop.press()
        until(lambda: receiver.got, "the second way")
        until(lambda: is_settled(shop), "the report")
        tried = len(twilio.got)
        shop.says("U0HANA", "ok")
        assert len(twilio.got) == tried


def test_a_provider_that_hangs_keeps_nobody_else_waiting(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    twilio.next(hangs, created)
    twilio.always = hangs  # also when it is tried again
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        add_staff(shop.place, NewStaff(id="sora", name="Sora", slack="U0SORA", phone="819077770002"))
        add_button(shop.place, NewButton(id="other", single="sora"))
        shop.press()
        until(lambda: len(twilio.got) == 1, "the one that hangs")
        shop.press("other")
        until(lambda: len(slack.texts) == 2, "the mention")
        until(lambda: len(twilio.got) == 2, "the other SMS")
        until(lambda: alerts(shop), "its record")
        looks = shop.admin("/admin/api/signs")["audited"]
        until(lambda: shop.admin("/admin/api/signs")["audited"] > looks + 3, "the audit")
        assert not is_settled(shop)
        assert shop.admin()["counts"]["audit_holes_total"] == 0
        asked, reported = shop.asked("hana"), shop.place.shadows.get("staff-hana").reported
        assert all(asked[key] == reported[key] for key in ("state", "since", "why", "call"))


def test_a_slack_that_is_down_keeps_no_alert_waiting_and_an_alert_no_mention(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    slack.always(status=500)
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        shop.press()
        until(lambda: is_settled(shop) and twilio.got, "the SMS")
        assert shop.place.shadows.get("staff-hana").reported["state"] == "idle"
        slack.always()
        until(lambda: shop.is_told("hana"), "the mention", 20)
        assert len(twilio.got) == 1


def test_a_booth_may_give_more_time(tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio) -> None:
    with shop_of(tmp_path, slack, twilio, alert_s=600.0) as shop:
        furnish(shop)
        shop.press()
        assert twilio.got == []
        shop.place.shadows.update("booth-main", reported={"alertSeconds": 0.1})
        until(lambda: twilio.got, "the SMS")


def test_apprise_says_who_refused_and_what_may_pass(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio, receiver: Receiver
) -> None:
    receiver.next(answers(503), answers(404))
    url = receiver.url().replace("http", "json")
    with shop_of(tmp_path, slack, twilio, alerts=(url, url), alert_s=0.5) as shop:
        furnish(shop)
        shop.press()
        until(lambda: len(alerts(shop)) == 3, "all", 20)
        assert [each[1:] for each in alerts(shop)] == [
            ("failed", "answered 503"),
            ("refused", "answered 404"),
            ("accepted", ""),
        ]


def test_an_e_mail_goes_to_the_persons_address(tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio) -> None:
    with FakeMail() as mail:
        url = f"mailto://127.0.0.1:{mail.port}?to={{mail}}&from=booth@example.com&mode=insecure"
        with shop_of(tmp_path, slack, twilio, alerts=(url,)) as shop:
            furnish(shop)
            shop.press()
            until(lambda: alerts(shop), "the record", 20)
            assert alerts(shop) == [("alert mailto", "accepted", "")]
    assert "rcpt TO:<hana@example.com>" in mail.said[0]
    assert "On my way: http://127.0.0.1" in mail.said[0]


class FakeMail(Served):
    """A mail server that takes everything."""

    def __init__(self) -> None:
        self.said: list[str] = []
        mail = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                mail.take(self.rfile, self.wfile)

        super().__init__(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))

    def take(self, rfile: Any, wfile: Any) -> None:
        said, in_data = "", False
        wfile.write(b"220 here\r\n")
        for raw in rfile:
            line = raw.decode().rstrip("\r\n")
            said += line + "\n"
            if in_data and line != ".":
                continue
            in_data = line.upper() == "DATA"
            wfile.write(b"354 go on\r\n" if in_data else b"250 well\r\n")
            if line == ".":
                self.said.append(quopri.decodestring(said.encode()).decode())
            if line.upper() == "QUIT":
                return


# --- Dying


def test_kill_9_loses_no_alert_and_repeats_none_that_was_reported(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio
) -> None:
    shop = Shop(tmp_path / "data", slack, calling_s=60.0, remind_s=0.0)
    port = free_port()
    env = {
        "STAFFCALL_ALERTS": f"json://127.0.0.1:{free_port()}/{{mail}} {URL}",  # nobody is at the first
        "STAFFCALL_ALERT_SECONDS": "0.5",
        "STAFFCALL_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "STAFFCALL_HTTP_PORT": str(port),
        "TWILIO_API_URL": twilio.url,
    }
    twilio.next(hangs)  # it dies while this one is under way
    with Process(shop, **env) as process:
        furnish(shop)
        shop.press()
        until(lambda: len(twilio.got) == 1, "the one that hangs", 20)
        process.restart()
        until(lambda: len(twilio.got) == 2, "the same once more", 20)
        until(lambda: is_settled(shop), "the report", 20)
        first = twilio.got[0].link
        assert page(first, b"")[0] == 200  # the key outlives the process
        until(lambda: shop.state("hana") == "running", "the answer")
        process.restart()
        shop.says("U0HANA", "done")
        shop.press(id="2")
        until(lambda: len(twilio.got) == 3, "that of the next call", 20)
        assert [("On my way" in sms.form["Body"]) for sms in twilio.got] == [True] * 3
        process.end(signal.SIGTERM)
    for private in (PHONE, TOKEN, "hana@example.com"):
        assert private.encode() not in process.output
    assert b"alert json: failed" in process.output
    assert b"apprise" not in process.output  # it would log numbers and addresses
    assert b"Traceback" not in process.output


# --- The link


@pytest.fixture
def called(tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio) -> Iterator[tuple[Shop, Sms]]:
    with shop_of(tmp_path, slack, twilio) as shop:
        furnish(shop)
        shop.press()
        until(lambda: alerts(shop), "the SMS")
        yield shop, twilio.got[0]


def test_looking_at_a_link_answers_nothing_and_its_button_answers_once(called: tuple[Shop, Sms]) -> None:
    shop, sms = called
    for _ in range(3):  # a phone, a scanner, the person
        status, shown, headers = page(sms.link)
        assert (status, shop.state("hana")) == (200, "calling")
    assert "<button>On my way</button>" in shown
    assert re.search("(src|href|action)=", shown) is None
    assert "script" not in shown
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["Cache-Control"] == "no-store"

    status, shown, _ = page(sms.link, b"")
    assert (status, shop.state("hana")) == (200, "running")
    assert "is on the way to main" in shown
    assert "<button>" not in shown
    since = shop.asked("hana")["since"]
    assert page(sms.link, b"")[0] == 200  # a second use says what became of it
    assert shop.asked("hana")["since"] == since

    shop.says("U0HANA", "done")
    assert "This call is over." in page(sms.link, b"")[1]
    assert shop.state("hana") == "idle"
    shop.press(id="2")  # and it is no answer to the next call
    assert "This call is over." in page(sms.link, b"")[1]
    assert shop.state("hana") == "calling"


@pytest.mark.skipif(IS_SKIPPED, reason="STAFFCALL_SKIP=browser")
def test_the_button_is_large_and_works_under_the_strict_policy(called: tuple[Shop, Sms]) -> None:
    shop, sms = called
    with chromium() as browser, watched(browser) as opened:  # which fails at any complaint about the policy
        opened.set_viewport_size({"width": 360, "height": 640})
        opened.goto(sms.link)
        button = opened.get_by_role("button", name="On my way")
        box = button.bounding_box()
        assert box
        assert (box["width"] > 280, box["height"] > 48) == (True, True)  # so the style was taken
        button.click()
        opened.get_by_text("is on the way to main").wait_for()
    assert shop.state("hana") == "running"


def test_the_page_speaks_the_languages_that_we_speak(called: tuple[Shop, Sms]) -> None:
    _, sms = called
    for asked, lang in (
        ("ja-JP,en;q=0.5", "ja"),
        ("fr,en;q=0.3,ja;q=0.9", "ja"),
        ("de", "en"),
        ("ja;q=0", "en"),
    ):
        _, shown, _ = page(sms.link, lang=asked)
        assert f'<html lang="{lang}">' in shown
        assert ("向かいます" in shown) == (lang == "ja")


def test_a_link_is_of_one_person_and_one_call_and_for_a_time(called: tuple[Shop, Sms]) -> None:
    shop, sms = called
    base, _, token = sms.link.rpartition("/")
    id, call, expires, signed = token.split(".")
    others = (
        f"sora.{call}.{expires}.{signed}",
        f"{id}.{call[:-1]}{'0' if call[-1] != '0' else '1'}.{expires}.{signed}",
        f"{id}.{call}.z{expires}.{signed}",
        f"{id}.{call}.{expires}.{'A' * 22}",
        sms.form["StatusCallback"].rpartition("/")[2],
        "x",
    )
    for other in others:
        status, shown, _ = page(f"{base}/{other}", b"")
        assert (status, "This link is not valid." in shown) == (404, True)
    assert shop.state("hana") == "calling"
    shop.says("U0HANA", "no")
    shop.press(id="2")
    assert "This call is over." in page(sms.link, b"")[1]  # it was never used, and is of the call before
    assert shop.state("hana") == "calling"


def test_a_link_ends_and_one_of_a_place_without_a_key_never_began(
    called: tuple[Shop, Sms], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, sms = called
    token = sms.link.rpartition("/")[2]
    hour_ms = 3_600_000
    notes: list[Any] = []
    now = shop.place.clock()
    key = json.loads((shop.data / "tokens.json").read_text())["link"]
    services = doors.Services(
        place=shop.place, key=key, lang="en", public_url="", twilio_tokens=dict, note=notes.append
    )
    late = replace(services, wall=lambda: now + hour_ms + 5_000)
    assert doors.open_door("POST", token, {}, b"", late).status == 410
    in_time = replace(services, wall=lambda: now + hour_ms - 60_000)
    assert doors.open_door("GET", token, {}, b"", in_time).status == 200
    signed_with_nothing = links.token(
        Link(thing="staff-hana", call=token.split(".")[1], expires=now), ANSWER, ""
    )
    closed = replace(services, key="")
    assert doors.open_door("POST", signed_with_nothing, {}, b"", closed).status == 404
    assert shop.state("hana") == "calling"


# --- What Twilio says later


def test_what_became_of_an_sms_is_on_record_once_twilio_has_signed_it(
    called: tuple[Shop, Sms], twilio: FakeTwilio
) -> None:
    shop, sms = called
    assert twilio.calls_back(sms, "delivered", token="another") == 401
    assert page(sms.form["StatusCallback"], b"MessageStatus=delivered")[0] == 401
    assert page(sms.form["StatusCallback"])[0] == 404
    assert len(alerts(shop)) == 1
    for status in ("queued", "sent", "delivered"):
        assert twilio.calls_back(sms, status) == 204
    until(lambda: len(alerts(shop)) == 3, "the record")
    assert [outcome for _, outcome, _ in alerts(shop)] == ["accepted", "sent", "delivered"]


@pytest.mark.parametrize(
    ("url", "signed", "right"),
    [
        ("https://a.example/x?y=1", "https://a.example:443/x?y=1", True),
        ("https://a.example:8443/x", "https://a.example/x", True),
        ("http://a.example/x", "http://a.example:80/x", True),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://a.example/y", False),
    ],
)
def test_twilio_may_sign_an_address_with_its_port_or_without(url: str, signed: str, right: bool) -> None:
    form = [("MessageStatus", "sent"), ("To", "+81 90")]
    given = signature(TOKEN, signed, form)
    assert is_signed(given, TOKEN, url, urllib.parse.urlencode(form).encode()) is right


def test_a_signature_is_that_of_twilios_own_example() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form.items()) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_an_sms_that_does_not_arrive_is_followed_by_the_next_way_at_once(
    tmp_path: Path, slack: FakeSlack, twilio: FakeTwilio, receiver: Receiver
) -> None:
    more = receiver.url().replace("http", "json")
    with shop_of(tmp_path, slack, twilio, more, alert_s=30.0) as shop:
        furnish(shop)
        shop.place.shadows.update("booth-main", reported={"alertSeconds": 0.1})
        shop.press()
        until(lambda: twilio.got, "the SMS")
        shop.place.shadows.update("booth-main", reported={"alertSeconds": 3000})
        until(lambda: alerts(shop), "the record")
        assert twilio.calls_back(twilio.got[0], "undelivered", ErrorCode="30003") == 204
        until(lambda: receiver.got, "the second way")
        on_record = ("alert twilio", "undelivered", "code 30003")
        until(lambda: on_record in alerts(shop), "the record of it")  # it keeps nobody waiting


# --- How it is set


def test_ways_are_checked_at_the_start_and_no_secret_of_theirs_is_shown(tmp_path: Path) -> None:
    for urls, got in (
        (f"{URL} nonsense://canary", "a nonsense:// that apprise does not take as number 2"),
        ("canary", "something else as number 1"),
        ("ntfy://canary/{phnoe}", "{phnoe} in number 1"),
        ("ntfy://canary/{Canary1}", "{…} in number 1"),
        ("twilio://canary/{phone}", "a twilio:// that apprise does not take as number 1"),
    ):
        settings = Settings.from_env({"STAFFCALL_ALERTS": urls})
        assert "canary" not in repr(settings)
        with pytest.raises(SettingsError) as wrong:
            check_alerts(settings)
        assert str(wrong.value).endswith(f"got {got}")
        assert "canary" not in str(wrong.value)
    check_alerts(
        Settings.from_env({"STAFFCALL_ALERTS": f"{URL} ntfys://ntfy.sh/{{id}} line://token/{{line}}"})
    )


def test_only_what_a_person_has_is_tried() -> None:
    urls = (URL, "mailto://u:p@h.example?to={mail}", "ntfy://h.example/{id}")
    channels = Channels(each=tuple(each.channel for each in templates(urls)))
    assert [each.name for each in channels.of({"mail": "x"})] == ["mailto", "ntfy"]
    assert [each.name for each in channels.of({"phone": "1", "backup": "x"})] == ["twilio", "ntfy"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mail", "hana"),
        ("mail", "ha+na@example.com"),
        ("mail", "a@b@c"),
        ("line", "U1"),
        ("mail", "花@example.com"),
    ],
)
def test_an_address_that_cannot_be_kept_is_refused_and_not_repeated(field: str, value: str) -> None:
    with pytest.raises(Rejected, match=f"^400 {field}: expected|{field}: expected") as wrong:
        NewStaff(id="hana", name="Hana", **{field: value})
    assert value not in wrong.value.message
