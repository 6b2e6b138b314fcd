"""Who wants not to be disturbed in Slack: their calls go to others first, and to themselves before anybody is lost."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.aws import quiet as aws_quiet
from infra.aws.place import client
from infra.aws.quiet import BRIEF, ROUND_S, Heard
from infra.aws.quiet import Quiet as AwsQuiet
from infra.local import quiet
from infra.local.quiet import Quiet
from infra.settings import Settings, SettingsError
from shadows.calls import read, record
from shadows.staff import CallEvent, ClickType, StaffState, pressed
from shadows.telling import NotTold
from shadows.whom import called_together, whom
from slack_bridge.check import Asker
from slack_bridge.manifest import HOURS as SCOPE
from slack_bridge.quiet import HOURS, NEVER, OLD_S, hours_of, status_of
from slack_bridge.tellers import web_client
from tests.cloud import BUTTON_TOKEN, Cloud, cloud, gateway
from tests.fake_slack import BOT_TOKEN, SCOPES, FakeSlack, Next
from tests.memory import Shop
from tests.shop import Shop as LocalShop
from tests.shop import until, with_settings

PALM = ":palm_tree:"


class Floor:
    """Hana, for whom Sora stands in, for whom Riku does; some want not to be disturbed."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.quiet: set[str] = set()
        self.place = self.shop.place = replace(self.shop.place, is_quiet=self.quiet.__contains__)
        self.hana = self.shop.staff("hana", backup="sora")
        self.sora = self.shop.staff("sora", backup="riku")
        self.riku = self.shop.staff("riku")

    def called(self) -> list[str]:
        everybody = (self.hana, self.sora, self.riku)
        return [each for each in everybody if read(self.place, each).state is StaffState.CALLING]


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slack_bridge.quiet.PACE_S", 0.0)


# --- The rules


def test_the_call_of_somebody_quiet_goes_to_who_stands_in_and_nothing_is_asked_of_them(floor: Floor) -> None:
    floor.quiet |= {floor.hana}
    floor.shop.press(floor.hana)
    assert floor.called() == [floor.sora]
    assert not floor.shop.has_delta(floor.hana)


def test_who_stands_in_and_is_quiet_too_has_the_next_one_called(floor: Floor) -> None:
    floor.quiet |= {floor.hana, floor.sora}
    floor.shop.press(floor.hana)
    assert floor.called() == [floor.riku]


def test_who_is_quiet_is_called_all_the_same_if_nobody_else_can_come(floor: Floor) -> None:
    floor.quiet |= {floor.riku}
    floor.shop.press(floor.riku)
    assert floor.called() == [floor.riku]


def test_if_all_are_quiet_one_is_called(floor: Floor) -> None:
    floor.quiet |= {floor.hana, floor.sora, floor.riku}
    floor.shop.press(floor.hana)
    assert floor.called() == [floor.riku]


def test_who_is_busy_elsewhere_does_not_take_it_and_then_they_are_called(floor: Floor) -> None:
    floor.shop.press(floor.sora, "east")
    floor.shop.says(floor.riku, CallEvent.AWAY)
    floor.quiet |= {floor.hana}
    floor.shop.press(floor.hana)
    assert floor.called() == [floor.hana, floor.sora]
    assert read(floor.place, floor.sora).waiting == ()


def test_a_press_again_of_the_same_visitor_counts_with_who_has_the_call(floor: Floor) -> None:
    floor.quiet |= {floor.hana}
    floor.shop.press(floor.hana)
    floor.shop.press(floor.hana)
    assert (floor.called(), read(floor.place, floor.sora).call.count) == ([floor.sora], 2)


def test_a_press_that_comes_again_changes_nothing_also_once_they_are_no_longer_quiet(floor: Floor) -> None:
    floor.quiet |= {floor.hana}
    event = pressed("main", ClickType.SINGLE, floor.shop.key(), floor.shop.now)
    first = record(floor.place, floor.hana, event)
    floor.quiet.clear()
    again = record(floor.place, floor.hana, event)
    assert (first.thing, again.thing, again.repeat) == (floor.sora, floor.sora, True)
    assert (floor.called(), read(floor.place, floor.sora).call.count) == ([floor.sora], 1)


def test_a_call_that_stands_stays_with_who_becomes_quiet(floor: Floor) -> None:
    floor.shop.press(floor.hana)
    floor.quiet |= {floor.hana}
    floor.shop.press(floor.hana)
    assert (floor.called(), read(floor.place, floor.hana).call.count) == ([floor.hana], 2)


@pytest.mark.parametrize("how", ["free", "turn"])
def test_of_a_group_who_is_not_quiet_is_called_first(floor: Floor, how: str) -> None:
    floor.quiet |= {floor.hana}
    reference = f"{how}:hana,sora"
    event = called_together(reference, pressed("main", ClickType.SINGLE, floor.shop.key(), floor.shop.now))
    assert whom(floor.place, reference, "main", event) == "sora"
    floor.quiet |= {floor.sora}
    assert whom(floor.place, reference, "main", event) == "hana"


