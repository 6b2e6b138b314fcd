"""What the channel hears when the duty of a booth is handed over."""

from collections.abc import Sequence

from shadows.calls import Place, attributes, booth_title, staff_name
from shadows.duty import Handover
from slack_bridge.mention import SLACK_ID
from slack_bridge.phrases import phrases
from slack_bridge.words import escaped


def words(place: Place, handovers: Sequence[Handover], lang: str) -> str:
    """A line for each booth; whoever comes on duty is mentioned."""
    return "\n".join(_line(place, each, lang) for each in handovers)


def _line(place: Place, handover: Handover, lang: str) -> str:
    say = phrases(lang)
    sentence = say.duty_over if not handover.after else say.duty if handover.before else say.duty_begins
    fresh = set(handover.after) - set(handover.before)
    return sentence.format(
        booth=escaped(booth_title(place, handover.booth)) or say.nameless_booth,
        before=say.comma.join(_name(place, id) for id in handover.before),
        after=say.comma.join(_mention(place, id) * (id in fresh) + _name(place, id) for id in handover.after),
    )


def _name(place: Place, id: str) -> str:
    return escaped(staff_name(place, f"staff-{id}"))


def _mention(place: Place, id: str) -> str:
    slack = attributes(place, f"staff-{id}").get("slackUserId", "")
    return f"<@{slack}> " if SLACK_ID.fullmatch(slack) else ""
