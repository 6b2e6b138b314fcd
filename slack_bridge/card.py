"""What a call's card shows: words, and Block Kit with the buttons that mean something now. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from shadows.cards import Standing
from shadows.shadow import JsonObject
from shadows.staff import NEXT, UNANSWERED, End, StaffState
from shadows.telling import Mention, MentionKind
from slack_bridge.mention import words
from slack_bridge.phrases import Phrases, phrases
from slack_bridge.words import escaped, hear

SECTION_LENGTH: Final = 3000  # of a text in a block; Slack refuses what is longer

Blocks = tuple[JsonObject, ...]


def announced(mention: Mention) -> Standing:
    """How a call stands when it is announced."""
    return Standing(
        name=mention.name,
        slack=mention.slack,
        booth=mention.booth,
        call=mention.call,
        state=mention.state,
        tried=mention.tried,
        along=mention.along,
    )


def look(standing: Standing, lang: str) -> tuple[str, Blocks]:
    """The words of a card, which notifications show too, and its blocks; none, if the words are too long for one.

    Source: docs.slack.dev, Block Kit; formatting message text, dates.
    """
    say = phrases(lang)
    text = _words(say, standing, lang)
    if len(text) > SECTION_LENGTH:
        return text, ()
    times, buttons = say.dot.join(_times(say, standing)), list(_buttons(say, standing.state))
    blocks: list[JsonObject] = [{"type": "section", "text": _mrkdwn(text)}]
    if times:
        blocks.append({"type": "context", "elements": [_mrkdwn(times)]})
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return text, tuple(blocks)


def _mrkdwn(text: str) -> JsonObject:
    return {"type": "mrkdwn", "text": text}


def _words(say: Phrases, standing: Standing, lang: str) -> str:
    if standing.state is StaffState.CALLING:
        return words(_mention(standing), lang)
    # An arrow first, for a name may be a word that we know ourselves.
    return f"→ {_news(say, standing)}".format(
        name=escaped(standing.name),
        booth=escaped(standing.booth) or say.nameless_booth,
        note=say.said.format(note=escaped(standing.call.note)) if standing.call.note else "",
        to=escaped(standing.to),
    )


def _news(say: Phrases, standing: Standing) -> str:
    end = standing.call.end
    if standing.state is StaffState.RUNNING:
        return say.on_the_way
    if end not in say.over:
        return say.forgotten
    if standing.to:
        return say.taken_over if end is End.UNAVAILABLE else say.over[end] + say.went_to
    return say.over[end] + (say.nobody_has_it if end in UNANSWERED else "")


def _mention(standing: Standing) -> Mention:
    """What was said when the call came, by what is so now."""
    return Mention(
        kind=MentionKind.HANDOVER if standing.tried else MentionKind.PRESS,
        thing="",
        name=standing.name,
        slack=standing.slack,
        booth=standing.booth,
        call=standing.call,
        state=standing.state,
        tried=standing.tried,
        along=standing.along,
    )


def _times(say: Phrases, standing: Standing) -> Iterator[str]:
    began = standing.call.at
    if not began:
        return
    yield say.waits_since.format(date=date(began))
    if standing.answered:
        yield say.waited.format(time=_lasted(say, standing.answered - began))
    if standing.over and standing.call.end is not End.EXPIRED:
        yield say.took.format(time=_lasted(say, standing.over - began))


def date(ms: int) -> str:
    """A time of day, to each reader in their own zone."""
    fallback = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ms // 1000 % 86_400)).strftime(
        "%H:%M UTC"
    )
    return f"<!date^{ms // 1000}^{{time}}|{fallback}>"


def _lasted(say: Phrases, ms: int) -> str:
    m, s = divmod(max(0, round(ms / 1000)), 60)
    h, minutes = divmod(m, 60)
    if h:
        return say.hours.format(h=h, m=minutes)
    return say.minutes.format(m=m, s=s) if m else say.seconds.format(s=s)


def _buttons(say: Phrases, state: StaffState) -> Iterator[JsonObject]:
    """Those that the rule book knows in this state; their values are what one would write."""
    for value, label in say.buttons.items():
        heard = hear(value)
        if heard and heard.event and (state, heard.event) in NEXT and state is not StaffState.IDLE:
            button = {"type": "button", "action_id": value.replace(" ", "-"), "value": value}
            style = {"style": "primary"} if value == "ok" else {}
            yield {**button, **style, "text": {"type": "plain_text", "text": label}}