# --- What Slack says


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ({"dnd_enabled": True, "next_dnd_start_ts": 100, "next_dnd_end_ts": 200}, (100.0, 200.0)),
        ({"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}, NEVER),
        ({"dnd_enabled": True}, NEVER),
        ({"dnd_enabled": "yes", "next_dnd_start_ts": 1, "next_dnd_end_ts": 9}, NEVER),
        ({"dnd_enabled": True, "next_dnd_start_ts": "x", "next_dnd_end_ts": None}, NEVER),
    ],
)
def test_hours_are_read_and_what_is_none_is_never(said: Any, when: tuple[float, float]) -> None:
    assert hours_of(said) == when


def test_a_status_counts_by_its_emoji_and_until_its_end() -> None:
    counts = frozenset({PALM})
    assert status_of({"status_emoji": PALM, "status_expiration": 0}, counts) == (0.0, float("inf"))
    assert status_of({"status_emoji": PALM, "status_expiration": 500}, counts) == (0.0, 500.0)
    assert status_of({"status_emoji": ":coffee:", "status_expiration": 0}, counts) == NEVER
    assert status_of({}, counts) == NEVER


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        slack.scopes = SCOPES | {SCOPE}
        yield slack


def asking(floor: Floor, slack: FakeSlack, *counts: str) -> Quiet:
    asker = Asker(web_client(slack.api_url, BOT_TOKEN), patience_s=0)
    return Quiet(floor.place, asker, counts)


def hours(start_s: float, end_s: float) -> dict[str, Any]:
    now = int(time.time())
    return {"dnd_enabled": True, "next_dnd_start_ts": now + start_s, "next_dnd_end_ts": now + end_s}


