"""The card of a call: the one message in Slack that announced it to a person, kept to what their shadow says.

Where it stands and what it shows is remembered in an attribute of the person's thing, so that whoever looks later, after
a crash too, sees whether it is behind. That it is up to date is a courtesy: mentions wait for nothing here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol, Self

from shadows.calls import ATTEMPTS, Place, along, booth_title, read, staff_name
from shadows.errors import Rejected
from shadows.shadow import Thing
from shadows.staff import BUSY, Asked, Call, CallEvent, End, Staff, StaffState

CARDS: Final = "cards"  # attribute: `<call>/<channel>/<ts>/<since>/<shows>/<answered>`, a comma between two
KEPT: Final = 4  # what is behind them is older than anybody looks
BEHIND_FOR_MS: Final = 86_400_000  # a card that could not be changed for a day stays as it is
STUCK: Final = "stuck"
GONE: Final = "gone"
_OVER: Final = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One message in Slack.

    Attributes:
        call: the id of the call that it is about.
        channel, ts: where Slack has it.
        since: of the state that it announced first, ms since 1970.
        shows: what it says now, as :attr:`Standing.mark`; or that Slack will not have it changed (``STUCK``), or has it
            no more (``GONE``).
        answered: when the person said that they go, if it has shown that; else 0.
    """

    call: str
    channel: str
    ts: str
    since: int
    shows: str
    answered: int = 0

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read one of the attribute; None for what is none."""
        call, channel, ts, since, shows, answered = [*text.split("/"), *[""] * 6][:6]
        if not (call and ts and since.isdecimal() and answered.isdecimal()):
            return None
        return cls(call=call, channel=channel, ts=ts, since=int(since), shows=shows, answered=int(answered))

    @property
    def text(self) -> str:
        """As it stands in the attribute."""
        return "/".join((self.call, self.channel, self.ts, str(self.since), self.shows, str(self.answered)))

    @property
    def is_over(self) -> bool:
        """Whether it says that the call is over."""
        return self.shows.startswith(_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a call stands for one person.

    Attributes:
        name, slack: of the person; ``slack`` is "" without an id.
        booth: title of the booth; "" if it is not known any more.
        state: that of the person while they have the call; idle once it is over.
        answered: when they said that they go, ms since 1970; 0 if they did not, or nobody knows.
        over: when it was over, ms; 0 if it is not, or nobody knows.
        to: the name of who has it now; "" if nobody else has.
        tried: names of those who were asked before.
        along: who was called with them: their Slack ids, or their names where they have none.
    """

    name: str
    slack: str
    booth: str
    call: Call
    state: StaffState
    answered: int = 0
    over: int = 0
    to: str = ""
    tried: tuple[str, ...] = ()
    along: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """What tells two looks of a card apart; a name or a title that changes meanwhile does not."""
        call, note = self.call, self.call.note if self.state is StaffState.RUNNING else ""
        facts = "\x00".join((self.state, note, call.end, call.to, str(call.count)))
        digest = hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return digest if self.state in BUSY else _OVER + digest


class Shown(StrEnum):
    """What became of a card that was to be changed."""

    NOW = "now"  # it shows what it should
    STUCK = STUCK  # Slack will not have it changed
    GONE = GONE  # there is no such message any more


class Board(Protocol):
    """Where cards hang."""

    def show(self, card: Card, standing: Standing) -> Shown:
        """Have a card say how its call stands, within 3 s.

        Raises:
            NotTold: it does not now, or nobody knows; it may later.
        """


def cards_of(thing: Mapping[str, str]) -> tuple[Card, ...]:
    """The cards that a thing's attributes speak of, oldest first."""
    found = map(Card.read, thing.get(CARDS, "").split(","))
    return tuple(card for card in found if card)


def card_of(thing: Mapping[str, str], call: str) -> Card | None:
    """The card of a call; None if there is none that Slack still has."""
    found = (card for card in cards_of(thing) if card.call == call and card.shows != GONE)
    return next(found, None)


def keep(place: Place, thing: str, card: Card) -> None:
    """Remember a card that was just posted. Those that are done with make room for it.

    Raises:
        Rejected: it was not written.
    """
    for _ in range(ATTEMPTS):
        there = place.things.get(thing)
        others = [each for each in cards_of(there.attributes) if each.call != card.call]
        open_ = [
            each for each in others if not each.is_over and each.shows != GONE
        ]  # a stuck one has its buttons still
        if _written(place, there, (*open_, card)[-KEPT:]):
            return
    raise Rejected(503, f"{thing}: others are writing to this thing; try again")


