"""A device shadow as we read it, and the two protocols that every place keeps: shadows and things."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """The classic shadow of one thing, at one version.

    Attributes:
        desired: what is asked of the thing; ``{}`` if the section is absent.
        reported: what has reached the thing; ``{}`` if the section is absent.
        version: 1 for the first update; each accepted update adds 1.
    """

    desired: JsonObject = field(default_factory=dict)
    reported: JsonObject = field(default_factory=dict)
    version: int = 0


class Shadows(Protocol):
    """Classic shadows, wherever they are kept. ``LocalShadows`` and ``AwsShadows`` pass one contract suite."""

    def get(self, thing: str) -> Shadow:
        """Read a shadow.

        Raises:
            Rejected: 404, if the thing has no shadow.
        """

    def update(
        self,
        thing: str,
        *,
        desired: JsonObject | None = None,
        reported: JsonObject | None = None,
        version: int | None = None,
    ) -> int:
        """Merge into a shadow, and make it if there is none; a null removes its key.

        It returns the new version, and only when the update is durable. A section that is None is not sent.

        Raises:
            Rejected: 409, if ``version`` is given and is not the current one; 400 and 413 for what the service refuses.
        """

    def delete(self, thing: str) -> None:
        """Delete a shadow.

        Raises:
            Rejected: 404, if the thing has no shadow.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An entry of the registry.

    Attributes:
        name: ``staff-<id>``, ``button-<id>``, ``booth-<id>`` or ``kiosk-<id>``.
        type: the thing type; "" for none.
        attributes: private to us: a kiosk can never read them. Values hold only ``[a-zA-Z0-9_.,@/:#=[]-]``.
        version: 1 at creation, one more for each update.
    """

    name: str
    type: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


class Things(Protocol):
    """The registry, wherever it is kept. ``LocalThings`` and ``AwsThings`` pass one contract suite."""

    def create(self, thing: Thing) -> None:
        """Add a thing.

        Raises:
            Rejected: 409, if another one has this name; 400 for a name, type or attribute that AWS refuses.
        """

    def get(self, name: str) -> Thing:
        """Read a thing.

        Raises:
            Rejected: 404, if there is none.
        """

    def update(self, name: str, attributes: Mapping[str, str], *, version: int | None = None) -> None:
        """Lay attributes over those that are there; an empty value removes one.

        Raises:
            Rejected: 404, if there is none; 409, if ``version`` is given and is not the current one; 400 for an
                attribute that AWS refuses.
        """

    def delete(self, name: str) -> None:
        """Remove a thing; an unknown one is removed already."""

    def list(self, *, type: str = "", attribute: tuple[str, str] | None = None) -> Iterator[Thing]:
        """Every thing, by name; of one type, or with one attribute's exact value, if asked for."""
