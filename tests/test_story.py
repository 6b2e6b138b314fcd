"""What is true of the local place alone, over real sockets; the story itself is in test_acceptance.py."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.shop import BUTTON_TOKEN, Process, Shop, get, post, until, with_settings


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


SHELLY: dict[str, Any] = {
    "method": "NotifyEvent",
    "params": {"events": [{"component": "input:0", "event": "single_push", "ts": 1730520926.74}]},
}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("staffcall/buttons/demo/press", {"button": "demo", "click": "SINGLE", "id": "7"}),
        ("staffcall/buttons/demo/press", {"click": "SINGLE"}),
        ("iotbutton/demo", {"serialNumber": "demo", "batteryVoltage": "1697mV", "clickType": "SINGLE"}),
        ("zigbee2mqtt/demo", {"action": "single", "battery": 87}),
        ("stat/demo/RESULT", {"Button1": {"Action": "SINGLE"}}),
        ("demo/events/rpc", SHELLY),
        ("shellies/demo/input_event/0", {"event": "S", "event_cnt": 7}),
    ],
)
@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
def test_a_press_over_mqtt_is_acknowledged_when_the_call_is_on_disk(
    shop: Shop, topic: str, payload: dict[str, Any], version: int
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


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("staffcall/buttons/demo/press", {"click": "SINGLE"}),
        ("iotbutton/demo", {"clickType": "SINGLE"}),
        ("zigbee2mqtt/demo", {"action": "single"}),
        ("stat/demo/RESULT", {"Button1": {"Action": "SINGLE"}}),
        ("demo/events/rpc", SHELLY),
        ("shellies/demo/input_event/0", {"event": "S", "event_cnt": 7}),
    ],
)
def test_a_message_that_is_to_be_retained_is_no_press(
    shop: Shop, topic: str, payload: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    host, _, port = shop.at.mqtt.partition(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        client.publish(topic, json.dumps(payload), qos=1, retain=True).wait_for_publish(5)
        shop.aws("iot-data").publish(topic=topic, qos=1, retain=True, payload=json.dumps(payload))
        client.publish("zigbee2mqtt/bridge/state", "{}", qos=1, retain=True).wait_for_publish(5)
        assert shop.state("hana") == "idle"
        assert f"{topic}: a retained message is no press" in caplog.text
        assert "bridge" not in caplog.text
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_press_may_be_published_over_awss_api_too(shop: Shop) -> None:
    press = json.dumps({"click": "DOUBLE", "id": "1"})
    for _ in range(2):
        shop.aws("iot-data").publish(topic="staffcall/buttons/demo/press", qos=1, payload=press)
    assert (shop.state("sora"), shop.asked("sora")["call"]["count"]) == ("calling", 1)


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
        slack.send(message("U0HANA", "at the lift", "1730520930.000200", first.ts, "e3"))
        confirmed = until(lambda: slack.posts[2:], "the word that the screen shows it")[0]
        assert (confirmed.thread, "at the lift" in confirmed.text) == (first.ts, True)
        call = shop.asked("hana")["call"]
        assert (call["note"], call["promised"] > call["at"]) == ("at the lift", True)
        until(lambda: shop.is_told("hana"), "the report of the note")
        shop.press(id="2")
        again = until(lambda: slack.posts[3:], "the second mention")[0]
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


def test_who_does_not_answer_is_reminded_once_though_it_is_killed_in_between(
    tmp_path: Path, slack: FakeSlack
) -> None:
    shop = Shop(tmp_path / "data", slack, calling_s=60, remind_s=0.5, quiet_s=0, lang="en")
    with Process(shop) as process:
        shop.furnish()
        shop.press()
        until(lambda: shop.is_told("hana"), "the report")
        process.end(9)
        process.start()
        until(lambda: len(slack.texts) > 1, "the reminder")
        assert "you have not answered yet" in slack.texts[1]
        until(lambda: shop.is_told("hana"), "its report")
        process.restart()
        assert shop.asked("hana")["call"]["reminded"] is True
        shop.says("U0HANA", "ok")
        until(lambda: shop.is_told("hana"), "the last report")
        assert len(slack.texts) == 2
        found = shop.admin("/admin/api/history")
    kinds = [each["kind"] for each in found["deliveries"]]
    assert kinds == ["press", "remind", ""]
    rows = [row["state"] for row in found["rows"] if row["thing"] == "staff-hana"]
    assert rows == ["idle", "calling", "running"]


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
    assert 'staffcall_staff{state="calling"} 1.0\n' in text
    assert 'staffcall_staff{state="idle"} 1.0\n' in text


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
            "relayed": False,
        }
    assert get(shop.url("/config.json"), Host="a;script-src *")[0] == 400


def test_no_secret_and_nothing_private_is_in_any_page_or_shadow(shop: Shop) -> None:
    shop.press()
    shop.says("U0HANA", "ok")
    seen = json.dumps([shop.shadow(thing) for thing in ("staff-hana", "booth-main", "button-demo")])
    seen += str(get(shop.url("/"))[1]) + str(get(shop.url("/config.json"))[1]) + str(shop.admin())
    for secret in (BUTTON_TOKEN, "U0HANA", "admin-token", "outgoing-token", shop.slack.url):
        assert secret not in seen


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/slack/outgoing", b"\xff=\xfe", 400),
        ("/slack/outgoing", b"x" * 1_000_000, 413),
        ("/slack/nothing", b"", 404),
        ("/nothing", b"", 404),
        ("/buttons/nothing", b"", 404),
    ],
)
def test_what_no_door_takes_is_refused_in_words_and_the_server_goes_on(
    shop: Shop, path: str, body: bytes, code: int
) -> None:
    status, answer = post(shop.url(path), body)
    assert (status, answer["code"], bool(answer["message"])) == (code, code, True), answer
    assert get(shop.url("/healthz")) == (200, {"status": "ok"})
