"""The self-audit's rules, pure: everything that should be under way is, and everything that is claimed is on record.

:class:`infra.local.auditor.Auditor` reads what they compare, and mends what can be mended.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shadows.staff import AHEAD_MS, BUSY, UNTOLD_FOR_MS, Staff, StaffState

LATE_MS: Final = 2_000


class Rule(StrEnum):
    """What must hold; its name stands in the log."""

    CALLED = "called"
    DELIVERED = "delivered"
    STRAY = "stray"
    ANSWERED = "answered"
    ENDS = "ends"
    ALARM = "alarm"
    WAITS = "waits"
    REPORTED = "reported"
    RECORDED = "recorded"
    CLAIM = "claim"
    FOLLOWED = "followed"
    DELIVERER = "deliverer"
    FOLLOWER = "follower"
    TIMERS = "timers"
    SWEEP = "sweep"
    STORE = "store"
    AUDIT = "audit"


_RESTART: Final = "start `staffcall run` again if it stays"

# Of each rule what is wrong where it does not hold, and what to do.
WORDS: Final[Mapping[Rule, tuple[str, str]]] = {
    Rule.CALLED: (
        "Somebody is called, and no message to them is on record or under way",
        "They are mentioned again now; ask them whether they have heard of it.",
    ),
    Rule.DELIVERED: (
        "Something is untold, and nobody was about to tell it",
        f"It is looked at again now; {_RESTART}.",
    ),
    Rule.STRAY: (
        "A shadow asks for something that nobody reports",
        "Remove what somebody else wrote into its desired section, with a null for each such key.",
    ),
    Rule.ANSWERED: (
        "Somebody is shown on the way, and no answer of theirs is on record",
        "Ask them whether they come; if they do not, press again once this is over.",
    ),
    Rule.ENDS: (
        "A state is not over when it should be, or began in the future",
        f"It is ended now; {_RESTART}.",
    ),
    Rule.ALARM: ("A state has no alarm that ends it", f"The alarm is set anew; {_RESTART}."),
    Rule.WAITS: (
        "A call waits for somebody who is free",
        f"They are given it now; {_RESTART}.",
    ),
    Rule.REPORTED: (
        "Something counts as told, and nothing on record says so",
        "Look at `staffcall history` of this person: somebody else wrote into the shadow, or a record was lost.",
    ),
    Rule.RECORDED: (
        "A state is not in the history",
        "Look into the log for why it was not written; what it says of this person is incomplete.",
    ),
    Rule.CLAIM: (
        "A message counts as being sent, and nobody sends it",
        f"It is sent now; {_RESTART}.",
    ),
    Rule.FOLLOWED: (
        "The change of a shadow was not followed",
        f"It is followed now; {_RESTART}.",
    ),
    Rule.DELIVERER: ("The thread that mentions people has died", f"It is made anew; {_RESTART}."),
    Rule.FOLLOWER: ("The thread that follows shadows has died", f"It is made anew; {_RESTART}."),
    Rule.TIMERS: (
        "The alarms do not ring any more",
        "States end by the audit until then: start `staffcall run` again.",
    ),
    Rule.SWEEP: (
        "The sweep does not come any more",
        "The audit stands in for it until then: start `staffcall run` again, soon.",
    ),
    Rule.STORE: (
        "The database does not answer",
        "Look at the disk of the data folder, then start `staffcall run` again.",
    ),
    Rule.AUDIT: ("The audit itself fails", "Look into the log, and report this."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What is on record of one person's present state.

    Attributes:
        state: it is in the history.
        ok: their answer to this call is.
        told: a message about this call that Slack took is among the deliveries.
        reported: what they were told, or that it needed no words, is.
    """

    state: bool = True
    ok: bool = True
    told: bool = True
    reported: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One person, as they were at one moment.

    Attributes:
        stray: whether the shadow has a delta that is none of ours.
        due: when their alarm rings next, ms since 1970; None if it does not.
    """

    thing: str
    staff: Staff
    version: int = 0
    stray: bool = False
    due: int | None = None
    records: Records = field(default_factory=Records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the parts in memory know.

    Attributes:
        known: whose messages the deliverer has under way or will try again.
        sending: whom the message that is being sent is about.
        alarms: what is set: ``<thing> <since>``.
        followed: the version up to which each person's shadow was followed.
        taken: how many changes were followed.
        dead: the rules of the parts that do not work.
    """

    known: frozenset[str] = frozenset()
    sending: frozenset[str] = frozenset()
    alarms: frozenset[str] = frozenset()
    followed: Mapping[str, int] = field(default_factory=dict)
    taken: int = 0
    dead: frozenset[Rule] = frozenset()


@dataclass(frozen=True, slots=True)
class Hole:
    """A rule that does not hold.

    Attributes:
        thing: of whom; "" if of no one person.
        about: what tells it from the next one: the age of the state, the version.
    """

    rule: Rule
    thing: str = ""
    about: tuple[int, ...] = ()


def holes(people: Iterable[Seen], parts: Parts, now: int) -> Iterator[Hole]:
    """Whatever does not hold at this moment. Some of it may only just be happening."""
    yield from map(Hole, sorted(parts.dead))
    for person in people:
        age = person.staff.asked.age
        yield from (Hole(rule, person.thing, age) for rule in _claimed(person))
        if parts.followed.get(person.thing, person.version) < person.version:
            yield Hole(Rule.FOLLOWED, person.thing, (person.version, parts.taken))
            continue  # what follows from the change is still to come
        yield from (Hole(rule, person.thing, age) for rule in _under_way(person, parts, now))


def _claimed(person: Seen) -> Iterator[Rule]:
    """What the shadow says, and the record does not."""
    staff, records = person.staff, person.records
    if not records.state:
        yield Rule.RECORDED
    if staff.state is StaffState.RUNNING and not records.ok:
        yield Rule.ANSWERED
    if not staff.untold and staff.state is StaffState.CALLING and not records.told:
        yield Rule.CALLED
    elif not staff.untold and not records.reported:
        yield Rule.REPORTED
    if person.stray:
        yield Rule.STRAY


def _under_way(person: Seen, parts: Parts, now: int) -> Iterator[Rule]:
    """What the shadow asks for, and nobody is about to do."""
    staff, thing = person.staff, person.thing
    if staff.untold and thing not in parts.known:
        yield Rule.DELIVERED
    if staff.telling and not staff.telling.failed and thing not in parts.sending:
        yield Rule.CLAIM
    if staff.waiting and staff.state not in BUSY and now - staff.asked.since > UNTOLD_FOR_MS + LATE_MS:
        yield Rule.WAITS
    if person.due is None:
        return
    if now - person.due > LATE_MS or staff.asked.since - now > AHEAD_MS:
        yield Rule.ENDS
    elif person.due > now and f"{thing} {staff.asked.since}" not in parts.alarms:
        yield Rule.ALARM
