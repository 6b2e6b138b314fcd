"""The words of a mention. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from shadows.staff import StaffState
from shadows.telling import Mention, MentionKind
from slack_bridge.phrases import Phrases, phrases
from slack_bridge.words import escaped

EVERYBODY: Final = "<!here>"
SLACK_ID: Final = re.compile(r"[UW][A-Z0-9]{1,30}")


def words(mention: Mention, lang: str) -> str:
    """What is posted about a call; it starts with whom it is for.

    Who has no Slack id is called by name, and the channel with them: somebody must be reached.
    """
    say = phrases(lang)
    return _sentence(say, mention).format(
        who=_who(mention),
        name=escaped(mention.name),
        booth=escaped(mention.booth) or say.nameless_booth,
        detail=_detail(say, mention),
        asked=say.comma.join(map(escaped, _asked(mention))),
        how=say.how_to_answer + (say.first_goes if mention.along else ""),
    )


def expired_words(count: int, lang: str) -> str:
    """One line for all the calls that expired while nothing ran."""
    say = phrases(lang)
    return say.expired_one if count == 1 else say.expired.format(count=count)


def _sentence(say: Phrases, mention: Mention) -> str:
    if mention.kind is MentionKind.AGAIN and mention.state is StaffState.RUNNING:
        return say.again_running
    sentences: Mapping[MentionKind, str] = {
        MentionKind.PRESS: say.called,
        MentionKind.AGAIN: say.again,
        MentionKind.REMIND: say.remind,
        MentionKind.HANDOVER: say.stand_in if mention.tried else say.called,
        MentionKind.NOBODY: say.nobody,
        MentionKind.CANCELLED: say.cancelled,
    }
    return sentences[mention.kind]


def _who(mention: Mention) -> str:
    if mention.kind is MentionKind.NOBODY:
        return " ".join(f"<@{id}>" for id in mention.colleagues if SLACK_ID.fullmatch(id)) or EVERYBODY
    if SLACK_ID.fullmatch(mention.slack):
        return " ".join((f"<@{mention.slack}>", *map(_mentioned, mention.along)))
    return "→" if mention.kind is MentionKind.CANCELLED else EVERYBODY


def _mentioned(other: str) -> str:
    return f"<@{other}>" if SLACK_ID.fullmatch(other) else escaped(other)


def _asked(mention: Mention) -> tuple[str, ...]:
    """Who cannot come: once nobody is left, the last one who was asked too."""
    return (*mention.tried, mention.name) if mention.kind is MentionKind.NOBODY else mention.tried


def _detail(say: Phrases, mention: Mention) -> str:
    call = mention.call
    click = say.clicks.get(call.click, "")
    presses = say.presses.format(count=call.count) if call.count > 1 else ""
    details = say.comma.join(filter(None, (click, presses)))
    return say.brackets.format(details) if details else ""
