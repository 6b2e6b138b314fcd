"""One contract for Things: in this process, and through boto3 and the REST port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.things import LocalThings
from shadows.aws import AwsThings
from shadows.errors import Rejected
from shadows.shadow import Thing, Things
from tests.places import rest_place


@pytest.fixture(params=["local", "aws"])
def things(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Things]:
    with rest_place(tmp_path) as place:
        if request.param == "local":
            yield LocalThings(place.registry)
        else:
            client = place.client("iot")
            yield AwsThings(client)
            client.close()


HANA = Thing(name="staff-hana", type="staff", attributes={"slackUserId": "U0HANA", "backup": "sora"})


def refused(things: Things, thing: Thing) -> tuple[int, str]:
    with pytest.raises(Rejected) as no:
        things.create(thing)
    return no.value.code, no.value.message


def test_a_thing_is_read_as_it_was_made(things: Things) -> None:
    things.create(HANA)
    things.create(Thing(name="plain"))
    assert things.get("staff-hana") == Thing(
        name="staff-hana", type="staff", attributes={"slackUserId": "U0HANA", "backup": "sora"}, version=1
    )
    assert things.get("plain") == Thing(name="plain", version=1)


def test_the_same_thing_again_is_fine_and_another_of_its_name_is_409(things: Things) -> None:
    things.create(HANA)
    things.create(HANA)
    assert things.get("staff-hana").version == 1
    code, message = refused(things, Thing(name="staff-hana", type="staff"))
    assert (code, "staff-hana" in message) == (409, True)
    assert things.get("staff-hana").attributes == HANA.attributes


def test_an_unknown_thing_is_404_but_can_be_deleted(things: Things) -> None:
    for ask in (things.get, lambda name: things.update(name, {"a": "1"})):
        with pytest.raises(Rejected) as no:
            ask("staff-hana")
        assert no.value.code == 404
        assert "staff-hana" in no.value.message
    things.delete("staff-hana")


def test_attributes_are_laid_over_the_old_ones_and_an_empty_one_goes(things: Things) -> None:
    things.create(HANA)
    things.update("staff-hana", {"phone": "8190", "backup": "", "never": ""})
    assert things.get("staff-hana") == Thing(
        name="staff-hana", type="staff", attributes={"slackUserId": "U0HANA", "phone": "8190"}, version=2
    )


def test_an_update_may_name_the_version_that_it_was_decided_for(things: Things) -> None:
    things.create(HANA)
    things.update("staff-hana", {"phone": "1"}, version=1)
    with pytest.raises(Rejected) as no:
        things.update("staff-hana", {"phone": "2"}, version=1)
    assert no.value.code == 409
    assert things.get("staff-hana").attributes["phone"] == "1"


def test_a_deleted_thing_is_gone_with_its_attributes(things: Things) -> None:
    things.create(HANA)
    things.delete("staff-hana")
    assert list(things.list()) == []
    things.create(Thing(name="staff-hana", type="staff"))
    assert things.get("staff-hana") == Thing(name="staff-hana", type="staff", version=1)


@pytest.mark.parametrize(
    ("thing", "field"),
    [
        (Thing(name="a b"), "thingName"),
        (Thing(name="x" * 129), "thingName"),
        (Thing(name="x\n"), "thingName"),
        (Thing(name="x", type="no type"), "thingTypeName"),
        (Thing(name="x", type="staff", attributes={"name": "有栖"}), "name"),
        (Thing(name="x", type="staff", attributes={"a": "two words"}), "a"),
        (Thing(name="x", type="staff", attributes={"a": "+81"}), "a"),
        (Thing(name="x", type="staff", attributes={"a": "1" * 801}), "a"),
        (Thing(name="x", type="staff", attributes={"a b": "1"}), "a b"),
        (Thing(name="x", type="staff", attributes={"a" * 129: "1"}), "attribute"),
        (Thing(name="x", attributes={"a": "1", "b": "2", "c": "3", "d": "4"}), "attributes"),
        (Thing(name="x", type="staff", attributes={f"a{n}": "1" for n in range(51)}), "attributes"),
    ],
)
def test_what_aws_refuses_is_400_and_names_the_field(things: Things, thing: Thing, field: str) -> None:
    code, message = refused(things, thing)
    assert (code, field in message) == (400, True), message
    assert list(things.list()) == []


def test_as_much_as_aws_takes_is_taken(things: Things) -> None:
    full = {f"{n:03}" + "a" * 125: "[x]=/#@.,:_-"[: n % 12 + 1] * 60 for n in range(50)}
    things.create(Thing(name="x" * 128, type="staff", attributes=full))
    things.create(Thing(name="y:_-", attributes={"a": "1", "b": "2", "c": "3", "d": ""}))
    assert things.get("x" * 128).attributes == full
    with pytest.raises(Rejected) as no:
        things.update("y:_-", {"d": "4"})
    assert no.value.code == 400
    assert things.get("y:_-").version == 1


def test_a_type_that_is_not_there_is_404(things: Things) -> None:
    assert refused(things, Thing(name="x", type="robot")) == (404, "Thing type robot not found")


def test_a_list_is_by_name_of_all_of_a_type_or_of_an_exact_attribute(things: Things) -> None:
    for name in ("sora", "hana", "ai"):
        things.create(
            Thing(name=f"staff-{name}", type="staff", attributes={"slackUserId": f"U{name}", "at": "1"})
        )
    things.create(Thing(name="button-1", type="button", attributes={"single": "hana"}))
    things.create(Thing(name="plain", attributes={"at": "1"}))

    def names(**wanted: object) -> list[str]:
        return [thing.name for thing in things.list(**wanted)]  # type: ignore[arg-type]

    assert names() == ["button-1", "plain", "staff-ai", "staff-hana", "staff-sora"]
    assert names(type="staff") == ["staff-ai", "staff-hana", "staff-sora"]
    assert names(type="robot") == []
    assert names(attribute=("slackUserId", "Uhana")) == ["staff-hana"]
    assert names(attribute=("slackUserId", "Uhan")) == []
    assert names(type="staff", attribute=("at", "1")) == ["staff-ai", "staff-hana", "staff-sora"]
    assert next(iter(things.list(type="button"))).attributes == {"single": "hana"}


def test_a_list_longer_than_a_page_is_whole(things: Things) -> None:
    for n in range(255):
        things.create(Thing(name=f"button-{n:03}", type="button"))
    assert [thing.name for thing in things.list(type="button")] == [f"button-{n:03}" for n in range(255)]
