"""Alerts: who does not answer in Slack is reached by other ways, one after the other.

``desired.alert`` says up to which way somebody is to be reached for their call, ``reported.alert`` up to which that was
done, both as ``<call id>/<since>/<n>``. A difference is a part of the delta like any other, so that nothing is forgotten by
whoever starts after a crash; and it is one that no mention, and no report of one, looks at or waits for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from shadows.calls import Place, attributes, booth_message, booth_title, read, rewrite
from shadows.channels import Channel
from shadows.shadow import JsonObject
from shadows.staff import Asked, Call, Staff, StaffState
from shadows.telling import ANNOUNCED, Attempt, Delivery, Note, mention_for, report

ALERT: Final = "alert"  # the key, in both halves


class Outcome(StrEnum):
    """What became of an alert, as it stands on record."""

    ACCEPTED = "accepted"  # the provider has taken it
    REFUSED = "refused"  # the provider will never take it
    FAILED = "failed"  # it was not taken now
    SENT = "sent"  # what follows is what a provider says later
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message to one person.

    Attributes:
        n: of how many ways this is, from 1.
        name, booth: as people read them.
        message: what to say of it; "" for the usual words.
        private: the person's attributes.
    """

    thing: str
    call: str
    n: int
    channel: Channel
    name: str
    booth: str
    message: str = ""
    private: Mapping[str, str] = field(repr=False)


class NotSent(Exception):  # noqa: N818 - a state of the message, not a fault of ours
    """A provider did not take an alert.

    Attributes:
        reason: what it said, or what failed; never a secret, an address or a number.
        passes: whether it may take it later.
        retry_after_s: how long it asked us to wait; None if it did not.
    """

    def __init__(self, reason: str, *, passes: bool, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.passes, self.retry_after_s = reason, passes, retry_after_s


class Sender(Protocol):
    """How alerts are sent."""

    def send(self, alert: Alert) -> None:
        """Send one, within bounded time.

        Raises:
            NotSent: it was not taken, or nobody knows.
        """


def is_open(staff: Staff) -> bool:
    """Whether something is asked for here that was not done."""
    return staff.alert != staff.alerted


def due(place: Place, thing: str, staff: Staff, after_s: float) -> int | None:
    """When the next way to a person is to be tried, ms since 1970; None if there is none, or if they are not called."""
    if staff.state is not StaffState.CALLING or not place.channels.each:
        return None
    private, asked = attributes(place, thing), asked_for(staff)
    if asked >= len(place.channels.of(private)):
        return None
    waits = asked + place.channels.first_waits(private)
    return staff.asked.since + int(1000 * after_s * waits)


def asked_for(staff: Staff) -> int:
    """How many ways are asked for, for the call as it stands."""
    return _count(staff.alert, staff.asked)


def ask(place: Place, thing: str, about: tuple[str, int], n: int) -> None:
    """Ask for the first ``n`` ways to somebody to be tried, if they still have not answered the call that it is about.

    Raises:
        Rejected: as :func:`shadows.calls.rewrite`.
    """

    def decide(staff: Staff) -> tuple[JsonObject, None]:
        here = (staff.call.id, staff.asked.since)
        if staff.state is not StaffState.CALLING or here != about or asked_for(staff) >= n:
            return {}, None
        return {"desired": {ALERT: _text(staff.asked, n)}}, None

    rewrite(place, thing, decide)


def deliver(place: Place, thing: str, sender: Sender, note: Note) -> bool:
    """Send the next alert that is asked for, and report it; the answer is whether there may be more.

    Who answered, or is not called any more, is spared: then it is only reported. What a provider will never take is done
    with, and the next way is asked for at once. What it does not take now is tried again, but does not hold up a later way.

    Raises:
        NotSent: try again.
        Rejected: 404, if there is no such person; 503, as :func:`shadows.calls.rewrite`.
    """
    staff, private = read(place, thing), attributes(place, thing)
    ways, done, asked = place.channels.of(private), _count(staff.alerted, staff.asked), asked_for(staff)
    if staff.state is not StaffState.CALLING or done >= min(asked, len(ways)):
        _report(place, thing, staff.alert)
        return False
    n, channel = done + 1, ways[done]
    try:
        sender.send(
            Alert(
                thing=thing,
                call=staff.call.id,
                n=n,
                channel=channel,
                name=staff.name or thing.removeprefix("staff-"),
                booth=booth_title(place, staff.call.booth),
                message=booth_message(place, staff.call.booth),
                private=private,
            )
        )
    except NotSent as no:
        note(
            _attempt(thing, staff.asked, channel, Outcome.FAILED if no.passes else Outcome.REFUSED, no.reason)
        )
        if no.passes and n == asked:
            raise
        ask(place, thing, (staff.call.id, staff.asked.since), min(n + 1, len(ways)))
    else:
        note(_attempt(thing, staff.asked, channel, Outcome.ACCEPTED))
        _told_without_slack(place, thing, staff, note)
    _report(place, thing, _text(staff.asked, n))
    return True


def came_to(
    place: Place, thing: str, *, call: str, n: int, channel: Channel, outcome: Outcome, why: str
) -> Attempt:
    """What a provider says later of the alert that it took: for the record. If it was not delivered, the next way is asked for.

    Raises:
        Rejected: 404, if there is no such person; 503, as :func:`shadows.calls.rewrite`.
    """
    staff = read(place, thing)
    asked = staff.asked if staff.call.id == call else Asked(state=StaffState.CALLING, call=Call(id=call))
    if outcome is Outcome.UNDELIVERED:
        ways = place.channels.of(attributes(place, thing))
        ask(place, thing, (call, staff.asked.since), min(n + 1, len(ways)))
    return _attempt(thing, asked, channel, outcome, why)


def report_wordless(place: Place, thing: str, note: Note) -> None:
    """Where there is no Slack, report what only Slack would have been told: that a call is over, say."""
    staff = read(place, thing)
    kind = mention_for(staff, place.clock(), place.timing.quiet_s)
    if kind and kind not in ANNOUNCED:
        note(Attempt(thing=thing, asked=staff.asked))
        report(place, thing, staff)


def _told_without_slack(place: Place, thing: str, staff: Staff, note: Note) -> None:
    """Where there is no Slack, this is how a call has reached somebody."""
    if place.channels.slack or not staff.untold:
        return
    kind = mention_for(staff, place.clock(), place.timing.quiet_s)
    note(Attempt(thing=thing, asked=staff.asked, kind=kind, outcome=Delivery.TOLD))
    report(place, thing, staff, told_at=place.clock())


def _attempt(thing: str, asked: Asked, channel: Channel, outcome: Outcome, why: str = "") -> Attempt:
    return Attempt(thing=thing, asked=asked, kind=f"{ALERT} {channel.name}", outcome=outcome, reason=why)


def _report(place: Place, thing: str, done: str) -> None:
    """Report how far it was done, unless the shadow is further."""

    def decide(staff: Staff) -> tuple[JsonObject, None]:
        here = _count(done, staff.asked)
        behind = staff.alerted != done and (not here or _count(staff.alerted, staff.asked) < here)
        return {"reported": {ALERT: done}} if behind else {}, None

    rewrite(place, thing, decide)


def _text(asked: Asked, n: int) -> str:
    return f"{asked.call.id}/{asked.since}/{n}"


def _count(text: str, asked: Asked) -> int:
    """How many ways the text speaks of; 0 if it is about another call."""
    call, since, n = [*text.split("/"), "", ""][:3]
    is_about = (call, since) == (asked.call.id, str(asked.since))
    return int(n) if is_about and n.isdecimal() else 0
