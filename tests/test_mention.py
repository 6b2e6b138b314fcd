"""The words of a mention, and how they are sent to a Slack that answers, fails, or only seems to answer."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.staff import Call, ClickType, StaffState
from shadows.telling import Mention, MentionKind, NotTold, Receipt
from slack_bridge.mention import expired_words, words
from slack_bridge.phrases import LANGUAGES
from slack_bridge.refusals import REFUSALS
from slack_bridge.tellers import BotTeller, Post, WebhookTeller
from slack_bridge.words import WORDS, hear, starts_with_word
from tests.fake_slack import BOT_TOKEN, WEBHOOK, FakeSlack

CALL = Call(id="01JD", booth="main", click=ClickType.SINGLE, at=1, count=1)
MENTION = Mention(
    kind=MentionKind.PRESS,
    thing="staff-hana",
    name="花 Hana",
    slack="U0HANA",
    booth="A & B hall",
    call=CALL,
    state=StaffState.CALLING,
    thread="1730520900.000001",
)
POSTED = [kind for kind in MentionKind if kind is not MentionKind.EXPIRED]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    until = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < until, threading.enumerate()
        time.sleep(0.01)


def webhook(slack: FakeSlack) -> WebhookTeller:
    return WebhookTeller(slack.url, "en")


def bot(slack: FakeSlack, token: str = BOT_TOKEN) -> BotTeller:
    return BotTeller(token, "C0BOOTH01", slack.api_url, "en")


def not_told(teller: WebhookTeller | BotTeller) -> NotTold:
    with pytest.raises(NotTold) as no:
        teller.tell(MENTION)
    return no.value


def refused_by_the_web_api(slack: FakeSlack, word: str) -> NotTold:
    slack.always(status=200, body=word)
    return not_told(bot(slack))


def test_a_call_is_told_with_who_where_and_how_to_answer() -> None:
    assert words(MENTION, "en") == (
        "<@U0HANA> 花 Hana, somebody is waiting for you at *A &amp; B hall*. "
        'Reply "ok" when on your way (the screen shows what you write after it), or "no" if you cannot come.'
    )
    assert words(MENTION, "ja").startswith("<@U0HANA> 花 Hanaさん、「A &amp; B hall」でお客様がお待ちです。")


def test_what_is_special_about_a_call_is_told() -> None:
    call = replace(CALL, click=ClickType.LONG, count=3)
    assert "(long press, pressed 3 times)" in words(replace(MENTION, call=call), "en")
    assert "（長押し、3回押されました）" in words(replace(MENTION, call=call), "ja")


def test_who_stands_in_hears_for_whom() -> None:
    handed = replace(MENTION, kind=MentionKind.HANDOVER, tried=("Sora", "<Riku>"))
    assert "please stand in for Sora, &lt;Riku&gt;:" in words(handed, "en")


def test_a_press_while_on_the_way_asks_only_whether_they_still_are() -> None:
    again = replace(MENTION, kind=MentionKind.AGAIN)
    assert "still waiting" in words(again, "en")
    assert "Reply" in words(again, "en")
    assert "still on your way?" in words(replace(again, state=StaffState.RUNNING), "en")


def test_with_nobody_left_the_channel_hears_who_was_asked() -> None:
    nobody = replace(MENTION, kind=MentionKind.NOBODY, tried=("Sora",))
    assert words(nobody, "en").startswith("<!here> ")
    assert "(Sora, 花 Hana)" in words(nobody, "en")


@pytest.mark.parametrize("slack_id", ["", "U1> <!channel", "u1"])
def test_who_has_no_slack_id_is_called_by_name_before_the_whole_channel(slack_id: str) -> None:
    assert words(replace(MENTION, slack=slack_id), "en").startswith("<!here> 花 Hana")
    cancelled = replace(MENTION, slack=slack_id, kind=MentionKind.CANCELLED)
    assert "<" not in words(cancelled, "en")


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
@given(
    kind=st.sampled_from(POSTED),
    name=st.sampled_from([word for each in WORDS.values() for word in each]) | st.text(),
    slack_id=st.sampled_from(["", "U0HANA"]),
    state=st.sampled_from(StaffState),
)
def test_a_mention_is_no_answer_and_holds_only_our_own_tokens(
    lang: str, kind: MentionKind, name: str, slack_id: str, state: StaffState
) -> None:
    mention = replace(MENTION, kind=kind, name=name, booth=name, slack=slack_id, state=state, tried=(name,))
    text = words(mention, lang)
    heard = hear(text)
    assert heard is None or heard.event is None
    assert not starts_with_word(text)
    assert text.count("<") <= 1
    assert "\n" not in text


def test_expired_calls_are_one_line() -> None:
    assert expired_words(1, "en") == "While we were not running, 1 call expired."
    assert expired_words(3, "ja") == "停止していた間に、3件の呼び出しが期限切れになりました。"


def test_a_webhook_takes_a_mention_and_an_expired_line(slack: FakeSlack) -> None:
    webhook(slack).tell(MENTION)
    webhook(slack).tell_expired(2)
    assert slack.texts == [words(MENTION, "en"), expired_words(2, "en")]


def test_a_bot_posts_to_its_channel_and_what_follows_into_the_thread(slack: FakeSlack) -> None:
    receipt = bot(slack).tell(replace(MENTION, thread=""))
    assert (slack.posts[0].channel, slack.posts[0].thread) == ("C0BOOTH01", "")
    assert receipt == Receipt(channel="C0BOOTH01", ts=slack.posts[0].ts)
    for kind in (MentionKind.AGAIN, MentionKind.REMIND, MentionKind.CANCELLED, MentionKind.PRESS):
        bot(slack).tell(replace(MENTION, kind=kind))
    bot(slack).tell(replace(MENTION, kind=MentionKind.NOBODY, colleagues=("U0SORA",)))
    assert [post.thread for post in slack.posts[1:]] == [MENTION.thread] * 5
    assert [post.blocks for post in slack.posts[1:]] == [()] * 5


def test_what_is_for_everybody_is_for_the_channel_for_in_a_thread_it_would_notify_nobody(
    slack: FakeSlack,
) -> None:
    bot(slack).tell(replace(MENTION, kind=MentionKind.NOBODY))
    bot(slack).tell(replace(MENTION, kind=MentionKind.REMIND, slack=""))
    assert [(post.thread, post.text[:7]) for post in slack.posts] == [("", "<!here>")] * 2


@pytest.mark.parametrize("word", ["invalid_blocks", "thread_not_found", "cannot_reply_to_message"])
@pytest.mark.parametrize("thread", ["", MENTION.thread])
def test_a_mention_that_slack_refuses_for_its_looks_or_its_thread_is_said_in_plain_words(
    slack: FakeSlack, word: str, thread: str
) -> None:
    slack.next(status=200, body=word)
    receipt = bot(slack).tell(replace(MENTION, thread=thread))
    assert receipt.ts == slack.posts[0].ts
    assert [(post.text, post.thread, post.blocks) for post in slack.posts] == [(words(MENTION, "en"), "", ())]


def test_a_bot_posts_the_rest_plainly(slack: FakeSlack) -> None:
    bot(slack).tell_expired(1)
    assert slack.texts[-1] == expired_words(1, "en")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("0", 0.0),
        (None, None),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e9", 3600.0),
    ],
)
def test_a_rate_limit_holds_the_channel_as_long_as_slack_says(
    slack: FakeSlack, header: str | None, seconds: float | None
) -> None:
    for teller in (webhook(slack), bot(slack)):
        slack.next(status=429, retry_after=header)
        no = not_told(teller)
        assert (no.retry_after_s, no.channel) == (seconds, True)
    assert slack.refused == 2
    assert slack.texts == []


@pytest.mark.parametrize(
    ("status", "body", "channel"),
    [
        *(
            (400, word, False)
            for word in ("invalid_payload", "user_not_found", "no_text", "too_many_attachments")
        ),
        (404, "user_not_found", False),
        (400, "a_word_of_tomorrow", False),
        (403, "<html>proxy</html>", False),
        *((404, word, True) for word in ("no_service", "channel_not_found")),
        *((403, word, True) for word in ("action_prohibited", "team_disabled", "invalid_token")),
        (410, "channel_is_archived", True),
        *((status, "", True) for status in (500, 502, 503)),
        (200, "<html>Welcome to our Wi-Fi</html>", True),
        (200, "OK", True),
    ],
)
def test_a_refusal_is_about_this_message_or_about_the_channel(
    slack: FakeSlack, status: int, body: str, channel: bool
) -> None:
    slack.next(status=status, body=body)
    assert not_told(webhook(slack)).channel is channel
    webhook(slack).tell(MENTION)  # it goes on


@pytest.mark.parametrize(
    ("word", "channel"),
    [("msg_too_long", False), ("thread_not_found", False), ("not_in_channel", True), ("ratelimited", True)],
)
def test_a_refusal_of_the_web_api_comes_with_status_200(slack: FakeSlack, word: str, channel: bool) -> None:
    slack.always(status=200, body=word)
    no = not_told(bot(slack))
    assert no.channel is channel
    assert word in no.reason


@pytest.mark.parametrize("word", sorted(word for word, refusal in REFUSALS.items() if refusal.fix))
def test_what_slack_refuses_for_good_comes_with_what_to_do(slack: FakeSlack, word: str) -> None:
    slack.next(status=403, body=word)
    for no in (not_told(webhook(slack)), refused_by_the_web_api(slack, word)):
        assert (no.word, no.channel, no.fix) == (word, REFUSALS[word].channel, REFUSALS[word].fix)


def test_a_fix_is_one_sentence_and_what_passes_by_itself_needs_none() -> None:
    fixes = {refusal.fix for refusal in REFUSALS.values()} - {""}
    assert all(fix[0].isupper() and fix.endswith(".") and fix.count(". ") == 0 for fix in fixes)
    passing = {word for word, refusal in REFUSALS.items() if not refusal.fix}
    assert {"rate_limited", "ratelimited", "rollup_error", "internal_error"} < passing
    assert not passing & {"invalid_auth", "no_service", "user_not_found"}


@pytest.mark.parametrize("status", [404, 410])
def test_an_address_where_nothing_is_has_to_be_mended(slack: FakeSlack, status: int) -> None:
    for teller in (webhook(slack), bot(slack)):
        slack.next(status=status, body="<html>gone</html>")
        no = not_told(teller)
        assert (no.channel, no.word, "SLACK_WEBHOOK_URL" in no.fix) == (True, "", True)


@pytest.mark.parametrize(
    "how",
    [
        {"status": 429, "retry_after": "1"},
        {"status": 500},
        {"status": 503, "body": "no_service"},
        {"status": 400, "body": "a_word_of_tomorrow"},
        {"status": 200, "body": "<html>Welcome to our Wi-Fi</html>"},
        {"drop": True},
    ],
)
def test_what_may_pass_has_no_fix(slack: FakeSlack, how: dict[str, Any]) -> None:
    slack.next(**how)
    assert not_told(webhook(slack)).fix == ""


def test_a_bot_that_waits_for_its_turn_has_nothing_to_mend(slack: FakeSlack) -> None:
    teller = bot(slack)
    slack.next(status=429, retry_after="30")
    assert [not_told(teller).fix for _ in range(2)] == ["", ""]


def test_a_wrong_bot_token_is_about_the_channel(slack: FakeSlack) -> None:
    no = not_told(bot(slack, token="xoxb-wrong-secret"))
    assert no.channel
    assert "invalid_auth" in no.reason


def test_a_connection_that_breaks_holds_the_channel(slack: FakeSlack) -> None:
    for teller in (webhook(slack), bot(slack)):
        slack.next(drop=True)
        assert not_told(teller).channel


def test_nobody_there_holds_the_channel() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for teller in (
            WebhookTeller(f"http://127.0.0.1:{port}{WEBHOOK}", "en"),
            BotTeller(BOT_TOKEN, "C0", f"http://127.0.0.1:{port}/api/", "en"),
        ):
            no = not_told(teller)
            assert no.channel
            assert no.reason == "Slack is not reached: ConnectionRefusedError"


@pytest.mark.parametrize("how", [{"hang_s": 30}, {"trickle_s": 2.5}])
def test_a_slack_that_hardly_answers_is_left_after_three_seconds(
    slack: FakeSlack, how: dict[str, float]
) -> None:
    slack.next(**how)
    slack.next(**how)
    kinds: list[NotTold] = []
    both = [
        threading.Thread(target=lambda teller: kinds.append(not_told(teller)), args=(teller,))
        for teller in (webhook(slack), bot(slack))
    ]
    began = time.monotonic()
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert time.monotonic() - began < 5
    assert [no.channel for no in kinds] == [True, True]
    slack.__exit__()


def test_no_secret_is_in_an_error_or_in_the_log(slack: FakeSlack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = [str(not_told(WebhookTeller(f"ftp://hooks/{WEBHOOK}", "en")))]
    said.append(str(not_told(WebhookTeller(f"http://127.0.0.1:x{WEBHOOK}", "en"))))
    for how in ({"status": 500}, {"drop": True}, {"status": 400, "body": WEBHOOK}, {"status": 429}):
        for teller in (webhook(slack), bot(slack)):
            slack.next(**how)
            said.append(str(not_told(teller)))
    webhook(slack).tell(MENTION)
    bot(slack).tell(MENTION)
    assert "secret" not in " ".join(said) + caplog.text


def test_an_answer_that_cannot_be_posted_is_a_line_in_the_log(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.next(status=500)
    bot(slack).say(Post(channel="C1", text="Thank you", thread="1.2"))
    assert "An answer could not be posted: Slack answered 500" in caplog.text
    bot(slack).say(Post(channel="C1", text="Thank you", thread="1.2"))
    assert [(post.channel, post.thread, post.text) for post in slack.posts] == [("C1", "1.2", "Thank you")]


def test_answers_keep_to_a_message_a_second_and_wait_as_long_as_slack_asks(slack: FakeSlack) -> None:
    teller = bot(slack)
    slack.next()
    slack.next(status=429, retry_after="1.5")
    for text in ("one", "two"):
        teller.say(Post(channel="C0BOOTH01", text=text))
    assert slack.texts == ["one", "two"]
    first, second = slack.posts
    assert second.at - first.at >= 2.4  # a second's pace, and then what Slack asked for


def test_a_mention_does_not_wait_out_what_slack_asked_for_it_says_how_long(slack: FakeSlack) -> None:
    teller = bot(slack)
    slack.next(status=429, retry_after="30")
    assert not_told(teller).retry_after_s == 30
    held = not_told(teller)
    assert held.channel
    assert 28 < (held.retry_after_s or 0) <= 30
    assert slack.refused == 1
