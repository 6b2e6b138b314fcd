"""Staff, buttons and booths: who may be there, and how they come and go."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shadows import registry
from shadows.calls import read
from shadows.errors import Rejected
from shadows.registry import Bereft, Done, NewBooth, NewButton, NewStaff
from shadows.staff import CallEvent, ClickType, StaffState
from tests.memory import Shop

FOUR = ("state", "since", "why", "call")


class Crash(Exception):
    """The process ends here."""


@pytest.fixture
def shop() -> Shop:
    return Shop()


def add(shop: Shop, id: str, **more: str) -> Done:
    return registry.add_staff(shop.place, NewStaff(id=id, **{"name": id.title(), **more}))


def listed(shop: Shop, booth: str = "main") -> list[str]:
    found: list[str] = shop.shadows.get(f"booth-{booth}").reported["staff"]
    return found


def refused(code: int, work: Callable[[], Any]) -> str:
    with pytest.raises(Rejected) as no:
        work()
    assert no.value.code == code
    return no.value.message


def everything(shop: Shop) -> Any:
    return dict(shop.things.kept), {
        name: (each.desired, each.reported) for name, each in shop.shadows.kept.items()
    }


def crash_at(shop: Shop, write: int, work: Callable[[], Any]) -> bool:
    """Run until the n-th write, and die before it; whether it came that far."""
    left = [write]
    real = {name: getattr(shop.things, name) for name in ("create", "update", "delete")}
    shadows = {name: getattr(shop.shadows, name) for name in ("update", "delete")}

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if not left[0]:
                raise Crash
            left[0] -= 1
            return method(*args, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for target, methods in ((shop.things, real), (shop.shadows, shadows)):
            for name, method in methods.items():
                patch.setattr(target, name, dying(method))
        try:
            work()
        except Crash:
            return True
    return False


# --- Staff


def test_new_staff_are_idle_on_both_sides_with_no_delta(shop: Shop) -> None:
    add(shop, "hana", name="有栖 Alice", role="受付", slack="U0HANA", phone="819012345678")
    shadow = shop.shadows.get("staff-hana")
    assert {name: shadow.reported[name] for name in FOUR} == shadow.desired
    assert shadow.version == 1
    assert set(shadow.desired["call"]) == {
        "id", "booth", "click", "at", "count", "note", "end", "to", "tried", "reminded", "promised", "group"
    }  # fmt: skip
    assert (shadow.reported["name"], shadow.reported["role"]) == ("有栖 Alice", "受付")
    assert read(shop.place, "staff-hana").state is StaffState.IDLE


def test_what_is_private_is_in_the_registry_and_in_no_shadow(shop: Shop) -> None:
    add(shop, "ken")
    new = NewStaff(id="hana", name="Hana", slack="U0HANA", phone="819012345678", backup="ken")
    registry.add_staff(shop.place, new)
    attributes = {"slackUserId": "U0HANA", "phone": "819012345678", "backup": "ken"}
    assert shop.things.get("staff-hana").attributes == attributes
    assert not any(secret in str(shop.shadows.kept) for secret in ("U0HANA", "819012345678"))
    assert not any(secret in repr(new) for secret in ("U0HANA", "819012345678"))


def test_adding_staff_makes_their_booth_and_puts_them_last_on_its_list(shop: Shop) -> None:
    add(shop, "hana", booth="east")
    add(shop, "abe", booth="east")
    assert listed(shop, "east") == ["staff-hana", "staff-abe"]
    assert shop.shadows.get("booth-east").reported["title"] == "east"
    assert shop.things.get("booth-east").type == "booth"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "Hana"),
        ("id", "-hana"),
        ("id", "x" * 25),
        ("id", "hana\n"),
        ("id", "はな"),
        ("id", "a/b"),
        ("name", ""),
        ("name", "  "),
        ("name", "x" * 81),
        ("name", "a\nb"),
        ("name", "a\x1b[31mb"),
        ("name", "\udcff"),
        ("role", "x" * 81),
        ("role", "a\u2028b"),
        ("slack", "X0HANA"),
        ("slack", "U1"),
        ("slack", "u0hana"),
        ("slack", "@hana"),
        ("slack", "U" + "A" * 21),
        ("phone", "+8190"),
        ("phone", "81-90"),
        ("phone", "８１９０"),
        ("phone", "1" * 16),
        ("backup", "No Body"),
        ("backup", "hana"),
        ("booth", "Main Hall"),
    ],
)
def test_a_bad_field_of_staff_is_refused_by_its_name(field: str, value: str) -> None:
    fields = {"id": "hana", "name": "Hana", field: value}
    message = refused(400, lambda: NewStaff(**fields))
    assert message.startswith(f"{field}: expected")


@pytest.mark.parametrize(
    ("id", "name", "role", "slack", "phone"),
    [("0", "x", "", "W12", "110"), ("x" * 24, "é" * 80, "👩‍💻" * 20, "U" + "9" * 20, "1" * 15)],
    ids=["shortest", "longest"],
)
def test_the_longest_and_the_shortest_that_is_allowed_is_taken(
    shop: Shop, id: str, name: str, role: str, slack: str, phone: str
) -> None:
    assert add(shop, id, name=name, role=role, slack=slack, phone=phone) is Done.ADDED
    kept = registry.person(shop.place, id)
    assert kept.staff
    assert (kept.id, kept.slack, kept.phone) == (id, slack, phone)
    assert (kept.staff.name, kept.staff.role) == (name, role)


def test_a_slack_id_belongs_to_one_person(shop: Shop) -> None:
    add(shop, "hana", slack="U0HANA")
    assert "hana" in refused(409, lambda: add(shop, "ken", slack="U0HANA"))
    assert "staff-ken" not in shop.things.kept
    assert listed(shop) == ["staff-hana"]


def test_a_backup_must_be_there(shop: Shop) -> None:
    assert "backup: there is no staff ken" in refused(404, lambda: add(shop, "hana", backup="ken"))
    assert everything(shop) == ({}, {})


def test_the_same_again_changes_nothing_and_something_else_is_refused(shop: Shop) -> None:
    assert add(shop, "hana", slack="U0HANA") is Done.ADDED
    before = everything(shop)
    assert add(shop, "hana", slack="U0HANA") is Done.THERE
    for other in ({}, {"slack": "U0HANA", "name": "Other"}, {"slack": "U0HANA", "phone": "110"}):
        refused(409, lambda other=other: add(shop, "hana", **other))  # type: ignore[misc]
    assert everything(shop) == before


@pytest.mark.parametrize("books", ["cards", "open", "thread"])
def test_who_was_told_something_in_slack_is_still_the_same(shop: Shop, books: str) -> None:
    add(shop, "hana")
    shop.things.update("staff-hana", {books: "01JD:1.5"})
    assert add(shop, "hana") is Done.THERE


def test_somebody_can_be_listed_at_a_second_booth(shop: Shop) -> None:
    add(shop, "hana")
    assert add(shop, "hana", booth="east") is Done.CHANGED
    assert registry.person(shop.place, "hana").booths == ("east", "main")


def test_adding_again_after_a_crash_at_any_write_ends_like_one_that_did_not_crash(shop: Shop) -> None:
    add(shop, "hana")
    whole = everything(shop)
    write = 0
    while True:
        other = Shop()
        crashed = crash_at(other, write, lambda other=other: add(other, "hana"))  # type: ignore[misc]
        if not crashed:
            break
        assert add(other, "hana") in (Done.ADDED, Done.CHANGED)
        assert everything(other) == whole
        write += 1
    assert write >= 4


def test_what_a_crashed_removal_left_of_somebody_else_is_not_inherited(shop: Shop) -> None:
    shop.shadows.update(
        "staff-hana", desired={"state": "calling"}, reported={"telling": {"at": 5}, "name": "Old"}
    )
    add(shop, "hana")
    assert read(shop.place, "staff-hana").state is StaffState.IDLE
    assert "telling" not in shop.shadows.get("staff-hana").reported


def test_a_booth_takes_200_and_not_one_more(shop: Shop) -> None:
    names = [f"staff-s{number}" for number in range(199)]
    registry.add_booth(shop.place, NewBooth(id="main"))
    shop.shadows.update("booth-main", reported={"staff": names})
    add(shop, "hana")
    assert "200" in refused(409, lambda: add(shop, "ken"))
    assert "staff-ken" not in shop.things.kept
    assert len(listed(shop)) == 200
    assert add(shop, "hana") is Done.THERE


def test_many_added_at_once_are_all_on_the_list(shop: Shop) -> None:
    names = [f"s{number}" for number in range(12)]
    threads = [threading.Thread(target=add, args=(shop, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(listed(shop)) == sorted(f"staff-{name}" for name in names)


def test_who_joined_between_our_reading_and_our_writing_stays_on_the_list(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(shop, "hana")
    update, others = shop.shadows.update, iter(["ken", "abe"])

    def late(thing: str, *, version: int | None = None, **more: Any) -> int:
        if thing == "booth-main" and (other := next(others, None)):
            update(thing, reported={"staff": [*listed(shop), f"staff-{other}"]})
        return update(thing, version=version, **more)

    monkeypatch.setattr(shop.shadows, "update", late)
    assert add(shop, "yuki") is Done.ADDED
    assert listed(shop) == ["staff-hana", "staff-ken", "staff-abe", "staff-yuki"]


def test_nonsense_on_a_booths_list_does_not_stop_the_next_one(shop: Shop) -> None:
    shop.shadows.update("booth-main", reported={"title": 5, "staff": "nobody"})
    assert add(shop, "hana") is Done.ADDED
    assert listed(shop) == ["staff-hana"]
    assert registry.booth(shop.place, "main").title == "main"


# --- Removing


def test_a_removed_person_is_gone_from_everywhere(shop: Shop) -> None:
    add(shop, "hana", booth="east")
    add(shop, "hana")
    add(shop, "ken")
    assert registry.remove_staff(shop.place, "hana") == Bereft()
    assert (listed(shop), listed(shop, "east")) == (["staff-ken"], [])
    assert not {"staff-hana"} & (set(shop.things.kept) | set(shop.shadows.kept))
    assert "hana" in refused(404, lambda: registry.remove_staff(shop.place, "hana"))


def test_a_removed_persons_call_goes_to_their_backup(shop: Shop) -> None:
    add(shop, "ken")
    add(shop, "hana", backup="ken")
    shop.press("staff-hana")
    call = read(shop.place, "staff-hana").call.id
    registry.remove_staff(shop.place, "hana")
    ken = read(shop.place, "staff-ken")
    assert (ken.state, ken.call.id, ken.call.tried) == (StaffState.CALLING, call, ("staff-hana",))


def test_that_nobody_took_a_removed_persons_call_is_told_before_they_are_gone(shop: Shop) -> None:
    add(shop, "hana")
    shop.press("staff-hana")
    shop.deliver("staff-hana")
    telling = threading.Timer(0.1, shop.deliver, ["staff-hana"])
    telling.start()
    registry.remove_staff(shop.place, "hana")
    telling.join()
    assert shop.kinds() == ["press", "nobody"]


def test_removing_waits_only_so_long_for_a_slack_that_does_not_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "TOLD_WITHIN_S", 0.1)
    add(shop, "hana")
    shop.press("staff-hana")
    registry.remove_staff(shop.place, "hana")
    assert "staff-hana" not in shop.shadows.kept


def test_who_relied_on_a_removed_person_is_named(shop: Shop) -> None:
    add(shop, "hana")
    add(shop, "ken", backup="hana")
    for id, calls in {
        "b1": {"single": "hana"},
        "b2": {"single": "ken", "long": "hana"},
        "b3": {"single": "ken"},
    }.items():
        registry.add_button(shop.place, NewButton(id=id, **calls))
    assert registry.remove_staff(shop.place, "hana") == Bereft(buttons=("b1", "b2"), staff=("ken",))


def test_removing_again_after_a_crash_at_any_write_finishes_it() -> None:
    write = 0
    while True:
        shop = Shop()
        add(shop, "ken")
        add(shop, "hana", backup="ken")
        shop.press("staff-hana")
        work = partial(registry.remove_staff, shop.place, "hana")
        if not crash_at(shop, write, work):
            break
        work()
        assert listed(shop) == ["staff-ken"]
        assert read(shop.place, "staff-ken").state is StaffState.CALLING
        assert not {"staff-hana"} & (set(shop.things.kept) | set(shop.shadows.kept))
        write += 1
    assert write >= 4


# --- Looking


def test_a_person_is_shown_with_state_booths_and_what_is_private(shop: Shop) -> None:
    add(shop, "ken")
    add(shop, "hana", slack="U0HANA", phone="110", backup="ken", booth="east")
    shop.press("staff-hana", "east")
    hana = registry.person(shop.place, "hana")
    assert (hana.slack, hana.phone, hana.backup, hana.booths) == ("U0HANA", "110", "ken", ("east",))
    assert hana.staff
    assert (hana.staff.state, hana.staff.call.booth) == (StaffState.CALLING, "east")
    assert [each.id for each in registry.people(shop.place)] == ["hana", "ken"]
    assert "there is no staff yuki" in refused(404, lambda: registry.person(shop.place, "yuki"))


def test_somebody_half_added_is_listed_as_such(shop: Shop) -> None:
    crash_at(shop, 1, lambda: add(shop, "hana"))
    (hana,) = registry.people(shop.place)
    assert hana.staff is None


def test_away_and_back_by_an_administrator(shop: Shop) -> None:
    add(shop, "hana")
    away = registry.answer(shop.place, "hana", CallEvent.AWAY)
    assert (away.state, away.changed) == (StaffState.AWAY, True)
    assert registry.answer(shop.place, "hana", CallEvent.AWAY).changed is False
    assert registry.answer(shop.place, "hana", CallEvent.BACK).state is StaffState.IDLE
    assert "there is no staff yuki" in refused(
        404, lambda: registry.answer(shop.place, "yuki", CallEvent.AWAY)
    )


# --- The order of a booth, and who stands in


def test_a_booth_is_put_in_order_and_who_is_not_named_stays_behind(shop: Shop) -> None:
    for id in ("hana", "sora", "riku", "yuki"):
        add(shop, id)
    assert registry.order_booth(shop.place, "main", ["riku", "sora"])
    assert listed(shop) == ["staff-riku", "staff-sora", "staff-hana", "staff-yuki"]
    assert not registry.order_booth(shop.place, "main", ["riku"])


def test_who_joins_while_a_booth_is_put_in_order_stays_on_its_list(shop: Shop) -> None:
    add(shop, "hana")
    add(shop, "sora")
    update = shop.shadows.update

    def joined_before(thing: str, **more: Any) -> int:
        shop.shadows.update = update  # type: ignore[method-assign]
        add(shop, "riku")
        return update(thing, **more)

    shop.shadows.update = joined_before  # type: ignore[method-assign]
    registry.order_booth(shop.place, "main", ["sora", "hana"])
    assert listed(shop) == ["staff-sora", "staff-hana", "staff-riku"]


@pytest.mark.parametrize(
    ("booth", "staff", "code", "words"),
    [
        ("main", ["hana", "hana"], 400, "staff: expected each once, got hana twice"),
        ("main", ["Hana"], 400, "staff: expected"),
        ("main", ["sora"], 409, "staff: sora is not on the list of booth main"),
        ("east", ["hana"], 404, "id: there is no booth east"),
        ("East", ["hana"], 400, "id: expected"),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    shop: Shop, booth: str, staff: list[str], code: int, words: str
) -> None:
    add(shop, "hana")
    before = everything(shop)
    assert refused(code, lambda: registry.order_booth(shop.place, booth, staff)).startswith(words)
    assert everything(shop) == before


def test_a_backup_is_set_changed_and_taken_away(shop: Shop) -> None:
    for id in ("hana", "sora"):
        add(shop, id, slack=f"U0{id.upper()}")
    registry.set_backup(shop.place, "hana", "sora")
    assert registry.person(shop.place, "hana").backup == "sora"
    registry.set_backup(shop.place, "hana", "")
    found = registry.person(shop.place, "hana")
    assert (found.backup, found.slack) == ("", "U0HANA")


@pytest.mark.parametrize(
    ("id", "backup", "code", "words"),
    [
        ("hana", "hana", 400, "backup: expected somebody else"),
        ("hana", "nobody", 404, "backup: there is no staff nobody"),
        ("hana", "No", 400, "backup: expected"),
        ("nobody", "hana", 404, "id: there is no staff nobody"),
    ],
)
def test_a_backup_who_cannot_stand_in_is_refused(
    shop: Shop, id: str, backup: str, code: int, words: str
) -> None:
    add(shop, "hana")
    before = everything(shop)
    assert refused(code, lambda: registry.set_backup(shop.place, id, backup)).startswith(words)
    assert everything(shop) == before


# --- Many at once


def imported(shop: Shop, *people: NewStaff | Rejected) -> list[tuple[int, str]]:
    lines = [
        (number, one.id if isinstance(one, NewStaff) else "?", one)
        for number, one in enumerate(people, start=2)
    ]
    return [(row.line, row.done or row.problem) for row in registry.import_staff(shop.place, lines)]


def test_of_an_import_each_line_is_done_or_said_why_not(shop: Shop) -> None:
    add(shop, "hana")
    assert imported(
        shop,
        NewStaff(id="ken", name="Ken", backup="yuki"),
        NewStaff(id="hana", name="Hana"),
        Rejected(400, "name: expected"),
        NewStaff(id="yuki", name="Yuki", backup="ken"),
        NewStaff(id="ken", name="Another"),
    ) == [
        (2, "added"),
        (3, "there already"),
        (4, "name: expected"),
        (5, "added"),
        (6, "id: there is a staff ken already, and not like this one"),
    ]
    assert registry.person(shop.place, "ken").backup == "yuki"
    assert registry.person(shop.place, "yuki").backup == "ken"


def test_an_imported_backup_that_was_refused_itself_is_left_out_and_said(shop: Shop) -> None:
    add(shop, "hana", slack="U0HANA")
    rows = imported(
        shop,
        NewStaff(id="ken", name="Ken", backup="yuki"),
        NewStaff(id="yuki", name="Yuki", slack="U0HANA"),
        NewStaff(id="abe", name="Abe", backup="zoe"),
    )
    assert [line for line, _ in rows] == [2, 3, 4, 2]
    assert rows[-1] == (2, "backup: there is no staff yuki; left out")
    assert rows[2] == (4, "backup: there is no staff zoe")
    assert registry.person(shop.place, "ken").backup == ""
    assert "staff-abe" not in shop.things.kept


# --- Buttons and booths


def test_a_button_calls_whom_its_clicks_are_bound_to(shop: Shop) -> None:
    add(shop, "hana")
    add(shop, "ken")
    assert (
        registry.add_button(shop.place, NewButton(id="440520000000001", single="hana", long="ken"))
        is Done.ADDED
    )
    (button,) = registry.buttons(shop.place)
    assert button.calls == {ClickType.SINGLE: "hana", ClickType.LONG: "ken"}
    assert (button.booth, button.battery, button.at) == ("main", None, 0)
    again = NewButton(id="440520000000001", single="hana", long="ken")
    assert registry.add_button(shop.place, again) is Done.THERE
    refused(409, lambda: registry.add_button(shop.place, NewButton(id=again.id, single="ken")))


def test_a_button_shows_what_it_reported_last(shop: Shop) -> None:
    add(shop, "hana")
    registry.add_button(shop.place, NewButton(id="b1", single="hana"))
    shop.shadows.update("button-b1", reported={"battery": 0.5, "click": "LONG", "at": 5, "lastCall": "01JD"})
    (button,) = registry.buttons(shop.place)
    assert (button.battery, button.click, button.at, button.last_call) == (0.5, "LONG", 5, "01JD")


def test_a_button_cannot_call_who_is_not_there(shop: Shop) -> None:
    add(shop, "hana")
    message = refused(404, lambda: registry.add_button(shop.place, NewButton(id="b1", single="yuki")))
    assert message == "staff: there is no staff yuki"
    double = NewButton(id="b1", single="hana", double="yuki")
    assert refused(404, lambda: registry.add_button(shop.place, double)).startswith("double:")
    assert list(registry.buttons(shop.place)) == []


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("id", {"id": ""}),
        ("id", {"id": "a b"}),
        ("id", {"id": "x" * 65}),
        ("staff", {"single": ""}),
        ("staff", {"single": "staff hana"}),
        ("double", {"double": "A"}),
        ("long", {"long": "あ"}),
        ("booth", {"booth": ""}),
    ],
)
def test_a_bad_field_of_a_button_is_refused_by_its_name(field: str, fields: dict[str, str]) -> None:
    message = refused(400, lambda: NewButton(**{"id": "b1", "single": "hana", **fields}))
    assert message.startswith(f"{field}: expected")


def test_a_removed_button_is_gone_with_its_shadow(shop: Shop) -> None:
    add(shop, "hana")
    registry.add_button(shop.place, NewButton(id="b1", single="hana"))
    shop.shadows.update("button-b1", reported={"battery": 0.5})
    registry.remove_button(shop.place, "b1")
    assert not {"button-b1"} & (set(shop.things.kept) | set(shop.shadows.kept))
    assert "there is no button b1" in refused(404, lambda: registry.remove_button(shop.place, "b1"))


def test_a_booth_has_its_id_for_a_title_until_it_gets_one(shop: Shop) -> None:
    assert registry.add_booth(shop.place, NewBooth(id="main")) is Done.ADDED
    assert registry.booth(shop.place, "main").title == "main"
    assert registry.add_booth(shop.place, NewBooth(id="main", title="正面")) is Done.CHANGED
    assert registry.add_booth(shop.place, NewBooth(id="main", title="正面")) is Done.THERE
    assert registry.add_booth(shop.place, NewBooth(id="main")) is Done.THERE
    refused(409, lambda: registry.add_booth(shop.place, NewBooth(id="main", title="Side")))
    assert [each.title for each in registry.booths(shop.place)] == ["正面"]


def test_a_bad_booth_is_refused() -> None:
    assert refused(400, lambda: NewBooth(id="Main")).startswith("id: expected")
    assert refused(400, lambda: NewBooth(id="main", title="x" * 81)).startswith("title: expected")


# --- a button that comes with a number and a message


def test_a_button_brings_whom_it_calls_their_number_and_what_to_say(shop: Shop) -> None:
    new = NewButton(id="bell", single="night", booth="bed", phone="819012345678", message="The bell rang")
    assert registry.add_button(shop.place, new) is Done.ADDED
    assert shop.things.get("staff-night").attributes["phone"] == "819012345678"
    assert shop.shadows.get("booth-bed").reported == {
        "title": "bed", "staff": ["staff-night"], "message": "The bell rang",
    }  # fmt: skip
    assert registry.add_button(shop.place, new) is Done.THERE
    shop.shadows.update("booth-bed", reported={"message": None})
    assert registry.add_button(shop.place, new) is Done.CHANGED


def test_who_is_there_gets_the_number_but_no_other_one(shop: Shop) -> None:
    registry.add_staff(shop.place, NewStaff(id="night", name="夜勤 Night", slack="U0NIGHT"))
    new = NewButton(id="bell", single="night", phone="819012345678")
    assert registry.add_button(shop.place, new) is Done.ADDED
    person = registry.person(shop.place, "night")
    assert (person.phone, person.slack, person.staff and person.staff.name) == (
        "819012345678", "U0NIGHT", "夜勤 Night",
    )  # fmt: skip
    other = NewButton(id="other", single="night", phone="819000000000")
    assert refused(409, lambda: registry.add_button(shop.place, other)) == "phone: night has another number"
    assert [each.id for each in registry.buttons(shop.place)] == ["bell"]


@pytest.mark.parametrize("single", ["@duty", "all:hana,sora"])
def test_a_number_is_of_one_person(single: str) -> None:
    with pytest.raises(Rejected, match="phone: expected one person as staff"):
        NewButton(id="bell", single=single, phone="819012345678")
    with pytest.raises(Rejected, match="phone: expected 3 to 15 digits"):
        NewButton(id="bell", single="night", phone="+81")
