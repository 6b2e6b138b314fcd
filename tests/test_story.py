"""The story, through every door and over real sockets: press, mention, ok, on the way, idle again."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.shop import BEAM_KEY, BUTTON_TOKEN, Process, Shop, get, post, until, with_settings


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def shop(tmp_path: Path, slack: FakeSlack) -> Iterator[Shop]:
    with Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


def fast(shop: Shop, **settings: float) -> Shop:
    """Open it again with other times."""
    shop.close()
    with_settings(shop, **settings).open()
    return shop


def test_a_call_is_mentioned_answered_and_over(shop: Shop) -> None:
    fast(shop, running_s=0.8)
    status, answer = shop.press()
    assert (status, answer["thing"], answer["state"], answer["repeat"]) == (
        200,
        "staff-hana",
        "calling",
        False,
    )
    (text,) = until(lambda: shop.slack.texts, "the mention")
    assert "<@U0HANA>" in text
    until(lambda: shop.is_told("hana"), "the report")
    assert "花 Hana" in shop.says("U0HANA", "ok, 2 minutes")
    asked = shop.asked("hana")
    assert (asked["state"], asked["call"]["note"], asked["call"]["id"]) == (
        "running",
        "2 minutes",
        answer["call"],
    )
    until(lambda: shop.state("hana") == "idle", "the reset", 3)
    assert shop.asked("hana")["call"]["end"] == "ended"
    until(lambda: shop.is_told("hana"), "the report")
    assert len(shop.slack.texts) == 1


def test_each_click_calls_whom_it_is_bound_to(shop: Shop) -> None:
    assert [shop.press(click=click)[1]["thing"] for click in ("DOUBLE", "SINGLE")] == [
        "staff-sora",
        "staff-hana",
    ]


def beam(body: bytes, imsi: str, *, at: float | None = None, key: str = BEAM_KEY) -> dict[str, str]:
    timestamp = str(int((at or time.time()) * 1000))
    signed = hashlib.sha256(f"{key}x-soracom-imsi={imsi}x-soracom-timestamp={timestamp}".encode()).hexdigest()
    return {"X-Soracom-Imsi": imsi, "X-Soracom-Timestamp": timestamp, "X-Soracom-Signature": signed}


RAW = bytes.fromhex("4d0303") + bytes([(0x4D + 3 + 3) & 0xFF])
SORACOM_BODIES = {
    "parsed": (
        "application/json",
        json.dumps({"clickType": 3, "clickTypeName": "LONG", "batteryLevel": 1}).encode(),
    ),
    "raw": ("application/octet-stream", RAW),
    "unparsed": ("application/json", json.dumps({"payload": base64.b64encode(RAW).decode()}).encode()),
}


@pytest.mark.parametrize("form", sorted(SORACOM_BODIES))
def test_a_soracom_button_calls_by_its_sim(shop: Shop, form: str) -> None:
    shop.aws("iot").create_thing(
        thingName="button-440100000000001",
        thingTypeName="button",
        attributePayload={"attributes": {"single": "sora", "long": "hana", "booth": "main"}},
    )
    kind, body = SORACOM_BODIES[form]
    headers = {"Content-Type": kind, **beam(body, "440100000000001")}
    assert post(shop.url("/buttons/soracom"), body, **headers)[1]["thing"] == "staff-hana"
    assert post(shop.url("/buttons/soracom"), body, **headers)[1]["repeat"] is True
    assert shop.asked("hana")["call"]["count"] == 1
    said = shop.shadow("button-440100000000001")["state"]["reported"]
    assert (said["click"], said["battery"], said["lastCall"]) == (
        "LONG",
        1.0,
        shop.asked("hana")["call"]["id"],
    )


@pytest.mark.parametrize(
    "headers",
    [{}, beam(b"", "1", key="wrong"), beam(b"", "1", at=time.time() - 301), {"Authorization": "Bearer no"}],
)
def test_a_door_opens_only_to_who_has_the_key(shop: Shop, headers: dict[str, str]) -> None:
    status, answer = post(shop.url("/buttons/soracom"), SORACOM_BODIES["parsed"][1], **headers)
    assert (status, answer["code"]) == (401, 401)
    assert BUTTON_TOKEN not in answer["message"]
    assert shop.state("hana") == "idle"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("staffcall/buttons/demo/press", {"button": "demo", "click": "SINGLE", "id": "7"}),
        ("staffcall/buttons/demo/press", {"click": "SINGLE"}),
        ("iotbutton/demo", {"serialNumber": "demo", "batteryVoltage": "1697mV", "clickType": "SINGLE"}),
    ],
)
@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
def test_a_press_over_mqtt_is_acknowledged_when_the_call_is_on_disk(
    shop: Shop, topic: str, payload: dict[str, str], version: int
) -> None:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=version)
    host, _, port = shop.at.mqtt.partition(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        sent = client.publish(topic, json.dumps(payload), qos=1)
        sent.wait_for_publish(5)
        assert sent.is_published()
        assert shop.state("hana") == "calling"
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_press_may_be_published_over_awss_api_too(shop: Shop) -> None:
    press = json.dumps({"click": "DOUBLE", "id": "1"})
    for _ in range(2):
        shop.aws("iot-data").publish(topic="staffcall/buttons/demo/press", qos=1, payload=press)
    assert (shop.state("sora"), shop.asked("sora")["call"]["count"]) == ("calling", 1)


def test_who_does_not_answer_hands_over_and_in_the_end_the_channel_hears(shop: Shop) -> None:
    fast(shop, calling_s=0.6)
    shop.press()
    until(lambda: len(shop.slack.texts) == 3, "three messages", 10)
    hana, sora, everybody = shop.slack.texts
    assert "<@U0HANA>" in hana
    assert "<@U0SORA>" in sora
    assert "花 Hana" in sora
    assert "<!here>" in everybody
    assert (shop.asked("hana")["call"]["to"], shop.asked("sora")["call"]["end"]) == ("staff-sora", "missed")


def test_no_hands_over_at_once(shop: Shop) -> None:
    shop.press()
    assert "Sora" in shop.says("U0HANA", "no")
    assert (shop.state("hana"), shop.state("sora")) == ("idle", "calling")


def test_one_persons_ok_never_answers_for_another(shop: Shop) -> None:
    shop.press()
    before = shop.asked("hana")
    assert shop.says("U0SORA", "ok")
    assert shop.says("U0STRANGER", "ok")
    assert shop.asked("hana") == before


@pytest.mark.parametrize("text", ["okinawa", "not ok", "nothing", "it is ok", "no problem", "hello"])
def test_what_is_no_answer_changes_nothing(shop: Shop, text: str) -> None:
    shop.press()
    before = shop.asked("hana")
    shop.says("U0HANA", text)
    assert shop.asked("hana") == before


def test_a_repeated_ok_does_not_answer_the_next_call(shop: Shop) -> None:
    ok = f"{time.time():.6f}"
    shop.press(id="1")
    shop.says("U0HANA", "ok", timestamp=ok)
    shop.says("U0HANA", "done")
    shop.press(id="2")
    shop.says("U0HANA", "ok", timestamp=ok)
    assert shop.state("hana") == "calling"


def test_an_unknown_button_is_named_and_kept_for_the_installer(shop: Shop) -> None:
    status, answer = shop.press("who")
    assert (status, "who" in answer["message"]) == (404, True)
    shop.press("who")
    (kept,) = shop.admin("/admin/api/unknown-buttons")["buttons"]
    assert (kept["button"], kept["door"], kept["count"]) == ("who", "webhook", 2)
    add_button(shop.place, NewButton(id="who", single="hana"))
    assert shop.admin("/admin/api/unknown-buttons")["buttons"] == []


def test_with_a_slack_app_it_needs_no_public_address(tmp_path: Path, slack: FakeSlack) -> None:
    app = {
        "slack_webhook_url": "",
        "slack_bot_token": BOT_TOKEN,
        "slack_app_token": APP_TOKEN,
        "slack_channel": "C0CALLS",
        "slack_api_url": slack.api_url,
        "quiet_s": 0.0,
    }
    with Shop(tmp_path / "data", slack, **app) as shop:
        shop.furnish()
        shop.press(id="1")
        first = until(lambda: slack.posts, "the mention")[0]
        assert (first.channel, first.thread, "<@U0HANA>" in first.text) == ("C0CALLS", "", True)
        until(lambda: slack.connected, "Socket Mode")
        for ack in range(1, 3):  # Slack sends it again if our acknowledgement was lost
            slack.send(message("U0HANA", "ok, 2 min", "1730520930.000100", first.ts, f"e{ack}"))
            slack.wait_for(lambda ack=ack: len(slack.acks) == ack)
        assert (shop.state("hana"), shop.asked("hana")["call"]["note"]) == ("running", "2 min")
        answer = until(lambda: slack.posts[1:], "the answer")[0]
        assert answer.thread == first.ts
        shop.press(id="2")
        again = until(lambda: slack.posts[2:], "the second mention")[0]
        assert again.thread == first.ts


def message(user: str, text: str, ts: str, thread: str, envelope: str) -> dict[str, object]:
    event = {
        "type": "message",
        "channel": "C0CALLS",
        "user": user,
        "text": text,
        "ts": ts,
        "thread_ts": thread,
    }
    payload = {"type": "event_callback", "event_id": "Ev1", "event": event}
    return {
        "envelope_id": envelope,
        "type": "events_api",
        "payload": payload,
        "accepts_response_payload": False,
    }


# Slack fails.


def test_a_press_is_answered_while_slack_hangs(shop: Shop) -> None:
    shop.slack.always(hang_s=5)
    started = time.monotonic()
    assert shop.press()[0] == 200
    assert time.monotonic() - started < 2
    assert (shop.state("hana"), shop.is_told("hana")) == ("calling", False)
    shop.slack.always()


@pytest.mark.parametrize("how", [{"status": 500}, {"drop": True}, {"status": 429, "retry_after": "0.5"}])
def test_after_an_outage_who_is_still_waiting_is_told_once_and_what_is_over_is_not(
    shop: Shop, how: dict[str, object]
) -> None:
    shop.slack.always(**how)
    shop.press(click="DOUBLE")
    shop.press()
    until(lambda: shop.slack.refused >= 1, "a refusal")
    shop.says("U0SORA", "done")
    shop.slack.always()
    until(lambda: shop.slack.texts, "the mention", 12)
    until(lambda: shop.is_told("hana") and shop.is_told("sora"), "the report", 12)
    assert [("<@U0HANA>" in text, "<@U0SORA>" in text) for text in shop.slack.texts] == [(True, False)]


def test_a_message_that_slack_refuses_does_not_hold_up_the_others(shop: Shop) -> None:
    shop.slack.next(status=404, body="user_not_found")
    shop.press()
    until(lambda: shop.slack.refused == 1, "the refusal")
    shop.press(click="DOUBLE")
    until(lambda: any("<@U0SORA>" in text for text in shop.slack.texts), "the other mention", 3)


def test_at_most_one_message_a_second_goes_out(shop: Shop) -> None:
    shop.press()
    shop.press(click="DOUBLE")
    until(lambda: len(shop.slack.posts) == 2, "both mentions")
    first, second = shop.slack.posts
    assert second.at - first.at >= 0.99


def test_nonsense_in_one_shadow_does_not_stop_the_mentions_of_others(shop: Shop) -> None:
    nonsense = {"state": {"desired": {"state": "calling", "since": 9e99, "why": 7, "call": [{"id": None}]}}}
    shop.aws("iot-data").update_thing_shadow(thingName="staff-sora", payload=json.dumps(nonsense))
    shop.press()
    until(lambda: any("<@U0HANA>" in text for text in shop.slack.texts), "the mention", 4)


def test_a_slack_that_was_gone_for_ten_calls_is_tried_again_within_seconds(shop: Shop) -> None:
    shop.slack.always(drop=True)
    for n in range(6):
        shop.press(booth_button(shop, n), id=str(n))
    until(lambda: shop.slack.refused >= 6, "every call tried once", 12)
    shop.slack.always()
    until(lambda: shop.slack.texts, "the first mention", 9)
    until(lambda: len(shop.slack.texts) == 6, "all mentions", 9)


def booth_button(shop: Shop, n: int) -> str:
    """Another person with a button of their own."""
    add_staff(shop.place, NewStaff(id=f"s{n}", name=f"S{n}", slack=f"U0S{n}"))
    add_button(shop.place, NewButton(id=f"b{n}", single=f"s{n}"))
    return f"b{n}"


def test_a_press_that_comes_again_has_slack_tried_at_once(shop: Shop) -> None:
    shop.slack.always(status=500)
    shop.press(id="1")
    until(lambda: shop.slack.refused == 3, "the third failure; the next try would be 8 s away", 12)
    shop.slack.always()
    assert shop.press(id="1")[1]["repeat"] is True
    until(lambda: shop.slack.texts, "the mention", 3)


@pytest.mark.parametrize(
    ("desired", "said"),
    [
        ({"state": "away"}, []),
        ({"call": {"note": "hi"}}, []),
        ({"state": "calling", "since": 7, "call": {"id": "X", "booth": "main", "count": 1}}, ["<@U0HANA>"]),
        ({"state": "calling", "call": {"id": "Y", "booth": "main", "count": 0}}, ["<@U0HANA>"]),
    ],
)
def test_whoever_leaves_a_delta_it_is_told_and_reported(
    shop: Shop, desired: dict[str, object], said: list[str]
) -> None:
    if "since" in desired:
        desired["since"] = int(time.time() * 1000) - 5000
    shop.aws("iot-data").update_thing_shadow(
        thingName="staff-hana", payload=json.dumps({"state": {"desired": desired}})
    )
    until(lambda: shop.is_told("hana"), "the report", 4)
    assert [text.split()[0] for text in shop.slack.texts] == said


@pytest.mark.parametrize("since", [10**18, -(10**17), 1e300, 4 * 10**15])
def test_a_nonsense_time_stops_nobody_elses_call(shop: Shop, since: float) -> None:
    nonsense = {"desired": {"state": "calling", "since": since}, "reported": {"callingSeconds": 1e12}}
    for thing in ("staff-sora", "booth-main"):
        shop.aws("iot-data").update_thing_shadow(thingName=thing, payload=json.dumps({"state": nonsense}))
    fast(shop, running_s=0.7)
    shop.press()
    until(lambda: any("<@U0HANA>" in text for text in shop.slack.texts), "the mention", 4)
    shop.says("U0HANA", "ok")
    until(lambda: shop.state("hana") == "idle", "the reset", 3)


def test_a_booth_that_shortens_its_times_ends_its_calls_sooner(shop: Shop) -> None:
    shop.press()
    until(lambda: shop.is_told("hana"), "the report")
    shorter = {"state": {"reported": {"callingSeconds": 0.5}}}
    shop.aws("iot-data").update_thing_shadow(thingName="booth-main", payload=json.dumps(shorter))
    until(lambda: shop.state("hana") == "idle", "the end", 2)


def test_the_next_waiting_call_is_taken_though_slack_holds_us(shop: Shop) -> None:
    shop.slack.always(status=429, retry_after="120")
    shop.press(click="DOUBLE")
    shop.aws("iot").create_thing(
        thingName="button-hall",
        thingTypeName="button",
        attributePayload={"attributes": {"single": "sora", "booth": "hall"}},
    )
    shop.press("hall")
    assert [call["booth"] for call in shop.shadow("staff-sora")["state"]["reported"]["waiting"]] == ["hall"]
    shop.says("U0SORA", "no")
    until(lambda: shop.state("sora") == "calling", "the next call", 12)
    assert shop.asked("sora")["call"]["booth"] == "hall"


# Crashes and restarts.


def test_a_call_survives_kill_9_and_is_mentioned_after_the_restart(tmp_path: Path, slack: FakeSlack) -> None:
    shop = Shop(tmp_path / "data", slack)
    with Process(shop) as process:
        shop.furnish()
        slack.always(drop=True)
        _, pressed = shop.press(id="a")
        process.end(9)
        slack.always()
        process.start()
        asked = shop.asked("hana")
        assert (asked["state"], asked["call"]["id"]) == ("calling", pressed["call"])
        until(lambda: slack.texts, "the mention", 10)
        assert shop.press(id="a")[1]["repeat"] is True
        until(lambda: shop.is_told("hana"), "the report")
        assert len(slack.texts) == 1
        process.restart()
        assert shop.state("hana") == "calling"
        assert len(slack.texts) == 1
        assert process.end(15) == 0
    assert "Traceback" not in process.output.decode()


def test_what_became_overdue_while_nothing_ran_ends_at_once(tmp_path: Path, slack: FakeSlack) -> None:
    with Shop(tmp_path / "data", slack, calling_s=0.5, running_s=0.5) as shop:
        shop.furnish()
        shop.press()
        until(lambda: shop.is_told("hana"), "the report")
        shop.says("U0HANA", "ok")
        shop.close()
        time.sleep(0.6)
        shop.open()
        until(lambda: shop.state("hana") == "idle", "the reset", 2)


def test_what_is_found_ten_minutes_late_expires_with_one_line_for_all(shop: Shop) -> None:
    long_ago = int(time.time() * 1000) - 1_000_000
    for staff in ("hana", "sora"):
        asked = shop.asked(staff)
        asked.update(state="calling", since=long_ago, why="press")
        asked["call"].update(id=f"01{staff}", booth="main", at=long_ago, count=1)
        old = {"state": {"desired": asked, "reported": {"since": long_ago - 1}}}
        shop.aws("iot-data").update_thing_shadow(thingName=f"staff-{staff}", payload=json.dumps(old))
    for staff in ("hana", "sora"):
        until(lambda staff=staff: shop.asked(staff)["call"]["end"] == "expired", "the end")  # type: ignore[misc]
    until(lambda: shop.is_told("hana") and shop.is_told("sora"), "the report", 10)
    texts = shop.slack.texts
    assert texts
    assert not any("<@" in text or "<!here>" in text for text in texts)


def test_fifty_presses_at_once_are_all_counted(shop: Shop) -> None:
    answers: list[tuple[int, dict[str, object]]] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(shop.press(id=str(n)))) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [200] * 50
    assert shop.asked("hana")["call"]["count"] == 50


# What is open to whom.


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/api/history", "/admin/anything", "/metrics"])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": f"Bearer {BUTTON_TOKEN}"}, {"Authorization": "Bearer"}]
)
def test_admin_and_metrics_want_the_admin_token(shop: Shop, path: str, headers: dict[str, str]) -> None:
    assert get(shop.url(path), **headers)[0] == 401
    assert post(shop.url(path), b"{}", **headers)[0] == 401


def test_metrics_count_people_by_state(shop: Shop) -> None:
    shop.press()
    text = shop.admin("/metrics")
    assert 'staffcall_staff{state="calling"} 1\n' in text
    assert 'staffcall_staff{state="idle"} 1\n' in text


def test_every_transition_is_on_record(shop: Shop) -> None:
    shop.press()
    shop.says("U0HANA", "ok soon")
    shop.says("U0HANA", "done")
    rows = [row for row in shop.admin("/admin/api/history")["rows"] if row["thing"] == "staff-hana"]
    assert [(row["state"], row["why"], row["note"]) for row in rows] == [
        ("idle", "back", ""),
        ("calling", "press", ""),
        ("running", "ok", "soon"),
        ("idle", "done", "soon"),
    ]


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/assets/../../package.json", "/.env"]
)
def test_only_built_files_are_served(shop: Shop, path: str) -> None:
    assert get(shop.url(path))[0] == 404


def test_the_kiosk_is_told_its_websocket_by_the_name_the_page_was_opened_with(shop: Shop) -> None:
    port = shop.at.websocket.rpartition(":")[2]
    for host in ("localhost:8080", "192.168.1.7:8080", "[::1]:8080", "booth.example"):
        name = host.removesuffix(":8080")
        assert get(shop.url("/config.json"), Host=host)[1] == {
            "place": "local",
            "mqtt": f"ws://{name}:{port}/mqtt",
        }
    assert get(shop.url("/config.json"), Host="a;script-src *")[0] == 400


def test_no_secret_and_nothing_private_is_in_any_page_or_shadow(shop: Shop) -> None:
    shop.press()
    shop.says("U0HANA", "ok")
    seen = json.dumps([shop.shadow(thing) for thing in ("staff-hana", "booth-main", "button-demo")])
    seen += str(get(shop.url("/"))[1]) + str(get(shop.url("/config.json"))[1]) + str(shop.admin())
    for secret in (BUTTON_TOKEN, "U0HANA", "admin-token", "outgoing-token", shop.slack.url):
        assert secret not in seen


# What is wrong is said in words, changes nothing, and the server goes on.

BAD_BODIES = {
    "no JSON": (b'{"button": "demo", ', 400, "body"),
    "no object": (b'["demo"]', 400, "body"),
    "no UTF-8": (b'{"button": "\xff\xfe", "click": "SINGLE"}', 400, ""),
    "no button": (b'{"click": "SINGLE"}', 400, "button"),
    "a number for a button": (b'{"button": 7, "click": "SINGLE"}', 400, "button"),
    "no click": (b'{"button": "demo"}', 400, "SINGLE, DOUBLE"),
    "another click": (b'{"button": "demo", "click": "TRIPLE"}', 400, "LONG"),
    "a long id": (b'{"button": "demo", "click": "SINGLE", "id": "' + b"x" * 65 + b'"}', 400, "id"),
    "a battery of 2": (b'{"button": "demo", "click": "SINGLE", "battery": 2}', 400, "battery"),
    "deep": (b"[" * 10_000, 400, ""),
    "a megabyte": (b'{"button": "' + b"x" * 1_000_000 + b'"}', 413, ""),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_press_is_answered_with_the_field_and_changes_nothing(shop: Shop, name: str) -> None:
    body, code, field = BAD_BODIES[name]
    status, answer = post(shop.url("/buttons/webhook"), body, Authorization=f"Bearer {BUTTON_TOKEN}")
    assert (status, answer["code"], field in answer["message"]) == (code, code, True), answer
    assert shop.shadow("staff-hana")["version"] == 1
    assert shop.press()[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/slack/outgoing", b"token=wrong&text=ok", 401),
        ("/slack/outgoing", b"\xff=\xfe", 400),
        ("/slack/outgoing", b"x" * 1_000_000, 413),
        ("/slack/events", b"{}", 401),
        ("/slack/nothing", b"", 404),
        ("/nothing", b"", 404),
        ("/buttons/nothing", b"", 404),
    ],
)
def test_what_no_door_takes_is_refused_in_words(shop: Shop, path: str, body: bytes, code: int) -> None:
    status, answer = post(shop.url(path), body)
    assert (status, answer["code"], bool(answer["message"])) == (code, code, True), answer
    assert get(shop.url("/healthz")) == (200, {"status": "ok"})
