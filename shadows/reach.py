"""What the clicks of all buttons come to at this moment: whom they reach, and who is reached by more than one button."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shadows.actions import shown
from shadows.calls import Place
from shadows.duty import on_duty
from shadows.registry import Button, booths, buttons, called_by
from shadows.shadow import JsonObject
from shadows.staff import ClickType
from shadows.whom import ON_DUTY, candidates, readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One button, and what its clicks come to.

    Attributes:
        on_duty: ids of who is on duty at its booth.
        instead: while nobody is, the ids of whom a press for who is on duty may call.
        shared: of each person whom it may call now, which other buttons may, too.
    """

    button: Button
    on_duty: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, click: ClickType) -> str:
        """What a click does, in a few words; "" for what a single one does."""
        reference = self.button.calls.get(click, "")
        if reference != ON_DUTY:
            return shown(reference)
        nobody = f"nobody; else {', '.join(self.instead)}" if self.instead else "nobody"
        return f"{ON_DUTY} ({', '.join(self.on_duty) or nobody})"

    def document(self) -> JsonObject:
        """For programs; a ``click`` that does nothing of its own is not among the ``clicks``."""
        button = self.button
        return {
            "id": button.id,
            "booth": button.booth,
            "clicks": {click: shown(does) for click, does in button.calls.items()},
            "onDuty": list(self.on_duty) if ON_DUTY in button.calls.values() else None,
            "shared": {person: list(others) for person, others in self.shared.items()},
            "battery": button.battery,
            "lastPress": {"click": button.click, "at": button.at} if button.at else None,
            "started": {"result": button.result, "reason": button.reason} if button.result else None,
            "waiting": button.waiting,
        }


def reaches(place: Place) -> Iterator[Reach]:
    """Every button, by id."""
    known, now = list(buttons(place)), place.clock()
    by_duty = {each.booth for each in known if ON_DUTY in each.calls.values()}
    duties = readable(place) if by_duty else ()
    listed = {each.id: each.staff for each in booths(place)} if by_duty else {}
    there = {booth: on_duty(duties, booth, now) for booth in by_duty}
    called = {each.id: _called(each, there) for each in known}
    for each in known:
        is_by_duty = ON_DUTY in each.calls.values()
        yield Reach(
            button=each,
            on_duty=there[each.booth] if is_by_duty else (),
            instead=candidates(duties, each.booth, listed.get(each.booth, ()), now) if is_by_duty else (),
            shared=_shared(each.id, called),
        )


def _called(button: Button, there: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Everybody whom a button may call now, by name or because they are on duty."""
    named = [there[button.booth] if does == ON_DUTY else called_by(does) for does in button.calls.values()]
    return tuple(dict.fromkeys(id for each in named for id in each))


def _shared(button: str, called: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    others = {
        id: tuple(each for each in called if each != button and id in called[each]) for id in called[button]
    }
    return {id: found for id, found in others.items() if found}