def is_behind(thing: Thing, staff: Staff, now: int) -> bool:
    """Whether a card of a person may not show how its call stands."""
    return any(_to_be_shown(cards_of(thing.attributes), staff, now))


def show(place: Place, thing: str, board: Board) -> bool:
    """Have the newest card of a person that is behind show how its call stands.

    The answer is whether there was one: there may be more, or it may be behind again. It is written down at the version
    that was read before: of two that show at once nobody knows whose change came last, and it is shown once more.

    Raises:
        NotTold: as :meth:`Board.show`.
        Rejected: 404, if there is no such person.
    """
    there, staff = place.things.get(thing), read(place, thing)
    cards = cards_of(there.attributes)
    card = next(_to_be_shown(cards, staff, place.clock()), None)
    if card is None:
        return False
    standing = _standing(place, there, staff, card)
    shown = board.show(card, standing)
    shows = standing.mark if shown is Shown.NOW else shown
    after = replace(card, shows=shows, answered=standing.answered)
    if not _written(place, there, tuple(after if each is card else each for each in cards)):
        _doubt(place, thing, card)
    return True


def _doubt(place: Place, thing: str, card: Card) -> None:
    """Write down that nobody knows what a card shows."""
    for _ in range(ATTEMPTS):
        try:
            there = place.things.get(thing)
        except Rejected as no:
            if no.code != 404:  # removed meanwhile
                raise
            return
        cards = cards_of(there.attributes)
        if _written(
            place, there, tuple(replace(each, shows="") if each.ts == card.ts else each for each in cards)
        ):
            return


def _to_be_shown(cards: tuple[Card, ...], staff: Staff, now: int) -> Iterator[Card]:
    waiting = {call.id for call in staff.waiting}
    for card in reversed(cards):
        if card.shows in (STUCK, GONE) or card.call in waiting or now - card.since > BEHIND_FOR_MS:
            continue
        asked = _asked_of(staff, card.call)
        if not card.is_over if asked is None else card.shows != _bare(asked).mark:
            yield card


def _asked_of(staff: Staff, call: str) -> Asked | None:
    """What the shadow says of a call; None if it has forgotten it."""
    over = staff.told if staff.told.state not in BUSY else None
    known = (each for each in (staff.asked, staff.past, over) if each and each.call.id == call)
    return next(known, None)


def _bare(asked: Asked) -> Standing:
    state = asked.state if asked.state in BUSY else StaffState.IDLE
    return Standing(name="", slack="", booth="", call=asked.call, state=state)


def standing_of(staff: Staff) -> Standing:
    """How a person's own call stands, as far as their shadow alone says it."""
    return _bare(staff.asked)


def _standing(place: Place, thing: Thing, staff: Staff, card: Card) -> Standing:
    asked = _asked_of(staff, card.call) or Asked(call=Call(id=card.call, end=End.OPEN))
    running = asked.state is StaffState.RUNNING
    # Coming back, say, or going away later, is not when the call was over.
    ended = asked.state is StaffState.IDLE and asked.why is not CallEvent.BACK
    return replace(
        _bare(asked),
        name=staff.name or thing.name.removeprefix("staff-"),
        slack=thing.attributes.get("slackUserId", ""),
        booth=booth_title(place, asked.call.booth) if asked.call.booth else "",
        answered=asked.since if running else card.answered,
        over=asked.since if ended else 0,
        to=staff_name(place, asked.call.to) if asked.call.to else "",
        tried=tuple(staff_name(place, other) for other in asked.call.tried),
        along=along(place, thing.name, asked.call) if asked.state is StaffState.CALLING else (),
    )


def _written(place: Place, there: Thing, cards: tuple[Card, ...]) -> bool:
    """Write a person's cards at the version that was read; False if somebody came between, or they were removed."""
    noted = {CARDS: ",".join(card.text for card in cards)}
    try:
        place.things.update(there.name, noted, version=there.version)
    except Rejected as no:
        if no.code not in (404, 409):
            raise
        return False
    return True
