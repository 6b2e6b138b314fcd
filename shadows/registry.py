"""Staff, buttons and booths as things: who may be there, and how they come and go.

Everything here can be done again after a crash in its middle: what is there already and is the same is kept, what is
missing is made, and what differs is refused.
"""

import random
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ulid import ULID

from shadows.actions import Action, Kind, orders, stored, written
from shadows.calls import OPEN, Outcome, Place, record
from shadows.cards import CARDS
from shadows.duty import roster
from shadows.errors import Rejected
from shadows.heartbeat import period_s
from shadows.shadow import JsonObject, Shadow, Thing
from shadows.staff import CallEvent, ClickType, Group, How, Key, Staff, answered, newcomer
from shadows.whom import ON_DUTY

NAME_LENGTH: Final = 80
BOOKS: Final = (
    CARDS,
    OPEN,
    "thread",
)  # attributes that nobody gave: book-keeping, ours and of earlier versions
STAFF_AT_A_BOOTH: Final = 200
MEMBERS: Final = (2, 8)  # of a group, all of which are named in a call
HEARTBEAT_S: Final = (60, 31 * 86_400)  # what comes more often is not counted one by one
READS_AT_ONCE: Final = 8
ATTEMPTS: Final = 60
TOLD_WITHIN_S: Final = 3.0

