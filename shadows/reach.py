"""What the clicks of all buttons come to at this moment: whom they reach, and who is reached by more than one button."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from shadows.actions import shown
from shadows.calls import Place
from shadows.duty import Duty, on_duty
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
        shared: of each person whom it names, which other buttons name them, too.
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
    known = list(buttons(place))
    by_duty = {each.booth for each in known if ON_DUTY in each.calls.values()}
    duties = readable(place) if by_duty else ()
    listed = {each.id: each.staff for each in booths(place)} if by_duty else {}
    named_by = _named_by(known)
    for each in known:
        yield _reach(each, named_by, duties, listed.get(each.booth, ()), place.clock())


def _reach(
    button: Button,
    named_by: Mapping[str, tuple[str, ...]],
    duties: tuple[Duty, ...],
    listed: tuple[str, ...],
    now: int,
) -> Reach:
    is_by_duty = ON_DUTY in button.calls.values()
    named = dict.fromkeys(id for does in button.calls.values() for id in called_by(does))
    others = {id: tuple(each for each in named_by[id] if each != button.id) for id in named}
    return Reach(
        button=button,
        on_duty=on_duty(duties, button.booth, now) if is_by_duty else (),
        instead=candidates(duties, button.booth, listed, now) if is_by_duty else (),
        shared={id: found for id, found in others.items() if found},
    )


def _named_by(known: Iterable[Button]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for button in known:
        for does in button.calls.values():
            for id in called_by(does):
                found.setdefault(id, {})[button.id] = None
    return {id: tuple(ids) for id, ids in found.items()}
