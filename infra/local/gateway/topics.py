"""Topics and filters as AWS IoT Core takes them, and a tree that finds the filters of a topic."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from infra.local.gateway.limits import AWS, Quotas

Holder = TypeVar("Holder")
Grant = TypeVar("Grant")


def is_topic(topic: str, quotas: Quotas = AWS) -> bool:
    """Whether a client may publish to it: no wildcard, at most 256 bytes and 7 slashes."""
    return _fits(topic, quotas) and "+" not in topic and "#" not in topic


def is_filter(topic_filter: str, quotas: Quotas = AWS) -> bool:
    """Whether a client may subscribe to it: ``+`` and ``#`` alone in their level, ``#`` only in the last one."""
    *inner, last = topic_filter.split("/")
    return _fits(topic_filter, quotas) and all(map(_is_level, inner)) and (last == "#" or _is_level(last))


def _is_level(level: str) -> bool:
    return level == "+" or ("+" not in level and "#" not in level)


def _fits(text: str, quotas: Quotas) -> bool:
    return 0 < len(text.encode()) <= quotas.topic_bytes and text.count("/") <= quotas.slashes


class _Node(Generic[Holder, Grant]):
    __slots__ = ("below", "held")

    def __init__(self) -> None:
        self.below: dict[str, _Node[Holder, Grant]] = {}
        self.held: dict[Holder, Grant] = {}


class Tree(Generic[Holder, Grant]):
    """Filters, level by level, each with its holders and what each was granted."""

    def __init__(self) -> None:
        self._root: _Node[Holder, Grant] = _Node()

    def put(self, topic_filter: str, holder: Holder, grant: Grant) -> None:
        node = self._root
        for level in topic_filter.split("/"):
            node = node.below.setdefault(level, _Node())
        node.held[holder] = grant

    def drop(self, topic_filter: str, holder: Holder) -> None:
        """Forget a holder of a filter, and the levels that nobody needs any more.

        Raises:
            KeyError: if the holder does not hold this filter.
        """
        path = [self._root]
        levels = topic_filter.split("/")
        for level in levels:
            path.append(path[-1].below[level])
        del path[-1].held[holder]
        for level, above in zip(reversed(levels), reversed(path[:-1]), strict=True):
            if above.below[level].held or above.below[level].below:
                return
            del above.below[level]

    def match(self, topic: str) -> Iterator[tuple[Holder, Grant]]:
        """Everyone whose filter matches; a holder of several filters comes several times.

        As on AWS, ``x/#`` does not match ``x``. A wildcard in the first level matches no topic that starts with ``$``.
        """
        nodes = [self._root]
        wild = not topic.startswith("$")
        for level in topic.split("/"):
            below = []
            for node in nodes:
                if wild and "#" in node.below:
                    yield from node.below["#"].held.items()
                if wild and "+" in node.below:
                    below.append(node.below["+"])
                if level in node.below:
                    below.append(node.below[level])
            nodes, wild = below, True
        for node in nodes:
            yield from node.held.items()
