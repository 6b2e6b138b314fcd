"""The slash command: how everybody is, going away for a time, calling somebody; else it says what one would write."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from shadows.calls import Place, booth_title, read, record, staff_name
from shadows.errors import Rejected
from shadows.shadow import Thing
from shadows.staff import BUSY, CallEvent, ClickType, Staff, StaffState, answered, pressed
from slack_bridge.answer import answer, staff_of
from slack_bridge.card import date
from slack_bridge.phrases import Phrases, phrases
from slack_bridge.reply import Reply
from slack_bridge.words import escaped, hear

T = TypeVar("T")
R = TypeVar("R")

READERS: Final = 16  # threads: on AWS each read takes some 20 ms, and Slack waits for 3 s
SHOWN: Final = 50
LONGEST_MIN: Final = 24 * 60
_FOR: Final = re.compile(
    r"(?P<word>\S+?)\s+(?:(?P<h>\d{1,3})\s*(?:h|hours?|時間))?\s*(?:(?P<m>\d{1,4})\s*(?:m|min|minutes?|分間?)?)?"
)
_CALL: Final = re.compile(r"(?:call\s+)?(?P<name>.+)", re.IGNORECASE)
_MENTION: Final = re.compile(r"<@(?P<id>[UW][A-Z0-9]+)(?:\|[^>]*)?>")
_ORDER: Final = (StaffState.CALLING, StaffState.RUNNING, StaffState.AWAY, StaffState.IDLE)


class Someone(NamedTuple):
    """A person, as they are now."""

    thing: Thing
    staff: Staff

    @property
    def name(self) -> str:
        return self.staff.name or self.thing.name.removeprefix("staff-")


def commanded(reply: Reply, channel_name: str, place: Place, seen: Place, lang: str) -> str:
    """Do what a command says, and find what to say back.

    Args:
        reply: what stood behind the command.
        channel_name: where it was given: the booth's id, where a booth has a channel of its own.
        place: where we run.
        seen: the same, for looking at people of whom nothing is asked.
        lang: of what we say.

    Raises:
        Rejected: 503, if others kept writing to the same shadow.
    """
    text = " ".join(reply.text.split())
    reply = replace(reply, text=text)
    if not text:
        return _everybody(seen, phrases(lang))
    if minutes := _away_minutes(text):
        return _away(reply, minutes, place, lang)
    heard = hear(text)
    if heard and heard.event:
        return answer(reply, place, lang)
    return _called(reply, channel_name, place, seen, phrases(lang))


def _people(seen: Place) -> list[Someone]:
    """Everybody, those of whom something is asked first."""

    def one(thing: Thing) -> Someone | None:
        try:
            return Someone(thing, read(seen, thing.name))
        except Rejected as no:
            if no.code != 404:
                raise
            return None

    found = [each for each in _at_once(one, seen.things.list(type="staff")) if each]
    return sorted(found, key=lambda each: (_ORDER.index(each.staff.state), each.name))


def _at_once(do: Callable[[T], R], each: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(do, each))


def _everybody(seen: Place, say: Phrases) -> str:
    people = _people(seen)
    titles = {each.staff.call.booth for each in people[:SHOWN] if each.staff.state in BUSY}
    named = {booth: escaped(booth_title(seen, booth)) for booth in titles}
    lines = [_line(each, named, say) for each in people[:SHOWN]]
    more = [say.more.format(count=len(people) - SHOWN)] if len(people) > SHOWN else []
    return "\n".join([*lines, *more]) or say.no_staff


def _line(each: Someone, titles: dict[str, str], say: Phrases) -> str:
    staff = each.staff
    text = say.states[staff.state].format(
        name=escaped(each.name), booth=titles.get(staff.call.booth, ""), date=date(staff.asked.since)
    )
    if staff.state is StaffState.RUNNING and staff.call.note:
        return text + say.said.format(note=escaped(staff.call.note))
    if staff.state is StaffState.AWAY and staff.until:
        return text + say.until.format(date=date(staff.until))
    return text


def _away_minutes(text: str) -> int:
    """For how long somebody says that they go away; 0 if they do not say that."""
    found = _FOR.fullmatch(unicodedata.normalize("NFKC", text))
    heard = hear(found["word"]) if found else None
    if found is None or heard is None or heard.event is not CallEvent.AWAY:
        return 0
    return min(60 * int(found["h"] or 0) + int(found["m"] or 0), LONGEST_MIN)


def _away(reply: Reply, minutes: int, place: Place, lang: str) -> str:
    say, thing = phrases(lang), staff_of(place, reply.user)
    if not thing:
        return say.stranger
    until = place.clock() + 60_000 * minutes
    outcome = record(place, thing, replace(answered(CallEvent.AWAY, reply.key), until=until))
    if outcome.repeat:
        return ""
    return say.away_until.format(name=escaped(staff_name(place, thing)), date=date(until))


def _called(reply: Reply, channel_name: str, place: Place, seen: Place, say: Phrases) -> str:
    found = _CALL.fullmatch(reply.text)
    wanted = found["name"] if found else ""
    meant = _meant(wanted, seen)
    if len(meant) != 1:
        names = say.comma.join(escaped(each.name) for each in meant[:SHOWN])
        unknown = say.nobody_of_that_name.format(name=escaped(wanted))
        return say.which.format(names=names) if meant else f"{unknown} {say.doubtful}"
    (someone,) = meant
    booth = _booth(someone.thing.name, channel_name, seen)
    event = pressed(booth, ClickType.SINGLE, reply.key, place.clock())
    try:
        outcome = record(place, someone.thing.name, event)
    except Rejected as no:
        if no.code != 429:
            raise
        return say.too_many.format(name=escaped(someone.name))
    name = escaped(staff_name(place, outcome.thing))
    return say.called_now.format(name=name, booth=escaped(booth_title(place, outcome.call.booth)))


def _meant(wanted: str, seen: Place) -> list[Someone]:
    """Who is meant: by a mention, by their id, by their name, or by a word of it."""
    people, mention = _people(seen), _MENTION.fullmatch(wanted)
    if mention:
        return [each for each in people if each.thing.attributes.get("slackUserId") == mention["id"]]
    name = _folded(wanted.removeprefix("@"))
    of_id = [each for each in people if each.thing.name == f"staff-{name}"]
    whole = [each for each in people if _folded(each.name) == name]
    return of_id or whole or [each for each in people if name in _folded(each.name).split()]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _booth(thing: str, channel_name: str, seen: Place) -> str:
    """Where they are to go: to the booth of the channel, else to the first at which they stand."""

    def staffed(booth: Thing) -> tuple[str, bool]:
        try:
            listed = seen.shadows.get(booth.name).reported.get("staff")
        except Rejected:
            listed = None
        return booth.name.removeprefix("booth-"), isinstance(listed, list) and thing in listed

    booths = dict(_at_once(staffed, seen.things.list(type="booth")))
    of_channel = channel_name.removeprefix("booth-")
    if of_channel in booths:
        return of_channel
    return next((booth for booth, theirs in booths.items() if theirs), "main")
