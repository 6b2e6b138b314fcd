"""What a text says, and who said it: the words, and Slack's own forms and events."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.errors import Rejected
from shadows.staff import CallEvent
from slack_bridge.reply import BODY_LIMIT, Reply, document, fields
from slack_bridge.words import NOTE_LENGTH, WORDS, Heard, escaped, hear

PAYLOADS = Path(__file__).parent / "payloads"
TOKEN = "X" * 24
OK, NO, DONE, AWAY, BACK = CallEvent.OK, CallEvent.NO, CallEvent.DONE, CallEvent.AWAY, CallEvent.BACK


def form(name: str) -> bytes:
    return (PAYLOADS / f"slack_{name}.form").read_bytes()


def event(name: str) -> dict[str, object]:
    return dict(json.loads((PAYLOADS / f"slack_events_{name}.json").read_text()))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("ok", ""),
        ("OK!", ""),
        ("ＯＫ！", ""),
        ("ＯＫ　了解です", "了解です"),
        ("  ok \n", ""),
        ("\nok\n", ""),
        ("okay", ""),
        ("o.k. 5 min", "5 min"),
        ("ok, 5 minutes", "5 minutes"),
        ("ok 5分で行きます", "5分で行きます"),
        ("ok5分で", "5分で"),
        ("okです", ""),
        ("OK今行きます", "今行きます"),
        ("おk", ""),
        ("オッケー！", ""),
        ("ｵｯｹｰです", ""),
        ("𝐨𝐤 soon", "soon"),
        ("了解", ""),
        ("了解しました。", ""),
        ("了解です、5分で", "5分で"),
        ("リョウカイ", ""),
        ("承知いたしました", ""),
        ("今行きます！", ""),
        ("on my way", ""),
        ("*ok*", ""),
        ("_ok_ soon", "soon"),
        ("👍 ok", ""),
        (":+1::skin-tone-3: ok :pray: soon", "soon"),
        ("ok👍", "👍"),
        ("ok -- (5 min)", "5 min"),
        ("ok 12:30:45", "12:30:45"),
        ("ok, is it urgent?", "is it urgent?"),
        ("\u200bok", ""),
    ],
)
def test_this_is_an_ok_and_the_rest_is_its_note(text: str, note: str) -> None:
    assert hear(text) == Heard(event=OK, note=note)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        *(
            (text, NO)
            for text in ("no", "No.", "ＮＯ！！", "no 🙏", "無理", "無理です。", "ムリ", "行けません", "NG")
        ),
        *(
            (text, DONE)
            for text in ("done", "Done!", "done, thanks", "完了", "完了しました", "終わりました。")
        ),
        *(
            (text, AWAY)
            for text in ("away", "away, lunch", "離席", "離席します", "退席中です", "休憩に入ります")
        ),
        *(
            (text, BACK)
            for text in ("back", "I'm back", "I’m back!", "戻りました", "戻りましたー", "復帰しました")
        ),
    ],
)
def test_this_is_an_answer_without_a_note(text: str, event: CallEvent) -> None:
    assert hear(text) == Heard(event=event)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "not ok",
            "it is ok",
            "ok?",
            "ＯＫ？",
            "ok-ish",
            "~ok~",
            "&gt; ok",
            "&lt;ok&gt;",
            "<@U0STAFF02> ok",
        ),
        *(
            "了解できません",
            "了解ですか",
            "了解しましたが",
            "行きますか",
            "okじゃない",
            "okではありません",
            "すみません、了解です",
        ),
        *("no problem", "no, thank you", "no?", "no 1", "無理しないで", "無理ではない"),
        *("done with lunch", "done?", "完了していません", "完了しましたか"),
        *(
            "away from my desk",
            "离席 away",
            "離席から",
            "back in 5",
            "back, in 5 minutes",
            "戻りましたら",
            "I will be back",
        ),
    ],
)
def test_this_is_doubtful(text: str) -> None:
    assert hear(text) == Heard(event=None)


@pytest.mark.parametrize(
    "text", ["", " ", "okinawa", "nothing", "Nori", "backup", "awayday", "hello", "ok_go", "お昼です", ":ok:"]
)
def test_this_is_no_answer_at_all(text: str) -> None:
    assert hear(text) is None


@pytest.mark.parametrize(
    ("event", "word"), [(event, word) for event, words in WORDS.items() for word in words]
)
def test_every_word_is_heard_as_its_own_kind(event: CallEvent, word: str) -> None:
    assert hear(f" {word.upper()}！") == Heard(event=event)


def test_a_note_holds_what_was_typed_and_no_token_of_slack() -> None:
    reply = Reply.from_form(form("outgoing_escaped"), token=TOKEN)
    assert reply is not None
    assert hear(reply.text) == Heard(event=OK, note="A & B <3 >")
    assert hear("ok b &amp;lt; c") == Heard(event=OK, note="b &lt; c")
    assert hear("ok &lt;@U0STAFF02&gt;") == Heard(event=OK, note="<@U0STAFF02>")


def test_a_note_loses_control_characters_and_stays_on_one_line() -> None:
    assert hear("ok\x00 a\x07b\r\nc\u202ed\ud800") == Heard(event=OK, note="a b c d")


@pytest.mark.parametrize(
    ("tail", "kept"),
    [("x" * 50, NOTE_LENGTH), ("か\u3099" * 50, NOTE_LENGTH - 1), ("👩\u200d👩\u200d👧" * 20, 136)],
)
def test_a_note_is_at_most_140_characters_and_cuts_no_letter_in_two(tail: str, kept: int) -> None:
    heard = hear("ok " + "a" * 131 + tail)
    assert heard is not None
    assert len(heard.note) == kept
    assert heard.note == ("a" * 131 + tail)[:kept]


@given(st.text())
def test_no_text_breaks_the_ear(text: str) -> None:
    heard = hear(f"ok {text}")
    assert heard is None or len(heard.note) <= NOTE_LENGTH
    assert hear(text) is None or hear(text)


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=0x7F), min_size=1))
def test_a_longer_latin_word_is_never_one_of_ours(rest: str) -> None:
    heard = hear(f"q{rest}ok")
    assert heard is None


def test_somebodys_text_makes_no_mention_and_no_second_line() -> None:
    assert escaped("<!channel> A & B\n<@U1>") == "&lt;!channel&gt; A &amp; B &lt;@U1&gt;"


def test_a_form_says_who_wrote_what_and_where() -> None:
    assert Reply.from_form(form("outgoing_ok"), token=TOKEN) == Reply(
        channel="C0BOOTH01",
        user="U0STAFF01",
        text="ok 5分で行きます",
        id="1730520930.002400",
        addressed=True,
    )
    plain = Reply.from_form(form("outgoing_no_trigger"), token=TOKEN)
    assert plain is not None
    assert not plain.addressed
    threaded = Reply.from_form(form("outgoing_thread"), token=TOKEN)
    assert threaded is not None
    assert threaded.thread == "1730520920.000100"


def test_a_trigger_word_that_is_none_of_our_words_only_calls_us() -> None:
    body = form("outgoing_no_trigger").replace(b"text=", b"trigger_word=bot:&text=bot:")
    reply = Reply.from_form(body, token=TOKEN)
    assert reply is not None
    assert hear(reply.text) == Heard(event=OK, note="5分で行きます")
    assert reply.addressed


def test_what_a_bot_wrote_is_nobodys_reply() -> None:
    assert Reply.from_form(form("outgoing_from_bot"), token=TOKEN) is None
    assert Reply.from_form(form("outgoing_ok") + b"&bot_id=B1", token=TOKEN) is None
    slackbot = form("outgoing_ok").replace(b"user_id=U0STAFF01", b"user_id=USLACKBOT")
    assert Reply.from_form(slackbot, token=TOKEN) is None
    for name in ("bot_message_legacy", "bot_message_new_app", "message_changed"):
        assert Reply.from_event(event(name)) is None, name
    assert Reply.from_event({"event": {**dict(event("message"))["event"], "user": "USLACKBOT"}}) is None  # type: ignore[dict-item]
    assert Reply.from_event({"event": {"type": "reaction_added"}}) is None
    assert Reply.from_event({}) is None


def test_one_message_has_one_key_by_whichever_door_it_comes() -> None:
    by_webhook = Reply.from_form(form("outgoing_no_trigger"), token=TOKEN)
    as_event = Reply.from_event(event("message"))
    assert by_webhook is not None
    assert as_event is not None
    assert by_webhook.key == as_event.key


def test_a_mention_of_our_bot_is_addressed_to_us_and_no_part_of_the_text() -> None:
    reply = Reply.from_event(event("app_mention"))
    assert reply is not None
    assert reply.addressed
    assert hear(reply.text) == Heard(event=OK, note="了解")


@pytest.mark.parametrize("token", ["", "wrong", "X" * 23, "Ｘ" * 24])
def test_a_wrong_token_is_refused(token: str) -> None:
    with pytest.raises(Rejected) as no:
        Reply.from_form(form("outgoing_ok"), token=token)
    assert no.value.code == 401
    assert "X" * 23 not in no.value.message


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", 401, "token"),
        (b'{"token": "x"}', 401, "token"),
        (urlencode({"token": TOKEN}).encode(), 400, "channel_id, timestamp, user_id, text"),
        (form("outgoing_ok").replace(b"user_id=U0STAFF01", b"user_id="), 400, "user_id"),
        (form("outgoing_ok") + b"&x=%FF", 400, "UTF-8"),
        (form("outgoing_ok") + b"&x=\xff", 400, "UTF-8"),
        (b"&".join([b"a=1"] * 1000), 400, "form"),
        (b"a" * (BODY_LIMIT + 1), 413, "65536"),
    ],
)
def test_a_form_that_is_none_is_refused_in_words(body: bytes, code: int, says: str) -> None:
    with pytest.raises(Rejected, match=says) as no:
        Reply.from_form(body, token=TOKEN)
    assert no.value.code == code


@pytest.mark.parametrize("field", ["channel", "user", "text", "ts"])
def test_an_event_with_a_field_of_another_kind_is_refused_naming_it(field: str) -> None:
    payload = json.loads((PAYLOADS / "slack_events_message.json").read_text())
    payload["event"][field] = 5
    with pytest.raises(Rejected, match=f"{field}: expected a string, got int"):
        Reply.from_event(payload)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 60_000, b"1" * (BODY_LIMIT + 1)])
def test_a_document_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected) as no:
        document(body)
    assert no.value.code in (400, 413)


def test_a_command_says_its_own_word_or_its_text() -> None:
    ok = Reply.from_command(fields(form("slash")))
    assert ok.text == "ok booth-a 5分"
    assert Reply.from_command({**fields(form("slash")), "command": "/call", "text": "away"}).text == "away"
    with pytest.raises(Rejected, match="trigger_id"):
        Reply.from_command({**fields(form("slash")), "trigger_id": ""})


def test_a_button_under_a_message_says_its_value() -> None:
    payload = json.loads(fields(form("interactive_block_actions"))["payload"])
    payload["actions"][0]["value"] = "ok 5 min"
    reply = Reply.from_action(payload)
    assert reply == Reply(
        channel="C0BOOTH01",
        user="U0STAFF01",
        text="ok 5 min",
        id="1730520926.000100:1730520930.111111",
        thread="1730520926.000100",
        about="1730520926.000100",
    )
    assert Reply.from_action({"type": "view_submission"}) is None
    with pytest.raises(Rejected, match="user: expected a JSON object"):
        Reply.from_action({**payload, "user": "U0STAFF01"})
