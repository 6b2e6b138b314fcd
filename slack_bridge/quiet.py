"""Who wants not to be disturbed, as Slack knows it.

Slack tells an app of the hours that somebody has set, and of their status; not of a pause that they begin by hand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from shadows.calls import Place
from shadows.telling import NotTold
from slack_bridge.check import Asker

HOURS: Final = "dnd"
PEOPLE_AT_ONCE: Final = 50  # of whom Slack says the hours in one answer
PACE_S: Final = 3.0  # between two questions: Slack takes 20 of the rarer kind a minute
OLD_S: Final = 900.0  # what was heard so long ago says nothing any more

Span = tuple[float, float]  # from when until when, s since 1970
NEVER: Final[Span] = (0.0, 0.0)
Wishes = Iterator[tuple[str, tuple[Span, ...]]]


def people_of(place: Place) -> dict[str, str]:
    """Everybody who has a Slack user id, by it: the names of their things."""
    return {
        thing.attributes["slackUserId"]: thing.name
        for thing in place.things.list(type="staff")
        if "slackUserId" in thing.attributes
    }


def wishes(
    asker: Asker, people: Mapping[str, str], counts: Iterable[str], rest: Callable[[float], object]
) -> Wishes:
    """Ask Slack about one person after another; each thing, with when they want not to be disturbed.

    Args:
        asker: with the bot's token.
        people: things by their Slack user ids.
        counts: ``dnd`` for the hours, and those emoji of a status that count as well.
        rest: waits for so many seconds, and says whether to stop asking.

    Raises:
        NotTold: Slack does not say it now.
    """
    emoji, ids = frozenset(counts) - {HOURS}, list(people)
    pause_s = 0.0
    for start in range(0, len(ids), PEOPLE_AT_ONCE):
        some = ids[start : start + PEOPLE_AT_ONCE]
        hours: Mapping[str, Any] = {}
        if HOURS in counts:
            if pause_s and rest(pause_s):
                return
            hours = asker.ask("dnd.teamInfo", users=",".join(some)).get("users") or {}
            pause_s = PACE_S
        for id in some:
            status = NEVER
            if emoji:
                if pause_s and rest(pause_s):
                    return
                status = status_of(_profile(asker, id), emoji)
                pause_s = PACE_S / 3  # the more usual kind
            yield people[id], (hours_of(hours.get(id) or {}), status)


def _profile(asker: Asker, id: str) -> Mapping[str, Any]:
    """Somebody's profile; nothing of whom Slack does not know: of the others it still says theirs."""
    try:
        user = asker.ask("users.info", user=id).get("user") or {}
    except NotTold as no:
        if no.channel:
            raise
        return {}
    return user.get("profile") or {}


def hours_of(said: Mapping[str, Any]) -> Span:
    """From when until when somebody's hours are; of what is no such answer, never.

    Shape: ``{"dnd_enabled": true, "next_dnd_start_ts": 1450387800, "next_dnd_end_ts": 1450423800}``.

    Source: docs.slack.dev, dnd.teamInfo.
    """
    start, end = said.get("next_dnd_start_ts"), said.get("next_dnd_end_ts")
    if (
        said.get("dnd_enabled") is not True
        or not isinstance(start, int | float)
        or not isinstance(end, int | float)
    ):
        return NEVER
    return float(start), float(end)


def status_of(profile: Mapping[str, Any], counts: frozenset[str]) -> Span:
    """From when until when somebody has one of these emoji as their status.

    Shape: ``{"status_emoji": ":palm_tree:", "status_expiration": 0}``; 0 for no end.
    """
    until = profile.get("status_expiration")
    if profile.get("status_emoji") not in counts:
        return NEVER
    return 0.0, float(until) if isinstance(until, int) and until > 0 else float("inf")
