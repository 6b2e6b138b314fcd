"""The slash command: how everybody is, away for a time, calling somebody, and the words as they are anywhere else."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadows.calls import read
from shadows.reset import Alarm, ring, rings_at
from shadows.shadow import Thing
from shadows.staff import WAITING_KEPT, CallEvent, ClickType, StaffState
from slack_bridge.command import SHOWN, commanded
from slack_bridge.phrases import LANGUAGES, phrases
from slack_bridge.reply import Reply
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.memory import Shop
from tests.shop import Shop as Place
from tests.shop import until

ids = itertools.count(1)
MINUTE = 60_000


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def hana(shop: Shop) -> str:
    shop.shadows.update("booth-main", reported={"title": "受付 Main", "staff": ["staff-hana"]})
    shop.things.create(Thing(name="booth-main", type="booth"))
    return shop.staff("hana")


def says(shop: Shop, text: str, user: str = "UHANA", channel: str = "general", *, lang: str = "en") -> str:
    reply = Reply.from_command(
        {
            "channel_id": "C0",
            "user_id": user,
            "command": "/call",
            "text": text,
            "trigger_id": f"{next(ids)}",
        }
    )
    return commanded(reply, channel, shop.place, shop.place, lang)


# --- Everybody


def test_without_words_it_says_how_everybody_is_those_who_are_called_first(shop: Shop, hana: str) -> None:
    assert "UHANA" not in says(shop, "")
    sora, riku = shop.staff("sora"), shop.staff("<riku>")
    shop.press(sora)
    shop.says(sora, CallEvent.OK, "5 <min>")
    shop.press(hana)
    shop.says(riku, CallEvent.AWAY)
    shop.staff("yuki")
    lines = says(shop, "  ").split("\n")
    assert [line.partition(" since")[0] for line in lines] == [
        "• Hana: called to *受付 Main*",
        "• Sora: on the way to *受付 Main*",
        "• &lt;Riku&gt;: away",
        "• Yuki: free",
    ]
    assert "<!date^" in lines[0]
    assert lines[1].endswith(': "5 &lt;min&gt;"')


def test_nobody_and_very_many_are_said_too(shop: Shop) -> None:
    assert says(shop, "") == phrases("en").no_staff
    for n in range(SHOWN + 3):
        shop.staff(f"p{n}")
    lines = says(shop, "").split("\n")
    assert (len(lines), lines[-1]) == (SHOWN + 1, "… and 3 more.")


def test_who_was_just_removed_is_left_out(shop: Shop, hana: str) -> None:
    shop.staff("sora")
    shop.shadows.delete(hana)
    assert says(shop, "") == "• Sora: free"


# --- Away


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("away 30m", 30),
        ("Away  30", 30),
        ("away 45 minutes", 45),
        ("away 2h", 120),
        ("away 1h30m", 90),
        ("away 1 h 5 min", 65),
        ("離席 ３０分", 30),
        ("休憩 1時間", 60),
        ("afk 999h", 24 * 60),
    ],
)
def test_who_is_away_for_a_time_comes_back_by_itself(shop: Shop, hana: str, text: str, minutes: int) -> None:
    assert "<!date^" in says(shop, text)
    staff = read(shop.place, hana)
    assert (staff.state, staff.until - shop.now) == (StaffState.AWAY, minutes * MINUTE)
    assert "back at" in says(shop, "")
    alarm = Alarm.of(hana, staff)
    assert alarm
    assert rings_at(shop.place, hana, staff) == staff.until
    shop.now += minutes * MINUTE - 1
    assert ring(shop.place, alarm) == staff.until
    assert read(shop.place, hana).state is StaffState.AWAY
    shop.now += 1
    assert ring(shop.place, alarm) is None
    staff = read(shop.place, hana)
    assert (staff.state, staff.until, staff.asked.why) == (StaffState.IDLE, 0, CallEvent.BACK)
    assert "until" not in shop.shadows.get(hana).reported


def test_hours_late_as_after_a_night_switched_off_they_are_back_all_the_same(shop: Shop, hana: str) -> None:
    says(shop, "away 30m")
    shop.now += 10 * 60 * MINUTE
    shop.sweep()
    assert read(shop.place, hana).asked.why is CallEvent.BACK


def test_away_again_sets_another_time_and_away_without_one_stays(shop: Shop, hana: str) -> None:
    says(shop, "away 30m")
    says(shop, "away 2h")
    assert read(shop.place, hana).until - shop.now == 120 * MINUTE
    says(shop, "away")
    shop.now += 200 * MINUTE
    shop.sweep()
    assert read(shop.place, hana).state is StaffState.AWAY


def test_back_is_back_at_once_and_the_old_alarm_does_nothing(shop: Shop, hana: str) -> None:
    says(shop, "away 30m")
    alarm = Alarm.of(hana, read(shop.place, hana))
    assert alarm
    assert says(shop, "back").startswith("Welcome")
    shop.now += MINUTE
    says(shop, "away")
    shop.now += 60 * MINUTE
    assert ring(shop.place, alarm) is None
    assert read(shop.place, hana).state is StaffState.AWAY


def test_a_call_that_goes_on_to_a_backup_leaves_them_away_until_then(shop: Shop) -> None:
    hana, sora = shop.staff("hana", backup="sora"), shop.staff("sora")
    says(shop, "away 30m")
    shop.now += MINUTE
    shop.press(hana)
    assert read(shop.place, sora).state is StaffState.CALLING
    assert read(shop.place, hana).until
    shop.now += 30 * MINUTE
    shop.sweep()
    assert read(shop.place, hana).state is StaffState.IDLE


def test_a_call_that_nobody_took_is_shouted_and_then_they_are_back(shop: Shop, hana: str) -> None:
    shop.press(hana)
    says(shop, "away 30m")
    shop.deliver(hana)
    shop.now += 31 * MINUTE
    for _ in range(2):
        shop.sweep()
    assert read(shop.place, hana).state is StaffState.IDLE


def test_a_stranger_goes_nowhere(shop: Shop, hana: str) -> None:
    assert says(shop, "away 30m", "U0OTHER") == phrases("en").stranger


# --- Calling


@pytest.mark.parametrize(
    "text", ["hana", "call hana", "Call  Hana", "@Hana", "<@UHANA|hana>", "call <@UHANA>", "ｈａｎａ"]
)
def test_somebody_is_called_to_the_first_booth_at_which_they_stand(shop: Shop, hana: str, text: str) -> None:
    assert says(shop, text, "USORA") == "Hana is called to *受付 Main*."
    staff = read(shop.place, hana)
    assert (staff.state, staff.call.booth, staff.call.click) == (
        StaffState.CALLING,
        "main",
        ClickType.SINGLE,
    )


@pytest.mark.parametrize("channel", ["hall", "booth-hall"])
def test_the_channel_names_the_booth(shop: Shop, hana: str, channel: str) -> None:
    shop.things.create(Thing(name="booth-hall", type="booth"))
    says(shop, "hana", channel=channel)
    assert read(shop.place, hana).call.booth == "hall"


def test_who_stands_in_is_named(shop: Shop) -> None:
    hana = shop.staff("hana", backup="sora")
    shop.staff("sora")
    shop.says(hana, CallEvent.AWAY)
    assert says(shop, "hana", "URIKU") == "Sora is called to *main*."


def test_a_name_that_is_nobodys_or_several_peoples_calls_nobody(shop: Shop, hana: str) -> None:
    for n in (1, 2):
        shop.staff(f"yuki {n}".replace(" ", "-"))
        shop.shadows.update(f"staff-yuki-{n}", reported={"name": f"Yuki {n}"})
    assert says(shop, "yuki") == "Who of them do you mean: Yuki 1, Yuki 2?"
    unknown = says(shop, "<!channel>")
    assert unknown.startswith("I know nobody of the name &lt;!channel&gt;.")
    assert unknown.endswith(phrases("en").doubtful)
    assert all(
        read(shop.place, each.name).state is StaffState.IDLE for each in shop.things.list(type="staff")
    )


def test_so_many_booths_wait_that_no_more_can(shop: Shop, hana: str) -> None:
    shop.press(hana, "first")
    for n in range(WAITING_KEPT):
        shop.press(hana, f"b{n}")
    assert says(shop, "hana").startswith("So many booths wait for Hana")


@pytest.mark.parametrize("text", ["ok 5 min", "no", "done"])
def test_the_words_mean_what_they_mean_anywhere(shop: Shop, hana: str, text: str) -> None:
    shop.press(hana)
    says(shop, text)
    assert read(shop.place, hana).state is not StaffState.CALLING


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
def test_every_sentence_can_be_said_in_every_language(shop: Shop, hana: str, lang: str) -> None:
    for text in ("", "away 30m", "", "back", "hana", "", "nobody at all"):
        said = says(shop, text, lang=lang)
        assert said
        assert "{" not in said.replace("{time}", "")


# --- The whole place


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


def test_by_socket_mode_the_answer_is_in_the_acknowledgement(tmp_path: Path, slack: FakeSlack) -> None:
    app = {
        "slack_webhook_url": "",
        "slack_bot_token": BOT_TOKEN,
        "slack_app_token": APP_TOKEN,
        "slack_channel": "C0CALLS",
        "slack_api_url": slack.api_url,
    }

    def command(text: str) -> str:
        form = {"channel_id": "C0CALLS", "channel_name": "calls", "user_id": "U0SORA", "command": "/call"}
        payload = {**form, "text": text, "trigger_id": f"{next(ids)}"}
        slack.send({"envelope_id": payload["trigger_id"], "type": "slash_commands", "payload": payload})
        slack.wait_for(
            lambda: slack.acks[-1:] != [] and slack.acks[-1]["envelope_id"] == payload["trigger_id"]
        )
        answer: dict[str, str] = slack.acks[-1]["payload"]
        assert answer["response_type"] == "ephemeral"
        return answer["text"]

    with Place(tmp_path / "data", slack, **app) as place:
        place.furnish()
        until(lambda: slack.connected, "Socket Mode")
        assert command("") == "• Sora: free\n• 花 Hana: free"
        assert command("hana") == "花 Hana is called to *main*."
        until(lambda: slack.texts, "the mention")
        assert slack.texts[0].startswith("<@U0HANA>")
        assert "until" in command("away 30m")
        assert place.state("sora") == "away"
        place.close()
        place.open()
        assert place.place.shadows.get("staff-sora").reported["until"]
