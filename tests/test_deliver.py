"""The outbox: what is said, once, the newest first, and what is only reported."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from infra.local import deliverer
from infra.local.deliverer import Deliverer
from shadows.calls import OPEN, read, record
from shadows.cards import cards_of
from shadows.errors import Rejected
from shadows.staff import CallEvent, End, StaffState, answered
from shadows.telling import (
    EXPIRED_FOR_MS,
    Delivery,
    Mention,
    MentionKind,
    NotTold,
    Untold,
    deliver,
    deliver_expired,
    untold,
)
from tests.memory import START, Shop
from tests.shop import until


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_press_is_mentioned_once_and_reported(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    assert untold(shop.place, hana) == Untold(kind=MentionKind.PRESS, since=START + 1, count=1)
    assert shop.deliver(hana) is Delivery.TOLD
    assert shop.deliver(hana) is Delivery.REPORTED
    (mention,) = shop.told
    assert (mention.kind, mention.slack, mention.name, mention.booth) == ("press", "UHANA", "Hana", "main")
    staff = read(shop.place, hana)
    assert (staff.asked, staff.told_at, staff.telling) == (staff.told, START, None)


def test_the_booths_title_is_what_is_said(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.shadows.update("booth-main", reported={"title": "受付 Main"})
    shop.press(hana)
    shop.deliver(hana)
    assert shop.told[0].booth == "受付 Main"


@pytest.mark.parametrize("kind", [CallEvent.OK, CallEvent.DONE])
def test_what_the_door_answers_is_only_reported(shop: Shop, kind: CallEvent) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.says(hana, kind)
    assert untold(shop.place, hana) is None
    assert (shop.kinds(), shop.has_delta(hana)) == (["press"], False)


def test_presses_mention_again_only_after_the_quiet_time(shop: Shop) -> None:
    hana = shop.staff("hana")
    for wait, said in ((0, ["press"]), (19, ["press"]), (2, ["press", "again"]), (1, ["press", "again"])):
        shop.now += wait * 1000
        shop.press(hana)
        shop.deliver(hana)
        assert (shop.kinds(), shop.has_delta(hana)) == (said, False)
    assert read(shop.place, hana).told.call.count == 4
    assert shop.told[1].thread == shop.told[0].thread or shop.told[1].thread


def test_a_reminder_is_told_once_in_the_thread_of_its_call(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.now += 60_001
    for _ in range(2):
        shop.sweep()
        shop.deliver(hana)
    assert shop.kinds() == ["press", "remind"]
    (card,) = cards_of(shop.things.get(hana).attributes)
    assert shop.told[1].thread == card.ts
    assert not shop.has_delta(hana)


@pytest.mark.parametrize(
    ("told_after_s", "kinds"),
    [(0, ["press", "remind"]), (30, ["press", "remind"]), (50, ["press"]), (90, ["press"])],
)
def test_nobody_is_reminded_of_what_they_have_just_heard_for_the_first_time(
    shop: Shop, told_after_s: int, kinds: list[str]
) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    for second in range(170):
        if second == told_after_s or shop.told:
            shop.deliver(hana)
        shop.now += 1000
        shop.sweep()
    assert (shop.kinds(), shop.has_delta(hana)) == (kinds, False)


def test_a_reminder_that_an_answer_overtakes_is_not_sent(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.now += 61_000
    shop.sweep()
    assert untold(shop.place, hana) == Untold(kind=MentionKind.REMIND, since=START + 1, count=1)
    shop.says(hana, CallEvent.OK)
    shop.deliver(hana)
    assert (shop.kinds(), shop.has_delta(hana)) == (["press"], False)


def test_presses_while_running_follow_the_same_quiet_time(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.says(hana, CallEvent.OK, "2 min")
    shop.deliver(hana)
    shop.now += 21_000
    shop.press(hana)
    shop.deliver(hana)
    assert shop.kinds() == ["press", "again"]
    assert (shop.told[1].state, shop.told[1].call.note) == (StaffState.RUNNING, "2 min")


def test_a_call_that_is_over_before_slack_took_it_is_not_announced(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.says(hana, CallEvent.CANCEL)
    assert untold(shop.place, hana) is None
    assert (shop.told, shop.has_delta(hana)) == ([], False)


def test_a_call_that_was_told_and_is_cancelled_is_taken_back(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.says(hana, CallEvent.CANCEL)
    shop.deliver(hana)
    assert shop.kinds() == ["press", "cancelled"]


def test_nobody_left_is_told_to_the_channel_once(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.says(hana, CallEvent.NO)
    shop.deliver(hana)
    shop.says(hana, CallEvent.AWAY)
    shop.deliver(hana)
    shop.says(hana, CallEvent.BACK)
    shop.deliver(hana)
    assert (shop.kinds(), shop.has_delta(hana)) == (["press", "nobody"], False)


def test_presses_for_somebody_away_do_not_shout_at_everybody_each_time(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.says(hana, CallEvent.AWAY)
    for wait in (0, 1, 5, 30):
        shop.now += wait * 1000
        shop.press(hana)
        shop.deliver(hana)
    assert (shop.kinds(), shop.has_delta(hana)) == (["nobody", "nobody"], False)


def test_nobody_left_is_no_news_ten_minutes_later(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.says(hana, CallEvent.NO)
    shop.now += 601_000
    assert untold(shop.place, hana) is None
    assert not shop.has_delta(hana)


def test_a_refused_message_stays_a_delta_and_its_claim_is_released(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = NotTold("ratelimited", retry_after_s=3)
    with pytest.raises(NotTold):
        shop.deliver(hana)
    assert (shop.has_delta(hana), read(shop.place, hana).telling) == (True, None)
    shop.slack_fails = None
    assert (shop.deliver(hana), shop.kinds()) == (Delivery.TOLD, ["press"])


def test_two_that_deliver_at_once_send_once(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    other: list[Delivery] = []
    shop.during = lambda: other.append(deliver(shop.place, hana, shop))
    assert shop.deliver(hana) is Delivery.TOLD
    assert (other, shop.kinds()) == ([Delivery.CLAIMED], ["press"])


def test_the_claim_of_somebody_who_died_holds_for_thirty_seconds_and_not_over_a_restart(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.shadows.update(hana, reported={"telling": {"since": START + 1, "count": 1, "at": START}})
    shop.now += 29_000
    assert shop.deliver(hana) is Delivery.CLAIMED
    assert shop.deliver(hana, alive_since=START + 1) is Delivery.TOLD


def test_an_ok_that_comes_while_the_mention_is_sent_is_not_overwritten(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.during = lambda: shop.says(hana, CallEvent.OK)
    shop.deliver(hana)
    staff = read(shop.place, hana)
    assert (staff.state, staff.told.state, staff.telling) == (StaffState.RUNNING, StaffState.CALLING, None)
    assert untold(shop.place, hana) is None
    assert not shop.has_delta(hana)


def test_a_later_report_is_never_put_back(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)

    def another_finishes_first() -> None:
        shop.says(hana, CallEvent.DONE)
        staff = read(shop.place, hana)
        shop.shadows.update(hana, reported=staff.asked.document())

    shop.during = another_finishes_first
    shop.deliver(hana)
    staff = read(shop.place, hana)
    assert staff.asked == staff.told


def test_expired_calls_are_one_line(shop: Shop) -> None:
    people = [shop.staff(name) for name in ("hana", "sora", "riku")]
    for thing in people:
        shop.press(thing)
        staff = read(shop.place, thing)
        about = (staff.call.id, staff.asked.since)
        record(shop.place, thing, replace(answered(CallEvent.EXPIRED, shop.key()), about=about))
    shop.slack_fails = NotTold("gone")
    with pytest.raises(NotTold):
        deliver_expired(shop.place, people, shop)
    shop.slack_fails = None
    deliver_expired(shop.place, people, shop)
    assert (shop.told, [shop.has_delta(thing) for thing in people]) == ([3], [False] * 3)


def test_somebody_who_was_removed_does_not_keep_the_others_expired_calls_from_being_told(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    staff = read(shop.place, hana)
    about = (staff.call.id, staff.asked.since)
    record(shop.place, hana, replace(answered(CallEvent.EXPIRED, shop.key()), about=about))
    deliver_expired(shop.place, ["staff-gone", hana], shop)
    assert shop.told == [1]


def test_hand_over_names_who_was_asked_before(shop: Shop) -> None:
    hana, sora = shop.staff("hana", backup="sora"), shop.staff("sora")
    shop.press(hana)
    shop.deliver(hana)
    shop.says(hana, CallEvent.NO)
    shop.deliver(sora)
    shop.deliver(hana)
    assert [(each.kind, each.thing, each.tried) for each in shop.told] == [
        ("press", hana, ()),
        ("handover", sora, ("Hana",)),
    ]
    was, now = read(shop.place, hana).call, read(shop.place, sora).call
    assert (was.end, was.to, now.id, now.booth) == (End.REFUSED, sora, was.id, "main")


def test_that_nobody_came_is_told_before_the_next_waiting_call_takes_the_shadow(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.deliver(hana)
    shop.press(hana, booth="hall")
    shop.says(hana, CallEvent.NO)
    assert read(shop.place, hana).state is StaffState.IDLE
    shop.deliver(hana)
    staff = read(shop.place, hana)
    assert (staff.state, staff.call.booth, staff.waiting) == (StaffState.CALLING, "hall", ())
    shop.deliver(hana)
    assert shop.kinds() == ["press", "nobody", "press"]


def test_a_person_who_is_not_there_is_a_404(shop: Shop) -> None:
    with pytest.raises(Rejected, match="staff-nobody") as no:
        shop.deliver("staff-nobody")
    assert no.value.code == 404


# --- What somebody has to mend


GONE = NotTold("Slack answered 404 no_service", fix="Make a new one.", word="no_service")


def expired(shop: Shop, thing: str) -> None:
    shop.press(thing)
    staff = read(shop.place, thing)
    about = (staff.call.id, staff.asked.since)
    record(shop.place, thing, replace(answered(CallEvent.EXPIRED, shop.key()), about=about))


def test_what_slack_refuses_for_good_is_seen_in_the_shadow_until_it_is_told(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = GONE
    with pytest.raises(NotTold):
        shop.deliver(hana)
    assert shop.shadows.get(hana).reported["telling"] == {
        "since": START + 1,
        "count": 1,
        "at": START,
        "failed": "no_service",
    }
    found = untold(shop.place, hana)
    assert found
    assert found.failed
    shop.slack_fails = None
    assert shop.deliver(hana) is Delivery.TOLD  # a refusal is no claim
    assert "telling" not in shop.shadows.get(hana).reported


def test_while_it_is_sent_again_a_refusal_is_a_claim_like_any_other(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = GONE
    with pytest.raises(NotTold):
        shop.deliver(hana)
    shop.slack_fails = NotTold("Slack answered 500")
    other: list[Delivery] = []
    shop.during = lambda: other.append(deliver(shop.place, hana, shop))
    with pytest.raises(NotTold, match="500"):
        shop.deliver(hana)
    assert (other, read(shop.place, hana).telling) == ([Delivery.CLAIMED], None)


def test_a_refusal_without_a_word_of_slacks_is_named_by_its_reason(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = NotTold("Slack answered 410", fix="Make a new one.")
    with pytest.raises(NotTold):
        shop.deliver(hana)
    assert shop.shadows.get(hana).reported["telling"]["failed"] == "Slack answered 410"


@pytest.mark.parametrize("kind", [CallEvent.OK, CallEvent.CANCEL])
def test_a_refusal_goes_with_the_call_that_it_was_about(shop: Shop, kind: CallEvent) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = GONE
    with pytest.raises(NotTold):
        shop.deliver(hana)
    shop.says(hana, kind)
    assert untold(shop.place, hana) is None
    assert (read(shop.place, hana).telling, shop.has_delta(hana)) == (None, False)


def test_a_newer_message_has_not_failed_yet(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = GONE
    with pytest.raises(NotTold):
        shop.deliver(hana)
    shop.press(hana)
    found = untold(shop.place, hana)
    assert found
    assert (found.count, found.failed) == (2, False)


def test_a_refused_line_of_expired_calls_is_seen_at_each_of_them(shop: Shop) -> None:
    people = [shop.staff(name) for name in ("hana", "sora")]
    for thing in people:
        expired(shop, thing)
    shop.slack_fails = GONE
    with pytest.raises(NotTold):
        deliver_expired(shop.place, people, shop)
    assert [shop.shadows.get(thing).reported["telling"]["failed"] for thing in people] == ["no_service"] * 2
    shop.slack_fails = None
    deliver_expired(shop.place, people, shop)
    assert (shop.told, [read(shop.place, thing).telling for thing in people]) == ([2], [None] * 2)


def test_that_calls_expired_is_no_news_a_day_later(shop: Shop) -> None:
    hana = shop.staff("hana")
    expired(shop, hana)
    shop.now += EXPIRED_FOR_MS + 1000
    assert untold(shop.place, hana) is None
    assert not shop.has_delta(hana)


# --- The thread


@contextmanager
def delivering(shop: Shop) -> Iterator[Deliverer]:
    made = Deliverer(shop.place, shop)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Tries:
    """Whom each message that was sent to Slack was about, taken or not."""

    def __init__(self, shop: Shop) -> None:
        self.of: list[str] = []
        tell = shop.tell

        def noted(mention: Mention) -> str:
            self.of.append(mention.name)
            return tell(mention)

        shop.tell = noted  # type: ignore[method-assign]


@pytest.fixture
def tries(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Tries:
    monkeypatch.setattr(deliverer, "PACE_S", 0.0)
    return Tries(shop)


@pytest.mark.parametrize("channel", [True, False])
def test_what_slack_refuses_for_good_is_not_tried_again_at_once_and_what_is_newer_is(
    shop: Shop, tries: Tries, channel: bool
) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    shop.slack_fails = NotTold("no", fix="Mend it.", channel=channel)
    shop.press(hana)
    with delivering(shop) as made:
        made.wake(hana)
        until(lambda: tries.of == ["Hana"], "the first try")
        until(lambda: 50 < made._idle_for() <= 60, "a pause of a minute")
        made.wake(hana, again=True)  # the same press came again
        shop.press(sora)
        made.wake(sora)
        until(lambda: tries.of == ["Hana", "Sora"], "a newer message")
        shop.slack_fails = None
        shop.press(hana)
        made.wake(hana)
        until(lambda: shop.kinds() == ["press"], "a newer message about the same person")
    assert tries.of == ["Hana", "Sora", "Hana"]
    assert not shop.has_delta(hana)


def test_once_it_is_mended_what_slack_refused_is_told_without_a_restart(
    shop: Shop, tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "LONGEST_PAUSE_S", 0.5)
    hana = shop.staff("hana")
    shop.slack_fails = GONE
    shop.press(hana)
    with delivering(shop) as made:
        made.wake(hana)
        until(lambda: tries.of, "the first try")
        shop.slack_fails = None
        until(lambda: shop.kinds() == ["press"], "the second", 20)
        until(lambda: not shop.has_delta(hana), "the report")
    assert shop.kinds() == ["press"], "and only once"


@pytest.fixture
def full(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set, the disk takes nothing."""
    full = threading.Event()

    def refusing(write: Callable[..., object]) -> Callable[..., object]:
        def written(*given: object, **named: object) -> object:
            if full.is_set():
                raise Rejected(500, "Internal service failure: database or disk is full")
            return write(*given, **named)

        return written

    for kept in (shop.shadows, shop.things):
        monkeypatch.setattr(kept, "update", refusing(kept.update))
    for taken in ("tell", "tell_expired"):
        monkeypatch.setattr(shop, taken, full_after(getattr(shop, taken), full))
    monkeypatch.setattr(deliverer, "GATHER_S", 0.0)
    return full


