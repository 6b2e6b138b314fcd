"""What a reply does to its writer's call, and what is said back."""

import itertools

import pytest

from shadows.calls import read
from shadows.errors import Rejected
from shadows.shadow import Thing
from shadows.staff import CallEvent, StaffState
from slack_bridge.answer import answer
from slack_bridge.phrases import LANGUAGES, phrases
from slack_bridge.reply import Reply
from slack_bridge.words import starts_with_word
from tests.memory import Shop

ids = itertools.count(1)
SAYS = {
    CallEvent.OK: "ok",
    CallEvent.NO: "no",
    CallEvent.DONE: "done",
    CallEvent.AWAY: "away",
    CallEvent.BACK: "back",
}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def says(shop: Shop, user: str, text: str, *, lang: str = "en", addressed: bool = False) -> str:
    reply = Reply(channel="C0", user=user, text=text, id=str(next(ids)), addressed=addressed)
    return answer(reply, shop.place, lang)


def brought(shop: Shop, thing: str, state: StaffState) -> None:
    """Bring somebody who is idle to a state."""
    if state in (StaffState.CALLING, StaffState.RUNNING):
        shop.press(thing)
    if state is StaffState.RUNNING:
        shop.says(thing, CallEvent.OK)
    if state is StaffState.AWAY:
        shop.says(thing, CallEvent.AWAY)


def test_an_ok_takes_the_call_and_its_rest_is_the_note(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    assert says(shop, "UHANA", "ＯＫ、5分で <@U1> &amp; coffee") == (
        'Thank you, Hana. The screen says that you are on your way. It also says: "5分で &amp; coffee"'
    )
    now = read(shop.place, hana)
    assert (now.state, now.call.note) == (StaffState.RUNNING, "5分で & coffee")


def test_an_ok_never_answers_for_another(shop: Shop) -> None:
    hana, sora = shop.staff("hana"), shop.staff("sora")
    shop.press(hana)
    assert says(shop, "USORA", "ok") == "There is nobody waiting for you right now, Sora."
    assert read(shop.place, hana).state is StaffState.CALLING
    assert read(shop.place, sora).state is StaffState.IDLE


@pytest.mark.parametrize("text", ["not ok", "it is ok", "ok?", "ok for you?"])
def test_doubtful_words_change_nothing_and_are_answered_with_the_words_we_know(shop: Shop, text: str) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    before = shop.shadows.get(hana)
    said = says(shop, "UHANA", text)
    assert all(word in said for word in ("*ok*", "*no*", "*done*", "*away*", "*back*"))
    assert shop.shadows.get(hana) == before


def test_chatter_is_left_alone_unless_it_was_meant_for_us(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    before = shop.shadows.get(hana)
    assert says(shop, "UHANA", "shall we go to okinawa") == ""
    assert says(shop, "UHANA", "shall we go to okinawa", addressed=True) == phrases("en").doubtful
    assert says(shop, "USTRANGER", "it is ok") == ""
    assert shop.shadows.get(hana) == before


def test_a_stranger_hears_politely_that_they_are_not_on_the_list(shop: Shop) -> None:
    shop.things.create(Thing(name="staff-half", type="staff", attributes={"slackUserId": "UHALF"}))
    for user in ("USTRANGER", "UHALF"):
        assert says(shop, user, "ok") == phrases("en").stranger


def test_a_repeat_changes_nothing_and_says_nothing(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    reply = Reply(channel="C0", user="UHANA", text="ok", id="1730520930.002400")
    assert answer(reply, shop.place, "en") != ""
    before = shop.shadows.get(hana)
    assert answer(reply, shop.place, "en") == ""
    assert shop.shadows.get(hana) == before


def test_an_ok_that_comes_again_after_the_call_was_over_takes_no_new_call(shop: Shop) -> None:
    hana = shop.staff("hana")
    reply = Reply(channel="C0", user="UHANA", text="ok", id="1730520930.002400")
    answer(reply, shop.place, "en")
    shop.press(hana)
    assert answer(reply, shop.place, "en") == ""
    assert read(shop.place, hana).state is StaffState.CALLING


def test_who_refuses_hears_who_is_asked_instead(shop: Shop) -> None:
    hana = shop.staff("hana", backup="sora")
    shop.staff("sora")
    shop.press(hana)
    assert says(shop, "UHANA", "no") == "Understood, Hana. Sora is asked instead."
    assert says(shop, "USORA", "無理です", lang="ja") == (
        "お返事ありがとうございます、Soraさん。ほかに呼べる人がいないため、チャンネル全体に知らせます。"
    )


def test_who_goes_away_while_called_hears_who_is_asked_instead(shop: Shop) -> None:
    hana = shop.staff("hana", backup="sora")
    shop.staff("sora")
    shop.press(hana)
    assert says(shop, "UHANA", "away").endswith("Sora is asked instead.")


def test_an_ok_at_the_end_of_a_refused_call_does_not_speak_of_it_again(shop: Shop) -> None:
    hana = shop.staff("hana")
    shop.press(hana)
    says(shop, "UHANA", "no")
    assert says(shop, "UHANA", "ok") == "There is nobody waiting for you right now, Hana."


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
@pytest.mark.parametrize("state", list(StaffState))
@pytest.mark.parametrize("event", sorted(SAYS))
def test_every_answer_says_something_and_starts_with_no_word_of_ours(
    shop: Shop, lang: str, state: StaffState, event: CallEvent
) -> None:
    hana = shop.staff("no way", backup="okada")
    shop.staff("okada")
    brought(shop, hana, state)
    said = says(shop, "UNO WAY", f"{SAYS[event]}", lang=lang)
    assert "No Way" in said
    assert not starts_with_word(said)
    assert "{" not in said


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
def test_the_other_things_we_say_start_with_no_word_of_ours_either(lang: str) -> None:
    say = phrases(lang)
    for text in (say.doubtful, say.stranger, say.expired, say.expired_one):
        assert not starts_with_word(text)


def test_a_shadow_that_others_keep_writing_to_is_not_answered_as_done(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.press(shop.staff("hana"))

    def busy(*_: object, **__: object) -> int:
        raise Rejected(503, "busy")

    monkeypatch.setattr(shop.shadows, "update", busy)
    with pytest.raises(Rejected, match="busy"):
        says(shop, "UHANA", "ok")


def test_a_language_that_is_none_of_ours_is_answered_in_english() -> None:
    assert phrases("xx") is phrases("en")
