"""Telling people: the delta of a shadow is the outbox, and this empties it.

A shadow with a delta is one whose latest change Slack has not been told. :func:`mention_for` decides what is to be
said, :func:`deliver` says it through a :class:`Teller` and reports what was said.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from shadows.calls import (
    OPEN,
    Heard,
    Place,
    along,
    attributes,
    booth_title,
    colleagues,
    read,
    rewrite,
    staff_name,
    take_next,
)
from shadows.cards import Card, card_of, keep, standing_of
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.staff import BUSY, Asked, Call, CallEvent, End, Staff, StaffState, Telling

CLAIM_MS: Final = 30_000
STALE_MS: Final = 600_000  # as old as a call that expires: who waited is gone
EXPIRED_FOR_MS: Final = 86_400_000  # calls that expired yesterday are no news any more


class MentionKind(StrEnum):
    """What is posted; everything else is only reported, for its door has answered already."""

    PRESS = "press"
    AGAIN = "again"
    REMIND = "remind"
    HANDOVER = "handover"
    NOBODY = "nobody"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ASK_ALL: Final = (MentionKind.PRESS, MentionKind.REMIND)  # of a group that is called at once
ANNOUNCED: Final = (MentionKind.PRESS, MentionKind.HANDOVER)  # with these a call comes to a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One message to one person, or to all where nobody is left.

    Attributes:
        thing, name: who is called.
        slack: their Slack user id; "" if they have none.
        booth: title of the booth.
        call: as it stood when this was decided.
        state: of the person.
        tried: names of those who were asked before.
        thread: ts of this person's card of the call, if Slack has one; else "".
        colleagues: Slack ids of those who are asked first when nobody is left; everybody is, if there are none.
        along: who was called with them: their Slack ids, or their names where they have none.
    """

    kind: MentionKind
    thing: str
    name: str
    slack: str
    booth: str
    call: Call
    state: StaffState
    tried: tuple[str, ...] = ()
    thread: str = ""
    colleagues: tuple[str, ...] = ()
    along: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where Slack has a message that it took."""

    channel: str
    ts: str


class NotTold(Exception):  # noqa: N818 - a state of the message, not a fault of ours
    """Slack did not take a message.

    Attributes:
        reason: what Slack said, or what failed; never a secret.
        retry_after_s: how long Slack asked us to wait; None if it did not.
        channel: True if nothing can be sent now; False if only this message was refused.
        fix: one sentence that says what somebody has to do before Slack takes it; "" if it may pass by itself.
        word: Slack's own word for the reason; "" if it said none.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_s: float | None = None,
        channel: bool = True,
        fix: str = "",
        word: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.channel = channel
        self.fix = fix
        self.word = word


class Unrecorded(Exception):  # noqa: N818 - a state of the message, not a fault of Slack's
    """Slack took a message, and that cannot be written down now: a disk is full, say.

    Attributes:
        record: writes it down, or raises again; who sends before that would say the same thing twice.
    """

    def __init__(self, record: Callable[[], None]) -> None:
        super().__init__("it is told, and cannot be reported")
        self.record = record


class Teller(Protocol):
    """How people are told."""

    def tell(self, mention: Mention) -> Receipt | None:
        """Send one message within 3 s; the answer says where it is, or None if the way of sending does not know.

        Raises:
            NotTold: Slack did not take it, or nobody knows.
        """

    def tell_expired(self, count: int) -> None:
        """Send one line for all the calls that expired while nothing ran.

        Raises:
            NotTold: as above.
        """


