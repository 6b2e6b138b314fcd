"""Whether a press reaches somebody: each way from a button to a person who can be mentioned, on paper."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shadows.channels import Channels
from shadows.registry import Booth, Button, Person, called_by
from shadows.staff import StaffState
from shadows.trouble import Trouble
from shadows.whom import ON_DUTY

SLACK_ALONE: Final = Channels()


def flaws(
    people: Iterable[Person],
    buttons: Iterable[Button],
    booths: Iterable[Booth],
    channels: Channels = SLACK_ALONE,
) -> Iterator[Trouble]:
    """What keeps a press from reaching somebody, person by person, then button by button and booth by booth.

    ``channels``: the other ways by which people are reached.
    """
    known = {person.id: person for person in people}
    places = {booth.id: booth for booth in booths}
    for person in known.values():
        yield from _of_person(person, known, channels)
    for button in buttons:
        yield from _of_button(button, known, places)


def unmentioned(people: Iterable[Person], channels: Channels = SLACK_ALONE) -> Iterator[Trouble]:
    """Who cannot be mentioned, for want of a Slack id, nor reached by another way."""
    for person in people:
        if not _is_reached(person, channels):
            yield _route(
                f"staff-{person.id}",
                f"{person.id} has no Slack id: a call is posted, and mentions nobody.",
                f"Run `staffcall staff edit {person.id} --slack U…`, with their member id.",
            )


def _of_person(person: Person, known: Mapping[str, Person], channels: Channels) -> Iterator[Trouble]:
    thing = f"staff-{person.id}"
    if person.staff is None:
        yield _route(
            thing,
            f"{person.id} was added only half-way.",
            f"Run the same `staffcall staff add {person.id} …` again.",
        )
    yield from unmentioned([person], channels)
    if person.backup and person.backup not in known:
        yield _route(
            thing,
            f"{person.id} names {person.backup} as backup, and there is no such staff.",
            f"Run `staffcall staff add {person.backup} …`.",
        )
    if _is_away(person) and not any(_can_come(other, channels) for other in _backups(person, known)):
        yield _route(
            thing,
            f"{person.id} is away, and no backup can take the calls: the whole channel is asked.",
            f"Run `staffcall staff back {person.id}`, or have a backup come back.",
        )


def _of_button(button: Button, known: Mapping[str, Person], places: Mapping[str, Booth]) -> Iterator[Trouble]:
    thing = f"button-{button.id}"
    again = f"Run `staffcall button remove {button.id}`, then `button add` with"
    if not button.calls:
        yield _route(thing, f"Button {button.id} calls nobody.", f"{again} --staff ID.")
    for click, reference in button.calls.items():
        for id in called_by(reference):
            if id not in known:
                yield _route(
                    thing,
                    f"Button {button.id} calls {id} at {click}, and there is no such staff.",
                    f"Run `staffcall staff add {id} …`.",
                )
    if ON_DUTY in button.calls.values() and button.booth in places and not places[button.booth].staff:
        yield _route(
            thing,
            f"Button {button.id} calls who is on duty at {button.booth}, and nobody stands there, should the roster have nobody.",
            f"Run `staffcall staff add … --booth {button.booth}`.",
        )
    if button.booth not in places:
        yield _route(
            thing,
            f"Button {button.id} stands at {button.booth}, and there is no such booth.",
            f"Run `staffcall booth add {button.booth}`.",
        )


def _route(thing: str, detail: str, fix: str) -> Trouble:
    return Trouble(what="route", thing=thing, detail=detail, fix=fix)


def _backups(person: Person, known: Mapping[str, Person]) -> Iterator[Person]:
    """Who is asked after somebody, in turn; each once."""
    passed = {person.id}
    while (backup := known.get(person.backup)) and backup.id not in passed:
        passed.add(backup.id)
        yield backup
        person = backup


def _is_away(person: Person) -> bool:
    return person.staff is not None and person.staff.state is StaffState.AWAY


def _can_come(person: Person, channels: Channels) -> bool:
    return _is_reached(person, channels) and person.staff is not None and not _is_away(person)


def _is_reached(person: Person, channels: Channels) -> bool:
    """Whether a call reaches them: a mention where there is a Slack, or an alert."""
    return bool(person.slack and channels.slack) or bool(channels.of(person.private))
