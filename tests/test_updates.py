"""Cards show how calls stand: after every transition, after crashes, out of order, and with a Slack that fails."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.local.deliverer import Deliverer
from infra.local.updater import Updater
from shadows.calls import read, volunteer
from shadows.cards import BEHIND_FOR_MS, KEPT, Card, Shown, Standing, card_of, cards_of, is_behind, show
from shadows.errors import Rejected
from shadows.staff import CallEvent, End, StaffState
from shadows.telling import Delivery, NotTold, deliver
from slack_bridge.answer import answer
from slack_bridge.reply import Reply
from slack_bridge.tellers import BotTeller
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack, Next, Posted
from tests.memory import Shop, Wall
from tests.shop import Process, until
from tests.shop import Shop as Place


class Dead(BaseException):
    """The process ends here."""


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


def called(shop: Shop, thing: str, booth: str = "main") -> Card:
    """A person who was called, and told; the answer is the card."""
    shop.now += 1000
    shop.press(thing, booth)
    shop.deliver(thing)
    return newest(shop, thing)


def newest(shop: Shop, thing: str) -> Card:
    return cards_of(shop.things.get(thing).attributes)[-1]


def settle(shop: Shop, wall: Wall, *things: str) -> None:
    for thing in things:
        while show(shop.place, thing, wall):
            pass
        assert not is_behind(shop.things.get(thing), read(shop.place, thing), shop.now)


def test_a_card_that_was_just_posted_is_up_to_date(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    card = called(shop, hana)
    assert (card.channel, card.since) == ("C0CALLS", read(shop.place, hana).asked.since)
    assert show(shop.place, hana, wall) is False
    assert wall.changes == 0


def test_each_transition_is_shown_once_with_its_times(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    shop.shadows.update("booth-main", reported={"title": "受付 Main"})
    card = called(shop, hana)
    pressed_at = shop.now
    shop.press(hana)
    settle(shop, wall, hana)
    assert (wall.shown[card.ts].state, wall.shown[card.ts].call.count) == (StaffState.CALLING, 2)
    shop.now += 45_000
    shop.says(hana, CallEvent.OK, "5 min")
    settle(shop, wall, hana)
    shown = wall.shown[card.ts]
    assert (shown.state, shown.call.note, shown.booth) == (StaffState.RUNNING, "5 min", "受付 Main")
    assert shown.answered - pressed_at == 45_000
    shop.now += 300_000
    shop.says(hana, CallEvent.DONE)
    settle(shop, wall, hana)
    shown = wall.shown[card.ts]
    assert (shown.state, shown.call.end) == (StaffState.IDLE, End.DONE)
    assert (shown.answered - pressed_at, shown.over - pressed_at) == (45_000, 345_000)
    assert wall.changes == 3


def test_going_away_later_does_not_change_how_a_call_was_over(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    called(shop, hana)
    shop.says(hana, CallEvent.DONE)
    settle(shop, wall, hana)
    for kind in (CallEvent.AWAY, CallEvent.BACK):
        shop.now += 60_000
        shop.says(hana, kind)
        settle(shop, wall, hana)
    assert wall.changes == 1


@pytest.mark.parametrize(
    ("kind", "end"),
    [(CallEvent.NO, End.REFUSED), (CallEvent.CANCEL, End.CANCELLED), (CallEvent.AWAY, End.UNAVAILABLE)],
)
def test_every_end_is_shown(shop: Shop, wall: Wall, kind: CallEvent, end: End) -> None:
    hana = shop.staff("hana")
    card = called(shop, hana)
    shop.says(hana, kind)
    settle(shop, wall, hana)
    assert wall.shown[card.ts].call.end is end


def test_a_call_that_is_handed_over_says_to_whom_and_the_other_has_a_card_of_their_own(
    shop: Shop, wall: Wall
) -> None:
    hana, sora = shop.staff("hana", backup="sora"), shop.staff("sora")
    card = called(shop, hana)
    shop.now += 200_000
    shop.sweep()
    shop.deliver(sora)
    settle(shop, wall, hana, sora)
    assert (wall.shown[card.ts].call.end, wall.shown[card.ts].to) == (End.MISSED, "Sora")
    assert newest(shop, sora).call == card.call
    assert newest(shop, sora).ts not in wall.shown, "it is up to date"


def test_who_goes_for_a_call_that_nobody_took_is_shown(shop: Shop, wall: Wall) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    card = called(shop, hana)
    shop.says(hana, CallEvent.NO)
    shop.deliver(hana)
    settle(shop, wall, hana)
    assert wall.shown[card.ts].to == ""
    assert volunteer(shop.place, sora, shop.key())
    settle(shop, wall, hana, sora)
    assert wall.shown[card.ts].to == "Sora"


def test_a_card_says_how_its_call_ended_also_once_the_next_call_is_in_the_shadow(
    shop: Shop, wall: Wall
) -> None:
    hana = shop.staff("hana")
    first = called(shop, hana)
    shop.now += 5000
    shop.press(hana, booth="hall")
    shop.says(hana, CallEvent.OK)
    settle(shop, wall, hana)
    shop.now += 60_000
    shop.says(hana, CallEvent.DONE)
    assert read(shop.place, hana).call.booth == "hall", "it was taken at once"
    shop.deliver(hana)
    settle(shop, wall, hana)
    shown = wall.shown[first.ts]
    assert (shown.call.end, shown.booth, shown.over - shown.answered) == (End.DONE, "main", 60_000)
    assert newest(shop, hana).ts != first.ts


def test_a_card_whose_call_is_forgotten_says_that_it_is_over(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    first = called(shop, hana)
    for booth in ("hall", "east"):
        shop.says(hana, CallEvent.DONE)
        called(shop, hana, booth)
    settle(shop, wall, hana)
    assert (wall.shown[first.ts].state, wall.shown[first.ts].call.end) == (StaffState.IDLE, End.OPEN)
    changes = wall.changes
    settle(shop, wall, hana)
    assert wall.changes == changes


def test_no_more_than_a_few_cards_are_remembered(shop: Shop) -> None:
    hana = shop.staff("hana")
    for _ in range(KEPT + 3):
        called(shop, hana)
        shop.says(hana, CallEvent.DONE)
    attribute = shop.things.get(hana).attributes["cards"]
    assert len(cards_of({"cards": attribute})) == KEPT
    assert len(attribute) <= 800, "as long as AWS lets an attribute be"


# --- Crashes


def test_a_death_before_or_after_slack_took_a_change_is_made_good(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    card = called(shop, hana)

    def dies() -> None:
        raise Dead

    for where, kind in (("before", CallEvent.OK), ("after", CallEvent.DONE)):
        shop.now += 1000
        shop.says(hana, kind)
        setattr(wall, where, dies)
        with pytest.raises(Dead):
            show(shop.place, hana, wall)
        setattr(wall, where, lambda: None)
        assert is_behind(shop.things.get(hana), read(shop.place, hana), shop.now)
        settle(shop, wall, hana)
        assert wall.shown[card.ts].state is read(shop.place, hana).state
    assert wall.changes == 3, "what was taken before the death is sent once more"


def test_a_death_between_the_card_and_its_report_mentions_again_in_the_cards_thread(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    update = shop.shadows.update

    def dies(thing: str, **sections: Any) -> int:
        if "toldAt" in (sections.get("reported") or {}):
            raise Dead
        return update(thing, **sections)

    shop.shadows.update = dies  # type: ignore[method-assign]
    with pytest.raises(Dead):
        shop.deliver(hana)
    shop.shadows.update = update  # type: ignore[method-assign]
    shop.now += 31_000
    assert (shop.deliver(hana), shop.kinds()) == (Delivery.TOLD, ["press", "press"])
    assert [each.thread for each in shop.told] == ["", newest(shop, hana).ts]  # type: ignore[union-attr]
    assert not shop.has_delta(hana)


def test_of_two_that_show_at_once_the_later_state_stays(shop: Shop, wall: Wall) -> None:
    """The first one's request is on its way while the second shows what came after, and arrives last."""
    hana = shop.staff("hana")
    card = called(shop, hana)
    shop.says(hana, CallEvent.OK)

    def overtaken() -> None:
        wall.before = lambda: None
        shop.says(hana, CallEvent.DONE)
        assert show(shop.place, hana, wall)
        assert wall.shown[card.ts].state is StaffState.IDLE

    wall.before = overtaken
    assert show(shop.place, hana, wall)
    assert wall.shown[card.ts].state is StaffState.RUNNING, "the old one came last"
    settle(shop, wall, hana)
    assert wall.shown[card.ts].state is StaffState.IDLE