class Delivery(StrEnum):
    """What became of one attempt to deliver."""

    REPORTED = "reported"  # nothing had, or has any more, to be said
    TOLD = "told"
    CLAIMED = "claimed"  # somebody else is sending it right now
    FAILED = "failed"  # Slack did not take it


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What goes on record of one attempt to deliver.

    Attributes:
        asked: what was to be told.
        kind: of the message, or of an alert by which way it went; None if none was needed.
        reason: why it failed; "" if it did not.
        took_ms: how long Slack took.
    """

    thing: str
    asked: Asked
    kind: str | None = None
    outcome: str = Delivery.REPORTED
    reason: str = ""
    took_ms: int = 0


# Takes an attempt before it is reported, so that a crash between the two leaves the record. It must not raise.
Note = Callable[[Attempt], None]


def unrecorded(_attempt: Attempt) -> None:
    """Keep no record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """Something that is still to be said about a person: of which kind, since when (ms since 1970), at which press.

    Attributes:
        failed: Slack refused this very message, until somebody mends something.
    """

    kind: MentionKind
    since: int
    count: int
    failed: bool = field(default=False, compare=False)


def mention_for(staff: Staff, now: int, quiet_s: float) -> MentionKind | None:
    """What has to be said about the difference between what is asked and what was told; None if nothing."""
    asked, told = staff.asked, staff.told
    if asked.news == told.news:
        return None
    if asked.state not in BUSY:
        return _over(staff, now, quiet_s)
    if asked.state is StaffState.CALLING and (asked.call.id != told.call.id or told.state not in BUSY):
        return MentionKind.HANDOVER if asked.why is CallEvent.HANDOVER else MentionKind.PRESS
    # Where the state is another one, "ok" came between: who says it does not need to hear of the press before.
    if asked.state is not told.state or _quiet(staff, now, quiet_s):
        return None
    if asked.call.count > told.call.count:
        return MentionKind.AGAIN
    return MentionKind.REMIND if asked.call.reminded and not told.call.reminded else None


def _over(staff: Staff, now: int, quiet_s: float) -> MentionKind | None:
    """What is said of a call that is over: only what somebody must know who was not the one to end it."""
    call, told, age = staff.call, staff.told, now - staff.asked.since
    said = (call.id, call.end) == (told.call.id, told.call.end)
    if said and call.reminded == told.call.reminded:  # before they went away or came back
        return None
    if call.end is End.EXPIRED:
        return MentionKind.EXPIRED if age <= EXPIRED_FOR_MS else None
    if age > STALE_MS:
        return None
    if call.end is End.CANCELLED and call.id == told.call.id and told.state in BUSY:
        return MentionKind.CANCELLED
    if staff.nobody_left:
        same = not said and told.call.end is End.UNAVAILABLE and told.call.booth == call.booth
        return None if same and _quiet(staff, now, quiet_s) else MentionKind.NOBODY
    return None


def _quiet(staff: Staff, now: int, quiet_s: float) -> bool:
    return 0 <= now - staff.told_at < quiet_s * 1000


def untold(place: Place, thing: str, *, alive_since: int = 0, note: Note = unrecorded) -> Untold | None:
    """What is still to be said about a person. What needs no words is reported here and now.

    Args:
        place: where we run.
        thing: whose shadow.
        alive_since: claims made before this moment (ms since 1970) are of a process that is dead.
        note: keeps the record.

    Raises:
        Rejected: 404, if there is no such person.
    """
    staff = read(place, thing)
    kind = mention_for(staff, place.clock(), place.timing.quiet_s)
    if kind:
        since, count = _about(staff)
        return Untold(kind=kind, since=since, count=count, failed=_has_failed(staff))
    if staff.untold:
        note(Attempt(thing=thing, asked=staff.asked))
    report(place, thing, staff, alive_since=alive_since)
    return None


def _has_failed(staff: Staff) -> bool:
    telling = staff.telling
    return telling is not None and telling.failed != "" and (telling.since, telling.count) == _about(staff)


def _about(staff: Staff) -> tuple[int, int]:
    """Which message about a person is meant: since when, and at which press."""
    return staff.asked.since, staff.call.count