def full_after(tell: Callable[..., object], full: threading.Event) -> Callable[..., object]:
    def told(*given: object) -> object:
        try:
            return tell(*given)
        finally:
            full.set()

    return told


@pytest.mark.parametrize("kind", ["press", "nobody", "expired 1"])
def test_what_slack_took_is_not_said_again_because_the_disk_took_no_report(
    shop: Shop, full: threading.Event, kind: str
) -> None:
    hana = shop.staff("hana")
    if kind == "nobody":
        shop.says(hana, CallEvent.AWAY)
        shop.deliver(hana)
    expired(shop, hana) if kind.startswith("expired") else shop.press(hana)
    with delivering(shop) as made:
        made.wake(hana)
        until(lambda: hana in made._unrecorded, "a report that is refused")
        shop.now += 40_000  # its claim counts no more
        full.clear()
        until(lambda: not shop.has_delta(hana), "the report")
        until(lambda: not made._unrecorded, "that it knows so")
    assert shop.kinds() == [kind]
    kept = shop.things.get(hana).attributes
    assert (len(cards_of(kept)), OPEN in kept) == (kind == "press", kind == "nobody")


def test_what_slack_did_not_take_is_tried_again_though_its_claim_could_not_be_given_back(
    shop: Shop, full: threading.Event
) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    shop.slack_fails = NotTold("Slack answered 500")
    with delivering(shop) as made:
        made.wake(hana)
        until(lambda: made._troubles, "the first try")
        assert read(shop.place, hana).telling
        shop.slack_fails = None
        full.clear()
        until(lambda: shop.kinds() == ["press"], "the second", 20)


def test_what_may_pass_is_tried_again_soon(shop: Shop, tries: Tries) -> None:
    hana = shop.staff("hana")
    shop.slack_fails = NotTold("Slack answered 500")
    shop.press(hana)
    with delivering(shop) as made:
        made.wake(hana)
        until(lambda: len(tries.of) == 2, "the second try", 20)
    assert shop.has_delta(hana), "what Slack did not take is not reported as told"
