"""What somebody tells the visitor from their way, and when they promise to be there."""

import itertools
import json
from dataclasses import replace

import pytest

from shadows.calls import Outcome, Place, read, record
from shadows.cards import cards_of
from shadows.reset import NOTE_KEPT_MS, Alarm, restamp, ring
from shadows.staff import LATE_MS, LONGEST_MS, CallEvent, End, Event, StaffState, answered
from slack_bridge.answer import answer
from slack_bridge.phrases import phrases
from slack_bridge.reply import Reply
from tests.memory import Shop

ids = itertools.count(1)
SAY = phrases("en")
MINUTE = 60_000


@pytest.fixture
def shop() -> Shop:
    return Shop()


def says(shop: Shop, text: str, *, thread: str = "", addressed: bool = False, id: str = "") -> str:
    reply = Reply(
        channel="C0", user="UHANA", text=text, id=id or str(next(ids)), thread=thread, addressed=addressed
    )
    return answer(reply, shop.place, "en")


def called(shop: Shop, **more: str) -> tuple[str, str]:
    """Somebody who is called, and the ts of the message that told them."""
    hana = shop.staff("hana", **more)
    shop.now += 1000
    shop.press(hana)
    shop.deliver(hana)
    shop.now += 1000
    return hana, cards_of(shop.things.get(hana).attributes)[-1].ts


def on_the_way(shop: Shop, text: str = "ok") -> tuple[str, str]:
    hana, thread = called(shop)
    says(shop, text)
    shop.deliver(hana)
    assert read(shop.place, hana).state is StaffState.RUNNING
    return hana, thread


# --- notes


def test_who_says_ok_in_the_thread_hears_that_the_screen_shows_what_comes_next(shop: Shop) -> None:
    _, thread = called(shop)
    assert says(shop, "ok, soon", thread=thread).endswith(SAY.thread)


def test_what_is_written_in_the_thread_on_the_way_is_the_new_note(shop: Shop) -> None:
    hana, thread = on_the_way(shop, "ok, soon")
    since = read(shop.place, hana).asked.since
    shop.now += MINUTE
    assert says(shop, "at the lift, it is full &amp; slow :wave:", thread=thread) == (
        'The screen now says: "at the lift, it is full &amp; slow"'
    )
    now = read(shop.place, hana)
    assert (now.state, now.asked.since, now.call.note) == (
        StaffState.RUNNING,
        since,
        "at the lift, it is full & slow",
    )
    assert (shop.deliver(hana), shop.has_delta(hana), shop.kinds()) == ("reported", False, ["press"])


def test_another_ok_with_more_to_say_is_a_new_note_and_a_bare_one_is_none(shop: Shop) -> None:
    hana, _ = on_the_way(shop, "ok, soon")
    assert says(shop, "ok, at the lift") == 'The screen now says: "at the lift"'
    assert says(shop, "ok") == SAY.answers[CallEvent.OK, StaffState.RUNNING].format(name="Hana")
    assert read(shop.place, hana).call.note == "at the lift"


def test_the_same_message_twice_is_one_note(shop: Shop) -> None:
    hana, thread = on_the_way(shop)
    says(shop, "first", thread=thread, id="a")
    says(shop, "second", thread=thread, id="b")
    assert says(shop, "first", thread=thread, id="a") == ""
    assert read(shop.place, hana).call.note == "second"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, SAY.doubtful) for text in ("ok?", "I will be back", "this is ok, <@USORA>")),
        *(
            (text, "")
            for text in ("<@USORA> he is rude", "<!here> who has the key", "who has the key?", ":ok:")
        ),
        *((text, "") for text in ("誰か知りませんか", "谁有钥匙吗")),
    ],
)
def test_what_asks_or_is_for_colleagues_never_reaches_the_screen(shop: Shop, text: str, said: str) -> None:
    hana, thread = on_the_way(shop, "ok, soon")
    before = shop.shadows.get(hana)
    if text == "I will be back":
        thread = ""
    assert says(shop, text, thread=thread) == said
    assert shop.shadows.get(hana) == before