_NAME_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_BUTTON_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SLACK_ID: Final = re.compile(r"[UW][A-Z0-9]{2,20}")
_PHONE: Final = re.compile(r"[0-9]{3,15}")
_MAIL: Final = re.compile(r"(?=.{3,254}\Z)[A-Za-z0-9._-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LINE: Final = re.compile(r"U[0-9a-f]{32}")
# What can be changed of somebody, and the attribute that keeps it; the rest is in the shadow, for everybody to read.
EDITABLE: Final = ("name", "role", "slack", "phone", "mail", "line")
_ATTRIBUTES: Final = {"slack": "slackUserId", "phone": "phone", "mail": "mail", "line": "line"}
_UNPRINTABLE: Final = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line breaks
_TURNS: Final = (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they turn round what stands behind them
)


class Done(StrEnum):
    """What an ``add`` came to."""

    ADDED = "added"
    CHANGED = "changed"  # it was there, and got what was missing: a title, another booth, what an add that died left out
    THERE = "there already"  # exactly so; nothing was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStaff:
    """Somebody to add, checked.

    Attributes:
        name, role: as people read them; public.
        slack: Slack user id; "" for none.
        phone: digits with the country code; "" for none.
        mail, line: e-mail address, and user id at LINE, for alerts; "" for none.
        backup: id of who stands in; "" for nobody.
        booth: id of the booth whose list they join.

    Raises:
        Rejected: 400, for a field that is none of these.
    """

    id: str
    name: str
    role: str = ""
    slack: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    backup: str = ""
    booth: str = "main"
    mail: str = field(default="", repr=False)
    line: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _name_id("id", self.id)
        _text("name", self.name, least=1)
        _text("role", self.role)
        if self.slack and not _SLACK_ID.fullmatch(self.slack):
            raise Rejected(
                400,
                "slack: expected a Slack user id such as U012AB3CD (U or W, then A-Z 0-9), got another text",
            )
        _phone(self.phone)
        if self.mail and not _MAIL.fullmatch(self.mail):
            raise Rejected(
                400,
                "mail: expected an address of A-Z a-z 0-9 . _ - and one @ (AWS keeps no +), got another text",
            )
        if self.line and not _LINE.fullmatch(self.line):
            raise Rejected(400, "line: expected a user id of LINE, U and 32 of 0-9 a-f, got another text")
        if self.backup:
            _name_id("backup", self.backup)
        if self.backup == self.id:
            raise Rejected(400, f"backup: expected somebody else, got {self.backup}")
        _name_id("booth", self.booth)

    @property
    def thing(self) -> Thing:
        """The entry of the registry."""
        ways = {"phone": self.phone, "mail": self.mail, "line": self.line}
        return _thing("staff", self.id, {"slackUserId": self.slack, **ways, "backup": self.backup})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewButton:
    """A button to add, checked.

    Attributes:
        single, double, long: whom each click calls: an id, ``@duty`` for who is on duty at the booth, or a group such
            as ``all:hana,sora``; or what it starts, as :class:`shadows.actions.Action` is written. Without a double or
            a long one, a single one counts.
        booth: id of the booth where the button is.
        heartbeat_s: how often it says that it lives, in seconds; 0 if that is to be learned from its messages.
        phone: of the one person whom it calls, who is added if they are not there yet; "" for nothing of this.
        message: what alerts say of calls of its booth; "" for what they say already. Public, as a title is.

    Raises:
        Rejected: 400, for a field that is none of these.
    """

    id: str
    single: str
    double: str = ""
    long: str = ""
    booth: str = "main"
    heartbeat_s: int = 0
    phone: str = field(default="", repr=False)
    message: str = ""

    def __post_init__(self) -> None:
        _button_id(self.id)
        _phone(self.phone)
        _text("message", self.message)
        for name, staff in (("staff", self.single), ("double", self.double), ("long", self.long)):
            if staff or name == "staff":
                _reference(name, staff)
        _name_id("booth", self.booth)
        if self.phone and called_by(self.single) != (self.single,):
            raise Rejected(400, f"phone: expected one person as staff, got {self.single}")
        if self.heartbeat_s and not HEARTBEAT_S[0] <= self.heartbeat_s <= HEARTBEAT_S[1]:
            raise Rejected(400, f"heartbeat: expected a minute to 31 days, got {self.heartbeat_s} s")

    @property
    def thing(self) -> Thing:
        """The entry of the registry."""
        clicks = {"single": self.single, "double": self.double, "long": self.long}
        calls = {name: stored(does) for name, does in clicks.items()}
        heartbeat = str(self.heartbeat_s or "")
        return _thing("button", self.id, {**calls, "booth": self.booth, "heartbeat": heartbeat})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBooth:
    """A booth to add, checked.

    Attributes:
        title: as people read it; "" for its id.

    Raises:
        Rejected: 400, for a field that is none of these.
    """

    id: str
    title: str = ""

    def __post_init__(self) -> None:
        _name_id("id", self.id)
        _text("title", self.title)

    @property
    def thing(self) -> Thing:
        """The entry of the registry."""
        return _thing("booth", self.id, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is registered.

    Attributes:
        slack, phone, mail, line, backup: private; "" where there is none.
        booths: ids of the booths that list them.
        staff: what their shadow says; None if ``staff add`` stopped half-way.
    """

    id: str
    slack: str = field(repr=False)
    phone: str = field(repr=False)
    backup: str
    booths: tuple[str, ...]
    staff: Staff | None
    mail: str = field(default="", repr=False)
    line: str = field(default="", repr=False)

    @property
    def private(self) -> Mapping[str, str]:
        """By what they can be reached, by the names of their attributes."""
        known = {"slackUserId": self.slack, "phone": self.phone, "mail": self.mail, "line": self.line}
        return {name: value for name, value in known.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button that is registered, with what its own shadow reports.

    Attributes:
        calls: whom each click calls or what it starts, as :class:`NewButton` has it; a click that is not here does
            nothing of its own.
        battery: 0 to 1; None if it never said.
        click, at, last_call: of its last press; "" and 0 if there was none. ``at`` is in ms since 1970.
        heard: when it last sent something that was no press, ms since 1970; 0 for never.
        heartbeat_s: how far apart such messages are; None if it sends none at regular times.
        result, reason: what came of the last that it started; "" if there was none.
        waiting: how many presses have yet to start something.
    """

    id: str
    calls: Mapping[ClickType, str]
    booth: str
    battery: float | None = None
    click: str = ""
    at: int = 0
    last_call: str = ""
    heard: int = 0
    heartbeat_s: float | None = None
    result: str = ""
    reason: str = ""
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booth:
    """A booth that is registered.

    Attributes:
        staff: ids of whom it shows, in order.
    """

    id: str
    title: str
    staff: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bereft:
    """Who relied on somebody who was removed: ids of buttons that call them, of staff whose backup they were, and of
    booths where the roster has them still.
    """

    buttons: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    booths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one line of an import.

    Attributes:
        line: its number in the file.
        done: None if it failed; ``problem`` then says why.
    """

    line: int
    id: str
    done: Done | None
    problem: str = ""


# --- staff


def add_staff(place: Place, new: NewStaff, *, coming: frozenset[str] = frozenset()) -> Done:
    """Register somebody, idle, with nothing to tell, and put them on their booth's list; make the booth if needed.

    Args:
        place: where we run.
        new: who.
        coming: ids that will be there soon, and may be named as a backup.

    Raises:
        Rejected: 404 for a backup that is not there; 409 for an id that is somebody else's, a Slack id that another
            one has, or a booth that is full.
    """
    _only_one_with(place, new)
    if new.backup and new.backup not in coming and not _is_there(place, f"staff-{new.backup}"):
        raise Rejected(404, f"backup: there is no staff {new.backup}")
    booth = _shadow(place, f"booth-{new.booth}")
    if new.thing.name not in _listed(booth):
        _room_for_one(new.booth, _listed(booth))
    created = _create(place, new.thing)
    written = _staff_shadow(place, new, fresh=created)
    if _booth(place, NewBooth(id=new.booth), booth):
        written, booth = True, None
    joined = _relist(place, new.booth, lambda names: [*names, new.thing.name], booth)
    return _done(created, written or joined)


def remove_staff(place: Place, id: str) -> Bereft:
    """Take somebody off every list, hand over a call in progress, then remove their shadow and their thing.

    Raises:
        Rejected: 404, if there is no such person.
    """
    thing = f"staff-{_name_id('id', id)}"
    if not _is_there(place, thing) and _shadow(place, thing) is None:
        raise Rejected(404, f"id: there is no staff {id}")
    for booth in booths(place):
        _relist(place, booth.id, lambda names: [name for name in names if name != thing])
    with _missing_is_fine():
        answer(place, id, CallEvent.AWAY)
        _wait_until_told(place, thing)
        place.shadows.delete(thing)
    place.things.delete(thing)
    return _bereft(place, id)


def check_gone(place: Place, id: str) -> None:
    """See whether somebody was removed: before that they cannot be taken out of the history.

    Raises:
        Rejected: 409, if they are still there.
    """
    if _is_there(place, f"staff-{_name_id('id', id)}"):
        raise Rejected(409, f"id: {id} is still there: use `staffcall staff remove {id} --erase`")


def answer(place: Place, id: str, kind: CallEvent) -> Outcome:
    """Have somebody go away, or come back, by the hand of an administrator.

    Raises:
        Rejected: 404, if there is no such person.
    """
    key = Key(door="admin", sender=id, id=str(ULID()))
    try:
        return record(place, f"staff-{_name_id('id', id)}", answered(kind, key))
    except Rejected as no:
        raise Rejected(404, f"id: there is no staff {id}") if no.code == 404 else no from no


def set_backup(place: Place, id: str, backup: str) -> None:
    """Say who is asked when somebody cannot come; ``""`` for nobody.

    Raises:
        Rejected: 400, if that is themselves; 404, if there is no such person, or no such backup.
    """
    thing = _get(place, "staff", _name_id("id", id))
    if backup == id:
        raise Rejected(400, f"backup: expected somebody else, got {backup}")
    if backup and not _is_there(place, f"staff-{_name_id('backup', backup)}"):
        raise Rejected(404, f"backup: there is no staff {backup}")
    place.things.update(thing.name, {"backup": backup})


def edit_staff(place: Place, id: str, changes: Mapping[str, str]) -> None:
    """Change what is known of somebody; what is not named stays as it is. A call in progress goes on.

    Args:
        place: where we run.
        id: who.
        changes: some of ``name``, ``role``, ``slack``, ``phone``, ``mail`` and ``line``; ``""`` takes one away.

    Raises:
        Rejected: 400, for another field, or a value that it cannot have; 404, if there is no such person; 409, for a Slack id
            that somebody else has, or somebody who was only half added.
    """
    for name in changes:
        if name not in EDITABLE:
            raise Rejected(400, f"{name[:80]}: expected one of {', '.join(EDITABLE)}, got another field")
    before = person(place, id)
    if before.staff is None:
        raise Rejected(409, f"id: {id} was only half added; add them again")
    private = {name: getattr(before, name) for name in ("slack", "phone", "mail", "line", "backup")}
    new = NewStaff(**{"id": id, "name": before.staff.name, "role": before.staff.role, **private, **changes})
    _only_one_with(place, new)
    place.things.update(
        new.thing.name, {_ATTRIBUTES[name]: value for name, value in changes.items() if name in _ATTRIBUTES}
    )
    if public := {name: value for name, value in changes.items() if name not in _ATTRIBUTES}:
        place.shadows.update(new.thing.name, reported=public)


def people(place: Place) -> Iterator[Person]:
    """Everybody, by id."""
    places = list(booths(place))
    with ThreadPoolExecutor(
        READS_AT_ONCE
    ) as pool:  # one after the other, a thousand take half a minute over a network
        yield from pool.map(lambda thing: _person(place, thing, places), place.things.list(type="staff"))


def person(place: Place, id: str) -> Person:
    """One of them.

    Raises:
        Rejected: 404, if there is no such person.
    """
    return _person(place, _get(place, "staff", _name_id("id", id)), list(booths(place)))


def import_staff(place: Place, lines: Iterable[tuple[int, str, NewStaff | Rejected]]) -> Iterator[Row]:
    """Add many at once; a backup may come in a later line, and two may stand in for each other.

    Args:
        place: where we run.
        lines: of each line its number, the id in it, and the person, or what is wrong with them.

    Yields:
        What became of each line, as it is done; at the end once more those whose backup did not come.
    """
    lines = list(lines)
    coming = frozenset(new.id for _, _, new in lines if isinstance(new, NewStaff))
    for line, id, new in lines:
        try:
            if isinstance(new, Rejected):
                raise new
            yield Row(line=line, id=id, done=add_staff(place, new, coming=coming))
        except Rejected as no:
            yield Row(line=line, id=id, done=None, problem=no.message)
    yield from _backups_that_did_not_come(place, lines)


# --- buttons


def called_by(reference: str) -> tuple[str, ...]:
    """The ids that a click names; none, if it leaves that to the duty roster, or calls nobody."""
    if reference == ON_DUTY or Action.read("click", reference):
        return ()
    group = Group.read(reference)
    return group.members if group else (reference,)


def add_button(place: Place, new: NewButton) -> Done:
    """Register a button; make its booth if needed, and with a phone number whom it calls.

    Raises:
        Rejected: 404 for staff who are not there; 409 for an id that another button has, and for somebody who has
            another number.
    """
    reached = new.phone != "" and _reached_at(place, new)
    for name, staff in (("staff", new.single), ("double", new.double), ("long", new.long)):
        for id in called_by(staff) if staff else ():
            if not _is_there(place, f"staff-{id}"):
                raise Rejected(404, f"{name}: there is no staff {id}")
    created = _create(place, new.thing)
    booth = _shadow(place, f"booth-{new.booth}")
    made = _booth(place, NewBooth(id=new.booth), booth)
    says = new.message != "" and _reported(booth).get("message") != new.message
    if says:
        place.shadows.update(f"booth-{new.booth}", reported={"message": new.message})
    return _done(created, reached or made or says)


def move_button(place: Place, id: str, booth: str) -> str:
    """Put a button at another booth; what it did stays on record with the booth where it was. The answer is that booth.

    Raises:
        Rejected: 404, if there is no such button, or no such booth: it may be a slip.
    """
    thing = _get(place, "button", _button_id(id))
    if not _is_there(place, f"booth-{_name_id('booth', booth)}"):
        raise Rejected(404, f"booth: there is no booth {booth}; `staffcall booth add {booth}` makes it")
    before = thing.attributes.get("booth", "main")
    if before != booth:
        place.things.update(thing.name, {"booth": booth})
    return before


def remove_button(place: Place, id: str) -> None:
    """Remove a button, its shadow first.

    Raises:
        Rejected: 404, if there is no such button.
    """
    thing = _get(place, "button", _button_id(id)).name
    with _missing_is_fine():
        place.shadows.delete(thing)
    place.things.delete(thing)


def buttons(place: Place) -> Iterator[Button]:
    """Every button, by id."""
    for thing in place.things.list(type="button"):
        yield _button(thing, _shadow(place, thing.name) or Shadow())


# --- booths


def add_booth(place: Place, new: NewBooth) -> Done:
    """Register a booth. One that ``add_staff`` has made gets its title this way.

    Raises:
        Rejected: 409, for an id that is another booth's.
    """
    created = _create(place, new.thing)
    changed = _booth(place, new, _shadow(place, new.thing.name))
    title = _title(_shadow(place, new.thing.name), new.id)
    if new.title and title != new.title:
        if title != new.id:
            raise Rejected(409, f"id: there is a booth {new.id} already, with the title {title!r}")
        place.shadows.update(new.thing.name, reported={"title": new.title})
        changed = True
    return _done(created, changed)


def booths(place: Place) -> Iterator[Booth]:
    """Every booth, by id."""
    for thing in place.things.list(type="booth"):
        yield _read_booth(place, thing)


def booth(place: Place, id: str) -> Booth:
    """One of them.

    Raises:
        Rejected: 404, if there is no such booth.
    """
    return _read_booth(place, _get(place, "booth", _name_id("id", id)))


def order_booth(place: Place, id: str, staff: Sequence[str]) -> bool:
    """Put these of a booth's staff first, in this order; whoever else is on its list stays behind them.

    So nobody is lost who joined the list in the meantime. Whether anything was changed.

    Raises:
        Rejected: 400, if somebody is named twice; 404, if there is no such booth; 409, for who is not on its list.
    """
    _get(place, "booth", _name_id("id", id))
    first = [f"staff-{_name_id('staff', each)}" for each in staff]
    if twice := next((each for n, each in enumerate(staff) if each in staff[:n]), ""):
        raise Rejected(400, f"staff: expected each once, got {twice} twice")

    def ordered(listed: list[str]) -> list[str]:
        if stranger := next((each for each in first if each not in listed), ""):
            raise Rejected(409, f"staff: {stranger.removeprefix('staff-')} is not on the list of booth {id}")
        return [*first, *(each for each in listed if each not in first)]

    return _relist(place, id, ordered)


# --- what may stand there


def _name_id(name: str, value: str) -> str:
    if not _NAME_ID.fullmatch(value):
        raise Rejected(
            400, f"{name}: expected 1 to 24 of a-z 0-9 _ -, first a letter or digit, got {value[:80]!r}"
        )
    return value


def _reference(name: str, value: str) -> None:
    """Whom a click calls: a person, who is on duty, or a group; or what it starts."""
    if Action.read(name, value):
        return
    how, colon, members = value.partition(":")
    if not colon:
        if value != ON_DUTY:
            _name_id(name, value)
        return
    ids = members.split(",")
    least, most = MEMBERS
    if how not in list(How):
        raise Rejected(
            400,
            f"{name}: expected {', '.join(f'{each}:' for each in How)} before a group, or "
            f"{', '.join(f'{each}:' for each in Kind)} before what is started, got {how[:80]!r}",
        )
    if not least <= len(ids) <= most or len(set(ids)) < len(ids):
        raise Rejected(
            400, f"{name}: expected {least} to {most} different ids after {how}:, got {members[:80]!r}"
        )
    for id in ids:
        _name_id(name, id)


def _phone(value: str) -> None:
    if value and not _PHONE.fullmatch(value):
        raise Rejected(400, "phone: expected 3 to 15 digits with the country code and no +, got another text")


def _button_id(value: str) -> str:
    if not _BUTTON_ID.fullmatch(value):
        raise Rejected(400, f"id: expected 1 to 64 of A-Z a-z 0-9 _ -, got {value[:80]!r}")
    return value


def _text(name: str, value: str, least: int = 0) -> None:
    if len(value) > NAME_LENGTH or len(value.strip()) < least:
        raise Rejected(400, f"{name}: expected {least} to {NAME_LENGTH} characters, got {len(value)}")
    if any(unicodedata.category(each) in _UNPRINTABLE or each in _TURNS for each in value):
        raise Rejected(400, f"{name}: expected no control characters or line breaks, got {value!r}")


# --- reading


def _is_there(place: Place, thing: str) -> bool:
    try:
        place.things.get(thing)
    except Rejected as no:
        if no.code != 404:
            raise
        return False
    return True


def _get(place: Place, kind: str, id: str) -> Thing:
    try:
        return place.things.get(f"{kind}-{id}")
    except Rejected as no:
        raise Rejected(404, f"id: there is no {kind} {id}") if no.code == 404 else no from no


def _shadow(place: Place, thing: str) -> Shadow | None:
    try:
        return place.shadows.get(thing)
    except Rejected as no:
        if no.code != 404:
            raise
        return None


def _reported(shadow: Shadow | None) -> JsonObject:
    return shadow.reported if shadow else {}


def _listed(shadow: Shadow | None) -> list[str]:
    names = _reported(shadow).get("staff")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _title(shadow: Shadow | None, otherwise: str) -> str:
    title = _reported(shadow).get("title")
    return title if isinstance(title, str) and title else otherwise


def _read_booth(place: Place, thing: Thing) -> Booth:
    id, shadow = thing.name.removeprefix("booth-"), _shadow(place, thing.name)
    staff = tuple(name.removeprefix("staff-") for name in _listed(shadow))
    return Booth(id=id, title=_title(shadow, id), staff=staff)


def _person(place: Place, thing: Thing, places: list[Booth]) -> Person:
    id, shadow = thing.name.removeprefix("staff-"), _shadow(place, thing.name)
    return Person(
        id=id,
        slack=thing.attributes.get("slackUserId", ""),
        phone=thing.attributes.get("phone", ""),
        backup=thing.attributes.get("backup", ""),
        booths=tuple(booth.id for booth in places if id in booth.staff),
        staff=Staff.read(shadow) if shadow else None,
        mail=thing.attributes.get("mail", ""),
        line=thing.attributes.get("line", ""),
    )


def _button(thing: Thing, shadow: Shadow) -> Button:
    reported = shadow.reported
    battery, at, heard = reported.get("battery"), reported.get("at"), reported.get("heard")
    came = reported.get("action")
    action = came if isinstance(came, dict) else {}
    return Button(
        id=thing.name.removeprefix("button-"),
        calls={
            click: written(thing.attributes[click.lower()])
            for click in ClickType
            if click.lower() in thing.attributes
        },
        booth=thing.attributes.get("booth", "main"),
        battery=float(battery) if isinstance(battery, int | float) else None,
        click=str(reported.get("click", "")),
        at=at if isinstance(at, int) else 0,
        last_call=str(reported.get("lastCall", "")),
        heard=heard if isinstance(heard, int) else 0,
        heartbeat_s=period_s(thing.attributes, reported),
        result=str(action.get("result", "")),
        reason=str(action.get("reason", "")),
        waiting=len(orders(shadow)),
    )


# --- writing


def _thing(kind: str, id: str, attributes: Mapping[str, str]) -> Thing:
    kept = {name: value for name, value in attributes.items() if value}
    return Thing(name=f"{kind}-{id}", type=kind, attributes=kept)


def _create(place: Place, thing: Thing) -> bool:
    """Whether it had to be made; 409, if another one has this name."""
    kind, _, id = thing.name.partition("-")
    try:
        there = place.things.get(thing.name)
    except Rejected as no:
        if no.code != 404:
            raise
        place.things.create(thing)
        return True
    theirs = {name: value for name, value in there.attributes.items() if name not in BOOKS}
    if theirs != thing.attributes:
        raise Rejected(409, f"id: there is a {kind} {id} already, and not like this one")
    return False


def _staff_shadow(place: Place, new: NewStaff, *, fresh: bool) -> bool:
    """Whether it had to be written; 409, if it is somebody else's."""
    thing, there = new.thing.name, _shadow(place, new.thing.name)
    if there and not fresh and "state" in there.desired:
        staff = Staff.read(there)
        if (staff.name, staff.role) != (new.name, new.role):
            raise Rejected(409, f"id: there is a staff {new.id} already, and not like this one")
        return False
    if there:  # left behind by nobody who is registered
        place.shadows.delete(thing)
    desired, reported = newcomer(new.name, new.role, place.clock())
    place.shadows.update(thing, desired=desired, reported=reported)
    return True


def _reached_at(place: Place, new: NewButton) -> bool:
    """Give whom a button calls the number that came with it; whether there was anything to write."""
    try:
        known = place.things.get(f"staff-{new.single}").attributes.get("phone", "")
    except Rejected as no:
        if no.code != 404:
            raise
        person = NewStaff(id=new.single, name=new.single, phone=new.phone, booth=new.booth)
        return add_staff(place, person) is not Done.THERE
    if known and known != new.phone:
        raise Rejected(409, f"phone: {new.single} has another number")
    if not known:
        place.things.update(f"staff-{new.single}", {"phone": new.phone})
    return not known


def _booth(place: Place, new: NewBooth, shadow: Shadow | None) -> bool:
    """Make a booth that is not there, and give it a title if it has none; whether anything was missing."""
    created = not _is_there(place, new.thing.name)
    if created:
        place.things.create(new.thing)
    if _title(shadow, ""):
        return created
    place.shadows.update(new.thing.name, reported={"title": new.title or new.id})
    return True


def _relist(
    place: Place, booth: str, change: Callable[[list[str]], list[str]], shadow: Shadow | None = None
) -> bool:
    """Change a booth's list at the version that was read (``shadow``, if it was); whether there was anything to change."""
    for _ in range(ATTEMPTS):
        shadow = shadow or _shadow(place, f"booth-{booth}")
        listed = _listed(shadow)
        after = list(dict.fromkeys(change(listed)))
        if shadow is None or after == listed:
            return False
        if len(after) > len(listed):
            _room_for_one(booth, listed)
        try:
            place.shadows.update(f"booth-{booth}", reported={"staff": after}, version=shadow.version)
        except Rejected as no:
            if no.code != 409:
                raise
            shadow = None
            time.sleep(random.uniform(0, 0.05))  # noqa: S311 - spreads writers, hides nothing
        else:
            return True
    raise Rejected(503, f"booth: others are writing to the list of {booth}; try again")


def _room_for_one(booth: str, listed: list[str]) -> None:
    if len(listed) >= STAFF_AT_A_BOOTH:
        raise Rejected(409, f"booth: {booth} has {STAFF_AT_A_BOOTH} staff, and no booth may have more")


def _only_one_with(place: Place, new: NewStaff) -> None:
    if not new.slack:
        return
    for other in place.things.list(type="staff", attribute=("slackUserId", new.slack)):
        if other.name != new.thing.name:
            raise Rejected(409, f"slack: {other.name.removeprefix('staff-')} has this Slack id already")


def _done(created: bool, changed: bool) -> Done:
    if created:
        return Done.ADDED
    return Done.CHANGED if changed else Done.THERE


def _wait_until_told(place: Place, thing: str) -> None:
    """Let the channel hear that nobody took the call before the shadow that says so is gone; but not for ever."""
    until = time.monotonic() + TOLD_WITHIN_S
    while time.monotonic() < until:
        staff = Staff.read(place.shadows.get(thing))
        if not staff.nobody_left or staff.asked.age <= staff.told.age:
            return
        time.sleep(0.05)


def _bereft(place: Place, id: str) -> Bereft:
    def with_(kind: str, attribute: str) -> list[str]:
        found = place.things.list(type=kind, attribute=(attribute, id))
        return [thing.name.removeprefix(f"{kind}-") for thing in found]

    calling = {
        thing.name.removeprefix("button-")
        for thing in place.things.list(type="button")
        if any(id in called_by(written(thing.attributes.get(click.lower(), ""))) for click in ClickType)
    }
    expected = {each.booth for each in roster(place) if each.staff == id and each.end > place.clock()}
    return Bereft(
        buttons=tuple(sorted(calling)), staff=tuple(with_("staff", "backup")), booths=tuple(sorted(expected))
    )


def _backups_that_did_not_come(
    place: Place, lines: Iterable[tuple[int, str, NewStaff | Rejected]]
) -> Iterator[Row]:
    for line, id, new in lines:
        if isinstance(new, Rejected) or not new.backup or _is_there(place, f"staff-{new.backup}"):
            continue
        with _missing_is_fine():
            if place.things.get(new.thing.name).attributes.get("backup") == new.backup:
                place.things.update(new.thing.name, {"backup": ""})
                yield Row(
                    line=line, id=id, done=None, problem=f"backup: there is no staff {new.backup}; left out"
                )


@contextmanager
def _missing_is_fine() -> Iterator[None]:
    try:
        yield
    except Rejected as no:
        if no.code != 404:
            raise
