"""Which filter matches which topic, and what AWS takes as either."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.gateway.topics import Tree, is_filter, is_topic

MATCHES = [
    ("a/b", "a/b", True),
    ("a/b", "a/c", False),
    ("a/b", "a", False),
    ("a", "a/b", False),
    ("+", "a", True),
    ("+", "a/b", False),
    ("a/+", "a/b", True),
    ("a/+", "a/", True),
    ("a/+", "a", False),
    ("+/+", "/a", True),
    ("/+", "/a", True),
    ("+", "/a", False),
    ("a/+/c", "a/b/c", True),
    ("a/+/c", "a/b/b/c", False),
    ("#", "a", True),
    ("#", "a/b/c", True),
    ("a/#", "a/b", True),
    ("a/#", "a/b/c", True),
    ("a/#", "a/", True),
    ("a/#", "a", False),  # the standard says it does, AWS does not
    ("a/#", "b/a", False),
    ("+/#", "a/b", True),
    ("A", "a", False),
    ("#", "$aws/things/x", False),
    ("+/things/x", "$aws/things/x", False),
    ("$aws/#", "$aws/things/x", True),
    ("$aws/things/+/shadow/get", "$aws/things/x/shadow/get", True),
    ("$aws/things/+/shadow/#", "$aws/things/x/shadow/update/delta", True),
    ("a/+", "a/$b", True),
    ("a/#", "a/$b", True),
    ("席/+", "席/二", True),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES)
def test_a_filter_matches_as_on_aws(topic_filter: str, topic: str, expected: bool) -> None:
    tree: Tree[str, int] = Tree()
    tree.put(topic_filter, "me", 1)
    assert list(tree.match(topic)) == ([("me", 1)] if expected else [])


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("a", True),
        ("/", True),
        ("$aws/things/x/shadow/name/y/update/accepted", True),  # exactly seven slashes
        ("a/b/c/d/e/f/g/h/i", False),
        ("x" * 256, True),
        ("x" * 257, False),
        ("席" * 85, True),
        ("席" * 86, False),
        ("", False),
        ("a/+", False),
        ("a#", False),
    ],
)
def test_a_topic_is_what_aws_takes(topic: str, expected: bool) -> None:
    assert is_topic(topic) is expected


@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("#", True),
        ("+/#", True),
        ("a/+/b", True),
        ("", False),
        ("a/#/b", False),
        ("a#", False),
        ("a/b+", False),
        ("+a", False),
        ("a/b/c/d/e/f/g/#", True),
        ("a/b/c/d/e/f/g/h/#", False),
        ("x" * 257, False),
    ],
)
def test_a_filter_is_what_aws_takes(topic_filter: str, expected: bool) -> None:
    assert is_filter(topic_filter) is expected


levels = st.sampled_from(["a", "b", "", "$s"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join)
filters = st.lists(levels | st.just("+"), min_size=1, max_size=4).flatmap(
    lambda inner: st.sampled_from(["/".join(inner), "/".join([*inner, "#"]), "#"])
)


def reads(topic_filter: str, topic: str) -> bool:
    """The same rule in one regular expression."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    pattern = re.escape(topic_filter).replace(r"\+", "[^/]*").replace(r"\#", ".*")
    return re.fullmatch(pattern, topic) is not None


@given(st.lists(filters, max_size=8, unique=True), topics, st.data())
def test_the_tree_finds_all_that_match_and_forgets_what_is_dropped(
    held: list[str], topic: str, data: st.DataObject
) -> None:
    tree: Tree[str, int] = Tree()
    for one in held:
        tree.put(one, one, 0)
    gone = data.draw(st.lists(st.sampled_from(held), unique=True)) if held else []
    for one in gone:
        tree.drop(one, one)
    found = [holder for holder, _ in tree.match(topic)]
    assert sorted(found) == sorted(one for one in held if one not in gone and reads(one, topic))


@given(st.lists(filters, max_size=8, unique=True))
def test_a_tree_that_nobody_holds_has_no_branches(held: list[str]) -> None:
    tree: Tree[str, int] = Tree()
    for one in held:
        tree.put(one, "me", 0)
    for one in held:
        tree.drop(one, "me")
    assert not tree._root.below