@pytest.mark.parametrize("thread", ["", "1.5", "elsewhere"])
@pytest.mark.parametrize("addressed", [False, True])
def test_what_is_written_elsewhere_never_reaches_the_screen(shop: Shop, thread: str, addressed: bool) -> None:
    hana, _ = on_the_way(shop)
    before = shop.shadows.get(hana)
    assert says(shop, "lunch was good", thread=thread, addressed=addressed) == (
        SAY.doubtful if addressed else ""
    )
    assert shop.shadows.get(hana) == before


@pytest.mark.parametrize("text", ["no problem", "done with the first one", "ok nicht", "back in 5"])
def test_what_is_doubtful_on_the_way_is_shown_and_ends_nothing(shop: Shop, text: str) -> None:
    hana, thread = on_the_way(shop, "ok, soon")
    assert says(shop, text, thread=thread) == SAY.unclear.format(note=text)
    now = read(shop.place, hana)
    assert (now.state, now.call.note, shop.kinds()) == (StaffState.RUNNING, text, ["press"])


@pytest.mark.parametrize(
    "text", ["at the lift", "yes", "5 min", "no problem", "ok nicht", "ok, I can't come", "5分", "はい"]
)
def test_while_called_what_is_no_answer_is_a_line_to_the_visitor_and_never_an_ok(
    shop: Shop, text: str
) -> None:
    hana, thread = called(shop)
    before = read(shop.place, hana).asked
    assert says(shop, text, thread=thread) == SAY.unclear.format(note=text)
    after = read(shop.place, hana).asked
    assert after == replace(before, call=replace(before.call, note=text))
    assert (shop.deliver(hana), shop.has_delta(hana), shop.kinds()) == ("reported", False, ["press"])
    says(shop, "ok", thread=thread)
    assert (read(shop.place, hana).state, read(shop.place, hana).call.note) == (StaffState.RUNNING, "")


@pytest.mark.parametrize("text", ["ok?", "ok for you?", "no problem <@USORA>", "who has the key?", ":ok:"])
def test_while_called_what_asks_or_is_for_colleagues_is_no_line_and_that_is_said(
    shop: Shop, text: str
) -> None:
    hana, thread = called(shop)
    before = shop.shadows.get(hana)
    assert says(shop, text, thread=thread) == SAY.doubtful
    assert shop.shadows.get(hana) == before


def test_a_line_from_before_the_ok_goes_with_the_call_and_not_to_who_stands_in(shop: Shop) -> None:
    sora = shop.staff("sora")
    _, thread = called(shop, backup="sora")
    says(shop, "no problem", thread=thread)
    says(shop, "no", thread=thread)
    assert (read(shop.place, sora).state, read(shop.place, sora).call.note) == (StaffState.CALLING, "")


def test_a_line_in_a_call_that_slack_has_not_heard_of_leaves_its_mention_to_be_sent(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    says(shop, "no problem")
    assert (shop.deliver(hana), shop.kinds()) == ("told", ["press"])


@pytest.mark.parametrize(
    ("text", "said", "shown"),
    [
        ("yes", SAY.unclear, True),
        ("in 5 min", SAY.unclear, True),
        ("no problem", SAY.unclear, True),
        ("ok?", SAY.doubtful, False),
        ("it is ok", SAY.doubtful, False),
        ("at the lift", "", False),
        ("hi", "", False),
    ],
)
def test_in_the_channel_only_what_was_to_be_an_answer_is_asked_about_and_shown(
    shop: Shop, text: str, said: str, shown: bool
) -> None:
    hana, _ = called(shop)
    assert says(shop, text) == said.format(note=text)
    assert read(shop.place, hana).call.note == (text if shown else "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("away from my desk", True),
        ("no problem", True),
        ("yes", False),
        ("it is ok", False),
        ("5 min", False),
    ],
)
def test_who_has_no_call_may_chat(shop: Shop, text: str, said: bool) -> None:
    shop.staff("hana")
    assert says(shop, text) == (SAY.doubtful if said else "")


