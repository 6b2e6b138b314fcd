"""Staff as a table: what is written can be read again, and gives the same people at the same booths, in the same order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows import registry, sheet
from shadows.errors import Rejected
from shadows.registry import NewStaff
from tests.memory import Shop

# What a name may hold and a cell of a table keeps: a sheet's edges are trimmed, and its line breaks are none of ours.
names = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(' ",;'), min_size=1)
names = names.map(str.strip).filter(lambda name: 1 <= len(name) <= registry.NAME_LENGTH)


def registered(shop: Shop) -> tuple[Any, Any]:
    people = [
        (each.id, each.staff and (each.staff.name, each.staff.role), each.private, each.backup)
        for each in registry.people(shop.place)
    ]
    return people, [(each.id, each.staff) for each in registry.booths(shop.place)]


def written(shop: Shop) -> str:
    return sheet.write(registry.people(shop.place), registry.booths(shop.place))


@given(
    st.lists(st.tuples(names, names, st.sampled_from(["east", "west", "main"])), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_what_is_written_gives_the_same_booths_when_it_is_read(
    people: list[tuple[str, str, str]], random: Any
) -> None:
    one, other = Shop(), Shop()
    for n, (name, role, booth) in enumerate(people):
        new = NewStaff(id=f"p{n}", name=name, role=role, slack=f"U0P{n}", phone="8190", booth=booth)
        registry.add_staff(one.place, new)
    again = NewStaff(id="p0", name=people[0][0], role=people[0][1], slack="U0P0", phone="8190", booth="north")
    registry.add_staff(one.place, again)
    registry.set_backup(one.place, "p0", "p1" if len(people) > 1 else "")
    for booth in registry.booths(one.place):
        order = list(booth.staff)
        random.shuffle(order)
        registry.order_booth(one.place, booth.id, order)
    rows = list(registry.import_staff(other.place, sheet.read(written(one).encode())))
    assert [row.problem for row in rows if row.done is None] == []
    assert registered(other) == registered(one)
    assert written(other) == written(one)


def test_who_is_at_no_booth_is_written_too_and_who_is_half_added_is_not() -> None:
    shop = Shop()
    registry.add_staff(shop.place, NewStaff(id="hana", name="Hana"))
    registry.add_staff(shop.place, NewStaff(id="sora", name="Sora"))
    shop.shadows.update("booth-main", reported={"staff": ["staff-hana", "staff-nobody"]})
    shop.shadows.delete("staff-hana")
    assert written(shop).splitlines()[1:] == ["sora,Sora,,,,,,,"]


def test_a_table_is_read_with_its_line_numbers_and_what_is_wrong() -> None:
    lines = sheet.read(b'\xef\xbb\xbfid,name\r\n\r\na1,"two\nlines"\nA 1,X\nb1\nc1, C \n')
    assert [(line, id, new.name if isinstance(new, NewStaff) else new.message[:9]) for line, id, new in lines] == [
        (4, "a1", "name: exp"),
        (5, "A 1", "id: expec"),
        (6, "b1", "expected "),
        (7, "c1", "C"),
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"\x81", b"name\nx\n", b'id,name\nx,"open\n', b"id,name,shoe\n"])
def test_what_is_no_such_table_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(Rejected) as no:
        sheet.read(content)
    assert no.value.code == 400
