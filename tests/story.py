"""The words in which one story is told of any place: a booth with two people, and what an administrator types."""

import io
import os
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from infra.cli import main
from shadows.errors import Rejected
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.shop import Venue, until

T = TypeVar("T")
PATIENCE_S = 30.0
NUMBERS = count(1)
OURS = ("STAFFCALL_", "SLACK_", "SORACOM_", "AWS_")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody of the staff, and what one can know of them.

    Attributes:
        slack: their Slack user id.
    """

    venue: Venue
    id: str
    name: str
    slack: str

    @property
    def thing(self) -> str:
        return f"staff-{self.id}"

    @property
    def asked(self) -> dict[str, Any]:
        return self.venue.asked(self.id)

    @property
    def state(self) -> str:
        return self.venue.state(self.id)

    @property
    def is_told(self) -> bool:
        return self.venue.is_told(self.id)

    @property
    def waiting(self) -> list[str]:
        """The booths whose calls wait for them."""
        return [call["booth"] for call in self.venue.place.shadows.get(self.thing).reported["waiting"]]

    @property
    def mentions(self) -> list[str]:
        return [text for text in self.venue.slack.texts if text.startswith(f"<@{self.slack}>")]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [row for row in self.venue.history() if row["thing"] == self.thing]

    def says(self, text: str, *, timestamp: str = "") -> str:
        return self.venue.says(self.slack, text, timestamp=timestamp)


class Booth:
    """A booth of a test's own, for the place is shared: Hana, Sora who stands in for her, and a button for both.

    A single click calls Hana, a double one Sora. The button has the booth's id.
    """

    def __init__(self, venue: Venue) -> None:
        self.venue, self.id = venue, f"b{next(NUMBERS)}"
        venue.slack.always()  # whatever the last test did to it
        self.sora = self._employed("sora", "Sora")
        self.hana = self._employed("hana", "花 Hana", backup=self.sora.id)
        self.button(self.id)

    def button(self, id: str, *, booth: str = "") -> str:
        """Another button for the same people; the answer is its id."""
        add_button(
            self.venue.place,
            NewButton(id=id, single=self.hana.id, double=self.sora.id, booth=booth or self.id),
        )
        return id

    def lasts(self, **seconds: float) -> None:
        """Set ``callingSeconds`` or ``runningSeconds`` of this booth."""
        self.venue.place.shadows.update(f"booth-{self.id}", reported=dict(seconds))

    def press(self, click: str = "SINGLE", **more: Any) -> tuple[int, Any]:
        return self.venue.press(self.id, click, **more)

    @property
    def reported(self) -> dict[str, Any]:
        """What the button's own shadow says; {} before it was pressed."""
        try:
            return self.venue.place.shadows.get(f"button-{self.id}").reported
        except Rejected:
            return {}

    @property
    def alarms(self) -> list[str]:
        """What the whole channel was told about this booth."""
        texts = self.venue.slack.texts
        return [text for text in texts if text.startswith("<!here>") and f"*{self.id}*" in text]

    def until(self, found: Callable[[], T], what: str) -> T:
        """Wait for something; the answer is what it became."""
        return until(found, f"{self.venue.target}: {what}", PATIENCE_S)

    def _employed(self, id: str, name: str, **more: str) -> Person:
        slack = f"U{self.id}{id}".upper()
        made = Person(venue=self.venue, id=f"{self.id}-{id}", name=name, slack=slack)
        add_staff(self.venue.place, NewStaff(id=made.id, name=name, slack=slack, booth=self.id, **more))
        return made


def staffcall(venue: Venue, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command line aimed at this place, in an empty folder; its exit status, and all that it said."""
    said = io.StringIO()
    others = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    with (
        patch.dict(os.environ, {**others, **venue.environment}, clear=True),
        chdir(folder),
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        status = main([*arguments, "--target", venue.target])
    return status, said.getvalue()