def test_a_note_that_comes_when_the_call_is_over_answers_no_other_one(shop: Shop) -> None:
    hana, _ = on_the_way(shop)
    old = read(shop.place, hana)
    says(shop, "done")
    shop.press(hana)
    before = read(shop.place, hana)
    about = (old.call.id, old.asked.since)
    record(shop.place, hana, replace(answered(CallEvent.NOTE, shop.key(), "soon", 5), about=about))
    assert read(shop.place, hana).asked == before.asked


def test_a_note_in_the_very_moment_of_the_next_call_does_not_answer_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    hana, thread = on_the_way(shop)

    def called_again(place: Place, thing: str, event: Event) -> Outcome:
        shop.says(hana, CallEvent.DONE)
        shop.press(hana)
        return record(place, thing, event)

    monkeypatch.setattr("slack_bridge.answer.record", called_again)
    assert says(shop, "at the lift", thread=thread) == ""
    staff = read(shop.place, hana)
    assert (staff.state, staff.call.note) == (StaffState.CALLING, "")


def test_a_thread_of_an_older_call_is_chatter(shop: Shop) -> None:
    hana, thread = on_the_way(shop)
    says(shop, "done")
    shop.now += 3_600_000
    shop.press(hana)
    shop.deliver(hana)
    says(shop, "ok")
    assert says(shop, "that was quick", thread=thread) == ""
    assert read(shop.place, hana).call.note == ""


def test_the_next_call_begins_without_the_note_and_the_promise(shop: Shop) -> None:
    hana, _ = on_the_way(shop, "ok, 5 min")
    says(shop, "done")
    shop.press(hana)
    call = read(shop.place, hana).call
    assert (call.note, call.promised) == ("", 0)


@pytest.mark.parametrize("kind", [CallEvent.DONE, CallEvent.AWAY, CallEvent.ENDED])
def test_a_note_is_gone_ten_minutes_after_its_call_and_what_happened_is_not(
    shop: Shop, kind: CallEvent
) -> None:
    hana, _ = on_the_way(shop, "ok, by the green door")
    record(shop.place, hana, Event(kind=kind))
    over = read(shop.place, hana).asked
    shop.now = over.since + NOTE_KEPT_MS
    shop.sweep()  # Slack has not been told
    assert read(shop.place, hana).call.note == "by the green door"
    shop.deliver(hana)
    shop.sweep()
    gone = shop.shadows.get(hana)
    assert "green" not in json.dumps([gone.desired, gone.reported])
    after = read(shop.place, hana)
    assert replace(after.asked, call=replace(after.call, note="by the green door")) == over
    assert not after.untold
    shop.sweep()
    assert shop.shadows.get(hana).version == gone.version


def test_a_note_stays_while_somebody_is_on_the_way_and_for_ten_minutes_after(shop: Shop) -> None:
    hana, _ = on_the_way(shop, "ok, 30 min, by the green door")
    shop.now += NOTE_KEPT_MS
    shop.sweep()
    assert (read(shop.place, hana).state, read(shop.place, hana).call.note) == (
        StaffState.RUNNING,
        "30 min, by the green door",
    )
    says(shop, "done")
    shop.deliver(hana)
    shop.now = read(shop.place, hana).asked.since + NOTE_KEPT_MS - 1
    shop.sweep()
    assert read(shop.place, hana).call.note
    shop.now += 1
    shop.sweep()
    assert not read(shop.place, hana).call.note


# --- promises


@pytest.mark.parametrize("text", ["ok, 5 min", "5分で行きます", "komme in 5 Minuten", "好的5分钟到"])
def test_promised_minutes_are_a_time_in_the_shadow(shop: Shop, text: str) -> None:
    hana, _ = on_the_way(shop, text)
    call = read(shop.place, hana).call
    assert call.promised == shop.now + 5 * MINUTE
    assert shop.shadows.get(hana).reported["call"]["promised"] == call.promised