def deliver(
    place: Place, thing: str, teller: Teller, *, alive_since: int = 0, note: Note = unrecorded
) -> Delivery:
    """Tell what a person's shadow says and Slack has not heard, and report it.

    Args:
        place: where we run.
        thing: whose shadow.
        teller: how people are told.
        alive_since: claims made before this moment (ms since 1970) are of a process that is dead.
        note: keeps the record.

    Raises:
        NotTold: Slack did not take it. The claim is released: try again. If somebody has to mend something first
            (``fix``), the shadow says so.
        Unrecorded: Slack took it, and it could not be reported.
        Rejected: 404, if there is no such person.
    """
    claimed = _claim(place, thing, alive_since)
    if claimed is None:
        left = untold(place, thing, alive_since=alive_since, note=note)
        return Delivery.CLAIMED if left else Delivery.REPORTED
    staff, kind = claimed
    with _attempted(place, {thing: staff}, kind, note):
        mention = _mention(place, thing, staff, kind)
        receipt = _say(teller, mention)
    at = place.clock()
    _write_down(lambda: _told(place, staff, mention, receipt, at))
    return Delivery.TOLD


def deliver_expired(
    place: Place, things: list[str], teller: Teller, *, alive_since: int = 0, note: Note = unrecorded
) -> Delivery:
    """Tell in one line of all these people's calls that expired, and report them.

    The arguments are those of :func:`deliver`.

    Raises:
        NotTold: Slack did not take it. The claims are released: try again.
        Unrecorded: Slack took it, and it could not be reported.
    """
    claims = {}
    for thing in things:
        with suppress(Rejected):  # removed meanwhile: the others are told
            if claim := _claim(place, thing, alive_since):
                claims[thing] = claim
    expired = {thing: staff for thing, (staff, kind) in claims.items() if kind is MentionKind.EXPIRED}
    for thing in claims.keys() - expired.keys():  # something newer is to be said of these
        _release(place, thing, claims[thing][0])
    if not expired:
        return Delivery.CLAIMED
    with _attempted(place, expired, MentionKind.EXPIRED, note):
        teller.tell_expired(len(expired))
    at = place.clock()
    _write_down(lambda: _told_expired(place, expired, at))
    return Delivery.TOLD


@contextmanager
def _attempted(place: Place, claimed: Mapping[str, Staff], kind: MentionKind, note: Note) -> Iterator[None]:
    """Whatever comes of what is done inside goes on record; if it fails, the claims are released."""
    began = time.monotonic()

    def noted(outcome: Delivery, reason: str = "") -> None:
        took_ms = int(1000 * (time.monotonic() - began))
        for thing, staff in claimed.items():
            note(
                Attempt(
                    thing=thing, asked=staff.asked, kind=kind, outcome=outcome, reason=reason, took_ms=took_ms
                )
            )

    try:
        yield
    except BaseException as error:
        noted(Delivery.FAILED, error.reason if isinstance(error, NotTold) else type(error).__name__)
        for thing, staff in claimed.items():
            with suppress(
                Rejected
            ):  # what cannot be written now is over in half a minute; Slack's word says more
                _release(place, thing, staff, error)
        raise
    noted(Delivery.TOLD)


def _write_down(record: Callable[[], None]) -> None:
    try:
        record()
    except Exception as error:
        raise Unrecorded(record) from error


@contextmanager
def _unless(*codes: int) -> Iterator[None]:
    """What is refused with such a code will never be taken: it is left out. Of who was removed, say, nothing is kept."""
    try:
        yield
    except Rejected as no:
        if no.code not in codes:
            raise


def _claim(place: Place, thing: str, alive_since: int) -> tuple[Staff, MentionKind] | None:
    """Write down that we are sending; None if another is, or if there is nothing to say any more."""

    def decide(staff: Staff) -> tuple[JsonObject, tuple[Staff, MentionKind] | None]:
        now = place.clock()
        kind = mention_for(staff, now, place.timing.quiet_s)
        if kind is None or (staff.telling and _is_sent(staff.telling, now, alive_since)):
            return {}, None
        return {"reported": {"telling": _telling(staff, now)}}, (staff, kind)

    return rewrite(place, thing, decide)


def _is_sent(telling: Telling, now: int, alive_since: int) -> bool:
    """Whether somebody is sending right now."""
    return not telling.failed and telling.at >= alive_since and 0 <= now - telling.at < CLAIM_MS


