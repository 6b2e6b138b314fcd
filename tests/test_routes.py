"""Whether a press reaches somebody: what is wrong is named, with what mends it; what is right is not."""

from dataclasses import replace

import pytest

from shadows.channels import Channel, Channels
from shadows.registry import Booth, Button, Person
from shadows.routes import flaws
from shadows.staff import Asked, ClickType, Staff, StaffState
from shadows.trouble import Trouble
from shadows.whom import ON_DUTY


def person(
    id: str = "hana", backup: str = "", state: StaffState = StaffState.IDLE, slack: str = "U0"
) -> Person:
    staff = Staff(asked=Asked(state=state))
    return Person(id=id, slack=slack, phone="", backup=backup, booths=("main",), staff=staff)


def button(staff: str = "hana", booth: str = "main") -> Button:
    return Button(id="demo", calls={ClickType.SINGLE: staff} if staff else {}, booth=booth)


def found(*people: Person, of: Button | None = None) -> list[Trouble]:
    booths = [Booth(id="main", title="", staff=())]
    return list(flaws(people, [of] if of else [], booths))


AWAY = StaffState.AWAY


@pytest.mark.parametrize(
    "people",
    [
        [person()],
        [person(state=StaffState.CALLING)],
        [person(state=AWAY, backup="sora"), person("sora")],
        [person(state=AWAY, backup="sora"), person("sora", state=AWAY, backup="riku"), person("riku")],
        [person(backup="sora"), person("sora", backup="hana")],
    ],
)
def test_a_way_that_leads_to_somebody_is_no_trouble(people: list[Person]) -> None:
    assert found(*people, of=button()) == []


@pytest.mark.parametrize(
    ("people", "detail", "fix"),
    [
        ([person(slack="")], "no Slack id", "--slack"),
        (
            [Person(id="hana", slack="U0", phone="", backup="", booths=(), staff=None)],
            "half-way",
            "staff add hana",
        ),
        ([person(backup="gone")], "no such staff", "staff add gone"),
        ([person(state=AWAY)], "away", "staff back hana"),
        ([person(state=AWAY, backup="sora"), person("sora", state=AWAY, backup="hana")], "away", "back"),
        ([person(state=AWAY, backup="hana")], "away", "staff back hana"),
    ],
)
def test_a_person_whom_a_call_does_not_reach_is_named_with_the_fix(
    people: list[Person], detail: str, fix: str
) -> None:
    trouble = found(*people)[0]
    assert (trouble.what, trouble.thing) == ("route", "staff-hana")
    assert detail in trouble.detail
    assert fix in trouble.fix


def test_a_backup_without_slack_can_take_no_calls() -> None:
    troubles = found(person(state=AWAY, backup="sora"), person("sora", slack=""))
    assert [trouble.thing for trouble in troubles] == ["staff-hana", "staff-sora"]


@pytest.mark.parametrize(
    ("of", "detail"),
    [
        (button(staff=""), "calls nobody"),
        (button(staff="gone"), "calls gone at SINGLE"),
        (button(booth="hall"), "stands at hall"),
    ],
)
def test_a_button_that_calls_nobody_is_named(of: Button, detail: str) -> None:
    (trouble,) = found(person(), of=of)
    assert trouble.thing == "button-demo"
    assert detail in trouble.detail
    assert "staffcall" in trouble.fix


def test_who_is_on_duty_is_somebody_unless_nobody_stands_at_the_booth() -> None:
    duty = button(ON_DUTY)
    manned, empty = (Booth(id="main", title="", staff=staff) for staff in (("hana",), ()))
    assert list(flaws([person()], [duty], [manned])) == []
    (flaw,) = flaws([person()], [duty], [empty])
    assert flaw.thing == "button-demo"
    assert "nobody stands there" in flaw.detail
    assert "staff add" in flaw.fix


def test_who_is_reached_by_another_way_needs_no_slack() -> None:
    sms = Channels(each=(Channel(n=0, name="twilio", needs=frozenset({"phone"})),))
    reached = replace(person("hana", slack=""), phone="819012345678")
    assert list(flaws([reached], [], [], sms)) == []
    assert len(list(flaws([replace(reached, phone="")], [], [], sms))) == 1
    without = replace(sms, slack=False)
    assert len(list(flaws([person("ken", slack="U0")], [], [], without))) == 1
    assert list(flaws([reached], [], [], without)) == []