def test_a_volunteer_promises_too_and_who_refuses_takes_their_promise_along(shop: Shop) -> None:
    hana = shop.staff("hana", backup="sora")
    sora = shop.staff("sora")
    shop.press(hana)
    says(shop, "ok, 5 min")
    says(shop, "no")
    assert read(shop.place, sora).call.promised == 0
    shop.deliver(sora)
    shop.says(sora, CallEvent.NO)
    shop.deliver(sora)
    assert "The screen says" in says(shop, "ok, 2 min")
    assert read(shop.place, hana).call.promised == shop.now + 2 * MINUTE


def test_a_note_may_promise_anew_and_one_without_minutes_keeps_the_promise(shop: Shop) -> None:
    hana, thread = on_the_way(shop, "ok, 5 min")
    promised = read(shop.place, hana).call.promised
    shop.now += 4 * MINUTE
    says(shop, "at the lift", thread=thread)
    assert read(shop.place, hana).call.promised == promised
    says(shop, "5 more: 3 min", thread=thread)
    assert read(shop.place, hana).call.promised == shop.now + 3 * MINUTE


@pytest.mark.parametrize(
    ("text", "lasts"), [("ok", 5), ("ok, 2 min", 5), ("ok, 5 min", 6), ("ok, 20 min", 21), ("ok, 60 min", 61)]
)
def test_somebody_is_on_the_way_until_a_minute_after_their_promise(shop: Shop, text: str, lasts: int) -> None:
    hana, _ = on_the_way(shop, text)
    shop.now += lasts * MINUTE - 1
    shop.sweep()
    assert read(shop.place, hana).state is StaffState.RUNNING
    shop.now += 1
    shop.sweep()
    assert read(shop.place, hana).call.end is End.ENDED


def test_an_alarm_that_rings_before_a_new_promise_is_set_anew(shop: Shop) -> None:
    hana, thread = on_the_way(shop)
    alarm = Alarm.of(hana, read(shop.place, hana))
    assert alarm is not None
    shop.now += 4 * MINUTE
    says(shop, "10 min", thread=thread)
    promised = shop.now + 10 * MINUTE
    shop.now += MINUTE
    assert ring(shop.place, alarm) == promised + LATE_MS
    assert read(shop.place, hana).state is StaffState.RUNNING


def test_nobody_promises_more_than_two_hours_in_all(shop: Shop) -> None:
    hana, _ = on_the_way(shop, "ok, 60 min")
    started = shop.now
    promised = [60]
    for _ in range(3):
        shop.now += 50 * MINUTE
        says(shop, "ok, 60 min")
        promised.append((read(shop.place, hana).call.promised - started) // MINUTE)
    assert promised == [60, 110, 110, 110]
    shop.now = started + 110 * MINUTE + LATE_MS
    shop.sweep()
    assert read(shop.place, hana).call.end is End.ENDED


def test_a_promise_that_somebody_wrote_into_a_shadow_keeps_no_tile_for_ever(shop: Shop) -> None:
    hana, _ = on_the_way(shop)
    for half in ("desired", "reported"):
        shop.shadows.update(hana, **{half: {"call": {"promised": 2**53}}})
    shop.now += LONGEST_MS + LATE_MS
    shop.sweep()
    assert read(shop.place, hana).state is StaffState.IDLE
    shop.press(hana)
    shop.shadows.update(hana, desired={"call": {"promised": shop.now + LONGEST_MS}})
    shop.now += 180_001
    shop.sweep()
    assert read(shop.place, hana).call.end is End.MISSED


def test_a_clock_that_was_set_takes_the_promise_along(shop: Shop) -> None:
    hana, _ = on_the_way(shop, "ok, 20 min")
    promised = read(shop.place, hana).call.promised
    shop.now += 3_600_000
    assert restamp(shop.place, hana, 3_600_000).call.promised == promised + 3_600_000


def test_an_older_shadow_without_a_promise_is_read_as_before(shop: Shop) -> None:
    hana, _ = on_the_way(shop)
    old = shop.shadows.kept[hana]
    for half in (old.desired, old.reported):
        del half["call"]["promised"]
    assert read(shop.place, hana).call == replace(read(shop.place, hana).call, promised=0)
    assert not shop.has_delta(hana)
    assert "The call is over" in says(shop, "done")