def _telling(staff: Staff, now: int, failed: str | None = None) -> JsonObject:
    since, count = _about(staff)
    return {"since": since, "count": count, "at": now, "failed": failed}  # a null removes what stood there


def _release(place: Place, thing: str, claimed: Staff, error: BaseException | None = None) -> None:
    """Give a claim back; what Slack refused until somebody mends something stays to be seen."""
    left = None
    if isinstance(error, NotTold) and error.fix:
        left = _telling(claimed, place.clock(), error.word or error.reason)
    rewrite(place, thing, lambda staff: ({"reported": {"telling": left}} if staff.telling else {}, None))


def report(place: Place, thing: str, said: Staff, told_at: int = 0, alive_since: int = 0) -> None:
    """Report as told what was asked in ``said``, unless a later snapshot is told already; what came after it stays a delta.

    ``told_at`` is when Slack took the words, 0 if none were needed; with it, our claim is over. A refusal, and the
    claim of somebody who is dead, is over in any case.
    """

    def decide(staff: Staff) -> tuple[JsonObject, bool]:
        ours = staff.told == said.told or staff.told.age < said.asked.age
        reported: JsonObject = said.asked.document() if ours and staff.told != said.asked else {}
        if reported and told_at:
            reported["toldAt"] = told_at
        if staff.telling and (told_at or not _is_sent(staff.telling, place.clock(), alive_since)):
            reported["telling"] = None
        return {"reported": reported} if reported else {}, bool(reported)

    if rewrite(place, thing, decide):
        take_next(place, thing)


def _say(teller: Teller, mention: Mention) -> Receipt | None:
    if mention.kind is MentionKind.EXPIRED:
        teller.tell_expired(1)
        return None
    return teller.tell(mention)


def _told(place: Place, staff: Staff, mention: Mention, receipt: Receipt | None, at: int) -> None:
    """Write down that Slack took it: where its card is, or what anybody may answer now; and then that it is told."""
    if mention.kind is MentionKind.NOBODY:
        heard = Heard(call=mention.call.id, at=at, everybody=not mention.colleagues)
        with _unless(404):
            place.things.update(mention.thing, {OPEN: heard.text})
    elif receipt and receipt.ts and not mention.thread and mention.kind in ANNOUNCED:
        with _unless(400, 404, 413):  # without its card, a repeat goes to the channel
            keep(place, mention.thing, _card(staff, receipt))
    with _unless(404):
        report(place, mention.thing, staff, told_at=at)


def _told_expired(place: Place, expired: Mapping[str, Staff], at: int) -> None:
    for thing, staff in expired.items():
        with _unless(404):
            report(place, thing, staff, told_at=at)


def _card(staff: Staff, receipt: Receipt) -> Card:
    return Card(
        call=staff.call.id,
        channel=receipt.channel,
        ts=receipt.ts,
        since=staff.asked.since,
        shows=standing_of(staff).mark,
    )


def _mention(place: Place, thing: str, staff: Staff, kind: MentionKind) -> Mention:
    private = attributes(place, thing)
    card = card_of(private, staff.call.id)
    return Mention(
        kind=kind,
        thing=thing,
        name=staff.name or thing.removeprefix("staff-"),
        slack=private.get("slackUserId", ""),
        booth=booth_title(place, staff.call.booth),
        call=staff.call,
        state=staff.state,
        tried=tuple(staff_name(place, other) for other in staff.call.tried),
        thread=card.ts if card else "",
        colleagues=_colleagues(place, thing, staff) if kind is MentionKind.NOBODY else (),
        along=along(place, thing, staff.call) if kind in ASK_ALL else (),
    )


def _colleagues(place: Place, thing: str, staff: Staff) -> tuple[str, ...]:
    # Nobody would ask the others afterwards, where nobody is reminded.
    first = not staff.call.reminded and place.timing.remind_s > 0
    return tuple(colleagues(place, thing, staff.call)) if first else ()
