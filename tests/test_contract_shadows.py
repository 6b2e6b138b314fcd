"""One contract for Shadows: in this process, and through boto3 and the REST port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.service import LocalShadows
from shadows.aws import AwsShadows
from shadows.errors import Rejected
from shadows.shadow import Shadow, Shadows
from tests.places import rest_place


@pytest.fixture(params=["local", "aws"])
def shadows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shadows]:
    with rest_place(tmp_path) as place:
        if request.param == "local":
            yield LocalShadows(place.service)
        else:
            client = place.client("iot-data")
            yield AwsShadows(client)
            client.close()


def code_of(no: pytest.ExceptionInfo[Rejected]) -> tuple[int, str]:
    return no.value.code, no.value.message


def test_what_is_written_is_read(shadows: Shadows) -> None:
    assert (
        shadows.update("staff-hana", desired={"名": ["有栖", 1, 1.5, True, {}]}, reported={"b": {"c": ""}})
        == 1
    )
    assert shadows.get("staff-hana") == Shadow(
        desired={"名": ["有栖", 1, 1.5, True, {}]}, reported={"b": {"c": ""}}, version=1
    )


def test_a_section_that_is_not_sent_stays_and_a_null_removes_its_key(shadows: Shadows) -> None:
    shadows.update("staff-hana", desired={"a": 1, "b": {"c": 1, "d": 2}}, reported={"a": 0})
    assert shadows.update("staff-hana", desired={"a": None, "b": {"c": None}}) == 2
    assert shadows.get("staff-hana") == Shadow(desired={"b": {"d": 2}}, reported={"a": 0}, version=2)


def test_an_update_with_nothing_in_it_makes_a_shadow_and_counts(shadows: Shadows) -> None:
    assert [shadows.update("x"), shadows.update("x", desired={})] == [1, 2]
    assert shadows.get("x") == Shadow(version=2)


def test_an_absent_shadow_is_404_by_its_name(shadows: Shadows) -> None:
    for ask in (shadows.get, shadows.delete):
        with pytest.raises(Rejected) as no:
            ask("staff-hana")
        assert code_of(no) == (404, "No shadow exists with name: 'staff-hana'")


def test_an_update_at_another_version_is_409_and_changes_nothing(shadows: Shadows) -> None:
    with pytest.raises(Rejected) as no:
        shadows.update("staff-hana", desired={"a": 1}, version=1)
    assert code_of(no) == (409, "Version conflict")
    shadows.update("staff-hana", desired={"a": 1}, version=None)
    assert shadows.update("staff-hana", desired={"a": 2}, version=1) == 2
    with pytest.raises(Rejected) as no:
        shadows.update("staff-hana", desired={"a": 3}, version=1)
    assert code_of(no) == (409, "Version conflict")
    assert shadows.get("staff-hana") == Shadow(desired={"a": 2}, version=2)


def test_a_deleted_shadow_is_gone_and_its_versions_go_on(shadows: Shadows) -> None:
    shadows.update("staff-hana", desired={"a": 1})
    shadows.delete("staff-hana")
    with pytest.raises(Rejected):
        shadows.get("staff-hana")
    assert shadows.update("staff-hana", reported={"b": 1}) == 3
    assert shadows.get("staff-hana") == Shadow(reported={"b": 1}, version=3)


def test_too_much_is_413_and_nonsense_is_400(shadows: Shadows) -> None:
    with pytest.raises(Rejected) as no:
        shadows.update("staff-hana", desired={"a": "x" * 8192})
    assert code_of(no) == (413, "The payload exceeds the maximum size allowed")
    for wrong in (float("nan"), "\ud800"):
        with pytest.raises(Rejected) as no:
            shadows.update("staff-hana", desired={"a": wrong})
        # AWS was seen to say it otherwise over REST.
        assert code_of(no) in ((400, "Invalid JSON"), (400, "Payload contains invalid json"))
    with pytest.raises(Rejected) as no:
        shadows.update("staff-hana", desired={"a": [None]})
    assert no.value.code == 400
    with pytest.raises(Rejected) as no:
        shadows.update("staff hana", desired={})
    assert no.value.code == 400
    assert "thingName" in no.value.message