def test_a_mention_that_is_posted_while_a_card_is_changed_keeps_its_card(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    first = called(shop, hana)
    shop.press(hana, booth="hall")
    shop.says(hana, CallEvent.DONE)
    wall.before = lambda: shop.deliver(hana) and None
    assert show(shop.place, hana, wall)
    wall.before = lambda: None
    settle(shop, wall, hana)
    assert wall.shown[first.ts].call.end is End.DONE
    assert {card.call for card in cards_of(shop.things.get(hana).attributes)} > {first.call}


def test_somebody_who_is_removed_meanwhile_is_no_fault(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    called(shop, hana)
    shop.says(hana, CallEvent.OK)
    wall.before = lambda: shop.things.delete(hana)
    assert show(shop.place, hana, wall)
    with pytest.raises(Rejected):
        show(shop.place, hana, wall)


# --- A Slack that will not


def test_what_slack_refuses_for_good_is_not_tried_again(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    card = called(shop, hana)
    wall.answer = Shown.STUCK
    shop.says(hana, CallEvent.OK)
    assert show(shop.place, hana, wall)
    assert not show(shop.place, hana, wall)
    found = card_of(shop.things.get(hana).attributes, card.call)
    assert found
    assert found.ts == card.ts, "what follows still goes into its thread"


def test_a_card_that_somebody_removed_is_no_thread_any_more(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    called(shop, hana)
    wall.answer = Shown.GONE
    shop.now += 21_000
    shop.press(hana)
    assert show(shop.place, hana, wall)
    assert not show(shop.place, hana, wall)
    shop.deliver(hana)
    assert [(each.kind, each.thread) for each in shop.told] == [("press", ""), ("again", "")]  # type: ignore[union-attr]


def test_a_card_that_could_not_be_changed_for_a_day_stays_as_it_is(shop: Shop, wall: Wall) -> None:
    hana = shop.staff("hana")
    called(shop, hana)
    shop.says(hana, CallEvent.OK)
    wall.answer = NotTold("no")
    with pytest.raises(NotTold):
        show(shop.place, hana, wall)
    shop.now += BEHIND_FOR_MS + 1
    assert show(shop.place, hana, wall) is False


@pytest.mark.parametrize("nonsense", ["", ",", "a", "a/b", "a/b/c/d/e/f", "/C/1.5/5/x/0", "a/C//5/x/0"])
def test_nonsense_in_the_attribute_is_no_card(nonsense: str) -> None:
    assert cards_of({"cards": nonsense}) == ()


# --- Over real sockets


def bot(slack: FakeSlack) -> BotTeller:
    return BotTeller(BOT_TOKEN, "C0CALLS", slack.api_url, "en")


@contextmanager
def running(shop: Shop, slack: FakeSlack) -> Iterator[tuple[Deliverer, Updater]]:
    """Both threads, and whoever wakes them."""
    teller = bot(slack)
    deliverer, updater = Deliverer(shop.place, teller), Updater(shop.place, teller, 0.2)
    with ExitStack() as stack:
        for each in (deliverer, updater):
            each.start()
            stack.callback(each.stop)
        yield deliverer, updater


def test_a_board_says_now_or_never_or_not_yet(slack: FakeSlack) -> None:
    card = Card(call="01JD", channel="C0CALLS", ts="5.0", since=1, shows="")
    standing = Standing(name="Hana", slack="", booth="main", call=read_call(), state=StaffState.RUNNING)
    never = {
        "message_not_found": Shown.GONE,
        "cant_update_message": Shown.STUCK,
        "edit_window_closed": Shown.STUCK,
        "msg_too_long": Shown.STUCK,
    }
    assert bot(slack).show(card, standing) is Shown.GONE
    for word, shown in never.items():
        slack.refuses["chat.update"] = Next(body=word)
        assert bot(slack).show(card, standing) is shown
    for how in (Next(status=500), Next(drop=True), Next(body="internal_error"), Next(body="invalid_auth")):
        slack.refuses["chat.update"] = how
        with pytest.raises(NotTold):
            bot(slack).show(card, standing)


def read_call() -> Any:
    return read(*_called()).call


def _called() -> tuple[Any, str]:
    shop = Shop()
    hana = shop.staff("hana")
    shop.press(hana)
    return shop.place, hana


def test_changes_wait_for_mentions_and_mentions_do_not_wait_for_changes(shop: Shop, slack: FakeSlack) -> None:
    hana = shop.staff("hana")
    teller = bot(slack)
    shop.press(hana)
    deliver(shop.place, hana, teller)
    shop.says(hana, CallEvent.OK)
    with pytest.raises(NotTold) as no:
        show(shop.place, hana, teller)
    assert 0 < (no.value.retry_after_s or 0) <= 1
    time.sleep(no.value.retry_after_s or 0)
    assert show(shop.place, hana, teller)
    assert teller._pace.left_s == 0, "the next mention goes at once"
    shop.says(hana, CallEvent.DONE)
    with pytest.raises(NotTold, match="not its turn"):
        show(shop.place, hana, teller)


def test_a_change_that_hangs_keeps_no_mention_back(shop: Shop, slack: FakeSlack) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    with running(shop, slack) as (deliverer, updater):
        shop.press(hana)
        deliverer.wake(hana)
        until(lambda: slack.posts, "the mention")
        until(lambda: not shop.has_delta(hana), "its report")
        slack.refuses["chat.update"] = Next(hang_s=60)
        shop.says(hana, CallEvent.OK)
        updater.wake(hana)
        until(lambda: "chat.update" in slack.asked, "a change that hangs")
        shop.press(sora)
        deliverer.wake(sora)
        until(lambda: len(slack.posts) == 2, "the other mention")
        slack.__exit__()


def test_what_slack_could_not_take_is_shown_once_it_can(shop: Shop, slack: FakeSlack) -> None:
    hana = shop.staff("hana")
    with running(shop, slack) as (deliverer, updater):
        shop.press(hana)
        deliverer.wake(hana)
        ts = until(lambda: slack.posts, "the mention")[0].ts
        until(lambda: not shop.has_delta(hana), "its report")
        slack.refuses["chat.update"] = Next(status=500)
        shop.says(hana, CallEvent.OK)
        updater.wake(hana)
        until(lambda: slack.asked.count("chat.update") == 2, "a second try", 20)
        shop.says(hana, CallEvent.DONE)
        del slack.refuses["chat.update"]
        until(lambda: "has been at" in slack.shown(ts).text, "the last state", 20)
        assert len(slack.updates) == 1
        assert slack.shown(ts).buttons == []
    assert len(slack.posts) == 1


def test_a_rate_limit_of_changes_holds_them_as_long_as_slack_says_and_no_mention(
    shop: Shop, slack: FakeSlack
) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    with running(shop, slack) as (deliverer, updater):
        shop.press(hana)
        deliverer.wake(hana)
        until(lambda: slack.posts, "the mention")
        until(lambda: not shop.has_delta(hana), "its report")
        slack.refuses["chat.update"] = Next(status=429, retry_after="3")
        shop.says(hana, CallEvent.OK)
        updater.wake(hana)
        until(lambda: "chat.update" in slack.asked, "the first try")
        limited_at = time.monotonic()
        shop.press(sora)
        deliverer.wake(sora)
        until(lambda: len(slack.posts) == 2, "the other mention")
        assert slack.asked.count("chat.update") == 1
        del slack.refuses["chat.update"]
        until(lambda: slack.updates, "the change")
        assert slack.updates[0].at - limited_at > 2.5


def test_changes_of_many_keep_to_one_a_second_and_show_only_the_last_state(
    shop: Shop, slack: FakeSlack
) -> None:
    people = [shop.staff(f"p{n}") for n in range(4)]
    teller = bot(slack)
    for thing in people:
        shop.press(thing)
        deliver(shop.place, thing, teller)
    with running(shop, slack) as (_, updater):
        for kind in (CallEvent.OK, CallEvent.DONE):
            for thing in people:
                shop.says(thing, kind)
                updater.wake(thing)
        until(lambda: all("has been at" in slack.shown(post.ts).text for post in slack.posts), "all", 20)
    assert slack.updates[-1].at - slack.updates[0].at > len(slack.updates) - 1.5
    assert len(slack.updates) <= len(people) + 1


# --- The whole place


APP = {
    "slack_webhook_url": "",
    "slack_bot_token": BOT_TOKEN,
    "slack_app_token": APP_TOKEN,
    "slack_channel": "C0CALLS",
}


def pressed(slack: FakeSlack, post: Posted, value: str, by: str) -> None:
    """Press a button, as Socket Mode brings it."""
    before = len(slack.acks)
    slack.send({"envelope_id": value, "type": "interactive", "payload": slack.press(post.ts, value, by=by)})
    slack.wait_for(lambda: len(slack.acks) > before)


def test_a_call_is_answered_by_its_buttons_alone_and_stays_one_message(
    tmp_path: Path, slack: FakeSlack
) -> None:
    with Place(tmp_path / "data", slack, **APP, slack_api_url=slack.api_url, quiet_s=0.0) as place:
        place.furnish()
        until(lambda: slack.connected, "Socket Mode")
        place.press(id="1")
        card = until(lambda: slack.posts, "the mention")[0]
        assert (card.text[:9], card.buttons) == ("<@U0HANA>", ["ok", "ok 5 min", "no", "done"])
        place.press(id="2")
        until(lambda: slack.posts[1:], "the second mention")
        until(lambda: "pressed 2 times" in slack.shown(card.ts).text, "the count", 20)
        pressed(slack, card, "ok 5 min", "U0HANA")
        until(lambda: 'on the way to *main*: "5 min"' in slack.shown(card.ts).text, "the note", 20)
        assert slack.shown(card.ts).buttons == ["no", "done"]
        pressed(slack, card, "done", "U0HANA")
        until(lambda: "has been at" in slack.shown(card.ts).text, "the end", 20)
        assert slack.shown(card.ts).buttons == []
        until(lambda: len(slack.posts) == 4, "the answers", 20)
    assert [post.thread for post in slack.posts] == ["", card.ts, card.ts, card.ts]


def test_an_old_button_says_so_and_answers_for_no_other_call(tmp_path: Path, slack: FakeSlack) -> None:
    with Place(tmp_path / "data", slack, **APP, slack_api_url=slack.api_url) as place:
        place.furnish()
        until(lambda: slack.connected, "Socket Mode")
        slack.refuses["chat.update"] = Next(body="cant_update_message")
        place.press(id="1")
        old = until(lambda: slack.posts, "the mention")[0]
        until(lambda: place.is_told("hana"), "its report")
        pressed(slack, old, "done", "U0HANA")
        until(lambda: place.state("hana") == "idle", "the end")
        place.press(id="2")
        until(lambda: place.state("hana") == "calling", "the next call")
        until(lambda: place.is_told("hana"), "its report")
        pressed(slack, old, "ok", "U0HANA")
        until(lambda: any("another call" in text for text in slack.texts), "the answer", 20)
        assert place.state("hana") == "calling"
        place.press(click="DOUBLE", id="3")
        until(lambda: place.is_told("sora"), "the mention of Sora", 20)
        pressed(slack, old, "ok", "U0SORA")
        assert place.state("sora") == "calling", "she is called elsewhere"


def test_what_a_message_does_not_show_when_it_is_killed_it_shows_after_the_restart(
    tmp_path: Path, slack: FakeSlack
) -> None:
    place = Place(tmp_path / "data", slack, slack_webhook_url="")
    env = {
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        "SLACK_CHANNEL": "C0CALLS",
        "SLACK_API_URL": slack.api_url,
    }
    with Process(place, **env) as process:
        place.furnish()
        place.press(id="1")
        card = until(lambda: slack.posts, "the mention")[0]
        until(lambda: place.is_told("hana"), "its report")
        slack.refuses["chat.update"] = Next(drop=True)
        until(lambda: slack.connected, "Socket Mode")
        pressed(slack, card, "ok", "U0HANA")
        until(lambda: "chat.update" in slack.asked, "a try")
        process.end(9)
        del slack.refuses["chat.update"]
        process.start()
        until(lambda: "on the way" in slack.shown(card.ts).text, "the state", 20)
        assert "answered after" in str(slack.shown(card.ts).blocks)
        assert len([post for post in slack.posts if not post.thread]) == 1
        assert process.end(15) == 0
    assert "Traceback" not in process.output.decode()


# --- Reactions


def reacted(shop: Shop, name: str, ts: str, user: str = "UHANA", **more: Any) -> str:
    item = {"type": "message", "channel": "C0CALLS", "ts": ts}
    event = {"type": "reaction_added", "user": user, "reaction": name, "item": item, **more}
    reply = Reply.from_event({"event": event})
    return answer(reply, shop.place, "en") if reply else ""


@pytest.mark.parametrize(
    "name", ["+1", "+1::skin-tone-4", "thumbsup", "white_check_mark", "heavy_check_mark"]
)
def test_a_reaction_that_agrees_is_an_ok_of_who_is_called_and_only_once(shop: Shop, name: str) -> None:
    hana = shop.staff("hana")
    card = called(shop, hana)
    assert "on your way" in reacted(shop, name, card.ts)
    assert read(shop.place, hana).state is StaffState.RUNNING
    before = shop.shadows.get(hana)
    for again in (name, "+1", "white_check_mark"):
        assert reacted(shop, again, card.ts) == ""
    assert shop.shadows.get(hana) == before


def test_any_other_reaction_does_nothing(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    card = called(shop, hana)
    others = called(shop, sora)
    shop.staff("riku")
    before = [shop.shadows.get(thing) for thing in (hana, sora)]
    for name, ts, user in (
        ("-1", card.ts, "UHANA"),
        ("eyes", card.ts, "UHANA"),
        ("+1", "5.0", "UHANA"),
        ("+1", others.ts, "UHANA"),
        ("+1", card.ts, "USORA"),
        ("+1", card.ts, "URIKU"),
        ("+1", card.ts, "U0STRANGER"),
    ):
        assert reacted(shop, name, ts, user) == ""
    assert reacted(shop, "+1", card.ts, item={"type": "file", "file": "F1"}) == ""
    assert [shop.shadows.get(thing) for thing in (hana, sora)] == before


def test_a_reaction_to_an_old_card_answers_for_no_other_call(shop: Shop) -> None:
    hana = shop.staff("hana")
    old = called(shop, hana)
    shop.says(hana, CallEvent.DONE)
    called(shop, hana)
    assert reacted(shop, "+1", old.ts) == ""
    assert read(shop.place, hana).state is StaffState.CALLING


def test_a_reaction_comes_by_socket_mode_also_twice(tmp_path: Path, slack: FakeSlack) -> None:
    with Place(tmp_path / "data", slack, **APP, slack_api_url=slack.api_url) as place:
        place.furnish()
        until(lambda: slack.connected, "Socket Mode")
        place.press(id="1")
        card = until(lambda: slack.posts, "the mention")[0]
        until(lambda: place.is_told("hana"), "its report")
        for n in range(2):
            payload = slack.react(card.ts, "+1::skin-tone-2", by="U0HANA")
            slack.send({"envelope_id": f"e{n}", "type": "events_api", "payload": payload})
            slack.wait_for(lambda n=n: len(slack.acks) == n + 1)  # type: ignore[misc]
        assert place.state("hana") == "running"
        until(lambda: "on the way" in slack.shown(card.ts).text, "the card", 20)
        assert [post.thread for post in slack.posts[1:]] == [card.ts]
