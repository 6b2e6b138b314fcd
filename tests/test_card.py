"""What a card shows: who, where, since when, how long it took, and the buttons that mean something now."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.cards import Standing
from shadows.staff import Call, CallEvent, End, StaffState
from slack_bridge.card import SECTION_LENGTH, look
from slack_bridge.mention import words
from slack_bridge.phrases import LANGUAGES
from slack_bridge.words import hear, starts_with_word
from tests.fake_slack import Posted
from tests.test_mention import MENTION

AT = 1_793_235_600_000
CALL = Call(id="01JD", booth="main", at=AT, count=1)
CALLED = Standing(name="花 Hana", slack="U0HANA", booth="A & B hall", call=CALL, state=StaffState.CALLING)
RUNNING = replace(CALLED, state=StaffState.RUNNING, call=replace(CALL, note="5 <min>"), answered=AT + 45_000)


def over(end: End, **more: object) -> Standing:
    standing = replace(CALLED, state=StaffState.IDLE, call=replace(CALL, end=end), over=AT + 370_000)
    return replace(standing, **more)  # type: ignore[arg-type]


def seen(standing: Standing, lang: str = "en") -> Posted:
    text, blocks = look(standing, lang)
    return Posted(text=text, blocks=blocks)


def context(standing: Standing, lang: str = "en") -> str:
    (text,) = [each["elements"][0]["text"] for each in look(standing, lang)[1] if each["type"] == "context"]
    return str(text)


def test_a_call_is_announced_in_the_words_of_the_mention_and_since_when_the_visitor_waits() -> None:
    post = seen(CALLED)
    assert post.text == words(MENTION, "en")
    assert post.blocks[0]["text"] == {"type": "mrkdwn", "text": post.text}
    assert context(CALLED) == "Since <!date^1793235600^{time}|01:00 UTC>"


def test_who_stands_in_reads_for_whom() -> None:
    assert "stand in for Sora" in seen(replace(CALLED, tried=("Sora",))).text


@pytest.mark.parametrize(
    ("standing", "values"),
    [
        (CALLED, ["ok", "ok 5 min", "no", "done"]),
        (RUNNING, ["no", "done"]),
        *((over(end), []) for end in End),
    ],
)
def test_only_buttons_that_move_the_call_are_shown(standing: Standing, values: list[str]) -> None:
    assert seen(standing).buttons == values


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
def test_each_button_says_what_one_would_write(lang: str) -> None:
    heard = [hear(value) for value in seen(CALLED, lang).buttons]
    events = [each.event for each in heard if each]
    assert events == [CallEvent.OK, CallEvent.OK, CallEvent.NO, CallEvent.DONE]
    assert heard[1]
    assert heard[1].note.startswith("5")
    ids = [each["action_id"] for each in look(CALLED, lang)[1][-1]["elements"]]
    assert len(set(ids)) == 4


def test_who_is_on_the_way_is_shown_with_their_note_and_how_long_the_visitor_waited() -> None:
    assert seen(RUNNING).text == '→ 花 Hana is on the way to *A &amp; B hall*: "5 &lt;min&gt;".'
    assert context(RUNNING).endswith(" · answered after 45 s")
    assert "返事まで45秒" in context(RUNNING, "ja")


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (over(End.DONE), "花 Hana has been at *A &amp; B hall*."),
        (
            over(End.CANCELLED),
            "The visitor at *A &amp; B hall* does not wait any more: 花 Hana need not go.",
        ),
        (
            over(End.MISSED, to="<Sora>"),
            "花 Hana did not answer the call of *A &amp; B hall*. The call went to &lt;Sora&gt;.",
        ),
        (
            over(End.UNAVAILABLE, to="<Sora>"),
            "&lt;Sora&gt; took the call of *A &amp; B hall*, in place of 花 Hana.",
        ),
        (
            over(End.UNAVAILABLE),
            "花 Hana could not take the call of *A &amp; B hall*. Nobody was left to ask.",
        ),
        (over(End.REFUSED), "花 Hana cannot come to *A &amp; B hall*. Nobody was left to ask."),
        (over(End.OPEN), "This call for 花 Hana is over."),
        (replace(over(End.DONE), booth=""), "花 Hana has been at *the booth*."),
    ],
)
def test_how_a_call_was_over_is_said(standing: Standing, text: str) -> None:
    assert seen(standing).text == "→ " + text


def test_a_call_that_is_over_says_how_long_both_took() -> None:
    times = context(over(End.DONE, answered=AT + 61_000))
    assert times.endswith(" · answered after 1 min 1 s · over after 6 min 10 s")
    assert context(over(End.DONE, over=AT + 3_725_000)).endswith("over after 1 h 2 min")
    assert "over" not in context(over(End.DONE, over=0))
    assert context(over(End.DONE, over=AT - 5_000)).endswith("over after 0 s"), "a clock was set back"


def test_words_too_long_for_a_block_go_without() -> None:
    asked = replace(CALLED, tried=tuple("&" * 80 for _ in range(16)))
    text, blocks = look(asked, "en")
    assert len(text) > SECTION_LENGTH
    assert blocks == ()


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
@given(
    standing=st.builds(
        Standing,
        name=st.text() | st.sampled_from(["ok", "了解", "<!channel>"]),
        slack=st.just("U0HANA"),
        booth=st.text(),
        call=st.builds(
            Call,
            at=st.integers(0, 2**53),
            end=st.sampled_from(End),
            note=st.text(),
            count=st.integers(0, 9),
        ),
        state=st.sampled_from(StaffState),
        answered=st.integers(0, 2**53),
        over=st.integers(0, 2**53),
        to=st.text(),
    )
)
def test_a_card_is_no_answer_and_holds_only_our_own_tokens(lang: str, standing: Standing) -> None:
    text, blocks = look(standing, lang)
    heard = hear(text)
    assert heard is None or heard.event is None
    assert not starts_with_word(text)
    assert "<!channel>" not in text
    assert "\n" not in text
    assert json.loads(json.dumps(blocks)) == list(blocks)
