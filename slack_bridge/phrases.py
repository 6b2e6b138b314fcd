"""Everything that we say in Slack, a column a language. No sentence starts with a word that we know ourselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shadows.staff import CallEvent, ClickType, End, StaffState


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """What we say in one language. Names in braces are filled in, escaped.

    Attributes:
        called, stand_in, again, again_running, remind, nobody, cancelled: a mention. ``who`` is a mention or a name,
            ``booth`` a title, ``detail`` what is special, ``asked`` the names of those asked before.
        how_to_answer: what one may reply; ``first_goes`` may follow, where several were called at once.
        clicks: a press that is not a single one.
        presses: more than one.
        expired_one, expired: after an outage.
        duty, duty_begins, duty_over: when it changes; ``before`` are names, ``after`` mentions.
        answers: what we say back, by what was said and what the person was asked to do then.
        note, thread, handed_over, nobody_else: may follow an answer.
        noted: to who is on the way and wrote one more note.
        quicker: to a volunteer, when another one goes already.
        another: to who pressed a button of a call that they have not, or not any more.
        buttons: below a card, by what one says with it.
        on_the_way, over, forgotten: what a card says once the call was answered; by how it was over; of a call of which
            nothing else is known any more. ``note`` stands behind the first.
        went_to, nobody_has_it: may follow how it was over.
        taken_over: in place of how it was over, of a call that another took while this person could have.
        waits_since, waited, took: of a card; ``date`` is Slack's own.
        dot: stands between those.
        seconds, minutes, hours: how long something took.
        states, until, more, no_staff: of everybody, by what they are asked to do; ``until`` may follow "away".
        away_until: to who goes away for a time.
        called_now, too_many, which, nobody_of_that_name: to who calls somebody.
        doubtful, stranger: when we did not understand what, or whom.
        unclear: as doubtful, of what the screen shows.
    """

    called: str
    stand_in: str
    again: str
    again_running: str
    remind: str
    nobody: str
    cancelled: str
    how_to_answer: str
    first_goes: str
    nameless_booth: str
    clicks: Mapping[ClickType, str]
    presses: str
    brackets: str
    comma: str
    expired_one: str
    expired: str
    duty: str
    duty_begins: str
    duty_over: str
    answers: Mapping[tuple[CallEvent, StaffState], str]
    note: str
    noted: str
    thread: str
    handed_over: str
    nobody_else: str
    quicker: str
    doubtful: str
    unclear: str
    stranger: str
    another: str
    buttons: Mapping[str, str]
    on_the_way: str
    said: str
    over: Mapping[End, str]
    forgotten: str
    went_to: str
    taken_over: str
    nobody_has_it: str
    waits_since: str
    waited: str
    took: str
    dot: str
    seconds: str
    minutes: str
    hours: str
    states: Mapping[StaffState, str]
    until: str
    more: str
    no_staff: str
    away_until: str
    called_now: str
    too_many: str
    which: str
    nobody_of_that_name: str


_E, _S = CallEvent, StaffState


def _answers(
    *,
    on_the_way: str,
    on_the_way_already: str,
    nobody_waits: str,
    you_are_away: str,
    cannot: str,
    done: str,
    away: str,
    away_already: str,
    back: str,
    here_already: str,
) -> Mapping[tuple[CallEvent, StaffState], str]:
    return {
        (_E.OK, _S.IDLE): nobody_waits,
        (_E.OK, _S.CALLING): on_the_way,
        (_E.OK, _S.RUNNING): on_the_way_already,
        (_E.OK, _S.AWAY): you_are_away,
        (_E.NO, _S.IDLE): nobody_waits,
        (_E.NO, _S.CALLING): cannot,
        (_E.NO, _S.RUNNING): cannot,
        (_E.NO, _S.AWAY): you_are_away,
        (_E.DONE, _S.IDLE): nobody_waits,
        (_E.DONE, _S.CALLING): done,
        (_E.DONE, _S.RUNNING): done,
        (_E.DONE, _S.AWAY): you_are_away,
        (_E.AWAY, _S.IDLE): away,
        (_E.AWAY, _S.CALLING): away,
        (_E.AWAY, _S.RUNNING): away,
        (_E.AWAY, _S.AWAY): away_already,
        (_E.BACK, _S.IDLE): here_already,
        (_E.BACK, _S.CALLING): here_already,
        (_E.BACK, _S.RUNNING): here_already,
        (_E.BACK, _S.AWAY): back,
    }


EN: Final = Phrases(
    called="{who} {name}, somebody is waiting for you at *{booth}*{detail}. {how}",
    stand_in="{who} {name}, please stand in for {asked}: somebody is waiting at *{booth}*{detail}. {how}",
    again="{who} {name}, they are still waiting at *{booth}*{detail}. {how}",
    again_running="{who} {name}, they pressed again at *{booth}*{detail}: still on your way?",
    remind="{who} {name}, you have not answered yet, and somebody is waiting at *{booth}*{detail}. {how}",
    nobody="{who} Somebody is waiting at *{booth}*{detail}, and nobody who was asked can come ({asked}). Who goes? "
    'Reply "ok" if you do.',
    cancelled="{who} {name}, the visitor at *{booth}* does not wait any more. You need not go.",
    how_to_answer='Reply "ok" when on your way (the screen shows what you write after it), or "no" if you cannot come.',
    first_goes=" Who says ok first goes.",
    nameless_booth="the booth",
    clicks={ClickType.DOUBLE: "double press", ClickType.LONG: "long press"},
    presses="pressed {count} times",
    brackets=" ({})",
    comma=", ",
    expired_one="While we were not running, 1 call expired.",
    expired="While we were not running, {count} calls expired.",
    duty="Duty at *{booth}* changes: {before} → {after}.",
    duty_begins="Duty at *{booth}*: {after} from now on.",
    duty_over="Duty at *{booth}*: the time of {before} is over, and nobody comes next. Calls go to who was last.",
    answers=_answers(
        on_the_way="Thank you, {name}. The screen says that you are on your way.",
        on_the_way_already='You are on your way already, {name}. Write "done" when you have finished.',
        nobody_waits="There is nobody waiting for you right now, {name}.",
        you_are_away='You are set to away, {name}. Write "back" when people may call you again.',
        cannot="Understood, {name}.",
        done="Thank you, {name}. The call is over.",
        away='From now on {name} is away and will not be called. Write "back" to return.',
        away_already='You are set to away already, {name}. Write "back" to return.',
        back="Welcome, {name}. People can call you again.",
        here_already="You are not set to away, {name}: people can call you.",
    ),
    note=' It also says: "{note}"',
    noted='The screen now says: "{note}"',
    thread=" What you write in this thread until you are done is shown there, too.",
    handed_over=" {to} is asked instead.",
    nobody_else=" There is nobody else to ask: the channel is told.",
    quicker="Thank you, {name}. {to} is on the way already.",
    doubtful="Sorry, that was not clear to me, so nothing has changed, and the screen shows nothing of it. These words start an answer: *ok* (5 minutes), *no*, "
    "*done*, *away*, *back*.",
    unclear='Sorry, that was not clear to me as an answer, so I only show it to the visitor: "{note}". These words start an answer: '
    "*ok* (5 minutes), *no*, *done*, *away*, *back*.",
    stranger="Sorry, I do not know you yet. Please ask whoever looks after the staff list to add your Slack id.",
    another="That is another call than yours, {name}, so nothing has changed.",
    buttons={"ok": "On my way", "ok 5 min": "5 minutes", "no": "Can't come", "done": "Done"},
    on_the_way="{name} is on the way to *{booth}*{note}.",
    said=': "{note}"',
    over={
        End.DONE: "{name} has been at *{booth}*.",
        End.ENDED: "{name} went to *{booth}*, and the call is over.",
        End.CANCELLED: "The visitor at *{booth}* does not wait any more: {name} need not go.",
        End.MISSED: "{name} did not answer the call of *{booth}*.",
        End.REFUSED: "{name} cannot come to *{booth}*.",
        End.UNAVAILABLE: "{name} could not take the call of *{booth}*.",
        End.EXPIRED: "The call of *{booth}* expired before {name} could answer.",
    },
    forgotten="This call for {name} is over.",
    went_to=" The call went to {to}.",
    taken_over="{to} took the call of *{booth}*, in place of {name}.",
    nobody_has_it=" Nobody was left to ask.",
    waits_since="Since {date}",
    waited="answered after {time}",
    took="over after {time}",
    dot=" · ",
    seconds="{s} s",
    minutes="{m} min {s} s",
    hours="{h} h {m} min",
    states={
        _S.CALLING: "• {name}: called to *{booth}* since {date}",
        _S.RUNNING: "• {name}: on the way to *{booth}* since {date}",
        _S.AWAY: "• {name}: away since {date}",
        _S.IDLE: "• {name}: free",
    },
    until=", back at {date}",
    more="… and {count} more.",
    no_staff="There is nobody on the staff list yet.",
    away_until='{name} is away until {date} and will not be called. Write "back" to return sooner.',
    called_now="{name} is called to *{booth}*.",
    too_many="So many booths wait for {name} already that no more can.",
    which="Who of them do you mean: {names}?",
    nobody_of_that_name="I know nobody of the name {name}.",
)

JA: Final = Phrases(
    called="{who} {name}さん、「{booth}」でお客様がお待ちです{detail}。{how}",
    stand_in="{who} {name}さん、{asked}さんの代わりに「{booth}」へお願いします。お客様がお待ちです{detail}。{how}",
    again="{who} {name}さん、「{booth}」でお客様がまだお待ちです{detail}。{how}",
    again_running="{who} {name}さん、「{booth}」でもう一度ボタンが押されました{detail}。",
    remind="{who} {name}さん、お返事がまだありません。「{booth}」でお客様がお待ちです{detail}。{how}",
    nobody="{who} 「{booth}」でお客様がお待ちですが{detail}、{asked}さんは対応できません。どなたか行けますか？"
    "行く方は「ok」と返信してください。",
    cancelled="{who} {name}さん、「{booth}」のお客様が呼び出しを取り消しました。行かなくて大丈夫です。",
    how_to_answer="向かうときは「ok」（続けて書いた言葉は画面に出ます）、行けないときは「no」と返信してください。",
    first_goes="先に「ok」と答えた人が向かいます。",
    nameless_booth="ブース",
    clicks={ClickType.DOUBLE: "2回押し", ClickType.LONG: "長押し"},
    presses="{count}回押されました",
    brackets="（{}）",
    comma="、",
    expired_one="停止していた間に、1件の呼び出しが期限切れになりました。",
    expired="停止していた間に、{count}件の呼び出しが期限切れになりました。",
    duty="「{booth}」の当番が交代しました：{before} → {after}",
    duty_begins="「{booth}」の当番：いまから{after}さんです。",
    duty_over="「{booth}」の{before}さんの当番が終わり、次の当番はいません。呼び出しは最後の当番に届きます。",
    answers=_answers(
        on_the_way="ありがとうございます、{name}さん。画面に「向かっています」と表示しました。",
        on_the_way_already="すでに向かっていると表示しています、{name}さん。終わったら「done」と書いてください。",
        nobody_waits="いまお待ちの方はいません、{name}さん。",
        you_are_away="いまは離席中です、{name}さん。呼び出しを受けるには「back」と書いてください。",
        cannot="お返事ありがとうございます、{name}さん。",
        done="お疲れさまでした、{name}さん。この呼び出しは終了です。",
        away="これで{name}さんは離席中になり、呼び出されません。戻ったら「back」と書いてください。",
        away_already="すでに離席中です、{name}さん。戻ったら「back」と書いてください。",
        back="おかえりなさい、{name}さん。呼び出しを受けられます。",
        here_already="いまは離席中ではありません、{name}さん。呼び出しを受けられます。",
    ),
    note="続けて「{note}」と出ています。",
    noted="画面に「{note}」と表示しました。",
    thread="終わるまで、このスレッドに書いたことも画面に出ます。",
    handed_over="代わりに{to}さんを呼んでいます。",
    nobody_else="ほかに呼べる人がいないため、チャンネル全体に知らせます。",
    quicker="ありがとうございます、{name}さん。すでに{to}さんが向かっています。",
    doubtful="すみません、はっきりしなかったので何も変えず、画面にも出していません。返事は次の言葉で始めてください："
    "*ok*（5分で など）、*no*、*done*、*away*、*back*。",
    unclear="すみません、返事かどうかはっきりしなかったので、画面に「{note}」と表示しただけです。返事は次の言葉で始めてください："
    "*ok*（5分で など）、*no*、*done*、*away*、*back*。",
    stranger="すみません、まだ名簿にありません。担当者に、あなたの Slack ID の登録を頼んでください。",
    another="これは{name}さんのいまの呼び出しではないため、何も変えていません。",
    buttons={"ok": "向かいます", "ok 5分": "5分で行きます", "no": "行けません", "done": "完了"},
    on_the_way="{name}さんが「{booth}」に向かっています{note}。",
    said="（「{note}」）",
    over={
        End.DONE: "{name}さんが「{booth}」の対応を終えました。",
        End.ENDED: "{name}さんが「{booth}」に向かい、この呼び出しは終了しました。",
        End.CANCELLED: "「{booth}」のお客様が呼び出しを取り消しました。{name}さんは行かなくて大丈夫です。",
        End.MISSED: "{name}さんから「{booth}」の呼び出しへの返事がありませんでした。",
        End.REFUSED: "{name}さんは「{booth}」に行けません。",
        End.UNAVAILABLE: "{name}さんは「{booth}」の呼び出しを受けられませんでした。",
        End.EXPIRED: "{name}さんが答える前に、「{booth}」の呼び出しは期限切れになりました。",
    },
    forgotten="{name}さんへのこの呼び出しは終了しました。",
    went_to="呼び出しは{to}さんに移りました。",
    taken_over="「{booth}」の呼び出しは、{name}さんに代わって{to}さんが受けました。",
    nobody_has_it="ほかに呼べる人がいませんでした。",
    waits_since="{date}から",
    waited="返事まで{time}",
    took="終了まで{time}",
    dot="・",
    seconds="{s}秒",
    minutes="{m}分{s}秒",
    hours="{h}時間{m}分",
    states={
        _S.CALLING: "• {name}さん：{date}から「{booth}」に呼び出し中",
        _S.RUNNING: "• {name}さん：{date}から「{booth}」に向かっています",
        _S.AWAY: "• {name}さん：{date}から離席中",
        _S.IDLE: "• {name}さん：対応できます",
    },
    until="、{date}に戻ります",
    more="… ほか{count}人",
    no_staff="名簿にはまだだれもいません。",
    away_until="{name}さんは{date}まで離席中になり、呼び出されません。早く戻ったら「back」と書いてください。",
    called_now="{name}さんを「{booth}」に呼んでいます。",
    too_many="{name}さんを待っているブースが多すぎるため、これ以上は呼べません。",
    which="どなたですか：{names}",
    nobody_of_that_name="{name}という名前の人は名簿にありません。",
)

LANGUAGES: Final[Mapping[str, Phrases]] = {"ja": JA, "en": EN}


def phrases(lang: str) -> Phrases:
    """What we say in a language (``STAFFCALL_LANG``); in English if it is none of ours."""
    return LANGUAGES.get(lang, EN)