def test_slack_is_asked_for_the_hours_of_all_at_once_and_what_it_said_grows_old(
    floor: Floor, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.quiet_hours = {"UHANA": hours(-60, 60), "USORA": hours(60, 120)}
    asked = asking(floor, slack, HOURS)
    assert not asked.has(floor.hana)
    asked._round()
    assert [asked.has(each) for each in (floor.hana, floor.sora, floor.riku)] == [True, False, False]
    assert slack.asked == ["dnd.teamInfo"]
    later = time.monotonic() + OLD_S
    monkeypatch.setattr(quiet.time, "monotonic", lambda: later)
    assert not asked.has(floor.hana)


def test_slack_is_asked_for_each_status_only_where_one_counts(floor: Floor, slack: FakeSlack) -> None:
    slack.users = {
        f"U{name}": {"id": f"U{name}", "profile": {"status_emoji": emoji, "status_expiration": 0}}
        for name, emoji in (("HANA", ":coffee:"), ("SORA", PALM), ("RIKU", ""))
    }
    asked = asking(floor, slack, PALM)
    asked._round()
    assert [asked.has(each) for each in (floor.hana, floor.sora, floor.riku)] == [False, True, False]
    assert slack.asked == ["users.info"] * 3


def test_of_whom_slack_does_not_know_nobody_else_has_to_suffer(floor: Floor, slack: FakeSlack) -> None:
    palm = {"status_emoji": PALM, "status_expiration": 0}
    slack.users = {f"U{name}": {"id": f"U{name}", "profile": palm} for name in ("HANA", "RIKU")}
    asked = asking(floor, slack, PALM)
    asked._round()
    assert [asked.has(each) for each in (floor.hana, floor.sora, floor.riku)] == [True, False, True]


def test_a_slack_that_does_not_say_it_keeps_nobody_from_being_called_and_is_a_trouble_once_it_lasts(
    floor: Floor, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.scopes = SCOPES
    asked = asking(floor, slack, HOURS)
    asked.start()
    try:
        until(lambda: asked._fails, "the refusal")
    finally:
        asked.stop()
    assert (asked.has(floor.hana), asked.troubles()) == (False, [])
    later = time.monotonic() + OLD_S
    monkeypatch.setattr(quiet.time, "monotonic", lambda: later)
    (trouble,) = asked.troubles()
    assert trouble.what == "slack"
    assert "missing_scope" in trouble.detail


# --- A place


def test_in_a_place_the_press_for_somebody_quiet_mentions_who_stands_in(
    tmp_path: Path, slack: FakeSlack
) -> None:
    bot = {"slack_bot_token": BOT_TOKEN, "slack_channel": "C0CALLS", "slack_api_url": slack.api_url}
    with LocalShop(tmp_path / "data", slack, slack_webhook_url="", **bot) as shop:
        shop.furnish()
    slack.quiet_hours = {"U0HANA": hours(-60, 600)}
    with with_settings(shop, slack_quiet=("dnd", PALM)):
        until(lambda: "users.info" in slack.asked, "what comes after the hours are known")
        slack.refuses["dnd.teamInfo"] = Next(hang_s=30)  # nobody asks while somebody presses
        assert shop.press()[1]["thing"] == "staff-sora"
        until(lambda: shop.is_told("sora"), "the mention")
        assert shop.state("hana") == "idle"


# --- On AWS


@pytest.fixture
def here(slack: FakeSlack) -> Iterator[Cloud]:
    with cloud(slack) as here:
        yield here


def press_there(here: Cloud) -> str:
    """Whom a press of Hana's button calls."""
    headers = {"Authorization": f"Bearer {BUTTON_TOKEN}", "Content-Type": "application/json"}
    body = json.dumps({"button": "demo", "click": "SINGLE", "id": "one"}).encode()
    answer = here.run("button", gateway("POST", "/buttons/webhook", body, **headers))
    return str(json.loads(answer["body"])["thing"])


def test_on_aws_the_press_for_somebody_quiet_mentions_who_stands_in_and_does_not_wait_for_slack(
    here: Cloud, slack: FakeSlack
) -> None:
    slack.quiet_hours = {"U0HANA": hours(-60, 600)}
    here.run("quiet", {})
    slack.refuses |= dict.fromkeys(("dnd.teamInfo", "users.info"), Next(hang_s=30))
    assert press_there(here) == "staff-sora"
    assert [post.text.split()[0] for post in slack.posts] == ["<@U0SORA>"]


def test_on_aws_too_a_status_counts(here: Cloud, slack: FakeSlack) -> None:
    palm = {"status_emoji": PALM, "status_expiration": 0}
    slack.users = {"U0HANA": {"id": "U0HANA", "profile": palm}}
    here.run("quiet", {})
    assert press_there(here) == "staff-sora"


@pytest.mark.parametrize("unset", ["STACK_QUIET", "STAFFCALL_SLACK_QUIET"])
def test_on_aws_slack_is_not_asked_unless_that_is_set(
    here: Cloud, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, unset: str
) -> None:
    monkeypatch.setenv(unset, "")
    slack.quiet_hours = {"U0HANA": hours(-60, 600)}
    here.run("quiet", {})
    assert press_there(here) == "staff-hana"
    assert not {"dnd.teamInfo", "users.info"} & {*slack.asked}


def test_on_aws_a_slack_that_does_not_say_it_is_an_error_and_what_it_said_before_holds(
    here: Cloud, slack: FakeSlack
) -> None:
    slack.quiet_hours = {"U0HANA": hours(-60, 600)}
    here.run("quiet", {})
    slack.refuses["dnd.teamInfo"] = Next(status=429, retry_after="30")
    with pytest.raises(NotTold):
        here.run("quiet", {})
    assert press_there(here) == "staff-sora"


def test_on_aws_a_table_that_does_not_answer_keeps_a_press_waiting_once_and_calls_everybody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        table = boto3.client(
            "dynamodb",
            config=BRIEF,
            endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            region_name="ap-northeast-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        asked = AwsQuiet(Heard(table, "QuietTable"))
        assert [asked.has("staff-hana"), asked.has("staff-hana"), asked.has("staff-sora")] == [False] * 3
        came = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                came += 1
        assert came == 1


class Clock:
    """Both clocks of :mod:`infra.aws.quiet`, which only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = time.time()
        monkeypatch.setattr(aws_quiet.time, "monotonic", lambda: self.now_s)

    def wall(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_on_aws_a_round_ends_in_time_and_the_next_goes_on_from_there_and_what_is_old_says_nothing(
    here: Cloud, floor: Floor, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slack_bridge.quiet.PACE_S", 3 * ROUND_S / 1.5)
    clock, heard = Clock(monkeypatch), Heard(client("dynamodb"), "QuietTable")
    people = {f"U{name}": name.lower() for name in ("HANA", "SORA", "RIKU")}
    palm = {"status_emoji": PALM, "status_expiration": int(clock.now_s) + 3600}
    slack.users = {id: {"id": id, "profile": palm} for id in people}
    asker = Asker(web_client(slack.api_url, BOT_TOKEN), patience_s=0)

    def round_of_two() -> list[str]:
        aws_quiet.ask(floor.place, asker, (PALM,), heard, wall_s=clock.wall, sleep=clock.sleep)
        return quiet_now()

    def quiet_now() -> list[str]:
        asked = AwsQuiet(heard, wall_s=clock.wall)
        return [id for id in ("hana", "riku", "sora") if asked.has(f"staff-{id}")]

    assert round_of_two() == ["hana", "riku"]
    assert round_of_two() == ["hana", "riku", "sora"]
    clock.sleep(OLD_S)
    assert quiet_now() == []
    slack.users["USORA"]["profile"] = {}
    assert (round_of_two(), slack.asked.count("users.info")) == (["riku"], 6)


def test_the_setting_takes_hours_and_emoji() -> None:
    assert Settings.from_env({"STAFFCALL_SLACK_QUIET": "dnd, :palm_tree:"}).slack_quiet == ("dnd", PALM)
    with pytest.raises(SettingsError, match="STAFFCALL_SLACK_QUIET: expected dnd, and emoji"):
        Settings.from_env({"STAFFCALL_SLACK_QUIET": "away"})
